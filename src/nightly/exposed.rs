//! Which keys of today the history has in plain text.

use std::collections::BTreeMap;

use anyhow::Result;
use time::OffsetDateTime;

use crate::acme::key::CertificateKey;
use crate::model::certificate::CertificateName;
use crate::model::chain::Leaf;
use crate::model::import::Exposed;
use crate::repo::git::Workspace;
use crate::repo::import::exposed::History;
use crate::repo::layout::certificate_file;
use crate::repo::{accounts, keys};

/// Public keys of accounts, by their hosts.
pub(super) type AccountKeys = BTreeMap<String, Vec<u8>>;

/// Compares keys of the history with those of certificates that are valid, and of accounts:
/// those that are `imported` now, and those that were.
///
/// `listed`: what certs.json has.
pub(super) fn of_today(
    workspace: &Workspace,
    history: &History,
    (imported, listed): (&AccountKeys, &[CertificateName]),
    now: OffsetDateTime,
) -> Result<Exposed> {
    let mut exposed = Exposed {
        by_pgp: history.by_pgp,
        ..Exposed::default()
    };
    if history.plain.is_empty() {
        return Ok(exposed);
    }
    let mut today = BTreeMap::new();
    let mut reader = workspace.reader()?;
    for name in keys::certificates(workspace)? {
        let chain = reader.read(&certificate_file(&name, "crt"))?;
        let leaf = chain.and_then(|chain| Leaf::from_pem(&chain).ok());
        if let Some(leaf) = leaf.filter(|leaf| leaf.not_after > now) {
            today.insert(leaf.public_key, name);
        }
    }
    for plain in &history.plain {
        let mut is_of_today = false;
        for key in CertificateKey::import_all(&plain.content) {
            let public = key.public_key_der();
            let owners = imported.iter().filter(|(_, key)| **key == public);
            let mut hosts: Vec<_> = owners.map(|(host, _)| host.clone()).collect();
            // Those that an earlier import took over.
            hosts.extend(accounts::with_key(workspace, &public)?);
            let name = today.get(&public);
            is_of_today |= name.is_some() || !hosts.is_empty();
            exposed.accounts.extend(hosts);
            if let Some(name) = name
                && !exposed.certificates.iter().any(|(known, _)| known == name)
            {
                exposed
                    .certificates
                    .push((name.clone(), listed.contains(name)));
            }
        }
        if is_of_today {
            exposed
                .files
                .push((plain.path.clone(), plain.commit.clone()));
        }
    }
    exposed.certificates.sort();
    Ok(exposed)
}
