//! One run at a time in a folder of the user.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::model::hint::with_hint;

/// A folder that belongs to this run. Free again when this is dropped, and when the process ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: File,
}

impl FolderLock {
    /// Takes the folder. An error if another run has it; nothing is written.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        // `.` says little in a log.
        let whole = folder.canonicalize();
        let shown = whole.as_deref().unwrap_or(folder).display();
        let opened = File::open(folder).with_context(|| format!("cannot open `{shown}`"))?;
        match opened.try_lock() {
            Ok(()) => Ok(Self { folder: opened }),
            Err(TryLockError::WouldBlock) => Err(with_hint(
                anyhow!("another run of git-certs works in `{shown}`"),
                "wait until it has ended; what it does is kept",
            )),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock `{shown}`"))
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing does not do while a child that is just being started has a copy of it. Where this fails, it still closes.
        let _ = self.folder.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::explain;

    #[test]
    fn a_folder_has_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let explained = explain(&FolderLock::take(folder.path()).unwrap_err());
        let shown = folder.path().canonicalize().unwrap();
        let shown = shown.display();
        assert_eq!(
            explained.what,
            format!("another run of git-certs works in `{shown}`")
        );
        // As a child has it between fork and exec.
        let _copy = first.folder.try_clone().unwrap();
        drop(first);
        FolderLock::take(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
