//! Tests of the whole program, on real servers.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, and its files may be written in one go"
)]

mod lab;
mod refusals;
mod refusals_dns;
mod refusals_git;
mod shape;
#[allow(dead_code, reason = "the lab offers more than these tests use")]
mod support;
