//! Porkbun, as <https://porkbun.com/api/json/v3/documentation> describes it, and its specification,
//! <https://porkbun.com/api/json/v3/spec>.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, provider};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::servers::entry;

const KEY: &str = "pk1_porkbun-key-for-tests";
const SECRET: &str = "sk1_porkbun-secret-for-tests";

/// "Minimum is determined by account settings (typically 600)."
const MINIMUM_TTL: u32 = 600;

/// "SOA records and Porkbun default NS records are excluded."
fn store() -> Store {
    let mut store = Store::seeded(MINIMUM_TTL);
    for (zone, rows) in &mut store.zones {
        rows.retain(|row| row.record.rtype != "NS" || row.record.name.as_str() != zone);
    }
    store
}

fn start() -> Fake {
    let mut store = store();
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write,
        too_many: unavailable(),
    })
}

fn is_write(request: &Request) -> bool {
    ["create", "delete"].contains(&request.path[1].as_str())
}

/// What more than a request a second gets: <https://github.com/DNSControl/dnscontrol/issues/3225>.
fn unavailable() -> Reply {
    Reply {
        status: 503,
        headers: vec![("content-type", "text/html".to_owned())],
        body: "<html>\n<head><title>503 Service Temporarily Unavailable</title></head>\n</html>"
            .to_owned(),
    }
}

/// `ErrorResponse`: 400 but for a few.
fn error(code: &str, message: &str) -> Reply {
    let body = json!({ "status": "ERROR", "message": message, "code": code });
    Reply::json(400, &body)
}

fn success(more: &Value) -> Reply {
    let mut body = json!({ "status": "SUCCESS" });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Reply::json(200, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.method != "POST" {
        return error("METHOD_NOT_ALLOWED", "Method not allowed.");
    }
    let body = request.json();
    if !body.is_object() || request.header("content-type") != "application/json" {
        return error("INVALID_OR_EMPTY_JSON", "Invalid or empty JSON.");
    }
    if body["apikey"].is_null() || body["secretapikey"].is_null() {
        return error("API_KEY_REQUIRED", "An API key is required.");
    }
    if body["apikey"] != KEY || body["secretapikey"] != SECRET {
        return error("INVALID_API_KEYS_001", "Invalid API key. (001)");
    }
    let (_, path) = request.route();
    let (command, zone, id) = match &path[..] {
        ["dns" | "domain", command, zone] => (*command, *zone, ""),
        ["dns", command, zone, id] => (*command, *zone, *id),
        _ => return Reply::empty(404),
    };
    if zone == "closed.test" {
        // Each domain has to be opted in; the answer has no code.
        let message = "Domain is not opted in to API access.";
        return Reply::json(400, &json!({ "status": "ERROR", "message": message }));
    }
    if !store.zones.contains_key(zone) {
        return error("INVALID_DOMAIN", "Invalid domain.");
    }
    match (command, id) {
        ("retrieve", "") => {
            let records: Vec<Value> = store.zones[zone].iter().map(native).collect();
            success(&json!({ "cloudflare": "disabled", "records": records }))
        }
        ("getUrlForwarding", "") => success(&json!({ "forwards": [] })),
        ("create", "") => create(store, zone, &body),
        ("delete", id) => match id.parse() {
            Ok(id) if store.delete(zone, id) => success(&json!({})),
            _ => error("INVALID_RECORD_ID", "Invalid record ID."),
        },
        _ => Reply::empty(404),
    }
}

/// Names are complete, host names have no final dot, numbers are text.
fn native(row: &Row) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let bare = data.trim_end_matches('.');
    let (prio, content) = match rtype.as_str() {
        "MX" | "SRV" => bare.split_once(' ').map(|(prio, rest)| (json!(prio), rest)),
        "TXT" | "CAA" => Some((Value::Null, data.as_str())),
        _ => Some((Value::Null, bare)),
    }
    .unwrap();
    json!({
        "id": row.id.to_string(), "name": name.as_str(), "type": rtype, "content": content,
        "ttl": ttl.to_string(), "prio": prio, "notes": null,
    })
}

/// `CreateDnsRequest`.
fn create(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let (Some(name), Some(content)) = (body["name"].as_str(), body["content"].as_str()) else {
        return error("INVALID_CONTENT", "Name and content are text.");
    };
    if body["type"] != "TXT" {
        return error("INVALID_TYPE", "Invalid type.");
    }
    // "Subdomain for the record (blank for root). Do not include the domain name itself."
    if name == "@" || name.ends_with(zone) {
        return error("INVALID_NAME", "Invalid name.");
    }
    // DNSControl's tests found these two: https://docs.dnscontrol.org/provider/porkbun
    if content.is_empty() || content.ends_with(' ') || content.starts_with('"') {
        return error("INVALID_CONTENT", "Invalid content.");
    }
    let ttl = body["ttl"].as_u64().unwrap_or(0);
    if ttl < u64::from(MINIMUM_TTL) {
        return error("INVALID_TTL", "The TTL is below the account's minimum.");
    }
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
        return error("INVALID_NAME", "A CNAME exists at this name.");
    }
    if at_name().any(|record| record.rtype == "TXT" && record.data == content) {
        return error(
            "DUPLICATE_RECORD",
            "A record with this exact name, type and content already exists.",
        );
    }
    let record = Record::new(
        owner,
        "TXT",
        u32::try_from(ttl).unwrap(),
        content.to_owned(),
    );
    let id = store.add(zone, record);
    success(&json!({ "id": id.to_string() }))
}

fn credentials() -> ProviderEntry {
    entry("PORKBUN", &[("api_key", KEY), ("secret_key", SECRET)])
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&Subject {
        lists_apex_ns: false,
        minimum_ttl: MINIMUM_TTL,
        // The records, one for each value.
        calls: 101,
        ..Subject::new(&fake, credentials(), "secret_key")
    })
    .await;
}

#[tokio::test]
async fn api_access_that_is_off_is_named() {
    let fake = start();
    let subject = Subject::new(&fake, credentials(), "secret_key");
    let zone: DnsName = "closed.test".parse().unwrap();
    let error = provider(&subject.entry)
        .records((&zone).into())
        .await
        .unwrap_err();
    let explained = explain(&error);
    assert_eq!(
        explained.causes,
        [
            "`POST /dns/retrieve/closed.test` answered 400 Bad Request: Domain is not opted in to API access."
        ]
    );
    assert_eq!(
        explained.hints,
        [
            "check `api_key` and `secret_key` in `creds.json` entry `main`: they must be a key of the domain's account, and API access must be on for the domain"
        ]
    );
}

#[tokio::test]
async fn refusals_are_waited_for_as_often_as_the_entry_says() {
    let fake = start();
    let zone: DnsName = "example.test".parse().unwrap();
    let add = TxtBatch::adding(vec![Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    }]);
    let mut subject = Subject::new(&fake, credentials(), "secret_key");
    let limit = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    subject.entry.fields.extend([limit("max_attempts", "2")]);
    fake.refuse_after(0, 1);
    let once = provider(&subject.entry);
    once.change((&zone).into(), &add).await.unwrap();
    subject.entry.fields.extend([limit("max_attempts", "1")]);
    fake.refuse_after(0, 1);
    let never = provider(&subject.entry);
    let error = never.records((&zone).into()).await.unwrap_err();
    let explained = explain(&error);
    assert!(
        explained.causes[0]
            .starts_with("`POST /dns/retrieve/example.test` answered 503 Service Unavailable: "),
        "{explained:?}",
        explained = explained.causes
    );
}

#[tokio::test]
async fn a_limit_with_its_end_is_kept() {
    let mut store = store();
    let mut refused = 0;
    let fake = Fake::start(Vendor {
        answer: Box::new(move |request| {
            refused += 1;
            if refused == 1 {
                // `RateLimitExceeded`; `ttlRemaining` is "present on some endpoints".
                let body = json!({
                    "status": "ERROR", "message": "Rate limit exceeded. Please try again later.",
                    "code": "RATE_LIMIT_EXCEEDED", "ttlRemaining": 2,
                });
                return Reply::json(429, &body);
            }
            answer(&mut store, request)
        }),
        is_write,
        too_many: unavailable(),
    });
    let subject = Subject::new(&fake, credentials(), "secret_key");
    let zone: DnsName = "example.test".parse().unwrap();
    let start = std::time::Instant::now();
    provider(&subject.entry)
        .records((&zone).into())
        .await
        .unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_secs(2));
}
