//! `unlock`: a run that is dead no longer holds the cert repository.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cli::arguments::Run;
use crate::cli::commands::open_certs_with_journal;
use crate::cli::confirm::confirm;
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
    let found = stop.ends(Found::look(&workspaces, &settings, true)).await?;
    let said = match found {
        None => "no run holds the cert repository".to_owned(),
        Some(found) if !found.is_running(&settings) => format!(
            "no run holds the cert repository; the next one takes over what was left: {}",
            found.describe()
        ),
        Some(found) => {
            let held = found.describe();
            let what = format!(
                "this takes the cert repository from {held}: if that run is alive, it fails"
            );
            confirm(what, arguments.yes, &stop).await?;
            found.unlock().await?;
            format!("unlocked: the next run takes over what was left by {held}")
        }
    };
    terminal::print(&format!("{}\n", tame(&said)))?;
    Ok(ExitCode::SUCCESS)
}
