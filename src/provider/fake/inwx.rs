//! INWX, as <https://www.inwx.com/en/help/apidoc> describes it, and the vendor's own clients,
//! <https://github.com/inwx/java-client>.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all, provider};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::port::DnsProvider;
use crate::provider::servers::entry;
use crate::provider::totp;

const USER: &str = "inwx-user";
const PASSWORD: &str = "inwx-password-for-tests";
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// What other clients know as the smallest TTL.
const MINIMUM_TTL: u32 = 300;

struct Account {
    store: Store,
    has_second_factor: bool,
    /// One-time passwords that were given: none is good twice.
    used: BTreeSet<String>,
    /// By the value of the cookie, whether it is unlocked.
    sessions: BTreeMap<String, bool>,
    /// Domains that are registered here, and their name servers.
    registered: BTreeMap<&'static str, Vec<&'static str>>,
    logins: usize,
}

fn account(has_second_factor: bool) -> Arc<Mutex<Account>> {
    Arc::new(Mutex::new(Account {
        store: Store::seeded(MINIMUM_TTL),
        has_second_factor,
        used: BTreeSet::new(),
        sessions: BTreeMap::new(),
        registered: BTreeMap::from([("example.test", vec!["ns2.example.net", "ns1.example.test"])]),
        logins: 0,
    }))
}

fn start(account: &Arc<Mutex<Account>>) -> Fake {
    let account = Arc::clone(account);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut account.lock().unwrap(), request)),
        is_write: |request| {
            let method = request.json()["method"].clone();
            ["nameserver.createRecord", "nameserver.deleteRecord"]
                .iter()
                .any(|write| method == *write)
        },
        // The documentation knows no limit; this is HTTP's own way (RFC 9110 section 15.6.4).
        too_many: Reply::empty(503).with("retry-after", "1".to_owned()),
    })
}

/// Codes are EPP's; the status is 200 whatever the code is.
fn result(code: i64, message: &str, more: &Value) -> Reply {
    let mut body = json!({ "code": code, "msg": message, "svTRID": "fake", "runtime": 0.01 });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    Reply::json(200, &body)
}

fn done(data: &Value) -> Reply {
    result(
        1000,
        "Command completed successfully",
        &json!({ "resData": data }),
    )
}

fn failed(code: i64, message: &str) -> Reply {
    result(code, message, &json!({}))
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    if request.method != "POST" || request.header("content-type") != "application/json" {
        return failed(2000, "Unknown command");
    }
    let body = request.json();
    let parameters = &body["params"];
    let method = body["method"].as_str().unwrap_or_default();
    if method == "account.login" {
        return log_in(account, parameters);
    }
    let cookie = request.header("cookie").strip_prefix("domrobot=");
    let session = cookie.unwrap_or_default().to_owned();
    let Some(is_unlocked) = account.sessions.get(&session).copied() else {
        return failed(2200, "Authentication error");
    };
    if method == "account.unlock" {
        return unlock(account, session, parameters);
    }
    if !is_unlocked {
        let more = json!({
            "reasonCode": "Error_AccountUnlockRequired",
            "reason": "You need to unlock your account with your mobile TAN.",
        });
        return result(2200, "Authentication error", &more);
    }
    match method {
        "nameserver.info" => info(&account.store, parameters),
        "nameserver.createRecord" => create(&mut account.store, parameters),
        "nameserver.deleteRecord" => delete(&mut account.store, &parameters["id"]),
        "domain.info" => {
            let domain = parameters["domain"].as_str().unwrap_or_default();
            match account.registered.get(domain) {
                Some(ns) => done(&json!({ "domain": domain, "ns": ns })),
                None => failed(2303, "Object does not exist"),
            }
        }
        _ => failed(2000, "Unknown command"),
    }
}

fn log_in(account: &mut Account, parameters: &Value) -> Reply {
    if parameters["user"] != USER || parameters["pass"] != PASSWORD {
        return failed(2200, "Authentication error");
    }
    account.logins += 1;
    let session = format!("session-{}-of-tests", account.logins);
    let cookie = format!("domrobot={session}; path=/; secure; HttpOnly");
    account.sessions.insert(session, !account.has_second_factor);
    let tfa = if account.has_second_factor {
        "GOOGLE-AUTH"
    } else {
        "0"
    };
    done(&json!({ "customerId": 1, "accountId": 1, "tfa": tfa, "version": "3" }))
        .with("set-cookie", cookie)
}

/// "INWX does not allow TOTP codes to be reused": <https://docs.dnscontrol.org/provider/inwx>.
fn unlock(account: &mut Account, session: String, parameters: &Value) -> Reply {
    let given = parameters["tan"].as_str().unwrap_or_default().to_owned();
    let now = OffsetDateTime::now_utc();
    // The code of the step before is taken too (RFC 6238 section 5.2).
    let mut times = [now, now - time::Duration::seconds(30)].into_iter();
    let is_right = times.any(|time| totp::password(SECRET, time).unwrap() == given);
    if !is_right || !account.used.insert(given) {
        let more = json!({
            "reasonCode": "INVALID", "reason": "The confirmation code is invalid.",
        });
        return result(2200, "Authentication error", &more);
    }
    account.sessions.insert(session, true);
    result(1000, "Command completed successfully", &json!({}))
}

fn info(store: &Store, parameters: &Value) -> Reply {
    let domain = parameters["domain"].as_str().unwrap_or_default();
    let Some(rows) = store.zones.get(domain) else {
        return failed(2303, "Object does not exist");
    };
    let rtype = parameters["type"].as_str();
    let mut records: Vec<Value> = rows.iter().map(native).collect();
    records.push(json!({
        "id": 1_000_000, "name": domain, "type": "SOA", "ttl": 86400, "prio": 0,
        "content": "ns.inwx.de hostmaster.inwx.de 2026112501 10800 3600 604800 3600",
    }));
    records.retain(|record| rtype.is_none_or(|rtype| record["type"] == rtype));
    let count = records.len();
    done(&json!({ "domain": domain, "type": "MASTER", "count": count, "record": records }))
}

/// Names are complete, host names have no final dot.
fn native(row: &Row) -> Value {
    let Record {
        name,
        rtype,
        ttl,
        data,
        ..
    } = &row.record;
    let (prio, content) = match rtype.as_str() {
        "MX" | "SRV" => data.split_once(' ').unwrap(),
        _ => ("0", data.as_str()),
    };
    let content = match rtype.as_str() {
        "TXT" | "CAA" => content,
        _ => content.trim_end_matches('.'),
    };
    json!({
        "id": row.id, "name": name.as_str(), "type": rtype, "content": content, "ttl": ttl,
        "prio": prio.parse::<u32>().unwrap(),
    })
}

fn create(store: &mut Store, parameters: &Value) -> Reply {
    let text = |key: &str| parameters[key].as_str().unwrap_or_default();
    let (domain, name, content) = (text("domain"), text("name"), text("content"));
    if !store.zones.contains_key(domain) {
        return failed(2303, "Object does not exist");
    }
    if text("type") != "TXT" {
        return failed(2005, "Parameter value syntax error");
    }
    // DNSControl's tests found these: empty, trailing spaces, backticks.
    if content.is_empty() || content.ends_with(' ') || content.contains('`') {
        return failed(2005, "Parameter value syntax error");
    }
    let ttl = parameters["ttl"].as_u64().unwrap_or(3600);
    if ttl < u64::from(MINIMUM_TTL) {
        return failed(2004, "Parameter value range error");
    }
    // Short names are completed; those that hold the zone's name are taken as complete.
    let name = match name {
        "" | "@" => domain.to_owned(),
        complete if complete.contains(domain) => complete.to_owned(),
        label => format!("{label}.{domain}"),
    };
    let owner: DnsName = name.parse().unwrap();
    let rows = store.zones[domain].iter().map(|row| &row.record);
    let mut at_name = rows.filter(|record| record.name == owner);
    if at_name
        .any(|record| record.rtype == "CNAME" || record.rtype == "TXT" && record.data == content)
    {
        return failed(2302, "Object exists");
    }
    let record = Record::new(
        owner,
        "TXT",
        u32::try_from(ttl).unwrap(),
        content.to_owned(),
    );
    let id = store.add(domain, record);
    done(&json!({ "id": id }))
}

fn delete(store: &mut Store, id: &Value) -> Reply {
    let id = id.as_u64().unwrap_or_default();
    let zones: Vec<String> = store.zones.keys().cloned().collect();
    if zones.iter().any(|zone| store.delete(zone, id)) {
        return result(1000, "Command completed successfully", &json!({}));
    }
    failed(2303, "Object does not exist")
}

fn credentials(more: &[(&str, &str)]) -> ProviderEntry {
    let own = [("username", USER), ("password", PASSWORD)];
    entry("INWX", &[&own, more].concat())
}

fn connected(fake: &Fake, more: &[(&str, &str)]) -> Box<dyn DnsProvider> {
    provider(&Subject::new(fake, credentials(more), "password").entry)
}

fn zone() -> DnsName {
    "example.test".parse().unwrap()
}

#[tokio::test]
async fn conforms() {
    let fake = start(&account(false));
    conforms_to_all(&Subject {
        lists_soa: true,
        minimum_ttl: MINIMUM_TTL,
        // The login, the TXT records, one for each value.
        calls: 102,
        ..Subject::new(&fake, credentials(&[]), "password")
    })
    .await;
}

#[tokio::test]
async fn a_session_that_expired_is_replaced() {
    let account = account(false);
    let fake = start(&account);
    let provider = connected(&fake, &[]);
    let before = provider.records((&zone()).into()).await.unwrap();
    account.lock().unwrap().sessions.clear();
    let after = provider.records((&zone()).into()).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(account.lock().unwrap().logins, 2);
}

#[tokio::test]
async fn name_servers_are_those_of_the_registration() {
    let fake = start(&account(false));
    let names = async |zone: &str, more: &[(&str, &str)]| {
        let zone: DnsName = zone.parse().unwrap();
        let names = connected(&fake, more).nameservers((&zone).into()).await;
        format!("{:?}", names.unwrap())
    };
    assert_eq!(
        names("example.test", &[]).await,
        "[ns1.example.test, ns2.example.net]"
    );
    assert_eq!(
        names("big.test", &[]).await,
        "[ns.inwx.de, ns2.inwx.de, ns3.inwx.eu]"
    );
    assert_eq!(
        names("big.test", &[("sandbox", "1")]).await,
        "[ns.ote.inwx.de, ns2.ote.inwx.de]"
    );
}

#[tokio::test]
async fn a_second_login_waits_for_the_next_password() {
    let account = account(true);
    let fake = start(&account);
    let key = [("totp-key", "gezd gnbv gy3t qojq gezd gnbv gy3t qojq")];
    for logins in 1..=2 {
        let provider = connected(&fake, &key);
        provider.records((&zone()).into()).await.unwrap();
        let account = account.lock().unwrap();
        assert_eq!((account.logins, account.used.len()), (logins, logins));
    }
}

#[tokio::test]
async fn a_password_of_the_entry_is_given() {
    let fake = start(&account(true));
    let password = totp::password(SECRET, OffsetDateTime::now_utc()).unwrap();
    let provider = connected(&fake, &[("totp", &password)]);
    provider.records((&zone()).into()).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_the_second_factor_is_named() {
    let fake = start(&account(true));
    let problem = async |more: &[(&str, &str)]| {
        let provider = connected(&fake, more);
        let error = provider.records((&zone()).into()).await.unwrap_err();
        let explained = explain(&error);
        (explained.causes.concat(), explained.hints)
    };
    let (what, hints) = problem(&[]).await;
    assert_eq!(what, "the account has a second factor");
    assert_eq!(
        hints,
        ["add `totp-key` to `creds.json` entry `main`, or use a sub-account without one"]
    );
    let (what, hints) = problem(&[("totp-key", "not Base32!")]).await;
    assert_eq!(
        what,
        "`totp-key` in `creds.json` entry `main` is no shared secret"
    );
    assert_eq!(
        hints,
        ["it is the Base32 text that INWX showed when the second factor was set up"]
    );
    let (what, hints) = problem(&[("totp", "000")]).await;
    assert_eq!(
        what,
        "`POST /` answered 200 OK: account.unlock: Authentication error The confirmation code is invalid. (2200)"
    );
    assert_eq!(hints[0], "check `totp` in `creds.json` entry `main`");
}
