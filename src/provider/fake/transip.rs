//! `TransIP`, as <https://api.transip.nl/rest/docs.html> describes it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, wrong_credentials_are_named};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::servers::entry;

const ACCOUNT: &str = "account-for-tests";
const TOKEN: &str = "transip-token-for-tests";

/// The account's key pair.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

/// Its private key, as the control panel shows it.
fn pem() -> String {
    let der: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let base64 = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let body = lines.join("\n");
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

/// The account: zones, and the tokens that are good.
struct Account {
    store: Store,
    tokens: BTreeSet<String>,
    nonces: BTreeSet<String>,
    /// How many more changes come while another one is under way.
    busy: usize,
}

fn start() -> Fake {
    start_busy(0)
}

fn start_busy(busy: usize) -> Fake {
    let mut account = Account {
        store: Store::seeded(60),
        tokens: BTreeSet::from([TOKEN.to_owned()]),
        nonces: BTreeSet::new(),
        busy,
    };
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut account, request)),
        is_write: |request| request.method != "GET" && request.path != ["auth"],
        // The documentation names X-Rate-Limit-Reset, a time, which a fixed answer cannot have.
        too_many: error(429, "Rate limit exceeded").with("retry-after", "1".to_owned()),
    })
}

/// <https://api.transip.nl/rest/docs.html#header-errors>
fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": message }))
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    let (method, path) = request.route();
    if (method, &path[..]) == ("POST", &["auth"]) {
        return authenticate(account, request);
    }
    let token = request.header("authorization").strip_prefix("Bearer ");
    if !token.is_some_and(|token| account.tokens.contains(token)) {
        return error(401, "Your access token is invalid.");
    }
    let store = &mut account.store;
    let ["domains", zone, what] = &path[..] else {
        return error(404, "Not found");
    };
    let Some(rows) = store.zones.get(*zone) else {
        return error(404, &format!("Domain with name '{zone}' not found"));
    };
    if method != "GET" && account.busy > 0 {
        account.busy -= 1;
        return error(409, "A DNS change is still being processed for this domain");
    }
    match (method, *what) {
        ("GET", "dns") => {
            let entries: Vec<Value> = rows.iter().map(|row| native(row, zone)).collect();
            Reply::json(200, &json!({ "dnsEntries": entries }))
        }
        ("GET", "nameservers") => {
            let servers = ["ns0.transip.net", "ns1.transip.nl", "ns2.transip.eu"];
            let servers = servers.map(|name| json!({ "hostname": name, "ipv4": "", "ipv6": "" }));
            Reply::json(200, &json!({ "nameservers": servers }))
        }
        ("POST", "dns") => create(store, zone, &request.json()["dnsEntry"]),
        ("DELETE", "dns") => delete(store, zone, &request.json()["dnsEntry"]),
        _ => error(405, "Method not allowed"),
    }
}

/// The signature is of the whole body, with SHA-512 and the account's key, as Base64; a nonce and a
/// label are good once: <https://api.transip.nl/rest/docs.html#header-authentication>
fn authenticate(account: &mut Account, request: &Request) -> Reply {
    let body = request.json();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, KEY.public_key());
    let signature = STANDARD.decode(request.header("signature"));
    let is_signed =
        signature.is_ok_and(|signature| public.verify(request.body.as_bytes(), &signature).is_ok());
    if body["login"] != ACCOUNT || !is_signed {
        return error(
            401,
            "Invalid signature, this could happen because of an invalid key.",
        );
    }
    let nonce = body["nonce"].as_str().unwrap_or_default();
    if !(6..=32).contains(&nonce.len()) || !account.nonces.insert(nonce.to_owned()) {
        return error(400, "The nonce must be unique, and of 6 to 32 characters.");
    }
    if body["read_only"] != false || !body["expiration_time"].is_string() {
        return error(400, "The token cannot change anything.");
    }
    let token = format!("header.{nonce}.signature");
    account.tokens.insert(token.clone());
    Reply::json(201, &json!({ "token": token }))
}

/// Names are relative, and `@` at the apex; content is as in a zone file, TXT without quotes.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let own = format!(".{zone}.");
    let content = match rtype.as_str() {
        "TXT" => data.clone(),
        _ => data.strip_suffix(&own).unwrap_or(data).to_owned(),
    };
    json!({
        "name": name.label_in(&zone.parse().unwrap()), "expire": ttl, "type": rtype,
        "content": content,
    })
}

/// What a body says, or why it is no entry.
fn record(zone: &str, entry: &Value) -> Result<Record, Reply> {
    let invalid = || error(406, "This is not a valid DNS entry");
    let text = |key: &str| entry[key].as_str().ok_or_else(invalid);
    let (name, content) = (text("name")?, text("content")?);
    // A name that ends in the zone's would be doubled; quotes would become part of the value.
    if text("type")? != "TXT" || name.is_empty() || name.ends_with(zone) {
        return Err(invalid());
    }
    if content.is_empty() || content.len() > 1024 || content.contains(['"', '\\', '`']) {
        return Err(invalid());
    }
    let ttl = entry["expire"]
        .as_u64()
        .and_then(|ttl| u32::try_from(ttl).ok());
    let owner = match name {
        "@" => zone.parse(),
        label => format!("{label}.{zone}").parse(),
    };
    let owner = owner.map_err(|_| invalid())?;
    let ttl = ttl.filter(|ttl| *ttl >= 60).ok_or_else(invalid)?;
    Ok(Record::new(owner, "TXT", ttl, content.to_owned()))
}

/// <https://api.transip.nl/rest/docs.html#domains-dns-post>: an entry that exists is refused.
fn create(store: &mut Store, zone: &str, entry: &Value) -> Reply {
    let record = match record(zone, entry) {
        Ok(record) => record,
        Err(reply) => return reply,
    };
    let rows = &store.zones[zone];
    if rows.iter().any(|row| row.record == record) {
        return error(406, "This DNS entry already exists");
    }
    let is_alias = |row: &Row| row.record.name == record.name && row.record.rtype == "CNAME";
    if rows.iter().any(is_alias) {
        return error(406, "A CNAME cannot share a name with other records");
    }
    store.add(zone, record);
    Reply::empty(201)
}

/// <https://api.transip.nl/rest/docs.html#domains-dns-delete>: all four fields must match.
fn delete(store: &mut Store, zone: &str, entry: &Value) -> Reply {
    let record = match record(zone, entry) {
        Ok(record) => record,
        Err(reply) => return reply,
    };
    let mut rows = store.zones[zone].iter();
    let Some(id) = rows.find(|row| row.record == record).map(|row| row.id) else {
        return error(406, "The DNS entry was not found");
    };
    store.delete(zone, id);
    Reply::empty(204)
}

#[tokio::test]
async fn conforms_with_a_key_pair() {
    let fake = start();
    let entry = entry(
        "TRANSIP",
        &[("AccountName", ACCOUNT), ("PrivateKey", &pem())],
    );
    conforms_to_all(&Subject {
        // A token, the zone, one for each value.
        calls: 102,
        ..Subject::new(&fake, entry, "AccountName")
    })
    .await;
}

#[tokio::test]
async fn a_key_on_one_line_signs_as_well_and_a_strange_key_does_not() {
    let fake = start();
    let zone: DnsName = "example.test".parse().unwrap();
    let one_line = pem().replace('\n', "\\n");
    let known = entry(
        "TRANSIP",
        &[("AccountName", ACCOUNT), ("PrivateKey", &one_line)],
    );
    let provider = Subject::new(&fake, known, "AccountName").connect();
    let names = provider.nameservers((&zone).into()).await.unwrap();
    assert_eq!(
        format!("{names:?}"),
        "[ns0.transip.net, ns1.transip.nl, ns2.transip.eu]"
    );
    let strange = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let strange: Pkcs8V1Der<'_> = strange.as_der().unwrap();
    let base64 = STANDARD.encode(strange.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    let unknown = entry("TRANSIP", &[("AccountName", ACCOUNT), ("PrivateKey", &pem)]);
    let provider = Subject::new(&fake, unknown, "AccountName").connect();
    let error = provider.records((&zone).into()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("Invalid signature"),
        "{error:#}"
    );
}

#[tokio::test]
async fn a_busy_zone_is_tried_again() {
    let fake = start_busy(2);
    let entry = entry("TRANSIP", &[("AccessToken", TOKEN)]);
    let provider = Subject::new(&fake, entry, "AccessToken").connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    let add = TxtBatch::adding(vec![value]);
    provider.change((&zone).into(), &add).await.unwrap();
    let requests = fake.requests();
    let writes = requests.iter().filter(|one| one.starts_with("POST"));
    assert_eq!(writes.count(), 3, "{requests:#?}");
}

#[tokio::test]
async fn an_access_token_is_enough() {
    let fake = start();
    let entry = entry("TRANSIP", &[("AccessToken", TOKEN)]);
    let subject = Subject::new(&fake, entry, "AccessToken");
    wrong_credentials_are_named(&subject).await;
    let zone: DnsName = "example.test".parse().unwrap();
    fake.requests();
    subject.connect().records((&zone).into()).await.unwrap();
    assert_eq!(fake.requests(), ["GET /domains/example.test/dns"]);
}
