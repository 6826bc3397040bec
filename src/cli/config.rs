//! What was typed becomes what it means: the places of the repositories, and the job.

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
use crate::cli::journal::journal;
use crate::cli::name_servers;
use crate::cli::settings::{FILE, Settings, WhoseLimits};
use crate::model::certificate::Profile;
use crate::model::environment::Environment;
use crate::model::hint::Hint;
use crate::model::secret::looks_secret;
use crate::net;
use crate::net::http::Http;
use crate::nightly::job::{AccountJob, IdentitySource, Job, KeysJob, LimitsOf, Location, Override};
use crate::nightly::patterns::NeverCount;
use crate::nightly::pending::Policy;
use crate::nightly::workspaces::DnsFolder;
use crate::repo::address::Address;
use crate::repo::certs_json::Defaults;
use crate::repo::lock::FolderLock;
use crate::repo::transport::{Access, Remote, Token};

/// How long name servers may take to show the challenges.
const DNS_TIMEOUT: Duration = Duration::from_mins(5);

/// Where the cert repository is: `--repo`, or the checkout in `--dir`.
pub(super) fn cert_repo(run: &Run, http: &Http) -> Result<Location> {
    let branch = run.branch.clone();
    if let Some(url) = &run.repo {
        let token = environment::secret(environment::TOKEN).map(Token::new);
        return remote(url, branch, token, http).map(Location::Remote);
    }
    let path = here(run);
    if !path.is_dir() {
        return Err(anyhow!("`{}` is not a folder", path.display()))
            .hint(|| "`--dir` names the folder of the cert repository; `--repo` clones one");
    }
    Ok(Location::Folder {
        path,
        branch,
        access: access(
            environment::secret(environment::TOKEN).map(Token::new),
            http,
        ),
    })
}

/// A clone is deleted when the run ends.
pub(super) fn refuse_to_keep_nothing(run: &Run, no_push: bool) -> Result<()> {
    match &run.repo {
        Some(_) if no_push => Err(anyhow!(
            "`--no-push` with `--repo` would keep nothing: the clone is deleted when the run ends"
        ))
        .hint(|| "leave one of them out; in a checkout `--no-push` keeps the commits"),
        _ => Ok(()),
    }
}

/// Two runs in one checkout would take each other's commits away.
pub(super) fn lock(run: &Run) -> Result<Option<FolderLock>> {
    let folder = here(run);
    // What is no folder is refused when it is opened.
    let is_here = run.repo.is_none() && folder.is_dir();
    is_here.then(|| FolderLock::take(&folder)).transpose()
}

fn here(run: &Run) -> PathBuf {
    run.dir.clone().unwrap_or_else(|| PathBuf::from("."))
}

/// Where the DNS repository is: `--dns-repo`, or else where the cert repository is.
pub(super) fn dns_repo(settings: &Settings, run: &Run, http: &Http) -> Result<Location> {
    let branch = settings.dns_branch.clone();
    let Some(place) = &settings.dns_repo else {
        return match cert_repo(run, http)? {
            remote @ Location::Remote(_) => Ok(remote),
            Location::Folder { .. } => Ok(folder(Path::new("."), http)),
        };
    };
    // A folder with files is read as it is; a bare repository has to be cloned.
    let path = Path::new(place);
    let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    if path.is_dir() && !is_bare && branch.is_none() {
        return Ok(folder(path, http));
    }
    let own = environment::secret(environment::DNS_TOKEN).map(Token::new);
    let dns = remote(place, branch.clone(), None, http)?;
    let beside = match &run.repo {
        Some(certs) => Address::parse(certs)?.host() == dns.address.host(),
        None => false,
    };
    // A pull request can change the file, and must not get to choose who is sent the token.
    if own.is_some() && run.settings.dns_repo.is_none() && !beside && dns.address.host().is_some() {
        return Err(anyhow!(
            "GIT_CERTS_DNS_TOKEN is not sent to a host that only `{FILE}` names"
        ))
        .hint(|| "name the repository with `--dns-repo` or GIT_CERTS_DNS_REPO");
    }
    let token = match own {
        None if beside => environment::secret(environment::TOKEN).map(Token::new),
        own => own,
    };
    remote(place, branch, token, http).map(Location::Remote)
}

/// A repository to clone, with `token` or else the one that CI made for its host.
fn remote(url: &str, branch: Option<String>, token: Option<Token>, http: &Http) -> Result<Remote> {
    let address = Address::parse(url)?;
    let token = token.or_else(|| address.host().and_then(|host| environment::ci_token(&host)));
    Ok(Remote {
        address: Arc::new(address),
        branch,
        access: access(token, http),
    })
}

fn access(token: Option<Token>, http: &Http) -> Access {
    Access {
        token: token.map(Arc::new),
        http: http.clone(),
        ssh: environment::ssh(),
    }
}

fn folder(path: &Path, http: &Http) -> Location {
    Location::Folder {
        path: path.to_owned(),
        branch: None,
        access: access(None, http),
    }
}

/// Ends with a clear word where an option of get-certs has no meaning yet.
pub(super) fn refuse_unsupported(settings: &Settings) -> Result<()> {
    let vault = match settings.vault {
        Some(true) => Some("--vault"),
        _ => settings.vault_path.as_ref().map(|_| "--vault-path"),
    };
    if let Some(option) = vault {
        return Err(anyhow!("`{option}` is not supported yet"))
            .hint(|| "leave it out: certificates are kept in the git repository");
    }
    if settings.notify == Some(true) {
        return Err(anyhow!("`--notify` is not supported yet"))
            .hint(|| "leave it out, and let the CI system tell when a run fails");
    }
    Ok(())
}

/// The HTTP client with the roots of `--ca-bundle` and of `LEGO_CA_CERTIFICATES`.
pub(super) fn http(settings: &Settings) -> Result<Http> {
    let own = settings.ca_bundle.iter().cloned();
    let own = own.map(|path| (path, "--ca-bundle"));
    let lego = environment::variable(environment::LEGO_CA_CERTIFICATES).unwrap_or_default();
    let lego = std::env::split_paths(&lego).filter(|path| !path.as_os_str().is_empty());
    let lego = lego.map(|path| (path, environment::LEGO_CA_CERTIFICATES));
    let mut roots = Vec::new();
    for (path, option) in own.chain(lego) {
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
        certs_json: list_beside(run, settings)?,
        recipients: override_file(settings.recipients.as_deref(), "--recipients")?,
        identities: identities(settings),
        dns: dnsconfig::source(settings, dns)?,
        dns_is_temporary: dns.is_temporary,
        skip: words(settings.skip.as_deref()).collect(),
        pending: pending(settings)?,
        resolvers: name_servers::recursive(settings)?,
        dns_timeout: settings.dns_timeout.map_or(DNS_TIMEOUT, |seconds| {
            Duration::from_secs(seconds.get().into())
        }),
        name_servers: name_servers::rules(settings, &http)?,
        connections: Connections::new(http.clone()),
        http,
        push: true,
        journal: journal(settings),
        rescue_dir: settings.rescue_dir.clone(),
    })
}

/// What a list has besides blanks.
fn words(list: Option<&[String]>) -> impl Iterator<Item = String> {
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
fn defaults(settings: &Settings) -> Result<Defaults> {
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
    Ok(AccountJob {
        connections: Connections::new(patient(http, settings)),
        directory: directory(settings)?,
        registration: registration(run, settings),
        identities: identities(settings),
        push: true,
    })
}

/// The job of a command that is about the keys.
pub(super) fn keys_job(run: &Run, settings: &Settings) -> Result<KeysJob> {
    Ok(KeysJob {
        identities: identities(settings),
        certs_json: list_beside(run, settings)?,
        recipients: override_file(settings.recipients.as_deref(), "--recipients")?,
        push: true,
    })
}

fn registration(run: &Run, settings: &Settings) -> Registration {
    let kid = settings.eab_kid.clone();
    let hmac = run.eab_hmac.clone();
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
fn list_beside(run: &Run, settings: &Settings) -> Result<Option<Override>> {
    match run.repo {
        None => override_file(settings.cert_config.as_deref(), "--cert-config"),
        Some(_) => Ok(None),
    }
}

/// `--cert-config` in a clone: a path in its tree.
pub(super) fn list_in_clone<'a>(run: &Run, settings: &'a Settings) -> Option<&'a str> {
    run.repo.as_ref()?;
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
    std::fs::read(path)
        .with_context(|| format!("cannot read `{}` of `{option}`", path.display()))
        .hint(|| "a relative path starts at the current folder")
}

fn identities(settings: &Settings) -> Vec<IdentitySource> {
    let text = |variable: &str| {
        environment::secret(variable).map(|text| IdentitySource::Text {
            variable: variable.to_owned(),
            text,
        })
    };
    let mut all: Vec<_> = text(environment::AGE_KEY).into_iter().collect();
    all.extend(settings.identity.clone().map(IdentitySource::File));
    all.extend(text(environment::SOPS_AGE_KEY));
    all.extend(
        environment::variable(environment::SOPS_AGE_KEY_FILE)
            .map(|path| IdentitySource::File(path.into())),
    );
    if all.is_empty()
        && let Some(home) = environment::home()
    {
        let keys = [".ssh/id_ed25519", ".ssh/id_rsa"].map(|key| home.join(key));
        all.extend(
            keys.into_iter()
                .filter(|key| key.is_file())
                .map(IdentitySource::File),
        );
    }
    all
}

fn pending(settings: &Settings) -> Result<Policy> {
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

fn directory(settings: &Settings) -> Result<Directory> {
    settings
        .acme
        .as_deref()
        .unwrap_or("live")
        .parse::<Directory>()
        .hint(|| WHAT_ACME_TAKES)
}

fn fallback(settings: &Settings) -> Result<Vec<Directory>> {
    let servers = settings.fallback_acme.iter().flatten();
    servers
        .map(|server| server.trim().parse::<Directory>())
        .collect::<Result<_, _>>()
        .context("cannot use `--fallback-acme`")
        .hint(|| "it takes what `--acme` takes, separated by commas")
}
