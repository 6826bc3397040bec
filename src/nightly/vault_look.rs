//! What Vault has, for commands that look.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Error, Result, anyhow};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::acme::key::CertificateKey;
use crate::model::certificate::{CertificateName, Held, Wanted};
use crate::model::chain::{Leaf, leaf_der};
use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::nightly::vault_store::AT_ONCE;
use crate::nightly::vaulting::Vaulting;
use crate::repo::export::stored::Key;
use crate::repo::inventory::Stock;
use crate::repo::vault::VaultCertificate;
use crate::report::progress::Progress;

/// The key of a certificate in Vault as PKCS#8, which is not the form that get-certs wrote. An error if it is another
/// certificate's.
pub(super) fn own_key(key: &Secret, leaf: &Leaf, place: &str) -> Result<Secret> {
    let own = CertificateKey::import(key);
    let own = own.with_context(|| format!("cannot use what is in `{place}`"))?;
    if own.public_key_der() != leaf.public_key {
        return Err(anyhow!("the key in `{place}` is not the certificate's")).hint(|| {
            "somebody put another key there: bring an older version of the secret back, or issue the certificate again"
        });
    }
    own.into_pem()
}

/// What is known of a certificate, as a plan takes it. An error says why it is to be issued again.
pub(super) fn held(found: &VaultCertificate, key_is_elsewhere: bool) -> Result<Held, String> {
    let held = found.held(key_is_elsewhere)?;
    let key = found.key.as_ref().filter(|_| !key_is_elsewhere);
    match key.map(|key| own_key(key, &held.leaf, "tls.key in Vault")) {
        None | Some(Ok(_)) => Ok(held),
        Some(Err(error)) => Err(format!("{error:#}")),
    }
}

impl Vaulting {
    /// What is wrong with the keys that are there, by certificate.
    pub(super) async fn key_faults(
        &self,
        wanted: &[Wanted],
        progress: &Progress,
    ) -> Result<Vec<(CertificateName, Error)>> {
        let vault = self.open(progress).await?;
        let reads = wanted.iter().map(|Wanted { name, .. }| async move {
            let found = vault.certificate(name).await?;
            // What has no key, or none that can be read, is issued again.
            let stored = found.and_then(|found| found.stored(&vault.path_of(name)).ok());
            let fault = stored.and_then(|stored| match stored.key {
                Some(Key::Open(key)) => own_key(&key, &stored.leaf, &stored.key_place).err(),
                _ => None,
            });
            Ok::<_, Error>(fault.map(|fault| (name.clone(), fault)))
        });
        let all: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// What there is of the certificates that are listed, and of all others that the token may list.
    pub(super) async fn stock(
        &self,
        wanted: &[Wanted],
        progress: &Progress,
    ) -> Result<BTreeMap<CertificateName, Stock>> {
        let vault = self.open(progress).await?;
        let listed = wanted.iter().map(|wanted| {
            let is_elsewhere = wanted.key_source.is_elsewhere();
            (wanted.name.clone(), is_elsewhere)
        });
        let mut asked: BTreeMap<_, _> = listed.collect();
        let named: BTreeSet<_> = asked.keys().cloned().collect();
        match vault.names().await? {
            Some(names) => {
                let others = names.into_iter().filter(|name| !named.contains(name));
                // Nobody waits for their keys.
                asked.extend(others.map(|name| (name, true)));
            }
            None => progress.warn(&format!(
                "certificates that certs.json does not list are not looked for: the Vault token may not list `{}`, \
                 which takes `{}` in its policy",
                vault.shown(),
                vault.listing_policy()
            )),
        }
        let named = &named;
        let reads = asked.into_iter().map(|(name, is_elsewhere)| async move {
            let found = vault.certificate(&name).await?;
            // Others may keep secrets of their own there.
            let found = found.filter(|found| found.has_chain() || named.contains(&name));
            let stock = |found: VaultCertificate| Stock {
                held: Some(held(&found, is_elsewhere)),
                ..found.stock()
            };
            Ok::<_, Error>(found.map(|found| (name, stock(found))))
        });
        let all: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// The certificate itself, DER, if it can be read.
    pub(super) async fn leaf_der(
        &self,
        name: &CertificateName,
        progress: &Progress,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.open(progress).await?.certificate(name).await?;
        let chain = found
            .as_ref()
            .and_then(VaultCertificate::chain_and_directory);
        Ok(chain.and_then(|(chain, _)| leaf_der(chain).ok()))
    }
}
