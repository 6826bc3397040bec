//! Revokes a certificate of the repository, and marks it so that the next plan issues it again.

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::acme::presets::Directory;
use crate::acme::revocation::{Reason, Revoked};
use crate::model::certificate::CertificateName;
use crate::model::chain::{self, Leaf};
use crate::model::hint::Hint;
use crate::nightly::unlock::Accounts;
use crate::nightly::workspaces::Workspaces;
use crate::repo::git::Message;
use crate::repo::revoked;

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

impl Revocable {
    /// The certificate that the repository holds under this name.
    pub(crate) async fn find(workspaces: &Workspaces, name: CertificateName) -> Result<Self> {
        let at = name.clone();
        let (path, bytes, directory) = workspaces
            .with(move |workspace| revoked::certificate(workspace, &at))
            .await?;
        let bytes = bytes
            .ok_or_else(|| anyhow!("there is no certificate `{name}`: `{path}` is not there"))
            .hint(|| "it takes a `cert_name` of certs.json whose certificate was issued")?;
        let unreadable = || format!("`{path}` cannot be read");
        Ok(Self {
            leaf: Leaf::from_pem(&bytes).with_context(unreadable)?,
            der: chain::leaf_der(&bytes).with_context(unreadable)?,
            directory: directory.and_then(|url| url.parse().ok()),
            name,
        })
    }
}

impl Accounts<'_> {
    /// Revokes the certificate, then marks it in NAME.json.
    ///
    /// One that is revoked already is marked too, but a key that was compromised stays so, whatever reason
    /// is given later. A mark that cannot be stored is an error that says what was done; revoking again does
    /// no harm.
    pub(crate) async fn revoke(&self, certificate: &Revocable, reason: Reason) -> Result<Done> {
        let name = certificate.name.clone();
        let stored = self.must_have().await?;
        self.store().prove().await?;
        let holder = self.holder(&stored).await?;
        let revoked = holder
            .revoke(&certificate.der, reason)
            .await
            .with_context(|| format!("cannot revoke `{name}`"))?;
        let now = OffsetDateTime::now_utc();
        let at = name.clone();
        let (file, reason) = self
            .workspaces
            .with(move |workspace| {
                let reason = if revoked::is_compromised(workspace, &at)? {
                    Reason::KeyCompromise
                } else {
                    reason
                };
                let file = revoked::mark(workspace, &at, &reason.to_string(), now)?;
                Ok((file, reason))
            })
            .await?;
        let message = Message::new(format!("Revoke {name}: {reason}")).about(&certificate.leaf);
        let saved = self.store().save(message, vec![file]).await;
        let saved =
            saved.with_context(|| format!("`{name}` is revoked, but that cannot be stored"))?;
        Ok(Done {
            revoked,
            pushed: saved.map(|saved| saved.to_string()),
        })
    }
}
