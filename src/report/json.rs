//! The same as data: `--format json`, schema version 1 (docs/json.md).

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::certificate::CertificateName;
use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, Plan, Planned, PutOff};
use crate::model::path::Path;
use crate::report::tame::tame_json;

/// Grows when a reader of the data would have to change.
pub(super) const VERSION: u32 = 1;

/// The plan.
pub(crate) fn plan(plan: &Plan) -> String {
    let certificates = plan.certificates.iter().map(|planned| {
        let mut value = fields(planned);
        if let Some(verdict) = plan.verdict(&planned.wanted.name) {
            let verdict = error(&anyhow::Error::new(verdict.clone()));
            value.insert("error".to_owned(), verdict);
        }
        value
    });
    text(&json!({
        "version": VERSION,
        "due": plan.due().count(),
        "would_fail": plan.failing(),
        "unlisted": plan.unlisted,
        "certificates": certificates.collect::<Vec<_>>(),
    }))
}

/// What a dry run has found.
pub(crate) fn dry_run(outcome: &Outcome) -> String {
    let ready = outcome.ready.iter().map(|planned| {
        let mut value = fields(planned);
        value.insert("result".to_owned(), "ready".into());
        value.into()
    });
    let done = outcome.done.iter().map(done);
    let put_off = outcome.put_off.iter().map(put_off);
    let kept = outcome.kept.iter().map(planned);
    let all = ready.chain(done).chain(put_off).chain(kept);
    text(&json!({
        "version": VERSION,
        "shard": outcome.shard.map(|shard| shard.to_string()),
        "due": outcome.ready.len() + outcome.done.len() + outcome.put_off.len(),
        "ready": outcome.ready.len(),
        "failed": outcome.done.len(),
        "put_off": outcome.put_off.len(),
        "certificates": all.collect::<Vec<_>>(),
    }))
}

/// The outcome.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let done = outcome.done.iter().map(done);
    let put_off = outcome.put_off.iter().map(put_off);
    let kept = outcome.kept.iter().map(planned);
    text(&json!({
        "version": VERSION,
        "shard": outcome.shard.map(|shard| shard.to_string()),
        "issued": outcome.done.len() - outcome.failed().count(),
        "failed": outcome.failed().count(),
        "put_off": outcome.put_off.len(),
        "certificates": done.chain(put_off).chain(kept).collect::<Vec<_>>(),
        "requests": outcome.requests,
        "left_over": outcome.left_over.iter().map(error).collect::<Vec<_>>(),
        "critical_path": outcome.path.as_ref().map(path),
    }))
}

fn path(path: &Path) -> Value {
    let stages = path.stages.iter();
    let stages = stages.map(|(stage, spent)| (stage.to_string(), seconds(*spent)));
    json!({
        "certificate": path.certificate.as_ref().map(CertificateName::as_str),
        "seconds": seconds(path.total()),
        "stages": stages.collect::<Map<_, _>>(),
    })
}

/// Seconds, to the millisecond.
pub(super) fn seconds(duration: Duration) -> Value {
    ((duration.as_secs_f64() * 1000.0).round() / 1000.0).into()
}

fn planned(planned: &Planned) -> Value {
    fields(planned).into()
}

fn fields(planned: &Planned) -> Map<String, Value> {
    let names = planned.wanted.identifiers.iter();
    Map::from_iter([
        ("cert_name".to_owned(), planned.wanted.name.as_str().into()),
        ("names".to_owned(), names.map(ToString::to_string).collect()),
        ("action".to_owned(), planned.action.to_string().into()),
        ("reason".to_owned(), planned.reason.clone().into()),
        ("not_after".to_owned(), planned.not_after.map(moment).into()),
        ("due_from".to_owned(), planned.due_from.map(moment).into()),
    ])
}

fn done(done: &Done) -> Value {
    let mut value = fields(&done.planned);
    let mut set = |key: &str, field: Value| value.insert(key.to_owned(), field);
    match &done.result {
        Ok(stored) => {
            set("result", "issued".into());
            set("not_after", moment(stored.leaf.not_after).into());
            set("serial", stored.leaf.serial.clone().into());
            set("issuer", stored.leaf.issuer.clone().into());
            set("commit", stored.commit.clone().into());
        }
        Err(failure) => {
            set("result", "failed".into());
            set("error", error(&anyhow::Error::new(failure.clone())));
        }
    }
    value.into()
}

fn put_off(put_off: &PutOff) -> Value {
    let mut value = fields(&put_off.planned);
    let mut set = |key: &str, field: Value| value.insert(key.to_owned(), field);
    set("result", "put off".into());
    set("limit", put_off.reason.clone().into());
    set("until", moment(put_off.until).into());
    value.into()
}

fn error(error: &anyhow::Error) -> Value {
    let explained = explain(error);
    json!({
        "what": explained.what,
        "causes": explained.causes,
        "hints": explained.hints,
    })
}

pub(super) fn moment(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> String {
    tame_json(value)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::report::fixture::{outcome_of_a_run, plan_of_a_run};

    const PAGE: &str = include_str!("../../docs/json.md");

    /// The nth example of docs/json.md.
    fn example(number: usize) -> &'static str {
        let block = PAGE.split("```json\n").nth(number + 1).unwrap();
        block.split("```").next().unwrap()
    }

    #[test]
    fn the_first_example_is_a_plan() {
        assert_eq!(plan(&plan_of_a_run()), example(0));
    }

    #[test]
    fn the_second_example_is_an_outcome() {
        assert_eq!(outcome(&outcome_of_a_run()), example(1));
    }
}
