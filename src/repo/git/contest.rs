//! One certificate, renewed on both sides: the one that expires later stays.

use anyhow::Result;
use git2::{Commit, Repository, Tree};

use crate::model::chain::Leaf;
use crate::repo::git::message;
use crate::repo::sizes;

/// Ending of a certificate's chain.
const CHAIN: &str = ".crt";

/// Which side of a conflict stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Ours,
    /// Path of the chain that stays.
    Theirs(String),
    /// It is not about one certificate alone.
    Nobody,
}

/// Decides a conflict about `paths`, between a commit of ours and the tree `theirs`.
pub(super) fn decide(
    repository: &Repository,
    (ours, theirs): (&Commit<'_>, &Tree<'_>),
    paths: &[String],
) -> Result<Winner> {
    // What else is in a commit would be lost with it.
    if !message::is_about_one(ours) {
        return Ok(Winner::Nobody);
    }
    let Some(chain) = paths.iter().find(|path| path.ends_with(CHAIN)) else {
        return Ok(Winner::Nobody);
    };
    let Some((folder, _)) = chain.rsplit_once('/') else {
        return Ok(Winner::Nobody);
    };
    let is_inside = |path: &String| {
        path.rsplit_once('/')
            .is_some_and(|(other, _)| other == folder)
    };
    if !paths.iter().all(is_inside) {
        return Ok(Winner::Nobody);
    }
    let leaf = |tree: &Tree<'_>| -> Result<Option<Leaf>> {
        let Ok(entry) = tree.get_path(chain.as_ref()) else {
            return Ok(None);
        };
        let chain = sizes::blob(repository, entry.id(), chain)?;
        Ok(Leaf::from_pem(&chain).ok())
    };
    Ok(match (leaf(&ours.tree()?)?, leaf(theirs)?) {
        (Some(ours), Some(theirs)) if theirs.not_after >= ours.not_after => {
            Winner::Theirs(chain.clone())
        }
        // What is no certificate, or is gone, loses.
        (Some(_), _) => Winner::Ours,
        (None, _) => Winner::Nobody,
    })
}
