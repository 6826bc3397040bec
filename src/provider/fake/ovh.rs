//! `OVHcloud`, as <https://eu.api.ovh.com/console/?section=%2Fdomain&branch=v1> describes it; signatures
//! as <https://help.ovhcloud.com/csm/en-gb-api-getting-started-ovhcloud-api?id=kb_article_view&sysparm_article=KB0042784>
//! has them.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::change::{Txt, TxtBatch};
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, wrong_credentials_are_named};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::labels::owner;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const APPLICATION: &str = "ovh-app-for-tests";
const SECRET: &str = "ovh-secret-for-tests";
const CONSUMER: &str = "ovh-consumer-for-tests";

/// How far the server's clock is ahead, seconds.
const AHEAD: i64 = 3600;

/// How old a request may be, seconds.
const LONGEST_TRAVEL: i64 = 30;

struct Account {
    /// What the record calls have.
    store: Store,
    /// What is in service, and exported: the zones as they were when they were last refreshed.
    deployed: BTreeMap<String, Vec<Row>>,
}

fn start() -> Fake {
    let store = Store::seeded(60);
    let mut account = Account {
        deployed: store.zones.clone(),
        store,
    };
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut account, request)),
        is_write: |request| request.method != "GET",
        // Limits are not documented, and neither is when to come back.
        too_many: error(429, "TOO_MANY_REQUESTS", "Too many requests"),
    })
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "errorCode": code, "httpCode": status.to_string(), "message": message });
    Reply::json(status, &body)
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp() + AHEAD
}

/// What is wrong with the keys or the signature:
/// `"$1$" + SHA1_HEX(AS+"+"+CK+"+"+METHOD+"+"+QUERY+"+"+BODY+"+"+TSTAMP)`.
fn refusal(request: &Request) -> Option<Reply> {
    if request.header("x-ovh-application") != APPLICATION {
        return Some(error(403, "INVALID_KEY", "This application key is invalid"));
    }
    if request.header("x-ovh-consumer") != CONSUMER {
        return Some(error(
            403,
            "NOT_CREDENTIAL",
            "This credential does not exist",
        ));
    }
    let time = request.header("x-ovh-timestamp");
    let url = format!("http://{}{}", request.header("host"), request.target);
    let signed = format!(
        "{SECRET}+{CONSUMER}+{}+{url}+{}+{time}",
        request.method, request.body
    );
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, signed.as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if request.header("x-ovh-signature") != format!("$1${hash}") {
        return Some(error(400, "INVALID_SIGNATURE", "Invalid signature"));
    }
    let age = now() - time.parse::<i64>().unwrap_or(0);
    (age.abs() > LONGEST_TRAVEL).then(|| error(400, "QUERY_TIME_OUT", "Query out of time"))
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    let (method, path) = request.route();
    if (method, &path[..]) == ("GET", &["auth", "time"]) {
        return Reply::json(200, &json!(now()));
    }
    if let Some(refusal) = refusal(request) {
        return refusal;
    }
    let absent = error(404, "NOT_FOUND", "This service does not exist");
    match (method, &path[..]) {
        ("GET", ["domain", "big.test", "nameServer"]) => Reply::json(200, &json!([1, 2])),
        ("GET", ["domain", "big.test", "nameServer", id]) => Reply::json(
            200,
            &json!({ "id": 1, "host": format!("dns{id}.ovh.net"), "toDelete": *id == "1" }),
        ),
        (_, ["domain", "zone", zone, ..]) if !account.store.zones.contains_key(*zone) => absent,
        ("GET", ["domain", "zone", zone]) => Reply::json(
            200,
            &json!({ "name": zone, "nameServers": ["dns106.ovh.net", "ns106.ovh.net"] }),
        ),
        ("GET", ["domain", "zone", zone, "export"]) => {
            Reply::json(200, &json!(export(&account.deployed[*zone], zone)))
        }
        ("POST", ["domain", "zone", zone, "refresh"]) => {
            let rows = account.store.zones[*zone].clone();
            account.deployed.insert((*zone).to_owned(), rows);
            Reply::json(200, &Value::Null)
        }
        (_, ["domain", "zone", zone, "record", id @ ..]) => {
            record(&mut account.store, zone, id, request)
        }
        _ => absent,
    }
}

/// "Text mode", as in
/// <https://github.com/ovh/docs/tree/master/pages/web_cloud/domains/dns_zone_general_information>. Records of the
/// types DKIM, DMARC and SPF are TXT records, in parentheses.
fn export(rows: &[Row], zone: &str) -> String {
    let mut text =
        "$TTL 3600\n@\tIN SOA dns106.ovh.net. tech.ovh.net. (2024011405 86400 3600 3600000 60)\n"
            .to_owned();
    let zone: DnsName = zone.parse().unwrap();
    let (apex, others): (Vec<&Row>, _) = rows.iter().partition(|row| row.record.name == zone);
    for row in apex.into_iter().chain(others) {
        let Record {
            name,
            rtype,
            ttl,
            data,
            ..
        } = &row.record;
        let label = name.label_in(&zone).filter(|label| *label != "@");
        let data = match field_type(row) {
            "TXT" => Spelling::Quoted.spell(data),
            "SPF" => format!("( {} )", Spelling::Quoted.spell(data)),
            _ => data.clone(),
        };
        let label = label.unwrap_or_default();
        text.push_str(&format!("{label:<24}{ttl:>6} IN {rtype:<6} {data}\n"));
    }
    text
}

fn field_type(row: &Row) -> &str {
    if row.record.rtype == "TXT" && row.record.data.starts_with("v=spf1") {
        "SPF"
    } else {
        &row.record.rtype
    }
}

fn record(store: &mut Store, zone: &str, id: &[&str], request: &Request) -> Reply {
    let apex: DnsName = zone.parse().unwrap();
    let label = |row: &Row| match row.record.name.label_in(&apex).unwrap() {
        "@" => String::new(),
        label => label.to_owned(),
    };
    let rows = &store.zones[zone];
    match (request.method.as_str(), id) {
        // "Filter the value of subDomain property (ilike)": `_` is any character.
        ("GET", []) => {
            let kind = request.parameter("fieldType");
            let pattern = request.parameter("subDomain");
            let ids: Vec<u64> = rows
                .iter()
                .filter(|row| kind.is_none_or(|kind| field_type(row) == kind))
                .filter(|row| pattern.is_none_or(|pattern| is_like(&label(row), pattern)))
                .map(|row| row.id)
                .collect();
            Reply::json(200, &json!(ids))
        }
        ("GET", [id]) => match rows.iter().find(|row| row.id.to_string() == *id) {
            Some(row) => Reply::json(
                200,
                &json!({
                    "id": row.id, "zone": zone, "subDomain": label(row), "ttl": row.record.ttl,
                    "fieldType": field_type(row), "target": Spelling::Quoted.spell(&row.record.data),
                }),
            ),
            None => error(404, "NOT_FOUND", "The requested object does not exist"),
        },
        ("POST", []) => create(store, zone, &request.json()),
        ("DELETE", [id]) if store.delete(zone, id.parse().unwrap_or(0)) => {
            Reply::json(200, &Value::Null)
        }
        _ => error(404, "NOT_FOUND", "The requested object does not exist"),
    }
}

fn is_like(label: &str, pattern: &str) -> bool {
    label.len() == pattern.len()
        && label
            .chars()
            .zip(pattern.chars())
            .all(|(one, other)| other == '_' || one.eq_ignore_ascii_case(&other))
}

/// The documentation names no check for duplicates, so none is made: a client must not rely on one.
fn create(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let bad = |message: &str| error(400, "BAD_REQUEST", message);
    let (Some(label), Some(target)) = (body["subDomain"].as_str(), body["target"].as_str()) else {
        return bad("Missing parameter");
    };
    if body["fieldType"] != "TXT" || label == "@" || label.ends_with(zone) {
        return bad("Invalid subdomain");
    }
    // Unquoted, a semicolon would begin a comment.
    if target.len() < 2 || !target.starts_with('"') || !target.ends_with('"') {
        return bad("Invalid target for a TXT record");
    }
    // 60 is the smallest TTL; 0 is the zone's default.
    let ttl = body["ttl"].as_u64().unwrap_or(0);
    if (1..60).contains(&ttl) {
        return bad("Invalid ttl");
    }
    let name = owner(label, &zone.parse().unwrap()).unwrap();
    let rows = &store.zones[zone];
    let is_alias = |row: &Row| row.record.name == name && row.record.rtype == "CNAME";
    if rows.iter().any(is_alias) {
        return bad("A CNAME record exists for this subdomain");
    }
    let text = Spelling::Quoted.text(target);
    let ttl = u32::try_from(ttl).unwrap();
    let id = store.add(zone, Record::new(name, "TXT", ttl, text));
    Reply::json(200, &json!({ "id": id, "zone": zone, "target": target }))
}

fn subject<'a>(fake: &'a Fake, credential: &'static str) -> Subject<'a> {
    let entry = entry(
        "OVH",
        &[
            ("app-key", APPLICATION),
            ("app-secret-key", SECRET),
            ("consumer-key", CONSUMER),
        ],
    );
    Subject {
        minimum_ttl: 60,
        // The server's time, the zone, one for each value, one that puts them into service.
        calls: 103,
        ..Subject::new(fake, entry, credential)
    }
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    conforms_to_all(&subject(&fake, "consumer-key")).await;
    for credential in ["app-key", "app-secret-key"] {
        wrong_credentials_are_named(&subject(&fake, credential)).await;
    }
}

#[tokio::test]
async fn a_change_is_put_into_service_once_and_last() {
    let fake = start();
    let provider = subject(&fake, "consumer-key").connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = |label: &str| Txt {
        name: format!("{label}.example.test").parse().unwrap(),
        value: "x".to_owned(),
    };
    let values = vec![value("_acme-challenge"), value("xacme-challenge")];
    let add = TxtBatch::adding(values.clone());
    provider.change((&zone).into(), &add).await.unwrap();
    let record = "/domain/zone/example.test/record";
    let refresh = "POST /domain/zone/example.test/refresh";
    assert_eq!(
        fake.requests(),
        [
            "GET /auth/time",
            "GET /domain/zone/example.test/export",
            &format!("POST {record}"),
            &format!("POST {record}"),
            refresh,
        ]
    );
    // What the pattern `_acme-challenge` finds besides stays.
    let remove = TxtBatch::removing(vec![values[0].clone()]);
    provider.change((&zone).into(), &remove).await.unwrap();
    let asked = fake.requests();
    let count = |start: &str| asked.iter().filter(|one| one.starts_with(start)).count();
    assert_eq!(count(&format!("GET {record}/")), 2, "{asked:#?}");
    assert_eq!(count(&format!("DELETE {record}/")), 1, "{asked:#?}");
    assert_eq!(asked.last().unwrap(), refresh);
    let records = provider.records((&zone).into()).await.unwrap();
    let kept = records.iter().find(|one| one.name == values[1].name);
    assert_eq!(kept.unwrap().data, "x");
}

#[tokio::test]
async fn name_servers_are_the_registrars_or_the_zones() {
    let fake = start();
    let provider = subject(&fake, "consumer-key").connect();
    for (zone, expected) in [
        ("big.test", "[dns2.ovh.net]"),
        ("example.test", "[dns106.ovh.net, ns106.ovh.net]"),
    ] {
        let zone: DnsName = zone.parse().unwrap();
        let names = provider.nameservers((&zone).into()).await.unwrap();
        assert_eq!(format!("{names:?}"), expected);
    }
}
