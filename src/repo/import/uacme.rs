//! uacme's folder (`--confdir`, `/etc/ssl/uacme`).
//!
//! ```text
//! NAME/cert.pem           full chain
//! private/NAME/key.pem    its key
//! private/key.pem         account key; the CA and the account's URL are told nowhere
//! ```
//!
//! Files: <https://ndilieto.github.io/uacme/uacme.html>.

use anyhow::Result;

use crate::repo::import::source::Source;
use crate::repo::import::{Found, FoundAccount, FoundCertificate, metadata};

fn names(source: &Source<'_>) -> Result<Vec<String>> {
    let mut names = source.folders("private")?;
    let mut missing = Vec::new();
    for name in &names {
        if source.read(&format!("{name}/cert.pem"))?.is_none() {
            missing.push(name.clone());
        }
    }
    names.retain(|name| !missing.contains(name));
    Ok(names)
}

pub(super) fn is_here(source: &Source<'_>) -> Result<bool> {
    match source {
        Source::Here(_) => Ok(false),
        Source::Folder(_) => Ok(!names(source)?.is_empty()),
    }
}

pub(super) fn read(source: &Source<'_>) -> Result<Found> {
    let mut found = Found::default();
    for name in names(source)? {
        let Some(chain) = source.read(&format!("{name}/cert.pem"))? else {
            continue;
        };
        found.certificates.push(FoundCertificate {
            chain,
            keys: source
                .key(&format!("private/{name}/key.pem"))
                .into_iter()
                .collect(),
            names: vec![name.clone()],
            label: name,
            ..FoundCertificate::default()
        });
    }
    if let Some(key) = source.key("private/key.pem") {
        found.accounts.push(FoundAccount {
            label: "private/key.pem".to_owned(),
            ca: None,
            keys: vec![key],
            metadata: metadata(None, None, None),
            copies: Vec::new(),
        });
    }
    Ok(found)
}
