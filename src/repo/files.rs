//! Replaces files whole: temporary file, fsync, rename.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::Builder;

use crate::model::hint::with_hint;

/// Mode of what everybody may read.
pub(crate) const READABLE: u32 = 0o644;

/// Mode of keys, ciphertext too.
pub(crate) const PRIVATE: u32 = 0o600;

/// Bits of a mode that are kept. Those that lend somebody's rights (setuid, setgid) belong to who wrote the old file.
const PERMISSIONS: u32 = 0o777;

/// Beginning of the names of files that are being written.
pub(in crate::repo) const PREFIX: &str = ".git-certs-";

/// Folders of devices, and of links to what a process has open, such as `/dev/stdout`: they are the whole machine's.
const OF_THE_SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The folder below them that has files like others.
const IN_MEMORY: &str = "/dev/shm";

/// Most links in a row that are followed, as by Linux (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Writes `bytes` to `path` so that a reader, or a crash, sees the old file or the new one.
///
/// Missing folders are made. A link at `path` is replaced itself, as git does it.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The same for a file that the user names: where a link is there, the file that it leads to is replaced.
///
/// `mode` is that of a new file. One that is there keeps its own.
pub(crate) fn replace_target(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    target(path)
        .and_then(|target| write(&target, bytes, mode_of(&target).unwrap_or(mode)))
        .with_context(|| format!("cannot write `{}`", path.display()))
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

/// Where links lead to in the end, although nothing may be there yet. An error if that, or a link on the way, is the system's.
fn target(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(path);
        };
        // Nothing is made there either.
        if let Some(there) = folder.ancestors().find(|above| above.exists()) {
            refuse_system(&there.canonicalize()?)?;
            let missing = folder.strip_prefix(there)?;
            ensure!(
                !missing
                    .components()
                    .any(|part| part == Component::ParentDir),
                "`..` stands below a folder that is not there"
            );
        }
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        refuse_system(&folder)?;
        let whole = folder.join(name);
        if !is_link(&whole) {
            return Ok(whole);
        }
        path = folder.join(fs::read_link(&whole)?);
    }
    bail!("it is a link that leads to no file")
}

fn refuse_system(folder: &Path) -> Result<()> {
    let is_in = |system: &&&str| folder.starts_with(system) && !folder.starts_with(IN_MEMORY);
    match OF_THE_SYSTEM.iter().find(is_in) {
        None => Ok(()),
        Some(system) => Err(with_hint(
            anyhow!("it leads into `{system}`, whose entries are not replaced"),
            "name a file, or none: without one it goes to standard output",
        )),
    }
}

/// What the owner, the group and others may do. None if no file is there.
fn mode_of(path: &Path) -> Option<u32> {
    let found = fs::symlink_metadata(path).ok()?;
    found
        .is_file()
        .then(|| found.permissions().mode() & PERMISSIONS)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    // The rename would put a file in the place of a device.
    let found = fs::symlink_metadata(path).map(|found| found.file_type());
    if found.is_ok_and(|found| !found.is_file() && !found.is_dir() && !found.is_symlink()) {
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
    // The error would hold the temporary file, and who drops that later may be confined and unable to remove it.
    let file = file.persist(path).map_err(|error| error.error)?;
    // Closing does not do while a child that is just being started has a copy of it.
    file.unlock()?;
    // The rename itself must survive a power cut.
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

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
    fn the_file_that_a_link_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        replace(&at("pages/one.html"), b"old", READABLE).unwrap();
        symlink("pages/one.html", at("link")).unwrap();
        symlink(at("link"), at("pages/link")).unwrap();
        symlink("made/new.html", at("dangling")).unwrap();
        replace_target(&at("pages/link"), b"new", READABLE).unwrap();
        replace_target(&at("dangling"), b"new", READABLE).unwrap();
        replace_target(&at("plain"), b"new", READABLE).unwrap();
        for name in ["pages/one.html", "made/new.html", "plain"] {
            assert_eq!(file::read(at(name)).unwrap(), b"new", "{name}");
            assert!(!is_link(&at(name)), "{name}");
        }
        assert!(is_link(&at("link")) && is_link(&at("pages/link")) && is_link(&at("dangling")));
        // What the repository has is no way out of it.
        replace(&at("link"), b"mine", READABLE).unwrap();
        assert!(!is_link(&at("link")));
        assert_eq!(file::read(at("pages/one.html")).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_the_user_names_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        let link = folder.path().join("link");
        symlink("page", &link).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        replace_target(&link, b"new", READABLE).unwrap();
        assert_eq!(mode(), 0o644);
        for (old, kept) in [(0o600, 0o600), (0o666, 0o666), (0o6755, 0o755)] {
            fs::set_permissions(&path, Permissions::from_mode(old)).unwrap();
            replace_target(&link, b"newer", READABLE).unwrap();
            assert_eq!(mode(), kept);
        }
    }

    #[test]
    fn what_is_open_and_devices_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // As a shell opens one for `> file`, with `/dev/stdout` a link to it.
        replace(&at("open"), b"old", READABLE).unwrap();
        let open = File::open(at("open")).unwrap();
        let descriptor = format!("/proc/self/fd/{}", open.as_raw_fd());
        symlink(descriptor, at("stdout")).unwrap();
        symlink("/dev/null", at("null")).unwrap();
        symlink("again", at("again")).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, at("pipe"), FileType::Fifo, mode, 0).unwrap();
        let failed = |name: &str| {
            let before = fs::symlink_metadata(at(name)).unwrap();
            let error = replace_target(&at(name), b"new", READABLE).unwrap_err();
            let after = fs::symlink_metadata(at(name)).unwrap();
            assert_eq!(before.ino(), after.ino());
            error.root_cause().to_string()
        };
        assert_eq!(
            failed("stdout"),
            "it leads into `/proc`, whose entries are not replaced"
        );
        assert_eq!(
            failed("null"),
            "it leads into `/dev`, whose entries are not replaced"
        );
        assert_eq!(failed("again"), "it is a link that leads to no file");
        assert_eq!(failed("pipe"), "it is no file, but a device or a pipe");
        assert_eq!(file::read(at("open")).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
        // Where that leads is not known before it is made.
        let error = replace_target(&at("new/../page"), b"new", READABLE).unwrap_err();
        assert_eq!(
            error.root_cause().to_string(),
            "`..` stands below a folder that is not there"
        );
        assert!(!at("new").exists());
        // Files in memory are files.
        let in_memory = tempfile::tempdir_in("/dev/shm").unwrap();
        symlink(in_memory.path().join("page"), at("page")).unwrap();
        replace_target(&at("page"), b"new", READABLE).unwrap();
        assert_eq!(file::read(in_memory.path().join("page")).unwrap(), b"new");
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
