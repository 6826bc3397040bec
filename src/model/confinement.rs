//! What a thread may do to files, and whether it may start programs: it gives up rights for good (Landlock).
//!
//! Threads that it starts from then on have no more than it has, and programs neither. Reading stays.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};

/// The newest rights that are given up where the kernel knows them: to truncate files (Linux 6.2).
const RIGHTS: ABI = ABI::V3;

/// What came of giving up rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confinement {
    Full,
    /// The kernel does not know all of the rights.
    Partial,
    /// The kernel has no Landlock, or it is switched off.
    None,
}

/// Takes from this thread the right to write files, and to start programs.
pub(crate) fn write_nothing() -> Result<Confinement, RulesetError> {
    let rules = Ruleset::default().handle_access(rights())?.create()?;
    Ok(met(&rules.restrict_self()?.ruleset))
}

/// Takes from this thread the right to write files but in `places` (folders with all below them, or files), and to start
/// programs. Places that cannot be opened are left out.
///
/// A kernel that cannot say who may move files between folders (Linux 5.19 can) forbids that to whoever is confined, and
/// git has to: there it is [`Confinement::None`].
pub(crate) fn write_only(places: &[PathBuf]) -> Result<Confinement, RulesetError> {
    let moves = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer);
    let Ok(rules) = moves else {
        return Ok(Confinement::None);
    };
    let rules = rules
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(rights())?
        .create()?
        .add_rules(path_beneath_rules(places, AccessFs::from_write(RIGHTS)))?;
    Ok(met(&rules.restrict_self()?.ruleset))
}

fn rights() -> BitFlags<AccessFs> {
    AccessFs::from_write(RIGHTS) | AccessFs::Execute
}

fn met(status: &RulesetStatus) -> Confinement {
    match status {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
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
