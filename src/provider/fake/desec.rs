//! deSEC, as <https://desec.readthedocs.io/en/latest/dns/rrsets.html> describes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::name::DnsName;
use crate::model::zone::Record;
use crate::provider::conformance::{Subject, conforms_to_all};
use crate::provider::fake::{Fake, Reply, Request, Row, Store, Vendor};
use crate::provider::labels::label;
use crate::provider::rrset::Spelling;
use crate::provider::servers::entry;

const TOKEN: &str = "desec-token-for-tests";

/// The default of a domain: <https://desec.readthedocs.io/en/latest/dns/domains.html>.
const MINIMUM_TTL: u32 = 3600;

fn start() -> Fake {
    let mut store = Store::seeded(MINIMUM_TTL);
    Fake::start(Vendor {
        answer: Box::new(move |request| answer(&mut store, request)),
        is_write: |request| request.method != "GET",
        // https://desec.readthedocs.io/en/latest/rate-limits.html: 429, an explanation in the body,
        // and Retry-After in seconds.
        too_many: detail(
            429,
            "Request was throttled. Expected available in 1 second.",
        )
        .with("retry-after", "1".to_owned()),
    })
}

fn detail(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({ "detail": text }))
}

fn answer(store: &mut Store, request: &Request) -> Reply {
    if request.header("authorization") != format!("Token {TOKEN}") {
        return detail(401, "Invalid token.");
    }
    let (method, path) = request.route();
    // Every address ends with a slash.
    let ["domains", zone, more @ ..] = &path[..] else {
        return detail(404, "Not found.");
    };
    if !store.zones.contains_key(*zone) {
        return detail(404, "Not found.");
    }
    match (method, more) {
        ("GET", [""]) => Reply::json(200, &json!({ "name": zone, "minimum_ttl": MINIMUM_TTL })),
        ("GET", ["rrsets", ""]) => list(&store.zones[*zone], zone, request),
        ("PATCH", ["rrsets", ""]) => patch(store, zone, &request.json()),
        _ => detail(404, "Not found."),
    }
}

/// Up to 500 sets at a time; with more, a `cursor` is required, empty for the first page, and the
/// next page is in the Link header ("Pagination").
fn list(rows: &[Row], zone: &str, request: &Request) -> Reply {
    let rtype = request.parameter("type");
    let mut sets: BTreeMap<(&DnsName, &str), (u32, Vec<String>)> = BTreeMap::new();
    for Row { record, .. } in rows {
        if rtype.is_none_or(|rtype| record.rtype == rtype) {
            let set = sets.entry((&record.name, &record.rtype)).or_default();
            set.0 = record.ttl;
            set.1.push(match record.rtype.as_str() {
                "TXT" => Spelling::Quoted.spell(&record.data),
                _ => record.data.clone(),
            });
        }
    }
    let all: Vec<Value> = sets
        .into_iter()
        .map(|((name, rtype), (ttl, records))| {
            let label = label(name, &zone.parse().unwrap());
            json!({
                "domain": zone, "name": name.fqdn(), "subname": label,
                "type": rtype, "ttl": ttl, "records": records,
            })
        })
        .collect();
    let Some(cursor) = request.parameter("cursor") else {
        return match all.len() {
            0..=500 => Reply::json(200, &json!(all)),
            _ => detail(
                400,
                "Pagination required. You can query up to 500 items at a time.",
            ),
        };
    };
    let first: usize = cursor.trim_start_matches("at-").parse().unwrap_or(0);
    let end = all.len().min(first + 500);
    let reply = Reply::json(200, &json!(all[first..end]));
    if end == all.len() {
        return reply;
    }
    let filter = rtype.map_or(String::new(), |rtype| format!("&type={rtype}"));
    let base = format!("https://desec.io/api/v1/domains/{zone}/rrsets/");
    let links = format!(
        "<{base}?cursor={filter}>; rel=\"first\", <{base}?cursor=at-{end}{filter}>; rel=\"next\""
    );
    reply.with("link", links)
}

/// "Bulk operations": all or nothing, errors as a list in the order of the request.
fn patch(store: &mut Store, zone: &str, body: &Value) -> Reply {
    let Some(sets) = body.as_array() else {
        return detail(400, "Expected a list of items.");
    };
    let errors: Vec<Value> = (0..sets.len())
        .map(|index| problem(store, zone, sets, index))
        .collect();
    if errors.iter().any(|error| *error != json!({})) {
        return Reply::json(400, &json!(errors));
    }
    for set in sets {
        let name = owner(set, zone);
        let rows = store.zones.get_mut(zone).unwrap();
        rows.retain(|row| row.record.name != name || row.record.rtype != "TXT");
        let ttl = u32::try_from(set["ttl"].as_u64().unwrap()).unwrap();
        for value in set["records"].as_array().unwrap() {
            let text = Spelling::Quoted.text(value.as_str().unwrap());
            store.add(zone, Record::new(name.clone(), "TXT", ttl, text));
        }
    }
    Reply::json(200, body)
}

fn owner(set: &Value, zone: &str) -> DnsName {
    let owner = match set["subname"].as_str().unwrap_or_default() {
        "" => zone.to_owned(),
        label => format!("{label}.{zone}"),
    };
    owner.parse().unwrap()
}

fn problem(store: &Store, zone: &str, sets: &[Value], index: usize) -> Value {
    let set = &sets[index];
    if set["type"] != "TXT" {
        return json!({ "type": ["Only TXT sets are expected here."] });
    }
    // "The special character `@` is not accepted as an alias."
    if set["subname"] == "@" {
        return json!({ "subname": ["Subname can only use lowercase letters, digits, and -_.*"] });
    }
    let name = owner(set, zone);
    if sets[..index].iter().any(|other| owner(other, zone) == name) {
        return json!({ "non_field_errors": ["Same subname and type as in position(s) above."] });
    }
    let Some(records) = set["records"].as_array() else {
        return json!({ "records": ["This field is required."] });
    };
    if set["ttl"]
        .as_u64()
        .is_none_or(|ttl| ttl < u64::from(MINIMUM_TTL))
    {
        return json!({ "ttl": ["Ensure this value is greater than or equal to 3600."] });
    }
    // "The contents of the TXT record must be enclosed in double quotes."
    let is_quoted = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.len() > 1 && text.starts_with('"') && text.ends_with('"')
    };
    if !records.iter().all(is_quoted) {
        return json!({ "records": ["Data for TXT records must be given using quotation marks."] });
    }
    if records
        .iter()
        .enumerate()
        .any(|(at, one)| records[..at].contains(one))
    {
        return json!({ "records": ["Duplicate records are not allowed."] });
    }
    let rows = &store.zones[zone];
    let is_alias = |row: &Row| row.record.name == name && row.record.rtype == "CNAME";
    if !records.is_empty() && rows.iter().any(is_alias) {
        return json!({ "non_field_errors": ["RRset with conflicting type present (CNAME)."] });
    }
    json!({})
}

#[tokio::test]
async fn conforms() {
    let fake = start();
    let entry = entry("DESEC", &[("auth-token", TOKEN)]);
    conforms_to_all(&Subject {
        minimum_ttl: MINIMUM_TTL,
        // The domain's smallest TTL, its TXT sets, one write, the TXT sets again.
        calls: 4,
        ..Subject::new(&fake, entry, "auth-token")
    })
    .await;
}
