//! The one temporary folder of a run, and those that killed runs left.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::model::kill;
use crate::model::outside::outside;
use crate::report::terminal;

/// Beginning of the folders' names.
const PREFIX: &str = "git-certs-";

/// A file in each folder, locked as long as the run lives.
///
/// A folder without it is not ours; process ids would not do, as namespaces can share a folder.
const LOCK: &str = ".git-certs-lock";

/// Its name until it is locked.
const LOCKING: &str = ".git-certs-locking";

/// No run takes so long until its folder is locked.
const BEGINNING: Duration = Duration::from_mins(10);

/// A folder that only this user can enter; it is removed on drop.
pub(super) struct Temporary {
    folder: PathBuf,
    /// Held, never read.
    _lock: File,
}

impl Temporary {
    /// Makes the folder, and removes what runs left that were killed.
    pub(super) fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        Self::new_in(&parent)
            .with_context(|| format!("cannot make a temporary folder in `{}`", parent.display()))
    }

    fn new_in(parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        kill::point("temporary folder made");
        // Locked before it has its name: a run that begins in the same moment would take the folder for abandoned.
        let locking = folder.path().join(LOCKING);
        let lock = File::create_new(&locking)?;
        kill::point("temporary folder not locked");
        lock.try_lock()?;
        kill::point("temporary folder locked");
        std::fs::rename(&locking, folder.path().join(LOCK))?;
        Ok(Self {
            folder: folder.keep(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let folder = self.folder.clone();
        // The folder that it is in belongs to others too.
        let removed = outside(move || std::fs::remove_dir_all(folder)).flatten();
        if let Err(error) = removed {
            terminal::print_warning(&format!(
                "cannot remove `{}`, which the next run does: {error}",
                self.folder.display()
            ));
        }
    }
}

/// What cannot be removed is somebody else's.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let ours = entry.metadata().is_ok_and(|found| {
            found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
        });
        if ours && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether the run that has made it does not live any more.
fn is_abandoned(folder: &Path) -> bool {
    if let Ok(lock) = File::open(folder.join(LOCK)) {
        return lock.try_lock().is_ok();
    }
    // A run that was killed before it had locked its folder has left nothing else in it.
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    let age = std::fs::metadata(folder).and_then(|found| found.modified());
    let age = age.ok().and_then(|made| made.elapsed().ok());
    let is_old = age.is_some_and(|age| age > BEGINNING);
    let names: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    match names.as_slice() {
        [] => is_old,
        [Ok(only)] if only == LOCKING => {
            is_old && File::open(folder.join(LOCKING)).is_ok_and(|lock| lock.try_lock().is_ok())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_go() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Temporary::new_in(parent.path()).unwrap();
        let abandoned = parent.path().join("git-certs-abandoned");
        std::fs::create_dir(&abandoned).unwrap();
        File::create_new(abandoned.join(LOCK)).unwrap();
        let other = parent.path().join("git-certs-4194305");
        std::fs::create_dir(&other).unwrap();
        remove_abandoned(parent.path());
        assert!(!abandoned.exists() && alive.path().exists() && other.exists());
    }

    #[test]
    fn runs_that_begin_together_leave_each_other_alone() {
        let parent = tempfile::tempdir().unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    remove_abandoned(parent.path());
                }
            });
            let all: Vec<_> = (0..500).map(|_| Temporary::new_in(parent.path())).collect();
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
            for one in all {
                assert!(one.unwrap().path().join(LOCK).exists());
            }
        });
    }
}
