//! The same as data: `--format json`, schema version 1 (docs/json.md).

use serde_json::{Map, Value, json};
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
