//! Revokes a certificate of the repository, and marks it so that the next plan issues it again.

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::acme::presets::Directory;
use crate::acme::revocation::{Reason, Revoked};
use crate::model::certificate::CertificateName;
use crate::model::chain::{self, Leaf};
use crate::model::hint::Hint;
use crate::nightly::unlock::Accounts;
use crate::repo::git::Message;
use crate::repo::revoked;
use crate::repo::vault::VaultCertificate;

/// A certificate that is there to be revoked.
pub(crate) struct Revocable {
    pub(crate) name: CertificateName,
    pub(crate) leaf: Leaf,
    der: Vec<u8>,
    /// The CA that issued it, if NAME.json says so.
    pub(crate) directory: Option<Directory>,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) revoked: Revoked,
    /// Where the commit went, in words.
    pub(crate) pushed: Option<String>,
}

impl Accounts<'_> {
    /// The certificate that is held under this name.
    pub(crate) async fn revocable(&self, name: CertificateName) -> Result<Revocable> {
        let (path, chain, directory) = self.chain_of(&name).await?;
        let chain = chain
            .ok_or_else(|| anyhow!("there is no certificate `{name}`: `{path}` is not there"))
            .hint(|| "it takes a `cert_name` of certs.json whose certificate was issued")?;
        let unreadable = || format!("`{path}` cannot be read");
        Ok(Revocable {
            leaf: Leaf::from_pem(&chain).with_context(unreadable)?,
            der: chain::leaf_der(&chain).with_context(unreadable)?,
            directory: directory.and_then(|url| url.parse().ok()),
            name,
        })
    }

    /// Where the chain is, the chain, and the directory URL of the CA.
    async fn chain_of(
        &self,
        name: &CertificateName,
    ) -> Result<(String, Option<Vec<u8>>, Option<String>)> {
        if let Some(vaulting) = self.vault {
            let vault = vaulting.open(self.progress).await?;
            let held = vault.certificate(name).await?;
            let held = held
                .as_ref()
                .and_then(VaultCertificate::chain_and_directory);
            let path = format!("{} in Vault", vault.path_of(name));
            return Ok(match held {
                Some((chain, directory)) => (path, Some(chain.to_vec()), directory),
                None => (path, None, None),
            });
        }
        let name = name.clone();
        self.workspaces
            .with(move |workspace| revoked::certificate(workspace, &name))
            .await
    }

    /// Whether the certificate was revoked because of its key.
    async fn is_compromised(&self, name: &CertificateName) -> Result<bool> {
        if let Some(vaulting) = self.vault {
            let held = vaulting
                .open(self.progress)
                .await?
                .certificate(name)
                .await?;
            return Ok(held.is_some_and(|held| held.is_compromised()));
        }
        let name = name.clone();
        self.workspaces
            .with(move |workspace| revoked::is_compromised(workspace, &name))
            .await
    }

    /// Marks a certificate. Returns where the commit went, in words.
    async fn mark(&self, certificate: &Revocable, reason: Reason) -> Result<Option<String>> {
        let now = OffsetDateTime::now_utc();
        let (name, words) = (certificate.name.clone(), reason.to_string());
        if let Some(vaulting) = self.vault {
            let vault = vaulting.open(self.progress).await?;
            vault.mark_revoked(&name, (&words, now)).await?;
            return Ok(None);
        }
        let message = Message::new(format!("Revoke {name}: {reason}")).about(&certificate.leaf);
        let file = self
            .workspaces
            .with(move |workspace| revoked::mark(workspace, &name, &words, now))
            .await?;
        let saved = self.store().save(message, vec![file]).await?;
        Ok(saved.map(|saved| saved.to_string()))
    }

    /// Revokes the certificate, then marks it in NAME.json.
    ///
    /// One that is revoked already is marked too, but a key that was compromised stays so, whatever reason
    /// is given later. A mark that cannot be stored is an error that says what was done; revoking again does
    /// no harm.
    pub(crate) async fn revoke(&self, certificate: &Revocable, reason: Reason) -> Result<Done> {
        let name = certificate.name.clone();
        let stored = self.must_have().await?;
        if self.vault.is_none() {
            self.store().prove().await?;
        }
        let holder = self.holder(&stored).await?;
        let revoked = holder
            .revoke(&certificate.der, reason)
            .await
            .with_context(|| format!("cannot revoke `{name}`"))?;
        let marked = async {
            let is_compromised = self.is_compromised(&name).await?;
            let reason = if is_compromised {
                Reason::KeyCompromise
            } else {
                reason
            };
            self.mark(certificate, reason).await
        };
        let pushed = marked
            .await
            .with_context(|| format!("`{name}` is revoked, but that cannot be stored"))?;
        Ok(Done { revoked, pushed })
    }
}
