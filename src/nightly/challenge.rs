//! Challenge values: up, seen everywhere, and always down again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use futures_util::future::join_all;

use crate::dns::wait::{self, Expectation, WaitSettings};
use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::{Shared, with_hint};
use crate::model::name::DnsName;
use crate::nightly::survey::{ReadyZone, ZoneAccess};

/// How long withdrawing may take; GitHub kills a cancelled job ten seconds after the first signal.
const WITHDRAW_DEADLINE: Duration = Duration::from_secs(30);

/// A value and the zone that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) zone: Arc<ReadyZone>,
    pub(crate) txt: Txt,
}

/// Remembers what was written, so that it can be withdrawn whatever happens.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    up: Mutex<Vec<Placement>>,
}

impl Challenges {
    /// Writes all values, grouped by zone and provider, and waits until every server shows them.
    ///
    /// Returns what went wrong, by challenge name; names that are absent are ready.
    pub(crate) async fn publish(
        &self,
        placements: Vec<Placement>,
        settings: &WaitSettings,
        progress: &(dyn Fn(&wait::Progress) + Send + Sync),
    ) -> BTreeMap<DnsName, Shared> {
        // Noted before it is written: a call that failed may have been carried out.
        lock(&self.up).extend(placements.iter().cloned());
        let groups = by_zone(placements);
        let written = join_all(groups.values().map(|(zone, values)| write(zone, values))).await;
        let mut failed = BTreeMap::new();
        let mut expectations = Vec::new();
        for ((zone, values), result) in groups.values().zip(written) {
            let names = by_name(values);
            match result {
                Ok(()) => {
                    expectations.extend(names.into_iter().map(|(name, values)| Expectation {
                        name,
                        values,
                        servers: zone.servers.clone(),
                    }))
                }
                Err(error) => {
                    let error = Shared::new(error);
                    failed.extend(names.into_keys().map(|name| (name, error.clone())));
                }
            }
        }
        let seen = wait::until_seen(&expectations, settings, progress).await;
        for unseen in seen.into_iter().filter_map(Result::err) {
            failed.insert(unseen.name.clone(), Shared::new(Error::new(unseen)));
        }
        failed
    }

    /// Takes everything down that was written. Calling it again withdraws nothing.
    ///
    /// Returns what could not be withdrawn, and why.
    pub(crate) async fn withdraw(&self) -> Vec<Error> {
        let up = std::mem::take(&mut *lock(&self.up));
        let groups = by_zone(up);
        let zones = groups.values().map(|(zone, values)| async move {
            let at_each = zone
                .providers
                .iter()
                .map(|access| erase(zone, access, values));
            join_all(at_each).await
        });
        join_all(zones)
            .await
            .into_iter()
            .flatten()
            .filter_map(Result::err)
            .collect()
    }
}

/// Writes the values of one zone at all its providers.
async fn write(zone: &ReadyZone, values: &[Txt]) -> Result<()> {
    let batch = TxtBatch::adding(values.to_vec());
    let at_each = zone.providers.iter().map(|access| {
        let batch = &batch;
        async move {
            access
                .provider
                .change(zone.reference(), batch)
                .await
                .with_context(|| {
                    format!(
                        "cannot add challenges to zone `{}` at `{}`",
                        zone.unique_name, access.entry
                    )
                })
        }
    });
    join_all(at_each).await.into_iter().collect()
}

async fn erase(zone: &ReadyZone, access: &ZoneAccess, values: &[Txt]) -> Result<()> {
    let batch = TxtBatch::removing(values.to_vec());
    let change = access.provider.change(zone.reference(), &batch);
    tokio::time::timeout(WITHDRAW_DEADLINE, change)
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {WITHDRAW_DEADLINE:?}")))
        .map_err(|error| {
            let list: String = values.iter().map(|txt| format!("\n  {txt}")).collect();
            with_hint(
                error.context(format!(
                    "cannot withdraw challenges from zone `{}` at `{}`:{list}",
                    zone.unique_name, access.entry
                )),
                "remove these records by hand; they do no harm to certificates",
            )
        })
}

type Groups = BTreeMap<String, (Arc<ReadyZone>, Vec<Txt>)>;

fn by_zone(placements: Vec<Placement>) -> Groups {
    let mut groups = Groups::new();
    for Placement { zone, txt } in placements {
        let (_, values) = groups
            .entry(zone.unique_name.clone())
            .or_insert_with(|| (zone, Vec::new()));
        if !values.contains(&txt) {
            values.push(txt);
        }
    }
    groups
}

fn by_name(values: &[Txt]) -> BTreeMap<DnsName, BTreeSet<String>> {
    let mut names = BTreeMap::new();
    for txt in values {
        names
            .entry(txt.name.clone())
            .or_insert_with(BTreeSet::new)
            .insert(txt.value.clone());
    }
    names
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
