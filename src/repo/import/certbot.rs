//! certbot's `/etc/letsencrypt`.
//!
//! ```text
//! renewal/NAME.conf                        what certbot renews, and how
//! live/NAME/{fullchain,privkey}.pem        links to the newest files in archive/NAME
//! accounts/HOST/PATH/ID/private_key.json   account key, as JWK
//! accounts/HOST/PATH/ID/regr.json          account URL
//! ```
//!
//! Layout: <https://eff-certbot.readthedocs.io/en/stable/using.html#where-are-my-certificates>.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};

use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, KeyFile, jwk, metadata, text_of};

/// What a file ends with that says what certbot renews.
const CONFIGURATION: &str = ".conf";

/// A folder of more levels is no path of a CA.
const DEEPEST: usize = 6;

pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    let configured = source.files("renewal")?;
    Ok(configured
        .iter()
        .any(|name| name.strip_suffix(CONFIGURATION).is_some()))
}

pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut used = BTreeSet::new();
    for file in source.files("renewal")? {
        let Some(name) = file.strip_suffix(CONFIGURATION) else {
            continue;
        };
        let Some(text) = source.text(&format!("renewal/{file}"))? else {
            continue;
        };
        let options = options(&text);
        used.extend(options.get("account").cloned());
        match certificate(source, name, &options) {
            Ok(certificate) => found.certificates.push(certificate),
            Err(error) => found
                .left
                .push(error.context(format!("cannot import `{name}`"))),
        }
    }
    let mut folders = Vec::new();
    account_folders(source, "accounts", DEEPEST, &mut folders)?;
    // Accounts that no certificate was ordered with are of no use.
    let is_used = |folder: &String| used.iter().any(|id| folder.ends_with(&format!("/{id}")));
    if folders.iter().any(is_used) {
        folders.retain(is_used);
    }
    for folder in folders {
        match account(source, &folder) {
            Ok(account) => found.accounts.push(account),
            Err(error) => {
                let about = format!("cannot import the account `{}`", source.shown(&folder));
                found.left.push(error.context(about));
            }
        }
    }
    Ok(found)
}

/// `NAME = VALUE` of all sections.
fn options(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| {
        (
            name.trim().to_owned(),
            value.trim().trim_matches('"').to_owned(),
        )
    });
    pairs.collect()
}

fn certificate(
    source: &Source<'_>,
    name: &str,
    options: &BTreeMap<String, String>,
) -> Result<FoundCertificate> {
    let live = |file: &str| format!("live/{name}/{file}.pem");
    let chain = source.read(&live("fullchain"))?;
    let missing = || anyhow!("`{}` is not there", source.shown(&live("fullchain")));
    let mut settings = Map::new();
    if options
        .get("reuse_key")
        .is_some_and(|value| value == "True")
    {
        settings.insert("reuse_key".to_owned(), true.into());
    }
    for field in ["preferred_chain", "preferred_profile", "required_profile"] {
        if let Some(value) = options
            .get(field)
            .filter(|value| !value.is_empty() && *value != "None")
        {
            settings.insert(field.to_owned(), value.as_str().into());
        }
    }
    Ok(FoundCertificate {
        label: name.to_owned(),
        chain: chain.ok_or_else(missing)?,
        keys: source.key(&live("privkey")).into_iter().collect(),
        names: vec![name.to_owned()],
        ca: options.get("server").cloned(),
        settings,
        ..FoundCertificate::default()
    })
}

/// Folders with an account, at any depth: certbot makes one for each part of a directory's URL.
fn account_folders(
    source: &Source<'_>,
    folder: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<()> {
    for name in source.folders(folder)? {
        let folder = format!("{folder}/{name}");
        if source
            .read(&format!("{folder}/private_key.json"))?
            .is_some()
        {
            found.push(folder);
        } else if depth > 0 {
            account_folders(source, &folder, depth - 1, found)?;
        }
    }
    Ok(())
}

fn account(source: &Source<'_>, folder: &str) -> Result<FoundAccount> {
    let path = format!("{folder}/private_key.json");
    let key = source.key(&path).context("its key is not there")?;
    let registration = source
        .json(&format!("{folder}/regr.json"))?
        .unwrap_or_default();
    let place = folder.strip_prefix("accounts/").unwrap_or(folder);
    let (directory, id) = place
        .rsplit_once('/')
        .context("it is in no folder of a CA")?;
    let contacts = registration
        .get("body")
        .and_then(|body| body.get("contact"));
    let email = contacts
        .and_then(|contacts| contacts.get(0))
        .and_then(Value::as_str)
        .and_then(|contact| contact.strip_prefix("mailto:"));
    Ok(FoundAccount {
        label: id.to_owned(),
        ca: Some(format!("https://{directory}")),
        keys: vec![KeyFile {
            path: key.path,
            key: key.key.and_then(|key| jwk::to_pem(&key)),
        }],
        metadata: metadata(email, text_of(&registration, &["uri"]), None),
        copies: Vec::new(),
    })
}
