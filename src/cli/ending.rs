//! How a run ends: what is printed, what CI systems get beside the log, and the exit code.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Error, Result, anyhow};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cli::arguments::{Format, Reports};
use crate::cli::commands::SOME_FAILED;
use crate::cli::{COULD_NOT_RUN, environment};
use crate::model::outcome::{Outcome, Plan};
use crate::model::outside::outside;
use crate::model::shard::Load;
use crate::report::outputs::{Outputs, Style};
use crate::report::{json, matrix, summary, terminal, voice};

/// What a run has to say, and where it goes.
pub(super) struct Ending {
    format: Format,
    summaries: Vec<Target>,
    outputs: Vec<(Target, Style)>,
}

/// A file that something is added to.
struct Target {
    path: PathBuf,
    /// Symbolic links are followed.
    follows: bool,
}

impl Target {
    /// In a checkout a link is made by whoever may push, and could lead to any file of the user. Those of the
    /// system (`/dev/stdout`) are nobody else's.
    fn of_user(path: PathBuf) -> Self {
        let follows = path.starts_with("/dev");
        Self { path, follows }
    }

    fn of_runner(path: PathBuf) -> Self {
        Self {
            path,
            follows: true,
        }
    }
}

impl Ending {
    /// As the options say, and on GitHub where the runner wants it too. What `doing` says until the end is folded, where
    /// the CI system can.
    pub(super) fn of(doing: &str, format: Format, reports: Reports) -> Self {
        voice::open_section(doing);
        let of_runner = |variable| {
            let path = environment::variable(variable).map(PathBuf::from);
            path.map(Target::of_runner)
        };
        let dotenv = reports.output_file.map(Target::of_user);
        let dotenv = dotenv.map(|target| (target, Style::Dotenv));
        let github = of_runner(environment::GITHUB_OUTPUT).map(|target| (target, Style::GitHub));
        let summary = reports.summary_file.map(Target::of_user);
        let of_runner = of_runner(environment::GITHUB_STEP_SUMMARY);
        Self {
            format,
            summaries: summary.into_iter().chain(of_runner).collect(),
            outputs: dotenv.into_iter().chain(github).collect(),
        }
    }

    /// Ends `renew`.
    pub(super) fn outcome(&self, outcome: &Outcome) -> Result<ExitCode> {
        let forms = Forms {
            text: terminal::outcome,
            report: json::outcome,
            summary: summary::outcome,
        };
        self.end(outcome, &forms)
    }

    /// Ends `renew --dry-run`.
    pub(super) fn dry_run(&self, outcome: &Outcome) -> Result<ExitCode> {
        let forms = Forms {
            text: terminal::dry_run,
            report: json::dry_run,
            summary: summary::dry_run,
        };
        self.end(outcome, &forms)
    }

    fn end(&self, outcome: &Outcome, forms: &Forms<Outcome>) -> Result<ExitCode> {
        voice::close_section();
        let errors = outcome.errors();
        errors
            .iter()
            .chain(&outcome.left_over)
            .for_each(terminal::print_error);
        let code = code(outcome);
        self.say(outcome, forms, (Outputs::of_outcome, code))
    }

    /// Ends `plan` with this exit code.
    pub(super) fn plan(&self, plan: &Plan, code: u8) -> Result<ExitCode> {
        voice::close_section();
        plan.errors().iter().for_each(terminal::print_error);
        plan.warnings().iter().for_each(terminal::print_as_warning);
        let forms = Forms {
            text: terminal::plan,
            report: json::plan,
            summary: summary::plan,
        };
        self.say(plan, &forms, (Outputs::of_plan, code))
    }

    /// Ends `plan --matrix` with this exit code. What fails a certificate whatever is done fails the job of its shard,
    /// which has to be started for that.
    pub(super) fn matrix(&self, loads: &[Load], errors: &[Error], code: u8) -> Result<ExitCode> {
        voice::close_section();
        errors.iter().for_each(terminal::print_as_warning);
        let forms = Forms {
            text: matrix::json,
            report: matrix::json,
            summary: matrix::summary,
        };
        self.say(loads, &forms, (Outputs::of_matrix, code))
    }

    /// Makes only the forms that somebody reads: a plan can have 10,000 certificates.
    fn say<T: ?Sized>(
        &self,
        what: &T,
        forms: &Forms<T>,
        (outputs, code): (fn(&T, &str) -> Outputs, u8),
    ) -> Result<ExitCode> {
        voice::close_section();
        if !self.outputs.is_empty() {
            self.write_outputs(&outputs(what, &(forms.report)(what)).with_exit_code(code));
        }
        if !self.summaries.is_empty() {
            self.write_summary(&(forms.summary)(what));
        }
        terminal::print(&match self.format {
            Format::Text => (forms.text)(what),
            Format::Json => (forms.report)(what),
        })?;
        Ok(ExitCode::from(code))
    }

    /// Ends what could not run, with this exit code.
    pub(super) fn error(&self, error: &Error, code: u8) -> ExitCode {
        voice::close_section();
        terminal::print_error(error);
        self.write_outputs(&Outputs::default().with_exit_code(code));
        self.write_summary(&summary::error(error));
        ExitCode::from(code)
    }

    fn write_outputs(&self, outputs: &Outputs) {
        for (target, style) in &self.outputs {
            write(target, &outputs.lines(*style));
        }
    }

    fn write_summary(&self, summary: &str) {
        let summaries = self.summaries.iter();
        summaries.for_each(|target| write(target, summary));
    }
}

/// The same in each form.
struct Forms<T: ?Sized> {
    text: fn(&T) -> String,
    report: fn(&T) -> String,
    summary: fn(&T) -> String,
}

/// What is done is done: a file that cannot be written is no failure of the run.
fn write(target: &Target, text: &str) {
    if let Err(error) = append(target, text) {
        terminal::print_warning(&format!("{error:#}"));
    }
}

fn append(Target { path, follows }: &Target, text: &str) -> Result<()> {
    let (file, text) = (path.to_owned(), text.to_owned());
    // A named pipe would wait for who reads it; one that the shell has opened has a reader.
    let flags = match (*follows, path.starts_with("/dev")) {
        (true, true) => OFlags::empty(),
        (true, false) => OFlags::NONBLOCK,
        (false, _) => OFlags::NOFOLLOW | OFlags::NONBLOCK,
    };
    let append = move || {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        options.custom_flags(flags.bits().cast_signed());
        options.open(file)?.write_all(text.as_bytes())
    };
    outside(append)
        .flatten()
        .map_err(|error| match error.raw_os_error() {
            Some(code) if code == Errno::LOOP.raw_os_error() && !follows => {
                anyhow!("it is a symbolic link, which is not followed")
            }
            _ => error.into(),
        })
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
