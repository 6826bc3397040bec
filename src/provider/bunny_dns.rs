//! `BUNNY_DNS`: Bunny DNS, through the API of bunny.net.

use std::sync::Arc;

use anyhow::Result;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::{Record, Zone, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::dotted;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::{label, owner};
use crate::provider::nameservers;
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::together::write_singly;
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "BUNNY_DNS",
    name: "Bunny DNS",
    api: "https://docs.bunny.net/reference/dnszonepublic_index",
    fields: &[Field {
        key: "api_key",
        required: true,
        help: "API key of the account",
    }],
    scope: "it must be the account's API key; bunny.net has one key, with all rights",
    // No limit is published.
    rates: &[],
    notes: &[
        "one call for each value, eight at a time: the API has no batches",
        "the API hands out whole zones only: a change reads one",
        "`BUNNY_DNS_RDR` and `BUNNY_DNS_PZ` are compared; flattened and scripted records are not, as in DNSControl",
        "DNSSEC is not compared",
    ],
    connect,
};

/// Zones of a page: <https://docs.bunny.net/reference/dnszonepublic_index>
const PER_PAGE: &str = "100";

/// The types by their number, as DNSControl calls them.
const TYPES: [&str; 16] = [
    "A",
    "AAAA",
    "CNAME",
    "TXT",
    "MX",
    "BUNNY_DNS_RDR",
    "FLATTEN",
    "BUNNY_DNS_PZ",
    "SRV",
    "CAA",
    "PTR",
    "SCRIPT",
    "NS",
    "SVCB",
    "HTTPS",
    "TLSA",
];

/// The number of TXT.
const TXT: usize = 3;

#[derive(Debug)]
struct Bunny {
    api: Api,
    zones: ZoneCache<ZoneAnswer>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.bunny.net");
    let key = entry.required("api_key")?;
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(Bunny {
        api: api.credential("api_key", "accesskey", key)?,
        zones: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    items: Vec<ZoneAnswer>,
    has_more_items: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneAnswer {
    id: u64,
    domain: String,
    nameserver1: Option<String>,
    nameserver2: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordsAnswer {
    records: Vec<RecordAnswer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RecordAnswer {
    id: u64,
    #[serde(rename = "Type")]
    number: usize,
    ttl: u32,
    value: Option<String>,
    /// Relative to the zone; empty at the apex.
    name: Option<String>,
    weight: u32,
    priority: u32,
    port: u32,
    flags: u32,
    tag: Option<String>,
    /// Id of the pull zone that the record leads to.
    link_name: Option<String>,
}

impl DnsProvider for Bunny {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            // The apex NS set is there, but not among the records, and without a TTL.
            let servers = self.zone(zone).await?.servers()?;
            let apex = servers
                .iter()
                .map(|server| Ok(Record::new(zone.name.clone(), "NS", 0, server.fqdn())));
            let answers = self.list(zone).await?;
            let compared = answers.iter().filter(|answer| !answer.is_computed());
            let others = compared.map(|answer| answer.record(zone.name));
            apex.chain(others).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL, list, write).await
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api
            .reading(zone, async move { self.zone(zone).await?.servers() })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl Bunny {
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<ZoneAnswer> {
        let look_up = async {
            let url = with_parameter(&self.api.url(&["dnszone"])?, "perPage", PER_PAGE);
            let url = with_parameter(&url, "search", zone.name.as_str());
            let next = |page: &Page, _: &_, url: &Url| {
                page.has_more_items.then(|| page_after(url, "page"))
            };
            let pages = self
                .api
                .pages(with_parameter(&url, "page", "1"), next)
                .await?;
            let mut zones = pages.into_iter().flat_map(|page| page.items);
            let found = zones.find(|one| one.domain.eq_ignore_ascii_case(zone.name.as_str()));
            found.ok_or_else(|| self.api.no_zone(zone))
        };
        self.zones.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let answer: RecordsAnswer = self.api.get(self.url(zone, &[]).await?).await?;
        Ok(answer.records)
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<u64>>> {
        let answers = self.list(zone).await?.into_iter();
        let texts = answers.filter(|answer| answer.number == TXT);
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id,
                name: answer.owner(zone.name)?,
                ttl: answer.ttl,
                value: answer.value.unwrap_or_default(),
            })
        };
        texts.map(record).collect()
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<bool> {
        let create = |new| self.create(zone, new);
        write_singly(todo, create, |id| self.delete(zone, *id)).await?;
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "Type": TXT,
            "Name": label(&new.txt.name, zone.name),
            "Value": new.txt.value,
            "Ttl": new.ttl,
        });
        let url = self.url(zone, &["records"]).await?;
        let request = self.api.request(Method::PUT, url).json(&body);
        let sent = self.api.send(request, Repeat::WhenRefused);
        sent.await.map(|_| ())
    }

    async fn delete(&self, zone: ZoneRef<'_>, id: u64) -> Result<()> {
        let url = self.url(zone, &["records", &id.to_string()]).await?;
        self.api.delete(url).await
    }

    async fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let id = self.zone(zone).await?.id.to_string();
        self.api.url(&[&["dnszone", id.as_str()], more].concat())
    }
}

impl ZoneAnswer {
    fn servers(&self) -> Result<Vec<DnsName>> {
        let names = [&self.nameserver1, &self.nameserver2];
        let names = names.into_iter().flatten().filter(|name| !name.is_empty());
        nameservers::parsed(names)
    }
}

impl RecordAnswer {
    /// What it answers is worked out anew for each question.
    fn is_computed(&self) -> bool {
        ["FLATTEN", "SCRIPT"].contains(&self.rtype().as_str())
    }

    /// A type that is not known here keeps its number, so that it is not overlooked.
    fn rtype(&self) -> String {
        let known = TYPES.get(self.number);
        known.map_or_else(
            || format!("BUNNY_DNS_{}", self.number),
            |name| (*name).to_owned(),
        )
    }

    fn owner(&self, zone: &DnsName) -> Result<DnsName> {
        owner(self.name.as_deref().unwrap_or_default(), zone)
    }

    fn record(&self, zone: &DnsName) -> Result<Record> {
        let Self {
            weight,
            priority,
            port,
            flags,
            ..
        } = self;
        let value = self.value.as_deref().unwrap_or_default();
        // Host names come without their final dot, those of the root excepted.
        let (host, parameters) = value.split_once(' ').unwrap_or((value, ""));
        let host = dotted(host);
        let rtype = self.rtype();
        let text = match rtype.as_str() {
            "CNAME" | "NS" | "PTR" => host,
            "MX" => format!("{priority} {host}"),
            "SRV" => format!("{priority} {weight} {port} {host}"),
            "SVCB" | "HTTPS" => format!("{priority} {host} {parameters}"),
            "CAA" => {
                let tag = self.tag.as_deref().unwrap_or_default();
                format!("{flags} {tag} {}", quote(value))
            }
            "BUNNY_DNS_PZ" => self.link_name.clone().unwrap_or_default(),
            _ => value.to_owned(),
        };
        let data = match rtype.as_str() {
            "TXT" => text,
            rtype => canonical(rtype, &text, zone),
        };
        let owner = self.owner(zone)?;
        Ok(Record::new(owner, &rtype, self.ttl, data))
    }
}

/// What DNSControl makes of a record before it compares.
fn prepare(zone: &Zone, mut record: Record) -> Record {
    if record.rtype == "ALIAS" {
        "CNAME".clone_into(&mut record.rtype);
    }
    let is_apex_ns = record.rtype == "NS" && record.name == zone.name;
    if is_apex_ns || record.rtype == "BUNNY_DNS_RDR" {
        record.ttl = 0;
    }
    record
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;

    fn shown(answer: Value) -> String {
        let answer: RecordAnswer = serde_json::from_value(answer).unwrap();
        let zone = "example.test".parse().unwrap();
        answer.record(&zone).unwrap().to_string()
    }

    #[test]
    fn every_type_is_read() {
        for (answer, expected) in [
            (
                json!({ "Type": 2, "Name": "www", "Value": "example.net", "Ttl": 60 }),
                "CNAME www.example.test example.net. ttl=60",
            ),
            (
                json!({ "Type": 4, "Name": "", "Value": ".", "Priority": 0, "Ttl": 60 }),
                "MX example.test 0 . ttl=60",
            ),
            (
                json!({ "Type": 5, "Name": "r", "Value": "https://b.test/A", "Ttl": 0 }),
                "BUNNY_DNS_RDR r.example.test https://b.test/A ttl=0",
            ),
            (
                json!({ "Type": 7, "Name": "p", "Value": "x.b-cdn.net", "LinkName": "12", "Ttl": 60 }),
                "BUNNY_DNS_PZ p.example.test 12 ttl=60",
            ),
            (
                json!({ "Type": 9, "Name": "", "Value": "ca.test; a=b", "Tag": "issue", "Flags": 128, "Ttl": 60 }),
                "CAA example.test 128 issue \"ca.test; a=b\" ttl=60",
            ),
            (
                json!({ "Type": 14, "Name": "", "Value": ". alpn=\"h3,h2\"", "Priority": 1, "Ttl": 60 }),
                "HTTPS example.test 1 . alpn=\"h3,h2\" ttl=60",
            ),
            (
                json!({ "Type": 15, "Name": "_25._tcp", "Value": "3 1 1 ABCD", "Ttl": 60 }),
                "TLSA _25._tcp.example.test 3 1 1 abcd ttl=60",
            ),
            (
                json!({ "Type": 99, "Name": "x", "Value": "y", "Ttl": 60 }),
                "BUNNY_DNS_99 x.example.test y ttl=60",
            ),
        ] {
            assert_eq!(shown(answer), expected);
        }
    }

    #[test]
    fn what_has_no_ttl_is_compared_without() {
        let zone = crate::provider::servers::zone("example.test");
        let prepared = |name: &str, rtype: &str| {
            let record = Record::new(name.parse().unwrap(), rtype, 300, "x.".to_owned());
            let record = prepare(&zone, record);
            (record.rtype, record.ttl)
        };
        assert_eq!(prepared("example.test", "NS"), ("NS".to_owned(), 0));
        assert_eq!(prepared("sub.example.test", "NS"), ("NS".to_owned(), 300));
        assert_eq!(prepared("example.test", "ALIAS"), ("CNAME".to_owned(), 300));
        let redirect = prepared("r.example.test", "BUNNY_DNS_RDR");
        assert_eq!(redirect, ("BUNNY_DNS_RDR".to_owned(), 0));
    }
}
