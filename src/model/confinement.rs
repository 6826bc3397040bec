//! What a thread may do to files, and whether it may start programs: it gives up rights for good (Landlock, of Linux).
//!
//! Threads that it starts from then on have no more than it has, and programs neither. Reading stays.

#[cfg(target_os = "linux")]
mod landlock;

use std::io;
use std::path::PathBuf;

/// What came of giving up rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "others have none")
)]
pub(crate) enum Confinement {
    Full,
    /// The kernel does not know all of the rights.
    Partial,
    /// The system has no Landlock, or it is switched off.
    None,
}

/// Takes from this thread the right to write files, and to start programs.
///
/// Fails where the system forbids that.
#[cfg_attr(
    not(target_os = "linux"),
    expect(clippy::unnecessary_wraps, reason = "Linux may fail")
)]
pub(crate) fn write_nothing() -> io::Result<Confinement> {
    #[cfg(target_os = "linux")]
    return landlock::write_nothing().map_err(io::Error::other);
    #[cfg(not(target_os = "linux"))]
    Ok(Confinement::None)
}

/// Takes from this thread the right to write files but in `places` (folders with all below them, or files), and to start
/// programs. Places that cannot be opened are left out.
///
/// A kernel that cannot say who may move files between folders (Linux 5.19 can) forbids that to whoever is confined, and
/// git has to: there it is [`Confinement::None`]. Fails where the system forbids that.
#[cfg_attr(
    not(target_os = "linux"),
    expect(clippy::unnecessary_wraps, reason = "Linux may fail")
)]
pub(crate) fn write_only(places: &[PathBuf]) -> io::Result<Confinement> {
    #[cfg(target_os = "linux")]
    return landlock::write_only(places).map_err(io::Error::other);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = places;
        Ok(Confinement::None)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "that they fail is tested")]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::process::Command;
    use std::thread;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_confined_thread_reads_and_does_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("here");
        fs::write(&here, "text").unwrap();
        let there = folder.path().join("there");
        let confined = thread::spawn({
            let (here, there) = (here.clone(), there.clone());
            move || {
                let confinement = write_nothing().unwrap();
                assert_eq!(fs::read_to_string(&here).unwrap(), "text");
                let tried = [
                    fs::write(&there, "new").err(),
                    fs::write(&here, "other").err(),
                    fs::rename(&here, &there).err(),
                    fs::remove_file(&here).err(),
                    fs::create_dir(&there).err(),
                    Command::new("/bin/true").status().err(),
                ];
                (
                    confinement,
                    tried.map(|error| error.map(|error| error.kind())),
                )
            }
        });
        let (confinement, tried) = confined.join().unwrap();
        if confinement == Confinement::None {
            return;
        }
        assert_eq!(tried, [Some(ErrorKind::PermissionDenied); 6]);
        assert_eq!(fs::read_to_string(&here).unwrap(), "text");
        // This thread is as free as before.
        fs::write(&there, "new").unwrap();
        assert!(Command::new("/bin/true").status().unwrap().success());
    }

    #[test]
    fn a_thread_writes_in_its_places_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let [place, other] = ["place", "other"].map(|name| folder.path().join(name));
        let file = folder.path().join("file");
        fs::create_dir_all(place.join("a")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(&file, "old").unwrap();
        let places = [place.clone(), file.clone(), folder.path().join("missing")];
        let tried = thread::spawn(move || {
            if write_only(&places).unwrap() == Confinement::None {
                return None;
            }
            let allowed = [
                fs::write(place.join("a/one"), "text"),
                fs::rename(place.join("a/one"), place.join("two")),
                fs::remove_dir(place.join("a")),
                fs::write(&file, "new"),
            ];
            assert!(allowed.iter().all(Result::is_ok), "{allowed:?}");
            let refused = [
                fs::write(other.join("one"), "text"),
                fs::rename(place.join("two"), other.join("two")),
                fs::write(place.join("../new"), "text"),
                fs::remove_file(&file),
                fs::remove_dir(&other),
                Command::new("/bin/true").status().map(drop),
            ];
            // What it starts has no more than it has.
            let child = thread::spawn(move || fs::write(other.join("one"), "text"));
            let refused = refused.into_iter().chain([child.join().unwrap()]);
            Some(refused.map(|result| result.unwrap_err().kind()).collect())
        });
        let Some(tried): Option<Vec<_>> = tried.join().unwrap() else {
            return;
        };
        assert_eq!(tried.len(), 7);
        // A move is refused as one between file systems, so that whoever moves copies.
        for (index, kind) in tried.into_iter().enumerate() {
            let is_expected = matches!(
                (index, kind),
                (1, ErrorKind::CrossesDevices) | (_, ErrorKind::PermissionDenied)
            );
            assert!(is_expected, "{index}: {kind:?}");
        }
    }
}
