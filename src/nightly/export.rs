//! Opens certificates for servers: the one command that reads certificate keys.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use time::OffsetDateTime;

use crate::acme::key::CertificateKey;
use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::hint::{Hint, Shared, several};
use crate::nightly::keyring::Keyring;
use crate::nightly::rekey::ensure_same;
use crate::nightly::workspaces::Workspaces;
use crate::repo::export::stored::{self, Stored};
use crate::repo::export::{Bundle, pkcs8};
use crate::repo::git::Workspace;
use crate::repo::keys;
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
        let Self {
            workspaces,
            keyring,
            progress,
        } = self;
        let progress = progress.clone();
        let open = move |workspace: &mut Workspace| {
            let stored = changed(workspace, found(workspace, &which)?, since.as_deref())?;
            let mut bundles = Vec::new();
            let mut failed = Vec::new();
            for (name, stored) in stored {
                if let (Which::All, Some(why)) = (&which, left_out(&name, &stored)) {
                    progress.warn(&why);
                    continue;
                }
                match bundle(&name, stored, &keyring, &progress) {
                    Ok((bundle, leaf)) => {
                        if let Some(warning) = expired(&name, &leaf, now) {
                            progress.warn(&warning);
                        }
                        bundles.push(bundle);
                    }
                    Err(error) => {
                        let error = error.context(format!("cannot export `{name}`"));
                        failed.push(Shared::new(error));
                    }
                }
            }
            match several(failed) {
                Some(error) => Err(error),
                None => Ok(Opened {
                    bundles,
                    work_tree: workspace.work_tree()?,
                }),
            }
        };
        workspaces.with(open).await
    }
}

/// The certificates that are asked for.
fn found(workspace: &Workspace, which: &Which) -> Result<Vec<(CertificateName, Stored)>> {
    let mut reader = workspace.reader()?;
    let mut all = Vec::new();
    match which {
        Which::These(names) => {
            for name in names {
                let stored = stored::find(&mut reader, name)?;
                all.push((name.clone(), stored.ok_or_else(|| stored::missing(name))?));
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
fn left_out(name: &CertificateName, stored: &Stored) -> Option<String> {
    if let Some(revoked) = &stored.revoked {
        return Some(format!("`{name}` is left out: it was {revoked}"));
    }
    let has_no_key = stored.key.is_none();
    has_no_key.then(|| format!("`{name}` is left out: its key is not in the repository"))
}

fn expired(name: &CertificateName, leaf: &Leaf, now: OffsetDateTime) -> Option<String> {
    let end = leaf.not_after;
    (end <= now).then(|| format!("`{name}` has expired on {}", end.date()))
}

fn bundle(
    name: &CertificateName,
    stored: Stored,
    keyring: &Keyring,
    progress: &Progress,
) -> Result<(Bundle, Leaf)> {
    let path = stored::key_path(name);
    let key = keyring.decrypt(stored::key(name, &stored)?, &path, progress)?;
    let own =
        CertificateKey::parse(&key).with_context(|| format!("cannot use what is in `{path}`"))?;
    // Whoever can push could have put another key there.
    ensure_same(&own.public_key_der(), &stored.leaf.public_key, &path)?;
    let bundle = Bundle {
        name: name.clone(),
        chain: stored.chain,
        key_der: pkcs8(&key)
            .ok_or_else(|| anyhow!("the key in `{path}` is not in the form PKCS#8"))
            .hint(|| "`git-certs renew --only NAME --renew 9999` makes a new one; or bring it into that form (`openssl pkcs8 -topk8 -nocrypt`) and encrypt it again")?,
        key,
    };
    Ok((bundle, stored.leaf))
}
