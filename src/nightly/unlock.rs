//! The account key: opened when something needs it, or made with a new account.

use anyhow::{Context, Result, anyhow};

use crate::acme::account::{Account, NewAccountFiles, Registration};
use crate::acme::account_key::AccountKey;
use crate::acme::connections::Connections;
use crate::acme::holder::Holder;
use crate::acme::key::CertificateKey;
use crate::acme::mark::Marker;
use crate::acme::presets::Directory;
use crate::model::certificate::CertificateName;
use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret};
use crate::nightly::keyring::Keyring;
use crate::nightly::store::Store;
use crate::nightly::vault_look::own_key;
use crate::nightly::vaulting::Vaulting;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::accounts::{self, StoredAccount, StoredKey};
use crate::repo::git::File;
use crate::repo::{keys, layout};
use crate::report::progress::Progress;

/// The accounts of a cert repository at one CA, and what opens them.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) progress: &'a Progress,
    pub(crate) connections: &'a Connections,
    pub(crate) directory: &'a Directory,
    pub(crate) keyring: &'a Keyring,
    /// Where accounts are instead of in the repository.
    pub(crate) vault: Option<&'a Vaulting>,
    pub(crate) push: bool,
    /// Other runs use them at the same time: none is made, and no key is changed.
    pub(crate) is_shared: bool,
}

/// An account that orders can be placed with.
pub(crate) struct Opened {
    pub(crate) account: Account,
    /// What has yet to be stored of an account that was registered just now.
    pub(crate) new: Option<Unstored>,
}

/// What is to be stored of a new account.
pub(crate) enum Unstored {
    InGit(Vec<File>),
    InVault(NewAccountFiles),
}

impl<'a> Accounts<'a> {
    /// The account, from the cert repository; registered if there is none.
    ///
    /// One that is shared has to be there, with a key for orders. Else an account whose key cannot sign orders, as
    /// get-certs made them, gets another key, and a rollover that an earlier run began is brought to its end.
    pub(crate) async fn open(&self, registration: &Registration) -> Result<Opened> {
        let opened = match self.stored_or_new().await? {
            Some(stored) => {
                let key = Box::pin(self.key_for_orders(&stored)).await?;
                let account = Account::open(self.directory, self.connections, &key).await?;
                stored.must_be(account.url())?;
                Opened { account, new: None }
            }
            None => Box::pin(self.register(registration)).await?,
        };
        tracing::debug!(account = opened.account.url(), "account");
        Ok(opened)
    }

    /// What tells by their marks the notes of runs that had the account key; none where there is no account.
    pub(super) async fn marker(&self) -> Result<Option<Marker>> {
        let Some(stored) = self.stored().await? else {
            return Ok(None);
        };
        let key = self.key_of(&stored).await?;
        Marker::of(&key).map(Some)
    }

    /// What the repository has; none where one may be made.
    pub(super) async fn stored_or_new(&self) -> Result<Option<StoredAccount>> {
        if !self.is_shared {
            return self.stored().await;
        }
        let stored = self.must_have().await;
        stored
            .map(Some)
            .context("a shard registers no account, as each of them would make its own")
    }

    async fn key_for_orders(&self, stored: &StoredAccount) -> Result<Secret> {
        let key = self.key_of(stored).await?;
        let kind = self.parse(&key)?;
        if stored.next.is_none() && kind.signs_orders() {
            return Ok(key);
        }
        if self.is_shared {
            return Err(with_hint(
                anyhow!(
                    "the ACME account needs another key, and a shard changes none: others use it too"
                ),
                "`git-certs account rollover` changes it, and so does one `renew` without `--shard`",
            ));
        }
        match self.change_key(stored, &key).await {
            Ok(changed) => {
                self.progress.say(&changed.to_string());
                Ok(changed.key)
            }
            // No certificate waits for a rollover that can wait: is the old key still good?
            Err(error) if kind.signs_orders() && self.find(stored, &key).await?.is_some() => {
                self.progress.warn(&format!(
                    "the rollover of the account key that was begun cannot be ended, and the \
                     old key stays in use: {error:#}"
                ));
                Ok(key)
            }
            Err(error) => Err(error),
        }
    }

    /// Registers an account. Its files have yet to be stored.
    pub(super) async fn register(&self, registration: &Registration) -> Result<Opened> {
        let register = || Account::register(self.directory, self.connections, registration);
        if self.vault.is_some() {
            let (account, files) = register().await?;
            let new = Some(Unstored::InVault(files));
            return Ok(Opened { account, new });
        }
        // Whoever cannot store the key must not make an account.
        let recipients = self
            .workspaces
            .with(|workspace| layout::account_recipients(workspace))
            .await?;
        let (account, files) = register().await?;
        let host = self.directory.host();
        let public_key = CertificateKey::parse(&files.key)?.public_key_der();
        let metadata = accounts::with_public_key(&files.metadata, &public_key)?;
        let files = accounts::account_files(&host, &metadata, &files.key, &recipients)?;
        let new = Some(Unstored::InGit(files));
        Ok(Opened { account, new })
    }

    /// The private key of a certificate that keeps it; none where there is none yet.
    pub(super) async fn certificate_key(&self, name: &CertificateName) -> Result<Option<Secret>> {
        if let Some(vaulting) = self.vault {
            let vault = vaulting.open(self.progress).await?;
            let held = vault.certificate(name).await?;
            let Some(held) = held.filter(|held| !held.is_compromised()) else {
                return Ok(None);
            };
            // Whoever can write there could have put a key of their own, and would know that of the next certificate.
            return match (held.leaf(), held.key) {
                (Some(leaf), Some(key)) => {
                    let place = format!("tls.key of {} in Vault", vault.path_of(name));
                    own_key(&key, &leaf, &place).map(Some)
                }
                (_, key) => Ok(key),
            };
        }
        let at = name.clone();
        let (stored, public_key) = self
            .workspaces
            .with(move |workspace| {
                let stored = layout::certificate_key(workspace, &at)?;
                // One that cannot be read vouches for no key, and is what is to be replaced.
                Ok((
                    stored,
                    keys::public_key(&mut workspace.reader()?, &at)
                        .ok()
                        .flatten(),
                ))
            })
            .await?;
        let Some((key, path)) = stored else {
            return Ok(None);
        };
        let key = self.decrypt(&key, &path).await.hint(|| {
            "a certificate with `reuse_key` needs an identity that opens its key; leave it out for a new key each time"
        })?;
        // Whoever can push could have put a key of their own there, and would know that of the next certificate.
        let own = || CertificateKey::parse(&key).map(|key| key.public_key_der());
        if let Some(public_key) = public_key
            && own().with_context(|| format!("cannot use what is in `{path}`"))? != public_key
        {
            return Err(anyhow!("the key in `{path}` is not the certificate's")).hint(|| {
                format!(
                    "somebody put another key there: `git log` says who; take the right one from an older commit \
                     (`git-certs rollback {name} --to COMMIT`), or leave `reuse_key` out for a new key"
                )
            });
        }
        Ok(Some(key))
    }

    /// What the repository has, or Vault.
    pub(super) async fn stored(&self) -> Result<Option<StoredAccount>> {
        let host = self.directory.host();
        if let Some(vaulting) = self.vault {
            return vaulting.open(self.progress).await?.account(&host).await;
        }
        self.workspaces
            .with(move |workspace| accounts::account(workspace, &host))
            .await
    }

    /// The account with the key that the CA knows it by, of whatever kind.
    pub(super) async fn holder(&self, stored: &StoredAccount) -> Result<Holder> {
        let key = self.key_of(stored).await?;
        if let Some(holder) = self.find(stored, &key).await? {
            return Ok(holder);
        }
        if let Some(next) = &stored.next {
            let path = accounts::next_key_path(&self.directory.host());
            let next = self.opened(next, &path).await?;
            if let Some(holder) = self.find(stored, &next).await? {
                return Ok(holder);
            }
        }
        Err(self.unknown(stored))
    }

    /// The stored account by one of its keys; none if the CA has none for that key.
    pub(super) async fn find(
        &self,
        stored: &StoredAccount,
        key: &Secret,
    ) -> Result<Option<Holder>> {
        let key = self.parse(key)?;
        let found = Holder::find(self.directory, self.connections, key).await?;
        if let Some(holder) = &found {
            stored.must_be(holder.url())?;
        }
        Ok(found)
    }

    pub(super) fn parse(&self, key: &Secret) -> Result<AccountKey> {
        AccountKey::parse(key)
            .with_context(|| format!("cannot use the account key for `{}`", self.directory.host()))
    }

    /// No account belongs to any key that is stored.
    pub(super) fn unknown(&self, stored: &StoredAccount) -> anyhow::Error {
        with_hint(
            anyhow!(
                "`{}` has no account for the key in `{}`",
                self.directory,
                stored.key_path
            ),
            if stored.is_in_vault() {
                "check that `--acme` is the CA of this key; for a new account, remove that secret and run again \
                 with `--agree-tos`"
                    .to_owned()
            } else {
                format!(
                    "check that `--acme` is the CA of this key; for a new account, move the files in \
                     `.letsencrypt/{}/` away and run again with `--agree-tos`",
                    self.directory.host()
                )
            },
        )
    }

    /// Commits and pushes what must be safe before the next step.
    pub(super) fn store(&self) -> Store<'a> {
        Store {
            workspaces: self.workspaces,
            push: self.push,
            progress: self.progress,
        }
    }

    async fn key_of(&self, stored: &StoredAccount) -> Result<Secret> {
        self.opened(stored.safe_key()?, &stored.key_path).await
    }

    /// What is in a key that is stored.
    pub(super) async fn opened(&self, key: &StoredKey, key_path: &str) -> Result<Secret> {
        match key {
            StoredKey::Sealed(sealed) => self.decrypt(sealed, key_path).await,
            StoredKey::Plain(key) | StoredKey::Open(key) => Ok(Secret::new(key.expose().to_vec())),
        }
    }

    /// Opens a key with the first identity that can.
    pub(super) async fn decrypt(&self, key: &Sealed, key_path: &str) -> Result<Secret> {
        let (keyring, progress) = (self.keyring.clone(), self.progress.clone());
        let (key, key_path) = (key.clone(), key_path.to_owned());
        blocking(move || keyring.decrypt(&key, &key_path, &progress)).await
    }
}
