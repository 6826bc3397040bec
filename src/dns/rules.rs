//! What the user sets about name servers: which are asked, how often, how long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::dns::doh::Resolver;
use crate::dns::lookup::NameServer;
use crate::dns::referral::Servers;
use crate::model::name::{DnsName, NameError};
use crate::model::zone::ZoneRef;

/// Settings for every zone, and for single zones.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// How often in a row an address has to show a value. Default: 1.
    pub(crate) confirmations: NonZeroU32,
    /// Resolvers over HTTPS, for where port 53 is blocked. Empty: they are not used.
    pub(crate) doh: Vec<Resolver>,
    /// How long they are left alone after a value was written; none: see [`crate::dns::view::settle`].
    pub(crate) doh_settle: Option<Duration>,
    /// By name with the tag.
    pub(crate) zones: BTreeMap<String, ZoneRules>,
}

/// Settings for one zone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZoneRules {
    /// Name servers that are not asked.
    pub(crate) ignore: Vec<ServerRef>,
    /// Servers that are asked besides those of the NS records.
    pub(crate) extra: Vec<ServerRef>,
    /// Instead of the deadline of the run.
    pub(crate) deadline: Option<Duration>,
    /// Instead of [`Rules::confirmations`].
    pub(crate) confirmations: Option<NonZeroU32>,
}

/// A name server as a user writes it: `ns1.example.com`, `192.0.2.1` or `2001:db8::1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerRef {
    /// The server with all its addresses.
    Name(DnsName),
    /// One address, on port 53, whatever the name of the server is.
    Address(IpAddr),
}

impl FromStr for ServerRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let name: DnsName = text.parse()?;
        // Neither a URL nor an address with a port.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !name.as_str().bytes().all(is_host) {
            return Err(NameError::Syntax(text.to_owned()));
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Rules {
    /// The settings of a zone, and how often a value has to be shown there.
    pub(super) fn of(&self, zone: ZoneRef<'_>) -> (ZoneRules, NonZeroU32) {
        let rules = self.zones.get(&zone.to_string());
        let rules = rules.cloned().unwrap_or_default();
        let confirmations = rules.confirmations.unwrap_or(self.confirmations);
        (rules, confirmations)
    }
}

/// Takes out of lists of name servers what a zone's `ignore-servers` names.
pub(super) struct Ignoring<'r> {
    /// Each entry, and whether it was of use.
    entries: Vec<(&'r ServerRef, bool)>,
}

impl<'r> Ignoring<'r> {
    pub(super) fn new(rules: &'r ZoneRules) -> Self {
        Self {
            entries: rules.ignore.iter().map(|entry| (entry, false)).collect(),
        }
    }

    /// Takes out servers by name, before anybody asks for their addresses.
    pub(super) fn names(&mut self, servers: &mut Servers) {
        for (entry, used) in &mut self.entries {
            if let ServerRef::Name(name) = entry {
                *used |= servers.remove(name).is_some();
            }
        }
    }

    /// Takes out single addresses, and servers that have no other.
    pub(super) fn addresses(&mut self, servers: &mut Vec<NameServer>) {
        for server in servers.iter_mut() {
            for (entry, used) in &mut self.entries {
                if let ServerRef::Address(ignored) = entry {
                    let before = server.addresses.len();
                    server.addresses.retain(|address| address.ip() != *ignored);
                    *used |= server.addresses.len() < before;
                }
            }
        }
        servers.retain(|server| !server.addresses.is_empty());
    }

    /// Entries that named nothing.
    pub(super) fn unused(&self) -> impl Iterator<Item = &'r ServerRef> {
        let entries = self.entries.iter();
        entries.filter(|(_, used)| !used).map(|(entry, _)| *entry)
    }
}

/// What [`mismatch`] begins with.
pub(crate) const MISMATCH: &str = "the NS records of zone";

/// How a zone's NS records differ from its delegation, in words. None if they do not, or if nobody
/// told the zone's own.
pub(super) fn mismatch(zone: &DnsName, delegated: &Servers, own: &Servers) -> Option<String> {
    if own.is_empty() || own.keys().eq(delegated.keys()) {
        return None;
    }
    let only = |these: &Servers, those: &Servers| -> Vec<String> {
        let names: BTreeSet<_> = these
            .keys()
            .filter(|name| !those.contains_key(name))
            .collect();
        names.iter().map(|name| format!("`{name}`")).collect()
    };
    let (at_parent, in_zone) = (only(delegated, own), only(own, delegated));
    let mut parts = Vec::new();
    if !at_parent.is_empty() {
        parts.push(format!("only the parent has {}", at_parent.join(", ")));
    }
    if !in_zone.is_empty() {
        parts.push(format!("only the zone has {}", in_zone.join(", ")));
    }
    Some(format!(
        "{MISMATCH} `{zone}` differ from its delegation, {}: the servers of both are asked",
        parts.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Servers {
        let names = names.iter().map(|name| name.parse().unwrap());
        names.map(|name| (name, BTreeSet::new())).collect()
    }

    #[test]
    fn names_and_addresses_are_told_apart() {
        let read = |text: &str| text.parse::<ServerRef>().unwrap();
        assert_eq!(
            read("NS1.Example.com."),
            ServerRef::Name("ns1.example.com".parse().unwrap())
        );
        assert_eq!(
            read("192.0.2.1"),
            ServerRef::Address("192.0.2.1".parse().unwrap())
        );
        assert_eq!(read("2001:DB8::1").to_string(), "2001:db8::1");
        for text in ["ns1..example", "https://ns1", "192.0.2.1:53", "*.example"] {
            assert!(text.parse::<ServerRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mismatch_names_both_sides() {
        let zone = "x.test".parse().unwrap();
        let said = |delegated: &[&str], own: &[&str]| {
            mismatch(&zone, &servers(delegated), &servers(own)).unwrap_or_default()
        };
        assert_eq!(said(&["a", "b"], &["b", "a"]), "");
        assert_eq!(said(&["a"], &[]), "");
        assert_eq!(
            said(&["a", "b"], &["b", "c", "d"]),
            "the NS records of zone `x.test` differ from its delegation, only the parent has `a`, only the zone has `c`, `d`: the servers of both are asked"
        );
        assert_eq!(
            said(&["a"], &["a", "c"]),
            "the NS records of zone `x.test` differ from its delegation, only the zone has `c`: the servers of both are asked"
        );
        assert_eq!(
            said(&["a", "c"], &["a"]),
            "the NS records of zone `x.test` differ from its delegation, only the parent has `c`: the servers of both are asked"
        );
    }
}
