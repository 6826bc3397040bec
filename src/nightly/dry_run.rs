//! A run that goes as far as can be gone without writing or ordering anything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Result, anyhow};

use crate::acme::presets::Directory;
use crate::acme::prospect::Prospect;
use crate::acme::refusal::is_fault_of_the_ca;
use crate::dns::caa::Authority;
use crate::model::hint::Shared;
use crate::model::outcome::{Done, Outcome, Planned};
use crate::model::wording::count;
use crate::nightly::fits;
use crate::nightly::permission::{Permission, is_forbidden};
use crate::nightly::run::Nightly;

/// What is known of a CA without opening the account there.
pub(super) struct Candidate {
    pub(super) prospect: Prospect,
    /// The account's URL; none where there is none yet.
    pub(super) account: Option<String>,
    /// Whether the account can be used, or there may be one.
    pub(super) may_order: Result<(), Shared>,
}

/// By the URL of the directory.
pub(super) type Candidates = BTreeMap<String, Result<Candidate, Shared>>;

impl Nightly {
    /// Looks at everything that a run looks at before it orders: zones at providers and name
    /// servers, CAA, limits, recipients, what CAs offer. Needs no account key, and writes nothing.
    pub(crate) async fn dry_run(&self) -> Result<Outcome> {
        let mut decided = self.stop.ends(self.decide(true)).await?;
        let found = self.stop.ends(self.found(&decided.part)).await?;
        self.say_what_was_found(&found);
        let (due, mut outcome) = self.due(&mut decided, &found).await?;
        if due.is_empty() {
            return Ok(outcome);
        }
        let permission = self.permission(&due, &decided.dns)?;
        let look = async {
            self.forms(&due).await?;
            let (survey, candidates) =
                tokio::join!(self.survey(&due, decided.dns), self.candidates(&due));
            Ok((survey?, candidates))
        };
        let (survey, candidates) = self.stop.ends(Box::pin(look)).await?;
        survey
            .looked_at
            .iter()
            .for_each(|line| self.progress.say(line));
        let (ready, blocked) = survey.sort(due);
        outcome.done.extend(blocked);
        let step = self.progress.step("looking at CAA records");
        for planned in ready {
            match self.judge(&planned, &candidates, &permission).await {
                Ok(()) => outcome.ready.push(planned),
                Err(error) => outcome.done.push(Done {
                    planned,
                    result: Err(Shared::new(error)),
                }),
            }
        }
        let ready = count(outcome.ready.len(), "certificate");
        step.done(&format!("found nothing against {ready}"));
        Ok(outcome)
    }

    /// Every CA that one of the certificates may go to.
    pub(super) async fn candidates(&self, due: &[Planned]) -> Candidates {
        let mut all = Candidates::new();
        for directory in due
            .iter()
            .flat_map(|planned| self.job.authorities(&planned.wanted))
        {
            if let Entry::Vacant(place) = all.entry(directory.url().to_owned()) {
                let candidate = self.candidate(&directory).await;
                place.insert(candidate.map_err(Shared::new));
            }
        }
        all
    }

    async fn candidate(&self, directory: &Directory) -> Result<Candidate> {
        let stored = self.accounts_at(directory).stored_or_new().await?;
        let prospect = Prospect::of(directory, &self.job.http).await?;
        let may_order = match &stored {
            Some(stored) => stored.safe_key().map(drop),
            None => prospect.may_register(&self.job.registration),
        };
        Ok(Candidate {
            prospect,
            may_order: may_order.map_err(Shared::new),
            account: stored.and_then(|stored| stored.url),
        })
    }

    /// Whether one of the CAs of a certificate may issue it. As in a run, the next one has its turn
    /// where the fault is the CA's, or where CAA forbids it.
    async fn judge(
        &self,
        planned: &Planned,
        candidates: &Candidates,
        permission: &Permission,
    ) -> Result<()> {
        let mut result = Err(anyhow!("there is no CA"));
        for directory in self.job.authorities(&planned.wanted) {
            let candidate = candidates.get(directory.url());
            result = match candidate {
                Some(Ok(candidate)) => match &candidate.may_order {
                    Ok(()) => self.judge_at(candidate, planned, permission).await,
                    Err(error) => Err(error.clone().into()),
                },
                Some(Err(error)) => Err(error.clone().into()),
                None => continue,
            };
            match &result {
                Err(error) if is_fault_of_the_ca(error) || is_forbidden(error) => {}
                _ => break,
            }
        }
        result
    }

    /// Whether CAA and the CA's profiles let this CA issue a certificate.
    pub(super) async fn judge_at(
        &self,
        candidate: &Candidate,
        planned: &Planned,
        permission: &Permission,
    ) -> Result<()> {
        let profile = planned.wanted.profile.as_ref();
        let profile = candidate.prospect.profile(profile)?;
        if let Some(warning) = fits::without_profile(&planned.wanted, profile.as_deref()) {
            self.progress.warn(&warning);
        }
        let authority = self.authority_of(candidate);
        let judged = permission.judge(&[planned], &authority, &self.stop).await;
        judged.into_iter().collect()
    }

    /// The CA as CAA records speak of it.
    pub(super) fn authority_of<'a>(&'a self, candidate: &'a Candidate) -> Authority<'a> {
        Authority {
            identities: match self.job.caa_identities.as_slice() {
                [] => candidate.prospect.caa_identities(),
                given => given,
            },
            account: candidate.account.as_deref(),
        }
    }
}
