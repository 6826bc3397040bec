//! The nightly build in six steps: open, unlock, plan, prove and issue, seal and commit, sweep.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};
use time::OffsetDateTime;

use crate::acme::account::Account;
use crate::dns::lookup::Lookup;
use crate::dns::wait::WaitSettings;
use crate::dnscontrol::config::DnsConfig;
use crate::model::certificate::{CertificateName, Issued, Wanted};
use crate::model::hint::with_hint;
use crate::model::outcome::{Done, Outcome, Planned, Stored};
use crate::nightly::challenge::Challenges;
use crate::nightly::issue::{Issuer, count};
use crate::nightly::job::Job;
use crate::nightly::plan::{self, Holdings};
use crate::nightly::stop::Stop;
use crate::nightly::survey::{Survey, Surveyor};
use crate::nightly::unlock;
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::provider::registry::Context;
use crate::repo::layout;
use crate::repo::seal::Recipients;
use crate::report::progress::Progress;

/// A run with its repositories open: the first step is done.
pub(crate) struct Nightly {
    workspaces: Workspaces,
    job: Arc<Job>,
    stop: Stop,
    progress: Progress,
}

/// What is wanted, what is to be done, and the zones that it is to be done in.
pub(crate) struct Decided {
    pub(crate) plan: Vec<Planned>,
    dns: DnsConfig,
}

type RecipientsByName = BTreeMap<CertificateName, Arc<Recipients>>;

impl Nightly {
    pub(crate) fn new(workspaces: Workspaces, job: Job, stop: Stop, progress: Progress) -> Self {
        Self {
            workspaces,
            job: Arc::new(job),
            stop,
            progress,
        }
    }

    /// Decides what is due. Touches neither the CA nor DNS, and needs no secret.
    pub(crate) async fn plan(&self) -> Result<Decided> {
        let job = Arc::clone(&self.job);
        let dns = blocking(move || DnsConfig::load(&job.dns));
        let (dns, (wanted, held)) = tokio::try_join!(dns, self.read())?;
        let wanted = self.selected(wanted)?;
        every_name_in_a_zone(&wanted, &dns)?;
        Ok(Decided {
            plan: plan::plan(&wanted, &held, self.job.renew_days, OffsetDateTime::now_utc()),
            dns,
        })
    }

    /// The whole build.
    pub(crate) async fn renew(&self) -> Result<Outcome> {
        let Decided { plan, dns } = self.plan().await?;
        let (due, kept): (Vec<_>, Vec<_>) = plan.into_iter().partition(Planned::is_due);
        if due.is_empty() {
            return Ok(Outcome {
                kept,
                ..Outcome::default()
            });
        }
        for planned in &due {
            self.progress.say(&format!(
                "{} `{}`: {}",
                planned.action, planned.wanted.name, planned.reason
            ));
        }
        let lookup = self.lookup()?;
        let recipients = self.recipients(&due).await?;
        let (survey, ()) = tokio::try_join!(self.survey(&due, &dns, &lookup), self.prove_push())?;
        let account = self.account(&survey).await?;
        self.issue_and_store(due, kept, &Ready { dns, survey, recipients, account })
            .await
    }

    /// certs.json and the certificates that the repository has.
    async fn read(&self) -> Result<(Vec<Wanted>, Holdings)> {
        let job = Arc::clone(&self.job);
        let progress = self.progress.clone();
        self.workspaces
            .with(move |workspace| {
                let listed = match &job.certs_json {
                    Some(other) => layout::wanted(&other.bytes, &other.origin, job.key_type)?,
                    None => layout::wanted_in(workspace, job.key_type)?,
                };
                for warning in &listed.warnings {
                    progress.say(&format!("warning: {warning}"));
                }
                let held = layout::holdings(workspace, &listed.wanted)?;
                Ok((listed.wanted, held))
            })
            .await
    }

    /// All of certs.json, or the one certificate of `--only`.
    fn selected(&self, wanted: Vec<Wanted>) -> Result<Vec<Wanted>> {
        let Some(only) = &self.job.only else {
            return Ok(wanted);
        };
        if let Some(one) = wanted.iter().find(|wanted| &wanted.name == only) {
            return Ok(vec![one.clone()]);
        }
        let names: Vec<_> = wanted.iter().map(|wanted| format!("`{}`", wanted.name)).collect();
        Err(with_hint(
            anyhow!("certs.json has no certificate `{only}`"),
            format!("`--only` takes one of {}", names.join(", ")),
        ))
    }
}

/// What issuing needs, once everything has been looked at.
struct Ready {
    dns: DnsConfig,
    survey: Survey,
    recipients: RecipientsByName,
    account: Account,
}
