//! What `dnscontrol preview` would change in a zone. Pure.
//!
//! A zone with such corrections is not touched: dnsconfig.js and the provider disagree, and a human
//! has to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::model::change::Txt;
use crate::model::name::DnsName;
use crate::model::rdata::quote;
use crate::model::zone::{NameserverCount, Record, Zone};
use crate::nightly::hands_off::{hands_off, set_of};
use crate::nightly::patterns::NeverCount;
use crate::provider::port::{COMPARED, Quirks};

/// What is done about corrections that are pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The certificates that need the zone are not attempted.
    #[default]
    Abort,
    /// They are shown.
    Warn,
    /// Zones are not even read.
    Off,
}

/// What is done about corrections that are pending, and which never count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    pub(crate) never_count: Vec<NeverCount>,
}

impl Policy {
    pub(super) fn counts(&self, correction: &Correction) -> bool {
        let record = correction.record();
        !self.covers(&record.name, &record.rtype)
    }

    /// The same of a line that DNSControl prints, such as `+ CREATE www.example.com A 192.0.2.1 ttl=300`,
    /// or of some providers, `+ CREATE A www.example.com 192.0.2.1 ttl=300`.
    pub(super) fn counts_line(&self, line: &str) -> bool {
        let mut words = line.split_whitespace().skip(2);
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            return true;
        };
        // No type has a dot.
        let (name, rtype) = if first.contains('.') {
            (first, second)
        } else {
            (second.trim_end_matches(':'), first)
        };
        name.parse().map_or(true, |name| !self.covers(&name, rtype))
    }

    fn covers(&self, name: &DnsName, rtype: &str) -> bool {
        let mut patterns = self.never_count.iter();
        patterns.any(|pattern| pattern.covers(name, rtype))
    }
}

/// One difference between dnsconfig.js and a provider. It prints as DNSControl prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Correction {
    Create(Record),
    Delete(Record),
    Modify { from: Record, to: Record },
    ModifyTtl { from: Record, to: Record },
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = |record: &Record| format!("{} ttl={}", comparable(record), record.ttl);
        let Record { name, rtype, .. } = self.record();
        write!(f, "{} {name} {rtype} ", self.verb())?;
        match self {
            Self::Create(record) | Self::Delete(record) => f.write_str(&full(record)),
            Self::Modify { from, to } => write!(f, "({}) -> ({})", full(from), full(to)),
            Self::ModifyTtl { from, to } => {
                write!(f, "ttl=({}->{}) {}", from.ttl, to.ttl, comparable(to))
            }
        }
    }
}

impl Correction {
    /// The record that it is about; its name and type are those of the other side, too.
    fn record(&self) -> &Record {
        match self {
            Self::Create(record) | Self::Delete(record) => record,
            Self::Modify { to, .. } | Self::ModifyTtl { to, .. } => to,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "+ CREATE",
            Self::Delete(_) => "- DELETE",
            Self::Modify { .. } => "± MODIFY",
            Self::ModifyTtl { .. } => "± MODIFY-TTL",
        }
    }
}

/// The name servers that DNSControl declares at the apex: `NAMESERVER()`, then those of every
/// provider of the zone, as many as `DnsProvider(name, n)` says.
///
/// `known` has the name servers of providers by their entry in creds.json. None where a provider
/// that contributes is not known: then the apex NS set cannot be compared.
pub(crate) fn apex_nameservers(
    zone: &Zone,
    known: &BTreeMap<String, Vec<DnsName>>,
) -> Option<Vec<DnsName>> {
    let mut all = zone.nameservers.clone();
    for provider in &zone.providers {
        let count = match provider.nameservers {
            NameserverCount::First(0) => continue,
            NameserverCount::First(count) => count,
            NameserverCount::All => usize::MAX,
        };
        all.extend(known.get(&provider.entry)?.iter().take(count).cloned());
    }
    Some(all)
}

/// A zone as dnsconfig.js declares it, and what has to be known besides to compare it.
pub(crate) struct Declared<'a> {
    pub(crate) zone: &'a Zone,
    /// The answer of [`apex_nameservers`].
    pub(crate) nameservers: Option<&'a [DnsName]>,
    /// Names in the zone, or in any other, that CNAMEs at challenge names lead to.
    pub(crate) delegated: &'a BTreeSet<DnsName>,
}

/// What came of comparing a zone with one of its providers.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// What `dnscontrol preview` would do.
    pub(crate) corrections: Vec<Correction>,
    /// Challenge values that runs have left. They are no corrections, though DNSControl would
    /// delete them.
    pub(crate) leftovers: Vec<Txt>,
    /// What dnsconfig.js declares and nobody can compare: types, sentence fragments.
    pub(crate) uncompared: BTreeSet<String>,
}

/// Compares a zone with one of its providers, whose records are `existing`.
///
/// TXT values at challenge names that are not declared never count: earlier runs left them. At a
/// name that a challenge name is a CNAME to, that is so for values that look like challenges.
/// Among the leftovers are only those that look like challenges and that DNSControl would delete:
/// what `IGNORE()` and its relatives protect is somebody else's. Records that are declared although
/// `IGNORE()` matches them are compared like others. An error means that a pattern of `IGNORE()` is
/// no glob.
pub(crate) fn compare(
    declared: &Declared<'_>,
    existing: &[Record],
    quirks: &Quirks,
) -> Result<Comparison> {
    let Declared {
        zone, nameservers, ..
    } = *declared;
    let mut desired = desired(zone, nameservers, quirks);
    let existing = existing
        .iter()
        .map(|record| prepared(zone, record.clone(), quirks))
        .collect();
    let existing = compared(declared, existing, &desired, quirks);
    let kept = hands_off(zone, &existing, &desired)?;
    let (leftovers, existing): (Vec<_>, Vec<_>) = existing
        .into_iter()
        .partition(|record| is_leftover(declared, record, &desired));
    let (protected, kept): (Vec<_>, Vec<_>) = kept
        .into_iter()
        .partition(|record| leftovers.contains(record));
    for record in &mut desired {
        settle_ech(record, &existing);
    }
    desired.extend(kept);
    let mut sets: BTreeMap<_, Set<'_>> = BTreeMap::new();
    for record in &existing {
        let set = sets.entry(set_of(record)).or_default();
        set.existing.push(record);
    }
    for record in &desired {
        let set = sets.entry(set_of(record)).or_default();
        set.desired.push(record);
    }
    Ok(Comparison {
        corrections: sets.values().flat_map(differences).collect(),
        leftovers: leftovers
            .into_iter()
            .filter(|record| !protected.contains(record))
            .map(txt)
            .filter(Txt::looks_like_a_challenge)
            .collect(),
        uncompared: uncompared(declared, quirks),
    })
}

/// What is declared but not compared. An SOA record that a provider keeps for itself is nothing
/// that a person would miss, and DNSControl does not compare it either.
fn uncompared(declared: &Declared<'_>, quirks: &Quirks) -> BTreeSet<String> {
    let is_skipped = |rtype: &str| rtype != "SOA" && quirks.ignored_types.contains(&rtype);
    let types = declared.zone.records.iter().map(|record| &record.rtype);
    let mut all: BTreeSet<String> = types.filter(|rtype| is_skipped(rtype)).cloned().collect();
    if declared.nameservers.is_none() && !quirks.ignores_apex_ns {
        all.insert("NS at the top (a provider that is skipped has a share in them)".to_owned());
    }
    all
}

/// Whether a run has left the record, so that it is no difference.
fn is_leftover(declared: &Declared<'_>, record: &Record, desired: &[Record]) -> bool {
    let is_declared = || {
        desired.iter().any(|other| {
            other.rtype == "TXT" && other.name == record.name && other.data == record.data
        })
    };
    let is_challenge = || {
        record.name.is_challenge()
            || declared.delegated.contains(&record.name)
                && txt(record.clone()).looks_like_a_challenge()
    };
    record.rtype == "TXT" && is_challenge() && !is_declared()
}

fn txt(record: Record) -> Txt {
    Txt {
        name: record.name,
        value: record.data,
    }
}

/// The two sides of the records of one type at one name.
#[derive(Default)]
struct Set<'a> {
    existing: Vec<&'a Record>,
    desired: Vec<&'a Record>,
}

fn is_apex_ns(zone: &Zone, record: &Record) -> bool {
    record.rtype == "NS" && record.name == zone.name
}

fn desired(zone: &Zone, nameservers: Option<&[DnsName]>, quirks: &Quirks) -> Vec<Record> {
    let apex = nameservers
        .filter(|_| !quirks.ignores_apex_ns)
        .unwrap_or_default()
        .iter()
        .map(|server| {
            let name = zone.name.clone();
            Record::new(name, "NS", zone.nameserver_ttl, server.fqdn())
        });
    zone.records
        .iter()
        .filter(|record| !quirks.ignored_types.contains(&record.rtype.as_str()))
        .cloned()
        .chain(apex)
        .map(|mut record| {
            record.ttl = record.ttl.max(quirks.minimum_ttl);
            prepared(zone, record, quirks)
        })
        .collect()
}

/// What DNSControl compares of a record at this provider.
fn prepared(zone: &Zone, mut record: Record, quirks: &Quirks) -> Record {
    if let Some(prepare) = &quirks.prepare {
        record = prepare(zone, record);
    }
    record.meta.retain(|key, _| key == COMPARED);
    record
}

/// The provider's records without those that are never compared.
fn compared(
    declared: &Declared<'_>,
    existing: Vec<Record>,
    desired: &[Record],
    quirks: &Quirks,
) -> Vec<Record> {
    let compares_apex_ns = declared.nameservers.is_some() && !quirks.ignores_apex_ns;
    let declares_soa = desired.iter().any(|record| record.rtype == "SOA");
    existing
        .into_iter()
        .filter(|record| !quirks.ignored_types.contains(&record.rtype.as_str()))
        .filter(|record| compares_apex_ns || !is_apex_ns(declared.zone, record))
        .filter(|record| record.rtype != "SOA" || declares_soa || !quirks.keeps_undeclared_soa)
        .collect()
}

/// What is declared where a provider sets the key for Encrypted Client Hello by itself.
const ANY_ECH: &str = " ech=\"IGNORE\"";

/// `ech=IGNORE` in a declared HTTPS or SVCB record stands for the key that is there.
fn settle_ech(record: &mut Record, existing: &[Record]) {
    if !["HTTPS", "SVCB"].contains(&record.rtype.as_str()) || !record.data.contains(ANY_ECH) {
        return;
    }
    let mut same = existing
        .iter()
        .filter(|other| other.rtype == record.rtype && other.name == record.name);
    let key = same.find_map(|other| {
        let (_, after) = other.data.split_once(" ech=\"")?;
        let (key, _) = after.split_once('"')?;
        Some(format!(" ech=\"{key}\""))
    });
    record.data = record.data.replace(ANY_ECH, &key.unwrap_or_default());
}

/// What DNSControl compares and prints: RDATA, and what counts besides.
fn comparable(record: &Record) -> String {
    let data = comparable_data(record);
    match record.meta.get(COMPARED) {
        Some(besides) => format!("{data} {besides}"),
        None => data,
    }
}

/// RDATA: TXT quoted, SOA without its serial.
fn comparable_data(record: &Record) -> String {
    match record.rtype.as_str() {
        "TXT" | "SPF" => quote(&record.data),
        "SOA" => {
            let fields = record.data.split(' ').enumerate();
            let kept: Vec<&str> = fields
                .filter(|(index, _)| *index != 2)
                .map(|(_, field)| field)
                .collect();
            kept.join(" ")
        }
        _ => record.data.clone(),
    }
}

/// The differences of one set: TTLs first, then values paired in their order, then what is left.
fn differences(set: &Set<'_>) -> Vec<Correction> {
    let by_value = |records: &[&Record]| -> BTreeSet<(String, u32)> {
        let values = records
            .iter()
            .map(|record| (comparable(record), record.ttl));
        values.collect()
    };
    let (before, after) = (by_value(&set.existing), by_value(&set.desired));
    let changed = |records: &[&Record], others: &BTreeSet<(String, u32)>| {
        let changed = records
            .iter()
            .filter(|record| !others.contains(&(comparable(record), record.ttl)));
        let unique: BTreeMap<(String, u32), Record> = changed
            .map(|record| ((comparable(record), record.ttl), (*record).clone()))
            .collect();
        unique.into_values().collect::<Vec<_>>()
    };
    let mut gone = changed(&set.existing, &after);
    let mut new = changed(&set.desired, &before);
    let mut corrections = Vec::new();
    new.retain(|to| {
        let same = gone
            .iter()
            .position(|from| comparable(from) == comparable(to));
        if let Some(index) = same {
            let (from, to) = (gone.remove(index), to.clone());
            corrections.push(Correction::ModifyTtl { from, to });
        }
        same.is_none()
    });
    let pairs = gone.len().min(new.len());
    let deleted = gone.split_off(pairs);
    let created = new.split_off(pairs);
    let modified = gone.into_iter().zip(new);
    corrections.extend(modified.map(|(from, to)| Correction::Modify { from, to }));
    corrections.extend(deleted.into_iter().map(Correction::Delete));
    corrections.extend(created.into_iter().map(Correction::Create));
    corrections
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::zone::{IgnorePattern, Meta, ZoneProvider};

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    /// `LABEL TTL TYPE DATA`, a line each.
    fn records(lines: &str) -> Vec<Record> {
        lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let mut fields = line.splitn(4, ' ');
                let label = fields.next().unwrap();
                let owner = match label {
                    "@" => "example.com".to_owned(),
                    label => format!("{label}.example.com"),
                };
                Record {
                    name: name(&owner),
                    ttl: fields.next().unwrap().parse().unwrap(),
                    rtype: fields.next().unwrap().to_owned(),
                    data: fields.next().unwrap().to_owned(),
                    meta: Meta::new(),
                }
            })
            .collect()
    }

    fn zone(declared: &str) -> Zone {
        Zone {
            name: name("example.com"),
            is_declared: true,
            tag: String::new(),
            providers: Vec::new(),
            records: records(declared),
            absent: Vec::new(),
            nameservers: Vec::new(),
            nameserver_ttl: 300,
            no_purge: false,
            ignore: Vec::new(),
            external_dns: None,
            meta: Meta::new(),
        }
    }

    fn ignore(label: &str, types: &str, target: &str) -> IgnorePattern {
        IgnorePattern {
            label: label.to_owned(),
            types: types.to_owned(),
            target: target.to_owned(),
        }
    }

    /// Challenge names lead to `challenges.example.com`.
    fn compared(
        zone: &Zone,
        nameservers: Option<&[DnsName]>,
        existing: &[Record],
        quirks: &Quirks,
    ) -> Result<Comparison> {
        let declared = Declared {
            zone,
            nameservers,
            delegated: &BTreeSet::from([name("challenges.example.com")]),
        };
        compare(&declared, existing, quirks)
    }

    fn lines(corrections: &[Correction]) -> Vec<String> {
        corrections.iter().map(ToString::to_string).collect()
    }

    fn shown(zone: &Zone, existing: &str, quirks: &Quirks) -> Vec<String> {
        let found = compared(zone, Some(&[]), &records(existing), quirks);
        lines(&found.unwrap().corrections)
    }

    /// What would be swept.
    fn leftovers(zone: &Zone, existing: &str) -> Vec<String> {
        let found = compared(zone, Some(&[]), &records(existing), &Quirks::default());
        let leftovers = found.unwrap().leftovers;
        leftovers.iter().map(ToString::to_string).collect()
    }

    /// Two values that look like challenges.
    const A: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    const B: &str = "----_____ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh";

    fn plain(zone: &Zone, existing: &str) -> Vec<String> {
        shown(zone, existing, &Quirks::default())
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn differences_print_as_dnscontrol_prints_them() {
        for (declared, existing, expected) in [
            ("www 300 A 192.0.2.1", "www 300 A 192.0.2.1", &[][..]),
            (
                "www 300 A 192.0.2.1",
                "",
                &["+ CREATE www.example.com A 192.0.2.1 ttl=300"],
            ),
            (
                "",
                "www 300 A 192.0.2.1",
                &["- DELETE www.example.com A 192.0.2.1 ttl=300"],
            ),
            (
                "www 300 A 192.0.2.2",
                "www 60 A 192.0.2.1",
                &["± MODIFY www.example.com A (192.0.2.1 ttl=60) -> (192.0.2.2 ttl=300)"],
            ),
            (
                "www 300 A 192.0.2.1",
                "www 60 A 192.0.2.1",
                &["± MODIFY-TTL www.example.com A ttl=(60->300) 192.0.2.1"],
            ),
            (
                "@ 300 TXT a\"b\n@ 300 TXT c",
                "@ 300 TXT c",
                &["+ CREATE example.com TXT \"a\\\"b\" ttl=300"],
            ),
            (
                "www 300 A 192.0.2.1\nwww 300 A 192.0.2.2\nwww 300 A 192.0.2.3",
                "www 60 A 192.0.2.3\nwww 300 A 192.0.2.4\nwww 300 A 192.0.2.2",
                &[
                    "± MODIFY-TTL www.example.com A ttl=(60->300) 192.0.2.3",
                    "± MODIFY www.example.com A (192.0.2.4 ttl=300) -> (192.0.2.1 ttl=300)",
                ],
            ),
            (
                "www 300 CNAME x.test.",
                "www 300 A 192.0.2.1",
                &[
                    "- DELETE www.example.com A 192.0.2.1 ttl=300",
                    "+ CREATE www.example.com CNAME x.test. ttl=300",
                ],
            ),
            (
                "www 300 A 192.0.2.1\nwww 300 A 192.0.2.1",
                "www 300 A 192.0.2.1",
                &[],
            ),
        ] {
            assert_eq!(plain(&zone(declared), existing), expected);
        }
    }

    #[test]
    fn leftover_challenges_never_count() {
        let leftovers = "_acme-challenge 60 TXT old\n_acme-challenge.a.b 60 TXT old";
        assert_eq!(plain(&zone(""), leftovers), NONE);
        // A declared value is compared, and never paired with a leftover.
        let declared = zone("_acme-challenge 300 TXT mine");
        assert_eq!(
            plain(&declared, leftovers),
            ["+ CREATE _acme-challenge.example.com TXT \"mine\" ttl=300"]
        );
        assert_eq!(
            plain(
                &declared,
                "_acme-challenge 60 TXT mine\n_acme-challenge 60 TXT old"
            ),
            ["± MODIFY-TTL _acme-challenge.example.com TXT ttl=(60->300) \"mine\""]
        );
        // Only TXT, and only at challenge names.
        assert_eq!(
            plain(
                &zone(""),
                "_acme-challenge 60 CNAME x.test.\nx._acme-challenge 60 TXT y"
            ),
            [
                "- DELETE _acme-challenge.example.com CNAME x.test. ttl=60",
                "- DELETE x._acme-challenge.example.com TXT \"y\" ttl=60",
            ]
        );
    }

    #[test]
    fn values_at_the_end_of_a_delegation_are_left_over_too() {
        let existing = format!(
            "challenges 60 TXT {A}\nchallenges 60 TXT text\nother 60 TXT {B}\n\
             challenges 60 A 192.0.2.1"
        );
        assert_eq!(
            plain(&zone(""), &existing),
            [
                "- DELETE challenges.example.com A 192.0.2.1 ttl=60".to_owned(),
                "- DELETE challenges.example.com TXT \"text\" ttl=60".to_owned(),
                format!("- DELETE other.example.com TXT \"{B}\" ttl=60"),
            ]
        );
        assert_eq!(
            leftovers(&zone(""), &existing),
            [format!("challenges.example.com TXT \"{A}\"")]
        );
    }

    #[test]
    fn only_what_dnscontrol_would_delete_is_swept() {
        let existing = format!("_acme-challenge 60 TXT {A}\n_acme-challenge 60 TXT {B}");
        let [a, b] = [A, B].map(|value| format!("_acme-challenge.example.com TXT \"{value}\""));
        assert_eq!(leftovers(&zone(""), &existing), [a, b.clone()]);
        let declared = zone(&format!("_acme-challenge 300 TXT {A}"));
        assert_eq!(leftovers(&declared, &existing), std::slice::from_ref(&b));
        assert_eq!(
            leftovers(&zone(""), "_acme-challenge 60 TXT somebody else's"),
            NONE
        );
        let mut ignoring = zone("");
        ignoring.ignore = vec![ignore("_acme-challenge", "TXT", "*")];
        assert_eq!(leftovers(&ignoring, &existing), NONE);
        assert_eq!(plain(&ignoring, &existing), NONE);
        let mut keeping = zone("");
        keeping.no_purge = true;
        assert_eq!(leftovers(&keeping, &existing), NONE);
        assert_eq!(plain(&keeping, &existing), NONE);
        // The set is declared, so NO_PURGE does not keep its other values.
        let mut keeping = declared;
        keeping.no_purge = true;
        assert_eq!(leftovers(&keeping, &existing), [b]);
    }

    #[test]
    fn records_of_external_dns_stay() {
        let heritage = "TXT heritage=external-dns,external-dns/owner=k8s";
        let existing = format!(
            "a-app 300 {heritage}\napp 300 A 192.0.2.1\napp 300 AAAA 2001:db8::1\n\
             old 300 {heritage}\nold 300 CNAME x.test.\nold 300 A 192.0.2.2\n\
             www 300 A 192.0.2.3\na-www 300 {heritage}\nplain 300 A 192.0.2.4"
        );
        let mut zone = zone("www 300 A 192.0.2.80");
        zone.external_dns = Some(String::new());
        assert_eq!(
            plain(&zone, &existing),
            [
                "- DELETE app.example.com AAAA 2001:db8::1 ttl=300",
                "- DELETE plain.example.com A 192.0.2.4 ttl=300",
                // Declared: compared like others.
                "± MODIFY www.example.com A (192.0.2.3 ttl=300) -> (192.0.2.80 ttl=300)",
            ]
        );
        zone.external_dns = Some("K8S-".to_owned());
        let prefixed =
            format!("k8s-a-app 300 {heritage}\napp 300 A 192.0.2.1\nwww 300 A 192.0.2.80");
        assert_eq!(plain(&zone, &prefixed), NONE);
        zone.external_dns = None;
        assert_eq!(plain(&zone, &prefixed).len(), 2);
    }

    #[test]
    fn any_key_for_encrypted_client_hello_will_do() {
        let zone = zone("@ 300 HTTPS 1 . alpn=\"h2\" ech=\"IGNORE\"");
        assert_eq!(
            plain(&zone, "@ 300 HTTPS 1 . alpn=\"h2\" ech=\"AEX+DQ==\""),
            NONE
        );
        assert_eq!(plain(&zone, "@ 300 HTTPS 1 . alpn=\"h2\""), NONE);
        assert_eq!(
            plain(&zone, "@ 300 HTTPS 1 . alpn=\"h3\" ech=\"AEX+DQ==\""),
            [
                "± MODIFY example.com HTTPS (1 . alpn=\"h3\" ech=\"AEX+DQ==\" ttl=300) -> (1 . alpn=\"h2\" ech=\"AEX+DQ==\" ttl=300)"
            ]
        );
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let zone = zone(
            "@ 300 SOA ns1.test. h.test. 1 2 3 4 5\na 300 CF_REDIRECT a,b\nb 300 CF_REDIRECT a,c\nc 300 ALIAS x.test.",
        );
        let quirks = Quirks {
            ignored_types: &["ALIAS", "CF_REDIRECT", "CF_WORKER_ROUTE", "SOA"],
            ..Quirks::default()
        };
        let said = |nameservers, quirks: &Quirks| -> Vec<String> {
            let found = compare(
                &Declared {
                    zone: &zone,
                    nameservers,
                    delegated: &BTreeSet::new(),
                },
                &[],
                quirks,
            );
            found.unwrap().uncompared.into_iter().collect()
        };
        assert_eq!(said(Some(&[]), &quirks), ["ALIAS", "CF_REDIRECT"]);
        assert_eq!(said(Some(&[]), &Quirks::default()), NONE);
        assert_eq!(
            said(None, &Quirks::default()),
            ["NS at the top (a provider that is skipped has a share in them)"]
        );
        let own = Quirks {
            ignores_apex_ns: true,
            ..Quirks::default()
        };
        assert_eq!(said(None, &own), NONE);
    }

    #[test]
    fn patterns_say_what_never_counts() {
        let pattern = |text| NeverCount::parse(text).unwrap();
        let policy = Policy {
            mode: Mode::Abort,
            never_count: vec![
                pattern("date.example.com"),
                pattern("*.report.example.com TXT"),
            ],
        };
        let zone = zone("date 300 TXT 2\na.report 300 TXT x\na.report 300 A 192.0.2.1");
        let existing = records("date 300 TXT 1\nb.report 300 TXT y\nc 300 A 192.0.2.1");
        let found = compared(&zone, Some(&[]), &existing, &Quirks::default());
        let mut corrections = found.unwrap().corrections;
        assert_eq!(corrections.len(), 5);
        corrections.retain(|correction| policy.counts(correction));
        assert_eq!(
            lines(&corrections),
            [
                "+ CREATE a.report.example.com A 192.0.2.1 ttl=300",
                "- DELETE c.example.com A 192.0.2.1 ttl=300",
            ]
        );
    }

    #[test]
    fn no_purge_keeps_sets_that_are_not_declared() {
        let mut zone = zone("www 300 A 192.0.2.1");
        zone.no_purge = true;
        zone.absent = records("old 300 A 192.0.2.9");
        let existing = "www 300 A 192.0.2.1\nwww 300 A 192.0.2.2\nwww 300 AAAA 2001:db8::1\n\
                        other 300 A 192.0.2.3\nold 300 A 192.0.2.4\nold 300 TXT stays";
        assert_eq!(
            plain(&zone, existing),
            [
                // ENSURE_ABSENT goes by name and type, as in DNSControl.
                "- DELETE old.example.com A 192.0.2.4 ttl=300",
                "- DELETE www.example.com A 192.0.2.2 ttl=300",
            ]
        );
    }

    #[test]
    fn ignored_records_stay() {
        let existing =
            "a 300 A 192.0.2.1\na.b 300 A 192.0.2.2\na.b.c 300 TXT x\n@ 300 MX 10 mx.other.test.";
        let left = |pattern: IgnorePattern| -> Vec<String> {
            let mut zone = zone("");
            zone.ignore = vec![pattern];
            let lines = plain(&zone, existing);
            let owner = |line: &String| line.split(' ').nth(2).unwrap().to_owned();
            let mut owners: Vec<String> = lines.iter().map(owner).collect();
            owners.sort_by_key(String::len);
            owners
        };
        let (a, ab, abc, apex) = (
            "a.example.com",
            "a.b.example.com",
            "a.b.c.example.com",
            "example.com",
        );
        for (pattern, expected) in [
            (ignore("a", "*", "*"), vec![apex, ab, abc]),
            (ignore("@", "", ""), vec![a, ab, abc]),
            (ignore("*", "*", "*"), vec![]),
            (ignore("", "A, TXT", "*"), vec![apex]),
            (ignore("*", "*", "*.other.test."), vec![a, ab, abc]),
            (ignore("*", "A", "192.0.2.{2,3}"), vec![apex, a, abc]),
            (ignore("a.*", "*", "*"), vec![apex, a]),
            (ignore("**.c", "*", "*"), vec![apex, a, ab]),
            (ignore("a.?", "*", "*"), vec![apex, a, abc]),
            (ignore("[a-b]{,.b}", "*", "*"), vec![apex, abc]),
            (ignore("[!b]", "*", "*"), vec![ab, abc]),
            (ignore("\\*", "*", "*"), vec![apex, a, ab, abc]),
        ] {
            assert_eq!(left(pattern.clone()), expected, "{pattern:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_no_glob_is_an_error() {
        let mut zone = zone("");
        zone.ignore = vec![ignore("[a", "*", "*")];
        let error = compared(&zone, None, &[], &Quirks::default()).unwrap_err();
        assert_eq!(error.to_string(), "bad `IGNORE()` of zone `example.com`");
    }

    #[test]
    fn apex_name_servers_are_declared_by_all_providers() {
        let mut zone = zone("");
        zone.nameservers = vec![name("ns0.test")];
        zone.nameserver_ttl = 600;
        let provider = |entry: &str, nameservers| ZoneProvider {
            entry: entry.to_owned(),
            nameservers,
        };
        zone.providers = vec![
            provider("one", NameserverCount::First(1)),
            provider("two", NameserverCount::All),
            provider("three", NameserverCount::First(0)),
        ];
        let mut known = BTreeMap::from([(
            "one".to_owned(),
            vec![name("ns1.one.test"), name("ns2.one.test")],
        )]);
        assert_eq!(apex_nameservers(&zone, &known), None);
        known.insert("two".to_owned(), vec![name("ns1.two.test")]);
        let servers = apex_nameservers(&zone, &known).unwrap();
        assert_eq!(
            format!("{servers:?}"),
            "[ns0.test, ns1.one.test, ns1.two.test]"
        );
        let existing = records(
            "@ 600 NS ns0.test.\n@ 300 NS ns1.one.test.\n@ 600 NS old.test.\nsub 300 NS x.test.",
        );
        let shown = |nameservers: Option<&[DnsName]>, quirks: Quirks| -> Vec<String> {
            let found = compared(&zone, nameservers, &existing, &quirks);
            lines(&found.unwrap().corrections)
        };
        let delegation = "- DELETE sub.example.com NS x.test. ttl=300";
        assert_eq!(
            shown(Some(&servers), Quirks::default()),
            [
                "± MODIFY-TTL example.com NS ttl=(300->600) ns1.one.test.",
                "± MODIFY example.com NS (old.test. ttl=600) -> (ns1.two.test. ttl=600)",
                delegation
            ]
        );
        assert_eq!(shown(None, Quirks::default()), [delegation]);
        let quirks = Quirks {
            ignores_apex_ns: true,
            ..Quirks::default()
        };
        assert_eq!(shown(Some(&servers), quirks), [delegation]);
    }

    #[test]
    fn soa_goes_by_provider_and_its_serial_never_counts() {
        let declared = zone("@ 300 SOA ns1.test. h.test. 1 2 3 4 5");
        let same = "@ 300 SOA ns1.test. h.test. 2026112300 2 3 4 5";
        let other = "@ 300 SOA ns1.test. h.test. 1 9 3 4 5";
        let modify = "± MODIFY example.com SOA (ns1.test. h.test. 9 3 4 5 ttl=300) -> (ns1.test. h.test. 2 3 4 5 ttl=300)";
        let delete = "- DELETE example.com SOA ns1.test. h.test. 9 3 4 5 ttl=300";
        let powerdns = Quirks::default();
        let bind = Quirks {
            keeps_undeclared_soa: true,
            ..Quirks::default()
        };
        let axfrddns = Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        };
        for quirks in [&powerdns, &bind, &axfrddns] {
            assert_eq!(shown(&declared, same, quirks), NONE);
        }
        assert_eq!(shown(&declared, other, &powerdns), [modify]);
        assert_eq!(shown(&declared, other, &bind), [modify]);
        assert_eq!(shown(&declared, other, &axfrddns), NONE);
        assert_eq!(shown(&zone(""), other, &powerdns), [delete]);
        assert_eq!(shown(&zone(""), other, &bind), NONE);
        assert_eq!(shown(&zone(""), other, &axfrddns), NONE);
    }

    #[test]
    fn desired_ttls_are_raised_to_the_smallest() {
        let quirks = Quirks {
            minimum_ttl: 600,
            ..Quirks::default()
        };
        let zone = zone("a 300 A 192.0.2.1\nb 900 A 192.0.2.1");
        let existing = "a 600 A 192.0.2.1\nb 600 A 192.0.2.1";
        assert_eq!(
            shown(&zone, existing, &quirks),
            ["± MODIFY-TTL b.example.com A ttl=(600->900) 192.0.2.1"]
        );
    }

    #[test]
    fn what_a_provider_has_besides_rdata_is_compared_and_printed() {
        fn prepare(_: &Zone, mut record: Record) -> Record {
            let on = record.meta.contains_key("proxy");
            record
                .meta
                .insert(COMPARED.to_owned(), format!("proxy={on}"));
            record
        }
        let quirks = Quirks {
            prepare: Some(std::sync::Arc::new(prepare)),
            ..Quirks::default()
        };
        let mut zone = zone("a 300 A 192.0.2.1\nb 300 A 192.0.2.1");
        zone.records[0]
            .meta
            .insert("proxy".to_owned(), String::new());
        zone.records[1]
            .meta
            .insert("other".to_owned(), String::new());
        let existing = "a 300 A 192.0.2.1\nb 300 A 192.0.2.1";
        assert_eq!(
            shown(&zone, existing, &quirks),
            [
                "± MODIFY a.example.com A (192.0.2.1 proxy=false ttl=300) -> (192.0.2.1 proxy=true ttl=300)"
            ]
        );
        assert_eq!(plain(&zone, existing), NONE);
    }

    #[test]
    fn lines_of_dnscontrol_never_count_in_both_of_its_orders() {
        let policy = Policy {
            mode: Mode::Abort,
            never_count: vec![NeverCount::parse("date.example.com TXT").unwrap()],
        };
        for (line, counts) in [
            (r#"+ CREATE date.example.com TXT "2026" ttl=300"#, false),
            (r#"- DELETE TXT date.example.com "2025" ttl=300"#, false),
            (
                r#"± MODIFY TXT date.example.com: ("1" ttl=60) -> ("2" ttl=60)"#,
                false,
            ),
            ("- DELETE A date.example.com 192.0.2.1 ttl=300", true),
            (
                r#"- DELETE TXT www.example.com "TXT date.example.com" ttl=300"#,
                true,
            ),
            ("REFRESH zone example.com", true),
        ] {
            assert_eq!(policy.counts_line(line), counts, "{line}");
        }
    }
}
