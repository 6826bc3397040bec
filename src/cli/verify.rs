//! `verify`: keys that leaked, and files that do not belong together.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::cli::arguments::Format;
use crate::cli::commands::{SOME_FAILED, open_keys};
use crate::cli::config;
use crate::cli::keys::GitPlace;
use crate::cli::vault::GitOnly;
use crate::model::hint::Hint;
use crate::nightly::stop::Stop;
use crate::nightly::workspaces::blocking;
use crate::repo::verify;
use crate::repo::walk::Scope;
use crate::report::progress::Progress;
use crate::report::{findings, terminal};

const GIT_ONLY: GitOnly = GitOnly {
    command: "verify",
    hint: "`git-certs status` and `git-certs doctor` look at what Vault has; `--vault=false` looks at what git has all the same",
};

/// `verify`
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Look at all commits that a branch, a tag or another reference leads to, not only at the last one
    #[arg(long, conflicts_with = "repo")]
    history: bool,

    /// Who may sign commits, in git's format; all have to be signed then [default: `.allowed_signers` of the commits before each]
    #[arg(long, env = "GIT_CERTS_ALLOWED_SIGNERS", value_name = "FILE")]
    allowed_signers: Option<PathBuf>,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    pub(super) place: GitPlace,
}

/// Runs the command.
pub(super) async fn run(arguments: Verify, temporary: &Path) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let run = arguments.place.run(GIT_ONLY);
    let (workspaces, _) = stop.ends(open_keys(&run, temporary, &progress)).await?;
    let place = workspaces
        .with(|workspace| {
            let place = workspace.place();
            place
                .ok_or_else(|| anyhow!("this folder is in no git repository"))
                .hint(|| "`verify` looks at commits: `git init` and commit, or name a repository with `--repo`")
        })
        .await?;
    let scope = if arguments.history {
        Scope::History
    } else {
        Scope::Tip
    };
    let signers = arguments.allowed_signers.as_deref();
    let signers = signers.map(config::allowed_signers).transpose()?;
    let found = blocking(move || verify::verify(&place, scope, signers.as_ref()));
    let found = stop.ends(found).await?;
    terminal::print(&match arguments.format {
        Format::Text => findings::text(&found),
        Format::Json => findings::json(&found),
    })?;
    Ok(match found.faults() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_FAILED),
    })
}
