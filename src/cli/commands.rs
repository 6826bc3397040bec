//! One function a command.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::arguments::{Arguments, Command, Format, Plan, Renew, Run};
use crate::cli::dns_arguments::{ListFormat, PrintIr};
use crate::cli::ending::Ending;
use crate::cli::identities::keyring;
use crate::cli::journal::journal;
use crate::cli::notices::Notices;
use crate::cli::places::Places;
use crate::cli::pushing::Pushing;
use crate::cli::settings::{FILE, Settings};
use crate::cli::{
    COULD_NOT_RUN, account, check, config, dnsconfig, doctor, export, history, import, init, keys,
    manuals, providers, revoke, status, unlock, verify,
};
use crate::dnscontrol;
use crate::net::http::Http;
use crate::nightly::found::JournalSettings;
use crate::nightly::import::ImportJob;
use crate::nightly::job::{AccountJob, Job, KeysJob};
use crate::nightly::keyring::Keyring;
use crate::nightly::run::Nightly;
use crate::nightly::status::StatusJob;
use crate::nightly::stop::Stop;
use crate::nightly::vaulting::Vaulting;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::report::progress::Progress;
use crate::report::{drill, terminal};

/// Some certificates failed, the rest is pushed.
pub(super) const SOME_FAILED: u8 = 1;

/// `plan --detailed-exitcode`: something is due.
const SOMETHING_DUE: u8 = 2;

/// Runs the command. `temporary` is a folder of our own that is gone when the program ends.
pub(super) async fn run(arguments: Arguments, temporary: &Path) -> Result<ExitCode> {
    match arguments.command {
        Command::Renew(arguments) => Box::pin(renew(arguments, temporary)).await,
        Command::Plan(arguments) => Box::pin(plan(arguments, temporary)).await,
        Command::Status(arguments) => Box::pin(status::run(arguments, temporary)).await,
        Command::Why(arguments) => Box::pin(history::run_why(arguments, temporary)).await,
        Command::Log(arguments) => Box::pin(history::run_log(arguments, temporary)).await,
        Command::Rollback(arguments) => {
            Box::pin(history::run_rollback(*arguments, temporary)).await
        }
        Command::Doctor(arguments) => doctor::run(*arguments, temporary).await,
        Command::Init(arguments) => init::run(*arguments).await,
        Command::Completions(arguments) => manuals::completions(&arguments),
        Command::Man(arguments) => manuals::man(arguments),
        Command::Check(arguments) => check::run(*arguments, temporary).await,
        Command::Account { command } => Box::pin(account::run(command, temporary)).await,
        Command::Unlock(arguments) => unlock::run(*arguments, temporary).await,
        Command::Revoke(arguments) => Box::pin(revoke::run(*arguments, temporary)).await,
        Command::Recipients { command } => Box::pin(keys::run_recipients(command, temporary)).await,
        Command::Rekey(arguments) => Box::pin(keys::run_rekey(arguments, temporary)).await,
        Command::Export(arguments) => Box::pin(export::run(*arguments, temporary)).await,
        Command::Import(arguments) => Box::pin(import::run(*arguments, temporary)).await,
        Command::Verify(arguments) => verify::run(arguments, temporary).await,
        Command::PrintIr(arguments) => print_ir(&arguments).await,
        Command::Providers(arguments) => {
            let kind = arguments.kind.as_deref();
            terminal::print(&match (kind, arguments.format) {
                (None, ListFormat::Text) => providers::text(),
                (None, ListFormat::Markdown) => providers::markdown(),
                (Some(kind), ListFormat::Text) => providers::text_of(providers::find(kind)?),
                (Some(kind), ListFormat::Markdown) => {
                    providers::markdown_of(providers::find(kind)?)
                }
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn print_ir(arguments: &PrintIr) -> Result<ExitCode> {
    let source = dnsconfig::source_here(arguments)?;
    let ir = blocking(move || dnscontrol::print_ir(&source)).await?;
    let text = if arguments.pretty {
        format!("{:#}\n", serde_json::from_str::<serde_json::Value>(&ir)?)
    } else {
        format!("{ir}\n")
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn renew(arguments: Renew, temporary: &Path) -> Result<ExitCode> {
    let Renew {
        run,
        reports,
        dry_run,
        pushing,
    } = arguments;
    let ending = Ending::of("git-certs renew", run.format, reports);
    let how = (dry_run.unwrap_or_default(), pushing);
    match Box::pin(try_renew(run, how, temporary, &ending)).await {
        Err(error) => Ok(ending.error(&error, COULD_NOT_RUN)),
        ended => ended,
    }
}

async fn try_renew(
    run: Run,
    (is_dry, pushing): (bool, Pushing),
    temporary: &Path,
    ending: &Ending,
) -> Result<ExitCode> {
    let push = pushing.is_wanted(&run)?;
    let _lock = if is_dry { None } else { config::lock(&run)? };
    let run = if is_dry { run.without_copies() } else { run };
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let early = Notices::early(&run.settings, is_dry);
    let opened = stop.ends(Box::pin(open(run, temporary, &progress))).await;
    let (workspaces, mut job) = early.or_tell(opened).await?;
    job.push = push;
    let notices = Notices::of(&job);
    let nightly = Nightly::new(workspaces, job, stop, progress);
    if is_dry {
        return ending.dry_run(&Box::pin(nightly.dry_run()).await?);
    }
    let outcome = notices.or_tell(Box::pin(nightly.renew()).await).await?;
    let code = ending.outcome(&outcome);
    notices.tell(&outcome).await;
    code
}

async fn plan(arguments: Plan, temporary: &Path) -> Result<ExitCode> {
    if arguments.drill {
        let format = arguments.run.format;
        let drill = ready(arguments.run, temporary).await?.drill().await?;
        terminal::print(&match format {
            Format::Text => drill::text(&drill),
            Format::Json => drill::json(&drill),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let ending = Ending::of("git-certs plan", arguments.run.format, arguments.reports);
    let detailed = arguments.detailed_exitcode;
    let asks_dns = !arguments.no_dns.unwrap_or_default();
    let code = |is_due: bool| if is_due && detailed { SOMETHING_DUE } else { 0 };
    let planned = async {
        let nightly = ready(arguments.run, temporary).await?;
        if let Some(of) = arguments.matrix {
            let (loads, errors) = nightly.loads(of).await?;
            return ending.matrix(&loads, &errors, code(!loads.is_empty()));
        }
        let plan = Box::pin(nightly.plan(asks_dns)).await?;
        let code = if plan.astray.is_empty() {
            code(plan.due().next().is_some())
        } else {
            SOME_FAILED
        };
        ending.plan(&plan, code)
    };
    match Box::pin(planned).await {
        Err(error) if detailed => Ok(ending.error(&error, SOME_FAILED)),
        Err(error) => Ok(ending.error(&error, COULD_NOT_RUN)),
        ended => ended,
    }
}

/// A run that will only look.
async fn ready(run: Run, temporary: &Path) -> Result<Nightly> {
    let run = run.without_copies();
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let (workspaces, job) = stop.ends(Box::pin(open(run, temporary, &progress))).await?;
    Ok(Nightly::new(workspaces, job, stop, progress))
}

/// Opens the repositories and learns the settings of `git-certs.toml` on the way.
pub(super) async fn open(
    run: Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, Job)> {
    let http = config::http(&run.settings)?;
    let places = Places::new(&run, &http, temporary)?;
    let known = run.settings.dns_repo.is_some();
    let dns = known.then(|| places.dns(&run.settings)).transpose()?;
    let (certs, people) = (places.certs()?, run.signing.people()?);
    let mut workspaces = Workspaces::open(certs, dns, people, temporary, progress).await?;
    let (settings, own_http) = with_file(&run, &workspaces, &http).await?;
    if !known {
        let location = places.dns(&settings)?;
        workspaces.open_dns(location, progress).await?;
    }
    let mut job = config::job(&run, &settings, own_http, workspaces.dns()?)?;
    if let Some(path) = config::list_in_clone(&run, &settings) {
        let bytes = workspaces.read_cert_repo(path).await?;
        job.certs_json = Some(config::list(path, bytes)?);
    }
    Ok((workspaces, job))
}

/// The same for a command that is about the account alone: without the DNS repository.
pub(super) async fn open_certs(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, AccountJob)> {
    let (workspaces, settings, http) = open_alone(run, temporary, progress).await?;
    let job = config::account_job(run, &settings, http)?;
    Ok((workspaces, job))
}

/// The same for a command that is about the journal alone.
pub(super) async fn open_certs_with_journal(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, JournalSettings)> {
    let (workspaces, settings, _) = open_alone(run, temporary, progress).await?;
    Ok((workspaces, journal(&settings)))
}

/// The same for the command that brings in what another program keeps.
pub(super) async fn open_import(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, ImportJob)> {
    let (workspaces, settings, _) = open_alone(run, temporary, progress).await?;
    let mut job = config::import_job(run, &settings)?;
    if let Some(path) = config::list_in_clone(run, &settings) {
        let bytes = workspaces.read_cert_repo(path).await?;
        job.certs_json = Some(config::list(path, bytes)?);
    }
    Ok((workspaces, job))
}

/// The same for a command that is about the keys.
pub(super) async fn open_keys(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, KeysJob)> {
    let (workspaces, settings, _) = open_alone(run, temporary, progress).await?;
    let mut job = config::keys_job(run, &settings)?;
    if let Some(path) = config::list_in_clone(run, &settings) {
        let bytes = workspaces.read_cert_repo(path).await?;
        job.certs_json = Some(config::list(path, bytes)?);
    }
    Ok((workspaces, job))
}

/// The same for a command that looks at the certificates.
pub(super) async fn open_status(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, StatusJob)> {
    let (workspaces, settings, http) = open_alone(run, temporary, progress).await?;
    let mut job = config::status_job(run, &settings, &http)?;
    if let Some(path) = config::list_in_clone(run, &settings) {
        let bytes = workspaces.read_cert_repo(path).await?;
        job.certs_json = Some(config::list(path, bytes)?);
    }
    Ok((workspaces, job))
}

/// The same for a command that opens certificate keys: with the identities, and Vault where the keys are there.
pub(super) async fn open_with_keyring(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, Keyring, Option<Vaulting>)> {
    let (workspaces, settings, http) = open_alone(run, temporary, progress).await?;
    let vault = config::in_vault(&settings, &http)?;
    Ok((workspaces, keyring(&settings), vault))
}

/// The cert repository, with the settings and the HTTP client that it asks for.
async fn open_alone(
    run: &Run,
    temporary: &Path,
    progress: &Progress,
) -> Result<(Workspaces, Settings, Http)> {
    let http = config::http(&run.settings)?;
    let certs = Places::new(run, &http, temporary)?.certs()?;
    let people = run.signing.people()?;
    let workspaces = Workspaces::open(certs, None, people, temporary, progress).await?;
    let (settings, http) = with_file(run, &workspaces, &http).await?;
    if let Some(git_only) = run.git_only {
        git_only.check(&settings)?;
    }
    Ok((workspaces, settings, http))
}

/// The settings with those of `git-certs.toml`, and the HTTP client that they ask for.
async fn with_file(run: &Run, workspaces: &Workspaces, http: &Http) -> Result<(Settings, Http)> {
    let settings = match workspaces.read_cert_repo(FILE).await? {
        Some(bytes) => run.settings.over(&Settings::from_file(&bytes)?)?,
        None => run.settings.clone(),
    };
    let http = if settings.ca_bundle == run.settings.ca_bundle {
        http.clone()
    } else {
        config::http(&settings)?
    };
    Ok((settings, http))
}
