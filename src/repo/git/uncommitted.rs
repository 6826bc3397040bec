//! Files of a checkout, or of a plain folder, that no commit has or that are above it.

use std::path::Path;

use anyhow::Result;
use git2::Status;

use crate::repo::git::checkout::Checkout;
use crate::repo::git::{Content, File, Shape, Workspace, read};
use crate::repo::sizes;

impl Workspace {
    /// Whether the last commit has a file, so that it is not lost when it goes.
    pub(crate) fn is_committed(&self, path: &str) -> Result<bool> {
        match &self.shape {
            Shape::Bare(history) => Ok(history.trees()?.entry(read::checked(path)?)?.is_some()),
            Shape::Checkout(checkout) => checkout.is_committed(read::checked(path)?),
            Shape::Folder(_) => Ok(false),
        }
    }

    /// Whether a file of a checkout is not as the last commit has it.
    pub(crate) fn is_changed(&self, path: &str) -> Result<bool> {
        match &self.shape {
            Shape::Checkout(checkout) => Ok(checkout.is_changed(read::checked(path)?)),
            Shape::Bare(_) | Shape::Folder(_) => Ok(false),
        }
    }

    /// Whether `git add` has seen a content of a file that the last commit does not have: git keeps that.
    pub(crate) fn is_staged(&self, path: &str) -> Result<bool> {
        match &self.shape {
            Shape::Checkout(checkout) => checkout.is_staged(read::checked(path)?),
            Shape::Bare(_) | Shape::Folder(_) => Ok(false),
        }
    }

    /// The nearest folder above that of a checkout, in its work tree, that has a file.
    pub(crate) fn folder_above_with(&self, path: &str) -> Option<&Path> {
        let Shape::Checkout(checkout) = &self.shape else {
            return None;
        };
        let depth = checkout.prefix.matches('/').count();
        let above = checkout.folder().ancestors().skip(1).take(depth);
        above.into_iter().find(|folder| folder.join(path).is_file())
    }

    /// Removes files that no commit has.
    pub(crate) fn discard(&self, paths: &[String]) -> Result<()> {
        let files: Vec<_> = paths
            .iter()
            .map(|path| File {
                path: path.clone(),
                content: Content::Removed,
            })
            .collect();
        files
            .iter()
            .try_for_each(|file| read::checked(&file.path).map(drop))?;
        match &self.shape {
            Shape::Bare(_) => Ok(()),
            Shape::Checkout(checkout) => checkout.write(&files),
            Shape::Folder(folder) => files.iter().try_for_each(|file| file.write_in(folder)),
        }
    }
}

impl Checkout {
    /// Of a file that nobody has, nothing is changed.
    fn is_changed(&self, path: &str) -> bool {
        let path = format!("{}{path}", self.prefix);
        let status = self.history.repository.status_file(Path::new(&path));
        status.is_ok_and(|status| status != Status::CURRENT)
    }

    fn is_committed(&self, path: &str) -> Result<bool> {
        let head = sizes::head(&self.history.repository)?.tree()?;
        let path = format!("{}{path}", self.prefix);
        Ok(head.get_path(Path::new(&path)).is_ok())
    }

    fn is_staged(&self, path: &str) -> Result<bool> {
        let repository = &self.history.repository;
        let head = sizes::head(repository)?.tree()?;
        let path = format!("{}{path}", self.prefix);
        let path = Path::new(&path);
        let staged = repository.index()?.get_path(path, 0);
        let committed = head.get_path(path).ok().map(|entry| entry.id());
        Ok(staged.is_some_and(|staged| Some(staged.id) != committed))
    }
}
