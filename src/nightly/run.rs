//! The nightly build in six steps: open, unlock, plan, prove and issue, seal and commit, sweep.

use std::mem;
use std::sync::Arc;

use anyhow::{Context, Error, Result};
use time::OffsetDateTime;

use crate::dnscontrol::DnsConfig;
use crate::model::certificate::Wanted;
use crate::model::kill;
use crate::model::outcome::{Done, Outcome, Planned, PutOff, Verdicts};
use crate::model::path::Stage;
use crate::model::wording::count;
use crate::nightly::fits;
use crate::nightly::found::Found;
use crate::nightly::home::all_wanted;
use crate::nightly::job::Job;
use crate::nightly::key_forms::FormsByName;
use crate::nightly::listing::Listing;
use crate::nightly::logbook::Logbook;
use crate::nightly::names;
use crate::nightly::permission::Permission;
use crate::nightly::plan::{self, Holdings, Timing};
use crate::nightly::prepare::Means;
use crate::nightly::recover;
use crate::nightly::renewal::{self, Answers, Windows};
use crate::nightly::shard::Part;
use crate::nightly::stop::Stop;
use crate::nightly::survey::Survey;
use crate::nightly::watch::Watch;
use crate::nightly::workspaces::Workspaces;
use crate::report::progress::Progress;
use crate::report::terminal;

/// A run with its repositories open: the first step is done.
pub(crate) struct Nightly {
    pub(super) workspaces: Workspaces,
    pub(super) job: Arc<Job>,
    pub(super) stop: Stop,
    pub(super) progress: Progress,
    pub(super) watch: Watch,
}

/// What is due, and what that was decided by.
pub(super) struct Decided {
    pub(super) plan: Vec<Planned>,
    pub(super) held: Holdings,
    /// Which certificates are this run's; the plan has all of them.
    pub(super) part: Part,
    /// Certificates that fail whatever is done.
    pub(super) astray: Verdicts,
    /// Certificates that the repository has, and that nothing renews any more.
    pub(super) unlisted: Vec<String>,
    pub(super) dns: DnsConfig,
    pub(super) now: OffsetDateTime,
    /// What the CAs said in this run of when to renew.
    answers: Answers,
}

impl Decided {
    /// Parts what fails whatever is done from what can be issued. Of the first, only what is this run's is told.
    fn part_astray(&self, plan: Vec<Planned>) -> (Vec<Done>, Vec<Planned>) {
        let (mut astray, mut rest) = (Vec::new(), Vec::new());
        for planned in plan {
            let name = &planned.wanted.name;
            match self.astray.get(name) {
                None => rest.push(planned),
                Some(error) if self.part.has(name) => astray.push(Done {
                    result: Err(error.clone()),
                    planned,
                }),
                Some(_) => {}
            }
        }
        (astray, rest)
    }
}

impl Nightly {
    pub(crate) fn new(workspaces: Workspaces, job: Job, stop: Stop, progress: Progress) -> Self {
        Self {
            workspaces,
            job: Arc::new(job),
            stop,
            watch: Watch::since(progress.started()),
            progress,
        }
    }

    /// The whole build.
    ///
    /// An error means that nothing could be issued, or that what was issued could not be pushed;
    /// what fails with one certificate is in the outcome.
    pub(crate) async fn renew(&self) -> Result<Outcome> {
        self.watch.ended(Stage::Open);
        let mut outcome = Box::pin(self.renew_what_is_due()).await?;
        outcome.requests = self.job.connections.requests();
        tracing::debug!(requests = ?outcome.requests, "asked of the CA");
        let path = self.watch.path();
        tracing::debug!("waited {path}");
        outcome.path = Some(path);
        Ok(outcome)
    }

    async fn renew_what_is_due(&self) -> Result<Outcome> {
        let mut decided = self.stop.ends(self.decide(true)).await?;
        let found = self.stop.ends(self.found(&decided.part)).await?;
        let (due, mut outcome) = self.due(&mut decided, &found).await?;
        kill::point("planned");
        let permission = self.permission(&due, &decided.dns)?;
        let free = self.free(found, &due)?;
        let place = (&decided.part, &decided.dns);
        let logbook = if free.is_empty() {
            None
        } else {
            Some(self.take_over(free, place, (&due, &outcome)).await?)
        };
        let all = all_wanted(&due, &outcome);
        if due.is_empty() {
            let brought = self.bring_left().await;
            self.copy_to_vault(all, &mut outcome).await;
            self.close(logbook, &mut outcome).await;
            return brought.map(|()| outcome);
        }
        self.say_what_is_due(&due);
        // A certificate that cannot be stored would be lost, and counts against the CA's limits.
        let begin = async {
            let logbook = match logbook {
                Some(logbook) => logbook,
                // Not ended by a signal: what is begun must be known, to be closed.
                None => self.begin(&decided.part, Vec::new()).await?,
            };
            let changed = self.has_changed(&due, &decided.held);
            Ok::<_, Error>((logbook, self.stop.ends(changed).await))
        };
        let (looked, begun) =
            tokio::join!(self.stop.ends(self.look_ahead(&due, decided.dns)), begin);
        let (logbook, changed) = begun?;
        kill::point("looked");
        if let Ok(true) = changed {
            self.progress
                .say("another run has pushed certificates meanwhile: looking again");
            logbook.close().await?;
            return Box::pin(self.renew_what_is_due()).await;
        }
        let looked = looked.and_then(|looked| changed.map(|_| looked));
        let issued = self
            .issue_what_is_ready(
                due,
                looked,
                (permission, decided.answers),
                (&logbook, &mut outcome),
            )
            .await;
        self.copy_to_vault(all, &mut outcome).await;
        self.close(Some(logbook), &mut outcome).await;
        if issued.is_err() {
            // The error below ends the run: this is the last chance to name them.
            outcome.left_over.iter().for_each(terminal::print_error);
        }
        issued?;
        Ok(outcome)
    }

    /// Looks at everything before anything is asked of the CA.
    async fn look_ahead(&self, due: &[Planned], dns: DnsConfig) -> Result<(FormsByName, Survey)> {
        let forms = self.forms(due).await?;
        let (survey, ()) = tokio::try_join!(self.survey(due, dns), self.prove_store(due))?;
        Ok((forms, survey))
    }

    async fn issue_what_is_ready(
        &self,
        due: Vec<Planned>,
        looked: Result<(FormsByName, Survey)>,
        (permission, answers): (Permission, Answers),
        (logbook, outcome): (&Logbook, &mut Outcome),
    ) -> Result<()> {
        let (forms, survey) = looked?;
        let (ready, blocked) = survey.sort(due);
        outcome.done.extend(blocked);
        let (ready, kept) = self.stop.ends(self.kept_keys(ready, outcome)).await?;
        self.watch.ended(Stage::Prepare);
        if ready.is_empty() {
            return Ok(());
        }
        let means = Means {
            survey,
            forms,
            kept,
            permission,
            answers,
        };
        Box::pin(self.issue_and_store(ready, means, (logbook, outcome))).await
    }

    /// Ends the journal. That it cannot is no reason to call anything failed.
    async fn close(&self, logbook: Option<Logbook>, outcome: &mut Outcome) {
        if let Some(logbook) = logbook
            && let Err(error) = logbook.close().await
        {
            outcome.left_over.push(error);
        }
    }

    /// What this run is to do, and what has come of the rest of its part. An order that an earlier run has left
    /// costs nothing more.
    ///
    /// Limits are those of all runs that share the certificates, so that what is due elsewhere counts as well.
    pub(super) async fn due(
        &self,
        decided: &mut Decided,
        found: &[Found],
    ) -> Result<(Vec<Planned>, Outcome)> {
        let plan = mem::take(&mut decided.plan);
        let (astray, plan) = decided.part_astray(plan);
        let (due, mut kept): (Vec<_>, Vec<_>) = plan.into_iter().partition(Planned::is_due);
        let is_ordered = |planned: &Planned| recover::has_order(found, &planned.wanted.name);
        let (ordered, due): (Vec<_>, Vec<_>) = due.into_iter().partition(is_ordered);
        let (due, mut put_off) = self.within_limits(due, decided).await?;
        let mut due = [ordered, due].concat();
        let is_ours = |planned: &Planned| decided.part.has(&planned.wanted.name);
        due.retain(is_ours);
        put_off.retain(|put_off| is_ours(&put_off.planned));
        kept.retain(is_ours);
        self.say_what_waits(&put_off);
        self.watch.ended(Stage::Plan);
        let (due, refused) = names::sort(due);
        let done = [astray, refused].concat();
        let outcome = Outcome {
            shard: decided.part.scope().shard(),
            done,
            put_off,
            kept,
            ..Outcome::default()
        };
        Ok((due, outcome))
    }

    /// `asks`: whether CAs are asked when to renew.
    pub(super) async fn decide(&self, asks: bool) -> Result<Decided> {
        let job = Arc::clone(&self.job);
        let dns = tokio::task::spawn_blocking(move || DnsConfig::load(&job.dns));
        let now = OffsetDateTime::now_utc();
        // Where both are wrong, the list is told of, whichever is read first.
        let Listing {
            wanted,
            held,
            unlisted,
            warnings,
        } = self.read().await?;
        for warning in &warnings {
            self.progress.warn(warning);
        }
        fits::every_ca_is_one(&wanted)?;
        let part = Part::of(self.job.shard, &wanted);
        let windows = async {
            if !asks {
                return Ok(Windows::default());
            }
            let ours = wanted.iter().filter(|wanted| part.has(&wanted.name));
            Ok(self.windows(ours, &held, now).await)
        };
        let dns = async { dns.await.context("a thread of ours ended early")? };
        let (dns, windows) = tokio::try_join!(dns, windows)?;
        fits::every_skipped_entry_declared(&self.job.skip, &dns)?;
        fits::every_setting_of_a_zone(&self.job.name_servers, &dns)?;
        for warning in fits::patterns_without_a_zone(&self.job.pending.never_count, &dns) {
            self.progress.warn(&warning);
        }
        let wanted = self.selected(wanted)?;
        let astray = fits::astray(&wanted, &dns);
        let ours = wanted.iter().filter(|wanted| part.has(&wanted.name));
        for warning in ours.flat_map(names::warnings) {
            self.progress.warn(&warning);
        }
        let timing = Timing {
            renew_days: self.job.renew_days,
            windows: &windows.all,
            now,
            home: self.kept_in(),
        };
        Ok(Decided {
            plan: plan::plan(&wanted, &held, &timing),
            held,
            part,
            astray,
            unlisted,
            dns,
            now,
            answers: windows.answers,
        })
    }

    /// When the CA suggests to renew. The lifetime decides where it does not say.
    async fn windows(
        &self,
        wanted: impl Iterator<Item = &Wanted>,
        held: &Holdings,
        now: OffsetDateTime,
    ) -> Windows {
        let step = self.progress.step("asking when to renew");
        let windows = renewal::windows(&self.job, wanted, held, now).await;
        if windows.asked > 0 {
            step.done(&format!(
                "asked the CA when to renew {}",
                count(windows.asked, "certificate")
            ));
        }
        if let Some(trouble) = &windows.trouble {
            self.progress.warn(&format!(
                "the CA does not say when to renew, so the lifetime decides: {trouble:#}"
            ));
        }
        windows
    }

    fn say_what_is_due(&self, due: &[Planned]) {
        for planned in due {
            let Planned {
                wanted,
                action,
                reason,
                ..
            } = planned;
            self.progress
                .say(&format!("to {action}: `{}`, {reason}", wanted.name));
        }
    }

    pub(super) fn say_what_waits(&self, put_off: &[PutOff]) {
        for PutOff {
            planned,
            reason,
            until,
        } in put_off
        {
            let name = &planned.wanted.name;
            let until = terminal::minute(*until);
            self.progress
                .say(&format!("put off until {until}: `{name}`, {reason}"));
        }
    }

    /// Says something of several lines, all but the first indented.
    pub(super) fn say_in_full(&self, text: &str) {
        self.progress.say(&text.replace('\n', "\n    "));
    }
}
