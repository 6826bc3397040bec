//! Private keys in the clear among the files of a folder, or of a commit.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use git2::{IndexEntryExtendedFlag, Odb, Oid, Repository, StatusOptions};

use crate::model::file;
use crate::model::finding::{Finding, Level, Place};
use crate::repo::walk::{self, Scope, What};
use crate::repo::{git, leaks, verify};

/// What the next commit would bring and what is in the folder now, by path: `git add` may have seen another text.
/// What git ignores is left out. In a folder without git: every file.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<Finding>> {
    let mut found = Found::default();
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot open `{}`", folder.display()))?;
    match git::discover(&folder)? {
        Some(repository) => found.checkout(&repository, &folder)?,
        None => found.below(&folder, "")?,
    }
    Ok(found.0.into_values().collect())
}

/// What the last commit has.
pub(crate) fn in_commit(place: &walk::Place) -> Result<Vec<Finding>> {
    let mut found = Found::default();
    let walked = place.walk(Scope::Tip)?;
    let odb = place.open()?;
    let odb = odb.odb()?;
    let files = walked.changes.iter();
    for file in files.filter(|change| change.what == What::File) {
        found.object(&odb, file.id, &file.path)?;
    }
    Ok(found.0.into_values().collect())
}

/// By path.
#[derive(Default)]
struct Found(BTreeMap<String, Finding>);

impl Found {
    fn look(&mut self, path: &str, bytes: &[u8]) {
        match leaks::find(bytes) {
            Some(leak) => {
                let place = Place::File(path.to_owned());
                self.add(path, verify::leaked(place, &leak, String::new()));
            }
            None if verify::is_key(path) => self.add(path, verify::unencrypted(path)),
            None => {}
        }
    }

    fn object(&mut self, odb: &Odb<'_>, id: Oid, path: &str) -> Result<()> {
        let (size, _) = odb.read_header(id)?;
        match verify::too_large(path, size as u64) {
            Some(finding) => self.add(path, finding),
            None => self.look(path, odb.read(id)?.data()),
        }
        Ok(())
    }

    fn add(&mut self, path: &str, finding: Finding) {
        let known = self.0.get(path);
        if known.is_none_or(|known| known.level == Level::Note) {
            self.0.insert(path.to_owned(), finding);
        }
    }

    fn checkout(&mut self, repository: &Repository, folder: &Path) -> Result<()> {
        let Some(top) = repository.workdir() else {
            return self.below(folder, "");
        };
        let top = top.canonicalize()?;
        let prefix = folder.strip_prefix(&top).unwrap_or_else(|_| Path::new(""));
        let inside = |path: &[u8]| {
            let path = String::from_utf8_lossy(path).into_owned();
            let rest = Path::new(&path).strip_prefix(prefix).ok()?;
            rest.to_str().map(str::to_owned)
        };
        let odb = repository.odb()?;
        for entry in repository.index()?.iter() {
            let kind = entry.mode & walk::KIND;
            let is_intended =
                entry.flags_extended & IndexEntryExtendedFlag::INTENT_TO_ADD.bits() != 0;
            if let Some(path) = inside(&entry.path)
                && ![walk::LINK, walk::SUBMODULE].contains(&kind)
                && !is_intended
            {
                self.object(&odb, entry.id, &path)?;
            }
        }
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        for status in repository.statuses(Some(&mut options))?.iter() {
            if let Some(path) = inside(status.path_bytes()) {
                self.file(&folder.join(&path), &path)?;
            }
        }
        Ok(())
    }

    /// A file that may be gone. Links are not followed.
    fn file(&mut self, file: &Path, path: &str) -> Result<()> {
        let about = || format!("cannot read `{path}`");
        match fs::symlink_metadata(file) {
            Ok(found) if found.is_file() => {
                if let Some(finding) = verify::too_large(path, found.len()) {
                    self.add(path, finding);
                } else {
                    let bytes = file::read_up_to(verify::LARGEST, file);
                    self.look(path, &bytes.with_context(about)?);
                }
                Ok(())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(about),
            _ => Ok(()),
        }
    }

    fn below(&mut self, folder: &Path, path: &str) -> Result<()> {
        let about = || format!("cannot list `{}`", folder.display());
        for entry in fs::read_dir(folder).with_context(about)? {
            let entry = entry.with_context(about)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if path.is_empty() {
                name
            } else {
                format!("{path}/{name}")
            };
            if entry.file_type().with_context(about)?.is_dir() {
                self.below(&entry.path(), &path)?;
            } else {
                self.file(&entry.path(), &path)?;
            }
        }
        Ok(())
    }
}
