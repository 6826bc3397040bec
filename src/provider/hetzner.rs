//! HETZNER: the API of Hetzner's old DNS Console.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::owner;
use crate::provider::nameservers;
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Why, failure, status};
use crate::provider::rrset::{NewTxt, Spelling, Todo, TxtRecord, settle};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "HETZNER",
    name: "Hetzner DNS Console",
    api: "https://dns.hetzner.com/api-docs",
    fields: &[Field {
        key: "api_key",
        required: true,
        help: "API token of the DNS Console",
    }],
    scope: "it must be an API token of the DNS Console; it has all rights on all zones of the account",
    // Each account has limits of its own, which are in the headers of its answers.
    rates: &[],
    notes: &[
        "zones that were migrated to the Hetzner Console need `HETZNER_V2`: this API no longer has them",
        "Hetzner announced the end of this API for May 2026",
        "new values of a zone go in one call; one call for each value that is removed",
    ],
    connect,
};

/// Hint of errors that a migrated zone may be behind:
/// <https://docs.hetzner.com/networking/dns/migration-to-hetzner-console/process>.
const MIGRATED: &str = "a zone that was migrated to the Hetzner Console needs `TYPE` `HETZNER_V2`, \
                        with an API token of the project that has it";

#[derive(Debug)]
struct Hetzner {
    api: Api,
    zones: ZoneCache<Zone>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://dns.hetzner.com/api/v1");
    let api = Api::new(&SPEC, entry, context, base)?;
    let key = entry.required("api_key")?;
    Ok(Box::new(Hetzner {
        api: api.credential("api_key", "auth-api-token", key)?,
        zones: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
struct Zones {
    zones: Vec<Zone>,
}

#[derive(Clone, Debug, Deserialize)]
struct Zone {
    id: String,
    name: String,
    /// Of records without a TTL of their own, seconds.
    ttl: u32,
    ns: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<RecordAnswer>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
struct Pagination {
    #[serde(default)]
    page: u64,
    #[serde(default)]
    last_page: u64,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: String,
    #[serde(rename = "type")]
    rtype: String,
    /// `@` or a label; complete, with a final dot, where other tools made it.
    name: String,
    /// As in zone files.
    value: String,
    /// None: the zone's.
    ttl: Option<u32>,
}

/// What became of new records.
#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    invalid_records: Vec<Value>,
}

impl DnsProvider for Hetzner {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let default = self.zone(zone).await?.ttl;
            let record = |answer: RecordAnswer| {
                let name = owner(&answer.name, zone.name)?;
                let data = canonical(&answer.rtype, &answer.value, zone.name);
                let ttl = answer.ttl.unwrap_or(default);
                Ok(Record::new(name, &answer.rtype, ttl, data))
            };
            let answers = self.list(zone).await?.into_iter();
            // The SOA record cannot be changed.
            let others = answers.filter(|answer| answer.rtype != "SOA");
            others.map(record).collect()
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
        self.api.reading(zone, async move {
            let names = self.zone(zone).await?.ns;
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl Hetzner {
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<Zone> {
        let look_up = async {
            let name = zone.name.as_str();
            let url = with_parameter(&self.api.url(&["zones"])?, "name", name);
            let zones = match self.api.get::<Zones>(url).await {
                Ok(answer) => answer.zones,
                Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => Vec::new(),
                // The API may be gone altogether.
                Err(error) if may_be_migrated(&error) => return Err(with_hint(error, MIGRATED)),
                Err(error) => return Err(error),
            };
            let found = zones.into_iter().find(|one| one.name == name);
            found.ok_or_else(|| with_hint(self.api.no_zone(zone), MIGRATED))
        };
        self.zones.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let id = self.zone(zone).await?.id;
        // Without `per_page` all records come at once.
        let url = with_parameter(&self.api.url(&["records"])?, "zone_id", &id);
        let next = |page: &Page, _: &_, url: &Url| {
            let Pagination { page, last_page } = page.meta.pagination;
            (page < last_page).then(|| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.records).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<String>>> {
        let default = self.zone(zone).await?.ttl;
        let answers = self.list(zone).await?.into_iter();
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                name: owner(&answer.name, zone.name)?,
                ttl: answer.ttl.unwrap_or(default),
                value: Spelling::Quoted.text(&answer.value),
                id: answer.id,
            })
        };
        let texts = answers.filter(|answer| answer.rtype == "TXT");
        texts.map(record).collect()
    }

    /// Creates in one call, then deletes; says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<String>) -> Result<bool> {
        if !todo.create.is_empty() && !self.create(zone, &todo.create).await? {
            return Ok(false);
        }
        for id in &todo.delete {
            self.api.delete(self.api.url(&["records", id])?).await?;
        }
        Ok(true)
    }

    /// Says false where another writer was faster.
    async fn create(&self, zone: ZoneRef<'_>, new: &[NewTxt]) -> Result<bool> {
        let zone_id = self.zone(zone).await?.id;
        let records: Vec<Value> = new
            .iter()
            .map(|new| {
                json!({
                    "zone_id": zone_id,
                    "type": "TXT",
                    "name": new.txt.name.label_in(zone.name),
                    "value": Spelling::Quoted.spell(&new.txt.value),
                    "ttl": new.ttl,
                })
            })
            .collect();
        let url = self.api.url(&["records", "bulk"])?;
        let request = self.api.request(Method::POST, url);
        let request = request.json(&json!({ "records": records }));
        let reply = match self.api.send(request, Repeat::WhenRefused).await {
            Ok(reply) => reply,
            Err(error) if is_overtaken(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let created: Created = self.api.json(&reply)?;
        if created.invalid_records.is_empty() {
            return Ok(true);
        }
        Err(self.api.refused(&reply, Why::Other, "invalid records"))
    }
}

/// The record exists already (`taken`), or others are being written (`409 Conflict`); both come
/// with status 422: <https://github.com/timohirt/terraform-provider-hetznerdns/issues/31>.
fn is_overtaken(error: &anyhow::Error) -> bool {
    let body = failure(error).map_or("", |failure| &failure.body);
    status(error) == Some(StatusCode::UNPROCESSABLE_ENTITY)
        && (body.contains("taken") || body.contains("409 Conflict"))
}

/// Not the credentials, nor something that passes.
fn may_be_migrated(error: &anyhow::Error) -> bool {
    status(error).is_none_or(|status| {
        status.is_redirection() || status == StatusCode::GONE || status == StatusCode::FORBIDDEN
    })
}
