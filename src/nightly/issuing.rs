//! Step four and five: each certificate at its CA, or at the next when that fails for reasons of its own.

use std::collections::VecDeque;

use anyhow::{Error, Result, anyhow};

use crate::acme::account::Account;
use crate::acme::presets::Directory;
use crate::acme::refusal::is_fault_of_the_ca;
use crate::dns::caa::Authority;
use crate::dns::wait::WaitSettings;
use crate::model::certificate::Issued;
use crate::model::hint::Shared;
use crate::model::outcome::{Done, Outcome, Planned};
use crate::model::path::Stage;
use crate::nightly::challenge::Challenges;
use crate::nightly::issue::Issuer;
use crate::nightly::logbook::Logbook;
use crate::nightly::permission::is_forbidden;
use crate::nightly::plan;
use crate::nightly::prepare::Means;
use crate::nightly::run::Nightly;
use crate::nightly::store::Saved;
use crate::report::board::Board;
use crate::report::terminal;

/// A certificate on its way.
struct Attempt<'a> {
    planned: &'a Planned,
    /// CAs that it has not been ordered at, the best first.
    left: VecDeque<Directory>,
    result: Option<Result<Issued>>,
}

impl Nightly {
    pub(super) async fn issue_and_store(
        &self,
        ready: Vec<Planned>,
        means: Means,
        (logbook, outcome): (&Logbook, &mut Outcome),
    ) -> Result<()> {
        let challenges = Challenges::default();
        let issued = self.issue(&ready, (&means, logbook), &challenges);
        let results = Box::pin(issued).await?;
        let due_from: Vec<_> = results
            .iter()
            .map(|result| plan::due_from(result.as_ref().ok()?, self.job.renew_days))
            .collect();
        outcome.has_ordered = true;
        let (withdrawn, kept) = tokio::join!(
            challenges.withdraw(&self.stop),
            self.keep(&ready, results, &means)
        );
        self.watch.ended_at(Stage::Commit, kept.committed_at);
        self.watch.ended_at(Stage::Push, kept.ended_at);
        self.watch.ended(Stage::Withdraw);
        withdrawn
            .swept
            .iter()
            .for_each(|swept| self.say_in_full(swept));
        for (zone, entry) in &withdrawn.clean {
            logbook.withdrawn(zone, entry);
        }
        let is_committed = kept.pushed.is_err();
        self.rescue(kept.unstored, (is_committed, logbook)).await;
        let left_over = withdrawn.failed;
        if kept.pushed.is_err() {
            // The error below ends the run: this is the last chance to name them.
            left_over.iter().for_each(terminal::print_error);
        }
        outcome.pushed = kept.in_vault;
        if let Some(pushed) = kept.pushed? {
            outcome.tip = pushed.commits.last().map(ToString::to_string);
            outcome.pushed = Some(Saved::of(&pushed).to_string());
        }
        let stored = ready.iter().zip(&kept.certificates);
        let stored = stored.filter(|(_, result)| result.is_ok());
        logbook.settle(stored.map(|(planned, _)| &planned.wanted.name));
        outcome.left_over = left_over;
        let done = ready.into_iter().zip(kept.certificates).zip(due_from);
        outcome
            .done
            .extend(done.map(|((mut planned, result), due_from)| {
                planned.due_from = due_from.or(planned.due_from);
                let result = result.map_err(Shared::new);
                Done { planned, result }
            }));
        Ok(())
    }

    /// Issues each certificate, or says why not; in the order given.
    ///
    /// CAs take turns: one whose account cannot be opened ends the run only if nothing else was to be done.
    async fn issue(
        &self,
        ready: &[Planned],
        (means, logbook): (&Means, &Logbook),
        challenges: &Challenges,
    ) -> Result<Vec<Result<Issued>>> {
        let mut attempts: Vec<_> = ready
            .iter()
            .map(|planned| Attempt {
                planned,
                left: self.job.authorities(&planned.wanted).into(),
                result: None,
            })
            .collect();
        let mut is_first = true;
        while let Some((directory, turn)) = next_turn(&mut attempts) {
            let accounts_there = self.accounts_at(&directory);
            let opened = Box::pin(accounts_there.open(&self.job.registration));
            let opened = match self.stop.ends(opened).await {
                Ok(opened) => accounts_there.kept(opened).await,
                Err(error) => Err(error),
            };
            let account = match opened {
                Ok(account) => account,
                Err(error)
                    if is_first
                        && turn.len() == ready.len()
                        && turn.iter().all(|attempt| attempt.left.is_empty()) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    let error = Shared::new(error);
                    for attempt in turn {
                        self.settle(attempt, &directory.host(), Err(error.clone().into()));
                    }
                    continue;
                }
            };
            is_first = false;
            self.take_turn(&account, turn, (means, challenges, logbook))
                .await;
        }
        Ok(attempts
            .into_iter()
            .map(|attempt| {
                attempt
                    .result
                    .unwrap_or_else(|| Err(anyhow!("there is no CA")))
            })
            .collect())
    }

    async fn take_turn(
        &self,
        account: &Account,
        turn: Vec<&mut Attempt<'_>>,
        (means, challenges, logbook): (&Means, &Challenges, &Logbook),
    ) {
        let issuer = Issuer {
            account,
            survey: &means.survey,
            challenges,
            logbook,
            wait: &WaitSettings {
                deadline: self.job.dns_timeout,
                ..WaitSettings::default()
            },
            forms: &means.forms,
            vault: self.job.vault.as_ref(),
            keyring: &self.job.keyring,
            kept: &means.kept,
            stop: &self.stop,
            progress: &self.progress,
            watch: &self.watch,
        };
        let planned: Vec<_> = turn.iter().map(|attempt| attempt.planned).collect();
        let judged = self.permitted(&planned, account, means).await;
        let allowed = planned.into_iter().zip(&judged);
        let allowed = allowed.filter_map(|(planned, judged)| judged.is_ok().then_some(planned));
        let allowed: Vec<_> = allowed.collect();
        self.watch.ended(Stage::Account);
        self.watch.show(self.progress.board(allowed.len()));
        let mut issued = issuer.issue(&allowed).await.into_iter();
        self.watch.show(Board::default());
        let results = judged.into_iter().map(|judged| match judged {
            Ok(()) => issued
                .next()
                .unwrap_or_else(|| Err(anyhow!("there is no result"))),
            Err(error) => Err(error),
        });
        let host = account.directory().host();
        for (attempt, result) in turn.into_iter().zip(results) {
            self.settle(attempt, &host, result);
        }
    }

    /// Notes what came of an attempt at the CA at `host`, and says what comes next.
    fn settle(&self, attempt: &mut Attempt<'_>, host: &str, result: Result<Issued>) {
        let name = &attempt.planned.wanted.name;
        if let Err(error) = &result {
            if is_forbidden(error) && attempt.result.is_some() {
                // Why the CA before it failed says more.
                return self.progress.say(&format!(
                    "`{name}` cannot be ordered at `{host}`, which would stand in: {error:#}"
                ));
            }
            if let Some(next) = attempt.left.front()
                && may_go_elsewhere(error)
            {
                self.progress.say(&format!(
                    "`{name}` failed at `{host}`, ordering at `{}`: {error:#}",
                    next.host()
                ));
            }
        }
        attempt.result = Some(result);
    }

    /// Whether CAA lets the CA of the account issue each of them.
    async fn permitted(
        &self,
        planned: &[&Planned],
        account: &Account,
        means: &Means,
    ) -> Vec<Result<()>> {
        let named = account.caa_identities();
        let identities = match self.job.caa_identities.as_slice() {
            [] => &named,
            given => given,
        };
        let authority = Authority {
            identities,
            account: Some(account.url()),
        };
        means
            .permission
            .judge(planned, &authority, &self.stop)
            .await
    }
}

/// Those that go to the same CA next: not issued yet, or failed for reasons of the CA.
fn next_turn<'t, 'a>(
    attempts: &'t mut [Attempt<'a>],
) -> Option<(Directory, Vec<&'t mut Attempt<'a>>)> {
    let mut open: Vec<_> = attempts
        .iter_mut()
        .filter(|attempt| match &attempt.result {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => may_go_elsewhere(error),
        })
        .filter(|attempt| !attempt.left.is_empty())
        .collect();
    let directory = open.first()?.left.front()?.clone();
    open.retain(|attempt| attempt.left.front() == Some(&directory));
    for attempt in &mut open {
        attempt.left.pop_front();
    }
    Some((directory, open))
}

/// Whether another CA could issue what failed.
fn may_go_elsewhere(error: &Error) -> bool {
    is_fault_of_the_ca(error) || is_forbidden(error)
}
