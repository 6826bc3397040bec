//! Which file of the cert repository is where, and what is in it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::certificate::{CertificateName, Issued, Wanted};
use crate::model::chain::Leaf;
use crate::model::hint::{Hint, with_hint};
use crate::model::outcome::Action;
use crate::model::renewal::RenewalInfo;
use crate::model::secret::Sealed;
use crate::repo::accounts;
use crate::repo::certs_json::{self, CERTS_JSON, Defaults, Listed};
use crate::repo::git::{Content, File, Reader, Workspace};
use crate::repo::recipients::{Recipients, hex};
use crate::repo::revoked;

/// What files end with that get-certs left, and that blackbox made of them.
pub(super) const PLAIN: &str = "key";
pub(super) const BY_PGP: &str = "key.gpg";

/// Who can open certificate keys.
pub(crate) const RECIPIENTS: &str = ".age-recipients";

/// Who can open the account key; without it, those who can open certificate keys.
pub(crate) const ACCOUNT_RECIPIENTS: &str = ".letsencrypt/.age-recipients";

/// Reads certs.json of the cert repository.
pub(crate) fn wanted(workspace: &Workspace, defaults: &Defaults) -> Result<Listed> {
    let bytes = workspace.read(CERTS_JSON)?;
    let bytes = bytes.ok_or_else(|| no_list(workspace))?;
    certs_json::parse(&bytes, CERTS_JSON, defaults, &|path| workspace.read(path))
}

pub(crate) fn no_list(workspace: &Workspace) -> anyhow::Error {
    match workspace.folder_above_with(CERTS_JSON) {
        Some(folder) => with_hint(
            anyhow!("there is no `{CERTS_JSON}` in this folder of the cert repository"),
            format!(
                "`{folder}` has one: run it there, or with `--dir`",
                folder = folder.display()
            ),
        ),
        None => with_hint(
            anyhow!("there is no `{CERTS_JSON}` in the cert repository"),
            r#"it lists the certificates: [{"cert_name": "www", "names": ["www.example.com"]}]"#,
        ),
    }
}

/// Whether a ciphertext is another than the one whose hash NAME.json or account.json has.
pub(super) fn is_swapped(noted: Option<&str>, key: &[u8]) -> bool {
    noted.is_some_and(|hash| hash != sha256(key))
}

/// The encrypted key of a certificate, and its path; none where there is none, or where the
/// certificate was revoked because its key was compromised.
pub(crate) fn certificate_key(
    workspace: &Workspace,
    name: &CertificateName,
) -> Result<Option<(Sealed, String)>> {
    if revoked::is_compromised(workspace, name)? {
        return Ok(None);
    }
    let path = certificate_file(name, "key.age");
    Ok(accounts::sealed(workspace, &path)?.map(|key| (key, path)))
}

/// Keys that age has not encrypted: what get-certs left, and what blackbox made of it. Says what they are.
pub(crate) fn foreign_keys(workspace: &Workspace, wanted: &[Wanted]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut reader = workspace.reader()?;
    for Wanted { name, .. } in wanted {
        for (end, what) in [(PLAIN, "in plain text"), (BY_PGP, "encrypted with PGP")] {
            let path = certificate_file(name, end);
            if reader.has(&path)? {
                all.push(format!("`{path}` is a private key {what}"));
            }
        }
    }
    Ok(all)
}

/// Names of certificates that the repository has although certs.json does not list them.
pub(crate) fn unlisted(workspace: &Workspace, wanted: &[Wanted]) -> Result<Vec<String>> {
    let listed: BTreeSet<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
    let mut folders = workspace.folders("certificates")?;
    folders.retain(|folder| !listed.contains(folder.as_str()));
    Ok(folders)
}

/// Who can open the key of a certificate: its own list, `instead`, or the repository's.
///
/// `listed`: the list that certs.json has for it; there cannot be a file as well.
/// `instead`: text and origin of a list that takes the place of the repository's.
pub(crate) fn recipients(
    reader: &mut Reader<'_>,
    name: &CertificateName,
    listed: Option<&str>,
    instead: Option<(&str, &str)>,
) -> Result<Recipients> {
    let own = own_recipients(name);
    match (recipients_in(reader, &own)?, listed) {
        (Some(_), Some(_)) => Err(anyhow!(
            "certificate `{name}` has recipients in `{own}` and in certs.json"
        ))
        .hint(|| "keep one of them: remove the file, or `recipients` from certs.json"),
        (Some(recipients), None) => Ok(recipients),
        (None, Some(text)) => Recipients::parse(text, "certs.json"),
        (None, None) => general_recipients(reader, instead),
    }
}

/// Who can open the keys of certificates that have no list of their own.
pub(crate) fn general_recipients(
    reader: &mut Reader<'_>,
    instead: Option<(&str, &str)>,
) -> Result<Recipients> {
    match instead {
        Some((text, origin)) => Recipients::parse(text, origin),
        None => recipients_in(reader, RECIPIENTS)?.ok_or_else(no_recipients),
    }
}

/// Path of the list of a certificate alone.
pub(crate) fn own_recipients(name: &CertificateName) -> String {
    format!("certificates/{name}/{RECIPIENTS}")
}

/// Who can open the account key.
pub(crate) fn account_recipients(workspace: &Workspace) -> Result<Recipients> {
    let mut reader = workspace.reader()?;
    match recipients_in(&mut reader, ACCOUNT_RECIPIENTS)? {
        Some(recipients) => Ok(recipients),
        None => recipients_in(&mut reader, RECIPIENTS)?.ok_or_else(no_recipients),
    }
}

fn recipients_in(reader: &mut Reader<'_>, path: &str) -> Result<Option<Recipients>> {
    let Some(bytes) = reader.read(path)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes).with_context(|| format!("`{path}` is not UTF-8"))?;
    Recipients::parse(text, path).map(Some)
}

pub(crate) fn no_recipients() -> anyhow::Error {
    with_hint(
        anyhow!("there is no `{RECIPIENTS}` in the cert repository"),
        "it lists who can open private keys, one age or SSH recipient a line: \
         `age-keygen -o key.txt` makes an identity, `age-keygen -y key.txt > .age-recipients` lists it",
    )
}

/// Files of a certificate that was issued.
///
/// The key comes first: in a folder without git each file is replaced on its own, and a key without
/// its certificate does less harm than a certificate without its key.
pub(crate) fn certificate_files(
    issued: &Issued,
    recipients: &Recipients,
    action: Action,
) -> Result<Vec<File>> {
    let name = &issued.wanted.name;
    let chain = chain(issued);
    let key = issued.key.sealed.clone().map(|key| File {
        path: certificate_file(name, "key.age"),
        content: Content::Sealed(key),
    });
    let public = [
        File {
            path: certificate_file(name, "crt"),
            content: Content::Public(chain.into_bytes()),
        },
        File {
            path: certificate_file(name, "json"),
            content: Content::Public(description(issued, Some(recipients), action)?.into_bytes()),
        },
    ];
    Ok(key.into_iter().chain(public).collect())
}

/// NAME.crt.
pub(crate) fn chain(issued: &Issued) -> String {
    format!("{}\n", issued.chain_pem.trim_end())
}

/// NAME.json: get-certs' fields first, then what a reader wants to know.
///
/// Without `recipients` the key is not encrypted: it is in Vault.
pub(crate) fn description(
    issued: &Issued,
    recipients: Option<&Recipients>,
    action: Action,
) -> Result<String> {
    let Issued {
        wanted, leaf, url, ..
    } = issued;
    let key = issued.key.sealed.as_ref();
    let before = [
        (
            "domain",
            json!(wanted.identifiers.first().map(ToString::to_string)),
        ),
        ("certUrl", json!(url)),
        ("certStableUrl", json!(url)),
    ];
    let received = issued.received;
    let received = received.replace_millisecond(received.millisecond())?;
    let after = [
        ("directory", json!(issued.directory)),
        ("received", json!(received.format(&Rfc3339)?)),
        ("action", json!(action.to_string())),
    ];
    let sometimes = [
        (
            "key_age_sha256",
            key.map(|key| json!(sha256(key.as_str().as_bytes()))),
        ),
        (
            "recipients_sha256",
            key.and(recipients)
                .map(|recipients| json!(recipients.hash())),
        ),
        (
            "profile",
            issued.profile.as_ref().map(|profile| json!(profile)),
        ),
        (
            "renewal_info",
            issued.renewal.as_ref().map(|renewal| json!(renewal)),
        ),
    ];
    let sometimes = sometimes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let owned = |(name, value): (&str, Value)| (name.to_owned(), value);
    let mut fields: Map<_, _> = before.into_iter().map(owned).collect();
    fields.extend(facts(leaf)?);
    fields.extend(after.into_iter().chain(sometimes).map(owned));
    Ok(format!("{:#}\n", Value::Object(fields)))
}

/// When a certificate was received, as far as its NAME.json says so: those of imported ones and of others do not.
pub(crate) fn received(description: &[u8], leaf: &Leaf) -> Option<OffsetDateTime> {
    let fields: Value = serde_json::from_slice(description).ok()?;
    let is_its = fields.get("serial")?.as_str()? == leaf.serial;
    let received = fields.get("received")?.as_str()?;
    OffsetDateTime::parse(received, &Rfc3339)
        .ok()
        .filter(|_| is_its)
}

/// What NAME.json repeats of a certificate.
pub(super) fn facts(leaf: &Leaf) -> Result<Map<String, Value>> {
    let names: BTreeSet<_> = leaf.identifiers.iter().map(ToString::to_string).collect();
    let moment = |moment: OffsetDateTime| moment.format(&Rfc3339);
    let facts = [
        ("names", json!(names)),
        ("not_before", json!(moment(leaf.not_before)?)),
        ("not_after", json!(moment(leaf.not_after)?)),
        ("serial", json!(leaf.serial)),
        ("issuer", json!(leaf.issuer)),
        ("key_type", json!(leaf.key_type)),
        ("public_key_sha256", json!(sha256(&leaf.public_key))),
    ];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_null());
    Ok(facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// NAME.json with what the CA said anew of when to renew.
pub(crate) fn renewed_info(
    workspace: &Workspace,
    name: &CertificateName,
    info: &RenewalInfo,
) -> Result<File> {
    with_field(workspace, name, "renewal_info", json!(info))
}

/// NAME.json with another field, or another value of it.
pub(super) fn with_field(
    workspace: &Workspace,
    name: &CertificateName,
    field: &str,
    value: Value,
) -> Result<File> {
    let path = certificate_file(name, "json");
    let bytes = workspace.read(&path)?;
    let text = description_with(bytes.as_deref(), field, value)
        .with_context(|| format!("`{path}` cannot be read"))?;
    Ok(File {
        path,
        content: Content::Public(text.into_bytes()),
    })
}

/// The same of a text, or of none.
pub(super) fn description_with(
    description: Option<&[u8]>,
    field: &str,
    value: Value,
) -> Result<String> {
    let mut fields: Map<String, Value> = match description {
        Some(bytes) => serde_json::from_slice(bytes)?,
        None => Map::new(),
    };
    fields.insert(field.to_owned(), value);
    Ok(format!("{:#}\n", Value::Object(fields)))
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

pub(crate) fn certificate_file(name: &CertificateName, extension: &str) -> String {
    format!("certificates/{name}/{name}.{extension}")
}

#[cfg(test)]
mod tests;
