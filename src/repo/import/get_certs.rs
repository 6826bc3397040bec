//! Files of `dnscontrol get-certs`, in plain text or encrypted by blackbox.
//!
//! ```text
//! certificates/NAME/NAME.crt    full chain
//! certificates/NAME/NAME.json   where the CA keeps it
//! certificates/NAME/NAME.key    private key
//! certificates/NAME/NAME.pem    chain and private key
//! .letsencrypt/HOST/account.json, account.key
//! ```

use anyhow::{Result, anyhow};
use serde_json::Value;

use crate::model::hint::with_hint;
use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, KeyFile, host_of, text_of};

/// Whether there is anything of get-certs.
pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    for (folder, file) in [("certificates", None), (".letsencrypt", Some("account"))] {
        for name in source.folders(folder)? {
            let stem = format!("{folder}/{name}/{}", file.unwrap_or(&name));
            for end in ["crt", "key", "key.gpg", "json"] {
                if source.read(&format!("{stem}.{end}"))?.is_some() {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Reads certificates whose keys age has not encrypted, and accounts.
pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    for name in source.folders("certificates")? {
        match certificate(source, &name) {
            Ok(certificate) => found.certificates.extend(certificate),
            Err(error) => found
                .left
                .push(error.context(format!("cannot import `{name}`"))),
        }
    }
    for host in source.folders(".letsencrypt")? {
        match account(source, &host) {
            Ok(account) => found.accounts.extend(account),
            Err(error) => {
                let about = format!("cannot import the account at `{host}`");
                found.left.push(error.context(about));
            }
        }
    }
    Ok(found)
}

/// Files at a path that have a key in plain text, or encrypted by blackbox.
fn keys(source: &Source<'_>, stem: &str, ends: &[&str]) -> Vec<KeyFile> {
    let paths = ends.iter().map(|end| format!("{stem}.{end}"));
    paths.filter_map(|path| source.key(&path)).collect()
}

fn certificate(source: &Source<'_>, name: &str) -> Result<Option<FoundCertificate>> {
    let stem = format!("certificates/{name}/{name}");
    let keys = keys(source, &stem, &["key", "pem", "key.gpg", "pem.gpg"]);
    let chain = source.public(&format!("{stem}.crt"))?;
    let description = source.public(&format!("{stem}.json"))?;
    let fields: Value = match &description {
        Some((bytes, _)) => serde_json::from_slice(bytes).unwrap_or_default(),
        None => Value::Null,
    };
    if keys.is_empty() {
        // Where somebody else has the key, git-certs stored it.
        let is_ours = fields.get("directory").is_some();
        let has_key = source.read(&format!("{stem}.key.age"))?.is_some();
        if chain.is_none() || has_key || is_ours {
            return Ok(None);
        }
        return Err(with_hint(
            anyhow!("its private key is not there"),
            "the next `git-certs renew` issues it again",
        ));
    }
    let (chain, copy) = chain.ok_or_else(|| {
        with_hint(
            anyhow!(
                "there is a key, but no certificate: `{}` is not there",
                source.shown(&format!("{stem}.crt"))
            ),
            "take the certificate from an older commit, or remove the key",
        )
    })?;
    let url = text_of(&fields, &["certUrl"]).map(str::to_owned);
    let copies = copy
        .into_iter()
        .chain(description.and_then(|(_, copy)| copy));
    Ok(Some(FoundCertificate {
        label: name.to_owned(),
        chain,
        keys,
        names: text_of(&fields, &["domain"])
            .map(str::to_owned)
            .into_iter()
            .collect(),
        ca: text_of(&fields, &["directory"])
            .map(str::to_owned)
            .or_else(|| url.as_deref().map(host_of)),
        url,
        copies: copies.collect(),
        ..FoundCertificate::default()
    }))
}

fn account(source: &Source<'_>, host: &str) -> Result<Option<FoundAccount>> {
    let stem = format!(".letsencrypt/{host}/account");
    let keys = keys(source, &stem, &["key", "key.gpg"]);
    if keys.is_empty() {
        return Ok(None);
    }
    let metadata = source.public(&format!("{stem}.json"))?;
    let (metadata, copy) = metadata.ok_or_else(|| {
        with_hint(
            anyhow!(
                "there is a key, but no account: `{}` is not there",
                source.shown(&format!("{stem}.json"))
            ),
            "take it from an older commit, or remove the key",
        )
    })?;
    Ok(Some(FoundAccount {
        label: host.to_owned(),
        ca: Some(host.to_owned()),
        keys,
        metadata: String::from_utf8_lossy(&metadata).into_owned(),
        copies: copy.into_iter().collect(),
    }))
}
