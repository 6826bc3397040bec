//! POWERDNS: PowerDNS Authoritative through its HTTP API.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::model::change::{Txt, TxtBatch};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::{Http, Repeat, body};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec, default_nameservers};

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
    connect,
};

/// How often a change is done when other writers keep undoing it.
const ATTEMPTS: u32 = 5;

/// Largest answer, bytes: a zone of several hundred thousand records.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Longest part of the server's own words that an error repeats, characters.
const WORDS: usize = 300;

/// One server behind one API.
struct PowerDns {
    entry: String,
    http: Http,
    /// `.../api/v1/servers/NAME/zones`
    zones: Url,
    key: HeaderValue,
    use_views: bool,
    nameservers: Vec<DnsName>,
}

impl fmt::Debug for PowerDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PowerDns({})", self.entry)
    }
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let bad_url = || {
        with_hint(
            anyhow!("`apiUrl` in `creds.json` entry `{}` is no URL", entry.name),
            "write it as `http://HOST:8081`",
        )
    };
    let mut zones = Url::parse(entry.required("apiUrl")?).map_err(|_| bad_url())?;
    if !["http", "https"].contains(&zones.scheme()) {
        return Err(bad_url());
    }
    let server = entry.required("serverName")?;
    zones
        .path_segments_mut()
        .map_err(|()| bad_url())?
        .pop_if_empty()
        .extend(["api", "v1", "servers", server, "zones"]);
    let mut key = HeaderValue::from_str(entry.required("apiKey")?).map_err(|_| {
        anyhow!(
            "`apiKey` in `creds.json` entry `{}` has a character that no HTTP header can have",
            entry.name
        )
    })?;
    key.set_sensitive(true);
    Ok(Box::new(PowerDns {
        entry: entry.name.clone(),
        http: context.http.clone(),
        zones,
        key,
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
        Box::pin(async move {
            let sets = self.sets(zone).await;
            sets.and_then(|sets| flatten(&sets, zone.name))
                .with_context(|| format!("cannot read zone `{zone}` from {self}"))
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        Box::pin(async move {
            self.change_zone(zone, batch)
                .await
                .with_context(|| format!("cannot change zone `{zone}` at {self}"))
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        Box::pin(async { Ok(self.nameservers.clone()) })
    }

    fn quirks(&self) -> Quirks {
        Quirks::default()
    }
}

impl fmt::Display for PowerDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.zones.host_str().unwrap_or_default();
        write!(f, "PowerDNS at `{}://{host}", self.zones.scheme())?;
        if let Some(port) = self.zones.port() {
            write!(f, ":{port}")?;
        }
        write!(f, "` (`creds.json` entry `{}`)", self.entry)
    }
}

impl PowerDns {
    async fn change_zone(&self, zone: ZoneRef<'_>, batch: &TxtBatch) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let changes = changes(&self.sets(zone).await?, batch, zone.name);
            if changes.is_empty() {
                return Ok(());
            }
            let body = json!({ "rrsets": changes });
            self.send(Method::PATCH, zone, Some(&body)).await?;
        }
        if changes(&self.sets(zone).await?, batch, zone.name).is_empty() {
            return Ok(());
        }
        Err(with_hint(
            anyhow!("another writer undid the change {ATTEMPTS} times"),
            "look for another program that writes TXT records at the same names",
        ))
    }

    async fn sets(&self, zone: ZoneRef<'_>) -> Result<Vec<RrSet>> {
        let answer = self.send(Method::GET, zone, None).await?;
        let zone: ZoneAnswer = serde_json::from_slice(&answer).context("cannot read the answer")?;
        Ok(zone.rrsets)
    }

    async fn send(
        &self,
        method: Method,
        zone: ZoneRef<'_>,
        content: Option<&serde_json::Value>,
    ) -> Result<Vec<u8>> {
        let mut request = self
            .http
            .client()
            .request(method, self.url(zone)?)
            .header("X-API-Key", self.key.clone());
        if let Some(content) = content {
            request = request.json(content);
        }
        let request = request.build().context("cannot make the request")?;
        // Sets are replaced whole, so sending one twice is the same as once.
        let answer = self
            .http
            .send(request, Repeat::Safe)
            .await
            .hint(|| format!("check `apiUrl` in `creds.json` entry `{}`", self.entry))?;
        let status = answer.status();
        let said = body(answer, LARGEST_ANSWER).await?;
        if status.is_success() {
            return Ok(said);
        }
        Err(self.refused(status, &String::from_utf8_lossy(&said)))
    }

    fn refused(&self, status: StatusCode, body: &str) -> anyhow::Error {
        let error = anyhow!("{status}: {}", words(body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => with_hint(
                error,
                format!(
                    "`apiKey` in `creds.json` entry `{}` must be the server's `api-key`",
                    self.entry
                ),
            ),
            StatusCode::NOT_FOUND => with_hint(
                error,
                format!(
                    "the server must have the zone; check `serverName` and `apiUrl` in `creds.json` entry `{}`",
                    self.entry
                ),
            ),
            _ => error,
        }
    }

    fn url(&self, zone: ZoneRef<'_>) -> Result<Url> {
        let mut id = zone.name.fqdn();
        if self.use_views && !zone.tag.is_empty() {
            id = format!("{id}.{}", zone.tag);
        }
        let mut url = self.zones.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("bad URL"))?
            // The API's own escape for a slash in a zone name.
            .push(&id.replace('/', "=2F"));
        Ok(url)
    }
}

/// The server's own words: the `error` of a JSON body, else its text.
fn words(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let text = json
        .as_ref()
        .and_then(|json| json.get("error"))
        .and_then(serde_json::Value::as_str)
        .unwrap_or(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WORDS {
        return line;
    }
    format!("{}...", line.chars().take(WORDS).collect::<String>())
}

fn flatten(sets: &[RrSet], zone: &DnsName) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for set in sets {
        let name: DnsName = set
            .name
            .parse()
            .with_context(|| format!("the zone has a record at `{}`", set.name))?;
        records.extend(set.records.iter().map(|value| Record {
            name: name.clone(),
            rtype: set.rtype.clone(),
            ttl: set.ttl,
            data: canonical(&set.rtype, &value.content, zone),
        }));
    }
    Ok(records)
}

/// The sets of a PATCH that makes the zone as the batch says; empty where it is so already.
fn changes(sets: &[RrSet], batch: &TxtBatch, zone: &DnsName) -> Vec<serde_json::Value> {
    let all = batch.add.iter().chain(&batch.remove);
    let names: BTreeSet<&DnsName> = all.map(|txt| &txt.name).collect();
    let of_name = |name: &DnsName, txts: &[Txt]| -> Vec<String> {
        let at_name = txts.iter().filter(|txt| txt.name == *name);
        at_name.map(|txt| txt.value.clone()).collect()
    };
    names
        .into_iter()
        .filter_map(|name| {
            let fqdn = name.fqdn();
            let set = sets
                .iter()
                .find(|set| set.rtype == "TXT" && set.name.eq_ignore_ascii_case(&fqdn));
            let before = set.map_or(&[][..], |set| &set.records);
            let added = of_name(name, &batch.add);
            let removed = of_name(name, &batch.remove);
            let after = edited(before, &added, &removed, zone);
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
        })
        .collect()
}

/// The values of a set after additions, then removals; the order of the others stays.
fn edited(before: &[Value], added: &[String], removed: &[String], zone: &DnsName) -> Vec<Value> {
    let text = |value: &Value| canonical("TXT", &value.content, zone);
    let mut after = before.to_vec();
    for value in added {
        if let Some(there) = after.iter_mut().find(|there| text(there) == *value) {
            there.disabled = false;
        } else {
            after.push(Value {
                content: quote(value),
                disabled: false,
            });
        }
    }
    after.retain(|value| !removed.contains(&text(value)));
    after
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

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
            let entry = ProviderEntry {
                unset: std::collections::BTreeMap::new(),
                name: "main".into(),
                kind: "POWERDNS".into(),
                fields: [
                    ("apiUrl", url),
                    ("apiKey", key),
                    ("serverName", "localhost"),
                ]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
                meta: serde_json::Map::new(),
            };
            let context = Context {
                http: Http::new(None).unwrap(),
                dns_root: "/nonexistent".into(),
                dns_root_is_temporary: false,
            };
            explain(&connect(&entry, &context).unwrap_err())
        };
        for url in ["localhost", "ftp://localhost"] {
            let explained = problem(url, "secret");
            assert_eq!(
                explained.what,
                "`apiUrl` in `creds.json` entry `main` is no URL"
            );
            assert_eq!(explained.hints, ["write it as `http://HOST:8081`"]);
        }
        assert_eq!(
            problem("http://localhost", "a\nb").what,
            "`apiKey` in `creds.json` entry `main` has a character that no HTTP header can have"
        );
    }

    #[test]
    fn the_servers_words_are_short() {
        assert_eq!(words(r#"{"error": "no  such\nzone"}"#), "no such zone");
        assert_eq!(words("<html>"), "<html>");
        assert_eq!(words(&"x".repeat(1000)).len(), WORDS + 3);
    }
}
