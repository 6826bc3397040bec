//! What public DNS says of certificates that are due: for a plan, without any secret.

use std::time::Duration;

use anyhow::{Error, Result, anyhow};

use crate::dns::recursor::NoAnswer;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::CertificateName;
use crate::model::hint::{Shared, find, several, with_hint};
use crate::model::outcome::{Done, Planned, Verdicts};
use crate::nightly::dry_run::Candidates;
use crate::nightly::names;
use crate::nightly::permission::{Permission, is_forbidden};
use crate::nightly::run::Nightly;
use crate::report::terminal;

/// A plan does not wait longer than this for public DNS: nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(30);

impl Nightly {
    /// What CAA and the delegations of zones have against each of the certificates; none, and a warning, if
    /// that cannot be found out from here.
    pub(super) async fn verdicts(
        &self,
        due: Vec<Planned>,
        dns: DnsConfig,
    ) -> Result<Option<Verdicts>> {
        let (due, refused) = names::sort(due);
        let look = tokio::time::timeout(PATIENCE, self.ask_public_dns(&due, dns)).await;
        let seconds = PATIENCE.as_secs();
        let said =
            look.unwrap_or_else(|_| Err(anyhow!("not everything was answered in {seconds} s")));
        let doubt = match said {
            Ok(mut verdicts) => {
                verdicts.extend(refused.into_iter().filter_map(verdict));
                return Ok(Some(verdicts));
            }
            Err(error) => error,
        };
        self.warn_of(&with_hint(
            doubt.context("it is not known whether CAA and delegations would let a run issue"),
            "where DNS cannot be asked, `--no-dns` leaves this out",
        ));
        Ok(None)
    }

    async fn ask_public_dns(&self, due: &[Planned], dns: DnsConfig) -> Result<Verdicts> {
        let permission = self.permission(due, &dns)?;
        let (survey, candidates) =
            tokio::join!(self.survey_with(due, dns, None), self.candidates(due));
        let (_, blocked) = survey?.sort(due.to_vec());
        let mut verdicts: Verdicts = blocked.into_iter().filter_map(verdict).collect();
        if let Some(error) = nobody_answers(&verdicts, due.len()) {
            return Err(error.into());
        }
        for error in candidates.values().filter_map(|one| one.as_ref().err()) {
            let error = Error::new(error.clone());
            self.warn_of(&error.context("it is not known whether CAA would let the CA issue"));
        }
        for planned in due {
            if let Err(error) = self.forecast(planned, &candidates, &permission).await {
                let name = &planned.wanted.name;
                let both = verdicts
                    .remove(name)
                    .into_iter()
                    .chain([Shared::new(error)]);
                let both = several(both).map(Shared::new);
                verdicts.extend(both.map(|error| (name.clone(), error)));
            }
        }
        Ok(verdicts)
    }

    /// Whether one of the CAs of a certificate may issue it, as far as their directories are known.
    async fn forecast(
        &self,
        planned: &Planned,
        candidates: &Candidates,
        permission: &Permission,
    ) -> Result<()> {
        let mut result = Ok(());
        for directory in self.job.authorities(&planned.wanted) {
            let Some(Ok(candidate)) = candidates.get(directory.url()) else {
                return Ok(());
            };
            result = self.judge_at(candidate, planned, permission).await;
            if !result.as_ref().is_err_and(is_forbidden) {
                break;
            }
        }
        result
    }

    /// Says an error that stops nothing, with what to do about it.
    pub(super) fn warn_of(&self, error: &Error) {
        self.progress.warn(&terminal::told(error));
    }
}

fn verdict(done: Done) -> Option<(CertificateName, Shared)> {
    Some((done.planned.wanted.name, done.result.err()?))
}

/// Why, if the resolver had no answer to anything.
fn nobody_answers(verdicts: &Verdicts, due: usize) -> Option<Shared> {
    let mut all = verdicts.values().flat_map(Shared::parts);
    let is_silence = |error: &Shared| find::<NoAnswer>(&Error::new(error.clone())).is_some();
    let first = verdicts.values().flat_map(Shared::parts).next()?;
    (verdicts.len() == due && all.all(|error| is_silence(&error))).then_some(first)
}
