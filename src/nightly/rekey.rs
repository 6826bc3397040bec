//! Encrypts keys anew for the recipients of today, as far as the caller can open them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};

use crate::acme::key::CertificateKey;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::hint::{Hint, with_hint};
use crate::model::recipients::{Fit, Past, Rekeyed};
use crate::model::secret::Secret;
use crate::model::wording::count;
use crate::nightly::job::{KeysJob, Override};
use crate::nightly::store::Store;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::repo::certs_json::{self, Defaults};
use crate::repo::git::{File, Reader, Workspace};
use crate::repo::keys::{self, KeyFile, Lists, Owner};
use crate::repo::{accounts, layout, past};
use crate::report::progress::Progress;

/// The keys of a cert repository.
pub(crate) struct Keys<'a> {
    pub(crate) workspaces: &'a Workspaces,
    pub(crate) progress: &'a Progress,
    pub(crate) job: Arc<KeysJob>,
}

/// What has been encrypted anew, and is not stored yet.
struct Fresh {
    files: Vec<File>,
    rekeyed: Rekeyed,
}

impl Keys<'_> {
    /// All keys, and for whom they are encrypted.
    pub(crate) async fn all(&self) -> Result<Vec<KeyFile>> {
        let job = Arc::clone(&self.job);
        self.workspaces
            .with(move |workspace| all(workspace, &job))
            .await
    }

    pub(crate) fn store(&self) -> Store<'_> {
        Store {
            workspaces: self.workspaces,
            push: self.job.push,
            progress: self.progress,
        }
    }

    /// Encrypts what is not encrypted for the recipients of today: of the certificates that are named, or of
    /// all and the accounts. One commit; none if there is nothing to do.
    pub(crate) async fn rekey(&self, names: BTreeSet<CertificateName>) -> Result<Rekeyed> {
        let job = Arc::clone(&self.job);
        let at = names.clone();
        let progress = self.progress.clone();
        let step = self.progress.step("encrypting keys anew");
        let Fresh { files, mut rekeyed } = self
            .workspaces
            .with(move |workspace| fresh(workspace, &job, &at, &progress))
            .await?;
        if !files.is_empty() {
            let done = count(rekeyed.done.len(), "key");
            step.done(&format!("encrypted {done} anew"));
            let store = self.store();
            store.prove().await?;
            let message = format!(
                "Rekey {done} for the recipients of today\n\nKeys: {}\n",
                rekeyed.done.join(", ")
            );
            let saved = store.save(message, files).await;
            let saved = saved.context("the keys that were encrypted anew cannot be stored")?;
            rekeyed.pushed = saved.map(|saved| saved.to_string());
        }
        rekeyed.past = self.past(names).await?;
        Ok(rekeyed)
    }

    /// What older commits give away. None where they are not here.
    async fn past(&self, names: BTreeSet<CertificateName>) -> Result<Option<Past>> {
        let job = Arc::clone(&self.job);
        let (place, keys) = self
            .workspaces
            .with(move |workspace| {
                let keys = keys::named(all(workspace, &job)?, &names)?;
                Ok((workspace.place(), keys))
            })
            .await?;
        blocking(move || match place {
            Some(place) if !place.is_cut_off()? => past::past(&place, keys).map(Some),
            _ => Ok(None),
        })
        .await
    }
}

/// What certs.json has.
pub(super) fn listed(workspace: &Workspace, job: &KeysJob) -> Result<Vec<Wanted>> {
    let defaults = Defaults::default();
    let listed = match &job.certs_json {
        Some(Override { origin, text }) => {
            let read = |path: &str| workspace.read(path);
            certs_json::parse(text.as_bytes(), origin, &defaults, &read)
        }
        None => layout::wanted(workspace, &defaults),
    };
    Ok(listed?.wanted)
}

fn all(workspace: &Workspace, job: &KeysJob) -> Result<Vec<KeyFile>> {
    let lists = Lists {
        listed: keys::listed(&listed(workspace, job)?),
        instead: job.recipients.as_ref().map(Override::as_pair),
    };
    keys::all(workspace, &lists)
}

fn fresh(
    workspace: &Workspace,
    job: &KeysJob,
    names: &BTreeSet<CertificateName>,
    progress: &Progress,
) -> Result<Fresh> {
    let keys = keys::named(all(workspace, job)?, names)?;
    let (current, others): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.fit == Fit::Current);
    let mut fresh = Fresh {
        files: Vec::new(),
        rekeyed: Rekeyed {
            done: Vec::new(),
            failed: Vec::new(),
            current: current.len(),
            pushed: None,
            past: None,
        },
    };
    if others.is_empty() {
        return Ok(fresh);
    }
    let mut reader = workspace.reader()?;
    for key in others {
        let opened = job.keyring.decrypt(&key.sealed, &key.path, progress);
        match opened.and_then(|secret| encrypted_anew(&mut reader, &key, &secret)) {
            Ok(files) => {
                fresh.files.extend(files);
                fresh.rekeyed.done.push(key.owner.to_string());
            }
            Err(error) => {
                let error = error.context(format!("cannot rekey {}", key.owner));
                fresh.rekeyed.failed.push(error);
            }
        }
    }
    Ok(fresh)
}

fn encrypted_anew(reader: &mut Reader<'_>, key: &KeyFile, secret: &Secret) -> Result<Vec<File>> {
    // Whoever can push could have put another key there; a hash of ours must not vouch for it.
    match &key.owner {
        Owner::Certificate(name) => {
            if let Some(public_key) = keys::public_key(reader, name)? {
                let own = public_half(key, CertificateKey::parse(secret))?;
                ensure_same(&own, &public_key, (&key.path, name))?;
            }
        }
        Owner::Account(host) => ensure_of_account(host, key, secret)?,
    }
    Ok(key.replaced_by(key.recipients.seal(secret)?))
}

fn public_half(key: &KeyFile, opened: Result<CertificateKey>) -> Result<Vec<u8>> {
    let own = opened.with_context(|| format!("cannot use what is in `{}`", key.path))?;
    Ok(own.public_key_der())
}

/// The key that was opened must be the account's, as far as account.json says which that is.
fn ensure_of_account(host: &str, key: &KeyFile, secret: &Secret) -> Result<()> {
    let (path, metadata) = (&key.path, accounts::metadata_path(host));
    let is_its = if key.names_public_key() {
        key.is_for(&public_half(key, CertificateKey::import(secret))?)
    } else {
        key.fit != Fit::Swapped
    };
    if is_its {
        return Ok(());
    }
    Err(with_hint(
        anyhow!("the key in `{path}` is not the one that `{metadata}` names"),
        format!(
            "somebody put another key there: `git log` says who; take the files of one commit of a run, or correct \
             `{metadata}` if the key is right"
        ),
    ))
}

/// The key that was opened must be the certificate's.
pub(super) fn ensure_same(
    own: &[u8],
    of_certificate: &[u8],
    (path, name): (&str, &CertificateName),
) -> Result<()> {
    let check = || {
        ensure!(
            own == of_certificate,
            "the key in `{path}` is not the certificate's"
        );
        Ok(())
    };
    check().hint(|| {
        format!(
            "somebody put another key there: `git log` says who; take the right one from an older commit, or issue the \
             certificate again: `git-certs renew --only {name} --renew 9999`"
        )
    })
}
