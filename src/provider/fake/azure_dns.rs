//! Azure DNS, as <https://learn.microsoft.com/rest/api/dns/> and its specification
//! (<https://github.com/Azure/azure-rest-api-specs>, `Microsoft.Network/stable/2018-05-01/dns.json`)
//! describe it, and the servers that give its tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::environment::Environment;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, message, provider_in};
use crate::provider::fake::tokens::{Tokens, environment, form};
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};
use crate::provider::servers::{entry, write};

const SUBSCRIPTION: &str = "726f8cd6-6459-4db4-8e6d-2cd2716904e2";
const GROUP: &str = "dns-zones";
const TENANT: &str = "00000000-1111-2222-3333-444444444444";
const CLIENT: &str = "55555555-6666-7777-8888-999999999999";
const SECRET: &str = "azure-secret-for-tests";
/// What the application trusts besides its secret, and what GitHub and App Service are asked with.
const ASSERTION: &str = "workload-token-for-tests";
const RUNNER_TOKEN: &str = "runner-token-for-tests";
const IDENTITY_HEADER: &str = "identity-header-for-tests";

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// "If not specified, returns up to 100 record sets."
const PAGE: usize = 100;

/// A resource group, and those who are signed in.
#[derive(Default)]
struct Azure {
    /// By zone, type and relative name.
    zones: BTreeMap<String, BTreeMap<(String, String), Set>>,
    tokens: Tokens,
    /// Lifetime of tokens, seconds.
    lifetime: i64,
    writes: usize,
}

#[derive(Clone, Debug)]
struct Set {
    etag: String,
    properties: Value,
}

fn start() -> (Fake, Arc<Mutex<Azure>>) {
    let mut azure = Azure {
        lifetime: 3599,
        ..Azure::default()
    };
    for (zone, rows) in Store::seeded(0).zones {
        let apex: DnsName = zone.parse().unwrap();
        let sets = azure.zones.entry(zone).or_default();
        let soa = json!({
            "host": "ns1-01.azure-dns.com.", "email": "azuredns-hostmaster.microsoft.com",
            "serialNumber": 1, "refreshTime": 3600, "retryTime": 300, "expireTime": 2_419_200,
            "minimumTTL": 300,
        });
        let properties = json!({ "TTL": 3600, "SOARecord": soa });
        let etag = "seed".to_owned();
        sets.insert(("SOA".to_owned(), "@".to_owned()), Set { etag, properties });
        for row in rows {
            seed(sets, &apex, &row.record);
        }
    }
    // A note of the user's, and a text of two strings.
    let sets = azure.zones.get_mut("example.test").unwrap();
    let many = sets
        .get_mut(&("TXT".to_owned(), "many".to_owned()))
        .unwrap();
    many.properties["metadata"] = json!({ "owner": "ops" });
    let apex = sets.get_mut(&("TXT".to_owned(), "@".to_owned())).unwrap();
    apex.properties["TXTRecords"] = json!([{ "value": ["v=spf1 ", "-all"] }]);
    let azure = Arc::new(Mutex::new(azure));
    let shared = Arc::clone(&azure);
    let fake = Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut shared.lock().unwrap(), request)),
        is_write: |request| ["PUT", "DELETE"].contains(&request.method.as_str()),
        // https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling:
        // 429, with Retry-After in seconds.
        too_many: error(
            429,
            "SubscriptionRequestsThrottled",
            "Number of requests exceeded the limit.",
        )
        .with("retry-after", "1".to_owned()),
    });
    (fake, azure)
}

/// Where the specification has the values of a type: a list, or one object.
fn key(rtype: &str) -> &'static str {
    match rtype {
        "A" => "ARecords",
        "AAAA" => "AAAARecords",
        "CAA" => "caaRecords",
        "CNAME" => "CNAMERecord",
        "MX" => "MXRecords",
        "NS" => "NSRecords",
        "SRV" => "SRVRecords",
        "TXT" => "TXTRecords",
        _ => panic!("no key for {rtype}"),
    }
}

fn seed(sets: &mut BTreeMap<(String, String), Set>, zone: &DnsName, record: &Record) {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = record;
    let words: Vec<&str> = data.split(' ').collect();
    let number = |index: usize| words[index].parse::<u32>().unwrap();
    // Host names are as the user wrote them: with a final dot, or without one.
    let host = |index: usize| words[index].trim_end_matches('.');
    let value = match rtype.as_str() {
        "A" => json!({ "ipv4Address": data }),
        "AAAA" => json!({ "ipv6Address": data }),
        "CAA" => {
            json!({ "flags": number(0), "tag": words[1], "value": words[2].trim_matches('"') })
        }
        "CNAME" => json!({ "cname": host(0) }),
        "MX" => json!({ "preference": number(0), "exchange": host(1) }),
        "NS" => json!({ "nsdname": data }),
        "SRV" => json!({
            "priority": number(0), "weight": number(1), "port": number(2), "target": host(3),
        }),
        "TXT" => json!({ "value": [data] }),
        _ => panic!("no value for {rtype}"),
    };
    let label = name.label_in(zone).unwrap().to_owned();
    let set = sets.entry((rtype.clone(), label)).or_insert_with(|| Set {
        etag: "seed".to_owned(),
        properties: json!({
            "TTL": ttl, "fqdn": name.fqdn(), "provisioningState": "Succeeded", "targetResource": {},
        }),
    });
    match &mut set.properties[key(rtype)] {
        Value::Array(values) => values.push(value),
        absent if rtype == "CNAME" => *absent = value,
        absent => *absent = json!([value]),
    }
}

/// <https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#handling-errors>
fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": { "code": code, "message": message } }),
    )
}

fn answer(azure: &mut Azure, request: &Request) -> Reply {
    let (method, path) = request.route();
    match (method, &path[..]) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => sign_in(azure, tenant, request),
        ("GET", ["metadata", "identity", "oauth2", "token"]) => {
            let is_asked = request.header("metadata") == "true";
            of_machine(azure, is_asked, "2018-02-01", request)
        }
        ("GET", ["msi", "token"]) => {
            let is_asked = request.header("x-identity-header") == IDENTITY_HEADER;
            of_machine(azure, is_asked, "2019-08-01", request)
        }
        ("GET", ["runner"]) => runner(request),
        _ => resource_manager(azure, request),
    }
}

fn resource_manager(azure: &mut Azure, request: &Request) -> Reply {
    let not_found = |what: &str| error(404, "ResourceNotFound", &format!("{what} was not found."));
    if azure.tokens.scope_of(request).is_none() {
        let text = "The access token is invalid.";
        return error(401, "InvalidAuthenticationToken", text);
    }
    if request.parameter("api-version") != Some("2018-05-01") {
        let text = "The api-version query parameter is required.";
        return error(400, "MissingApiVersionParameter", text);
    }
    let (method, path) = request.route();
    let [
        "subscriptions",
        SUBSCRIPTION,
        "resourceGroups",
        GROUP,
        "providers",
        rest @ ..,
    ] = &path[..]
    else {
        return not_found("The resource group");
    };
    let ["Microsoft.Network", "dnsZones", zone, more @ ..] = rest else {
        return not_found("The resource type");
    };
    if !azure.zones.contains_key(*zone) {
        return not_found(&format!("The Resource 'Microsoft.Network/dnszones/{zone}'"));
    }
    match (method, more) {
        ("GET", []) => {
            let servers = ["ns1-01.azure-dns.com.", "ns2-01.azure-dns.net."];
            let properties = json!({ "nameServers": servers, "zoneType": "Public" });
            Reply::json(200, &json!({ "name": zone, "properties": properties }))
        }
        ("GET", [rtype]) => list(azure, zone, rtype, request),
        ("GET", [rtype, label]) => match azure.zones[*zone].get(&at(rtype, label)) {
            Some(set) => Reply::json(200, &native(rtype, label, set)),
            None => not_found("The resource record"),
        },
        ("PUT", ["TXT", label]) => put(azure, zone, label, request),
        ("DELETE", ["TXT", label]) => delete(azure, zone, label, request),
        _ => error(400, "BadRequest", "Only TXT sets are changed here."),
    }
}

fn at(rtype: &str, label: &str) -> (String, String) {
    (rtype.to_owned(), label.to_owned())
}

fn native(rtype: &str, label: &str, set: &Set) -> Value {
    json!({
        "name": label, "type": format!("Microsoft.Network/dnszones/{rtype}"), "etag": set.etag,
        "properties": set.properties,
    })
}

fn list(azure: &Azure, zone: &str, rtype: &str, request: &Request) -> Reply {
    let types = [
        "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT", "all",
    ];
    if !types.contains(&rtype) {
        return error(
            404,
            "InvalidResourceType",
            "The resource type could not be found.",
        );
    }
    let sets = azure.zones[zone].iter();
    let all: Vec<Value> = sets
        .filter(|((kind, _), _)| rtype == "all" || kind == rtype)
        .map(|((kind, label), set)| native(kind, label, set))
        .collect();
    let first: usize = match request.parameter("$skipToken") {
        None => 0,
        Some(token) => token.strip_prefix("at:").unwrap().parse().unwrap(),
    };
    let end = all.len().min(first + PAGE);
    let mut body = json!({ "value": all[first..end] });
    if end < all.len() {
        // With the vendor's own host, whoever was asked.
        body["nextLink"] = json!(format!(
            "https://management.azure.com:443/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/\
             Microsoft.Network/dnsZones/{zone}/{rtype}?api-version=2018-05-01&%24skipToken=at%3a{end}"
        ));
    }
    Reply::json(200, &body)
}

/// If-Match: "Specify the last-seen etag value to prevent accidentally overwriting any concurrent
/// changes." If-None-Match: "Set to '*' to allow a new record set to be created, but to prevent
/// updating an existing record set."
fn is_outdated(before: Option<&Set>, request: &Request) -> bool {
    let etag = request.header("if-match");
    let is_same = before.is_some_and(|set| set.etag == etag);
    let is_new = request.header("if-none-match") != "*" || before.is_none();
    !(etag.is_empty() || is_same) || !is_new
}

fn outdated() -> Reply {
    error(
        412,
        "PreconditionFailed",
        "The condition in the If-Match header was not satisfied.",
    )
}

fn put(azure: &mut Azure, zone: &str, label: &str, request: &Request) -> Reply {
    let bad = |why: &str| error(400, "BadRequest", why);
    let body = request.json();
    let properties = &body["properties"];
    // "TTL [...] between 1 and 2,147,483,647 seconds": https://learn.microsoft.com/azure/dns/dns-zones-records
    if !properties["TTL"]
        .as_u64()
        .is_some_and(|ttl| (1..=2_147_483_647).contains(&ttl))
    {
        return bad("The value of TTL is invalid.");
    }
    let Some(texts) = properties["TXTRecords"]
        .as_array()
        .filter(|texts| !texts.is_empty())
    else {
        return bad("TXTRecords are expected here.");
    };
    // "Each string [...] up to 255 characters", 4,096 in all; 20 records a set:
    // https://learn.microsoft.com/azure/dns/dns-zones-records and
    // https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
    let is_text = |text: &Value| {
        let strings: Option<Vec<&str>> = text["value"]
            .as_array()
            .and_then(|strings| strings.iter().map(Value::as_str).collect());
        strings.is_some_and(|strings| {
            let length: usize = strings.iter().map(|string| string.len()).sum();
            strings.iter().all(|string| string.len() <= 255) && (1..=4096).contains(&length)
        })
    };
    if !texts.iter().all(is_text) || texts.len() > 20 {
        return bad("A value of the TXT set is invalid.");
    }
    let is_twice = |index: usize| texts[..index].contains(&texts[index]);
    if (0..texts.len()).any(is_twice) || label.ends_with(zone) {
        return bad("The record set is invalid.");
    }
    let sets = azure.zones.get_mut(zone).unwrap();
    if sets.contains_key(&at("CNAME", label)) {
        return bad("A CNAME record set cannot be beside other record sets of that name.");
    }
    if is_outdated(sets.get(&at("TXT", label)), request) {
        return outdated();
    }
    azure.writes += 1;
    let set = Set {
        etag: format!("etag-{}", azure.writes),
        properties: properties.clone(),
    };
    let answer = native("TXT", label, &set);
    let status = match sets.insert(at("TXT", label), set) {
        Some(_) => 200,
        None => 201,
    };
    Reply::json(status, &answer)
}

/// "204: The record set was not found."
fn delete(azure: &mut Azure, zone: &str, label: &str, request: &Request) -> Reply {
    let sets = azure.zones.get_mut(zone).unwrap();
    let Some(set) = sets.get(&at("TXT", label)) else {
        return Reply::empty(204);
    };
    if is_outdated(Some(set), request) {
        return outdated();
    }
    sets.remove(&at("TXT", label));
    Reply::empty(200)
}

/// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
fn sign_in(azure: &mut Azure, tenant: &str, request: &Request) -> Reply {
    let refused = |status: u16, error: &str, description: &str| {
        let trace = "Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-25 12:00:00Z";
        let description = format!("{description} {trace}");
        Reply::json(
            status,
            &json!({ "error": error, "error_description": description }),
        )
    };
    if tenant != TENANT {
        return refused(400, "invalid_request", "AADSTS90002: Tenant not found.");
    }
    let fields = form(request);
    let field = |key: &str| fields.get(key).map_or("", String::as_str);
    if field("grant_type") != "client_credentials"
        || field("scope") != "https://management.azure.com/.default"
    {
        return refused(
            400,
            "invalid_request",
            "AADSTS900144: A parameter is missing.",
        );
    }
    if field("client_id") != CLIENT {
        return refused(
            400,
            "unauthorized_client",
            "AADSTS700016: Application was not found in the directory.",
        );
    }
    // What was sent is repeated, so that messages that show it fail.
    let assertion = field("client_assertion");
    match (
        field("client_secret"),
        field("client_assertion_type"),
        assertion,
    ) {
        (SECRET, "", "") | ("", JWT_BEARER, ASSERTION) => {}
        ("", ..) => {
            let why = format!("AADSTS700024: Client assertion {assertion} is expired.");
            return refused(401, "invalid_client", &why);
        }
        (secret, ..) => {
            let why = format!("AADSTS7000215: Invalid client secret {secret} provided.");
            return refused(401, "invalid_client", &why);
        }
    }
    let token = azure.tokens.issue("arm");
    let body =
        json!({ "token_type": "Bearer", "expires_in": azure.lifetime, "access_token": token });
    Reply::json(200, &body)
}

/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
/// and <https://learn.microsoft.com/azure/app-service/overview-managed-identity>: numbers are texts.
fn of_machine(azure: &mut Azure, is_asked: bool, version: &str, request: &Request) -> Reply {
    let refused =
        |error: &str| Reply::json(400, &json!({ "error": error, "error_description": error }));
    if !is_asked || request.parameter("api-version") != Some(version) {
        let header = request.header("x-identity-header");
        return refused(&format!("Required metadata header not specified {header}"));
    }
    if request.parameter("resource") != Some("https://management.azure.com/") {
        return refused("invalid_resource");
    }
    if ![None, Some(CLIENT)].contains(&request.parameter("client_id")) {
        return refused("Identity not found");
    }
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let mut body = json!({
        "access_token": azure.tokens.issue("arm"), "token_type": "Bearer",
        "expires_on": (now + azure.lifetime).to_string(), "resource": "https://management.azure.com/",
    });
    if version == "2018-02-01" {
        body["expires_in"] = json!(azure.lifetime.to_string());
    }
    Reply::json(200, &body)
}

/// <https://docs.github.com/actions/reference/security/oidc>
fn runner(request: &Request) -> Reply {
    if request.header("authorization") != format!("Bearer {RUNNER_TOKEN}")
        || request.parameter("api-version") != Some("2.0")
    {
        let message = format!("Not authorized: {}", request.header("authorization"));
        return Reply::json(401, &json!({ "message": message }));
    }
    match request.parameter("audience") {
        Some("api://AzureADTokenExchange") => {
            Reply::json(200, &json!({ "count": 1, "value": ASSERTION }))
        }
        _ => Reply::json(200, &json!({ "count": 1, "value": "for-others" })),
    }
}

/// The entry of an application with a secret; its environment says where it signs in.
fn with_secret(fake: &Fake) -> (ProviderEntry, Environment) {
    let mut entry = without_secret(fake);
    for (field, value) in [
        ("TenantID", TENANT),
        ("ClientID", CLIENT),
        ("ClientSecret", SECRET),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    (entry, environment(&[("AZURE_AUTHORITY_HOST", &fake.url())]))
}

fn without_secret(fake: &Fake) -> ProviderEntry {
    let fields = [
        ("SubscriptionID", SUBSCRIPTION),
        ("ResourceGroup", GROUP),
        ("_base_url", &fake.url()),
    ];
    let mut entry = entry("AZURE_DNS", &fields);
    // It names a variable that is not set here.
    let unset = ("ClientSecret".to_owned(), "LAPTOP_SECRET".to_owned());
    entry.unset.extend([unset]);
    entry
}

fn zone() -> DnsName {
    "example.test".parse().unwrap()
}

/// What is listed; the error as the user sees it.
async fn listed(entry: &ProviderEntry, environment: &Environment) -> Result<Vec<String>, String> {
    let provider = provider_in(entry, environment).map_err(|error| message(&error))?;
    let records = provider.records((&zone()).into()).await;
    let records = records.map_err(|error| message(&error))?;
    Ok(records.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn conforms() {
    let (fake, azure) = start();
    let (entry, environment) = with_secret(&fake);
    conforms_to_all(&Subject {
        environment,
        lists_soa: true,
        // A token, the TXT sets, one for each name.
        calls: 102,
        ..Subject::new(&fake, entry, "ClientSecret")
    })
    .await;
    // The user's notes and the strings of other values are what they were.
    let azure = azure.lock().unwrap();
    let sets = &azure.zones["example.test"];
    let many = &sets[&at("TXT", "many")].properties;
    assert_eq!(many["metadata"], json!({ "owner": "ops" }));
    assert_ne!(sets[&at("TXT", "many")].etag, "seed");
}

#[tokio::test]
async fn strings_of_other_values_stay() {
    let (fake, azure) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let value = Txt {
        name: zone(),
        value: "x".to_owned(),
    };
    let batch = TxtBatch::adding(vec![value]);
    provider.change((&zone()).into(), &batch).await.unwrap();
    let azure = azure.lock().unwrap();
    assert_eq!(
        azure.zones["example.test"][&at("TXT", "@")].properties["TXTRecords"],
        json!([{ "value": ["v=spf1 ", "-all"] }, { "value": ["x"] }])
    );
}

#[tokio::test]
async fn name_servers_are_azures_and_those_at_the_apex() {
    let (fake, _) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let names = provider.nameservers((&zone()).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns1-01.azure-dns.com, ns2-01.azure-dns.net, ns1.example.test, ns2.example.net]"
    );
}

#[tokio::test]
async fn aliases_and_odd_sets() {
    let (fake, azure) = start();
    let target =
        "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/publicIPAddresses/z";
    let odd = |properties: Value| Set {
        etag: "1".to_owned(),
        properties,
    };
    let sets = BTreeMap::from([
        (
            at("A", "alias"),
            odd(json!({ "TTL": 60, "targetResource": { "id": target } })),
        ),
        (
            at("AAAA", "both"),
            odd(json!({
                "TTL": 60, "targetResource": { "id": target },
                "AAAARecords": [{ "ipv6Address": "2001:DB8::1" }],
            })),
        ),
        (
            at("A", "empty"),
            odd(json!({ "TTL": 60, "ARecords": [], "targetResource": {} })),
        ),
        (
            at("TXT", "empty"),
            odd(json!({ "TTL": 60, "TXTRecords": [] })),
        ),
        (
            at("PTR", "1"),
            odd(json!({ "TTL": 60, "PTRRecords": [{ "ptrdname": "Host.example.net" }] })),
        ),
    ]);
    azure
        .lock()
        .unwrap()
        .zones
        .insert("example.test".to_owned(), sets);
    let (entry, environment) = with_secret(&fake);
    assert_eq!(
        listed(&entry, &environment).await.unwrap(),
        [
            format!("AZURE_ALIAS alias.example.test A {target} ttl=60"),
            "AAAA both.example.test 2001:db8::1 ttl=60".to_owned(),
            "PTR 1.example.test host.example.net. ttl=60".to_owned(),
            "TXT empty.example.test \"\" ttl=60".to_owned(),
        ]
    );
    let unknown = odd(json!({ "TTL": 60, "DSRecords": [] }));
    let add = |azure: &mut Azure| {
        let sets = azure.zones.get_mut("example.test").unwrap();
        sets.insert(at("DS", "sub"), unknown);
    };
    add(&mut azure.lock().unwrap());
    let text = listed(&entry, &environment).await.unwrap_err();
    let expected =
        "the zone has a set of type `DS` at `sub.example.test`, which git-certs does not know";
    assert!(text.ends_with(expected), "{text}");
}

#[tokio::test]
async fn a_token_is_kept_until_it_is_no_longer_taken() {
    let (fake, azure) = start();
    let (entry, environment) = with_secret(&fake);
    let provider = provider_in(&entry, &environment).unwrap();
    let read = async || provider.records((&zone()).into()).await.unwrap().len();
    let sets = read().await;
    assert_eq!(read().await, sets);
    assert_eq!(azure.lock().unwrap().tokens.issued(), 1);
    azure.lock().unwrap().tokens.revoke();
    assert_eq!(read().await, sets);
    // In the middle of a change too.
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    azure.lock().unwrap().tokens.revoke();
    let batch = TxtBatch::adding(vec![value]);
    provider.change((&zone()).into(), &batch).await.unwrap();
    assert_eq!(read().await, sets + 1);
    assert_eq!(azure.lock().unwrap().tokens.issued(), 2);
    azure.lock().unwrap().lifetime = 100;
    azure.lock().unwrap().tokens.revoke();
    read().await;
    read().await;
    assert_eq!(azure.lock().unwrap().tokens.issued(), 2);
}

#[tokio::test]
async fn every_source_of_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    write(&file, &format!("{ASSERTION}\n"));
    let (fake, _) = start();
    let url = fake.url();
    let runner = format!("{url}/runner?api-version=2.0");
    let identity = format!("{url}/msi/token");
    let authority = ("AZURE_AUTHORITY_HOST", url.as_str());
    let ids = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT)];
    let secret = ("AZURE_CLIENT_SECRET", SECRET);
    let file = ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
    let github = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", runner.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", RUNNER_TOKEN),
    ];
    let machine = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str());
    let service = [
        ("IDENTITY_ENDPOINT", identity.as_str()),
        ("IDENTITY_HEADER", IDENTITY_HEADER),
    ];
    let token = format!("POST /{TENANT}/oauth2/v2.0/token");
    let of_machine = "GET /metadata/identity/oauth2/token";
    let all = |parts: &[&[(&'static str, &str)]]| environment(&parts.concat());
    for (uses_oidc, environment, asked) in [
        (
            false,
            all(&[&[authority, secret, file, machine], &ids]),
            vec![token.as_str()],
        ),
        (
            false,
            all(&[&[authority, file, machine], &ids, &github]),
            vec![token.as_str()],
        ),
        (
            true,
            all(&[&[authority, secret, machine], &ids, &github]),
            vec!["GET /runner", &token],
        ),
        (
            true,
            all(&[&[authority, file, machine], &ids, &github]),
            vec![token.as_str()],
        ),
        (false, all(&[&[machine], &github]), vec![of_machine]),
        (false, all(&[&[machine], &ids]), vec![of_machine]),
        (false, all(&[&[machine], &service]), vec!["GET /msi/token"]),
    ] {
        let mut entry = without_secret(&fake);
        if uses_oidc {
            entry.fields.insert("UseOIDC".to_owned(), "true".to_owned());
        }
        fake.requests();
        listed(&entry, &environment).await.unwrap();
        let mut requests = fake.requests();
        requests.retain(|request| !request.contains("dnsZones"));
        assert_eq!(requests, asked, "{environment:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let wrong = "wrong-secret-for-tests";
    write(&file, wrong);
    let (fake, _) = start();
    let url = fake.url();
    let identity = format!("{url}/msi/token");
    let ids = [
        ("AZURE_AUTHORITY_HOST", url.as_str()),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
    ];
    let with = |more: &[(&'static str, &str)]| environment(&[&ids[..], more].concat());
    for (environment, why, place) in [
        (
            with(&[("AZURE_CLIENT_SECRET", wrong)]),
            "answered 401 Unauthorized: AADSTS7000215: Invalid client secret [credential] provided.",
            "check `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`: it needs the role",
        ),
        (
            with(&[("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())]),
            "answered 401 Unauthorized: AADSTS700024: Client assertion [credential] is expired.",
            "check `AZURE_FEDERATED_TOKEN_FILE`, and whether the application trusts its token: it",
        ),
        (
            with(&[("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token")]),
            "cannot read `/nonexistent/token` (`AZURE_FEDERATED_TOKEN_FILE`)\nNo such file",
            "",
        ),
        (
            with(&[("IDENTITY_ENDPOINT", &identity), ("IDENTITY_HEADER", wrong)]),
            "`GET /msi/token` answered 400 Bad Request: Required metadata header not specified [IDENTITY_HEADER]",
            "check the managed identity of this machine: it needs",
        ),
        (
            with(&[("AZURE_CLIENT_CERTIFICATE_PATH", "/x.pem")]),
            "client certificates (`AZURE_CLIENT_CERTIFICATE_PATH`) are not supported",
            "set `AZURE_CLIENT_SECRET`",
        ),
    ] {
        let text = listed(&without_secret(&fake), &environment)
            .await
            .unwrap_err();
        assert!(text.contains(why) && text.contains(place), "{text}");
        assert!(!text.contains(wrong), "{text}");
    }
}

#[tokio::test]
async fn a_workflow_without_a_token_is_told_what_it_needs() {
    let wrong = "wrong-secret-for-tests";
    let (fake, _) = start();
    let mut entry = without_secret(&fake);
    for (field, value) in [
        ("UseOIDC", "true"),
        ("TenantID", TENANT),
        ("ClientID", CLIENT),
    ] {
        entry.fields.insert(field.to_owned(), value.to_owned());
    }
    let runner = format!("{}/runner?api-version=2.0", fake.url());
    let github = environment(&[
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &runner),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", wrong),
    ]);
    let text = listed(&entry, &github).await.unwrap_err();
    let expected = "cannot get the workflow's token from GitHub\n`GET /runner` answered 401 Unauthorized: Not authorized: Bearer [ACTIONS_ID_TOKEN_REQUEST_TOKEN]\nhint: check whether the application trusts this workflow";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains(wrong), "{text}");
    assert_eq!(
        listed(&entry, &Environment::default()).await.unwrap_err(),
        "there is no token of the workload: neither `AZURE_FEDERATED_TOKEN_FILE` nor `ACTIONS_ID_TOKEN_REQUEST_URL` is set\n\
         hint: on GitHub, the job needs `permissions: id-token: write`"
    );
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (fake, _) = start();
    let entry = without_secret(&fake);
    let secret = ("AZURE_CLIENT_SECRET", SECRET);
    assert_eq!(
        listed(&entry, &environment(&[secret])).await.unwrap_err(),
        "`creds.json` entry `main` has no `TenantID`, and `AZURE_TENANT_ID` is not set\n\
         hint: add `TenantID` to the entry, or set `AZURE_TENANT_ID`"
    );
    for (variable, url) in [
        ("AZURE_AUTHORITY_HOST", "http://login.example.net"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://10.0.0.1"),
    ] {
        let mut variables = vec![(variable, url), ("AZURE_TENANT_ID", TENANT)];
        if variable == "AZURE_AUTHORITY_HOST" {
            variables.push(secret);
        }
        assert_eq!(
            listed(&entry, &environment(&variables)).await.unwrap_err(),
            format!("`{variable}` would send credentials in the clear\nhint: write `https://`")
        );
    }
    // Nobody listens there.
    let nowhere = environment(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")]);
    let text = listed(&entry, &nowhere).await.unwrap_err();
    assert!(
        text.contains("no managed identity: nobody answers"),
        "{text}"
    );
    assert!(
        text.contains("or set `UseOIDC` to `true` on GitHub"),
        "{text}"
    );
}
