//! Opens certificates for servers: the one command that reads certificate keys.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Error, Result, anyhow, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use crate::acme::key::CertificateKey;
use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::hint::{Hint, Shared, several, with_hint};
use crate::model::home::Home;
use crate::nightly::keyring::Keyring;
use crate::nightly::rekey::ensure_same;
use crate::nightly::vault_look::own_key;
use crate::nightly::vault_store::AT_ONCE;
use crate::nightly::vaulting::Vaulting;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::export::stored::{self, Key, Stored};
use crate::repo::export::{Bundle, pkcs8};
use crate::repo::git::Workspace;
use crate::repo::keys;
use crate::repo::vault::VaultCertificate;
use crate::report::progress::Progress;

/// A revision that stands for nothing: GitHub and GitLab say so where a branch is new.
const NOTHING: char = '0';

/// Which certificates.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    All,
    These(BTreeSet<CertificateName>),
}

/// What is to be opened, and with what.
pub(crate) struct Exports<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) keyring: Keyring,
    /// Where certificates are instead of in the repository.
    pub(crate) vault: Option<&'a Vaulting>,
    pub(crate) progress: &'a Progress,
}

/// What was opened.
pub(crate) struct Opened {
    pub(crate) bundles: Vec<Bundle>,
    /// The folder of the cert repository, where it is not cloned.
    pub(crate) work_tree: Option<PathBuf>,
}

impl Exports<'_> {
    /// The certificates with their keys; of those that are others than in `since`, if that is given.
    ///
    /// All of them, or an error: a job does not go on with half of what it asked for.
    pub(crate) async fn open(
        self,
        which: Which,
        since: Option<String>,
        now: OffsetDateTime,
    ) -> Result<Opened> {
        let work_tree = self.workspaces.with(|workspace| workspace.work_tree());
        let work_tree = work_tree.await?;
        let (home, stored) = if let Some(vaulting) = self.vault {
            if since.is_some() {
                return Err(no_commits());
            }
            let stored = in_vault(vaulting, &which, self.progress).await?;
            (Home::Vault, stored)
        } else {
            let which = which.clone();
            let find = move |workspace: &mut Workspace| {
                changed(workspace, found(workspace, &which)?, since.as_deref())
            };
            (Home::Repository, self.workspaces.with(find).await?)
        };
        let opening = Opening {
            which,
            home,
            keyring: self.keyring,
            progress: self.progress.clone(),
            now,
        };
        let bundles = blocking(move || opening.bundles(stored)).await?;
        Ok(Opened { bundles, work_tree })
    }
}

fn no_commits() -> Error {
    with_hint(
        anyhow!("`--only-changed-since` compares with a commit, and the certificates are in Vault"),
        "leave it out: `--to` leaves files that have not changed alone, and the command after `--` runs after a change only",
    )
}

/// How certificates are opened that were found.
struct Opening {
    which: Which,
    home: Home,
    keyring: Keyring,
    progress: Progress,
    now: OffsetDateTime,
}

impl Opening {
    fn bundles(&self, stored: Vec<(CertificateName, Stored)>) -> Result<Vec<Bundle>> {
        let mut bundles = Vec::new();
        let mut failed = Vec::new();
        for (name, stored) in stored {
            if let (Which::All, Some(why)) = (&self.which, left_out(&name, &stored, self.home)) {
                self.progress.warn(&why);
                continue;
            }
            match self.bundle(&name, stored) {
                Ok((bundle, leaf)) => {
                    if let Some(warning) = expired(&name, &leaf, self.now) {
                        self.progress.warn(&warning);
                    }
                    bundles.push(bundle);
                }
                Err(error) => {
                    let error = error.context(format!("cannot export `{name}`"));
                    failed.push(Shared::new(error));
                }
            }
        }
        several(failed).map_or(Ok(bundles), Err)
    }

    fn bundle(&self, name: &CertificateName, mut stored: Stored) -> Result<(Bundle, Leaf)> {
        let key = stored::key(name, &mut stored, self.home)?;
        let place = &stored.key_place;
        let key = match key {
            Key::Sealed(sealed) => {
                let key = self.keyring.decrypt(&sealed, place, &self.progress)?;
                let own = CertificateKey::parse(&key);
                let own = own.with_context(|| format!("cannot use what is in `{place}`"))?;
                // Whoever can push could have put another key there.
                ensure_same(
                    &own.public_key_der(),
                    &stored.leaf.public_key,
                    (place, name),
                )?;
                key
            }
            Key::Open(key) => own_key(&key, &stored.leaf, place)?,
        };
        let bundle = Bundle {
            name: name.clone(),
            chain: stored.chain,
            key_der: pkcs8(&key)
                .ok_or_else(|| anyhow!("the key in `{place}` is not in the form PKCS#8"))
                .hint(|| "`git-certs renew --only NAME --renew 9999` makes a new one; or bring it into that form (`openssl pkcs8 -topk8 -nocrypt`) and encrypt it again")?,
            key,
        };
        Ok((bundle, stored.leaf))
    }
}

/// The certificates that are asked for, in Vault.
async fn in_vault(
    vaulting: &Vaulting,
    which: &Which,
    progress: &Progress,
) -> Result<Vec<(CertificateName, Stored)>> {
    let vault = vaulting.open(progress).await?;
    let names: Vec<_> = match which {
        Which::These(names) => names.iter().cloned().collect(),
        Which::All => vault
            .names()
            .await?
            .ok_or_else(|| anyhow!("the Vault token may not list `{}`", vault.shown()))
            .hint(|| {
                format!(
                    "its policy needs `{}`; or name the certificates instead of `--all`",
                    vault.listing_policy()
                )
            })?,
    };
    let reads = names.into_iter().map(|name| async move {
        let found = vault.certificate(&name).await?;
        let path = vault.path_of(&name);
        let is_one = found.as_ref().is_some_and(VaultCertificate::has_chain);
        match found {
            // What was deleted is listed for as long as it can be brought back, and so is what others keep there.
            _ if !is_one && matches!(which, Which::All) => Ok(None),
            Some(found) => Ok(Some((name, found.stored(&path)?))),
            None => Err(stored::missing(&name, &format!("{path} in Vault"))),
        }
    });
    let all: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let all: Vec<_> = all.into_iter().flatten().collect();
    ensure!(
        !all.is_empty(),
        "`{}` in Vault has no certificate",
        vault.shown()
    );
    Ok(all)
}

/// The certificates that are asked for.
fn found(workspace: &Workspace, which: &Which) -> Result<Vec<(CertificateName, Stored)>> {
    let mut reader = workspace.reader()?;
    let mut all = Vec::new();
    match which {
        Which::These(names) => {
            for name in names {
                let stored = stored::find(&mut reader, name)?;
                all.push((
                    name.clone(),
                    stored.ok_or_else(|| stored::missing(name, &stored::chain_path(name)))?,
                ));
            }
        }
        Which::All => {
            for name in keys::certificates(workspace)? {
                if let Some(stored) = stored::find(&mut reader, &name)? {
                    all.push((name, stored));
                }
            }
            ensure!(!all.is_empty(), "the cert repository has no certificate");
        }
    }
    Ok(all)
}

/// Those that are others than in `since`.
fn changed(
    workspace: &Workspace,
    mut all: Vec<(CertificateName, Stored)>,
    since: Option<&str>,
) -> Result<Vec<(CertificateName, Stored)>> {
    let Some(since) = since.filter(|since| since.chars().any(|digit| digit != NOTHING)) else {
        return Ok(all);
    };
    let earlier = workspace.earlier(since)?;
    let mut kept = Vec::new();
    for (name, stored) in all.drain(..) {
        let before = earlier.read(&stored::chain_path(&name))?;
        if before.as_ref() != Some(&stored.bytes) {
            kept.push((name, stored));
        }
    }
    Ok(kept)
}

/// Why a certificate is none of "all".
fn left_out(name: &CertificateName, stored: &Stored, home: Home) -> Option<String> {
    if let Some(revoked) = &stored.revoked {
        return Some(format!("`{name}` is left out: it was {revoked}"));
    }
    let has_no_key = stored.key.is_none();
    has_no_key.then(|| format!("`{name}` is left out: its key is not in {home}"))
}

fn expired(name: &CertificateName, leaf: &Leaf, now: OffsetDateTime) -> Option<String> {
    let end = leaf.not_after;
    (end <= now).then(|| format!("`{name}` has expired on {}", end.date()))
}
