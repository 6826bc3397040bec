//! Google Cloud DNS, as <https://cloud.google.com/dns/docs/reference/rest/v1> describes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::environment::Environment;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, message, provider_in};
use crate::provider::fake::google::{
    self, AUDIENCE, CLIENT, CLIENT_SECRET, DNS, EMAIL, KEY_ID, Key, REFRESH_TOKEN, RUNNER_TOKEN,
    SUBJECT,
};
use crate::provider::fake::tokens::{Tokens, environment};
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};
use crate::provider::port::DnsProvider;
use crate::provider::rrset::Spelling;
use crate::provider::servers::{entry, write};

const PROJECT: &str = "project-1";

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

/// The entry of a service account, its key as an environment variable gives it.
fn with_key(fake: &Fake, key: &Key) -> ProviderEntry {
    let mut entry = without_key(fake);
    for (field, value) in [
        ("type", "service_account"),
        ("private_key", &key.pem.replace('\n', "\\n")),
        ("private_key_id", KEY_ID),
        ("client_email", EMAIL),
        ("token_uri", &format!("{}/token", fake.url())),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    entry
}

fn without_key(fake: &Fake) -> ProviderEntry {
    entry(
        "GCLOUD",
        &[("project_id", PROJECT), ("_base_url", &fake.url())],
    )
}

async fn count(provider: &dyn DnsProvider) -> anyhow::Result<usize> {
    let zone: DnsName = "example.test".parse().unwrap();
    Ok(provider.records((&zone).into()).await?.len())
}

/// The error of reading, as the user sees it.
async fn refused(entry: &ProviderEntry, environment: &Environment) -> String {
    match provider_in(entry, environment) {
        Ok(provider) => message(&count(&*provider).await.unwrap_err()),
        Err(error) => message(&error),
    }
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

#[tokio::test]
async fn name_servers_are_the_zones() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    let names = provider.nameservers((&zone).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns-cloud-a1.googledomains.com, ns-cloud-a2.googledomains.com]"
    );
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_no_longer_taken() {
    let (fake, google) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let issued = || google.lock().unwrap().tokens.issued();
    let sets = count(&*provider).await.unwrap();
    assert_eq!(count(&*provider).await.unwrap(), sets);
    assert_eq!(issued(), 1);
    // It is taken back, or the clocks differ.
    google.lock().unwrap().tokens.revoke();
    assert_eq!(count(&*provider).await.unwrap(), sets);
    assert_eq!(issued(), 1);
    // It is about to expire.
    google.lock().unwrap().lifetime = 100;
    google.lock().unwrap().tokens.revoke();
    for _ in 0..3 {
        assert_eq!(count(&*provider).await.unwrap(), sets);
    }
    assert_eq!(issued(), 3);
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_an_error() {
    let (fake, google) = start();
    // A project of others: the API says no to every token.
    let mut entry = with_key(&fake, Key::own());
    entry
        .fields
        .insert("project_id".to_owned(), "project-2".to_owned());
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.contains("Permission denied on resource project"),
        "{text}"
    );
    assert!(text.contains("check `private_key` and `client_email` in `creds.json` entry `main`: it needs the role `roles/dns.admin`"), "{text}");
    assert_eq!(google.lock().unwrap().tokens.issued(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_named_and_not_shown() {
    let (fake, _) = start();
    let none = Environment::default();
    let text = refused(&with_key(&fake, Key::other()), &none).await;
    let at = fake.url();
    assert_eq!(
        text,
        format!(
            "cannot read zone `example.test` from Google Cloud DNS at `{at}` (`creds.json` entry `main`)\n\
             cannot get an access token\n\
             `POST /token` answered 400 Bad Request: Invalid JWT Signature. [assertion]\n\
             hint: check `private_key` and `client_email` in `creds.json` entry `main`: {}",
            crate::provider::gcloud::SPEC.scope
        )
    );
    let mut entry = with_key(&fake, Key::own());
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for wrong in ["c2VjcmV0", broken] {
        entry
            .fields
            .insert("private_key".to_owned(), wrong.to_owned());
        let text = refused(&entry, &none).await;
        let start = "`private_key` of `creds.json` entry `main` is no RSA key in PEM form\n";
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.ends_with("hint: copy it from the JSON file of the service account's key"),
            "{text}"
        );
        assert!(!text.contains("c2VjcmV0"), "{text}");
    }
}

#[tokio::test]
async fn tokens_do_not_go_in_the_clear() {
    let (fake, _) = start();
    let mut entry = with_key(&fake, Key::own());
    let url = "http://oauth2.example.net/token";
    entry.fields.insert("token_uri".to_owned(), url.to_owned());
    assert_eq!(
        refused(&entry, &Environment::default()).await,
        "`token_uri` of `creds.json` entry `main` would send credentials in the clear\nhint: write `https://`"
    );
}

#[tokio::test]
async fn entries_of_another_kind_are_refused() {
    let (fake, _) = start();
    let mut entry = with_key(&fake, Key::own());
    entry
        .fields
        .insert("type".to_owned(), "authorized_user".to_owned());
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.starts_with("`type` in `creds.json` entry `main` is `authorized_user`\nhint: "),
        "{text}"
    );
    entry.fields.insert("type".to_owned(), String::new());
    entry.fields.remove("client_email");
    let text = refused(&entry, &Environment::default()).await;
    assert!(
        text.starts_with("the entry `main` (GCLOUD) in `creds.json` has no `client_email`"),
        "{text}"
    );
}

/// Application Default Credentials of every kind: what the file holds, and how often is asked.
#[tokio::test]
async fn application_default_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let subject = folder.path().join("subject");
    write(&subject, &format!("{SUBJECT}\n"));
    let (fake, google) = start();
    let url = |path: &str| format!("{}/{path}", fake.url());
    let impersonation = url(&format!(
        "v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    ));
    let key = json!({
        "type": "service_account", "private_key": Key::own().pem, "private_key_id": KEY_ID,
        "client_email": EMAIL, "token_uri": url("token"),
    });
    let user = json!({
        "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN, "token_uri": url("token"), "quota_project_id": "paying",
    });
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": AUDIENCE, "token_url": url("v1/token"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": source,
        })
    };
    let file = external(json!({ "file": subject }));
    let runner = json!({
        "url": url(&format!("runner?audience={AUDIENCE}")),
        "headers": { "Authorization": format!("Bearer {RUNNER_TOKEN}") },
        "format": { "type": "json", "subject_token_field_name": "value" },
    });
    let mut github = external(runner);
    github["service_account_impersonation_url"] = json!(impersonation);
    let as_other = json!({
        "type": "impersonated_service_account", "source_credentials": user,
        "service_account_impersonation_url": impersonation, "delegates": [],
    });
    let path = folder.path().join("credentials.json");
    let named = environment(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())]);
    let impersonate = format!("POST /v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken");
    for (credentials, asked) in [
        (&key, vec!["POST /token"]),
        (&user, vec!["POST /token"]),
        (&file, vec!["POST /v1/token"]),
        (&github, vec!["GET /runner", "POST /v1/token", &impersonate]),
        (&as_other, vec!["POST /token", &impersonate]),
    ] {
        write(&path, &credentials.to_string());
        fake.requests();
        let provider = provider_in(&without_key(&fake), &named).unwrap();
        assert!(count(&*provider).await.unwrap() > 10);
        let mut requests = fake.requests();
        requests.retain(|request| !request.contains("managedZones"));
        assert_eq!(requests, asked, "{credentials}");
        let paying = if credentials["type"] == "authorized_user" {
            "paying"
        } else {
            ""
        };
        assert_eq!(google.lock().unwrap().quota_project, paying);
    }
}

#[tokio::test]
async fn the_file_of_gcloud_and_the_machine() {
    let home = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let host = fake.address.to_string();
    let variables = [
        ("HOME", home.path().to_str().unwrap()),
        ("GCE_METADATA_HOST", &host),
    ];
    let entry = without_key(&fake);
    let asked = async || {
        fake.requests();
        let provider = provider_in(&entry, &environment(&variables)).unwrap();
        assert!(count(&*provider).await.unwrap() > 10);
        fake.requests()[0].clone()
    };
    assert_eq!(
        asked().await,
        "GET /computeMetadata/v1/instance/service-accounts/default/token"
    );
    let folder = home.path().join(".config/gcloud");
    fs::create_dir_all(&folder).unwrap();
    let user = json!({
        "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN, "token_uri": format!("{}/token", fake.url()),
    });
    let path = folder.join("application_default_credentials.json");
    write(&path, &user.to_string());
    assert_eq!(asked().await, "POST /token");
}

#[tokio::test]
async fn without_credentials_all_places_are_named() {
    let (fake, _) = start();
    // Nobody listens there.
    let environment = environment(&[("GCE_METADATA_HOST", "127.0.0.1:1")]);
    let text = refused(&without_key(&fake), &environment).await;
    for part in [
        "there is no `private_key`, no file with Application Default Credentials, and no metadata server",
        "hint: add `private_key` and `client_email` to the entry, or set `GOOGLE_APPLICATION_CREDENTIALS`",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// Wrong secrets in files of every kind: the message has the file, the server's words and no secret.
#[tokio::test]
async fn wrong_default_credentials_are_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let url = |path: &str| format!("{}/{path}", fake.url());
    let wrong = "wrong-secret-for-tests";
    let subject = folder.path().join("subject");
    write(&subject, wrong);
    let path = folder.path().join("credentials.json");
    let external = |source: Value| {
        json!({
            "type": "external_account", "audience": AUDIENCE, "token_url": url("v1/token"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "credential_source": source,
        })
    };
    let headers = json!({ "Authorization": format!("Bearer {wrong}") });
    for (credentials, why) in [
        (
            json!({
                "type": "authorized_user", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
                "refresh_token": wrong, "token_uri": url("token"),
            }),
            "`POST /token` answered 400 Bad Request: Token [refresh_token] is revoked.",
        ),
        (
            external(json!({ "file": subject })),
            "`POST /v1/token` answered 400 Bad Request: ID Token [subject token] is invalid.",
        ),
        (
            external(json!({ "url": url("runner"), "headers": headers })),
            "cannot get the subject token\n`GET /runner` answered 401 Unauthorized: Not authorized: Bearer [Authorization]",
        ),
    ] {
        write(&path, &credentials.to_string());
        let text = refused(&without_key(&fake), &named(&path)).await;
        assert!(text.contains(why), "{text}");
        let file = path.display();
        let hint = format!("hint: check `{file}` (`GOOGLE_APPLICATION_CREDENTIALS`): it needs");
        assert!(text.contains(&hint), "{text}");
        assert!(!text.contains(wrong), "{text}");
    }
}

fn named(path: &Path) -> Environment {
    environment(&[("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())])
}

#[tokio::test]
async fn files_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, _) = start();
    let path = folder.path().join("credentials.json");
    let place = format!("`{}` (`GOOGLE_APPLICATION_CREDENTIALS`)", path.display());
    let text = refused(&without_key(&fake), &named(&path)).await;
    let start = format!("cannot read the credentials in {place}\nNo such file or directory");
    assert!(text.starts_with(&start), "{text}");
    let aws = json!({ "environment_id": "aws1", "url": "http://169.254.169.254/x" });
    let aws = aws.as_object().unwrap().clone();
    let aws: Value = aws.into_iter().filter(|(key, _)| key != "url").collect();
    for (credentials, start) in [
        (json!({}), format!("{place} has no `type`")),
        (
            json!({ "type": "gdch_service_account" }),
            format!("`type` of {place} is `gdch_service_account`, which is not supported"),
        ),
        (
            json!({ "type": "external_account", "credential_source": aws }),
            format!(
                "`credential_source` of {place} has no `file` and no `url`\nhint: identities of AWS"
            ),
        ),
        (
            json!({ "type": "external_account", "credential_source": { "url": "http://idp.example.net/" } }),
            format!("`url` in `credential_source` of {place} would send credentials in the clear"),
        ),
        (
            json!({
                "type": "external_account", "audience": AUDIENCE, "subject_token_type": "x",
                "credential_source": { "file": "/x" }, "token_url": "http://sts.example.net/",
            }),
            format!("`token_url` of {place} would send credentials in the clear"),
        ),
    ] {
        write(&path, &credentials.to_string());
        let text = refused(&without_key(&fake), &named(&path)).await;
        assert!(text.starts_with(&start), "{text}");
    }
}

#[tokio::test]
async fn private_zones_are_meant_only_where_declared() {
    let (fake, _) = start();
    let seen = async |meta: Value| {
        let mut entry = with_key(&fake, Key::own());
        entry.meta = meta.as_object().unwrap().clone();
        let provider = match provider_in(&entry, &Environment::default()) {
            Ok(provider) => provider,
            Err(error) => return message(&error).lines().next().unwrap().to_owned(),
        };
        let zone: DnsName = "example.test".parse().unwrap();
        match provider.records((&zone).into()).await {
            Ok(records) if records.len() == 1 => records[0].name.to_string(),
            Ok(records) => records.len().to_string(),
            Err(error) => error.root_cause().to_string(),
        }
    };
    let public = seen(json!({})).await;
    assert!(public.parse::<usize>().unwrap() > 10);
    assert_eq!(seen(json!({ "visibility": "public" })).await, public);
    // Of several the last, as in DNSControl.
    assert_eq!(
        seen(json!({ "visibility": "private" })).await,
        "office.example.test"
    );
    let full =
        format!("https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/office");
    for (network, expected) in [
        ("inside", "inside.example.test"),
        (full.as_str(), "office.example.test"),
        ("other", "the account has no zone `example.test`"),
    ] {
        let meta = json!({ "visibility": "private", "networks": [network] });
        assert_eq!(seen(meta).await, expected);
    }
    assert_eq!(
        seen(json!({ "visibility": "secret" })).await,
        "`visibility` of DNS provider `main` is unknown"
    );
    assert_eq!(
        seen(json!({ "networks": "inside" })).await,
        "`networks` of DNS provider `main` is no list of names"
    );
}

#[tokio::test]
async fn a_set_with_a_routing_policy_stays() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = |owner: &str| Txt {
        name: owner.parse().unwrap(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value("routed.example.test")]);
    let error = provider.change((&zone).into(), &batch).await.unwrap_err();
    assert!(
        message(&error).contains("the TXT set at `routed.example.test` has a routing policy"),
        "{error:?}"
    );
}

/// More names than a change takes go in several.
#[tokio::test]
async fn large_batches_are_split() {
    let (fake, _) = start();
    let provider = provider_in(&with_key(&fake, Key::own()), &Environment::default()).unwrap();
    let zone: DnsName = "example.test".parse().unwrap();
    for (names, length, calls) in [(1001, 10, 2), (500, 250, 2)] {
        let value = |number| Txt {
            name: format!("_acme-challenge.n{number}.example.test")
                .parse()
                .unwrap(),
            value: "x".repeat(length),
        };
        let values: Vec<Txt> = (0..names).map(value).collect();
        for batch in [TxtBatch::adding(values.clone()), TxtBatch::removing(values)] {
            fake.requests();
            provider.change((&zone).into(), &batch).await.unwrap();
            let mut requests = fake.requests();
            requests.retain(|request| request.ends_with("/changes"));
            assert_eq!(requests.len(), calls, "{names} {length}");
        }
    }
}
