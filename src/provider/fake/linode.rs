//! Linode, as <https://techdocs.akamai.com/linode-api/reference/get-domain-records> describes it.

use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::labels::label;
use crate::provider::linode::stored_ttl;
use crate::provider::servers::entry;

const TOKEN: &str = "linode-token-for-tests";

/// Ids of the zones.
const ZONES: [(u64, &str); 2] = [(11, "example.test"), (12, "big.test")];

fn start(keeps_ttl: bool) -> Fake {
    let mut store = Store::seeded(0);
    for row in store.zones.values_mut().flatten() {
        row.record.ttl = stored_ttl(row.record.ttl);
    }
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request, keeps_ttl)),
        is_write: |request| request.method != "GET",
        // https://techdocs.akamai.com/linode-api/reference/rate-limits: 429 with Retry-After.
        too_many: error(429, "", "Too many requests").with("retry-after", "1".to_owned()),
    })
}

/// <https://techdocs.akamai.com/linode-api/reference/errors>
fn error(status: u16, field: &str, reason: &str) -> Reply {
    let mut error = json!({ "reason": reason });
    if !field.is_empty() {
        error["field"] = json!(field);
    }
    Reply::json(status, &json!({ "errors": [error] }))
}

fn answer(store: &mut Store, request: &Request, keeps_ttl: bool) -> Reply {
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return error(401, "", "Invalid Token");
    }
    let (method, path) = request.route();
    let not_found = error(404, "", "Not found");
    let ["domains", more @ ..] = &path[..] else {
        return not_found;
    };
    let [id, "records", record @ ..] = more else {
        let all = ZONES.map(|(id, domain)| json!({ "id": id, "domain": domain }));
        return list(&all, request);
    };
    let Some((_, zone)) = ZONES.iter().find(|(known, _)| known.to_string() == *id) else {
        return not_found;
    };
    match (method, record) {
        ("GET", []) => {
            let rows = store.zones[*zone].iter();
            let all: Vec<Value> = rows.map(|row| native(row, zone)).collect();
            list(&all, request)
        }
        ("POST", []) => create(store, zone, &request.json(), keeps_ttl),
        ("PUT", [id]) => update(store, zone, id, &request.json()),
        ("DELETE", [id]) => match id.parse() {
            Ok(id) if store.delete(zone, id) => Reply::json(200, &json!({})),
            _ => not_found,
        },
        _ => not_found,
    }
}

/// `page_size` is 100 unless said, and from 25 to 500
/// (<https://techdocs.akamai.com/linode-api/reference/pagination>); X-Filter is a JSON object
/// (<https://techdocs.akamai.com/linode-api/reference/filtering-and-sorting>).
fn list(all: &[Value], request: &Request) -> Reply {
    let (page, size) = (request.number("page", 1), request.number("page_size", 100));
    if page == 0 || !(25..=500).contains(&size) {
        return error(400, "page_size", "Must be 25-500");
    }
    let mut all = all.to_vec();
    let filter = request.header("x-filter");
    if !filter.is_empty() {
        let Ok(Value::Object(filter)) = serde_json::from_str(filter) else {
            return error(400, "X-Filter", "Cannot parse");
        };
        all.retain(|one| filter.iter().all(|(key, value)| one[key] == *value));
    }
    let (data, pages) = page_of(&all, page, size);
    Reply::json(
        200,
        &json!({ "data": data, "page": page, "pages": pages.max(1), "results": all.len() }),
    )
}

/// Names are relative and empty at the apex; host names come without a final dot.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let words: Vec<&str> = data.split(' ').collect();
    let number = |index: usize| json!(words[index].parse::<u32>().unwrap());
    let label = label(name, &zone.parse().unwrap());
    let host = words.last().unwrap().trim_end_matches('.');
    let mut native = json!({
        "id": row.id, "type": rtype, "name": label, "ttl_sec": ttl,
        "target": data, "priority": 0, "weight": 0, "port": 0, "service": null, "protocol": null,
        "tag": null, "created": "2026-01-01T00:00:00", "updated": "2026-01-01T00:00:00",
    });
    match rtype.as_str() {
        "CNAME" | "NS" => native["target"] = json!(host),
        "MX" => {
            native["priority"] = number(0);
            native["target"] = json!(host);
        }
        "SRV" => {
            (native["priority"], native["weight"]) = (number(0), number(1));
            (native["port"], native["target"]) = (number(2), json!(host));
        }
        "CAA" => {
            native["tag"] = json!(words[1]);
            native["target"] = json!(words[2].trim_matches('"'));
        }
        _ => {}
    }
    native
}

/// <https://techdocs.akamai.com/linode-api/reference/post-domain-record>
fn create(store: &mut Store, zone: &str, body: &Value, keeps_ttl: bool) -> Reply {
    let mut record = match record(store, zone, body) {
        Ok(record) => record,
        Err(reply) => return reply,
    };
    if !keeps_ttl {
        record.ttl = 0;
    }
    let id = store.add(zone, record.clone());
    Reply::json(200, &native(&Row { id, record }, zone))
}

/// <https://techdocs.akamai.com/linode-api/reference/put-domain-record>
fn update(store: &mut Store, zone: &str, id: &str, body: &Value) -> Reply {
    let record = match record(store, zone, body) {
        Ok(record) => record,
        Err(reply) => return reply,
    };
    let mut rows = store.zones.get_mut(zone).unwrap().iter_mut();
    let Some(row) = rows.find(|row| row.id.to_string() == id) else {
        return error(404, "", "Not found");
    };
    row.record = record;
    Reply::json(200, &native(row, zone))
}

/// What a body asks for, or why it cannot be.
fn record(store: &Store, zone: &str, body: &Value) -> Result<Record, Reply> {
    if body["type"] != "TXT" {
        return Err(error(400, "type", "Only TXT is expected here"));
    }
    let Some(name) = body["name"].as_str().filter(|name| *name != "@") else {
        return Err(error(400, "name", "Invalid name"));
    };
    // Quotes would become part of the value.
    let target = body["target"].as_str().unwrap_or_default();
    if target.is_empty() || target.contains('"') {
        return Err(error(400, "target", "Invalid target"));
    }
    let owner: DnsName = match name {
        "" => zone.parse(),
        label if label.ends_with(zone) => label.parse(),
        label => format!("{label}.{zone}").parse(),
    }
    .map_err(|_| error(400, "name", "Invalid name"))?;
    let rows = &store.zones[zone];
    let is_alias = |row: &Row| row.record.name == owner && row.record.rtype == "CNAME";
    if rows.iter().any(is_alias) {
        return Err(error(400, "name", "Hostname is already in use by a CNAME"));
    }
    // Any other value is rounded up to the nearest valid one.
    let ttl = stored_ttl(u32::try_from(body["ttl_sec"].as_u64().unwrap_or(0)).unwrap());
    Ok(Record::new(owner, "TXT", ttl, target.to_owned()))
}

fn subject(fake: &Fake) -> Subject<'_> {
    Subject {
        stored_ttl,
        // The zone, its TXT records, one for each value.
        calls: 102,
        ..Subject::new(fake, entry("LINODE", &[("token", TOKEN)]), "token")
    }
}

#[tokio::test]
async fn conforms() {
    conforms_to_all(&subject(&start(true))).await;
}

#[tokio::test]
async fn a_ttl_that_creating_forgets_is_set() {
    let fake = start(false);
    let provider = subject(&fake).connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value.clone()]);
    provider.change((&zone).into(), &batch).await.unwrap();
    let records = provider.records((&zone).into()).await.unwrap();
    let added = records.iter().find(|record| record.name == value.name);
    assert_eq!(added.map(|record| record.ttl), Some(300));
}
