//! What a survey has found out about zones, and where a challenge leads by that. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::dns::lookup::NameServer;
use crate::dns::not_seen::Laggard;
use crate::dns::view::View;
use crate::dnscontrol::DnsConfig;
use crate::model::hint::{Shared, several};
use crate::model::name::DnsName;
use crate::model::zone::Zone;
use crate::nightly::delegation::{self, Known, Trail};
use crate::nightly::zones::{Contents, ReadyZone, ZoneAccess};

/// What was found out so far. Zones go by their unique names.
pub(super) struct Findings<'d> {
    pub(super) dns: &'d Arc<DnsConfig>,
    /// Names that CNAMEs at challenge names lead to: all that dnsconfig.js declares, and what else
    /// was found.
    pub(super) delegated: BTreeSet<DnsName>,
    pub(super) views: BTreeMap<String, Result<Arc<View>, Shared>>,
    /// What the providers have of the zones that are written to.
    pub(super) contents: BTreeMap<String, Result<Contents, Shared>>,
    /// What the user should know of entries of creds.json.
    pub(super) of_entries: BTreeSet<String>,
    /// CNAMEs at names, as each address of their name servers has them.
    pub(super) said: BTreeMap<DnsName, Vec<Laggard>>,
    /// TXT values that every name server has at names where something is left over.
    pub(super) shown: BTreeMap<DnsName, BTreeSet<String>>,
}

/// What has to be known of a zone.
pub(super) struct Need<'d> {
    zone: &'d Zone,
    names: BTreeSet<DnsName>,
    /// CNAMEs lead through it.
    passes: bool,
    /// A name in it is written, and it is not known yet.
    reads: bool,
}

impl<'d> Need<'d> {
    /// The zone, if it has to be read.
    pub(super) fn to_read(&self) -> Option<&'d Zone> {
        self.reads.then_some(self.zone)
    }
}

/// What comes of looking at the end of a trail.
pub(super) enum Step {
    /// It goes on from there.
    Further,
    /// Values are written there.
    Here(Arc<ReadyZone>),
}

impl<'d> Findings<'d> {
    pub(super) fn new(dns: &'d Arc<DnsConfig>) -> Self {
        Self {
            dns,
            delegated: delegation::delegated(dns),
            views: BTreeMap::new(),
            contents: BTreeMap::new(),
            of_entries: BTreeSet::new(),
            said: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// What has to be known of each zone that the trails lead through, as far as dnsconfig.js says.
    pub(super) fn needs(&self, open: &[Trail]) -> Vec<Need<'d>> {
        let mut needs: BTreeMap<String, Need<'d>> = BTreeMap::new();
        for trail in open {
            let mut way = trail.clone();
            while let Some(zone) = self.dns.zone_for(way.end()) {
                let unique_name = zone.unique_name();
                let is_read = self.contents.contains_key(&unique_name);
                let need = needs.entry(unique_name).or_insert_with(|| Need {
                    zone,
                    names: BTreeSet::new(),
                    passes: false,
                    reads: false,
                });
                need.names.insert(way.end().clone());
                let followed = match delegation::declared(zone, way.end()) {
                    Ok(Some(target)) => {
                        need.passes = true;
                        way.follow(target)
                    }
                    Ok(None) => {
                        need.reads |= !is_read;
                        break;
                    }
                    Err(error) => Err(error),
                };
                // What is wrong is said when the trail gets there.
                if followed.is_err() {
                    break;
                }
            }
        }
        needs.into_values().collect()
    }

    /// The zone, if its name servers have yet to be found.
    pub(super) fn to_serve(&self, need: &Need<'d>) -> Option<&'d Zone> {
        let unique_name = need.zone.unique_name();
        let is_lost = || matches!(self.contents.get(&unique_name), Some(Err(_)));
        let is_needed = need.passes || !is_lost();
        (is_needed && !self.views.contains_key(&unique_name)).then_some(need.zone)
    }

    /// Names that have yet to be asked for, and who is asked.
    ///
    /// A resolver over HTTPS keeps it that a name is not there, so it is asked only for names that
    /// have a CNAME.
    pub(super) fn to_ask(&self, need: &Need<'_>) -> Option<(Vec<DnsName>, &View)> {
        let view = self.views.get(&need.zone.unique_name())?.as_ref().ok()?;
        let names: Vec<_> = need
            .names
            .iter()
            .filter(|name| !self.said.contains_key(*name))
            .filter(|name| view.resolvers.is_empty() || self.has_alias(need.zone, name))
            .cloned()
            .collect();
        (!names.is_empty()).then_some((names, view))
    }

    /// Whether dnsconfig.js or a provider has a CNAME at the name.
    fn has_alias(&self, zone: &Zone, name: &DnsName) -> bool {
        let contents = self.contents.get(&zone.unique_name());
        let contents = contents.and_then(|contents| contents.as_ref().ok());
        let read = contents.into_iter().flat_map(|contents| &contents.records);
        let mut all = zone.records.iter().chain(read.map(|found| &found.record));
        all.any(|record| record.rtype == "CNAME" && record.name == *name)
    }

    /// Names where something is left over, and the name servers that have yet to be asked for it.
    pub(super) fn to_check(&self, need: &Need<'_>) -> Option<(Vec<DnsName>, &[NameServer])> {
        let unique_name = need.zone.unique_name();
        let contents = self.contents.get(&unique_name)?.as_ref().ok()?;
        let view = self.views.get(&unique_name)?.as_ref().ok()?;
        let left = contents
            .providers
            .iter()
            .flat_map(|access| &access.leftovers);
        let names: BTreeSet<_> = left
            .map(|txt| &txt.name)
            .filter(|name| need.names.contains(*name) && !self.shown.contains_key(*name))
            .cloned()
            .collect();
        (!names.is_empty()).then(|| (names.into_iter().collect(), view.servers.as_slice()))
    }

    /// Without the leftovers that a name server does not show: somebody is writing them just now.
    fn settled(&self, access: &ZoneAccess) -> ZoneAccess {
        let mut access = access.clone();
        access.leftovers.retain(|txt| {
            let shown = self.shown.get(&txt.name);
            shown.is_some_and(|values| values.contains(&txt.value))
        });
        access
    }

    /// Follows the CNAME at the end of the trail, if there is one.
    pub(super) fn step(&self, trail: &mut Trail) -> Result<Step> {
        let name = trail.end().clone();
        let zone = self.dns.zone_for(&name);
        let zone = zone.ok_or_else(|| trail.leads_astray(self.dns))?;
        if !trail.is_delegated() {
            delegation::check_room(zone, &name, &[])?;
        }
        let mut known = Known {
            zone,
            name: &name,
            read: &[],
            said: self.said.get(&name).map_or(&[], Vec::as_slice),
        };
        if let Some(target) = delegation::declared(zone, &name)? {
            known_of(&self.views, zone)?;
            known.confirm(&target)?;
            trail.follow(target)?;
            return Ok(Step::Further);
        }
        let contents = known_of(&self.contents, zone);
        let view = known_of(&self.views, zone);
        let (contents, view) = match (contents, view) {
            (Ok(contents), Ok(view)) => (contents, view),
            // Without providers nobody asked for name servers.
            (Err(error), Err(_)) if !self.views.contains_key(&zone.unique_name()) => {
                return Err(error);
            }
            (Err(contents), Err(view)) => {
                let both = several([contents, view].map(Shared::new));
                return Err(both.unwrap_or_else(|| anyhow!("there are two problems")));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        known.read = &contents.records;
        if !trail.is_delegated() {
            delegation::check_room(zone, &name, &contents.records)?;
        }
        match known.alias()? {
            Some(target) => {
                trail.follow(target)?;
                Ok(Step::Further)
            }
            None => Ok(Step::Here(Arc::new(ReadyZone {
                unique_name: zone.unique_name(),
                name: zone.name.clone(),
                tag: zone.tag.clone(),
                meta: zone.meta.clone(),
                view: Arc::clone(view),
                providers: contents
                    .providers
                    .iter()
                    .map(|access| self.settled(access))
                    .collect(),
                skipped: skipped(zone, contents),
            }))),
        }
    }

    /// Where each zone is written and who is asked, a line a zone.
    pub(super) fn looked_at(&self) -> Vec<String> {
        let ready = self.views.iter().filter_map(|(unique_name, view)| {
            let view = view.as_ref().ok()?;
            let written = match self.contents.get(unique_name) {
                Some(Ok(contents)) => {
                    let entries = contents.providers.iter();
                    let entries: Vec<_> = entries
                        .map(|access| format!("`{}`", access.entry))
                        .collect();
                    format!("written at {}", entries.join(", "))
                }
                Some(Err(_)) => return None,
                None => "not written, as CNAMEs lead on".to_owned(),
            };
            Some(format!(
                "zone `{unique_name}`: {written}; asked: {}",
                view.who()
            ))
        });
        ready.collect()
    }

    /// How many zones there are, and how many are not ready.
    pub(super) fn count(&self) -> (usize, usize) {
        let failed = |unique_name: &&&String| {
            matches!(self.views.get(**unique_name), Some(Err(_)))
                || matches!(self.contents.get(**unique_name), Some(Err(_)))
        };
        let all: BTreeSet<_> = self.views.keys().chain(self.contents.keys()).collect();
        (all.len(), all.iter().filter(failed).count())
    }

    /// What the user is warned of, each once.
    pub(super) fn warnings(&self) -> BTreeSet<String> {
        let of_views = self
            .views
            .values()
            .flatten()
            .flat_map(|view| &view.warnings);
        let contents = self.contents.values().flatten();
        let of_contents = contents.flat_map(|contents| &contents.warnings);
        let all = of_views.chain(of_contents).chain(&self.of_entries);
        all.cloned().collect()
    }
}

/// Entries of creds.json that the zone has, and that are left alone.
fn skipped(zone: &Zone, contents: &Contents) -> Vec<String> {
    let entries = zone.providers.iter().map(|provider| &provider.entry);
    let is_used = |entry: &str| {
        contents
            .providers
            .iter()
            .any(|access| access.entry == entry)
    };
    entries.filter(|entry| !is_used(entry)).cloned().collect()
}

fn known_of<'f, T>(found: &'f BTreeMap<String, Result<T, Shared>>, zone: &Zone) -> Result<&'f T> {
    let unique_name = zone.unique_name();
    match found.get(&unique_name) {
        Some(Ok(found)) => Ok(found),
        Some(Err(error)) => Err(Error::new(error.clone())),
        None => Err(anyhow!("nothing is known of zone `{unique_name}`")),
    }
}
