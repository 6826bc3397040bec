//! Questions to whoever runs the program: passphrases, and what age plugins want to know.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::sync::{Mutex, PoisonError};

use age::Callbacks;
use age::secrecy::SecretString;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::report::progress::Progress;
use crate::report::tame::tame;

/// Longest line that a terminal hands over (termios(3)).
const LONGEST_LINE: usize = 4_096;

/// The terminal that does not show what is typed, and how it was before.
static HIDDEN: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Asks on the terminal, if stdin is one; a CI job is never waited for.
#[derive(Clone)]
pub(crate) struct Questions(Progress);

impl Questions {
    /// Spinners of `progress` stand still while somebody types.
    pub(crate) fn new(progress: &Progress) -> Self {
        Self(progress.clone())
    }

    /// What is typed; none where there is no terminal, or its end came.
    pub(crate) fn text(&self, question: &str) -> Option<String> {
        Some(self.ask(question, false)?.as_str().to_owned())
    }

    /// One line from the terminal; none where there is no terminal, or its end came.
    fn ask(&self, question: &str, is_hidden: bool) -> Option<Zeroizing<String>> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut terminal = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        self.0.unseen(|| {
            if is_hidden {
                hide(&terminal)?;
            }
            let line = write!(terminal, "{} ", tame(question))
                .ok()
                .and_then(|()| read_line(&terminal));
            show_again();
            line
        })
    }
}

impl Callbacks for Questions {
    fn display_message(&self, message: &str) {
        self.0.say(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let no = no.unwrap_or("no");
        let question = format!("{message}\ntype `1` for `{yes}`, `2` for `{no}`:");
        loop {
            match self.ask(&question, false)?.trim() {
                "1" => return Some(true),
                "2" => return Some(false),
                _ => {}
            }
        }
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        let line = self.ask(&format!("{description}:"), false)?;
        Some(line.as_str().to_owned())
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let line = self.ask(&format!("{description}:"), true)?;
        // As long as the text: making it one would otherwise leave a copy behind.
        Some(SecretString::from(line.as_str().to_owned()))
    }
}

/// Shows what is typed, as before. Also what is left to do when a signal ended the program at a question.
pub(crate) fn show_again() {
    let hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((mut terminal, before)) = hidden {
        // A terminal that is gone has nothing to be restored.
        let _ = tcsetattr(&terminal, OptionalActions::Flush, &before);
        // The one that was typed was not shown.
        let _ = writeln!(terminal);
    }
}

fn hide(terminal: &File) -> Option<()> {
    let before = tcgetattr(terminal).ok()?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    *HIDDEN.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((terminal.try_clone().ok()?, before));
    tcsetattr(terminal, OptionalActions::Flush, &hidden).ok()
}

/// A line without its end, byte by byte, so that no buffer keeps a copy.
fn read_line(mut terminal: &File) -> Option<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST_LINE));
    let mut byte = Zeroizing::new([0]);
    while line.len() < LONGEST_LINE {
        match terminal.read(byte.as_mut_slice()) {
            Ok(1) if *byte == *b"\n" => {
                let text = std::str::from_utf8(&line).ok()?;
                return Some(Zeroizing::new(text.to_owned()));
            }
            Ok(1) => line.extend_from_slice(byte.as_slice()),
            _ => return None,
        }
    }
    None
}
