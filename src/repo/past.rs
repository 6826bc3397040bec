//! Who could open keys in older commits: by the recipients files and the hashes that those have.
//!
//! An age file does not say who can open it, at least not with X25519 recipients.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use git2::Repository;
use serde::Deserialize;
use serde_json::Value;

use crate::model::recipients::Past;
use crate::repo::keys::{KeyFile, Owner};
use crate::repo::layout::RECIPIENTS;
use crate::repo::recipients::Recipients;
use crate::repo::sizes;
use crate::repo::walk::{Change, Place, Scope, What};

/// What an older NAME.json or account.json says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    public_key_sha256: Option<String>,
    recipients_sha256: Option<String>,
}

/// A key of today.
struct Today {
    public_key: Option<String>,
    recipients: Recipients,
}

/// What the history gives away of keys that are in use. An error where it is cut off.
pub(crate) fn past(place: &Place, keys: Vec<KeyFile>) -> Result<Past> {
    let repository = place.open()?;
    let walked = place.walk(Scope::History)?;
    let files: Vec<_> = walked
        .changes
        .iter()
        .filter(|change| change.what == What::File)
        .collect();
    let lists = lists(&repository, &files)?;
    let today: BTreeMap<_, _> = keys
        .into_iter()
        .map(|key| {
            let today = Today {
                public_key: key.public_key().map(str::to_owned),
                recipients: key.recipients,
            };
            (key.owner, today)
        })
        .collect();
    let mut past = Past::default();
    for change in files {
        let Some(owner) = described(&change.path) else {
            continue;
        };
        let Some(today) = today.get(&owner) else {
            continue;
        };
        let bytes = sizes::blob(&repository, change.id, &change.path)?;
        let said: Said = serde_json::from_slice(&bytes).unwrap_or_default();
        // Another key is none of today. Of accounts it is not known.
        if said.public_key_sha256 == today.public_key
            && let Some(hash) = said.recipients_sha256
        {
            past.add(&owner, today, lists.get(&hash));
        }
    }
    Ok(past)
}

impl Past {
    fn add(&mut self, owner: &Owner, today: &Today, list: Option<&BTreeSet<String>>) {
        let (name, all) = match owner {
            Owner::Certificate(name) => (name.to_string(), &mut self.certificates),
            Owner::Account(host) => (host.clone(), &mut self.accounts),
        };
        let Some(list) = list else {
            self.unknown.insert(owner.to_string());
            return;
        };
        let now: BTreeSet<_> = today.recipients.lines().collect();
        for gone in list.iter().filter(|line| !now.contains(line.as_str())) {
            all.entry(gone.clone()).or_default().insert(name.clone());
        }
    }
}

/// Every list that there ever was, by its hash.
fn lists(repository: &Repository, files: &[&Change]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut all = BTreeMap::new();
    let mut add = |text: &str| {
        if let Ok(recipients) = Recipients::parse(text, RECIPIENTS) {
            let lines = recipients.lines().map(str::to_owned).collect();
            all.insert(recipients.hash(), lines);
        }
    };
    for change in files {
        let is_list = change.path.rsplit('/').next() == Some(RECIPIENTS);
        if !is_list && change.path != "certs.json" {
            continue;
        }
        let bytes = sizes::blob(repository, change.id, &change.path)?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        if is_list {
            add(text);
            continue;
        }
        let entries: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        for entry in entries {
            let lines = entry.get("recipients").and_then(Value::as_array);
            let lines = lines.into_iter().flatten().filter_map(Value::as_str);
            add(&lines.collect::<Vec<_>>().join("\n"));
        }
    }
    Ok(all)
}

/// Whose key a file describes.
fn described(path: &str) -> Option<Owner> {
    let (folder, file) = path.rsplit_once('/')?;
    if let Some(host) = folder.strip_prefix(".letsencrypt/") {
        return (file == "account.json").then(|| Owner::Account(host.to_owned()));
    }
    let name = folder.strip_prefix("certificates/")?;
    let is_its = file.strip_suffix(".json") == Some(name);
    name.parse().ok().filter(|_| is_its).map(Owner::Certificate)
}
