//! In which forms the new key of a certificate is kept: as age ciphertext, as it is for Vault, or both.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::model::certificate::{CertificateName, NewKey};
use crate::model::secret::Secret;
use crate::repo::seal::Recipients;

/// The forms of one key.
#[derive(Clone)]
pub(super) struct KeyForms {
    /// Who can open the ciphertext; none where there is none.
    pub(super) recipients: Option<Arc<Recipients>>,
    /// Whether Vault gets the key.
    pub(super) is_for_vault: bool,
}

/// The forms of the keys that a run makes.
pub(super) type FormsByName = BTreeMap<CertificateName, KeyForms>;

impl KeyForms {
    /// Brings a key into its forms. Blocks.
    pub(super) fn of(&self, key: Option<Secret>) -> Result<NewKey> {
        let Some(key) = key else {
            return Ok(NewKey::default());
        };
        let recipients = self.recipients.as_ref();
        Ok(NewKey {
            sealed: recipients
                .map(|recipients| recipients.seal(&key))
                .transpose()?,
            open: self.is_for_vault.then(|| Arc::new(key)),
        })
    }

    /// Hash of the recipients; empty where there are none.
    pub(super) fn hash(&self) -> String {
        let recipients = self.recipients.as_ref();
        recipients.map_or_else(String::new, |recipients| recipients.hash())
    }
}
