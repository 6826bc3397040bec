//! The one temporary folder of a run, and those that killed runs left.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Folders are called `git-certs-PID-RANDOM`, so that a later run knows whether the owner lives.
const PREFIX: &str = "git-certs-";

/// Makes a folder that only this user can enter; it is removed on drop.
pub(super) fn folder() -> Result<TempDir> {
    let parent = std::env::temp_dir();
    remove_abandoned(&parent);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a temporary folder in `{}`", parent.display()))
}

/// Removes what runs left that were killed. What cannot be removed is somebody else's.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(owner) else {
            continue;
        };
        let ours = entry.metadata().is_ok_and(|found| {
            found.is_dir() && found.uid() == rustix::process::geteuid().as_raw()
        });
        if ours && !is_alive(pid) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(folder: &str) -> Option<i32> {
    folder.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn is_alive(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_abandoned_folders_go() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        // Process ids end at 4194304 on Linux.
        let abandoned = folder("git-certs-4194305-abc");
        let alive = folder(&format!("git-certs-{}-abc", std::process::id()));
        let other = folder("git-certs-notes");
        remove_abandoned(parent.path());
        assert!(!abandoned.exists() && alive.exists() && other.exists());
    }
}
