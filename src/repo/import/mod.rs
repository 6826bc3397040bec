//! Reads what other programs keep: certificates, private keys, accounts. A file for each program's folder.
//!
//! Nothing is written here, and nothing is decided.

mod acme_sh;
pub(crate) mod blackbox;
mod certbot;
mod dehydrated;
pub(crate) mod exposed;
pub(crate) mod files;
mod get_certs;
mod jwk;
mod lego;
pub(crate) mod list;
pub(crate) mod names;
pub(crate) mod seen;
pub(crate) mod source;
mod uacme;

use anyhow::{Error, Result};
use serde_json::{Map, Value, json};

use crate::model::import::Tool;
use crate::model::secret::Secret;
use crate::repo::import::source::Source;

/// Everything that a program keeps.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) certificates: Vec<FoundCertificate>,
    pub(crate) accounts: Vec<FoundAccount>,
    /// What cannot be read, and why.
    pub(crate) left: Vec<Error>,
}

/// A certificate of another program.
#[derive(Default)]
pub(crate) struct FoundCertificate {
    /// What the program calls it.
    pub(crate) label: String,
    /// Leaf first, PEM.
    pub(crate) chain: Vec<u8>,
    /// Where its private key may be.
    pub(crate) keys: Vec<KeyFile>,
    /// Names as they were asked for, as far as the program tells.
    pub(crate) names: Vec<String>,
    /// Where the CA keeps it.
    pub(crate) url: Option<String>,
    /// URL of the CA's directory, or the CA's host alone.
    pub(crate) ca: Option<String>,
    /// Fields for certs.json.
    pub(crate) settings: Map<String, Value>,
    /// Encrypted copies of its public files.
    pub(crate) copies: Vec<String>,
}

/// A private key of another program, or why it cannot be read.
pub(crate) struct KeyFile {
    pub(crate) path: String,
    pub(crate) key: Result<Secret>,
}

/// An account of another program.
pub(crate) struct FoundAccount {
    /// What the program calls it.
    pub(crate) label: String,
    /// URL of the CA's directory, or the CA's host alone; none if the program does not say.
    pub(crate) ca: Option<String>,
    pub(crate) keys: Vec<KeyFile>,
    /// account.json as get-certs would have it.
    pub(crate) metadata: String,
    /// Encrypted copies of its public files.
    pub(crate) copies: Vec<String>,
}

/// Which programs' files these may be.
pub(crate) fn detect(source: &Source<'_>) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for tool in Tool::ALL {
        let is_its = match tool {
            Tool::GetCerts => get_certs::is_here(source),
            Tool::Certbot => certbot::is_here(source),
            Tool::Lego => lego::is_here(source),
            Tool::AcmeSh => acme_sh::is_here(source),
            Tool::Dehydrated => dehydrated::is_here(source),
            Tool::Uacme => uacme::is_here(source),
        };
        if is_its? {
            tools.push(tool);
        }
    }
    Ok(tools)
}

/// Reads everything that a program keeps.
pub(crate) fn read(tool: Tool, source: &Source<'_>) -> Result<Found> {
    match tool {
        Tool::GetCerts => get_certs::read(source),
        Tool::Certbot => certbot::read(source),
        Tool::Lego => lego::read(source),
        Tool::AcmeSh => acme_sh::read(source),
        Tool::Dehydrated => dehydrated::read(source),
        Tool::Uacme => uacme::read(source),
    }
}

/// account.json as get-certs would have written it.
fn metadata(email: Option<&str>, url: Option<&str>, body: Option<&Value>) -> String {
    let contact =
        email.map(|email| json!({ "status": "valid", "contact": [format!("mailto:{email}")] }));
    let body = body.cloned().or(contact);
    let fields = json!({
        "email": email.unwrap_or_default(),
        "registration": {
            "body": body.unwrap_or_else(|| json!({ "status": "valid" })),
            "uri": url,
        },
    });
    fields.to_string()
}

/// Host, and port where it is not the usual one, of a URL; the text itself if it is none.
pub(crate) fn host_of(ca: &str) -> String {
    let url = url::Url::parse(ca).ok();
    let host = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => ca.to_owned(),
    }
}

/// A text of a field of a JSON object.
fn text_of<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    let found = path.iter().try_fold(value, |value, part| value.get(part));
    found?.as_str().filter(|text| !text.is_empty())
}
