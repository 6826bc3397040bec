//! Errors and warnings as annotations, which GitHub's runner (and those of Forgejo and Gitea) shows beside the run.
//!
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::report::tame::tame;

/// The runner shows so many of a kind and step, and drops the rest without a word.
const MOST: usize = 10;

/// Whether a runner listens. One log, one switch.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// How many of each kind were made.
static MADE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// What an annotation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Warning,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// From now on errors and warnings are annotations.
pub(crate) fn turn_on() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Whether the runner of GitHub or its kin reads the log.
pub(crate) fn are_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// An error or a warning for the log, with a final newline: `warning: text`, or an annotation.
///
/// The last one that the runner would show says that there are more; those stand in the log alone.
pub(crate) fn line(kind: Kind, text: &str) -> String {
    let plain = || format!("{kind}: {}\n", tame(text));
    if !are_on() {
        return plain();
    }
    let made = MADE
        .get(kind as usize)
        .map_or(0, |made| made.fetch_add(1, Ordering::Relaxed));
    match made + 1 {
        ..MOST => command(kind, text),
        MOST => command(kind, &format!("there are more {kind}s: see the log")) + &plain(),
        _ => plain(),
    }
}

fn command(kind: Kind, text: &str) -> String {
    let text = tame(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    format!("::{kind} title=git-certs::{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_another_command() {
        assert_eq!(
            command(Kind::Error, "100 % bad\n::set-output name=a::b\u{1b}[31m"),
            "::error title=git-certs::100 %25 bad%0A\\::set-output name=a::b\\u{1b}[31m\n"
        );
    }
}
