//! Proves that a push would be accepted, without changing a reference.
//!
//! Two empty commits are made on the tip, A and then B, and the server is asked to move the branch
//! from A to B. It runs what it runs for every push: access checks, branch protection, the
//! `pre-receive` and `update` hooks, with B as a fast-forward of A. Then it must refuse, because the
//! branch is not at A; it never was and never will be, because A stays unknown to everybody. So the
//! probe can never go through, not even in a race. What stays on the server are the two commits as
//! unreachable objects, until its next garbage collection; made again on the same tip they are the
//! same objects.

use std::slice;

use anyhow::{Context, Result, anyhow};
use git2::{Commit, Oid, Repository, Signature};

use crate::model::disk;
use crate::model::hint::with_hint;
use crate::repo::git::People;
use crate::repo::git::waits::Waits;
use crate::repo::receive_pack::{Push, RefUpdate, Report};
use crate::repo::transport::Remote;
use crate::repo::upload_pack::HEADS;

/// Message of the probe commits; hooks may look at it.
const MESSAGE: &str = "Renew certificates\n\nProbe of git-certs: never stored in a branch.\n";

/// What servers call an update from a value that the reference does not have.
const STALE: [&str; 12] = [
    "already been updated",
    "already exists",
    "but expected",
    "cannot lock ref",
    "failed to update ref",
    "fetch first",
    "incorrect old value",
    "invalid old id",
    "lock failure",
    "non-fast-forward",
    "stale",
    "unexpectedly",
];

/// What to do about a server that cannot store anything.
const SERVER_FULL: &str = "the server's disk is full: make room there, and run again";

/// What to do about a lock that stays.
const LOCKED: &str = "another push holds the branch: run again; if nobody pushes, a killed push has left the lock that the server names: \
                      remove it there";

/// The server would refuse a push, or refused it.
#[derive(Debug, thiserror::Error)]
#[error("`{remote}` refuses pushes to `{branch}`: {reason}")]
pub(crate) struct PushRefused {
    pub(crate) remote: String,
    pub(crate) branch: String,
    /// The server's one-line reason.
    pub(crate) reason: String,
}

/// Fails with [`PushRefused`] if the server would not take a push to `branch`.
pub(crate) fn prove(
    repository: &Repository,
    remote: &Remote,
    (branch, tip): (&str, Oid),
    people: &People,
) -> Result<()> {
    let first = probe(repository, &repository.find_commit(tip)?, people)?;
    let second = probe(repository, &repository.find_commit(first)?, people)?;
    let name = format!("{HEADS}{branch}");
    let command = RefUpdate {
        name: name.clone(),
        old: first,
        new: second,
    };
    let mut builder = repository.packbuilder()?;
    builder.insert_object(first, None)?;
    builder.insert_object(second, None)?;
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack)?;
    let mut waits = Waits::default();
    loop {
        let report = Push::open(remote)?
            .send(slice::from_ref(&command), &pack)
            .context("cannot try out a push")?;
        return match report.refused(&name) {
            Some(reason) if is_stale(reason, &report.said) => Ok(()),
            Some(reason) if waits.again(reason, &report.said) => continue,
            Some(reason) => Err(refused(remote, branch, reason, &report)),
            None => Err(anyhow!(
                "`{remote}` took a push to `{branch}` that it should have refused as stale"
            )),
        };
    }
}

/// The error for a push that the server refused, with all of its words.
pub(crate) fn refused(
    remote: &Remote,
    branch: &str,
    reason: &str,
    report: &Report,
) -> anyhow::Error {
    let refused = PushRefused {
        remote: remote.to_string(),
        branch: branch.to_owned(),
        reason: reason.to_owned(),
    };
    let said = if report.said.is_empty() {
        anyhow!("the server printed nothing more")
    } else {
        anyhow!("the server printed: {}", report.said)
    };
    let hint = if disk::is_full(&report.said) {
        SERVER_FULL
    } else if is_locked(reason, &report.said) {
        LOCKED
    } else {
        "let this login push to the branch (branch protection, hooks), or choose another with `--branch`"
    };
    with_hint(said, hint).context(refused)
}

/// Whether the only complaint is that the reference has another value.
///
/// git's `failed to update ref` has more causes than that (a lock left behind, a full disk); what
/// it prints tells them apart.
pub(crate) fn is_stale(reason: &str, said: &str) -> bool {
    let reason = reason.to_lowercase();
    if reason.contains("hook declined") {
        return false;
    }
    let about_lock = reason.contains("failed to update ref") || reason.contains("cannot lock ref");
    let said = format!("{reason}\n{}", said.to_lowercase());
    if about_lock && said.contains("cannot lock ref") {
        return said.contains("but expected")
            || said.contains("reference already exists")
            || said.contains("unable to resolve reference");
    }
    STALE.iter().any(|words| reason.contains(words))
}

/// Whether somebody else writes the reference in this moment, or a killed push has left its lock.
///
/// git waits for such a lock 100 ms (git-config(1), `core.filesRefLockTimeout`).
pub(crate) fn is_locked(reason: &str, said: &str) -> bool {
    let all = format!("{reason}\n{said}").to_lowercase();
    all.contains("cannot lock ref") && all.contains("file exists")
}

/// The error for a journal that the server refused; its words.
pub(crate) fn journal_refused(words: &str) -> anyhow::Error {
    let hint = if disk::is_full(words) {
        SERVER_FULL
    } else {
        "let this login push to it, or choose another place with `--journal`"
    };
    with_hint(anyhow!("the server refuses the journal: {words}"), hint)
}

/// An empty commit on `parent`, dated as it, so that the same tip gives the same probe.
fn probe(repository: &Repository, parent: &Commit<'_>, people: &People) -> Result<Oid> {
    let when = parent.committer().when();
    let author = Signature::new(&people.author.name, &people.author.email, &when)?;
    let committer = Signature::new(&people.committer.name, &people.committer.email, &when)?;
    let tree = parent.tree()?;
    people.commit(
        repository,
        (&author, &committer),
        MESSAGE,
        (&tree, &[parent]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_is_told_from_refused() {
        let lock = "error: cannot lock ref 'refs/heads/main': ";
        let at = format!("{lock}is at 1 but expected 2");
        assert!(is_stale("failed to update ref", &at));
        assert!(is_stale("failed to update ref", ""));
        assert!(is_stale("incorrect old value provided", ""));
        assert!(is_stale("invalid old id sent", ""));
        assert!(is_stale(
            "TF401028: The reference has already been updated by another client",
            ""
        ));

        assert!(!is_stale(
            "failed to update ref",
            &format!("{lock}Unable to create 'x': File exists")
        ));
        assert!(!is_stale(
            "pre-receive hook declined",
            "your branch is stale, fetch first"
        ));
        let exists = format!("{lock}Unable to create 'x': File exists.");
        assert!(is_locked("failed to update ref", &exists));
        assert!(!is_locked("failed to update ref", &at));
        assert!(!is_stale("branch is currently checked out", ""));
        assert!(!is_stale("protected branch", &at));
    }
}
