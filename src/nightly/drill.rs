//! What replacing every certificate on one day would cost. Pure.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use crate::acme::limits::{Budget, Limits, Rates};
use crate::acme::presets::Directory;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::Issuance;
use crate::model::drill::{Drill, DrillAuthority, DrillZone};
use crate::model::name::{DnsName, Identifier};
use crate::model::outcome::{Action, Planned, PutOff};
use crate::model::zone::Zone;
use crate::nightly::budget;
use crate::nightly::delegation::{self, Trail};

/// Requests of an order besides newOrder: finalize, one poll, the certificate.
const OF_AN_ORDER: usize = 3;

/// Requests of each name: the authorization, the challenge, one poll.
const OF_A_NAME: usize = 3;

/// A CA, its limits where they are known, and the certificates that it would replace.
pub(super) struct Share {
    pub(super) directory: Directory,
    pub(super) limits: Option<Limits>,
    pub(super) held: Vec<Planned>,
}

/// Reckons it up.
pub(super) fn drill(
    shares: Vec<Share>,
    dns: &DnsConfig,
    past: &[Issuance],
    now: OffsetDateTime,
) -> Drill {
    let held = shares.iter().flat_map(|share| &share.held);
    let names: Vec<_> = held.flat_map(|held| &held.wanted.identifiers).collect();
    let (zones, astray) = places(&names, dns);
    let mut authorities: Vec<_> = shares.iter().map(authority).collect();
    authorities.sort_by(|a, b| a.host.cmp(&b.host));
    let unlimited = shares.iter().filter(|share| share.limits.is_none());
    Drill {
        orders: shares.iter().map(|share| share.held.len()).sum(),
        values: names.len(),
        unlimited: unlimited.map(|share| share.held.len()).sum(),
        zones,
        astray,
        authorities,
        without_ari: shares
            .into_iter()
            .flat_map(|share| without_ari(share, past, now))
            .collect(),
    }
}

fn without_ari(share: Share, past: &[Issuance], now: OffsetDateTime) -> Vec<PutOff> {
    let Some(limits) = share.limits else {
        return Vec::new();
    };
    let past = past.iter();
    let past = past.filter(|past| share.directory.is_of_same_ca(&past.directory));
    let past: Vec<_> = past.cloned().collect();
    let due = share.held.into_iter().map(|held| Planned {
        action: Action::Renew,
        replaces: None,
        ..held
    });
    let due = due.enumerate().collect();
    let (_, wait) = budget::sort(due, Budget::new(limits, &past, now), &share.directory, now);
    budget::in_order(wait)
}

fn authority(share: &Share) -> DrillAuthority {
    let orders = share.held.len();
    let names = share.held.iter().map(|held| held.wanted.identifiers.len());
    let others = orders * OF_AN_ORDER + names.sum::<usize>() * OF_A_NAME;
    let minutes = |rates: Rates| {
        let seconds = |requests: usize, rate: u32| requests.div_ceil(rate.max(1) as usize);
        let longest = seconds(orders, rates.new_order).max(seconds(others, rates.other));
        longest.div_ceil(60)
    };
    DrillAuthority {
        host: share.directory.host(),
        orders,
        requests: orders + others,
        minutes: share.limits.map(|limits| minutes(limits.rates)),
    }
}

/// The zones that challenges would be written to, and names whose challenges lead to none.
fn places(names: &[&Identifier], dns: &DnsConfig) -> (Vec<DrillZone>, Vec<String>) {
    let mut zones: BTreeMap<String, (&Zone, BTreeSet<DnsName>, usize)> = BTreeMap::new();
    let mut astray = BTreeSet::new();
    for name in names {
        match end(name.challenge_name(), dns) {
            Some((zone, at)) => {
                let known = zones.entry(zone.unique_name());
                let (_, names, values) = known.or_insert((zone, BTreeSet::new(), 0));
                names.insert(at);
                *values += 1;
            }
            None => {
                astray.insert(name.to_string());
            }
        }
    }
    let zones = zones
        .into_iter()
        .map(|(unique_name, (zone, names, values))| {
            let entries = zone.providers.iter();
            DrillZone {
                zone: unique_name,
                providers: entries.map(|provider| provider.entry.clone()).collect(),
                names: names.len(),
                values,
            }
        });
    (zones.collect(), astray.into_iter().collect())
}

/// Where the CNAMEs lead that dnsconfig.js declares.
fn end(challenge: DnsName, dns: &DnsConfig) -> Option<(&Zone, DnsName)> {
    let mut trail = Trail::new(challenge);
    loop {
        let zone = dns.zone_for(trail.end())?;
        match delegation::declared(zone, trail.end()).ok()? {
            Some(target) => trail.follow(target).ok()?,
            None => return Some((zone, trail.end().clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::acme::limits::{LETS_ENCRYPT, STAGING};
    use crate::model::certificate::{KeySource, KeyType, Wanted};

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00:00 UTC);

    fn held(number: usize, names: &[&str]) -> Planned {
        Planned {
            wanted: Wanted {
                name: format!("c{number}").parse().unwrap(),
                identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
                key_type: KeyType::P256,
                key_source: KeySource::New,
                acme: None,
                profile: None,
                preferred_chain: None,
                recipients: None,
            },
            action: Action::Keep,
            reason: String::new(),
            not_after: None,
            due_from: None,
            replaces: None,
        }
    }

    fn share(acme: &str, limits: Option<Limits>, number: usize) -> Share {
        Share {
            directory: acme.parse().unwrap(),
            limits,
            held: (0..number)
                .map(|number| held(number, &["a.example.com", "*.a.example.com"]))
                .collect(),
        }
    }

    #[test]
    fn requests_and_the_minutes_that_they_take() {
        let of = |acme, limits, number| {
            let authority = authority(&share(acme, limits, number));
            (authority.requests, authority.minutes)
        };
        assert_eq!(of("live", Some(LETS_ENCRYPT), 1), (10, Some(1)));
        assert_eq!(of("live", Some(LETS_ENCRYPT), 10_000), (100_000, Some(6)));
        assert_eq!(of("staging", Some(STAGING), 10_000), (100_000, Some(75)));
        assert_eq!(of("https://ca.test/dir", None, 3), (30, None));
    }

    #[test]
    fn the_limit_on_the_same_names_is_what_is_left_without_ari() {
        let past: Vec<_> = (0..3_u8)
            .map(|serial| Issuance {
                identifiers: ["*.a.example.com", "a.example.com"]
                    .map(|name| name.parse().unwrap())
                    .into(),
                not_before: NOW - time::Duration::HOUR,
                serial: serial.to_string(),
                directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
                is_renewal: None,
            })
            .collect();
        let names = |number| {
            let wait = without_ari(share("live", Some(LETS_ENCRYPT), number), &past, NOW);
            let name = |wait: &PutOff| wait.planned.wanted.name.to_string();
            wait.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(2), [""; 0]);
        assert_eq!(names(4), ["c2", "c3"]);
        assert!(without_ari(share("live", None, 9), &past, NOW).is_empty());
    }
}
