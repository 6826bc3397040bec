//! Providers: whose credentials are not there, and whether their name servers are those of the zone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use futures_util::future::join_all;

use crate::dns::lookup::NameServer;
use crate::dnscontrol::DnsConfig;
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::nightly::doctor::zones::{Known, Zones};
use crate::nightly::pending::Mode;
use crate::nightly::run::Nightly;
use crate::nightly::workspaces::blocking;
use crate::nightly::zones::ReadyZone;
use crate::provider::registry::Provider;

/// Entries of creds.json whose credentials are not there, and the variables that would hold them.
pub(super) type Bare = BTreeMap<String, Vec<String>>;

/// The entries of these zones that name variables which are not set.
pub(super) async fn without_credentials(
    dns: &Arc<DnsConfig>,
    zones: impl Iterator<Item = &String>,
) -> Result<Bare> {
    let zones = zones.filter_map(|zone| dns.zone(zone));
    let entries = zones.flat_map(|zone| &zone.providers);
    let entries: BTreeSet<_> = entries.map(|provider| provider.entry.clone()).collect();
    let dns = Arc::clone(dns);
    // What is wrong with an entry is told of the zones that it is for.
    let unset = move |entry: String| {
        let variables: BTreeSet<_> = dns.provider(&entry).ok()?.unset.into_values().collect();
        (!variables.is_empty()).then(|| (entry, variables.into_iter().collect()))
    };
    blocking(move || Ok(entries.into_iter().filter_map(unset).collect())).await
}

impl Nightly {
    /// What cannot be looked at.
    pub(super) fn left_out(
        &self,
        bare: &Bare,
        zones: &BTreeMap<String, Known>,
        dns: &DnsConfig,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.job.pending.mode == Mode::Off {
            let off = anyhow!("no zone is compared with its providers: `--pending` is off");
            findings.push(Finding::note(Subject::Run, off));
        }
        findings.extend(bare.iter().map(|(entry, variables)| {
            let zones = zones.keys().filter(|zone| {
                let zone = dns.zone(zone);
                let mut providers = zone.iter().flat_map(|zone| &zone.providers);
                providers.any(|provider| provider.entry == *entry)
            });
            let zones: Vec<_> = zones.map(|zone| format!("`{zone}`")).collect();
            let error = anyhow!(
                "`{entry}` has no credentials here, so it is not compared with dnsconfig.js: {}",
                zones.join(", ")
            );
            let variables: Vec<_> = variables.iter().map(|name| format!("`{name}`")).collect();
            let hint = format!(
                "set {}, as the job that renews does",
                variables.join(" and ")
            );
            Finding::note(Subject::Run, with_hint(error, hint))
        }));
        findings
    }

    /// Compares the name servers that the providers of a zone have with those that it really has.
    pub(super) async fn providers(
        &self,
        unique_name: &str,
        zones: &Zones<'_>,
        servers: &[NameServer],
    ) -> Vec<Finding> {
        let mut ready = zones.survey.ready().map(|(_, target)| &target.zone);
        let Some(zone) = ready.find(|zone| zone.unique_name == unique_name) else {
            return Vec::new();
        };
        let asked = zone.providers.iter().map(|access| async {
            let names = match &access.provider {
                Provider::Native(provider) => provider.nameservers(zone.reference()).await.ok(),
                Provider::Binary(_) => None,
            };
            (access.entry.clone(), names.unwrap_or_default())
        });
        let at_providers: Vec<_> = join_all(asked).await;
        if servers.is_empty() {
            return Vec::new();
        }
        let real: BTreeSet<_> = servers.iter().map(|server| server.name.clone()).collect();
        compare(zone, &at_providers, &real)
    }
}

/// Providers that list no name servers are not known to have any. Pure.
fn compare(
    zone: &ReadyZone,
    at_providers: &[(String, Vec<DnsName>)],
    real: &BTreeSet<DnsName>,
) -> Vec<Finding> {
    let (name, subject) = (&zone.unique_name, || {
        Subject::Zone(zone.unique_name.clone())
    });
    let mut findings = Vec::new();
    for (entry, hosts) in at_providers {
        if hosts.is_empty() || hosts.iter().any(|host| real.contains(host)) {
            continue;
        }
        let error = anyhow!(
            "`{entry}` serves zone `{name}` on {}, none of which is a name server of the zone: what is written there nobody sees",
            list(hosts.iter())
        );
        let hint = format!(
            "delegate the zone to them (for a registered domain: at its registrar), or take `DnsProvider(...)` of `{entry}` out of `D(\"{name}\", ...)` in dnsconfig.js"
        );
        findings.push(Finding::warning(subject(), with_hint(error, hint)));
    }
    let all_known = findings.is_empty()
        && zone.skipped.is_empty()
        && !at_providers.is_empty()
        && at_providers.iter().all(|(_, hosts)| !hosts.is_empty());
    let strange = real.iter().filter(|host| {
        let mut known = at_providers.iter().flat_map(|(_, hosts)| hosts);
        !known.any(|known| known == *host)
    });
    let strange: Vec<_> = strange.collect();
    if all_known && !strange.is_empty() {
        let error = anyhow!(
            "no provider of zone `{name}` in dnsconfig.js serves it on {}: a challenge gets there only if it is transferred",
            list(strange.iter().copied())
        );
        let hint = format!(
            "add the provider to `D(\"{name}\", ...)`, or take the server out where the zone is delegated and in `NAMESERVER(...)`"
        );
        findings.push(Finding::warning(subject(), with_hint(error, hint)));
    }
    findings
}

fn list<'a>(names: impl Iterator<Item = &'a DnsName>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use anyhow::Error;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::dns::view::View;
    use crate::model::hint::explain;
    use crate::model::zone::Meta;

    fn names(text: &str) -> Vec<DnsName> {
        text.split_whitespace()
            .map(|name| name.parse().unwrap())
            .collect()
    }

    fn found(at_providers: &[(&str, &str)], real: &str, skipped: &[&str]) -> Vec<String> {
        let zone = ReadyZone {
            unique_name: "x.test!in".to_owned(),
            name: "x.test".parse().unwrap(),
            tag: "in".to_owned(),
            meta: Meta::new(),
            view: Arc::new(View {
                servers: Vec::new(),
                resolvers: Vec::new(),
                settle: Duration::ZERO,
                deadline: None,
                confirmations: NonZeroU32::MIN,
                warnings: Vec::new(),
            }),
            providers: Vec::new(),
            skipped: skipped.iter().map(|entry| (*entry).to_owned()).collect(),
        };
        let at_providers = at_providers.iter();
        let at_providers: Vec<_> = at_providers
            .map(|(entry, hosts)| ((*entry).to_owned(), names(hosts)))
            .collect();
        let real = names(real).into_iter().collect();
        let all = compare(&zone, &at_providers, &real).into_iter();
        all.flat_map(|finding| {
            let explained = explain(&Error::new(finding.error));
            [vec![explained.what], explained.hints].concat()
        })
        .collect()
    }

    #[test]
    fn servers_of_providers_are_those_of_the_zone() {
        let nothing = [""; 0];
        assert_eq!(
            found(&[("a", "a1 a2"), ("b", "b1")], "a1 a2 b1", &[]),
            nothing
        );
        assert_eq!(found(&[("a", "a1"), ("b", "")], "a1 b1", &[]), nothing);
        assert_eq!(found(&[("a", "a1")], "a1 b1", &["b"]), nothing);
        assert_eq!(
            found(&[("a", "a1 a2"), ("b", "b1")], "b1 c1", &[]),
            [
                "`a` serves zone `x.test!in` on `a1`, `a2`, none of which is a name server of the zone: what is written there nobody sees",
                "delegate the zone to them (for a registered domain: at its registrar), or take `DnsProvider(...)` of `a` out of `D(\"x.test!in\", ...)` in dnsconfig.js",
            ]
        );
        assert_eq!(
            found(&[("a", "a1")], "a1 c1 c2", &[]),
            [
                "no provider of zone `x.test!in` in dnsconfig.js serves it on `c1`, `c2`: a challenge gets there only if it is transferred",
                "add the provider to `D(\"x.test!in\", ...)`, or take the server out where the zone is delegated and in `NAMESERVER(...)`",
            ]
        );
    }
}
