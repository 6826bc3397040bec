//! `check`: what is wrong in the two repositories, as far as it can be seen without a secret and without the CA.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use crate::cli::arguments::Run;
use crate::cli::commands::SOME_FAILED;
use crate::cli::places::{CertRepo, Places};
use crate::cli::settings::{FILE, Settings};
use crate::cli::settings_file::{self, Examined};
use crate::cli::{config, dnsconfig, environment, name_servers, vault};
use crate::model::diagnostic::{Checked, Diagnostic, Place, Rule};
use crate::model::home::Home;
use crate::net::http::Http;
use crate::nightly::check::{self, Check as Comparison, Dns, Shown};
use crate::nightly::stop::Stop;
use crate::nightly::vaulting::Role;
use crate::nightly::workspaces::Workspaces;
use crate::report::progress::Progress;
use crate::report::{diagnostics, terminal};

/// `check`
#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    certs: CertRepo,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = Form::Text)]
    format: Form,

    /// Let warnings fail the check, too
    #[arg(long, env = "GIT_CERTS_STRICT")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    strict: Option<bool>,

    #[command(flatten)]
    settings: Settings,
}

/// Form of the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    /// JUnit's XML
    Junit,
    /// GitLab's report of code quality
    CodeQuality,
}

/// Runs the command.
pub(super) async fn run(arguments: Check, temporary: &Path) -> Result<ExitCode> {
    let Check {
        certs,
        format,
        strict,
        settings,
    } = arguments;
    let strict = strict.unwrap_or_default();
    let stop = Stop::on_signals()?;
    let run = Run {
        certs,
        settings,
        ..Run::default()
    };
    let checked = stop.ends(Box::pin(look(&run, temporary))).await?;
    if format != Form::Text || environment::is_github() {
        diagnostics::say(&checked);
    }
    terminal::print(&match format {
        Form::Text => diagnostics::text(&checked),
        Form::Json => diagnostics::json(&checked),
        Form::Junit => diagnostics::junit(&checked, strict),
        Form::CodeQuality => diagnostics::code_quality(&checked),
    })?;
    Ok(match checked.count() {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) if !strict => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_FAILED),
    })
}

async fn look(run: &Run, temporary: &Path) -> Result<Checked> {
    let progress = Progress::new();
    let http = config::http(&run.settings)?;
    let places = Places::new(run, &http, temporary)?;
    let people = run.signing.people()?;
    let mut workspaces = Workspaces::look(places.certs()?, people, temporary, &progress).await?;
    let shown = shown(run.certs.dir.as_deref());
    let file = match workspaces.read_cert_repo(FILE).await? {
        Some(bytes) => settings_file::examine(&bytes, &format!("{shown}{FILE}")),
        None => Examined::default(),
    };
    let settings = run.settings.over(&file.settings)?;
    let mut reader = Reader {
        run,
        settings: &settings,
        places: file.places,
        all: file.all,
    };
    let mut left_out = Vec::new();
    let dns_folder = match dns_at_hand(run, &settings, &workspaces).await? {
        Ok(folder) => {
            let location = places.dns(&settings)?;
            workspaces.open_dns(location, &progress).await?;
            Some(folder)
        }
        Err(why) => {
            left_out.extend([Rule::DnsConfig, Rule::Zones].map(|rule| (rule, why.clone())));
            None
        }
    };
    let comparison = reader.read(&workspaces, dns_folder, &http, shown).await?;
    let mut all = reader.all;
    all.extend(check::check(&workspaces, comparison).await?);
    all.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(Checked { all, left_out })
}

/// A folder before a path, as people see it.
fn shown(folder: Option<&Path>) -> String {
    let folder: PathBuf = folder
        .into_iter()
        .flat_map(Path::components)
        .filter(|part| *part != Component::CurDir)
        .collect();
    // So that it ends with `/`, unless it is this one.
    folder.join("").display().to_string()
}

/// Where people see the DNS repository; or why it is not looked at.
///
/// What only `git-certs.toml` names is not cloned: a check before a commit shall not wait for a server.
async fn dns_at_hand(
    run: &Run,
    settings: &Settings,
    workspaces: &Workspaces,
) -> Result<Result<Shown, String>> {
    if let Some(place) = &settings.dns_repo {
        let folder = Path::new(place);
        return Ok(match (folder.is_dir(), &run.settings.dns_repo) {
            (true, _) => Ok(Shown::Folder(shown(Some(folder)))),
            (false, Some(_)) => Ok(Shown::Nowhere),
            (false, None) => Err(format!(
                "`{FILE}` names `{place}`, which is cloned only for `--dns-repo` and GIT_CERTS_DNS_REPO"
            )),
        });
    }
    let config = match (&settings.ir, &settings.config) {
        (Some(file), _) | (None, Some(file)) => file.clone(),
        (None, None) => PathBuf::from(dnsconfig::FILE),
    };
    let is_there = match run.certs.repo {
        Some(_) => {
            let path = config.display().to_string();
            workspaces.read_cert_repo(&path).await?.is_some()
        }
        None => config.is_file(),
    };
    if !is_there {
        return Ok(Err(
            "no DNS repository is at hand; `--dns-repo` names one".to_owned()
        ));
    }
    Ok(Ok(match run.certs.repo {
        Some(_) => Shown::Nowhere,
        None => Shown::Folder(String::new()),
    }))
}

/// Makes of the settings what is compared, and notes those that cannot be used.
struct Reader<'r> {
    run: &'r Run,
    settings: &'r Settings,
    /// Where keys of the settings file stand.
    places: BTreeMap<String, Place>,
    all: Vec<Diagnostic>,
}

impl Reader<'_> {
    async fn read(
        &mut self,
        workspaces: &Workspaces,
        dns: Option<Shown>,
        http: &Http,
        shown: String,
    ) -> Result<Comparison> {
        let (run, settings) = (self.run, self.settings);
        let role = self.keep(&["vault-copy"], vault::role(settings));
        self.keep(&["ca-bundle"], config::http(settings));
        self.keep(&["acme"], config::directory(settings));
        self.keep(&["fallback-acme"], config::fallback(settings));
        let profiles = ["required-profile", "preferred-profile"];
        let defaults = self.keep(&profiles, config::defaults(settings));
        let never_count = self.keep(&["never-count"], config::pending(settings));
        let resolver = self.keep(&["resolver"], name_servers::recursive(settings));
        let rules = self.keep(&["zones", "doh"], name_servers::rules(settings, http));
        let recipients = self.keep(&["recipients"], config::recipients(settings));
        let certs_json = self.keep(&["cert-config"], config::list_beside(run, settings));
        let mut comparison = Comparison {
            shown,
            defaults: defaults.unwrap_or_default(),
            certs_json: certs_json.flatten(),
            recipients: recipients.flatten(),
            home: match role.flatten() {
                Some(Role::Store) => Home::Vault,
                _ => Home::Repository,
            },
            dns: None,
        };
        if let Some(path) = config::list_in_clone(run, settings) {
            let bytes = workspaces.read_cert_repo(path).await?;
            comparison.certs_json = self.keep(&["cert-config"], config::list(path, bytes));
        }
        let Some(dns_shown) = dns else {
            return Ok(comparison);
        };
        let settings = Settings {
            // One that cannot be used has been told.
            resolver: settings.resolver.clone().filter(|_| resolver.is_some()),
            ..settings.clone()
        };
        let source = dnsconfig::source(&settings, workspaces.dns()?);
        if let Some(source) = self.keep(&["challenge-zones", "variable"], source) {
            comparison.dns = Some(Dns {
                source,
                shown: dns_shown,
                rules,
                never_count: never_count
                    .map(|policy| policy.never_count)
                    .unwrap_or_default(),
                skip: config::words(settings.skip.as_deref()).collect(),
                places: self.places.clone(),
            });
        }
        Ok(comparison)
    }

    /// What a setting means. If it cannot be used, that is said of the first of these keys that stands in the file.
    fn keep<T>(&mut self, keys: &[&str], result: Result<T>) -> Option<T> {
        let error: Error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let place = keys.iter().find_map(|key| self.places.get(*key));
        let place = place.cloned().unwrap_or_default();
        self.all
            .push(Diagnostic::error(Rule::Settings, place, &error));
        None
    }
}
