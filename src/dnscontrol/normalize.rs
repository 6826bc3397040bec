//! What a script declares becomes what DNSControl would print: names in one form, targets
//! qualified, defaults filled in, pseudo records resolved.

use std::collections::HashSet;
use std::mem;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::dnscontrol::checks::{check_label, check_meta, check_record, check_target, place};
use crate::dnscontrol::ir::{Domain, Ir, Record};
use crate::dnscontrol::raw;
use crate::dnscontrol::reverse;
use crate::dnscontrol::spf::{self, Lookups};
use crate::dnscontrol::transform;
use crate::model::name::DnsName;

/// TTL of a record that declares none, and of apex NS records, seconds.
pub(super) const DEFAULT_TTL: u32 = 300;

/// Types whose target has no upper case.
const LOWER_TARGET: [&str; 17] = [
    "AAAA",
    "AKAMAICDN",
    "AKAMAITLC",
    "ALIAS",
    "AZURE_ALIAS",
    "CNAME",
    "DNAME",
    "DNSKEY",
    "DS",
    "MX",
    "NAPTR",
    "NS",
    "PTR",
    "SMIMEA",
    "SOA",
    "SRV",
    "TLSA",
];

/// Types whose target is completed with the domain.
const QUALIFIED_TARGET: [&str; 5] = ["ALIAS", "CNAME", "MX", "NS", "SRV"];

/// A domain's name in the forms that its records need.
pub(super) struct ZoneName {
    /// `example.com`
    pub(super) name: String,
    /// `.example.com`
    pub(super) below: String,
    /// `example.com.`
    pub(super) fqdn: String,
    /// `.example.com.`
    below_fqdn: String,
    is_reverse: bool,
}

impl ZoneName {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            below: format!(".{name}"),
            fqdn: format!("{name}."),
            below_fqdn: format!(".{name}."),
            is_reverse: name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa"),
        }
    }

    /// The short name of a lower-case name; none if it ends with a dot and is outside the domain.
    pub(super) fn label_of(&self, name: &str) -> Option<String> {
        if name == self.fqdn {
            return Some("@".to_owned());
        }
        let label = name.strip_suffix(&self.below_fqdn).unwrap_or(name);
        (!label.ends_with('.')).then(|| label.to_owned())
    }

    /// A host name as it is meant in this domain: with a final dot.
    pub(super) fn qualified(&self, host: &str) -> String {
        qualify(host, &self.fqdn)
    }
}

/// Normalises all domains; errors name the domain or record, and where it is declared.
///
/// `expanded` tells that pseudo records have been resolved already, as in the output of
/// `dnscontrol print-ir`.
pub(super) fn normalize(ir: &mut Ir, lookups: &mut Lookups<'_>, expanded: bool) -> Result<()> {
    for domain in &mut ir.domains {
        one_domain(domain, expanded)?;
    }
    together(ir, lookups, expanded)
}

/// The part of [`normalize`] that looks at one domain alone.
pub(super) fn one_domain(domain: &mut Domain, expanded: bool) -> Result<()> {
    name_domain(domain)?;
    let zone = ZoneName::new(&domain.name);
    import_raw(domain, &zone)?;
    if !expanded {
        nameservers(domain, &zone)?;
    }
    for item in &mut domain.records {
        in_place(item, &zone, |item| record(item, &zone))?;
    }
    Ok(())
}

/// The rest of [`normalize`]: what takes all domains.
pub(super) fn together(ir: &mut Ir, lookups: &mut Lookups<'_>, expanded: bool) -> Result<()> {
    let mut seen = HashSet::new();
    for domain in &ir.domains {
        let name = domain.uniquename.trim_end_matches('!');
        ensure!(
            seen.insert(name),
            "{}`{name}` is declared more than once",
            place(&domain.filepos)
        );
    }
    if !expanded {
        spf::expand(ir, lookups)?;
        transform::import(ir)?;
        transform::apply(ir)?;
    }
    Ok(())
}

/// Normalises a record that must not exist. DNSControl prints these as they were declared.
pub(super) fn absent(declared: &Record, zone: &ZoneName) -> Result<Record> {
    let mut item = declared.clone();
    in_place(&mut item, zone, |item| record(item, zone))?;
    Ok(item)
}

/// Says which record an error is about.
pub(super) fn in_place(
    item: &mut Record,
    zone: &ZoneName,
    work: impl FnOnce(&mut Record) -> Result<()>,
) -> Result<()> {
    work(item).with_context(|| about(&item.filepos, &item.rtype, &item.name, zone))
}

fn about(position: &str, rtype: &str, name: &str, zone: &ZoneName) -> String {
    format!(
        "{}{rtype} record `{name}` of `{}`",
        place(position),
        zone.name
    )
}

/// Splits the tag off, and writes the forms of the name into the meta, as DNSControl does.
fn name_domain(domain: &mut Domain) -> Result<()> {
    // Where the tag is depends on DNSControl's version.
    let printed = domain
        .meta
        .get("dnscontrol_uniquename")
        .and_then(Value::as_str);
    let declared = match (domain.uniquename.is_empty(), printed) {
        (false, _) => domain.uniquename.clone(),
        (true, Some(printed)) => printed.to_owned(),
        (true, None) => domain.name.clone(),
    };
    let (written, tag) = match declared.split_once('!') {
        Some((written, tag)) => (written, Some(tag)),
        None => (declared.as_str(), None),
    };
    let name: DnsName = written
        .parse()
        .with_context(|| format!("{}bad domain `{declared}`", place(&domain.filepos)))?;
    let name = name.as_str().to_owned();
    let bang = tag.map(|tag| format!("!{tag}")).unwrap_or_default();
    domain.uniquename = format!("{name}{bang}");
    tag.unwrap_or_default().clone_into(&mut domain.tag);
    if !domain.tag.is_empty() {
        domain
            .meta
            .insert("dnscontrol_tag".to_owned(), domain.tag.as_str().into());
    }
    // What has been printed knows better how the name was written.
    let written = match domain.meta.get("dnscontrol_nameraw") {
        Some(Value::String(known)) => known.clone(),
        _ => written.to_owned(),
    };
    for (key, value) in [
        ("dnscontrol_nameraw", written),
        ("dnscontrol_nameunicode", idna::domain_to_unicode(&name).0),
        ("dnscontrol_uniquename", domain.uniquename.clone()),
    ] {
        domain.meta.insert(key.to_owned(), value.into());
    }
    check_meta(&mut domain.meta)
        .with_context(|| format!("{}bad domain `{declared}`", place(&domain.filepos)))?;
    domain.name = name;
    Ok(())
}

fn import_raw(domain: &mut Domain, zone: &ZoneName) -> Result<()> {
    for declared in mem::take(&mut domain.rawrecords) {
        let name = declared.args.first().map(Value::to_string);
        let name = name.as_deref().unwrap_or_default().trim_matches('"');
        let item = raw::record(&declared, zone)
            .with_context(|| about(&declared.filepos, &declared.rtype, name, zone))?;
        domain.records.push(item);
    }
    Ok(())
}

/// Hosts of name servers are printed without a final dot.
fn nameservers(domain: &mut Domain, zone: &ZoneName) -> Result<()> {
    let position = domain.filepos.as_str();
    for server in &mut domain.nameservers {
        check_target(&server.name).with_context(|| {
            format!(
                "{}bad name server `{}` of `{}`",
                place(position),
                server.name,
                zone.name
            )
        })?;
        let host = zone.qualified(&server.name);
        host.trim_end_matches('.').clone_into(&mut server.name);
    }
    Ok(())
}

fn record(item: &mut Record, zone: &ZoneName) -> Result<()> {
    if item.ttl == 0 {
        item.ttl = DEFAULT_TTL;
    }
    check_meta(&mut item.meta)?;
    // Types that are kept in one piece have been checked where they were made.
    if item.whole().is_some() {
        return Ok(());
    }
    lower(&mut item.name);
    if LOWER_TARGET.contains(&item.rtype.as_str()) {
        lower(&mut item.target);
    }
    if let Some(Value::String(mailbox)) = item.fields.get_mut("soambox") {
        lower(mailbox);
    }
    if item.name.ends_with('.') {
        item.name = zone
            .label_of(&item.name)
            .with_context(|| format!("the name ends with a dot and is not in `{}`", zone.name))?;
    }
    // What `REV()` gives is a whole name without a dot.
    if zone.is_reverse
        && let Some(label) = item.name.strip_suffix(&zone.below)
    {
        item.name = label.to_owned();
    }
    mark_custom_type(item)?;
    check_label(item, zone)?;
    check_record(item, zone)?;
    canonicalize(item, zone)
}

/// Notes that a type is a provider's own, as DNSControl does.
fn mark_custom_type(item: &mut Record) -> Result<()> {
    if STANDARD_TYPES.contains(&item.rtype.as_str()) {
        return Ok(());
    }
    ensure!(
        CUSTOM_TYPES.contains(&item.rtype.as_str()),
        "`{}` is no record type",
        item.rtype
    );
    item.meta
        .insert("orig_custom_type".to_owned(), item.rtype.as_str().into());
    Ok(())
}

fn canonicalize(item: &mut Record, zone: &ZoneName) -> Result<()> {
    match item.rtype.as_str() {
        rtype if QUALIFIED_TARGET.contains(&rtype) && !item.target.ends_with('.') => {
            item.target = if item.subdomain.is_empty() {
                zone.qualified(&item.target)
            } else {
                qualify(&item.target, &format!("{}.{}", item.subdomain, zone.fqdn))
            };
        }
        "AAAA" => {
            let address: std::net::Ipv6Addr = item.target.parse()?;
            item.target = address.to_string();
        }
        "NAPTR" if item.target.is_empty() => item.target.push('.'),
        "PTR" if zone.is_reverse => item.name = reverse::label(&item.name, &zone.name)?,
        "OPENPGPKEY" => item.target = base64_key(&item.target)?,
        "LUA" => {
            if let Some(Value::String(rtype)) = item.fields.get_mut("luartype") {
                rtype.make_ascii_uppercase();
            }
        }
        _ => {}
    }
    Ok(())
}

/// A key may be declared in hexadecimal or Base64, and becomes Base64.
fn base64_key(text: &str) -> Result<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let one_case = text.to_lowercase() == text || text.to_uppercase() == text;
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if one_case && digits {
        let bytes: Vec<u8> = text
            .as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        return Ok(STANDARD.encode(bytes));
    }
    let bytes = STANDARD
        .decode(text)
        .context("the key is neither hexadecimal nor Base64")?;
    Ok(STANDARD.encode(bytes))
}

/// `host` completed with `origin`, which ends with a dot, unless it does so too.
fn qualify(host: &str, origin: &str) -> String {
    match host {
        "" | "@" => origin.to_owned(),
        _ if host.ends_with('.') => host.to_owned(),
        _ => format!("{host}.{origin}"),
    }
}

fn lower(text: &mut String) {
    if text.is_ascii() {
        text.make_ascii_lowercase();
    } else {
        *text = text.to_lowercase();
    }
}

/// Every type that dnsconfig.js can declare.
pub(crate) fn record_types() -> impl Iterator<Item = &'static str> {
    STANDARD_TYPES.into_iter().chain(CUSTOM_TYPES)
}

/// Types of the DNS, and what DNSControl treats as such.
const STANDARD_TYPES: [&str; 24] = [
    "A",
    "AAAA",
    "CNAME",
    "TXT",
    "MX",
    "NS",
    "ALIAS",
    "CAA",
    "DHCID",
    "DNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "IMPORT_TRANSFORM",
    "LOC",
    "NAPTR",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SOA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
];

/// Types that one provider has.
const CUSTOM_TYPES: [&str; 23] = [
    "ADGUARDHOME_AAAA_PASSTHROUGH",
    "ADGUARDHOME_A_PASSTHROUGH",
    "AKAMAICDN",
    "AKAMAITLC",
    "AZURE_ALIAS",
    "BUNNY_DNS_PZ",
    "BUNNY_DNS_RDR",
    "CF_WORKER_ROUTE",
    "CLOUDFLAREAPI_SINGLE_REDIRECT",
    "CLOUDNS_WR",
    "FRAME",
    "LUA",
    "MIKROTIK_FORWARDER",
    "MIKROTIK_FWD",
    "MIKROTIK_NXDOMAIN",
    "NETLIFY",
    "NETLIFYv6",
    "PORKBUN_URLFWD",
    "R53_ALIAS",
    "RP",
    "SPF",
    "URL",
    "URL301",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_and_shortened() {
        let zone = ZoneName::new("a.test");
        for (name, expected) in [
            ("a.test.", Some("@")),
            ("w.a.test.", Some("w")),
            ("w", Some("w")),
            ("w.a.test", Some("w.a.test")),
            ("w.b.test.", None),
        ] {
            assert_eq!(zone.label_of(name).as_deref(), expected, "{name}");
        }
        for (host, expected) in [
            ("@", "a.test."),
            ("", "a.test."),
            ("h", "h.a.test."),
            ("h.b.", "h.b."),
        ] {
            assert_eq!(zone.qualified(host), expected, "{host}");
        }
    }

    #[test]
    fn keys_become_base64() {
        assert_eq!(base64_key("983304").unwrap(), "mDME");
        assert_eq!(base64_key("mDME").unwrap(), "mDME");
        for bad in ["mD ME", "98 3304", "zz", "9833aA4"] {
            assert!(base64_key(bad).is_err(), "{bad}");
        }
    }
}
