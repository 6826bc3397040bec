//! Private keys that the history has in plain text, and what is encrypted there with PGP.

use std::collections::HashMap;

use anyhow::Result;
use git2::Oid;

use crate::model::secret::Secret;
use crate::repo::import::blackbox::ENCRYPTED;
use crate::repo::leaks::{self, State};
use crate::repo::walk::{Place, Scope, What};

/// Digits of a commit's id that people see.
const SHORT_ID: usize = 10;

/// Folders that get-certs keeps keys in.
const FOLDERS: [&str; 2] = ["certificates/", ".letsencrypt/"];

/// What is told of the history.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) plain: Vec<Plain>,
    /// Whether there are files that blackbox encrypted.
    pub(crate) by_pgp: bool,
}

/// A file with a private key in plain text.
pub(crate) struct Plain {
    pub(crate) path: String,
    /// The first commit that has it.
    pub(crate) commit: String,
    pub(crate) content: Secret,
}

/// Looks through all commits, by the scanner of `verify`. None where the history is cut off.
pub(crate) fn history(place: &Place) -> Result<Option<History>> {
    if place.is_cut_off()? {
        return Ok(None);
    }
    let walked = place.walk(Scope::History)?;
    let changes: Vec<_> = walked
        .changes
        .iter()
        .filter(|change| change.what == What::File)
        .filter(|change| FOLDERS.iter().any(|folder| change.path.starts_with(folder)))
        .collect();
    let by_pgp = changes
        .iter()
        .any(|change| change.path.ends_with(ENCRYPTED));
    let parts = place.in_parts(&changes, |place, part| {
        let repository = place.open()?;
        let odb = repository.odb()?;
        let mut seen: HashMap<Oid, bool> = HashMap::new();
        let mut found = Vec::new();
        for change in part {
            if seen.get(&change.id) == Some(&false) {
                continue;
            }
            let object = odb.read(change.id)?;
            let leak = leaks::find(object.data());
            let is_plain = leak.is_some_and(|leak| leak.state == State::Plain);
            seen.insert(change.id, is_plain);
            if is_plain {
                let commit = walked.commits.get(change.commit).map(ToString::to_string);
                found.push(Plain {
                    path: change.path.clone(),
                    commit: commit.unwrap_or_default().chars().take(SHORT_ID).collect(),
                    content: Secret::new(object.data().to_vec()),
                });
            }
        }
        Ok(found)
    })?;
    Ok(Some(History {
        plain: parts.into_iter().flatten().collect(),
        by_pgp,
    }))
}
