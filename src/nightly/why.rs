//! Why `renew` would do what it would do for one certificate.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;

use crate::acme::limits::{Budget, Limits, MEMORY};
use crate::acme::presets::Directory;
use crate::model::certificate::{CertificateName, Held, Issuance};
use crate::model::hint::{Hint, with_hint};
use crate::model::home::Home;
use crate::model::outcome::{Action, Planned};
use crate::model::status::{Allowance, Why};
use crate::nightly::budget;
use crate::nightly::job::LimitsOf;
use crate::nightly::plan::Holdings;
use crate::nightly::status::{Look, Read, StatusJob, listed};
use crate::nightly::vault_store;
use crate::repo::issuances;

impl StatusJob {
    /// The CA that a certificate would be ordered at.
    fn authority(&self, planned: &Planned) -> Result<Directory> {
        let Some(acme) = &planned.wanted.acme else {
            return Ok(self.directory.clone());
        };
        acme.parse::<Directory>()
            .with_context(|| format!("cannot use `acme` of certificate `{}`", planned.wanted.name))
            .hint(|| "it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory")
    }

    fn limits_of(&self, directory: &Directory) -> Option<Limits> {
        match self.limits {
            LimitsOf::TheCa => Limits::of(directory),
            LimitsOf::Given(limits) => Some(limits),
            LimitsOf::Nobody => None,
        }
    }
}

impl Look<'_> {
    /// The reason for the next action, and what is in its way.
    pub(crate) async fn why(&self, name: &CertificateName) -> Result<Why> {
        let Read {
            status, plan, held, ..
        } = self.read(&BTreeSet::from([name.clone()])).await?;
        let planned = plan
            .into_iter()
            .find(|planned| planned.wanted.name == *name);
        let certificate = status.certificates.into_iter().next();
        let (Some(planned), Some(certificate)) = (planned, certificate) else {
            let hint = match self.job.home() {
                Home::Repository => {
                    "list it in certs.json, or remove its folder below `certificates`"
                }
                Home::Vault => "list it in certs.json, or remove its secret in Vault",
            };
            return Err(with_hint(
                anyhow!(
                    "certs.json does not list `{name}`: `renew` leaves the certificate as it is"
                ),
                hint,
            ));
        };
        let directory = self.job.authority(&planned)?;
        let allowance = match self.job.limits_of(&directory) {
            None => Allowance::Unlimited,
            Some(limits) => {
                let past = match self.job.vault {
                    Some(_) => past_in_vault(held, self.now),
                    None => self.past().await?,
                };
                allowance(planned, (&directory, limits), &past, self.now)
            }
        };
        Ok(Why {
            at: self.now,
            home: self.job.home(),
            certificate,
            authority: directory.host(),
            allowance,
        })
    }

    /// What was issued within the memory of limits, as far as the repository tells.
    async fn past(&self) -> Result<Vec<Issuance>> {
        let (job, since) = (Arc::clone(&self.job), self.now - MEMORY);
        self.workspaces
            .with(move |workspace| {
                let listed = listed(workspace, &job)?;
                let held: Vec<_> = listed
                    .wanted
                    .into_iter()
                    .map(|wanted| wanted.name)
                    .collect();
                issuances::since(workspace, &held, since)
            })
            .await
    }
}

/// The same of what Vault has. Pure.
fn past_in_vault(held: Holdings, now: OffsetDateTime) -> Vec<Issuance> {
    let is_recent = |held: &Held| held.leaf.not_before >= now - MEMORY;
    let held = held.into_iter();
    let recent = held.filter(|(_, held)| held.as_ref().is_ok_and(is_recent));
    vault_store::past(&recent.collect())
}

/// Whether an order would fit now. What is kept would be renewed. Pure.
fn allowance(
    planned: Planned,
    (directory, limits): (&Directory, Limits),
    past: &[Issuance],
    now: OffsetDateTime,
) -> Allowance {
    let past = past
        .iter()
        .filter(|past| directory.is_of_same_ca(&past.directory));
    let past: Vec<_> = past.cloned().collect();
    let action = match planned.action {
        Action::Keep => Action::Renew,
        action => action,
    };
    let planned = Planned { action, ..planned };
    let budget = Budget::new(limits, &past, now);
    let (_, waits) = budget::sort(vec![(0, planned)], budget, directory, now);
    match waits.into_iter().next() {
        None => Allowance::Fits,
        Some((_, put_off)) => Allowance::UsedUp {
            reason: put_off.reason,
            until: put_off.until,
        },
    }
}
