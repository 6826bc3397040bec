//! The same as data: `--format json`, schema version 1 (docs/json.md).

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, Planned};

/// Grows when a reader of the data would have to change.
const VERSION: u32 = 1;

/// The plan.
pub(crate) fn plan(plan: &[Planned]) -> String {
    let due = plan.iter().filter(|planned| planned.is_due()).count();
    text(&json!({
        "version": VERSION,
        "due": due,
        "certificates": plan.iter().map(planned).collect::<Vec<_>>(),
    }))
}

/// The outcome.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let done = outcome.done.iter().map(done);
    let kept = outcome.kept.iter().map(planned);
    text(&json!({
        "version": VERSION,
        "issued": outcome.done.len() - outcome.failed().count(),
        "failed": outcome.failed().count(),
        "certificates": done.chain(kept).collect::<Vec<_>>(),
        "left_over": outcome.left_over.iter().map(error).collect::<Vec<_>>(),
    }))
}

fn planned(planned: &Planned) -> Value {
    json!({
        "cert_name": planned.wanted.name.as_str(),
        "names": planned.wanted.identifiers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "action": planned.action,
        "reason": planned.reason,
        "not_after": planned.not_after.map(moment),
    })
}

fn done(done: &Done) -> Value {
    let mut value = planned(&done.planned);
    match &done.result {
        Ok(stored) => {
            value["result"] = "issued".into();
            value["not_after"] = moment(stored.leaf.not_after).into();
            value["serial"] = stored.leaf.serial.clone().into();
            value["issuer"] = stored.leaf.issuer.clone().into();
            value["commit"] = stored.commit.clone().into();
        }
        Err(failure) => {
            value["result"] = "failed".into();
            value["error"] = error(&anyhow::Error::new(failure.clone()));
        }
    }
    value
}

fn error(error: &anyhow::Error) -> Value {
    let explained = explain(error);
    json!({
        "what": explained.what,
        "causes": explained.causes,
        "hints": explained.hints,
    })
}

fn moment(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}
