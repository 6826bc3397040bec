//! The normalised IR becomes zones: owners fully qualified, RDATA canonical.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::dnscontrol::checks::{check_declared, check_sets, place};
use crate::dnscontrol::ir;
use crate::dnscontrol::normalize::{self, DEFAULT_TTL, ZoneName};
use crate::dnscontrol::presentation::data;
use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, Meta, NameserverCount, Record, Zone, ZoneProvider};

/// Domains that are worth a thread.
const SHARE: usize = 200;

/// The zones that `ir` declares, in its order; the first error in that order.
pub(super) fn zones(ir: &ir::Ir) -> Result<Vec<Zone>> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = ir.domains.len().div_ceil(threads).max(SHARE);
    let (first, rest) = ir.domains.split_at(share.min(ir.domains.len()));
    let work = |domains: &[ir::Domain]| -> Result<Vec<Zone>> {
        let zones = domains.iter().map(|domain| {
            check_declared(ir, domain)?;
            zone(domain)
        });
        zones.collect()
    };
    thread::scope(|scope| {
        let others: Vec<_> = rest
            .chunks(share)
            .map(|domains| scope.spawn(move || work(domains)))
            .collect();
        let mut zones = work(first)?;
        for other in others {
            zones.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(zones)
    })
}

fn zone(domain: &ir::Domain) -> Result<Zone> {
    let about = || {
        format!(
            "{}bad domain `{}`",
            place(&domain.filepos),
            domain.uniquename
        )
    };
    let name: DnsName = domain.name.parse().with_context(about)?;
    let mut zone = Zone {
        is_declared: true,
        providers: providers(domain).with_context(about)?,
        records: Vec::with_capacity(domain.records.len()),
        absent: Vec::new(),
        nameservers: domain
            .nameservers
            .iter()
            .map(|server| {
                let host = server.name.as_str();
                host.parse::<DnsName>()
                    .with_context(|| format!("bad name server `{host}`"))
            })
            .collect::<Result<_>>()
            .with_context(about)?,
        nameserver_ttl: nameserver_ttl(domain).with_context(about)?,
        no_purge: domain.no_purge,
        ignore: domain.unmanaged.iter().map(ignore_pattern).collect(),
        external_dns: domain
            .ignore_external_dns
            .then(|| domain.external_dns_prefix.clone()),
        meta: meta(&domain.meta),
        tag: domain.tag.clone(),
        name,
    };
    for item in &domain.records {
        zone.records.push(record(item, &zone.name)?);
    }
    let forms = ZoneName::new(&domain.name);
    for item in &domain.recordsabsent {
        let item = normalize::absent(item, &forms)?;
        zone.absent.push(record(&item, &zone.name)?);
    }
    check_sets(domain, &zone)?;
    Ok(zone)
}

fn providers(domain: &ir::Domain) -> Result<Vec<ZoneProvider>> {
    let read = |(entry, count): (&String, &Value)| {
        let count = count.as_i64().with_context(|| {
            format!("the number of name servers of `{entry}` is {count}, not a whole number")
        })?;
        Ok(ZoneProvider {
            entry: entry.clone(),
            nameservers: usize::try_from(count)
                .map_or(NameserverCount::All, NameserverCount::First),
        })
    };
    domain.providers.iter().map(read).collect()
}

fn nameserver_ttl(domain: &ir::Domain) -> Result<u32> {
    match domain.meta.get("ns_ttl").and_then(Value::as_str) {
        None => Ok(DEFAULT_TTL),
        Some(text) => text
            .parse()
            .with_context(|| format!("bad TTL `{text}` of name servers")),
    }
}

fn ignore_pattern(unmanaged: &ir::Unmanaged) -> IgnorePattern {
    let or_any = |text: &str| if text.is_empty() { "*" } else { text }.to_owned();
    IgnorePattern {
        label: or_any(&unmanaged.label),
        types: or_any(&unmanaged.types),
        target: or_any(&unmanaged.target),
    }
}

/// The metadata that is text; the rest steers DNSControl and not a provider.
fn meta(declared: &serde_json::Map<String, Value>) -> Meta {
    let texts = declared
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn record(item: &ir::Record, zone: &DnsName) -> Result<Record> {
    let build = || -> Result<Record> {
        let below;
        let origin = if item.subdomain.is_empty() {
            zone
        } else {
            below = DnsName::within(&item.subdomain, zone)?;
            &below
        };
        Ok(Record {
            name: if item.name == "@" {
                zone.clone()
            } else {
                DnsName::within(&item.name, zone)?
            },
            rtype: item.rtype.clone(),
            ttl: if item.ttl == 0 { DEFAULT_TTL } else { item.ttl },
            data: data(item, origin)?,
            meta: meta(&item.meta),
        })
    };
    build().with_context(|| {
        format!(
            "{}{} record `{}` of `{zone}`",
            place(&item.filepos),
            item.rtype,
            item.name
        )
    })
}
