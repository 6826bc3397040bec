//! `recipients` and `rekey`: who can open private keys.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};

use crate::cli::account::with_push;
use crate::cli::arguments::{Format, Run};
use crate::cli::commands::{SOME_FAILED, open_keys};
use crate::cli::config;
use crate::cli::places::CertRepo;
use crate::cli::pushing::Pushing;
use crate::cli::settings::Settings;
use crate::cli::signing::Signing;
use crate::cli::vault::{GitOnly, InVault};
use crate::model::certificate::CertificateName;
use crate::model::hint::Hint;
use crate::nightly::readers::{Edit, Edited, Whose};
use crate::nightly::rekey::Keys;
use crate::nightly::stop::Stop;
use crate::report::progress::Progress;
use crate::report::tame::tame;
use crate::report::{recipients, terminal};

#[derive(Subcommand, Debug)]
pub(super) enum RecipientsCommand {
    /// Say who can open what, and which keys are encrypted for another list
    #[command(after_help = "Examples:
  git certs recipients list
  git-certs recipients list --repo https://github.com/example/certs --format json")]
    List(List),
    /// Let somebody open keys that are encrypted from now on
    #[command(after_help = "Examples:
  git certs recipients add age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  git certs recipients add --certificate www 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA... alice'")]
    Add(Change),
    /// Take somebody off a list
    #[command(after_help = "Examples:
  git certs recipients remove age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
  git certs rekey                                  and then, for the keys that are there")]
    Remove(Change),
}

impl RecipientsCommand {
    /// Where the keys are.
    pub(super) fn place(&self) -> &KeyPlace {
        match self {
            Self::List(list) => &list.place.keys,
            Self::Add(change) | Self::Remove(change) => &change.place.keys,
        }
    }
}

/// Where the keys are.
#[derive(Args, Clone, Debug)]
pub(super) struct KeyPlace {
    #[command(flatten)]
    pub(super) certs: CertRepo,

    /// PEM file of roots to trust besides the system's
    #[arg(long, env = "GIT_CERTS_CA_BUNDLE", value_name = "FILE")]
    pub(super) ca_bundle: Option<PathBuf>,
}

impl KeyPlace {
    fn run(self) -> Run {
        self.run_with(InVault::default())
    }

    pub(super) fn run_with(self, vault: InVault) -> Run {
        Run {
            certs: self.certs,
            settings: Settings {
                ca_bundle: self.ca_bundle,
                ..vault.settings()
            },
            ..Run::default()
        }
    }
}

/// The same for a command that is about files in git alone.
#[derive(Args, Clone, Debug)]
pub(super) struct GitPlace {
    #[command(flatten)]
    pub(super) keys: KeyPlace,

    #[arg(long, env = "GIT_CERTS_VAULT", hide = true)]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    vault: Option<bool>,
}

impl GitPlace {
    pub(super) fn run(self, git_only: GitOnly) -> Run {
        let mut run = self.keys.run();
        run.settings.vault = self.vault;
        run.git_only = Some(git_only);
        run
    }
}

/// Vault's own means.
const RECIPIENTS: GitOnly = GitOnly {
    command: "recipients",
    hint: "policies of Vault say who may read keys there",
};
const REKEY: GitOnly = GitOnly {
    command: "rekey",
    hint: "policies of Vault say who may read keys there; `git-certs renew --renew 9999` makes new ones",
};

/// `recipients list`
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    place: GitPlace,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// `recipients add` and `recipients remove`
#[derive(Args, Debug)]
pub(super) struct Change {
    /// `age1...`, or an SSH public key
    #[arg(value_name = "RECIPIENT")]
    recipient: String,

    /// The list of the accounts' keys
    #[arg(long, conflicts_with = "certificate")]
    account: bool,

    /// The list of this certificate alone
    #[arg(long, value_name = "CERT_NAME")]
    certificate: Option<String>,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    signing: Signing,

    #[command(flatten)]
    place: GitPlace,
}

/// `rekey`
#[derive(Args, Debug)]
pub(super) struct Rekey {
    /// Only these certificates: `cert_name`s of certs.json [default: all, and the accounts]
    #[arg(value_name = "CERT_NAME")]
    names: Vec<String>,

    /// age identity or SSH key that opens the keys as they are
    #[arg(long, env = "GIT_CERTS_AGE_KEY_FILE", value_name = "FILE")]
    identity: Option<PathBuf>,

    #[command(flatten)]
    pushing: Pushing,

    #[command(flatten)]
    signing: Signing,

    #[command(flatten)]
    pub(super) place: GitPlace,
}

/// Runs `recipients`.
pub(super) async fn run_recipients(
    command: RecipientsCommand,
    temporary: &Path,
) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let (change, is_added) = match command {
        RecipientsCommand::List(List { place, format }) => {
            let run = place.run(RECIPIENTS);
            let opened = open_keys(&run, temporary, &progress);
            let (workspaces, job) = stop.ends(opened).await?;
            let keys = Keys {
                workspaces: &workspaces,
                progress: &progress,
                job: Arc::new(job),
            };
            let readers = stop.ends(keys.readers()).await?;
            terminal::print(&match format {
                Format::Text => recipients::readers(&readers),
                Format::Json => recipients::readers_json(&readers),
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        RecipientsCommand::Add(change) => (change, true),
        RecipientsCommand::Remove(change) => (change, false),
    };
    let whose = whose(&change)?;
    let edit = if is_added {
        Edit::Add(change.recipient)
    } else {
        Edit::Remove(change.recipient)
    };
    let mut run = change.place.run(RECIPIENTS);
    run.signing = change.signing;
    let push = change.pushing.is_wanted(&run)?;
    let _lock = config::lock(&run)?;
    let (workspaces, mut job) = stop.ends(open_keys(&run, temporary, &progress)).await?;
    job.push = push;
    let keys = Keys {
        workspaces: &workspaces,
        progress: &progress,
        job: Arc::new(job),
    };
    let edited = stop.ends(keys.edit(whose, edit)).await?;
    terminal::print(&what_was_edited(edited, is_added))?;
    Ok(ExitCode::SUCCESS)
}

fn what_was_edited(edited: Edited, is_added: bool) -> String {
    let Edited {
        path,
        pushed,
        has_changed,
    } = edited;
    if !has_changed {
        return tame(&format!("`{path}` has this recipient already\n"));
    }
    let (line, then) = if is_added {
        (
            "added to",
            "keys that are there stay as they are: `git-certs rekey` encrypts them for the new list",
        )
    } else {
        (
            "removed from",
            "keys that are there can still be opened: `git-certs rekey` encrypts them for the new list, \
             and says which certificates need new keys",
        )
    };
    format!("{}{then}\n", with_push(&format!("{line} `{path}`"), pushed))
}

fn whose(change: &Change) -> Result<Whose> {
    Ok(match (&change.certificate, change.account) {
        (Some(name), _) => Whose::Certificate(certificate(name, "--certificate")?),
        (None, true) => Whose::Accounts,
        (None, false) => Whose::Certificates,
    })
}

pub(super) fn certificate(name: &str, option: &str) -> Result<CertificateName> {
    name.parse()
        .with_context(|| format!("`{option}` names no certificate"))
        .hint(|| "it takes a `cert_name` of certs.json")
}

/// Runs `rekey`.
pub(super) async fn run_rekey(arguments: Rekey, temporary: &Path) -> Result<ExitCode> {
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let names = arguments
        .names
        .iter()
        .map(|name| certificate(name, "rekey"));
    let names = names.collect::<Result<_>>()?;
    let mut run = arguments.place.run(REKEY);
    run.signing = arguments.signing;
    run.settings.identity = arguments.identity;
    let push = arguments.pushing.is_wanted(&run)?;
    let _lock = config::lock(&run)?;
    let (workspaces, mut job) = stop.ends(open_keys(&run, temporary, &progress)).await?;
    job.push = push;
    let keys = Keys {
        workspaces: &workspaces,
        progress: &progress,
        job: Arc::new(job),
    };
    let rekeyed = stop.ends(Box::pin(keys.rekey(names))).await?;
    rekeyed.failed.iter().for_each(terminal::print_error);
    terminal::print(&recipients::rekeyed(&rekeyed))?;
    Ok(if rekeyed.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_FAILED)
    })
}
