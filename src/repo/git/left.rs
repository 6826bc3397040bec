//! Commits that an earlier run has left in a checkout alone, as its push was refused.

use anyhow::Result;

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
        let history = &mut self.history;
        let (Some(remote), Some(branch)) = (&self.remote_name, &history.branch) else {
            return Ok(Left::default());
        };
        let tracking = format!("refs/remotes/{remote}/{branch}");
        // Without it nobody knows what the server has.
        let Ok(known) = history.repository.refname_to_id(&tracking) else {
            return Ok(Left::default());
        };
        let repository = &history.repository;
        if known == history.tip || !repository.graph_descendant_of(history.tip, known)? {
            return Ok(Left::default());
        }
        let all = history.between(known)?;
        let ours = all.iter().filter(|commit| message::is_ours(commit)).count();
        let left = Left {
            ours,
            others: all.len() - ours,
        };
        drop(all);
        if left.others == 0 {
            history.base = known;
        }
        Ok(left)
    }
}
