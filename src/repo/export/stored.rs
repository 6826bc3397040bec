//! What the cert repository has of a certificate that is to be exported.

use anyhow::{Context, Result, anyhow};

use crate::model::certificate::CertificateName;
use crate::model::chain::{self, Leaf, Part};
use crate::model::hint::{Hint, with_hint};
use crate::model::home::Home;
use crate::model::secret::{Sealed, Secret};
use crate::repo::accounts;
use crate::repo::git::Reader;
use crate::repo::layout::certificate_file;
use crate::repo::revoked;

/// A certificate, and its key as it is kept.
pub(crate) struct Stored {
    pub(crate) leaf: Leaf,
    /// Leaf first.
    pub(crate) chain: Vec<Part>,
    /// The file as it is.
    pub(crate) bytes: Vec<u8>,
    /// None where somebody else has it.
    pub(crate) key: Option<Key>,
    /// Where the key is, in words.
    pub(crate) key_place: String,
    /// `revoked on DATE: REASON`
    pub(crate) revoked: Option<String>,
}

/// A key as it is kept.
pub(crate) enum Key {
    Sealed(Sealed),
    /// From Vault.
    Open(Secret),
}

/// Path of the file with all certificates.
pub(crate) fn chain_path(name: &CertificateName) -> String {
    certificate_file(name, "crt")
}

/// Path of the encrypted key.
fn key_path(name: &CertificateName) -> String {
    certificate_file(name, "key.age")
}

/// Reads the certificate; none if it is not there.
pub(crate) fn find(reader: &mut Reader<'_>, name: &CertificateName) -> Result<Option<Stored>> {
    let path = chain_path(name);
    let Some(bytes) = reader.read(&path)? else {
        return Ok(None);
    };
    let unreadable = || format!("`{path}` cannot be read");
    let description = reader.read(&certificate_file(name, "json"))?;
    let key_path = key_path(name);
    let key = reader.read(&key_path)?;
    Ok(Some(Stored {
        leaf: Leaf::from_pem(&bytes).with_context(unreadable)?,
        chain: chain::parts(&bytes).with_context(unreadable)?,
        bytes,
        key: key
            .map(|bytes| accounts::ciphertext(bytes, &key_path))
            .transpose()?
            .map(Key::Sealed),
        key_place: key_path,
        revoked: description.and_then(|bytes| revoked::reason(&bytes)),
    }))
}

/// There is no certificate of this name. `path`: where it would be.
pub(crate) fn missing(name: &CertificateName, path: &str) -> anyhow::Error {
    with_hint(
        anyhow!("there is no certificate `{name}`: `{path}` is not there"),
        "it takes a `cert_name` of certs.json whose certificate was issued",
    )
}

/// The key of a certificate, or why there is none.
pub(crate) fn key(name: &CertificateName, stored: &mut Stored, home: Home) -> Result<Key> {
    if let Some(revoked) = &stored.revoked {
        return Err(anyhow!("certificate `{name}` was {revoked}"))
            .hint(|| "`git-certs renew` issues it again");
    }
    let place = &stored.key_place;
    let (what, hint) = match home {
        Home::Repository => (
            "encrypted key",
            "whoever made its `csr` has the key; a key in plain text is encrypted by the next renewal",
        ),
        Home::Vault => ("key", "whoever made its `csr` has the key"),
    };
    stored
        .key
        .take()
        .ok_or_else(|| anyhow!("certificate `{name}` has no {what}: `{place}` is not there"))
        .hint(|| hint)
}
