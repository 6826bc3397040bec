//! What an earlier command has left half done is brought to its end, and told.

use std::path::Path;

use anyhow::Result;

use crate::nightly::fits::first_of;
use crate::nightly::issue::count;
use crate::repo::git::{self, Mended};
use crate::report::terminal;

/// Puts the checkout that contains a folder right.
pub(super) fn mend(folder: &Path) {
    for warning in told(git::mend(folder)) {
        terminal::print_warning(&warning);
    }
}

fn told(mended: Result<Mended>) -> Vec<String> {
    match mended {
        Ok(Mended::Nothing) => Vec::new(),
        Ok(Mended::Done { files, kept }) => {
            let done = (files > 0).then(|| {
                let files = count(files, "file");
                format!("an earlier command has left {files} behind the last commit: put right")
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
        Ok(Mended::Overtaken { commit, files }) => vec![format!(
            "an earlier command has left files behind its commit {commit}, and HEAD has moved since, so nothing was \
             touched; as before that commit: {}: `git restore --source {commit} --staged --worktree -- FILE` brings a \
             file to it; one that it has not, you can remove",
            first_of(&files)
        )],
        Ok(Mended::Strange { mark, why }) => vec![format!(
            "`{}`, the mark of a command that did not end, cannot be used and is removed: {why:#}: `git status` says \
             whether files are behind the last commit",
            mark.display()
        )],
        Ok(Mended::InTheWay { mark }) => vec![format!(
            "`{}`, where a command marks what it has not ended, is not a file: remove it",
            mark.display()
        )],
        Err(error) => vec![format!(
            "what an earlier command has left behind the last commit cannot be put right: {error:#}: `git restore \
             --source HEAD --staged --worktree -- FILE` brings a file to that commit"
        )],
    }
}
