//! dehydrated's folder (`BASEDIR`).
//!
//! ```text
//! certs/NAME/{fullchain,privkey}.pem      links to the newest files
//! domains.txt                             `name other.name > NAME` a line
//! accounts/URL/account_key.pem            URL of the CA's directory, in base64url
//! accounts/URL/account_id.json            account URL
//! accounts/URL/registration_info.json     what the CA answered
//! ```
//!
//! Files: <https://github.com/dehydrated-io/dehydrated/tree/master/docs>.

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, metadata, text_of};

pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    for name in source.folders("certs")? {
        if source
            .read(&format!("certs/{name}/fullchain.pem"))?
            .is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    for folder in source.folders("accounts")? {
        match account(source, &folder) {
            Ok(account) => found.accounts.push(account),
            Err(error) => found
                .left
                .push(error.context(format!("cannot import the account `{folder}`"))),
        }
    }
    let lines = source.text("domains.txt")?.unwrap_or_default();
    // Which CA a certificate is from is told nowhere.
    let ca = match found.accounts.as_slice() {
        [only] => only.ca.clone(),
        _ => None,
    };
    for name in source.folders("certs")? {
        let file = |file: &str| format!("certs/{name}/{file}.pem");
        let Some(chain) = source.read(&file("fullchain"))? else {
            let missing = anyhow!("`{}` is not there", source.shown(&file("fullchain")));
            found
                .left
                .push(missing.context(format!("cannot import `{name}`")));
            continue;
        };
        found.certificates.push(FoundCertificate {
            label: name.clone(),
            chain,
            keys: source.key(&file("privkey")).into_iter().collect(),
            names: names(&lines, &name),
            ca: ca.clone(),
            ..FoundCertificate::default()
        });
    }
    Ok(found)
}

/// Names of a certificate: those of its line in domains.txt.
fn names(lines: &str, certificate: &str) -> Vec<String> {
    let mut all = lines.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (names, alias) = line.split_once('>').unwrap_or((line, ""));
        let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
        let alias = Some(alias.trim()).filter(|alias| !alias.is_empty());
        let is_its = alias.or_else(|| names.first().map(String::as_str)) == Some(certificate);
        is_its.then_some(names)
    });
    all.next().unwrap_or_default()
}

fn account(source: &Source<'_>, folder: &str) -> Result<FoundAccount> {
    let file = |file: &str| format!("accounts/{folder}/{file}");
    // dehydrated encodes the line end, too.
    let url = BASE64_URL_SAFE_NO_PAD.decode(folder.trim_end_matches('='));
    let url = url.ok().and_then(|url| String::from_utf8(url).ok());
    let url = url.ok_or_else(|| anyhow!("its folder is not named by the URL of a CA"))?;
    let id = source.json(&file("account_id.json"))?.unwrap_or_default();
    let info = source
        .json(&file("registration_info.json"))?
        .unwrap_or_default();
    let contact = info
        .get("contact")
        .and_then(|contacts| contacts.get(0))
        .and_then(Value::as_str);
    let email = contact.and_then(|contact| contact.strip_prefix("mailto:"));
    let account_url = text_of(&id, &["url"]).or_else(|| text_of(&id, &["id"]));
    Ok(FoundAccount {
        label: url.trim().to_owned(),
        ca: Some(url.trim().to_owned()),
        keys: source.key(&file("account_key.pem")).into_iter().collect(),
        metadata: metadata(
            email,
            account_url.filter(|url| url.starts_with("https://")),
            None,
        ),
        copies: Vec::new(),
    })
}
