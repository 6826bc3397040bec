//! What was found out about zones, such as their ids.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::model::zone::ZoneRef;

/// What was found out about zones, such as their ids; each zone is looked up once.
#[derive(Debug)]
pub(super) struct ZoneCache<T>(Mutex<BTreeMap<String, Arc<OnceCell<T>>>>);

impl<T> Default for ZoneCache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> ZoneCache<T> {
    /// What is known of the zone; else what `look_up` finds.
    pub(super) async fn get(
        &self,
        zone: ZoneRef<'_>,
        look_up: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let cell = self.cell(zone);
        cell.get_or_try_init(|| look_up).await.cloned()
    }

    /// What is known of the zone, without asking.
    pub(super) fn known(&self, zone: ZoneRef<'_>) -> Option<T> {
        self.cell(zone).get().cloned()
    }

    fn cell(&self, zone: ZoneRef<'_>) -> Arc<OnceCell<T>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(zone.to_string()).or_default())
    }
}
