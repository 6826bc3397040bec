//! What became of a certificate, by the commits of the repository.

use anyhow::{Result, anyhow};

use crate::model::certificate::CertificateName;
use crate::model::hint::{Hint, with_hint};
use crate::model::history::Step;
use crate::nightly::status::Look;
use crate::nightly::workspaces::blocking;
use crate::repo::versions;
use crate::repo::walk::Place;

impl Look<'_> {
    /// The commits that changed files of a certificate, the newest first; at least one.
    pub(crate) async fn history(&self, name: &CertificateName) -> Result<Vec<Step>> {
        let place = self.whole_history().await?;
        let at = name.clone();
        let steps = blocking(move || versions::of(&place, &at)).await?;
        if steps.is_empty() {
            return Err(with_hint(
                anyhow!("no commit has a certificate `{name}`"),
                "it takes the name of a folder below `certificates`: `git-certs status` lists them",
            ));
        }
        Ok(steps)
    }

    /// Where commits can be walked through; a clone gets the older ones first.
    pub(super) async fn whole_history(&self) -> Result<Place> {
        let step = self.progress.step("fetching older commits");
        let place = self.workspaces.with(|workspace| {
            workspace.fetch_whole()?;
            workspace
                .place()
                .ok_or_else(|| anyhow!("this folder is in no git repository"))
                .hint(|| "the history of a certificate is that of its commits: name a repository with `--repo`, or go into a checkout")
        });
        let place = place.await?;
        drop(step);
        Ok(place)
    }
}
