//! From a challenge name along CNAMEs to the name that is written. Pure.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Error, Result, anyhow};

use crate::dns::not_seen::{Laggard, Problem};
use crate::dnscontrol::DnsConfig;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::{Record, Zone};
use crate::nightly::zones::Found;

/// Most CNAMEs that are followed: Unbound, which Let's Encrypt asks, gives up after eleven.
///
/// <https://unbound.docs.nlnetlabs.nl/en/latest/manpages/unbound.conf.html#unbound-conf-max-query-restarts>
const MOST_HOPS: usize = 11;

/// The way from a challenge name along CNAMEs. Prints as `` `a` -> `b` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    challenge: DnsName,
    hops: Vec<DnsName>,
}

impl Trail {
    pub(super) fn new(challenge: DnsName) -> Self {
        Self {
            challenge,
            hops: Vec::new(),
        }
    }

    /// The name that the CA asks for.
    pub(super) fn challenge(&self) -> &DnsName {
        &self.challenge
    }

    /// Where it leads so far.
    pub(super) fn end(&self) -> &DnsName {
        self.hops.last().unwrap_or(&self.challenge)
    }

    pub(super) fn is_delegated(&self) -> bool {
        !self.hops.is_empty()
    }

    /// Goes on to the target of the CNAME at the end.
    pub(super) fn follow(&mut self, target: DnsName) -> Result<()> {
        let is_loop = target == self.challenge || self.hops.contains(&target);
        self.hops.push(target);
        if is_loop {
            return Err(anyhow!(
                "the CNAMEs at `{}` lead in a circle: {self}",
                self.challenge
            ))
            .hint(|| "let one of them lead to a zone that git-certs can write to");
        }
        if self.hops.len() > MOST_HOPS {
            return Err(anyhow!(
                "more than {MOST_HOPS} CNAMEs follow each other: {self}"
            ))
            .hint(|| "the CA gives up after so many: let the first lead to the last name");
        }
        Ok(())
    }

    /// The end is in no zone that can be written to.
    pub(super) fn leads_astray(&self, dns: &DnsConfig) -> Error {
        let end = self.end();
        if !self.is_delegated() {
            return anyhow!("`{end}` is in no zone of dnsconfig.js");
        }
        let others = dns.all_zones().filter(|zone| !zone.is_declared);
        let others: Vec<_> = others
            .map(|zone| format!("`{}`", zone.unique_name()))
            .collect();
        let has = match others.as_slice() {
            [] => String::new(),
            others => format!(", which has {}", others.join(", ")),
        };
        with_hint(
            anyhow!("`{end}` is in no zone that git-certs can write to: {self}"),
            format!(
                "declare the zone of `{end}` with `D(...)` in dnsconfig.js, or name it and its entry of creds.json in `git-certs.toml`: `challenge-zones = {{ \"ZONE\" = \"ENTRY\" }}`{has}"
            ),
        )
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.challenge)?;
        self.hops
            .iter()
            .try_for_each(|hop| write!(f, " -> `{hop}`"))
    }
}

/// Every name that a CNAME of dnsconfig.js at a challenge name leads to, directly or not.
pub(super) fn delegated(dns: &DnsConfig) -> BTreeSet<DnsName> {
    let records = dns.zones.iter().flat_map(|zone| &zone.records);
    let challenges = records.filter(|record| record.rtype == "CNAME" && record.name.is_challenge());
    let mut all = BTreeSet::new();
    let mut open: Vec<DnsName> = challenges
        .filter_map(|record| target(record).ok())
        .collect();
    while let Some(name) = open.pop() {
        let zone = dns.zone_for(&name);
        let next = zone.and_then(|zone| declared(zone, &name).ok().flatten());
        if all.insert(name) {
            open.extend(next);
        }
    }
    all
}

/// The target of the CNAME that dnsconfig.js declares at `name`.
pub(super) fn declared(zone: &Zone, name: &DnsName) -> Result<Option<DnsName>> {
    let cname = zone.records.iter().find(|record| is_cname_at(record, name));
    cname.map(target).transpose()
}

fn is_cname_at(record: &Record, name: &DnsName) -> bool {
    record.rtype == "CNAME" && record.name == *name
}

fn target(cname: &Record) -> Result<DnsName> {
    let about = || format!("bad target of the CNAME record at `{}`", cname.name);
    cname.data.parse().with_context(about)
}

/// Fails if something stands at a challenge name that leaves no room for TXT values.
pub(super) fn check_room(zone: &Zone, challenge: &DnsName, read: &[Found]) -> Result<()> {
    let is_in_the_way = |record: &Record| {
        record.name == *challenge && !["TXT", "CNAME"].contains(&record.rtype.as_str())
    };
    let in_the_way = if let Some(record) = zone.records.iter().find(|record| is_in_the_way(record))
    {
        anyhow!(
            "`{challenge}` is declared as {} in dnsconfig.js",
            record.rtype
        )
    } else if let Some(found) = read.iter().find(|found| is_in_the_way(&found.record)) {
        anyhow!(
            "`{challenge}` has {} records at `{}`",
            found.record.rtype,
            found.entry
        )
    } else {
        return Ok(());
    };
    Err(with_hint(in_the_way, NEEDS_TXT))
}

const NEEDS_TXT: &str = "a challenge needs TXT records there, or a CNAME to a name that can have them: remove the record";

/// What is known of a name in a zone.
pub(super) struct Known<'a> {
    pub(super) zone: &'a Zone,
    pub(super) name: &'a DnsName,
    /// What the providers have, where they were asked.
    pub(super) read: &'a [Found],
    /// What each address of the zone's name servers has at the name.
    pub(super) said: &'a [Laggard],
}

impl Known<'_> {
    /// Where a CNAME that is not declared leads; none if the name itself can be written.
    ///
    /// One that a provider has must be on every name server. One that only name servers have is
    /// followed if all of them have it. That of a wildcard is not followed: a value at the name
    /// takes its place
    /// ([RFC 4592 section 2.2.1](https://www.rfc-editor.org/rfc/rfc4592#section-2.2.1)).
    pub(super) fn alias(&self) -> Result<Option<DnsName>> {
        let mut read = self.read.iter().map(|found| &found.record);
        if let Some(cname) = read.find(|record| is_cname_at(record, self.name)) {
            let target = target(cname)?;
            self.confirm(&target)?;
            return Ok(Some(target));
        }
        let wildcards = self.wildcards();
        let mut aliases = BTreeSet::new();
        let mut has_others = false;
        for one in self.said {
            match &one.problem {
                Problem::Alias(target) if !wildcards.contains(target.as_str()) => {
                    aliases.insert(target);
                }
                Problem::NotAuthoritative => return Err(self.is_cut()),
                _ => has_others = true,
            }
        }
        let mut aliases = aliases.into_iter();
        match (aliases.next(), aliases.next()) {
            (None, _) => Ok(None),
            (Some(only), None) if !has_others => Ok(Some(only.parse()?)),
            _ => Err(self.differs()),
        }
    }

    /// Targets of the wildcards above the name, without the final dot.
    fn wildcards(&self) -> BTreeSet<&str> {
        let read = self.read.iter().map(|found| &found.record);
        let cnames = self.zone.records.iter().chain(read).filter(|record| {
            let above = record.name.as_str().strip_prefix("*.");
            let above = above.and_then(|above| above.parse::<DnsName>().ok());
            record.rtype == "CNAME" && above.is_some_and(|above| self.name.is_in(&above))
        });
        cnames
            .map(|record| record.data.trim_end_matches('.'))
            .collect()
    }

    /// Fails unless every name server has the CNAME.
    pub(super) fn confirm(&self, target: &DnsName) -> Result<()> {
        let has_it = |one: &&Laggard| matches!(&one.problem, Problem::Alias(said) if said == target.as_str());
        let lacking: Vec<_> = self.said.iter().filter(|one| !has_it(one)).collect();
        if lacking.is_empty() && !self.said.is_empty() {
            return Ok(());
        }
        let Self { name, zone, .. } = self;
        Err(with_hint(
            anyhow!(
                "`{name}` is a CNAME to `{target}`, but not on every name server of zone `{}`: {}",
                zone.unique_name(),
                list(&lacking)
            ),
            "the CA may ask any of them: run `dnscontrol push`, and wait until all have it",
        ))
    }

    fn differs(&self) -> Error {
        let Self { name, zone, .. } = self;
        let all: Vec<_> = self.said.iter().collect();
        with_hint(
            anyhow!(
                "the name servers of zone `{}` do not agree on a CNAME at `{name}`: {}",
                zone.unique_name(),
                list(&all)
            ),
            "declare the CNAME in dnsconfig.js, or remove it everywhere",
        )
    }

    /// The servers of the zone refer to others for the name.
    fn is_cut(&self) -> Error {
        let Self { name, zone, .. } = self;
        with_hint(
            anyhow!(
                "the name servers of zone `{}` do not serve `{name}`: NS records delegate it to others",
                zone.unique_name()
            ),
            "name the zone that it is delegated to, and its entry of creds.json, in `git-certs.toml`: `challenge-zones = { \"ZONE\" = \"ENTRY\" }`",
        )
    }
}

fn list(servers: &[&Laggard]) -> String {
    let shown: Vec<_> = servers.iter().map(ToString::to_string).collect();
    if shown.is_empty() {
        return "none of them could be asked".to_owned();
    }
    shown.join("; ")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    fn trail(names: &[&str]) -> Result<Trail> {
        let mut trail = Trail::new(name(names[0]));
        for next in &names[1..] {
            trail.follow(name(next))?;
        }
        Ok(trail)
    }

    /// `NAME TARGET`, a line each.
    fn cnames(lines: &[&str]) -> Vec<Record> {
        let record = |line: &&str| {
            let (owner, target) = line.split_once(' ').unwrap();
            Record::new(name(owner), "CNAME", 300, target.to_owned())
        };
        lines.iter().map(record).collect()
    }

    /// What servers say of `_acme-challenge.a.test`.
    fn alias(declared: &[&str], read: &[&str], said: &[Problem]) -> String {
        let mut zone = Zone::undeclared(name("a.test"), String::new(), Vec::new());
        zone.records = cnames(declared);
        let found = |record| Found {
            entry: "ddns".to_owned(),
            record,
        };
        let read: Vec<_> = cnames(read).into_iter().map(found).collect();
        let said: Vec<_> = (1..)
            .zip(said)
            .map(|(number, problem)| Laggard {
                server: name(&format!("ns{number}.a.test")),
                address: Some(([192, 0, 2, number], 53).into()),
                problem: problem.clone(),
                names: 1,
            })
            .collect();
        let known = Known {
            zone: &zone,
            name: &name("_acme-challenge.a.test"),
            read: &read,
            said: &said,
        };
        match known.alias() {
            Ok(Some(target)) => format!("-> {target}"),
            Ok(None) => "here".to_owned(),
            Err(error) => explain(&error).what,
        }
    }

    #[test]
    fn a_way_has_an_end() {
        let long: Vec<_> = (0..=11).map(|hop| format!("n{hop}.test")).collect();
        let mut long: Vec<_> = long.iter().map(String::as_str).collect();
        assert_eq!(trail(&long).unwrap().end(), &name("n11.test"));
        long.push("n12.test");
        let error = trail(&long).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("more than 11 CNAMEs follow each other: `n0.test` -> `n1.test` -> "),
            "{error}"
        );
        assert_eq!(
            trail(&["a.test", "a.test"]).unwrap_err().to_string(),
            "the CNAMEs at `a.test` lead in a circle: `a.test` -> `a.test`"
        );
    }

    #[test]
    fn what_is_not_declared_is_found_out() {
        let to = |target: &str| Problem::Alias(target.to_owned());
        let silent = Problem::Code(hickory_proto::op::ResponseCode::ServFail);
        let (x, y) = (to("x.test"), to("y.test"));
        let at_provider = ["_acme-challenge.a.test x.test."];
        let wildcard = ["*.a.test x.test."];
        let (none, absent) = (Problem::NoAlias, Problem::NoName);
        for (read, said, expected) in [
            (&[][..], vec![none.clone(), absent.clone()], "here"),
            (&[], vec![silent.clone()], "here"),
            (&[], vec![], "here"),
            (&[], vec![x.clone(), x.clone()], "-> x.test"),
            (
                &[],
                vec![x.clone(), absent],
                "the name servers of zone `a.test` do not agree on a CNAME at `_acme-challenge.a.test`: ns1.a.test (192.0.2.1) has a CNAME to `x.test` there; ns2.a.test (192.0.2.2) does not know the name (NXDOMAIN)",
            ),
            (
                &[],
                vec![x.clone(), silent],
                "the name servers of zone `a.test` do not agree on a CNAME at `_acme-challenge.a.test`: ns1.a.test (192.0.2.1) has a CNAME to `x.test` there; ns2.a.test (192.0.2.2) answers SERVFAIL",
            ),
            (
                &[],
                vec![x.clone(), y.clone()],
                "the name servers of zone `a.test` do not agree on a CNAME at `_acme-challenge.a.test`: ns1.a.test (192.0.2.1) has a CNAME to `x.test` there; ns2.a.test (192.0.2.2) has a CNAME to `y.test` there",
            ),
            (
                &[],
                vec![Problem::NotAuthoritative],
                "the name servers of zone `a.test` do not serve `_acme-challenge.a.test`: NS records delegate it to others",
            ),
            (&at_provider, vec![x.clone(), x.clone()], "-> x.test"),
            (
                &at_provider,
                vec![x.clone(), y.clone(), none],
                "`_acme-challenge.a.test` is a CNAME to `x.test`, but not on every name server of zone `a.test`: ns2.a.test (192.0.2.2) has a CNAME to `y.test` there; ns3.a.test (192.0.2.3) has no CNAME there",
            ),
            (
                &at_provider,
                vec![],
                "`_acme-challenge.a.test` is a CNAME to `x.test`, but not on every name server of zone `a.test`: none of them could be asked",
            ),
            (&wildcard, vec![x.clone(), x.clone()], "here"),
            (&wildcard, vec![y.clone(), y], "-> y.test"),
        ] {
            assert_eq!(alias(&[], read, &said), expected, "{read:?} {said:?}");
        }
        assert_eq!(alias(&wildcard, &[], std::slice::from_ref(&x)), "here");
        assert_eq!(
            alias(&["*.test x.test."], &[], std::slice::from_ref(&x)),
            "here"
        );
        assert_eq!(alias(&["*.b.test x.test."], &[], &[x]), "-> x.test");
    }
}
