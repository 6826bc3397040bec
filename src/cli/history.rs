//! `log`, `why` and `rollback`: what became of a certificate, what comes next, and the one before.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use time::OffsetDateTime;

use crate::cli::account::with_push;
use crate::cli::arguments::{Format, Run};
use crate::cli::commands::open_status;
use crate::cli::config;
use crate::cli::confirm::confirm;
use crate::cli::keys::{GitPlace, KeyPlace, certificate};
use crate::cli::pushing::Pushing;
use crate::cli::settings::whole;
use crate::cli::signing::Signing;
use crate::cli::vault::{GitOnly, InVault};
use crate::model::chain::list;
use crate::nightly::rollback;
use crate::nightly::status::{Look, StatusJob};
use crate::nightly::stop::Stop;
use crate::nightly::workspaces::Workspaces;
use crate::report::progress::Progress;
use crate::report::{history, terminal, why};

const LOG: GitOnly = GitOnly {
    command: "log",
    hint: "an engine of version 2 keeps older versions: `vault kv metadata get PATH/NAME` lists them",
};
const ROLLBACK: GitOnly = GitOnly {
    command: "rollback",
    hint: "an engine of version 2 keeps older versions: `vault kv rollback -version=NUMBER PATH/NAME` brings one back",
};

/// `log`
#[derive(Args, Debug)]
pub(super) struct Log {
    /// The certificate: the name of its folder below `certificates`
    #[arg(value_name = "CERT_NAME")]
    name: String,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    pub(super) place: GitPlace,
}

/// `why`
#[derive(Args, Debug)]
pub(super) struct Why {
    /// The certificate: a `cert_name` of certs.json
    #[arg(value_name = "CERT_NAME")]
    name: String,

    /// Count as due what has fewer than DAYS left, as `renew` does with this
    #[arg(long, env = "GIT_CERTS_RENEW", value_name = "DAYS", allow_negative_numbers = true, value_parser = whole::<u32>)]
    renew: Option<u32>,

    /// The CA, as `renew` takes it [default: live]
    #[arg(long, env = "GIT_CERTS_ACME", value_name = "SERVER")]
    acme: Option<String>,

    #[command(flatten)]
    pub(super) place: KeyPlace,

    #[command(flatten)]
    vault: InVault,
}

/// `rollback`
#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// The certificate: the name of its folder below `certificates`
    #[arg(value_name = "CERT_NAME")]
    name: String,

    /// The commit whose certificate is put back [default: the last one with another certificate]
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,

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

/// A repository that is open.
struct Opened {
    workspaces: Workspaces,
    job: Arc<StatusJob>,
    progress: Progress,
    stop: Stop,
}

impl Opened {
    async fn new(run: &Run, temporary: &Path) -> Result<Self> {
        let stop = Stop::on_signals()?;
        let progress = Progress::new();
        let opened = open_status(run, temporary, &progress);
        let (workspaces, job) = stop.ends(opened).await?;
        Ok(Self {
            workspaces,
            job: Arc::new(job),
            progress,
            stop,
        })
    }

    fn look(&self) -> Look<'_> {
        Look {
            workspaces: &self.workspaces,
            progress: &self.progress,
            job: Arc::clone(&self.job),
            now: OffsetDateTime::now_utc(),
        }
    }
}

/// Runs `log`.
pub(super) async fn run_log(arguments: Log, temporary: &Path) -> Result<ExitCode> {
    let name = certificate(&arguments.name, "log")?;
    let opened = Opened::new(&arguments.place.run(LOG), temporary).await?;
    let look = opened.look();
    let steps = opened.stop.ends(look.history(&name)).await?;
    terminal::print(&match arguments.format {
        Format::Text => history::text(&steps),
        Format::Json => history::json(&name, &steps),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `why`.
pub(super) async fn run_why(arguments: Why, temporary: &Path) -> Result<ExitCode> {
    let name = certificate(&arguments.name, "why")?;
    let mut run = arguments.place.run_with(arguments.vault);
    run.settings.renew = arguments.renew;
    run.settings.acme = arguments.acme;
    let opened = Opened::new(&run, temporary).await?;
    let look = opened.look();
    let why = opened.stop.ends(look.why(&name)).await?;
    terminal::print(&why::text(&why))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `rollback`.
pub(super) async fn run_rollback(arguments: Rollback, temporary: &Path) -> Result<ExitCode> {
    let name = certificate(&arguments.name, "rollback")?;
    let mut run = arguments.place.run(ROLLBACK);
    run.signing = arguments.signing;
    let push = arguments.pushing.is_wanted(&run)?;
    let _lock = config::lock(&run)?;
    let opened = Opened::new(&run, temporary).await?;
    let look = opened.look();
    let earlier = look.earlier(&name, arguments.to);
    let earlier = opened.stop.ends(earlier).await?;
    for warning in &earlier.warnings {
        opened.progress.warn(warning);
    }
    confirm(what(&earlier), arguments.yes, &opened.stop).await?;
    // Not ended by a signal: what is committed is pushed.
    let pushed = look.roll_back(&earlier, push).await?;
    let leaf = &earlier.version.leaf;
    let said = format!(
        "`{name}` is the certificate of commit {} again: serial {}, until {}",
        earlier.version.commit.short_id(),
        leaf.serial,
        leaf.not_after.date()
    );
    terminal::print(&with_push(&said, pushed))?;
    Ok(ExitCode::SUCCESS)
}

fn what(earlier: &rollback::Rollback) -> String {
    let rollback::Rollback {
        name,
        version,
        current,
        ..
    } = earlier;
    let leaf = &version.leaf;
    let instead = current.as_ref().map_or_else(String::new, |current| {
        format!(
            ", in place of serial {}, until {}",
            current.serial,
            current.not_after.date()
        )
    });
    format!(
        "this puts the certificate of commit {} back as `{name}`: for {}, serial {}, until {}{instead}",
        version.commit.short_id(),
        list(&leaf.identifiers),
        leaf.serial,
        leaf.not_after.date()
    )
}
