//! The commits that a clone of the last one lacks.

use anyhow::Result;
use git2::Repository;

use crate::repo::git::history::History;
use crate::repo::git::{Shape, Workspace};
use crate::repo::transport::Remote;
use crate::repo::upload_pack;

impl Workspace {
    /// Brings older commits into a clone. A checkout has what the user fetched.
    pub(crate) fn fetch_whole(&mut self) -> Result<()> {
        match &mut self.shape {
            Shape::Bare(history) => history.fetch_whole(),
            Shape::Checkout(_) | Shape::Folder(_) => Ok(()),
        }
    }
}

impl History {
    fn fetch_whole(&mut self) -> Result<()> {
        let shallow = self
            .remote
            .as_ref()
            .filter(|_| self.repository.is_shallow());
        let Some(remote) = shallow else {
            return Ok(());
        };
        let remote = Remote {
            branch: self.branch.clone(),
            ..remote.clone()
        };
        let fetched = upload_pack::fetch_whole(&remote, &self.repository)?;
        // Opened again for its `shallow` file, which is gone.
        self.repository = Repository::open(self.repository.path())?;
        (self.base, self.tip) = (fetched.tip, fetched.tip);
        self.move_branch()
    }
}
