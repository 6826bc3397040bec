//! What the repository has of each certificate, listed or not, in whatever state it is.
//!
//! What cannot be read of one certificate is said of that one: a look must not fail because of it.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::model::certificate::{CertificateName, Held, Wanted};
use crate::model::chain::Leaf;
use crate::model::status::KeyReaders;
use crate::repo::accounts;
use crate::repo::git::{Reader, Workspace};
use crate::repo::held::held_one;
use crate::repo::keys::{self, Lists};
use crate::repo::layout::{self, certificate_file};
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
    let mut looking = Looking {
        reader: workspace.reader()?,
        lists,
        general: None,
    };
    let mut all = BTreeMap::new();
    for Wanted {
        name, key_source, ..
    } in wanted
    {
        let is_elsewhere = key_source.is_elsewhere();
        all.insert(name.clone(), looking.at(name, is_elsewhere)?);
    }
    for name in keys::certificates(workspace)? {
        if all.contains_key(&name) {
            continue;
        }
        // Nobody waits for its key.
        let one = looking.at(&name, true)?;
        if one.held.is_some() {
            all.insert(name, one);
        }
    }
    Ok(all)
}

/// A list of recipients, as far as a look is concerned.
#[derive(Clone)]
struct List {
    count: usize,
    source: String,
    hash: String,
}

/// Looks at many certificates: what is the same for all is read once.
struct Looking<'w> {
    reader: Reader<'w>,
    lists: &'w Lists<'w>,
    /// The list of certificates that have none of their own.
    general: Option<List>,
}

impl Looking<'_> {
    fn at(&mut self, name: &CertificateName, key_is_elsewhere: bool) -> Result<Stock> {
        let held = held_one(&mut self.reader, name, key_is_elsewhere)?;
        let (leaf, revoked) = match &held {
            Some(Ok(held)) => (Some(held.leaf.clone()), None),
            Some(Err(_)) => {
                let chain = self.reader.read(&certificate_file(name, "crt"))?;
                let description = self.reader.read(&certificate_file(name, "json"))?;
                (
                    chain.and_then(|bytes| Leaf::from_pem(&bytes).ok()),
                    description.and_then(|bytes| revoked::reason(&bytes)),
                )
            }
            None => (None, None),
        };
        let readers = self.readers(name).transpose();
        Ok(Stock {
            held,
            leaf,
            revoked,
            readers: readers.map(|readers| readers.map_err(|error| format!("{error:#}"))),
        })
    }

    fn readers(&mut self, name: &CertificateName) -> Result<Option<KeyReaders>> {
        let path = certificate_file(name, "key.age");
        let Some(bytes) = self.reader.read(&path)? else {
            return Ok(None);
        };
        let sealed = accounts::ciphertext(bytes, &path)?;
        let list = self.list(name)?;
        let path = certificate_file(name, "json");
        let fields = keys::fields(self.reader.read(&path)?, &path)?;
        Ok(Some(KeyReaders {
            count: list.count,
            fit: keys::fit(&fields, &sealed, &list.hash),
            source: list.source,
        }))
    }

    fn list(&mut self, name: &CertificateName) -> Result<List> {
        let listed = self.lists.listed.get(name).map(String::as_str);
        let has_own = listed.is_some() || self.reader.has(&layout::own_recipients(name))?;
        if let Some(general) = self.general.as_ref().filter(|_| !has_own) {
            return Ok(general.clone());
        }
        let recipients = layout::recipients(&mut self.reader, name, listed, self.lists.instead)?;
        let list = List {
            count: recipients.lines().count(),
            source: recipients.origin().to_owned(),
            hash: recipients.hash(),
        };
        if !has_own {
            self.general = Some(list.clone());
        }
        Ok(list)
    }
}
