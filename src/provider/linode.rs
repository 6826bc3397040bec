//! LINODE: the API v4 of Linode (Akamai).

use std::sync::Arc;
use std::time::Duration;

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
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::together::write_singly;
use crate::provider::ttls::rounded_up;
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "LINODE",
    name: "Linode",
    api: "https://techdocs.akamai.com/linode-api/reference/get-domain-records",
    fields: &[Field {
        key: "token",
        required: true,
        help: "personal access token",
    }],
    scope: "it needs the scope `domains:read_write` (`Domains`: `Read/Write`) and nothing else",
    // https://techdocs.akamai.com/linode-api/reference/rate-limits: lists, and everything else.
    rates: &[
        Rate {
            requests: 200,
            per: Duration::from_mins(1),
            of: Of::Reads,
        },
        Rate {
            requests: 1600,
            per: Duration::from_mins(1),
            of: Of::Writes,
        },
    ],
    notes: &[
        "one call for each value, eight at a time: the API has no batches",
        "TTLs are rounded up to 300, 3600, 7200 and so on, as Linode does; new sets get 300",
        "the name servers take a change over some minutes after the API has it",
        "the apex NS set is Linode's own and is not compared",
        "CAA flags are taken for 0: the API does not show them",
    ],
    connect,
};

/// Records of a page, at most.
const PER_PAGE: &str = "500";

/// Header with the conditions of a list, as JSON:
/// <https://techdocs.akamai.com/linode-api/reference/filtering-and-sorting>
const FILTER: &str = "x-filter";

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 5] = [
    "ns1.linode.com",
    "ns2.linode.com",
    "ns3.linode.com",
    "ns4.linode.com",
    "ns5.linode.com",
];

/// TTLs that Linode stores, seconds; 0 is the zone's own. Others are rounded up.
const TTLS: [u32; 13] = [
    0, 300, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800, 1_209_600,
    2_419_200,
];

#[derive(Debug)]
struct Linode {
    api: Api,
    /// Ids of zones.
    domains: ZoneCache<u64>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.linode.com/v4");
    let token = format!("Bearer {}", entry.required("token")?);
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(Linode {
        api: api.credential("token", "authorization", &token)?,
        domains: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(rename = "page")]
    number: u64,
    #[serde(rename = "pages")]
    count: u64,
}

#[derive(Deserialize)]
struct DomainAnswer {
    id: u64,
    domain: String,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: u64,
    #[serde(rename = "type")]
    rtype: String,
    /// Relative to the zone; empty at the apex.
    name: String,
    target: String,
    ttl_sec: u32,
    #[serde(default)]
    priority: u32,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    port: u32,
    tag: Option<String>,
}

impl DnsProvider for Linode {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone, None).await?;
            answers.iter().map(|one| one.record(zone.name)).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, stored_ttl(TXT_TTL), list, write).await
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            // It is always there and never listed, whatever `DnsProvider(name, n)` says.
            ignores_apex_ns: true,
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl Linode {
    async fn domain(&self, zone: ZoneRef<'_>) -> Result<u64> {
        let look_up = async {
            let filter = json!({ "domain": zone.name.as_str() });
            let request = self.api.request(Method::GET, self.api.url(&["domains"])?);
            let request = request.header(FILTER, filter.to_string());
            let reply = self.api.send(request, Repeat::Safe).await?;
            let page: Page<DomainAnswer> = self.api.json(&reply)?;
            let mut domains = page.data.into_iter();
            let domain = domains.find(|one| one.domain == zone.name.as_str());
            let domain = domain.ok_or_else(|| self.api.no_zone(zone))?;
            Ok(domain.id)
        };
        self.domains.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let first = with_parameter(&self.url(zone, &[]).await?, "page_size", PER_PAGE);
        let request = |url| {
            let request = self.api.request(Method::GET, url);
            match rtype {
                Some(rtype) => request.header(FILTER, json!({ "type": rtype }).to_string()),
                None => request,
            }
        };
        let next = |page: &Page<RecordAnswer>, _: &_, url: &Url| {
            (page.number < page.count).then(|| page_after(url, "page"))
        };
        let pages = self.api.pages_by(request, first, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.data).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<u64>>> {
        let answers = self.list(zone, Some("TXT")).await?;
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id,
                name: owner(&answer.name, zone.name)?,
                ttl: answer.ttl_sec,
                value: answer.target,
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
            "name": label(&new.txt.name, zone.name),
            "target": new.txt.value,
            "ttl_sec": new.ttl,
        });
        let request = self.api.request(Method::POST, self.url(zone, &[]).await?);
        let reply = self.api.send(request.json(&body), Repeat::WhenRefused);
        let created: RecordAnswer = self.api.json(&reply.await?)?;
        if created.ttl_sec == new.ttl {
            return Ok(());
        }
        // DNSControl saw records created with the zone's TTL, and sets it afterwards as well.
        let url = self.url(zone, &[&created.id.to_string()]).await?;
        let request = self.api.request(Method::PUT, url).json(&body);
        self.api.send(request, Repeat::Safe).await.map(|_| ())
    }

    async fn delete(&self, zone: ZoneRef<'_>, id: u64) -> Result<()> {
        let url = self.url(zone, &[&id.to_string()]).await?;
        self.api.delete(url).await
    }

    async fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let id = self.domain(zone).await?.to_string();
        self.api
            .url(&[&["domains", id.as_str(), "records"], more].concat())
    }
}

impl RecordAnswer {
    fn record(&self, zone: &DnsName) -> Result<Record> {
        let Self {
            target,
            priority,
            weight,
            port,
            ..
        } = self;
        // Host names come without their final dot; that of a null MX is empty.
        let host = dotted(target);
        let text = match self.rtype.as_str() {
            "CNAME" | "NS" | "PTR" => host,
            "MX" => format!("{priority} {host}"),
            "SRV" => format!("{priority} {weight} {port} {host}"),
            "CAA" => {
                let tag = self.tag.as_deref().unwrap_or_default();
                format!("0 {tag} {}", quote(target))
            }
            _ => target.clone(),
        };
        let data = match self.rtype.as_str() {
            "TXT" => text,
            rtype => canonical(rtype, &text, zone),
        };
        let owner = owner(&self.name, zone)?;
        Ok(Record::new(owner, &self.rtype, self.ttl_sec, data))
    }
}

/// The TTL that Linode makes of one.
pub(super) fn stored_ttl(ttl: u32) -> u32 {
    rounded_up(ttl, &TTLS)
}

/// What DNSControl makes of a record before it compares.
fn prepare(_: &Zone, mut record: Record) -> Record {
    record.ttl = stored_ttl(record.ttl);
    record
}
