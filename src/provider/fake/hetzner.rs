//! Hetzner's old DNS Console, as <https://dns.hetzner.com/api-docs> describes it.

use serde_json::{Value, json};

use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::labels::owner;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "hetzner-dns-token-for-tests";

/// The zone's default; records with it have no TTL of their own here.
const DEFAULT_TTL: u32 = 300;

fn start() -> Fake {
    let mut store = Store::seeded(60);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // Clients know 429 with Retry-After in seconds; the documentation names neither.
        too_many: Reply::json(429, &json!({ "message": "API rate limit exceeded" }))
            .with("retry-after", "1".to_owned()),
    })
}

fn error(status: u16, message: &str) -> Reply {
    let error = json!({ "message": message, "code": status });
    Reply::json(status, &json!({ "error": error }))
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.header("auth-api-token") != TOKEN {
        let body = json!({ "message": "Invalid authentication credentials" });
        return Reply::json(401, &body);
    }
    let (method, path) = request.route();
    match (method, &path[..]) {
        ("GET", ["zones"]) => zones(store, request),
        ("GET", ["records"]) => match zone_of(store, request.parameter("zone_id")) {
            Some(zone) => list(&store.zones[&zone], &zone, request),
            None => error(404, "zone not found"),
        },
        ("POST", ["records", "bulk"]) => create(store, &request.json()),
        ("DELETE", ["records", id]) => {
            let id = id.trim_start_matches("record-").parse().unwrap_or(0);
            let zones: Vec<String> = store.zones.keys().cloned().collect();
            if zones.iter().any(|zone| store.delete(zone, id)) {
                Reply::json(200, &json!({ "error": { "message": "", "code": 200 } }))
            } else {
                error(404, "record not found")
            }
        }
        _ => error(404, "not found"),
    }
}

fn id_of(zone: &str) -> String {
    format!("id-{}", zone.replace('.', "-"))
}

fn zone_of(store: &Store, id: Option<&str>) -> Option<String> {
    let mut zones = store.zones.keys();
    zones.find(|zone| Some(id_of(zone).as_str()) == id).cloned()
}

/// "Get All Zones": none is an error.
fn zones(store: &Store, request: &Request) -> Reply {
    let named = request.parameter("name");
    let zones: Vec<Value> = store
        .zones
        .keys()
        .filter(|zone| named.is_none_or(|name| name == *zone))
        .map(|zone| {
            json!({
                "id": id_of(zone), "name": zone, "ttl": DEFAULT_TTL, "status": "verified",
                "ns": ["hydrogen.ns.hetzner.com", "oxygen.ns.hetzner.com", "helium.ns.hetzner.de"],
            })
        })
        .collect();
    let is_empty = zones.is_empty();
    let mut body = json!({ "zones": zones, "meta": { "pagination": {} } });
    if !is_empty {
        return Reply::json(200, &body);
    }
    body["error"] = json!({ "message": "zone not found", "code": 404 });
    Reply::json(404, &body)
}

/// "Get All Records": `per_page` is all unless said. Here it is less, so that the client has to
/// turn pages: the API says how many there are.
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 1000));
    if page == 0 || !(1..=1000).contains(&per_page) {
        return error(422, "invalid pagination");
    }
    let mut all: Vec<Value> = rows.iter().map(|row| native(row, zone)).collect();
    let soa = "hydrogen.ns.hetzner.com. dns.hetzner.com. 2021070900 86400 10800 3600000 3600";
    all.push(json!({
        "id": "record-soa", "type": "SOA", "name": "@", "value": soa, "zone_id": id_of(zone),
    }));
    let (records, pages) = page_of(&all, page, per_page);
    let pagination = json!({
        "page": page, "per_page": per_page, "last_page": pages, "total_entries": all.len(),
    });
    Reply::json(
        200,
        &json!({ "records": records, "meta": { "pagination": pagination } }),
    )
}

fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    // Names of records that other tools made are complete.
    let label = match name.label_in(&zone.parse().unwrap()).unwrap() {
        "quoted" => name.fqdn(),
        label => label.to_owned(),
    };
    // A space follows several strings.
    let value = match rtype.as_str() {
        "TXT" => format!("{} ", Spelling::Quoted.spell(data)),
        _ => data.clone(),
    };
    let mut native = json!({
        "id": format!("record-{}", row.id), "type": rtype, "name": label, "value": value,
        "zone_id": id_of(zone), "created": "2021-07-09T11:18:37Z",
    });
    if *ttl != DEFAULT_TTL {
        native["ttl"] = json!(ttl);
    }
    native
}

/// "Bulk Create Records": the ones that are not valid come back, and none is created.
fn create(store: &mut Store, body: &Value) -> Reply {
    let records = body["records"].as_array().unwrap();
    let mut new = Vec::new();
    for record in records {
        let zone = zone_of(store, record["zone_id"].as_str()).unwrap();
        match checked(&store.zones[&zone], &zone, record) {
            Ok(record) => new.push((zone, record)),
            Err(message) => {
                let body = json!({
                    "invalid_records": [record], "valid_records": [], "records": [],
                    "error": { "message": message, "code": 422 },
                });
                return Reply::json(422, &body);
            }
        }
    }
    for (zone, record) in new {
        store.add(&zone, record);
    }
    Reply::json(200, &json!({ "records": records }))
}

fn checked(rows: &[Row], zone: &str, record: &Value) -> Result<Record, &'static str> {
    let text = |key: &str| record[key].as_str().unwrap_or_default();
    let (name, value) = (text("name"), text("value"));
    if name.is_empty() || name.ends_with(zone) || text("type") != "TXT" {
        return Err("invalid TXT record, ");
    }
    // Unquoted, a value of several words would be several strings.
    if value.len() < 2 || !value.starts_with('"') || !value.ends_with('"') {
        return Err("invalid TXT record, ");
    }
    let ttl = record["ttl"].as_u64().ok_or("invalid TTL, ")?;
    let name = owner(name, &zone.parse().unwrap()).unwrap();
    let value = Spelling::Quoted.text(value);
    let at_name = || rows.iter().filter(|row| row.record.name == name);
    if at_name().any(|row| row.record.rtype == "CNAME") {
        return Err("CNAME record exists, ");
    }
    if at_name().any(|row| row.record.rtype == "TXT" && row.record.data == value) {
        return Err("422 Unprocessable Entity: taken: ; ");
    }
    let ttl = u32::try_from(ttl).unwrap();
    Ok(Record::new(name, "TXT", ttl, value))
}

fn subject(fake: &Fake) -> Subject<'_> {
    let entry = entry("HETZNER", &[("api_key", TOKEN)]);
    Subject {
        // The zone, its records, one call for all values.
        calls: 3,
        ..Subject::new(fake, entry, "api_key")
    }
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&subject(&fake)).await;
}

#[tokio::test]
async fn a_zone_that_was_migrated_needs_the_new_api() {
    let fake = start();
    let provider = subject(&fake).connect();
    let zone: DnsName = "migrated.test".parse().unwrap();
    let explained = explain(&provider.records((&zone).into()).await.unwrap_err());
    assert_eq!(
        explained.causes,
        ["the account has no zone `migrated.test`"]
    );
    assert_eq!(
        explained.hints[0],
        "a zone that was migrated to the Hetzner Console needs `TYPE` `HETZNER_V2`, with an API \
         token of the project that has it"
    );
}
