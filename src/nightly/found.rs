//! The journals of other runs: found, judged, unlocked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use git2::Oid;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::hint::with_hint;
use crate::model::shard::Scope;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::git::Workspace;
use crate::repo::journal::place::{Change, Place};
use crate::repo::journal::reference::{Home, Reference};
use crate::repo::journal::{Journal, Run};
use crate::report::terminal;

/// Whether and where a journal is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Keeping {
    /// Outside of branches, or in a branch where the server takes nothing else.
    #[default]
    Auto,
    /// At `refs/git-certs/journal`.
    Ref,
    /// In the branch `git-certs-journal`.
    Branch,
    /// Not at all.
    Off,
}

/// What a run needs to know of journals.
#[derive(Clone, Debug)]
pub(crate) struct JournalSettings {
    pub(crate) keeping: Keeping,
    /// A run without a sign of life for so long is over.
    pub(crate) lock_timeout: Duration,
    /// This run.
    pub(crate) run: Run,
}

impl Keeping {
    pub(super) fn homes(self) -> &'static [Home] {
        let [outside, branch] = &Home::ALL;
        match self {
            Self::Auto => &Home::ALL,
            Self::Ref => std::slice::from_ref(outside),
            Self::Branch => std::slice::from_ref(branch),
            Self::Off => &[],
        }
    }
}

/// The journal of another run.
pub(crate) struct Found {
    pub(super) place: Place,
    pub(super) at: Oid,
    pub(crate) journal: Journal,
}

impl Found {
    /// Looks for the journals of runs that work, or have worked, on some of the same certificates.
    pub(crate) async fn look(
        workspaces: &Workspaces,
        settings: &JournalSettings,
        push: bool,
        scope: &Scope,
    ) -> Result<Vec<Self>> {
        if settings.keeping == Keeping::Off {
            return Ok(Vec::new());
        }
        let temporary = workspaces.temporary().to_owned();
        let scope = scope.clone();
        workspaces
            .with(move |workspace| {
                let list = |workspace: &Workspace| -> Result<_> {
                    let mut journals = workspace.journals(push)?;
                    journals.retain(|(reference, _)| reference.scope.overlaps(&scope));
                    journals.sort();
                    Ok(journals)
                };
                let mut journals = list(workspace)?;
                loop {
                    let read = read_all(workspace, (&temporary, push), &journals);
                    if read.is_ok() {
                        return read;
                    }
                    // A commit that a reference has left is not always handed out.
                    let now = list(workspace)?;
                    if now == journals {
                        return read;
                    }
                    journals = now;
                }
            })
            .await
    }

    /// What its run works on.
    pub(super) fn scope(&self) -> &Scope {
        &self.place.reference().scope
    }

    /// Whether its run is still at work.
    pub(crate) fn is_running(&self, settings: &JournalSettings) -> bool {
        let now = OffsetDateTime::now_utc();
        !self.journal.run.is_over(now, settings.lock_timeout)
    }

    /// Says that its run has ended, so that the next one takes over.
    pub(crate) async fn unlock(mut self) -> Result<()> {
        self.journal.run.ended = true;
        let change = blocking(move || self.place.change(Some(self.at), Some(&self.journal)));
        match change.await? {
            Change::Done(_) => Ok(()),
            Change::Lost => Err(with_hint(
                anyhow!("the journal has changed meanwhile: a run is at work"),
                "if that run is dead, run `git-certs unlock` again",
            )),
            Change::Refused(reason) => Err(anyhow!(
                "the server refuses to change the journal: {reason}"
            )),
        }
    }

    /// Who runs, since when.
    pub(crate) fn describe(&self) -> String {
        let Run {
            by, began, seen, ..
        } = &self.journal.run;
        let shard = self.scope().shard();
        let shard = shard.map_or_else(String::new, |shard| format!("shard {shard} of "));
        format!(
            "{shard}{by}, begun {}, last sign of life {}",
            terminal::past(*began),
            terminal::past(*seen)
        )
    }
}

fn read_all(
    workspace: &Workspace,
    (temporary, push): (&Path, bool),
    journals: &[(Reference, Oid)],
) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for (reference, at) in journals {
        let scratch = scratch_of(temporary, reference);
        if let Some(place) = workspace.journal_place(&scratch, reference.clone(), push)? {
            let journal = place.read(*at)?;
            all.push(Found {
                place,
                at: *at,
                journal,
            });
        }
    }
    Ok(all)
}

/// The error when another run is at work.
pub(crate) fn at_work(found: &Found) -> anyhow::Error {
    with_hint(
        anyhow!("another run is at work: {}", found.describe()),
        "wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left",
    )
}

/// Where objects of a journal are made.
pub(super) fn scratch_of(temporary: &Path, reference: &Reference) -> PathBuf {
    temporary.join(reference.to_string().replace('/', "-"))
}
