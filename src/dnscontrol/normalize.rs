//! The IR becomes zones: names qualified, targets canonical, defaults filled in.

use std::collections::HashSet;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::dnscontrol::checks::{
    check_declared, check_label, check_sets, check_target, place, refuse_unsupported,
};
use crate::dnscontrol::ir;
use crate::dnscontrol::presentation::{data, raw_data};
use crate::dnscontrol::reverse::pointer;
use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, Meta, NameserverCount, Record, Zone, ZoneProvider};

/// TTL of a record that declares none, and of apex NS records, seconds.
const DEFAULT_TTL: u32 = 300;

/// The zones that `ir` declares, in its order.
pub(super) fn zones(ir: &ir::Ir) -> Result<Vec<Zone>> {
    let mut zones: Vec<Zone> = Vec::with_capacity(ir.domains.len());
    let mut seen = HashSet::new();
    for domain in &ir.domains {
        check_declared(ir, domain)?;
        let zone = zone(domain)?;
        ensure!(
            seen.insert((zone.name.clone(), zone.tag.clone())),
            "{}`{}` is declared more than once",
            place(&domain.filepos),
            zone.unique_name()
        );
        zones.push(zone);
    }
    Ok(zones)
}

fn zone(domain: &ir::Domain) -> Result<Zone> {
    let unique = unique_name(domain);
    let (text, tag) = unique.split_once('!').unwrap_or((unique, ""));
    let about = || format!("{}bad domain `{unique}`", place(&domain.filepos));
    let name: DnsName = text.parse().with_context(about)?;
    let mut zone = Zone {
        providers: providers(domain).with_context(about)?,
        records: Vec::with_capacity(domain.records.len() + domain.rawrecords.len()),
        absent: Vec::new(),
        nameservers: domain
            .nameservers
            .iter()
            .map(|server| nameserver(&server.name, &name))
            .collect::<Result<_>>()
            .with_context(about)?,
        nameserver_ttl: nameserver_ttl(domain).with_context(about)?,
        no_purge: domain.no_purge,
        ignore: domain.unmanaged.iter().map(ignore_pattern).collect(),
        meta: meta(&domain.meta),
        tag: tag.to_owned(),
        name,
    };
    for item in &domain.records {
        zone.records.push(record(item, &zone.name)?);
    }
    for item in &domain.rawrecords {
        zone.records.push(raw_record(item, &zone.name)?);
    }
    for item in &domain.recordsabsent {
        zone.absent.push(record(item, &zone.name)?);
    }
    check_sets(domain, &zone)?;
    Ok(zone)
}

/// Where the tag is depends on DNSControl's version.
fn unique_name(domain: &ir::Domain) -> &str {
    let meta = domain
        .meta
        .get("dnscontrol_uniquename")
        .and_then(Value::as_str);
    let unique = if domain.uniquename.is_empty() {
        meta.unwrap_or(&domain.name)
    } else {
        &domain.uniquename
    };
    unique.strip_suffix('!').unwrap_or(unique)
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

fn nameserver(host: &str, zone: &DnsName) -> Result<DnsName> {
    if host.contains('.') {
        host.parse::<DnsName>()
    } else {
        DnsName::within(host, zone)
    }
    .with_context(|| format!("bad name server `{host}`"))
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

fn record(item: &ir::Record, zone: &DnsName) -> Result<Record> {
    let build = || -> Result<Record> {
        refuse_unsupported(item)?;
        let label = match item.rtype.as_str() {
            "PTR" => reversed(&item.name, zone)?,
            _ => label(&item.name, zone)?,
        };
        check_label(item, &label, zone)?;
        check_target(item)?;
        let origin = if item.subdomain.is_empty() {
            zone.clone()
        } else {
            DnsName::within(&item.subdomain, zone)?
        };
        Ok(Record {
            name: owner(&label, zone)?,
            rtype: item.rtype.clone(),
            ttl: if item.ttl == 0 { DEFAULT_TTL } else { item.ttl },
            data: data(item, &origin)?,
            meta: meta(&item.meta),
        })
    };
    build().with_context(|| about(&item.filepos, &item.rtype, &item.name, zone))
}

fn raw_record(item: &ir::RawRecord, zone: &DnsName) -> Result<Record> {
    let name = item
        .args
        .first()
        .and_then(Value::as_str)
        .unwrap_or_default();
    let build = || -> Result<Record> {
        let (mut name, data) = raw_data(item, zone)?;
        if !item.subdomain.is_empty() && matches!(item.rtype.as_str(), "DS" | "RP") {
            name = if name == "@" {
                item.subdomain.clone()
            } else {
                format!("{name}.{}", item.subdomain)
            };
        }
        let ttl = match item.rtype.as_str() {
            "CLOUDFLAREAPI_SINGLE_REDIRECT" => 1,
            _ if item.ttl == 0 => DEFAULT_TTL,
            _ => item.ttl,
        };
        Ok(Record {
            name: owner(&label(&name, zone)?, zone)?,
            rtype: item.rtype.clone(),
            ttl,
            data,
            meta: item.metas.iter().flat_map(meta).collect(),
        })
    };
    build().with_context(|| about(&item.filepos, &item.rtype, name, zone))
}

/// The metadata that is text; the rest steers DNSControl and not a provider.
fn meta(declared: &serde_json::Map<String, Value>) -> Meta {
    let texts = declared
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn about(position: &str, rtype: &str, name: &str, zone: &DnsName) -> String {
    format!("{}{rtype} record `{name}` of `{zone}`", place(position))
}

/// The short label of a declared name: lower case, `@` at the apex.
fn label(name: &str, zone: &DnsName) -> Result<String> {
    let lower = name.to_lowercase();
    // What `REV()` gives is a whole name without a dot.
    let reverse = ["in-addr.arpa", "ip6.arpa"].map(|tree| zone.as_str().ends_with(tree));
    if reverse.contains(&true)
        && let Some(label) = lower
            .parse::<DnsName>()
            .ok()
            .as_ref()
            .and_then(|name| name.label_in(zone))
    {
        return Ok(label.to_owned());
    }
    let Some(absolute) = lower.strip_suffix('.') else {
        return Ok(lower);
    };
    absolute
        .parse::<DnsName>()?
        .label_in(zone)
        .map(str::to_owned)
        .with_context(|| format!("the name ends with a dot and is not in `{zone}`"))
}

/// A PTR record may be declared by its IP address.
fn reversed(name: &str, zone: &DnsName) -> Result<String> {
    let Ok(address) = name.parse::<IpAddr>() else {
        return label(name, zone);
    };
    if let IpAddr::V4(address) = address
        && zone
            .as_str()
            .split('.')
            .next()
            .is_some_and(|first| first.contains('/'))
    {
        // A classless zone (RFC 2317) holds the last number.
        let [.., last] = address.octets();
        return Ok(last.to_string());
    }
    let reverse: DnsName = pointer(address).parse()?;
    reverse
        .label_in(zone)
        .map(str::to_owned)
        .with_context(|| format!("the address is not in `{zone}`"))
}

fn owner(label: &str, zone: &DnsName) -> Result<DnsName> {
    if label == "@" {
        return Ok(zone.clone());
    }
    Ok(DnsName::within(label, zone)?)
}
