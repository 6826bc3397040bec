//! What people are told of a run: what was issued, what failed, what waits. Pure.

use anyhow::Error;
use serde_json::{Value, json};

use crate::model::chain::list;
use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, PutOff};
use crate::report::tame::tame;
use crate::report::terminal::{day, minute};

/// Lines of certificates that are told one by one.
const MOST: usize = 20;

/// A challenge value is a SHA-256 in base64url (RFC 8555 section 8.4): 43 characters. Longer words are no words either.
const LONGEST_WORD: usize = 40;

/// A message, without secrets and challenge values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    /// Names, for programs.
    issued: Vec<String>,
    failed: Vec<String>,
    put_off: Vec<String>,
}

impl Notice {
    /// What came of a run that ran where `by` says; none if there is nothing that matters.
    pub(crate) fn of(outcome: &Outcome, by: &str) -> Option<Self> {
        let Outcome {
            done,
            put_off,
            left_over,
            ..
        } = outcome;
        if done.is_empty() && put_off.is_empty() && left_over.is_empty() {
            return None;
        }
        let failed = outcome
            .failed()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let issued = outcome.issued().map(|(name, _)| name.to_string());
        let issued = issued.collect::<Vec<_>>();
        let waiting = put_off.iter();
        let waiting = waiting.map(|put_off| put_off.planned.wanted.name.to_string());
        let waiting = waiting.collect::<Vec<_>>();
        let counts = [
            (issued.len(), "issued"),
            (failed.len(), "failed"),
            (waiting.len(), "put off"),
            (left_over.len(), "left over"),
        ];
        let counts = counts.iter().filter(|(number, _)| *number > 0);
        let counts = counts.map(|(number, what)| format!("{number} {what}"));
        // What failed is what somebody has to look at.
        let (bad, good): (Vec<_>, Vec<_>) = done.iter().partition(|done| done.result.is_err());
        let certificates = bad.iter().map(|done| done_line(done));
        let certificates = certificates
            .chain(put_off.iter().map(put_off_line))
            .chain(good.iter().map(|done| done_line(done)));
        let mut lines: Vec<_> = certificates.clone().take(MOST).collect();
        match certificates.count().saturating_sub(MOST) {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        lines.extend(
            left_over
                .iter()
                .map(|error| format!("left over: {}", first(error))),
        );
        lines.push(by.to_owned());
        Some(Self {
            title: format!("git-certs: {}", counts.collect::<Vec<_>>().join(", ")),
            lines: lines.iter().map(|line| harmless(line)).collect(),
            issued,
            failed,
            put_off: waiting,
        })
    }

    /// A run that could not run.
    pub(crate) fn could_not_run(error: &Error, by: &str) -> Self {
        let explained = explain(error);
        let what = [explained.what].into_iter().chain(explained.causes);
        let lines = what.chain([by.to_owned()]);
        Self {
            title: "git-certs: could not run".to_owned(),
            lines: lines.map(|line| harmless(&line)).collect(),
            issued: Vec::new(),
            failed: Vec::new(),
            put_off: Vec::new(),
        }
    }

    /// Title and lines, of at most `most` characters.
    pub(super) fn text(&self, most: usize) -> String {
        cut(&format!("{}\n{}", self.title, self.body()), most)
    }

    pub(super) fn body(&self) -> String {
        self.lines.join("\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "version": 1,
            "title": self.title,
            "lines": self.lines,
            "issued": self.issued,
            "failed": self.failed,
            "put_off": self.put_off,
        })
    }
}

fn done_line(done: &Done) -> String {
    let wanted = &done.planned.wanted;
    match &done.result {
        Ok(stored) => format!(
            "issued {} until {}: {}",
            wanted.name,
            day(stored.leaf.not_after),
            list(&stored.leaf.identifiers)
        ),
        Err(error) => {
            let parts: Vec<_> = error.parts().iter().map(ToString::to_string).collect();
            let held = done.planned.not_after.map(day);
            let held = held.map_or_else(String::new, |day| {
                format!(" (the one that is there ends on {day})")
            });
            format!("failed {}: {}{held}", wanted.name, parts.join("; "))
        }
    }
}

fn put_off_line(put_off: &PutOff) -> String {
    let held = put_off.planned.not_after.map(day);
    let held = held.map_or_else(String::new, |day| {
        format!(" (the one that is there ends on {day})")
    });
    format!(
        "put off {} until {}: {}{held}",
        put_off.planned.wanted.name,
        minute(put_off.until),
        put_off.reason
    )
}

fn first(error: &Error) -> String {
    explain(error).what
}

/// One line that moves no terminal, without what could be a challenge value.
fn harmless(text: &str) -> String {
    let line = tame(text.lines().next().unwrap_or_default());
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut clean = String::new();
    let mut word = String::new();
    for c in line.chars().chain([' ']) {
        if is_word(c) {
            word.push(c);
            continue;
        }
        clean += if word.len() < LONGEST_WORD {
            &word
        } else {
            "[...]"
        };
        word.clear();
        clean.push(c);
    }
    clean.pop();
    clean
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn what_matters_is_told() {
        let notice = Notice::of(&fixture::outcome_of_a_run(), "root on host").unwrap();
        assert_eq!(
            notice.text(10_000),
            "git-certs: 1 issued, 1 failed, 1 put off, 1 left over\n\
             failed www: cannot add TXT `_acme-challenge.www.example.net` (the one that is there ends on 2027-02-21)\n\
             put off shop until 2026-11-23 13:22 UTC: the 50 new certificates in 7 days for `example.com` are used up\n\
             issued wildcardCert until 2027-02-21: *.example.com, example.com\n\
             left over: cannot withdraw TXT `_acme-challenge.example.com` at `ddns`\n\
             root on host"
        );
        assert_eq!(
            notice.json(),
            json!({
                "version": 1,
                "title": notice.title,
                "lines": notice.lines,
                "issued": ["wildcardCert"],
                "failed": ["www"],
                "put_off": ["shop"],
            })
        );
        assert_eq!(Notice::of(&Outcome::default(), "root on host"), None);
    }

    #[test]
    fn no_challenge_value_is_told() {
        let value = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
        let error = anyhow!("TXT `{value}` is\u{1b}[31m there\nmore").context("cannot remove");
        let notice = Notice::could_not_run(&error, "me");
        assert_eq!(
            notice.text(1000),
            "git-certs: could not run\ncannot remove\nTXT `[...]` is\\u{1b}[31m there\nme"
        );
        assert_eq!(notice.text(10), "git-certs\u{2026}");
    }
}
