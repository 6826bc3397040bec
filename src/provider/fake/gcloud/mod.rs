//! Google Cloud DNS, as <https://cloud.google.com/dns/docs/reference/rest/v1> describes it.

mod credentials;
mod google;
mod zones;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::gcloud::google::{DNS, Key, PROJECT, with_key};
use crate::provider::fake::tokens::Tokens;
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};
use crate::provider::rrset::Spelling;

/// Sets of a page.
const PAGE: usize = 100;

/// Zones of the project: name, DNS name, visibility. A name can be there twice.
const ZONES: [(&str, &str, &str); 4] = [
    ("example-test", "example.test", "public"),
    ("example-test-inside", "example.test", "private"),
    ("example-test-office", "example.test", "private"),
    ("big-test", "big.test", "public"),
];

/// The project, and those who are signed in.
#[derive(Default)]
struct Google {
    store: Store,
    tokens: Tokens,
    /// Lifetime of tokens, seconds.
    lifetime: i64,
    /// Changes that are pending.
    pending: Vec<String>,
    changes: usize,
    /// The project that `x-goog-user-project` named last.
    quota_project: String,
}

fn start() -> (Fake, Arc<Mutex<Google>>) {
    let google = Arc::new(Mutex::new(Google {
        store: Store::seeded(0),
        lifetime: 3599,
        ..Google::default()
    }));
    let shared = Arc::clone(&google);
    let fake = Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut shared.lock().unwrap(), request)),
        is_write: |request| request.method == "POST" && request.path.contains(&"changes".into()),
        // https://cloud.google.com/apis/design/errors: RESOURCE_EXHAUSTED. Retry-After is kept
        // where it comes.
        too_many: error(429, "rateLimitExceeded", "Quota exceeded for quota metric")
            .with("retry-after", "1".to_owned()),
    });
    (fake, google)
}

/// <https://cloud.google.com/dns/docs/reference/error-messages>
fn error(status: u16, reason: &str, message: &str) -> Reply {
    let one = json!({ "message": message, "domain": "global", "reason": reason });
    let body = json!({ "error": { "code": status, "message": message, "errors": [one] } });
    Reply::json(status, &body)
}

fn answer(google: &mut Google, request: &Request) -> Reply {
    if let Some(reply) = google::answer(&mut google.tokens, google.lifetime, request) {
        return reply;
    }
    match google.tokens.scope_of(request) {
        None => return error(401, "authError", "Invalid Credentials"),
        Some(scope) if scope == DNS || scope.ends_with("cloud-platform") => {}
        Some(_) => return error(403, "forbidden", "Insufficient scopes"),
    }
    request
        .header("x-goog-user-project")
        .clone_into(&mut google.quota_project);
    let (method, path) = request.route();
    let ["projects", PROJECT, "managedZones", more @ ..] = &path[..] else {
        return error(403, "forbidden", "Permission denied on resource project");
    };
    let known = |id: &str| ZONES.iter().find(|(name, ..)| *name == id);
    match (method, more) {
        ("GET", []) => zones(request),
        ("GET", [zone, "rrsets"]) if known(zone).is_some() => list(&google.store, zone, request),
        ("POST", [zone, "changes"]) if known(zone).is_some() => {
            change(google, zone, &request.json())
        }
        ("GET", [zone, "changes", id]) if known(zone).is_some() => {
            google.pending.retain(|pending| pending != id);
            Reply::json(
                200,
                &json!({ "kind": "dns#change", "id": id, "status": "done" }),
            )
        }
        _ => error(404, "notFound", "The resource does not exist."),
    }
}

/// <https://cloud.google.com/dns/docs/reference/rest/v1/managedZones/list>
fn zones(request: &Request) -> Reply {
    let wanted = request.parameter("dnsName").unwrap_or_default();
    if !wanted.is_empty() && !wanted.ends_with('.') {
        return error(400, "invalid", "Invalid value for 'parameters.dnsName'");
    }
    let named = ZONES
        .iter()
        .filter(|(_, dns_name, _)| wanted.is_empty() || wanted == format!("{dns_name}."));
    let zones: Vec<Value> = named
        .map(|(name, dns_name, visibility)| {
            let network = format!(
                "https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/{}",
                name.rsplit('-').next().unwrap()
            );
            let mut zone = json!({
                "kind": "dns#managedZone", "name": name, "dnsName": format!("{dns_name}."),
                "visibility": visibility,
                "nameServers": ["ns-cloud-a1.googledomains.com.", "ns-cloud-a2.googledomains.com."],
            });
            if *visibility == "private" {
                zone["privateVisibilityConfig"] =
                    json!({ "networks": [{ "networkUrl": network }] });
            }
            zone
        })
        .collect();
    // No `managedZones` where there are none.
    Reply::json(
        200,
        &match &zones[..] {
            [] => json!({ "kind": "dns#managedZonesListResponse" }),
            zones => json!({ "kind": "dns#managedZonesListResponse", "managedZones": zones }),
        },
    )
}

/// Sets by name and type: TTL and data.
type Sets = BTreeMap<(String, String), (u32, Vec<String>)>;

/// The key of a zone in the store: private zones are empty.
fn zone_key(zone: &str) -> Option<&'static str> {
    let (_, dns_name, visibility) = ZONES.iter().find(|(name, ..)| *name == zone).unwrap();
    (*visibility == "public").then_some(dns_name)
}

fn sets(store: &Store, zone: &str) -> Sets {
    let mut sets = Sets::new();
    let Some(key) = zone_key(zone) else {
        let data = vec!["10.0.0.1".to_owned()];
        let host = zone.rsplit('-').next().unwrap();
        let owner = (format!("{host}.example.test."), "A".to_owned());
        return Sets::from([(owner, (300, data))]);
    };
    let soa =
        "ns-cloud-a1.googledomains.com. cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300";
    sets.insert(
        (format!("{key}."), "SOA".to_owned()),
        (21600, vec![soa.to_owned()]),
    );
    for row in &store.zones[key] {
        let Record {
            name,
            rtype,
            ttl,
            data,
            ..
        } = &row.record;
        let set = sets.entry((name.fqdn(), rtype.clone())).or_default();
        set.0 = *ttl;
        set.1.push(match rtype.as_str() {
            "TXT" => Spelling::Quoted.spell(data),
            _ => data.clone(),
        });
    }
    sets
}

/// "type: [...] If present, the "name" parameter must also be present.":
/// <https://cloud.google.com/dns/docs/reference/rest/v1/resourceRecordSets/list>.
fn list(store: &Store, zone: &str, request: &Request) -> Reply {
    if request.parameter("type").is_some() && request.parameter("name").is_none() {
        return error(400, "invalidCombination", "'type' needs 'name'");
    }
    let mut all: Vec<Value> = sets(store, zone)
        .into_iter()
        .map(|((name, rtype), (ttl, data))| {
            json!({
                "kind": "dns#resourceRecordSet", "name": name, "type": rtype, "ttl": ttl,
                "rrdatas": data, "signatureRrdatas": [],
            })
        })
        .collect();
    // A set with a routing policy has no data of its own.
    all.push(json!({
        "kind": "dns#resourceRecordSet", "name": "routed.example.test.", "type": "TXT", "ttl": 60,
        "routingPolicy": { "wrr": { "items": [{ "weight": 1.0, "rrdatas": ["\"x\""] }] } },
    }));
    let first: usize = match request.parameter("pageToken") {
        None => 0,
        Some(token) => match token.strip_prefix("at ").and_then(|at| at.parse().ok()) {
            Some(first) => first,
            None => return error(400, "invalid", "Invalid value for 'parameters.pageToken'"),
        },
    };
    let end = all.len().min(first + PAGE);
    let mut body =
        json!({ "kind": "dns#resourceRecordSetsListResponse", "rrsets": all[first..end] });
    if end < all.len() {
        body["nextPageToken"] = json!(format!("at {end}"));
    }
    Reply::json(200, &body)
}

/// "Atomically updates the `ResourceRecordSet` collection":
/// <https://cloud.google.com/dns/docs/reference/rest/v1/changes/create>.
fn change(google: &mut Google, zone: &str, body: &Value) -> Reply {
    let Some(key) = zone_key(zone) else {
        return error(400, "invalid", "Private zones are not changed here.");
    };
    let part = |key: &str| body[key].as_array().cloned().unwrap_or_default();
    let (deletions, additions) = (part("deletions"), part("additions"));
    if deletions.is_empty() && additions.is_empty() {
        return error(
            400,
            "required",
            "The 'entity.change' parameter is required but was missing.",
        );
    }
    // https://cloud.google.com/dns/quotas
    let data = |sets: &[Value]| -> usize {
        let data = sets.iter().filter_map(|set| set["rrdatas"].as_array());
        data.flatten()
            .map(|value| value.as_str().unwrap_or("").len())
            .sum()
    };
    if deletions.len() > 1000
        || additions.len() > 1000
        || data(&deletions) + data(&additions) > 100_000
    {
        return error(413, "quotaExceeded", "The change is too large.");
    }
    let mut after = sets(&google.store, zone);
    for (index, set) in deletions.iter().enumerate() {
        if let Some(reply) = delete(&mut after, index, set) {
            return reply;
        }
    }
    for (index, set) in additions.iter().enumerate() {
        if let Some(reply) = add(&mut after, index, set, key) {
            return reply;
        }
    }
    keep(&mut google.store, key, after);
    // "done" means that the name servers were told; large changes take a moment here.
    google.changes += 1;
    let id = google.changes.to_string();
    let is_large = deletions.len() + additions.len() > 50;
    if is_large {
        google.pending.push(id.clone());
    }
    let status = if is_large { "pending" } else { "done" };
    Reply::json(
        200,
        &json!({ "kind": "dns#change", "id": id, "status": status }),
    )
}

fn keep(store: &mut Store, zone: &str, sets: Sets) {
    store.zones.insert(zone.to_owned(), Vec::new());
    for ((name, rtype), (ttl, data)) in sets {
        for value in data.into_iter().filter(|_| rtype != "SOA") {
            let value = match rtype.as_str() {
                "TXT" => Spelling::Quoted.text(&value),
                _ => value,
            };
            let name = name.parse().unwrap();
            store.add(zone, Record::new(name, &rtype, ttl, value));
        }
    }
}

/// Name and type, TTL, and data, sorted.
fn native(set: &Value) -> Option<((String, String), u32, Vec<String>)> {
    let text = |key: &str| set[key].as_str().map(str::to_owned);
    let data = set["rrdatas"].as_array()?.iter();
    let mut data: Vec<String> = data
        .map(|value| value.as_str().map(str::to_owned))
        .collect::<Option<_>>()?;
    data.sort();
    let ttl = u32::try_from(set["ttl"].as_u64()?).ok()?;
    Some(((text("name")?, text("type")?), ttl, data))
}

fn invalid(part: &str) -> Reply {
    error(
        400,
        "invalid",
        &format!("Invalid value for 'entity.change.{part}'"),
    )
}

/// A set that is to be deleted has to be what there is.
fn delete(sets: &mut Sets, index: usize, set: &Value) -> Option<Reply> {
    let part = format!("entity.change.deletions[{index}]");
    let Some((key, ttl, data)) = native(set) else {
        return Some(invalid(&part));
    };
    let Some((ttl_now, data_now)) = sets.get(&key) else {
        let message = format!(
            "The '{part}' resource named '{} ({})' does not exist.",
            key.0, key.1
        );
        return Some(error(404, "notFound", &message));
    };
    let mut data_now = data_now.clone();
    data_now.sort();
    if (*ttl_now, data_now) != (ttl, data) {
        let message = format!("Precondition not met for '{part}'");
        return Some(error(412, "conditionNotMet", &message));
    }
    sets.remove(&key);
    None
}

fn add(sets: &mut Sets, index: usize, set: &Value, zone: &str) -> Option<Reply> {
    let part = format!("additions[{index}]");
    let Some((key, ttl, data)) = native(set) else {
        return Some(invalid(&part));
    };
    let (name, rtype) = &key;
    let zone: DnsName = zone.parse().unwrap();
    let is_in_zone =
        name.ends_with('.') && name.parse::<DnsName>().is_ok_and(|name| name.is_in(&zone));
    // A text without quotes would be several strings, or wrong.
    let is_quoted = |text: &String| {
        text.len() > 1 && text.starts_with('"') && text.ends_with('"') && text.len() <= 257
    };
    let is_twice = data.windows(2).any(|pair| pair[0] == pair[1]);
    let is_new = rtype == "TXT" && !data.is_empty() && data.iter().all(is_quoted);
    if !is_in_zone || !is_new || is_twice || data.len() > 100 {
        return Some(invalid(&part));
    }
    if sets.contains_key(&key) || name == "routed.example.test." {
        let message =
            format!("The resource 'entity.change.{part}' named '{name} ({rtype})' already exists");
        return Some(error(409, "alreadyExists", &message));
    }
    if sets.contains_key(&(name.clone(), "CNAME".to_owned())) {
        let message = format!(
            "The resource record set 'entity.change.{part}' is invalid because the DNS name '{name}' may have either one CNAME resource record set or resource record sets of other types, but not both."
        );
        return Some(error(400, "cnameResourceRecordSetConflict", &message));
    }
    sets.insert(key, (ttl, data));
    None
}

#[tokio::test]
async fn conforms() {
    let (fake, google) = start();
    conforms_to_all(&Subject {
        lists_soa: true,
        // A token, the zone, its sets, one change, and whether it is done.
        calls: 5,
        ..Subject::new(&fake, with_key(&fake, Key::own()), "client_email")
    })
    .await;
    assert_eq!(google.lock().unwrap().pending, Vec::<String>::new());
}
