//! The name servers of a zone: parent against zone, and each against the others.

use std::collections::BTreeSet;

use anyhow::anyhow;

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
    let subject = || Subject::Zone(zone.unique_name());
    let mut findings = Vec::new();
    if said.len() > 1 {
        let each = said
            .iter()
            .map(|(names, who)| format!("{} say {}", who.join(", "), list(names)));
        let each: Vec<_> = each.collect();
        let error = anyhow!(
            "the name servers of zone `{}` do not agree on its NS records: {}",
            zone.name,
            each.join("; ")
        );
        let hint = "bring all to the same: `dnscontrol push` where dnsconfig.js declares them, and a zone transfer that works elsewhere";
        findings.push(Finding::warning(subject(), with_hint(error, hint)));
    }
    let own: BTreeSet<DnsName> = said.into_keys().flatten().collect();
    // Why nobody says who serves it is told elsewhere.
    if let Ok(delegated) = delegated
        && !own.is_empty()
    {
        let only = |these: &BTreeSet<DnsName>, those: &BTreeSet<DnsName>| {
            these.difference(those).cloned().collect::<Vec<_>>()
        };
        findings.extend(only(&delegated, &own).into_iter().map(|host| {
            let error = anyhow!(
                "zone `{}` is delegated to `{host}`, which its own NS records do not name",
                zone.name
            );
            let hint = format!(
                "add `NAMESERVER(\"{}\")` to `D(\"{}\", ...)` in dnsconfig.js, or take `{host}` out where the zone is delegated (for a registered domain: at its registrar)",
                host.fqdn(),
                zone.unique_name()
            );
            Finding::warning(subject(), with_hint(error, hint))
        }));
        findings.extend(only(&own, &delegated).into_iter().map(|host| {
            let error = anyhow!(
                "the NS records of zone `{}` name `{host}`, which it is not delegated to",
                zone.name
            );
            let hint = format!(
                "add `{host}` where the zone is delegated (for a registered domain: at its registrar), or take `NAMESERVER(\"{}\")` out of `D(\"{}\", ...)` in dnsconfig.js",
                host.fqdn(),
                zone.unique_name()
            );
            Finding::warning(subject(), with_hint(error, hint))
        }));
    }
    findings
}

fn list(names: &BTreeSet<DnsName>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
