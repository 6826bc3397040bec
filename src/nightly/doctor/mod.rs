//! Looks at everything that a run needs, and goes on after each failure.

mod caa;
mod names;
mod providers;
mod rehearse;
mod repository;
mod servers;
mod signatures;
mod traps;
mod vault;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Error, Result};
use futures_util::future::join_all;
use time::OffsetDateTime;

use crate::dnscontrol::DnsConfig;
use crate::model::checkup::{Checkup, Finding, Subject};
use crate::model::outcome::Planned;
use crate::nightly::doctor::zones::Zones;
use crate::nightly::fits;
use crate::nightly::plan::{self, Timing};
use crate::nightly::run::Nightly;
use crate::nightly::workspaces::blocking;

/// How far the clock may be off: the answer that tells has whole seconds, and was on its way for some.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

impl Nightly {
    /// Looks at everything that a run needs. Needs no secret, but says what it cannot look at without.
    ///
    /// `rehearses`: whether a value is written to every zone and withdrawn, for a try. An error means that
    /// there is nothing to look at.
    pub(crate) async fn doctor(&self, rehearses: bool) -> Result<Checkup> {
        let read = self.read_and_look_at_vault();
        let (listing, of_vault) = self.stop.ends(Box::pin(read)).await?;
        let mut checkup = Checkup::default();
        checkup.findings.extend(of_vault.findings);
        let warnings = listing.warnings.into_iter();
        let warnings = warnings.map(|warning| Finding::warning(Subject::Run, Error::msg(warning)));
        checkup.findings.extend(warnings);
        let wanted = self.selected(listing.wanted)?;
        let timing = Timing {
            renew_days: self.job.renew_days,
            windows: &BTreeMap::new(),
            now: OffsetDateTime::now_utc(),
            home: self.kept_in(),
        };
        let certificates = plan::plan(&wanted, &listing.held, &timing);
        checkup.certificates = certificates.len();
        let source = Arc::clone(&self.job);
        let dns = blocking(move || DnsConfig::load(&source.dns)).await;
        let is_closed = of_vault.is_closed;
        let look = async {
            let certificates = (certificates.as_slice(), is_closed);
            Ok(self.look(certificates, dns, &mut checkup).await)
        };
        let look = Box::pin(look);
        if let Some(zones) = self.stop.ends(look).await?
            && rehearses
        {
            let (rehearsals, findings) = self.rehearse(&certificates, &zones).await;
            checkup.rehearsals = Some(rehearsals);
            checkup.findings.extend(findings);
        }
        checkup.settle();
        Ok(checkup)
    }

    async fn look(
        &self,
        (certificates, vault_is_closed): (&[Planned], bool),
        dns: Result<DnsConfig>,
        checkup: &mut Checkup,
    ) -> Option<Zones<'_>> {
        let in_zones = async {
            let dns = dns.map(Arc::new)?;
            let mut findings = self.settings(&dns);
            let of_names = certificates
                .iter()
                .flat_map(|planned| names::look(planned, &dns));
            findings.extend(of_names);
            let (zones, permission) = (
                self.zones(certificates, &dns),
                self.permission(certificates, &dns)?,
            );
            let (zones, of_caa) = tokio::join!(zones, self.caa(certificates, &dns, &permission));
            findings.extend(of_caa);
            anyhow::Ok((zones?, findings))
        };
        let (in_zones, repository) =
            tokio::join!(in_zones, self.repository(certificates, vault_is_closed));
        checkup.findings.extend(repository);
        match in_zones {
            Ok((zones, findings)) => {
                checkup.zones = zones.all.len();
                checkup.findings.extend(findings);
                let deeper = zones.all.keys().map(|zone| self.deeper(zone, &zones));
                let deeper = join_all(deeper).await.into_iter().flatten();
                checkup
                    .findings
                    .extend(deeper.chain(zones.findings.iter().cloned()));
                Some(zones)
            }
            Err(error) => {
                checkup.findings.push(Finding::error(Subject::Run, error));
                None
            }
        }
    }

    /// Settings that do not fit the DNS repository.
    fn settings(&self, dns: &DnsConfig) -> Vec<Finding> {
        let fits = [
            fits::every_skipped_entry_declared(&self.job.skip, dns),
            fits::every_setting_of_a_zone(&self.job.name_servers, dns),
        ];
        let errors = fits.into_iter().filter_map(Result::err);
        let errors = errors.map(|error| Finding::error(Subject::Run, error));
        let astray = fits::patterns_without_a_zone(&self.job.pending.never_count, dns);
        let astray = astray.into_iter();
        let warnings = astray.map(|text| Finding::warning(Subject::Run, Error::msg(text)));
        errors.chain(warnings).collect()
    }
}
