//! What `verify` found, for people and as data.

use serde_json::json;

use crate::model::finding::{Finding, Findings, Level, Place};
use crate::model::wording::count;
use crate::report::json::{self, VERSION};
use crate::report::tame::tame;

/// A line for each finding with what to do below it, and a count.
pub(crate) fn text(findings: &Findings) -> String {
    let mut text: String = findings.all.iter().map(line).collect();
    if !text.is_empty() {
        text.push('\n');
    }
    let faults = findings.faults();
    text + &format!(
        "{}, {}: {}, {}\n",
        count(findings.commits, "commit"),
        count(findings.files, "file"),
        count(faults, "fault"),
        count(findings.all.len() - faults, "note")
    )
}

fn line(finding: &Finding) -> String {
    let place = match &finding.place {
        Place::File(path) => path,
        Place::Message => "the message",
        Place::Signature => "the signature",
    };
    format!(
        "{:<5}  {} in {}: {}\n       {}\n",
        level(finding),
        tame(place),
        finding.commit,
        tame(&finding.what),
        tame(&finding.hint)
    )
}

fn level(finding: &Finding) -> &'static str {
    match finding.level {
        Level::Fault => "fault",
        Level::Note => "note",
    }
}

/// The same as data: docs/verify.md.
pub(crate) fn json(findings: &Findings) -> String {
    let all = findings.all.iter().map(|finding| {
        json!({
            "level": level(finding),
            "path": finding.place.path(),
            "commit": finding.commit,
            "what": finding.what,
            "hint": finding.hint,
        })
    });
    json::text(&json!({
        "version": VERSION,
        "commits": findings.commits,
        "files": findings.files,
        "faults": findings.faults(),
        "findings": all.collect::<Vec<_>>(),
    }))
}
