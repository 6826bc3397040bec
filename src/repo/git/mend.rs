//! What a command that was killed has left in a checkout: files and an index that are behind its commits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use git2::{Commit, DiffOptions, ObjectType, Oid, Repository};

use crate::repo::files::{self, PRIVATE, READABLE};
use crate::repo::git::checkout::{discover, prefix};
use crate::repo::git::history::WRITTEN;
use crate::repo::git::message::{RUN, trailer};
use crate::repo::sizes;

/// Ending of files that only their owner may read.
const SEALED: &str = "age";

/// Brings what is behind the last commit to it, and returns how many files that were.
///
/// A file that is as the commit has it gets its entry in the index, which the user's next commit would remove else. One that is
/// as it was before the commits of the last run, in the index too, follows them: the user's next commit would bring it back. What the user
/// has changed stays. Nothing is done where there is no checkout. The caller has the lock of the folder.
pub(crate) fn mend(folder: &Path) -> Result<usize> {
    // What cannot be opened is told by who opens it.
    let Ok(Some(repository)) = discover(folder) else {
        return Ok(0);
    };
    let Some(top) = repository.workdir().map(Path::to_path_buf) else {
        return Ok(0);
    };
    let prefix = prefix(&top.canonicalize()?, &folder.canonicalize()?)?;
    let Ok(head) = sizes::head(&repository) else {
        return Ok(0);
    };
    let behind = behind(&repository, (&top, &prefix), &head)?;
    if behind.is_empty() {
        return Ok(0);
    }
    let mut index = repository.index()?;
    for Behind { path, restored } in &behind {
        let whole = top.join(path);
        if let Some(id) = restored {
            let shown = path.display().to_string();
            let is_sealed = path.extension().is_some_and(|end| end == SEALED);
            let mode = if is_sealed { PRIVATE } else { READABLE };
            files::replace(&whole, &sizes::blob(&repository, *id, &shown)?, mode)?;
        }
        index
            .add_path(path)
            .with_context(|| format!("cannot enter `{}` in the index", path.display()))?;
    }
    index.write().context("cannot write the index")?;
    let folders: BTreeSet<_> = behind
        .iter()
        .filter_map(|file| file.path.parent())
        .collect();
    for folder in folders {
        files::sweep(&top.join(folder))?;
    }
    Ok(behind.len())
}

/// A file that did not follow a commit.
struct Behind {
    /// From the top of the work tree.
    path: PathBuf,
    /// What it has to become; none where the index alone is behind.
    restored: Option<Oid>,
}

fn behind(
    repository: &Repository,
    (top, prefix): (&Path, &str),
    head: &Commit<'_>,
) -> Result<Vec<Behind>> {
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true);
    for folder in WRITTEN {
        options.pathspec(format!("{prefix}{folder}"));
    }
    let index = repository.index()?;
    let tree = head.tree()?;
    let diff = repository.diff_tree_to_index(Some(&tree), Some(&index), Some(&mut options))?;
    let mut before = None;
    let mut all = Vec::new();
    for delta in diff.deltas() {
        let (committed, staged) = (delta.old_file(), delta.new_file().id());
        let Some(path) = committed.path().filter(|_| !committed.id().is_zero()) else {
            continue;
        };
        let Ok(here) = Oid::hash_file(ObjectType::Blob, top.join(path)) else {
            continue;
        };
        let restored = if here == committed.id() {
            None
        } else if here == staged {
            let before = match &before {
                Some(before) => before,
                None => before.insert(before_last_run(repository, head)?),
            };
            let was = |commit: &Commit<'_>| {
                let entry = commit.tree().and_then(|tree| tree.get_path(path));
                entry.is_ok_and(|entry| entry.id() == staged)
            };
            if !before.iter().any(was) {
                continue;
            }
            Some(committed.id())
        } else {
            continue;
        };
        all.push(Behind {
            path: path.to_owned(),
            restored,
        });
    }
    Ok(all)
}

/// The commits that those of the last run were made on, if none of them is on a server yet: a run pushes only after its
/// files are written.
fn before_last_run<'r>(repository: &Repository, head: &Commit<'r>) -> Result<Vec<Commit<'r>>> {
    let mut before: Vec<Commit<'r>> = Vec::new();
    let Some(run) = run_of(head) else {
        return Ok(before);
    };
    for reference in repository.references_glob("refs/remotes/*")? {
        let Some(known) = reference?.resolve().ok().and_then(|found| found.target()) else {
            continue;
        };
        if known == head.id() || repository.graph_descendant_of(known, head.id())? {
            return Ok(before);
        }
    }
    let mut commit = head.clone();
    while run_of(&commit).as_ref() == Some(&run) && commit.parent_count() > 0 {
        commit = commit.parent(0)?;
        before.push(commit.clone());
    }
    Ok(before)
}

fn run_of(commit: &Commit<'_>) -> Option<String> {
    let message = String::from_utf8_lossy(commit.message_bytes());
    trailer(&message, RUN).map(str::to_owned)
}
