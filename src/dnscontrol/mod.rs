//! A DNS repository becomes zones: dnsconfig.js is evaluated, its IR normalised, creds.json read.

mod checks;
mod config;
mod confinement;
mod creds;
mod engine;
mod failure;
mod fetch;
mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod golden_tests;
mod ir;
mod language_tests;
mod memory;
mod natives;
mod normalize;
mod presentation;
mod print;
mod raw;
mod redirect;
mod relaxed;
mod resolver;
mod reverse;
mod sandbox_tests;
mod spf;
mod stringify;
mod transform;
mod zones;

pub(crate) use config::{DnsConfig, Source, print_ir};
pub(crate) use creds::notifications;
pub(crate) use engine::Limits;
pub(crate) use normalize::record_types;
pub(crate) use resolver::TxtLookup;
