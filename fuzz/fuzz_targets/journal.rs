//! The journal, as it is read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::journal(bytes));
