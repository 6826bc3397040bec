//! A value through every provider to every name server, and away again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::future::join_all;

use crate::acme::mark::Marker;
use crate::dns::wait::WaitSettings;
use crate::model::change::Txt;
use crate::model::checkup::{Finding, Rehearsal, Subject};
use crate::model::hint::Shared;
use crate::model::name::DnsName;
use crate::model::outcome::{Outcome, Planned};
use crate::model::wording::count;
use crate::nightly::challenge::{Challenges, Placement};
use crate::nightly::doctor::zones::Zones;
use crate::nightly::found::at_work;
use crate::nightly::left::REHEARSAL;
use crate::nightly::logbook::Logbook;
use crate::nightly::run::Nightly;
use crate::nightly::shard::Part;
use crate::nightly::zones::ReadyZone;
use crate::repo::journal::ValueNote;

/// Bytes of a SHA-256 digest, such as that of a key authorization.
const DIGEST: usize = 32;

/// The rehearsal of a zone.
struct Stage {
    placement: Placement,
    challenges: Challenges,
    shown: Mutex<Vec<(String, Duration)>>,
    started: Instant,
}

impl Nightly {
    /// Writes a value to every zone that is ready, waits for it as a run does, and withdraws it, after a
    /// signal too. A journal tells the next run of it meanwhile.
    pub(super) async fn rehearse(
        &self,
        certificates: &[Planned],
        zones: &Zones<'_>,
    ) -> (Vec<Rehearsal>, Vec<Finding>) {
        let (stages, mut findings) = stages(zones);
        if stages.is_empty() {
            return (Vec::new(), findings);
        }
        let logbook = match self.begin_rehearsal(certificates, zones, &stages).await {
            Ok(logbook) => logbook,
            Err(error) => {
                findings.push(Finding::error(Subject::Run, error));
                return (Vec::new(), findings);
            }
        };
        let step = self.progress.step("rehearsing");
        let settings = WaitSettings {
            deadline: self.job.dns_timeout,
            ..WaitSettings::default()
        };
        let played = async {
            join_all(stages.iter().map(|stage| stage.play(&settings))).await;
            Ok(())
        };
        if let Err(error) = self.stop.ends(played).await {
            let error = Shared::new(error);
            for stage in &stages {
                stage.challenges.give_up(&error);
            }
            findings.push(Finding::error(Subject::Run, error));
        }
        let mut rehearsals = Vec::new();
        for stage in stages {
            let withdrawn = stage.challenges.withdraw(&self.stop).await;
            for (zone, entry) in &withdrawn.clean {
                logbook.withdrawn(zone, entry);
            }
            let subject = || Subject::Zone(stage.placement.zone.unique_name.clone());
            let failed = withdrawn.failed.into_iter();
            findings.extend(failed.map(|error| Finding::error(subject(), error)));
            if let Some(written) = stage.challenges.written() {
                let seen = stage
                    .challenges
                    .seen(std::slice::from_ref(&stage.placement))
                    .await;
                findings.extend(seen.err().map(|error| Finding::error(subject(), error)));
                rehearsals.push(stage.told(written));
            }
        }
        if let Err(error) = logbook.close().await {
            findings.push(Finding::error(Subject::Run, error));
        }
        step.done(&format!("rehearsed {}", count(rehearsals.len(), "zone")));
        (rehearsals, findings)
    }

    /// The journal, with all values in it. What an earlier run has left is withdrawn first.
    async fn begin_rehearsal(
        &self,
        certificates: &[Planned],
        zones: &Zones<'_>,
        stages: &[Stage],
    ) -> Result<Logbook> {
        let found = self.found(&Part::All).await?;
        if let Some(running) = found
            .iter()
            .find(|found| found.is_running(&self.job.journal))
        {
            return Err(at_work(running));
        }
        let logbook = if found.is_empty() {
            self.begin(&Part::All, Vec::new()).await?
        } else {
            // Their orders stay for a run: nothing is known to be done.
            let place = (&Part::All, &*zones.dns);
            self.take_over(found, place, (certificates, &Outcome::default()))
                .await?
        };
        // Where nobody can open the account key here, a rehearsal has no marks: see `REHEARSAL`.
        let directory = self.job.directory.url();
        let marker = self.marker_at(directory).await.ok().flatten();
        let notes = |stage| Stage::notes(stage, directory, marker.as_ref());
        let values: BTreeSet<_> = stages.iter().flat_map(notes).collect();
        match logbook.record(Vec::new(), values).await {
            Ok(()) => Ok(logbook),
            Err(error) => {
                logbook.close().await?;
                Err(error)
            }
        }
    }
}

/// One for each zone that is ready at all of its providers, and what is said of the others.
fn stages(zones: &Zones<'_>) -> (Vec<Stage>, Vec<Finding>) {
    let mut ready: BTreeMap<&str, (&Arc<ReadyZone>, &DnsName)> = BTreeMap::new();
    for (_, target) in zones.survey.ready() {
        let place = (&target.zone, &target.name);
        ready.entry(&target.zone.unique_name).or_insert(place);
    }
    let (mut stages, mut findings) = (Vec::new(), Vec::new());
    let written = zones
        .all
        .iter()
        .filter(|(_, known)| !known.names.is_empty());
    for (unique_name, _) in written {
        let Some(declared) = zones.dns.zone(unique_name) else {
            continue;
        };
        let subject = || Subject::Zone(unique_name.clone());
        let mut entries = declared.providers.iter().map(|provider| &provider.entry);
        if let Some(entry) = entries.find(|entry| zones.bare.contains_key(*entry)) {
            let error =
                anyhow!("zone `{unique_name}` is not rehearsed: `{entry}` has no credentials here");
            findings.push(Finding::note(subject(), error));
            continue;
        }
        // Why it is not ready is told.
        let Some((zone, name)) = ready.get(unique_name.as_str()) else {
            continue;
        };
        // Credentials for a zone that is there for challenges may be good for these names alone.
        let name = if declared.is_declared {
            DnsName::within(REHEARSAL, &zone.name).map_err(Into::into)
        } else {
            Ok((*name).clone())
        };
        match name.and_then(|name| Stage::new(zone, name)) {
            Ok(stage) => stages.push(stage),
            Err(error) => findings.push(Finding::error(subject(), error)),
        }
    }
    (stages, findings)
}

impl Stage {
    fn new(zone: &Arc<ReadyZone>, name: DnsName) -> Result<Self> {
        let mut digest = [0; DIGEST];
        aws_lc_rs::rand::fill(&mut digest).map_err(|_| anyhow!("no random numbers"))?;
        Ok(Self {
            placement: Placement {
                zone: Arc::clone(zone),
                txt: Txt {
                    name,
                    value: BASE64_URL_SAFE_NO_PAD.encode(digest),
                },
            },
            challenges: Challenges::default(),
            shown: Mutex::default(),
            started: Instant::now(),
        })
    }

    fn notes(&self, directory: &str, marker: Option<&Marker>) -> impl Iterator<Item = ValueNote> {
        let Placement { zone, txt } = &self.placement;
        zone.providers.iter().map(move |access| {
            let note = ValueNote {
                zone: zone.unique_name.clone(),
                entry: access.entry.clone(),
                name: txt.name.to_string(),
                value: txt.value.clone(),
                directory: directory.to_owned(),
                mark: String::new(),
            };
            let mark = marker.map(|marker| marker.value(&note.text()));
            ValueNote {
                mark: mark.unwrap_or_default(),
                ..note
            }
        })
    }

    async fn play(&self, settings: &WaitSettings) {
        let placements = vec![self.placement.clone()];
        self.challenges
            .publish(placements, settings, &|at| {
                let shown = at
                    .newly_shown
                    .iter()
                    .map(|(_, who)| (who.clone(), at.elapsed));
                self.shown
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(shown);
            })
            .await;
    }

    fn told(self, written: Instant) -> Rehearsal {
        let zone = &self.placement.zone;
        Rehearsal {
            zone: zone.unique_name.clone(),
            name: self.placement.txt.name.clone(),
            entries: zone
                .providers
                .iter()
                .map(|access| access.entry.clone())
                .collect(),
            written: written.duration_since(self.started),
            shown: self
                .shown
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}
