//! ACME accounts in Vault: as get-certs kept them, and a rollover of their keys.

use anyhow::{Result, anyhow};

use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::repo::accounts::{StoredAccount, StoredKey};
use crate::repo::vault::kv::{Fields, Written};
use crate::repo::vault::{ATTEMPTS, KEY, Vault, copy};

/// Folder of accounts.
pub(super) const ACCOUNTS: &str = ".letsencrypt";

/// What account.json is in git.
const REGISTRATION: &str = "registration";

/// The new key of a rollover that has not come to its end.
const NEXT_KEY: &str = "tls.key.next";

impl Vault {
    /// Where the account at `host` is.
    pub(crate) fn account_path(&self, host: &str) -> String {
        self.kv.shown(&[ACCOUNTS, host])
    }

    /// The account at `host`; none where there is none.
    pub(crate) async fn account(&self, host: &str) -> Result<Option<StoredAccount>> {
        let at = [ACCOUNTS, host];
        let place = self.account_path(host);
        let found = self.kv.read(self.token(), &at).await?;
        let Some(mut fields) = found.fields else {
            return Ok(None);
        };
        // A key that was forgotten must not lead to a new account each night.
        let Some(key) = fields.remove(KEY) else {
            return Err(anyhow!("`{place}` in Vault has no `{KEY}`")).hint(|| {
                "bring an older version back; or remove the secret, and run with `--agree-tos` to register a new account"
            });
        };
        let registration = fields.remove(REGISTRATION);
        let next = fields.remove(NEXT_KEY).map(StoredKey::Open);
        let registration = registration.as_ref().map(Secret::expose);
        Ok(Some(StoredAccount::new(
            (StoredKey::Open(key), format!("{place} in Vault")),
            next,
            registration,
        )))
    }

    /// Writes a new account.
    pub(crate) async fn keep_account(
        &self,
        host: &str,
        metadata: &str,
        key: &Secret,
    ) -> Result<()> {
        self.change(host, |fields| {
            if fields.contains_key(KEY) {
                return Err(anyhow!("another run has registered an account meanwhile"))
                    .hint(|| "run again: that one is used then");
            }
            fields.insert(REGISTRATION.to_owned(), Secret::from(metadata.to_owned()));
            fields.insert(KEY.to_owned(), copy(key));
            Ok(())
        })
        .await
    }

    /// Writes the new key of a rollover beside the old one.
    pub(crate) async fn keep_next_key(&self, host: &str, next: &Secret) -> Result<()> {
        self.change(host, |fields| {
            if fields.contains_key(NEXT_KEY) {
                return Err(anyhow!(
                    "another run changes the key of the account already"
                ))
                .hint(|| "run again: what it has left is gone on with");
            }
            fields.insert(NEXT_KEY.to_owned(), copy(next));
            Ok(())
        })
        .await
    }

    /// Puts the new key of a rollover in the place of the old one.
    pub(crate) async fn change_key(&self, host: &str, new: &Secret) -> Result<()> {
        self.change(host, |fields| {
            fields.insert(KEY.to_owned(), copy(new));
            fields.remove(NEXT_KEY);
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        host: &str,
        change: impl Fn(&mut Fields) -> Result<()> + Send + Sync,
    ) -> Result<()> {
        let at = [ACCOUNTS, host];
        for _ in 0..ATTEMPTS {
            let mut found = self.kv.read(self.token(), &at).await?;
            let mut fields = found.fields.take().unwrap_or_default();
            change(&mut fields)?;
            let written = self.kv.write(self.token(), &at, (&fields, &found)).await?;
            if written == Written::Done {
                return Ok(());
            }
        }
        Err(self.others_come_first(&at))
    }
}
