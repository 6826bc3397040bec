//! Cloudflare, as <https://developers.cloudflare.com/api/resources/dns/> describes it.

use serde_json::{Value, json};

use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, wrong_credentials_are_named};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "cloudflare-token-for-tests";

fn start() -> Fake {
    let mut store = Store::seeded(60);
    // Apex NS and SOA records are Cloudflare's own: not listed.
    for (zone, rows) in &mut store.zones {
        rows.retain(|row| row.record.rtype != "NS" || row.record.name.as_str() != zone);
    }
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // https://developers.cloudflare.com/fundamentals/api/reference/limits/: `retry-after`
        // comes with requests over the limit.
        too_many: error(
            429,
            10429,
            "Rate limited. Please wait and consider throttling",
        )
        .with("retry-after", "1".to_owned()),
    })
}

/// The envelope of errors: <https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/>.
fn error(status: u16, code: u64, message: &str) -> Reply {
    let errors = json!([{ "code": code, "message": message }]);
    let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
    Reply::json(status, &body)
}

fn success(result: &Value, info: &Value) -> Reply {
    let body = json!({
        "success": true, "errors": [], "messages": [], "result": result, "result_info": info,
    });
    Reply::json(200, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    let by_token = request.header("authorization") == format!("Bearer {TOKEN}");
    let by_key = request.header("x-auth-key") == TOKEN
        && request.header("x-auth-email") == "user@example.test";
    if !by_token && !by_key {
        return error(403, 10000, "Authentication error");
    }
    match request.route() {
        ("GET", path) if path == ["zones"] => zones(store, request),
        ("GET", path) if path.len() == 3 && path[0] == "zones" && path[2] == "dns_records" => {
            match zone_of(store, path[1]) {
                Some(zone) => list(&store.zones[&zone], request),
                None => error(
                    404,
                    7003,
                    "Could not route, perhaps your object identifier is invalid?",
                ),
            }
        }
        ("POST", path) if path.len() == 4 && path[2..] == ["dns_records", "batch"] => {
            match zone_of(store, path[1]) {
                Some(zone) => batch(store, &zone, &request.json()),
                None => error(
                    404,
                    7003,
                    "Could not route, perhaps your object identifier is invalid?",
                ),
            }
        }
        _ => error(
            405,
            10405,
            "Method not allowed for this authentication scheme",
        ),
    }
}

fn id_of(zone: &str) -> String {
    format!("id-{}", zone.replace('.', "-"))
}

fn zone_of(store: &Store, id: &str) -> Option<String> {
    store.zones.keys().find(|zone| id_of(zone) == id).cloned()
}

/// <https://developers.cloudflare.com/api/resources/zones/methods/list/>: `per_page` 5 to 50.
fn zones(store: &Store, request: &Request) -> Reply {
    let per_page = request.number("per_page", 20);
    if !(5..=50).contains(&per_page) {
        return error(400, 1100, "Invalid per_page");
    }
    let named = request.parameter("name");
    let found: Vec<Value> = store
        .zones
        .keys()
        .filter(|zone| named.is_none_or(|name| name == *zone))
        .map(|zone| {
            json!({
                "id": id_of(zone), "name": zone, "status": "active",
                "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
            })
        })
        .collect();
    let info = json!({ "page": 1, "per_page": per_page, "total_pages": 1, "count": found.len() });
    success(&json!(found), &info)
}

/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/list/>: the
/// default page has 100 records.
fn list(rows: &[Row], request: &Request) -> Reply {
    let rtype = request.parameter("type");
    let matching: Vec<Row> = rows
        .iter()
        .filter(|row| rtype.is_none_or(|rtype| row.record.rtype == rtype))
        .cloned()
        .collect();
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 100));
    if page == 0 || !(1..=5_000_000).contains(&per_page) {
        return error(400, 9108, "Invalid pagination");
    }
    // Smaller pages than the client asks for, so that it has to turn them: the API says how many
    // there are.
    let per_page = per_page.min(1000);
    let (page_rows, pages) = page_of(&matching, page, per_page);
    let records: Vec<Value> = page_rows.iter().map(native).collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": records.len(),
        "total_count": matching.len(), "total_pages": pages,
    });
    success(&json!(records), &info)
}

fn native(row: &Row) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let bare = data.trim_end_matches('.');
    let words: Vec<&str> = bare.split(' ').collect();
    let mut native = json!({
        "id": row.id.to_string(), "name": name.as_str(), "type": rtype, "ttl": ttl,
        "content": bare, "proxied": false, "proxiable": false, "meta": {}, "settings": {},
        "comment": null, "tags": [],
    });
    match rtype.as_str() {
        "TXT" => native["content"] = json!(Spelling::Quoted.spell(data)),
        "MX" => {
            native["priority"] = json!(words[0].parse::<u32>().unwrap());
            native["content"] = json!(words[1]);
        }
        "SRV" => {
            let number = |index: usize| words[index].parse::<u32>().unwrap();
            native["priority"] = json!(number(0));
            native["content"] = json!(words[1..].join("\t"));
            native["data"] = json!({
                "priority": number(0), "weight": number(1), "port": number(2), "target": words[3],
            });
        }
        _ => {}
    }
    native
}

/// <https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/batch/>: one
/// transaction; deletes, patches, puts, posts in this order. 200 operations on the Free plan:
/// <https://developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes/>.
fn batch(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let none = Vec::new();
    let part = |key: &str| body[key].as_array().unwrap_or(&none).clone();
    let (deletes, posts) = (part("deletes"), part("posts"));
    if deletes.len() + posts.len() > 200 {
        return error(400, 81060, "The batch has too many operations");
    }
    let mut rows = store.zones[zone].clone();
    for delete in &deletes {
        let before = rows.len();
        rows.retain(|row| Some(row.id.to_string().as_str()) != delete["id"].as_str());
        if rows.len() == before {
            return error(404, 81044, "Record does not exist.");
        }
    }
    let mut new = Vec::new();
    for post in &posts {
        match checked(&rows, zone, post) {
            Ok(record) if new.contains(&record) => {
                return error(400, 81058, "An identical record already exists.");
            }
            Ok(record) => new.push(record),
            Err(reply) => return reply,
        }
    }
    store.zones.insert(zone.to_owned(), rows);
    for record in new {
        store.add(zone, record);
    }
    success(&json!({ "deletes": deletes, "posts": posts }), &Value::Null)
}

fn checked(rows: &[Row], zone: &str, post: &Value) -> Result<Record, Reply> {
    let text = |key: &str| post[key].as_str().unwrap_or_default().to_owned();
    let name = text("name");
    // Names are complete (or `@`); `www` alone would be taken as below the zone.
    if name != zone && !name.ends_with(&format!(".{zone}")) {
        return Err(error(400, 9000, "DNS name is invalid."));
    }
    // TTL: 1 for automatic, or 60 (Enterprise 30) to 86400.
    let ttl = post["ttl"].as_u64().unwrap_or(1);
    if ttl != 1 && !(60..=86400).contains(&ttl) {
        return Err(error(
            400,
            9021,
            "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.",
        ));
    }
    // "The content must consist of quoted character strings".
    let content = text("content");
    if text("type") != "TXT" || !content.starts_with('"') || !content.ends_with('"') {
        return Err(error(400, 9207, "Content of TXT records must be quoted."));
    }
    let value = Spelling::Quoted.text(&content);
    let record = Record::new(
        name.parse().unwrap(),
        "TXT",
        u32::try_from(ttl).unwrap(),
        value,
    );
    let at_name = || rows.iter().filter(|row| row.record.name == record.name);
    if at_name().any(|row| row.record.rtype == "CNAME") {
        return Err(error(
            400,
            81054,
            "A CNAME record with that host already exists.",
        ));
    }
    let is_same = |row: &Row| row.record.rtype == "TXT" && row.record.data == record.data;
    if at_name().any(is_same) {
        return Err(error(400, 81058, "An identical record already exists."));
    }
    Ok(record)
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    let by_token = entry("CLOUDFLAREAPI", &[("apitoken", TOKEN)]);
    conforms_to_all(&Subject {
        lists_apex_ns: false,
        // The zone, its TXT records, one batch.
        calls: 3,
        ..Subject::new(&fake, by_token, "apitoken")
    })
    .await;
    let by_key = entry(
        "CLOUDFLAREAPI",
        &[("apikey", TOKEN), ("apiuser", "user@example.test")],
    );
    wrong_credentials_are_named(&Subject::new(&fake, by_key, "apikey")).await;
}
