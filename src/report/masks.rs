//! Secrets that nothing may show: what is said leaves them out, and GitHub's runner is told.
//!
//! The runner masks secrets that it has handed out itself, and no others: those of a `creds.json` that sops opens, or
//! of an identity file, it learns by a command
//! (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>).

use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::known;
use crate::report::voice;

/// Whether the runner listens. One log, one switch.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// From now on secrets are told to the runner, which then shows none of them.
pub(crate) fn turn_on() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Hides a secret from here on, and masks it where the runner listens, each line of it by itself.
///
/// To stderr, where the runner reads commands too: stdout is data.
pub(crate) fn mask(secret: &[u8]) {
    known::remember(secret);
    if IS_ON.load(Ordering::Relaxed) {
        voice::write(&commands(&String::from_utf8_lossy(secret)));
    }
}

/// The runner compares line by line.
fn commands(secret: &str) -> String {
    known::parts(secret)
        .map(|line| {
            let escaped = line.replace('%', "%25").replace('\r', "%0D");
            format!("::add-mask::{escaped}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn each_line_is_a_mask_and_short_ones_are_none() {
        assert_eq!(commands("one secret\r\n"), "::add-mask::one secret\n");
        assert_eq!(
            commands("100%25 s\recret"),
            "::add-mask::100%2525 s%0Decret\n"
        );
        assert_eq!(commands(""), "");
        assert_eq!(commands("hunter2"), "");
        assert_eq!(
            commands("# public key: age1\n-----BEGIN X-----\n\nAAAABBBB\nCCCC\nDDDDEEEE\n"),
            "::add-mask::AAAABBBB\n::add-mask::DDDDEEEE\n"
        );
        assert_eq!(
            commands("#looks-like-a-comment"),
            "::add-mask::#looks-like-a-comment\n"
        );
    }
}
