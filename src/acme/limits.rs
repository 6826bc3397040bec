//! Rate limits of Let's Encrypt, and which orders fit into what is left of them. Pure.
//!
//! A limit is a bucket of tokens that refills evenly. What is known of the past is a lower bound:
//! other accounts and other machines may have taken more, so the CA can still refuse an order.
//! Failed validations leave no trace that could be counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use time::{Duration, OffsetDateTime};

use crate::acme::presets::Directory;
use crate::model::certificate::Issuance;
use crate::model::name::{DnsName, Identifier};

/// Boulder dates certificates back by this much, for clocks that are slow:
/// <https://github.com/letsencrypt/boulder/blob/main/test/config/ca.json> (`backdate`).
const BACKDATE: Duration = Duration::HOUR;

/// What the longest limit looks back at.
pub(crate) const MEMORY: Duration = Duration::WEEK;

/// So many in a period; one comes back each time this share of the period has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) size: u32,
    pub(crate) period: Duration,
}

/// Requests that one address may make in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) new_order: u32,
    /// Everything about orders, authorizations and challenges once they are there.
    pub(crate) other: u32,
}

/// The limits of a CA that orders are kept within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// New orders of an account.
    pub(crate) orders: Limit,
    /// Certificates with names in one registered domain.
    pub(crate) per_domain: Limit,
    /// Certificates with exactly the same names.
    pub(crate) exact_set: Limit,
    pub(crate) rates: Rates,
}

/// <https://letsencrypt.org/docs/rate-limits/>, as of August 2026.
pub(crate) const LETS_ENCRYPT: Limits = Limits {
    orders: Limit {
        size: 300,
        period: Duration::hours(3),
    },
    per_domain: Limit {
        size: 50,
        period: Duration::WEEK,
    },
    exact_set: Limit {
        size: 5,
        period: Duration::WEEK,
    },
    rates: Rates {
        new_order: 300,
        other: 250,
    },
};

/// <https://letsencrypt.org/docs/staging-environment/>, as of November 2025.
pub(crate) const STAGING: Limits = Limits {
    orders: Limit {
        size: 1_500,
        period: Duration::hours(3),
    },
    per_domain: Limit {
        size: 30_000,
        period: Duration::WEEK,
    },
    exact_set: Limit {
        size: 30_000,
        period: Duration::WEEK,
    },
    rates: Rates {
        new_order: 20,
        other: 20,
    },
};

impl Rates {
    /// Those of the CA at a host; none where they are not known.
    pub(super) fn of(host: &str) -> Option<Self> {
        Some(Limits::at(host)?.rates)
    }
}

impl Limits {
    /// Those of a CA; none where they are not known.
    pub(crate) fn of(directory: &Directory) -> Option<Self> {
        Self::at(&directory.host())
    }

    fn at(host: &str) -> Option<Self> {
        match host {
            "acme-v02.api.letsencrypt.org" => Some(LETS_ENCRYPT),
            "acme-staging-v02.api.letsencrypt.org" => Some(STAGING),
            _ => None,
        }
    }
}

/// An order that may be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) identifiers: &'a BTreeSet<Identifier>,
    /// The same names were certified before: only the limit on the same names counts.
    pub(crate) is_renewal: bool,
    /// It names the certificate that it replaces (RFC 9773 section 5): no limit counts.
    pub(crate) replaces: bool,
}

/// Why an order does not fit, and from when on it would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    limit: Limit,
    of: Of,
    pub(crate) until: OffsetDateTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    Orders,
    Domain(DnsName),
    ExactSet,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.limit.size;
        let period = period(self.limit.period);
        match &self.of {
            Of::Orders => write!(f, "the account's {size} new orders in {period} are used up"),
            Of::Domain(domain) => write!(
                f,
                "the {size} new certificates in {period} for `{domain}` are used up"
            ),
            Of::ExactSet => write!(
                f,
                "the {size} certificates in {period} for exactly these names are used up"
            ),
        }
    }
}

fn period(period: Duration) -> String {
    match period.whole_days() {
        0 => format!("{} hours", period.whole_hours()),
        days => format!("{days} days"),
    }
}

/// What is left of the limits.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limits: Limits,
    now: OffsetDateTime,
    orders: Bucket,
    domains: BTreeMap<DnsName, Bucket>,
    sets: BTreeMap<BTreeSet<Identifier>, Bucket>,
}

impl Budget {
    /// What `past` has left. Certificates of which it is not known that they were the first for
    /// their names count for these names alone, as renewals do.
    pub(crate) fn new(limits: Limits, past: &[Issuance], now: OffsetDateTime) -> Self {
        let mut budget = Self {
            limits,
            now,
            orders: Bucket::default(),
            domains: BTreeMap::new(),
            sets: BTreeMap::new(),
        };
        let mut past: Vec<_> = past.iter().collect();
        past.sort_by_key(|issuance| issuance.not_before);
        for issuance in past {
            // Other CAs may not date back, or by less.
            let at = (issuance.not_before + BACKDATE).min(now);
            let names = &issuance.identifiers;
            budget.set(names).take(limits.exact_set, at);
            if issuance.is_renewal == Some(false) {
                budget.orders.take(limits.orders, at);
                for domain in registered_domains(names) {
                    budget.domain(domain).take(limits.per_domain, at);
                }
            }
        }
        budget
    }

    /// Takes the candidate's tokens if all of them are there; the limit that is used up otherwise,
    /// of several the one that lasts longest.
    pub(crate) fn take(&mut self, candidate: Candidate<'_>) -> Result<(), Exceeded> {
        if candidate.replaces {
            return Ok(());
        }
        let Limits {
            orders,
            per_domain,
            exact_set,
            ..
        } = self.limits;
        let names = candidate.identifiers;
        let mut charges = vec![(Of::ExactSet, exact_set)];
        if !candidate.is_renewal {
            charges.push((Of::Orders, orders));
            let domains = registered_domains(names).into_iter();
            charges.extend(domains.map(|domain| (Of::Domain(domain), per_domain)));
        }
        let now = self.now;
        let exceeded = charges.iter().filter_map(|(of, limit)| {
            let until = self.bucket(of, names).free_at(*limit);
            (until > now).then(|| Exceeded {
                limit: *limit,
                of: of.clone(),
                until,
            })
        });
        if let Some(exceeded) = exceeded.max_by_key(|exceeded| exceeded.until) {
            return Err(exceeded);
        }
        for (of, limit) in &charges {
            self.bucket(of, names).take(*limit, now);
        }
        Ok(())
    }

    fn bucket(&mut self, of: &Of, names: &BTreeSet<Identifier>) -> &mut Bucket {
        match of {
            Of::Orders => &mut self.orders,
            Of::Domain(domain) => self.domain(domain.clone()),
            Of::ExactSet => self.set(names),
        }
    }

    fn domain(&mut self, domain: DnsName) -> &mut Bucket {
        self.domains.entry(domain).or_default()
    }

    fn set(&mut self, names: &BTreeSet<Identifier>) -> &mut Bucket {
        self.sets.entry(names.clone()).or_default()
    }
}

/// A bucket of tokens, as the moment at which it is full again; full since ever: none.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Option<OffsetDateTime>);

impl Bucket {
    fn take(&mut self, limit: Limit, at: OffsetDateTime) {
        let full = self.0.map_or(at, |full| full.max(at));
        self.0 = Some(full + limit.period / limit.size);
    }

    /// From when on there is a token.
    fn free_at(self, limit: Limit) -> OffsetDateTime {
        let one = limit.period / limit.size;
        self.0
            .map_or(OffsetDateTime::UNIX_EPOCH, |full| full + one - limit.period)
    }
}

/// The domains that were registered for the names, as Let's Encrypt counts them.
fn registered_domains(names: &BTreeSet<Identifier>) -> BTreeSet<DnsName> {
    names
        .iter()
        .map(|name| name.base().registered_domain())
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00:00 UTC);

    fn names(names: &[&str]) -> BTreeSet<Identifier> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// A certificate from before so much time.
    fn past(of: &[&str], before: Duration, is_renewal: Option<bool>) -> Issuance {
        Issuance {
            identifiers: names(of),
            not_before: NOW - before - BACKDATE,
            serial: String::new(),
            directory: String::new(),
            is_renewal,
        }
    }

    fn new(identifiers: &BTreeSet<Identifier>) -> Candidate<'_> {
        Candidate {
            identifiers,
            is_renewal: false,
            replaces: false,
        }
    }

    fn refusal(result: Result<(), Exceeded>) -> (String, Duration) {
        let exceeded = result.unwrap_err();
        (exceeded.to_string(), exceeded.until - NOW)
    }

    /// A name of its own in each of many domains.
    fn elsewhere(number: u32) -> BTreeSet<Identifier> {
        names(&[&format!("www.d{number}.com")])
    }

    #[test]
    fn who_has_limits() {
        let of = |text: &str| Limits::of(&text.parse().unwrap());
        assert_eq!(of("live"), Some(LETS_ENCRYPT));
        assert_eq!(of("staging"), Some(STAGING));
        assert_eq!(of("https://ca.test/dir"), None);
    }

    #[test]
    fn the_same_names_are_certified_five_times_a_week() {
        let same = names(&["a.example.com", "*.example.com"]);
        let hour = Duration::HOUR;
        let mut all: Vec<_> = (1..=5)
            .map(|number| past(&["*.example.com", "a.example.com"], hour * number, None))
            .collect();
        let mut budget = Budget::new(LETS_ENCRYPT, &all, NOW);
        let renewal = Candidate {
            is_renewal: true,
            ..new(&same)
        };
        let (text, wait) = refusal(budget.take(renewal));
        assert_eq!(
            text,
            "the 5 certificates in 7 days for exactly these names are used up"
        );
        // One comes back 33.6 hours after the first of them.
        assert_eq!(wait, Duration::minutes(33 * 60 + 36) - hour * 5);
        let replacing = Candidate {
            replaces: true,
            ..renewal
        };
        assert_eq!(budget.take(replacing), Ok(()));
        assert_eq!(budget.take(new(&names(&["a.example.com"]))), Ok(()));
        all.truncate(4);
        let mut budget = Budget::new(LETS_ENCRYPT, &all, NOW);
        assert_eq!(budget.take(renewal), Ok(()));
        assert!(budget.take(renewal).is_err());
    }

    #[test]
    fn fifty_new_certificates_a_week_and_domain() {
        let name = |number: u32| names(&[&format!("n{number}.example.co.uk"), "www.other.com"]);
        let mut budget = Budget::new(LETS_ENCRYPT, &[], NOW);
        for number in 0..50 {
            assert_eq!(budget.take(new(&name(number))), Ok(()), "{number}");
        }
        let (text, wait) = refusal(budget.take(new(&name(50))));
        assert_eq!(
            text,
            "the 50 new certificates in 7 days for `other.com` are used up"
        );
        assert_eq!(wait, Duration::WEEK / 50);
        assert!(budget.take(new(&names(&["x.example.co.uk"]))).is_err());
        let first = name(0);
        let renewal = Candidate {
            is_renewal: true,
            ..new(&first)
        };
        assert_eq!(budget.take(renewal), Ok(()));
        assert_eq!(budget.take(new(&names(&["www.third.com"]))), Ok(()));
        // Somebody else's names below a private suffix are another domain.
        assert_eq!(budget.take(new(&names(&["a.github.io"]))), Ok(()));
    }

    #[test]
    fn what_others_were_first_for_counts_for_the_domain() {
        let year = |is_renewal| -> Vec<_> {
            let number = 0..50;
            let name = |number| format!("n{number}.example.com");
            let all = number.map(|number| past(&[&name(number)], Duration::HOUR, is_renewal));
            all.collect()
        };
        let wanted = names(&["new.example.com"]);
        let take = |past: &[Issuance]| Budget::new(LETS_ENCRYPT, past, NOW).take(new(&wanted));
        assert!(take(&year(Some(false))).is_err());
        assert_eq!(take(&year(Some(true))), Ok(()));
        assert_eq!(take(&year(None)), Ok(()));
        let mut refilled = year(Some(false));
        for issuance in &mut refilled {
            issuance.not_before -= Duration::WEEK / 50;
        }
        assert_eq!(take(&refilled), Ok(()));
    }

    #[test]
    fn three_hundred_new_orders_in_three_hours() {
        let mut budget = Budget::new(LETS_ENCRYPT, &[], NOW);
        for number in 0..300 {
            assert_eq!(budget.take(new(&elsewhere(number))), Ok(()), "{number}");
        }
        let (text, wait) = refusal(budget.take(new(&elsewhere(300))));
        assert_eq!(text, "the account's 300 new orders in 3 hours are used up");
        assert_eq!(wait, Duration::seconds(36));
        let mut staging = Budget::new(STAGING, &[], NOW);
        let fits = (0..2_000).filter(|number| staging.take(new(&elsewhere(*number))).is_ok());
        assert_eq!(fits.count(), 1_500);
    }

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let full: Vec<_> = (0..50)
            .map(|number| {
                past(
                    &[&format!("n{number}.full.com")],
                    Duration::ZERO,
                    Some(false),
                )
            })
            .collect();
        let mut budget = Budget::new(LETS_ENCRYPT, &full, NOW);
        let both = names(&["a.full.com", "a.free.com"]);
        for _ in 0..60 {
            assert!(budget.take(new(&both)).is_err());
        }
        assert_eq!(budget.take(new(&names(&["a.free.com"]))), Ok(()));
    }
}
