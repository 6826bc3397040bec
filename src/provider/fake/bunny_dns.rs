//! Bunny DNS, as <https://docs.bunny.net/reference/dnszonepublic_index> describes it.

use serde_json::{Value, json};

use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::labels::label;
use crate::provider::servers::entry;

const KEY: &str = "bunny-key-for-tests";

/// Ids of the zones; others have such names, too.
const ZONES: [(u64, &str); 3] = [
    (7, "not-example.test"),
    (8, "example.test"),
    (9, "big.test"),
];

/// Numbers of the types that the zones have.
const TYPES: [(&str, u64); 8] = [
    ("A", 0),
    ("AAAA", 1),
    ("CNAME", 2),
    ("TXT", 3),
    ("MX", 4),
    ("SRV", 8),
    ("CAA", 9),
    ("NS", 12),
];

fn start() -> Fake {
    let mut store = Store::seeded(60);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // No limit is published; this is what HTTP has for one.
        too_many: error(429, "too_many_requests", "Too many requests")
            .with("retry-after", "1".to_owned()),
    })
}

fn error(status: u16, key: &str, message: &str) -> Reply {
    let body = json!({ "ErrorKey": key, "Field": "", "Message": message });
    Reply::json(status, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.header("accesskey") != KEY {
        return error(
            401,
            "unauthorized",
            "The request authorization header is not valid.",
        );
    }
    let (method, path) = request.route();
    let not_found = error(
        404,
        "dnszone.not_found",
        "The requested DNS zone was not found",
    );
    let ["dnszone", more @ ..] = &path[..] else {
        return not_found;
    };
    let [id, more @ ..] = more else {
        return zones(store, request);
    };
    let Some((id, zone)) = ZONES.iter().find(|(known, _)| known.to_string() == *id) else {
        return not_found;
    };
    match (method, more) {
        ("GET", []) => {
            let rows = store.zones[*zone].iter();
            let listed = rows.filter(|row| !is_apex_ns(row, zone));
            let records: Vec<Value> = listed.map(|row| native(row, zone)).collect();
            let mut answer = described(store, *id, zone);
            answer["Records"] = json!(records);
            Reply::json(200, &answer)
        }
        ("PUT", ["records"]) => create(store, zone, &request.json()),
        ("DELETE", ["records", id]) => match id.parse() {
            Ok(id) if store.delete(zone, id) => Reply::empty(204),
            _ => error(404, "dnszone.record.not_found", "The record was not found"),
        },
        _ => not_found,
    }
}

/// `page` counts from 1, and `search` finds parts of names.
fn zones(store: &Store, request: &Request) -> Reply {
    let (page, size) = (request.number("page", 1), request.number("perPage", 1000));
    if page == 0 || !(5..=1000).contains(&size) {
        return error(
            400,
            "validation_error",
            "perPage must be between 5 and 1000",
        );
    }
    let search = request.parameter("search").unwrap_or_default();
    let found: Vec<Value> = ZONES
        .iter()
        .filter(|(_, zone)| zone.contains(search))
        .map(|(id, zone)| described(store, *id, zone))
        .collect();
    let (items, pages) = page_of(&found, page, size);
    Reply::json(
        200,
        &json!({
            "Items": items, "CurrentPage": page, "TotalItems": found.len(),
            "HasMoreItems": page < pages,
        }),
    )
}

fn described(store: &Store, id: u64, zone: &str) -> Value {
    let rows = store.zones.get(zone).into_iter().flatten();
    let mut servers = rows
        .filter(|row| is_apex_ns(row, zone))
        .map(|row| json!(row.record.data.trim_end_matches('.')));
    json!({
        "Id": id, "Domain": zone, "Records": [], "DnsSecEnabled": false,
        "Nameserver1": servers.next(), "Nameserver2": servers.next(),
    })
}

/// The apex NS set is not among the records.
fn is_apex_ns(row: &Row, zone: &str) -> bool {
    row.record.rtype == "NS" && row.record.name.as_str() == zone
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
    let kind = TYPES.iter().find(|(name, _)| name == rtype).unwrap().1;
    let mut native = json!({
        "Id": row.id, "Type": kind, "Name": label, "Ttl": ttl,
        "Value": data, "Weight": 0, "Priority": 0, "Port": 0, "Flags": 0, "Tag": "",
        "Disabled": false, "LinkName": "", "Comment": null,
    });
    match rtype.as_str() {
        "CNAME" | "NS" => native["Value"] = json!(host),
        "MX" => (native["Priority"], native["Value"]) = (number(0), json!(host)),
        "SRV" => {
            (native["Priority"], native["Weight"]) = (number(0), number(1));
            (native["Port"], native["Value"]) = (number(2), json!(host));
        }
        "CAA" => {
            (native["Flags"], native["Tag"]) = (number(0), json!(words[1]));
            native["Value"] = json!(words[2].trim_matches('"'));
        }
        _ => {}
    }
    native
}

/// <https://docs.bunny.net/reference/dnszonepublic_addrecord>
fn create(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let invalid = |message: &str| error(400, "validation_error", message);
    if body["Type"] != 3 {
        return invalid("Only TXT is expected here.");
    }
    // A name that ends in the zone's would be doubled.
    let Some(label) = body["Name"].as_str().filter(|name| !name.ends_with(zone)) else {
        return invalid("The name is invalid.");
    };
    // Quotes would become part of the value.
    let value = body["Value"].as_str().unwrap_or_default();
    if value.is_empty() || value.contains('"') {
        return invalid("The value is invalid.");
    }
    let Some(ttl) = body["Ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok()) else {
        return invalid("The TTL is invalid.");
    };
    let owner = match label {
        "" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    let record = Record::new(owner.parse().unwrap(), "TXT", ttl, value.to_owned());
    let rows = &store.zones[zone];
    let is_alias = |row: &Row| row.record.name == record.name && row.record.rtype == "CNAME";
    if rows.iter().any(is_alias) {
        return invalid("A CNAME record cannot share a name with other records.");
    }
    let id = store.add(zone, record.clone());
    Reply::json(201, &native(&Row { id, record }, zone))
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&Subject {
        apex_ns_ttl: Some(0),
        // The zone, its records, one for each value.
        calls: 102,
        ..Subject::new(&fake, entry("BUNNY_DNS", &[("api_key", KEY)]), "api_key")
    })
    .await;
}
