//! POWERDNS: PowerDNS Authoritative through its HTTP API.

use anyhow::{Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec, default_nameservers};
use crate::provider::reply::{failure, status};
use crate::provider::rrset::{Change, Rounds, by_name};

pub(super) const SPEC: Spec = Spec {
    kind: "POWERDNS",
    name: "PowerDNS",
    api: "https://doc.powerdns.com/authoritative/http-api/",
    fields: &[
        Field {
            key: "apiUrl",
            required: true,
            help: "where the API is, such as `http://127.0.0.1:8081`",
        },
        Field {
            key: "apiKey",
            required: true,
            help: "the server's `api-key`; PowerDNS has one key, with all rights on all zones",
        },
        Field {
            key: "serverName",
            required: true,
            help: "`localhost`, unless a proxy serves several",
        },
    ],
    notes: &[
        "the server needs `api=yes`, and this machine in `webserver-allow-from`",
        "the API replaces whole sets: each change is read back, and done again if another writer undid it",
        "SOA records are compared like any other (the serial is not), so declare them with `SOA()`",
        "`use_views`: the tag of `example.com!tag` becomes the variant `example.com..tag`",
    ],
    scope: "it must be the server's `api-key`",
    rates: &[],
    connect,
};

/// One server behind one API.
#[derive(Debug)]
struct PowerDns {
    entry: String,
    api: Api,
    server: String,
    use_views: bool,
    nameservers: Vec<DnsName>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let api = Api::new(&SPEC, entry, context, Base::Own("apiUrl"))?.shows("serverName");
    let key = entry.required("apiKey")?;
    Ok(Box::new(PowerDns {
        entry: entry.name.clone(),
        api: api.credential("apiKey", "x-api-key", key)?,
        server: entry.required("serverName")?.to_owned(),
        use_views: entry
            .meta
            .get("use_views")
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false),
        nameservers: default_nameservers(entry)?,
    }))
}

/// What we need of a zone (the API's `Zone`).
#[derive(Deserialize)]
struct ZoneAnswer {
    rrsets: Vec<RrSet>,
}

/// What we need of a server (the API's `Server`).
#[derive(Deserialize)]
struct ServerAnswer {
    id: String,
}

/// The API's `RRSet`.
#[derive(Deserialize)]
struct RrSet {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    records: Vec<Value>,
    #[serde(default)]
    comments: Vec<serde_json::Value>,
}

/// The API's `Record`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Value {
    content: String,
    #[serde(default)]
    disabled: bool,
}

impl DnsProvider for PowerDns {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let sets = self.sets(zone).await?;
            flatten(&sets, zone.name)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let mut rounds = Rounds::default();
            loop {
                let changes = changes(&self.sets(zone).await?, batch, zone.name);
                if changes.is_empty() {
                    return Ok(());
                }
                rounds.look_again(self.write(zone, &changes).await).await?;
            }
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        Box::pin(async { Ok(self.nameservers.clone()) })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks::default()
    }
}

impl PowerDns {
    async fn sets(&self, zone: ZoneRef<'_>) -> Result<Vec<RrSet>> {
        match self.api.get::<ZoneAnswer>(self.url(zone)?).await {
            Ok(answer) => Ok(answer.rrsets),
            Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => {
                Err(self.not_found(&error, zone).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds out which part of the address is wrong: the API, the server, or the zone.
    async fn not_found(&self, error: &anyhow::Error, zone: ZoneRef<'_>) -> anyhow::Error {
        let what = failure(error).map_or_else(|| error.to_string(), |failure| failure.what.clone());
        let place = |field: &str| format!("check `{field}` in `creds.json` entry `{}`", self.entry);
        let servers: Result<Vec<ServerAnswer>> = match self.api.url(&["api", "v1", "servers"]) {
            Ok(url) => self.api.get(url).await,
            Err(error) => Err(error),
        };
        let hint = match servers {
            Err(_) => format!("{}: no PowerDNS API is there", place("apiUrl")),
            Ok(servers) if servers.iter().any(|server| server.id == self.server) => {
                format!(
                    "the server has no zone `{zone}`: create it there, or correct its name in `dnsconfig.js`"
                )
            }
            Ok(servers) => {
                let ids: Vec<_> = servers
                    .iter()
                    .map(|server| format!("`{}`", server.id))
                    .collect();
                format!("{}: the API knows {}", place("serverName"), ids.join(", "))
            }
        };
        with_hint(anyhow!(what), hint)
    }

    async fn write(&self, zone: ZoneRef<'_>, changes: &[serde_json::Value]) -> Result<()> {
        let request = self.api.request(Method::PATCH, self.url(zone)?);
        let request = request.json(&json!({ "rrsets": changes }));
        self.api.send(request, Repeat::Never).await.map(|_| ())
    }

    fn url(&self, zone: ZoneRef<'_>) -> Result<Url> {
        let mut id = zone.name.fqdn();
        if self.use_views && !zone.tag.is_empty() {
            id = format!("{id}.{}", zone.tag);
        }
        // The API's own escape for a slash in a zone name.
        let id = id.replace('/', "=2F");
        let server = self.server.as_str();
        self.api
            .url(&["api", "v1", "servers", server, "zones", &id])
    }
}

fn flatten(sets: &[RrSet], zone: &DnsName) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for set in sets {
        let name = full_owner(&set.name)?;
        records.extend(set.records.iter().map(|value| {
            let data = canonical(&set.rtype, &value.content, zone);
            Record::new(name.clone(), &set.rtype, set.ttl, data)
        }));
    }
    Ok(records)
}

/// The sets of a PATCH that makes the zone as the batch says; empty where it is so already.
fn changes(sets: &[RrSet], batch: &TxtBatch, zone: &DnsName) -> Vec<serde_json::Value> {
    let text = |value: &Value| canonical("TXT", &value.content, zone);
    let new = |text: &str| Value {
        content: quote(text),
        disabled: false,
    };
    let changed = |change: &Change<'_>| {
        let fqdn = change.name.fqdn();
        let set = sets
            .iter()
            .find(|set| set.rtype == "TXT" && set.name.eq_ignore_ascii_case(&fqdn));
        let before = set.map_or(&[][..], |set| &set.records);
        let mut after = change.apply(before, text, new);
        for value in &mut after {
            value.disabled &= !change.add.contains(&text(value).as_str());
        }
        if after == before {
            return None;
        }
        let has_comments = set.is_some_and(|set| !set.comments.is_empty());
        // DELETE takes the comments away; without the key `comments` they stay.
        Some(if after.is_empty() && !has_comments {
            json!({ "name": fqdn, "type": "TXT", "changetype": "DELETE" })
        } else {
            json!({
                "name": fqdn,
                "type": "TXT",
                "ttl": set.map_or(TXT_TTL, |set| set.ttl),
                "changetype": "REPLACE",
                "records": after,
            })
        })
    };
    by_name(batch).iter().filter_map(changed).collect()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::change::Txt;
    use crate::model::hint::explain;
    use crate::provider::servers::{context, entry};

    fn zone() -> DnsName {
        "example.com".parse().unwrap()
    }

    fn txt(name: &str, value: &str) -> Txt {
        Txt {
            name: name.parse().unwrap(),
            value: value.to_owned(),
        }
    }

    fn set(name: &str, contents: &[&str]) -> RrSet {
        RrSet {
            name: name.to_owned(),
            rtype: "TXT".to_owned(),
            ttl: 3600,
            records: contents
                .iter()
                .map(|content| Value {
                    content: (*content).to_owned(),
                    disabled: false,
                })
                .collect(),
            comments: Vec::new(),
        }
    }

    #[test]
    fn values_ttl_and_order_of_a_set_stay() {
        let sets = [set("a.example.com.", &["\"x\"", "\"y\" \"z\""])];
        let batch = TxtBatch {
            add: vec![txt("a.example.com", "new"), txt("a.example.com", "yz")],
            remove: vec![txt("a.example.com", "x"), txt("a.example.com", "absent")],
        };
        assert_eq!(
            changes(&sets, &batch, &zone()),
            [json!({
                "name": "a.example.com.", "type": "TXT", "ttl": 3600, "changetype": "REPLACE",
                "records": [
                    { "content": "\"y\" \"z\"", "disabled": false },
                    { "content": "\"new\"", "disabled": false },
                ],
            })]
        );
    }

    #[test]
    fn an_empty_set_is_deleted_unless_it_has_comments() {
        let batch = TxtBatch::removing(vec![txt("a.example.com", "x")]);
        let mut sets = [set("a.example.com.", &["\"x\""])];
        assert_eq!(
            changes(&sets, &batch, &zone()),
            [json!({ "name": "a.example.com.", "type": "TXT", "changetype": "DELETE" })]
        );
        sets[0].comments.push(json!({ "content": "keep" }));
        assert_eq!(
            changes(&sets, &batch, &zone()),
            [json!({
                "name": "a.example.com.", "type": "TXT", "ttl": 3600, "changetype": "REPLACE",
                "records": [],
            })]
        );
    }

    #[test]
    fn what_is_so_already_is_not_sent() {
        let sets = [set("a.example.com.", &["\"x\""])];
        let batch = TxtBatch {
            add: vec![txt("a.example.com", "x")],
            remove: vec![txt("a.example.com", "y"), txt("b.example.com", "x")],
        };
        assert_eq!(
            changes(&sets, &batch, &zone()),
            Vec::<serde_json::Value>::new()
        );
    }

    #[test]
    fn bad_entries_name_the_field() {
        let problem = |url: &str, key: &str| {
            let fields = [
                ("apiUrl", url),
                ("apiKey", key),
                ("serverName", "localhost"),
            ];
            explain(&connect(&entry("POWERDNS", &fields), &context()).unwrap_err())
        };
        for url in ["localhost", "ftp://localhost"] {
            let explained = problem(url, "secret");
            assert_eq!(
                explained.what,
                "`apiUrl` in `creds.json` entry `main` is no URL"
            );
            assert_eq!(explained.hints, ["write it as `http://HOST`"]);
        }
        assert_eq!(
            problem("http://localhost", "a\nb").what,
            "`apiKey` in `creds.json` entry `main` has a character that no HTTP header can have"
        );
    }
}
