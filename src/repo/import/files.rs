//! Files of the cert repository that an imported certificate becomes, and whether they are there already.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::secret::{Sealed, Secret};
use crate::repo::accounts;
use crate::repo::git::{Content, File, Workspace};
use crate::repo::keys;
use crate::repo::layout::{certificate_file, facts, sha256};
use crate::repo::recipients::Recipients;

/// A certificate that is to be stored.
pub(crate) struct Import {
    pub(crate) name: CertificateName,
    pub(crate) leaf: Leaf,
    /// Leaf first, PEM.
    pub(crate) chain: String,
    pub(crate) domain: Option<String>,
    /// Where the CA keeps it.
    pub(crate) url: Option<String>,
    /// Directory URL of the CA.
    pub(crate) directory: Option<String>,
}

/// What the repository has under a name.
pub(crate) struct There {
    pub(crate) leaf: Option<Leaf>,
    pub(crate) has_key: bool,
    /// Hashes say that the encrypted key is the certificate's.
    pub(crate) is_bound: bool,
}

/// Looks for a certificate.
pub(crate) fn there(workspace: &Workspace, name: &CertificateName) -> Result<There> {
    let chain = workspace.read(&certificate_file(name, "crt"))?;
    let leaf = chain.and_then(|chain| Leaf::from_pem(&chain).ok());
    let key = accounts::sealed(workspace, &certificate_file(name, "key.age"))?;
    let fields = description(workspace, name)?;
    let is = |field: &str, hash: String| {
        fields.get(field).and_then(Value::as_str) == Some(hash.as_str())
    };
    let is_bound = match (&leaf, &key) {
        (Some(leaf), Some(key)) => {
            is("public_key_sha256", sha256(&leaf.public_key))
                && is("key_age_sha256", sha256(key.as_str().as_bytes()))
        }
        _ => false,
    };
    Ok(There {
        leaf,
        has_key: key.is_some(),
        is_bound,
    })
}

/// NAME.json; without fields where it cannot be read.
fn description(workspace: &Workspace, name: &CertificateName) -> Result<Map<String, Value>> {
    let bytes = workspace.read(&certificate_file(name, "json"))?;
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default())
}

/// The files of a certificate, its key first.
///
/// Fields of a NAME.json of the same certificate stay.
pub(crate) fn files(
    workspace: &Workspace,
    import: &Import,
    key: &Secret,
    recipients: &Recipients,
) -> Result<Vec<File>> {
    let Import { name, leaf, .. } = import;
    let sealed: Sealed = recipients.seal(key)?;
    let is_same = there(workspace, name)?
        .leaf
        .is_some_and(|there| there == *leaf);
    let mut fields = if is_same {
        description(workspace, name)?
    } else {
        Map::new()
    };
    let own = [
        ("domain", &import.domain),
        ("certUrl", &import.url),
        ("certStableUrl", &import.url),
    ];
    for (field, value) in own {
        if let Some(value) = value
            && !fields.contains_key(field)
        {
            fields.insert(field.to_owned(), value.as_str().into());
        }
    }
    fields.extend(facts(leaf)?);
    if let Some(directory) = &import.directory {
        fields.insert("directory".to_owned(), directory.as_str().into());
    }
    keys::note(&mut fields, &sealed, recipients);
    let public = |end: &str, text: String| File {
        path: certificate_file(name, end),
        content: Content::Public(text.into_bytes()),
    };
    Ok(vec![
        File {
            path: certificate_file(name, "key.age"),
            content: Content::Sealed(sealed),
        },
        public("crt", import.chain.clone()),
        public("json", format!("{:#}\n", Value::Object(fields))),
    ])
}
