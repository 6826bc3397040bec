//! All due certificates at once: order, prove, finalize, seal.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::acme::account::Account;
use crate::acme::order::{Accepted, Delivered, Placed};
use crate::acme::refusal::Refusal;
use crate::dns::wait::{self, WaitSettings};
use crate::model::certificate::{CertificateName, Issued, Wanted};
use crate::model::chain::{self, Checked};
use crate::model::change::Txt;
use crate::model::hint::{Shared, find, with_hint};
use crate::model::kill;
use crate::model::outcome::Planned;
use crate::model::path::Stage;
use crate::model::secret::Secret;
use crate::model::wording::count;
use crate::nightly::challenge::{Challenges, Placement};
use crate::nightly::clock;
use crate::nightly::fits;
use crate::nightly::key_forms::FormsByName;
use crate::nightly::keyring::Keyring;
use crate::nightly::logbook::Logbook;
use crate::nightly::recover::Prepared;
use crate::nightly::sighting::{self, Sighting};
use crate::nightly::stop::Stop;
use crate::nightly::survey::Survey;
use crate::nightly::vaulting::Vaulting;
use crate::nightly::watch::{Track, Watch};
use crate::nightly::waves::Waves;
use crate::report::progress::Progress;

/// How long an order that is nearly done may go on after a signal.
///
/// GitHub sends SIGTERM 7.5 seconds after SIGINT and kills 2.5 seconds later; the rest is for
/// the push, and for withdrawing challenges.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// How often a chain is fetched until it can be used.
const FETCHES: u32 = 3;

/// Pause before it is fetched again.
const REFETCH_PAUSE: Duration = Duration::from_secs(1);

/// After this long, the first name server that lacks a challenge is named.
const SLOW: Duration = Duration::from_secs(5);

/// What issuing works with.
pub(crate) struct Issuer<'a> {
    pub(crate) account: &'a Account,
    pub(crate) survey: &'a Survey,
    pub(crate) challenges: &'a Challenges,
    pub(crate) logbook: &'a Logbook,
    pub(crate) wait: &'a WaitSettings,
    pub(super) forms: &'a FormsByName,
    /// Where orders are noted besides the journal.
    pub(super) vault: Option<&'a Vaulting>,
    pub(super) keyring: &'a Keyring,
    /// Keys of certificates that keep them.
    pub(crate) kept: &'a BTreeMap<CertificateName, Arc<Secret>>,
    pub(crate) stop: &'a Stop,
    pub(crate) progress: &'a Progress,
    pub(super) watch: &'a Watch,
}

/// A key and a request that are being made.
type Preparing = JoinHandle<Result<Prepared>>;

/// An order that waits for its challenges.
pub(super) struct Ordered {
    pub(super) placed: Placed,
    pub(super) prepared: Prepared,
    pub(super) placements: Vec<Placement>,
}

impl Issuer<'_> {
    /// Issues each certificate, or says why not; in the order given.
    ///
    /// In waves: a wave's challenges are written together, zone by zone, and its authorizations are
    /// read when no order is being made (see [`Accepted::read`]). A limit for each order by itself
    /// could do neither.
    pub(crate) async fn issue(&self, due: &[&Planned]) -> Vec<Result<Issued>> {
        let mut waves = Waves::of(self.account.orders_at_once());
        let mut results = Vec::new();
        let mut rest = due;
        while let Some((wave, later)) = rest.split_at_checked(waves.size().min(rest.len()))
            && !wave.is_empty()
        {
            let refused = self.account.requests().refused;
            results.extend(self.issue_wave(wave).await);
            waves = waves.after(self.account.requests().refused > refused);
            rest = later;
        }
        if let Some(warning) = clock::warning(self.account.ahead(), clock::TOLERANCE, "the CA's") {
            self.progress.warn(&warning);
        }
        results
    }

    /// A certificate goes on as soon as its own challenges are seen, whatever the others wait for.
    async fn issue_wave(&self, due: &[&Planned]) -> Vec<Result<Issued>> {
        let orders = self.order(due).await;
        let orders = self.record(due, orders).await;
        self.watch.ended(Stage::Order);
        let placements: Vec<_> = orders
            .iter()
            .flatten()
            .flat_map(|ordered| ordered.placements.iter().cloned())
            .collect();
        let has_orders = orders.iter().any(Result::is_ok);
        let finished = due.iter().zip(orders).map(|(planned, ordered)| {
            // A fault of ours must not keep challenges up, nor other certificates from being stored.
            let completed = AssertUnwindSafe(self.complete(&planned.wanted, ordered));
            async {
                completed
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|_| Err(fault()))
            }
        });
        let publish = async {
            let published = AssertUnwindSafe(self.publish(placements)).catch_unwind();
            if published.await.is_err() {
                self.challenges.give_up(&Shared::new(fault()));
            }
        };
        let step = self.progress.step("proving");
        let ((), results) = tokio::join!(publish, join_all(finished));
        let issued = results.iter().filter(|result| result.is_ok()).count();
        // Where the CA has taken no order, the errors say all there is to say.
        if has_orders {
            step.done(&format!(
                "issued {}, with {} to the CA",
                count(issued, "certificate"),
                count(self.account.requests().total() as usize, "request")
            ));
        }
        results
    }

    async fn order(&self, due: &[&Planned]) -> Vec<Result<Ordered>> {
        let step = self.progress.step("ordering");
        let accepted = join_all(due.iter().map(|planned| self.place(planned))).await;
        let orders = join_all(accepted.into_iter().map(|accepted| self.read(accepted))).await;
        let challenges = orders
            .iter()
            .flatten()
            .map(|ordered| ordered.placements.len());
        let ordered = orders.iter().flatten().count();
        if ordered > 0 {
            step.done(&format!(
                "ordered {} with {}",
                count(ordered, "certificate"),
                count(challenges.sum(), "challenge")
            ));
        }
        orders
    }

    /// Places an order, or goes on with one of an earlier run.
    async fn place(&self, planned: &Planned) -> Result<(Accepted, Preparing)> {
        let wanted = &planned.wanted;
        let forms = self.forms.get(&wanted.name);
        let forms = forms.with_context(|| format!("no recipients for `{}`", wanted.name))?;
        if let Some((accepted, prepared)) = self.resume(wanted, forms).await? {
            return Ok((accepted, tokio::spawn(async { Ok(prepared) })));
        }
        // Only the CA that issued it knows what is replaced.
        let directory = self.account.directory();
        let replaces = planned.replaces.as_ref();
        let replaces = replaces.filter(|replaced| directory.is_of_same_ca(&replaced.ca));
        let replaces = replaces.map(|replaced| &replaced.id);
        let preparing = {
            let wanted = wanted.clone();
            let (kept, forms) = (self.kept.get(&wanted.name).cloned(), forms.clone());
            tokio::task::spawn_blocking(move || Prepared::new(&wanted, kept.as_deref(), &forms))
        };
        let accepted = self.stop.ends(self.account.place(wanted, replaces)).await?;
        if let Some(warning) = fits::without_profile(wanted, accepted.profile()) {
            self.progress.warn(&warning);
        }
        Ok((accepted, preparing))
    }

    async fn read(&self, placed: Result<(Accepted, Preparing)>) -> Result<Ordered> {
        let (accepted, preparing) = placed?;
        let mut placed = self.stop.ends(accepted.read()).await?;
        tracing::debug!(order = placed.url(), "ordered");
        let placements = match self.placements(&placed) {
            Ok(placements) => placements,
            Err(error) => {
                self.abandon(&mut placed).await;
                return Err(error);
            }
        };
        Ok(Ordered {
            placed,
            prepared: preparing.await.context("the key generator ended")??,
            placements,
        })
    }

    /// Publishes all challenges, until they are decided or a signal comes.
    async fn publish(&self, placements: Vec<Placement>) {
        if placements.is_empty() {
            return;
        }
        let step = self.progress.step("writing challenges");
        let done = asked(&placements);
        let slow = AtomicBool::new(false);
        let report = |at: &wait::Progress| {
            step.update(waiting(at));
            if let Some(laggard) = at.laggards.first()
                && at.elapsed >= SLOW
                && !slow.swap(true, Ordering::Relaxed)
            {
                self.progress.say(&format!("waiting: {laggard}"));
            }
        };
        tokio::select! {
            () = self.challenges.publish(placements, self.wait, &report) => {
                step.done(done);
            }
            () = self.stop.requested() => {}
        }
    }

    async fn complete(&self, wanted: &Wanted, ordered: Result<Ordered>) -> Result<Issued> {
        let mut track = self.watch.track(&wanted.name);
        let result = self.see_through(wanted, ordered, &mut track).await;
        self.watch.follow(track);
        result
    }

    /// Sees one order through.
    async fn see_through(
        &self,
        wanted: &Wanted,
        ordered: Result<Ordered>,
        track: &mut Track,
    ) -> Result<Issued> {
        let Ordered {
            mut placed,
            prepared,
            placements,
        } = ordered?;
        let seen = async { Ok(self.challenges.seen(&placements).await?) };
        let seen = self.stop.ends(seen).await;
        if let Some(written) = self.challenges.written() {
            track.ended(Stage::Write, written);
        }
        track.ended(Stage::See, Instant::now());
        let result = match seen {
            Ok(seen) => {
                kill::point("seen");
                let finished = self.finish(wanted, (&mut placed, track), prepared, &seen);
                self.stop.ends_after(GRACE, finished).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            self.abandon(&mut placed).await;
            // What the CA may issue all the same, the next run fetches.
            if !placed.may_be_issued() || find::<Refusal>(error).is_some() {
                self.forget(&wanted.name, placed.url()).await;
            }
        }
        result
    }

    /// Gives an order up whose certificate has failed already: an authorization that is left pending
    /// counts against limits, but expires by itself.
    pub(super) async fn abandon(&self, placed: &mut Placed) {
        if let Err(error) = self.stop.ends(placed.abandon()).await {
            tracing::debug!(order = placed.url(), "not given up: {error:#}");
        }
    }

    /// Tells the CA to look, finalizes, checks what came back.
    async fn finish(
        &self,
        wanted: &Wanted,
        (placed, track): (&mut Placed, &mut Track),
        prepared: Prepared,
        seen: &[(Txt, Sighting)],
    ) -> Result<Issued> {
        let proven = placed.prove().await;
        track.ended(Stage::Validate, Instant::now());
        proven.map_err(|error| sighting::beside(error, seen))?;
        let Prepared {
            request,
            public_key,
            key,
        } = prepared;
        let finalized = placed.finalize(&request).await;
        track.ended(Stage::Finalize, Instant::now());
        finalized?;
        let fetched = self.fetch(wanted, placed, &public_key).await;
        track.ended(Stage::Fetch, Instant::now());
        let (delivered, checked) = fetched?;
        for warning in &delivered.warnings {
            self.progress
                .warn(&format!("certificate `{}`: {warning}", wanted.name));
        }
        let renewal = self.account.renewal_info(&checked.leaf).await;
        track.ended(Stage::Fetch, Instant::now());
        Ok(Issued {
            wanted: wanted.clone(),
            chain_pem: checked.pem,
            leaf: checked.leaf,
            key,
            received: OffsetDateTime::now_utc(),
            url: delivered.url,
            directory: self.account.directory().url().to_owned(),
            profile: placed.profile().map(str::to_owned),
            renewal,
        })
    }

    /// Fetches the chain until it can be used.
    async fn fetch(
        &self,
        wanted: &Wanted,
        placed: &mut Placed,
        public_key: &[u8],
    ) -> Result<(Delivered, Checked)> {
        let mut fetches = 1;
        loop {
            let preferred_chain = wanted.preferred_chain.as_deref();
            let delivered = placed.fetch(preferred_chain).await?;
            // By the CA's clock: a certificate is not worse for ours being wrong.
            let now = OffsetDateTime::now_utc() + self.account.ahead();
            let names = wanted.identifier_set();
            match chain::check(&delivered.chain_pem, &names, public_key, now) {
                Ok(checked) => return Ok((delivered, checked)),
                Err(error) if fetches == FETCHES => return Err(error),
                // It is issued by now, and what arrived may be a proxy's page.
                Err(error) => tracing::debug!("fetched again: {error:#}"),
            }
            fetches += 1;
            tokio::time::sleep(REFETCH_PAUSE).await;
        }
    }
}

/// Who was asked, when everything is decided.
fn asked(placements: &[Placement]) -> &'static str {
    let mut views = placements.iter().map(|placement| &placement.zone.view);
    if views.any(|view| !view.resolvers.is_empty()) {
        "asked resolvers over HTTPS, as port 53 is blocked, for challenges"
    } else {
        "asked every name server for every challenge"
    }
}

fn fault() -> anyhow::Error {
    with_hint(
        anyhow!("git-certs has a fault: it panicked"),
        "please report it, with what was printed above",
    )
}

/// What the wait is at, for a spinner.
fn waiting(at: &wait::Progress) -> String {
    let text = format!(
        "{} of {} challenges on every name server",
        at.seen, at.total
    );
    match at.laggards.first() {
        Some(laggard) => format!("{text}; {laggard}"),
        None => text,
    }
}
