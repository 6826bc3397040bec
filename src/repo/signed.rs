//! Whether commits are signed by those who may: each by somebody whom the commits before it allow.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Result, anyhow};
use git2::{Commit, ErrorCode, Oid, Repository};
use ssh_key::HashAlg;

use crate::model::hint::Hint;
use crate::repo::allowed_signers::{ALLOWED_SIGNERS, AllowedSigners};
use crate::repo::signature::{self, Signed};
use crate::repo::sizes;

/// What to do about a commit that nobody signed who may.
pub(super) const UNSIGNED: &str = "`git show` says what it changes: if it is good, whoever may sign commits it again \
                                   (`git commit --amend --no-edit -S`); if not, somebody can push who should not";

/// Digits of a commit's id that people see.
const SHORT_ID: usize = 10;

/// A list, or none where it cannot be read.
type List = Option<Rc<AllowedSigners>>;

/// Fails where none of the trusted signers has signed the commit, which vouches for all before it.
pub(super) fn vouched(repository: &Repository, id: Oid, trusted: &AllowedSigners) -> Result<()> {
    let commit = sizes::commit(repository, id)?;
    match Signatures::new(repository, "", Some(trusted)).fault(&commit)? {
        None => Ok(()),
        Some(fault) => Err(anyhow!(fault).context(format!(
            "the last commit, `{}`, is not to be trusted",
            short(id)
        )))
        .hint(|| UNSIGNED),
    }
}

pub(super) fn short(id: Oid) -> String {
    id.to_string().chars().take(SHORT_ID).collect()
}

/// Checks one commit after another.
pub(super) struct Signatures<'r> {
    repository: &'r Repository,
    /// Of the folder that counts, with a final `/`, or empty.
    prefix: &'r str,
    /// Counts for all commits, instead of the lists in them.
    instead: Option<Rc<AllowedSigners>>,
    lists: HashMap<Oid, List>,
}

impl<'r> Signatures<'r> {
    pub(super) fn new(
        repository: &'r Repository,
        prefix: &'r str,
        instead: Option<&AllowedSigners>,
    ) -> Self {
        Self {
            repository,
            prefix,
            instead: instead.cloned().map(Rc::new),
            lists: HashMap::new(),
        }
    }

    /// What is wrong with the signature of a commit.
    pub(super) fn fault(&mut self, commit: &Commit<'_>) -> Result<Option<String>> {
        let lists = self.lists_for(commit)?;
        if lists.is_empty() {
            return Ok(None);
        }
        let (signature, text) = match self.repository.extract_signature(&commit.id(), None) {
            Ok(found) => found,
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Ok(Some("the commit is not signed".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let key = match signature::check(&signature, &text) {
            Signed::By(key) => key,
            Signed::Not(why) => return Ok(Some(why.to_owned())),
        };
        let moment = commit.time().seconds();
        for list in lists {
            let what = match list {
                Some(list) if list.allows(&key, moment) => continue,
                Some(_) => format!(
                    "the key `{}` may not sign: it is not in `{}`, or not for that time",
                    key.fingerprint(HashAlg::Sha256),
                    self.instead
                        .as_ref()
                        .map_or(ALLOWED_SIGNERS, |_| "--allowed-signers")
                ),
                None => format!("`{ALLOWED_SIGNERS}` before it cannot be read"),
            };
            return Ok(Some(what));
        }
        Ok(None)
    }

    /// The lists that a commit has to fit: those of the commits before it, so that nobody allows himself.
    ///
    /// What a shallow clone begins with has to fit its own.
    fn lists_for(&mut self, commit: &Commit<'_>) -> Result<Vec<List>> {
        if !self.changes(commit)? {
            return Ok(Vec::new());
        }
        if let Some(instead) = &self.instead {
            return Ok(vec![Some(Rc::clone(instead))]);
        }
        let mut lists = Vec::new();
        for parent in commit.parents() {
            lists.extend(self.list_in(&parent)?);
        }
        if commit.parent_count() == 0 && self.repository.is_shallow() {
            lists.extend(self.list_in(commit)?);
        }
        Ok(lists)
    }

    /// Whether a commit is about the folder that counts.
    fn changes(&self, commit: &Commit<'_>) -> Result<bool> {
        if self.prefix.is_empty() {
            return Ok(true);
        }
        let folder = |commit: &Commit<'_>| -> Result<Option<Oid>> {
            let entry = commit.tree()?.get_path(self.prefix.as_ref());
            Ok(entry.ok().map(|entry| entry.id()))
        };
        let own = folder(commit)?;
        let mut is_new = commit.parent_count() == 0;
        for parent in commit.parents() {
            is_new |= folder(&parent)? != own;
        }
        Ok(is_new)
    }

    fn list_in(&mut self, commit: &Commit<'_>) -> Result<Option<List>> {
        let path = format!("{}{ALLOWED_SIGNERS}", self.prefix);
        let Ok(entry) = commit.tree()?.get_path(path.as_ref()) else {
            return Ok(None);
        };
        let id = entry.id();
        if let Some(list) = self.lists.get(&id) {
            return Ok(Some(list.clone()));
        }
        let bytes = sizes::blob(self.repository, id, ALLOWED_SIGNERS);
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let list = AllowedSigners::parse(&text.unwrap_or_default(), ALLOWED_SIGNERS);
        let list = list.ok().map(Rc::new);
        self.lists.insert(id, list.clone());
        Ok(Some(list))
    }
}
