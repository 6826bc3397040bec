//! What an import lets go, and what it must not lose.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};

use crate::model::certificate::CertificateName;
use crate::model::hint::with_hint;
use crate::nightly::importing::Decider;
use crate::repo::git::{Content, File, Workspace};
use crate::repo::import::blackbox;
use crate::repo::import::files::There;
use crate::repo::import::seen::Seen;
use crate::repo::layout::certificate_file;

/// Fails where somebody changed a file since it was read that is to be removed or replaced, or says for whom keys are encrypted.
pub(super) fn refuse_changed(seen: &Seen, workspace: &Workspace) -> Result<()> {
    match seen.changed(workspace) {
        None => Ok(()),
        Some(path) => Err(with_hint(
            anyhow!("`{path}` was changed meanwhile: nothing was imported"),
            "run it again: it looks at everything anew",
        )),
    }
}

/// Removes files that no commit has, as far as they are what they were. Returns those that somebody has changed.
pub(super) fn discard(
    workspace: &Workspace,
    seen: &Seen,
    paths: Vec<String>,
) -> Result<Vec<String>> {
    let (same, others): (Vec<_>, Vec<_>) = paths
        .into_iter()
        .partition(|path| seen.is_there(workspace, path));
    workspace.discard(&same)?;
    let mut changed = Vec::new();
    for path in others {
        if workspace.has(&path)? {
            changed.push(path);
        }
    }
    Ok(changed)
}

impl Decider<'_> {
    /// Fails where a key would be lost, or passed over.
    pub(super) fn refuse_losses(&self, name: &CertificateName, there: &There) -> Result<()> {
        if !self.is_here && self.workspace.has(&certificate_file(name, "key"))? {
            return Err(with_hint(
                anyhow!("the repository has another key for `{name}`, in plain text"),
                "run `git-certs import` without a folder first",
            ));
        }
        let sealed = certificate_file(name, "key.age");
        if there.has_key && !there.is_bound && !self.workspace.is_committed(&sealed)? {
            return Err(with_hint(
                anyhow!("`{sealed}` has another key, and no commit has it: it would be lost"),
                "commit it first, or remove it if nobody needs it",
            ));
        }
        Ok(())
    }

    /// Lets files go whose keys are encrypted now. Returns those that no commit has.
    pub(super) fn remove(&mut self) -> Result<Vec<String>> {
        let removed: BTreeSet<_> = self.removed.iter().cloned().collect();
        let (mut uncommitted, mut converted) = (Vec::new(), BTreeSet::new());
        let mut has_copies = false;
        for path in &removed {
            let stem = path.strip_suffix(blackbox::ENCRYPTED);
            has_copies |= stem.is_some();
            if stem.is_none() && self.workspace.is_staged(path)? {
                self.importing.notes.push(format!(
                    "`{path}` was added to git, which keeps a copy in `.git`: once all is done, `git gc --prune=now` removes it"
                ));
            }
            let stem = stem.unwrap_or(path);
            let copy = format!("{stem}{}", blackbox::ENCRYPTED);
            if removed.contains(&copy) || !self.workspace.has(&copy)? {
                converted.insert(stem.to_owned());
            }
            if self.workspace.is_committed(path)? {
                self.files.push(File {
                    path: path.clone(),
                    content: Content::Removed,
                });
            } else {
                uncommitted.push(path.clone());
            }
        }
        let edits = blackbox::without(self.workspace, &converted)?;
        if has_copies && edits.is_empty() {
            self.importing.notes.push(
                "the list of blackbox is not in this folder: take the lines of these files out of its `blackbox-files.txt`"
                    .to_owned(),
            );
        }
        let edited = edits.iter().map(|file| file.path.clone());
        self.importing.edited.extend(edited);
        self.files.extend(edits);
        self.importing.removed = removed.into_iter().collect();
        Ok(uncommitted)
    }
}
