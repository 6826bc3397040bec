//! CLOUDFLAREAPI: Cloudflare's API v4.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::dotted;
use crate::provider::base::Base;
use crate::provider::cloudflare_compare;
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::failure;
use crate::provider::rrset::{Spelling, Todo, TxtRecord, settle};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "CLOUDFLAREAPI",
    name: "Cloudflare",
    api: "https://developers.cloudflare.com/api/resources/dns/",
    fields: &[
        Field {
            key: "apitoken",
            required: false,
            help: "API token; or `apikey` and `apiuser`",
        },
        Field {
            key: "apikey",
            required: false,
            help: "global API key; a token can be limited to a zone",
        },
        Field {
            key: "apiuser",
            required: false,
            help: "e-mail address of the user whose global API key it is",
        },
        Field {
            key: "accountid",
            required: false,
            help: "account to look for zones in; default: all that the token can read",
        },
    ],
    scope: "it needs the permissions `Zone > Zone > Read` and `Zone > DNS > Edit` for the zone",
    // https://developers.cloudflare.com/fundamentals/api/reference/limits/
    rates: &[Rate {
        requests: 1200,
        per: Duration::from_mins(5),
        of: Of::All,
    }],
    notes: &[
        "all values of a zone go in one call, 200 at a time",
        "proxy, CNAME flattening, and managed comments and tags are compared",
        "single redirects, page rules, worker routes and Universal SSL are not compared",
        "the apex NS set is Cloudflare's own and is not compared",
    ],
    connect,
};

/// Records of a page; the default is 100.
const PER_PAGE: &str = "5000";

/// Free plan: <https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>
const BATCH: usize = 200;

/// Smallest TTL but 1, which means automatic, seconds.
pub(super) const MINIMUM_TTL: u32 = 60;

/// Codes of errors that say that another writer was faster: the record exists (81057, 81058), or
/// does not exist any more (81044).
const OVERTAKEN: [i64; 3] = [81044, 81057, 81058];

#[derive(Debug)]
struct Cloudflare {
    api: Api,
    account: Option<String>,
    zones: ZoneCache<ZoneAnswer>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.cloudflare.com/client/v4");
    let api = Api::new(&SPEC, entry, context, base)?;
    let api = if entry.field("apikey").is_some() && entry.field("apitoken").is_none() {
        api.credential("apikey", "x-auth-key", entry.required("apikey")?)?
            .credential("apiuser", "x-auth-email", entry.required("apiuser")?)?
    } else {
        let token = format!("Bearer {}", entry.required("apitoken")?);
        api.credential("apitoken", "authorization", &token)?
    };
    Ok(Box::new(Cloudflare {
        api,
        account: entry.field("accountid").map(str::to_owned),
        zones: ZoneCache::default(),
    }))
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    result: T,
    #[serde(default)]
    result_info: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct ZoneAnswer {
    id: String,
    #[serde(default)]
    status: String,
    /// Null for zones that others are authoritative for.
    #[serde(default)]
    name_servers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: String,
    #[serde(rename = "type")]
    rtype: String,
    name: String,
    #[serde(default)]
    content: String,
    ttl: u32,
    priority: Option<u32>,
    proxied: Option<bool>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    meta: Value,
    comment: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl DnsProvider for Cloudflare {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone, None).await?;
            let own = answers.iter().filter(|answer| !answer.is_read_only());
            own.map(|answer| answer.record(zone.name)).collect()
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
            let names = self.zone(zone).await?.name_servers.unwrap_or_default();
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &[
                "SOA",
                "CF_REDIRECT",
                "CF_TEMP_REDIRECT",
                "CF_WORKER_ROUTE",
                "CLOUDFLAREAPI_SINGLE_REDIRECT",
            ],
            ignores_apex_ns: true,
            prepare: Some(Arc::new(cloudflare_compare::prepare)),
            ..Quirks::default()
        }
    }
}

impl Cloudflare {
    /// The zone of that name; one that is active, if several accounts have it.
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<ZoneAnswer> {
        let look_up = async {
            let (unicode, _) = idna::domain_to_unicode(zone.name.as_str());
            let mut found = self.zones_named(zone.name.as_str()).await?;
            if found.is_empty() && unicode != zone.name.as_str() {
                found = self.zones_named(&unicode).await?;
            }
            found.sort_by_key(|one| one.status != "active");
            let first = found.into_iter().next();
            first.ok_or_else(|| self.api.no_zone(zone))
        };
        self.zones.get(zone, look_up).await
    }

    async fn zones_named(&self, name: &str) -> Result<Vec<ZoneAnswer>> {
        let mut url = with_parameter(&self.api.url(&["zones"])?, "name", name);
        if let Some(account) = &self.account {
            url = with_parameter(&url, "account.id", account);
        }
        let answer: Envelope<Vec<ZoneAnswer>> = self.api.get(url).await?;
        Ok(answer.result)
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let mut url = with_parameter(&self.records_url(zone, &[]).await?, "per_page", PER_PAGE);
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "type", rtype);
        }
        let next = |answer: &Envelope<Vec<RecordAnswer>>, _: &_, url: &Url| {
            let number = |key: &str| answer.result_info.get(key)?.as_u64();
            (number("page")? < number("total_pages")?).then(|| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.result).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<String>>> {
        let answers = self.list(zone, Some("TXT")).await?;
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                value: answer.text(),
                name: answer.name.parse()?,
                ttl: answer.ttl,
                id: answer.id,
            })
        };
        answers.into_iter().map(record).collect()
    }

    /// Deletes and creates, as many as one call takes; says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<String>) -> Result<bool> {
        let deletes = todo.delete.iter().map(|id| json!({ "id": id }));
        let posts = todo.create.iter().map(|new| {
            json!({
                "type": "TXT",
                "name": new.txt.name.as_str(),
                "content": Spelling::Quoted.spell(&new.txt.value),
                "ttl": new.ttl,
            })
        });
        let deletes = deletes.map(|delete| ("deletes", delete));
        let all: Vec<(&str, Value)> = deletes.chain(posts.map(|post| ("posts", post))).collect();
        let url = self.records_url(zone, &["batch"]).await?;
        for chunk in all.chunks(BATCH) {
            let mut call: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
            for (kind, operation) in chunk {
                call.entry(kind).or_default().push(operation);
            }
            let request = self.api.request(Method::POST, url.clone()).json(&call);
            match self.api.send(request, Repeat::WhenRefused).await {
                Ok(_) => {}
                Err(error) if is_overtaken(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    async fn records_url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let id = self.zone(zone).await?.id;
        let path = [&["zones", id.as_str(), "dns_records"], more].concat();
        self.api.url(&path)
    }
}

fn is_overtaken(error: &anyhow::Error) -> bool {
    let body = failure(error).map_or("", |failure| &failure.body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let errors = body.get("errors").and_then(Value::as_array);
    let mut codes = errors
        .into_iter()
        .flatten()
        .filter_map(|error| error.get("code")?.as_i64());
    codes.any(|code| OVERTAKEN.contains(&code))
}

impl RecordAnswer {
    /// Cloudflare made it for another of its products.
    fn is_read_only(&self) -> bool {
        self.meta.get("read_only") == Some(&Value::Bool(true))
    }

    /// The text of a TXT record; records of old are not quoted.
    fn text(&self) -> String {
        if self.content.starts_with('"') {
            Spelling::Quoted.text(&self.content)
        } else {
            self.content.clone()
        }
    }

    fn record(&self, zone: &DnsName) -> Result<Record> {
        let name = full_owner(&self.name)?;
        // What DNSControl makes of these types.
        let rtype = match self.rtype.as_str() {
            "ALIAS" => "CNAME",
            "SPF" => "TXT",
            other => other,
        };
        let data = match rtype {
            "TXT" => self.text(),
            _ => canonical(rtype, &self.presentation(rtype), zone),
        };
        let mut record = Record::new(name, rtype, self.ttl.max(1), data);
        let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        let mut meta = |key: &str, value: String| record.meta.insert(key.to_owned(), value);
        if let Some(proxied) = self.proxied {
            meta("cloudflare_proxy", on_off(proxied));
        }
        let flatten = self.settings.get("flatten_cname");
        meta(
            "cloudflare_cname_flatten",
            on_off(flatten == Some(&Value::Bool(true))),
        );
        meta(
            "cloudflare_comment",
            self.comment.clone().unwrap_or_default(),
        );
        meta("cloudflare_tags", self.tags.join(","));
        Ok(record)
    }

    /// RDATA as in zone files: host names come without their final dot.
    fn presentation(&self, rtype: &str) -> String {
        let field = |key: &str| match self.data.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        match rtype {
            "CNAME" | "DNAME" | "NS" | "PTR" => dotted(&self.content),
            "MX" => format!("{} {}", self.priority.unwrap_or(0), dotted(&self.content)),
            "SRV" => format!(
                "{} {} {} {}",
                field("priority"),
                field("weight"),
                field("port"),
                dotted(&field("target"))
            ),
            _ => self.content.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn records_read_as_zone_files_have_them() {
        let answer = |json: Value| -> RecordAnswer { serde_json::from_value(json).unwrap() };
        let zone: DnsName = "example.test".parse().unwrap();
        for (json, expected) in [
            (
                json!({ "type": "TXT", "content": "raw \\ \"text" }),
                "TXT a.example.test \"raw \\ \"text\" ttl=1",
            ),
            (
                json!({ "type": "TXT", "content": "\"a\\\"b\" \"c\"" }),
                "TXT a.example.test \"a\"bc\" ttl=1",
            ),
            (
                json!({ "type": "CNAME", "content": "Other.test" }),
                "CNAME a.example.test other.test. ttl=1",
            ),
            (
                json!({ "type": "MX", "content": "mx.test", "priority": 5 }),
                "MX a.example.test 5 mx.test. ttl=1",
            ),
            (
                json!({ "type": "SRV", "content": "2\t3\tx.test", "data":
                    { "priority": 1, "weight": 2, "port": 3, "target": "x.test" } }),
                "SRV a.example.test 1 2 3 x.test. ttl=1",
            ),
        ] {
            let mut full = json!({ "id": "1", "name": "a.example.test", "ttl": 1 });
            full.as_object_mut()
                .unwrap()
                .extend(json.as_object().unwrap().clone());
            let record = answer(full).record(&zone).unwrap();
            assert_eq!(record.to_string(), expected);
        }
        let mut read_only = json!({ "id": "1", "type": "A", "name": "a.example.test", "ttl": 1 });
        read_only["meta"] = json!({ "read_only": true });
        assert!(answer(read_only).is_read_only());
    }
}
