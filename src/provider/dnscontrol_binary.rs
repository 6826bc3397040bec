//! Every provider that has no file here, through the `dnscontrol` binary.
//!
//! `dnscontrol` cannot be asked for records or for a single change: it compares whole zones with
//! dnsconfig.js and makes them equal. So a value is added by a configuration that declares it beside
//! everything else, and removed by one that does not. What that would change is looked at first, and
//! nothing is pushed unless it is our values alone.

mod child;
mod report;
mod runner;
mod state;
mod version;
mod wrapper;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow};
use tokio::sync::oneshot;

use crate::model::change::TxtBatch;
use crate::model::hint::{Shared, with_hint};
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Zone, ZoneRef};
use crate::provider::dnscontrol_binary::runner::{Answer, Answers, Runner, Zones};
use crate::provider::dnscontrol_binary::state::{Verdict, ZoneState};
use crate::provider::registry::Context;

pub(super) use crate::provider::dnscontrol_binary::child::find;

/// What a user should know.
pub(crate) const NOTES: &[&str] = &[
    "`dnscontrol` 4.28.1 or newer has to be on `PATH`, and gets the `--config`, `--creds` and `--variable` of the run; \
     `--ir` cannot be used",
    "each step is one run of `dnscontrol` for all zones of an entry: one before anything is ordered, two to add the values, \
     two to remove them",
    "a push makes a whole zone equal to `dnsconfig.js`, so nothing is pushed when `dnscontrol preview` shows a change that is \
     not one of ours; delegations at registrars are left alone",
    "for each run a file `.git-certs-*.dnscontrol` stands beside `dnsconfig.js`, whose folder must be writable",
    "zones that are declared in `FETCH(...).then(...)` cannot be used",
    "zones with `NO_PURGE` need DNSControl 4",
    "`notify_on_push` and `notify_on_preview` in `creds.json` tell of these runs too",
];

/// How long calls of the same moment are waited for, to become one run.
const GATHER: Duration = Duration::from_millis(50);

/// Runs that look for values of others before there is peace at the challenge names.
const LOOKS: usize = 4;

/// How the user has `dnscontrol` run.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    /// dnsconfig.js, relative to the DNS repository or absolute.
    pub(crate) config: PathBuf,
    /// As `--creds` takes it.
    pub(crate) creds: String,
    pub(crate) variables: Vec<(String, String)>,
    /// The zones come from IR, not from dnsconfig.js.
    pub(crate) reads_ir: bool,
    pub(crate) allow_fetch: bool,
    /// A folder of this run, gone after it.
    pub(crate) temporary: PathBuf,
    /// Where programs are looked up.
    pub(crate) search_path: OsString,
}

impl Default for Invocation {
    /// The files that DNSControl takes, and no program.
    fn default() -> Self {
        Self {
            config: "dnsconfig.js".into(),
            creds: "creds.json".into(),
            variables: Vec::new(),
            reads_ir: false,
            allow_fetch: false,
            temporary: std::env::temp_dir(),
            search_path: OsString::new(),
        }
    }
}

/// One entry of creds.json, and the zones that it serves.
pub(crate) struct DnscontrolBinary {
    runner: Runner,
    /// Calls that no run has taken yet.
    waiting: Mutex<Vec<Job>>,
    /// Held while `dnscontrol` runs: one run at a time.
    zones: tokio::sync::Mutex<Zones>,
}

/// What a call wants.
struct Job {
    /// Unique name.
    zone: String,
    /// None to compare.
    batch: Option<TxtBatch>,
    reply: oneshot::Sender<Answer>,
}

impl fmt::Debug for DnscontrolBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Runner { entry, kind, .. } = &self.runner;
        write!(f, "DnscontrolBinary({entry} {kind})")
    }
}

impl DnscontrolBinary {
    /// The entry's provider through `program`; nothing is run yet.
    pub(super) fn connect(
        program: PathBuf,
        entry: &ProviderEntry,
        zones: &[Zone],
        context: &Context,
    ) -> Result<Self> {
        let ProviderEntry { name, kind, .. } = entry;
        if context.dnscontrol.reads_ir {
            return Err(with_hint(
                anyhow!(
                    "`creds.json` entry `{name}`: `{kind}` needs the `dnscontrol` binary, \
                     which loses records when it reads IR"
                ),
                format!("leave `--ir` out, or skip the entry with `--skip {name}`"),
            ));
        }
        let serves = |zone: &&Zone| zone.providers.iter().any(|one| &one.entry == name);
        let served = zones.iter().filter(serves);
        let zones = served.map(|zone| (zone.unique_name(), ZoneState::new(zone)));
        Ok(Self {
            runner: Runner::new(program, entry, context)?,
            waiting: Mutex::default(),
            zones: tokio::sync::Mutex::new(zones.collect()),
        })
    }

    /// What `dnscontrol push` would change in the zone, values of others at challenge names aside.
    pub(crate) async fn pending(&self, zone: ZoneRef<'_>) -> Result<Vec<String>> {
        self.ask(zone, None).await
    }

    /// Adds and removes TXT values; the contract is that of
    /// [`DnsProvider::change`](crate::provider::port::DnsProvider::change).
    pub(crate) async fn change(&self, zone: ZoneRef<'_>, batch: &TxtBatch) -> Result<()> {
        if batch.add.is_empty() && batch.remove.is_empty() {
            return Ok(());
        }
        self.ask(zone, Some(batch.clone())).await.map(|_| ())
    }

    /// Has the job done together with all that come at the same moment: whoever holds the lock
    /// takes all that wait.
    async fn ask(&self, zone: ZoneRef<'_>, batch: Option<TxtBatch>) -> Result<Vec<String>> {
        let (reply, answer) = oneshot::channel();
        let waiting = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().push(Job {
            zone: zone.to_string(),
            batch,
            reply,
        });
        tokio::time::sleep(GATHER).await;
        let mut zones = self.zones.lock().await;
        let mut jobs = std::mem::take(&mut *waiting());
        while !jobs.is_empty() {
            let (now, later) = first_round(jobs);
            self.work(&mut zones, now).await;
            jobs = later;
        }
        drop(zones);
        answer
            .await
            .context("a run of `dnscontrol` was stopped")?
            .map_err(Error::new)
    }

    async fn work(&self, zones: &mut Zones, jobs: Vec<Job>) {
        let (mut compared, mut changed) = (BTreeSet::new(), BTreeSet::new());
        for Job { zone, batch, .. } in &jobs {
            let Some(batch) = batch else {
                compared.insert(zone.clone());
                continue;
            };
            // Noted before it is done: a run that fails may have been carried out.
            if let Some(state) = zones.get_mut(zone) {
                state.take(batch);
            }
            changed.insert(zone.clone());
        }
        let compared = self.compare(zones, &compared).await;
        let changed = self.make(zones, &changed).await;
        for Job { zone, batch, reply } in jobs {
            let answers = if batch.is_some() { &changed } else { &compared };
            if let Some(answer) = answers.get(&zone) {
                // Fails where nobody waits for it any more.
                let _ = reply.send(answer.clone());
            }
        }
    }

    async fn compare(&self, zones: &mut Zones, which: &BTreeSet<String>) -> Answers {
        let answers = self.runner.run("preview", zones, which).await;
        let judged = answers.into_iter().map(|(zone, answer)| {
            let answer = answer.map(|lines| judge(zones, &zone, &lines).foreign);
            (zone, answer)
        });
        judged.collect()
    }

    /// Makes the zones have our values: looks what that would change, then pushes.
    async fn make(&self, zones: &mut Zones, which: &BTreeSet<String>) -> Answers {
        let mut done = Answers::new();
        let mut ready = BTreeSet::new();
        let mut open = which.clone();
        for look in 1..=LOOKS {
            for (zone, answer) in self.runner.run("preview", zones, &open).await {
                let verdict = answer.map(|lines| judge(zones, &zone, &lines));
                if look < LOOKS && verdict.as_ref().is_ok_and(|verdict| verdict.has_moved) {
                    continue;
                }
                open.remove(&zone);
                let changes = match verdict {
                    Ok(verdict) => self.accept(&zone, &verdict),
                    Err(error) => Err(error),
                };
                match changes {
                    Ok(true) => {
                        ready.insert(zone);
                    }
                    Ok(false) => {
                        done.insert(zone, Ok(Vec::new()));
                    }
                    Err(error) => {
                        done.insert(zone, Err(error));
                    }
                }
            }
        }
        for (zone, answer) in self.runner.run("push", zones, &ready).await {
            let answer = answer.and_then(|lines| {
                let verdict = judge(zones, &zone, &lines);
                if verdict.has_moved || !verdict.foreign.is_empty() {
                    return Err(did_more(&zone, &lines));
                }
                Ok(Vec::new())
            });
            done.insert(zone, answer);
        }
        done
    }

    /// Whether there is something to push; an error where it is not ours.
    fn accept(&self, zone: &str, verdict: &Verdict) -> Result<bool, Shared> {
        if verdict.has_moved {
            Err(restless(zone))
        } else if verdict.foreign.is_empty() {
            Ok(verdict.changes)
        } else {
            Err(would_also(&self.runner.entry, zone, &verdict.foreign))
        }
    }
}

/// The jobs that go into one run: a report has no tags, so each name is in it once.
fn first_round(jobs: Vec<Job>) -> (Vec<Job>, Vec<Job>) {
    let mut zones: BTreeMap<String, String> = BTreeMap::new();
    jobs.into_iter()
        // Whoever asked is gone, and may have asked for the opposite since.
        .filter(|job| !job.reply.is_closed())
        .partition(|job| {
            let name = job.zone.split('!').next().unwrap_or_default().to_owned();
            *zones.entry(name).or_insert_with(|| job.zone.clone()) == job.zone
        })
}

/// A zone that is not declared has no answer that could be judged.
fn judge(zones: &mut Zones, zone: &str, lines: &[String]) -> Verdict {
    let state = zones.get_mut(zone);
    state.map_or_else(Verdict::default, |state| state.judge(lines))
}

fn restless(zone: &str) -> Shared {
    Shared::new(with_hint(
        anyhow!("values at challenge names of zone `{zone}` come and go"),
        "another ACME client may be at work: try again later",
    ))
}

fn would_also(entry: &str, zone: &str, lines: &[String]) -> Shared {
    let lines = listed(lines);
    Shared::new(with_hint(
        anyhow!(
            "`dnscontrol push` would change more in zone `{zone}` at `{entry}` than challenges:{lines}"
        ),
        "nothing was pushed: run `dnscontrol push`, or bring dnsconfig.js in line with the provider",
    ))
}

fn did_more(zone: &str, lines: &[String]) -> Shared {
    let lines = listed(lines);
    Shared::new(with_hint(
        anyhow!("`dnscontrol push` changed more in zone `{zone}` than it had said before:{lines}"),
        "somebody changed the zone at the same moment: compare it with dnsconfig.js",
    ))
}

fn listed(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n{line}")).collect()
}
