//! Which file of the certificate repository is where, and what is in it.

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::certificate::{CertificateName, Held, Issued};
use crate::model::chain::Leaf;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;
use crate::repo::accounts::ACCOUNTS;
use crate::repo::files::sha256;
use crate::repo::git::{Content, File, Workspace};
use crate::repo::recipients::Recipients;

/// Folder of certificates.
pub(crate) const CERTIFICATES: &str = "certificates";

/// Name of every file of recipients.
const RECIPIENTS: &str = ".age-recipients";

/// The certificate that the repository has under a name; none if there is none.
///
/// An unreadable one is an error of this certificate alone.
pub(crate) fn held(workspace: &Workspace, name: &CertificateName) -> Result<Option<Held>> {
    let path = format!("{CERTIFICATES}/{name}/{name}.crt");
    let Some(chain) = workspace.read(&path)? else {
        return Ok(None);
    };
    let leaf = Leaf::from_pem(&chain)
        .with_context(|| format!("cannot read `{path}`"))
        .hint(|| "take the file from an older commit, or remove it to have a new certificate")?;
    Ok(Some(Held {
        name: name.clone(),
        leaf,
    }))
}

/// Who can open the key of a certificate: its own list, or the one of the repository.
pub(crate) fn recipients(workspace: &Workspace, name: &CertificateName) -> Result<Recipients> {
    first(workspace, format!("{CERTIFICATES}/{name}/{RECIPIENTS}"))
}

/// Who can open the account keys: their own list, or the one of the repository.
pub(crate) fn account_recipients(workspace: &Workspace) -> Result<Recipients> {
    first(workspace, format!("{ACCOUNTS}/{RECIPIENTS}"))
}

fn first(workspace: &Workspace, own: String) -> Result<Recipients> {
    for path in [own, RECIPIENTS.to_owned()] {
        if let Some(bytes) = workspace.read(&path)? {
            let text = String::from_utf8(bytes).with_context(|| format!("`{path}` is not text"))?;
            return Recipients::parse(&text, &path);
        }
    }
    Err(with_hint(
        anyhow!("there is no `{RECIPIENTS}`, so nobody to encrypt for"),
        format!(
            "`age-keygen -o key.txt` makes an identity and prints its recipient; \
             put that line into `{RECIPIENTS}` and keep key.txt out of the repository"
        ),
    ))
}

/// The files of a certificate. The key comes first, for folders without git, where each file is
/// replaced on its own.
///
/// `recipients_hash` is [`Recipients::hash`] of those the key was encrypted for.
pub(crate) fn files_for(issued: &Issued, recipients_hash: &str) -> Result<Vec<File>> {
    let name = &issued.name;
    let path = |ending: &str| format!("{CERTIFICATES}/{name}/{name}.{ending}");
    let mut chain = issued.chain_pem.trim_end().to_owned();
    chain.push('\n');
    let description = pretty(&description(issued, recipients_hash)?)?;
    Ok(vec![
        File {
            path: path("key.age"),
            content: Content::Sealed(issued.key.clone()),
        },
        File {
            path: path("crt"),
            content: Content::Public(chain.into_bytes()),
        },
        File {
            path: path("json"),
            content: Content::Public(description.into_bytes()),
        },
    ])
}

/// NAME.json: get-certs' three fields, then ours.
fn description(issued: &Issued, recipients_hash: &str) -> Result<Value> {
    let leaf = &issued.leaf;
    let names: Vec<&str> = leaf.identifiers.iter().map(Identifier::as_str).collect();
    Ok(json!({
        "domain": names.first(),
        "certUrl": issued.url,
        "certStableUrl": issued.url,
        "names": names,
        "not_before": date(leaf.not_before)?,
        "not_after": date(leaf.not_after)?,
        "serial": leaf.serial,
        "issuer": leaf.issuer,
        "key_type": issued.key_type,
        "public_key_sha256": sha256(&leaf.public_key),
        "directory": issued.directory,
        "key_age_sha256": sha256(issued.key.as_str().as_bytes()),
        "recipients_sha256": recipients_hash,
    }))
}

/// JSON as the repository keeps it: two spaces, final line feed.
pub(crate) fn pretty(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn date(moment: OffsetDateTime) -> Result<String> {
    Ok(moment.format(&Rfc3339)?)
}

#[cfg(test)]
mod tests;
