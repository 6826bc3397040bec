//! `account`: look at the ACME account, register one, change its key, close it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::builder::{BoolishValueParser, StringValueParser, TypedValueParser};
use clap::{Args, Subcommand};

use crate::cli::arguments::{Format, Run, secret};
use crate::cli::commands::open_certs;
use crate::cli::config;
use crate::cli::confirm::confirm;
use crate::cli::places::CertRepo;
use crate::cli::pushing::Pushing;
use crate::cli::settings::Settings;
use crate::cli::signing::Signing;
use crate::cli::vault::InVault;
use crate::model::secret::Secret;
use crate::nightly::accounts::Registered;
use crate::nightly::job::AccountJob;
use crate::nightly::stop::Stop;
use crate::nightly::unlock::Accounts;
use crate::nightly::workspaces::Workspaces;
use crate::report::progress::Progress;
use crate::report::tame::tame;
use crate::report::{account, terminal};

#[derive(Subcommand, Debug)]
pub(super) enum AccountCommand {
    /// Say what the CA knows of the account, and where its key is
    #[command(after_help = "Examples:
  git certs account show
  git-certs account show --acme staging --format json")]
    Show(Show),
    /// Register an account, and store it: the first `renew` does the same
    #[command(after_help = "Examples:
  git certs account register --agree-tos
  git-certs account register --agree-tos --acme zerossl --eab-kid KID")]
    Register(Register),
    /// Give the account a new key; its URL stays. Takes over accounts of get-certs
    #[command(after_help = "Examples:
  git certs account rollover
  git-certs account rollover --repo https://github.com/example/certs")]
    Rollover(Rollover),
    /// Close the account at the CA, for good
    #[command(after_help = "Examples:
  git certs account deactivate --acme staging")]
    Deactivate(Deactivate),
}

impl AccountCommand {
    /// Where the account is.
    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Show(show) => &show.place,
            Self::Register(register) => &register.place,
            Self::Rollover(rollover) => &rollover.place,
            Self::Deactivate(deactivate) => &deactivate.place,
        }
    }
}

/// Where an account is, and what opens its key.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    #[command(flatten)]
    pub(super) certs: CertRepo,

    /// The CA, as `renew` takes it [default: live]
    #[arg(long, env = "GIT_CERTS_ACME", value_name = "SERVER")]
    acme: Option<String>,

    /// PEM file of roots to trust besides the system's, for a CA of your own
    #[arg(long, env = "GIT_CERTS_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,

    /// age identity or SSH key that opens the account key
    #[arg(long, env = "GIT_CERTS_AGE_KEY_FILE", value_name = "FILE")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    vault: InVault,
}

impl Place {
    fn run(self) -> Run {
        Run {
            certs: self.certs,
            settings: Settings {
                acme: self.acme,
                ca_bundle: self.ca_bundle,
                identity: self.identity,
                ..self.vault.settings()
            },
            ..Run::default()
        }
    }
}

/// `account show`
#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// `account register`
#[derive(Args, Debug)]
pub(super) struct Register {
    #[command(flatten)]
    place: Place,

    /// Agree to the CA's terms of service
    #[arg(long, env = "GIT_CERTS_AGREE_TOS")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    agree_tos: Option<bool>,

    /// Contact address (optional)
    #[arg(long, env = "GIT_CERTS_EMAIL", value_name = "ADDRESS")]
    email: Option<String>,

    /// Key identifier for external account binding, where the CA wants it
    #[arg(
        long,
        env = "GIT_CERTS_EAB_KID",
        value_name = "KID",
        allow_hyphen_values = true
    )]
    eab_kid: Option<String>,

    /// HMAC key for external account binding; better in the environment, as other users of the machine see command lines
    #[arg(long, env = "GIT_CERTS_EAB_HMAC", value_name = "KEY", allow_hyphen_values = true, value_parser = StringValueParser::new().map(secret))]
    eab_hmac: Option<Arc<Secret>>,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    signing: Signing,
}

/// `account rollover`
#[derive(Args, Debug)]
pub(super) struct Rollover {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    signing: Signing,
}

/// `account deactivate`
#[derive(Args, Debug)]
pub(super) struct Deactivate {
    #[command(flatten)]
    place: Place,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(super) async fn run(command: AccountCommand, temporary: &Path) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let run = run_of(&command);
    let pushing = match &command {
        AccountCommand::Register(register) => register.pushing,
        AccountCommand::Rollover(rollover) => rollover.pushing,
        AccountCommand::Show(_) | AccountCommand::Deactivate(_) => Pushing::default(),
    };
    let push = pushing.is_wanted(&run)?;
    let _lock = match &command {
        AccountCommand::Show(_) => None,
        _ => config::lock(&run)?,
    };
    let opened = open_certs(&run, temporary, &progress);
    let (workspaces, mut job) = stop.ends(opened).await?;
    job.push = push;
    let accounts = accounts_of(&workspaces, &job, &progress);
    let text = match command {
        AccountCommand::Show(Show { format, .. }) => {
            let state = stop.ends(accounts.show()).await?;
            match format {
                Format::Text => account::text(&state),
                Format::Json => account::json(&state),
            }
        }
        AccountCommand::Register(_) => {
            match stop
                .ends(accounts.register_and_store(&job.registration))
                .await?
            {
                Registered::New { url, pushed } => {
                    with_push(&format!("registered the ACME account `{url}`"), pushed)
                }
                Registered::Before { url: Some(url) } => {
                    tame(&format!("there is an account already: `{url}`\n"))
                }
                Registered::Before { url: None } => "there is an account already\n".to_owned(),
            }
        }
        AccountCommand::Rollover(_) => {
            let changed = stop.ends(accounts.rollover()).await?;
            let pushed = changed.pushed.as_ref().map(ToString::to_string);
            with_push(&changed.to_string(), pushed)
        }
        AccountCommand::Deactivate(Deactivate { yes, .. }) => {
            deactivate(&accounts, yes, &stop).await?
        }
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The account's commands as a run, so that both find repositories and settings in the same way.
fn run_of(command: &AccountCommand) -> Run {
    let mut run = command.place().clone().run();
    if let AccountCommand::Rollover(rollover) = command {
        run.signing.clone_from(&rollover.signing);
    }
    if let AccountCommand::Register(register) = command {
        run.signing.clone_from(&register.signing);
        run.settings.agree_tos = register.agree_tos;
        run.settings.email.clone_from(&register.email);
        run.settings.eab_kid.clone_from(&register.eab_kid);
        run.eab_hmac.clone_from(&register.eab_hmac);
    }
    run
}

/// The accounts of the repository, at the CA of the job.
pub(super) fn accounts_of<'a>(
    workspaces: &'a Workspaces,
    job: &'a AccountJob,
    progress: &'a Progress,
) -> Accounts<'a> {
    Accounts {
        workspaces,
        progress,
        connections: &job.connections,
        directory: &job.directory,
        keyring: &job.keyring,
        vault: job.vault.as_ref(),
        push: job.push,
        is_shared: false,
    }
}

async fn deactivate(accounts: &Accounts<'_>, yes: bool, stop: &Stop) -> Result<String> {
    let holder = stop.ends(accounts.known()).await?;
    let url = holder.url();
    let what = format!(
        "this closes the account `{url}` for good: nothing can be ordered or revoked with it any more"
    );
    confirm(what, yes, stop).await?;
    holder.deactivate().await?;
    let host = accounts.directory.host();
    let remedy = match accounts.vault {
        Some(_) => format!(
            "remove the account from Vault, so that the next run registers another: the secret `.letsencrypt/{host}`"
        ),
        None => format!(
            "remove the account from the repository, so that the next run registers another: \
             `git rm -r .letsencrypt/{host}`"
        ),
    };
    Ok(tame(&format!(
        "the ACME account `{url}` is closed\ncertificates stay valid until they expire; {remedy}\n"
    )))
}

/// A line, and where the commit went.
pub(super) fn with_push(line: &str, pushed: Option<String>) -> String {
    let pushed = pushed.map(|pushed| format!("{pushed}\n"));
    tame(&format!("{line}\n{}", pushed.unwrap_or_default()))
}
