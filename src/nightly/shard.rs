//! Which of several runs does what: certificates are shared out by registered domain. Pure.
//!
//! Nobody is asked: every run comes to the same answer from certs.json alone. Certificates that have a registered
//! domain in common, if only through others, stay together, so that no two runs write the challenges of one domain
//! and the CA's limits for a domain are one run's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::name::{DnsName, Identifier};
use crate::model::shard::{Scope, Shard};
use crate::repo::journal::{Journal, OrderNote, ValueNote};

/// Bytes of the hash that stands for how certificates are shared out.
const HASHED: usize = 4;

/// How certificates are shared out.
#[derive(Debug)]
pub(super) struct Shares {
    /// Numbers of shards.
    certificates: BTreeMap<CertificateName, NonZeroU16>,
    domains: BTreeMap<DnsName, NonZeroU16>,
}

/// Certificates that stay together.
#[derive(Default)]
struct Group<'w> {
    domains: BTreeSet<DnsName>,
    certificates: Vec<&'w CertificateName>,
    /// How many names have to be proven.
    names: usize,
}

impl Shares {
    /// Shares out groups of certificates: the largest first, each to the shard with the fewest names so far.
    ///
    /// The order of certs.json does not matter.
    pub(super) fn of<'w>(wanted: impl Iterator<Item = &'w Wanted>, of: NonZeroU16) -> Self {
        let mut groups = groups(wanted);
        groups.sort_by(|one, other| {
            let by_size = other.names.cmp(&one.names);
            by_size.then_with(|| one.domains.cmp(&other.domains))
        });
        let mut loads: BTreeSet<(usize, NonZeroU16)> =
            Shard::all(of).map(|shard| (0, shard.number())).collect();
        let mut shares = Self {
            certificates: BTreeMap::new(),
            domains: BTreeMap::new(),
        };
        for group in groups {
            let Some((load, number)) = loads.pop_first() else {
                break;
            };
            loads.insert((load + group.names, number));
            let certificates = group.certificates.into_iter();
            shares
                .certificates
                .extend(certificates.map(|name| (name.clone(), number)));
            let domains = group.domains.into_iter();
            shares
                .domains
                .extend(domains.map(|domain| (domain, number)));
        }
        shares
    }

    /// The number of a certificate's shard. What certs.json does not have is the first one's matter.
    pub(super) fn number(&self, name: &str) -> NonZeroU16 {
        let name = name.parse::<CertificateName>().ok();
        let number = name.and_then(|name| self.certificates.get(&name));
        number.copied().unwrap_or(NonZeroU16::MIN)
    }

    /// The same of a challenge name, which a CNAME may have led to a domain without a certificate.
    fn number_of_value(&self, name: &str) -> NonZeroU16 {
        let domain = name.parse::<DnsName>().ok().and_then(|name| {
            let base = name.parent().filter(|_| name.is_challenge());
            let domain = base.unwrap_or(name).registered_domain();
            self.domains.get(&domain)
        });
        domain.copied().unwrap_or(NonZeroU16::MIN)
    }

    /// The numbers of the shards that what a run has left falls to.
    pub(super) fn numbers(&self, left: &Journal) -> BTreeSet<NonZeroU16> {
        let orders = left.orders.iter();
        let orders = orders.map(|order| self.number(&order.certificate));
        let values = left.values.iter();
        let values = values.map(|value| self.number_of_value(&value.name));
        orders.chain(values).collect()
    }

    /// Stands for how certificates are shared out.
    fn list(&self) -> String {
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|(name, number)| format!("{number} {name}\n"));
        let domains = self.domains.iter();
        let domains = domains.map(|(domain, number)| format!("{number} {domain}\n"));
        let text: String = certificates.chain(domains).collect();
        let hash = digest(&SHA256, text.as_bytes());
        let shown = hash.as_ref().iter().copied().take(HASHED);
        HEXLOWER.encode(&shown.collect::<Vec<_>>())
    }
}

/// Joins what has a registered domain in common.
fn groups<'w>(wanted: impl Iterator<Item = &'w Wanted>) -> Vec<Group<'w>> {
    let mut groups: Vec<Option<Group<'_>>> = Vec::new();
    let mut at: BTreeMap<DnsName, usize> = BTreeMap::new();
    for wanted in wanted {
        let domains = wanted.identifiers.iter().map(Identifier::base);
        let group = Group {
            domains: domains.map(|name| name.registered_domain()).collect(),
            certificates: vec![&wanted.name],
            names: wanted.identifiers.len(),
        };
        let known = group.domains.iter().filter_map(|domain| at.get(domain));
        let mut known: BTreeSet<usize> = known.copied().collect();
        // The small come to the large: a domain is entered again only where its group at least doubles.
        let size = |index: &usize| groups.get(*index).and_then(Option::as_ref).map(Group::size);
        let place = known.iter().copied().max_by_key(size);
        known.retain(|index| Some(*index) != place);
        let others = known.into_iter();
        let others: Vec<_> = others
            .filter_map(|index| groups.get_mut(index)?.take())
            .collect();
        let place = place.unwrap_or(groups.len());
        if place == groups.len() {
            groups.push(Some(Group::default()));
        }
        for moved in others.into_iter().chain([group]) {
            at.extend(moved.domains.iter().map(|domain| (domain.clone(), place)));
            if let Some(Some(group)) = groups.get_mut(place) {
                group.join(moved);
            }
        }
    }
    groups.into_iter().flatten().collect()
}

impl Group<'_> {
    fn size(&self) -> usize {
        self.domains.len()
    }

    fn join(&mut self, mut other: Self) {
        self.domains.append(&mut other.domains);
        self.certificates.append(&mut other.certificates);
        self.names += other.names;
    }
}

/// What a run works on: all certificates, or its share of them.
#[derive(Debug)]
pub(super) enum Part {
    All,
    Shard(Shard, Shares),
}

impl Part {
    /// The part of a shard; one that is alone does everything.
    pub(super) fn of(shard: Option<Shard>, wanted: &[Wanted]) -> Self {
        match shard {
            Some(shard) if !shard.is_alone() => {
                Self::Shard(shard, Shares::of(wanted.iter(), shard.of()))
            }
            _ => Self::All,
        }
    }

    /// What excludes other runs.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::All => Scope::All,
            Self::Shard(shard, shares) => Scope::Part {
                shard: *shard,
                list: shares.list(),
            },
        }
    }

    /// Whether a certificate belongs to it.
    pub(super) fn has(&self, name: &CertificateName) -> bool {
        self.has_number(|shares| shares.number(name.as_str()))
    }

    fn has_order(&self, order: &OrderNote) -> bool {
        self.has_number(|shares| shares.number(&order.certificate))
    }

    fn has_value(&self, value: &ValueNote) -> bool {
        self.has_number(|shares| shares.number_of_value(&value.name))
    }

    fn has_number(&self, number: impl FnOnce(&Shares) -> NonZeroU16) -> bool {
        match self {
            Self::All => true,
            Self::Shard(shard, shares) => number(shares) == shard.number(),
        }
    }

    /// Parts what an earlier run has left: what this one takes over, and what stays for others. Each note belongs
    /// to exactly one shard.
    pub(super) fn divide(&self, journal: &Journal) -> (Journal, Journal) {
        let (mut ours, mut rest) = (journal.clone(), journal.clone());
        ours.orders.retain(|order| self.has_order(order));
        ours.values.retain(|value| self.has_value(value));
        rest.orders.retain(|order| !self.has_order(order));
        rest.values.retain(|value| !self.has_value(value));
        (ours, rest)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::certificate::{KeySource, KeyType};

    fn wanted(name: &str, identifiers: &[&str]) -> Wanted {
        Wanted {
            name: name.parse().unwrap(),
            identifiers: identifiers
                .iter()
                .map(|name| name.parse().unwrap())
                .collect(),
            key_type: KeyType::P256,
            key_source: KeySource::New,
            acme: None,
            profile: None,
            preferred_chain: None,
            recipients: None,
        }
    }

    fn number(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).unwrap()
    }

    /// Certificates by shard.
    fn shared_out(list: &[Wanted], of: u16) -> Vec<String> {
        let shares = Shares::of(list.iter(), number(of));
        let names = |shard: Shard| {
            let names = shares.certificates.iter();
            let names = names.filter(|(_, number)| **number == shard.number());
            let names: Vec<_> = names.map(|(name, _)| name.as_str()).collect();
            names.join(" ")
        };
        Shard::all(number(of)).map(names).collect()
    }

    #[test]
    fn what_has_a_registered_domain_in_common_stays_together() {
        let list = [
            wanted("a", &["a.example.com"]),
            wanted("b", &["*.b.example.net"]),
            wanted("c", &["x.example.co.uk"]),
            wanted("d", &["y.example.co.uk", "z.example.org"]),
            // Joins a and b, which had nothing to do with each other.
            wanted("e", &["example.com", "example.net"]),
            // Under a private suffix everybody has a domain of his own.
            wanted("f", &["f.github.io"]),
            wanted("g", &["g.github.io"]),
        ];
        assert_eq!(shared_out(&list, 4), ["a b e", "c d", "f", "g"]);
        assert_eq!(shared_out(&list, 1), ["a b c d e f g"]);
        assert_eq!(shared_out(&list, 6), ["a b e", "c d", "f", "g", "", ""]);
        assert_eq!(shared_out(&[], 2), ["", ""]);
    }

    #[test]
    fn the_largest_go_first_to_whom_has_least() {
        let list = [
            wanted("one", &["a.test"]),
            wanted("two", &["b.test"]),
            wanted("three", &["c.test", "www.c.test", "x.c.test"]),
            wanted("four", &["d.test", "www.d.test"]),
        ];
        assert_eq!(shared_out(&list, 2), ["three two", "four one"]);
    }

    /// Neither the order of the list matters, nor the machine: the hash is a constant.
    #[test]
    fn every_run_comes_to_the_same_answer() {
        let mut list: Vec<_> = (0..40)
            .map(|n| wanted(&format!("c{n}"), &[&format!("www.d{}.test", n % 17)]))
            .collect();
        let part = |list: &[Wanted], shard: &str| Part::of(Some(shard.parse().unwrap()), list);
        let scope = part(&list, "3/8").scope();
        assert_eq!(scope.to_string(), "-3-of-8-791825ba");
        let before = shared_out(&list, 8);
        list.reverse();
        assert_eq!(part(&list, "3/8").scope(), scope);
        assert_eq!(shared_out(&list, 8), before);
        // Of the same domains more names may be wanted, and keys of another kind.
        list[0].key_type = KeyType::P384;
        assert_eq!(part(&list, "3/8").scope(), scope);
        list.push(wanted("another", &["another.test"]));
        assert_ne!(part(&list, "3/8").scope(), scope);
    }

    #[test]
    fn each_certificate_is_in_one_shard_and_the_shards_are_even() {
        let list: Vec<_> = (0..400)
            .map(|n| wanted(&format!("c{n}"), &[&format!("www{n}.d{}.test", n % 100)]))
            .collect();
        let parts: Vec<_> = Shard::all(number(8))
            .map(|shard| Part::of(Some(shard), &list))
            .collect();
        for wanted in &list {
            let having = parts.iter().filter(|part| part.has(&wanted.name));
            assert_eq!(having.count(), 1, "{}", wanted.name);
        }
        for part in &parts {
            let had = list.iter().filter(|wanted| part.has(&wanted.name));
            let had = had.count();
            // 100 groups of 4 for 8 shards.
            assert!((48..=52).contains(&had), "{had}");
        }
    }

    #[test]
    fn one_of_one_does_everything() {
        let list = [wanted("a", &["a.test"])];
        let part = Part::of(Some("1/1".parse().unwrap()), &list);
        assert_eq!(part.scope(), Scope::All);
        assert!(part.has(&"a".parse().unwrap()));
    }

    #[test]
    fn what_a_run_has_left_falls_to_one_shard_each() {
        let list = [wanted("a", &["a.test"]), wanted("b", &["*.b.test"])];
        let order = |certificate: &str| {
            serde_json::json!({
                "certificate": certificate, "directory": "", "account": "", "url": certificate,
                "placed": "2026-11-26T00:00:00Z", "request": "", "recipients": "",
            })
        };
        let value =
            |name: &str| serde_json::json!({"zone": "", "entry": "", "name": name, "value": ""});
        let moment = "2026-11-26T00:00:00Z";
        let left: Journal = serde_json::from_value(serde_json::json!({
            "version": 1,
            "run": {"id": "", "by": "", "began": moment, "seen": moment},
            "orders": [order("a"), order("b"), order("gone"), order("")],
            "values": [
                value("_acme-challenge.a.test"), value("_acme-challenge.b.test"),
                value("a.acme.elsewhere.test"), value("..."),
            ],
        }))
        .unwrap();
        let names = |journal: &Journal| {
            let orders = journal.orders.iter().map(|order| order.certificate.clone());
            let values = journal.values.iter().map(|value| value.name.clone());
            orders.chain(values).collect::<Vec<_>>().join(" ")
        };
        let divided = |shard: &str| {
            let (ours, rest) = Part::of(Some(shard.parse().unwrap()), &list).divide(&left);
            (names(&ours), names(&rest))
        };
        let first = "a gone  ... _acme-challenge.a.test a.acme.elsewhere.test".to_owned();
        let second = "b _acme-challenge.b.test".to_owned();
        assert_eq!(divided("1/2"), (first.clone(), second.clone()));
        assert_eq!(divided("2/2"), (second, first));
        assert_eq!(divided("1/1"), (names(&left), String::new()));
    }
}
