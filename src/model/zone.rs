//! Zones as dnsconfig.js declares them, and records in the form that a comparison needs.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::name::DnsName;

/// A zone that challenges can be in: one of dnsconfig.js, normalised, or one of `challenge-zones`.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) name: DnsName,
    /// Whether dnsconfig.js declares it, so that it can be compared.
    pub(crate) is_declared: bool,
    /// What follows `!` in split-horizon declarations; empty otherwise.
    pub(crate) tag: String,
    /// In the order of declaration.
    pub(crate) providers: Vec<ZoneProvider>,
    /// Desired records, apex NS excluded.
    pub(crate) records: Vec<Record>,
    /// Records that must not exist (`ENSURE_ABSENT_REC`).
    pub(crate) absent: Vec<Record>,
    /// Hosts of `NAMESERVER()`.
    pub(crate) nameservers: Vec<DnsName>,
    /// TTL of the apex NS records, seconds (`NAMESERVER_TTL`, default 300).
    pub(crate) nameserver_ttl: u32,
    /// `NO_PURGE`: records that are not declared stay.
    pub(crate) no_purge: bool,
    /// `IGNORE()` and its relatives.
    pub(crate) ignore: Vec<IgnorePattern>,
    /// `IGNORE_EXTERNAL_DNS(prefix)`: records of Kubernetes' external-dns stay. The prefix may be
    /// empty.
    pub(crate) external_dns: Option<String>,
    /// Metadata of the domain, such as `cloudflare_proxy_default`.
    pub(crate) meta: Meta,
}

/// Metadata of dnsconfig.js, key and text, sorted by key.
pub(crate) type Meta = BTreeMap<String, String>;

impl Zone {
    /// A zone of `challenge-zones`, of which no more is known than the providers that serve it.
    pub(crate) fn undeclared(name: DnsName, tag: String, entries: Vec<String>) -> Self {
        let provider = |entry| ZoneProvider {
            entry,
            nameservers: NameserverCount::First(0),
        };
        Self {
            name,
            is_declared: false,
            tag,
            providers: entries.into_iter().map(provider).collect(),
            records: Vec::new(),
            absent: Vec::new(),
            nameservers: Vec::new(),
            nameserver_ttl: 0,
            no_purge: false,
            ignore: Vec::new(),
            external_dns: None,
            meta: Meta::new(),
        }
    }

    /// Name with the tag: `example.com!internal`, or just `example.com`.
    pub(crate) fn unique_name(&self) -> String {
        self.reference().to_string()
    }

    /// What a provider needs to find this zone.
    pub(crate) fn reference(&self) -> ZoneRef<'_> {
        ZoneRef {
            name: &self.name,
            tag: &self.tag,
            meta: &self.meta,
        }
    }
}

/// Which zone of a provider: its name, its tag where one name has several versions, and what
/// dnsconfig.js says of where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ZoneRef<'a> {
    pub(crate) name: &'a DnsName,
    /// What follows `!` in split-horizon declarations; empty otherwise.
    pub(crate) tag: &'a str,
    /// Metadata of the domain, such as `zone_id`.
    pub(crate) meta: &'a Meta,
}

static NO_META: Meta = Meta::new();

impl<'a> From<&'a DnsName> for ZoneRef<'a> {
    fn from(name: &'a DnsName) -> Self {
        Self {
            name,
            tag: "",
            meta: &NO_META,
        }
    }
}

impl fmt::Display for ZoneRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tag.is_empty() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}!{}", self.name, self.tag)
        }
    }
}

/// A provider that serves a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ZoneProvider {
    /// Name of the entry in creds.json.
    pub(crate) entry: String,
    /// How many of the provider's name servers the apex NS set takes.
    pub(crate) nameservers: NameserverCount,
}

/// The second argument of `DnsProvider(name, n)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameserverCount {
    /// Negative or left out: all of them.
    All,
    /// The first so many; 0 for none.
    First(usize),
}

/// Pattern of records that DNSControl leaves alone: globs on label, type list and target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IgnorePattern {
    /// Glob on the short label (`@` at the apex).
    pub(crate) label: String,
    /// Record types, or `*`, separated by commas.
    pub(crate) types: String,
    /// Glob on the target.
    pub(crate) target: String,
}

/// A resource record in the form that two sides are compared in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    /// Owner, fully qualified.
    pub(crate) name: DnsName,
    /// Type in upper case, DNSControl's pseudo types included (`ALIAS`, `CF_REDIRECT`).
    pub(crate) rtype: String,
    /// Seconds.
    pub(crate) ttl: u32,
    /// Canonical RDATA: for TXT the strings joined, unquoted; else presentation format with single
    /// spaces, host names fully qualified with a final dot and lower case, IP addresses canonical.
    pub(crate) data: String,
    /// What the record has besides, under the keys of DNSControl's metadata, such as
    /// `cloudflare_proxy`: declared in dnsconfig.js, or as the provider has it.
    pub(crate) meta: Meta,
}

impl Record {
    /// A record without metadata.
    pub(crate) fn new(name: DnsName, rtype: &str, ttl: u32, data: String) -> Self {
        Self {
            name,
            rtype: rtype.to_owned(),
            ttl,
            data,
            meta: Meta::new(),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            rtype,
            ttl,
            data,
            ..
        } = self;
        if rtype == "TXT" {
            write!(f, "{rtype} {name} \"{data}\" ttl={ttl}")
        } else {
            write!(f, "{rtype} {name} {data} ttl={ttl}")
        }
    }
}
