//! The journals of runs, on the server or in a checkout that nothing is pushed from.

use std::path::Path;

use anyhow::Result;
use git2::Oid;

use crate::repo::git::Workspace;
use crate::repo::journal::place::{self, Place};
use crate::repo::journal::reference::Reference;

impl Workspace {
    /// Whether it is worth while to look for the journal of another run.
    pub(crate) fn may_have_journal(&self) -> bool {
        self.history()
            .is_some_and(|history| history.may_have_journal)
    }

    /// The journals of all runs, with the values of their references; none where there is no git.
    pub(crate) fn journals(&self, push: bool) -> Result<Vec<(Reference, Oid)>> {
        let Some(history) = self.history() else {
            return Ok(Vec::new());
        };
        match history.remote.as_ref().filter(|_| push) {
            Some(remote) => place::on_server(remote),
            None => place::here(&history.repository),
        }
    }

    /// Where a run keeps its journal; none where there is no git. Objects are made in `scratch`, unless the
    /// journal stays in the checkout because nothing is pushed.
    pub(crate) fn journal_place(
        &self,
        scratch: &Path,
        reference: Reference,
        push: bool,
    ) -> Result<Option<Place>> {
        let Some(history) = self.history() else {
            return Ok(None);
        };
        let remote = history.remote.clone().filter(|_| push);
        let people = self.people.clone();
        let place = match remote {
            Some(remote) => Place::on_server(remote, scratch, reference, people),
            None => Place::here(history.repository.path(), reference, people),
        };
        place.map(Some)
    }
}
