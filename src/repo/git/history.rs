//! A repository and the line of our own commits on top of what was there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, RepositoryInitOptions, Signature, Sort};

use crate::model::hint::with_hint;
use crate::repo::git::people::{People, Person};
use crate::repo::git::read::{self, Trees};
use crate::repo::git::{CommitId, File};
use crate::repo::receive_pack::Push;
use crate::repo::sizes;
use crate::repo::transport::Remote;
use crate::repo::upload_pack::{self, Depth, Fetched, HEADS};

/// Folders that runs write to.
pub(super) const WRITTEN: [&str; 2] = ["certificates", ".letsencrypt"];

/// Own commits on top of `base`.
pub(super) struct History {
    pub(super) repository: Repository,
    pub(super) remote: Option<Remote>,
    /// Branch that is pushed to, without `refs/heads/`.
    pub(super) branch: Option<String>,
    /// Last commit that is not ours.
    pub(super) base: Oid,
    /// Last commit that is ours, or `base`.
    pub(super) tip: Oid,
    /// Whether `base` came from the server: nobody else's unpushed commits are in the way.
    pub(super) cloned: bool,
    /// Whether a run may have a journal on the server.
    pub(super) may_have_journal: bool,
    /// Commits of ours that give way to what another push did to the same files.
    pub(super) yielding: BTreeSet<Oid>,
}

impl History {
    /// Fetches the tip of a branch into a new bare repository.
    pub(super) fn clone(remote: &Remote, into: &Path) -> Result<Self> {
        let (repository, remote, fetched) = fetch_new(remote, into, true)?;
        Ok(Self {
            repository,
            remote: Some(remote),
            branch: Some(fetched.branch),
            base: fetched.tip,
            tip: fetched.tip,
            cloned: true,
            may_have_journal: fetched.has_journal,
            yielding: BTreeSet::new(),
        })
    }

    /// The files of the newest commit.
    pub(super) fn trees(&self) -> Result<Trees<'_>> {
        let root = sizes::files_of(&self.repository, self.tip)?;
        Ok(Trees::new(&self.repository, root))
    }

    pub(super) fn folders(&self, path: &str) -> Result<Vec<String>> {
        read::subtrees(self.trees()?, path)
    }

    /// Adds a commit with `files` below `prefix` changed; none if they are there already.
    pub(super) fn commit(
        &mut self,
        message: &str,
        prefix: &str,
        files: &[File],
        people: &People,
    ) -> Result<Option<CommitId>> {
        let repository = &self.repository;
        let parent = sizes::commit(repository, self.tip)?;
        let before = parent.tree()?;
        let mut update = TreeUpdateBuilder::new();
        for file in files {
            let path = format!("{prefix}{}", file.path);
            if let Some(bytes) = file.content.bytes() {
                let blob = repository.blob(bytes).with_context(|| {
                    format!("cannot write to `{}`", repository.path().display())
                })?;
                update.upsert(path, blob, FileMode::Blob);
            } else if before.get_path(Path::new(&path)).is_ok() {
                update.remove(path);
            }
        }
        let after = update
            .create_updated(repository, &before)
            .context("cannot make the tree of the commit")?;
        if after == before.id() {
            return Ok(None);
        }
        let tree = repository.find_tree(after)?;
        let (author, committer) = (signature(&people.author)?, signature(&people.committer)?);
        self.tip = people.commit(
            repository,
            (&author, &committer),
            message,
            (&tree, &[&parent]),
        )?;
        if self.cloned {
            self.move_branch()?;
        }
        Ok(Some(CommitId(self.tip)))
    }

    /// Our commits, oldest first.
    pub(super) fn own(&self) -> Result<Vec<Commit<'_>>> {
        self.between(self.base)
    }

    /// The commits from `from` to the tip, oldest first.
    pub(super) fn between(&self, from: Oid) -> Result<Vec<Commit<'_>>> {
        let mut walk = self.repository.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(self.tip)?;
        walk.hide(from)?;
        walk.map(|id| sizes::commit(&self.repository, id?))
            .collect()
    }

    /// What commits since a moment made of the files below `prefix` that `path_of` names by their
    /// subjects.
    pub(super) fn past(
        &self,
        since: i64,
        prefix: &str,
        path_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut walk = self.repository.revwalk()?;
        walk.set_sorting(Sort::TIME)?;
        walk.push(self.tip)?;
        let mut all = Vec::new();
        for id in walk {
            let commit = sizes::commit(&self.repository, id?)?;
            if commit.time().seconds() < since {
                break;
            }
            let subject = commit.summary().ok().flatten();
            if let Some(path) = subject.and_then(path_of) {
                let path = format!("{prefix}{path}");
                let root = sizes::folder(&self.repository, commit.tree_id())?;
                let mut trees = Trees::new(&self.repository, root);
                all.extend(trees.blob(&path)?);
            }
        }
        Ok(all)
    }

    /// The branch to push to.
    pub(super) fn target(&self) -> Result<&str> {
        self.branch.as_deref().ok_or_else(|| {
            with_hint(
                anyhow!("no branch is checked out, so it is not known where to push"),
                "name the branch with `--branch`",
            )
        })
    }

    /// The commit that the server's branch is at, fetched if it is not here.
    pub(super) fn tip_on_server(&self, remote: &Remote, branch: &str) -> Result<Oid> {
        if self.cloned {
            return Ok(self.base);
        }
        let push = Push::open(remote)?;
        let tip = push.current(&format!("{HEADS}{branch}"));
        push.leave()?;
        match tip {
            Some(tip) if self.repository.odb()?.exists(tip) => Ok(tip),
            _ => Ok(self.fetch(branch)?.tip),
        }
    }

    /// Whether the certificates or accounts below `prefix` are others in a commit than in `base`.
    pub(super) fn differs_from(&self, other: Oid, prefix: &str) -> Result<bool> {
        let repository = &self.repository;
        let trees =
            |id| Ok::<_, anyhow::Error>(Trees::new(repository, sizes::files_of(repository, id)?));
        let (mut ours, mut theirs) = (trees(self.base)?, trees(other)?);
        for folder in WRITTEN {
            let path = format!("{prefix}{folder}");
            let (ours, theirs) = (ours.entry(&path)?, theirs.entry(&path)?);
            if ours.map(|entry| entry.id()) != theirs.map(|entry| entry.id()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Brings a clone without commits of ours to the server's tip, and says whether certificates or accounts
    /// have changed.
    pub(super) fn catch_up(&mut self) -> Result<bool> {
        let Some(remote) = &self.remote else {
            return Ok(false);
        };
        let branch = self.target()?.to_owned();
        let open = Push::open(remote)?;
        let current = open.current(&format!("{HEADS}{branch}"));
        open.leave()?;
        if current == Some(self.base) || self.tip != self.base {
            return Ok(false);
        }
        let tip = self.fetch(&branch)?.tip;
        // Opened again for its `shallow` file.
        self.repository = Repository::open(self.repository.path())?;
        let differs = self.differs_from(tip, "")?;
        (self.base, self.tip) = (tip, tip);
        self.move_branch()?;
        Ok(differs)
    }

    /// Fetches the branch from the server.
    pub(super) fn fetch(&self, branch: &str) -> Result<Fetched> {
        let remote = self
            .remote
            .as_ref()
            .ok_or_else(|| anyhow!("the repository has no remote"))?;
        let remote = Remote {
            branch: Some(branch.to_owned()),
            ..remote.clone()
        };
        let depth = if self.cloned { Depth::Tip } else { Depth::All };
        upload_pack::fetch(&remote, &self.repository, &[self.base], depth)
    }

    /// Lets the clone's own branch follow the tip, so that the clone is a good repository.
    pub(super) fn move_branch(&self) -> Result<()> {
        let name = format!("{HEADS}{}", self.target()?);
        self.repository
            .reference(&name, self.tip, true, "git-certs")?;
        Ok(())
    }
}

pub(super) fn signature(person: &Person) -> Result<Signature<'static>> {
    Signature::now(&person.name, &person.email)
        .with_context(|| format!("`{} <{}>` cannot commit", person.name, person.email))
}

/// Makes a repository in `into` (made 0700 if missing) and fetches the tip of the branch.
pub(super) fn fetch_new(
    remote: &Remote,
    into: &Path,
    bare: bool,
) -> Result<(Repository, Remote, Fetched)> {
    let here = || format!("cannot make a clone in `{}`", into.display());
    fs::create_dir_all(into).with_context(here)?;
    fs::set_permissions(into, fs::Permissions::from_mode(0o700)).with_context(here)?;
    let mut options = RepositoryInitOptions::new();
    options.bare(bare).no_reinit(true).external_template(false);
    let repository = Repository::init_opts(into, &options).with_context(here)?;
    let mut config = repository.config()?;
    // What is read must be what was committed, whatever the user's own setting.
    config.set_bool("core.autocrlf", false)?;
    let mut remote = remote.clone();
    remote.access = remote.access.read(&config, None)?;
    let fetched = upload_pack::fetch(&remote, &repository, &[], Depth::Tip)?;
    // Opened again, because the file `shallow` is read at that moment only.
    let repository = Repository::open(repository.path()).with_context(here)?;
    let name = format!("{HEADS}{}", fetched.branch);
    repository.reference(&name, fetched.tip, true, "git-certs: clone")?;
    repository.set_head(&name)?;
    Ok((repository, remote, fetched))
}
