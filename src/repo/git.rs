//! A repository to read from, commit to and push: a bare clone, a checkout, or a plain folder.
//!
//! Blocking. Commits are made in the object database, from memory; the index and the work tree of
//! a checkout only follow.

mod behind;
mod checkout;
mod contest;
mod earlier;
mod history;
mod journals;
mod left;
mod look;
mod mend;
mod message;
mod people;
mod push;
mod read;
mod rescue;
mod uncommitted;
mod unfinished;
pub(in crate::repo) mod waits;
mod whole;
mod writable;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use git2::Oid;
use memchr::memmem;

use crate::model::hint::Hint;
use crate::model::secret::Sealed;
use crate::repo::allowed_signers::ALLOWED_SIGNERS;
use crate::repo::files;
use crate::repo::git::checkout::Checkout;
use crate::repo::git::history::History;
use crate::repo::leaks;
use crate::repo::prove;
use crate::repo::signed;
use crate::repo::transport::{Access, Remote};

pub(crate) use crate::repo::git::checkout::{checkout, discover};
pub(crate) use crate::repo::git::left::Left;
pub(crate) use crate::repo::git::mend::{Mended, look, mend};
pub(crate) use crate::repo::git::message::{Message, RUN, SERIAL, trailer};
pub(crate) use crate::repo::git::people::People;
pub(crate) use crate::repo::git::read::Reader;
pub(crate) use crate::repo::git::rescue::save;
pub(crate) use crate::repo::git::writable::writable;

/// What no file in the clear may contain: the label of every PEM private key ends so.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// A place for certificates, in one of three shapes.
pub(crate) struct Workspace {
    shape: Shape,
    people: People,
}

enum Shape {
    /// A clone of our own, without a work tree.
    Bare(History),
    /// The user's checkout.
    Checkout(Checkout),
    /// A folder that no git repository contains: files are written, nothing is committed.
    Folder(PathBuf),
}

/// A file to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Relative to the workspace, parts separated by `/`.
    pub(crate) path: String,
    pub(crate) content: Content,
}

/// Content of a file: public, ciphertext, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Refused if it holds a private key.
    Public(Vec<u8>),
    Sealed(Sealed),
    /// The file goes; it is no error if there is none.
    Removed,
}

impl Content {
    /// None for a file that goes.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Public(bytes) => Some(bytes),
            Self::Sealed(sealed) => Some(sealed.as_str().as_bytes()),
            Self::Removed => None,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::Public(_) => files::READABLE,
            Self::Sealed(_) | Self::Removed => files::PRIVATE,
        }
    }
}

impl File {
    /// Brings a folder's file to this state.
    fn write_in(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.path);
        match self.content.bytes() {
            Some(bytes) => files::replace(&path, bytes, self.content.mode()),
            None => files::remove(&path),
        }
    }
}

/// Id of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitId(pub(crate) Oid);

impl std::fmt::Display for CommitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a trial push showed; a refusal is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushCheck {
    WouldBeAccepted,
    /// A plain folder, or a checkout without a remote: nothing will be pushed.
    NoRemote,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Nothing,
    NoRemote,
    Done(Done),
}

/// A push that the server took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Oldest first.
    pub(crate) commits: Vec<CommitId>,
    pub(crate) branch: String,
    /// How often another push came first.
    pub(crate) retried: u32,
    /// The commits were re-applied, but the work tree could not follow them: the user's own changes
    /// are in the way. `git pull --rebase` puts it right.
    pub(crate) work_tree_behind: bool,
    /// Chains of certificates that another push had stored already, and that expire no earlier: ours are left out.
    pub(crate) superseded: Vec<String>,
    /// What the server printed.
    pub(crate) said: String,
}

impl Workspace {
    /// Clones the tip of a branch into `into`, which must be an empty folder of mode 0700.
    pub(crate) fn clone(remote: &Remote, into: &Path, people: People) -> Result<Self> {
        let workspace = Self {
            shape: Shape::Bare(History::clone(remote, into)?),
            people,
        };
        workspace.vouched().map(|()| workspace)
    }

    /// Works in the checkout that contains `folder`, or in `folder` itself if none does.
    ///
    /// Paths are relative to `folder`. `branch` is the branch to push to, by default the one that is
    /// checked out.
    pub(crate) fn here(
        folder: &Path,
        branch: Option<&str>,
        access: &Access,
        people: People,
    ) -> Result<Self> {
        let shape = match Checkout::find(folder, branch, access)? {
            Some(checkout) => Shape::Checkout(checkout),
            None => Shape::Folder(folder.to_owned()),
        };
        let workspace = Self { shape, people };
        workspace.vouched().map(|()| workspace)
    }

    /// Fails where none of those who are trusted has signed what is worked on.
    fn vouched(&self) -> Result<()> {
        let Some(trusted) = &self.people.trusted else {
            return Ok(());
        };
        let history = self.history().ok_or_else(|| {
            anyhow!("this folder is in no git repository: nobody has signed what is in it")
        })?;
        signed::vouched(&history.repository, history.tip, trusted)
    }

    /// A file's bytes; none if there is none. A symbolic link on the way is an error.
    ///
    /// Reads the tip in a clone, the work tree in a checkout.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.reader()?.read(path)
    }

    /// For many files.
    pub(crate) fn reader(&self) -> Result<Reader<'_>> {
        Ok(match &self.shape {
            Shape::Bare(history) => Reader::Commit(history.trees()?),
            Shape::Checkout(checkout) => Reader::Folder(checkout.folder()),
            Shape::Folder(folder) => Reader::Folder(folder),
        })
    }

    /// Whether there is a file; it is not opened.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        self.reader()?.has(path)
    }

    /// Names of the folders in a folder, sorted; none if there is no such folder.
    pub(crate) fn folders(&self, path: &str) -> Result<Vec<String>> {
        match &self.shape {
            Shape::Bare(history) => history.folders(path),
            Shape::Checkout(checkout) => read::folders(checkout.folder(), path),
            Shape::Folder(folder) => read::folders(folder, path),
        }
    }

    /// What commits since a moment (Unix time) made of the files that `path_of` names by their
    /// subjects. Nothing where there is no git; a clone has one commit only.
    pub(crate) fn past(
        &self,
        since: i64,
        path_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Vec<u8>>> {
        match &self.shape {
            Shape::Bare(history) => history.past(since, "", path_of),
            Shape::Checkout(checkout) => checkout.past(since, path_of),
            Shape::Folder(_) => Ok(Vec::new()),
        }
    }

    /// Proves that a push would be accepted, hooks and branch protection included.
    ///
    /// Changes nothing; see [`prove`]. A checkout must also know of all certificates that the server
    /// has. Fails with [`prove::PushRefused`] or a
    /// [`crate::repo::transport::RemoteError`] in the chain of causes.
    pub(crate) fn prove_push(&self) -> Result<PushCheck> {
        let Some(history) = self.history() else {
            return Ok(PushCheck::NoRemote);
        };
        let Some(remote) = &history.remote else {
            return Ok(PushCheck::NoRemote);
        };
        let branch = history.target()?;
        // A clone's tip is the server's; a checkout may be behind or ahead, so its base is no help.
        let tip = history.tip_on_server(remote, branch)?;
        if let Shape::Checkout(checkout) = &self.shape {
            checkout.refuse_outdated(remote, (branch, tip))?;
        }
        prove::prove(&history.repository, remote, (branch, tip), &self.people)?;
        Ok(PushCheck::WouldBeAccepted)
    }

    /// Whether other runs have changed certificates or accounts on the server since this was opened. A clone
    /// has them then; a checkout is the user's own, so that it is an error there.
    pub(crate) fn catch_up(&mut self) -> Result<bool> {
        match &mut self.shape {
            Shape::Bare(history) => {
                let has_changed = history.catch_up()?;
                self.vouched().map(|()| has_changed)
            }
            Shape::Checkout(checkout) => {
                let history = &checkout.history;
                if let Some(remote) = &history.remote {
                    let branch = history.target()?;
                    let tip = history.tip_on_server(remote, branch)?;
                    checkout.refuse_outdated(remote, (branch, tip))?;
                }
                Ok(false)
            }
            Shape::Folder(_) => Ok(false),
        }
    }

    /// Proves, as far as it can be known beforehand, that files can be stored.
    pub(crate) fn prove_commit(&self) -> Result<()> {
        match &self.shape {
            Shape::Checkout(checkout) => checkout.prove_commit()?,
            Shape::Bare(_) => {}
            Shape::Folder(_) => return Ok(()),
        }
        match self.read(ALLOWED_SIGNERS)? {
            Some(list) => self.people.may_sign(&String::from_utf8_lossy(&list)),
            None => Ok(()),
        }
    }

    /// Why the work tree or the index of a checkout could not follow what was committed; told once.
    pub(crate) fn take_behind(&mut self) -> Option<anyhow::Error> {
        match &mut self.shape {
            Shape::Checkout(checkout) => checkout.take_behind(),
            Shape::Bare(_) | Shape::Folder(_) => None,
        }
    }

    /// Stores files; one commit, or none where nothing changed or there is no git.
    pub(crate) fn commit(
        &mut self,
        message: impl Into<Message>,
        files: &[File],
    ) -> Result<Option<CommitId>> {
        for file in files {
            read::checked(&file.path)?;
            refuse_keys(&file.path, file.content.bytes().unwrap_or_default())?;
        }
        let message = message.into().of_run(self.people.run.as_deref());
        match &mut self.shape {
            Shape::Bare(history) => history.commit(&message, "", files, &self.people),
            Shape::Checkout(checkout) => checkout.commit(&message, files, &self.people),
            Shape::Folder(folder) => {
                files.iter().try_for_each(|file| file.write_in(folder))?;
                Ok(None)
            }
        }
    }

    /// The same for a commit that is not worth a conflict: what another push did to its files stays.
    pub(crate) fn commit_yielding(&mut self, message: String, files: &[File]) -> Result<()> {
        let id = self.commit(message, files)?;
        if let (Some(CommitId(id)), Some(history)) = (id, self.history_mut()) {
            history.yielding.insert(id);
        }
        Ok(())
    }

    /// Pushes what was committed; a lost race is re-applied on the new tip and pushed again.
    pub(crate) fn push(&mut self) -> Result<Pushed> {
        match &mut self.shape {
            Shape::Bare(history) => push::push(history, &self.people),
            Shape::Checkout(checkout) => checkout.push(&self.people),
            Shape::Folder(_) => Ok(Pushed::NoRemote),
        }
    }

    fn history_mut(&mut self) -> Option<&mut History> {
        match &mut self.shape {
            Shape::Bare(history) => Some(history),
            Shape::Checkout(checkout) => Some(&mut checkout.history),
            Shape::Folder(_) => None,
        }
    }

    /// Whether commits stay here when they are not pushed.
    pub(crate) fn keeps_commits(&self) -> bool {
        matches!(self.shape, Shape::Checkout(_))
    }

    fn history(&self) -> Option<&History> {
        match &self.shape {
            Shape::Bare(history) => Some(history),
            Shape::Checkout(checkout) => Some(&checkout.history),
            Shape::Folder(_) => None,
        }
    }
}

/// Fails where anything but ciphertext of age would be stored of a private key, locked by a passphrase or not.
pub(in crate::repo) fn refuse_keys(path: &str, bytes: &[u8]) -> Result<()> {
    let kind = match leaks::find(bytes) {
        Some(leak) => format!(" ({})", leak.kind),
        // One that cannot be read is none for the finder.
        None if memmem::find(bytes, PRIVATE_KEY).is_some() => String::new(),
        None => return Ok(()),
    };
    Err(anyhow!(
        "refusing to store `{path}`: it holds a private key{kind}"
    ))
    .hint(|| "take the key out of that file: private keys are stored encrypted by age, as `NAME.key.age`")
}

#[cfg(test)]
mod tests;
