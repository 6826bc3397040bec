//! `DigitalOcean`, as <https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records>
//! (and <https://github.com/digitalocean/openapi>) describes it.

use serde_json::{Value, json};

use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::servers::entry;

const TOKEN: &str = "digitalocean-token-for-tests";

fn start() -> Fake {
    let mut store = Store::seeded(30);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // https://docs.digitalocean.com/notes/2023/api-rate-limit: with Retry-After, in seconds.
        too_many: error(429, "too_many_requests", "Too many requests")
            .with("retry-after", "1".to_owned()),
    })
}

/// <https://github.com/digitalocean/openapi/blob/main/specification/shared/models/error.yml>
fn error(status: u16, id: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "id": id, "message": message }))
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return error(401, "Unauthorized", "Unable to authenticate you");
    }
    let (method, path) = request.route();
    let not_found = error(
        404,
        "not_found",
        "The resource you were accessing could not be found.",
    );
    let ["domains", zone, "records", id @ ..] = &path[..] else {
        return not_found;
    };
    if !store.zones.contains_key(*zone) {
        return not_found;
    }
    match (method, id) {
        ("GET", []) => list(&store.zones[*zone], zone, request),
        ("POST", []) => create(store, zone, &request.json()),
        ("DELETE", [id]) => match id.parse() {
            Ok(id) if store.delete(zone, id) => Reply::empty(204),
            _ => not_found,
        },
        _ => not_found,
    }
}

/// `per_page` is 20 unless said, and at most 200: `shared/parameters.yml`.
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 20));
    if page == 0 || !(1..=200).contains(&per_page) {
        return error(400, "bad_request", "per_page must be between 1 and 200");
    }
    let mut all: Vec<Value> = rows.iter().map(|row| native(row, zone)).collect();
    all.push(json!({ "id": 1_000_000, "type": "SOA", "name": "@", "data": "1800", "ttl": 1800 }));
    let rtype = request.parameter("type");
    all.retain(|record| rtype.is_none_or(|rtype| record["type"] == rtype));
    let (records, pages) = page_of(&all, page, per_page);
    let mut links = json!({});
    if page < pages {
        let next = page + 1;
        let url = format!("https://api.digitalocean.com/v2/domains/{zone}/records?page={next}");
        links = json!({ "pages": { "next": url, "last": url } });
    }
    let meta = json!({ "total": all.len() });
    Reply::json(
        200,
        &json!({ "domain_records": records, "links": links, "meta": meta }),
    )
}

/// Names are short, host names come without a final dot, and the zone itself is `@`.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let words: Vec<&str> = data.split(' ').collect();
    let host = |name: &str| match name.trim_end_matches('.') {
        bare if bare == zone => "@".to_owned(),
        bare => bare.to_owned(),
    };
    let number = |index: usize| json!(words[index].parse::<u32>().unwrap());
    let mut native = json!({
        "id": row.id, "type": rtype, "name": name.label_in(&zone.parse().unwrap()), "ttl": ttl,
        "data": data, "priority": null, "port": null, "weight": null, "flags": null, "tag": null,
    });
    match rtype.as_str() {
        "CNAME" | "NS" => native["data"] = json!(host(data)),
        "MX" => {
            native["priority"] = number(0);
            native["data"] = json!(host(words[1]));
        }
        "SRV" => {
            native["priority"] = number(0);
            native["weight"] = number(1);
            native["port"] = number(2);
            native["data"] = json!(host(words[3]));
        }
        "CAA" => {
            native["flags"] = number(0);
            native["tag"] = json!(words[1]);
            native["data"] = json!(words[2].trim_matches('"'));
        }
        _ => {}
    }
    native
}

/// The documentation names no check for duplicates, so none is made: a client must not rely on one.
fn create(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let unprocessable = |message: &str| error(422, "unprocessable_entity", message);
    let (Some(name), Some(data)) = (body["name"].as_str(), body["data"].as_str()) else {
        return unprocessable("Name and data are required.");
    };
    if body["type"] != "TXT" {
        return unprocessable("Type is not a TXT record.");
    }
    // A name that ends in the zone's would be doubled.
    if name.ends_with(zone) {
        return unprocessable("Name should not include the domain.");
    }
    // Clients know 30 as the smallest TTL; the documentation names none.
    let ttl = body["ttl"].as_u64().unwrap_or(1800);
    if ttl < 30 {
        return unprocessable("TTL must be at least 30.");
    }
    // Quotes would become part of the value.
    if data.is_empty() || data.len() > 512 || data.contains(['"', '\\']) {
        return unprocessable("Data is not valid for a TXT record.");
    }
    let owner = match name {
        "@" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    let owner = owner.parse().unwrap();
    let rows = &store.zones[zone];
    if rows
        .iter()
        .any(|row| row.record.name == owner && row.record.rtype == "CNAME")
    {
        return unprocessable("CNAME records cannot share a name with other records");
    }
    let record = Record::new(owner, "TXT", u32::try_from(ttl).unwrap(), data.to_owned());
    let id = store.add(zone, record);
    Reply::json(201, &json!({ "domain_record": { "id": id } }))
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    let entry = entry("DIGITALOCEAN", &[("token", TOKEN)]);
    conforms_to_all(&Subject {
        // The TXT records, one for each value.
        calls: 101,
        ..Subject::new(&fake, entry, "token")
    })
    .await;
}
