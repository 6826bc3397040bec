//! Writes exported files where the user wants them, for that user alone.

use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use git2::{ErrorCode, Index, Repository};

use crate::model::file;
use crate::model::hint::with_hint;
use crate::model::secret::Secret;
use crate::repo::export::{File, pending};
use crate::repo::files;

/// Mode of a folder that is made.
const PRIVATE_FOLDER: u32 = 0o700;

/// What matches the names of all that is ours besides the exported files.
const OURS: &str = ".git-certs*";

/// A file that was asked for, and whether it had to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) has_changed: bool,
}

/// Makes the folder, with those above it, for this user alone.
pub(crate) fn make(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_FOLDER)
        .create(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))
}

/// Refuses folders that files must not go to: a link, no folder, or the cert repository.
///
/// `cert_repo` is the folder of the cert repository, where it is not cloned.
pub(crate) fn check(folder: &Path, cert_repo: Option<&Path>) -> Result<()> {
    let shown = folder.display();
    match found(folder)? {
        Some(found) if found.is_symlink() => {
            return Err(with_hint(
                anyhow!("`{shown}` is a symbolic link"),
                "name the folder that it leads to",
            ));
        }
        Some(found) if !found.is_dir() => return Err(anyhow!("`{shown}` is not a folder")),
        _ => {}
    }
    let real = real(folder)?;
    if let Some(cert_repo) = cert_repo
        && real.starts_with(cert_repo)
    {
        return Err(with_hint(
            anyhow!(
                "`{shown}` is in the cert repository, where keys in plain text would be committed"
            ),
            "name a folder outside of it",
        ));
    }
    Ok(())
}

/// Refuses files that git would commit, each by its own name: a .gitignore may list some of a folder.
pub(crate) fn refuse_committed(folder: &Path, all: &[File]) -> Result<()> {
    let shown = folder.display();
    let real = real(folder)?;
    let unseen = || format!("cannot see whether git would commit what is in `{shown}`");
    let Some(around) = Around::find(&real).with_context(unseen)? else {
        return Ok(());
    };
    let would = "in a git repository, where keys in plain text would be committed";
    for file in all {
        if around.takes(&real.join(&file.name)).with_context(unseen)? {
            return Err(with_hint(
                anyhow!("`{}` is {would}", folder.join(&file.name).display()),
                "name a folder outside of it, or one that its .gitignore lists",
            ));
        }
    }
    // Where each of them is until it is whole, and what says that a command has not succeeded.
    for prefix in [files::PREFIX, pending::PREFIX] {
        if around
            .takes(&real.join(format!("{prefix}x")))
            .with_context(unseen)?
        {
            return Err(with_hint(
                anyhow!(
                    "`{shown}` is {would}: files are called `{OURS}` there until they are whole, and so is the mark of a command"
                ),
                format!(
                    "let its .gitignore list the folder, or `{OURS}` as well; or name a folder outside of it"
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a repository has the file, or would take it.
pub(crate) fn is_committed(file: &Path) -> Result<bool> {
    Around::find(file)?.map_or(Ok(false), |around| around.takes(file))
}

/// The repository around a place. Its index may be large: it is read once.
struct Around {
    repository: Repository,
    index: Index,
    work_tree: PathBuf,
}

impl Around {
    /// None where there is no repository, or one without files. `place` is without links, and need not be there.
    fn find(place: &Path) -> Result<Option<Self>> {
        let repository = match Repository::discover(existing(place)) {
            Ok(repository) => repository,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(work_tree) = repository.workdir() else {
            return Ok(None);
        };
        Ok(Some(Self {
            work_tree: work_tree.canonicalize()?,
            index: repository.index()?,
            repository,
        }))
    }

    /// Whether it has the file, or would take it.
    fn takes(&self, file: &Path) -> Result<bool> {
        let below = file.strip_prefix(&self.work_tree)?;
        // What was added once is committed, whatever .gitignore says.
        let is_tracked = self.index.get_path(below, 0).is_some();
        Ok(is_tracked || !self.repository.is_path_ignored(below)?)
    }
}

/// Which of the files are not there yet as they shall be. An error if one of them cannot be replaced.
pub(crate) fn compare(folder: &Path, all: &[File]) -> Result<Vec<Written>> {
    let written = all.iter().map(|file| {
        let path = folder.join(&file.name);
        let has_changed = !has(&path, &file.content)?;
        Ok(Written { path, has_changed })
    });
    written.collect()
}

/// Writes those that are not: each is replaced whole, and readable by this user alone.
pub(crate) fn write(folder: &Path, all: &[File], compared: &[Written]) -> Result<()> {
    files::sweep(folder)?;
    for (file, Written { path, has_changed }) in all.iter().zip(compared) {
        if *has_changed {
            files::replace(path, file.content.expose(), files::PRIVATE)?;
        }
    }
    Ok(())
}

/// Whether the file is there with this content.
fn has(path: &Path, content: &Secret) -> Result<bool> {
    let shown = path.display();
    match found(path)? {
        None => return Ok(false),
        Some(found) if found.is_symlink() => {
            return Err(with_hint(
                anyhow!("`{shown}` is a symbolic link, which would be replaced"),
                "remove it, or name another folder",
            ));
        }
        Some(found) if !found.is_file() => return Err(anyhow!("`{shown}` is not a file")),
        Some(found) if found.len() != content.expose().len() as u64 => return Ok(false),
        Some(_) => {}
    }
    let old = file::read(path)
        .map(Secret::new)
        .with_context(|| format!("cannot read `{shown}`"))?;
    Ok(old.expose() == content.expose())
}

fn found(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at `{}`", path.display())),
    }
}

/// The deepest folder on the way that is there.
fn existing(path: &Path) -> &Path {
    let mut ways = path.ancestors();
    ways.find(|way| way.is_dir()).unwrap_or(path)
}

/// The path without links and `..`, although its end may not be there yet.
pub(crate) fn real(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let there = existing(&whole);
    let rest = whole.strip_prefix(there)?;
    if rest.components().any(|part| part == Component::ParentDir) {
        return Err(anyhow!(
            "`{}` leads through a folder that is not there",
            path.display()
        ));
    }
    let there = there
        .canonicalize()
        .with_context(|| format!("cannot look at `{}`", there.display()))?;
    Ok(if rest.as_os_str().is_empty() {
        there
    } else {
        there.join(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_repository_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let repository = Repository::init(&top).unwrap();
        let mut index = repository.index().unwrap();
        let ignored = [(".gitignore", "/out/\n"), ("out/had.key", "key")];
        for (name, text) in ignored {
            files::replace(&top.join(name), text.as_bytes(), files::PRIVATE).unwrap();
            index.add_path(Path::new(name)).unwrap();
        }
        index.write().unwrap();
        let around = Around::find(&top.join("out")).unwrap().unwrap();
        files::replace(&top.join(".git/index"), b"damaged", files::PRIVATE).unwrap();
        let takes = |name: &str| around.takes(&top.join(name)).unwrap();
        assert!(takes("out/had.key") && takes("new.key"));
        assert!(!takes("out/new.key"));
        assert!(Around::find(&top).is_err());
    }
}
