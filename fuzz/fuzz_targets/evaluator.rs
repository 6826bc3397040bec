//! A configuration, evaluated and normalised within its limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::evaluator(bytes));
