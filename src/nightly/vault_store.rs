//! Vault instead of git: certificates are read from there and written there, and orders noted.

use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::model::certificate::{CertificateName, Issuance, Issued, Wanted};
use crate::model::hint::with_hint;
use crate::model::kill;
use crate::model::outcome::{Planned, Stored};
use crate::model::secret::Secret;
use crate::model::wording::count;
use crate::nightly::issue::{Issuer, Ordered};
use crate::nightly::plan::Holdings;
use crate::nightly::run::Nightly;
use crate::nightly::settled::{Present, is_settled};
use crate::nightly::store::Kept;
use crate::nightly::vault_look::held;
use crate::nightly::vaulting::{Role, Vaulting};
use crate::repo::journal::OrderNote;
use crate::repo::layout;
use crate::repo::vault::{self, Bundle};

/// Secrets that are read or written at once.
pub(super) const AT_ONCE: usize = 16;

impl Nightly {
    /// What Vault has of the certificates that are wanted.
    pub(super) async fn held_in_vault(
        &self,
        vaulting: &Vaulting,
        wanted: &[Wanted],
    ) -> Result<Holdings> {
        let vault = vaulting.open(&self.progress).await?;
        let reads = wanted.iter().map(|wanted| async move {
            let found = vault.certificate(&wanted.name).await?;
            let is_elsewhere = wanted.key_source.is_elsewhere();
            let held = found.map(|found| (wanted.name.clone(), held(&found, is_elsewhere)));
            Ok::<_, anyhow::Error>(held)
        });
        let all: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// Proves that what is due can be written there, as far as that can be known beforehand.
    pub(super) async fn prove_vault(&self, vaulting: &Vaulting, due: &[Planned]) -> Result<()> {
        let step = self.progress.step("asking Vault what may be written");
        let vault = vaulting.open(&self.progress).await?;
        let names: Vec<_> = due.iter().map(|planned| &planned.wanted.name).collect();
        vault.prove(&names, vaulting.longest()).await?;
        step.done(&format!(
            "Vault would take what is due at `{}`",
            vault.shown()
        ));
        Ok(())
    }

    /// Whether another run has written one of these certificates since they were planned.
    pub(super) async fn vault_has_changed(
        &self,
        vaulting: &Vaulting,
        due: &[Planned],
        before: &Holdings,
    ) -> Result<bool> {
        let wanted: Vec<_> = due.iter().map(|planned| planned.wanted.clone()).collect();
        let now = self.held_in_vault(vaulting, &wanted).await?;
        let serial = |holdings: &Holdings, name: &CertificateName| match holdings.get(name) {
            Some(Ok(held)) => Some(held.leaf.serial.clone()),
            _ => None,
        };
        let changed = |name| serial(&now, name) != serial(before, name);
        Ok(wanted.iter().any(|wanted| changed(&wanted.name)))
    }

    /// Writes each certificate that was issued.
    pub(super) async fn keep_in_vault(
        &self,
        vaulting: &Vaulting,
        planned: &[Planned],
        results: Vec<Result<Issued>>,
    ) -> Kept {
        let writes = planned.iter().zip(results).map(|(planned, issued)| async {
            let issued = issued?;
            kill::point("before commit");
            let name = &planned.wanted.name;
            let kept = self.keep_one(vaulting, planned, &issued).await;
            let kept = kept.with_context(|| format!("cannot store certificate `{name}`"));
            kept.map_err(|error| {
                with_hint(
                    error,
                    "the order is noted: the next run fetches what the CA has issued",
                )
            })?;
            Ok(Stored {
                leaf: issued.leaf,
                commit: None,
            })
        });
        let certificates: Vec<_> = stream::iter(writes).buffered(AT_ONCE).collect().await;
        let written = certificates.iter().filter(|kept| kept.is_ok()).count();
        let in_vault = match vaulting.open(&self.progress).await {
            Ok(vault) if written > 0 => Some(format!(
                "wrote {} to `{}` in Vault",
                count(written, "certificate"),
                vault.shown()
            )),
            _ => None,
        };
        Kept::in_vault(certificates, in_vault, Instant::now())
    }

    async fn keep_one(
        &self,
        vaulting: &Vaulting,
        planned: &Planned,
        issued: &Issued,
    ) -> Result<()> {
        let name = &planned.wanted.name;
        let vault = vaulting.open(&self.progress).await?;
        let bundle = Bundle {
            chain: &layout::chain(issued),
            key: issued.key.open.as_deref(),
            description: &layout::description(issued, None, planned.action)?,
            leaf: &issued.leaf,
        };
        if vault.keep(name, &bundle).await? == vault::Kept::Superseded {
            self.progress.say(&format!(
                "`{name}` was stored by another run meanwhile, and that certificate expires no earlier: it stays"
            ));
        }
        if let Err(error) = vault.forget_order(name).await {
            self.progress.warn(&format!(
                "`{name}` is stored, but the note of its order stays, with its key: {error:#}"
            ));
        }
        Ok(())
    }
}

/// What was issued within the memory of limits, as far as what is held tells.
pub(super) fn past(held: &Holdings) -> Vec<Issuance> {
    let held = held.values().flatten();
    let issuances = held.filter_map(|held| {
        Some(Issuance {
            identifiers: held.leaf.identifiers.clone(),
            not_before: held.leaf.not_before,
            serial: held.leaf.serial.clone(),
            directory: held.ca.clone()?,
            is_renewal: None,
        })
    });
    issuances.collect()
}

impl Issuer<'_> {
    /// Vault, where it is there instead of git.
    pub(super) fn vault_store(&self) -> Option<&Vaulting> {
        self.vault.filter(|vaulting| vaulting.role == Role::Store)
    }

    /// Notes orders and their keys in Vault, where they are stored there alone.
    pub(super) async fn note_in_vault(
        &self,
        notes: &[OrderNote],
        orders: &[Result<Ordered>],
    ) -> Result<()> {
        let Some(vaulting) = self.vault_store() else {
            return Ok(());
        };
        let vault = vaulting.open(self.progress).await?;
        let writes = notes.iter().map(|note| async move {
            let mut ordered = orders.iter().flatten();
            let ordered = ordered.find(|ordered| ordered.placed.url() == note.url);
            let key = ordered.and_then(|ordered| ordered.prepared.key.open.as_deref());
            vault.keep_order(note, key).await
        });
        let written: Result<Vec<()>> = stream::iter(writes).buffered(AT_ONCE).try_collect().await;
        written
            .context("cannot note the orders and their keys, without which nothing is proven")?;
        Ok(())
    }

    /// The order of an earlier run for a certificate, unless its certificate is there.
    pub(super) async fn noted_in_vault(
        &self,
        vaulting: &Vaulting,
        wanted: &Wanted,
    ) -> Result<Option<(OrderNote, Option<Secret>)>> {
        let vault = vaulting.open(self.progress).await?;
        let name = &wanted.name;
        let noted = async {
            let (noted, held) = tokio::try_join!(vault.order(name), vault.certificate(name))?;
            let present = held.and_then(|held| {
                Some(Present {
                    leaf: held.leaf()?,
                    received: held.received(),
                    is_compromised: held.is_compromised(),
                })
            });
            let now = OffsetDateTime::now_utc();
            let is_old = |(note, _): &(OrderNote, _)| is_settled(note, present.as_ref(), now);
            Ok::<_, anyhow::Error>(noted.filter(|noted| !is_old(noted)))
        };
        noted
            .await
            .context("whether an earlier run has ordered it already is not known")
    }

    /// The note of an order is of no use any more. One that stays does no harm.
    pub(super) async fn forget_in_vault(&self, name: &CertificateName) {
        let Some(vaulting) = self.vault_store() else {
            return;
        };
        let forgotten = async {
            let vault = vaulting.open(self.progress).await?;
            vault.forget_order(name).await
        };
        if let Err(error) = self.stop.ends(forgotten).await {
            tracing::debug!("the note of the order for `{name}` stays: {error:#}");
        }
    }
}
