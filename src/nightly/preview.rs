//! What would be done: the plan, how it is shared out, the drill. Nothing is written or ordered.

use std::collections::BTreeMap;
use std::mem;
use std::num::NonZeroU16;

use anyhow::{Error, Result};

use crate::model::drill::Drill;
use crate::model::outcome::{Done, Plan, Planned, Verdicts};
use crate::model::shard::{Load, Shard};
use crate::nightly::drill::{self, Share};
use crate::nightly::run::Nightly;
use crate::nightly::shard::Shares;

impl Nightly {
    /// Decides what is due. Orders and writes nothing, and needs no secret.
    ///
    /// `asks_dns`: whether public DNS is asked what would fail.
    pub(crate) async fn plan(&self, asks_dns: bool) -> Result<Plan> {
        let mut decided = self.stop.ends(self.decide(true)).await?;
        let mut plan = mem::take(&mut decided.plan);
        let mut astray = mem::take(&mut decided.astray);
        let can_be_issued =
            |planned: &&Planned| planned.is_due() && !astray.contains_key(&planned.wanted.name);
        let due = plan.iter().filter(can_be_issued);
        let mut due: Vec<_> = due.cloned().collect();
        let (_, mut put_off) = self.within_limits(due.clone(), &decided).await?;
        let is_ours = |planned: &Planned| decided.part.has(&planned.wanted.name);
        put_off.retain(|put_off| is_ours(&put_off.planned));
        plan.retain(is_ours);
        due.retain(is_ours);
        astray.retain(|name, _| decided.part.has(name));
        let found = self.found(&decided.part).await?;
        let verdicts = match due.is_empty() {
            true => Some(Verdicts::new()),
            false if asks_dns => {
                let verdicts = Box::pin(self.verdicts(due, decided.dns));
                self.stop.ends(verdicts).await?
            }
            false => None,
        };
        self.say_what_waits(&put_off);
        self.say_what_was_found(&found);
        Ok(Plan {
            certificates: plan,
            verdicts,
            astray,
            unlisted: decided.unlisted,
        })
    }

    /// What each of so many shards would have to do; those with nothing to do are left out. Touches neither the CA
    /// nor DNS, and needs no secret. Besides, what fails certificates whatever is done: their shards tell it, too.
    ///
    /// What does not fit into the CA's limits is nothing to do, and what a run that is over has left is something.
    pub(crate) async fn loads(&self, of: NonZeroU16) -> Result<(Vec<Load>, Vec<Error>)> {
        let mut decided = self.stop.ends(self.decide(true)).await?;
        let wanted = decided.plan.iter().map(|planned| &planned.wanted);
        let shares = Shares::of(wanted, of);
        let found = self.stop.ends(self.found(&decided.part)).await?;
        self.say_what_was_found(&found);
        let (due, mut outcome) = self.due(&mut decided, &found).await?;
        let failing = outcome.done.iter().map(|done| &done.planned);
        let mut loads: BTreeMap<NonZeroU16, usize> = BTreeMap::new();
        for planned in due.iter().chain(failing) {
            let number = shares.number(planned.wanted.name.as_str());
            *loads.entry(number).or_default() += 1;
        }
        let mut over = found;
        over.retain(|found| !found.is_running(&self.job.journal));
        for number in over.iter().flat_map(|found| shares.numbers(&found.journal)) {
            loads.entry(number).or_default();
        }
        let load = |shard: Shard| {
            let due = loads.get(&shard.number()).copied()?;
            Some(Load { shard, due })
        };
        let is_astray = |done: &Done| decided.astray.contains_key(&done.planned.wanted.name);
        outcome.done.retain(is_astray);
        Ok((Shard::all(of).filter_map(load).collect(), outcome.errors()))
    }

    /// What replacing every certificate on one day would cost. Touches neither the CA nor DNS, and
    /// needs no secret.
    pub(crate) async fn drill(&self) -> Result<Drill> {
        let decided = self.stop.ends(self.decide(false)).await?;
        let past = self.past(&decided).await?;
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        for planned in decided.plan {
            if !matches!(decided.held.get(&planned.wanted.name), Some(Ok(_))) {
                continue;
            }
            let authorities = self.job.authorities(&planned.wanted);
            if let Some(directory) = authorities.into_iter().next() {
                let new = || Share {
                    limits: self.job.limits_of(&directory),
                    held: Vec::new(),
                    directory: directory.clone(),
                };
                let share = shares.entry(directory.url().to_owned());
                share.or_insert_with(new).held.push(planned);
            }
        }
        let shares = shares.into_values().collect();
        Ok(drill::drill(shares, &decided.dns, &past, decided.now))
    }
}
