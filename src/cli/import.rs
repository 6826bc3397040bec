//! `import`: what another program keeps comes into the cert repository.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::BoolishValueParser;
use time::OffsetDateTime;

use crate::cli::arguments::Run;
use crate::cli::commands::{SOME_FAILED, open_import};
use crate::cli::confirm::confirm;
use crate::cli::keys::GitPlace;
use crate::cli::pushing::Pushing;
use crate::cli::signing::Signing;
use crate::cli::vault::GitOnly;
use crate::cli::{config, environment};
use crate::model::hint::Hint;
use crate::model::import::Tool;
use crate::nightly::import;
use crate::nightly::stop::Stop;
use crate::report::progress::Progress;
use crate::report::{import as report, terminal};

const GIT_ONLY: GitOnly = GitOnly {
    command: "import",
    hint: "`git-certs renew` issues what Vault lacks, and takes over what get-certs left there; `--vault=false` imports into git all the same",
};

/// `import`
#[derive(Args, Debug)]
pub(super) struct Import {
    /// Folder of the other program, such as `/etc/letsencrypt`, `~/.acme.sh` or `.lego` [default: get-certs' files in the cert repository]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// The other program: get-certs, certbot, lego, acme.sh, dehydrated, uacme; without FOLDER its usual one [default: found out]
    #[arg(long, value_name = "PROGRAM", value_parser = tool)]
    from: Option<Tool>,

    /// Of several accounts at one CA, this one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// The CA, as `renew` takes it: certificates of another get `acme` in certs.json [default: live]
    #[arg(long, env = "GIT_CERTS_ACME", value_name = "SERVER")]
    acme: Option<String>,

    /// Say what would be done, and do nothing
    #[arg(long, env = "GIT_CERTS_DRY_RUN")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    dry_run: Option<bool>,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    signing: Signing,

    #[command(flatten)]
    pub(super) place: GitPlace,
}

fn tool(text: &str) -> Result<Tool, String> {
    text.parse()
}

/// Where a program keeps its files if nobody tells it otherwise.
fn usual_folder(tool: Tool) -> Option<PathBuf> {
    match tool {
        Tool::GetCerts => None,
        Tool::Certbot => Some("/etc/letsencrypt".into()),
        Tool::Lego => Some(".lego".into()),
        Tool::AcmeSh => environment::home().map(|home| home.join(".acme.sh")),
        // As Debian's package has it.
        Tool::Dehydrated => Some("/var/lib/dehydrated".into()),
        Tool::Uacme => Some("/etc/ssl/uacme".into()),
    }
}

/// The folder to read; none for the cert repository itself.
fn folder(given: Option<PathBuf>, from: Option<Tool>, run: &Run) -> Option<PathBuf> {
    let folder = given.or_else(|| from.and_then(usual_folder))?;
    let is_here = run.certs.repo.is_none()
        && match (folder.canonicalize(), run.certs.here().canonicalize()) {
            (Ok(folder), Ok(here)) => folder == here,
            _ => false,
        };
    let is_get_certs = from.is_none_or(|tool| tool == Tool::GetCerts);
    (!(is_here && is_get_certs)).then_some(folder)
}

/// Runs the command.
pub(super) async fn run(arguments: Import, temporary: &Path) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let is_dry = arguments.dry_run.unwrap_or_default();
    let mut run = arguments.place.run(GIT_ONLY);
    run.signing = arguments.signing;
    run.settings.acme = arguments.acme;
    let push = is_dry || arguments.pushing.is_wanted(&run)?;
    let _lock = if is_dry { None } else { config::lock(&run)? };
    let folder = folder(arguments.folder, arguments.from, &run);
    let opened = open_import(&run, temporary, &progress);
    let (workspaces, mut job) = stop.ends(opened).await?;
    (job.folder, job.tool) = (folder, arguments.from);
    (job.account, job.push) = (arguments.account, push);
    let import = import::Import {
        workspaces: &workspaces,
        progress: &progress,
        job: Arc::new(job),
    };
    let (importing, decided) = stop.ends(import.look(OffsetDateTime::now_utc())).await?;
    importing.left.iter().for_each(terminal::print_error);
    terminal::print(&report::text(&importing))?;
    if !is_dry {
        if !importing.is_nothing() {
            let what = match importing.removed.len() {
                0 => "this commits what is listed above".to_owned(),
                _ => "this commits what is listed above, and removes files".to_owned(),
            };
            confirm(what, arguments.yes, &stop)
                .await
                .context("nothing was imported")
                .hint(|| "`--dry-run` only looks")?;
        }
        // Not ended by a signal: what is removed is stored before.
        let pushed = import.carry_out(&importing, decided).await?;
        if !importing.is_nothing() {
            terminal::print(&report::done(&importing, pushed.as_deref()))?;
        }
    }
    Ok(if importing.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_FAILED)
    })
}
