//! What the next steps of a pipeline can use: names and values (docs/ci.md).

use serde_json::Value;
use time::OffsetDateTime;

use crate::model::certificate::CertificateName;
use crate::model::outcome::{Outcome, Plan};
use crate::model::shard::Load;
use crate::report::json::moment;

/// GitHub takes 1 MB for all outputs of a job, UTF-16 being counted.
const LONGEST_REPORT: usize = 400_000;

/// How a file of outputs is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `NAME=value`, for `GITHUB_OUTPUT`.
    GitHub,
    /// `CERTS_NAME=value`, for reports of the kind `dotenv`.
    Dotenv,
}

/// Names and values, none of more than one line.
#[derive(Debug, Default)]
pub(crate) struct Outputs(Vec<(&'static str, String)>);

impl Outputs {
    /// Of a run; `report` is what `--format json` prints.
    pub(crate) fn of_outcome(outcome: &Outcome, report: &str) -> Self {
        let issued: Vec<_> = outcome.issued().collect();
        let failed: Vec<_> = outcome.failed().collect();
        let ends = issued.iter().map(|(_, stored)| stored.leaf.not_after);
        let kept = outcome.kept.iter().filter_map(|kept| kept.not_after);
        let still = outcome.put_off.iter().map(|put_off| &put_off.planned);
        let still = still.chain(outcome.done.iter().filter_map(|done| {
            let has_failed = done.result.is_err();
            has_failed.then_some(&done.planned)
        }));
        let still = still.filter_map(|planned| planned.not_after);
        let due = outcome.kept.iter().filter_map(|kept| kept.due_from);
        let issued_now = outcome.done.iter().filter(|done| done.result.is_ok());
        let renewed = issued_now.filter_map(|done| done.planned.due_from);
        let later = outcome.put_off.iter().map(|put_off| put_off.until);
        Self(vec![
            ("changed", (!issued.is_empty()).to_string()),
            ("issued", issued.len().to_string()),
            ("failed", failed.len().to_string()),
            ("put_off", outcome.put_off.len().to_string()),
            ("up_to_date", outcome.kept.len().to_string()),
            ("renewed_names", names(issued.iter().map(|(name, _)| *name))),
            ("failed_names", names(failed.into_iter())),
            ("pushed", outcome.pushed.is_some().to_string()),
            ("commit_sha", outcome.tip.clone().unwrap_or_default()),
            ("next_check", earliest(due.chain(renewed).chain(later))),
            ("earliest_expiry", earliest(ends.chain(kept).chain(still))),
        ])
        .with_report(report)
    }

    /// Of a plan; `report` is what `--format json` prints.
    pub(crate) fn of_plan(plan: &Plan, report: &str) -> Self {
        let all = &plan.certificates;
        let due = plan.due();
        let due: Vec<_> = due.map(|planned| &planned.wanted.name).collect();
        let ends = all.iter().filter_map(|planned| planned.not_after);
        let kept = plan.up_to_date();
        Self(vec![
            ("due", due.len().to_string()),
            ("up_to_date", plan.up_to_date().count().to_string()),
            ("due_names", names(due.into_iter())),
            (
                "next_check",
                earliest(kept.filter_map(|planned| planned.due_from)),
            ),
            ("earliest_expiry", earliest(ends)),
        ])
        .with_report(report)
    }

    /// Of a plan that is shared out; `matrix` is what is printed.
    pub(crate) fn of_matrix(loads: &[Load], matrix: &str) -> Self {
        let due: usize = loads.iter().map(|load| load.due).sum();
        Self(vec![
            ("due", due.to_string()),
            ("shards", loads.len().to_string()),
            ("matrix", matrix.trim_end().to_owned()),
        ])
    }

    /// The exit code, which every run has.
    pub(crate) fn with_exit_code(mut self, code: u8) -> Self {
        self.0.push(("exit_code", code.to_string()));
        self
    }

    /// The whole report in one line, unless it is too long.
    fn with_report(mut self, report: &str) -> Self {
        let report: Value = serde_json::from_str(report).unwrap_or_default();
        let report = report.to_string();
        if report.len() <= LONGEST_REPORT {
            self.0.push(("report", report));
        }
        self
    }

    /// The lines of a file. The report is too long for a `dotenv` report, whose whole may have 5 KB.
    pub(crate) fn lines(&self, style: Style) -> String {
        let lines = self.0.iter().map(|(name, value)| match style {
            Style::GitHub => format!("{name}={value}\n"),
            Style::Dotenv if *name == "report" => String::new(),
            Style::Dotenv => format!("CERTS_{}={value}\n", name.to_ascii_uppercase()),
        });
        lines.collect()
    }
}

fn names<'a>(names: impl Iterator<Item = &'a CertificateName>) -> String {
    names
        .map(CertificateName::as_str)
        .collect::<Value>()
        .to_string()
}

fn earliest(moments: impl Iterator<Item = OffsetDateTime>) -> String {
    moments.min().map(moment).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::report::fixture::{outcome_of_a_run, plan_of_a_run};
    use crate::report::{json, matrix};

    #[test]
    fn a_run_has_all_of_them() {
        let outcome = outcome_of_a_run();
        let outputs = Outputs::of_outcome(&outcome, &json::outcome(&outcome)).with_exit_code(1);
        assert_eq!(
            outputs.lines(Style::Dotenv),
            "CERTS_CHANGED=true\n\
             CERTS_ISSUED=1\n\
             CERTS_FAILED=1\n\
             CERTS_PUT_OFF=1\n\
             CERTS_UP_TO_DATE=1\n\
             CERTS_RENEWED_NAMES=[\"wildcardCert\"]\n\
             CERTS_FAILED_NAMES=[\"www\"]\n\
             CERTS_PUSHED=true\n\
             CERTS_COMMIT_SHA=1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d\n\
             CERTS_NEXT_CHECK=2026-11-23T13:21:36Z\n\
             CERTS_EARLIEST_EXPIRY=2027-02-21T10:00:00Z\n\
             CERTS_EXIT_CODE=1\n"
        );
        let lines = outputs.lines(Style::GitHub);
        let report = lines.lines().find_map(|line| line.strip_prefix("report="));
        let report: Value = serde_json::from_str(report.unwrap()).unwrap();
        assert_eq!(report["issued"], 1);
    }

    #[test]
    fn a_matrix_is_one_line() {
        let loads = [Load {
            shard: "2/8".parse().unwrap(),
            due: 3,
        }];
        let outputs = Outputs::of_matrix(&loads, &matrix::json(&loads)).with_exit_code(0);
        assert_eq!(
            outputs.lines(Style::GitHub),
            "due=3\nshards=1\nmatrix={\"include\":[{\"shard\":\"2/8\",\"due\":3}]}\nexit_code=0\n"
        );
    }

    #[test]
    fn a_plan_says_what_is_due() {
        let plan = plan_of_a_run();
        let outputs = Outputs::of_plan(&plan, &json::plan(&plan)).with_exit_code(2);
        assert_eq!(
            outputs.lines(Style::Dotenv),
            "CERTS_DUE=2\n\
             CERTS_UP_TO_DATE=1\n\
             CERTS_DUE_NAMES=[\"wildcardCert\",\"shop\"]\n\
             CERTS_NEXT_CHECK=2027-01-22T10:00:00Z\n\
             CERTS_EARLIEST_EXPIRY=2027-02-21T10:00:00Z\n\
             CERTS_EXIT_CODE=2\n"
        );
    }
}
