//! A recipients file, as it is read and changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::recipients(bytes));
