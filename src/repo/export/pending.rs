//! A mark in the folder of exported files, for as long as a command has not succeeded after they changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use aws_lc_rs::digest::{self, SHA256};

use crate::model::file;
use crate::repo::files;

/// Beginning of the names of marks. The rest is a hash of what is exported, as others may export to the same folder.
const PREFIX: &str = ".git-certs.pending-";

/// What a line says of a command.
const WAITS: &str = "waits";
const DONE: &str = "done";

/// Largest mark, bytes: one of ours has a line of 22 for each command.
const LARGEST: u64 = 64 << 10;

/// The mark of what is exported to a folder, for one of the commands that follow.
///
/// It is there as long as some command has not succeeded since the last change, and has a line for each of them. A
/// command that it does not name has something to do as well: it stands in the place of one that failed.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    path: PathBuf,
    command: String,
}

/// Whether each command has succeeded since the last change.
type Commands = BTreeMap<String, bool>;

impl Pending {
    /// `exported`: what says which files; `command`: with its arguments.
    pub(crate) fn new(folder: &Path, exported: &[String], command: &[OsString]) -> Self {
        let exported = hash(exported.iter().map(String::as_bytes));
        Self {
            path: folder.join(format!("{PREFIX}{exported}")),
            command: hash(command.iter().map(|word| word.as_bytes())),
        }
    }

    /// Whether the command has to be run although no file has changed.
    pub(crate) fn waits(&self) -> Result<bool> {
        let commands = self.read()?;
        Ok(commands.is_some_and(|commands| commands.get(&self.command) != Some(&true)))
    }

    /// To be said before files change: no command has succeeded with them.
    pub(crate) fn begin(&self) -> Result<()> {
        let mut commands = self.read()?.unwrap_or_default();
        for is_done in commands.values_mut() {
            *is_done = false;
        }
        self.write(commands, false)
    }

    /// To be said before the command is run where no file has changed: it may fail as well.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.write(self.read()?.unwrap_or_default(), false)
    }

    /// The command has succeeded. The mark goes with the last one that waits.
    pub(crate) fn done(&self) -> Result<()> {
        self.write(self.read()?.unwrap_or_default(), true)
    }

    /// None where there is no mark. Lines that are not ours say nothing.
    fn read(&self) -> Result<Option<Commands>> {
        let bytes = match file::read_up_to(LARGEST, &self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read `{}`", self.path.display()));
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let line = |line: &str| {
            let (state, command) = line.split_once(' ')?;
            let is_done = state == DONE;
            (is_done || state == WAITS).then(|| (command.to_owned(), is_done))
        };
        Ok(Some(text.lines().filter_map(line).collect()))
    }

    fn write(&self, mut commands: Commands, is_done: bool) -> Result<()> {
        commands.insert(self.command.clone(), is_done);
        if commands.values().all(|is_done| *is_done) {
            return files::remove(&self.path);
        }
        let line = |(command, is_done): (&String, &bool)| {
            let state = if *is_done { DONE } else { WAITS };
            format!("{state} {command}\n")
        };
        let text: String = commands.iter().map(line).collect();
        files::replace(&self.path, text.as_bytes(), files::PRIVATE)
    }
}

/// The beginning of a hash of words. Where each ends counts.
fn hash<'w>(words: impl Iterator<Item = &'w [u8]>) -> String {
    let mut context = digest::Context::new(&SHA256);
    for word in words {
        context.update(word);
        context.update(b"\0");
    }
    let hash = context.finish();
    let hex = hash.as_ref().iter().take(8);
    hex.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_command_waits_until_it_has_succeeded() {
        let folder = tempfile::tempdir().unwrap();
        let of = |exported: &str, command: &str| {
            let command = command.split(' ').map(OsString::from).collect::<Vec<_>>();
            Pending::new(folder.path(), &[exported.to_owned()], &command)
        };
        let (first, second, other) = (of("web", "a b"), of("web", "c"), of("mail", "a b"));
        let waits = || [&first, &second, &other].map(|pending| pending.waits().unwrap());
        assert_eq!(waits(), [false; 3]);
        first.begin().unwrap();
        // The second may be the first one put right.
        assert_eq!(waits(), [true, true, false]);
        second.go_on().unwrap();
        first.done().unwrap();
        assert_eq!(waits(), [false, true, false]);
        first.go_on().unwrap();
        second.done().unwrap();
        assert_eq!(waits(), [true, false, false]);
        other.begin().unwrap();
        other.done().unwrap();
        assert_eq!(waits(), [true, false, false]);
        // Files change again.
        second.begin().unwrap();
        assert_eq!(waits(), [true, true, false]);
        first.done().unwrap();
        assert_eq!(waits(), [false, true, false]);
        second.done().unwrap();
        assert_eq!(waits(), [false; 3]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(of("web", "a").path == of("web", "ab").path);
        assert_ne!(of("web", "a b").command, of("web", "ab").command);
    }

    #[test]
    fn a_mark_of_others_makes_the_command_run() {
        let folder = tempfile::tempdir().unwrap();
        let pending = Pending::new(folder.path(), &[], &["a".into()]);
        files::replace(&pending.path, b"\xff garbage\n", files::PRIVATE).unwrap();
        assert!(pending.waits().unwrap());
        pending.done().unwrap();
        assert!(!pending.path.exists());
        fs::create_dir(&pending.path).unwrap();
        let shown = pending.path.display();
        assert_eq!(
            format!("{:#}", pending.waits().unwrap_err()),
            format!("cannot read `{shown}`: Is a directory (os error 21)")
        );
    }
}
