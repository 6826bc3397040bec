//! The folders of the last commit, for checks of older ones: read once.

use std::collections::HashMap;

use anyhow::Result;
use git2::Oid;

use crate::repo::objects::Objects;
use crate::repo::walk;

/// Folders of certificates and accounts, by their paths.
#[derive(Default)]
pub(super) struct Today(HashMap<String, Oid>);

impl Today {
    /// Those of a tree that are in folders with these paths below `prefix`; all of them end with `/`.
    pub(super) fn of(
        objects: &Objects<'_>,
        tree: Oid,
        prefix: &str,
        above: &[&str],
    ) -> Result<Self> {
        let mut today = HashMap::new();
        for path in above {
            let whole = format!("{prefix}{path}");
            let mut at = Some(tree);
            for part in whole.split_terminator('/') {
                at = match at {
                    Some(tree) => folders(objects, tree)?.remove(part),
                    None => None,
                };
            }
            if let Some(folder) = at {
                let found = folders(objects, folder)?.into_iter();
                today.extend(found.map(|(name, id)| (format!("{path}{name}"), id)));
            }
        }
        Ok(Self(today))
    }

    /// The folder that is at a path in place of another one.
    pub(super) fn instead_of(&self, path: &str, older: Oid) -> Option<Oid> {
        self.0.get(path).copied().filter(|id| *id != older)
    }
}

/// The folders in a tree. A name that is no text is in no path of a certificate.
fn folders(objects: &Objects<'_>, tree: Oid) -> Result<HashMap<String, Oid>> {
    let tree = objects.read(tree)?;
    let folders = walk::entries(tree.data()).filter(|entry| entry.kind == walk::FOLDER);
    let named = folders.filter_map(|entry| {
        let name = str::from_utf8(entry.name).ok()?;
        Some((name.to_owned(), entry.id))
    });
    Ok(named.collect())
}
