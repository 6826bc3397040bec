//! What files of the cert repository were when they were read: nothing takes the place of what somebody changed since.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::model::secret::Secret;
use crate::repo::git::Workspace;
use crate::repo::layout::sha256;

/// SHA-256 of each file; none where there was none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(BTreeMap<String, Option<String>>);

impl Seen {
    /// Notes what was read first.
    pub(super) fn note(&mut self, path: &str, bytes: Option<&[u8]>) {
        let hash = || bytes.map(sha256);
        self.0.entry(path.to_owned()).or_insert_with(hash);
    }

    /// These files alone. Those that were not read yet are read now.
    pub(crate) fn of(mut self, workspace: &Workspace, paths: &BTreeSet<String>) -> Result<Self> {
        self.0.retain(|path, _| paths.contains(path));
        for path in paths {
            if !self.0.contains_key(path) {
                self.0.insert(path.clone(), hash(workspace, path)?);
            }
        }
        Ok(self)
    }

    /// The first file that is another now, or gone, or new, or cannot be read any more.
    pub(crate) fn changed(&self, workspace: &Workspace) -> Option<&str> {
        let mut paths = self.0.keys().map(String::as_str);
        paths.find(|path| !self.is_same(workspace, path))
    }

    /// Whether a file is there, as it was.
    pub(crate) fn is_there(&self, workspace: &Workspace, path: &str) -> bool {
        self.0.get(path).is_some_and(Option::is_some) && self.is_same(workspace, path)
    }

    fn is_same(&self, workspace: &Workspace, path: &str) -> bool {
        hash(workspace, path).is_ok_and(|now| self.0.get(path) == Some(&now))
    }
}

/// The file may be a key in plain text.
fn hash(workspace: &Workspace, path: &str) -> Result<Option<String>> {
    let bytes = workspace.read(path)?.map(Secret::new);
    Ok(bytes.map(|bytes| sha256(bytes.expose())))
}
