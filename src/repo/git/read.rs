//! Reads files of a folder and entries of a tree without following symbolic links.

use std::fs;
use std::io;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use git2::{FileMode, ObjectType, Repository, Tree, TreeEntry};

use crate::model::file;
use crate::repo::sizes;

/// `path` if it stays inside its folder: parts separated by `/`, none of them `.`, `..` or `.git`.
pub(super) fn checked(path: &str) -> Result<&str> {
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")));
    if path.is_empty() || !inside || path.contains('\0') || path.ends_with('/') {
        bail!("`{path}` is not a path inside the repository");
    }
    Ok(path)
}

/// A file's bytes; none if there is none.
pub(super) fn file(folder: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    if !plain(folder, checked(path)?)? {
        return Ok(None);
    }
    let about = || format!("cannot read `{path}`");
    let whole = folder.join(path);
    sizes::file(whole.metadata().with_context(about)?.len(), path)?;
    file::read(whole).map(Some).with_context(about)
}

/// Whether there is something at a path.
pub(super) fn exists(folder: &Path, path: &str) -> Result<bool> {
    plain(folder, checked(path)?)
}

/// Names of the folders in a folder, sorted.
pub(super) fn folders(folder: &Path, path: &str) -> Result<Vec<String>> {
    if !plain(folder, checked(path)?)? {
        return Ok(Vec::new());
    }
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.join(path))? {
            let entry = entry?;
            if entry.file_type()?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    list().with_context(|| format!("cannot list `{path}`"))
}

/// Whether the path exists; a symbolic link on the way is an error.
fn plain(folder: &Path, path: &str) -> Result<bool> {
    let mut at = folder.to_owned();
    for part in path.split('/') {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_symlink() => return Err(link(path)),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{path}`")),
        }
    }
    Ok(true)
}

fn link(path: &str) -> anyhow::Error {
    anyhow::anyhow!("`{path}` is a symbolic link, or below one; it is not followed")
}

/// Reads many files of one commit or one folder: what is large on the way is read once.
pub(crate) enum Reader<'r> {
    Commit(Trees<'r>),
    Folder(&'r Path),
}

#[cfg(test)]
impl<'r> Reader<'r> {
    /// Of a commit with this tree.
    pub(crate) fn of(repository: &'r Repository, root: Tree<'r>) -> Self {
        Self::Commit(Trees::new(repository, root))
    }

    /// How many trees were read below the first one.
    pub(crate) fn trees_read(&self) -> usize {
        match self {
            Self::Commit(trees) => trees.read,
            Self::Folder(_) => 0,
        }
    }
}

impl Reader<'_> {
    /// A file's bytes; none if there is none.
    pub(crate) fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Commit(trees) => trees.blob(path),
            Self::Folder(folder) => file(folder, path),
        }
    }

    /// Whether there is something at a path.
    pub(crate) fn has(&mut self, path: &str) -> Result<bool> {
        match self {
            Self::Commit(trees) => Ok(trees.entry(checked(path)?)?.is_some()),
            Self::Folder(folder) => exists(folder, path),
        }
    }
}

/// The trees on the way to the last path, the root first: libgit2 parses a large one at each look.
pub(crate) struct Trees<'r> {
    repository: &'r Repository,
    root: Tree<'r>,
    way: Vec<(String, Tree<'r>)>,
    /// How many were read.
    #[cfg(test)]
    read: usize,
}

impl<'r> Trees<'r> {
    pub(super) fn new(repository: &'r Repository, root: Tree<'r>) -> Self {
        Self {
            repository,
            root,
            way: Vec::new(),
            #[cfg(test)]
            read: 0,
        }
    }

    /// The blob at a path; none if there is none.
    pub(super) fn blob(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(entry) = self.entry(checked(path)?)? else {
            return Ok(None);
        };
        if entry.kind() != Some(ObjectType::Blob) {
            bail!("`{path}` is not a file");
        }
        sizes::blob(self.repository, entry.id(), path).map(Some)
    }

    /// The entry at a checked path, found part by part so that a link on the way is seen.
    pub(super) fn entry(&mut self, path: &str) -> Result<Option<TreeEntry<'static>>> {
        let mut parts = path.split('/').enumerate().peekable();
        while let Some((depth, part)) = parts.next() {
            let is_last = parts.peek().is_none();
            if !is_last && self.way.get(depth).is_some_and(|(name, _)| name == part) {
                continue;
            }
            // A file on the way leaves the folders below it as they are.
            let above = depth.checked_sub(1).and_then(|above| self.way.get(above));
            let at = above.map_or(&self.root, |(_, tree)| tree);
            let Some(entry) = at.get_name(part).map(|entry| entry.to_owned()) else {
                return Ok(None);
            };
            if entry.filemode() == i32::from(FileMode::Link) {
                return Err(link(path));
            }
            if is_last {
                return Ok(Some(entry));
            }
            if entry.kind() != Some(ObjectType::Tree) {
                return Ok(None);
            }
            let folder = sizes::folder(self.repository, entry.id())?;
            #[cfg(test)]
            {
                self.read += 1;
            }
            self.way.truncate(depth);
            self.way.push((part.to_owned(), folder));
        }
        Ok(None)
    }
}

/// Names of the folders in a folder of a tree, sorted.
pub(super) fn subtrees(mut trees: Trees<'_>, path: &str) -> Result<Vec<String>> {
    let Some(entry) = trees.entry(checked(path)?)? else {
        return Ok(Vec::new());
    };
    if entry.kind() != Some(ObjectType::Tree) {
        bail!("`{path}` is not a folder");
    }
    let folder = sizes::folder(trees.repository, entry.id())?;
    let mut names: Vec<_> = folder
        .iter()
        .filter(|entry| entry.kind() == Some(ObjectType::Tree))
        .filter_map(|entry| entry.name().ok().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_on_the_way_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let blob = repository.blob(b"text").unwrap();
        let mut all = repository.treebuilder(None).unwrap();
        for name in ["a", "b", "c"] {
            let mut one = repository.treebuilder(None).unwrap();
            for end in ["crt", "json", "key.age"] {
                let file = format!("{name}.{end}");
                one.insert(file, blob, FileMode::Blob.into()).unwrap();
            }
            let one = one.write().unwrap();
            all.insert(name, one, FileMode::Tree.into()).unwrap();
        }
        let mut root = repository.treebuilder(None).unwrap();
        let all = all.write().unwrap();
        root.insert("certificates", all, FileMode::Tree.into())
            .unwrap();
        let root = repository.find_tree(root.write().unwrap()).unwrap();
        let mut trees = Trees::new(&repository, root);
        for name in ["a", "b", "c"] {
            for end in ["crt", "json", "key.age", "missing"] {
                let found = trees.blob(&format!("certificates/{name}/{name}.{end}"));
                assert_eq!(found.unwrap().is_some(), end != "missing");
            }
        }
        // The folder of all of them, and each of theirs.
        assert_eq!(trees.read, 1 + 3);
    }

    #[test]
    fn paths_stay_inside() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            ".git/config",
            "a/.GIT/x",
            "a/",
            "./a",
        ] {
            let error = checked(bad).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("`{bad}` is not a path inside the repository")
            );
        }
        assert!(checked(".letsencrypt/localhost:14000/account.json").is_ok());
    }
}
