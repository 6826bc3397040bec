//! The one list of providers, and how an entry of creds.json becomes one of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::model::change::TxtBatch;
use crate::model::environment::Environment;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Zone, ZoneRef};
use crate::net::http::Http;
use crate::provider::dnscontrol_binary::{self, DnscontrolBinary, Invocation};
use crate::provider::pace::Rate;
use crate::provider::port::{Answer, DnsProvider, Unread};
use crate::provider::{
    axfrddns, azure_dns, bind, bunny_dns, cloudflare, cloudns, desec, digitalocean, dnsimple,
    gandi_v5, gcloud, hetzner, hetzner_v2, inwx, linode, namecheap, namedotcom, netcup, ns1, ovh,
    porkbun, powerdns, route53, transip, vultr,
};

/// Every provider that git-certs speaks to by itself.
pub(crate) const PROVIDERS: &[&Spec] = &[
    &axfrddns::SPEC,
    &azure_dns::SPEC,
    &bind::SPEC,
    &bunny_dns::SPEC,
    &cloudflare::SPEC,
    &cloudns::SPEC,
    &desec::SPEC,
    &digitalocean::SPEC,
    &dnsimple::SPEC,
    &gandi_v5::SPEC,
    &gcloud::SPEC,
    &hetzner::SPEC,
    &hetzner_v2::SPEC,
    &inwx::SPEC,
    &linode::SPEC,
    &namecheap::SPEC,
    &namedotcom::SPEC,
    &netcup::SPEC,
    &ns1::SPEC,
    &ovh::SPEC,
    &porkbun::SPEC,
    &powerdns::SPEC,
    &route53::SPEC,
    &transip::SPEC,
    &vultr::SPEC,
];

/// DNSControl's TYPEs that serve private networks only: a CA never sees what they hold.
const PRIVATE: &[&str] = &[
    "ADGUARDHOME",
    "AZURE_PRIVATE_DNS",
    "FORTIGATE",
    "MIKROTIK",
    "NETBIRD",
    "UNIFI",
];

/// DNSControl's TYPEs that are registrars and hold no records.
const REGISTRARS: &[&str] = &[
    "DNSOVERHTTPS",
    "DYNADOT",
    "EASYNAME",
    "INTERNETBS",
    "NONE",
    "OPENSRS",
];

/// Description of a provider, kept at the top of its file.
pub(crate) struct Spec {
    /// DNSControl's TYPE in creds.json.
    pub(crate) kind: &'static str,
    /// What people call it.
    pub(crate) name: &'static str,
    /// Documentation of the API or protocol.
    pub(crate) api: &'static str,
    /// Fields of the entry in creds.json.
    pub(crate) fields: &'static [Field],
    /// What the credentials must be, or be allowed to do, and no more: follows `check FIELD: `.
    pub(crate) scope: &'static str,
    /// Published limits, which are kept on our side.
    pub(crate) rates: &'static [Rate],
    /// Limits and oddities that a user should know.
    pub(crate) notes: &'static [&'static str],
    /// Makes the provider; no request is sent.
    pub(crate) connect: fn(&ProviderEntry, &Context) -> Result<Box<dyn DnsProvider>>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spec({})", self.kind)
    }
}

/// A field of an entry in creds.json.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) required: bool,
    /// One sentence fragment, lower case.
    pub(crate) help: &'static str,
}

/// What a provider may need besides its entry.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) http: Http,
    /// Where credentials may be that no field of the entry has.
    pub(crate) environment: Environment,
    /// Root of the DNS repository; relative paths of entries start here.
    pub(crate) dns_root: PathBuf,
    /// The DNS repository is a clone that this run made and will delete.
    pub(crate) dns_root_is_temporary: bool,
    /// For providers that git-certs does not speak to by itself.
    pub(crate) dnscontrol: Invocation,
}

/// A provider that an entry of creds.json describes.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// Lists its records, which are compared with dnsconfig.js here.
    Native(Arc<dyn DnsProvider>),
    /// Everything else, through `dnscontrol`, which compares by itself.
    Binary(Arc<DnscontrolBinary>),
}

impl Provider {
    /// Adds and removes TXT values, as [`DnsProvider::change`] says.
    pub(crate) fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        match self {
            Self::Native(provider) => provider.change(zone, batch),
            Self::Binary(binary) => Box::pin(binary.change(zone, batch)),
        }
    }

    /// As [`DnsProvider::unread`] says.
    pub(crate) fn unread(&self, zone: ZoneRef<'_>) -> Option<Unread> {
        match self {
            Self::Native(provider) => provider.unread(zone),
            Self::Binary(_) => None,
        }
    }

    /// How long a change may take.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Native(_) => Duration::from_secs(30),
            // Lists whole zones, twice.
            Self::Binary(_) => Duration::from_mins(10),
        }
    }
}

/// Makes the provider that an entry describes, for the zones that dnsconfig.js declares; no request
/// is sent.
pub(crate) fn open(entry: &ProviderEntry, zones: &[Zone], context: &Context) -> Result<Provider> {
    let kind = entry.kind.as_str();
    let is_known = PROVIDERS.iter().any(|spec| spec.kind == kind);
    let program = if is_known || PRIVATE.contains(&kind) || REGISTRARS.contains(&kind) {
        None
    } else {
        dnscontrol_binary::find(&context.dnscontrol.search_path)
    };
    Ok(match program {
        Some(program) => {
            let binary = DnscontrolBinary::connect(program, entry, zones, context)?;
            Provider::Binary(Arc::new(binary))
        }
        None => Provider::Native(connect(entry, context)?.into()),
    })
}

/// Makes the provider that an entry describes, without `dnscontrol`; no request is sent.
pub(super) fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let spec = PROVIDERS
        .iter()
        .find(|spec| spec.kind == entry.kind)
        .ok_or_else(|| unknown(entry))?;
    for field in spec.fields.iter().filter(|field| field.required) {
        entry.required(field.key)?;
    }
    (spec.connect)(entry, context)
}

/// What to say of fields of an entry that its provider does not know, which are most likely misspelt.
///
/// DNSControl passes over them without a word. Those that begin with `_` are for other programs.
pub(crate) fn unknown_fields(entry: &ProviderEntry) -> Option<String> {
    let spec = PROVIDERS.iter().find(|spec| spec.kind == entry.kind)?;
    let is_known = |key: &str| spec.fields.iter().any(|field| field.key == key);
    let unknown = entry.fields.keys();
    let unknown: Vec<_> = unknown
        .filter(|key| !key.starts_with('_') && !is_known(key))
        .map(|key| format!("`{key}`"))
        .collect();
    let known: Vec<_> = spec
        .fields
        .iter()
        .map(|field| format!("`{}`", field.key))
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "the entry `{}` in creds.json has {}, which {} does not know; its fields: {}",
            entry.name,
            unknown.join(", "),
            spec.kind,
            known.join(", ")
        )
    })
}

fn unknown(entry: &ProviderEntry) -> anyhow::Error {
    let ProviderEntry { name, kind, .. } = entry;
    let skip = format!("skip it with `--skip {name}` if another provider serves the zone");
    if PRIVATE.contains(&kind.as_str()) {
        return with_hint(
            anyhow!(
                "`creds.json` entry `{name}`: `{kind}` is never public DNS, so a CA cannot see what it serves"
            ),
            skip,
        );
    }
    if REGISTRARS.contains(&kind.as_str()) {
        return with_hint(
            anyhow!(
                "`creds.json` entry `{name}`: `{kind}` is a registrar and holds no DNS records"
            ),
            skip,
        );
    }
    let upper = kind.to_uppercase();
    if let Some(spec) = PROVIDERS.iter().find(|spec| spec.kind == upper) {
        return with_hint(
            anyhow!("`creds.json` entry `{name}`: `{kind}` is no DNS provider"),
            format!("DNSControl writes it `{}`", spec.kind),
        );
    }
    with_hint(
        anyhow!(
            "`creds.json` entry `{name}`: git-certs does not speak to DNS provider `{kind}` by itself, \
             and there is no `dnscontrol` on PATH that could"
        ),
        format!(
            "install DNSControl, through which every provider works; `git-certs providers` lists those \
             that need no help; {skip}"
        ),
    )
}

/// The name servers of a provider's `default_ns`, which is a list of names in dnsconfig.js.
pub(super) fn default_nameservers(entry: &ProviderEntry) -> Result<Vec<DnsName>> {
    let Some(value) = entry.meta.get("default_ns") else {
        return Ok(Vec::new());
    };
    let wrong = || {
        with_hint(
            anyhow!(
                "`default_ns` of DNS provider `{}` is no list of names",
                entry.name
            ),
            "write `NewDnsProvider(\"NAME\", {\"default_ns\": [\"ns1.example.com.\"]})` in `dnsconfig.js`",
        )
    };
    value
        .as_array()
        .ok_or_else(wrong)?
        .iter()
        .map(|name| {
            let text = name.as_str().ok_or_else(wrong)?;
            text.parse()
                .with_context(|| format!("bad `default_ns` of DNS provider `{}`", entry.name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::hint::explain;
    use crate::provider::servers;

    fn entry(kind: &str) -> ProviderEntry {
        servers::entry(kind, &[("apiKey", "hunter2")])
    }

    fn error(entry: &ProviderEntry) -> (String, Vec<String>) {
        let explained = explain(&open(entry, &[], &servers::context()).unwrap_err());
        (explained.what, explained.hints)
    }

    #[test]
    fn what_is_not_native_says_why() {
        let skip = "skip it with `--skip main` if another provider serves the zone";
        for (kind, what, hint) in [
            (
                "UNIFI",
                "`creds.json` entry `main`: `UNIFI` is never public DNS, so a CA cannot see what it serves",
                skip.to_owned(),
            ),
            (
                "NONE",
                "`creds.json` entry `main`: `NONE` is a registrar and holds no DNS records",
                skip.to_owned(),
            ),
            (
                "HEDNS",
                "`creds.json` entry `main`: git-certs does not speak to DNS provider `HEDNS` by itself, \
                 and there is no `dnscontrol` on PATH that could",
                format!(
                    "install DNSControl, through which every provider works; `git-certs providers` lists \
                     those that need no help; {skip}"
                ),
            ),
        ] {
            assert_eq!(error(&entry(kind)), (what.to_owned(), vec![hint]));
        }
    }

    #[test]
    fn required_fields_are_asked_for() {
        let (what, hints) = error(&entry("POWERDNS"));
        assert_eq!(
            what,
            "the entry `main` (POWERDNS) in `creds.json` has no `apiUrl`"
        );
        assert_eq!(hints, ["add `apiUrl` to the entry"]);
    }

    #[test]
    fn default_ns_is_a_list_of_names() {
        let mut entry = entry("BIND");
        entry
            .meta
            .insert("default_ns".into(), json!(["ns1.example.com.", "NS2.test"]));
        let names = default_nameservers(&entry).unwrap();
        assert_eq!(format!("{names:?}"), "[ns1.example.com, ns2.test]");
        entry.meta.insert("default_ns".into(), json!("ns1.test."));
        let explained = explain(&default_nameservers(&entry).unwrap_err());
        assert_eq!(
            explained.what,
            "`default_ns` of DNS provider `main` is no list of names"
        );
    }

    #[test]
    fn kinds_and_keys_are_unique() {
        for (index, spec) in PROVIDERS.iter().enumerate() {
            assert!(
                PROVIDERS[index + 1..]
                    .iter()
                    .all(|other| other.kind != spec.kind)
            );
            assert!(!PRIVATE.contains(&spec.kind) && !REGISTRARS.contains(&spec.kind));
            for (index, field) in spec.fields.iter().enumerate() {
                assert!(
                    spec.fields[index + 1..]
                        .iter()
                        .all(|other| other.key != field.key)
                );
            }
        }
    }
}
