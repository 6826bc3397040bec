//! What Vault has, for commands that look.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::model::certificate::{CertificateName, KeySource, Wanted};
use crate::model::chain::leaf_der;
use crate::nightly::vault_store::AT_ONCE;
use crate::nightly::vaulting::Vaulting;
use crate::repo::inventory::Stock;
use crate::repo::vault::VaultCertificate;
use crate::report::progress::Progress;

impl Vaulting {
    /// What there is of the certificates that are listed, and of all others that the token may list.
    pub(super) async fn stock(
        &self,
        wanted: &[Wanted],
        progress: &Progress,
    ) -> Result<BTreeMap<CertificateName, Stock>> {
        let vault = self.open(progress).await?;
        let listed = wanted.iter().map(|wanted| {
            let is_elsewhere = matches!(wanted.key_source, KeySource::Request(_));
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
        let reads = asked.into_iter().map(|(name, is_elsewhere)| async move {
            let found = vault.certificate(&name).await?;
            Ok::<_, anyhow::Error>(found.map(|found| (name, found.stock(is_elsewhere))))
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
