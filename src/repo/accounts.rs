//! ACME accounts in the repository: `.letsencrypt/HOST[:PORT]/`, as get-certs laid them out.

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::Sealed;
use crate::repo::git::{Content, File, Workspace};
use crate::repo::layout;

/// Folder of accounts.
pub(crate) const ACCOUNTS: &str = ".letsencrypt";

/// Files in which get-certs and blackbox kept the key.
const OLD_KEYS: [&str; 3] = ["account.key", "account.key.gpg", "account.json.gpg"];

/// An account as the repository has it.
#[derive(Clone, Debug)]
pub(crate) struct StoredAccount {
    /// Empty for an account without a contact.
    pub(crate) email: String,
    /// Account URL, the key id of every request (RFC 8555 section 7.3).
    pub(crate) url: String,
    /// The key as ciphertext.
    pub(crate) key: Sealed,
}

/// The account for the CA with this directory URL; none if there is none yet.
///
/// A plaintext `account.key` is never read.
pub(crate) fn read(workspace: &Workspace, directory: &Url) -> Result<Option<StoredAccount>> {
    let folder = folder(directory)?;
    let (description_path, key_path) = paths(&folder);
    let description = workspace.read(&description_path)?;
    let key = workspace.read(&key_path)?;
    match (description, key) {
        (Some(description), Some(key)) => {
            let account: Description = serde_json::from_slice(&description)
                .with_context(|| format!("cannot read `{description_path}`"))
                .hint(|| "take the file from an older commit")?;
            let key = String::from_utf8(key)
                .map_err(anyhow::Error::new)
                .and_then(|text| Ok(Sealed::new(text)?))
                .with_context(|| format!("cannot read `{key_path}`"))
                .hint(|| "`age -a -R .letsencrypt/.age-recipients` makes such a file")?;
            Ok(Some(StoredAccount {
                email: account.email,
                url: account.registration.uri,
                key,
            }))
        }
        (None, None) | (Some(_), None) if has_old_key(workspace, &folder)? => Err(with_hint(
            anyhow!("the account key in `{folder}` is not encrypted with age"),
            "`git-certs import` encrypts what get-certs and blackbox left",
        )),
        (None, None) => Ok(None),
        (Some(_), None) => Err(with_hint(
            anyhow!("`{description_path}` is there, but `{key_path}` is not"),
            format!(
                "take the key from an older commit, or remove `{description_path}` to register a new account"
            ),
        )),
        (None, Some(_)) => Err(with_hint(
            anyhow!("`{key_path}` is there, but `{description_path}` is not"),
            "take the missing file from an older commit",
        )),
    }
}

/// The two files of a new account, `account.json` as get-certs wrote it.
pub(crate) fn files(directory: &Url, account: &StoredAccount) -> Result<Vec<File>> {
    let StoredAccount { email, url, key } = account;
    let (description, key_path) = paths(&folder(directory)?);
    let contact: Vec<Value> = Some(email)
        .filter(|email| !email.is_empty())
        .map(|email| json!(format!("mailto:{email}")))
        .into_iter()
        .collect();
    let text = layout::pretty(&json!({
        "email": email,
        "registration": {
            "body": {"status": "valid", "contact": contact},
            "uri": url,
        }
    }))?;
    Ok(vec![
        File {
            path: key_path,
            content: Content::Sealed(key.clone()),
        },
        File {
            path: description,
            content: Content::Public(text.into_bytes()),
        },
    ])
}

/// `.letsencrypt/HOST[:PORT]`: one account for all directories of a host, as in get-certs.
fn folder(directory: &Url) -> Result<String> {
    let host = directory
        .host_str()
        .ok_or_else(|| anyhow!("the URL of the CA has no host name"))?;
    Ok(match directory.port() {
        Some(port) => format!("{ACCOUNTS}/{host}:{port}"),
        None => format!("{ACCOUNTS}/{host}"),
    })
}

/// `account.json` and the key.
fn paths(folder: &str) -> (String, String) {
    (
        format!("{folder}/account.json"),
        format!("{folder}/account.key.age"),
    )
}

fn has_old_key(workspace: &Workspace, folder: &str) -> Result<bool> {
    for name in OLD_KEYS {
        if workspace.has(&format!("{folder}/{name}"))? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    email: String,
    registration: Registration,
}

#[derive(Deserialize)]
struct Registration {
    uri: String,
}
