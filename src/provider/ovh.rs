//! OVH: the DNS zones of `OVHcloud`'s API.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::quote;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::{label, owner};
use crate::provider::nameservers;
use crate::provider::pages::with_parameter;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Reply, failure, status};
use crate::provider::rrset::{NewTxt, Rounds, Spelling, Todo, TxtRecord, todo};
use crate::provider::zonefile;

pub(super) const SPEC: Spec = Spec {
    kind: "OVH",
    name: "OVHcloud",
    api: "https://eu.api.ovh.com/console/?section=%2Fdomain&branch=v1",
    fields: &[
        Field {
            key: "app-key",
            required: true,
            help: "application key",
        },
        Field {
            key: "app-secret-key",
            required: true,
            help: "application secret",
        },
        Field {
            key: "consumer-key",
            required: true,
            help: "consumer key, which has the rights",
        },
        Field {
            key: "endpoint",
            required: false,
            help: "`eu` (default), `ca` or `us`, or the URL of another API",
        },
    ],
    scope: "the consumer key needs `GET /domain/zone/ZONE`, `GET /domain/zone/ZONE/*`, \
            `POST /domain/zone/ZONE/record`, `POST /domain/zone/ZONE/refresh`, \
            `DELETE /domain/zone/ZONE/record/*`, `GET /domain/ZONE/nameServer` and \
            `GET /domain/ZONE/nameServer/*`",
    // None is published; more than 60 requests a minute are not fair use, say its developers:
    // https://github.com/ovh/python-ovh/issues/81
    rates: &[],
    notes: &[
        "a zone is read in one call, as a zone file",
        "one call for each value that is added and three for each that is removed, and one that puts the change into service",
        "DKIM, SPF and DMARC records are TXT records here; they are never changed",
        "records without a TTL count as 3600 seconds, as in DNSControl, whatever the zone's default is",
    ],
    connect,
};

/// TTL of records that have none, as DNSControl takes it, seconds.
const DEFAULT_TTL: u32 = 3600;

/// How many names are looked up at once.
const PARALLEL: usize = 4;

#[derive(Debug)]
struct Ovh {
    api: Api,
    secret: String,
    consumer: String,
    /// Seconds that the server's clock is ahead of ours.
    ahead: OnceCell<i64>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    const EU: &str = "https://eu.api.ovh.com/1.0";
    let endpoint = entry.field("endpoint").map(str::to_lowercase);
    let base = match endpoint.as_deref() {
        None | Some("eu" | "ovh-eu") => Base::Vendor(EU),
        Some("ca" | "ovh-ca") => Base::Vendor("https://ca.api.ovh.com/1.0"),
        Some("us" | "ovh-us") => Base::Vendor("https://api.us.ovhcloud.com/1.0"),
        Some(_) => Base::VendorOr(EU, "endpoint"),
    };
    let api = Api::new(&SPEC, entry, context, base)?
        .shows("endpoint")
        .credential("app-key", "x-ovh-application", entry.required("app-key")?)?
        .credential_in_request("app-secret-key")
        .credential_in_request("consumer-key");
    Ok(Box::new(Ovh {
        api,
        secret: entry.required("app-secret-key")?.to_owned(),
        consumer: entry.required("consumer-key")?.to_owned(),
        ahead: OnceCell::new(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordAnswer {
    id: u64,
    /// Nothing for the zone itself.
    sub_domain: Option<String>,
    target: String,
    ttl: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZoneAnswer {
    name_servers: Vec<String>,
}

/// A name server of the domain, where it is registered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameServer {
    host: String,
    #[serde(default)]
    to_delete: bool,
}

impl DnsProvider for Ovh {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let mut records = self.export(zone).await?;
            records.retain(|record| record.rtype != "SOA");
            Ok(records)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            if batch.add.is_empty() && batch.remove.is_empty() {
                return Ok(());
            }
            let mut rounds = Rounds::default();
            loop {
                let todo = todo(&self.txt_records(zone, batch).await?, batch, TXT_TTL);
                let written = self.write(zone, &todo).await;
                // Even after a failure, so that the next look sees what was written; and even
                // where nothing was, because an earlier run may have ended in between.
                let refreshed = self.refresh(zone).await;
                let done = written.and(refreshed).map(|()| true);
                if rounds.settled(done).await? {
                    return Ok(());
                }
            }
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let mut names = self.registered(zone).await?;
            if names.is_empty() {
                let answer: ZoneAnswer = self.get(self.url(zone, &[])?).await?;
                names = answer.name_servers;
            }
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

impl Ovh {
    /// The zone as a zone file, which has every record and type.
    async fn export(&self, zone: ZoneRef<'_>) -> Result<Vec<Record>> {
        let text: String = self.get(self.url(zone, &["export"])?).await?;
        read(&text, zone.name).context("cannot read the zone file that OVHcloud exports")
    }

    /// The TXT records at the names of a batch. An id takes calls of its own, so the ones that
    /// cannot have to be deleted have none.
    async fn txt_records(
        &self,
        zone: ZoneRef<'_>,
        batch: &TxtBatch,
    ) -> Result<Vec<TxtRecord<Option<u64>>>> {
        let with_ids: BTreeSet<&DnsName> = batch.remove.iter().map(|txt| &txt.name).collect();
        let looks = with_ids.iter().map(|name| self.records_at(zone, name));
        let looks: Vec<_> = looks.collect();
        let found: Vec<Vec<_>> = iter(looks).buffered(PARALLEL).try_collect().await?;
        let mut listed: Vec<_> = found.into_iter().flatten().collect();
        if batch.add.iter().any(|txt| !with_ids.contains(&txt.name)) {
            let exported = self.export(zone).await?.into_iter();
            let others =
                exported.filter(|record| record.rtype == "TXT" && !with_ids.contains(&record.name));
            listed.extend(others.map(|record| TxtRecord {
                id: None,
                name: record.name,
                ttl: record.ttl,
                value: record.data,
            }));
        }
        Ok(listed)
    }

    /// The TXT records at one name, with their ids.
    async fn records_at(
        &self,
        zone: ZoneRef<'_>,
        name: &DnsName,
    ) -> Result<Vec<TxtRecord<Option<u64>>>> {
        let url = with_parameter(&self.url(zone, &["record"])?, "fieldType", "TXT");
        let url = with_parameter(&url, "subDomain", label(name, zone.name));
        let ids: Vec<u64> = self.get(url).await?;
        let mut records = Vec::new();
        for id in ids {
            let url = self.url(zone, &["record", &id.to_string()])?;
            let answer: RecordAnswer = match self.get(url).await {
                Ok(answer) => answer,
                Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => continue,
                Err(error) => return Err(error),
            };
            records.push(TxtRecord {
                id: Some(answer.id),
                name: owner(answer.sub_domain.as_deref().unwrap_or_default(), zone.name)?,
                ttl: answer.ttl.filter(|ttl| *ttl != 0).unwrap_or(DEFAULT_TTL),
                value: text(&answer.target),
            });
        }
        // The parameter is a pattern, in which `_` is any character.
        records.retain(|record| record.name == *name);
        Ok(records)
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<Option<u64>>) -> Result<()> {
        for new in &todo.create {
            self.create(zone, new).await?;
        }
        for id in todo.delete.iter().flatten() {
            let url = self.url(zone, &["record", &id.to_string()])?;
            match self.call(Method::DELETE, url, None, Repeat::Safe).await {
                Err(error) if status(&error) != Some(StatusCode::NOT_FOUND) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "fieldType": "TXT",
            "subDomain": label(&new.txt.name, zone.name),
            "target": Spelling::Quoted.spell(&new.txt.value),
            "ttl": new.ttl,
        });
        let url = self.url(zone, &["record"])?;
        let sent = self.call(Method::POST, url, Some(&body), Repeat::WhenRefused);
        sent.await.map(|_| ())
    }

    /// Puts what was written into service.
    async fn refresh(&self, zone: ZoneRef<'_>) -> Result<()> {
        let url = self.url(zone, &["refresh"])?;
        let sent = self.call(Method::POST, url, None, Repeat::Safe);
        sent.await.map(|_| ())
    }

    /// The name servers of the domain; none where it is registered elsewhere.
    async fn registered(&self, zone: ZoneRef<'_>) -> Result<Vec<String>> {
        let path = ["domain", zone.name.as_str(), "nameServer"];
        let ids: Vec<u64> = match self.get(self.api.url(&path)?).await {
            Ok(ids) => ids,
            Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for id in ids {
            let id = id.to_string();
            let path = [&path[..], &[&id]].concat();
            let server: NameServer = self.get(self.api.url(&path)?).await?;
            if !server.to_delete {
                names.push(server.host);
            }
        }
        Ok(names)
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let path = [&["domain", "zone", zone.name.as_str()], more].concat();
        self.api.url(&path)
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let reply = self.call(Method::GET, url, None, Repeat::Safe).await?;
        self.api.json(&reply)
    }

    /// Sends a signed request:
    /// <https://help.ovhcloud.com/csm/en-gb-api-getting-started-ovhcloud-api?id=kb_article_view&sysparm_article=KB0042784>.
    async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
        repeat: Repeat,
    ) -> Result<Reply> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let time = self.time().await?.to_string();
        let signed = [
            &self.secret,
            &self.consumer,
            method.as_str(),
            url.as_str(),
            &body,
            &time,
        ];
        let signature = sha1(&signed.join("+"));
        let mut request = self
            .api
            .request(method, url)
            .header("x-ovh-consumer", &self.consumer)
            .header("x-ovh-timestamp", time)
            .header("x-ovh-signature", format!("$1${signature}"));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        self.api.send(request, repeat).await.map_err(|error| {
            let body = failure(&error).map_or("", |failure| &failure.body);
            if body.contains("INVALID_SIGNATURE") {
                self.api.blame_credentials(error)
            } else {
                error
            }
        })
    }

    /// The server's time: requests that are old by its clock are refused.
    async fn time(&self) -> Result<i64> {
        let now = || OffsetDateTime::now_utc().unix_timestamp();
        let ask = async {
            let url = self.api.url(&["auth", "time"])?;
            let server: i64 = self.api.get(url).await?;
            anyhow::Ok(server - now())
        };
        let ahead = self.ahead.get_or_try_init(|| ask).await?;
        Ok(now() + ahead)
    }
}

/// The records of an exported zone; the ones without a TTL get DNSControl's.
fn read(export: &str, zone: &DnsName) -> Result<Vec<Record>> {
    let mut file = format!("$TTL {DEFAULT_TTL}\n");
    for line in export.lines().filter(|line| !line.starts_with("$TTL")) {
        match line.split_once(" IN TXT ") {
            // Other clients store texts without quotes.
            Some((start, target)) if !target.trim().starts_with(['"', '(']) => {
                file.push_str(&format!("{start} IN TXT {}\n", quote(target.trim())));
            }
            _ => file.push_str(&format!("{line}\n")),
        }
    }
    zonefile::records(&file, zone)
}

/// The text of a TXT record; without quotes it is the text itself, as DNSControl takes it.
fn text(target: &str) -> String {
    if target.starts_with('"') {
        Spelling::Quoted.text(target)
    } else {
        target.to_owned()
    }
}

fn sha1(text: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    /// The form of an exported zone.
    const EXPORT: &str = r#"$TTL 86400
@	IN SOA dns106.ovh.net. tech.ovh.net. (2024011405 86400 3600 3600000 60)
                       IN NS     dns106.ovh.net.
                       IN MX     1 mx1.mail.ovh.net.
                       IN CAA    128 issue "letsencrypt.org"
                   600 IN TXT    "1|www.example.test"
*                      IN CNAME  example.test.
_dmarc                 IN TXT    ( "v=DMARC1; p=none;" )
_imaps._tcp        300 IN SRV    0 0 993 ssl0.ovh.net.
bare                60 IN TXT    v=spf1 mx; -all
mail._domainkey        IN TXT    ( "v=DKIM1; k=rsa; p=MIGf" "MA0" )
"#;

    #[test]
    fn an_exported_zone_is_read() {
        let zone: DnsName = "example.test".parse().unwrap();
        let records = read(EXPORT, &zone).unwrap();
        let lines: Vec<String> = records.iter().skip(1).map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "NS example.test dns106.ovh.net. ttl=3600",
                "MX example.test 1 mx1.mail.ovh.net. ttl=3600",
                "CAA example.test 128 issue \"letsencrypt.org\" ttl=3600",
                "TXT example.test \"1|www.example.test\" ttl=600",
                "CNAME *.example.test example.test. ttl=3600",
                "TXT _dmarc.example.test \"v=DMARC1; p=none;\" ttl=3600",
                "SRV _imaps._tcp.example.test 0 0 993 ssl0.ovh.net. ttl=300",
                "TXT bare.example.test \"v=spf1 mx; -all\" ttl=60",
                "TXT mail._domainkey.example.test \"v=DKIM1; k=rsa; p=MIGfMA0\" ttl=3600",
            ]
        );
    }
}
