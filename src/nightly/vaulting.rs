//! Vault, as a run uses it: opened when something needs it first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::OnceCell;

use crate::model::certificate::{CertificateName, Issued};
use crate::model::secret::Secret;
use crate::repo::vault::{Health, Place, Vault};
use crate::report::masks;
use crate::report::progress::Progress;

/// What Vault is to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Certificates, keys and accounts are there, and nowhere else.
    Store,
    /// git has everything, and Vault a copy of certificates and their keys.
    Copy,
}

/// Vault for one run.
#[derive(Debug)]
pub(crate) struct Vaulting {
    pub(crate) role: Role,
    place: Place,
    /// Where the token comes from, where that may surprise.
    token_from: Option<String>,
    /// Longest time that a run may take.
    longest: Duration,
    opened: OnceCell<Vault>,
    /// Keys that this run has made and that are to be copied.
    keys: Mutex<BTreeMap<CertificateName, Arc<Secret>>>,
}

impl Vaulting {
    pub(crate) fn new(
        role: Role,
        place: Place,
        token_from: Option<String>,
        longest: Duration,
    ) -> Self {
        Self {
            role,
            place,
            token_from,
            longest,
            opened: OnceCell::new(),
            keys: Mutex::default(),
        }
    }

    /// Logs in, unless that is done.
    pub(super) async fn open(&self, progress: &Progress) -> Result<&Vault> {
        let open = || async {
            if let Some(place) = &self.token_from {
                progress.say(&format!("the Vault token is the one in `{place}`"));
            }
            let vault = Vault::open(&self.place).await?;
            masks::mask(vault.token().expose());
            Ok(vault)
        };
        self.opened.get_or_try_init(open).await
    }

    /// What the server says of itself; none where it does not.
    pub(super) async fn health(&self) -> Result<Option<Health>> {
        self.place.health().await
    }

    /// The server as people write it.
    pub(super) fn server(&self) -> String {
        self.place.shown_server()
    }

    /// Lines of a policy for certificates, where the engine is not known.
    pub(super) fn likely_policies(&self) -> [String; 2] {
        self.place.likely_policies()
    }

    /// Whether each run has a token of its own.
    pub(super) fn logs_in(&self) -> bool {
        self.place.logs_in()
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// Keeps the keys of certificates that were issued, until they are copied.
    pub(super) fn remember_keys(&self, results: &[Result<Issued>]) {
        let made = results.iter().flatten().filter_map(|issued| {
            let key = issued.key.open.clone()?;
            Some((issued.wanted.name.clone(), key))
        });
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.extend(made);
    }

    /// The key that this run has made.
    pub(super) fn remembered(&self, name: &CertificateName) -> Option<Arc<Secret>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(name).cloned()
    }
}
