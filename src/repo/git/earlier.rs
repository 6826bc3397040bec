//! Where the commits are, and files as an earlier one had them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use git2::{Oid, Repository};

use crate::model::hint::{Hint, with_hint};
use crate::repo::git::read::Trees;
use crate::repo::git::{Shape, Workspace};
use crate::repo::sizes;
use crate::repo::upload_pack::{self, Depth};
use crate::repo::walk::{self, Place};

/// A commit to compare with.
pub(crate) struct Earlier {
    repository: Repository,
    commit: Oid,
    /// The workspace's folder with a final `/`, or empty.
    prefix: String,
}

impl Workspace {
    /// The user's files: the whole work tree that a checkout belongs to, or the folder without git.
    pub(crate) fn work_tree(&self) -> Result<Option<PathBuf>> {
        let folder = match &self.shape {
            Shape::Bare(_) => None,
            Shape::Checkout(checkout) => checkout.history.repository.workdir(),
            Shape::Folder(folder) => Some(folder.as_path()),
        };
        Ok(folder.map(Path::canonicalize).transpose()?)
    }

    /// Where its commits can be walked through; none where there is no git.
    pub(crate) fn place(&self) -> Option<Place> {
        match &self.shape {
            Shape::Bare(history) => Some(walk::place(&history.repository, "", history.tip)),
            Shape::Checkout(checkout) => Some(checkout.place()),
            Shape::Folder(_) => None,
        }
    }

    /// The commit that `revision` names. A clone fetches it: it has the tip alone.
    pub(crate) fn earlier(&self, revision: &str) -> Result<Earlier> {
        let place = self
            .place()
            .ok_or_else(|| {
                anyhow!("this folder is in no git repository, so nothing is known of `{revision}`")
            })
            .hint(|| "leave `--only-changed-since` out, or name a repository with `--repo`")?;
        if let Shape::Bare(history) = &self.shape
            && let Some(remote) = &history.remote
        {
            let id = whole_id(revision)?;
            if !history.repository.odb()?.exists(id) {
                upload_pack::fetch_commit(remote, &history.repository, id, Depth::Tip)
                    .with_context(|| format!("cannot fetch commit `{id}`"))
                    .hint(|| NOT_GIVEN)?;
            }
        }
        find(&place, revision)
    }
}

const NOT_GIVEN: &str = "the server may not have it any more, or gives no commits that no branch is at \
                         (`uploadpack.allowReachableSHA1InWant`): leave `--only-changed-since` out, or run in a full checkout";

fn whole_id(revision: &str) -> Result<Oid> {
    sizes::whole_id(revision)
        .ok_or_else(|| anyhow!("`{revision}` is not the whole id of a commit"))
        .hint(|| "with `--repo` only the newest commit is here, so `--only-changed-since` takes all 40 digits")
}

fn find(place: &Place, revision: &str) -> Result<Earlier> {
    let repository = place.open()?;
    let found = sizes::named(&repository, revision)?.map(|commit| commit.id());
    let Some(commit) = found else {
        let hint = if repository.is_shallow() {
            "this is a shallow clone: `actions/checkout` brings all commits with `fetch-depth: 0`, GitLab with `GIT_DEPTH: 0`"
        } else {
            "`--only-changed-since` takes a commit, a branch or a tag"
        };
        return Err(with_hint(
            anyhow!("there is no commit `{revision}` here"),
            hint,
        ));
    };
    Ok(Earlier {
        repository,
        commit,
        prefix: place.prefix.clone(),
    })
}

impl Earlier {
    /// A file's bytes; none if there was none.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let root = sizes::files_of(&self.repository, self.commit)?;
        Trees::new(&self.repository, root).blob(&format!("{}{path}", self.prefix))
    }
}
