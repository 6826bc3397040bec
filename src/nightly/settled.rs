//! Orders of earlier runs that are to be forgotten: nothing good can come of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use time::{Duration, OffsetDateTime};

use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::request::SigningRequest;
use crate::nightly::logbook::ORDERS_LAST;
use crate::repo::git::Workspace;
use crate::repo::journal::OrderNote;
use crate::repo::layout::certificate_file;
use crate::repo::revoked;

/// How far before its order a certificate may begin: Let's Encrypt says an hour.
const BACKDATED: Duration = Duration::hours(2);

/// The certificate that there is, in whatever state.
pub(super) struct Present {
    pub(super) leaf: Leaf,
    /// Its key must not be used again.
    pub(super) is_compromised: bool,
}

/// Whether an order is too old, has led to the certificate that is there, or was placed before that began: a run was
/// killed after it had stored the certificate, or somebody put an old journal back.
pub(super) fn is_settled(note: &OrderNote, present: Option<&Present>, now: OffsetDateTime) -> bool {
    let is_past = present.is_some_and(
        |Present {
             leaf,
             is_compromised,
         }| {
            let request = BASE64_STANDARD.decode(&note.request).unwrap_or_default();
            let request = SigningRequest::parse(&request);
            let is_same_key = request.is_ok_and(|request| request.public_key == leaf.public_key);
            // A key may be kept for longer than one certificate.
            let from = if is_same_key {
                leaf.not_before + BACKDATED
            } else {
                leaf.not_before
            };
            note.placed < from || (is_same_key && *is_compromised)
        },
    );
    is_past || now - note.placed > ORDERS_LAST
}

/// What the repository has of the certificates with these names. What cannot be read is left out.
pub(super) fn present(
    workspace: &Workspace,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, Present>> {
    let mut reader = workspace.reader()?;
    let mut all = BTreeMap::new();
    for name in names {
        let Ok(certificate) = name.parse::<CertificateName>() else {
            continue;
        };
        let bytes = reader.read(&certificate_file(&certificate, "crt"))?;
        let leaf = bytes.and_then(|bytes| Leaf::from_pem(&bytes).ok());
        if let Some(leaf) = leaf {
            let is_compromised = revoked::is_compromised(workspace, &certificate)?;
            let present = Present {
                leaf,
                is_compromised,
            };
            all.insert(name.clone(), present);
        }
    }
    Ok(all)
}
