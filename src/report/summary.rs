//! The summary of a run in Markdown, for the page that CI systems show of it.

use anyhow::Error;
use time::OffsetDateTime;

use crate::model::name::Identifier;
use crate::model::outcome::{Done, Outcome, Plan, Planned, PutOff};
use crate::model::path::Path;
use crate::report::tame::tame_part;
use crate::report::terminal::{day, describe};

/// GitHub takes 1 MiB for all summaries of a step, and drops a longer one as a whole.
const LONGEST: usize = 1_000_000;

/// Names of a certificate that are shown.
const SHOWN_NAMES: usize = 5;

/// What a run has done.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let failed = outcome.failed().count();
    let mut counts = vec![count(outcome.done.len() - failed, "issued")];
    counts.extend((failed > 0).then(|| count(failed, "failed")));
    let waiting = outcome.put_off.len();
    counts.extend((waiting > 0).then(|| count(waiting, "put off")));
    counts.push(count(outcome.kept.len(), "up to date"));
    let done = outcome.done.iter().map(done_row);
    let put_off = outcome.put_off.iter().map(put_off_row);
    page(&counts.join(", "), done.chain(put_off), outcome)
}

/// What a dry run has found.
pub(crate) fn dry_run(outcome: &Outcome) -> String {
    let mut counts = vec![count(outcome.ready.len(), "would be ordered")];
    let failed = outcome.done.len();
    counts.extend((failed > 0).then(|| count(failed, "would fail")));
    let waiting = outcome.put_off.len();
    counts.extend((waiting > 0).then(|| count(waiting, "put off")));
    counts.push(count(outcome.kept.len(), "up to date"));
    let ready = outcome
        .ready
        .iter()
        .map(|planned| row(planned, "would be ordered", &planned.reason));
    let done = outcome.done.iter().map(done_row);
    let put_off = outcome.put_off.iter().map(put_off_row);
    page(
        &counts.join(", "),
        ready.chain(done).chain(put_off),
        outcome,
    )
}

/// What a run would do.
pub(crate) fn plan(plan: &Plan) -> String {
    let kept: Vec<_> = plan.up_to_date().collect();
    let mut counts = vec![count(plan.due().count(), "due")];
    let failing = plan.failing().unwrap_or_default();
    counts.extend((failing > 0).then(|| count(failing, "would fail")));
    counts.push(count(kept.len(), "up to date"));
    let rows =
        plan.certificates
            .iter()
            .filter_map(|planned| match plan.verdict(&planned.wanted.name) {
                Some(verdict) => Some(row(planned, "**would fail**", &verdict.to_string())),
                None if planned.is_due() => {
                    Some(row(planned, &planned.action.to_string(), &planned.reason))
                }
                None => None,
            });
    let mut page = Page::titled(&counts.join(", "));
    page.results(rows);
    let (errors, warnings) = (plan.errors(), plan.warnings());
    page.errors(&errors.iter().chain(&warnings).collect::<Vec<_>>());
    page.unlisted(&plan.unlisted);
    page.expiry(kept);
    page.text
}

/// Why there was no run.
pub(crate) fn error(error: &Error) -> String {
    let mut page = Page::titled("could not run");
    page.errors(&[error]);
    page.text
}

fn page(title: &str, rows: impl Iterator<Item = String>, outcome: &Outcome) -> String {
    let mut page = Page::titled(&match outcome.shard {
        Some(shard) => format!("shard {shard}: {title}"),
        None => title.to_owned(),
    });
    page.results(rows);
    if let Some(pushed) = &outcome.pushed {
        page.add(&format!("{}\n\n", escaped(pushed)));
    }
    let errors = outcome.errors();
    let errors: Vec<_> = errors.iter().chain(&outcome.left_over).collect();
    page.errors(&errors);
    page.expiry(&outcome.kept);
    if let Some(path) = &outcome.path {
        page.timings(path);
    }
    page.text
}

/// A text that grows as far as it may.
struct Page {
    text: String,
    is_full: bool,
}

impl Page {
    fn titled(title: &str) -> Self {
        Self {
            text: format!("### git-certs: {title}\n\n"),
            is_full: false,
        }
    }

    /// Adds a part whole, or says once that the page is full.
    fn add(&mut self, part: &str) {
        if self.is_full {
            return;
        }
        if self.text.len() + part.len() > LONGEST {
            self.is_full = true;
            self.text += "\n\nThis page is full: the log has the rest.\n\n";
            return;
        }
        self.text += part;
    }

    fn table(&mut self, columns: &[&str], rows: impl Iterator<Item = String>) {
        self.add(&format!("| {} |\n", columns.join(" | ")));
        self.add(&format!("|{}\n", " --- |".repeat(columns.len())));
        rows.for_each(|row| self.add(&row));
        self.add("\n");
    }

    fn results(&mut self, rows: impl Iterator<Item = String>) {
        let mut rows = rows.peekable();
        if rows.peek().is_some() {
            let columns = ["Certificate", "Names", "Result", "Expires", "Why"];
            self.table(&columns, rows);
        }
    }

    fn errors(&mut self, errors: &[&Error]) {
        for error in errors {
            self.add(&format!(
                "<pre>{}</pre>\n\n",
                in_html(describe(error).trim_end())
            ));
        }
    }

    /// Certificates that nothing renews any more.
    fn unlisted(&mut self, names: &[String]) {
        let names: Vec<_> = names
            .iter()
            .map(|name| escaped(&format!("`{name}`")))
            .collect();
        if !names.is_empty() {
            let names = names.join(", ");
            self.add(&format!("Not in certs.json, so not renewed: {names}.\n\n"));
        }
    }

    /// Certificates that stay as they are, the first to be due first.
    fn expiry<'a>(&mut self, kept: impl IntoIterator<Item = &'a Planned>) {
        let mut kept: Vec<_> = kept.into_iter().collect();
        kept.sort_by_key(|planned| (planned.due_from, planned.not_after));
        let Some(next) = kept.first() else { return };
        if let Some(due) = next.due_from {
            let name = &next.wanted.name;
            self.add(&format!("Next: `{name}` is due on {}.\n\n", day(due)));
        }
        let summary = count(kept.len(), "up to date");
        self.add(&format!("<details><summary>{summary}</summary>\n\n"));
        let rows = kept.iter().map(|planned| {
            format!(
                "| `{}` | {} | {} | {} |\n",
                planned.wanted.name,
                names(&planned.wanted.identifiers),
                date(planned.due_from),
                date(planned.not_after)
            )
        });
        self.table(&["Certificate", "Names", "Due", "Expires"], rows);
        self.add("</details>\n\n");
    }

    fn timings(&mut self, path: &Path) {
        let seconds = path.total().as_secs_f64();
        self.add(&format!("<details><summary>{seconds:.1} s</summary>\n\n"));
        let rows = path.stages.iter();
        let rows = rows.map(|(stage, spent)| format!("| {stage} | {:.1} |\n", spent.as_secs_f64()));
        self.table(&["Stage", "Seconds"], rows);
        self.add("</details>\n\n");
    }
}

fn done_row(done: &Done) -> String {
    match &done.result {
        Ok(stored) => {
            let commit = stored.commit.as_ref();
            let result = commit.map_or_else(
                || "issued".to_owned(),
                |commit| format!("issued in {commit}"),
            );
            let end = date(Some(stored.leaf.not_after));
            line(&done.planned, &result, &end, &done.planned.reason)
        }
        Err(failure) => row(&done.planned, "**failed**", &failure.to_string()),
    }
}

fn put_off_row(put_off: &PutOff) -> String {
    let result = format!("put off to {}", day(put_off.until));
    row(&put_off.planned, &result, &put_off.reason)
}

/// With the end of the certificate that is there.
fn row(planned: &Planned, result: &str, why: &str) -> String {
    line(planned, result, &date(planned.not_after), why)
}

fn line(planned: &Planned, result: &str, end: &str, why: &str) -> String {
    format!(
        "| `{}` | {} | {result} | {end} | {} |\n",
        planned.wanted.name,
        names(&planned.wanted.identifiers),
        escaped(why)
    )
}

fn names(all: &[Identifier]) -> String {
    let shown = all.iter().take(SHOWN_NAMES).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn date(moment: Option<OffsetDateTime>) -> String {
    moment.map(day).unwrap_or_default()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}")
}

/// Text that Markdown shows as it is, in a cell of a table too: words of others add nothing to the page.
/// What stands in backticks is code.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut is_code = false;
    let is_paired = text.matches('`').count().is_multiple_of(2);
    for character in tame_part(text).chars() {
        match character {
            '`' if is_paired => {
                is_code = !is_code;
                escaped += if is_code { "<code>" } else { "</code>" };
            }
            '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '@' | '`' => {
                escaped.extend(['\\', character]);
            }
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

pub(super) fn in_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::report::fixture::{outcome_of_a_run, plan_of_a_run, wildcard};

    #[test]
    fn a_run_is_told_whole() {
        assert_eq!(
            outcome(&outcome_of_a_run()),
            include_str!("golden/summary.md")
        );
    }

    #[test]
    fn a_plan_is_told_whole() {
        assert_eq!(plan(&plan_of_a_run()), include_str!("golden/plan.md"));
    }

    #[test]
    fn what_could_not_run_is_told() {
        let error = anyhow!("no such <file>").context("cannot read `certs.json`");
        assert_eq!(
            super::error(&error),
            "### git-certs: could not run\n\n\
             <pre>error: cannot read `certs.json`\n  caused by: no such &lt;file&gt;</pre>\n\n"
        );
    }

    #[test]
    fn words_of_others_add_nothing() {
        assert_eq!(
            escaped("`_a*` [x](y) <b> @me\n| #"),
            r"<code>\_a\*</code> \[x\]\(y\) &lt;b&gt; \@me \| \#"
        );
        assert_eq!(escaped("`a"), r"\`a");
        assert_eq!(escaped("\u{1b}[2J"), r"\\u{1b}\[2J");
    }

    #[test]
    fn a_page_that_is_full_says_so() {
        let plan = Plan {
            certificates: std::iter::repeat_n(wildcard(), 20_000).collect(),
            ..Plan::default()
        };
        let text = super::plan(&plan);
        assert!(text.len() < 1 << 20, "{}", text.len());
        assert!(text.starts_with("### git-certs: 20000 due, 0 up to date\n\n"));
        assert!(text.ends_with("\n\nThis page is full: the log has the rest.\n\n"));
    }
}
