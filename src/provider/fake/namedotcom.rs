//! name.com, as <https://www.name.com/api-docs> describes its API v4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, provider};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::servers::entry;

const USER: &str = "namedotcom-user";
const TOKEN: &str = "namedotcom-token-for-tests";

/// "Name.com allows a minimum TTL of 300, or 5 minutes."
const MINIMUM_TTL: u32 = 300;

/// Types of the API, of those that the other fakes have: no CAA.
fn store() -> Store {
    let mut store = Store::seeded(MINIMUM_TTL);
    for rows in store.zones.values_mut() {
        rows.retain(|row| row.record.rtype != "CAA");
    }
    store
}

fn start() -> Fake {
    let mut store = store();
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // The documentation names the limits only; this is HTTP's own way (RFC 6585 section 4).
        too_many: error(429, "Too Many Requests", "").with("retry-after", "1".to_owned()),
    })
}

/// "Any non-200 response will return an `ErrorMessage`", with details or without.
fn error(status: u16, message: &str, details: &str) -> Reply {
    let mut body = json!({ "message": message });
    if !details.is_empty() {
        body["details"] = json!(details);
    }
    Reply::json(status, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{TOKEN}")));
    if request.header("authorization") != basic {
        return error(401, "Unauthenticated", "");
    }
    let not_found = error(404, "Not Found", "");
    let (method, path) = request.route();
    let ["v4", "domains", zone, more @ ..] = &path[..] else {
        return not_found;
    };
    if !store.zones.contains_key(*zone) {
        return not_found;
    }
    match (method, more) {
        ("GET", []) => {
            let ns = ["ns1abc.name.com", "ns2abc.name.com"];
            Reply::json(200, &json!({ "domainName": zone, "nameservers": ns }))
        }
        ("GET", ["records"]) => list(&store.zones[*zone], zone, request),
        ("POST", ["records"]) => create(store, zone, request),
        ("DELETE", ["records", id]) => match id.parse() {
            Ok(id) if store.delete(zone, id) => Reply::json(200, &json!({})),
            _ => not_found,
        },
        _ => not_found,
    }
}

/// "Per Page defaults to 1,000"; `nextPage` is there only if there is one.
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("perPage", 1000));
    if page == 0 || !(1..=1000).contains(&per_page) {
        return error(400, "Invalid Argument", "Parameter Value Error - perPage");
    }
    let (rows, pages) = page_of(rows, page, per_page);
    let records: Vec<Value> = rows.iter().map(|row| native(row, zone)).collect();
    let mut body = json!({ "records": records });
    if page < pages {
        body["nextPage"] = json!(page + 1);
        body["lastPage"] = json!(pages);
    }
    Reply::json(200, &body)
}

/// `fqdn` ends in a dot, host names do not; fields with their default value are left out.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let (priority, answer) = match rtype.as_str() {
        "MX" | "SRV" => data.split_once(' ').unwrap(),
        _ => ("0", data.as_str()),
    };
    let answer = match rtype.as_str() {
        "TXT" => answer,
        _ => answer.trim_end_matches('.'),
    };
    let mut native = json!({
        "id": row.id, "domainName": zone, "fqdn": name.fqdn(), "type": rtype, "answer": answer,
        "ttl": ttl,
    });
    let label = name.label_in(&zone.parse().unwrap()).unwrap();
    if label != "@" {
        native["host"] = json!(label);
    }
    if priority != "0" {
        native["priority"] = json!(priority.parse::<u32>().unwrap());
    }
    native
}

/// The documentation names no check for duplicates, so none is made: a client must not rely on one.
fn create(store: &mut Store, zone: &str, request: &Request) -> Reply {
    // "must set the Content-Type header to application/json. Otherwise, 403 Forbidden"
    if request.header("content-type") != "application/json" {
        return error(403, "Permission Denied", "");
    }
    let invalid = |what: &str| {
        error(
            400,
            "Invalid Argument",
            &format!("Parameter Value Error - {what}"),
        )
    };
    let body = request.json();
    let (Some(host), Some(answer)) = (body["host"].as_str(), body["answer"].as_str()) else {
        return invalid("host");
    };
    if body["type"] != "TXT" {
        return invalid("type");
    }
    if host.ends_with(zone) {
        return invalid("host");
    }
    // DNSControl's tests found these: quotes, trailing spaces, 512 characters.
    if answer.is_empty() || answer.len() > 512 || answer.ends_with(' ') || answer.contains('"') {
        return invalid("answer");
    }
    let ttl = body["ttl"].as_u64().unwrap_or(300);
    if ttl < u64::from(MINIMUM_TTL) {
        return invalid("ttl");
    }
    let owner: DnsName = match host {
        "" | "@" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    }
    .parse()
    .unwrap();
    let rows = &store.zones[zone];
    if rows
        .iter()
        .any(|row| row.record.name == owner && row.record.rtype == "CNAME")
    {
        return invalid("a CNAME exists at this host");
    }
    let record = Record::new(owner, "TXT", u32::try_from(ttl).unwrap(), answer.to_owned());
    let id = store.add(zone, record);
    let rows = &store.zones[zone];
    let row = rows.iter().find(|row| row.id == id).unwrap();
    Reply::json(200, &native(row, zone))
}

fn credentials() -> ProviderEntry {
    entry("NAMEDOTCOM", &[("apiuser", USER), ("apikey", TOKEN)])
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&Subject {
        lacks: &["CAA"],
        minimum_ttl: MINIMUM_TTL,
        // The records, one for each value.
        calls: 101,
        ..Subject::new(&fake, credentials(), "apikey")
    })
    .await;
}

#[tokio::test]
async fn name_servers_and_details_of_errors_are_read() {
    let fake = start();
    let subject = Subject::new(&fake, credentials(), "apikey");
    let provider = provider(&subject.entry);
    let zone: DnsName = "example.test".parse().unwrap();
    let names = provider.nameservers((&zone).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns1abc.name.com, ns2abc.name.com, ns3.name.com, ns4.name.com]"
    );
    let batch = TxtBatch::adding(vec![Txt {
        name: "_acme-challenge.alias.example.test".parse().unwrap(),
        value: "x".to_owned(),
    }]);
    let error = provider.change((&zone).into(), &batch).await.unwrap_err();
    assert_eq!(
        explain(&error).causes,
        [
            "`POST /v4/domains/example.test/records` answered 400 Bad Request: Invalid Argument: Parameter Value Error - a CNAME exists at this host"
        ]
    );
}
