//! The same as data: `--format json`, schema version 1 (docs/json.md).

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::certificate::CertificateName;
use crate::model::hint::explain;
use crate::model::outcome::{Done, Outcome, Planned, PutOff};
use crate::model::path::Path;

/// Grows when a reader of the data would have to change.
pub(super) const VERSION: u32 = 1;

/// The plan.
pub(crate) fn plan(plan: &[Planned]) -> String {
    let due = plan.iter().filter(|planned| planned.is_due()).count();
    text(&json!({
        "version": VERSION,
        "due": due,
        "certificates": plan.iter().map(planned).collect::<Vec<_>>(),
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
fn seconds(duration: Duration) -> Value {
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
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use anyhow::anyhow;
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::model::certificate::{KeySource, KeyType, Wanted};
    use crate::model::chain::Leaf;
    use crate::model::hint::{Shared, with_hint};
    use crate::model::outcome::{Action, Stored};
    use crate::model::path::Stage;

    const PAGE: &str = include_str!("../../docs/json.md");

    /// The nth example of docs/json.md.
    fn example(number: usize) -> &'static str {
        let block = PAGE.split("```json\n").nth(number + 1).unwrap();
        block.split("```").next().unwrap()
    }

    fn certificate(name: &str, names: &[&str], action: Action, reason: &str) -> Planned {
        Planned {
            wanted: Wanted {
                name: name.parse().unwrap(),
                identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
                key_type: KeyType::P256,
                key_source: KeySource::New,
                acme: None,
                profile: None,
                preferred_chain: None,
                recipients: None,
            },
            action,
            reason: reason.to_owned(),
            not_after: match action {
                Action::Issue => None,
                _ => Some(datetime!(2027-02-21 10:00:00 UTC)),
            },
            replaces: None,
        }
    }

    fn wildcard() -> Planned {
        let names = ["example.com", "*.example.com"];
        certificate(
            "wildcardCert",
            &names,
            Action::Issue,
            "not in the repository",
        )
    }

    fn mail() -> Planned {
        let reason = "90 days of 90 days left, due below 30 days";
        certificate("mail", &["mail.example.com"], Action::Keep, reason)
    }

    fn path_of_a_run() -> Path {
        let start = Instant::now();
        let mut path = Path::since(start);
        for (stage, millis) in [
            (Stage::Open, 812),
            (Stage::Plan, 1_204),
            (Stage::Prepare, 1_611),
            (Stage::Account, 2_040),
            (Stage::Order, 2_733),
            (Stage::Write, 3_105),
            (Stage::See, 9_460),
            (Stage::Validate, 13_021),
            (Stage::Finalize, 14_590),
            (Stage::Fetch, 15_002),
            (Stage::Commit, 15_020),
            (Stage::Push, 15_901),
            (Stage::Withdraw, 15_901),
        ] {
            path.ended(stage, start + Duration::from_millis(millis));
        }
        path.certificate = Some("wildcardCert".parse().unwrap());
        path
    }

    #[test]
    fn the_first_example_is_a_plan() {
        assert_eq!(plan(&[wildcard(), mail()]), example(0));
    }

    #[test]
    fn the_second_example_is_an_outcome() {
        let leaf = Leaf {
            identifiers: wildcard().wanted.identifiers.into_iter().collect(),
            not_before: datetime!(2026-11-23 10:00:00 UTC),
            not_after: datetime!(2027-02-21 10:00:00 UTC),
            serial: "03A1B2C3".into(),
            issuer: "E7".into(),
            key_type: Some(KeyType::P256),
            public_key: Vec::new(),
            id: None,
        };
        let refused =
            anyhow!("403 Forbidden").context("cannot add TXT `_acme-challenge.www.example.net`");
        let refused = with_hint(refused, "the key must be allowed to write");
        let reissued = certificate(
            "www",
            &["www.example.net"],
            Action::Reissue,
            "names differ: + www.example.net",
        );
        let outcome_of_a_run = Outcome {
            done: vec![
                Done {
                    planned: wildcard(),
                    result: Ok(Stored {
                        leaf,
                        commit: Some("1a2b3c4".into()),
                    }),
                },
                Done {
                    planned: reissued,
                    result: Err(Shared::new(refused)),
                },
            ],
            has_ordered: true,
            ready: Vec::new(),
            put_off: vec![PutOff {
                planned: certificate(
                    "shop",
                    &["shop.example.com"],
                    Action::Issue,
                    "not in the repository",
                ),
                reason: "the 50 new certificates in 7 days for `example.com` are used up".into(),
                until: datetime!(2026-11-23 13:21:36 UTC),
            }],
            requests: [("directory", 1), ("newNonce", 2), ("newOrder", 2)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
            kept: vec![mail()],
            pushed: Some("pushed".into()),
            path: Some(path_of_a_run()),
            left_over: vec![anyhow!(
                "cannot withdraw TXT `_acme-challenge.example.com` at `ddns`"
            )],
        };
        assert_eq!(outcome(&outcome_of_a_run), example(1));
    }
}
