//! The mark of a commit that the work tree and the index of a checkout are still to follow.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use git2::{Commit, ObjectType, Oid, Repository};

use crate::model::file;
use crate::repo::files;
use crate::repo::git::message;
use crate::repo::sizes;

/// Two ids have 82 bytes.
const LARGEST: u64 = 1 << 10;

/// The mark of one folder of certificates. It lies in the git folder of the work tree, which no commit has and no server gets.
///
/// It is there from before HEAD moves until the files have followed. Who has the lock of the folder writes and reads it.
pub(super) struct Mark {
    path: PathBuf,
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
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// None if there is none; an error of what git-certs does not write.
    pub(super) fn read(&self) -> io::Result<Option<Span>> {
        let bytes = match file::read_up_to(LARGEST, &self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let strange = || io::Error::new(ErrorKind::InvalidData, "it does not name two commits");
        Span::parse(&bytes).map(Some).ok_or_else(strange)
    }

    pub(super) fn remove(&self) -> Result<()> {
        files::remove(&self.path)
    }

    /// Notes that HEAD moves; what is noted is on the disk then.
    pub(super) fn begin(self, repository: &Repository, mut span: Span) -> Result<Begun> {
        let earlier = self.read().ok().flatten();
        let earlier = earlier.filter(|earlier| earlier.has_reached(repository, span.old));
        if let Some(earlier) = earlier {
            span.old = earlier.old;
        }
        let text = format!("{}\n{}\n", span.old, span.new);
        files::sweep(repository.path()).context("cannot remove what a killed command has left")?;
        files::replace(&self.path, text.as_bytes(), files::PRIVATE)?;
        Ok(Begun {
            mark: self,
            is_longer: earlier.is_some(),
        })
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

impl Span {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split_terminator('\n');
        let mut id = || sizes::whole_id(lines.next()?);
        let span = Self {
            old: id()?,
            new: id()?,
        };
        lines.next().is_none().then_some(span)
    }

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
    fn two_ids_and_nothing_else_are_a_mark() {
        let [old, new] = ["1", "2"].map(|digit| digit.repeat(40));
        let span = Span {
            old: old.parse().unwrap(),
            new: new.parse().unwrap(),
        };
        assert_eq!(
            Span::parse(format!("{old}\n{new}\n").as_bytes()),
            Some(span)
        );
        for strange in [
            String::new(),
            "\n".to_owned(),
            format!("{old}\n"),
            format!("{old} {new}\n"),
            format!("{old}\n{new}\n{new}\n"),
            format!("{old}\n{new}\n\n"),
            format!("{old}\n{new}0\n"),
            format!("x{old}\n{new}\n"),
        ] {
            assert_eq!(Span::parse(strange.as_bytes()), None, "{strange:?}");
        }
        assert_eq!(Span::parse(b"\xff"), None);
    }
}
