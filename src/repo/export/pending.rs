//! A mark in the folder of exported files, for as long as a command has not succeeded after they changed.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand;

use crate::model::file;
use crate::model::hint::with_hint;
use crate::repo::files;

/// Beginning of the names of marks. The rest is a hash of what is exported, as others may export to the same folder.
pub(super) const PREFIX: &str = ".git-certs.pending-";

/// What a line says of a command.
const WAITS: &str = "waits";
const DONE: &str = "done";

/// Most commands that a mark names: those whose words differ each time would be more and more.
const MOST_COMMANDS: usize = 64;

/// Largest mark, bytes: one of ours has a line of 40 for each command.
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

/// One run of a command, by a random word. It counts as long as the mark has that word.
#[derive(Debug)]
pub(crate) struct Turn(String);

/// What a mark says of a command: whether it has succeeded since the last change, and whose turn it was last.
#[derive(Debug)]
struct Line {
    command: String,
    is_done: bool,
    turn: String,
}

impl Line {
    /// None if it is not ours.
    fn of(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split(' ').collect();
        let [state, command, turn] = words[..] else {
            return None;
        };
        let is_done = state == DONE;
        (is_done || state == WAITS).then(|| Self {
            command: command.to_owned(),
            is_done,
            turn: turn.to_owned(),
        })
    }

    fn text(&self) -> String {
        let state = if self.is_done { DONE } else { WAITS };
        format!("{state} {} {}\n", self.command, self.turn)
    }
}

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
        let is_done = |lines: &Vec<Line>| {
            let own = lines.iter().find(|line| line.command == self.command);
            own.is_some_and(|line| line.is_done)
        };
        Ok(self.read()?.is_some_and(|lines| !is_done(&lines)))
    }

    /// To be said before files change: no command has succeeded with them, those that run now included.
    pub(crate) fn begin(&self) -> Result<Turn> {
        let turn = random()?;
        let mut lines = self.read()?.unwrap_or_default();
        for line in &mut lines {
            line.is_done = false;
            line.turn.clone_from(&turn);
        }
        self.wait(lines, turn)
    }

    /// To be said before the command is run where no file has changed: it may fail as well.
    pub(crate) fn go_on(&self) -> Result<Turn> {
        self.wait(self.read()?.unwrap_or_default(), random()?)
    }

    /// The command has succeeded, or failed.
    pub(crate) fn ended(&self, turn: &Turn, is_done: bool) -> Result<()> {
        if is_done {
            self.done(turn)
        } else {
            self.failed(turn)
        }
    }

    /// The command has succeeded. The mark goes with the last one that waits.
    ///
    /// What another run has begun meanwhile is left to that: it may have written other files.
    fn done(&self, turn: &Turn) -> Result<()> {
        let mut lines = self.read()?.unwrap_or_default();
        let Some(own) = self.own(&mut lines, turn) else {
            return Ok(());
        };
        own.is_done = true;
        if lines.iter().all(|line| line.is_done) {
            return files::remove(&self.path);
        }
        self.write(&lines)
    }

    /// The command has failed. It waits, whatever another run has said meanwhile.
    fn failed(&self, turn: &Turn) -> Result<()> {
        let mut lines = self.read()?.unwrap_or_default();
        if self.own(&mut lines, turn).is_none() {
            self.wait(lines, random()?)?;
        }
        Ok(())
    }

    /// The line of the command, if this turn is its last.
    fn own<'l>(&self, lines: &'l mut [Line], turn: &Turn) -> Option<&'l mut Line> {
        let mut lines = lines.iter_mut();
        lines.find(|line| line.command == self.command && line.turn == turn.0)
    }

    /// Writes that the command waits, as the newest line.
    fn wait(&self, mut lines: Vec<Line>, turn: String) -> Result<Turn> {
        lines.retain(|line| line.command != self.command);
        let too_many = (lines.len() + 1).saturating_sub(MOST_COMMANDS);
        lines.drain(..too_many);
        lines.push(Line {
            command: self.command.clone(),
            is_done: false,
            turn: turn.clone(),
        });
        self.write(&lines)?;
        Ok(Turn(turn))
    }

    /// None where there is no mark. One that cannot be read, and lines that are not ours, say nothing.
    fn read(&self) -> Result<Option<Vec<Line>>> {
        let shown = self.path.display();
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // It would not be replaced.
            Ok(found) if !found.is_file() && !found.is_symlink() => {
                return Err(with_hint(
                    anyhow!(
                        "`{shown}` is not a file, and stands where a mark of git-certs would be"
                    ),
                    format!("remove `{shown}`"),
                ));
            }
            _ => {}
        }
        let bytes = file::read_up_to(LARGEST, &self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.lines().filter_map(Line::of).collect()))
    }

    fn write(&self, lines: &[Line]) -> Result<()> {
        let text: String = lines.iter().map(Line::text).collect();
        files::replace(&self.path, text.as_bytes(), files::PRIVATE)
    }
}

fn random() -> Result<String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| anyhow!("no random numbers"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a hash of words. Where each ends counts.
fn hash<'w>(words: impl Iterator<Item = &'w [u8]>) -> String {
    let mut context = digest::Context::new(&SHA256);
    for word in words {
        context.update(word);
        context.update(b"\0");
    }
    let hash = context.finish();
    hex(hash.as_ref().first_chunk::<8>().map_or(&[], |first| first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mark of `web`, and of one of its commands.
    fn web(folder: &Path, command: &str) -> Pending {
        let command = command.split(' ').map(OsString::from).collect::<Vec<_>>();
        Pending::new(folder, &["web".to_owned()], &command)
    }

    #[test]
    fn each_command_waits_until_it_has_succeeded() {
        let folder = tempfile::tempdir().unwrap();
        let other = Pending::new(folder.path(), &["mail".to_owned()], &["a b".into()]);
        let (first, second) = (web(folder.path(), "a b"), web(folder.path(), "c"));
        let waits = || [&first, &second, &other].map(|pending| pending.waits().unwrap());
        assert_eq!(waits(), [false; 3]);
        let turn = first.begin().unwrap();
        // The second may be the first one put right.
        assert_eq!(waits(), [true, true, false]);
        let turn_of_second = second.go_on().unwrap();
        first.done(&turn).unwrap();
        assert_eq!(waits(), [false, true, false]);
        first.go_on().unwrap();
        second.done(&turn_of_second).unwrap();
        assert_eq!(waits(), [true, false, false]);
        let turn = other.begin().unwrap();
        other.done(&turn).unwrap();
        assert_eq!(waits(), [true, false, false]);
        // Files change again.
        let turn_of_second = second.begin().unwrap();
        assert_eq!(waits(), [true, true, false]);
        let turn = first.go_on().unwrap();
        first.done(&turn).unwrap();
        assert_eq!(waits(), [false, true, false]);
        second.done(&turn_of_second).unwrap();
        assert_eq!(waits(), [false; 3]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let parted = web(folder.path(), "ab");
        assert!(parted.path == first.path && parted.command != first.command);
    }

    #[test]
    fn a_run_counts_for_the_files_that_it_began_with() {
        let folder = tempfile::tempdir().unwrap();
        let (pending, other) = (web(folder.path(), "a"), web(folder.path(), "b"));
        let (slow, slow_other) = (pending.begin().unwrap(), other.go_on().unwrap());
        let newer = pending.begin().unwrap();
        pending.failed(&newer).unwrap();
        pending.done(&slow).unwrap();
        other.done(&slow_other).unwrap();
        assert!(pending.waits().unwrap() && other.waits().unwrap());
        // Two runs with the same files: the one that fails is told of, and tried again.
        let (good, bad) = (pending.go_on().unwrap(), pending.go_on().unwrap());
        pending.failed(&bad).unwrap();
        pending.done(&good).unwrap();
        assert!(pending.waits().unwrap());
        let (bad, good) = (pending.go_on().unwrap(), pending.go_on().unwrap());
        let turn = other.go_on().unwrap();
        other.done(&turn).unwrap();
        pending.done(&good).unwrap();
        assert!(!pending.path.exists());
        pending.failed(&bad).unwrap();
        assert!(pending.waits().unwrap());
    }

    #[test]
    fn a_mark_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let count = || {
            let bytes = file::read(&web(folder.path(), "0").path).unwrap_or_default();
            String::from_utf8(bytes).unwrap().lines().count()
        };
        let failed = web(folder.path(), "0");
        failed.begin().unwrap();
        // Each run has other words, such as a date.
        for number in 1..MOST_COMMANDS {
            let pending = web(folder.path(), &number.to_string());
            assert!(pending.waits().unwrap());
            let turn = pending.go_on().unwrap();
            pending.done(&turn).unwrap();
            assert_eq!(count(), number + 1);
        }
        assert!(failed.waits().unwrap());
        // The oldest line is that of the one that failed.
        let pending = web(folder.path(), "64");
        let turn = pending.go_on().unwrap();
        assert_eq!(count(), MOST_COMMANDS);
        assert!(failed.waits().unwrap());
        pending.done(&turn).unwrap();
        assert_eq!(count(), 0);
        assert!(!failed.waits().unwrap());
    }

    #[test]
    fn a_mark_of_others_makes_the_command_run() {
        let folder = tempfile::tempdir().unwrap();
        let pending = web(folder.path(), "a");
        let large = "waits 0123456789abcdef 0123456789abcdef\n".repeat(2000);
        for content in [&b"\xff garbage\n"[..], large.as_bytes()] {
            files::replace(&pending.path, content, files::PRIVATE).unwrap();
            assert!(pending.waits().unwrap());
            let turn = pending.go_on().unwrap();
            pending.done(&turn).unwrap();
            assert!(!pending.path.exists());
        }
    }
}
