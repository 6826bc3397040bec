//! What an earlier command has left half done is brought to its end, and told.

use std::path::Path;

use anyhow::{Error, Result};

use crate::model::wording::{count, first_of};
use crate::repo::git::{self, Mended};
use crate::repo::lock::FolderLock;
use crate::report::terminal;

/// Puts the checkout that contains a folder right.
pub(super) fn mend(folder: &Path) {
    let failed = |error| {
        format!(
            "what an earlier command has left behind the last commit cannot be put right: {error:#}: `git restore \
             --source HEAD --staged --worktree -- FILE` brings a file to that commit"
        )
    };
    tell(git::mend(folder), ": put right", failed);
}

/// Tells what is left in the checkout that contains a folder, for a command that only reads, and changes nothing.
pub(super) fn look(folder: &Path) {
    if let Ok(Mended::Nothing) = git::look(folder) {
        return;
    }
    // A command that is at work there, this one too, sees to it. It is held no longer than it takes to know, as others may want it.
    if FolderLock::take(folder).is_err() {
        return;
    }
    let failed =
        |error| format!("whether files are behind the last commit cannot be found out: {error:#}");
    let how = ", so what is read here may be older than that: the next command that writes, such as `git-certs rekey`, puts them right";
    tell(git::look(folder), how, failed);
}

fn tell(mended: Result<Mended>, how: &str, failed: impl FnOnce(Error) -> String) {
    let told = match mended {
        Ok(mended) => told(mended, how),
        Err(error) => vec![failed(error)],
    };
    for warning in told {
        terminal::print_warning(&warning);
    }
}

fn told(mended: Mended, how: &str) -> Vec<String> {
    match mended {
        Mended::Nothing => Vec::new(),
        Mended::Done { files, kept } => {
            let done = (files > 0).then(|| {
                let files = count(files, "file");
                format!("an earlier command has left {files} behind the last commit{how}")
            });
            let stays = (!kept.is_empty()).then(|| {
                format!(
                    "an earlier command has left files behind the last commit; what was changed meanwhile stays: {}: \
                     `git restore --source HEAD --staged --worktree -- FILE` brings one to that commit; one that it has not, you can remove",
                    first_of(&kept)
                )
            });
            done.into_iter().chain(stays).collect()
        }
        Mended::Overtaken { commit, files } => vec![format!(
            "an earlier command has left files behind its commit {commit}, and HEAD has moved since, so nothing was \
             touched; as before that commit: {}: `git restore --source {commit} --staged --worktree -- FILE` brings a \
             file to it; one that it has not, you can remove",
            first_of(&files)
        )],
        Mended::Strange { mark, why } => vec![format!(
            "`{}`, the mark of a command that did not end, cannot be used and is removed: {why:#}: `git status` says \
             whether files are behind the last commit",
            mark.display()
        )],
        Mended::InTheWay { mark } => vec![format!(
            "`{}`, where a command marks what it has not ended, is not a file: remove it",
            mark.display()
        )],
    }
}
