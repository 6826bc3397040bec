//! `DNSimple`, as <https://developer.dnsimple.com/v2/> describes it, with the answers of its
//! `fixtures` (<https://github.com/dnsimple/dnsimple-developer>).

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, provider};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::labels::label;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "dnsimple-token-for-tests";
const USER_TOKEN: &str = "dnsimple-user-token-for-tests";

/// Only the plan Enterprise has batches.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Solo,
    Enterprise,
}

fn start(plan: Plan) -> Fake {
    let mut store = Store::seeded(0);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, plan, request)),
        is_write: |request| request.method != "GET",
        // https://developer.dnsimple.com/v2/#rate-limiting: with the Unix time when it ends.
        too_many: error(429, "quota exceeded"),
    })
    .refusing_with(|| {
        let reset = OffsetDateTime::now_utc().unix_timestamp() + 2;
        error(429, "quota exceeded").with("x-ratelimit-reset", reset.to_string())
    })
}

/// "A JSON object as body, with at least a `message` key".
fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message }))
}

fn answer(store: &mut Store, plan: Plan, request: &Request) -> Reply {
    let authorization = request.header("authorization");
    let is_user = authorization == format!("Bearer {USER_TOKEN}");
    if !is_user && authorization != format!("Bearer {TOKEN}") {
        return error(401, "Authentication failed");
    }
    let (method, path) = request.route();
    if (method, &path[..]) == ("GET", &["v2", "whoami"]) {
        let data = if is_user {
            json!({ "user": { "id": 1, "email": "user@example.test" }, "account": null })
        } else {
            json!({ "user": null, "account": { "id": 1010, "plan_identifier": "x" } })
        };
        return Reply::json(200, &json!({ "data": data }));
    }
    let ["v2", "1010", "zones", zone, more @ ..] = &path[..] else {
        return error(404, "Not Found");
    };
    if !store.zones.contains_key(*zone) {
        return error(404, &format!("Zone `{zone}` not found"));
    }
    if method == "POST" && request.header("content-type") != "application/json" {
        return error(400, "The content type must be JSON");
    }
    match (method, more) {
        ("GET", ["records"]) => list(&store.zones[*zone], zone, request),
        ("POST", ["records"]) => match checked(store, zone, &request.json()) {
            Ok(record) => {
                let id = store.add(zone, record);
                Reply::json(201, &json!({ "data": { "id": id } }))
            }
            Err(problem) => Reply::json(400, &problem),
        },
        ("DELETE", ["records", id]) => match id.parse() {
            Ok(id) if store.delete(zone, id) => Reply::empty(204),
            _ => error(404, &format!("Record `{id}` not found")),
        },
        ("POST", ["batch"]) if plan == Plan::Enterprise => batch(store, zone, &request.json()),
        ("POST", ["batch"]) => error(412, "The feature is not enabled for the account"),
        _ => error(404, "Not Found"),
    }
}

/// <https://developer.dnsimple.com/v2/#pagination>: 30 unless said, 100 at most.
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 30));
    if page == 0 || !(1..=100).contains(&per_page) {
        return error(400, "Invalid query: per_page must be between 1 and 100");
    }
    let mut all: Vec<Value> = rows.iter().map(|row| native(row, zone)).collect();
    all.push(json!({
        "id": 1_000_000, "zone_id": zone, "parent_id": null, "name": "", "type": "SOA",
        "content": "ns1.dnsimple.com admin.dnsimple.com 1458642070 86400 7200 604800 300",
        "ttl": 3600, "priority": null, "regions": ["global"], "system_record": true,
    }));
    let rtype = request.parameter("type");
    all.retain(|record| rtype.is_none_or(|rtype| record["type"] == rtype));
    let (data, pages) = page_of(&all, page, per_page);
    let pagination = json!({
        "current_page": page, "per_page": per_page, "total_entries": all.len(),
        "total_pages": pages,
    });
    Reply::json(200, &json!({ "data": data, "pagination": pagination }))
}

/// Names are short, host names come without a final dot, TXT is quoted.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let (priority, content) = match rtype.as_str() {
        "MX" | "SRV" => {
            let (priority, content) = data.split_once(' ').unwrap();
            (json!(priority.parse::<u32>().unwrap()), content)
        }
        _ => (Value::Null, data.as_str()),
    };
    let content = match rtype.as_str() {
        "TXT" => Spelling::Quoted.spell(content),
        _ => content.trim_end_matches('.').to_owned(),
    };
    let label = label(name, &zone.parse().unwrap());
    json!({
        "id": row.id, "zone_id": zone, "parent_id": null, "type": rtype, "content": content,
        "name": label, "ttl": ttl, "priority": priority,
        "regions": ["global"], "system_record": false,
    })
}

/// What a record of a request is, or what is wrong with it.
fn checked(store: &Store, zone: &str, body: &Value) -> Result<Record, Value> {
    let problem = |field: &str, what: &str| {
        Err(json!({ "message": "Validation failed", "errors": { field: [what] } }))
    };
    let (Some(name), Some(content)) = (body["name"].as_str(), body["content"].as_str()) else {
        return problem("content", "can't be blank");
    };
    if body["type"] != "TXT" {
        return problem("record_type", "unsupported");
    }
    // "The record name, without the domain. Use an empty string for the apex."
    if name == "@" || name.ends_with(zone) {
        return problem("name", "is invalid");
    }
    // https://support.dnsimple.com/articles/txt-record-format: text in quotes is published
    // verbatim, and has to be right.
    let text = Spelling::Quoted.text(content);
    if Spelling::Quoted.spell(&text) != content || content.len() > 1000 || text.is_empty() {
        return problem("content", "is invalid");
    }
    let Some(ttl) = body["ttl"].as_u64().filter(|ttl| *ttl > 0) else {
        return problem("ttl", "is not a number");
    };
    let owner: DnsName = match name {
        "" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    }
    .parse()
    .unwrap();
    let at_name = || {
        let rows = store.zones[zone].iter().map(|row| &row.record);
        rows.filter(|record| record.name == owner)
    };
    if at_name().any(|record| record.rtype == "CNAME") {
        return problem("base", "A CNAME record already exists for this name");
    }
    if at_name().any(|record| record.rtype == "TXT" && record.data == text) {
        return problem("base", "Matching record already exists for this zone");
    }
    Ok(Record::new(owner, "TXT", u32::try_from(ttl).unwrap(), text))
}

/// <https://developer.dnsimple.com/v2/zones/batch-change-zone-records/>: deletes, then creates, all
/// or nothing; 100 at most: <https://blog.dnsimple.com/2025/10/bulk-dns-updates>.
fn batch(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let none = Vec::new();
    let part = |key: &str| body[key].as_array().unwrap_or(&none).clone();
    let (deletes, creates) = (part("deletes"), part("creates"));
    if deletes.len() + creates.len() > 100 {
        return error(400, "The batch has more than 100 operations");
    }
    let failed = |kind: &str, index: usize, mut problem: Value| {
        problem["index"] = json!(index);
        let body = json!({ "message": "Validation failed", "errors": { kind: [problem] } });
        Reply::json(400, &body)
    };
    let before = store.zones[zone].clone();
    for (index, delete) in deletes.iter().enumerate() {
        if !store.delete(zone, delete["id"].as_u64().unwrap_or_default()) {
            store.zones.insert(zone.to_owned(), before);
            let message = format!("Record not found ID={}", delete["id"]);
            return failed("deletes", index, json!({ "message": message }));
        }
    }
    let mut made = Vec::new();
    for (index, create) in creates.iter().enumerate() {
        match checked(store, zone, create) {
            Ok(record) => made.push(json!({ "id": store.add(zone, record) })),
            Err(problem) => {
                store.zones.insert(zone.to_owned(), before);
                return failed("creates", index, problem);
            }
        }
    }
    let data = json!({ "creates": made, "updates": [], "deletes": deletes });
    Reply::json(200, &json!({ "data": data }))
}

fn credentials(token: &str) -> ProviderEntry {
    entry("DNSIMPLE", &[("token", token)])
}

#[tokio::test]
async fn conforms_with_batches() {
    let fake = start(Plan::Enterprise);
    conforms_to_all(&Subject {
        lists_soa: true,
        // The account, the TXT records, one batch.
        calls: 3,
        ..Subject::new(&fake, credentials(TOKEN), "token")
    })
    .await;
}

#[tokio::test]
async fn conforms_without_batches() {
    let fake = start(Plan::Solo);
    conforms_to_all(&Subject {
        lists_soa: true,
        // The account, the TXT records, a batch that is refused, one for each value.
        calls: 103,
        ..Subject::new(&fake, credentials(TOKEN), "token")
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_user_is_named() {
    let fake = start(Plan::Solo);
    let subject = Subject::new(&fake, credentials(USER_TOKEN), "token");
    let zone: DnsName = "example.test".parse().unwrap();
    let error = provider(&subject.entry)
        .records((&zone).into())
        .await
        .unwrap_err();
    let explained = explain(&error);
    assert_eq!(
        explained.causes,
        ["the token is of a user, not of an account"]
    );
    assert_eq!(
        explained.hints,
        [
            "make an access token of the account that has the zone: https://support.dnsimple.com/articles/api-access-token/"
        ]
    );
}
