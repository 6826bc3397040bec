//! Hetzner's Cloud API, as <https://docs.hetzner.cloud/reference/cloud#tag/zones> describes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor, page_of};
use crate::provider::labels::owner;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "hetzner-token-for-tests";

/// The zone's default; sets with it have no TTL of their own here.
const DEFAULT_TTL: u32 = 300;

/// A change that Hetzner has accepted, and carries out when its time has come.
struct Action {
    id: u64,
    done: Instant,
    zone: String,
    name: DnsName,
    add: Vec<Record>,
    remove: Vec<String>,
    fails: bool,
    is_applied: bool,
}

struct Cloud {
    store: Store,
    actions: Vec<Action>,
    takes: Duration,
    fails: bool,
}

/// Actions take a while, and may all fail in the end.
fn start(takes: Duration, fails: bool) -> Fake {
    let mut cloud = Cloud {
        store: Store::seeded(60),
        actions: Vec::new(),
        takes,
        fails,
    };
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut cloud, request)),
        is_write: |request| request.method != "GET",
        // "Rate limiting": 429, and headers that say how many requests are left, not Retry-After.
        too_many: error(
            429,
            "rate_limit_exceeded",
            "limit of 3600 requests per hour reached",
        ),
    })
}

/// "Errors".
fn error(status: u16, code: &str, message: &str) -> Reply {
    let error = json!({ "code": code, "message": message, "details": null });
    Reply::json(status, &json!({ "error": error }))
}

fn answer(cloud: &mut Cloud, request: &Request) -> Reply {
    carry_out(cloud);
    if request.header("authorization") != format!("Bearer {TOKEN}") {
        return error(
            401,
            "unauthorized",
            "the token you have provided is invalid",
        );
    }
    let (method, path) = request.route();
    match (method, &path[..]) {
        ("GET", ["zones", "actions"]) => actions(cloud, request),
        (_, ["zones", zone, ..]) if !cloud.store.zones.contains_key(*zone) => {
            error(404, "not_found", "Zone not found")
        }
        ("GET", ["zones", zone]) => Reply::json(
            200,
            &json!({ "zone": {
                "id": 42, "name": zone, "mode": "primary", "ttl": DEFAULT_TTL, "status": "ok",
                "authoritative_nameservers": { "assigned": [
                    "hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de.",
                ]},
            }}),
        ),
        ("GET", ["zones", zone, "rrsets"]) => list(cloud, zone, request),
        ("POST", ["zones", zone, "rrsets", name, "TXT", "actions", action]) => {
            change(cloud, zone, name, action, &request.json())
        }
        _ => error(404, "not_found", "page not found"),
    }
}

/// What is begun is done when its time has come.
fn carry_out(cloud: &mut Cloud) {
    for action in &mut cloud.actions {
        if action.is_applied || Instant::now() < action.done {
            continue;
        }
        action.is_applied = true;
        if action.fails {
            continue;
        }
        for record in action.add.drain(..) {
            cloud.store.add(&action.zone, record);
        }
        let rows = cloud.store.zones.get_mut(&action.zone).unwrap();
        rows.retain(|row| {
            row.record.name != action.name
                || row.record.rtype != "TXT"
                || !action.remove.contains(&row.record.data)
        });
    }
}

/// "List Actions": by id, as often as needed; 25 to a page, at most 50.
fn actions(cloud: &Cloud, request: &Request) -> Reply {
    let per_page = request.number("per_page", 25);
    if !(1..=50).contains(&per_page) {
        return error(422, "invalid_input", "invalid input in field 'per_page'");
    }
    let ids = request.parameters("id");
    let ids: Vec<u64> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let asked: Vec<Value> = cloud
        .actions
        .iter()
        .filter(|action| ids.contains(&action.id))
        .map(native_action)
        .collect();
    let (page, _) = page_of(&asked, 1, per_page);
    Reply::json(200, &json!({ "actions": page }))
}

fn native_action(action: &Action) -> Value {
    let (status, error) = match (action.is_applied, action.fails) {
        (false, _) => ("running", Value::Null),
        (true, false) => ("success", Value::Null),
        (true, true) => (
            "error",
            json!({ "code": "action_failed", "message": "Action failed" }),
        ),
    };
    json!({
        "id": action.id, "command": "add_rrset_records", "status": status, "progress": 50,
        "started": "2026-01-13T14:17:29Z", "finished": null, "error": error,
        "resources": [{ "id": 42, "type": "zone" }],
    })
}

/// "List RRSets": 25 to a page, at most 100.
fn list(cloud: &Cloud, zone: &str, request: &Request) -> Reply {
    let (page, per_page) = (request.number("page", 1), request.number("per_page", 25));
    if page == 0 || !(1..=100).contains(&per_page) {
        return error(422, "invalid_input", "invalid input in field 'per_page'");
    }
    let rtypes = request.parameters("type");
    let mut sets: BTreeMap<(&DnsName, &str), (u32, Vec<Value>)> = BTreeMap::new();
    for row in &cloud.store.zones[zone] {
        let Record {
            name,
            rtype,
            ttl,
            data,
            ..
        } = &row.record;
        if rtypes.is_empty() || rtypes.contains(&rtype.as_str()) {
            let set = sets.entry((name, rtype)).or_default();
            set.0 = *ttl;
            let value = match rtype.as_str() {
                "TXT" => Spelling::Quoted.spell(data),
                _ => data.clone(),
            };
            set.1.push(json!({ "value": value, "comment": "" }));
        }
    }
    let mut all: Vec<Value> = sets
        .into_iter()
        .map(|((name, rtype), (ttl, records))| {
            let label = name.label_in(&zone.parse().unwrap()).unwrap();
            let ttl = (ttl != DEFAULT_TTL).then_some(ttl);
            json!({
                "id": format!("{label}/{rtype}"), "name": label, "type": rtype, "ttl": ttl,
                "labels": {}, "protection": { "change": false }, "records": records, "zone": 42,
            })
        })
        .collect();
    if rtypes.is_empty() {
        let soa = "hydrogen.ns.hetzner.com. dns.hetzner.com. 2026011546 86400 10800 3600000 3600";
        all.push(json!({
            "id": "@/SOA", "name": "@", "type": "SOA", "ttl": null, "labels": {},
            "protection": { "change": false }, "records": [{ "value": soa, "comment": "" }],
        }));
    }
    let (sets, pages) = page_of(&all, page, per_page);
    let next = (page < pages).then_some(page + 1);
    let pagination = json!({
        "page": page, "per_page": per_page, "previous_page": null, "next_page": next,
        "last_page": pages, "total_entries": all.len(),
    });
    Reply::json(
        200,
        &json!({ "rrsets": sets, "meta": { "pagination": pagination } }),
    )
}

/// What the documentation calls adding records to a set, and removing records from one.
fn change(cloud: &mut Cloud, zone: &str, label: &str, action: &str, body: &Value) -> Reply {
    // "The name must be in lower case, and must not end with a dot or the Zone name."
    if label.ends_with('.') || label.ends_with(zone) || label.to_lowercase() != label {
        return invalid("invalid input in field 'name'");
    }
    let name = owner(label, &zone.parse().unwrap()).unwrap();
    // "Locked": the item has an action that still runs.
    let is_busy = |one: &Action| !one.is_applied && one.zone == zone && one.name == name;
    if cloud.actions.iter().any(is_busy) {
        return error(423, "locked", "RRSet is locked");
    }
    let rows = cloud.store.zones[zone].iter();
    let at_name: Vec<&Record> = rows
        .map(|row| &row.record)
        .filter(|record| record.name == name)
        .collect();
    if at_name.iter().any(|record| record.rtype == "CNAME") {
        return invalid("RRSet conflicts with a CNAME RRSet");
    }
    let texts_there = at_name.into_iter().filter(|one| one.rtype == "TXT");
    let held: Vec<&Record> = texts_there.collect();
    let effect = texts(body).and_then(|texts| match action {
        "add_records" => Ok((added(&name, &held, texts, body)?, Vec::new())),
        "remove_records" => Ok((Vec::new(), removed(&held, texts)?)),
        _ => Err(error(404, "not_found", "page not found")),
    });
    let (add, remove) = match effect {
        Ok(effect) => effect,
        Err(reply) => return reply,
    };
    let action = Action {
        id: u64::try_from(cloud.actions.len()).unwrap() + 604_989_101_982_744,
        done: Instant::now() + cloud.takes,
        zone: zone.to_owned(),
        name,
        add,
        remove,
        fails: cloud.fails,
        is_applied: false,
    };
    let reply = Reply::json(201, &json!({ "action": native_action(&action) }));
    cloud.actions.push(action);
    reply
}

fn invalid(message: &str) -> Reply {
    error(422, "invalid_input", message)
}

/// The texts of the records of a request: one to 50, distinct, quoted strings.
fn texts(body: &Value) -> Result<Vec<String>, Reply> {
    let mut texts = Vec::new();
    for record in body["records"].as_array().into_iter().flatten() {
        let value = record["value"].as_str().unwrap_or_default();
        if value.len() < 2 || !value.starts_with('"') || !value.ends_with('"') {
            return Err(invalid(
                "invalid input in field 'records': TXT records must be quoted",
            ));
        }
        let text = Spelling::Quoted.text(value);
        if texts.contains(&text) {
            return Err(invalid("invalid input in field 'records': duplicates"));
        }
        texts.push(text);
    }
    if (1..=50).contains(&texts.len()) {
        Ok(texts)
    } else {
        Err(invalid(
            "invalid input in field 'records': 1 to 50 are allowed",
        ))
    }
}

fn added(
    name: &DnsName,
    held: &[&Record],
    texts: Vec<String>,
    body: &Value,
) -> Result<Vec<Record>, Reply> {
    let ttl = body.get("ttl").filter(|ttl| !ttl.is_null());
    let ttl = ttl.map(|ttl| u32::try_from(ttl.as_u64().unwrap()).unwrap());
    if ttl.is_some_and(|ttl| ttl < 60) {
        return Err(invalid("invalid input in field 'ttl'"));
    }
    // "If set, and the RRSet being updated already has a TTL, the values must be the same."
    let own = held.first().map(|record| record.ttl);
    if own.is_some() && ttl.is_some() && own != ttl {
        return Err(invalid("RRSet already has another TTL"));
    }
    if held.iter().any(|record| texts.contains(&record.data)) {
        return Err(invalid("RRSet has duplicate records"));
    }
    let ttl = own.or(ttl).unwrap_or(DEFAULT_TTL);
    let record = |text| Record::new(name.clone(), "TXT", ttl, text);
    Ok(texts.into_iter().map(record).collect())
}

fn removed(held: &[&Record], texts: Vec<String>) -> Result<Vec<String>, Reply> {
    if held.is_empty() {
        return Err(error(404, "not_found", "RRSet not found"));
    }
    let is_held = |text: &String| held.iter().any(|record| record.data == *text);
    if texts.iter().all(is_held) {
        Ok(texts)
    } else {
        Err(invalid("RRSet has no such record"))
    }
}

fn subject(fake: &Fake) -> Subject<'_> {
    let entry = entry("HETZNER_V2", &[("api_token", TOKEN)]);
    Subject {
        minimum_ttl: 60,
        // The TXT sets, one for each name, and its state, 50 in a call.
        calls: 103,
        ..Subject::new(fake, entry, "api_token")
    }
}

#[tokio::test]
async fn conforms() {
    let fake = start(Duration::from_millis(20), false);
    conforms_to_all(&subject(&fake)).await;
}

/// Adds a value; the error as the user sees it.
async fn add(fake: &Fake) -> Result<(), Vec<String>> {
    let provider = subject(fake).connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value]);
    let changed = provider.change((&zone).into(), &batch).await;
    changed.map_err(|error| explain(&error).causes)
}

#[tokio::test]
async fn an_action_is_waited_for() {
    let takes = Duration::from_secs(2);
    let fake = start(takes, false);
    let began = Instant::now();
    add(&fake).await.unwrap();
    assert!(began.elapsed() >= takes);
    let asked = fake.requests();
    let polls = asked.iter().filter(|one| *one == "GET /zones/actions");
    assert!((2..=5).contains(&polls.count()), "{asked:#?}");
}

#[tokio::test]
async fn an_action_that_fails_is_an_error() {
    let fake = start(Duration::from_millis(20), true);
    assert_eq!(
        add(&fake).await.unwrap_err(),
        [
            "Hetzner could not carry out the change",
            "Action failed (action_failed)"
        ]
    );
}
