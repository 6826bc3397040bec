//! acme.sh's folder, `~/.acme.sh`.
//!
//! ```text
//! NAME/NAME.conf             names, CA, settings; NAME_ecc/NAME.conf for a key on a curve
//! NAME/{fullchain.cer,NAME.key}
//! ca/HOST/PATH/account.key   PATH is that of the CA's directory; old versions had none
//! ca/HOST/PATH/ca.conf       account URL, address
//! ```
//!
//! Files: <https://github.com/acmesh-official/acme.sh/wiki/How-to-issue-a-cert>.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Map;

use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, metadata};

/// What a folder's name ends with if the key is on a curve.
const CURVE: &str = "_ecc";

/// Around values that are not written as they are.
const ENCODED: [&str; 2] = ["__ACME_BASE64__START_", "__ACME_BASE64__END_"];

/// A folder of more levels is no path of a CA.
const DEEPEST: usize = 6;

/// Folder and domain of each certificate.
fn certificates(source: &Source<'_>) -> Result<Vec<(String, String)>> {
    let Source::Folder(_) = source else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for folder in source.folders("")? {
        let name = folder.strip_suffix(CURVE).unwrap_or(&folder).to_owned();
        if source.read(&format!("{folder}/{name}.conf"))?.is_some() {
            all.push((folder, name));
        }
    }
    Ok(all)
}

pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    Ok(!certificates(source)?.is_empty())
}

pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    let all = certificates(source)?;
    for (folder, name) in &all {
        match certificate(source, folder, name) {
            Ok(mut certificate) => {
                // The ending only tells it from one with an RSA key.
                let is_only = all.iter().filter(|(_, other)| other == name).count() == 1;
                let label = if is_only { name } else { folder };
                certificate.label.clone_from(label);
                found.certificates.push(certificate);
            }
            Err(error) => found
                .left
                .push(error.context(format!("cannot import `{folder}`"))),
        }
    }
    accounts(source, "ca", DEEPEST, &mut found)?;
    Ok(found)
}

/// `NAME='VALUE'` a line.
fn options(text: &str) -> BTreeMap<&str, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), decoded(value.trim().trim_matches('\''))));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

fn decoded(value: &str) -> String {
    let [start, end] = ENCODED;
    let inner = value
        .strip_prefix(start)
        .and_then(|rest| rest.strip_suffix(end));
    let bytes = inner.and_then(|inner| BASE64_STANDARD.decode(inner).ok());
    bytes.map_or_else(
        || value.to_owned(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn certificate(source: &Source<'_>, folder: &str, name: &str) -> Result<FoundCertificate> {
    let text = source
        .text(&format!("{folder}/{name}.conf"))?
        .unwrap_or_default();
    let options = options(&text);
    let chain = source.read(&format!("{folder}/fullchain.cer"))?;
    let missing = || {
        format!(
            "`{}` is not there",
            source.shown(&format!("{folder}/fullchain.cer"))
        )
    };
    let others = options.get("Le_Alt").filter(|names| *names != "no");
    let others = others.into_iter().flat_map(|names| names.split(','));
    let main = options.get("Le_Domain").map_or(name, String::as_str);
    let mut settings = Map::new();
    for (option, field) in [
        ("Le_Preferred_Chain", "preferred_chain"),
        ("Le_Certificate_Profile", "preferred_profile"),
    ] {
        if let Some(value) = options.get(option) {
            settings.insert(field.to_owned(), value.as_str().into());
        }
    }
    Ok(FoundCertificate {
        chain: chain.with_context(missing)?,
        keys: source
            .key(&format!("{folder}/{name}.key"))
            .into_iter()
            .collect(),
        names: [main]
            .into_iter()
            .chain(others)
            .map(str::to_owned)
            .collect(),
        url: options.get("Le_LinkCert").cloned(),
        ca: options.get("Le_API").cloned(),
        settings,
        ..FoundCertificate::default()
    })
}

fn accounts(source: &Source<'_>, folder: &str, depth: usize, found: &mut Found) -> Result<()> {
    for name in source.folders(folder)? {
        let folder = format!("{folder}/{name}");
        if let Some(key) = source.key(&format!("{folder}/account.key")) {
            let text = source
                .text(&format!("{folder}/ca.conf"))?
                .unwrap_or_default();
            let options = options(&text);
            let option = |name: &str| options.get(name).map(String::as_str);
            let place = folder.strip_prefix("ca/").unwrap_or(&folder);
            found.accounts.push(FoundAccount {
                label: place.to_owned(),
                ca: Some(if place.contains('/') {
                    format!("https://{place}")
                } else {
                    place.to_owned()
                }),
                keys: vec![key],
                metadata: metadata(option("CA_EMAIL"), option("ACCOUNT_URL"), None),
                copies: Vec::new(),
            });
        }
        if depth > 0 {
            accounts(source, &folder, depth - 1, found)?;
        }
    }
    Ok(())
}
