//! `IGNORE()` where challenges are written, and values that are left there.

use std::collections::BTreeSet;

use anyhow::{Error, anyhow};

use crate::dns::agreement;
use crate::dns::lookup::NameServer;
use crate::model::change::Txt;
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, Record, Zone};
use crate::nightly::patterns::Ignored;

/// What `IGNORE()` of dnsconfig.js does to the names that challenges are written at. Pure.
pub(super) fn look(zone: &Zone, names: &BTreeSet<DnsName>) -> Vec<Finding> {
    let subject = || Subject::Zone(zone.unique_name());
    let patterns = match Ignored::of(zone) {
        Ok(patterns) => patterns,
        Err(error) => return vec![Finding::error(subject(), error)],
    };
    let declared = zone.records.iter();
    let declared = declared.filter(|record| record.name.is_challenge() && record.rtype == "CNAME");
    let mut findings = Vec::new();
    for (pattern, written) in patterns.iter().zip(&zone.ignore) {
        let text = shown(written);
        for record in declared
            .clone()
            .filter(|record| pattern.matches(zone, record))
        {
            let error = anyhow!(
                "`{text}` of zone `{}` covers the CNAME that dnsconfig.js declares at `{}`: DNSControl refuses the zone, or never writes it",
                zone.unique_name(),
                record.name
            );
            let hint = format!(
                "in its place in `D(\"{}\", ...)`: `{}`",
                zone.unique_name(),
                shown(&IgnorePattern {
                    types: "TXT".to_owned(),
                    ..written.clone()
                })
            );
            findings.push(Finding::warning(subject(), with_hint(error, hint)));
        }
        let txt = |name: &&DnsName| pattern.matches(zone, &challenge((*name).clone()));
        let covered: Vec<_> = names
            .iter()
            .filter(txt)
            .map(|name| format!("`{name}`"))
            .collect();
        if !covered.is_empty() {
            let error = anyhow!(
                "`{text}` of zone `{}` covers {}: what a killed run leaves there is swept only if its journal is there",
                zone.unique_name(),
                covered.join(", ")
            );
            let hint = format!(
                "take it out of `D(\"{}\", ...)` in dnsconfig.js, unless another ACME client proves these names too",
                zone.unique_name()
            );
            findings.push(Finding::note(subject(), with_hint(error, hint)));
        }
    }
    findings
}

/// Challenges that name servers show although no run is at work.
pub(super) async fn left_over(
    zone: &Zone,
    names: &BTreeSet<DnsName>,
    servers: &[NameServer],
) -> Vec<Finding> {
    let names: Vec<_> = names.iter().cloned().collect();
    let shown = agreement::txt(&names, servers).await;
    let values = names.iter().zip(shown).flat_map(|(name, values)| {
        let txt = move |value| Txt {
            name: name.clone(),
            value,
        };
        values.into_iter().map(txt)
    });
    let left = values.filter(|txt| txt.looks_like_a_challenge() && !is_declared(zone, txt));
    left.map(|txt| Finding::warning(Subject::Zone(zone.unique_name()), remains(zone, &txt)))
        .collect()
}

fn is_declared(zone: &Zone, txt: &Txt) -> bool {
    let mut declared = zone.records.iter();
    declared
        .any(|record| record.rtype == "TXT" && record.name == txt.name && record.data == txt.value)
}

fn remains(zone: &Zone, txt: &Txt) -> Error {
    let error = anyhow!(
        "a challenge is left in zone `{}`: {txt}",
        zone.unique_name()
    );
    let patterns = Ignored::of(zone).unwrap_or_default();
    let protecting = patterns.iter().zip(&zone.ignore);
    let record = challenge(txt.name.clone());
    let protecting = protecting
        .filter(|(pattern, _)| pattern.matches(zone, &record))
        .map(|(_, written)| shown(written));
    let hint = match protecting.into_iter().next() {
        Some(text) => format!(
            "`{text}` protects it: remove it by hand at the provider, unless another ACME client is at work"
        ),
        None if zone.no_purge => {
            "`NO_PURGE` protects it: remove it by hand at the provider, unless another ACME client is at work"
                .to_owned()
        }
        None if zone.is_declared => {
            "`dnscontrol push` removes it, and so does the next run that proves the name".to_owned()
        }
        None => "remove it by hand at the provider, unless another ACME client is at work".to_owned(),
    };
    with_hint(error, hint)
}

fn challenge(name: DnsName) -> Record {
    Record::new(name, "TXT", 0, String::new())
}

/// As it is written in dnsconfig.js.
fn shown(pattern: &IgnorePattern) -> String {
    let is_all = |text: &str| ["", "*"].contains(&text.trim());
    let mut words = vec![&pattern.label, &pattern.types, &pattern.target];
    while words.len() > 1 && words.last().is_some_and(|word| is_all(word)) {
        words.pop();
    }
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("IGNORE({})", words.join(", "))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn zone(patterns: &[[&str; 3]]) -> Zone {
        let name: DnsName = "x.test".parse().unwrap();
        let mut zone = Zone::undeclared(name, String::new(), Vec::new());
        zone.is_declared = true;
        let pattern = |[label, types, target]: &[&str; 3]| IgnorePattern {
            label: (*label).to_owned(),
            types: (*types).to_owned(),
            target: (*target).to_owned(),
        };
        zone.ignore = patterns.iter().map(pattern).collect();
        zone
    }

    fn txt() -> Txt {
        Txt {
            name: "_acme-challenge.www.x.test".parse().unwrap(),
            value: "v".to_owned(),
        }
    }

    #[test]
    fn what_protects_a_value_is_named() {
        let hint = |zone: &Zone| explain(&remains(zone, &txt())).hints.join(" ");
        let unless = "remove it by hand at the provider, unless another ACME client is at work";
        let mut open = zone(&[["www", "*", "*"]]);
        assert_eq!(
            explain(&remains(&open, &txt())).what,
            "a challenge is left in zone `x.test`: _acme-challenge.www.x.test TXT \"v\""
        );
        assert_eq!(
            hint(&open),
            "`dnscontrol push` removes it, and so does the next run that proves the name"
        );
        assert_eq!(
            hint(&zone(&[["a", "", ""], ["_acme-challenge**", "TXT", "*"]])),
            format!("`IGNORE(\"_acme-challenge**\", \"TXT\")` protects it: {unless}")
        );
        open.no_purge = true;
        assert_eq!(hint(&open), format!("`NO_PURGE` protects it: {unless}"));
        open.no_purge = false;
        open.is_declared = false;
        assert_eq!(hint(&open), unless);
    }

    #[test]
    fn patterns_are_written_as_short_as_they_can_be() {
        let text = |words| shown(&zone(&[words]).ignore[0]);
        assert_eq!(text(["*", "*", "*"]), "IGNORE(\"*\")");
        assert_eq!(text(["a", "TXT", ""]), "IGNORE(\"a\", \"TXT\")");
        assert_eq!(text(["*", "*", "b."]), "IGNORE(\"*\", \"*\", \"b.\")");
    }

    #[test]
    fn a_pattern_that_is_no_glob_is_an_error() {
        let findings = look(&zone(&[["[a", "*", "*"]]), &BTreeSet::new());
        let error = Error::new(findings[0].error.clone());
        assert_eq!(error.to_string(), "bad `IGNORE()` of zone `x.test`");
    }
}
