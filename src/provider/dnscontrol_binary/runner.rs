//! Runs of `dnscontrol preview` and `dnscontrol push`, and what they mean for each zone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::OnceCell;

use crate::model::hint::{Shared, with_hint};
use crate::model::provider::ProviderEntry;
use crate::provider::dnscontrol_binary::Invocation;
use crate::provider::dnscontrol_binary::child::Program;
use crate::provider::dnscontrol_binary::report::{Report, failures};
use crate::provider::dnscontrol_binary::state::ZoneState;
use crate::provider::dnscontrol_binary::version::{OLDEST, Version, WITHOUT_ABSENT};
use crate::provider::dnscontrol_binary::wrapper::{self, Wrapper};
use crate::provider::ended::Ended;
use crate::provider::redact::Redactor;
use crate::provider::registry::Context;

/// Zones by unique name.
pub(super) type Zones = BTreeMap<String, ZoneState>;

/// Lines, or why there are none.
pub(super) type Answer = Result<Vec<String>, Shared>;

/// An answer for each zone, by unique name.
pub(super) type Answers = BTreeMap<String, Answer>;

/// A zone with its unique name.
type Named<'a> = (&'a str, &'a ZoneState);

/// What all runs for an entry have in common.
pub(super) struct Runner {
    pub(super) entry: String,
    pub(super) kind: String,
    program: Program,
    invocation: Invocation,
    /// Folder and file name of dnsconfig.js.
    config: (PathBuf, String),
    redactor: Redactor,
    version: OnceCell<Version>,
}

impl Runner {
    /// Nothing is run yet.
    pub(super) fn new(program: PathBuf, entry: &ProviderEntry, context: &Context) -> Result<Self> {
        let invocation = context.dnscontrol.clone();
        Ok(Self {
            entry: entry.name.clone(),
            kind: entry.kind.clone(),
            program: Program {
                path: program,
                folder: context.dns_root.clone(),
                runs_command: is_command(&invocation.creds, &context.dns_root),
            },
            config: wrapper::place(&context.dns_root, &invocation.config)?,
            invocation,
            redactor: Redactor::new(entry),
            version: OnceCell::new(),
        })
    }

    /// Runs `dnscontrol preview` or `push` for some zones, unless there are none.
    pub(super) async fn run(&self, verb: &str, zones: &Zones, which: &BTreeSet<String>) -> Answers {
        let mut answers = Answers::new();
        let mut known = Vec::new();
        for name in which {
            match zones.get(name) {
                Some(state) => known.push((name.as_str(), state)),
                None => {
                    answers.insert(name.clone(), Err(self.is_unknown(name)));
                }
            }
        }
        if known.is_empty() {
            return answers;
        }
        let result = self.try_run(verb, &known).await.map_err(|error| {
            let Self { entry, kind, .. } = self;
            Shared::new(error.context(format!(
                "`dnscontrol {verb}` failed for `creds.json` entry `{entry}` ({kind})"
            )))
        });
        match result {
            Ok(more) => answers.extend(more),
            Err(error) => {
                let failed = known
                    .iter()
                    .map(|(name, _)| ((*name).to_owned(), Err(error.clone())));
                answers.extend(failed);
            }
        }
        answers
    }

    /// An error is one of the whole run.
    async fn try_run(&self, verb: &str, zones: &[Named<'_>]) -> Result<Answers> {
        let version = *self.version.get_or_try_init(|| self.ask_version()).await?;
        let (refused, zones): (Vec<Named<'_>>, Vec<Named<'_>>) = zones
            .iter()
            .partition(|(_, state)| state.zone().no_purge && version >= WITHOUT_ABSENT);
        let refused = refused
            .iter()
            .map(|(name, _)| ((*name).to_owned(), Err(cannot_purge(name, version))));
        let mut answers: Answers = refused.collect();
        if !zones.is_empty() {
            let (ended, report) = self.start(verb, &zones).await?;
            answers.extend(self.outcome(&ended, report.as_ref(), &zones)?);
        }
        Ok(answers)
    }

    /// Runs it, with a configuration and a report that are gone afterwards.
    async fn start(&self, verb: &str, zones: &[Named<'_>]) -> Result<(Ended, Option<Report>)> {
        let extensions: Vec<_> = zones.iter().map(|(_, state)| state.extension()).collect();
        let (folder, config) = &self.config;
        let text = wrapper::text(config, &self.invocation.variables, &extensions);
        let wrapper = Wrapper::write(folder, &text)?;
        let mut report = tempfile::NamedTempFile::new_in(&self.invocation.temporary)
            .context("cannot make a file for its report")?;
        let names: Vec<&str> = zones.iter().map(|(name, _)| *name).collect();
        let arguments = self.arguments(verb, wrapper.path(), report.path(), &names);
        tracing::debug!(entry = %self.entry, ?arguments, "dnscontrol");
        let ended = self.program.run(&arguments).await?;
        let mut text = String::new();
        report
            .as_file_mut()
            .read_to_string(&mut text)
            .context("cannot read its report")?;
        let report = Report::parse(&text, &self.entry)?;
        Ok((ended, report))
    }

    fn arguments(&self, verb: &str, config: &Path, report: &Path, zones: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--no-colors".into()];
        if self.invocation.allow_fetch {
            words.push("--allow-fetch".into());
        }
        // `require()` takes the way to the file from here.
        let config = config.strip_prefix(&self.program.folder).unwrap_or(config);
        words.extend([verb.into(), "--config".into(), config.into()]);
        words.extend(["--creds".into(), (&self.invocation.creds).into()]);
        words.extend(["--providers".into(), (&self.entry).into()]);
        words.extend(["--domains".into(), zones.join(",").into()]);
        // A zone that the provider does not have is not made.
        words.push("--no-populate".into());
        words.extend(["--report".into(), report.into()]);
        words
    }

    /// What a run means for each zone.
    ///
    /// The exit code is 1 for anything that failed, while the report has all that was tried; without a report nothing was. A
    /// domain that no zone has is not in the report, and no error to `dnscontrol`.
    fn outcome(
        &self,
        ended: &Ended,
        report: Option<&Report>,
        zones: &[Named<'_>],
    ) -> Result<Answers> {
        let failed = || anyhow!(self.redactor.clean(&ended.words()));
        let report = report.ok_or_else(failed)?;
        let failures = failures(&ended.stdout);
        let is_explained = zones
            .iter()
            .any(|(_, state)| failures.contains_key(&state.zone().name));
        if !ended.status.success() && !is_explained {
            return Err(failed());
        }
        let answers = zones.iter().map(|(name, state)| {
            let zone = &state.zone().name;
            let answer = match (failures.get(zone), report.lines(zone)) {
                (Some(words), _) => Err(anyhow!(self.redactor.clean(&words.join("\n")))),
                (None, Some(lines)) => Ok(lines.to_vec()),
                (None, None) => Err(anyhow!("its report does not have the zone")),
            };
            let answer = answer.map_err(|error| {
                let Self { entry, kind, .. } = self;
                Shared::new(error.context(format!(
                    "`dnscontrol` failed for zone `{name}` at `{entry}` ({kind})"
                )))
            });
            ((*name).to_owned(), answer)
        });
        Ok(answers.collect())
    }

    async fn ask_version(&self) -> Result<Version> {
        let ended = self.program.run(&["version".into()]).await?;
        let version = Version::parse(&ended.stdout).filter(|_| ended.status.success());
        let path = self.program.path.display();
        match version {
            None => Err(anyhow!(
                "`{path} version` names no version: {}",
                ended.words()
            )),
            Some(version) if version < OLDEST => Err(with_hint(
                anyhow!(
                    "`{path}` is DNSControl {version}, and {OLDEST} is the oldest that says what it would change"
                ),
                "update DNSControl",
            )),
            Some(version) => Ok(version),
        }
    }

    fn is_unknown(&self, zone: &str) -> Shared {
        Shared::new(with_hint(
            anyhow!(
                "dnsconfig.js declares no zone `{zone}` at `{}` ({})",
                self.entry,
                self.kind
            ),
            format!("`dnscontrol` changes declared zones only: add `D(\"{zone}\", ...)`"),
        ))
    }
}

fn cannot_purge(zone: &str, version: Version) -> Shared {
    Shared::new(with_hint(
        anyhow!(
            "zone `{zone}` has `NO_PURGE`, where DNSControl {version} is not known to remove a value again"
        ),
        "take `NO_PURGE` off the zone, or use DNSControl 4",
    ))
}

/// Whether the credentials are printed by a command (`pkg/credsfile/providerConfig.go`).
pub(super) fn is_command(creds: &str, root: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    const EXECUTABLE: u32 = 0o111;
    let path = root.join(creds);
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let is_executable = || {
        let found = path.metadata();
        found.is_ok_and(|found| found.permissions().mode() & EXECUTABLE == EXECUTABLE)
    };
    creds.starts_with('!') || !is_json && is_executable()
}
