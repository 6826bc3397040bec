//! Zones that challenges lead to: found in public DNS, compared at their providers, looked into one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::dns::lookup::NameServer;
use crate::dns::view::{Lookout, View};
use crate::dnscontrol::DnsConfig;
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::outcome::Planned;
use crate::model::zone::Zone;
use crate::nightly::delegation;
use crate::nightly::doctor::providers::{Bare, without_credentials};
use crate::nightly::doctor::{servers, signatures, traps};
use crate::nightly::prepare::challenge_names;
use crate::nightly::run::Nightly;
use crate::nightly::shard::Part;
use crate::nightly::survey::{Providers, Survey, Surveyor};

/// What is known of the zones.
pub(super) struct Zones<'a> {
    pub(super) dns: Arc<DnsConfig>,
    pub(super) lookout: Lookout<'a>,
    /// By their unique names.
    pub(super) all: BTreeMap<String, Known>,
    /// At the providers whose credentials are there.
    pub(super) survey: Survey,
    /// The others.
    pub(super) bare: Bare,
    pub(super) findings: Vec<Finding>,
    /// Another run is at work: values in DNS may be its own.
    is_busy: bool,
}

/// A zone.
#[derive(Default)]
pub(super) struct Known {
    /// Names that challenges are written at.
    pub(super) names: BTreeSet<DnsName>,
    /// None where it is not ready, or CNAMEs lead on.
    view: Option<Arc<View>>,
}

impl Nightly {
    /// Finds the zones that the certificates need, and looks at all of them at once.
    pub(super) async fn zones(
        &self,
        certificates: &[Planned],
        dns: &Arc<DnsConfig>,
    ) -> Result<Zones<'_>> {
        let step = self.progress.step("looking at the zones");
        let lookout = Lookout::new(self.lookup()?, &self.job.name_servers);
        let mut names = challenge_names(certificates);
        // What is in no zone is told of its certificate.
        names.retain(|name| dns.zone_for(name).is_some());
        let surveyor = Surveyor {
            lookout: &lookout,
            providers: None,
        };
        let public = surveyor.survey(Arc::clone(dns), names.clone()).await?;
        let all = known(&public, &names, dns);
        let bare = without_credentials(dns, all.keys()).await?;
        names.retain(|name| {
            let zone = public.target(name).ok();
            let zone = zone.and_then(|target| dns.zone(&target.zone.unique_name));
            let zone = zone.or_else(|| dns.zone_for(name));
            let entries = zone.iter().flat_map(|zone| &zone.providers);
            let mut entries = entries.map(|provider| &provider.entry).peekable();
            entries.peek().is_none()
                || entries.any(|entry| !bare.contains_key(entry) && !self.job.skip.contains(entry))
        });
        let skip: BTreeSet<_> = self.job.skip.iter().chain(bare.keys()).cloned().collect();
        let context = self.provider_context();
        let surveyor = Surveyor {
            lookout: &lookout,
            providers: Some(Providers {
                context: &context,
                skip: &skip,
                policy: &self.job.pending,
            }),
        };
        let survey = surveyor.survey(Arc::clone(dns), names).await?;
        step.done(&format!("looked at {}", survey.summary()));
        let found = self.found(&Part::All).await.unwrap_or_default();
        let findings = [&public, &survey]
            .into_iter()
            .flat_map(|survey| told(survey, dns));
        Ok(Zones {
            dns: Arc::clone(dns),
            findings: findings.chain(self.left_out(&bare, &all, dns)).collect(),
            lookout,
            all,
            survey,
            bare,
            is_busy: found
                .iter()
                .any(|found| found.is_running(&self.job.journal)),
        })
    }

    /// Looks into one zone, whether it is ready or not.
    pub(super) async fn deeper(&self, unique_name: &str, zones: &Zones<'_>) -> Vec<Finding> {
        let (Some(known), Some(zone)) = (zones.all.get(unique_name), zones.dns.zone(unique_name))
        else {
            return Vec::new();
        };
        let mut findings = traps::look(zone, &known.names);
        let view = known.view.as_ref();
        if view.is_some_and(|view| !view.resolvers.is_empty()) {
            let left_out = anyhow!(
                "port 53 is blocked here, so name servers of zone `{unique_name}` are not compared, nor its DNSSEC"
            );
            let hint = "run this once where port 53 is open";
            let subject = Subject::Zone(unique_name.to_owned());
            findings.push(Finding::note(subject, with_hint(left_out, hint)));
            return findings;
        }
        let servers = match view {
            Some(view) => Ok(view.servers.clone()),
            None => zones.lookout.servers(zone.reference()).await,
        };
        // Why there are none is told.
        let servers: Vec<NameServer> = servers.unwrap_or_default();
        let (of_servers, of_signatures, left) = tokio::join!(
            servers::look(zone, &servers, zones.lookout.lookup()),
            signatures::look(zone, &servers, zones.lookout.lookup()),
            async {
                if zones.is_busy {
                    return Vec::new();
                }
                traps::left_over(zone, &known.names, &servers).await
            }
        );
        findings.extend(of_servers.into_iter().chain(of_signatures).chain(left));
        findings.extend(self.providers(unique_name, zones, &servers).await);
        findings
    }
}

fn known(survey: &Survey, names: &BTreeSet<DnsName>, dns: &DnsConfig) -> BTreeMap<String, Known> {
    let zones = names.iter().filter_map(|name| dns.zone_for(name));
    let mut all: BTreeMap<_, Known> = zones
        .map(|zone| (zone.unique_name(), Known::default()))
        .collect();
    for (_, target) in survey.ready() {
        let known = all.entry(target.zone.unique_name.clone()).or_default();
        known.names.insert(target.name.clone());
        known.view = Some(Arc::clone(&target.zone.view));
    }
    for (challenge, _) in survey.failures() {
        let zone = dns.zone_for(challenge);
        let leads_on = |zone: &&Zone| !matches!(delegation::declared(zone, challenge), Ok(None));
        let zone = zone.filter(|zone| !leads_on(zone));
        if let Some(known) = zone.and_then(|zone| all.get_mut(&zone.unique_name())) {
            known.names.insert(challenge.clone());
        }
    }
    all
}

/// What a survey says.
fn told(survey: &Survey, dns: &DnsConfig) -> Vec<Finding> {
    let errors = survey.failures().flat_map(|(challenge, error)| {
        let zone = dns.zone_for(challenge);
        let subject = zone.map_or(Subject::Run, |zone| Subject::Zone(zone.unique_name()));
        let parts = error.parts().into_iter();
        parts.map(move |part| Finding::error(subject.clone(), part))
    });
    let warnings = survey.warnings.iter();
    // Where the NS records of a zone differ from its delegation, more is said of it.
    let warnings = warnings.filter(|warning| !servers::is_told(warning));
    let warnings = warnings.map(|text| Finding::warning(Subject::Run, Error::msg(text.clone())));
    errors.chain(warnings).collect()
}
