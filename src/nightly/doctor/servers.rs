//! The name servers of a zone: parent against zone, and each against the others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, anyhow};

use crate::dns::agreement;
use crate::dns::lookup::{Lookup, NameServer};
use crate::dns::rules::MISMATCH;
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::zone::Zone;

/// Whether a warning says what [`look`] says.
pub(super) fn is_told(warning: &str) -> bool {
    warning.starts_with(MISMATCH)
}

/// Compares the NS records of a zone with its delegation, and those of each server with the others'.
pub(super) async fn look(zone: &Zone, servers: &[NameServer], lookup: &Lookup) -> Vec<Finding> {
    let (delegated, said) = tokio::join!(
        lookup.delegated(&zone.name),
        agreement::name_servers(&zone.name, servers)
    );
    // Why nobody says who serves it is told elsewhere.
    let delegated = delegated.unwrap_or_default();
    compare(zone, &delegated, &said)
}

/// What servers say, and which of them. Pure; where nothing is known of one side nothing is found.
fn compare(
    zone: &Zone,
    delegated: &BTreeSet<DnsName>,
    said: &BTreeMap<BTreeSet<DnsName>, Vec<String>>,
) -> Vec<Finding> {
    let own: BTreeSet<DnsName> = said.keys().flatten().cloned().collect();
    let mut errors = Vec::new();
    if said.len() > 1 {
        errors.push(disagreement(zone, said));
    }
    if !delegated.is_empty() && !own.is_empty() {
        errors.extend(delegated.difference(&own).map(|host| unnamed(zone, host)));
        errors.extend(
            own.difference(delegated)
                .map(|host| undelegated(zone, host)),
        );
    }
    let subject = || Subject::Zone(zone.unique_name());
    let all = errors.into_iter();
    all.map(|error| Finding::warning(subject(), error))
        .collect()
}

fn disagreement(zone: &Zone, said: &BTreeMap<BTreeSet<DnsName>, Vec<String>>) -> Error {
    let each = said.iter().map(|(names, who)| {
        let says = if who.len() == 1 { "has" } else { "have" };
        format!("{} {says} {}", who.join(", "), list(names))
    });
    let each: Vec<_> = each.collect();
    let error = anyhow!(
        "the name servers of zone `{}` do not agree on its NS records: {}",
        zone.name,
        each.join("; ")
    );
    let hint = "bring all to the same: `dnscontrol push` where dnsconfig.js declares them, and a zone transfer that works elsewhere";
    with_hint(error, hint)
}

fn unnamed(zone: &Zone, host: &DnsName) -> Error {
    let error = anyhow!(
        "zone `{}` is delegated to `{host}`, which its own NS records do not name",
        zone.name
    );
    let hint = format!(
        "add `NAMESERVER(\"{}\")` to `D(\"{}\", ...)` in dnsconfig.js, or take `{host}` out where the zone is delegated (for a registered domain: at its registrar)",
        host.fqdn(),
        zone.unique_name()
    );
    with_hint(error, hint)
}

fn undelegated(zone: &Zone, host: &DnsName) -> Error {
    let error = anyhow!(
        "the NS records of zone `{}` name `{host}`, which it is not delegated to",
        zone.name
    );
    let hint = format!(
        "add `{host}` where the zone is delegated (for a registered domain: at its registrar), or take `NAMESERVER(\"{}\")` out of `D(\"{}\", ...)` in dnsconfig.js",
        host.fqdn(),
        zone.unique_name()
    );
    with_hint(error, hint)
}

fn list(names: &BTreeSet<DnsName>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn names(text: &str) -> BTreeSet<DnsName> {
        text.split_whitespace()
            .map(|name| name.parse().unwrap())
            .collect()
    }

    /// What is found, and the hints.
    fn found(delegated: &str, said: &[(&str, &str)]) -> Vec<String> {
        let zone = Zone::undeclared("x.test".parse().unwrap(), String::new(), Vec::new());
        let mut by_names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (who, has) in said {
            by_names
                .entry(names(has))
                .or_default()
                .push((*who).to_owned());
        }
        let all = compare(&zone, &names(delegated), &by_names).into_iter();
        all.flat_map(|finding| {
            let explained = explain(&Error::new(finding.error));
            [vec![explained.what], explained.hints].concat()
        })
        .collect()
    }

    #[test]
    fn differences_are_told_with_the_line_that_mends_them() {
        assert_eq!(
            found(
                "a.test b.test",
                &[("1", "a.test b.test"), ("2", "b.test a.test")]
            ),
            [""; 0]
        );
        assert_eq!(found("", &[("1", "a.test")]), [""; 0]);
        assert_eq!(found("a.test", &[]), [""; 0]);
        assert_eq!(
            found("a.test b.test", &[("ns1 (1)", "a.test c.test")]),
            [
                "zone `x.test` is delegated to `b.test`, which its own NS records do not name",
                "add `NAMESERVER(\"b.test.\")` to `D(\"x.test\", ...)` in dnsconfig.js, or take `b.test` out where the zone is delegated (for a registered domain: at its registrar)",
                "the NS records of zone `x.test` name `c.test`, which it is not delegated to",
                "add `c.test` where the zone is delegated (for a registered domain: at its registrar), or take `NAMESERVER(\"c.test.\")` out of `D(\"x.test\", ...)` in dnsconfig.js",
            ]
        );
        assert_eq!(
            found(
                "a.test",
                &[
                    ("ns1 (1)", "a.test"),
                    ("ns2 (2)", "a.test"),
                    ("ns3 (3)", "")
                ]
            ),
            [
                "the name servers of zone `x.test` do not agree on its NS records: ns3 (3) has none; ns1 (1), ns2 (2) have `a.test`",
                "bring all to the same: `dnscontrol push` where dnsconfig.js declares them, and a zone transfer that works elsewhere",
            ]
        );
    }
}
