//! What a survey has found out about zones, and where a challenge leads by that. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::dns::lookup::NameServer;
use crate::dns::not_seen::Laggard;
use crate::dnscontrol::DnsConfig;
use crate::model::hint::Shared;
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
    pub(super) servers: BTreeMap<String, Result<Vec<NameServer>, Shared>>,
    /// What the providers have of the zones that are written to.
    pub(super) contents: BTreeMap<String, Result<Contents, Shared>>,
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
            servers: BTreeMap::new(),
            contents: BTreeMap::new(),
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
        (is_needed && !self.servers.contains_key(&unique_name)).then_some(need.zone)
    }

    /// Names that the zone's name servers have yet to be asked for.
    pub(super) fn to_ask(&self, need: &Need<'_>) -> Option<(Vec<DnsName>, &[NameServer])> {
        let servers = self.servers.get(&need.zone.unique_name())?.as_ref().ok()?;
        let names: Vec<_> = need
            .names
            .iter()
            .filter(|name| !self.said.contains_key(*name))
            .cloned()
            .collect();
        (!names.is_empty()).then_some((names, servers))
    }

    /// Names where something is left over, and the name servers that have yet to be asked for it.
    pub(super) fn to_check(&self, need: &Need<'_>) -> Option<(Vec<DnsName>, &[NameServer])> {
        let unique_name = need.zone.unique_name();
        let contents = self.contents.get(&unique_name)?.as_ref().ok()?;
        let servers = self.servers.get(&unique_name)?.as_ref().ok()?;
        let left = contents
            .providers
            .iter()
            .flat_map(|access| &access.leftovers);
        let names: BTreeSet<_> = left
            .map(|txt| &txt.name)
            .filter(|name| need.names.contains(*name) && !self.shown.contains_key(*name))
            .cloned()
            .collect();
        (!names.is_empty()).then(|| (names.into_iter().collect(), servers.as_slice()))
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
        let zone = zone.ok_or_else(|| trail.leads_astray())?;
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
            known_of(&self.servers, zone)?;
            known.confirm(&target)?;
            trail.follow(target)?;
            return Ok(Step::Further);
        }
        let contents = known_of(&self.contents, zone)?;
        let servers = known_of(&self.servers, zone)?;
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
                servers: servers.clone(),
                providers: contents
                    .providers
                    .iter()
                    .map(|access| self.settled(access))
                    .collect(),
            }))),
        }
    }

    /// How many zones there are, and how many are not ready.
    pub(super) fn count(&self) -> (usize, usize) {
        let failed = |unique_name: &&&String| {
            matches!(self.servers.get(**unique_name), Some(Err(_)))
                || matches!(self.contents.get(**unique_name), Some(Err(_)))
        };
        let all: BTreeSet<_> = self.servers.keys().chain(self.contents.keys()).collect();
        (all.len(), all.iter().filter(failed).count())
    }

    /// What the user should know, each line once.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let contents = self.contents.values().flatten();
        contents.flat_map(|contents| {
            let warnings = contents.warnings.iter();
            warnings.map(|warning| format!("warning: {warning}"))
        })
    }
}

fn known_of<'f, T>(found: &'f BTreeMap<String, Result<T, Shared>>, zone: &Zone) -> Result<&'f T> {
    let unique_name = zone.unique_name();
    match found.get(&unique_name) {
        Some(Ok(found)) => Ok(found),
        Some(Err(error)) => Err(Error::new(error.clone())),
        None => Err(anyhow!("nothing is known of zone `{unique_name}`")),
    }
}
