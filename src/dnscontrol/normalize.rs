//! The IR becomes zones: names qualified, targets canonical, and what DNSControl refuses refused.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::dnscontrol::ir;
use crate::dnscontrol::presentation::{data, raw_data};
use crate::dnscontrol::reverse::pointer;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, NameserverCount, Record, Zone, ZoneProvider};

/// TTL of a record that declares none, and of apex NS records, seconds.
const DEFAULT_TTL: u32 = 300;

/// Types whose target is a host name that must be short, or end with a dot.
const HOST_TARGET: [&str; 6] = ["ALIAS", "CNAME", "MX", "NS", "PTR", "SRV"];

/// Tags of CAA that DNSControl accepts.
const CAA_TAGS: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "contactemail",
    "contactphone",
    "issuemail",
    "issuevmc",
];

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

/// Registrars do not matter here: they are neither asked nor changed.
fn check_declared(ir: &ir::Ir, domain: &ir::Domain) -> Result<()> {
    let undeclared = |name: &&String| ir.dns_providers.iter().all(|item| item.name != **name);
    let Some(name) = domain.providers.keys().find(undeclared) else {
        return Ok(());
    };
    let error = anyhow!(
        "{}`{}` uses the DNS provider `{name}`, which is not declared",
        place(&domain.filepos),
        domain.name
    );
    Err(with_hint(
        error,
        format!("declare it with `NewDnsProvider(\"{name}\")`, before the domain"),
    ))
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
        })
    };
    build().with_context(|| about(&item.filepos, &item.rtype, name, zone))
}

fn about(position: &str, rtype: &str, name: &str, zone: &DnsName) -> String {
    format!("{}{rtype} record `{name}` of `{zone}`", place(position))
}

/// The place of a declaration, in front of a message.
fn place(position: &str) -> String {
    if position.is_empty() {
        String::new()
    } else {
        format!("`{position}`: ")
    }
}

/// What the language can say and this program does not do yet must not pass for done.
fn refuse_unsupported(item: &ir::Record) -> Result<()> {
    let meta = &item.meta;
    ensure!(
        !item.rtype.starts_with("IMPORT_TRANSFORM"),
        "IMPORT_TRANSFORM is not supported yet"
    );
    for (key, word) in [
        ("flatten", "`flatten` of SPF_BUILDER"),
        ("transform", "the modifier `transform`"),
    ] {
        ensure!(!meta.contains_key(key), "{word} is not supported yet");
    }
    let number = |key: &str, default: usize| {
        let text = meta.get(key).and_then(Value::as_str);
        text.map_or(Ok(default), str::parse)
            .with_context(|| format!("`{key}` is not a number"))
    };
    if meta.contains_key("split") {
        let room = number("txtMaxSize", 255)?.saturating_sub(number("overhead1", 0)?);
        ensure!(
            item.target.len() <= room,
            "`overflow` of SPF_BUILDER is not supported yet, and the text is longer than {room} bytes"
        );
    }
    Ok(())
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

fn check_label(item: &ir::Record, label: &str, zone: &DnsName) -> Result<()> {
    if label.is_empty() {
        return Err(anyhow!("the name is empty")).hint(|| "write `@` for the domain itself");
    }
    if label == "@" {
        match item.rtype.as_str() {
            "CNAME" => bail!("a domain itself cannot be a CNAME"),
            "NS" => {
                return Err(anyhow!("a domain itself cannot have NS records"))
                    .hint(|| "declare its name servers with `NAMESERVER()`");
            }
            _ => {}
        }
    }
    let repeats = label == zone.as_str() || label.ends_with(&format!(".{zone}"));
    if repeats && !item.meta.contains_key("skip_fqdn_check") {
        return Err(anyhow!("the name repeats the domain")).hint(
            || "write only what comes before the domain, or add `DISABLE_REPEATED_DOMAIN_CHECK`",
        );
    }
    Ok(())
}

fn check_target(item: &ir::Record) -> Result<()> {
    let target = item.target.as_str();
    match item.rtype.as_str() {
        "A" => ensure!(
            target.parse::<std::net::Ipv4Addr>().is_ok(),
            "`{target}` is not an IPv4 address"
        ),
        "AAAA" => ensure!(
            target.parse::<std::net::Ipv6Addr>().is_ok(),
            "`{target}` is not an IPv6 address"
        ),
        "CAA" => {
            let tag = item.fields.get("caatag").and_then(Value::as_str);
            let tag = tag.unwrap_or_default();
            ensure!(
                CAA_TAGS.contains(&tag.to_lowercase().as_str()),
                "`{tag}` is no tag of CAA; those are {}",
                CAA_TAGS.join(", ")
            );
        }
        rtype if HOST_TARGET.contains(&rtype) && target.contains('.') && !target.ends_with('.') => {
            return Err(anyhow!("the target `{target}` does not end with a dot"))
                .hint(|| format!("write `{target}.`"));
        }
        _ => {}
    }
    Ok(())
}

fn owner(label: &str, zone: &DnsName) -> Result<DnsName> {
    if label == "@" {
        return Ok(zone.clone());
    }
    Ok(DnsName::within(label, zone)?)
}

/// No record twice, no CNAME beside anything else.
fn check_sets(domain: &ir::Domain, zone: &Zone) -> Result<()> {
    // Weighted records of Route 53 share a name; their set identifiers keep them apart.
    let set_identifier = |index: usize| {
        let record = domain.records.get(index)?;
        record.meta.get("r53_set_identifier")?.as_str()
    };
    let position = |index: usize| {
        let position = domain.records.get(index).map(|record| &record.filepos);
        place(position.map_or("", String::as_str))
    };
    let mut seen = HashSet::new();
    let mut types: HashMap<&DnsName, &str> = HashMap::new();
    for (index, record) in zone.records.iter().enumerate() {
        let identifier = set_identifier(index);
        ensure!(
            seen.insert((&record.name, &record.rtype, &record.data, identifier)),
            "{}`{}` declares a record twice: {} `{}`",
            position(index),
            zone.unique_name(),
            record.rtype,
            record.name
        );
        let Entry::Occupied(other) = types.entry(&record.name) else {
            types.insert(&record.name, &record.rtype);
            continue;
        };
        let other = *other.get();
        let weighted = other == record.rtype && identifier.is_some();
        ensure!(
            (record.rtype != "CNAME" && other != "CNAME") || weighted,
            "{}`{}` has a CNAME and another record: {other} and {}",
            position(index),
            record.name,
            record.rtype
        );
    }
    Ok(())
}
