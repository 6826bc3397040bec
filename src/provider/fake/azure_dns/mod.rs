//! Azure DNS, as <https://learn.microsoft.com/rest/api/dns/> and its specification
//! (<https://github.com/Azure/azure-rest-api-specs>, `Microsoft.Network/stable/2018-05-01/dns.json`)
//! describe it, and the servers that give its tokens.

mod credentials;
mod entra;
mod sets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pretty_assertions::{assert_eq, assert_ne};
use serde_json::{Value, json};

use crate::model::environment::Environment;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, message, provider_in};
use crate::provider::fake::azure_dns::entra::with_secret;
use crate::provider::fake::tokens::Tokens;
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};

const SUBSCRIPTION: &str = "726f8cd6-6459-4db4-8e6d-2cd2716904e2";
const GROUP: &str = "dns-zones";

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
    let token = entra::answer(&mut azure.tokens, azure.lifetime, request);
    token.unwrap_or_else(|| resource_manager(azure, request))
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
