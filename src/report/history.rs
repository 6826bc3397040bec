//! What became of a certificate, for people and as data.

use serde_json::{Value, json};

use crate::model::certificate::CertificateName;
use crate::model::chain::list;
use crate::model::history::{Change, Step};
use crate::report::json::{self, VERSION, moment};
use crate::report::status;
use crate::report::tame::tame;
use crate::report::terminal::{day, past};

/// The newest commit first.
pub(crate) fn text(steps: &[Step]) -> String {
    let parts: Vec<_> = steps.iter().map(part).collect();
    parts.join("\n")
}

fn part(step: &Step) -> String {
    let commit = &step.commit;
    let mut text = format!(
        "{}  {}  {}\n",
        commit.short_id(),
        past(commit.at),
        tame(&commit.subject)
    );
    let mut line = |what: &str, said: &str| text += &format!("  {what:<7} {}\n", tame(said));
    line("what", told(step));
    if let Some(leaf) = &step.leaf
        && step.change == Change::Certificate
    {
        line("names", &list(&leaf.identifiers));
        line("serial", &leaf.serial);
        line(
            "valid",
            &format!("{} to {}", day(leaf.not_before), day(leaf.not_after)),
        );
        line("issuer", &leaf.issuer);
    }
    if step.key_is_swapped {
        line(
            "key",
            "not the one that NAME.json names: `git-certs verify` says what else is wrong",
        );
    }
    if let Some(revoked) = &step.revoked {
        line("mark", revoked);
    }
    line("author", &commit.author);
    if let Some(run) = &commit.run {
        line("run", run);
    }
    text
}

fn told(step: &Step) -> &'static str {
    match step.change {
        Change::Key if step.key_is_swapped => "another key file: it was swapped or damaged",
        change => word(change).1,
    }
}

/// For programs, and for people.
fn word(change: Change) -> (&'static str, &'static str) {
    match change {
        Change::Certificate => ("certificate", "another certificate"),
        Change::Removed => ("removed", "the certificate was removed"),
        Change::Key => ("key", "the same key, encrypted anew"),
        Change::Description => ("description", "what NAME.json says"),
        Change::Other => ("other", "another file of the folder"),
    }
}

/// The same as data: docs/json.md.
pub(crate) fn json(name: &CertificateName, steps: &[Step]) -> String {
    json::text(&json!({
        "version": VERSION,
        "cert_name": name.as_str(),
        "commits": steps.iter().map(step).collect::<Vec<_>>(),
    }))
}

fn step(step: &Step) -> Value {
    let leaf = step.leaf.as_ref();
    let names = leaf.map(|leaf| {
        let names = leaf.identifiers.iter();
        names.map(ToString::to_string).collect::<Vec<_>>()
    });
    let mut value = status::commit(&step.commit);
    if let Some(fields) = value.as_object_mut() {
        let more = [
            ("change", word(step.change).0.into()),
            ("names", names.into()),
            ("serial", leaf.map(|leaf| leaf.serial.clone()).into()),
            (
                "not_before",
                leaf.map(|leaf| moment(leaf.not_before)).into(),
            ),
            ("not_after", leaf.map(|leaf| moment(leaf.not_after)).into()),
            ("issuer", leaf.map(|leaf| leaf.issuer.clone()).into()),
            ("key_swapped", step.key_is_swapped.into()),
            ("revoked", step.revoked.clone().into()),
        ];
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}
