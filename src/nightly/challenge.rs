//! Challenge values: up, seen everywhere, and always down again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::dns::wait::{self, Expectation, WaitSettings};
use crate::model::change::{Effect, Txt, TxtBatch};
use crate::model::hint::{Shared, several, with_hint};
use crate::model::kill;
use crate::model::name::DnsName;
use crate::model::wording::count;
use crate::nightly::groups::{
    Group, Groups, by_name, by_zone, names_by_zone, values_of, zones_by_name,
};
use crate::nightly::issue::GRACE;
use crate::nightly::sighting::Sighting;
use crate::nightly::stop::Stop;
use crate::nightly::tally::Tally;
use crate::nightly::unseen::{effect, list, not_withdrawn, unread, what_to_set};
use crate::nightly::zones::{ReadyZone, ZoneAccess};

/// How long withdrawing may take after a signal: GitHub kills a cancelled job ten seconds after the first one, and up to
/// three have gone by for orders that were nearly done.
const HURRIED_DEADLINE: Duration = Duration::from_secs(5);

// The push has the rest.
const _: () = assert!(GRACE.as_secs() + HURRIED_DEADLINE.as_secs() <= 8);

/// Zones that are written within this time are waited for together: a server of several is asked for all of them at once.
const TOGETHER: Duration = Duration::from_millis(500);

/// A value and the zone that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) zone: Arc<ReadyZone>,
    /// At the name that is written, which a CNAME can make another than the one that the CA asks
    /// for.
    pub(crate) txt: Txt,
}

/// What came of withdrawing.
#[derive(Debug, Default)]
pub(crate) struct Withdrawn {
    /// What could not be withdrawn, and why.
    pub(crate) failed: Vec<Error>,
    /// Zones, with the entry in creds.json, that have no value of ours any more.
    pub(crate) clean: Vec<(String, String)>,
    /// Values of earlier runs that went too, with their zone and provider: an account for each.
    pub(crate) swept: Vec<String>,
}

/// Remembers what was written, so that it can be withdrawn whatever happens.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    up: Mutex<Vec<Placement>>,
    /// When the latest were written.
    written: Mutex<Option<Instant>>,
    /// Of these, what was not written for certain.
    absent: Mutex<BTreeSet<Key>>,
    /// Values that are decided: every server shows them, or why they will not.
    decided: watch::Sender<Decided>,
}

impl Challenges {
    /// Writes all values, grouped by zone and provider, and waits until every server shows them.
    ///
    /// [`Challenges::seen`] tells of each value as soon as it is decided; when this returns, all are. A zone whose provider
    /// takes its time holds up no other.
    pub(crate) async fn publish(
        &self,
        placements: Vec<Placement>,
        settings: &WaitSettings,
        progress: &(dyn Fn(&wait::Progress) + Send + Sync),
    ) {
        // Noted before it is written: a call that failed may have been carried out.
        lock(&self.up).extend(placements.iter().cloned());
        let groups = by_zone(placements);
        let writing = groups
            .values()
            .map(|group| async move { (group, self.write(&group.0, &group.1).await) })
            .collect();
        let watcher = Watcher {
            groups: &groups,
            settings,
            progress,
            tally: Tally::default(),
        };
        self.follow(writing, &watcher, 0).await;
    }

    /// Waits for what is written, and at the same time for what is written later.
    async fn follow<'g, F>(
        &self,
        mut writing: FuturesUnordered<F>,
        watcher: &Watcher<'_>,
        number: usize,
    ) where
        F: Future<Output = (&'g Group, Result<()>)> + Send,
    {
        let written = together(&mut writing).await;
        if written.is_empty() {
            return;
        }
        *lock(&self.written) = Some(Instant::now());
        let mut expectations = Vec::new();
        for ((zone, values), result) in written {
            match result {
                Ok(()) => {
                    let names = by_name(values).into_iter();
                    expectations.extend(names.map(|(name, values)| Expectation {
                        name,
                        values,
                        view: Arc::clone(&zone.view),
                    }));
                }
                Err(error) => {
                    let error = Shared::new(error);
                    self.decide(values.iter().cloned().map(|txt| (txt, Err(error.clone()))));
                }
            }
        }
        let later = Box::pin(self.follow(writing, watcher, number + 1));
        join(self.wait(&expectations, watcher, number), later).await;
    }

    async fn wait(&self, expectations: &[Expectation], watcher: &Watcher<'_>, number: usize) {
        let zones = zones_by_name(watcher.groups);
        let open = Mutex::new(names_by_zone(expectations, &zones));
        let results = wait::until_seen(expectations, watcher.settings, &|at| {
            let seen = at
                .newly_seen
                .iter()
                .filter_map(|&index| expectations.get(index));
            self.decide(seen.flat_map(|expectation| {
                if let Some(zone) = zones.get(&expectation.name) {
                    note_seen(&mut lock(&open), zone, &expectation.name, at.elapsed);
                }
                let sighting = Sighting::of(&expectation.view, OffsetDateTime::now_utc());
                values_of(expectation).map(move |txt| (txt, Ok(sighting.clone())))
            }));
            (watcher.progress)(&watcher.tally.with(number, at));
        })
        .await;
        for (expectation, result) in expectations.iter().zip(results) {
            let Err(unseen) = result else { continue };
            let mut error = Error::new(unseen);
            if let Some(zone) = zones.get(&expectation.name) {
                error = with_hint(error, what_to_set(zone));
                if let Some(hint) = unread(zone).await {
                    error = with_hint(error, hint);
                }
            }
            let error = Shared::new(error);
            self.decide(values_of(expectation).map(|txt| (txt, Err(error.clone()))));
        }
    }

    /// Writes the values of one zone at all its providers, and keeps in mind where nothing was written.
    async fn write(&self, zone: &ReadyZone, values: &[Txt]) -> Result<()> {
        let batch = TxtBatch::adding(values.to_vec());
        let at_each = zone.providers.iter().map(|access| {
            let batch = &batch;
            async move {
                kill::point(&format!("before add {}", access.entry));
                let change = access.provider.change(zone.reference(), batch).await;
                kill::point(&format!("after add {}", access.entry));
                let error = change.err()?;
                if effect(&error) == Some(Effect::Nothing) {
                    let absent = values.iter().map(|txt| key(zone, access, txt));
                    lock(&self.absent).extend(absent);
                }
                Some(Shared::new(error.context(format!(
                    "cannot add challenges to zone `{}` at `{}`",
                    zone.unique_name, access.entry
                ))))
            }
        });
        several(join_all(at_each).await.into_iter().flatten()).map_or(Ok(()), Err)
    }

    /// When the values that were published last were written, if any were.
    pub(super) fn written(&self) -> Option<Instant> {
        *lock(&self.written)
    }

    /// Decides every value that is still open: nobody is going to look at it.
    pub(crate) fn give_up(&self, error: &Shared) {
        let up = lock(&self.up);
        self.decided.send_modify(|decided| {
            for placement in up.iter() {
                let txt = placement.txt.clone();
                decided.entry(txt).or_insert_with(|| Err(error.clone()));
            }
        });
    }

    /// Waits until all values are seen, and tells by whom; or until one of them will not be.
    pub(super) async fn seen(&self, values: &[Placement]) -> Result<Vec<(Txt, Sighting)>, Shared> {
        let mut decided = self.decided.subscribe();
        loop {
            if let Some(verdict) = verdict(&decided.borrow_and_update(), values) {
                return verdict;
            }
            // The sender lives as long as `self`.
            if decided.changed().await.is_err() {
                return Err(Shared::new(anyhow!(
                    "the wait for name servers ended early"
                )));
            }
        }
    }

    fn decide(&self, results: impl Iterator<Item = (Txt, Result<Sighting, Shared>)>) {
        self.decided.send_modify(|decided| decided.extend(results));
    }

    /// Takes everything down that was written, and what earlier runs have left at the same names.
    /// Calling it again withdraws nothing.
    pub(crate) async fn withdraw(&self, stop: &Stop) -> Withdrawn {
        let up = std::mem::take(&mut *lock(&self.up));
        let groups = by_zone(up);
        let zones = groups.values().map(|(zone, values)| async move {
            let at_each = zone.providers.iter().map(|access| {
                let absent = lock(&self.absent);
                let is_up = |txt: &&Txt| !absent.contains(&key(zone, access, txt));
                let up: Vec<Txt> = values.iter().filter(is_up).cloned().collect();
                drop(absent);
                async {
                    let erased = if up.is_empty() {
                        Ok(None)
                    } else {
                        erase(zone, access, up, stop).await
                    };
                    (zone.unique_name.clone(), access.entry.clone(), erased)
                }
            });
            join_all(at_each).await
        });
        let mut withdrawn = Withdrawn::default();
        for (zone, entry, result) in join_all(zones).await.into_iter().flatten() {
            match result {
                Ok(swept) => {
                    withdrawn.clean.push((zone, entry));
                    withdrawn.swept.extend(swept);
                }
                Err(error) => withdrawn.failed.push(error),
            }
        }
        withdrawn
    }
}

type Decided = BTreeMap<Txt, Result<Sighting, Shared>>;

/// None while something is open and nothing has failed.
fn verdict(
    decided: &Decided,
    values: &[Placement],
) -> Option<Result<Vec<(Txt, Sighting)>, Shared>> {
    let results: Vec<_> = values
        .iter()
        .map(|value| decided.get_key_value(&value.txt))
        .collect();
    if let Some(error) = results
        .iter()
        .flatten()
        .find_map(|(_, result)| result.as_ref().err())
    {
        return Some(Err(error.clone()));
    }
    let seen = |result: Option<(&Txt, &Result<Sighting, Shared>)>| {
        let (txt, sighting) = result?;
        Some((txt.clone(), sighting.as_ref().ok()?.clone()))
    };
    results.into_iter().map(seen).collect::<Option<_>>().map(Ok)
}

/// A value of a zone at an entry of creds.json.
type Key = (String, String, Txt);

fn key(zone: &ReadyZone, access: &ZoneAccess, txt: &Txt) -> Key {
    let place = (zone.unique_name.clone(), access.entry.clone());
    (place.0, place.1, txt.clone())
}

/// Logs the zone when its last name is seen.
fn note_seen(
    open: &mut BTreeMap<String, BTreeSet<DnsName>>,
    zone: &ReadyZone,
    name: &DnsName,
    elapsed: Duration,
) {
    let name_of_zone = &zone.unique_name;
    if let Some(names) = open.get_mut(name_of_zone) {
        names.remove(name);
        if names.is_empty() {
            let seconds = elapsed.as_secs_f64();
            tracing::debug!("zone `{name_of_zone}`: every challenge was seen after {seconds:.1} s");
        }
    }
}

/// Removes the values, and what earlier runs have left at their names; an account of the latter.
async fn erase(
    zone: &ReadyZone,
    access: &ZoneAccess,
    ours: Vec<Txt>,
    stop: &Stop,
) -> Result<Option<String>> {
    let is_swept = |old: &&Txt| ours.iter().any(|txt| txt.name == old.name) && !ours.contains(old);
    let swept: Vec<Txt> = access.leftovers.iter().filter(is_swept).cloned().collect();
    let values = [ours.as_slice(), &swept].concat();
    let batch = TxtBatch::removing(values.clone());
    kill::point(&format!("before remove {}", access.entry));
    let change = access.provider.change(zone.reference(), &batch);
    let change = async {
        let deadline = access.provider.patience();
        let in_time = timeout(deadline, change).await;
        in_time.unwrap_or_else(|_| {
            let seconds = deadline.as_secs();
            Err(anyhow!("no answer within {seconds} s"))
        })
    };
    stop.ends_after(kill::time("GIT_CERTS_TEST_HURRY", HURRIED_DEADLINE), change)
        .await
        .map_err(|error| not_withdrawn(zone, access, &values, error))?;
    kill::point(&format!("after remove {}", access.entry));
    Ok((!swept.is_empty()).then(|| {
        format!(
            "swept {} from zone `{}` at `{}`:{}",
            count(swept.len(), "old challenge"),
            zone.unique_name,
            access.entry,
            list(&swept)
        )
    }))
}

/// What all waits of a publication share.
struct Watcher<'a> {
    groups: &'a Groups,
    settings: &'a WaitSettings,
    progress: &'a (dyn Fn(&wait::Progress) + Send + Sync),
    tally: Tally,
}

/// What is done next, and what else is done by a moment later; nothing if all is done.
async fn together<F: Future>(writing: &mut FuturesUnordered<F>) -> Vec<F::Output> {
    let mut done: Vec<_> = writing.next().await.into_iter().collect();
    let more = async {
        while let Some(next) = writing.next().await {
            done.push(next);
        }
    };
    // Those that take longer come with the next.
    let together = kill::time("GIT_CERTS_TEST_TOGETHER", TOGETHER);
    let _ = timeout(together, more).await;
    done
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
