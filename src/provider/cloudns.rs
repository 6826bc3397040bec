//! CLOUDNS: the HTTP API of `ClouDNS`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded::Serializer;

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
use crate::provider::patience::send_patiently;
use crate::provider::port::{Answer, COMPARED, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Reply, Why, failure};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::together::write_singly;
use crate::provider::ttls::rounded_up;
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "CLOUDNS",
    name: "ClouDNS",
    api: "https://www.cloudns.net/wiki/article/41/",
    fields: &[
        Field {
            key: "auth-id",
            required: false,
            help: "id of an API user; or `sub-auth-id`",
        },
        Field {
            key: "sub-auth-id",
            required: false,
            help: "id of an API sub-user, who can be limited to zones",
        },
        Field {
            key: "auth-password",
            required: true,
            help: "password of the API user or sub-user",
        },
    ],
    scope: "it must be an API user, better a sub-user for these zones alone, who is allowed the address of this machine; the plan must include the HTTP API",
    // Not published. A refusal names the limit, 20 a second in 2026, 10 a second in 2021:
    // https://github.com/DNSControl/dnscontrol/issues/1027
    rates: &[Rate {
        requests: 10,
        per: Duration::from_secs(1),
        of: Of::All,
    }],
    notes: &[
        "one call for each value, eight at a time: the API has no batches",
        "TTLs are rounded up to 60, 300, 900, 1800, 3600 and so on; new sets get the smallest one that the plan allows",
        "`cloudns_geodns_code` is compared; DNSSEC and the SOA record are not",
        "`sub-auth-user` is not supported, as in DNSControl",
    ],
    connect,
};

/// TTLs that `ClouDNS` stores, seconds: <https://www.cloudns.net/wiki/article/58/>
const TTLS: [u32; 13] = [
    60, 300, 900, 1800, 3600, 21_600, 43_200, 86_400, 172_800, 259_200, 604_800, 1_209_600,
    2_592_000,
];

/// Metadata with the place that a record is for; `DEFAULT` is the same as none.
const GEODNS: &str = "cloudns_geodns_code";

#[derive(Debug)]
struct ClouDns {
    api: Api,
    /// Sent with every request.
    credentials: Vec<(&'static str, String)>,
    /// Smallest TTL of each zone, seconds.
    minimum_ttls: ZoneCache<u32>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.cloudns.net");
    let mut api = Api::new(&SPEC, entry, context, base)?;
    let mut credentials = Vec::new();
    for key in ["auth-id", "sub-auth-id", "auth-password"] {
        if let Some(value) = entry.optional(key)? {
            credentials.push((key, value.to_owned()));
            api = api.credential_in_request(key);
        }
    }
    if credentials.len() < 2 {
        entry.required("auth-id")?;
    }
    Ok(Box::new(ClouDns {
        api,
        credentials,
        minimum_ttls: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
struct Nameserver {
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

/// A record: almost every field is text, and which there are depends on the type.
#[derive(Deserialize)]
struct RecordAnswer(serde_json::Map<String, Value>);

impl DnsProvider for ClouDns {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            self.minimum_ttl(zone).await?;
            let answers = self.list(zone, None).await?;
            answers.iter().map(|one| one.record(zone.name)).collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let ttl = stored_ttl(self.minimum_ttl(zone).await?.max(TXT_TTL));
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, ttl, list, write).await
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let call = self.call("available-name-servers.json", &[], Repeat::Safe);
            let servers: Vec<Nameserver> = call.await?;
            // What DNSControl declares at the apex.
            let premium = servers.iter().filter(|server| server.kind == "premium");
            nameservers::parsed(premium.map(|server| &server.name))
        })
    }

    fn quirks(&self, zone: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            minimum_ttl: self.minimum_ttls.known(zone).unwrap_or_default(),
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl ClouDns {
    /// The smallest TTL that the plan allows: <https://www.cloudns.net/wiki/article/153/>
    async fn minimum_ttl(&self, zone: ZoneRef<'_>) -> Result<u32> {
        let look_up = async {
            let domain = [("domain-name", zone.name.as_str())];
            let call = self.call("get-available-ttl.json", &domain, Repeat::Safe);
            let allowed: Vec<u32> = call.await?;
            Ok(allowed.into_iter().min().unwrap_or_default())
        };
        self.minimum_ttls.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RecordAnswer>> {
        let mut parameters = vec![("domain-name", zone.name.as_str())];
        parameters.extend(rtype.map(|rtype| ("type", rtype)));
        // An object of records by their ids, but a list where there are none.
        match self.call("records.json", &parameters, Repeat::Safe).await? {
            Value::Object(records) => {
                let records = records.into_iter().map(|(_, record)| record);
                let parsed = records.map(serde_json::from_value);
                parsed.collect::<Result<_, _>>().context("a record")
            }
            other => serde_json::from_value(other).context("the list of records"),
        }
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<String>>> {
        let answers = self.list(zone, Some("TXT")).await?.into_iter();
        // A type that the API does not know is ignored, and everything listed.
        let texts = answers.filter(|answer| answer.text("type") == "TXT");
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.text("id"),
                name: owner(&answer.text("host"), zone.name)?,
                ttl: answer.ttl(),
                value: answer.text("record"),
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
        let parameters = [
            ("domain-name", zone.name.as_str()),
            ("record-type", "TXT"),
            ("host", label(&new.txt.name, zone.name)),
            ("record", &new.txt.value),
            ("ttl", &new.ttl.to_string()),
        ];
        let call = self.call("add-record.json", &parameters, Repeat::WhenRefused);
        call.await.map(|_: Value| ())
    }

    async fn delete(&self, zone: ZoneRef<'_>, id: &str) -> Result<()> {
        let parameters = [("domain-name", zone.name.as_str()), ("record-id", id)];
        let call = self.call("delete-record.json", &parameters, Repeat::Safe);
        let deleted: Result<Value> = call.await;
        let is_gone = |error: &anyhow::Error| {
            failure(error).is_some_and(|failure| failure.body.contains("Invalid record-id"))
        };
        match deleted {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Credentials and parameters go in the body, so that no address holds them.
    async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        parameters: &[(&str, &str)],
        repeat: Repeat,
    ) -> Result<T> {
        let form = Serializer::new(String::new())
            .extend_pairs(&self.credentials)
            .extend_pairs(parameters)
            .finish();
        let request = self
            .api
            .request(Method::POST, self.api.url(&["dns", function])?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let reply = send_patiently(&self.api, request, repeat, is_over_limit).await?;
        let Some(words) = refusal(&reply) else {
            return self.api.json(&reply);
        };
        let why = if words.starts_with("Missing domain-name") {
            Why::NotFound
        } else if words.starts_with("Invalid authentication") || words.contains("access") {
            Why::Credentials
        } else {
            Why::Other
        };
        Err(self.api.refused(&reply, why, &words))
    }
}

/// What an answer says no with; its status is 200 all the same.
fn refusal(reply: &Reply) -> Option<String> {
    let body: Value = serde_json::from_str(&reply.body).ok()?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    (text("status")? == "Failed").then(|| text("statusDescription").unwrap_or_default().to_owned())
}

fn is_over_limit(reply: &Reply) -> bool {
    refusal(reply).is_some_and(|words| words.starts_with("Request blocked."))
}

impl RecordAnswer {
    fn text(&self, key: &str) -> String {
        match self.0.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    fn ttl(&self) -> u32 {
        self.text("ttl").parse().unwrap_or_default()
    }

    fn record(&self, zone: &DnsName) -> Result<Record> {
        let rtype = match self.text("type").as_str() {
            "WR" | "CLOUD_WR" => "CLOUDNS_WR".to_owned(),
            other => other.to_owned(),
        };
        let data = match rtype.as_str() {
            "TXT" => self.text("record"),
            rtype => canonical(rtype, &self.presentation(rtype), zone),
        };
        let owner = owner(&self.text("host"), zone)?;
        let mut record = Record::new(owner, &rtype, self.ttl(), data);
        let place = self.text("geodns-location-code");
        if !place.is_empty() {
            record.meta.insert(GEODNS.to_owned(), place);
        }
        Ok(record)
    }

    /// RDATA as in zone files: host names come without their final dot.
    fn presentation(&self, rtype: &str) -> String {
        let text = |key: &str| self.text(key);
        let joined = |keys: &[&str]| {
            let texts: Vec<String> = keys.iter().map(|key| text(key)).collect();
            texts.join(" ")
        };
        let host = |key: &str| dotted(&text(key));
        match rtype {
            "ALIAS" | "CNAME" | "DNAME" | "NS" | "PTR" => host("record"),
            "MX" => format!("{} {}", text("priority"), host("record")),
            "SRV" => {
                let numbers = joined(&["priority", "weight", "port"]);
                format!("{numbers} {}", host("record"))
            }
            "CAA" => {
                let start = joined(&["caa_flag", "caa_type"]);
                format!("{start} {}", quote(&text("caa_value")))
            }
            "TLSA" => joined(&[
                "tlsa_usage",
                "tlsa_selector",
                "tlsa_matching_type",
                "record",
            ]),
            "SSHFP" => joined(&["algorithm", "fp_type", "record"]),
            "DS" => joined(&["key_tag", "algorithm", "digest_type", "record"]),
            "NAPTR" => {
                let strings = ["flag", "params", "regexp"].map(|key| quote(&text(key)));
                let numbers = joined(&["order", "pref"]);
                format!("{numbers} {} {}", strings.join(" "), host("replace"))
            }
            "LOC" => {
                let latitude = joined(&["lat_deg", "lat_min", "lat_sec", "lat_dir"]);
                let longitude = joined(&["long_deg", "long_min", "long_sec", "long_dir"]);
                let sizes = joined(&["altitude", "size", "h_precision", "v_precision"]);
                format!("{latitude} {longitude} {sizes}")
            }
            _ => text("record"),
        }
    }
}

/// The TTL that `ClouDNS` makes of one.
pub(super) fn stored_ttl(ttl: u32) -> u32 {
    rounded_up(ttl, &TTLS)
}

/// What DNSControl makes of a record before it compares.
fn prepare(_: &Zone, mut record: Record) -> Record {
    record.ttl = stored_ttl(record.ttl);
    let place = record.meta.get(GEODNS).filter(|place| *place != "DEFAULT");
    if let Some(place) = place {
        let compared = format!("geodns={place}");
        record.meta.insert(COMPARED.to_owned(), compared);
    }
    record
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn shown(answer: Value) -> String {
        let answer: RecordAnswer = serde_json::from_value(answer).unwrap();
        let zone = "example.test".parse().unwrap();
        answer.record(&zone).unwrap().to_string()
    }

    #[test]
    fn types_with_fields_of_their_own_are_read() {
        for (answer, expected) in [
            (
                json!({ "type": "WR", "host": "w", "record": "https://b.test/A", "ttl": "60" }),
                "CLOUDNS_WR w.example.test https://b.test/A ttl=60",
            ),
            (
                json!({ "type": "TLSA", "host": "_25._tcp", "record": "ABCD", "ttl": "60",
                    "tlsa_usage": "3", "tlsa_selector": "1", "tlsa_matching_type": "1" }),
                "TLSA _25._tcp.example.test 3 1 1 abcd ttl=60",
            ),
            (
                json!({ "type": "SSHFP", "host": "", "record": "ABCD", "ttl": "60",
                    "algorithm": "4", "fp_type": "2" }),
                "SSHFP example.test 4 2 abcd ttl=60",
            ),
            (
                json!({ "type": "DS", "host": "sub", "record": "ABCD", "ttl": "60",
                    "key_tag": "1", "algorithm": "8", "digest_type": "2" }),
                "DS sub.example.test 1 8 2 abcd ttl=60",
            ),
            (
                json!({ "type": "NAPTR", "host": "", "ttl": "60", "order": "100", "pref": "10",
                    "flag": "U", "params": "E2U+sip", "regexp": "!^.*$!sip:a@b!", "replace": "" }),
                "NAPTR example.test 100 10 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" . ttl=60",
            ),
            (
                json!({ "type": "LOC", "host": "", "ttl": "60", "lat_deg": "52", "lat_min": "22",
                    "lat_sec": "23", "lat_dir": "N", "long_deg": "4", "long_min": "53",
                    "long_sec": "32", "long_dir": "E", "altitude": "-2", "size": "1",
                    "h_precision": "10000", "v_precision": "10" }),
                "LOC example.test 52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m ttl=60",
            ),
        ] {
            assert_eq!(shown(answer), expected);
        }
    }

    #[test]
    fn ttl_and_place_are_compared() {
        let zone = crate::provider::servers::zone("example.test");
        let prepared = |ttl: u32, place: &str| {
            let name = "www.example.test".parse().unwrap();
            let mut record = Record::new(name, "A", ttl, "192.0.2.1".to_owned());
            record.meta.insert(GEODNS.to_owned(), place.to_owned());
            let record = prepare(&zone, record);
            (record.ttl, record.meta.get(COMPARED).cloned())
        };
        assert_eq!(prepared(301, "DEFAULT"), (900, None));
        assert_eq!(prepared(60, "EU"), (60, Some("geodns=EU".to_owned())));
        assert_eq!(prepared(9_999_999, "DEFAULT").0, 2_592_000);
    }
}
