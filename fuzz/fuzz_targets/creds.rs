//! creds.json, and every provider that it has.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::creds(bytes));
