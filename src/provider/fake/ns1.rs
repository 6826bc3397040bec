//! NS1 Connect, as <https://www.ibm.com/docs/en/SSSYGZ/getting_started/using_the_ns1_connect_api.html>
//! and NS1's own client (<https://github.com/ns1/ns1-go>) describe it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::servers::entry;

const KEY: &str = "ns1-key-for-tests";

/// Records of a page; how many NS1 has on one is not documented.
const PER_PAGE: usize = 1000;

struct Account {
    store: Store,
    /// What TXT records have besides answers and TTL, by name.
    besides: BTreeMap<String, Map<String, Value>>,
    /// Metadata of answers, by name and text.
    metadata: BTreeMap<(String, String), Value>,
}

fn start() -> (Fake, Arc<Mutex<Account>>) {
    let account = Arc::new(Mutex::new(Account {
        store: Store::seeded(0),
        besides: BTreeMap::new(),
        metadata: BTreeMap::new(),
    }));
    let shared = Arc::clone(&account);
    let fake = Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut shared.lock().unwrap(), request)),
        is_write: |request| request.method != "GET",
        // https://www.ibm.com/docs/en/SSSYGZ/getting_started/api_rate_limiting.html: headers say
        // how many requests a period has, not when to come back.
        too_many: message(429, "exceeded API rate limit")
            .with("x-ratelimit-limit", "900".to_owned())
            .with("x-ratelimit-period", "300".to_owned())
            .with("x-ratelimit-remaining", "0".to_owned()),
    });
    (fake, account)
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "message": text }))
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    if request.header("x-nsone-key") != KEY {
        return message(401, "Unauthorized");
    }
    let (method, path) = request.route();
    let ["zones", zone, more @ ..] = &path[..] else {
        return message(404, "not found");
    };
    if !account.store.zones.contains_key(*zone) {
        return message(404, "zone not found");
    }
    match (method, more) {
        ("GET", []) => get_zone(account, zone, request),
        (_, [domain, "TXT"]) if domain.ends_with(zone) => {
            let name: DnsName = domain.parse().unwrap();
            let exists = texts(account, zone, &name).next().is_some();
            match (method, exists) {
                ("PUT", true) => message(400, "record already exists"),
                ("PUT", false) | ("POST", true) => write(account, zone, &name, &request.json()),
                ("GET", true) => Reply::json(200, &full(account, zone, &name)),
                ("DELETE", true) => {
                    account.besides.remove(*domain);
                    replace(account, zone, &name, 0, Vec::new());
                    Reply::json(200, &json!({}))
                }
                _ => message(404, "record not found"),
            }
        }
        _ => message(404, "not found"),
    }
}

fn texts<'a>(
    account: &'a Account,
    zone: &str,
    name: &'a DnsName,
) -> impl Iterator<Item = &'a Record> {
    let records = account.store.zones[zone].iter().map(|row| &row.record);
    records.filter(move |record| record.name == *name && record.rtype == "TXT")
}

/// The zone; its records come with short answers and in pages, the next one in the Link header.
fn get_zone(account: &Account, zone: &str, request: &Request) -> Reply {
    let servers = ["dns1.p08.nsone.net", "dns2.p08.nsone.net"];
    let head = json!({ "zone": zone, "dns_servers": servers, "link": null, "ttl": 3600 });
    if request.parameter("records") == Some("false") {
        return Reply::json(200, &head);
    }
    let mut sets: BTreeMap<(&DnsName, &str), (u32, Vec<String>)> = BTreeMap::new();
    for Row { record, .. } in &account.store.zones[zone] {
        let set = sets.entry((&record.name, &record.rtype)).or_default();
        set.0 = record.ttl;
        set.1.push(short(record));
    }
    let mut all: Vec<Value> = sets
        .into_iter()
        .map(|((name, rtype), (ttl, answers))| {
            json!({
                "domain": name.as_str(), "type": rtype, "ttl": ttl, "short_answers": answers,
                "link": null, "tier": 1, "id": "5ab7b7320c13a400014ee149",
            })
        })
        .collect();
    all.push(json!({
        "domain": format!("linked.{zone}"), "type": "A", "ttl": 3600, "link": zone, "tier": 1,
    }));
    let page = request.number("after", 1);
    let (records, pages) = page_of(&all, page, PER_PAGE);
    let mut body = head;
    body["records"] = json!(records);
    let reply = Reply::json(200, &body);
    if page >= pages {
        return reply;
    }
    // Plain http, as NS1's client has to expect.
    let next = format!(
        "<http://api.nsone.net/v1/zones/{zone}?after={}>; rel=\"next\"",
        page + 1
    );
    reply.with("link", next)
}

/// Without quotes, and some host names without their final dot.
fn short(record: &Record) -> String {
    match record.rtype.as_str() {
        "CNAME" | "MX" => record.data.trim_end_matches('.').to_owned(),
        "CAA" => record.data.replace('"', ""),
        _ => record.data.clone(),
    }
}

fn full(account: &Account, zone: &str, name: &DnsName) -> Value {
    let domain = name.as_str().to_owned();
    let mut ttl = 0;
    let answers: Vec<Value> = texts(account, zone, name)
        .map(|record| {
            ttl = record.ttl;
            let mut answer = json!({ "answer": [record.data], "id": "5ab7b7320c13a400014ee148" });
            let key = (domain.clone(), record.data.clone());
            if let Some(meta) = account.metadata.get(&key) {
                answer["meta"] = meta.clone();
            }
            answer
        })
        .collect();
    let mut record = json!({
        "domain": domain, "zone": zone, "type": "TXT", "ttl": ttl, "answers": answers,
        "filters": [], "regions": {}, "meta": {}, "link": null, "tier": 1,
    });
    let besides = account.besides.get(name.as_str()).cloned();
    record
        .as_object_mut()
        .unwrap()
        .extend(besides.unwrap_or_default());
    record
}

/// PUT makes a record, POST changes the fields that it has: "Only the fields to be updated are
/// required" (ns1-go, `RecordsService.Update`).
fn write(account: &mut Account, zone: &str, name: &DnsName, body: &Value) -> Reply {
    let invalid = |what: &str| message(400, &format!("Input validation failed ({what})"));
    if body["zone"] != zone || body["domain"] != name.as_str() || body["type"] != "TXT" {
        return invalid("zone, domain and type must be those of the address");
    }
    let rows = &account.store.zones[zone];
    if rows
        .iter()
        .any(|row| row.record.name == *name && row.record.rtype == "CNAME")
    {
        return message(400, "record conflicts with a CNAME");
    }
    let before = texts(account, zone, name).next().map(|record| record.ttl);
    let ttl = body["ttl"].as_u64().map(|ttl| u32::try_from(ttl).unwrap());
    let ttl = ttl.or(before).unwrap_or(3600);
    let Some(answers) = body["answers"].as_array().filter(|all| !all.is_empty()) else {
        return invalid("answers must not be empty");
    };
    let domain = name.as_str();
    account.metadata.retain(|(owner, _), _| owner != domain);
    let mut after: Vec<String> = Vec::new();
    for answer in answers {
        let Some(text) = answer["answer"][0].as_str().filter(|text| !text.is_empty()) else {
            return invalid("a TXT answer has one string");
        };
        if after.iter().any(|other| other == text) {
            return invalid("answers must be unique");
        }
        if let Some(meta) = answer.get("meta") {
            let key = (domain.to_owned(), text.to_owned());
            account.metadata.insert(key, meta.clone());
        }
        after.push(text.to_owned());
    }
    for key in ["filters", "regions", "meta"] {
        if let Some(value) = body.get(key) {
            let besides = account.besides.entry(domain.to_owned()).or_default();
            besides.insert(key.to_owned(), value.clone());
        }
    }
    replace(account, zone, name, ttl, after);
    Reply::json(200, &full(account, zone, name))
}

fn replace(account: &mut Account, zone: &str, name: &DnsName, ttl: u32, after: Vec<String>) {
    let rows = account.store.zones.get_mut(zone).unwrap();
    rows.retain(|row| row.record.name != *name || row.record.rtype != "TXT");
    for text in after {
        let record = Record::new(name.clone(), "TXT", ttl, text);
        account.store.add(zone, record);
    }
}

fn subject(fake: &Fake) -> Subject<'_> {
    let entry = entry("NS1", &[("api_token", KEY)]);
    Subject {
        // The zone, one for each name, the zone again.
        calls: 102,
        ..Subject::new(fake, entry, "api_token")
    }
}

#[tokio::test]
async fn conforms() {
    let (fake, _) = start();
    conforms_to_all(&subject(&fake)).await;
}

#[tokio::test]
async fn metadata_and_filters_stay() {
    let (fake, account) = start();
    let zone: DnsName = "example.test".parse().unwrap();
    let name: DnsName = "many.example.test".parse().unwrap();
    {
        let mut account = account.lock().unwrap();
        let besides = json!({
            "filters": [{ "filter": "up", "config": {} }, { "filter": "shuffle", "config": {} }],
            "regions": { "east": { "meta": { "georegion": ["US-EAST"] } } },
            "meta": { "note": "do not touch" },
        });
        let besides = besides.as_object().unwrap().clone();
        account.besides.insert(name.to_string(), besides);
        let key = (name.to_string(), "one".to_owned());
        account.metadata.insert(key, json!({ "up": true }));
    }
    let record = || full(&account.lock().unwrap(), "example.test", &name);
    let before = record();
    let provider = subject(&fake).connect();
    let value = vec![Txt {
        name: name.clone(),
        value: "x".to_owned(),
    }];
    let add = TxtBatch::adding(value.clone());
    provider.change((&zone).into(), &add).await.unwrap();
    let with = record();
    assert_eq!(with["answers"].as_array().unwrap().len(), 3);
    assert_eq!(with["answers"][0]["meta"], json!({ "up": true }));
    assert_eq!(with["filters"], before["filters"]);
    let remove = TxtBatch::removing(value);
    provider.change((&zone).into(), &remove).await.unwrap();
    assert_eq!(record(), before);
}
