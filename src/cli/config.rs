//! What was typed becomes what it means: the job.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::acme::account::Registration;
use crate::acme::connections::Connections;
use crate::acme::external::ExternalAccount;
use crate::acme::limits::{LETS_ENCRYPT, STAGING};
use crate::acme::presets::{Directory, WHAT_ACME_TAKES};
use crate::cli::arguments::Run;
use crate::cli::dnsconfig;
use crate::cli::environment;
use crate::cli::identities::keyring;
use crate::cli::journal::journal;
use crate::cli::mended;
use crate::cli::name_servers;
use crate::cli::settings::{Settings, WhoseLimits};
use crate::cli::vault::{instead_of_git, vaulting};
use crate::model::certificate::Profile;
use crate::model::environment::Environment;
use crate::model::file;
use crate::model::hint::Hint;
use crate::model::secret::looks_secret;
use crate::net;
use crate::net::http::Http;
use crate::nightly::import::ImportJob;
use crate::nightly::job::{AccountJob, Job, KeysJob, LimitsOf, Override};
use crate::nightly::patterns::NeverCount;
use crate::nightly::pending::Policy;
use crate::nightly::status::StatusJob;
use crate::nightly::vaulting::Vaulting;
use crate::nightly::workspaces::DnsFolder;
use crate::repo::allowed_signers::AllowedSigners;
use crate::repo::certs_json::Defaults;
use crate::repo::lock::FolderLock;
use crate::report::masks;

/// How long name servers may take to show the challenges.
const DNS_TIMEOUT: Duration = Duration::from_mins(5);

/// Two runs in one checkout would take each other's commits away.
pub(super) fn lock(run: &Run) -> Result<Option<FolderLock>> {
    let folder = run.certs.here();
    // What is no folder is refused when it is opened.
    let is_here = run.certs.repo.is_none() && folder.is_dir();
    let lock = is_here.then(|| FolderLock::take(&folder)).transpose()?;
    if lock.is_some() {
        mended::mend(&folder);
    }
    Ok(lock)
}

/// The HTTP client with the roots of `--ca-bundle` and of `LEGO_CA_CERTIFICATES`.
pub(super) fn http(settings: &Settings) -> Result<Http> {
    http_trusting(settings, None)
}

/// The same with the roots of another file, and what names that.
pub(super) fn http_trusting(
    settings: &Settings,
    another: Option<(PathBuf, &'static str)>,
) -> Result<Http> {
    let own = settings.ca_bundle.iter().cloned();
    let own = own.map(|path| (path, "--ca-bundle"));
    let lego = environment::variable(environment::LEGO_CA_CERTIFICATES).unwrap_or_default();
    let lego = std::env::split_paths(&lego).filter(|path| !path.as_os_str().is_empty());
    let lego = lego.map(|path| (path, environment::LEGO_CA_CERTIFICATES));
    let mut roots = Vec::new();
    for (path, option) in own.chain(lego).chain(another) {
        let found = net::http::roots(&read(&path, option)?)
            .with_context(|| format!("cannot use `{}`", path.display()))
            .hint(|| format!("`{option}` takes certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`"))?;
        roots.extend(found);
    }
    Http::trusting(roots)
}

/// The job, once the repositories are open.
///
/// Relative paths start at the current folder for work in place and at the repository's root for
/// clones.
pub(super) fn job(run: &Run, settings: &Settings, http: Http, dns: &DnsFolder) -> Result<Job> {
    let only = run.only.as_deref().map(str::parse).transpose();
    let http = patient(http, settings);
    let dns_timeout = dns_timeout(settings);
    Ok(Job {
        limits: settings.limits.map_or(LimitsOf::TheCa, limits),
        caa_identities: words(settings.caa_identity.as_deref()).collect(),
        directory: directory(settings)?,
        fallback: fallback(settings)?,
        environment: Environment::of_process(),
        registration: registration(run, settings),
        renew_days: settings.renew,
        defaults: defaults(settings)?,
        only: only
            .context("`--only` names no certificate")
            .hint(|| "it takes a `cert_name` of certs.json")?,
        shard: run.shard,
        certs_json: list_beside(run, settings)?,
        recipients: recipients(settings)?,
        keyring: keyring(settings),
        vault: vaulting(settings, (&http, dns_timeout))?,
        dns: dnsconfig::source(settings, dns)?,
        dns_is_temporary: dns.is_temporary,
        skip: words(settings.skip.as_deref()).collect(),
        pending: pending(settings)?,
        resolvers: name_servers::recursive(settings)?,
        dns_timeout,
        name_servers: name_servers::rules(settings, &http)?,
        connections: Connections::new(http.clone()),
        http,
        push: true,
        journal: journal(settings),
        rescue_dir: settings.rescue_dir.clone(),
        notify: settings.notify.unwrap_or_default(),
    })
}

fn dns_timeout(settings: &Settings) -> Duration {
    let seconds = settings.dns_timeout;
    seconds.map_or(DNS_TIMEOUT, |seconds| {
        Duration::from_secs(seconds.get().into())
    })
}

/// What a list has besides blanks.
pub(super) fn words(list: Option<&[String]>) -> impl Iterator<Item = String> {
    let words = list.unwrap_or_default().iter().map(|word| word.trim());
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

fn limits(whose: WhoseLimits) -> LimitsOf {
    match whose {
        WhoseLimits::Letsencrypt => LimitsOf::Given(LETS_ENCRYPT),
        WhoseLimits::LetsencryptStaging => LimitsOf::Given(STAGING),
        WhoseLimits::Off => LimitsOf::Nobody,
    }
}

/// What certificates are like that do not say it in certs.json.
pub(super) fn defaults(settings: &Settings) -> Result<Defaults> {
    let profile = match (&settings.preferred_profile, &settings.required_profile) {
        (Some(_), Some(_)) => {
            return Err(anyhow!("both `--preferred-profile` and `--required-profile` are set"))
                .hint(|| "a preferred one may be missing at the CA, a required one may not: leave one out");
        }
        (Some(name), None) => Some(Profile::Preferred(name.clone())),
        (None, name) => name.clone().map(Profile::Required),
    };
    let otherwise = Defaults::default();
    Ok(Defaults {
        key_type: settings.key_type.unwrap_or(otherwise.key_type),
        profile,
        preferred_chain: settings.preferred_chain.clone(),
    })
}

fn patient(http: Http, settings: &Settings) -> Http {
    match settings.acme_timeout {
        Some(seconds) => http.with_longest_wait(Duration::from_secs(seconds.get().into())),
        None => http,
    }
}

/// The job of a command that is about the account alone.
pub(super) fn account_job(run: &Run, settings: &Settings, http: Http) -> Result<AccountJob> {
    let http = patient(http, settings);
    Ok(AccountJob {
        vault: in_vault(settings, &http)?,
        connections: Connections::new(http),
        directory: directory(settings)?,
        registration: registration(run, settings),
        keyring: keyring(settings),
        push: true,
    })
}

/// The job of a command that is about the keys.
pub(super) fn keys_job(run: &Run, settings: &Settings) -> Result<KeysJob> {
    Ok(KeysJob {
        keyring: keyring(settings),
        certs_json: list_beside(run, settings)?,
        recipients: recipients(settings)?,
        push: true,
    })
}

/// Vault, for a command that reads what is there.
pub(super) fn in_vault(settings: &Settings, http: &Http) -> Result<Option<Vaulting>> {
    instead_of_git(settings, (http, dns_timeout(settings)))
}

/// The job of a command that looks at the certificates.
pub(super) fn status_job(run: &Run, settings: &Settings, http: &Http) -> Result<StatusJob> {
    Ok(StatusJob {
        certs_json: list_beside(run, settings)?,
        recipients: override_file(settings.recipients.as_deref(), "--recipients")?,
        defaults: defaults(settings)?,
        renew_days: settings.renew,
        directory: directory(settings)?,
        limits: settings.limits.map_or(LimitsOf::TheCa, limits),
        resolvers: name_servers::recursive(settings)?,
        journal: journal(settings),
        vault: in_vault(settings, http)?,
    })
}

/// The job of the command that brings in what another program keeps.
pub(super) fn import_job(run: &Run, settings: &Settings) -> Result<ImportJob> {
    Ok(ImportJob {
        tool: None,
        folder: None,
        account: None,
        directory: directory(settings)?,
        certs_json: list_beside(run, settings)?,
        recipients: override_file(settings.recipients.as_deref(), "--recipients")?,
        push: true,
    })
}

fn registration(run: &Run, settings: &Settings) -> Registration {
    let kid = settings.eab_kid.clone();
    let hmac = run.eab_hmac.clone();
    if let Some(hmac) = &hmac {
        masks::mask(hmac.expose());
    }
    Registration {
        email: settings.email.clone(),
        agreed: settings.agree_tos.unwrap_or_default(),
        external: ExternalAccount {
            kid: kid.or_else(|| environment::variable(environment::LEGO_EAB_KID)),
            hmac: hmac.or_else(|| environment::secret(environment::LEGO_EAB_HMAC).map(Arc::new)),
        },
    }
}

/// `--cert-config` beside the current folder.
pub(super) fn list_beside(run: &Run, settings: &Settings) -> Result<Option<Override>> {
    match run.certs.repo {
        None => override_file(settings.cert_config.as_deref(), "--cert-config"),
        Some(_) => Ok(None),
    }
}

/// `--cert-config` in a clone: a path in its tree.
pub(super) fn list_in_clone<'a>(run: &Run, settings: &'a Settings) -> Option<&'a str> {
    run.certs.repo.as_ref()?;
    settings.cert_config.as_ref()?.to_str()
}

/// What the clone has at `path`.
pub(super) fn list(path: &str, bytes: Option<Vec<u8>>) -> Result<Override> {
    let bytes = bytes
        .with_context(|| format!("the cert repository has no `{path}`"))
        .hint(|| "with `--repo`, `--cert-config` is a path in the cert repository")?;
    Ok(Override {
        origin: path.to_owned(),
        text: String::from_utf8(bytes).with_context(|| format!("`{path}` is not UTF-8"))?,
    })
}

/// The list of `--recipients`.
pub(super) fn recipients(settings: &Settings) -> Result<Option<Override>> {
    override_file(settings.recipients.as_deref(), "--recipients")
}

fn override_file(path: Option<&Path>, option: &str) -> Result<Option<Override>> {
    path.map(|path| {
        Ok(Override {
            origin: path.display().to_string(),
            text: String::from_utf8(read(path, option)?)
                .with_context(|| format!("`{}` is not UTF-8", path.display()))?,
        })
    })
    .transpose()
}

/// Who may sign commits, by a file of the user's.
pub(super) fn allowed_signers(path: &Path) -> Result<AllowedSigners> {
    let text = read(path, "--allowed-signers")?;
    AllowedSigners::parse(&String::from_utf8_lossy(&text), &path.display().to_string())
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>> {
    if path.to_str().is_some_and(looks_secret) {
        return Err(anyhow!("`{option}` holds a private key"))
            .hint(|| "it takes the name of a file with public lines");
    }
    // A device or a pipe could be read for ever.
    if path.exists() && !path.is_file() {
        return Err(anyhow!("`{}` of `{option}` is no file", path.display()))
            .hint(|| "a relative path starts at the current folder");
    }
    file::read(path)
        .with_context(|| format!("cannot read `{}` of `{option}`", path.display()))
        .hint(|| "a relative path starts at the current folder")
}

pub(super) fn pending(settings: &Settings) -> Result<Policy> {
    let patterns = settings.never_count.iter().flatten().map(|text| {
        NeverCount::parse(text)
            .with_context(|| format!("`{text}` of `--never-count` is no pattern"))
            .hint(|| {
                "it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`"
            })
    });
    Ok(Policy {
        mode: settings.pending.unwrap_or_default(),
        never_count: patterns.collect::<Result<_>>()?,
    })
}

pub(super) fn directory(settings: &Settings) -> Result<Directory> {
    settings
        .acme
        .as_deref()
        .unwrap_or("live")
        .parse::<Directory>()
        .hint(|| WHAT_ACME_TAKES)
}

pub(super) fn fallback(settings: &Settings) -> Result<Vec<Directory>> {
    let servers = settings.fallback_acme.iter().flatten();
    servers
        .map(|server| server.trim().parse::<Directory>())
        .collect::<Result<_, _>>()
        .context("cannot use `--fallback-acme`")
        .hint(|| "it takes what `--acme` takes, separated by commas")
}
