//! The user's checkout as a workspace, and a checkout of our own for the DNS repository.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use git2::build::CheckoutBuilder;
use git2::{ErrorClass, ErrorCode, Oid, Repository};

use crate::model::hint::{Hint, with_hint};
use crate::model::kill;
use crate::repo::address::Address;
use crate::repo::git::history::{History, fetch_new};
use crate::repo::git::people::People;
use crate::repo::git::unfinished::{Begun, Mark, Span};
use crate::repo::git::{CommitId, Content, File, Pushed, push};
use crate::repo::sizes;
use crate::repo::transport::{Access, Remote, SHA256_HINT};
use crate::repo::walk::{self, Place};

/// As much as a few certificates need.
static ROOM: [u8; 64 * 1024] = [0; _];

/// Name of the remote that is used where the branch names none.
const ORIGIN: &str = "origin";

/// What was checked out for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedOut {
    pub(crate) commit: CommitId,
    pub(crate) branch: String,
}

/// Clones the tip of a branch with a work tree into `into`, which must be empty and becomes 0700.
///
/// Symbolic links are made as they are; submodules and LFS files stay what git stores for them.
pub(crate) fn checkout(remote: &Remote, into: &Path) -> Result<CheckedOut> {
    let (repository, _, fetched) = fetch_new(remote, into, false)?;
    repository
        .checkout_head(Some(CheckoutBuilder::new().force()))
        .with_context(|| format!("cannot check out `{remote}`"))?;
    Ok(CheckedOut {
        commit: CommitId(fetched.tip),
        branch: fetched.branch,
    })
}

/// The checkout that contains a folder.
pub(super) struct Checkout {
    pub(super) history: History,
    /// The folder, to which paths are relative.
    folder: PathBuf,
    /// The folder's path in the work tree with a final `/`, or empty.
    pub(super) prefix: String,
    /// Name of the remote, for its remote-tracking branch.
    pub(super) remote_name: Option<String>,
    /// Why the work tree or the index could not follow a commit.
    behind: Option<anyhow::Error>,
}

impl Checkout {
    /// None if no git repository contains the folder.
    pub(super) fn find(
        folder: &Path,
        branch: Option<&str>,
        access: &Access,
    ) -> Result<Option<Self>> {
        let shown = folder.display();
        let folder = folder
            .canonicalize()
            .with_context(|| format!("cannot open `{shown}`"))?;
        let Some(repository) = discover(&folder)? else {
            return Ok(None);
        };
        let Some(work_tree) = repository.workdir() else {
            return Err(with_hint(
                anyhow!("`{shown}` is in a bare repository"),
                "give it with `--repo`, so that it is cloned and pushed to",
            ));
        };
        let prefix = prefix(&work_tree.canonicalize()?, &folder)?;
        let head = repository
            .head()
            .with_context(|| format!("the repository of `{shown}` has no commit"))
            .hint(|| "commit what is there first: `git add --all && git commit`")?;
        let base = sizes::head(&repository)?.id();
        let checked_out = head
            .is_branch()
            .then(|| head.shorthand().map(str::to_owned))
            .transpose()?;
        drop(head);
        let remote_name = remote_name(&repository, checked_out.as_deref())?;
        let remote = match &remote_name {
            Some(name) => Some(remote(&repository, name, access)?),
            None => None,
        };
        let history = History {
            remote,
            branch: branch.map(str::to_owned).or(checked_out),
            base,
            tip: base,
            cloned: false,
            may_have_journal: true,
            yielding: BTreeSet::new(),
            repository,
        };
        Ok(Some(Self {
            history,
            folder,
            prefix,
            remote_name,
            behind: None,
        }))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn place(&self) -> Place {
        walk::place(&self.history.repository, &self.prefix, self.history.tip)
    }

    pub(super) fn past(
        &self,
        since: i64,
        path_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Vec<u8>>> {
        self.history.past(since, &self.prefix, path_of)
    }

    /// An error if the server's `tip` has certificates or accounts that this checkout does not know.
    pub(super) fn refuse_outdated(
        &self,
        remote: &Remote,
        (branch, tip): (&str, Oid),
    ) -> Result<()> {
        let History {
            repository, base, ..
        } = &self.history;
        let is_known = tip == *base || repository.graph_descendant_of(*base, tip)?;
        if is_known || !self.history.differs_from(tip, &self.prefix)? {
            return Ok(());
        }
        Err(with_hint(
            anyhow!(
                "this checkout is behind `{branch}` of `{remote}`, where certificates have changed"
            ),
            "`git pull --rebase`, then run again: what is due here may be renewed there",
        ))
    }

    /// Fails where nothing can be written, and where another git program holds the index, or left its lock
    /// behind.
    pub(super) fn prove_commit(&self) -> Result<()> {
        for folder in [self.history.repository.path(), &self.folder] {
            let written = tempfile::tempfile_in(folder).and_then(|mut file| file.write_all(&ROOM));
            written.with_context(|| format!("cannot write to `{}`", folder.display()))?;
        }
        Mark::of(&self.history.repository, &self.prefix)?.prove()?;
        let lock = self.history.repository.path().join("index.lock");
        if lock.try_exists()? {
            return Err(with_hint(
                anyhow!("the index of this checkout is locked"),
                format!(
                    "another git program is at work: run again when it is done, or remove `{}` if there is none",
                    lock.display()
                ),
            ));
        }
        Ok(())
    }

    /// Why the work tree or the index could not follow a commit; told once.
    pub(super) fn take_behind(&mut self) -> Option<anyhow::Error> {
        self.behind.take()
    }

    /// Commits `files` alone on HEAD and moves HEAD, then writes them and enters them in the index.
    ///
    /// What the user has staged or changed stays as it is. Once HEAD has moved the files are safe, so
    /// that a work tree or an index that cannot follow is no error: see [`Self::take_behind`].
    pub(super) fn commit(
        &mut self,
        message: &str,
        files: &[File],
        people: &People,
    ) -> Result<Option<CommitId>> {
        let head = sizes::head(&self.history.repository)?.id();
        self.history.tip = head;
        let made = self.history.commit(message, &self.prefix, files, people)?;
        let begun = match made.map(|_| self.advance(head, files)).transpose() {
            Ok(begun) => begun,
            Err(error) => {
                // What is reported as failed must not be pushed with the next commit.
                self.history.tip = head;
                return Err(error);
            }
        };
        kill::point("before files");
        let written = self.write(files);
        kill::point("before mark ends");
        // What could not be written the next command writes.
        let followed = written.and_then(|()| begun.map_or(Ok(()), Begun::end));
        if let Err(error) = followed {
            self.behind.get_or_insert(error);
        }
        Ok(made)
    }

    /// Moves HEAD from `head` to the tip, and marks before that the files are to follow.
    fn advance(&self, head: Oid, files: &[File]) -> Result<Begun> {
        let repository = &self.history.repository;
        let mark = Mark::of(repository, &self.prefix)?;
        let span = Span {
            old: head,
            new: self.history.tip,
        };
        kill::point("before mark");
        let begun = mark.begin(repository, span, files)?;
        kill::point("before head");
        if let Err(error) = self.move_head(head, "commit (git-certs)") {
            // One that stays says nothing, as HEAD is not at the new commit.
            let _ = begun.end();
            return Err(error);
        }
        Ok(begun)
    }

    /// Writes files to the work tree and enters them in the index.
    pub(super) fn write(&self, files: &[File]) -> Result<()> {
        for file in files {
            kill::point("before file");
            file.write_in(&self.folder)?;
        }
        kill::point("before index");
        let repository = &self.history.repository;
        let mut index = repository.index()?;
        for file in files {
            let path = format!("{}{}", self.prefix, file.path);
            let path = Path::new(&path);
            let entered = match file.content {
                Content::Removed if index.get_path(path, 0).is_none() => Ok(()),
                Content::Removed => index.remove_path(path),
                Content::Public(_) | Content::Sealed(_) => index.add_path(path),
            };
            entered.with_context(|| format!("cannot enter `{}` in the index", file.path))?;
        }
        index.write().context("cannot write the index")
    }

    /// Pushes; where the commits had to be re-applied, HEAD and the work tree follow.
    pub(super) fn push(&mut self, people: &People) -> Result<Pushed> {
        let before = sizes::head(&self.history.repository)?.id();
        let mut pushed = push::push(&mut self.history, people)?;
        let Pushed::Done(done) = &mut pushed else {
            return Ok(pushed);
        };
        if let Some(name) = &self.remote_name {
            let tracking = format!("refs/remotes/{name}/{}", done.branch);
            let tip = self.history.tip;
            let repository = &self.history.repository;
            if let Err(error) = repository.reference(&tracking, tip, true, "git-certs: push") {
                // The server has it.
                let error = anyhow!(error).context(format!("cannot write `{tracking}`"));
                self.behind.get_or_insert(error);
            }
        }
        if self.history.tip != before {
            done.work_tree_behind = !self.follow(before)?;
        }
        Ok(pushed)
    }

    /// Brings HEAD and the work tree to the tip; false if the user's changes are in the way.
    fn follow(&mut self, before: Oid) -> Result<bool> {
        let repository = &self.history.repository;
        let tip = sizes::commit(repository, self.history.tip)?;
        let mut safely = CheckoutBuilder::new();
        match repository.checkout_tree(tip.as_object(), Some(safely.safe())) {
            Ok(()) => self
                .move_head(before, "git-certs: re-applied")
                .map(|()| true),
            Err(error) if error.code() == ErrorCode::Conflict => Ok(false),
            // The index is written last: the files are there.
            Err(error) if error.code() == ErrorCode::Locked => {
                let error = anyhow!(error).context("cannot write the index");
                self.behind.get_or_insert(error);
                self.move_head(before, "git-certs: re-applied")
                    .map(|()| true)
            }
            Err(error) => Err(error).context("cannot bring the work tree up to date"),
        }
    }

    fn move_head(&self, from: Oid, why: &str) -> Result<()> {
        let repository = &self.history.repository;
        let tip = self.history.tip;
        if repository.head_detached()? {
            repository.set_head_detached(tip)?;
            return Ok(());
        }
        let head = repository.head()?;
        let name = head.name()?.to_owned();
        repository
            .reference_matching(&name, tip, true, from, why)
            .with_context(|| format!("`{name}` moved while committing"))?;
        Ok(())
    }
}

/// The repository that contains a folder; none if no one does.
pub(crate) fn discover(folder: &Path) -> Result<Option<Repository>> {
    match Repository::discover(folder) {
        Ok(repository) => Ok(Some(repository)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(unusable(error, folder)),
    }
}

fn unusable(error: git2::Error, folder: &Path) -> anyhow::Error {
    let shown = folder.display();
    let words = error.message().to_lowercase();
    let owner = error.code() == ErrorCode::Owner;
    let sha256 = error.class() == ErrorClass::Repository
        && (words.contains("objectformat") || words.contains("object format"));
    let error = anyhow!(error).context(format!("cannot use the repository of `{shown}`"));
    if owner {
        let hint = "another user owns it: `git config --global --add safe.directory PATH`";
        with_hint(error, hint)
    } else if sha256 {
        with_hint(error, SHA256_HINT)
    } else {
        error
    }
}

pub(super) fn prefix(work_tree: &Path, folder: &Path) -> Result<String> {
    let Ok(below) = folder.strip_prefix(work_tree) else {
        bail!("`{}` is not in its work tree", folder.display());
    };
    match below.to_str() {
        Some("") => Ok(String::new()),
        Some(below) => Ok(format!("{below}/")),
        None => bail!("the path of `{}` is not UTF-8", folder.display()),
    }
}

/// The remote of the branch, `origin`, or the only one.
fn remote_name(repository: &Repository, branch: Option<&str>) -> Result<Option<String>> {
    let config = repository.config()?;
    let of_branch =
        branch.and_then(|branch| config.get_string(&format!("branch.{branch}.remote")).ok());
    let remotes = repository.remotes()?;
    let names: Vec<&str> = remotes.iter().flatten().flatten().collect();
    if let Some(name) = of_branch
        && names.contains(&name.as_str())
    {
        return Ok(Some(name));
    }
    if names.contains(&ORIGIN) {
        return Ok(Some(ORIGIN.to_owned()));
    }
    match names.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some((*only).to_owned())),
        several => Err(with_hint(
            anyhow!(
                "the repository has {} remotes and no `origin`",
                several.len()
            ),
            "`git branch --set-upstream-to REMOTE/BRANCH` says which one to push to",
        )),
    }
}

fn remote(repository: &Repository, name: &str, access: &Access) -> Result<Remote> {
    let found = repository.find_remote(name)?;
    let url = match found.pushurl()? {
        Some(url) => url,
        None => found.url()?,
    };
    let access = access
        .clone()
        .read(&repository.config()?, repository.workdir())?;
    // A relative path is relative to the work tree.
    let beside = repository.workdir().map(|work_tree| work_tree.join(url));
    let path = beside.as_deref().filter(|path| path.exists());
    let text = path.and_then(Path::to_str).unwrap_or(url);
    let address =
        Address::parse(text).with_context(|| format!("the remote `{name}` cannot be used"))?;
    Ok(Remote {
        address: Arc::new(address),
        branch: None,
        access,
    })
}
