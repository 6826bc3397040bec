//! NAMEDOTCOM: the v4 API of name.com.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, Zone, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::rdata;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::with_parameter;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};

pub(super) const SPEC: Spec = Spec {
    kind: "NAMEDOTCOM",
    name: "name.com",
    api: "https://www.name.com/api-docs/DNS",
    fields: &[
        Field {
            key: "apiuser",
            required: true,
            help: "name of the user",
        },
        Field {
            key: "apikey",
            required: true,
            help: "API token of the user",
        },
        Field {
            key: "apiurl",
            required: false,
            help: "address of the API, such as `https://api.dev.name.com` for the test system",
        },
    ],
    scope: "they must be a user's name and the API token for the same system, which can do all that the user can",
    // https://www.name.com/api-docs
    rates: &[
        Rate {
            requests: 20,
            per: Duration::from_secs(1),
            of: Of::All,
        },
        Rate {
            requests: 3000,
            per: Duration::from_hours(1),
            of: Of::All,
        },
    ],
    notes: &[
        "one call for each value: the API has no batches",
        "new sets get a TTL of 300, the smallest that the API takes",
        "the API has A, AAAA, ANAME, CNAME, MX, NS, SRV and TXT records only; `ALIAS` is compared as ANAME",
        "the apex NS set is name.com's own and is not compared",
    ],
    connect,
};

/// Records of a page: the default, and what the API knows as most.
const PER_PAGE: &str = "1000";

/// "Name.com allows a minimum TTL of 300, or 5 minutes."
const MINIMUM_TTL: u32 = 300;

#[derive(Debug)]
struct NameDotCom {
    api: Api,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::VendorOr("https://api.name.com", "apiurl");
    let (user, key) = (entry.required("apiuser")?, entry.required("apikey")?);
    let basic = STANDARD.encode(format!("{user}:{key}"));
    let api = Api::new(&SPEC, entry, context, base)?.credential_in_request("apiuser");
    api.hide("apikey", &basic);
    Ok(Box::new(NameDotCom {
        api: api.credential("apikey", "authorization", &format!("Basic {basic}"))?,
    }))
}

#[derive(Deserialize)]
struct Page {
    /// Fields with their default value are left out, of answers too.
    #[serde(default)]
    records: Vec<RecordAnswer>,
    /// Not on the last page.
    #[serde(rename = "nextPage")]
    next_page: Option<u64>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: u64,
    fqdn: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    answer: String,
    ttl: u32,
    priority: Option<u32>,
}

#[derive(Deserialize)]
struct DomainAnswer {
    #[serde(default)]
    nameservers: Vec<String>,
}

impl DnsProvider for NameDotCom {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone).await?;
            answers.iter().map(RecordAnswer::record).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL.max(MINIMUM_TTL), list, write).await
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let url = self.api.url(&["v4", "domains", zone.name.as_str()])?;
            let domain: DomainAnswer = self.api.get(url).await?;
            let names = nameservers(&domain.nameservers);
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignores_apex_ns: true,
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl NameDotCom {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let url = with_parameter(&self.url(zone, &[])?, "perPage", PER_PAGE);
        let next = |page: &Page, _: &_, url: &Url| {
            let number = page.next_page.filter(|number| *number > 0)?;
            Some(with_parameter(url, "page", &number.to_string()))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.records).collect())
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<u64>>> {
        let answers = self.list(zone).await?;
        let texts = answers.into_iter().filter(|answer| answer.rtype == "TXT");
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id,
                name: full_owner(&answer.fqdn)?,
                ttl: answer.ttl,
                value: answer.answer,
            })
        };
        texts.map(record).collect()
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<u64>) -> Result<bool> {
        for new in &todo.create {
            self.create(zone, new).await?;
        }
        for id in &todo.delete {
            let url = self.url(zone, &[&id.to_string()])?;
            self.api.delete(url).await?;
        }
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "host": new.txt.name.label_in(zone.name),
            "type": "TXT",
            "answer": new.txt.value,
            "ttl": new.ttl,
        });
        let request = self.api.request(Method::POST, self.url(zone, &[])?);
        let request = request.json(&body);
        self.api
            .send(request, Repeat::WhenRefused)
            .await
            .map(|_| ())
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let path = [&["v4", "domains", zone.name.as_str(), "records"], more].concat();
        self.api.url(&path)
    }
}

/// What DNSControl declares at the apex: `ns1.name.com` to `ns4.name.com`, each by the name that
/// the domain has it under, such as `ns1abc.name.com`.
fn nameservers(of_domain: &[String]) -> Vec<String> {
    (1..=4)
        .map(|number| {
            let own = of_domain.iter().find(|name| {
                let letters = name
                    .strip_prefix(&format!("ns{number}"))
                    .and_then(|rest| rest.strip_suffix(".name.com"));
                letters.is_some_and(|letters| {
                    letters.len() == 3 && letters.bytes().all(|byte| byte.is_ascii_lowercase())
                })
            });
            own.cloned()
                .unwrap_or_else(|| format!("ns{number}.name.com"))
        })
        .collect()
}

impl RecordAnswer {
    fn record(&self) -> Result<Record> {
        let data = rdata(&self.rtype, self.priority.unwrap_or(0), &self.answer);
        let owner = full_owner(&self.fqdn)?;
        Ok(Record::new(owner, &self.rtype, self.ttl, data))
    }
}

/// What DNSControl makes of a record before it compares.
fn prepare(_: &Zone, mut record: Record) -> Record {
    if record.rtype == "ALIAS" {
        "ANAME".clone_into(&mut record.rtype);
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_go_by_the_domains_own_names() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            nameservers(&names).join(" ")
        };
        assert_eq!(
            of(&["ns3xyz.name.com", "ns1abc.name.com", "ns2.example.com"]),
            "ns1abc.name.com ns2.name.com ns3xyz.name.com ns4.name.com"
        );
        assert_eq!(
            of(&["ns1ABC.name.com", "ns2abcd.name.com", "ns5abc.name.com"]),
            "ns1.name.com ns2.name.com ns3.name.com ns4.name.com"
        );
    }
}
