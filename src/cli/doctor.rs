//! `doctor`: a look at everything that a run needs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::BoolishValueParser;

use crate::cli::arguments::{Format, Run};
use crate::cli::commands::{SOME_FAILED, open};
use crate::cli::config;
use crate::model::checkup::Severity;
use crate::nightly::run::Nightly;
use crate::nightly::stop::Stop;
use crate::report::progress::Progress;
use crate::report::{doctor, terminal};

/// `doctor`
#[derive(Args, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) run: Run,

    /// Write a TXT value to every zone through every provider, wait until every name server shows it, and withdraw it
    #[arg(long)]
    rehearse: bool,

    /// Do not try out a push
    #[arg(long, env = "GIT_CERTS_NO_PUSH")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    no_push: Option<bool>,
}

/// Runs the command.
pub(super) async fn run(arguments: Doctor, temporary: &Path) -> Result<ExitCode> {
    let Doctor {
        run,
        rehearse,
        no_push,
    } = arguments;
    let _lock = if rehearse { config::lock(&run)? } else { None };
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let format = run.format;
    let (workspaces, mut job) = stop.ends(Box::pin(open(run, temporary, &progress))).await?;
    job.push = !no_push.unwrap_or_default();
    let nightly = Nightly::new(workspaces, job, stop, progress);
    let checkup = Box::pin(nightly.doctor(rehearse)).await?;
    terminal::print(&match format {
        Format::Text => doctor::text(&checkup),
        Format::Json => doctor::json(&checkup),
    })?;
    Ok(match checkup.count(Severity::Error) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_FAILED),
    })
}
