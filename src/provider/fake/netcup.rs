//! netcup, as <https://ccp.netcup.net/run/webservice/servers/endpoint.php> describes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::change::{Txt, TxtBatch};
use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::servers::entry;

const KEY: &str = "netcup-key-for-tests";
const PASSWORD: &str = "netcup-password-for-tests";
const CUSTOMER: &str = "123456";

/// The account: zones, and how many calls each session is still good for.
struct Account {
    store: Store,
    sessions: BTreeMap<String, usize>,
    /// Calls of a new session.
    lasts: usize,
}

fn start(lasts: usize) -> Fake {
    let mut store = Store::seeded(0);
    for row in store.zones.values_mut().flatten() {
        row.record.ttl = 0;
    }
    store.zones.insert("empty.test".to_owned(), Vec::new());
    let mut account = Account {
        store,
        sessions: BTreeMap::new(),
        lasts,
    };
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut account, request)),
        is_write: |request| request.json()["action"] == "updateDnsRecords",
        too_many: error(
            4013,
            "More than 180 requests per minute. Please wait and retry later.",
        ),
    })
}

/// Every refusal has the status 200.
fn error(code: u32, message: &str) -> Reply {
    let answer = json!({
        "serverrequestid": "x", "clientrequestid": "", "action": "", "status": "error",
        "statuscode": code, "shortmessage": "Error", "longmessage": message, "responsedata": "",
    });
    Reply::json(200, &answer)
}

fn success(data: &Value) -> Reply {
    let answer = json!({
        "serverrequestid": "x", "clientrequestid": "", "action": "", "status": "success",
        "statuscode": 2000, "shortmessage": "OK", "longmessage": "OK", "responsedata": data,
    });
    Reply::json(200, &answer)
}

fn answer(account: &mut Account, request: &Request) -> Reply {
    if request.method != "POST" || !matches!(&request.query[..], [(key, _)] if key == "JSON") {
        return error(4000, "This is the address of another service.");
    }
    let body = request.json();
    let (action, parameters) = (body["action"].as_str().unwrap_or_default(), &body["param"]);
    let text = |key: &str| parameters[key].as_str().unwrap_or_default();
    if text("apikey") != KEY || text("customernumber") != CUSTOMER {
        return error(4013, "The API key is not valid.");
    }
    if action == "login" {
        if text("apipassword") != PASSWORD {
            return error(4013, "The login is not valid.");
        }
        let session = format!("session-{}-of-tests", account.sessions.len());
        account.sessions.insert(session.clone(), account.lasts);
        return success(&json!({ "apisessionid": session }));
    }
    match account.sessions.get_mut(text("apisessionid")) {
        Some(left) if *left > 0 => *left -= 1,
        _ => return error(4001, "The session id is not in a valid format."),
    }
    let (store, zone) = (&mut account.store, text("domainname"));
    let rows = store.zones.get(zone).map(Vec::as_slice);
    match (action, rows) {
        // An empty zone and one that is not there differ in words only.
        ("infoDnsRecords", Some([_, ..])) => {
            let rows = store.zones[zone].iter();
            let records: Vec<Value> = rows.map(|row| native(row, zone)).collect();
            success(&json!({ "dnsrecords": records }))
        }
        ("infoDnsRecords", Some([])) => error(5029, "The zone does not contain any DNS records."),
        ("infoDnsRecords" | "infoDnsZone", None) => error(5029, "The zone could not be found."),
        ("infoDnsZone", Some(_)) => success(&json!({ "name": zone, "ttl": "86400" })),
        ("updateDnsRecords", None) => error(5028, "The zone could not be found."),
        ("updateDnsRecords", Some(_)) => update(store, zone, &parameters["dnsrecordset"]),
        _ => error(4000, "The action is not known."),
    }
}

/// Names are relative, and `@` at the apex; host names come without a final dot, numbers as text.
fn native(row: &Row, zone: &str) -> Value {
    let Record {
        name, rtype, data, ..
    } = &row.record;
    let host = data.trim_end_matches('.');
    let (priority, destination) = match rtype.as_str() {
        "CNAME" | "NS" | "SRV" => ("0", host),
        "MX" => host.split_once(' ').unwrap(),
        _ => ("0", data.as_str()),
    };
    json!({
        "id": row.id.to_string(), "hostname": name.label_in(&zone.parse().unwrap()),
        "type": rtype, "priority": priority, "destination": destination, "deleterecord": false,
        "state": "yes",
    })
}

/// Records without an id are new, those with `deleterecord` go, the others stay. A deletion names
/// the whole record, and nothing is done where one record of the set is wrong.
fn update(store: &mut Store, zone: &str, set: &Value) -> Reply {
    let Some(records) = set["dnsrecords"].as_array() else {
        return error(4013, "Message is empty.");
    };
    let mut changed = store.zones[zone].clone();
    let mut created = Vec::new();
    for record in records {
        if record["deleterecord"] == true {
            let before = changed.len();
            let keys = ["id", "hostname", "type", "destination"];
            changed.retain(|row| {
                let native = native(row, zone);
                keys.iter().any(|key| native[*key] != record[*key])
            });
            if changed.len() == before {
                return error(5028, "Can not update (all) DNS records for zone.");
            }
            continue;
        }
        match new(zone, record) {
            Ok(record) => created.push(record),
            Err(reply) => return reply,
        }
    }
    let is_alias = |record: &Record| {
        let mut rows = changed.iter();
        rows.any(|row| row.record.name == record.name && row.record.rtype == "CNAME")
    };
    if created.iter().any(is_alias) {
        return error(5028, "Can not update (all) DNS records for zone.");
    }
    store.zones.insert(zone.to_owned(), changed);
    for record in created {
        store.add(zone, record);
    }
    let rows = store.zones[zone].iter();
    let records: Vec<Value> = rows.map(|row| native(row, zone)).collect();
    success(&json!({ "dnsrecords": records }))
}

fn new(zone: &str, record: &Value) -> Result<Record, Reply> {
    let text = |key: &str| record[key].as_str().unwrap_or_default();
    if !text("id").is_empty() || text("type") != "TXT" {
        return Err(error(4013, "Only new TXT records are expected here."));
    }
    // A name that ends in the zone's would be doubled, and an empty one is no host.
    let hostname = text("hostname");
    if hostname.is_empty() || hostname.ends_with(zone) {
        return Err(error(4013, "The hostname is not valid."));
    }
    // The name server adds quotes by itself.
    let value = text("destination");
    if value.is_empty() || value.contains(['"', '\\', '\'']) {
        return Err(error(
            4013,
            "Please put quotation marks in front of a backslash.",
        ));
    }
    let owner = match hostname {
        "@" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    let owner = owner.parse().unwrap();
    Ok(Record::new(owner, "TXT", 0, value.to_owned()))
}

fn subject(fake: &Fake) -> Subject<'_> {
    let fields = [
        ("api-key", KEY),
        ("api-password", PASSWORD),
        ("customer-number", CUSTOMER),
    ];
    Subject {
        stored_ttl: |_| 0,
        // A session, the zone, one write.
        calls: 3,
        ..Subject::new(fake, entry("NETCUP", &fields), "api-password")
    }
}

#[tokio::test]
async fn conforms() {
    conforms_to_all(&subject(&start(usize::MAX))).await;
}

#[tokio::test]
async fn a_session_that_has_ended_is_replaced() {
    let fake = start(2);
    let provider = subject(&fake).connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let value = Txt {
        name: "_acme-challenge.example.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    let add = TxtBatch::adding(vec![value.clone()]);
    provider.change((&zone).into(), &add).await.unwrap();
    let remove = TxtBatch::removing(vec![value]);
    provider.change((&zone).into(), &remove).await.unwrap();
    // A session, two calls; a call in vain, a session, two calls.
    assert_eq!(fake.requests().len(), 7);
}

#[tokio::test]
async fn a_session_that_is_never_accepted_is_an_error() {
    let fake = start(0);
    let provider = subject(&fake).connect();
    let zone: DnsName = "example.test".parse().unwrap();
    let error = provider.records((&zone).into()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("The session id is not in a valid format. (4001)"),
        "{error:#}"
    );
    assert_eq!(fake.requests().len(), 6);
}

#[tokio::test]
async fn a_zone_without_records_is_no_error() {
    let fake = start(usize::MAX);
    let provider = subject(&fake).connect();
    let zone: DnsName = "empty.test".parse().unwrap();
    assert_eq!(provider.records((&zone).into()).await.unwrap(), []);
    let value = Txt {
        name: "_acme-challenge.empty.test".parse().unwrap(),
        value: "x".to_owned(),
    };
    let add = TxtBatch::adding(vec![value]);
    provider.change((&zone).into(), &add).await.unwrap();
    assert_eq!(provider.records((&zone).into()).await.unwrap().len(), 1);
}
