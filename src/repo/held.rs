//! What the repository has of certificates, as a plan takes it.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::model::certificate::{CertificateName, Held, Wanted};
use crate::model::chain::Leaf;
use crate::model::renewal::RenewalInfo;
use crate::repo::git::{Reader, Workspace};
use crate::repo::layout::{BY_PGP, PLAIN, certificate_file, is_swapped};
use crate::repo::revoked;

/// What the repository has of the certificates that are wanted.
///
/// A certificate that is there but cannot be read, or was revoked, is an `Err` with the reason.
pub(crate) fn held(
    workspace: &Workspace,
    wanted: &[Wanted],
) -> Result<BTreeMap<CertificateName, Result<Held, String>>> {
    let mut all = BTreeMap::new();
    let mut reader = workspace.reader()?;
    for Wanted {
        name, key_source, ..
    } in wanted
    {
        let is_elsewhere = key_source.is_elsewhere();
        if let Some(held) = held_one(&mut reader, name, is_elsewhere)? {
            all.insert(name.clone(), held);
        }
    }
    Ok(all)
}

/// The same for one certificate; none where there is none.
pub(super) fn held_one(
    reader: &mut Reader<'_>,
    name: &CertificateName,
    key_is_elsewhere: bool,
) -> Result<Option<Result<Held, String>>> {
    let path = certificate_file(name, "crt");
    let Some(bytes) = reader.read(&path)? else {
        return Ok(None);
    };
    let leaf =
        Leaf::from_pem(&bytes).map_err(|error| format!("`{path}` cannot be read: {error:#}"));
    let path = certificate_file(name, "key.age");
    let is_sealed = reader.has(&path)?;
    // Nothing here needs the key itself: one that may not be read is there.
    let sealed = is_sealed
        .then(|| reader.read(&path).ok())
        .flatten()
        .flatten();
    let key = match &sealed {
        Some(bytes) => Key::Sealed(bytes),
        None if is_sealed || key_is_elsewhere || has_foreign_key(reader, name)? => Key::Other,
        None => Key::Missing,
    };
    let description = reader.read(&certificate_file(name, "json"))?;
    Ok(Some(held_of(leaf, key, description.as_deref())))
}

/// What there is of a certificate's key.
#[derive(Clone, Copy)]
pub(super) enum Key<'k> {
    /// Encrypted with age.
    Sealed(&'k [u8]),
    /// Somewhere else, or in another form.
    Other,
    Missing,
}

/// What files of a certificate make together: those of today, or of an older commit.
pub(super) fn held_of(
    leaf: Result<Leaf, String>,
    key: Key<'_>,
    description: Option<&[u8]>,
) -> Result<Held, String> {
    let leaf = match key {
        Key::Missing => leaf.and_then(|_| Err("its key is not in the repository".to_owned())),
        Key::Sealed(_) | Key::Other => leaf,
    };
    let known: Known = match description {
        Some(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        None => Known::default(),
    };
    let leaf = match description.and_then(revoked::reason) {
        Some(reason) => leaf.and(Err(reason)),
        None => leaf,
    };
    let leaf = match key {
        Key::Sealed(key) if is_swapped(known.key_age_sha256.as_deref(), key) => {
            leaf.and_then(|_| Err(SWAPPED.to_owned()))
        }
        Key::Sealed(_) | Key::Other | Key::Missing => leaf,
    };
    leaf.map(|leaf| Held {
        leaf,
        ca: known.directory.or(known.cert_url),
        renewal: known.renewal_info,
        recipients: known.recipients_sha256,
    })
}

/// What is wrong with a key that another file has taken the place of.
const SWAPPED: &str = "its key is not the one that NAME.json names: it was swapped or damaged";

/// What NAME.json knows and the certificate does not say. One that cannot be read knows nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Known {
    directory: Option<String>,
    #[serde(rename = "certUrl")]
    cert_url: Option<String>,
    renewal_info: Option<RenewalInfo>,
    recipients_sha256: Option<String>,
    key_age_sha256: Option<String>,
}

/// A key that age has not encrypted counts: it is there, and is replaced when the certificate is due.
fn has_foreign_key(reader: &mut Reader<'_>, name: &CertificateName) -> Result<bool> {
    for end in [PLAIN, BY_PGP] {
        if reader.has(&certificate_file(name, end))? {
            return Ok(true);
        }
    }
    Ok(false)
}
