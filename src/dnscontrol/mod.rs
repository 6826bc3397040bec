//! A DNS repository becomes zones: dnsconfig.js is evaluated, its IR normalised, creds.json read.

mod checks;
mod config;
mod creds;
mod engine;
mod failure;
mod files;
mod ir;
mod language_tests;
mod normalize;
mod presentation;
mod relaxed;
mod reverse;

pub(crate) use config::{DnsConfig, Source};
pub(crate) use engine::Limits;
