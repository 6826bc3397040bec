//! What a message says about the delegation of a zone. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::dns::exchange::wire_name;
use crate::model::name::DnsName;

/// Names of servers with the addresses that came along with them.
pub(super) type Servers = BTreeMap<DnsName, BTreeSet<IpAddr>>;

/// What a server of the parent says about a zone.
pub(super) enum Delegation {
    To(Servers),
    /// The parent is another zone, nearer to the zone, on these servers.
    Below(DnsName, Servers),
    Absent,
}

/// What a message from a server of `parent` says about `zone`; none if it is of no use.
pub(super) fn delegation_in(
    message: &Message,
    parent: &DnsName,
    zone: &DnsName,
) -> Option<Result<Delegation>> {
    let apex = wire_name(zone);
    let authoritative = message.metadata.authoritative;
    match message.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain if authoritative => return Some(Ok(Delegation::Absent)),
        _ => return None,
    }
    // A server of both zones answers for the child.
    for section in [&message.answers, &message.authorities] {
        match targets(section, &apex) {
            Ok(names) if names.is_empty() => {}
            names => {
                return Some(names.map(|names| Delegation::To(with_glue(names, message, parent))));
            }
        }
    }
    if authoritative {
        return Some(Ok(Delegation::Absent));
    }
    let cut = message
        .authorities
        .iter()
        .find(|record| record.record_type() == RecordType::NS)?;
    match (
        plain_name(&cut.name),
        targets(&message.authorities, &cut.name),
    ) {
        (Ok(nearer), Ok(names))
            if nearer != *parent && nearer.is_in(parent) && zone.is_in(&nearer) =>
        {
            let servers = with_glue(names, message, parent);
            Some(Ok(Delegation::Below(nearer, servers)))
        }
        _ => None,
    }
}

/// Adds the addresses that a server of `parent` may speak for: those of hosts in its zone.
fn with_glue(names: BTreeSet<DnsName>, message: &Message, parent: &DnsName) -> Servers {
    let glue_of = |name: &DnsName| {
        let host = wire_name(name);
        let records = message.additionals.iter();
        records
            .filter(|record| record.name == host && name.is_in(parent))
            .filter_map(address_in)
            .collect()
    };
    names
        .into_iter()
        .map(|name| (name.clone(), glue_of(&name)))
        .collect()
}

/// Hosts of the NS records at `owner`.
pub(super) fn targets(records: &[Record], owner: &Name) -> Result<BTreeSet<DnsName>> {
    let at_owner = records.iter().filter(|record| record.name == *owner);
    at_owner
        .filter_map(|record| match &record.data {
            RData::NS(host) => Some(plain_name(host)),
            _ => None,
        })
        .collect()
}

pub(super) fn address_in(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

pub(super) fn plain_name(name: &Name) -> Result<DnsName> {
    let text = name.to_ascii();
    text.parse()
        .with_context(|| format!("`{text}` cannot be used as a name"))
}
