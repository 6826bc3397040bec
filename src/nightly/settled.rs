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
use crate::repo::git::Reader;
use crate::repo::journal::OrderNote;
use crate::repo::layout::{self, certificate_file};
use crate::repo::revoked::says_compromised;

/// How far before its order a certificate may begin that does not say when it was received: Let's Encrypt says an hour.
const BACKDATED: Duration = Duration::hours(2);

/// The certificate that there is, in whatever state.
pub(super) struct Present {
    pub(super) leaf: Leaf,
    /// When it was received, if that is known.
    pub(super) received: Option<OffsetDateTime>,
    /// Its key must not be used again.
    pub(super) is_compromised: bool,
}

/// Whether an order is too old, has led to the certificate that is there, or was placed before that was there: a run was
/// killed after it had stored the certificate, or somebody put an old journal back.
pub(super) fn is_settled(note: &OrderNote, present: Option<&Present>, now: OffsetDateTime) -> bool {
    let is_past = present.is_some_and(
        |Present {
             leaf,
             received,
             is_compromised,
         }| {
            let request = BASE64_STANDARD.decode(&note.request).unwrap_or_default();
            let request = SigningRequest::parse(&request);
            let (is_same_key, is_same) = request.map_or((false, false), |request| {
                let is_same_key = request.public_key == leaf.public_key;
                (
                    is_same_key,
                    is_same_key && request.identifiers == leaf.identifiers,
                )
            });
            // A key may be kept for longer than one certificate, and for other names.
            let from = match received {
                // A clock may have been wrong.
                Some(received) if *received <= now => *received,
                _ if is_same => leaf.not_before + BACKDATED,
                _ => leaf.not_before,
            };
            note.placed < from || (is_same_key && *is_compromised)
        },
    );
    is_past || now - note.placed > ORDERS_LAST
}

/// What the repository has of the certificates with these names. What cannot be read is left out.
pub(super) fn present(
    reader: &mut Reader<'_>,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, Present>> {
    let mut all = BTreeMap::new();
    for name in names {
        let Ok(certificate) = name.parse::<CertificateName>() else {
            continue;
        };
        let bytes = reader.read(&certificate_file(&certificate, "crt"))?;
        let leaf = bytes.and_then(|bytes| Leaf::from_pem(&bytes).ok());
        if let Some(leaf) = leaf {
            let description = reader.read(&certificate_file(&certificate, "json"))?;
            let description = description.unwrap_or_default();
            let is_compromised = says_compromised(&description);
            let present = Present {
                received: layout::received(&description, &leaf),
                leaf,
                is_compromised,
            };
            all.insert(name.clone(), present);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use git2::{FileMode, Repository};
    use rcgen::{CertificateParams, KeyPair, SerialNumber};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

    fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateParams::new(names).unwrap()
    }

    /// A certificate that was issued now, which Let's Encrypt backdates by an hour.
    fn chain(names: &[&str], key: &KeyPair) -> String {
        let mut params = params(names);
        params.not_before = NOW - Duration::HOUR;
        params.serial_number = Some(SerialNumber::from_slice(&[7]));
        params.self_signed(key).unwrap().pem()
    }

    fn order(names: &[&str], key: &KeyPair, placed: OffsetDateTime) -> OrderNote {
        let request = params(names).serialize_request(key).unwrap();
        OrderNote {
            certificate: "www".to_owned(),
            directory: "https://ca.test/dir".to_owned(),
            account: "https://ca.test/1".to_owned(),
            url: "https://ca.test/order/1".to_owned(),
            placed,
            profile: None,
            request: BASE64_STANDARD.encode(request.der()),
            key: None,
            recipients: String::new(),
            mark: String::new(),
        }
    }

    #[test]
    fn an_order_is_settled_by_the_certificate_that_came_of_it() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let present = |is_compromised| Present {
            leaf: Leaf::from_pem(chain(&["a.test"], &key).as_bytes()).unwrap(),
            received: None,
            is_compromised,
        };
        let (good, bad) = (present(false), present(true));
        let settled = |note: &OrderNote, present| is_settled(note, present, NOW);
        let minutes = Duration::minutes;

        // The order that it came of, or one before.
        for placed in [NOW - minutes(1), NOW - minutes(90)] {
            assert!(settled(&order(&["a.test"], &key, placed), Some(&good)));
        }
        // The same key is kept for another name: an order of an hour after the last issue.
        let grown = order(&["a.test", "b.test"], &key, NOW + minutes(30));
        assert!(!settled(&grown, Some(&good)));
        assert!(settled(&grown, Some(&bad)));
        assert!(!settled(&grown, None));
        let older = order(&["a.test", "b.test"], &key, NOW - minutes(90));
        assert!(settled(&older, Some(&good)));
        // The next renewal with the same key.
        assert!(!settled(
            &order(&["a.test"], &key, NOW + minutes(61)),
            Some(&good)
        ));
        // Another key.
        let next = order(&["a.test"], &other, NOW - minutes(1));
        assert!(!settled(&next, Some(&good)) && !settled(&next, Some(&bad)));
        // Nothing came of it in time.
        assert!(settled(
            &order(&["a.test"], &other, NOW - ORDERS_LAST - minutes(1)),
            None
        ));
    }

    #[test]
    fn an_order_from_before_the_certificate_was_received_is_settled() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let present = |received| Present {
            leaf: Leaf::from_pem(chain(&["a.test"], &key).as_bytes()).unwrap(),
            received: Some(received),
            is_compromised: false,
        };
        // Of a machine that was ahead.
        let tomorrow = present(NOW + Duration::DAY);
        let fresh = order(&["a.test"], &other, NOW - Duration::minutes(1));
        assert!(!is_settled(&fresh, Some(&tomorrow), NOW));
        let present = present(NOW);
        for key in [&key, &other] {
            let settled =
                |placed| is_settled(&order(&["a.test"], key, placed), Some(&present), NOW);
            assert!(settled(NOW - Duration::MILLISECOND));
            assert!(!settled(NOW + Duration::MILLISECOND));
        }
    }

    #[test]
    fn what_is_large_is_read_once_for_all_orders() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut all = repository.treebuilder(None).unwrap();
        let mut names = BTreeSet::new();
        for number in 0..20 {
            let name = format!("c{number}");
            let marked =
                r#"{"revoked": {"at": "2026-11-25T00:00:00Z", "reason": "keyCompromise"}}"#;
            let description = if number == 7 { marked } else { "{}" };
            let mut one = repository.treebuilder(None).unwrap();
            for (end, text) in [
                ("crt", chain(&["a.test"], &key)),
                ("json", description.to_owned()),
            ] {
                let blob = repository.blob(text.as_bytes()).unwrap();
                one.insert(format!("{name}.{end}"), blob, FileMode::Blob.into())
                    .unwrap();
            }
            all.insert(&name, one.write().unwrap(), FileMode::Tree.into())
                .unwrap();
            names.insert(name);
        }
        let mut root = repository.treebuilder(None).unwrap();
        root.insert("certificates", all.write().unwrap(), FileMode::Tree.into())
            .unwrap();
        let root = repository.find_tree(root.write().unwrap()).unwrap();
        let mut reader = Reader::of(&repository, root);
        let found = present(&mut reader, &names).unwrap();
        let compromised = found.iter().filter(|(_, present)| present.is_compromised);
        let compromised: Vec<_> = compromised.map(|(name, _)| name.as_str()).collect();
        assert_eq!((found.len(), compromised), (names.len(), vec!["c7"]));
        // The folder of all of them, and each of theirs.
        assert_eq!(reader.trees_read(), 1 + names.len());
    }
}
