//! What a user does with the account itself: look, register, change its key, close it.

use anyhow::{Context, Result, anyhow};

use crate::acme::account::{Account, Registration};
use crate::acme::holder::Holder;
use crate::model::account::AccountState;
use crate::model::hint::Hint;
use crate::nightly::rollover::Changed;
use crate::nightly::unlock::{Accounts, Opened};
use crate::repo::accounts::{StoredAccount, StoredKey, key_path};
use crate::repo::git::File;

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
        self.store().prove().await?;
        let opened = Box::pin(self.register(registration)).await?;
        let url = opened.account.url().to_owned();
        let pushed = self.keep(&url, opened.new_files).await?;
        Ok(Registered::New { url, pushed })
    }

    /// The account, once it is stored: what is ordered with one that is lost is lost as well.
    pub(super) async fn kept(&self, opened: Opened) -> Result<Account> {
        if !opened.new_files.is_empty() {
            let url = opened.account.url();
            self.progress
                .say(&format!("registered the ACME account `{url}`"));
            self.keep(url, opened.new_files).await?;
        }
        Ok(opened.account)
    }

    /// Commits and pushes the files of a new account. Returns where the commit went, in words.
    async fn keep(&self, url: &str, files: Vec<File>) -> Result<Option<String>> {
        let message = format!("Register an ACME account at {}\n", self.directory.host());
        let kept = self.store().save(message, files).await;
        let kept = kept.with_context(|| format!("cannot store the new ACME account `{url}`"))?;
        Ok(kept.map(|saved| saved.to_string()))
    }

    /// Gives the account another key, which it has to have in any form.
    pub(crate) async fn rollover(&self) -> Result<Changed> {
        let stored = self.must_have().await?;
        self.store().prove().await?;
        match &stored.key {
            StoredKey::Sealed(sealed) => {
                let old = self.decrypt(sealed, &stored.key_path).await?;
                self.change_key(&stored, &old).await
            }
            StoredKey::Plain(old) => self.change_key(&stored, old).await,
        }
    }

    /// The account with the key that the CA knows it by.
    pub(crate) async fn known(&self) -> Result<Holder> {
        let stored = self.must_have().await?;
        self.holder(&stored).await
    }

    pub(super) async fn must_have(&self) -> Result<StoredAccount> {
        let host = self.directory.host();
        self.stored()
            .await?
            .ok_or_else(|| {
                anyhow!(
                    "there is no account at `{host}` in the cert repository: `{}` is not there",
                    key_path(&host)
                )
            })
            .hint(|| "`git-certs account register` makes one; `--acme` says at which CA")
    }
}
