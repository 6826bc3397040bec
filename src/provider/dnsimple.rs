//! DNSIMPLE: the API v2 of `DNSimple`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::rdata;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::{label, owner};
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{failure, status};
use crate::provider::rrset::{NewTxt, Spelling, Todo, TxtRecord, settle};

pub(super) const SPEC: Spec = Spec {
    kind: "DNSIMPLE",
    name: "DNSimple",
    api: "https://developer.dnsimple.com/v2/zones/records/",
    fields: &[
        Field {
            key: "token",
            required: true,
            help: "access token of the account, not of a user",
        },
        Field {
            key: "baseurl",
            required: false,
            help: "address of the API, such as `https://api.sandbox.dnsimple.com`",
        },
    ],
    scope: "it must be an access token of the account; from the plan Teams on, limit it to full access to the zone",
    // https://developer.dnsimple.com/v2/#rate-limiting
    rates: &[Rate {
        requests: 2400,
        per: Duration::from_hours(1),
        of: Of::All,
    }],
    notes: &[
        "all values of a zone go in one call, 100 at a time, on the plan Enterprise; on others one call for each value",
        "whether the plan has batches is asked once in a run",
        "apex NS, SOA, CDS, CDNSKEY and DNSKEY records are not compared, nor is DNSSEC",
    ],
    connect,
};

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 4] = [
    "ns1.dnsimple.com",
    "ns2.dnsimple-edge.net",
    "ns3.dnsimple.com",
    "ns4.dnsimple-edge.org",
];

/// Records of a page, at most: <https://developer.dnsimple.com/v2/#pagination>.
const PER_PAGE: &str = "100";

/// Operations of a batch, at most: <https://blog.dnsimple.com/2025/10/bulk-dns-updates>.
const BATCH: usize = 100;

/// What errors say of a record that another writer made or deleted first.
const OVERTAKEN: [&str; 2] = ["Matching record already exists", "Record not found"];

#[derive(Debug)]
struct Dnsimple {
    api: Api,
    account: OnceCell<u64>,
    /// The account's plan has no batches.
    has_no_batches: AtomicBool,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::VendorOr("https://api.dnsimple.com", "baseurl");
    let token = format!("Bearer {}", entry.required("token")?);
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(Dnsimple {
        api: api.credential("token", "authorization", &token)?,
        account: OnceCell::new(),
        has_no_batches: AtomicBool::new(false),
    }))
}

/// Every answer.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
struct Pagination {
    current_page: u64,
    total_pages: u64,
}

#[derive(Deserialize)]
struct Whoami {
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    id: u64,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: u64,
    /// Empty at the apex.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    content: String,
    ttl: u32,
    priority: Option<u32>,
}

impl DnsProvider for Dnsimple {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone, None).await?;
            let records = answers.iter().map(|answer| answer.record(zone.name));
            records.collect()
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
            ignored_types: &["SOA", "CDS", "CDNSKEY", "DNSKEY"],
            ignores_apex_ns: true,
            ..Quirks::default()
        }
    }
}

impl Dnsimple {
    /// The account that the token is for: <https://developer.dnsimple.com/v2/identity/>.
    async fn account(&self) -> Result<u64> {
        let look_up = async {
            let url = self.api.url(&["v2", "whoami"])?;
            let Envelope { data, .. } = self.api.get::<Envelope<Whoami>>(url).await?;
            let account = data.account.ok_or_else(|| {
                with_hint(
                    anyhow!("the token is of a user, not of an account"),
                    "make an access token of the account that has the zone: https://support.dnsimple.com/articles/api-access-token/",
                )
            });
            account.map(|account| account.id)
        };
        self.account.get_or_try_init(|| look_up).await.copied()
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let url = self.url(zone, &["records"]).await?;
        let mut url = with_parameter(&url, "per_page", PER_PAGE);
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "type", rtype);
        }
        let next = |page: &Envelope<Vec<RecordAnswer>>, _: &_, url: &Url| {
            let Pagination {
                current_page,
                total_pages,
            } = page.pagination;
            (current_page < total_pages).then(|| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.data).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<u64>>> {
        let answers = self.list(zone, Some("TXT")).await?;
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id,
                name: owner(&answer.name, zone.name)?,
                ttl: answer.ttl,
                value: answer.text(),
            })
        };
        answers.into_iter().map(record).collect()
    }

    /// Says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<bool> {
        let written = if self.has_no_batches.load(Ordering::Relaxed) {
            self.write_singly(zone, todo).await
        } else {
            match self.write_batches(zone, todo).await {
                Err(error) if status(&error) == Some(StatusCode::PRECONDITION_FAILED) => {
                    self.has_no_batches.store(true, Ordering::Relaxed);
                    self.write_singly(zone, todo).await
                }
                written => written,
            }
        };
        match written {
            Err(error) if is_overtaken(&error) => Ok(false),
            written => written.map(|()| true),
        }
    }

    /// <https://developer.dnsimple.com/v2/zones/batch-change-zone-records/>
    async fn write_batches(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<()> {
        let deletes = todo
            .delete
            .iter()
            .map(|id| ("deletes", json!({ "id": id })));
        let creates = todo.create.iter().map(|new| ("creates", body(zone, new)));
        let all: Vec<(&str, Value)> = deletes.chain(creates).collect();
        let url = self.url(zone, &["batch"]).await?;
        for chunk in all.chunks(BATCH) {
            let mut batch: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
            for (kind, operation) in chunk {
                batch.entry(kind).or_default().push(operation);
            }
            let request = self.api.request(Method::POST, url.clone()).json(&batch);
            self.api.send(request, Repeat::WhenRefused).await?;
        }
        Ok(())
    }

    async fn write_singly(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<()> {
        let url = self.url(zone, &["records"]).await?;
        for new in &todo.create {
            let request = self.api.request(Method::POST, url.clone());
            let request = request.json(&body(zone, new));
            self.api.send(request, Repeat::WhenRefused).await?;
        }
        for id in &todo.delete {
            let url = self.url(zone, &["records", &id.to_string()]).await?;
            self.api.delete(url).await?;
        }
        Ok(())
    }

    async fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let account = self.account().await?.to_string();
        let path = ["v2", account.as_str(), "zones", zone.name.as_str()];
        self.api.url(&[&path[..], more].concat())
    }
}

fn body(zone: ZoneRef<'_>, new: &NewTxt) -> Value {
    json!({
        "name": label(&new.txt.name, zone.name),
        "type": "TXT",
        "content": Spelling::Quoted.spell(&new.txt.value),
        "ttl": new.ttl,
    })
}

fn is_overtaken(error: &anyhow::Error) -> bool {
    failure(error).is_some_and(|failure| {
        failure.status == Some(StatusCode::BAD_REQUEST)
            && OVERTAKEN.iter().any(|words| failure.body.contains(words))
    })
}

impl RecordAnswer {
    /// The text of a TXT record; records of old are not quoted.
    fn text(&self) -> String {
        if self.content.starts_with('"') {
            Spelling::Quoted.text(&self.content)
        } else {
            self.content.clone()
        }
    }

    fn record(&self, zone: &DnsName) -> Result<Record> {
        let data = match self.rtype.as_str() {
            "TXT" => self.text(),
            rtype => rdata(rtype, self.priority.unwrap_or(0), &self.content),
        };
        let owner = owner(&self.name, zone)?;
        Ok(Record::new(owner, &self.rtype, self.ttl, data))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn records_read_as_zone_files_have_them() {
        let zone: DnsName = "example.test".parse().unwrap();
        for (name, rtype, content, priority, expected) in [
            (
                "a",
                "TXT",
                "\"a \\\"b\\\"\" \"c\"",
                None,
                "TXT a.example.test \"a \"b\"c\" ttl=60",
            ),
            (
                "a",
                "TXT",
                "v=spf1 -all",
                None,
                "TXT a.example.test \"v=spf1 -all\" ttl=60",
            ),
            (
                "",
                "ALIAS",
                "Other.test",
                None,
                "ALIAS example.test other.test. ttl=60",
            ),
            (
                "",
                "MX",
                "mx.test",
                Some(5),
                "MX example.test 5 mx.test. ttl=60",
            ),
            (
                "_sip._tcp",
                "SRV",
                "2 5060 sip.test",
                Some(1),
                "SRV _sip._tcp.example.test 1 2 5060 sip.test. ttl=60",
            ),
        ] {
            let answer = json!({
                "id": 1, "name": name, "type": rtype, "content": content, "ttl": 60,
                "priority": priority,
            });
            let answer: RecordAnswer = serde_json::from_value(answer).unwrap();
            assert_eq!(answer.record(&zone).unwrap().to_string(), expected);
        }
    }
}
