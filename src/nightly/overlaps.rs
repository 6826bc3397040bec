//! Certificates that are in each other's way. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::certificate::{CertificateName, KeyType, Wanted};
use crate::model::name::Identifier;

/// What is the same in certificates that one of would do.
type Same<'w> = (BTreeSet<&'w Identifier>, KeyType, Option<&'w str>);

/// Certificates that ask for what an earlier one asks for, by their positions: names, kind of key and CA.
///
/// Two of different kinds, RSA and ECDSA, are wanted by servers that have both.
pub(super) fn duplicates(wanted: &[&Wanted]) -> Vec<(usize, CertificateName)> {
    let mut seen: BTreeMap<Same<'_>, &CertificateName> = BTreeMap::new();
    let mut all = Vec::new();
    for (position, wanted) in wanted.iter().enumerate() {
        let same = (
            wanted.identifier_set(),
            wanted.key_type,
            wanted.acme.as_deref(),
        );
        match seen.get(&same) {
            Some(first) => all.push((position, (*first).clone())),
            None => {
                seen.insert(same, &wanted.name);
            }
        }
    }
    all
}

/// Certificates whose names differ from an earlier one's in case alone, by their positions.
pub(super) fn same_folder(wanted: &[&Wanted]) -> Vec<(usize, CertificateName)> {
    let mut seen: BTreeMap<String, &CertificateName> = BTreeMap::new();
    let mut all = Vec::new();
    for (position, wanted) in wanted.iter().enumerate() {
        let folder = wanted.name.as_str().to_ascii_lowercase();
        match seen.get(&folder) {
            Some(first) => all.push((position, (*first).clone())),
            None => {
                seen.insert(folder, &wanted.name);
            }
        }
    }
    all
}
