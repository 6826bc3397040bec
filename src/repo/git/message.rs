//! Messages of commits: text, and trailers by which programs know the commit.

use git2::Commit;
use time::format_description::well_known::Rfc3339;

use crate::model::chain::{Leaf, list};

/// Says which run made the commit.
pub(crate) const RUN: &str = "Git-Certs-Run";

/// Serial number of the certificate that the commit is about.
pub(crate) const SERIAL: &str = "Git-Certs-Serial";

/// A commit's message: a subject and perhaps more, then trailers (git-interpret-trailers(1)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    text: String,
    trailers: Vec<(&'static str, String)>,
}

impl Message {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            trailers: Vec::new(),
        }
    }

    /// Adds what a certificate says, for programs.
    pub(crate) fn about(mut self, leaf: &Leaf) -> Self {
        self.trailers.extend([
            ("Git-Certs-Names", list(&leaf.identifiers)),
            (SERIAL, leaf.serial.clone()),
            (
                "Git-Certs-Not-After",
                leaf.not_after.format(&Rfc3339).unwrap_or_default(),
            ),
            ("Git-Certs-Issuer", leaf.issuer.clone()),
        ]);
        self
    }

    /// The whole text, with a trailer for the run.
    pub(super) fn of_run(&self, run: Option<&str>) -> String {
        let run = run.map(|run| (RUN, run));
        let all = self.trailers.iter().map(|(key, value)| (*key, &**value));
        let mut text = self.text.trim_end().to_owned() + "\n";
        for (number, (key, value)) in all.chain(run).enumerate() {
            if number == 0 {
                text.push('\n');
            }
            // A line break would begin a trailer that is not ours.
            let value: String = value
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            text += &format!("{key}: {value}\n");
        }
        text
    }
}

/// Whether a run of this program has made the commit.
pub(super) fn is_ours(commit: &Commit<'_>) -> bool {
    let message = String::from_utf8_lossy(commit.message_bytes());
    message.lines().rev().any(|line| {
        line.strip_prefix(RUN)
            .is_some_and(|rest| rest.starts_with(": "))
    })
}

/// Whether the commit is about one certificate, and nothing else.
pub(super) fn is_about_one(commit: &Commit<'_>) -> bool {
    let message = String::from_utf8_lossy(commit.message_bytes());
    trailer(&message, SERIAL).is_some()
}

/// Value of a trailer in the last paragraph of a message.
pub(crate) fn trailer<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    let mut lines = message.trim_end().lines().rev();
    lines
        .by_ref()
        .take_while(|line| !line.trim().is_empty())
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn trailers_are_the_last_paragraph() {
        let mut message = Message::new("Renew www: due\n");
        message.trailers = vec![("A", "b\nc: d".to_owned()), ("E", "1".to_owned())];
        assert_eq!(
            message.of_run(Some("run")),
            "Renew www: due\n\nA: b c: d\nE: 1\nGit-Certs-Run: run\n"
        );
        assert_eq!(Message::from("x").of_run(None), "x\n");
    }

    #[test]
    fn trailers_are_found_in_the_last_paragraph_alone() {
        let text = "Renew www: due\n\nB: no\n\nA: 1\nB: 2: 3\n\n";
        assert_eq!(trailer(text, "B"), Some("2: 3"));
        assert_eq!(trailer(text, "C"), None);
        assert_eq!(trailer("A: 1\n\nx\n", "A"), None);
        assert_eq!(trailer("", "A"), None);
    }
}
