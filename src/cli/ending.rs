//! How a run ends: what is printed, what CI systems get beside the log, and the exit code.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Error, Result};

use crate::cli::arguments::{Format, Reports};
use crate::cli::commands::SOME_FAILED;
use crate::cli::{COULD_NOT_RUN, environment};
use crate::model::outcome::{Outcome, Planned};
use crate::report::outputs::{Outputs, Style};
use crate::report::{json, summary, terminal};

/// What a run has to say, and where it goes.
pub(super) struct Ending {
    format: Format,
    summary: Option<PathBuf>,
    outputs: Option<(PathBuf, Style)>,
}

impl Ending {
    /// As the options say; on GitHub, where the runner wants it.
    pub(super) fn of(format: Format, reports: Reports) -> Self {
        let path = |variable| environment::variable(variable).map(PathBuf::from);
        let outputs = reports.output_file.map(|path| (path, Style::Dotenv));
        Self {
            format,
            summary: reports
                .summary_file
                .or_else(|| path(environment::GITHUB_STEP_SUMMARY)),
            outputs: outputs.or_else(|| Some((path(environment::GITHUB_OUTPUT)?, Style::GitHub))),
        }
    }

    /// Ends `renew`.
    pub(super) fn outcome(&self, outcome: &Outcome) -> Result<ExitCode> {
        self.end(
            outcome,
            &Said {
                text: terminal::outcome(outcome),
                report: json::outcome(outcome),
                summary: summary::outcome(outcome),
            },
        )
    }

    /// Ends `renew --dry-run`.
    pub(super) fn dry_run(&self, outcome: &Outcome) -> Result<ExitCode> {
        self.end(
            outcome,
            &Said {
                text: terminal::dry_run(outcome),
                report: json::dry_run(outcome),
                summary: summary::dry_run(outcome),
            },
        )
    }

    fn end(&self, outcome: &Outcome, said: &Said) -> Result<ExitCode> {
        let errors = outcome.errors();
        errors
            .iter()
            .chain(&outcome.left_over)
            .for_each(terminal::print_error);
        let outputs = Outputs::of_outcome(outcome, &said.report);
        self.say(said, outputs, code(outcome))
    }

    /// Ends `plan` with this exit code.
    pub(super) fn plan(&self, plan: &[Planned], code: u8) -> Result<ExitCode> {
        let said = Said {
            text: terminal::plan(plan),
            report: json::plan(plan),
            summary: summary::plan(plan),
        };
        let outputs = Outputs::of_plan(plan, &said.report);
        self.say(&said, outputs, code)
    }

    fn say(&self, said: &Said, outputs: Outputs, code: u8) -> Result<ExitCode> {
        self.write(&said.summary, &outputs.with_exit_code(code));
        terminal::print(match self.format {
            Format::Text => &said.text,
            Format::Json => &said.report,
        })?;
        Ok(ExitCode::from(code))
    }

    /// Ends what could not run, with this exit code.
    pub(super) fn error(&self, error: &Error, code: u8) -> ExitCode {
        terminal::print_error(error);
        let outputs = Outputs::default().with_exit_code(code);
        self.write(&summary::error(error), &outputs);
        ExitCode::from(code)
    }

    /// What is done is done: a file that cannot be written is no failure of the run.
    fn write(&self, summary: &str, outputs: &Outputs) {
        let files = [
            self.summary.as_ref().map(|path| (path, summary.to_owned())),
            self.outputs
                .as_ref()
                .map(|(path, style)| (path, outputs.lines(*style))),
        ];
        for (path, text) in files.into_iter().flatten() {
            if let Err(error) = append(path, &text) {
                terminal::print_warning(&format!("{error:#}"));
            }
        }
    }
}

/// The same in each form.
struct Said {
    text: String,
    report: String,
    summary: String,
}

fn append(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn code(outcome: &Outcome) -> u8 {
    let has_ordered = outcome.has_ordered || !outcome.ready.is_empty();
    match outcome.is_clean() {
        true => 0,
        // Nothing was asked of the CA and nothing was changed: the run could not run.
        false if !has_ordered => COULD_NOT_RUN,
        false => SOME_FAILED,
    }
}
