//! Settings about name servers: which are asked, how often, and over HTTPS where port 53 is blocked.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::cli::settings::{FILE, Settings, ZoneSettings};
use crate::dns::doh::Resolver;
use crate::dns::rules::{Rules, ServerRef, ZoneRules};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::net::http::Http;

/// Resolvers of three operators
/// (<https://developers.cloudflare.com/1.1.1.1/encryption/dns-over-https/>,
/// <https://developers.google.com/speed/public-dns/docs/doh>,
/// <https://quad9.net/service/service-addresses-and-features/>).
const DOH: [&str; 3] = [
    "https://cloudflare-dns.com/dns-query",
    "https://dns.google/dns-query",
    "https://dns.quad9.net/dns-query",
];

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// The word that turns DNS over HTTPS off.
const OFF: &str = "off";

/// What the settings say about name servers.
pub(super) fn rules(settings: &Settings, http: &Http) -> Result<Rules> {
    let zones = settings.zones.iter().flatten();
    Ok(Rules {
        confirmations: settings.dns_confirmations.unwrap_or(NonZeroU32::MIN),
        doh: resolvers(settings.doh.as_deref(), http)?,
        doh_settle: settings.doh_settle.map(seconds),
        zones: zones
            .map(|(name, settings)| {
                let in_zone = || format!("`[zones.\"{name}\"]` in `{FILE}` cannot be used");
                let canonical = zone_name(name).with_context(in_zone)?;
                Ok((canonical, zone_rules(settings).with_context(in_zone)?))
            })
            .collect::<Result<_>>()?,
    })
}

/// The resolvers of `--resolver`; none: the system's.
pub(super) fn recursive(settings: &Settings) -> Result<Vec<SocketAddr>> {
    let named = settings.resolver.iter().flatten();
    named.map(|text| resolver(text)).collect()
}

fn resolver(text: &str) -> Result<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address, DNS_PORT).into());
    }
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) => Err(with_hint(
            anyhow!("`--resolver {text}` is no IP address"),
            "an address looks like `192.0.2.53` or `192.0.2.53:53`",
        )),
    }
}

fn resolvers(given: Option<&[String]>, http: &Http) -> Result<Vec<Resolver>> {
    let given: Option<Vec<_>> = given.map(|all| all.iter().map(|url| url.trim()).collect());
    let urls = match given.as_deref() {
        None => &DOH[..],
        Some([OFF]) => &[],
        Some(urls) => urls,
    };
    let resolvers = urls.iter().map(|url| Resolver::new(url, http));
    let resolvers: BTreeSet<_> = resolvers
        .collect::<Result<_>>()
        .context("`--doh` names a resolver that cannot be used")
        .hint(|| "a resolver looks like `https://dns.google/dns-query`; `off` does without")?;
    if resolvers.len() == 1 {
        return Err(anyhow!("`--doh` names one resolver alone"))
            .hint(|| "name at least two, on different hosts: what one says may be wrong");
    }
    Ok(resolvers.into_iter().collect())
}

/// The name of a zone as dnsconfig.js declares it, with the tag of split-horizon declarations.
fn zone_name(text: &str) -> Result<String> {
    let (name, tag) = match text.split_once('!') {
        Some((name, tag)) => (name, format!("!{tag}")),
        None => (text, String::new()),
    };
    let name: DnsName = name.parse()?;
    Ok(format!("{name}{tag}"))
}

fn zone_rules(settings: &ZoneSettings) -> Result<ZoneRules> {
    Ok(ZoneRules {
        ignore: servers("ignore-servers", &settings.ignore_servers)?,
        extra: servers("extra-servers", &settings.extra_servers)?,
        deadline: settings.dns_timeout.map(|limit| seconds(limit.get())),
        confirmations: settings.dns_confirmations,
    })
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn servers(key: &str, list: &[String]) -> Result<Vec<ServerRef>> {
    let each = list.iter().map(|text| match text.parse() {
        Ok(server) => Ok(server),
        Err(_) => bail!("`{text}` in `{key}` is neither the name of a host nor an IP address"),
    });
    each.collect::<Result<_>>()
        .hint(|| "a name server looks like `ns1.example.com`, `192.0.2.1` or `2001:db8::1`")
}
