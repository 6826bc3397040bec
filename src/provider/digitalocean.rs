//! DIGITALOCEAN: the API v2 of `DigitalOcean`.

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
use crate::provider::labels::owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::together::write_singly;

pub(super) const SPEC: Spec = Spec {
    kind: "DIGITALOCEAN",
    name: "DigitalOcean",
    api: "https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records",
    fields: &[Field {
        key: "token",
        required: true,
        help: "personal access token",
    }],
    scope: "it needs the scopes `domain:read`, `domain:create`, `domain:update` and `domain:delete`",
    // https://docs.digitalocean.com/reference/api/intro/#rate-limit
    rates: &[
        Rate {
            requests: 250,
            per: Duration::from_mins(1),
            of: Of::All,
        },
        Rate {
            requests: 5000,
            per: Duration::from_hours(1),
            of: Of::All,
        },
    ],
    notes: &["one call for each value: the API has no batches"],
    connect,
};

/// Records of a page, at most.
const PER_PAGE: &str = "200";

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 3] = [
    "ns1.digitalocean.com",
    "ns2.digitalocean.com",
    "ns3.digitalocean.com",
];

#[derive(Debug)]
struct DigitalOcean {
    api: Api,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.digitalocean.com/v2");
    let token = format!("Bearer {}", entry.required("token")?);
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(DigitalOcean {
        api: api.credential("token", "authorization", &token)?,
    }))
}

#[derive(Deserialize)]
struct Page {
    domain_records: Vec<RecordAnswer>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    pages: Option<PageLinks>,
}

#[derive(Deserialize)]
struct PageLinks {
    next: Option<String>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: u64,
    #[serde(rename = "type")]
    rtype: String,
    /// `@` or a label.
    name: String,
    data: String,
    ttl: u32,
    priority: Option<u32>,
    port: Option<u32>,
    weight: Option<u32>,
    flags: Option<u32>,
    tag: Option<String>,
}

impl DnsProvider for DigitalOcean {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone, None).await?;
            // Of the SOA record only the TTL is there.
            let others = answers.iter().filter(|answer| answer.rtype != "SOA");
            others.map(|answer| answer.record(zone.name)).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL, list, write).await
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

impl DigitalOcean {
    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let mut url = with_parameter(&self.url(zone, &[])?, "per_page", PER_PAGE);
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "type", rtype);
        }
        let next = |page: &Page, _: &_, url: &Url| {
            let more = page.links.pages.as_ref()?.next.as_ref();
            more.map(|_| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        let records = pages.into_iter().flat_map(|page| page.domain_records);
        Ok(records.collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<u64>>> {
        let answers = self.list(zone, Some("TXT")).await?;
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id,
                name: owner(&answer.name, zone.name)?,
                ttl: answer.ttl,
                value: answer.data,
            })
        };
        answers.into_iter().map(record).collect()
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<bool> {
        let create = |new| self.create(zone, new);
        write_singly(todo, create, |id| self.delete(zone, *id)).await?;
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "type": "TXT",
            "name": new.txt.name.label_in(zone.name),
            "data": new.txt.value,
            "ttl": new.ttl,
        });
        let request = self.api.request(Method::POST, self.url(zone, &[])?);
        let request = request.json(&body);
        self.api
            .send(request, Repeat::WhenRefused)
            .await
            .map(|_| ())
    }

    async fn delete(&self, zone: ZoneRef<'_>, id: u64) -> Result<()> {
        self.api.delete(self.url(zone, &[&id.to_string()])?).await
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let path = [&["domains", zone.name.as_str(), "records"], more].concat();
        self.api.url(&path)
    }
}

impl RecordAnswer {
    fn record(&self, zone: &DnsName) -> Result<Record> {
        let number = |field: Option<u32>| field.unwrap_or(0);
        let target = || match self.data.as_str() {
            "@" => zone.fqdn(),
            name => dotted(name),
        };
        let text = match self.rtype.as_str() {
            "CNAME" | "NS" => target(),
            "MX" => format!("{} {}", number(self.priority), target()),
            "SRV" => format!(
                "{} {} {} {}",
                number(self.priority),
                number(self.weight),
                number(self.port),
                target()
            ),
            "CAA" => format!(
                "{} {} \"{}\"",
                number(self.flags),
                self.tag.as_deref().unwrap_or_default(),
                self.data.trim_end_matches('.')
            ),
            _ => self.data.clone(),
        };
        let data = match self.rtype.as_str() {
            "TXT" => text,
            rtype => canonical(rtype, &text, zone),
        };
        Ok(Record::new(
            owner(&self.name, zone)?,
            &self.rtype,
            self.ttl,
            data,
        ))
    }
}
