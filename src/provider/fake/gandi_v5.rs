//! Gandi's `LiveDNS`, as <https://api.gandi.net/docs/livedns/> describes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, wrong_credentials_are_named};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor, page_of};
use crate::provider::labels::owner;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "gandi-token-for-tests";
const KEY: &str = "gandi-key-for-tests";
const ORGANIZATION: &str = "c0ffee00-0000-4000-8000-000000000000";

const MINIMUM_TTL: u32 = 300;

fn start() -> Fake {
    let mut store = Store::seeded(MINIMUM_TTL);
    // The apex NS set is Gandi's own: it is not listed.
    for (zone, rows) in &mut store.zones {
        rows.retain(|row| row.record.rtype != "NS" || row.record.name.as_str() != zone);
    }
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // https://api.gandi.net/docs/reference/ has the limit, and nothing of when it ends.
        too_many: error(429, "Too Many Requests", "Too many requests"),
    })
}

fn error(status: u16, cause: &str, message: &str) -> Reply {
    let body =
        json!({ "code": status, "message": message, "object": "dns-record", "cause": cause });
    Reply::json(status, &body)
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    let authorization = request.header("authorization");
    if authorization != format!("Bearer {TOKEN}") && authorization != format!("Apikey {KEY}") {
        return error(
            401,
            "Unauthorized",
            "The server could not verify that you authorized to access the document you requested.",
        );
    }
    let not_found = error(404, "Not Found", "The resource could not be found.");
    // "The sharing ID acts like a filter": the user's own organization has no domain here.
    if request.parameter("sharing_id") != Some(ORGANIZATION) {
        return not_found;
    }
    let (method, path) = request.route();
    let ["v5", "livedns", "domains", zone, more @ ..] = &path[..] else {
        return not_found;
    };
    if !store.zones.contains_key(*zone) {
        return not_found;
    }
    match (method, more) {
        ("GET", ["nameservers"]) => Reply::json(
            200,
            &json!(["ns-1-a.gandi.net", "ns-2-b.gandi.net", "ns-3-c.gandi.net"]),
        ),
        ("GET", ["records"]) => list(&store.zones[*zone], zone, request),
        ("PUT", ["records", label, "TXT"]) => put(store, zone, label, request),
        ("DELETE", ["records", label, "TXT"]) => {
            let rows = store.zones.get_mut(*zone).unwrap();
            let before = rows.len();
            rows.retain(|row| row.record.rtype != "TXT" || label_of(row, zone) != *label);
            if rows.len() < before {
                Reply::empty(204)
            } else {
                no_record(label)
            }
        }
        _ => not_found,
    }
}

fn no_record(label: &str) -> Reply {
    let message = format!("Can't find the DNS record {label}/TXT in the zone");
    error(404, "Not Found", &message)
}

/// Names have the case that they were made with.
fn label_of(row: &Row, zone: &str) -> String {
    match row.record.name.label_in(&zone.parse().unwrap()).unwrap() {
        "many" => "Many".to_owned(),
        label => label.to_owned(),
    }
}

/// 100 sets to a page, links to the next and the last page.
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 100));
    if page == 0 || per_page == 0 {
        return error(
            400,
            "Bad Request",
            "page must be greater than or equal to 1",
        );
    }
    let rtype = request.parameter("rrset_type");
    let mut sets: BTreeMap<(String, &str), (u32, Vec<String>)> = BTreeMap::new();
    for row in rows {
        let record = &row.record;
        if rtype.is_none_or(|rtype| record.rtype == rtype) {
            let set = sets
                .entry((label_of(row, zone), &record.rtype))
                .or_default();
            set.0 = record.ttl;
            set.1.push(match record.rtype.as_str() {
                "TXT" => Spelling::Quoted.spell(&record.data),
                _ => record.data.clone(),
            });
        }
    }
    let base = format!("https://api.gandi.net/v5/livedns/domains/{zone}/records");
    let all: Vec<Value> = sets
        .into_iter()
        .map(|((label, rtype), (ttl, values))| {
            json!({
                "rrset_name": label, "rrset_type": rtype, "rrset_ttl": ttl,
                "rrset_values": values, "rrset_href": format!("{base}/{label}/{rtype}"),
            })
        })
        .collect();
    let (sets, pages) = page_of(&all, page, per_page);
    let reply = Reply::json(200, &json!(sets)).with("total-count", all.len().to_string());
    if page >= pages {
        return reply;
    }
    let next = page + 1;
    reply.with(
        "link",
        format!("<{base}?page={next}>; rel=\"next\", <{base}?page={pages}>; rel=\"last\""),
    )
}

/// "Create or replace": a name of another case is another name.
fn put(store: &mut Store, zone: &str, label: &str, request: &Request) -> Reply {
    let body = request.json();
    let bad = |name: &str, description: &str| {
        let errors = json!([{ "location": "body", "name": name, "description": description }]);
        Reply::json(400, &json!({ "status": "error", "errors": errors }))
    };
    if request.header("content-type") != "application/json" {
        return error(
            415,
            "Unsupported Media Type",
            "Content-Type must be application/json",
        );
    }
    let Some(values) = body["rrset_values"]
        .as_array()
        .filter(|values| !values.is_empty())
    else {
        return bad("rrset_values", "Shorter than minimum length 1");
    };
    // Without it the set would get 10800.
    let ttl = body["rrset_ttl"].as_u64().unwrap_or(10_800);
    if !(u64::from(MINIMUM_TTL)..=2_592_000).contains(&ttl) {
        return bad("rrset_ttl", "300 is the minimum, 2592000 the maximum");
    }
    let mut texts: Vec<String> = Vec::new();
    for value in values {
        let text = Spelling::Quoted.text(value.as_str().unwrap());
        if texts.contains(&text) {
            return bad("rrset_values", "Values must be unique");
        }
        texts.push(text);
    }
    let name: DnsName = owner(label, &zone.parse().unwrap()).unwrap();
    let rows = &store.zones[zone];
    let at_name = || rows.iter().filter(|row| row.record.name == name);
    if at_name().any(|row| row.record.rtype == "CNAME") {
        return error(
            409,
            "Conflict",
            "A CNAME record already exists with this name",
        );
    }
    if at_name().any(|row| label_of(row, zone) != label) {
        return no_record(label);
    }
    let rows = store.zones.get_mut(zone).unwrap();
    rows.retain(|row| row.record.name != name || row.record.rtype != "TXT");
    let ttl = u32::try_from(ttl).unwrap();
    for text in texts {
        store.add(zone, Record::new(name.clone(), "TXT", ttl, text));
    }
    Reply::json(201, &json!({ "message": "DNS Record Created" }))
}

fn subject<'a>(fake: &'a Fake, field: &'static str, secret: &str) -> Subject<'a> {
    let entry = entry("GANDI_V5", &[(field, secret), ("sharing_id", ORGANIZATION)]);
    Subject {
        lists_apex_ns: false,
        minimum_ttl: MINIMUM_TTL,
        // The TXT sets, one for each name, the TXT sets again, which are more than a page now.
        calls: 103,
        ..Subject::new(fake, entry, field)
    }
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&subject(&fake, "token", TOKEN)).await;
}

#[tokio::test]
async fn a_key_is_accepted_where_there_is_no_token() {
    let fake = start();
    let by_key = subject(&fake, "apikey", KEY);
    let zone: DnsName = "example.test".parse().unwrap();
    let provider = by_key.connect();
    assert!(!provider.records((&zone).into()).await.unwrap().is_empty());
    wrong_credentials_are_named(&by_key).await;
    // As in DNSControl, the token is the one that counts.
    let mut both = subject(&fake, "token", "wrong");
    both.entry
        .fields
        .insert("apikey".to_owned(), KEY.to_owned());
    assert!(both.connect().records((&zone).into()).await.is_err());
}

#[tokio::test]
async fn another_place_is_used_as_the_entry_says() {
    let fake = start();
    let mut elsewhere = subject(&fake, "token", TOKEN);
    let url = elsewhere.entry.fields.remove("_base_url").unwrap();
    elsewhere
        .entry
        .fields
        .insert("apiurl".to_owned(), format!("{url}/"));
    let zone: DnsName = "example.test".parse().unwrap();
    let nameservers = elsewhere.connect().nameservers((&zone).into()).await;
    assert_eq!(nameservers.unwrap().len(), 3);
    assert_eq!(
        fake.requests(),
        ["GET /v5/livedns/domains/example.test/nameservers"]
    );
}
