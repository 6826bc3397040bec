//! What files of the cert repository were when they were read: nothing takes the place of what somebody changed since.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::repo::git::Workspace;
use crate::repo::layout::sha256;

/// SHA-256 of each file; none where there was none.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<String, Option<String>>);

impl Seen {
    /// Notes what was read first.
    pub(super) fn note(&mut self, path: &str, bytes: Option<&[u8]>) {
        let hash = || bytes.map(sha256);
        self.0.entry(path.to_owned()).or_insert_with(hash);
    }

    /// These files alone. Those that were not read yet are read now.
    pub(crate) fn of(mut self, workspace: &Workspace, paths: &BTreeSet<&str>) -> Result<Self> {
        self.0.retain(|path, _| paths.contains(path.as_str()));
        for path in paths {
            if !self.0.contains_key(*path) {
                self.note(path, workspace.read(path)?.as_deref());
            }
        }
        Ok(self)
    }

    /// The first file that is another now, or gone, or new.
    pub(crate) fn changed(&self, workspace: &Workspace) -> Result<Option<&str>> {
        for (path, hash) in &self.0 {
            if workspace.read(path)?.as_deref().map(sha256) != *hash {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}
