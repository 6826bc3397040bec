//! Challenge values that an earlier run has noted: whether it was a run of ours.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};

use crate::acme::mark::Marker;
use crate::acme::presets::Directory;
use crate::model::wording::{count, first_of};
use crate::nightly::run::Nightly;
use crate::repo::journal::ValueNote;

/// Where a value is written for a try, below the top of a zone: a challenge name of a host that nobody has.
///
/// No CA asks for it, so whoever noted it, it may go. As at any challenge name, what stays there is no pending
/// correction.
pub(super) const REHEARSAL: &str = "_acme-challenge.git-certs-rehearsal";

/// Values by what can be said of their marks.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Noted by somebody who can open the account key, or left by a rehearsal.
    pub(super) ours: BTreeSet<ValueNote>,
    /// Noted by somebody else, or not marked at all.
    others: BTreeSet<ValueNote>,
    /// The account key cannot be opened now, and why.
    open: Option<(usize, Error)>,
}

fn is_rehearsed(value: &ValueNote) -> bool {
    let zone = value.name.strip_prefix(REHEARSAL);
    zone.is_some_and(|zone| zone.starts_with('.'))
}

impl Nightly {
    /// Sorts the values of an earlier run by their marks.
    pub(super) async fn sorted(&self, values: BTreeSet<ValueNote>) -> Sorted {
        let (rehearsed, values): (BTreeSet<_>, BTreeSet<_>) =
            values.into_iter().partition(is_rehearsed);
        let mut by_ca: BTreeMap<String, BTreeSet<ValueNote>> = BTreeMap::new();
        for value in values {
            by_ca
                .entry(value.directory.clone())
                .or_default()
                .insert(value);
        }
        let mut sorted = Sorted {
            ours: rehearsed,
            ..Sorted::default()
        };
        for (directory, values) in by_ca {
            match self.stop.ends(self.marker_at(&directory)).await {
                Ok(marker) => {
                    let is_ours = |value: &ValueNote| {
                        let marker = marker.as_ref();
                        marker.is_some_and(|marker| marker.is_of_value(&value.mark, &value.text()))
                    };
                    let (ours, others) = values.into_iter().partition(is_ours);
                    let (ours, others): (BTreeSet<_>, BTreeSet<_>) = (ours, others);
                    sorted.ours.extend(ours);
                    sorted.others.extend(others);
                }
                Err(error) => {
                    let before = sorted.open.map_or(0, |(number, _)| number);
                    sorted.open = Some((before + values.len(), error));
                }
            }
        }
        sorted
    }

    /// None where the repository has no account at such a CA: then no run of ours has noted anything for it.
    pub(super) async fn marker_at(&self, directory: &str) -> Result<Option<Marker>> {
        match directory.parse::<Directory>() {
            Ok(directory) => self.accounts_at(&directory).marker().await,
            Err(_) => Ok(None),
        }
    }

    /// Says which values stay. Returns those that are nobody's business any more.
    pub(super) fn say_what_stays(&self, sorted: &Sorted) -> BTreeSet<ValueNote> {
        if let Some((number, error)) = &sorted.open {
            self.progress.warn(&format!(
                "{} of an earlier run cannot be withdrawn without the account key; the next run tries again: {error:#}",
                count(*number, "challenge")
            ));
        }
        if !sorted.others.is_empty() {
            let names = sorted.others.iter().map(|value| value.name.as_str());
            let names: Vec<_> = names.collect::<BTreeSet<_>>().into_iter().collect();
            let verbs = if sorted.others.len() == 1 {
                "stays where it is, if it is anywhere: nobody who can open the account key has written it down so"
            } else {
                "stay where they are, if they are anywhere: nobody who can open the account key has written them down so"
            };
            self.progress.warn(&format!(
                "{} of the journal {verbs}: at {}",
                count(sorted.others.len(), "challenge"),
                first_of(&names)
            ));
        }
        sorted.others.clone()
    }
}
