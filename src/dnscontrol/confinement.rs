//! What a script could do if it broke out of the engine: write no file and start no program.
//!
//! The thread of the engine gives up these rights for good (Landlock, Linux 5.13 and later); reading stays, as scripts
//! read files of the DNS repository. The rest of the program keeps them: what a thread may not, its children may not
//! either, and ssh, reload commands, plugins of age and `dnscontrol` are the user's own, who
//! knows where they write.

use std::fmt;

use landlock::{ABI, AccessFs, Ruleset, RulesetAttr, RulesetError, RulesetStatus};

/// The newest rights that are given up where the kernel knows them: to truncate files (Linux 6.2).
const RIGHTS: ABI = ABI::V3;

/// What came of [`confine`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Confinement {
    Full,
    /// The kernel does not know all of the rights.
    Partial,
    /// The kernel has no Landlock, or it is switched off.
    None,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the script engine can write no file and start no program (Landlock)",
            Self::Partial => {
                "the script engine can start no program and hardly write a file (Landlock of an old kernel)"
            }
            Self::None => "the kernel has no Landlock: nothing but the script engine keeps scripts in",
        })
    }
}

/// Takes from this thread, for good, the right to write files and to start programs.
pub(super) fn confine() -> Result<Confinement, RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_write(RIGHTS) | AccessFs::Execute)?
        .create()?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
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
                let confinement = confine().unwrap();
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
            // Nothing was tried in vain on this kernel; what the user is told is all there is to test.
            assert_eq!(
                confinement.to_string(),
                "the kernel has no Landlock: nothing but the script engine keeps scripts in"
            );
            return;
        }
        assert_eq!(tried, [Some(ErrorKind::PermissionDenied); 6]);
        assert_eq!(fs::read_to_string(&here).unwrap(), "text");
        // This thread is as free as before.
        fs::write(&there, "new").unwrap();
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}
