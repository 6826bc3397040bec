//! Vultr, as <https://www.vultr.com/api/#tag/dns> describes it.

use serde_json::{Value, json};

use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::labels::label;
use crate::provider::servers::entry;

const TOKEN: &str = "vultr-token-for-tests";

/// Smallest TTL here: clients use no smaller one, and the documentation names none.
const MINIMUM_TTL: u32 = 120;

fn start() -> Fake {
    let mut store = Store::seeded(MINIMUM_TTL);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // The documentation names the status only; the header is what the shared case waits for.
        too_many: error(429, "Rate limit exceeded").with("retry-after", "1".to_owned()),
    })
}

/// <https://www.vultr.com/api/#section/Introduction/Response-Codes>
fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": message, "status": status }))
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return error(401, "Invalid API token.");
    }
    let (method, path) = request.route();
    let ["domains", zone, "records", id @ ..] = &path[..] else {
        return error(404, "Not found");
    };
    if !store.zones.contains_key(*zone) {
        return error(404, "Invalid domain.");
    }
    match (method, id) {
        ("GET", []) => list(&store.zones[*zone], zone, request),
        ("POST", []) => create(store, zone, &request.json()),
        ("DELETE", [id]) => match id.trim_start_matches("record-").parse() {
            Ok(id) if store.delete(zone, id) => Reply::empty(204),
            _ => error(404, "Invalid record."),
        },
        _ => error(404, "Not found"),
    }
}

/// `per_page` is 100 unless said, and at most 500; the cursor of the next page is in
/// `meta.links.next`: <https://www.vultr.com/api/#section/Introduction/Meta-and-pagination>
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let size = request.number("per_page", 100);
    if !(1..=500).contains(&size) {
        return error(400, "Invalid per_page.");
    }
    let first = match request.parameter("cursor") {
        None => 0,
        Some(cursor) => match cursor.strip_prefix("next__").map(str::parse::<usize>) {
            Some(Ok(first)) => first,
            _ => return error(400, "Invalid cursor."),
        },
    };
    let end = rows.len().min(first + size);
    let records: Vec<Value> = rows[first..end]
        .iter()
        .map(|row| native(row, zone))
        .collect();
    let next = if end < rows.len() {
        format!("next__{end}")
    } else {
        String::new()
    };
    let meta = json!({ "total": rows.len(), "links": { "next": next, "prev": "" } });
    Reply::json(200, &json!({ "records": records, "meta": meta }))
}

/// Names are relative and empty at the apex; host names come without a final dot, priorities
/// apart, TXT between quotes.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let label = label(name, &zone.parse().unwrap());
    let host = data.trim_end_matches('.');
    let (priority, data) = match rtype.as_str() {
        "CNAME" | "NS" => (-1, host.to_owned()),
        "MX" | "SRV" => {
            let (priority, rest) = host.split_once(' ').unwrap();
            (priority.parse().unwrap(), rest.to_owned())
        }
        "TXT" => (-1, format!("\"{data}\"")),
        _ => (-1, data.clone()),
    };
    json!({
        "id": format!("record-{}", row.id), "type": rtype, "ttl": ttl, "priority": priority,
        "name": label, "data": data,
    })
}

/// <https://www.vultr.com/api/#operation/create-dns-domain-record>
fn create(store: &mut Store, zone: &str, body: &Value) -> Reply {
    if body["type"] != "TXT" {
        return error(400, "Only TXT is expected here.");
    }
    // A name that ends in the zone's would be doubled.
    let Some(label) = body["name"]
        .as_str()
        .filter(|name| *name != "@" && !name.ends_with(zone))
    else {
        return error(400, "Invalid name.");
    };
    // Data must be between quotes, and have none inside.
    let data = body["data"].as_str().unwrap_or_default();
    let text = data.strip_prefix('"');
    let text = text.and_then(|text| text.strip_suffix('"'));
    let Some(text) = text.filter(|text| !text.is_empty() && !text.contains('"')) else {
        return error(
            400,
            "Unable to add record: TXT records must be enclosed in quotes.",
        );
    };
    let ttl = u32::try_from(body["ttl"].as_u64().unwrap_or(300)).unwrap();
    if ttl < MINIMUM_TTL {
        return error(400, "Invalid TTL.");
    }
    let owner = match label {
        "" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    let owner = owner.parse().unwrap();
    let rows = &store.zones[zone];
    if rows
        .iter()
        .any(|row| row.record.name == owner && row.record.rtype == "CNAME")
    {
        return error(
            400,
            "A CNAME record cannot share a name with other records.",
        );
    }
    let record = Record::new(owner, "TXT", ttl, text.to_owned());
    let id = store.add(zone, record.clone());
    Reply::json(201, &json!({ "record": native(&Row { id, record }, zone) }))
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&Subject {
        minimum_ttl: MINIMUM_TTL,
        // The zone, one for each value.
        calls: 101,
        ..Subject::new(&fake, entry("VULTR", &[("token", TOKEN)]), "token")
    })
    .await;
}
