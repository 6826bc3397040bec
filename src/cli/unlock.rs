//! `unlock`: a run that is dead no longer holds the cert repository.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cli::arguments::Run;
use crate::cli::commands::open_certs_with_journal;
use crate::cli::confirm::confirm;
use crate::model::shard::Scope;
use crate::nightly::found::Found;
use crate::nightly::stop::Stop;
use crate::report::progress::Progress;
use crate::report::tame::tame;
use crate::report::terminal;

/// `unlock`
#[derive(Args, Debug)]
pub(super) struct Unlock {
    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    pub(super) run: Run,
}

/// Runs the command.
pub(super) async fn run(arguments: Unlock, temporary: &Path) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let opened = open_certs_with_journal(&arguments.run, temporary, &progress);
    let (workspaces, settings) = stop.ends(opened).await?;
    let look = Found::look(&workspaces, &settings, true, &Scope::All);
    let found = stop.ends(look).await?;
    let in_words = |found: &[Found]| {
        let each = found.iter().map(Found::describe);
        each.collect::<Vec<_>>().join("; ")
    };
    let left = in_words(&found);
    let (running, over): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| found.is_running(&settings));
    let said = if !running.is_empty() {
        let held = in_words(&running);
        let fails = match running.len() {
            1 => "if that run is alive, it fails",
            _ => "those of these runs that are alive fail",
        };
        let what = format!("this takes the cert repository from {held}: {fails}");
        confirm(what, arguments.yes, &stop).await?;
        for found in running {
            found.unlock().await?;
        }
        format!("unlocked: the next run takes over what was left by {held}")
    } else if over.is_empty() {
        "no run holds the cert repository".to_owned()
    } else {
        format!("no run holds the cert repository; the next one takes over what was left: {left}")
    };
    terminal::print(&format!("{}\n", tame(&said)))?;
    Ok(ExitCode::SUCCESS)
}
