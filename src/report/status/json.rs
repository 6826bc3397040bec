//! The same as data: docs/json.md.

use serde_json::{Value, json};

use crate::model::history::Commit;
use crate::model::recipients::Fit;
use crate::model::status::{CertificateStatus, Finding, Served, Status};
use crate::report::json::{self, VERSION, moment};
use crate::report::status::words;

/// One object.
pub(crate) fn json(status: &Status) -> String {
    json::text(&json!({
        "version": VERSION,
        "at": moment(status.at),
        "certificates": status.certificates.iter().map(certificate).collect::<Vec<_>>(),
        "last_run": status.last_run.as_ref().map(commit),
        "history_is_cut_off": status.is_cut_off,
        "journal": status.journal,
    }))
}

fn certificate(one: &CertificateStatus) -> Value {
    let leaf = one.leaf.as_ref();
    let next = one.next.as_ref();
    let readers = one.readers.as_ref();
    json!({
        "cert_name": one.name.as_str(),
        "names": one.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "listed": one.is_wanted,
        "state": words::state(&one.state),
        "notes": words::notes(one),
        "not_before": leaf.map(|leaf| moment(leaf.not_before)),
        "not_after": leaf.map(|leaf| moment(leaf.not_after)),
        "serial": leaf.map(|leaf| &leaf.serial),
        "issuer": leaf.map(|leaf| &leaf.issuer),
        "key_type": one.key_type(),
        "directory": one.directory,
        "action": next.map(|next| next.action.to_string()),
        "reason": next.map(|next| &next.reason),
        "due_from": next.and_then(|next| next.due_from).map(moment),
        "ari": one.window.as_ref().map(|window| json!({
            "start": moment(window.start),
            "end": moment(window.end),
            "explanation_url": window.explanation_url,
            "good_until": moment(window.next_check),
        })),
        "recipients": readers.and_then(|readers| readers.as_ref().ok()).map(|readers| json!({
            "count": readers.count,
            "source": readers.source,
            "fit": match readers.fit {
                Fit::Current => "current",
                Fit::Stale => "stale",
                Fit::Unknown => "unknown",
                Fit::Swapped => "swapped",
            },
        })),
        "commit": one.brought_by.as_ref().map(commit),
        "served": one.served.iter().map(served).collect::<Vec<_>>(),
    })
}

pub(in crate::report) fn commit(commit: &Commit) -> Value {
    json!({
        "id": commit.id,
        "at": moment(commit.at),
        "subject": commit.subject,
        "author": commit.author,
        "run": commit.run,
    })
}

fn served(served: &Served) -> Value {
    let leaf = served.leaf.as_ref();
    let reason = match &served.finding {
        Finding::Unreachable(reason) => Some(reason.as_str()),
        Finding::Skipped(reason) => Some(*reason),
        _ => None,
    };
    json!({
        "at": served.place(),
        "address": served.address.map(|address| address.to_string()),
        "finding": words::finding(&served.finding),
        "reason": reason,
        "serial": leaf.map(|leaf| &leaf.serial),
        "issuer": leaf.map(|leaf| &leaf.issuer),
        "not_after": leaf.map(|leaf| moment(leaf.not_after)),
    })
}
