//! Plain text for people: the plan, the outcome, errors.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Error, Result};
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::model::chain::list;
use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, Plan, Planned, PutOff};
use crate::report::tame::tame;
use crate::report::voice::{self, Level};

/// Prints an error to stderr: what failed, the causes, what to do.
pub(crate) fn print_error(error: &Error) {
    voice::write(&voice::line(Level::Error, &told(error)));
}

/// Prints an error that stops nothing to stderr, as a warning.
pub(crate) fn print_as_warning(error: &Error) {
    voice::write(&voice::line(Level::Warning, &told(error)));
}

/// Prints a warning to stderr.
pub(crate) fn print_warning(warning: &str) {
    voice::write(&voice::line(Level::Warning, warning));
}

/// The same, as a warning: what failed was not what the run was for.
pub(crate) fn print_error_as_warning(error: &Error) {
    voice::write(&voice::line(Level::Warning, &told(error)));
}

/// Prints to stdout. A closed pipe is the reader's choice; a full disk is an error.
pub(crate) fn print(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// The same for data that need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// An error in full, with a final newline.
pub(crate) fn describe(error: &Error) -> String {
    format!("error: {}\n", told(error))
}

/// An error in full, in lines.
pub(crate) fn told(error: &Error) -> String {
    let explained = explain(error);
    let mut text = indented(&explained.what);
    for cause in &explained.causes {
        text += &format!("\n  caused by: {}", indented(cause));
    }
    for hint in &explained.hints {
        text += &format!("\nhint: {}", indented(hint));
    }
    text
}

fn indented(text: &str) -> String {
    tame(text.trim_end()).replace('\n', "\n    ")
}

/// The plan, a line a certificate, and a count.
pub(crate) fn plan(plan: &Plan) -> String {
    let all = &plan.certificates;
    let width = name_width(all.iter());
    let lines = all.iter().map(|planned| plan_line(planned, width));
    let text: String = lines.collect();
    let due = plan.due().count();
    let kept = plan.up_to_date().count();
    let failing = plan.failing().unwrap_or_default();
    let stuck = all.len() - due - kept;
    let would_fail = match failing - stuck {
        0 => String::new(),
        number => format!(" ({number} would fail)"),
    };
    let stuck = match stuck {
        0 => String::new(),
        number => format!(", {number} cannot be renewed"),
    };
    text + &format!("\n{due} due{would_fail}, {kept} up to date{stuck}\n")
}

fn plan_line(planned: &Planned, width: usize) -> String {
    format!(
        "{:<8} {:<width$}  {}: {}\n",
        planned.action,
        planned.wanted.name.as_str(),
        list(&planned.wanted.identifiers),
        tame(&planned.reason)
    )
}

/// What a dry run has found: what would be ordered, what would fail before, what would not be tried.
pub(crate) fn dry_run(outcome: &Outcome) -> String {
    let Outcome {
        ready,
        done,
        put_off,
        kept,
        ..
    } = outcome;
    let others = done.iter().map(|done| &done.planned);
    let later = put_off.iter().map(|put_off| &put_off.planned);
    let width = name_width(ready.iter().chain(others).chain(later).chain(kept));
    let mut lines: Vec<_> = ready
        .iter()
        .map(|planned| plan_line(planned, width))
        .collect();
    lines.extend(done.iter().map(|done| done_line(done, width)));
    lines.extend(put_off.iter().map(|put_off| put_off_line(put_off, width)));
    lines.extend(kept.iter().map(|planned| plan_line(planned, width)));
    lines.concat()
        + &format!(
            "\n{} would be ordered, {} would fail, {} put off, {} up to date\n",
            ready.len(),
            done.len(),
            put_off.len(),
            kept.len()
        )
}

/// What came of the run.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    if outcome.done.is_empty() && outcome.put_off.is_empty() {
        return nothing_due(&outcome.kept);
    }
    let done = outcome.done.iter().map(|done| &done.planned);
    let put_off = outcome.put_off.iter().map(|put_off| &put_off.planned);
    let width = name_width(done.chain(put_off));
    let mut text = String::new();
    for done in &outcome.done {
        text += &done_line(done, width);
    }
    for put_off in &outcome.put_off {
        text += &put_off_line(put_off, width);
    }
    let waiting = match outcome.put_off.len() {
        0 => String::new(),
        number => format!("{number} put off, "),
    };
    text += &format!(
        "\n{} issued, {} failed, {waiting}{} up to date\n",
        outcome.done.len() - outcome.failed().count(),
        outcome.failed().count(),
        outcome.kept.len()
    );
    if let Some(pushed) = &outcome.pushed {
        text += &format!("{}\n", tame(pushed));
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

fn put_off_line(put_off: &PutOff, width: usize) -> String {
    let PutOff {
        planned,
        reason,
        until,
    } = put_off;
    format!(
        "put off  {:<width$}  {}: until {}, {}\n",
        planned.wanted.name.as_str(),
        list(&planned.wanted.identifiers),
        minute(*until),
        tame(reason)
    )
}

fn name_width<'a>(plan: impl Iterator<Item = &'a Planned>) -> usize {
    plan.map(|planned| planned.wanted.name.as_str().len())
        .max()
        .unwrap_or_default()
}

/// A moment for people, rounded up to the minute: `2026-11-25 14:03 UTC`.
pub(crate) fn minute(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(UtcOffset::UTC) + Duration::seconds(59);
    let (hour, minute) = (moment.hour(), moment.minute());
    format!("{} {hour:02}:{minute:02} UTC", moment.date())
}

/// A moment that is past, in the minute in which it was.
pub(crate) fn past(past: OffsetDateTime) -> String {
    let past = past.to_offset(UtcOffset::UTC);
    let (hour, minute) = (past.hour(), past.minute());
    format!("{} {hour:02}:{minute:02} UTC", past.date())
}

pub(super) fn day(moment: OffsetDateTime) -> String {
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
