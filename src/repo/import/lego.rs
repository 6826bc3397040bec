//! lego's folder, `.lego`, of its versions 4 and 5.
//!
//! ```text
//! certificates/NAME.{crt,key,json}    `_` in NAME for the `*` of a wildcard
//! certificates/NAME.issuer.crt        the issuer alone, where `NAME.crt` was made with --no-bundle
//! accounts/HOST/ID/account.json       `:` of a port is `_`
//! accounts/HOST/ID/keys/ID.key        version 4
//! accounts/HOST/ID/ID.key             version 5
//! ```
//!
//! The two versions: <https://go-acme.github.io/lego/migration/cli/>.

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::model::chain;
use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, host_of, metadata, text_of};

const CERTIFICATES: &str = "certificates";
const CHAIN: &str = ".crt";
const ISSUER: &str = ".issuer";

pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    let files = source.files(CERTIFICATES)?;
    Ok(files.iter().any(|file| file.strip_suffix(CHAIN).is_some()))
}

pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    for host in source.folders("accounts")? {
        for id in source.folders(&format!("accounts/{host}"))? {
            match account(source, &host, &id) {
                Ok(account) => found.accounts.push(account),
                Err(error) => found
                    .left
                    .push(error.context(format!("cannot import the account `{id}` at `{host}`"))),
            }
        }
    }
    for file in source.files(CERTIFICATES)? {
        let Some(stem) = file
            .strip_suffix(CHAIN)
            .filter(|stem| !stem.ends_with(ISSUER))
        else {
            continue;
        };
        match certificate(source, stem) {
            Ok(mut certificate) => {
                certificate.ca = directory_of(certificate.ca.take(), &found.accounts);
                found.certificates.push(certificate);
            }
            Err(error) => found
                .left
                .push(error.context(format!("cannot import `{stem}`"))),
        }
    }
    Ok(found)
}

fn certificate(source: &Source<'_>, stem: &str) -> Result<FoundCertificate> {
    let file = |end: &str| format!("{CERTIFICATES}/{stem}.{end}");
    let mut chain = source.read(&file("crt"))?.context("it is gone")?;
    if chain::count(&chain) == 1
        && let Some(issuer) = source.read(&file("issuer.crt"))?
    {
        chain.push(b'\n');
        chain.extend(issuer);
    }
    let fields = source.json(&file("json"))?.unwrap_or_default();
    let domain = text_of(&fields, &["domain"]).or_else(|| text_of(&fields, &["id"]));
    let listed = fields.get("domains").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    let url = text_of(&fields, &["certUrl"]).map(str::to_owned);
    Ok(FoundCertificate {
        label: domain.unwrap_or(stem).to_owned(),
        chain,
        keys: source.key(&file("key")).into_iter().collect(),
        names: listed.chain(domain).map(str::to_owned).collect(),
        ca: url.as_deref().map(host_of),
        url,
        ..FoundCertificate::default()
    })
}

/// The directory of an account at the host, where one knows it.
fn directory_of(host: Option<String>, accounts: &[FoundAccount]) -> Option<String> {
    let of_accounts = accounts.iter().filter_map(|account| account.ca.as_ref());
    let mut at_host = of_accounts.filter(|ca| Some(host_of(ca)) == host);
    at_host.next().cloned().or(host)
}

fn account(source: &Source<'_>, host: &str, id: &str) -> Result<FoundAccount> {
    let folder = format!("accounts/{host}/{id}");
    let fields = source
        .json(&format!("{folder}/account.json"))?
        .ok_or_else(|| {
            anyhow!(
                "`{}` is not there",
                source.shown(&format!("{folder}/account.json"))
            )
        })?;
    let keys = [
        format!("{folder}/{id}.key"),
        format!("{folder}/keys/{id}.key"),
    ];
    let url = text_of(&fields, &["registration", "uri"])
        .or_else(|| text_of(&fields, &["registration", "accountURL"]));
    let body = fields
        .get("registration")
        .and_then(|registration| registration.get("body"));
    Ok(FoundAccount {
        label: id.to_owned(),
        ca: Some(text_of(&fields, &["server"]).map_or_else(|| with_port(host), str::to_owned)),
        keys: keys.iter().filter_map(|path| source.key(path)).collect(),
        metadata: metadata(text_of(&fields, &["email"]), url, body),
        copies: Vec::new(),
    })
}

/// `localhost_14000` is `localhost:14000`.
fn with_port(host: &str) -> String {
    match host.rsplit_once('_') {
        Some((host, port)) if port.parse::<u16>().is_ok() => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}
