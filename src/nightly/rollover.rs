//! Another key for an account: key rollover (RFC 8555 section 7.3.5), so that no moment leaves the
//! account with a key that nobody has.
//!
//! The account's URL stays, and with it what hangs on it: CAA records with `accounturi`, ARI's
//! `replaces`, the CA's limits. The steps, each of which survives a kill after it:
//!
//! 1. The new key is made, marked with the old one, and stored encrypted beside it (`account.key.next.age`): committed
//!    and pushed. A push that is refused ends it here, and the CA has not heard of the new key.
//! 2. The CA is told (keyChange, signed by both keys).
//! 3. The new key takes the old one's place in one commit, which is pushed.
//!
//! A run that finds both keys does not know whether step 2 was done. It asks the CA for the account
//! of the new key first: if there is one, step 3 is left; if not, the old key is still good, and step
//! 2 is done with the new key that is stored already.
//!
//! Of two runs at the same time the second meets a conflict when it pushes the file of step 1; or, if
//! the first has ended by then, a CA that does not know the old key any more. Either ends it, and what
//! it stored is the new key of the next rollover.

use std::fmt;

use anyhow::{Context, Result, anyhow};

use crate::acme::account_key::AccountKey;
use crate::acme::key::CertificateKey;
use crate::acme::mark::Marker;
use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret};
use crate::nightly::store::Saved;
use crate::nightly::unlock::Accounts;
use crate::repo::accounts::{self, StoredAccount, StoredKey};
use crate::repo::layout;
use crate::repo::seal::Recipients;

/// An account that has another key now. Prints as what is said about it.
pub(crate) struct Changed {
    /// The new key.
    pub(super) key: Secret,
    url: String,
    /// What kind of key is void now.
    old_kind: String,
    /// Where the new key is.
    key_path: String,
    was_plain: bool,
    /// Where the commits went.
    pub(crate) pushed: Option<Saved>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the ACME account `{}` has a new key, in `{}`; the old one, of kind {}, is void",
            self.url, self.key_path, self.old_kind
        )?;
        if self.was_plain {
            f.write_str(
                ": the history of the repository still has it in plain text, where it does no harm \
                 any more",
            )?;
        }
        Ok(())
    }
}

/// A key that is stored, and what is in it.
struct NextKey {
    /// None in Vault.
    sealed: Option<Sealed>,
    key: Secret,
    /// None: an earlier run encrypted it.
    recipients: Option<Recipients>,
    /// Where the commit with it went, if this run has made it.
    saved: Option<Saved>,
}

impl Accounts<'_> {
    /// Gives the account of the key `old` another one, or brings to its end what a run before began.
    pub(super) async fn change_key(&self, stored: &StoredAccount, old: &Secret) -> Result<Changed> {
        let next = match &stored.next {
            Some(next) => Some(self.begun(next, old).await?),
            None => None,
        };
        if let Some(next) = &next
            && let Some(holder) = self.find(stored, &next.key).await?
        {
            return self.settle(stored, old, (next, holder.url())).await;
        }
        let holder = self.find(stored, old).await?;
        let holder = holder.ok_or_else(|| self.unknown(stored))?;
        holder.can_change_key()?;
        let next = match next {
            Some(next) => {
                // The run before may have been stopped before its push.
                if self.vault.is_none() {
                    self.store().push().await?;
                }
                next
            }
            None => self.prepare((stored, old), holder.url()).await?,
        };
        let place = (self.directory, self.connections);
        let holder = holder.change_key(place, &next.key).await?;
        self.settle(stored, old, (&next, holder.url())).await
    }

    /// What an earlier run stored in step 1, and nobody else: who can push, but not open `old`, must not come to
    /// hold the account.
    async fn begun(&self, next: &StoredKey, old: &Secret) -> Result<NextKey> {
        let path = accounts::next_key_path(&self.directory.host());
        let key = self.opened(next, &path).await?;
        let StoredKey::Sealed(sealed) = next else {
            // Who may write the new key in Vault may write the old one.
            return Ok(NextKey {
                sealed: None,
                key,
                recipients: None,
                saved: None,
            });
        };
        // Without git a run may have been killed in the middle of step 3.
        let has_followed = key.expose() == old.expose();
        if !has_followed && !Marker::of(old)?.is_followed_by(&key)? {
            return Err(with_hint(
                anyhow!("nobody who can open the account key has put the one in `{path}` there"),
                "somebody may want to take the account over: `git log` says who; remove that file, and the \
                 account keeps its key",
            ));
        }
        Ok(NextKey {
            key,
            sealed: Some(sealed.clone()),
            recipients: None,
            saved: None,
        })
    }

    /// Step 1.
    ///
    /// Whoever opened the old key must be able to open the new one, or the next run could not.
    async fn prepare(
        &self,
        (stored, old): (&StoredAccount, &Secret),
        url: &str,
    ) -> Result<NextKey> {
        let key = Marker::of(old)?.next_key(&AccountKey::generate()?)?;
        if let Some(vaulting) = self.vault {
            let vault = vaulting.open(self.progress).await?;
            let kept = vault.keep_next_key(&self.directory.host(), &key).await;
            kept.context("cannot store the new key of the account: its old key stays in use")?;
            return Ok(NextKey {
                sealed: None,
                key,
                recipients: None,
                saved: None,
            });
        }
        let recipients = self
            .workspaces
            .with(|workspace| layout::account_recipients(workspace))
            .await?;
        let sealed = recipients.seal(&key)?;
        if let StoredKey::Sealed(_) = stored.key {
            let path = accounts::next_key_path(&self.directory.host());
            self.decrypt(&sealed, &path)
                .await
                .context("the account keeps its key: this run could not open the new one")
                .hint(|| {
                    "add the recipient of its identity to `.letsencrypt/.age-recipients`, or to \
                     `.age-recipients` where that is not there: `age-keygen -y FILE` prints it"
                })?;
        }
        let file = accounts::next_key_file(&self.directory.host(), sealed.clone());
        let message = format!("Add a new key for the ACME account {url}\n");
        let saved = self.store().save(message, vec![file]).await;
        let saved =
            saved.context("cannot store the new key of the account: its old key stays in use")?;
        Ok(NextKey {
            sealed: Some(sealed),
            key,
            recipients: Some(recipients),
            saved,
        })
    }

    /// Step 3.
    async fn settle(
        &self,
        stored: &StoredAccount,
        old: &Secret,
        (next, url): (&NextKey, &str),
    ) -> Result<Changed> {
        let host = self.directory.host();
        let (next_path, key_path) = match self.vault {
            Some(_) => (stored.key_path.clone(), stored.key_path.clone()),
            None => (accounts::next_key_path(&host), accounts::key_path(&host)),
        };
        let pushed = self.put_in_place(stored, next, url).await;
        let pushed = pushed.with_context(|| {
            format!(
                "the account `{url}` has a new key, which is in `{next_path}`: the next run puts it \
                 in its place, which did not succeed now"
            )
        })?;
        Ok(Changed {
            key: Secret::new(next.key.expose().to_vec()),
            url: url.to_owned(),
            old_kind: self.parse(old)?.to_string(),
            key_path,
            was_plain: matches!(stored.key, StoredKey::Plain(_)),
            pushed: pushed.map(|pushed| pushed.after(next.saved.as_ref())),
        })
    }

    /// Returns where the commit went.
    async fn put_in_place(
        &self,
        stored: &StoredAccount,
        next: &NextKey,
        url: &str,
    ) -> Result<Option<Saved>> {
        let host = self.directory.host();
        if let Some(vaulting) = self.vault {
            let vault = vaulting.open(self.progress).await?;
            vault.change_key(&host, &next.key).await?;
            return Ok(None);
        }
        let sealed = next
            .sealed
            .clone()
            .context("the new key is not encrypted")?;
        let public_key = CertificateKey::parse(&next.key)?.public_key_der();
        let new = (sealed, public_key.as_slice());
        let files = accounts::changed_key_files(&host, stored, new, next.recipients.as_ref());
        let message = format!("Change the key of the ACME account {url}\n");
        self.store().save(message, files).await
    }
}
