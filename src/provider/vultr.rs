//! VULTR: Vultr's API v2.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::dotted;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::{label, owner};
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::with_parameter;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::together::write_singly;

pub(super) const SPEC: Spec = Spec {
    kind: "VULTR",
    name: "Vultr",
    api: "https://www.vultr.com/api/#tag/dns",
    fields: &[Field {
        key: "token",
        required: true,
        help: "API key",
    }],
    scope: "it must be the API key of a user who may manage DNS, best of one who may do nothing else, and its access control must allow the address of this machine",
    // https://docs.vultr.com/support/platform/api/what-rate-limits-apply-to-the-vultr-api
    rates: &[Rate {
        requests: 30,
        per: Duration::from_secs(1),
        of: Of::All,
    }],
    notes: &[
        "one call for each value, eight at a time: the API has no batches",
        "the API cannot list by type: a change reads the whole zone, 500 records a call",
        "new sets get the TTL 120",
    ],
    connect,
};

/// Records of a page, at most: <https://www.vultr.com/api/#section/Introduction/Meta-and-pagination>
const PER_PAGE: &str = "500";

/// TTL of new sets, seconds. The documentation names no smallest one; others' clients use this.
const NEW_TTL: u32 = 120;

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 2] = ["ns1.vultr.com", "ns2.vultr.com"];

#[derive(Debug)]
struct Vultr {
    api: Api,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.vultr.com/v2");
    let token = format!("Bearer {}", entry.required("token")?);
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(Vultr {
        api: api.credential("token", "authorization", &token)?,
    }))
}

#[derive(Deserialize)]
struct Page {
    records: Vec<RecordAnswer>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    links: Links,
}

#[derive(Deserialize)]
struct Links {
    /// A cursor; empty on the last page.
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: String,
    #[serde(rename = "type")]
    rtype: String,
    /// Relative to the zone; empty at the apex.
    name: String,
    data: String,
    /// -1 for types that have none.
    #[serde(default)]
    priority: i64,
    ttl: u32,
}

impl DnsProvider for Vultr {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone).await?;
            answers.iter().map(|one| one.record(zone.name)).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL.max(NEW_TTL), list, write).await
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl Vultr {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let first = with_parameter(&self.url(zone, &[])?, "per_page", PER_PAGE);
        let next = |page: &Page, _: &_, url: &Url| {
            let cursor = &page.meta.links.next;
            (!cursor.is_empty()).then(|| with_parameter(url, "cursor", cursor))
        };
        let pages = self.api.pages(first, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.records).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<String>>> {
        let answers = self.list(zone).await?.into_iter();
        let texts = answers.filter(|answer| answer.rtype == "TXT");
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                name: owner(&answer.name, zone.name)?,
                ttl: answer.ttl,
                value: answer.text().to_owned(),
                id: answer.id,
            })
        };
        texts.map(record).collect()
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<String>) -> Result<bool> {
        let create = |new| self.create(zone, new);
        write_singly(todo, create, |id| self.delete(zone, id)).await?;
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "type": "TXT",
            "name": label(&new.txt.name, zone.name),
            "data": format!("\"{}\"", new.txt.value),
            "ttl": new.ttl,
            "priority": 0,
        });
        let request = self.api.request(Method::POST, self.url(zone, &[])?);
        let sent = self.api.send(request.json(&body), Repeat::WhenRefused);
        sent.await.map(|_| ())
    }

    async fn delete(&self, zone: ZoneRef<'_>, id: &str) -> Result<()> {
        self.api.delete(self.url(zone, &[id])?).await
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let path = [&["domains", zone.name.as_str(), "records"], more].concat();
        self.api.url(&path)
    }
}

impl RecordAnswer {
    /// The text of a TXT record: between quotes, and without escapes, as DNSControl reads it.
    fn text(&self) -> &str {
        let text = self.data.strip_prefix('"');
        let text = text.and_then(|text| text.strip_suffix('"'));
        text.unwrap_or(&self.data)
    }

    fn record(&self, zone: &DnsName) -> Result<Record> {
        // Host names, the last of several fields, come without their final dot.
        let fields = dotted(&self.data);
        let text = match self.rtype.as_str() {
            "CNAME" | "NS" => fields,
            "MX" | "SRV" => format!("{} {fields}", self.priority),
            _ => self.data.clone(),
        };
        let data = match self.rtype.as_str() {
            "TXT" => self.text().to_owned(),
            rtype => canonical(rtype, &text, zone),
        };
        let owner = owner(&self.name, zone)?;
        Ok(Record::new(owner, &self.rtype, self.ttl, data))
    }
}
