//! Where work in a folder of the user may write.

use std::path::{Path, PathBuf};

use git2::Repository;

/// The checkout that contains `folder` and its repository; the folder itself where none does.
///
/// A linked worktree (`git worktree add`) has its repository elsewhere, and folders of a repository may be
/// symbolic links (`git-new-workdir`).
pub(crate) fn writable(folder: &Path) -> Vec<PathBuf> {
    // What cannot be used is refused when it is opened.
    let Ok(repository) = Repository::discover(folder) else {
        return vec![folder.to_owned()];
    };
    let mut places: Vec<_> = repository
        .workdir()
        .map(Path::to_owned)
        .into_iter()
        .collect();
    for own in [repository.path(), repository.commondir()] {
        places.push(own.to_owned());
        let entries = std::fs::read_dir(own).into_iter().flatten().flatten();
        let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        places.extend(links.map(|link| link.path()).filter(|link| link.is_dir()));
    }
    places.sort();
    places.dedup();
    places
}
