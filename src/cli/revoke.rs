//! `revoke`: a certificate becomes invalid, and is issued again.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::acme::revocation::{Reason, Revoked};
use crate::cli::account::{accounts_of, with_push};
use crate::cli::arguments::{Reports, Run};
use crate::cli::commands::{open, open_certs};
use crate::cli::config;
use crate::cli::confirm::confirm;
use crate::cli::ending::Ending;
use crate::cli::pushing::Pushing;
use crate::model::certificate::CertificateName;
use crate::model::chain::list;
use crate::model::hint::Hint;
use crate::nightly::revoke::Done;
use crate::nightly::run::Nightly;
use crate::nightly::stop::Stop;
use crate::nightly::unlock::Accounts;
use crate::report::progress::Progress;
use crate::report::terminal;

/// `revoke`
#[derive(Args, Debug)]
pub(super) struct Revoke {
    /// The certificate: a `cert_name` of certs.json
    #[arg(value_name = "CERT_NAME")]
    name: String,

    /// Why: unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Reason,

    /// Issue it again in the same run
    #[arg(long)]
    renew_now: bool,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    pub(super) run: Run,

    #[command(flatten)]
    reports: Reports,
}

fn reason(text: &str) -> Result<Reason, String> {
    text.parse()
}

/// What is to be revoked, and why.
struct Wish {
    name: CertificateName,
    reason: Reason,
    yes: bool,
}

/// Runs the command.
pub(super) async fn run(arguments: Revoke, temporary: &Path) -> Result<ExitCode> {
    let name = arguments.name.parse::<CertificateName>();
    let wish = Wish {
        name: name
            .context("`revoke` needs the name of a certificate")
            .hint(|| "it takes a `cert_name` of certs.json")?,
        reason: arguments.reason,
        yes: arguments.yes,
    };
    let mut run = arguments.run;
    let push = arguments.pushing.is_wanted(&run)?;
    let _lock = config::lock(&run)?;
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    if !arguments.renew_now {
        let opened = open_certs(&run, temporary, &progress);
        let (workspaces, mut job) = stop.ends(opened).await?;
        job.push = push;
        let accounts = accounts_of(&workspaces, &job, &progress);
        let (said, pushed) = revoke(accounts, &wish, &stop).await?;
        let next = format!("{said}; the next `renew` issues it again");
        terminal::print(&with_push(&next, pushed))?;
        return Ok(ExitCode::SUCCESS);
    }
    let ending = Ending::of("git-certs revoke", run.format, arguments.reports);
    run.only = Some(wish.name.to_string());
    run.shard = None;
    let opened = Box::pin(open(run, temporary, &progress));
    let (workspaces, mut job) = stop.ends(opened).await?;
    job.push = push;
    let nightly = Nightly::new(workspaces, job, stop.clone(), progress.clone());
    // What cannot be planned cannot be issued again: that is found out before.
    let plan = Box::pin(nightly.plan(false)).await?;
    plan.errors().into_iter().next().map_or(Ok(()), Err)?;
    let (said, _) = revoke(nightly.accounts(), &wish, &stop).await?;
    progress.say(&said);
    ending.outcome(&Box::pin(nightly.renew()).await?)
}

/// Revokes at the CA that issued the certificate. Returns what to say, and where the commit went.
async fn revoke(
    accounts: Accounts<'_>,
    wish: &Wish,
    stop: &Stop,
) -> Result<(String, Option<String>)> {
    let Wish { name, reason, yes } = wish;
    let certificate = accounts.revocable(name.clone()).await?;
    let leaf = &certificate.leaf;
    let what = format!(
        "this revokes certificate `{name}` for {}, serial {}, until {}, because of `{reason}`: it \
         cannot be undone",
        list(&leaf.identifiers),
        leaf.serial,
        leaf.not_after.date()
    );
    confirm(what, *yes, stop).await?;
    let directory = certificate.directory.as_ref();
    let accounts = Accounts {
        directory: directory.unwrap_or(accounts.directory),
        ..accounts
    };
    // Not ended by a signal: what was revoked is marked.
    let Done { revoked, pushed } = accounts.revoke(&certificate, *reason).await?;
    let said = match revoked {
        Revoked::Now => format!("`{name}` is revoked: {reason}"),
        Revoked::Before => format!("`{name}` was revoked already"),
    };
    Ok((said, pushed))
}
