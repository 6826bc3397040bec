//! Orders in the journal: written down before they are proven, gone on with by the next run.

use std::collections::BTreeSet;

use anyhow::Result;
use time::OffsetDateTime;

use crate::acme::order::{Accepted, Placed};
use crate::acme::refusal::is_fault_of_the_ca;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::change::Txt;
use crate::model::hint::{Shared, find};
use crate::model::outcome::Planned;
use crate::model::secret::{Sealed, Secret};
use crate::nightly::challenge::Placement;
use crate::nightly::issue::{Issuer, Ordered};
use crate::nightly::key_forms::KeyForms;
use crate::nightly::recover::Prepared;
use crate::nightly::stop::Stopped;
use crate::nightly::workspaces::blocking;
use crate::repo::journal::{OrderNote, ValueNote};

impl Issuer<'_> {
    /// Where the values of an order belong.
    pub(super) fn placements(&self, placed: &Placed) -> Result<Vec<Placement>> {
        let values = placed.challenges().iter();
        values
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
            .collect()
    }

    /// An order of an earlier run, if the CA has it and it fits. An error if it is not known whether there is one.
    pub(super) async fn resume(
        &self,
        wanted: &Wanted,
        forms: &KeyForms,
    ) -> Result<Option<(Accepted, Prepared)>> {
        for (note, open) in self.noted(wanted).await? {
            match self.take_up(&note, wanted, (forms, open)).await {
                Ok(resumed) => {
                    self.progress.say(&format!(
                        "going on with the order of an earlier run for `{}`",
                        wanted.name
                    ));
                    return Ok(Some(resumed));
                }
                Err(error) if find::<Stopped>(&error).is_some() => return Err(error),
                // The next run looks again.
                Err(error) if is_fault_of_the_ca(&error) => self.progress.say(&format!(
                    "an earlier run ordered `{}`, and what became of that order is not known: {error:#}",
                    wanted.name
                )),
                Err(error) => {
                    self.progress.say(&format!(
                        "an earlier run ordered `{}`, but that order is of no use: {error:#}",
                        wanted.name
                    ));
                    self.forget(&wanted.name, &note.url).await;
                }
            }
        }
        Ok(None)
    }

    /// Goes on with an order of an earlier run. `open` is its key, where Vault has it.
    async fn take_up(
        &self,
        note: &OrderNote,
        wanted: &Wanted,
        (forms, open): (&KeyForms, Option<Secret>),
    ) -> Result<(Accepted, Prepared)> {
        anyhow::ensure!(
            self.account.directory().is_of_same_ca(&note.url),
            "it is not an order of this CA: `{}`",
            note.url
        );
        anyhow::ensure!(
            self.account.marker().is_of_order(&note.mark, &note.text()),
            "nobody who can open the account key has written it down so"
        );
        let open = match open {
            None if self.vault_store().is_none() => self.open_for_copy(note).await,
            open => open,
        };
        let prepared = Prepared::of(note, wanted, (forms, open))?;
        let resumed = self.account.resume(&note.url, note.profile.clone());
        let mut accepted = self.stop.ends(resumed).await?;
        anyhow::ensure!(!accepted.is_given_up(), "the CA has given it up");
        Ok((accepted, prepared))
    }

    /// The orders of earlier runs for a certificate, each with its key where Vault has it.
    async fn noted(&self, wanted: &Wanted) -> Result<Vec<(OrderNote, Option<Secret>)>> {
        let (directory, account) = (self.account.directory().url(), self.account.url());
        if let Some(vaulting) = self.vault_store() {
            let noted = self.noted_in_vault(vaulting, wanted).await?;
            let noted =
                noted.filter(|(note, _)| note.directory == directory && note.account == account);
            return Ok(noted.into_iter().collect());
        }
        let orders = self.logbook.orders(&wanted.name, directory, account);
        Ok(orders.into_iter().map(|note| (note, None)).collect())
    }

    /// The order leads to nothing any more.
    pub(super) async fn forget(&self, name: &CertificateName, url: &str) {
        self.logbook.forget(url);
        self.forget_in_vault(name).await;
    }

    /// The key of an order, where an identity opens it; else the certificate cannot be copied to Vault, which is told then.
    async fn open_for_copy(&self, note: &OrderNote) -> Option<Secret> {
        self.vault?;
        let key = Sealed::new(note.key.clone()?).ok()?;
        let (keyring, progress) = (self.keyring.clone(), self.progress.clone());
        let opened = blocking(move || keyring.decrypt(&key, "journal.json", &progress));
        opened.await.ok()
    }

    /// Writes the orders into the journal, before a value is written or a certificate issued. Orders that
    /// are not written down are given up.
    pub(super) async fn record(
        &self,
        due: &[&Planned],
        mut orders: Vec<Result<Ordered>>,
    ) -> Vec<Result<Ordered>> {
        let (mut notes, mut values) = (Vec::new(), BTreeSet::new());
        for (planned, ordered) in due.iter().zip(&orders) {
            if let Ok(ordered) = ordered {
                notes.extend(self.note(&planned.wanted, ordered));
                let placements = ordered.placements.iter();
                values.extend(placements.flat_map(|placement| self.value_notes(placement)));
            }
        }
        if notes.is_empty() {
            return orders;
        }
        let recorded = async {
            self.note_in_vault(&notes, &orders).await?;
            self.logbook.record(notes, values).await
        };
        let Err(error) = recorded.await else {
            return orders;
        };
        let error = Shared::new(error);
        for (planned, ordered) in due.iter().zip(&mut orders) {
            if let Ok(Ordered { placed, .. }) = ordered {
                self.abandon(placed).await;
                self.forget(&planned.wanted.name, placed.url()).await;
                *ordered = Err(error.clone().into());
            }
        }
        orders
    }

    fn note(&self, wanted: &Wanted, ordered: &Ordered) -> Option<OrderNote> {
        let forms = self.forms.get(&wanted.name)?;
        let Ordered {
            placed, prepared, ..
        } = ordered;
        let note = prepared.note(OrderNote {
            certificate: wanted.name.to_string(),
            directory: self.account.directory().url().to_owned(),
            account: self.account.url().to_owned(),
            url: placed.url().to_owned(),
            placed: OffsetDateTime::now_utc(),
            profile: placed.profile().map(str::to_owned),
            request: String::new(),
            key: None,
            recipients: forms.hash(),
            mark: String::new(),
        });
        let mark = self.account.marker().order(&note.text());
        Some(OrderNote { mark, ..note })
    }

    /// Where a value is written, for the journal.
    fn value_notes(&self, placement: &Placement) -> impl Iterator<Item = ValueNote> {
        let Placement { zone, txt } = placement;
        zone.providers.iter().map(|access| {
            let note = ValueNote {
                zone: zone.unique_name.clone(),
                entry: access.entry.clone(),
                name: txt.name.to_string(),
                value: txt.value.clone(),
                directory: self.account.directory().url().to_owned(),
                mark: String::new(),
            };
            let mark = self.account.marker().value(&note.text());
            ValueNote { mark, ..note }
        })
    }
}
