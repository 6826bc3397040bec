//! What a user does with the account itself: look, register, change its key, close it.

use anyhow::{Context, Result, anyhow};

use crate::acme::account::{Account, Registration};
use crate::acme::holder::Holder;
use crate::model::account::AccountState;
use crate::model::hint::Hint;
use crate::nightly::rollover::Changed;
use crate::nightly::unlock::{Accounts, Opened, Unstored};
use crate::repo::accounts::{StoredAccount, key_path};

/// What came of `account register`.
pub(crate) enum Registered {
    New {
        url: String,
        /// Where the commit went, in words.
        pushed: Option<String>,
    },
    /// The repository has an account, which may be any age.
    Before { url: Option<String> },
}

impl Accounts<'_> {
    /// What the CA says of the account. Changes nothing.
    pub(crate) async fn show(&self) -> Result<AccountState> {
        let stored = self.must_have().await?;
        let holder = self.holder(&stored).await?;
        let object = holder.read().await?;
        Ok(AccountState {
            url: holder.url().to_owned(),
            bound_to: object.bound_to(),
            status: object.status,
            contacts: object.contact,
            terms_of_service_agreed: object.terms_of_service_agreed,
            orders: object.orders,
            ca: self.directory.name(),
            directory: self.directory.url().to_owned(),
            key_type: holder.key().to_string(),
            key_file: stored.key_path,
            rollover_begun: stored.next.is_some(),
        })
    }

    /// Registers an account, unless there is one, and stores it.
    pub(crate) async fn register_and_store(
        &self,
        registration: &Registration,
    ) -> Result<Registered> {
        if let Some(stored) = self.stored().await? {
            return Ok(Registered::Before { url: stored.url });
        }
        if self.vault.is_none() {
            self.store().prove().await?;
        }
        let opened = Box::pin(self.register(registration)).await?;
        let url = opened.account.url().to_owned();
        let pushed = match opened.new {
            Some(new) => self.keep(&url, new).await?,
            None => None,
        };
        Ok(Registered::New { url, pushed })
    }

    /// The account, once it is stored: what is ordered with one that is lost is lost as well.
    pub(super) async fn kept(&self, opened: Opened) -> Result<Account> {
        if let Some(new) = opened.new {
            let url = opened.account.url();
            self.progress
                .say(&format!("registered the ACME account `{url}`"));
            self.keep(url, new).await?;
        }
        Ok(opened.account)
    }

    /// Stores a new account. Returns where the commit went, in words.
    async fn keep(&self, url: &str, new: Unstored) -> Result<Option<String>> {
        let host = self.directory.host();
        let kept = match (new, self.vault) {
            (Unstored::InGit(files), _) => {
                let message = format!("Register an ACME account at {host}\n");
                let saved = self.store().save(message, files).await;
                saved.map(|saved| saved.map(|saved| saved.to_string()))
            }
            (Unstored::InVault(files), Some(vaulting)) => {
                let vault = vaulting.open(self.progress).await?;
                let kept = vault.keep_account(&host, &files.metadata, &files.key);
                kept.await.map(|()| None)
            }
            (Unstored::InVault(_), None) => Err(anyhow!("there is no Vault")),
        };
        kept.with_context(|| format!("cannot store the new ACME account `{url}`"))
    }

    /// Gives the account another key, which it has to have in any form.
    pub(crate) async fn rollover(&self) -> Result<Changed> {
        let stored = self.must_have().await?;
        if self.vault.is_none() {
            self.store().prove().await?;
        }
        let old = self.opened(&stored.key, &stored.key_path).await?;
        self.change_key(&stored, &old).await
    }

    /// The account with the key that the CA knows it by.
    pub(crate) async fn known(&self) -> Result<Holder> {
        let stored = self.must_have().await?;
        self.holder(&stored).await
    }

    pub(super) async fn must_have(&self) -> Result<StoredAccount> {
        let host = self.directory.host();
        let stored = self.stored().await?;
        let (place, path) = match self.vault {
            Some(vaulting) => {
                let vault = vaulting.open(self.progress).await?;
                ("Vault", vault.account_path(&host))
            }
            None => ("the cert repository", key_path(&host)),
        };
        stored
            .ok_or_else(|| {
                anyhow!("there is no account at `{host}` in {place}: `{path}` is not there")
            })
            .hint(|| "`git-certs account register` makes one; `--acme` says at which CA")
    }
}
