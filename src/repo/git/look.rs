//! A repository that is only looked at: files as they are, before they are committed.

use std::path::Path;

use anyhow::Result;

use crate::model::finding::Finding;
use crate::repo::exposed;
use crate::repo::git::{People, Shape, Workspace};
use crate::repo::walk;

impl Workspace {
    /// The files of a folder as they are, whether git knows them or not.
    pub(crate) fn files(folder: &Path, people: People) -> Self {
        Self {
            shape: Shape::Folder(folder.to_owned()),
            people,
        }
    }

    /// Private keys in the clear among its files.
    pub(crate) fn exposed(&self) -> Result<Vec<Finding>> {
        match &self.shape {
            Shape::Folder(folder) => exposed::in_folder(folder),
            Shape::Checkout(checkout) => exposed::in_folder(checkout.folder()),
            Shape::Bare(history) => {
                exposed::in_commit(&walk::place(&history.repository, "", history.tip))
            }
        }
    }
}
