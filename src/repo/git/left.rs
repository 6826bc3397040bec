//! Commits that an earlier run has left in a checkout alone, as its push was refused.

use anyhow::Result;
use git2::Oid;

use crate::repo::git::checkout::Checkout;
use crate::repo::git::{Shape, Workspace, message};

/// Commits that the server did not have when its branch was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Of runs of this program.
    pub(crate) ours: usize,
    /// Of the user.
    pub(crate) others: usize,
}

impl Workspace {
    /// What a checkout has and the server lacks.
    pub(crate) fn unpushed(&mut self) -> Result<Left> {
        match &self.shape {
            Shape::Checkout(checkout) => Ok(checkout.unpushed()?.0),
            Shape::Bare(_) | Shape::Folder(_) => Ok(Left::default()),
        }
    }

    /// What an earlier run has left in a checkout; the next push takes it along if nothing else is there.
    pub(crate) fn left(&mut self) -> Result<Left> {
        match &mut self.shape {
            Shape::Checkout(checkout) => checkout.left(),
            Shape::Bare(_) | Shape::Folder(_) => Ok(Left::default()),
        }
    }
}

impl Checkout {
    fn left(&mut self) -> Result<Left> {
        let (left, known) = self.unpushed()?;
        if let Some(known) = known.filter(|_| left.others == 0) {
            self.history.base = known;
        }
        Ok(left)
    }

    /// With the commit that the server is known to have, where there is more here.
    fn unpushed(&self) -> Result<(Left, Option<Oid>)> {
        let history = &self.history;
        let (Some(remote), Some(branch)) = (&self.remote_name, &history.branch) else {
            return Ok((Left::default(), None));
        };
        let tracking = format!("refs/remotes/{remote}/{branch}");
        // Without it nobody knows what the server has.
        let Ok(known) = history.repository.refname_to_id(&tracking) else {
            return Ok((Left::default(), None));
        };
        let repository = &history.repository;
        if known == history.tip || !repository.graph_descendant_of(history.tip, known)? {
            return Ok((Left::default(), None));
        }
        let all = history.between(known)?;
        let ours = all.iter().filter(|commit| message::is_ours(commit)).count();
        let left = Left {
            ours,
            others: all.len() - ours,
        };
        Ok((left, Some(known)))
    }
}
