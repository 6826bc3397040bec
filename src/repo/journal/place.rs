//! Where a journal is kept: a reference outside of branches, changed by compare-and-swap.

use std::path::Path;

use anyhow::{Context, Result, bail};
use git2::{ErrorCode, Oid, Repository, RepositoryInitOptions, Signature};

use crate::model::hint::Hint;
use crate::repo::git::{People, refuse_keys};
use crate::repo::journal::Journal;
use crate::repo::journal::reference::Reference;
use crate::repo::prove;
use crate::repo::receive_pack::{self, Push, RefUpdate, Report};
use crate::repo::sizes;
use crate::repo::transport::Remote;
use crate::repo::upload_pack::{self, Depth};

/// The one file of the commit.
const FILE: &str = "journal.json";

/// How often a change whose answer was lost is tried.
const ATTEMPTS: u32 = 3;

/// Where the journal is: a reference of a server, or of the checkout itself where nothing is pushed.
pub(crate) struct Place {
    repository: Repository,
    remote: Option<Remote>,
    reference: Reference,
    people: People,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The reference is there now; none if it is gone.
    Done(Option<Oid>),
    /// It had another value: another run is at work.
    Lost,
    /// The server takes no such reference; its own words.
    Refused(String),
}

impl Place {
    /// On a server; objects are made in a new repository in `scratch`.
    pub(crate) fn on_server(
        remote: Remote,
        scratch: &Path,
        reference: Reference,
        people: People,
    ) -> Result<Self> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let repository = Repository::init_opts(scratch, &options)
            .with_context(|| format!("cannot make a repository in `{}`", scratch.display()))?;
        Ok(Self {
            repository,
            remote: Some(remote),
            reference,
            people,
        })
    }

    /// In a checkout that nothing is pushed from.
    pub(crate) fn here(repository: &Path, reference: Reference, people: People) -> Result<Self> {
        Ok(Self {
            repository: Repository::open(repository)?,
            remote: None,
            reference,
            people,
        })
    }

    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The journal that the reference has at `id`.
    pub(crate) fn read(&self, id: Oid) -> Result<Journal> {
        let read = || {
            if let Some(remote) = &self.remote
                && !self.repository.odb()?.exists(id)
            {
                upload_pack::fetch_commit(remote, &self.repository, id, Depth::All)?;
            }
            let tree = sizes::files_of(&self.repository, id)?;
            let entry = tree.get_path(Path::new(FILE))?;
            Journal::parse(&sizes::blob(&self.repository, entry.id(), FILE)?)
        };
        let reference = &self.reference;
        read()
            .with_context(|| format!("cannot read the journal at `{reference}`"))
            .hint(|| "delete it where it is kept, or run with `--journal off`; what a killed run has left is then not taken over")
    }

    /// Changes the reference from `old` (none: it is not there) to `new` (none: it goes).
    pub(crate) fn change(&self, old: Option<Oid>, new: Option<&Journal>) -> Result<Change> {
        let new = new.map(|journal| self.commit(journal)).transpose()?;
        let Some(remote) = &self.remote else {
            return self.change_here(old, new);
        };
        let name = self.reference.to_string();
        let command = RefUpdate {
            name: name.clone(),
            old: old.unwrap_or(Oid::ZERO_SHA1),
            new: new.unwrap_or(Oid::ZERO_SHA1),
        };
        let pack = match new {
            Some(new) => receive_pack::pack(&self.repository, new, &[])?,
            None => Vec::new(),
        };
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            let open = Push::open(remote)?;
            let current = open.current(&name);
            if current == new {
                // The answer to the try before was lost, or what is to go is gone.
                open.leave()?;
                return Ok(Change::Done(new));
            }
            if current != old {
                open.leave()?;
                return Ok(Change::Lost);
            }
            match open.send(std::slice::from_ref(&command), &pack) {
                Ok(report) => return Ok(told(&report, &name, new)),
                Err(error) => lost = Some(error),
            }
        }
        match lost {
            Some(error) => Err(error).context("cannot push the journal"),
            None => bail!("the journal was not pushed"),
        }
    }

    fn change_here(&self, old: Option<Oid>, new: Option<Oid>) -> Result<Change> {
        let (repository, name) = (&self.repository, &*self.reference.to_string());
        let changed = match (old, new) {
            (None, Some(new)) => repository
                .reference(name, new, false, "git-certs")
                .map(drop),
            (Some(old), Some(new)) => repository
                .reference_matching(name, new, true, old, "git-certs")
                .map(drop),
            (Some(old), None) => match repository.find_reference(name) {
                Ok(found) if found.target() != Some(old) => return Ok(Change::Lost),
                Ok(mut found) => found.delete(),
                Err(error) => Err(error),
            },
            (None, None) => Ok(()),
        };
        match changed {
            Ok(()) => Ok(Change::Done(new)),
            Err(error) if new.is_none() && error.code() == ErrorCode::NotFound => {
                Ok(Change::Done(None))
            }
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::Exists | ErrorCode::Modified | ErrorCode::NotFound
                ) =>
            {
                Ok(Change::Lost)
            }
            Err(error) => Err(error).with_context(|| format!("cannot write `{name}`")),
        }
    }

    fn commit(&self, journal: &Journal) -> Result<Oid> {
        let repository = &self.repository;
        let bytes = serde_json::to_vec_pretty(journal)?;
        refuse_keys(FILE, &bytes)?;
        let blob = repository
            .blob(&bytes)
            .with_context(|| format!("cannot write to `{}`", repository.path().display()))?;
        let mut tree = repository.treebuilder(None)?;
        tree.insert(FILE, blob, git2::FileMode::Blob.into())?;
        let tree = repository.find_tree(tree.write()?)?;
        let committer = &self.people.committer;
        let committer = Signature::now(&committer.name, &committer.email)?;
        let message = format!("Journal of a run by {}\n", journal.run.by);
        self.people
            .commit(repository, (&committer, &committer), &message, (&tree, &[]))
    }
}

/// The journals that a server has, with the values of their references.
pub(crate) fn on_server(remote: &Remote) -> Result<Vec<(Reference, Oid)>> {
    let open = Push::open(remote)?;
    let all = open.references();
    let journals = all.filter_map(|(name, id)| Some((Reference::parse(name)?, id)));
    let journals = journals.collect();
    open.leave()?;
    Ok(journals)
}

/// The same of a checkout that nothing is pushed from.
pub(crate) fn here(repository: &Repository) -> Result<Vec<(Reference, Oid)>> {
    let mut journals = Vec::new();
    for reference in repository.references()? {
        let reference = reference?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
            journals.extend(Reference::parse(name).map(|name| (name, id)));
        }
    }
    Ok(journals)
}

/// What the server's answer to a change means.
fn told(report: &Report, reference: &str, new: Option<Oid>) -> Change {
    match report.refused(reference) {
        None => Change::Done(new),
        Some(reason) if prove::is_stale(reason, &report.said) => Change::Lost,
        Some(reason) => {
            let said = report.said.lines();
            Change::Refused(
                std::iter::once(reason)
                    .chain(said)
                    .collect::<Vec<_>>()
                    .join("; "),
            )
        }
    }
}
