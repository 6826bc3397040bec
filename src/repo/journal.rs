//! What a run under way must not forget: who runs, its orders, its keys as ciphertext, its challenge values.
//!
//! One file, `journal.json`, in an orphan commit outside of branches. The reference is also the lock:
//! every change of it is a compare-and-swap, so of two runs one creates it.

pub(crate) mod place;
pub(crate) mod reference;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use crate::model::file;
use crate::model::hint::with_hint;

const VERSION: u32 = 1;

/// The journal of one run, and what it took over of runs before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    version: u32,
    pub(crate) run: Run,
    #[serde(default)]
    pub(crate) orders: Vec<OrderNote>,
    #[serde(default)]
    pub(crate) values: BTreeSet<ValueNote>,
}

/// A run of this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Random.
    pub(crate) id: String,
    /// For people: the address of a CI job, or user and host.
    pub(crate) by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) began: OffsetDateTime,
    /// Last sign of life.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) seen: OffsetDateTime,
    /// It has ended, and left what the next run has to do.
    #[serde(default)]
    pub(crate) ended: bool,
    /// The process, where the system has names for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
}

/// A process, such that another one on the same machine can tell whether it still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// What the kernel was started as, and the namespace that `pid` belongs to.
    pub(crate) machine: String,
    pub(crate) pid: i32,
}

/// An order that may lead to a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderNote {
    /// The certificate's name in certs.json.
    pub(crate) certificate: String,
    /// The CA's directory.
    pub(crate) directory: String,
    pub(crate) account: String,
    /// The order's own URL.
    pub(crate) url: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) placed: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// Certificate signing request, DER in base64.
    pub(crate) request: String,
    /// Private key, as age ciphertext; none where it is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Hash of the recipients that can open the key.
    pub(crate) recipients: String,
    /// Shows that who wrote this can open the account key.
    #[serde(default)]
    pub(crate) mark: String,
}

/// A TXT value that is written, or may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ValueNote {
    /// Zone with its tag.
    pub(crate) zone: String,
    /// Entry in creds.json.
    pub(crate) entry: String,
    pub(crate) name: String,
    pub(crate) value: String,
    /// Directory of the CA that asks for it.
    #[serde(default)]
    pub(crate) directory: String,
    /// Shows that who wrote this can open the account key.
    #[serde(default)]
    pub(crate) mark: String,
}

impl Journal {
    pub(crate) fn new(run: Run) -> Self {
        Self {
            version: VERSION,
            run,
            orders: Vec::new(),
            values: BTreeSet::new(),
        }
    }

    /// Nothing is left for another run.
    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.values.is_empty()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let journal: Self = serde_json::from_slice(bytes).context("it is no journal")?;
        if journal.version != VERSION {
            return Err(with_hint(
                anyhow!("it is a journal of version {}", journal.version),
                "a newer git-certs wrote it: run that one",
            ));
        }
        Ok(journal)
    }
}

impl OrderNote {
    /// What is marked of it: all of it.
    pub(crate) fn text(&self) -> String {
        let Self {
            certificate,
            directory,
            account,
            url,
            placed,
            profile,
            request,
            key,
            recipients,
            mark: _,
        } = self;
        let placed = placed.unix_timestamp();
        let parts = [certificate, directory, account, url, request, recipients];
        json!([parts, placed, profile, key]).to_string()
    }
}

impl ValueNote {
    /// What is marked of it: all of it.
    pub(crate) fn text(&self) -> String {
        let Self {
            zone,
            entry,
            name,
            value,
            directory,
            mark: _,
        } = self;
        json!([zone, entry, name, value, directory]).to_string()
    }
}

impl Run {
    /// Whether the run has come to its end, one way or the other: it says so, its process is gone, or it has
    /// given no sign of life for `timeout`. One from a future as far away is none: it would lock for ever.
    pub(crate) fn is_over(&self, now: OffsetDateTime, timeout: Duration) -> bool {
        let is_gone = |process: &Process| {
            let here = Process::this();
            here.is_some_and(|here| here.machine == process.machine) && !process.is_alive()
        };
        self.ended
            || (now - self.seen).abs() > timeout
            || self.process.as_ref().is_some_and(is_gone)
    }
}

impl Process {
    /// This process; none where the system does not say what tells it from others.
    pub(crate) fn this() -> Option<Self> {
        let boot = file::read_text("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(Self {
            machine: format!("{} {}", boot.trim(), namespace.display()),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
        })
    }

    fn is_alive(&self) -> bool {
        let Some(pid) = rustix::process::Pid::from_raw(self.pid) else {
            return false;
        };
        // Without permission to signal it, it is alive.
        rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
    }
}

/// Reads what a fuzzer makes: what is accepted is the same when it was written and read again.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(journal) = Journal::parse(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&journal).unwrap_or_default();
    assert_eq!(Journal::parse(&written).ok().as_ref(), Some(&journal));
}

#[cfg(test)]
pub(super) mod tests {
    use pretty_assertions::assert_eq;

    use git2::{Oid, Repository};

    use crate::model::shard::Scope;
    use crate::repo::journal::place::{Change, Place};
    use crate::repo::journal::reference::{Home, Reference};

    use super::*;
    use crate::repo::git::People;

    const TIMEOUT: Duration = Duration::from_hours(2);

    fn run() -> Run {
        let now = OffsetDateTime::now_utc();
        Run {
            id: "a".to_owned(),
            by: "test".to_owned(),
            began: now,
            seen: now,
            ended: false,
            process: None,
        }
    }

    pub(in crate::repo) fn full() -> Journal {
        let mut journal = Journal::new(run());
        journal.values.insert(ValueNote {
            zone: "a.test".to_owned(),
            entry: "bind".to_owned(),
            name: "_acme-challenge.a.test".to_owned(),
            value: "v".to_owned(),
            directory: "https://ca.test/dir".to_owned(),
            mark: "m".to_owned(),
        });
        journal
    }

    #[test]
    fn a_run_is_over_when_it_says_so_or_is_silent_or_gone() {
        let now = OffsetDateTime::now_utc();
        let is_over = |run: &Run| run.is_over(now, TIMEOUT);
        assert!(!is_over(&run()));
        assert!(is_over(&Run {
            ended: true,
            ..run()
        }));
        let seen = |ago| Run {
            seen: now - ago,
            ..run()
        };
        assert!(!is_over(&seen(time::Duration::minutes(119))));
        assert!(is_over(&seen(time::Duration::minutes(121))));
        // Clocks may differ a little.
        assert!(!is_over(&seen(time::Duration::minutes(-119))));
        assert!(is_over(&seen(time::Duration::minutes(-121))));
        let here = Process::this().unwrap();
        let process = |process| Run {
            process: Some(process),
            ..run()
        };
        assert!(!is_over(&process(here.clone())));
        let gone = Process {
            // Above every limit of Linux (`pid_max` is at most 2^22).
            pid: 1 << 30,
            ..here
        };
        assert!(is_over(&process(gone.clone())));
        let elsewhere = Process {
            machine: "another".to_owned(),
            ..gone
        };
        assert!(!is_over(&process(elsewhere)));
    }

    #[test]
    fn every_change_is_a_compare_and_swap() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let current = || place::here(&repository).unwrap().pop();
        let people = People::find(|_| None, None).unwrap();
        let reference = Reference {
            scope: Scope::All,
            home: Home::Outside,
        };
        let place = Place::here(folder.path(), reference.clone(), people).unwrap();
        assert_eq!(current(), None);
        let done = |change| match change {
            Change::Done(id) => id,
            other => panic!("{other:?}"),
        };
        let first = done(place.change(None, Some(&full())).unwrap());
        assert_eq!(current(), first.map(|id| (reference, id)));
        assert_eq!(place.read(first.unwrap()).unwrap(), full_as(&place, first));
        assert_eq!(
            place.change(None, Some(&Journal::new(run()))).unwrap(),
            Change::Lost
        );
        let second = done(place.change(first, Some(&Journal::new(run()))).unwrap());
        assert_eq!(place.change(first, Some(&full())).unwrap(), Change::Lost);
        assert_eq!(place.change(first, None).unwrap(), Change::Lost);
        assert_eq!(place.change(second, None).unwrap(), Change::Done(None));
        assert_eq!(place.change(second, None).unwrap(), Change::Done(None));
        assert_eq!(current(), None);
    }

    fn full_as(place: &Place, at: Option<Oid>) -> Journal {
        let read = place.read(at.unwrap()).unwrap();
        Journal {
            run: read.run,
            ..full()
        }
    }

    #[test]
    fn what_is_no_journal_is_said() {
        let read = |text: &str| format!("{:#}", Journal::parse(text.as_bytes()).unwrap_err());
        assert_eq!(
            read("{}"),
            "it is no journal: missing field `version` at line 1 column 2"
        );
        let newer = serde_json::to_string(&full()).unwrap();
        let newer = newer.replace("\"version\":1", "\"version\":2");
        assert_eq!(read(&newer), "it is a journal of version 2");
    }
}
