//! What the repository has of each certificate, listed or not, in whatever state it is.
//!
//! What cannot be read of one certificate is said of that one: a look must not fail because of it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::model::certificate::{CertificateName, Held, KeySource, Wanted};
use crate::model::chain::Leaf;
use crate::model::status::KeyReaders;
use crate::repo::git::{Reader, Workspace};
use crate::repo::keys::{self, Lists};
use crate::repo::layout::{certificate_file, held_one};
use crate::repo::revoked;

/// What there is of one certificate.
#[derive(Debug)]
pub(crate) struct Stock {
    /// As a plan takes it; none where there is no certificate.
    pub(crate) held: Option<Result<Held, String>>,
    /// What the certificate says, also where it cannot be used.
    pub(crate) leaf: Option<Leaf>,
    /// The mark in NAME.json, in words.
    pub(crate) revoked: Option<String>,
    /// Who can open its key; none where there is no encrypted key.
    pub(crate) readers: Option<Result<KeyReaders, String>>,
}

/// What there is of the certificates that are listed, and of all others that have a folder.
pub(crate) fn stock(
    workspace: &Workspace,
    wanted: &[Wanted],
    lists: &Lists<'_>,
) -> Result<BTreeMap<CertificateName, Stock>> {
    let mut reader = workspace.reader()?;
    let mut all = BTreeMap::new();
    for Wanted {
        name, key_source, ..
    } in wanted
    {
        let is_elsewhere = matches!(key_source, KeySource::Request(_));
        let one = look(workspace, &mut reader, (name, is_elsewhere), lists)?;
        all.insert(name.clone(), one);
    }
    for name in keys::certificates(workspace)? {
        if all.contains_key(&name) {
            continue;
        }
        // Nobody waits for its key.
        let one = look(workspace, &mut reader, (&name, true), lists)?;
        if one.held.is_some() {
            all.insert(name, one);
        }
    }
    Ok(all)
}

fn look(
    workspace: &Workspace,
    reader: &mut Reader<'_>,
    (name, key_is_elsewhere): (&CertificateName, bool),
    lists: &Lists<'_>,
) -> Result<Stock> {
    let held = held_one(reader, name, key_is_elsewhere)?;
    let (leaf, revoked) = match &held {
        Some(Ok(held)) => (Some(held.leaf.clone()), None),
        Some(Err(_)) => {
            let chain = reader.read(&certificate_file(name, "crt"))?;
            let description = reader.read(&certificate_file(name, "json"))?;
            (
                chain.and_then(|bytes| Leaf::from_pem(&bytes).ok()),
                description.and_then(|bytes| revoked::reason(&bytes)),
            )
        }
        None => (None, None),
    };
    let readers = match keys::of_certificate(workspace, reader, name, lists) {
        Ok(key) => key.map(|key| {
            Ok(KeyReaders {
                count: key.recipients.lines().count(),
                source: key.recipients.origin().to_owned(),
                fit: key.fit,
            })
        }),
        Err(error) => Some(Err(format!("{error:#}"))),
    };
    Ok(Stock {
        held,
        leaf,
        revoked,
        readers,
    })
}
