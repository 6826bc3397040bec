//! The journal of this run: begun before anything is ordered, written before anything cannot be undone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use git2::Oid;
use time::OffsetDateTime;
use tokio::task::AbortHandle;

use crate::model::certificate::CertificateName;
use crate::model::hint::with_hint;
use crate::model::kill;
use crate::nightly::beginning::Beginning;
use crate::nightly::found::Found;
use crate::nightly::workspaces::blocking;
use crate::repo::journal::place::{Change, Place};
use crate::repo::journal::reference::Reference;
use crate::repo::journal::{Journal, OrderNote, ValueNote};
use crate::repo::prove::journal_refused;

/// How often a run gives a sign of life.
const BEAT: Duration = Duration::from_mins(10);

/// Orders that are older are gone at the CA: Let's Encrypt keeps them for 7 days.
pub(super) const ORDERS_LAST: time::Duration = time::Duration::days(7);

/// Orders of one certificate that a run looks at, at most. A run leaves one, or a second where the CA did not say what
/// became of the first; whoever may write the journal can leave any number.
const MOST_ORDERS: usize = 8;

/// The journal of this run. Without a place it only remembers.
pub(crate) struct Logbook {
    kept: Arc<Mutex<Kept>>,
    beat: Option<AbortHandle>,
}

/// A journal and where it is kept, if it is kept.
pub(super) struct Kept {
    pub(super) place: Option<Place>,
    pub(super) at: Option<Oid>,
    pub(super) journal: Journal,
}

impl Logbook {
    /// Begins the journal, and takes over what earlier runs have left. From here on no other run begins that may
    /// come to the same certificates.
    pub(crate) async fn begin(with: Beginning<'_>, earlier: Vec<Found>) -> Result<Self> {
        let logbook = Self::of(with.take(earlier).await?);
        if let Some(own) = logbook.reference()
            && let Err(error) = with.agree_with_others(&logbook, &own).await
        {
            // What was taken over until now stays there for the next run.
            if let Err(trouble) = logbook.close().await {
                tracing::debug!("the journal stays: {trouble:#}");
            }
            return Err(error);
        }
        Ok(logbook)
    }

    fn of(kept: Kept) -> Self {
        let has_place = kept.place.is_some();
        let kept = Arc::new(Mutex::new(kept));
        let beat = has_place.then(|| {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(kill::time("GIT_CERTS_TEST_BEAT", BEAT)).await;
                    let kept = Arc::clone(&kept);
                    // One that is missed is followed by the next.
                    if let Err(error) = blocking(move || lock(&kept).write()).await {
                        tracing::debug!("no sign of life: {error:#}");
                    }
                }
            })
            .abort_handle()
        });
        Self { kept, beat }
    }

    /// Whether it is kept where the next run finds it.
    pub(crate) fn is_kept(&self) -> bool {
        lock(&self.kept).place.is_some()
    }

    /// Where it is kept.
    fn reference(&self) -> Option<Reference> {
        let kept = lock(&self.kept);
        kept.place.as_ref().map(|place| place.reference().clone())
    }

    /// Orders of earlier runs that may lead to this certificate at this CA, the earliest first.
    pub(crate) fn orders(
        &self,
        name: &CertificateName,
        directory: &str,
        account: &str,
    ) -> Vec<OrderNote> {
        let kept = lock(&self.kept);
        let orders = kept.journal.orders.iter().filter(|order| {
            order.certificate == name.as_str()
                && order.directory == directory
                && order.account == account
        });
        orders.take(MOST_ORDERS).cloned().collect()
    }

    /// Values that earlier runs have left.
    pub(crate) fn values(&self) -> BTreeSet<ValueNote> {
        lock(&self.kept).journal.values.clone()
    }

    /// Writes down what is about to be done; an error if it is not certain that it is written.
    pub(crate) async fn record(
        &self,
        orders: Vec<OrderNote>,
        values: BTreeSet<ValueNote>,
    ) -> Result<()> {
        let kept = Arc::clone(&self.kept);
        kill::point("before record");
        let written = blocking(move || {
            let mut kept = lock(&kept);
            let journal = &mut kept.journal;
            journal
                .orders
                .retain(|old| orders.iter().all(|new| new.url != old.url));
            journal.orders.extend(orders);
            journal.values.extend(values);
            kept.write()
        })
        .await;
        kill::point("after record");
        written.context("cannot write the journal, without which nothing is proven")
    }

    /// The orders of these certificates need no other run.
    pub(crate) fn settle<'n>(&self, names: impl IntoIterator<Item = &'n CertificateName>) {
        let names: BTreeSet<_> = names.into_iter().map(CertificateName::as_str).collect();
        self.keep_orders(|order| !names.contains(order.certificate.as_str()));
    }

    /// Names of the certificates that orders are for.
    pub(crate) fn ordered(&self) -> BTreeSet<String> {
        let kept = lock(&self.kept);
        let orders = kept.journal.orders.iter();
        orders.map(|order| order.certificate.clone()).collect()
    }

    /// Drops orders that nothing is wanted of.
    pub(crate) fn keep_orders(&self, is_wanted: impl Fn(&OrderNote) -> bool) {
        let mut kept = lock(&self.kept);
        kept.journal.orders.retain(|order| is_wanted(order));
    }

    /// The order leads to nothing any more.
    pub(crate) fn forget(&self, url: &str) {
        let mut kept = lock(&self.kept);
        kept.journal.orders.retain(|order| order.url != url);
    }

    /// The values are nobody's business any more.
    pub(crate) fn forget_values(&self, values: &BTreeSet<ValueNote>) {
        let mut kept = lock(&self.kept);
        kept.journal.values.retain(|value| !values.contains(value));
    }

    /// No value is left in the zone at the entry.
    pub(crate) fn withdrawn(&self, zone: &str, entry: &str) {
        let mut kept = lock(&self.kept);
        let values = &mut kept.journal.values;
        values.retain(|value| value.zone != zone || value.entry != entry);
    }

    /// Ends the journal: it goes, unless something is left for the next run.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(beat) = &self.beat {
            beat.abort();
        }
        let kept = Arc::clone(&self.kept);
        kill::point("before journal ends");
        let ended = blocking(move || lock(&kept).end()).await;
        kill::point("after journal ends");
        ended.context("cannot end the journal").map_err(|error| {
            with_hint(
                error,
                "the next run takes it over; `git-certs unlock` lets it do so at once",
            )
        })
    }
}

impl Kept {
    /// Writes the journal as it is now: a sign of life.
    fn write(&mut self) -> Result<()> {
        self.journal.run.seen = OffsetDateTime::now_utc();
        let Some(place) = &self.place else {
            return Ok(());
        };
        let change = place.change(self.at, Some(&self.journal))?;
        self.became(change)
    }

    fn end(&mut self) -> Result<()> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        self.journal.run.ended = true;
        let left = (!self.journal.is_empty()).then_some(&self.journal);
        let change = place.change(self.at, left)?;
        self.became(change)
    }

    fn became(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Done(at) => {
                self.at = at;
                Ok(())
            }
            Change::Lost => Err(with_hint(
                anyhow!("another run has taken the journal over, as if this one were dead"),
                "let runs follow each other (`concurrency` of GitHub, `resource_group` of GitLab), or wait longer with `--lock-timeout`",
            )),
            Change::Refused(words) => Err(journal_refused(&words)),
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
