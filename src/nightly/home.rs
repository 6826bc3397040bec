//! Where certificates are kept, git or Vault: what a run asks of either.

use anyhow::Result;

use crate::model::certificate::{Issued, Wanted};
use crate::model::home::Home;
use crate::model::outcome::{Outcome, Planned};
use crate::nightly::plan::Holdings;
use crate::nightly::prepare::Means;
use crate::nightly::run::Nightly;
use crate::nightly::store::Kept;
use crate::nightly::vaulting::{Role, Vaulting};

impl Nightly {
    /// Vault, where it is there instead of git.
    pub(super) fn vault_store(&self) -> Option<&Vaulting> {
        let vaulting = self.job.vault.as_ref();
        vaulting.filter(|vaulting| vaulting.role == Role::Store)
    }

    /// Where certificates are kept.
    pub(super) fn kept_in(&self) -> Home {
        match self.vault_store() {
            Some(_) => Home::Vault,
            None => Home::Repository,
        }
    }

    /// Proves that what is due can be stored, as far as that can be known beforehand.
    pub(super) async fn prove_store(&self, due: &[Planned]) -> Result<()> {
        match self.vault_store() {
            Some(vaulting) => self.prove_vault(vaulting, due).await,
            None => self.accounts().store().prove().await,
        }
    }

    /// Whether a run that has ended since ours began has stored what ours would do again.
    pub(super) async fn has_changed(&self, due: &[Planned], held: &Holdings) -> Result<bool> {
        match self.vault_store() {
            Some(vaulting) => self.vault_has_changed(vaulting, due, held).await,
            None => self.catch_up().await,
        }
    }

    /// Brings what an earlier run has left to where it belongs.
    pub(super) async fn bring_left(&self) -> Result<()> {
        match self.vault_store() {
            Some(_) => Ok(()),
            None => self.accounts().store().push_left().await,
        }
    }

    /// Stores each certificate that was issued.
    pub(super) async fn keep(
        &self,
        planned: &[Planned],
        results: Vec<Result<Issued>>,
        means: &Means,
    ) -> Kept {
        let store = self.accounts().store();
        match &self.job.vault {
            Some(vaulting) if vaulting.role == Role::Store => {
                self.keep_in_vault(vaulting, planned, results).await
            }
            vaulting => {
                if let Some(vaulting) = vaulting {
                    vaulting.remember_keys(&results);
                }
                store.keep(planned, results, means).await
            }
        }
    }
}

/// Every certificate of a run, due or not.
pub(super) fn all_wanted(due: &[Planned], outcome: &Outcome) -> Vec<Wanted> {
    let put_off = outcome.put_off.iter().map(|put_off| &put_off.planned);
    let all = due.iter().chain(&outcome.kept).chain(put_off);
    all.map(|planned| planned.wanted.clone()).collect()
}
