//! What DNSControl leaves alone in a zone: `NO_PURGE`, `IGNORE()`, `IGNORE_EXTERNAL_DNS()`. Pure.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::model::name::DnsName;
use crate::model::zone::{Record, Zone};
use crate::nightly::patterns::Ignored;

/// Name and type: what DNSControl groups records by.
pub(super) type SetKey = (DnsName, String);

/// The set that a record belongs to.
pub(super) fn set_of(record: &Record) -> SetKey {
    (record.name.clone(), record.rtype.clone())
}

/// Existing records that DNSControl leaves alone, as if they were declared.
pub(super) fn hands_off(
    zone: &Zone,
    existing: &[Record],
    desired: &[Record],
) -> Result<Vec<Record>> {
    let patterns = Ignored::of(zone)?;
    let declared: BTreeSet<_> = desired.iter().map(set_of).collect();
    let absent: BTreeSet<_> = zone.absent.iter().map(set_of).collect();
    let external = match &zone.external_dns {
        Some(prefix) => external_sets(zone, &prefix.to_lowercase(), existing),
        None => BTreeSet::new(),
    };
    let is_kept = |record: &&Record| {
        let set = set_of(record);
        patterns.iter().any(|pattern| pattern.matches(zone, record))
            || !declared.contains(&set)
                && (zone.no_purge && !absent.contains(&set) || external.contains(&set))
    };
    Ok(existing.iter().filter(is_kept).cloned().collect())
}

/// What the TXT records of external-dns begin with.
///
/// <https://kubernetes-sigs.github.io/external-dns/latest/docs/registry/txt/>
const HERITAGE: &str = "heritage=external-dns";

/// Types that external-dns puts before the names of its TXT records, in lower case.
const EXTERNAL_TYPES: [&str; 7] = ["a", "aaaa", "cname", "mx", "ns", "srv", "txt"];

/// The sets of external-dns: its TXT records, and the records that they stand for.
fn external_sets(zone: &Zone, prefix: &str, existing: &[Record]) -> BTreeSet<SetKey> {
    let is_heritage = |record: &&Record| record.rtype == "TXT" && record.data.contains(HERITAGE);
    let mut sets = BTreeSet::new();
    for record in existing.iter().filter(is_heritage) {
        sets.insert(set_of(record));
        let Some(label) = record.name.label_in(&zone.name) else {
            continue;
        };
        let (label, rtype) = owned(label, prefix);
        let Some(name) = name_in(zone, label) else {
            continue;
        };
        match rtype {
            Some(rtype) => {
                sets.insert((name, rtype.to_uppercase()));
            }
            // A name without a type stands for all but other TXT records.
            None => sets.extend(
                EXTERNAL_TYPES
                    .iter()
                    .filter(|rtype| **rtype != "txt")
                    .map(|rtype| (name.clone(), rtype.to_uppercase())),
            ),
        }
    }
    sets
}

/// The label of the record that a TXT record of external-dns stands for, and its type where the
/// TXT record's label says it: `PREFIXa-www`, `PREFIXa.www`, `PREFIXa` (at the top), `PREFIXwww`.
fn owned<'a>(label: &'a str, prefix: &str) -> (&'a str, Option<&'static str>) {
    let prefixed = Some(prefix)
        .filter(|prefix| !prefix.is_empty())
        .and_then(|prefix| label.strip_prefix(prefix));
    let rest = prefixed.unwrap_or(label);
    let typed = EXTERNAL_TYPES.iter().find_map(|&rtype| {
        let after = rest.strip_prefix(rtype)?;
        let is_top = after.is_empty() && prefixed.is_some();
        let owned = after.strip_prefix(['-', '.']);
        owned
            .or_else(|| is_top.then_some(""))
            .map(|owned| (owned, Some(rtype)))
    });
    typed.unwrap_or((rest, None))
}

fn name_in(zone: &Zone, label: &str) -> Option<DnsName> {
    match label {
        "" | "@" => Some(zone.name.clone()),
        label => DnsName::within(label, &zone.name).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_external_dns_say_what_they_stand_for() {
        for (label, prefix, expected) in [
            ("www", "", ("www", None)),
            ("a-www", "", ("www", Some("a"))),
            ("aaaa-www.k8s", "", ("www.k8s", Some("aaaa"))),
            ("cname.www", "", ("www", Some("cname"))),
            ("txt-www", "", ("www", Some("txt"))),
            ("a-", "", ("", Some("a"))),
            ("a", "", ("a", None)),
            ("api", "", ("api", None)),
            ("@", "", ("@", None)),
            ("ext-www", "ext-", ("www", None)),
            ("ext-srv-www", "ext-", ("www", Some("srv"))),
            ("ext-mx.www", "ext-", ("www", Some("mx"))),
            ("ext-ns", "ext-", ("", Some("ns"))),
            ("ext-", "ext-", ("", None)),
            ("a-www", "ext-", ("www", Some("a"))),
        ] {
            assert_eq!(owned(label, prefix), expected, "{label} {prefix}");
        }
    }
}
