//! NETCUP: the JSON API of netcup's customer control panel (CCP).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, Zone, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::dotted;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::patience::send_patiently;
use crate::provider::port::{Answer, DnsProvider, Quirks};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Reply, Why};
use crate::provider::rrset::{Todo, TxtRecord, settle};

pub(super) const SPEC: Spec = Spec {
    kind: "NETCUP",
    name: "netcup",
    api: "https://ccp.netcup.net/run/webservice/servers/endpoint.php",
    fields: &[
        Field {
            key: "api-key",
            required: true,
            help: "API key, made in the control panel",
        },
        Field {
            key: "api-password",
            required: true,
            help: "API password, made in the control panel",
        },
        Field {
            key: "customer-number",
            required: true,
            help: "customer number",
        },
    ],
    scope: "they must be an API key, the API password and the number of one customer; netcup cannot limit them to a zone",
    // What a refusal says: "More than 180 requests per minute."
    rates: &[Rate {
        requests: 180,
        per: Duration::from_mins(1),
        of: Of::All,
    }],
    notes: &[
        "all values of a zone go in one call",
        "TTLs are the zone's own: they are not compared, and new values get no other",
        "NS records are not compared: the API takes none",
        "the name servers take a change over 15 minutes later, or more",
        "zones of netcup's newer CloudDNS are not reachable with this API",
        "a run leaves a session behind, which ends by itself",
    ],
    connect,
};

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 3] = [
    "root-dns.netcup.net",
    "second-dns.netcup.net",
    "third-dns.netcup.net",
];

/// What `statuscode` is of a session that has ended, or that the API has not heard of yet:
/// <https://github.com/nbuchwitz/nc_dnsapi/issues/9>
const NO_SESSION: i64 = 4001;

/// What `statuscode` is of a change where the zone is not there.
const NO_ZONE: i64 = 5028;

/// What `statuscode` is of a list where the zone is not there, or has no records:
/// <https://github.com/mrueg/external-dns-netcup-webhook/issues/5>
const NO_RECORDS: i64 = 5029;

/// How often a call is made at most when the API does not accept its own session.
const SESSIONS: u32 = 3;

#[derive(Debug)]
struct Netcup {
    api: Api,
    account: Account,
    session: Mutex<Option<String>>,
}

struct Account {
    key: String,
    password: String,
    customer: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(..)")
    }
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://ccp.netcup.net/run/webservice/servers/endpoint.php");
    let field = |key| entry.required(key).map(str::to_owned);
    Ok(Box::new(Netcup {
        api: Api::new(&SPEC, entry, context, base)?
            .credential_in_request("api-key")
            .credential_in_request("api-password")
            .credential_in_request("customer-number"),
        account: Account {
            key: field("api-key")?,
            password: field("api-password")?,
            customer: field("customer-number")?,
        },
        session: Mutex::new(None),
    }))
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct Envelope {
    status: String,
    statuscode: i64,
    #[serde(default)]
    longmessage: String,
    #[serde(default)]
    responsedata: Value,
}

#[derive(Deserialize)]
struct Login {
    apisessionid: String,
}

#[derive(Deserialize)]
struct Records {
    #[serde(default)]
    dnsrecords: Vec<RecordAnswer>,
}

/// A record; a deletion names all of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct RecordAnswer {
    id: String,
    /// Relative to the zone, or `@`.
    hostname: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    priority: String,
    destination: String,
}

impl DnsProvider for Netcup {
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
            settle(batch, 0, list, write).await
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["NS", "SOA"],
            ignores_apex_ns: true,
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl Netcup {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let domain = [("domainname", json!(zone.name.as_str()))];
        let (mut reply, mut answer) = self.call("infoDnsRecords", &domain).await?;
        if answer.statuscode == NO_RECORDS {
            // Without records, or not there? Only a zone that is there has properties.
            (reply, answer) = self.call("infoDnsZone", &domain).await?;
            self.accepted(&reply, answer)?;
            return Ok(Vec::new());
        }
        let records = self.accepted(&reply, answer)?;
        let records: Records = serde_json::from_value(records).context("the list of records")?;
        Ok(records.dnsrecords)
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<RecordAnswer>>> {
        let answers = self.list(zone).await?.into_iter();
        let texts = answers.filter(|answer| answer.rtype == "TXT");
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                name: owner(&answer.hostname, zone.name)?,
                ttl: 0,
                value: answer.destination.clone(),
                id: answer,
            })
        };
        texts.map(record).collect()
    }

    /// Creates and deletes in one call; records that it does not name stay.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<RecordAnswer>) -> Result<bool> {
        let created = todo.create.iter().map(|new| {
            json!({
                "hostname": new.txt.name.label_in(zone.name),
                "type": "TXT",
                "destination": new.txt.value,
            })
        });
        let deleted = todo.delete.iter().map(|old| {
            json!({
                "id": old.id, "hostname": old.hostname, "type": old.rtype,
                "priority": old.priority, "destination": old.destination, "deleterecord": true,
            })
        });
        let records: Vec<Value> = created.chain(deleted).collect();
        let parameters = [
            ("domainname", json!(zone.name.as_str())),
            ("dnsrecordset", json!({ "dnsrecords": records })),
        ];
        let (reply, answer) = self.call("updateDnsRecords", &parameters).await?;
        self.accepted(&reply, answer).map(|_| true)
    }

    /// A call in a session; in a new one where the API does not accept the one there is.
    async fn call(&self, action: &str, parameters: &[(&str, Value)]) -> Result<(Reply, Envelope)> {
        let mut tries = 1;
        loop {
            let session = self.session().await?;
            let mut all = parameters.to_vec();
            all.push(("apisessionid", json!(session)));
            let (reply, answer) = self.send(action, all).await?;
            if answer.statuscode != NO_SESSION || tries == SESSIONS {
                return Ok((reply, answer));
            }
            tries += 1;
            let mut current = self.session.lock().await;
            if current.as_ref() == Some(&session) {
                *current = None;
            }
        }
    }

    async fn session(&self) -> Result<String> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let password = ("apipassword", json!(self.account.password));
        let (reply, answer) = self.send("login", vec![password]).await?;
        if answer.status != "success" {
            return Err(self.api.refused(&reply, Why::Credentials, &answer.words()));
        }
        let login: Login = serde_json::from_value(answer.responsedata).context("the session")?;
        self.api.hide("session", &login.apisessionid);
        *session = Some(login.apisessionid.clone());
        Ok(login.apisessionid)
    }

    async fn send(
        &self,
        action: &str,
        parameters: Vec<(&str, Value)>,
    ) -> Result<(Reply, Envelope)> {
        let account = [
            ("customernumber", json!(self.account.customer)),
            ("apikey", json!(self.account.key)),
        ];
        let all = parameters.into_iter().chain(account);
        let all: Map<String, Value> = all.map(|(key, value)| (key.to_owned(), value)).collect();
        let mut url = self.api.url(&[])?;
        url.set_query(Some("JSON"));
        let repeat = if action == "updateDnsRecords" {
            Repeat::WhenRefused
        } else {
            Repeat::Safe
        };
        let body = json!({ "action": action, "param": all });
        let request = self.api.request(Method::POST, url).json(&body);
        let reply = send_patiently(&self.api, request, repeat, is_over_limit).await?;
        let answer = self.api.json(&reply)?;
        Ok((reply, answer))
    }

    /// What a good answer holds; the error of another one, whose status is 200 all the same.
    fn accepted(&self, reply: &Reply, answer: Envelope) -> Result<Value> {
        if answer.status == "success" {
            return Ok(answer.responsedata);
        }
        let why = match answer.statuscode {
            NO_SESSION => Why::Credentials,
            NO_ZONE | NO_RECORDS => Why::NotFound,
            _ => Why::Other,
        };
        Err(self.api.refused(reply, why, &answer.words()))
    }
}

fn is_over_limit(reply: &Reply) -> bool {
    let answer: Option<Envelope> = serde_json::from_str(&reply.body).ok();
    answer.is_some_and(|answer| {
        answer.status != "success" && answer.longmessage.contains("requests per minute")
    })
}

impl Envelope {
    fn words(&self) -> String {
        format!("{} ({})", self.longmessage.trim(), self.statuscode)
    }
}

impl RecordAnswer {
    fn record(&self, zone: &DnsName) -> Result<Record> {
        let value = &self.destination;
        // Host names, the last of several fields, come without their final dot.
        let host = match value.as_str() {
            "@" => zone.fqdn(),
            name => dotted(name),
        };
        let text = match self.rtype.as_str() {
            "ALIAS" | "CNAME" | "NS" | "SRV" => host,
            "MX" => format!("{} {host}", self.priority),
            _ => value.clone(),
        };
        let data = match self.rtype.as_str() {
            "TXT" => text,
            rtype => canonical(rtype, &text, zone),
        };
        let owner = owner(&self.hostname, zone)?;
        Ok(Record::new(owner, &self.rtype, 0, data))
    }
}

/// What DNSControl makes of a record before it compares: the API has no TTL.
fn prepare(_: &Zone, mut record: Record) -> Record {
    record.ttl = 0;
    record
}
