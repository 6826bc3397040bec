//! What an earlier run has left: its orders are gone on with, its challenge values withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::join_all;
use time::OffsetDateTime;

use crate::acme::key::{CertificateKey, KeyMaterial};
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::{CertificateName, KeySource, NewKey, Wanted};
use crate::model::chain;
use crate::model::change::{Txt, TxtBatch};
use crate::model::kill;
use crate::model::outcome::{Outcome, Planned};
use crate::model::request::SigningRequest;
use crate::model::secret::{Sealed, Secret};
use crate::model::wording::count;
use crate::nightly::beginning::Beginning;
use crate::nightly::found::{Found, at_work};
use crate::nightly::key_forms::KeyForms;
use crate::nightly::logbook::Logbook;
use crate::nightly::run::Nightly;
use crate::nightly::settled;
use crate::nightly::shard::Part;
use crate::nightly::workspaces::blocking;
use crate::provider::registry;
use crate::repo::git::Workspace;
use crate::repo::journal::{OrderNote, ValueNote};

/// What a certificate is issued for: a request, and its key in the forms that are kept.
pub(super) struct Prepared {
    /// PKCS#10, DER.
    pub(super) request: Vec<u8>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(super) public_key: Vec<u8>,
    pub(super) key: NewKey,
}

impl Prepared {
    /// Makes the key of a certificate, and signs the request with it; `kept` is the key that it has. Blocks.
    pub(super) fn new(wanted: &Wanted, kept: Option<&Secret>, forms: &KeyForms) -> Result<Self> {
        let key = KeyMaterial::of(wanted, kept)?;
        let request = key.request(&wanted.identifiers)?;
        let public_key = key.public_key_der();
        Ok(Self {
            request,
            public_key,
            key: forms.of(key.into_pem()?)?,
        })
    }

    /// What an earlier run prepared; an error if it does not fit any more. `open` is its key, where that is known.
    pub(super) fn of(
        note: &OrderNote,
        wanted: &Wanted,
        (forms, open): (&KeyForms, Option<Secret>),
    ) -> Result<Self> {
        let der = BASE64_STANDARD
            .decode(&note.request)
            .context("the request is not base64")?;
        let request = SigningRequest::parse(&der)?;
        if request.identifiers.iter().collect::<BTreeSet<_>>() != wanted.identifier_set() {
            bail!("it is for other names");
        }
        if note.recipients != forms.hash() {
            bail!("the recipients have changed");
        }
        let open = open.filter(|key| is_key_of(key, &request)).map(Arc::new);
        let has_key = match forms.recipients {
            Some(_) => note.key.is_some(),
            None => open.is_some(),
        };
        let fits = match &wanted.key_source {
            KeySource::Request(own) => own.der == der,
            KeySource::New | KeySource::Kept => {
                has_key && chain::key_type_of(&request.public_key) == Some(wanted.key_type)
            }
        };
        if !fits {
            bail!("it is for another kind of key");
        }
        Ok(Self {
            request: der,
            public_key: request.public_key,
            key: NewKey {
                sealed: note.key.clone().map(Sealed::new).transpose()?,
                open,
            },
        })
    }

    /// The note of an order that this was prepared for.
    pub(super) fn note(&self, order: OrderNote) -> OrderNote {
        OrderNote {
            request: BASE64_STANDARD.encode(&self.request),
            key: self.key.sealed.as_ref().map(|key| key.as_str().to_owned()),
            ..order
        }
    }
}

fn is_key_of(key: &Secret, request: &SigningRequest) -> bool {
    CertificateKey::parse(key).is_ok_and(|key| key.public_key_der() == request.public_key)
}

impl Nightly {
    /// The journals of other runs that concern this one: they are at work on some of the same certificates, or
    /// have left something that falls to it.
    pub(super) async fn found(&self, part: &Part) -> Result<Vec<Found>> {
        // What was cloned told on the way whether there is one.
        let may_be = |workspace: &mut Workspace| Ok(workspace.may_have_journal());
        if !self.workspaces.with(may_be).await? {
            return Ok(Vec::new());
        }
        let settings = &self.job.journal;
        let scope = part.scope();
        let mut found = Found::look(&self.workspaces, settings, self.job.push, &scope).await?;
        found.retain(|found| {
            let (ours, rest) = part.divide(&found.journal);
            found.is_running(settings) || !ours.is_empty() || rest.is_empty()
        });
        Ok(found)
    }

    /// What can be taken over. An error if another run is at work, and something is `due`.
    pub(super) fn free(&self, found: Vec<Found>, due: &[Planned]) -> Result<Vec<Found>> {
        let mut all = found.iter();
        match all.find(|found| found.is_running(&self.job.journal)) {
            Some(running) if !due.is_empty() => Err(at_work(running)),
            Some(_) => {
                self.say_what_was_found(&found);
                Ok(Vec::new())
            }
            None => Ok(found),
        }
    }

    /// Says what a run that changes nothing has found.
    pub(super) fn say_what_was_found(&self, found: &[Found]) {
        for found in found {
            self.progress.say(&if found.is_running(&self.job.journal) {
                format!("another run is at work: {}", found.describe())
            } else {
                format!("{}; `renew` takes it over", left_by(found))
            });
        }
    }

    /// Begins the journal of this run.
    pub(super) async fn begin(&self, part: &Part, earlier: Vec<Found>) -> Result<Logbook> {
        let beginning = Beginning {
            workspaces: &self.workspaces,
            settings: &self.job.journal,
            part,
            push: self.job.push,
            progress: &self.progress,
        };
        Logbook::begin(beginning, earlier).await
    }

    /// Whether a run that has ended since ours began has pushed what ours would do again.
    pub(super) async fn catch_up(&self) -> Result<bool> {
        if !self.job.push {
            return Ok(false);
        }
        self.workspaces.with(Workspace::catch_up).await
    }

    /// Takes over what earlier runs have left: withdraws their values, and keeps the orders that something is
    /// still wanted of.
    pub(super) async fn take_over(
        &self,
        found: Vec<Found>,
        (part, dns): (&Part, &DnsConfig),
        plan: (&[Planned], &Outcome),
    ) -> Result<Logbook> {
        for found in &found {
            self.progress.say(&left_by(found));
        }
        let logbook = self.begin(part, found).await?;
        self.forget_what_is_settled(&logbook, plan).await?;
        let mut zones: BTreeMap<(String, String), Vec<ValueNote>> = BTreeMap::new();
        let sorted = self.sorted(logbook.values()).await;
        logbook.forget_values(&self.say_what_stays(&sorted));
        for value in sorted.ours {
            let place = (value.zone.clone(), value.entry.clone());
            zones.entry(place).or_default().push(value);
        }
        let book = &logbook;
        let withdrawals = zones.iter().map(|((zone, entry), values)| async move {
            match self.withdraw_left(dns, (zone, entry), values).await {
                Ok(withdrawn) => {
                    book.withdrawn(zone, entry);
                    self.progress.say(&format!(
                        "withdrew {} of an earlier run from zone `{zone}` at `{entry}`",
                        count(withdrawn, "challenge")
                    ));
                }
                Err(error) => self.progress.warn(&format!(
                    "{} of an earlier run cannot be withdrawn from zone `{zone}` at `{entry}`; the next run tries again: {error:#}",
                    count(values.len(), "challenge")
                )),
            }
        });
        join_all(withdrawals).await;
        Ok(logbook)
    }

    /// Keeps the orders that something is still wanted of: their certificates are due, or fail for now.
    async fn forget_what_is_settled(
        &self,
        logbook: &Logbook,
        (due, outcome): (&[Planned], &Outcome),
    ) -> Result<()> {
        let failing = outcome.done.iter().map(|done| &done.planned);
        let waiting = outcome.put_off.iter().map(|put_off| &put_off.planned);
        let names = |planned: &Planned| planned.wanted.name.to_string();
        let wanted = due.iter().chain(failing).chain(waiting).map(names);
        let wanted: BTreeSet<_> = wanted.collect();
        let kept: BTreeSet<_> = outcome.kept.iter().map(names).collect();
        // In Vault each order is beside its certificate.
        let present = if self.vault_store().is_some() {
            BTreeMap::new()
        } else {
            let ordered = logbook.ordered();
            let read = move |workspace: &mut Workspace| {
                settled::present(&mut workspace.reader()?, &ordered)
            };
            self.workspaces.with(read).await?
        };
        // With `--only` the others are not in the plan.
        let is_partial = self.job.only.is_some();
        let now = OffsetDateTime::now_utc();
        logbook.keep_orders(|order| {
            let name = &order.certificate;
            let is_wanted = wanted.contains(name) || (is_partial && !kept.contains(name));
            is_wanted && !settled::is_settled(order, present.get(name), now)
        });
        Ok(())
    }

    async fn withdraw_left(
        &self,
        dns: &DnsConfig,
        (zone, entry): (&str, &str),
        values: &[ValueNote],
    ) -> Result<usize> {
        let zone = dns
            .zone(zone)
            .ok_or_else(|| anyhow!("dnsconfig.js does not have zone `{zone}` any more"))?;
        let described = dns.provider(entry)?;
        let (zones, context) = (dns.zones.clone(), self.provider_context());
        let provider = blocking(move || registry::open(&described, &zones, &context)).await?;
        kill::point("before withdraw left");
        let values = values.iter().map(|value| {
            Ok(Txt {
                name: value.name.parse()?,
                value: value.value.clone(),
            })
        });
        let mut values: Vec<Txt> = values.collect::<Result<_>>()?;
        // A journal may be easier to write than the branch: nothing else goes for its sake.
        values.retain(Txt::looks_like_a_challenge);
        if values.is_empty() {
            return Ok(0);
        }
        let count = values.len();
        let batch = TxtBatch::removing(values);
        self.stop
            .ends(provider.change(zone.reference(), &batch))
            .await?;
        Ok(count)
    }
}

/// What an earlier run has left, in words.
pub(super) fn left_by(found: &Found) -> String {
    let journal = &found.journal;
    let left = [
        (journal.orders.len(), "order"),
        (journal.values.len(), "challenge"),
    ];
    let left = left.into_iter().filter(|(number, _)| *number > 0);
    let left: Vec<_> = left.map(|(number, noun)| count(number, noun)).collect();
    let left = match left.as_slice() {
        [] => "nothing".to_owned(),
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        few => few.join(", "),
    };
    format!("an earlier run has left {left}: {}", found.describe())
}

/// Whether an earlier run has an order for the certificate: one that counts already.
pub(super) fn has_order(found: &[Found], name: &CertificateName) -> bool {
    let mut orders = found.iter().flat_map(|found| &found.journal.orders);
    orders.any(|order| order.certificate == name.as_str())
}
