//! `ClouDNS`, as <https://www.cloudns.net/wiki/article/41/> describes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::cloudns::stored_ttl;
use crate::provider::conformance::{Subject, conforms_to_all, wrong_credentials_are_named};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::labels::label;
use crate::provider::servers::entry;

const ID: &str = "100001";
const SUB_ID: &str = "200002";
const PASSWORD: &str = "cloudns-password-for-tests";

/// TTLs of the plan: <https://www.cloudns.net/wiki/article/153/>
const ALLOWED: [u32; 5] = [300, 900, 1800, 3600, 21_600];

fn start() -> Fake {
    let mut store = Store::seeded(300);
    for row in store.zones.values_mut().flatten() {
        row.record.ttl = stored_ttl(row.record.ttl);
    }
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| {
            let function = request.path.last().unwrap();
            ["add-record.json", "delete-record.json"].contains(&function.as_str())
        },
        too_many: failed("Request blocked. 192.0.2.1 is sending more than 20 requests per second."),
    })
}

/// Every refusal has the status 200.
fn failed(description: &str) -> Reply {
    let body = json!({ "status": "Failed", "statusDescription": description });
    Reply::json(200, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    // Parameters may be in the address or in the body; only the body keeps them out of logs.
    let pairs = url::form_urlencoded::parse(request.body.as_bytes());
    let form: BTreeMap<String, String> = pairs.into_owned().collect();
    let text = |key: &str| form.get(key).map_or("", String::as_str);
    if text("auth-password") != PASSWORD || text("auth-id") != ID && text("sub-auth-id") != SUB_ID {
        return failed("Invalid authentication, incorrect auth-id or auth-password.");
    }
    let (method, path) = request.route();
    let ["dns", function] = &path[..] else {
        return failed("Unknown function.");
    };
    if method != "POST" || request.header("content-type") != "application/x-www-form-urlencoded" {
        return failed("Unknown function.");
    }
    if *function == "available-name-servers.json" {
        let server = |kind: &str, name: &str| json!({ "type": kind, "name": name });
        let servers = [
            server("free", "ns1.cloudns.test"),
            server("premium", "pns1.cloudns.test"),
            server("premium", "pns2.cloudns.test"),
        ];
        return Reply::json(200, &json!(servers));
    }
    let zone = text("domain-name");
    let Some(rows) = store.zones.get(zone) else {
        return failed("Missing domain-name");
    };
    match *function {
        "get-available-ttl.json" => Reply::json(200, &json!(ALLOWED)),
        "records.json" => list(rows, zone, text("type")),
        "add-record.json" => create(store, zone, &form),
        "delete-record.json" => match text("record-id").parse() {
            Ok(id) if store.delete(zone, id) => succeeded("The record was deleted successfully."),
            _ => failed("Invalid record-id param."),
        },
        _ => failed("Unknown function."),
    }
}

fn succeeded(description: &str) -> Reply {
    let body = json!({ "status": "Success", "statusDescription": description });
    Reply::json(200, &body)
}

/// An object by id, and an empty list for none: <https://www.cloudns.net/wiki/article/57/>
fn list(rows: &[Row], zone: &str, rtype: &str) -> Reply {
    let wanted = rows
        .iter()
        .filter(|row| rtype.is_empty() || row.record.rtype == rtype);
    let all: Map<String, Value> = wanted
        .map(|row| (row.id.to_string(), native(row, zone)))
        .collect();
    if all.is_empty() {
        return Reply::json(200, &json!([]));
    }
    Reply::json(200, &Value::Object(all))
}

/// Numbers are text, names relative and empty at the apex, host names without a final dot.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let words: Vec<&str> = data.split(' ').collect();
    let label = label(name, &zone.parse().unwrap());
    let host = words.last().unwrap().trim_end_matches('.');
    let mut native = json!({
        "id": row.id.to_string(), "type": rtype, "host": label,
        "record": data, "dynamicurl_status": 0, "failover": "0", "ttl": ttl.to_string(),
        "status": 1,
    });
    match rtype.as_str() {
        "CNAME" | "NS" => native["record"] = json!(host),
        "MX" => (native["priority"], native["record"]) = (json!(words[0]), json!(host)),
        "SRV" => {
            (native["priority"], native["weight"]) = (json!(words[0]), json!(words[1]));
            (native["port"], native["record"]) = (json!(words[2]), json!(host));
        }
        "CAA" => {
            (native["caa_flag"], native["caa_type"]) = (json!(words[0]), json!(words[1]));
            native["caa_value"] = json!(words[2].trim_matches('"'));
            native["record"] = json!("");
        }
        _ => {}
    }
    native
}

/// <https://www.cloudns.net/wiki/article/58/>
fn create(store: &mut Store, zone: &str, form: &BTreeMap<String, String>) -> Reply {
    let text = |key: &str| form.get(key).map(String::as_str);
    if text("record-type") != Some("TXT") {
        return failed("Invalid record-type param.");
    }
    // A name that ends in the zone's would be doubled.
    let Some(label) = text("host").filter(|host| *host != "@" && !host.ends_with(zone)) else {
        return failed("Invalid host param.");
    };
    // Neither quotes nor backticks.
    let value = text("record").filter(|value| !value.is_empty() && !value.contains(['"', '`']));
    let Some(value) = value else {
        return failed("Invalid record param.");
    };
    let ttl = text("ttl").and_then(|ttl| ttl.parse().ok());
    let Some(ttl) = ttl.filter(|ttl| ALLOWED.contains(ttl)) else {
        return failed("Invalid TTL. Choose from the list of the values we support.");
    };
    let owner = match label {
        "" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    let record = Record::new(owner.parse().unwrap(), "TXT", ttl, value.to_owned());
    let rows = &store.zones[zone];
    let is_same = |row: &Row| row.record.name == record.name && row.record.data == record.data;
    if rows.iter().any(is_same) {
        return failed("This record already exists.");
    }
    let is_alias = |row: &Row| row.record.name == record.name && row.record.rtype == "CNAME";
    if rows.iter().any(is_alias) {
        return failed("A record can't be created when there is a CNAME for the same host.");
    }
    store.add(zone, record);
    succeeded("The record was added successfully.")
}

fn subject<'a>(fake: &'a Fake, id: (&str, &str)) -> Subject<'a> {
    let entry = entry("CLOUDNS", &[id, ("auth-password", PASSWORD)]);
    Subject {
        minimum_ttl: 300,
        stored_ttl,
        // The smallest TTL, the TXT records, one for each value.
        calls: 102,
        ..Subject::new(fake, entry, "auth-password")
    }
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&subject(&fake, ("auth-id", ID))).await;
}

#[tokio::test]
async fn a_sub_user_is_enough() {
    let fake = start();
    let subject = subject(&fake, ("sub-auth-id", SUB_ID));
    wrong_credentials_are_named(&subject).await;
    let zone: DnsName = "example.test".parse().unwrap();
    let names = subject.connect().nameservers((&zone).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[pns1.cloudns.test, pns2.cloudns.test]"
    );
}
