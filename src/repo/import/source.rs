//! Where another program's files are: in the cert repository itself, or in a folder.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Error, Result};
use serde_json::Value;

use crate::model::file;
use crate::model::hint::with_hint;
use crate::model::secret::Secret;
use crate::repo::git::Workspace;
use crate::repo::import::seen::Seen;
use crate::repo::import::{KeyFile, blackbox};

/// A place to read from.
pub(crate) enum Source<'s> {
    Here(Here<'s>),
    /// Symbolic links are followed: certbot and dehydrated name their newest files by them.
    Folder(&'s Path),
}

/// The cert repository itself, and what was read of it.
pub(crate) struct Here<'s> {
    workspace: &'s Workspace,
    seen: RefCell<Seen>,
}

/// Kinds of entries of a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

impl<'s> Source<'s> {
    /// The cert repository itself.
    pub(crate) fn here(workspace: &'s Workspace) -> Self {
        Self::Here(Here {
            workspace,
            seen: RefCell::default(),
        })
    }

    /// What was read of the cert repository.
    pub(crate) fn seen(self) -> Seen {
        match self {
            Self::Here(here) => here.seen.into_inner(),
            Self::Folder(_) => Seen::default(),
        }
    }

    /// A file's bytes; none if there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Here(Here { workspace, seen }) => {
                let bytes = workspace.read(path)?;
                seen.borrow_mut().note(path, bytes.as_deref());
                Ok(bytes)
            }
            Self::Folder(folder) => {
                let path = folder.join(path);
                // A device or a pipe could be read for ever.
                match fs::metadata(&path) {
                    Ok(found) if found.is_file() => file::read(&path)
                        .map(Some)
                        .map_err(|error| unreadable(error, &path)),
                    Ok(_) => Ok(None),
                    Err(error) if is_missing(&error) => Ok(None),
                    Err(error) => Err(unreadable(error, &path)),
                }
            }
        }
    }

    /// A text that is no secret; none if there is none.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>> {
        let bytes = self.read(path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A file of JSON; none if there is none.
    pub(super) fn json(&self, path: &str) -> Result<Option<Value>> {
        let bytes = self.read(path)?;
        bytes
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .with_context(|| format!("`{}` cannot be read", self.shown(path)))
    }

    /// A public file, or its copy that blackbox encrypted: its bytes, and the copy's path if that was read.
    pub(super) fn public(&self, path: &str) -> Result<Option<(Vec<u8>, Option<String>)>> {
        if let Some(bytes) = self.read(path)? {
            return Ok(Some((bytes, None)));
        }
        let copy = format!("{path}.gpg");
        let Some(bytes) = self.read(&copy)? else {
            return Ok(None);
        };
        let opened = blackbox::decrypt(&bytes, &self.shown(&copy))?;
        Ok(Some((opened.expose().to_vec(), Some(copy))))
    }

    /// A file that holds a key, if it is there.
    pub(super) fn key(&self, path: &str) -> Option<KeyFile> {
        let key = match self.read(path) {
            Ok(None) => return None,
            Ok(Some(bytes)) if path.ends_with(blackbox::ENCRYPTED) => {
                blackbox::decrypt(&bytes, &self.shown(path))
            }
            Ok(Some(bytes)) => Ok(Secret::new(bytes)),
            Err(error) => Err(error),
        };
        Some(KeyFile {
            path: self.shown(path),
            key,
        })
    }

    /// Names of the folders in a folder, sorted; none if there is no such folder.
    pub(super) fn folders(&self, path: &str) -> Result<Vec<String>> {
        match self {
            Self::Here(here) => here.workspace.folders(path),
            Self::Folder(folder) => list(&folder.join(path), Kind::Folder),
        }
    }

    /// Names of the files in a folder, sorted. Only get-certs' files are in the cert repository, and have names that
    /// are known.
    pub(super) fn files(&self, path: &str) -> Result<Vec<String>> {
        match self {
            Self::Here(_) => Ok(Vec::new()),
            Self::Folder(folder) => list(&folder.join(path), Kind::File),
        }
    }

    /// A path for messages.
    pub(super) fn shown(&self, path: &str) -> String {
        match self {
            Self::Here(_) => path.to_owned(),
            Self::Folder(folder) => folder.join(path).display().to_string(),
        }
    }
}

fn list(folder: &Path, kind: Kind) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error, folder)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(error, folder))?;
        let is_its = match fs::metadata(entry.path()) {
            Ok(found) if kind == Kind::Folder => found.is_dir(),
            Ok(found) => found.is_file(),
            // A link that leads nowhere.
            Err(_) => false,
        };
        if is_its && let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unreadable(error: std::io::Error, path: &Path) -> Error {
    let is_denied = error.kind() == ErrorKind::PermissionDenied;
    let error = Error::new(error).context(format!("cannot read `{}`", path.display()));
    if is_denied {
        with_hint(
            error,
            "run it as the user who may, or copy the folder to where you may read it",
        )
    } else {
        error
    }
}
