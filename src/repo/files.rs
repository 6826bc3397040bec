//! Replaces files whole: temporary file, fsync, rename.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::Builder;

/// Mode of what everybody may read.
pub(crate) const READABLE: u32 = 0o644;

/// Mode of keys, ciphertext too.
pub(crate) const PRIVATE: u32 = 0o600;

/// Beginning of the names of files that are being written.
pub(in crate::repo) const PREFIX: &str = ".git-certs-";

/// Writes `bytes` to `path` so that a reader, or a crash, sees the old file or the new one.
///
/// Missing folders are made.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Removes `path`; it is no error if there is none.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes what killed processes have left half written in a folder.
pub(crate) fn sweep(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if !is_ours || !entry.file_type()?.is_file() {
            continue;
        }
        // One that is gone meanwhile was somebody's at work.
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    // The rename would put a file in the place of `/dev/stdout`.
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        bail!("it is no file, but a device or a pipe");
    }
    let folder = path.parent().ok_or_else(|| anyhow!("it has no folder"))?;
    fs::create_dir_all(folder)?;
    let mut file = Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    // As long as it is locked, nobody sweeps it.
    file.as_file().lock()?;
    file.write_all(bytes)?;
    // The umask has taken bits off.
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself must survive a power cut.
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::file;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.key");
        replace(&path, b"one", READABLE).unwrap();
        replace(&path, b"two", PRIVATE).unwrap();
        assert_eq!(file::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        let error = remove(folder.path()).unwrap_err();
        let shown = folder.path().display();
        assert_eq!(error.to_string(), format!("cannot remove `{shown}`"));
        let error = replace(&path.join("c"), b"", READABLE).unwrap_err();
        let shown = folder.path().join("a/b.key/c");
        assert_eq!(
            error.to_string(),
            format!("cannot write `{}`", shown.display())
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".git-certs-left", ".git-certs-busy", "mine"] {
            replace(&at(name), b"key", PRIVATE).unwrap();
        }
        let busy = File::open(at(".git-certs-busy")).unwrap();
        busy.lock().unwrap();
        sweep(folder.path()).unwrap();
        assert!(!at(".git-certs-left").exists());
        assert!(at(".git-certs-busy").exists() && at("mine").exists());
    }
}
