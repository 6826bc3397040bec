//! Globs on records: those of `IGNORE()`, and those of `never-count`. Pure.

use std::fmt;

use anyhow::{Context, Result, anyhow};
use globset::{GlobBuilder, GlobMatcher};

use crate::dnscontrol::record_types;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, Record, Zone};

/// An [`IgnorePattern`], ready to be matched; none matches everything.
pub(super) struct Ignored<'a> {
    label: Option<GlobMatcher>,
    types: Vec<&'a str>,
    target: Option<GlobMatcher>,
}

impl<'a> Ignored<'a> {
    /// Those of a zone.
    pub(super) fn of(zone: &'a Zone) -> Result<Vec<Self>> {
        let patterns = zone.ignore.iter().map(|pattern| {
            Self::new(pattern)
                .with_context(|| format!("bad `IGNORE()` of zone `{}`", zone.unique_name()))
        });
        patterns.collect()
    }

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

    pub(super) fn matches(&self, zone: &Zone, record: &Record) -> bool {
        let is_match = |glob: &Option<GlobMatcher>, text: &str| {
            glob.as_ref().is_none_or(|glob| glob.is_match(text))
        };
        let label = record.name.label_in(&zone.name);
        is_match(&self.label, label.unwrap_or(record.name.as_str()))
            && (self.types.is_empty() || self.types.contains(&record.rtype.as_str()))
            && is_match(&self.target, &target(record))
    }
}

/// Records that may differ: a name with `*`, and types.
#[derive(Clone, Debug)]
pub(crate) struct NeverCount {
    /// As the user wrote it.
    text: String,
    name: GlobMatcher,
    /// What every name that it covers ends with.
    end: String,
    /// In upper case; empty for all.
    types: Vec<String>,
}

impl NeverCount {
    /// Reads `NAME` or `NAME TYPE,TYPE`. The name is fully qualified; `*` stands for any text,
    /// dots included, as in `IGNORE()`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let name = words.next().context("it is empty")?;
        let types = words.next().unwrap_or_default();
        if let Some(third) = words.next() {
            return Err(anyhow!(
                "`{third}` is too much: types are separated by commas"
            ));
        }
        let types = types.split_terminator(',').map(|word| {
            let good = Some(word.to_uppercase()).filter(|word| is_known(word));
            good.ok_or_else(|| unknown_type(word))
        });
        let types = types.collect::<Result<_>>()?;
        let is_several = name.contains(';') || (name.contains(',') && !name.contains('{'));
        if is_several {
            return Err(anyhow!(
                "`{name}` is several names: each needs a pattern of its own"
            ));
        }
        let name: DnsName = name.parse()?;
        Ok(Self {
            text: text.to_owned(),
            end: end(name.as_str()).to_owned(),
            name: glob(name.as_str())?.context("it covers every record of every zone")?,
            types,
        })
    }

    pub(super) fn covers(&self, name: &DnsName, rtype: &str) -> bool {
        self.name.is_match(name.as_str())
            && (self.types.is_empty()
                || self.types.iter().any(|one| one.eq_ignore_ascii_case(rtype)))
    }

    /// Whether a name of the zone can be covered.
    pub(super) fn may_cover_in(&self, zone: &DnsName) -> bool {
        let (zone, end) = (zone.as_str(), self.end.as_str());
        let is_below = |name: &str| {
            name.strip_suffix(zone)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        zone.ends_with(end) || end == zone || is_below(end)
    }
}

impl fmt::Display for NeverCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What follows the last special character of a glob.
fn end(glob: &str) -> &str {
    let special = |character: char| "*?[]{},\\!".contains(character);
    glob.rsplit(special).next().unwrap_or(glob)
}

/// Types that a provider may have although dnsconfig.js cannot declare them.
const ELSEWHERE: [&str; 15] = [
    "AFSDB",
    "CDNSKEY",
    "CDS",
    "CERT",
    "HINFO",
    "KX",
    "MINFO",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "RRSIG",
    "RT",
    "URI",
    "CF_REDIRECT",
    "CF_TEMP_REDIRECT",
];

/// Whether records can be of this type, in upper case; `TYPE65534` are those without a name (RFC 3597).
fn is_known(word: &str) -> bool {
    let is_number = |digits: &str| digits.parse::<u16>().is_ok();
    word.strip_prefix("TYPE").is_some_and(is_number) || all_types().any(|known| known == word)
}

fn all_types() -> impl Iterator<Item = String> {
    record_types().chain(ELSEWHERE).map(str::to_uppercase)
}

fn unknown_type(word: &str) -> anyhow::Error {
    let mut all: Vec<_> = all_types().collect();
    all.sort();
    with_hint(
        anyhow!("`{word}` is no record type"),
        format!("types: {}", all.join(", ")),
    )
}

/// A glob as DNSControl compiles it: without separators, so that `*` crosses dots, whatever the
/// documentation of `IGNORE()` says. None matches everything.
fn glob(pattern: &str) -> Result<Option<GlobMatcher>> {
    if pattern.bytes().all(|byte| byte == b'*') {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, name: &str, rtype: &str) -> bool {
        let pattern = NeverCount::parse(pattern).unwrap();
        pattern.covers(&name.parse().unwrap(), rtype)
    }

    #[test]
    fn a_name_and_types_never_count() {
        for (pattern, name, rtype, expected) in [
            ("date.example.com", "date.example.com", "TXT", true),
            ("date.example.com", "a.date.example.com", "TXT", false),
            ("Date.Example.COM. txt", "date.example.com", "TXT", true),
            ("date.example.com TXT", "date.example.com", "A", false),
            (
                "date.example.com TYPE65534",
                "date.example.com",
                "TYPE65534",
                true,
            ),
            (
                "a.example.com netlifyv6",
                "a.example.com",
                "NETLIFYv6",
                true,
            ),
            ("date.example.com A,TXT", "date.example.com", "A", true),
            ("date.example.com A,", "date.example.com", "A", true),
            ("*.example.com", "a.b.example.com", "A", true),
            ("*.example.com", "example.com", "A", false),
            (
                "*._report.example.com TXT",
                "x._report.example.com",
                "TXT",
                true,
            ),
            ("{,*.}example.com", "example.com", "A", true),
            ("{,*.}example.com", "a.example.com", "A", true),
            ("bücher.example", "xn--bcher-kva.example", "A", true),
        ] {
            assert_eq!(
                covers(pattern, name, rtype),
                expected,
                "{pattern} {name} {rtype}"
            );
        }
    }

    #[test]
    fn a_pattern_may_fit_a_zone() {
        for (pattern, zone, expected) in [
            ("date.example.com", "example.com", true),
            ("example.com", "example.com", true),
            ("date.example.com", "example.net", false),
            ("date.exmaple.com", "example.com", false),
            ("date.badexample.com", "example.com", false),
            ("*.example.com", "example.com", true),
            ("*.example.com", "lab.example.com", true),
            ("*.lab.example.com", "example.com", true),
            ("*.example.com", "example.net", false),
            ("{,*.}example.com", "example.com", true),
            ("date.*", "example.com", true),
        ] {
            let parsed = NeverCount::parse(pattern).unwrap();
            let fits = parsed.may_cover_in(&zone.parse().unwrap());
            assert_eq!(fits, expected, "{pattern} {zone}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (pattern, expected) in [
            (" ", "it is empty"),
            ("*", "it covers every record of every zone"),
            ("** TXT", "it covers every record of every zone"),
            (
                "a.test TXT A",
                "`A` is too much: types are separated by commas",
            ),
            (
                "a.test,b.test",
                "`a.test,b.test` is several names: each needs a pattern of its own",
            ),
            ("a.test T-T", "`T-T` is no record type"),
            ("a.test TXTT", "`TXTT` is no record type"),
            ("a.test TYPE65536", "`TYPE65536` is no record type"),
            ("a.test A,,B", "`` is no record type"),
            (
                "a..test",
                "`a..test` has a label that is empty or longer than 63 characters",
            ),
            (
                "[a.test",
                "error parsing glob '[a.test': unclosed character class; missing ']'",
            ),
        ] {
            let error = NeverCount::parse(pattern).unwrap_err();
            assert_eq!(error.to_string(), expected, "{pattern}");
        }
    }
}
