//! What `dnscontrol preview` would change in a zone. Pure.
//!
//! A zone with such corrections is not touched: dnsconfig.js and the provider disagree, and a human
//! has to decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use globset::{GlobBuilder, GlobMatcher};

use crate::model::name::DnsName;
use crate::model::rdata::quote;
use crate::model::zone::{IgnorePattern, NameserverCount, Record, Zone};
use crate::provider::port::{COMPARED, Quirks};

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
        match self {
            Self::Create(Record { name, rtype, .. })
            | Self::Delete(Record { name, rtype, .. })
            | Self::Modify {
                to: Record { name, rtype, .. },
                ..
            }
            | Self::ModifyTtl {
                to: Record { name, rtype, .. },
                ..
            } => write!(f, "{} {name} {rtype} ", self.verb())?,
        }
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

/// What `dnscontrol preview` would do to a zone at one of its providers.
///
/// `nameservers` is the answer of [`apex_nameservers`]; `existing` are the provider's records.
/// TXT values at challenge names that are not declared never count: earlier runs left them, and
/// sweeping them is our business. Records that are declared although `IGNORE()` matches them are
/// compared like others. An error means that a pattern of `IGNORE()` is no glob.
pub(crate) fn corrections(
    zone: &Zone,
    nameservers: Option<&[DnsName]>,
    existing: &[Record],
    quirks: &Quirks,
) -> Result<Vec<Correction>> {
    let mut desired = desired(zone, nameservers, quirks);
    let existing: Vec<Record> = existing
        .iter()
        .map(|record| prepared(zone, record.clone(), quirks))
        .collect();
    let existing = compared(zone, &existing, &desired, nameservers.is_some(), quirks);
    let kept = hands_off(zone, &existing, &desired)?;
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
    Ok(sets.values().flat_map(differences).collect())
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
    zone: &Zone,
    existing: &[Record],
    desired: &[Record],
    knows_nameservers: bool,
    quirks: &Quirks,
) -> Vec<Record> {
    let compares_apex_ns = knows_nameservers && !quirks.ignores_apex_ns;
    let declares_soa = desired.iter().any(|record| record.rtype == "SOA");
    let is_leftover = |record: &Record| {
        record.rtype == "TXT"
            && record.name.is_challenge()
            && !desired.iter().any(|other| {
                other.rtype == "TXT" && other.name == record.name && other.data == record.data
            })
    };
    existing
        .iter()
        .filter(|record| !quirks.ignored_types.contains(&record.rtype.as_str()))
        .filter(|record| compares_apex_ns || !is_apex_ns(zone, record))
        .filter(|record| record.rtype != "SOA" || declares_soa || !quirks.keeps_undeclared_soa)
        .filter(|record| !is_leftover(record))
        .cloned()
        .collect()
}

fn set_of(record: &Record) -> (DnsName, String) {
    (record.name.clone(), record.rtype.clone())
}

/// Existing records that DNSControl leaves alone, as if they were declared.
fn hands_off(zone: &Zone, existing: &[Record], desired: &[Record]) -> Result<Vec<Record>> {
    let patterns: Vec<Pattern<'_>> = zone
        .ignore
        .iter()
        .map(|pattern| {
            Pattern::new(pattern)
                .with_context(|| format!("bad `IGNORE()` of zone `{}`", zone.unique_name()))
        })
        .collect::<Result<_>>()?;
    let declared: BTreeSet<_> = desired.iter().map(set_of).collect();
    let absent: BTreeSet<_> = zone.absent.iter().map(set_of).collect();
    let is_kept = |record: &&Record| {
        let is_foreign = || {
            let set = set_of(record);
            !declared.contains(&set) && !absent.contains(&set)
        };
        patterns.iter().any(|pattern| pattern.matches(zone, record))
            || zone.no_purge && is_foreign()
    };
    Ok(existing.iter().filter(is_kept).cloned().collect())
}

/// An [`IgnorePattern`], ready to be matched; none matches everything.
struct Pattern<'a> {
    label: Option<GlobMatcher>,
    types: Vec<&'a str>,
    target: Option<GlobMatcher>,
}

impl<'a> Pattern<'a> {
    fn new(pattern: &'a IgnorePattern) -> Result<Self> {
        let types = pattern.types.trim();
        Ok(Self {
            label: glob(&pattern.label)?,
            types: if ["", "*"].contains(&types) {
                Vec::new()
            } else {
                types.split(',').map(str::trim).collect()
            },
            target: glob(&pattern.target)?,
        })
    }

    fn matches(&self, zone: &Zone, record: &Record) -> bool {
        let is_match = |glob: &Option<GlobMatcher>, text: &str| {
            glob.as_ref().is_none_or(|glob| glob.is_match(text))
        };
        let label = record.name.label_in(&zone.name);
        is_match(&self.label, label.unwrap_or(record.name.as_str()))
            && (self.types.is_empty() || self.types.contains(&record.rtype.as_str()))
            && is_match(&self.target, &target(record))
    }
}

/// A glob as DNSControl compiles it: without separators, so that `*` crosses dots, whatever the
/// documentation of `IGNORE()` says.
fn glob(pattern: &str) -> Result<Option<GlobMatcher>> {
    if ["", "*"].contains(&pattern) {
        return Ok(None);
    }
    // `**` is `*` here; to the library it is something about folders.
    let mut simple = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    let mut after_star = false;
    while let Some(character) = characters.next() {
        if character != '*' || !after_star {
            simple.push(character);
        }
        after_star = character == '*';
        if character == '\\' {
            simple.extend(characters.next());
        }
    }
    let glob = GlobBuilder::new(&simple)
        .literal_separator(false)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()?;
    Ok(Some(glob.compile_matcher()))
}

/// What DNSControl calls the target: of several fields the one with the name or value.
fn target(record: &Record) -> String {
    let mut words = record.data.split(' ');
    let word = match record.rtype.as_str() {
        "AFSDB" | "DS" | "KX" | "MX" | "NAPTR" | "RT" | "SMIMEA" | "SRV" | "SSHFP" | "TLSA" => {
            words.next_back()
        }
        "SOA" => words.next(),
        "HTTPS" | "SVCB" => words.nth(1),
        "CAA" => return quoted_value(&record.data).to_owned(),
        _ => None,
    };
    word.unwrap_or(&record.data).to_owned()
}

fn quoted_value(data: &str) -> &str {
    data.split_once('"')
        .and_then(|(_, rest)| rest.strip_suffix('"'))
        .unwrap_or(data)
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
    use crate::model::zone::{Meta, ZoneProvider};

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
            tag: String::new(),
            providers: Vec::new(),
            records: records(declared),
            absent: Vec::new(),
            nameservers: Vec::new(),
            nameserver_ttl: 300,
            no_purge: false,
            ignore: Vec::new(),
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

    fn shown(zone: &Zone, existing: &str, quirks: &Quirks) -> Vec<String> {
        let found = corrections(zone, Some(&[]), &records(existing), quirks).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

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
        let error = corrections(&zone, None, &[], &Quirks::default()).unwrap_err();
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
            let found = corrections(&zone, nameservers, &existing, &quirks).unwrap();
            found.iter().map(ToString::to_string).collect()
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
}
