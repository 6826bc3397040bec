//! Whether CAA lets the CA issue, and whether it lets our account alone.

use crate::dnscontrol::DnsConfig;
use crate::model::checkup::{Finding, Subject};
use crate::model::name::Identifier;
use crate::model::outcome::Planned;
use crate::nightly::permission::Permission;
use crate::nightly::run::Nightly;

impl Nightly {
    /// Looks at every name of every certificate, with the first of its CAs.
    pub(super) async fn caa(
        &self,
        certificates: &[Planned],
        dns: &DnsConfig,
        permission: &Permission,
    ) -> Vec<Finding> {
        let candidates = self.candidates(certificates).await;
        let mut findings = Vec::new();
        for planned in certificates {
            let directory = self.job.authorities(&planned.wanted).into_iter().next();
            let candidate = directory.and_then(|directory| candidates.get(directory.url()));
            // What is wrong with a CA is said elsewhere.
            let Some(Ok(candidate)) = candidate else {
                continue;
            };
            let authority = self.authority_of(candidate);
            for identifier in &planned.wanted.identifiers {
                let subject = zone_of(identifier, dns);
                let one = with_one_name(planned, identifier);
                let judged = permission.judge(&[&one], &authority, &self.stop).await;
                if let Some(Err(error)) = judged.into_iter().next() {
                    findings.push(Finding::error(subject, error));
                } else if let Some(error) = permission.for_everybody(identifier, &authority).await {
                    findings.push(Finding::note(subject, error));
                }
            }
        }
        findings
    }
}

fn zone_of(identifier: &Identifier, dns: &DnsConfig) -> Subject {
    let zone = dns.zone_for(&identifier.base());
    zone.map_or(Subject::Run, |zone| Subject::Zone(zone.unique_name()))
}

fn with_one_name(planned: &Planned, identifier: &Identifier) -> Planned {
    let mut one = planned.clone();
    one.wanted.identifiers = vec![identifier.clone()];
    one
}
