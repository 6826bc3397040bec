//! NAME.json, and after a zero byte the chain that it is about.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::name_json(bytes));
