//! The command line: what was typed becomes a job, the job's end becomes an exit code.

mod arguments;
mod commands;
mod config;
mod environment;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::arguments::Arguments;
use crate::report::terminal;

/// Could not run: usage, configuration, clone, decrypt, push.
const COULD_NOT_RUN: u8 = 2;

/// Runs the program and returns its exit code.
///
/// 0: done, or nothing to do. 1: some certificates failed, the rest is pushed. 2: could not run.
pub fn main() -> ExitCode {
    harden();
    let arguments = match Arguments::try_parse_from(arguments::two_dashes(std::env::args_os())) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no failure; clap knows which is which.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(COULD_NOT_RUN));
        }
    };
    start_log(arguments.is_verbose());
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(commands::run(arguments))
}

/// Makes keys in memory unreadable for other processes of the user, and core dumps empty.
///
/// Failing is no reason to stop: some sandboxes forbid it, and have no other processes.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

fn start_log(verbose: bool) {
    let filter = if verbose { "git_certs=debug" } else { "off" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
