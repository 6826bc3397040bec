//! The certificate before the one that is there, put back: decided first, then done.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::chain::{Leaf, list};
use crate::model::hint::{Hint, with_hint};
use crate::model::history::Step;
use crate::model::home::Home;
use crate::model::outcome::Planned;
use crate::nightly::job::Override;
use crate::nightly::plan::{self, Timing};
use crate::nightly::status::{Look, StatusJob, listed};
use crate::nightly::store::{Saved, Store};
use crate::nightly::workspaces::blocking;
use crate::repo::git::{Message, Workspace};
use crate::repo::keys;
use crate::repo::layout::{self, certificate_file};
use crate::repo::versions::{self, Version};

/// A certificate that can be put back.
pub(crate) struct Rollback {
    pub(crate) name: CertificateName,
    pub(crate) version: Version,
    /// The one that is there; none where there is none, or none that can be read.
    pub(crate) current: Option<Leaf>,
    /// What the user should know first.
    pub(crate) warnings: Vec<String>,
}

/// What the repository says of a certificate today.
struct Today {
    current: Option<Leaf>,
    wanted: Option<Wanted>,
    /// Its key is there, or with somebody else.
    has_its_key: bool,
    /// Hash of the recipients of today; an error says why they are not known.
    recipients: Result<String, String>,
}

impl Look<'_> {
    /// The certificate of a commit, or the last one before that of today. One that nobody could use is refused.
    pub(crate) async fn earlier(
        &self,
        name: &CertificateName,
        revision: Option<String>,
    ) -> Result<Rollback> {
        let steps = self.history(name).await?;
        let (job, at) = (Arc::clone(&self.job), name.clone());
        let (today, place) = self
            .workspaces
            .with(move |workspace| {
                let place = workspace.place().context("the repository has no commits")?;
                Ok((today(workspace, &job, &at)?, place))
            })
            .await?;
        let revision = match revision {
            Some(revision) => revision,
            None => before(name, &steps, today.current.as_ref())?,
        };
        let at = name.clone();
        let version = blocking(move || versions::at(&place, &at, &revision)).await?;
        let certificate = format!("the certificate of commit {}", version.commit.short_id());
        // One whose key is gone comes back with it.
        let current = today.current.as_ref().filter(|_| today.has_its_key);
        usable(name, &version, &steps, current, self.now)
            .and_then(|()| opened_by_somebody(&version, is_elsewhere(today.wanted.as_ref())))
            .with_context(|| format!("{certificate} is not put back"))?;
        Ok(Rollback {
            name: name.clone(),
            warnings: warnings(&version, &today, self.job.renew_days, self.now),
            version,
            current: today.current,
        })
    }

    /// Commits it, and pushes. Returns where the commit went, in words.
    pub(crate) async fn roll_back(
        &self,
        rollback: &Rollback,
        push: bool,
    ) -> Result<Option<String>> {
        let Rollback { name, version, .. } = rollback;
        let store = Store {
            workspaces: self.workspaces,
            push,
            progress: self.progress,
        };
        store.prove().await?;
        let subject = format!(
            "Roll back {name}: the certificate of {}",
            version.commit.short_id()
        );
        let message = Message::new(subject).about(&version.leaf);
        let files = version.files(name);
        self.workspaces
            .with(move |workspace| workspace.commit(message, &files))
            .await?;
        let pushed = store.push().await?;
        store.warn_if_behind().await;
        let chain = certificate_file(name, "crt");
        match pushed {
            Some(done) if done.superseded.iter().any(|path| path.ends_with(&chain)) => {
                Err(with_hint(
                    anyhow!(
                        "another run has stored certificate `{name}` meanwhile, and that one stays"
                    ),
                    "run it again if that certificate is to go, too",
                ))
            }
            pushed => Ok(pushed.as_ref().map(|done| Saved::of(done).to_string())),
        }
    }
}

fn today(workspace: &Workspace, job: &StatusJob, name: &CertificateName) -> Result<Today> {
    let chain = workspace.read(&certificate_file(name, "crt"))?;
    let key = workspace.read(&certificate_file(name, "key.age"))?;
    let description = workspace.read(&certificate_file(name, "json"))?;
    let mut wanted = listed(workspace, job)?.wanted.into_iter();
    let wanted = wanted.find(|wanted| wanted.name == *name);
    let list = wanted
        .as_ref()
        .and_then(|wanted| wanted.recipients.as_deref());
    let instead = job.recipients.as_ref().map(Override::as_pair);
    let recipients = layout::recipients(&mut workspace.reader()?, name, list, instead);
    Ok(Today {
        current: chain.and_then(|chain| Leaf::from_pem(&chain).ok()),
        has_its_key: match (key, description) {
            (Some(key), Some(description)) => !keys::names_another(&description, &key),
            (Some(_), None) => true,
            (None, _) => is_elsewhere(wanted.as_ref()),
        },
        recipients: recipients
            .map(|recipients| recipients.hash())
            .map_err(|error| format!("{error:#}")),
        wanted,
    })
}

fn is_elsewhere(wanted: Option<&Wanted>) -> bool {
    wanted.is_some_and(|wanted| wanted.key_source.is_elsewhere())
}

/// The last commit that has another certificate than that of today.
fn before(name: &CertificateName, steps: &[Step], current: Option<&Leaf>) -> Result<String> {
    let is_other = |step: &&Step| {
        let leaf = step.leaf.as_ref();
        leaf.is_some_and(|leaf| current.is_none_or(|current| current.serial != leaf.serial))
    };
    steps
        .iter()
        .find(is_other)
        .map(|step| step.commit.id.clone())
        .ok_or_else(|| anyhow!("there is no certificate `{name}` before the one that is there"))
        .hint(|| {
            format!(
                "if its files were changed, `--to COMMIT` takes those of a commit that `git-certs log {name}` shows; \
                 `git-certs revoke` and `git-certs renew --only` replace it by a new one"
            )
        })
}

/// Refuses a certificate whose key nobody has, unless it is for somebody's request. Pure.
fn opened_by_somebody(version: &Version, is_elsewhere: bool) -> Result<()> {
    if version.key.is_some() || is_elsewhere {
        return Ok(());
    }
    Err(anyhow!("its key is not there, encrypted with age"))
        .hint(|| "`--to` names another commit; `git-certs renew --only` replaces the certificate by a new one")
}

/// Refuses what is there already, what nobody could use, and what nobody should. Pure.
fn usable(
    name: &CertificateName,
    version: &Version,
    steps: &[Step],
    current: Option<&Leaf>,
    now: OffsetDateTime,
) -> Result<()> {
    let leaf = &version.leaf;
    if current.is_some_and(|current| current.serial == leaf.serial) {
        return Err(anyhow!("it is there already: serial {}", leaf.serial))
            .hint(|| format!("`git-certs log {name}` shows commits that have others"));
    }
    if leaf.not_after <= now {
        return Err(anyhow!("it expired on {}", leaf.not_after.date()))
            .hint(|| "`git-certs renew` issues a new one");
    }
    let of_it = |step: &&Step| {
        step.leaf
            .as_ref()
            .is_some_and(|other| other.serial == leaf.serial)
    };
    if let Some(revoked) = steps
        .iter()
        .filter(of_it)
        .find_map(|step| step.revoked.as_ref())
    {
        return Err(anyhow!("it was {revoked}")).hint(|| "no client that checks would take it");
    }
    let has_its_key = |step: &&Step| {
        let other = step.leaf.as_ref();
        other.is_some_and(|other| other.public_key == leaf.public_key)
    };
    if steps
        .iter()
        .filter(has_its_key)
        .any(|step| step.is_compromised)
    {
        return Err(anyhow!(
            "its key was compromised: a certificate with the same key was revoked for that"
        ))
        .hint(|| "a key that somebody else has is never used again");
    }
    if version.key.is_none() && version.has_plain_key {
        return Err(anyhow!("its key is in plain text there"))
            .hint(|| "whoever could read the repository has that key: issue a new certificate");
    }
    if let Some(fault) = version.faults.first() {
        return Err(anyhow!("its files do not belong together: {fault}"))
            .hint(|| format!("`--to COMMIT` names another: `git-certs log {name}` shows them"));
    }
    Ok(())
}

/// What the user should know before it is put back. Pure.
fn warnings(
    version: &Version,
    today: &Today,
    renew_days: Option<u32>,
    now: OffsetDateTime,
) -> Vec<String> {
    let leaf = &version.leaf;
    let mut warnings = Vec::new();
    if let Some(current) = &today.current
        && current.identifiers != leaf.identifiers
    {
        warnings.push(format!(
            "it is for other names than the one that is there: {} in place of {}",
            list(&leaf.identifiers),
            list(&current.identifiers)
        ));
    }
    let left = leaf.not_after - now;
    let wanted = today.wanted.as_ref();
    let next = wanted.and_then(|wanted| next(version, wanted, renew_days, now));
    match next {
        None => warnings.push("certs.json does not list it, so nothing renews it".to_owned()),
        Some(next) if next.is_due() => warnings.push(format!(
            "the next `renew` replaces it at once: {}",
            next.reason
        )),
        Some(_) if left < plan::default_threshold(leaf.lifetime()) => {
            warnings.push(format!("it expires soon, on {}", leaf.not_after.date()));
        }
        Some(_) => {}
    }
    if version.key.is_some() {
        let hash = version.held(true).ok().and_then(|held| held.recipients);
        match (&today.recipients, hash) {
            (Ok(today), Some(hash)) if *today == hash => {}
            (Ok(_), Some(_)) => warnings.push(
                "its key is encrypted for other recipients than those of today: `git-certs rekey` encrypts it \
                 for them"
                    .to_owned(),
            ),
            (Ok(_), None) => warnings.push(
                "it is not known for whom its key is encrypted: `git-certs rekey` encrypts it for the recipients of \
                 today"
                    .to_owned(),
            ),
            (Err(error), _) => warnings.push(format!(
                "it is not known whether its key is encrypted for the recipients of today: {error}"
            )),
        }
    }
    warnings
}

/// What `renew` would do with it.
fn next(
    version: &Version,
    wanted: &Wanted,
    renew_days: Option<u32>,
    now: OffsetDateTime,
) -> Option<Planned> {
    let held = version.held(is_elsewhere(Some(wanted)));
    let window = held.as_ref().ok().and_then(|held| held.renewal.clone());
    let windows = window.map(|window| (wanted.name.clone(), window));
    let timing = Timing {
        renew_days,
        windows: &windows.into_iter().collect(),
        now,
        home: Home::Repository,
    };
    let held = BTreeMap::from([(wanted.name.clone(), held)]);
    let plan = plan::plan(std::slice::from_ref(wanted), &held, &timing);
    plan.into_iter().next()
}
