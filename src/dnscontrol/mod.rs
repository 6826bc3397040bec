//! A DNS repository becomes zones: dnsconfig.js is evaluated, its IR normalised, creds.json read.

mod config;
mod creds;
mod engine;
mod failure;
mod files;
mod ir;
mod normalize;
mod presentation;
mod relaxed;
mod reverse;

pub(crate) use config::{DnsConfig, Source};
pub(crate) use engine::Limits;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
#[expect(clippy::too_many_lines, reason = "tables of cases")]
#[expect(clippy::print_stdout, reason = "figures of the large configuration")]
mod language_tests;
