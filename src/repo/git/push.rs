//! Pushes own commits; where another push came first, re-applies them on the new tip.

use std::collections::BTreeSet;

use anyhow::{Context, Error, Result, anyhow, bail};
use git2::build::TreeUpdateBuilder;
use git2::{Commit, Delta, FileMode, Oid, Signature, Tree};

use crate::model::hint::with_hint;
use crate::repo::git::contest::{self, Winner};
use crate::repo::git::history::{History, signature};
use crate::repo::git::people::People;
use crate::repo::git::waits::{ATTEMPTS, Waits};
use crate::repo::git::{CommitId, Done, Pushed};
use crate::repo::prove;
use crate::repo::receive_pack::{self, Push, RefUpdate};
use crate::repo::signed;
use crate::repo::sizes;
use crate::repo::transport::Remote;
use crate::repo::upload_pack::HEADS;

/// Where commits that conflict are kept on the server: outside of branches, so no pipeline starts.
const KEPT: &str = "refs/git-certs/kept/";

/// Both sides changed the same files.
#[derive(Debug, thiserror::Error)]
#[error("another push to `{branch}` changed the same files: {}", .paths.join(", "))]
pub(crate) struct Conflict {
    pub(crate) branch: String,
    pub(crate) paths: Vec<String>,
}

/// Pushes; moves `base` to the tip when the server has it.
pub(super) fn push(history: &mut History, people: &People) -> Result<Pushed> {
    let Some(remote) = history.remote.clone() else {
        return Ok(Pushed::NoRemote);
    };
    if history.tip == history.base {
        return Ok(Pushed::Nothing);
    }
    let branch = history.target()?.to_owned();
    let name = format!("{HEADS}{branch}");
    let mut retried = 0;
    let mut lost = None;
    let mut waits = Waits::default();
    let mut superseded = Vec::new();
    let (said, from) = loop {
        if waits.races == ATTEMPTS {
            bail!("`{branch}` of `{remote}` moved {ATTEMPTS} times while pushing");
        }
        let open = Push::open(&remote)?;
        let Some(current) = open.current(&name) else {
            return Err(with_hint(
                anyhow!("`{remote}` has no branch `{branch}`"),
                "make the branch, or name another with `--branch`",
            ));
        };
        if current == history.tip {
            // The answer to the push before was lost, or somebody else pushed our commits.
            open.leave()?;
            break (String::new(), history.base);
        }
        if let Some(error) = lost.take() {
            return Err(error);
        }
        if current != history.base && !history.contains(current)? {
            open.leave()?;
            match reapply(history, &branch, people)? {
                Reapplied::Done(lost) => superseded.extend(lost),
                Reapplied::Not(why) => return Err(why.with(keep(history, &remote))),
            }
            retried += 1;
            continue;
        }
        let pack = receive_pack::pack(&history.repository, history.tip, &[current])?;
        let command = RefUpdate {
            name: name.clone(),
            old: current,
            new: history.tip,
        };
        match open.send(&[command], &pack) {
            Err(error) => lost = Some(error.context("cannot push")),
            Ok(report) => match report.refused(&name) {
                None => break (report.said, current),
                Some(reason) if waits.again(reason, &report.said) => {}
                Some(reason) => return Err(prove::refused(&remote, &branch, reason, &report)),
            },
        }
    };
    done(history, branch, (retried, said), (from, superseded))
}

fn done(
    history: &mut History,
    branch: String,
    (retried, said): (u32, String),
    (from, superseded): (Oid, Vec<String>),
) -> Result<Pushed> {
    let commits = history
        .between(from)?
        .iter()
        .map(|commit| CommitId(commit.id()))
        .collect();
    history.base = history.tip;
    Ok(Pushed::Done(Done {
        commits,
        branch,
        retried,
        work_tree_behind: false,
        superseded,
        said,
    }))
}

impl History {
    /// Whether `id` is in the history of what we push: the user's own commits lie between.
    fn contains(&self, id: Oid) -> Result<bool> {
        Ok(!self.cloned
            && self.repository.odb()?.exists(id)
            && self.repository.graph_descendant_of(self.tip, id)?)
    }
}

/// What came of putting our commits on another tip.
enum Reapplied {
    /// Chains of certificates for which the other side's expires later, so that ours are left out.
    Done(Vec<String>),
    Not(Obstacle),
}

/// Why our commits cannot be put on another tip.
enum Obstacle {
    Conflict(Conflict),
    /// None of those who are trusted has signed the new tip.
    Untrusted(Error),
}

impl Obstacle {
    /// With what has become of our commits.
    fn with(self, kept: Error) -> Error {
        match self {
            Self::Conflict(conflict) => kept.context(conflict),
            Self::Untrusted(error) => {
                with_hint(kept.context(format!("{error:#}")), signed::UNSIGNED)
            }
        }
    }
}

/// Puts our commits on the server's new tip, in memory.
///
/// Of a certificate that the other side has stored too, the one that expires later stays, where our commit is about that
/// alone. Any other file that both sides changed, in different ways, is a [`Conflict`].
fn reapply(history: &mut History, branch: &str, people: &People) -> Result<Reapplied> {
    let fetched = history.fetch(branch)?;
    // Opened again for its `shallow` file.
    history.repository = git2::Repository::open(history.repository.path())?;
    let onto = fetched.tip;
    let repository = &history.repository;
    if let Some(error) = distrusted(history, onto, people) {
        return Ok(Reapplied::Not(Obstacle::Untrusted(error)));
    }
    if !history.cloned && !repository.graph_descendant_of(onto, history.base)? {
        return Err(with_hint(
            anyhow!(
                "`{branch}` has commits here that were never pushed, and the server's `{branch}` has moved"
            ),
            "`git pull --rebase`, then run again; the certificates are committed here",
        ));
    }
    let mut tip = sizes::commit(repository, onto)?;
    let (mut conflicts, mut superseded) = (Vec::new(), Vec::new());
    let mut yielding = BTreeSet::new();
    for commit in history.own()? {
        let gives_way = history.yielding.contains(&commit.id());
        let onto = tip.tree()?;
        let (mut tree, both) = changed(history, &commit, &onto, gives_way)?;
        if !gives_way && !both.is_empty() {
            match contest::decide(repository, (&commit, &onto), &both)? {
                Winner::Ours => {}
                Winner::Theirs(chain) => {
                    superseded.push(chain);
                    tree = onto.id();
                }
                Winner::Nobody => conflicts.extend(both),
            }
        }
        if tree == tip.tree_id() {
            continue;
        }
        let tree = repository.find_tree(tree)?;
        let author: Signature<'_> = commit.author();
        let committer = signature(&people.committer)?;
        let message = commit.message()?;
        let id = people.commit(repository, (&author, &committer), message, (&tree, &[&tip]))?;
        tip = repository.find_commit(id)?;
        if gives_way {
            yielding.insert(id);
        }
    }
    if !conflicts.is_empty() {
        conflicts.dedup();
        return Ok(Reapplied::Not(Obstacle::Conflict(Conflict {
            branch: branch.to_owned(),
            paths: conflicts,
        })));
    }
    let tip = tip.id();
    history.base = onto;
    history.tip = tip;
    history.yielding = yielding;
    if history.cloned {
        history.move_branch()?;
    }
    Ok(Reapplied::Done(superseded))
}

/// Why our signature, which would vouch for all that it stands on, must not be put there.
fn distrusted(history: &History, onto: Oid, people: &People) -> Option<Error> {
    let trusted = people.trusted.as_ref()?;
    signed::vouched(&history.repository, onto, trusted).err()
}

/// The tree `onto` with the files that `commit` changed, and which of them the other side changed too. If the
/// commit `gives_way`, those stay as they are.
fn changed(
    history: &History,
    commit: &Commit<'_>,
    onto: &Tree<'_>,
    gives_way: bool,
) -> Result<(Oid, Vec<String>)> {
    let repository = &history.repository;
    let before = commit.parent(0)?.tree()?;
    let after = commit.tree()?;
    let difference = repository.diff_tree_to_tree(Some(&before), Some(&after), None)?;
    let mut update = TreeUpdateBuilder::new();
    let mut both = Vec::new();
    for delta in difference.deltas() {
        let file = delta.new_file();
        let path = file.path().context("a changed file has no name")?;
        let theirs = onto
            .get_path(path)
            .map_or_else(|_| Oid::ZERO_SHA1, |entry| entry.id());
        if theirs != delta.old_file().id() && theirs != file.id() {
            both.push(path.display().to_string());
            if gives_way {
                continue;
            }
        }
        if delta.status() != Delta::Deleted {
            update.upsert(path, file.id(), FileMode::Blob);
        } else if !theirs.is_zero() {
            update.remove(path);
        }
    }
    Ok((update.create_updated(repository, onto)?, both))
}

/// Saves commits that cannot be re-applied to a reference of their own on the server, and says where
/// they are.
fn keep(history: &History, remote: &Remote) -> Error {
    let name = format!("{KEPT}{}", history.tip);
    let save = || -> Result<()> {
        let pack = receive_pack::pack(&history.repository, history.tip, &[history.base])?;
        let command = RefUpdate {
            name: name.clone(),
            old: Oid::ZERO_SHA1,
            new: history.tip,
        };
        let report = receive_pack::push(remote, &[command], &pack)?;
        match report.refused(&name) {
            None => Ok(()),
            Some(reason) => bail!("the server refuses `{name}`: {reason}"),
        }
    };
    let cause = anyhow!("our commits cannot be re-applied");
    match save() {
        Ok(()) => with_hint(
            cause,
            format!(
                "they are kept: `git fetch origin {name}`, then `git cherry-pick HEAD..FETCH_HEAD`"
            ),
        ),
        Err(_) if !history.cloned => with_hint(
            cause,
            "they are in this checkout: `git pull --rebase`, then push",
        ),
        Err(error) => error.context("our commits cannot be re-applied, nor kept on the server"),
    }
}
