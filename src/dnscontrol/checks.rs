//! What DNSControl refuses in a configuration, and what this program cannot do yet.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::dnscontrol::ir;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::Zone;

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

/// Refuses a domain whose providers are not all declared.
///
/// Registrars do not matter here: they are neither asked nor changed.
pub(super) fn check_declared(ir: &ir::Ir, domain: &ir::Domain) -> Result<()> {
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

/// Refuses what the language can say and this program does not do yet.
pub(super) fn refuse_unsupported(item: &ir::Record) -> Result<()> {
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

/// Refuses a label that is empty, that repeats the domain, or that its type cannot have.
pub(super) fn check_label(item: &ir::Record, label: &str, zone: &DnsName) -> Result<()> {
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

/// Refuses a target that is no address, no host name or no CAA tag where it should be one.
pub(super) fn check_target(item: &ir::Record) -> Result<()> {
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

/// Refuses a record that is there twice, and a CNAME beside anything else.
pub(super) fn check_sets(domain: &ir::Domain, zone: &Zone) -> Result<()> {
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

/// The place of a declaration, in front of a message.
pub(super) fn place(position: &str) -> String {
    if position.is_empty() {
        String::new()
    } else {
        format!("`{position}`: ")
    }
}
