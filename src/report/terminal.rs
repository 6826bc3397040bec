//! Plain text for people: the plan, the outcome, errors.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Error, Result};
use time::OffsetDateTime;

use crate::model::chain::list;
use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, Planned};
use crate::report::tame::tame;

/// Prints an error to stderr: what failed, the causes, what to do.
pub(crate) fn print_error(error: &Error) {
    // Nobody is left to tell when stderr is closed.
    let _ = std::io::stderr().write_all(describe(error).as_bytes());
}

/// Prints to stdout. A closed pipe is the reader's choice; a full disk is an error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// An error in full, with a final newline.
pub(crate) fn describe(error: &Error) -> String {
    let explained = explain(error);
    let mut text = format!("error: {}\n", indented(&explained.what));
    for cause in &explained.causes {
        text += &format!("  caused by: {}\n", indented(cause));
    }
    for hint in &explained.hints {
        text += &format!("hint: {}\n", indented(hint));
    }
    text
}

fn indented(text: &str) -> String {
    tame(text.trim_end()).replace('\n', "\n    ")
}

/// The plan, a line a certificate, and a count.
pub(crate) fn plan(plan: &[Planned]) -> String {
    let width = name_width(plan.iter());
    let mut text = String::new();
    for planned in plan {
        text += &format!(
            "{:<8} {:<width$}  {}: {}\n",
            planned.action,
            planned.wanted.name.as_str(),
            list(&planned.wanted.identifiers),
            tame(&planned.reason)
        );
    }
    let due = plan.iter().filter(|planned| planned.is_due()).count();
    text + &format!("\n{due} due, {} up to date\n", plan.len() - due)
}

/// What came of the run.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    if outcome.done.is_empty() {
        return nothing_due(&outcome.kept);
    }
    let width = name_width(outcome.done.iter().map(|done| &done.planned));
    let mut text = String::new();
    for done in &outcome.done {
        text += &done_line(done, width);
    }
    text += &format!(
        "\n{} issued, {} failed, {} up to date\n",
        outcome.done.len() - outcome.failed().count(),
        outcome.failed().count(),
        outcome.kept.len()
    );
    if let Some(pushed) = &outcome.pushed {
        text += &format!("{pushed}\n");
    }
    text
}

fn nothing_due(kept: &[Planned]) -> String {
    let next = kept
        .iter()
        .filter_map(|planned| Some((planned.not_after?, &planned.wanted.name)))
        .min();
    match next {
        Some((end, name)) => format!(
            "nothing is due: {} up to date, the first to expire is `{name}` on {}\n",
            kept.len(),
            day(end)
        ),
        None => "nothing is due\n".to_owned(),
    }
}

fn done_line(done: &Done, width: usize) -> String {
    let name = done.planned.wanted.name.as_str();
    match &done.result {
        Ok(stored) => {
            let commit = stored
                .commit
                .as_ref()
                .map_or_else(String::new, |id| format!(", commit {id}"));
            format!(
                "issued   {name:<width$}  {}: until {}{commit}\n",
                list(&stored.leaf.identifiers),
                day(stored.leaf.not_after)
            )
        }
        Err(_) => format!(
            "failed   {name:<width$}  {}\n",
            list(&done.planned.wanted.identifiers)
        ),
    }
}

fn name_width<'a>(plan: impl Iterator<Item = &'a Planned>) -> usize {
    plan.map(|planned| planned.wanted.name.as_str().len())
        .max()
        .unwrap_or_default()
}

fn day(moment: OffsetDateTime) -> String {
    moment.date().to_string()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::model::hint::with_hint;

    #[test]
    fn an_error_has_three_parts() {
        let error = with_hint(
            anyhow!("403 Forbidden").context("cannot add TXT `_acme-challenge.example.com`"),
            "the token must be allowed to write",
        )
        .context("cannot issue `www`");
        assert_eq!(
            describe(&error),
            "error: cannot issue `www`\n  \
             caused by: cannot add TXT `_acme-challenge.example.com`\n  \
             caused by: 403 Forbidden\n\
             hint: the token must be allowed to write\n"
        );
    }
}
