//! How a run begins its journal: it lets others see it, then looks whether it sees others.
//!
//! Each journal has a reference of its own, and of several runs the server lets one create it. Runs on other parts have
//! other references: of two that may come to the same certificate each creates its own before it looks for the other's,
//! so at least one of them sees the other.

use std::time::Duration;

use anyhow::{Result, anyhow};
use git2::Oid;

use crate::model::kill;
use crate::nightly::found::{Found, JournalSettings, Keeping, at_work, scratch_of};
use crate::nightly::logbook::{Kept, Logbook};
use crate::nightly::shard::Part;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::journal::Journal;
use crate::repo::journal::place::{Change, Place};
use crate::repo::journal::reference::Reference;
use crate::repo::prove::journal_refused;
use crate::report::progress::Progress;

/// How often another run may come first while this one takes the journal.
const ATTEMPTS: u32 = 5;

/// How often a run that goes first looks whether one that began in the same moment has given way.
const LOOKS: u32 = 10;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What a journal is begun with.
pub(crate) struct Beginning<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) settings: &'a JournalSettings,
    pub(super) part: &'a Part,
    pub(crate) push: bool,
    pub(crate) progress: &'a Progress,
}

enum Begun {
    Kept(Box<Kept>),
    /// Another run came first.
    Lost,
}

impl Beginning<'_> {
    /// Creates the journal of this run, or takes the one over that an earlier run on the same part has left.
    pub(super) async fn take(&self, mut earlier: Vec<Found>) -> Result<Kept> {
        let scope = self.part.scope();
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.running(&earlier) {
                return Err(at_work(found));
            }
            // What was found before may have come to its end meanwhile.
            let mut journal = Journal::new(self.settings.run.clone());
            let same = earlier.into_iter().find(|found| *found.scope() == scope);
            if let Some(found) = &same {
                journal.orders.clone_from(&found.journal.orders);
                journal.values.clone_from(&found.journal.values);
            }
            kill::point("before journal begins");
            let begun = match same {
                Some(found) => bring(found.place, Some(found.at), &journal).await?,
                None => self.create(&journal).await?,
            };
            match begun {
                Begun::Kept(kept) => {
                    kill::point("after journal begins");
                    return Ok(*kept);
                }
                Begun::Lost => earlier = self.look().await?,
            }
        }
        Err(overtaken())
    }

    /// Makes sure that no other run comes to the same certificates, and takes over what falls to this one of runs
    /// on other parts that are over. `own` is the reference that others see this run by.
    ///
    /// Of two runs that began in the same moment, the one with the lesser reference waits for the other to give way.
    pub(super) async fn agree_with_others(&self, logbook: &Logbook, own: &Reference) -> Result<()> {
        let shard = own.scope.shard();
        // Each time that another shard is faster, it has taken its share.
        let others = shard.map_or(0, |shard| shard.of().get().into());
        let mut looks = LOOKS;
        for _ in 0..ATTEMPTS + LOOKS + others {
            let mut others = self.look().await?;
            others.retain(|found| found.place.reference() != own);
            if let Some(found) = self.running(&others) {
                if looks == 0 || found.place.reference() < own {
                    return Err(at_work(found));
                }
                looks -= 1;
                tokio::time::sleep(PAUSE).await;
            } else if self.take_shares(logbook, others).await? {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    async fn look(&self) -> Result<Vec<Found>> {
        let scope = self.part.scope();
        Found::look(self.workspaces, self.settings, self.push, &scope).await
    }

    fn running<'f>(&self, found: &'f [Found]) -> Option<&'f Found> {
        found.iter().find(|found| found.is_running(self.settings))
    }

    /// Moves what falls to this run from other journals to its own. False where another run has changed one of
    /// them meanwhile.
    async fn take_shares(&self, logbook: &Logbook, others: Vec<Found>) -> Result<bool> {
        let mut is_all = true;
        for Found { place, at, journal } in others {
            let (ours, mut rest) = self.part.divide(&journal);
            if !ours.is_empty() {
                // First there, then away from here: a kill in between leaves it twice, which does no harm.
                logbook.record(ours.orders, ours.values).await?;
            } else if !rest.is_empty() {
                continue;
            }
            kill::point("before share leaves");
            rest.run.ended = true;
            let left = move || place.change(Some(at), (!rest.is_empty()).then_some(&rest));
            match blocking(left).await? {
                Change::Done(_) => {}
                Change::Lost => is_all = false,
                Change::Refused(words) => return Err(journal_refused(&words)),
            }
        }
        Ok(is_all)
    }

    /// Creates the journal in the first place that takes it.
    async fn create(&self, journal: &Journal) -> Result<Begun> {
        let mut refused = None;
        for home in self.settings.keeping.homes() {
            let reference = Reference {
                scope: self.part.scope(),
                home: *home,
            };
            let branch = reference.branch();
            let scratch = scratch_of(self.workspaces.temporary(), &reference);
            let push = self.push;
            let place = self
                .workspaces
                .with(move |workspace| workspace.journal_place(&scratch, reference, push));
            let Some(place) = place.await? else {
                break;
            };
            match bring(place, None, journal).await {
                Ok(begun) => {
                    if let (Some(reason), Some(branch)) = (refused, branch) {
                        self.progress.say(&format!(
                            "the journal is the branch `{branch}`: the server refuses references outside of branches: {reason}"
                        ));
                    }
                    return Ok(begun);
                }
                Err(error) => match error.downcast::<Refused>() {
                    Ok(Refused(reason)) => refused = Some(reason),
                    Err(error) => return Err(error),
                },
            }
        }
        match refused {
            Some(words) if self.settings.keeping != Keeping::Auto => Err(journal_refused(&words)),
            refused => {
                if let Some(reason) = refused {
                    self.progress.warn(&format!(
                        "there is no journal, so what a killed run has ordered is lost: the server refuses it: {reason}"
                    ));
                }
                Ok(Begun::Kept(Box::new(Kept {
                    place: None,
                    at: None,
                    journal: journal.clone(),
                })))
            }
        }
    }
}

/// The server takes no journal there; its words.
#[derive(Debug, thiserror::Error)]
#[error("the server refuses the journal: {0}")]
struct Refused(String);

/// Brings the journal to a place that has `at`.
async fn bring(place: Place, at: Option<Oid>, journal: &Journal) -> Result<Begun> {
    let journal = journal.clone();
    blocking(move || match place.change(at, Some(&journal))? {
        Change::Done(at) => Ok(Begun::Kept(Box::new(Kept {
            place: Some(place),
            at,
            journal,
        }))),
        Change::Lost => Ok(Begun::Lost),
        Change::Refused(reason) => Err(Refused(reason).into()),
    })
    .await
}

fn overtaken() -> anyhow::Error {
    anyhow!("other runs come first all the time: the journal cannot be begun")
}
