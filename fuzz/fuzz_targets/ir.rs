//! The output of `dnscontrol print-ir`, normalised and printed again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| git_certs::fuzz::ir(bytes));
