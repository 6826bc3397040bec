//! The `git-certs` program.

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed: age, for one, leaves its buffer of plaintext behind.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> std::process::ExitCode {
    git_certs::main()
}
