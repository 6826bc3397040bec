//! The mark of a commit that the work tree and the index of a checkout are still to follow.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use git2::{Commit, ObjectType, Oid, Repository};

use crate::model::file;
use crate::model::hint::with_hint;
use crate::repo::files;
use crate::repo::git::{Content, File, message, read};
use crate::repo::sizes;

/// Two ids have 82 bytes, a loose file about a hundred.
const LARGEST: u64 = 16 << 20;

/// The mark of one folder of certificates. It lies in the git folder of the work tree, which no commit has and no server gets.
///
/// It is there from before HEAD moves until the files have followed. Who has the lock of the folder writes and reads it.
pub(super) struct Mark {
    path: PathBuf,
    prefix: String,
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) span: Span,
    /// Files that neither commit has and that go, from the top of the work tree, with the content that they had.
    pub(super) loose: BTreeMap<String, Oid>,
}

/// From the commit whose files were there to the one that they are to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) old: Oid,
    pub(super) new: Oid,
}

/// A mark that this process has written.
pub(super) struct Begun {
    mark: Mark,
    /// Files of an earlier commit have not followed either.
    is_longer: bool,
}

impl Mark {
    /// `prefix` is the folder's path in the work tree.
    pub(super) fn of(repository: &Repository, prefix: &str) -> Result<Self> {
        // A work tree may have several folders of certificates.
        let id = Oid::hash_object(ObjectType::Blob, prefix.as_bytes())?;
        let name = format!("git-certs-unfinished-{id}");
        Ok(Self {
            path: repository.path().join(name),
            prefix: prefix.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing is in the way of a mark; what is no file is neither replaced nor removed.
    pub(super) fn is_usable(&self) -> bool {
        let found = fs::symlink_metadata(&self.path);
        found.map_or(true, |found| found.is_file() || found.is_symlink())
    }

    /// None if there is none; an error of what git-certs does not write.
    pub(super) fn read(&self) -> io::Result<Option<Noted>> {
        let bytes = match file::read_up_to(LARGEST, &self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let strange = || io::Error::new(ErrorKind::InvalidData, "it does not name two commits");
        Noted::parse(&bytes).map(Some).ok_or_else(strange)
    }

    /// Fails where no mark can be.
    pub(super) fn prove(&self) -> Result<()> {
        if self.is_usable() {
            return Ok(());
        }
        let shown = self.path.display();
        let error = anyhow!("`{shown}` is not a file, and commits cannot be marked there");
        Err(with_hint(error, "remove it"))
    }

    pub(super) fn remove(&self) -> Result<()> {
        files::remove(&self.path)
    }

    /// Notes that HEAD moves, and these files follow; what is noted is on the disk then.
    pub(super) fn begin(
        self,
        repository: &Repository,
        span: Span,
        files: &[File],
    ) -> Result<Begun> {
        let loose = self.loose(repository, span.old, files)?;
        let mut noted = Noted { span, loose };
        let earlier = self.read().ok().flatten();
        let earlier = earlier.filter(|earlier| earlier.span.has_reached(repository, span.old));
        let is_longer = earlier.is_some();
        if let Some(mut earlier) = earlier {
            noted.span.old = earlier.span.old;
            earlier.loose.append(&mut noted.loose);
            noted.loose = earlier.loose;
        }
        self.prove()?;
        files::sweep(repository.path()).context("cannot remove what a killed command has left")?;
        files::replace(&self.path, noted.text().as_bytes(), files::PRIVATE)?;
        Ok(Begun {
            mark: self,
            is_longer,
        })
    }

    /// Files that go and that no commit has: nothing but the mark says later that they are to go.
    fn loose(
        &self,
        repository: &Repository,
        head: Oid,
        files: &[File],
    ) -> Result<BTreeMap<String, Oid>> {
        let tree = sizes::files_of(repository, head)?;
        let top = repository.workdir().context("there is no work tree")?;
        let going = files.iter().filter(|file| file.content == Content::Removed);
        let paths = going.map(|file| format!("{}{}", self.prefix, file.path));
        let loose = paths.filter_map(|path| {
            let is_loose = tree.get_path(Path::new(&path)).is_err();
            let content = is_loose.then(|| content(top, &path).ok().flatten())??;
            Some((path, content))
        });
        Ok(loose.collect())
    }
}

impl Begun {
    /// The files have followed, or HEAD has not moved.
    pub(super) fn end(self) -> Result<()> {
        if self.is_longer {
            return Ok(());
        }
        self.mark.remove()
    }
}

/// The id that a file's content has in git; none if there is no file, an error of one behind a link and of what is no file.
pub(super) fn content(top: &Path, path: &str) -> Result<Option<Oid>> {
    if !read::exists(top, path)? {
        return Ok(None);
    }
    let whole = top.join(path);
    // Who would hash a named pipe waits for who writes into it.
    ensure!(whole.is_file(), "`{path}` is no file");
    Ok(Some(Oid::hash_file(ObjectType::Blob, whole)?))
}

impl Noted {
    fn text(&self) -> String {
        let Span { old, new } = self.span;
        let mut text = format!("{old}\n{new}\n");
        for (path, content) in &self.loose {
            text += &format!("{content} {path}\0");
        }
        text
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (old, rest) = text.split_once('\n')?;
        let (new, rest) = rest.split_once('\n')?;
        let [old, new] = [old, new].map(sizes::whole_id);
        let span = Span {
            old: old?,
            new: new?,
        };
        let loose = rest.split_inclusive('\0').map(|file| {
            let (content, path) = file.strip_suffix('\0')?.split_once(' ')?;
            let path = read::checked(path).ok()?;
            Some((path.to_owned(), sizes::whole_id(content)?))
        });
        let loose = loose.collect::<Option<_>>()?;
        Some(Self { span, loose })
    }
}

impl Span {
    /// The commits from the new one to the old one, both of them, all but the old one ours; none if that is not so.
    pub(super) fn line<'r>(&self, repository: &'r Repository) -> Option<Vec<Commit<'r>>> {
        let mut commit = sizes::commit(repository, self.new).ok()?;
        let mut line = Vec::new();
        while commit.id() != self.old {
            if !message::is_ours(&commit) || commit.parent_count() != 1 {
                return None;
            }
            let parent = sizes::commit(repository, commit.parent_id(0).ok()?).ok()?;
            line.push(std::mem::replace(&mut commit, parent));
        }
        line.push(commit);
        Some(line)
    }

    /// Whether files may be behind this commit.
    fn has_reached(&self, repository: &Repository, head: Oid) -> bool {
        let line = self.line(repository);
        head != self.old && line.is_some_and(|line| line.iter().any(|commit| commit.id() == head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_and_loose_files_are_a_mark() {
        let [old, new] = ["1", "2"].map(|digit| digit.repeat(40));
        let span = Span {
            old: old.parse().unwrap(),
            new: new.parse().unwrap(),
        };
        for paths in [vec![], vec!["web.key"], vec!["a/b c\n.key", "a/b.key"]] {
            let noted = Noted {
                span,
                loose: paths
                    .into_iter()
                    .map(|path| (path.to_owned(), span.old))
                    .collect(),
            };
            assert_eq!(Noted::parse(noted.text().as_bytes()), Some(noted));
        }
        for strange in [
            String::new(),
            "\n".to_owned(),
            format!("{old}\n"),
            format!("{old} {new}\n"),
            format!("{old}\n{new}\n{new}\n"),
            format!("{old}\n{new}\n\n"),
            format!("{old}\n{new}0\n"),
            format!("x{old}\n{new}\n"),
            format!("{old}\n{new}"),
            format!("{old}\n{new}\n{old} web.key"),
            format!("{old}\n{new}\n{old} \0"),
            format!("{old}\n{new}\n{old} ../web.key\0"),
            format!("{old}\n{new}\n{old} .git/config\0"),
            format!("{old}\n{new}\nweb.key\0"),
            format!("{old}\n{new}\n1 web.key\0"),
            format!("{old}\n{new}\n{old} a\0\0"),
        ] {
            assert_eq!(Noted::parse(strange.as_bytes()), None, "{strange:?}");
        }
        assert_eq!(Noted::parse(b"\xff"), None);
    }
}
