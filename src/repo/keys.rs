//! Private keys of the repository: for whom each is encrypted, and for whom it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::chain::Leaf;
use crate::model::hint::with_hint;
use crate::model::recipients::Fit;
use crate::model::secret::Sealed;
use crate::repo::accounts;
use crate::repo::git::{Content, File, Reader, Workspace};
use crate::repo::layout::{self, certificate_file, is_swapped, sha256};
use crate::repo::recipients::Recipients;

/// Fields of NAME.json and of account.json that belong together.
pub(super) const KEY_AGE: &str = "key_age_sha256";
pub(super) const PUBLIC_KEY: &str = "public_key_sha256";
const RECIPIENTS: &str = "recipients_sha256";

/// Whose key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The account at a host.
    Account(String),
    Certificate(CertificateName),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(host) => write!(f, "account `{host}`"),
            Self::Certificate(name) => write!(f, "certificate `{name}`"),
        }
    }
}

/// Lists that are not in recipients files.
pub(crate) struct Lists<'a> {
    /// What certs.json has.
    pub(crate) listed: BTreeMap<CertificateName, String>,
    /// Text and origin of what takes the place of the repository's list for certificates.
    pub(crate) instead: Option<(&'a str, &'a str)>,
}

/// An encrypted key.
pub(crate) struct KeyFile {
    pub(crate) owner: Owner,
    pub(crate) path: String,
    pub(crate) sealed: Sealed,
    /// Those of today.
    pub(crate) recipients: Recipients,
    pub(crate) fit: Fit,
    /// The file that says for whom it is encrypted, and what is in it.
    description: (String, Map<String, Value>),
}

impl KeyFile {
    /// Whether the file beside it names a public key.
    pub(crate) fn names_public_key(&self) -> bool {
        self.public_key().is_some()
    }

    /// Whether that is this one.
    pub(crate) fn is_for(&self, public_key: &[u8]) -> bool {
        self.public_key() == Some(&sha256(public_key))
    }

    /// Hash of the public key, as NAME.json has it, or account.json.
    pub(super) fn public_key(&self) -> Option<&str> {
        let (_, fields) = &self.description;
        fields.get(PUBLIC_KEY)?.as_str()
    }

    /// Files that take the place of the key's when it is encrypted anew.
    pub(crate) fn replaced_by(&self, sealed: Sealed) -> Vec<File> {
        let (path, mut fields) = self.description.clone();
        note(&mut fields, &sealed, &self.recipients);
        let description = format!("{:#}\n", Value::Object(fields));
        vec![
            File {
                path: self.path.clone(),
                content: Content::Sealed(sealed),
            },
            File {
                path,
                content: Content::Public(description.into_bytes()),
            },
        ]
    }
}

/// Writes down which key it is, and for whom it is encrypted.
pub(super) fn note(fields: &mut Map<String, Value>, sealed: &Sealed, recipients: &Recipients) {
    bind(fields, sealed);
    fields.insert(RECIPIENTS.to_owned(), recipients.hash().into());
}

/// Writes down which key it is. For whom it is encrypted is not known.
pub(super) fn bind(fields: &mut Map<String, Value>, sealed: &Sealed) {
    let hash = sha256(sealed.as_str().as_bytes());
    fields.insert(KEY_AGE.to_owned(), hash.into());
    fields.shift_remove(RECIPIENTS);
}

/// All encrypted keys: those of the accounts, then those of the certificates, by name.
pub(crate) fn all(workspace: &Workspace, lists: &Lists<'_>) -> Result<Vec<KeyFile>> {
    let mut reader = workspace.reader()?;
    let mut all = Vec::new();
    for host in workspace.folders(".letsencrypt")? {
        let path = accounts::key_path(&host);
        if let Some(bytes) = reader.read(&path)? {
            let sealed = accounts::ciphertext(bytes, &path)?;
            let recipients = layout::account_recipients(workspace)?;
            let description = accounts::metadata_path(&host);
            let file = (path, sealed);
            let owner = Owner::Account(host);
            all.push(key_file(
                &mut reader,
                owner,
                file,
                (recipients, description),
            )?);
        }
    }
    for name in certificates(workspace)? {
        let path = certificate_file(&name, "key.age");
        if let Some(bytes) = reader.read(&path)? {
            let sealed = accounts::ciphertext(bytes, &path)?;
            let listed = lists.listed.get(&name).map(String::as_str);
            let recipients = layout::recipients(&mut reader, &name, listed, lists.instead)?;
            let description = certificate_file(&name, "json");
            let owner = Owner::Certificate(name);
            all.push(key_file(
                &mut reader,
                owner,
                (path, sealed),
                (recipients, description),
            )?);
        }
    }
    Ok(all)
}

/// Names of folders of certificates.
pub(crate) fn certificates(workspace: &Workspace) -> Result<Vec<CertificateName>> {
    let folders = workspace.folders("certificates")?;
    Ok(folders
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect())
}

fn key_file(
    reader: &mut Reader<'_>,
    owner: Owner,
    (path, sealed): (String, Sealed),
    (recipients, description): (Recipients, String),
) -> Result<KeyFile> {
    let fields = fields(reader.read(&description)?, &description)?;
    let fit = fit(&fields, &sealed, &recipients.hash());
    Ok(KeyFile {
        owner,
        path,
        sealed,
        recipients,
        fit,
        description: (description, fields),
    })
}

/// What NAME.json or account.json says; nothing where there is none.
pub(super) fn fields(bytes: Option<Vec<u8>>, path: &str) -> Result<Map<String, Value>> {
    match bytes {
        Some(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("`{path}` cannot be read"))
        }
        None => Ok(Map::new()),
    }
}

/// Whether a key is encrypted for the list with this hash, by what the file beside it says.
pub(super) fn fit(fields: &Map<String, Value>, sealed: &Sealed, list: &str) -> Fit {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let noted = text(KEY_AGE);
    if is_swapped(noted, sealed.as_str().as_bytes()) {
        return Fit::Swapped;
    }
    match text(RECIPIENTS).filter(|_| noted.is_some()) {
        Some(hash) if hash == list => Fit::Current,
        Some(_) => Fit::Stale,
        None => Fit::Unknown,
    }
}

/// Whether NAME.json names another key than this file has.
pub(crate) fn names_another(description: &[u8], key: &[u8]) -> bool {
    let fields: Map<String, Value> = serde_json::from_slice(description).unwrap_or_default();
    is_swapped(fields.get(KEY_AGE).and_then(Value::as_str), key)
}

/// Of these keys, those of the certificates that are named; all if none is.
pub(crate) fn named(keys: Vec<KeyFile>, names: &BTreeSet<CertificateName>) -> Result<Vec<KeyFile>> {
    if names.is_empty() {
        return Ok(keys);
    }
    let mut missing = names.clone();
    let mut found = Vec::new();
    for key in keys {
        if let Owner::Certificate(name) = &key.owner
            && missing.remove(name)
        {
            found.push(key);
        }
    }
    match missing.first() {
        None => Ok(found),
        Some(name) => Err(with_hint(
            anyhow!(
                "certificate `{name}` has no encrypted key: `{}` is not there",
                certificate_file(name, "key.age")
            ),
            "it takes a `cert_name` of certs.json whose certificate was issued",
        )),
    }
}

/// Public key (`SubjectPublicKeyInfo`, DER) of a certificate that the repository has.
pub(crate) fn public_key(
    reader: &mut Reader<'_>,
    name: &CertificateName,
) -> Result<Option<Vec<u8>>> {
    let path = certificate_file(name, "crt");
    let Some(bytes) = reader.read(&path)? else {
        return Ok(None);
    };
    let leaf = Leaf::from_pem(&bytes).with_context(|| format!("`{path}` cannot be read"))?;
    Ok(Some(leaf.public_key))
}

/// Lists that certs.json has for single certificates.
pub(crate) fn listed(wanted: &[Wanted]) -> BTreeMap<CertificateName, String> {
    let lists = wanted
        .iter()
        .filter_map(|wanted| Some((wanted.name.clone(), wanted.recipients.clone()?)));
    lists.collect()
}
