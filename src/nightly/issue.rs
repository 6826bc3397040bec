//! All due certificates at once: order, prove, finalize, seal.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use futures_util::future::join_all;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::acme::account::Account;
use crate::acme::key::KeyMaterial;
use crate::acme::order::{Accepted, Placed};
use crate::dns::wait::{self, WaitSettings};
use crate::model::certificate::{CertificateName, Issued, Wanted};
use crate::model::chain;
use crate::model::change::Txt;
use crate::model::hint::{Shared, with_hint};
use crate::model::outcome::Planned;
use crate::model::secret::Secret;
use crate::nightly::challenge::{Challenges, Placement};
use crate::nightly::stop::Stop;
use crate::nightly::survey::Survey;
use crate::repo::seal::Recipients;
use crate::report::progress::Progress;

/// How long an order that is nearly done may go on after a signal.
///
/// GitHub sends SIGTERM 7.5 seconds after SIGINT and kills 2.5 seconds later; the rest is for
/// the push, and for withdrawing challenges.
const GRACE: Duration = Duration::from_secs(3);

/// After this long, the first name server that lacks a challenge is named.
const SLOW: Duration = Duration::from_secs(5);

/// What issuing works with.
pub(crate) struct Issuer<'a> {
    pub(crate) account: &'a Account,
    pub(crate) survey: &'a Survey,
    pub(crate) challenges: &'a Challenges,
    pub(crate) wait: &'a WaitSettings,
    pub(crate) recipients: &'a BTreeMap<CertificateName, Arc<Recipients>>,
    /// Keys of certificates that keep them.
    pub(crate) kept: &'a BTreeMap<CertificateName, Arc<Secret>>,
    pub(crate) stop: &'a Stop,
    pub(crate) progress: &'a Progress,
}

/// A key that is being made.
type NewKey = JoinHandle<Result<KeyMaterial>>;

/// An order that waits for its challenges.
struct Ordered {
    placed: Placed,
    key: KeyMaterial,
    placements: Vec<Placement>,
}

impl Issuer<'_> {
    /// Issues each certificate, or says why not; in the order given.
    ///
    /// A certificate goes on as soon as its own challenges are seen, whatever the others wait for.
    pub(crate) async fn issue(&self, due: &[&Planned]) -> Vec<Result<Issued>> {
        let orders = self.order(due).await;
        let placements: Vec<_> = orders
            .iter()
            .flatten()
            .flat_map(|ordered| ordered.placements.iter().cloned())
            .collect();
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
        step.done(&format!(
            "issued {}, with {} to the CA",
            count(issued, "certificate"),
            count(self.account.requests().total() as usize, "request")
        ));
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
        step.done(&format!(
            "ordered {} with {}",
            count(orders.iter().flatten().count(), "certificate"),
            count(challenges.sum(), "challenge")
        ));
        orders
    }

    async fn place(&self, planned: &Planned) -> Result<(Accepted, NewKey)> {
        let wanted = &planned.wanted;
        // Only the CA that issued it knows what is replaced.
        let directory = self.account.directory();
        let replaces = planned.replaces.as_ref();
        let replaces = replaces.filter(|replaced| directory.is_of_same_ca(&replaced.ca));
        let replaces = replaces.map(|replaced| &replaced.id);
        let key = {
            let wanted = wanted.clone();
            let kept = self.kept.get(&wanted.name).cloned();
            tokio::task::spawn_blocking(move || KeyMaterial::of(&wanted, kept.as_deref()))
        };
        let accepted = self.stop.ends(self.account.place(wanted, replaces)).await?;
        Ok((accepted, key))
    }

    async fn read(&self, placed: Result<(Accepted, NewKey)>) -> Result<Ordered> {
        let (accepted, key) = placed?;
        let placed = self.stop.ends(accepted.read()).await?;
        tracing::debug!(order = placed.url(), "ordered");
        let placements = placed
            .challenges()
            .iter()
            .map(|txt| {
                let target = self.survey.target(&txt.name)?;
                Ok(Placement {
                    zone: target.zone,
                    txt: Txt {
                        name: target.name,
                        value: txt.value.clone(),
                    },
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Ordered {
            placed,
            key: key.await.context("the key generator ended")??,
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

    /// Sees one order through.
    async fn complete(&self, wanted: &Wanted, ordered: Result<Ordered>) -> Result<Issued> {
        let mut ordered = ordered?;
        let seen = async { Ok(self.challenges.seen(&ordered.placements).await?) };
        if let Err(error) = self.stop.ends(seen).await {
            // The certificate failed already; an authorization left pending expires by itself.
            let _ = self.stop.ends(ordered.placed.abandon()).await;
            return Err(error);
        }
        self.stop
            .ends_after(GRACE, self.finish(wanted, ordered))
            .await
    }

    /// Tells the CA to look, finalizes, checks what came back, seals the key.
    async fn finish(&self, wanted: &Wanted, mut ordered: Ordered) -> Result<Issued> {
        ordered.placed.prove().await?;
        let request = ordered.key.request(&wanted.identifiers)?;
        let preferred_chain = wanted.preferred_chain.as_deref();
        let delivered = ordered.placed.finish(&request, preferred_chain).await?;
        for warning in &delivered.warnings {
            self.progress.say(&format!(
                "warning: certificate `{}`: {warning}",
                wanted.name
            ));
        }
        let checked = chain::check(
            &delivered.chain_pem,
            &wanted.identifier_set(),
            &ordered.key.public_key_der(),
            OffsetDateTime::now_utc(),
        )?;
        let recipients = self
            .recipients
            .get(&wanted.name)
            .with_context(|| format!("no recipients for `{}`", wanted.name))?;
        let renewal = self.account.renewal_info(&checked.leaf).await;
        let key = ordered.key.into_pem()?;
        Ok(Issued {
            wanted: wanted.clone(),
            chain_pem: checked.pem,
            leaf: checked.leaf,
            key: key.map(|key| recipients.seal(&key)).transpose()?,
            url: delivered.url,
            directory: self.account.directory().url().to_owned(),
            profile: ordered.placed.profile().map(str::to_owned),
            renewal,
        })
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

/// A number and its noun: `1 certificate`, `2 certificates`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}
