//! Who can open what, and what came of encrypting keys anew.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::model::recipients::{Past, Readers, Rekeyed};
use crate::report::json::{self, VERSION};
use crate::report::tame::tame;

/// The lists, then keys that do not fit them.
pub(crate) fn readers(readers: &Readers) -> String {
    let mut text = String::new();
    for list in &readers.lists {
        text += &format!("{}  {}\n", list.of, list.source);
        for recipient in &list.recipients {
            text += &format!("  {recipient}\n");
        }
    }
    text += &format!(
        "\n{} for these lists, {} for others, {} for lists that are not known\n",
        keys(readers.current),
        readers.stale.len(),
        readers.unknown.len()
    );
    for (owners, state) in [
        (&readers.stale, "another list"),
        (&readers.unknown, "a list that is not known"),
    ] {
        for owner in owners {
            text += &format!("  {owner}: encrypted for {state}\n");
        }
    }
    if !(readers.stale.is_empty() && readers.unknown.is_empty()) {
        text += "`git-certs rekey` encrypts them for the lists as they are\n";
    }
    for owner in &readers.swapped {
        text += &format!(
            "{owner}: its key is not the one that was stored: `git-certs verify` says more\n"
        );
    }
    tame(&text)
}

/// The same as data: docs/recipients.md.
pub(crate) fn readers_json(readers: &Readers) -> String {
    let lists = readers
        .lists
        .iter()
        .map(|list| json!({"of": list.of, "source": list.source, "recipients": list.recipients}));
    json::text(&json!({
        "version": VERSION,
        "lists": lists.collect::<Vec<_>>(),
        "current": readers.current,
        "stale": readers.stale,
        "unknown": readers.unknown,
        "swapped": readers.swapped,
    }))
}

/// What `rekey` did, and what it cannot undo.
pub(crate) fn rekeyed(rekeyed: &Rekeyed) -> String {
    let mut text = String::new();
    for owner in &rekeyed.done {
        text += &format!("rekeyed  {owner}\n");
    }
    if !rekeyed.done.is_empty() {
        text.push('\n');
    }
    text += &format!(
        "{} rekeyed, {} failed, {} up to date\n",
        rekeyed.done.len(),
        rekeyed.failed.len(),
        rekeyed.current
    );
    if let Some(pushed) = &rekeyed.pushed {
        text += &format!("{pushed}\n");
    }
    text += &match &rekeyed.past {
        None => {
            "\nthe history is not here, and with it who can open older versions of these keys: \
                 run `git-certs rekey` in a full clone\n"
                .to_owned()
        }
        Some(past) => given_away(past),
    };
    tame(&text)
}

fn given_away(past: &Past) -> String {
    let mut text = String::new();
    if !(past.certificates.is_empty() && past.accounts.is_empty()) {
        text += "\nwho is no longer listed can open keys of today in older commits:\n";
        for (all, kind) in [
            (&past.certificates, "certificates"),
            (&past.accounts, "accounts"),
        ] {
            for (recipient, owners) in all {
                text += &format!("  {recipient}: {kind} {}\n", listed(owners));
            }
        }
    }
    if !past.unknown.is_empty() {
        text += "\nolder commits have keys of today for lists that the history does not have:\n";
        for owner in &past.unknown {
            text += &format!("  {owner}\n");
        }
    }
    if text.is_empty() {
        return text;
    }
    text += "\nkeys are safe from them once they are new:\n";
    let of_certificates = |owner: &String| {
        let name = owner.strip_prefix("certificate `")?.strip_suffix('`')?;
        Some(name.to_owned())
    };
    let mut names = all(&past.certificates);
    names.extend(past.unknown.iter().filter_map(of_certificates));
    for name in names {
        text += &format!("  git-certs renew --only {name} --renew 9999\n");
    }
    let of_accounts = |owner: &String| {
        let host = owner.strip_prefix("account `")?.strip_suffix('`')?;
        Some(host.to_owned())
    };
    let mut hosts = all(&past.accounts);
    hosts.extend(past.unknown.iter().filter_map(of_accounts));
    for host in hosts {
        text +=
            &format!("  git-certs account rollover    for `{host}`, unless that was done since\n");
    }
    text
}

fn all(owners: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    owners.values().flatten().cloned().collect()
}

fn listed(owners: &BTreeSet<String>) -> String {
    let quoted: Vec<_> = owners.iter().map(|owner| format!("`{owner}`")).collect();
    quoted.join(", ")
}

fn keys(count: usize) -> String {
    match count {
        1 => "1 key is encrypted".to_owned(),
        count => format!("{count} keys are encrypted"),
    }
}
