//! What DNSControl refuses in a configuration.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use crate::dnscontrol::ir;
use crate::dnscontrol::normalize::ZoneName;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::Zone;

/// Characters that no host name has.
const NOT_IN_HOSTS: &str = "'\" +,|!£$%&()=?^*ç°§;:<>[]@";

/// Tags of CAA that DNSControl accepts (IANA's list without the reserved ones).
const CAA_TAGS: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "contactemail",
    "contactphone",
    "issuemail",
    "issuevmc",
];

/// Largest usage, selector and matching type of TLSA and SMIMEA.
const LARGEST: [(&str, u64); 6] = [
    ("tlsausage", 3),
    ("tlsaselector", 1),
    ("tlsamatchingtype", 2),
    ("smimeausage", 3),
    ("smimeaselector", 1),
    ("smimeamatchingtype", 2),
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

/// Refuses meta values that are no texts: DNSControl cannot read them. It reads null as no text.
pub(super) fn check_meta(meta: &mut Map<String, Value>) -> Result<()> {
    for (key, value) in meta {
        let kind = match value {
            Value::String(_) => continue,
            Value::Null => {
                *value = Value::String(String::new());
                continue;
            }
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        return Err(anyhow!("the meta `{key}` is {kind}, not a string"))
            .hint(|| "write the value in quotes");
    }
    Ok(())
}

/// Refuses a label that is empty or that repeats the domain.
pub(super) fn check_label(item: &ir::Record, zone: &ZoneName) -> Result<()> {
    let label = item.name.as_str();
    if label.is_empty() {
        return Err(anyhow!("the name is empty")).hint(|| "write `@` for the domain itself");
    }
    let repeats = label == zone.name || label.ends_with(&zone.below);
    if repeats && item.meta("skip_fqdn_check") != Some("true") {
        return Err(anyhow!("the name repeats the domain")).hint(
            || "write only what comes before the domain, or add `DISABLE_REPEATED_DOMAIN_CHECK`",
        );
    }
    Ok(())
}

/// Refuses a record whose type cannot be so.
pub(super) fn check_record(item: &ir::Record, zone: &ZoneName) -> Result<()> {
    let target = item.target.as_str();
    let is_apex = item.name == "@";
    match item.rtype.as_str() {
        "A" => ensure!(
            target.parse::<Ipv4Addr>().is_ok(),
            "`{target}` is not an IPv4 address"
        ),
        "AAAA" => ensure!(
            target.parse::<Ipv6Addr>().is_ok(),
            "`{target}` is not an IPv6 address"
        ),
        "ALIAS" | "DNAME" | "MX" | "PTR" | "SRV" => check_target(target)?,
        "NAPTR" if !target.is_empty() => check_target(target)?,
        "CNAME" => {
            check_target(target)?;
            ensure!(!is_apex, "a domain itself cannot be a CNAME");
            let itself = zone.qualified(target) == zone.qualified(&item.name);
            ensure!(!itself, "the CNAME points at itself");
        }
        "NS" => {
            check_target(target)?;
            if is_apex {
                return Err(anyhow!("a domain itself cannot have NS records"))
                    .hint(|| "declare its name servers with `NAMESERVER()`");
            }
        }
        "SOA" => check_soa(item)?,
        "CAA" => {
            let tag = text(item, "caatag");
            ensure!(
                CAA_TAGS.contains(&tag),
                "`{tag}` is no tag of CAA; those are {}",
                CAA_TAGS.join(", ")
            );
        }
        "TLSA" | "SMIMEA" => check_largest(item)?,
        "LUA" => ensure!(
            text(item, "luartype")
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
                && !text(item, "luartype").is_empty(),
            "`{}` is no type that a LUA record can answer with",
            text(item, "luartype")
        ),
        _ => {}
    }
    Ok(())
}

fn text<'a>(item: &'a ir::Record, key: &str) -> &'a str {
    item.fields
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Refuses a host name that is neither short nor ends with a dot.
pub(super) fn check_target(target: &str) -> Result<()> {
    if target == "@" {
        return Ok(());
    }
    if target.is_empty() {
        return Err(anyhow!("the target is empty")).hint(|| "write `@` for the domain itself");
    }
    let slash = target.contains('/') && !target.ends_with(".in-addr.arpa.");
    if let Some(character) = target
        .chars()
        .find(|character| NOT_IN_HOSTS.contains(*character))
        .or_else(|| slash.then_some('/'))
    {
        bail!("the target `{target}` has a `{character}`, which no host name has");
    }
    if target.contains('.') && !target.ends_with('.') {
        return Err(anyhow!("the target `{target}` does not end with a dot"))
            .hint(|| format!("write `{target}.`"));
    }
    Ok(())
}

fn check_soa(item: &ir::Record) -> Result<()> {
    for key in ["soaexpire", "soaminttl", "soarefresh", "soaretry"] {
        let positive = item.fields.get(key).and_then(Value::as_f64);
        ensure!(
            positive.is_some_and(|number| number > 0.0),
            "`{}` must be more than 0",
            key.trim_start_matches("soa")
        );
    }
    let mailbox = text(item, "soambox");
    ensure!(!mailbox.is_empty(), "the mailbox is empty");
    if mailbox.contains('@') {
        return Err(anyhow!("the mailbox `{mailbox}` has an `@`"))
            .hint(|| "write a dot in its place");
    }
    check_target(&item.target)?;
    ensure!(
        item.name == "@",
        "only a domain itself can have an SOA record"
    );
    Ok(())
}

fn check_largest(item: &ir::Record) -> Result<()> {
    for (key, largest) in LARGEST {
        let number = item.fields.get(key).and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            number <= largest,
            "`{}` is {number}, more than {largest}",
            key.trim_start_matches("tlsa").trim_start_matches("smimea")
        );
    }
    Ok(())
}

/// Refuses a record that is there twice, and a CNAME beside anything else.
pub(super) fn check_sets(domain: &ir::Domain, zone: &Zone) -> Result<()> {
    let mut seen = HashSet::with_capacity(zone.records.len());
    let mut owners: HashMap<&DnsName, Owner<'_>> = HashMap::with_capacity(zone.records.len());
    for (record, declared) in zone.records.iter().zip(&domain.records) {
        ensure!(
            seen.insert((&record.name, &record.rtype, &record.data)),
            "{}`{}` declares a record twice: {} `{}`",
            place(&declared.filepos),
            zone.unique_name(),
            record.rtype,
            record.name
        );
        let mut owner = match owners.entry(&record.name) {
            Entry::Vacant(vacant) => {
                vacant.insert(Owner::of(declared));
                continue;
            }
            Entry::Occupied(occupied) => occupied,
        };
        let owner = owner.get_mut();
        owner.join(declared).map_err(|(one, other)| {
            anyhow!(
                "{}`{}` has a CNAME and another record: {one} and {other}",
                place(&declared.filepos),
                record.name
            )
        })?;
    }
    check_weights(domain)
}

/// What the records of one name are, as far as CNAME cares.
struct Owner<'a> {
    cname: bool,
    /// Cloudflare resolves the CNAME itself, so that other records may stand beside it.
    proxied: bool,
    /// A type that a CNAME cannot stand beside.
    other: Option<&'a str>,
}

impl<'a> Owner<'a> {
    fn of(item: &'a ir::Record) -> Self {
        let cname = item.rtype == "CNAME";
        let beside = cname || item.rtype == "AKAMAICDN";
        Self {
            cname,
            proxied: cname && matches!(item.meta("cloudflare_proxy"), Some("on" | "full")),
            other: (!beside).then_some(item.rtype.as_str()),
        }
    }

    /// Adds a record, or tells which two types clash.
    fn join(&mut self, item: &'a ir::Record) -> Result<(), (&'a str, &'a str)> {
        let added = Self::of(item);
        if self.cname && added.cname {
            return Err(("CNAME", "CNAME"));
        }
        let (cname_first, proxied) = (self.cname, self.proxied || added.proxied);
        *self = Self {
            cname: self.cname || added.cname,
            proxied,
            other: self.other.or(added.other),
        };
        match self.other {
            Some(other) if self.cname && !proxied => Err(if cname_first {
                ("CNAME", other)
            } else {
                (other, "CNAME")
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses weighted records of Route 53 that are one set there and differ in its settings.
fn check_weights(domain: &ir::Domain) -> Result<()> {
    let mut groups = HashMap::new();
    for item in &domain.records {
        let Some(id) = item.meta("r53_set_identifier").filter(|id| !id.is_empty()) else {
            continue;
        };
        let settings = (item.meta("r53_weight"), item.meta("r53_health_check_id"));
        let first = *groups
            .entry((&item.name, &item.rtype, id))
            .or_insert(settings);
        for (what, one, other) in [
            ("weights", first.0, settings.0),
            ("health checks", first.1, settings.1),
        ] {
            ensure!(
                one == other,
                "{}the set `{id}` of {} `{}` has different {what}: {} and {}",
                place(&item.filepos),
                item.rtype,
                item.name,
                one.unwrap_or("none"),
                other.unwrap_or("none")
            );
        }
    }
    Ok(())
}

/// The place of a declaration, in front of a message.
pub(super) fn place(position: &str) -> String {
    match position.lines().next() {
        None | Some("") => String::new(),
        Some(innermost) => format!("`{innermost}`: "),
    }
}
