//! The command line: what was typed becomes a job, the job's end becomes an exit code.

mod account;
mod arguments;
mod check;
mod commands;
mod config;
mod confined;
mod confirm;
mod dns_arguments;
mod dnsconfig;
mod doctor;
mod ending;
mod environment;
mod export;
mod history;
mod identities;
mod import;
mod init;
mod journal;
mod keys;
mod manuals;
mod mended;
mod name_servers;
mod notices;
mod places;
mod providers;
mod pushing;
mod revoke;
mod schema_tests;
pub(crate) mod settings;
mod settings_file;
mod signing;
mod status;
mod temporary;
mod type_errors;
mod unlock;
mod vault;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};
use tracing_subscriber::EnvFilter;

use crate::cli::arguments::{Arguments, Format, Logging};
use crate::cli::temporary::Temporary;
use crate::model::hint::with_hint;
use crate::model::secret::looks_secret;
use crate::report::tame::{TameStderr, tame, tame_written_json};
use crate::report::voice::{self, Form, Manner, Sections};
use crate::report::{masks, questions, terminal};

/// Could not run: usage, configuration, clone, decrypt, push.
const COULD_NOT_RUN: u8 = 2;

/// How long a blocking call may go on after the run has ended.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Runs the program and returns its exit code.
///
/// 0: done, or nothing to do. 1: some certificates failed, the rest is pushed. 2: could not run.
pub fn main() -> ExitCode {
    harden();
    if environment::is_github() {
        masks::turn_on();
    }
    environment::secrets().for_each(|secret| masks::mask(secret.expose()));
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    environment::take_secrets();
    start_log(&arguments.log);
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(&error);
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn parse() -> Result<Arguments, clap::Error> {
    let mut command = with_variables(Arguments::command());
    let words = arguments::two_dashes(std::env::args_os());
    let matches = command.try_get_matches_from_mut(words);
    Arguments::from_arg_matches(&matches.map_err(|error| with_tip(error, &command))?)
}

/// Says how the command is told of a certificate, where that was tried as other commands have it.
fn with_tip(mut error: clap::Error, command: &Command) -> clap::Error {
    let mut words = std::env::args_os();
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(word)), Some(command)) = (
        error.kind(),
        error.get(ContextKind::InvalidArg),
        words.find_map(|word| command.find_subcommand(word)),
    ) else {
        return error;
    };
    let has_only = command
        .get_arguments()
        .any(|argument| argument.get_long() == Some("only"));
    let takes_names = command
        .get_positionals()
        .flat_map(|argument| argument.get_value_names().unwrap_or_default())
        .any(|name| name == "CERT_NAME");
    let tip = match word.as_str() {
        "--only" if takes_names => {
            "the name of a certificate stands alone, without `--only`".into()
        }
        word if has_only && !word.starts_with('-') => {
            format!("`--only {word}` names a certificate").into()
        }
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    error
}

/// Says what is wrong with the command line; clap would repeat a secret key that stands in it.
fn not_understood(error: &clap::Error) -> ExitCode {
    let mut words = std::env::args_os();
    if error.use_stderr() && words.any(|word| looks_secret(&word.to_string_lossy())) {
        terminal::print_error(&with_hint(
            anyhow!("a word of the command line is a secret key"),
            "other users of the machine have seen it: make a new key; secrets are given in variables and files",
        ));
        return ExitCode::from(COULD_NOT_RUN);
    }
    // Help and version are no failure; clap knows which is which.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(COULD_NOT_RUN))
}

/// CI systems set variables to the empty string where an input was left out: that is not given.
///
/// Help names the variables but not their values: a URL may hold a password.
fn with_variables(command: Command) -> Command {
    let is_empty =
        |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_subcommands(with_variables)
        .mut_args(|argument| match argument.get_env() {
            Some(name) if is_empty(name) => argument.env(Resettable::Reset),
            _ => argument.hide_env_values(true),
        })
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    // Fails only if it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Outlives the runtime: a clone that a signal interrupts may still be writing.
    let temporary = Temporary::new()?;
    // Before there are other threads, which have what this one has.
    confined::confine(&arguments.command, temporary.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(commands::run(arguments, temporary.path()));
    // What is still under way has no timers from here on: that it panics then is nobody's concern.
    std::panic::set_hook(Box::new(|_| ()));
    runtime.shutdown_timeout(SHUTDOWN);
    questions::show_again();
    result
}

/// Makes keys in memory unreadable for other processes of the user (Linux), and core dumps empty.
///
/// Failing is no reason to stop: some sandboxes forbid it, and have no other processes.
fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

fn start_log(log: &Logging) {
    let (is_github, is_gitlab) = (environment::is_github(), environment::is_gitlab());
    voice::set(Manner {
        form: match log.log_format {
            Format::Json => Form::Json,
            Format::Text if is_github => Form::Annotations,
            Format::Text => Form::Plain,
        },
        sections: match (is_github, is_gitlab) {
            (true, _) => Sections::GitHub,
            (false, true) => Sections::GitLab,
            (false, false) => Sections::None,
        },
        quiet: log.quiet.unwrap_or_default(),
    });
    // What dnsconfig.js prints with console.log() is seen, as DNSControl shows it.
    let filter = match (
        log.verbose.unwrap_or_default(),
        log.quiet.unwrap_or_default(),
    ) {
        (true, _) => "git_certs=debug,dnsconfig=debug",
        (false, true) => "dnsconfig=warn",
        (false, false) => "dnsconfig=info",
    };
    let start = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_target(false);
    match log.log_format {
        Format::Text => start.without_time().with_writer(|| TameStderr(tame)).init(),
        Format::Json => start
            .json()
            .flatten_event(true)
            .with_writer(|| TameStderr(tame_written_json))
            .init(),
    }
}
