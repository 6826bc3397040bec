//! A certificate that a folder of Vault has, in whatever state it is.

use anyhow::{Context, Result};
use time::OffsetDateTime;

use crate::model::certificate::Held;
use crate::model::chain::{self, Leaf};
use crate::model::secret::Secret;
use crate::repo::export::stored::{Key, Stored};
use crate::repo::held;
use crate::repo::inventory::Stock;
use crate::repo::layout;
use crate::repo::revoked;
use crate::repo::vault::kv::Fields;
use crate::repo::vault::{CHAIN, DESCRIPTION, KEY};

/// A certificate that the folder has.
#[derive(Debug, Default)]
pub(crate) struct VaultCertificate {
    chain: Option<Secret>,
    pub(crate) key: Option<Secret>,
    description: Option<Secret>,
}

impl VaultCertificate {
    pub(super) fn of(mut fields: Fields) -> Self {
        Self {
            chain: fields.remove(CHAIN),
            key: fields.remove(KEY),
            description: fields.remove(DESCRIPTION),
        }
    }

    /// Whether it is one at all: others may keep secrets in the same folder.
    pub(crate) fn has_chain(&self) -> bool {
        self.chain.is_some()
    }

    /// What is known of it; an error says why it is to be issued again.
    pub(crate) fn held(&self, key_is_elsewhere: bool) -> Result<Held, String> {
        let chain = self.chain.as_ref().ok_or("it has no `tls.cert` in Vault")?;
        let leaf = Leaf::from_pem(chain.expose())
            .map_err(|error| format!("its `tls.cert` in Vault cannot be read: {error:#}"))?;
        if self.key.is_none() && !key_is_elsewhere {
            return Err("it has no `tls.key` in Vault".to_owned());
        }
        held::held_of(Ok(leaf), held::Key::Other, self.description())
    }

    /// What there is of it besides what a plan takes.
    pub(crate) fn stock(&self) -> Stock {
        Stock {
            held: None,
            leaf: self.leaf(),
            revoked: self.description().and_then(revoked::reason),
            // A policy of Vault says who may read it.
            readers: None,
        }
    }

    /// All of it, for a server. `path`: where it is.
    pub(crate) fn stored(self, path: &str) -> Result<Stored> {
        let revoked = self.description().and_then(revoked::reason);
        let chain = self.chain.as_ref();
        let chain = chain.with_context(|| format!("`{path}` in Vault has no `{CHAIN}`"))?;
        let unreadable = || format!("`{CHAIN}` of `{path}` in Vault cannot be read");
        Ok(Stored {
            leaf: Leaf::from_pem(chain.expose()).with_context(unreadable)?,
            chain: chain::parts(chain.expose()).with_context(unreadable)?,
            bytes: chain.expose().to_vec(),
            key: self.key.map(Key::Open),
            key_place: format!("{KEY} of {path} in Vault"),
            revoked,
        })
    }

    /// The chain, and the directory URL of the CA that issued it.
    pub(crate) fn chain_and_directory(&self) -> Option<(&[u8], Option<String>)> {
        let directory = self.description().and_then(revoked::directory_of);
        Some((self.chain.as_ref()?.expose(), directory))
    }

    /// The certificate itself, if it can be read.
    pub(crate) fn leaf(&self) -> Option<Leaf> {
        Leaf::from_pem(self.chain.as_ref()?.expose()).ok()
    }

    /// Whether it was revoked because of its key, which is never used again then.
    pub(crate) fn is_compromised(&self) -> bool {
        self.description().is_some_and(revoked::says_compromised)
    }

    /// When it was received, as far as that is written down.
    pub(crate) fn received(&self) -> Option<OffsetDateTime> {
        layout::received(self.description()?, &self.leaf()?)
    }

    fn description(&self) -> Option<&[u8]> {
        self.description.as_ref().map(Secret::expose)
    }
}
