//! The journal of another run: found, judged, unlocked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use git2::Oid;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::hint::with_hint;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::journal::place::{Change, PLACES, Place};
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
    pub(super) fn places(self) -> &'static [&'static str] {
        let [outside, branch] = &PLACES;
        match self {
            Self::Auto => &PLACES,
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
    /// Looks for the journal of another run.
    pub(crate) async fn look(
        workspaces: &Workspaces,
        settings: &JournalSettings,
        push: bool,
    ) -> Result<Option<Self>> {
        if settings.keeping == Keeping::Off {
            return Ok(None);
        }
        let scratch = workspaces.temporary().to_owned();
        workspaces
            .with(move |workspace| {
                for (index, reference) in PLACES.into_iter().enumerate() {
                    let Some(place) =
                        workspace.journal_place(&scratch_of(&scratch, index), reference, push)?
                    else {
                        return Ok(None);
                    };
                    if let Some(at) = place.current()? {
                        let journal = place.read(at)?;
                        return Ok(Some(Self { place, at, journal }));
                    }
                }
                Ok(None)
            })
            .await
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
        format!(
            "{by}, begun {}, last sign of life {}",
            terminal::minute(*began),
            terminal::minute(*seen)
        )
    }
}

/// The error when another run is at work.
pub(crate) fn at_work(found: &Found) -> anyhow::Error {
    with_hint(
        anyhow!("another run is at work: {}", found.describe()),
        "wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left",
    )
}

/// Where objects of a journal are made.
pub(super) fn scratch_of(temporary: &Path, index: usize) -> PathBuf {
    temporary.join(format!("journal-{index}"))
}
