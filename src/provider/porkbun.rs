//! PORKBUN: Porkbun's API v3.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::rdata;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::{full_owner, label};
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::patience::Patience;
use crate::provider::porkbun_forwards::{Forwards, prepare};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Why, failure};
use crate::provider::rrset::{NewTxt, Todo, TxtRecord, settle};
use crate::provider::words::words;

pub(super) const SPEC: Spec = Spec {
    kind: "PORKBUN",
    name: "Porkbun",
    api: "https://porkbun.com/api/json/v3/documentation",
    fields: &[
        Field {
            key: "api_key",
            required: true,
            help: "API key",
        },
        Field {
            key: "secret_key",
            required: true,
            help: "secret that goes with the API key",
        },
        Field {
            key: "max_attempts",
            required: false,
            help: "how often a request is sent while there are too many: default 5, below 1 for as often as `max_duration` allows",
        },
        Field {
            key: "max_duration",
            required: false,
            help: "how long that may take, such as `5m`: default `10m` where `max_attempts` is below 1",
        },
    ],
    scope: "they must be a key of the domain's account, and API access must be on for the domain",
    // Undocumented; support says one a second, and another client keeps 1.2 seconds:
    // https://github.com/jungaretti/bacon/issues/45
    rates: &[Rate {
        requests: 1,
        per: Duration::from_millis(1200),
        of: Of::All,
    }],
    notes: &[
        "one call for each value, and one call a second: a hundred values take two minutes",
        "API access has to be turned on for each domain: https://kb.porkbun.com/article/190-getting-started-with-the-porkbun-api",
        "new sets get a TTL of 600, the smallest that Porkbun gives to usual accounts",
        "URL forwards are compared as `URL` and `URL301`; the records that Porkbun makes for them are not",
        "the apex NS set is Porkbun's own and is not compared",
    ],
    connect,
};

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 4] = [
    "curitiba.ns.porkbun.com",
    "fortaleza.ns.porkbun.com",
    "maceio.ns.porkbun.com",
    "salvador.ns.porkbun.com",
];

/// Smallest TTL of an account, "typically" (description of `ttl` in the API's specification).
const MINIMUM_TTL: u32 = 600;

/// How often DNSControl sends a request.
const ATTEMPTS: i64 = 5;

/// How long it is sent where `max_attempts` says no limit.
const LONGEST: Duration = Duration::from_mins(10);

/// Pauses between them, first and longest; less than a second is refused again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1200), Duration::from_secs(10));

#[derive(Debug)]
struct Porkbun {
    api: Api,
    entry: ProviderEntry,
    attempts: Option<u32>,
    duration: Option<Duration>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.porkbun.com/api/json/v3");
    let api = Api::new(&SPEC, entry, context, base)?;
    let bad = |key: &str, what: &str, hint: &str| {
        let about = format!("`{key}` in `creds.json` entry `{}` is {what}", entry.name);
        with_hint(anyhow!(about), hint)
    };
    let attempts = entry.field("max_attempts").map_or(Ok(ATTEMPTS), str::parse);
    let attempts =
        attempts.map_err(|_| bad("max_attempts", "no whole number", "write it as `10`"))?;
    let attempts = (attempts > 0).then(|| u32::try_from(attempts).unwrap_or(u32::MAX));
    let duration = entry.field("max_duration").map(humantime::parse_duration);
    let duration = duration
        .transpose()
        .map_err(|_| bad("max_duration", "no duration", "write it as `5m` or `90s`"))?;
    Ok(Box::new(Porkbun {
        api: api
            .credential_in_request("api_key")
            .credential_in_request("secret_key")
            .shows("max_attempts")
            .shows("max_duration"),
        entry: entry.clone(),
        duration: duration.or_else(|| attempts.is_none().then_some(LONGEST)),
        attempts,
    }))
}

#[derive(Deserialize)]
struct Retrieved {
    records: Vec<RecordAnswer>,
}

#[derive(Deserialize)]
struct RecordAnswer {
    id: Text,
    /// Fully qualified, without a final dot.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    content: String,
    ttl: Text,
    prio: Option<Text>,
}

/// A number that the API writes as text; the specification has it so, older answers mix both.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(u64),
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// What the body of an error says besides its message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
    /// Seconds.
    #[serde(rename = "ttlRemaining")]
    ttl_remaining: Option<u64>,
}

impl DnsProvider for Porkbun {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let answers = self.list(zone).await?;
            let path = ["domain", "getUrlForwarding", zone.name.as_str()];
            let Forwards { forwards } = self.read(&path).await?;
            let records = answers.iter().map(RecordAnswer::record);
            let urls = forwards.iter().map(|forward| forward.record(zone.name));
            let all: Result<Vec<Record>> = records.chain(urls).collect();
            let is_made = |record: &Record| forwards.iter().any(|one| one.made(record, zone.name));
            Ok(all?.into_iter().filter(|record| !is_made(record)).collect())
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL.max(MINIMUM_TTL), list, write).await
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            minimum_ttl: MINIMUM_TTL,
            ignores_apex_ns: true,
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl Porkbun {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let path = ["dns", "retrieve", zone.name.as_str()];
        let Retrieved { records } = self.read(&path).await?;
        Ok(records)
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<String>>> {
        let answers = self.list(zone).await?;
        let texts = answers.into_iter().filter(|answer| answer.rtype == "TXT");
        let record = |answer: RecordAnswer| {
            Ok(TxtRecord {
                id: answer.id.to_string(),
                name: full_owner(&answer.name)?,
                ttl: answer.ttl()?,
                value: answer.content,
            })
        };
        texts.map(record).collect()
    }

    /// Says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<String>) -> Result<bool> {
        for new in &todo.create {
            if let Err(error) = self.create(zone, new).await {
                return match refusal(&error).code.as_str() {
                    "DUPLICATE_RECORD" => Ok(false),
                    _ => Err(error),
                };
            }
        }
        for id in &todo.delete {
            let path = ["dns", "delete", zone.name.as_str(), id];
            if let Err(error) = self.post(&path, json!({}), Repeat::Safe).await
                && refusal(&error).code != "INVALID_RECORD_ID"
            {
                return Err(error);
            }
        }
        Ok(true)
    }

    async fn create(&self, zone: ZoneRef<'_>, new: &NewTxt) -> Result<()> {
        let body = json!({
            "type": "TXT",
            "name": label(&new.txt.name, zone.name),
            "content": new.txt.value,
            "ttl": new.ttl,
        });
        let path = ["dns", "create", zone.name.as_str()];
        self.post(&path, body, Repeat::WhenRefused)
            .await
            .map(|_| ())
    }

    async fn read<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T> {
        let body = self.post(path, json!({}), Repeat::Safe).await?;
        serde_json::from_value(body)
            .with_context(|| format!("cannot read the answer to `POST /{}`", path.join("/")))
    }

    /// Sends a body with the keys, and again while there are too many requests.
    async fn post(&self, path: &[&str], mut body: Value, repeat: Repeat) -> Result<Value> {
        if let Some(body) = body.as_object_mut() {
            for (key, field) in [("apikey", "api_key"), ("secretapikey", "secret_key")] {
                body.insert(key.to_owned(), self.entry.required(field)?.into());
            }
        }
        let (pause, longest) = PAUSES;
        let mut patience = Patience {
            pause,
            longest,
            attempts: self.attempts,
            until: self.duration.map(|duration| Instant::now() + duration),
        };
        loop {
            match self.post_once(path, &body).await {
                Err(error) if may_pass(&error, repeat) => {
                    let asked = refusal(&error).ttl_remaining.map(Duration::from_secs);
                    patience.wait(error, asked).await?;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a body once: what is sent again within a second is refused again.
    async fn post_once(&self, path: &[&str], body: &Value) -> Result<Value> {
        let request = self.api.request(Method::POST, self.api.url(path)?);
        let sent = self.api.send(request.json(body), Repeat::Never).await;
        let reply = sent.map_err(|error| {
            let why = why(&refusal(&error));
            self.api.hinted(error, why)
        })?;
        let answer: Value = self.api.json(&reply)?;
        if answer
            .get("status")
            .is_some_and(|status| status == "SUCCESS")
        {
            return Ok(answer);
        }
        let refusal = serde_json::from_value(answer).unwrap_or_default();
        Err(self.api.refused(&reply, why(&refusal), &words(&reply.body)))
    }
}

/// What the API says of an error; nothing where it is not JSON.
fn refusal(error: &anyhow::Error) -> Refusal {
    let body = failure(error).map_or("", |failure| &failure.body);
    serde_json::from_str(body).unwrap_or_default()
}

/// Most errors are 400; the codes stand in the description of the API's specification.
fn why(refusal: &Refusal) -> Why {
    match refusal.code.as_str() {
        "API_KEY_REQUIRED" | "INVALID_API_KEYS_001" | "INVALID_USER" => Why::Credentials,
        "INVALID_DOMAIN" => Why::NotFound,
        _ if refusal.message.contains("not opted in") => Why::Credentials,
        _ => Why::Other,
    }
}

/// Whether the same request may be answered another time, and may be sent then.
fn may_pass(error: &anyhow::Error, repeat: Repeat) -> bool {
    let Some(failure) = failure(error) else {
        return false;
    };
    match failure.status {
        Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => true,
        Some(status) => repeat == Repeat::Safe && status.is_server_error(),
        None => repeat == Repeat::Safe,
    }
}

impl RecordAnswer {
    fn ttl(&self) -> Result<u32> {
        let ttl = self.ttl.to_string().parse();
        ttl.with_context(|| format!("the record at `{}` has no TTL", self.name))
    }

    fn record(&self) -> Result<Record> {
        let priority = self
            .prio
            .as_ref()
            .map_or_else(|| "0".to_owned(), Text::to_string);
        let data = rdata(&self.rtype, priority, &self.content);
        let owner = full_owner(&self.name)?;
        Ok(Record::new(owner, &self.rtype, self.ttl()?, data))
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::environment::Environment;
    use crate::model::hint::explain;
    use crate::provider::conformance::provider_in;
    use crate::provider::servers::entry;

    fn answer(name: &str, rtype: &str, content: &str, prio: &Value) -> RecordAnswer {
        let json = json!({
            "id": "1", "name": name, "type": rtype, "content": content, "ttl": "600", "prio": prio,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn records_read_as_zone_files_have_them() {
        for (rtype, content, prio, expected) in [
            (
                "TXT",
                "a \"b\" \\",
                Value::Null,
                "TXT a.example.test \"a \"b\" \\\" ttl=600",
            ),
            (
                "CNAME",
                "Other.test",
                json!("0"),
                "CNAME a.example.test other.test. ttl=600",
            ),
            (
                "ALIAS",
                "other.test.",
                json!(0),
                "ALIAS a.example.test other.test. ttl=600",
            ),
            (
                "MX",
                "mx.test",
                json!("10"),
                "MX a.example.test 10 mx.test. ttl=600",
            ),
            (
                "SRV",
                "5 5060 sip.test",
                json!("1"),
                "SRV a.example.test 1 5 5060 sip.test. ttl=600",
            ),
            (
                "CAA",
                "0 issue \"letsencrypt.org\"",
                Value::Null,
                "CAA a.example.test 0 issue \"letsencrypt.org\" ttl=600",
            ),
            (
                "TLSA",
                "3 1 1 ABCD",
                Value::Null,
                "TLSA a.example.test 3 1 1 abcd ttl=600",
            ),
            (
                "HTTPS",
                "1 . alpn=h2",
                Value::Null,
                "HTTPS a.example.test 1 . alpn=\"h2\" ttl=600",
            ),
        ] {
            let answer = answer("a.example.test", rtype, content, &prio);
            assert_eq!(answer.record().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn limits_of_an_entry_are_read() {
        let problem = |key: &str, value: &str| {
            let fields = [("api_key", "pk1_x"), ("secret_key", "sk1_x"), (key, value)];
            let entry = entry("PORKBUN", &fields);
            let connected = provider_in(&entry, &Environment::default());
            connected.err().map(|error| {
                let explained = explain(&error);
                (explained.what, explained.hints.concat())
            })
        };
        for (key, value) in [
            ("max_attempts", "10"),
            ("max_attempts", "-1"),
            ("max_duration", "1h30m"),
        ] {
            assert_eq!(problem(key, value), None);
        }
        assert_eq!(
            problem("max_attempts", "many"),
            Some((
                "`max_attempts` in `creds.json` entry `main` is no whole number".to_owned(),
                "write it as `10`".to_owned()
            ))
        );
        assert_eq!(
            problem("max_duration", "5"),
            Some((
                "`max_duration` in `creds.json` entry `main` is no duration".to_owned(),
                "write it as `5m` or `90s`".to_owned()
            ))
        );
    }
}
