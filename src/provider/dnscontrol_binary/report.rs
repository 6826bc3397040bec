//! What a run of `dnscontrol` would do, or did: its report, and what it says of failures.
//!
//! Format of the report: <https://docs.dnscontrol.org/advanced-features/json-reports>.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::model::change::Txt;
use crate::model::name::DnsName;

/// How lines begin that providers put around the changes of a zone, and that change nothing
/// themselves (the providers' `GetZoneRecordsCorrections` at DNSControl 7a079bc2).
const HEADINGS: &[&str] = &[
    // DNSMADEEASY, HETZNER
    "Batch creation of records:",
    "Batch deletion of records:",
    "Batch modification of records:",
    // RWTH
    "Deploy zone ",
    // CNR, NAMECHEAP
    "GENERATE_ZONE: ",
    // OVH
    "REFRESH zone ",
    // AUTODNS, JOKER, TRANSIP
    "Zone update for ",
    // LOOPIA
    "records affected by deletion of subdomain ",
];

/// A zone at one provider, or at its registrar.
#[derive(Debug, Deserialize)]
struct Item {
    /// Without the tag.
    domain: String,
    corrections: usize,
    #[serde(default)]
    correction_details: Vec<String>,
    /// None for a registrar.
    provider: Option<String>,
}

/// The lines of each zone at the provider, and how many zones of that name there are.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report(BTreeMap<DnsName, Vec<String>>);

impl Report {
    /// Reads what `--report` wrote; no text means that the run did not come that far.
    pub(super) fn parse(text: &str, entry: &str) -> Result<Option<Self>> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        // Without a zone it is `null`.
        let items: Option<Vec<Item>> =
            serde_json::from_str(text).context("cannot read the report of `dnscontrol`")?;
        let mut zones: BTreeMap<DnsName, Vec<String>> = BTreeMap::new();
        for item in items.unwrap_or_default() {
            if item.provider.as_deref() != Some(entry) {
                continue;
            }
            let name = item
                .domain
                .parse()
                .with_context(|| format!("`{}` in the report of `dnscontrol`", item.domain))?;
            let lines = zones.entry(name).or_default();
            // What is not described cannot be judged: it is somebody else's.
            if item.correction_details.is_empty() && item.corrections > 0 {
                lines.push(format!("{} corrections without a word", item.corrections));
            }
            lines.extend(item.correction_details);
        }
        Ok(Some(Self(zones)))
    }

    /// The lines of a zone; none where the report does not have it.
    pub(super) fn lines(&self, zone: &DnsName) -> Option<&[String]> {
        self.0.get(zone).map(Vec::as_slice)
    }
}

/// What standard output says of failures, by zone.
///
/// A provider that cannot list a zone is an information line under the zone's heading, a change
/// that failed is `FAILURE!` (`commands/ppreviewPush.go`, `pkg/printer/printer.go`).
pub(super) fn failures(stdout: &str) -> BTreeMap<DnsName, Vec<String>> {
    let mut all: BTreeMap<DnsName, Vec<String>> = BTreeMap::new();
    let mut zone = None;
    for line in plain(stdout).lines() {
        if let Some(heading) = line.split("* Domain: ").nth(1) {
            let shown = heading.split_whitespace().next().unwrap_or_default();
            let name = shown.split('!').next().unwrap_or_default();
            zone = name.parse::<DnsName>().ok();
        }
        let said = line.strip_prefix("FAILURE!").or_else(|| {
            let information = line.strip_prefix("INFO#")?.split_once(": ")?.1;
            information.contains("Error: ").then_some(information)
        });
        if let (Some(said), Some(zone)) = (said, &zone) {
            all.entry(zone.clone())
                .or_default()
                .push(said.trim().to_owned());
        }
    }
    all
}

/// The text without the sequences that colour it.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|character: char| character.is_ascii_alphabetic());
        plain += end.and_then(|end| part.get(end + 1..)).unwrap_or(part);
    }
    plain
}

/// A line of a report, as far as it is about TXT values.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Create(Txt),
    Delete(Existing),
    Replace {
        from: Existing,
        to: Txt,
    },
    /// The TTL of a value changes.
    Retime(Txt),
    /// Says something about the changes around it.
    Heading,
    /// Something else.
    Other,
}

/// A value that a provider has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Existing {
    pub(super) txt: Txt,
    /// Seconds.
    pub(super) ttl: u32,
}

impl Line {
    /// Reads `+ CREATE NAME TXT "VALUE" ttl=60` and its like, as `pkg/diff2/analyze.go` writes
    /// them, or with type and name the other way round, as `pkg/diff/diff.go` does. Some providers
    /// put ids after it.
    pub(super) fn parse(line: &str) -> Self {
        if HEADINGS.iter().any(|heading| line.starts_with(heading)) {
            return Self::Heading;
        }
        Self::change(line.trim()).unwrap_or(Self::Other)
    }

    fn change(line: &str) -> Option<Self> {
        let (sign, rest) = line.split_once(' ')?;
        let (verb, rest) = rest.split_once(' ')?;
        let (first, rest) = rest.split_once(' ')?;
        let (second, rest) = rest.split_once(' ')?;
        let name = match (first, second) {
            ("TXT", name) => name.trim_end_matches(':'),
            (name, "TXT") => name,
            _ => return None,
        };
        let name: DnsName = name.parse().ok()?;
        let txt = |value| Txt {
            name: name.clone(),
            value,
        };
        let existing = |text| {
            let (value, rest) = quoted(text)?;
            let ttl = rest.strip_prefix(" ttl=")?;
            let digits = ttl.split(|digit: char| !digit.is_ascii_digit()).next()?;
            Some(Existing {
                txt: txt(value),
                ttl: digits.parse().ok()?,
            })
        };
        match (sign, verb) {
            ("+", "CREATE") => Some(Self::Create(txt(quoted(rest)?.0))),
            ("-", "DELETE") => Some(Self::Delete(existing(rest)?)),
            ("±", "MODIFY") => {
                let (from, to) = rest.strip_prefix('(')?.split_once(") -> (")?;
                Some(Self::Replace {
                    from: existing(from)?,
                    to: txt(quoted(to)?.0),
                })
            }
            // The TTLs stand before the value or after it.
            ("±", "MODIFY-TTL") => {
                let value = rest.get(rest.find('"')?..)?;
                Some(Self::Retime(txt(quoted(value)?.0)))
            }
            _ => None,
        }
    }
}

/// Reads strings in quotes, joined, and what comes after them (`pkg/txtutil/txtcode.go`).
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let end = rest.find(['"', '\\'])?;
        value += rest.get(..end)?;
        let special = rest.get(end..)?;
        if let Some(escaped) = special.strip_prefix('\\') {
            let character = escaped.chars().next()?;
            value.push(character);
            rest = escaped.get(character.len_utf8()..)?;
            continue;
        }
        rest = special.strip_prefix('"')?;
        match rest.strip_prefix(" \"") {
            Some(next) => rest = next,
            None => return Some((value, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    fn txt(value: &str) -> Txt {
        Txt {
            name: name("_acme-challenge.a.test"),
            value: value.to_owned(),
        }
    }

    fn existing(value: &str, ttl: u32) -> Existing {
        Existing {
            txt: txt(value),
            ttl,
        }
    }

    /// The sample of DNSControl's documentation, shortened, with a tag, and a registrar that has
    /// something to do.
    const REPORT: &str = r#"[
      {"domain": "a.test", "corrections": 2, "correction_details": ["one", "two"], "provider": "main"},
      {"domain": "a.test", "corrections": 1, "correction_details": ["other"], "provider": "second"},
      {"domain": "a.test", "corrections": 1, "correction_details": ["Update nameservers"], "registrar": "main"},
      {"domain": "xn--bcher-kva.test", "corrections": 0, "provider": "main"},
      {"domain": "b.test", "corrections": 1, "provider": "main"},
      {"domain": "b.test", "corrections": 1, "correction_details": ["three"], "provider": "main"}
    ]"#;

    #[test]
    fn a_report_is_read_for_one_provider() {
        let report = Report::parse(REPORT, "main").unwrap().unwrap();
        let lines = |zone| report.lines(&name(zone)).map(|lines| lines.join("|"));
        assert_eq!(lines("a.test").unwrap(), "one|two");
        assert_eq!(lines("bücher.test").unwrap(), "");
        assert_eq!(
            lines("b.test").unwrap(),
            "1 corrections without a word|three"
        );
        assert_eq!(lines("c.test"), None);
        for nothing in ["null\n", "[]"] {
            assert_eq!(
                Report::parse(nothing, "main").unwrap(),
                Some(Report::default())
            );
        }
        assert_eq!(Report::parse(" \n", "main").unwrap(), None);
        let explained = explain(&Report::parse("{", "main").unwrap_err());
        assert_eq!(explained.what, "cannot read the report of `dnscontrol`");
    }

    #[test]
    fn changes_are_read_as_every_provider_writes_them() {
        for (line, expected) in [
            // pkg/diff2, with and without an id behind it (PORKBUN).
            (
                r#"+ CREATE _acme-challenge.a.test TXT "v-_1" ttl=300"#,
                Line::Create(txt("v-_1")),
            ),
            (
                r#"- DELETE _acme-challenge.a.test TXT "old" ttl=600, porkbun ID: 77"#,
                Line::Delete(existing("old", 600)),
            ),
            (
                r#"± MODIFY _acme-challenge.a.test TXT ("old" ttl=60) -> ("new" ttl=300)"#,
                Line::Replace {
                    from: existing("old", 60),
                    to: txt("new"),
                },
            ),
            (
                r#"± MODIFY-TTL _acme-challenge.a.test TXT ttl=(60->300) "v""#,
                Line::Retime(txt("v")),
            ),
            (
                r#"± MODIFY-TTL _acme-challenge.a.test TXT "v" ttl=(60->300)"#,
                Line::Retime(txt("v")),
            ),
            // pkg/diff: type and name the other way round; NAMECHEAP puts brackets around all.
            (
                r#"+ CREATE TXT _acme-challenge.a.test "v" ttl=300: {"name":"x"}"#,
                Line::Create(txt("v")),
            ),
            (
                r#"- DELETE TXT _acme-challenge.a.test "v" ttl=300]"#,
                Line::Delete(existing("v", 300)),
            ),
            (
                r#"± MODIFY TXT _acme-challenge.a.test: ("old" ttl=60) -> ("new" ttl=300)"#,
                Line::Replace {
                    from: existing("old", 60),
                    to: txt("new"),
                },
            ),
            // Escapes, and strings of more than 255 octets before 4.30.
            (
                r#"- DELETE _acme-challenge.a.test TXT "a\"\\é" "b" ttl=1"#,
                Line::Delete(existing("a\"\\éb", 1)),
            ),
            ("Zone update for a.test", Line::Heading),
            ("GENERATE_ZONE: a.test (3 records)[", Line::Heading),
            ("REFRESH zone a.test", Line::Heading),
        ] {
            assert_eq!(Line::parse(line), expected, "{line}");
        }
    }

    #[test]
    fn everything_else_is_somebody_elses() {
        for line in [
            "+ CREATE www.a.test A 192.0.2.1 ttl=300",
            "Enable DNSSEC",
            "Update nameservers (a) -> (b)",
            "+ CREATE _acme-challenge.a.test TXT unquoted ttl=300",
            r#"- DELETE _acme-challenge.a.test TXT "no end"#,
            r#"- DELETE _acme-challenge.a.test TXT "no ttl""#,
            r#"± MODIFY _acme-challenge.a.test TXT ("old" ttl=60)"#,
            r#"* CREATE _acme-challenge.a.test TXT "x" ttl=300"#,
            r#"+ CREATE _acme-challenge.a..test TXT "x" ttl=300"#,
            "+ CREATE TXT",
            "",
        ] {
            assert_eq!(Line::parse(line), Line::Other, "{line}");
        }
    }

    #[test]
    fn failures_are_found_under_the_heading_of_their_zone() {
        let stdout = "\
CONCURRENTLY gathering records of 2 zone(s)
******************** Domain: a.test
INFO#1: Domain \"a.test\" provider main Error: 401: bad token
INFO#2: 3 records not being deleted because of NO_PURGE:
1 correction (main)
#1: + CREATE www.a.test TXT \"FAILURE! and Error: are only words\" ttl=300
SUCCESS!
******************** Domain: b.test!in
#1: \u{1b}[32m+ CREATE www.b.test A 192.0.2.1 ttl=300\u{1b}[0m
\u{1b}[31mFAILURE!\u{1b}[0m 500: try again
******************** Domain: xn--bcher-kva.test (bücher.test)
INFO#1: DetermineNS: zone \"xn--bcher-kva.test\"; Error: no zone
Done. 2 corrections.
";
        let expected: BTreeMap<DnsName, Vec<String>> = [
            (
                "a.test",
                "Domain \"a.test\" provider main Error: 401: bad token",
            ),
            ("b.test", "500: try again"),
            (
                "xn--bcher-kva.test",
                "DetermineNS: zone \"xn--bcher-kva.test\"; Error: no zone",
            ),
        ]
        .into_iter()
        .map(|(zone, words)| (name(zone), vec![words.to_owned()]))
        .collect();
        assert_eq!(failures(stdout), expected);
        assert_eq!(failures("FAILURE! before any zone"), BTreeMap::new());
    }
}
