//! NS1: the API of NS1 Connect.

use anyhow::{Result, anyhow};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::bare::dotted;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::pages::{linked_next, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::failure;
use crate::provider::rrset::{Change, Rounds, by_name};

pub(super) const SPEC: Spec = Spec {
    kind: "NS1",
    name: "NS1 Connect",
    api: "https://www.ibm.com/docs/en/SSSYGZ/getting_started/using_the_ns1_connect_api.html",
    fields: &[Field {
        key: "api_token",
        required: true,
        help: "API key",
    }],
    // https://www.ibm.com/docs/en/SSSYGZ/account_management/account_permissions.html
    scope: "its permissions under DNS must be to view and to manage zones; they can be limited to the zone and to its TXT records",
    // Each answer says what is left; a request over the limit is answered with 429:
    // https://www.ibm.com/docs/en/SSSYGZ/getting_started/api_rate_limiting.html
    rates: &[],
    notes: &[
        "one call for each new name, two for each name that has a TXT record: the API has no batches",
        "answers, filters, regions and metadata of a record stay; a record goes with its last answer",
        "the API replaces all answers of a record: each change is read back, and done again if another writer undid it",
        "linked records cannot get values; redirects, and the DNSKEY and RRSIG records that NS1 makes, are not compared",
    ],
    connect,
};

#[derive(Debug)]
struct Ns1 {
    api: Api,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.nsone.net/v1");
    let api = Api::new(&SPEC, entry, context, base)?;
    let key = entry.required("api_token")?;
    Ok(Box::new(Ns1 {
        api: api.credential("api_token", "x-nsone-key", key)?,
    }))
}

/// A zone, or a page of its records.
#[derive(Deserialize)]
struct ZoneAnswer {
    #[serde(default)]
    dns_servers: Vec<String>,
    #[serde(default)]
    records: Vec<RecordAnswer>,
}

/// All records of one type at one name.
#[derive(Deserialize)]
struct RecordAnswer {
    domain: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    /// RDATA of each answer; none for linked records.
    #[serde(default)]
    short_answers: Vec<String>,
    /// Record that the answers are taken from.
    link: Option<String>,
}

/// What a change needs of a record; the rest stays as it is.
#[derive(Deserialize)]
struct Answers {
    #[serde(default)]
    answers: Vec<Value>,
}

impl DnsProvider for Ns1 {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let mut records = Vec::new();
            for set in self.list(zone).await? {
                let name = full_owner(&set.domain)?;
                records.extend(set.short_answers.iter().map(|answer| {
                    let data = rdata(&set.rtype, answer, zone.name);
                    Record::new(name.clone(), &set.rtype, set.ttl, data)
                }));
            }
            Ok(records)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let mut rounds = Rounds::default();
            loop {
                let todo = todo(&self.list(zone).await?, batch)?;
                if todo.is_empty() {
                    return Ok(());
                }
                rounds.look_again(self.write(zone, &todo).await).await?;
            }
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let url = self.api.url(&["zones", zone.name.as_str()])?;
            let url = with_parameter(&url, "records", "false");
            let names = self.api.get::<ZoneAnswer>(url).await?.dns_servers;
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["DNSKEY", "RRSIG", "REDIRECT"],
            ..Quirks::default()
        }
    }
}

/// A TXT record that has to change.
struct Todo<'a> {
    change: Change<'a>,
    exists: bool,
}

impl Ns1 {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RecordAnswer>> {
        let url = self.api.url(&["zones", zone.name.as_str()])?;
        // Of large zones the records come in pages.
        let next = |_: &ZoneAnswer, reply: &_, url: &Url| linked_next(reply, url);
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.records).collect())
    }

    async fn write(&self, zone: ZoneRef<'_>, todo: &[Todo<'_>]) -> Result<()> {
        for Todo { change, exists } in todo {
            let written = if *exists {
                self.update(zone, change).await
            } else {
                self.create(zone, change).await
            };
            match written {
                // Another writer was faster; the next look says so.
                Err(error) if is_overtaken(&error) => {}
                written => written?,
            }
        }
        Ok(())
    }

    async fn create(&self, zone: ZoneRef<'_>, change: &Change<'_>) -> Result<()> {
        let record = json!({
            "zone": zone.name.as_str(),
            "domain": change.name.as_str(),
            "type": "TXT",
            "ttl": TXT_TTL,
            "answers": change.apply(&[], text, answer),
        });
        let url = self.url(zone, change.name)?;
        let request = self.api.request(Method::PUT, url).json(&record);
        self.api.send(request, Repeat::Never).await.map(|_| ())
    }

    /// Takes the answers that stay as they are, with their metadata.
    async fn update(&self, zone: ZoneRef<'_>, change: &Change<'_>) -> Result<()> {
        let url = self.url(zone, change.name)?;
        let before: Answers = self.api.get(url.clone()).await?;
        let after = change.apply(&before.answers, text, answer);
        let request = if after.is_empty() {
            self.api.request(Method::DELETE, url)
        } else {
            // Fields that are left out stay.
            let fields = json!({
                "zone": zone.name.as_str(),
                "domain": change.name.as_str(),
                "type": "TXT",
                "answers": after,
            });
            self.api.request(Method::POST, url).json(&fields)
        };
        self.api.send(request, Repeat::Never).await.map(|_| ())
    }

    fn url(&self, zone: ZoneRef<'_>, name: &DnsName) -> Result<Url> {
        let path = ["zones", zone.name.as_str(), name.as_str(), "TXT"];
        self.api.url(&path)
    }
}

/// The TXT records that have to change so that the batch is done.
fn todo<'a>(listed: &[RecordAnswer], batch: &'a TxtBatch) -> Result<Vec<Todo<'a>>> {
    let mut todo = Vec::new();
    for change in by_name(batch) {
        let name = change.name.as_str();
        let record = listed
            .iter()
            .find(|record| record.rtype == "TXT" && record.domain.eq_ignore_ascii_case(name));
        let before = record.map_or(&[][..], |record| &record.short_answers);
        let after = change.apply(before, |answer| unquoted(answer), str::to_owned);
        if after == before {
            continue;
        }
        if let Some(link) = record.and_then(|record| record.link.as_ref()) {
            return Err(with_hint(
                anyhow!(
                    "the TXT record at `{name}` is linked to `{link}`, so it has no answers of its own"
                ),
                "remove the link",
            ));
        }
        todo.push(Todo {
            change,
            exists: record.is_some(),
        });
    }
    Ok(todo)
}

/// An answer of a TXT record.
fn answer(text: &str) -> Value {
    json!({ "answer": [text] })
}

/// The text of such an answer, which may be several strings.
fn text(answer: &Value) -> String {
    let strings = answer.get("answer").and_then(Value::as_array);
    let strings = strings.into_iter().flatten().filter_map(Value::as_str);
    strings.map(unquoted).collect()
}

/// TXT without the quotes that some answers have, as DNSControl takes them off.
fn unquoted(answer: &str) -> String {
    let inner = answer
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| answer.to_owned(), |inner| inner.replace("\" \"", ""))
}

/// Canonical RDATA of a short answer: strings are not quoted, and host names may lack the final dot.
fn rdata(rtype: &str, answer: &str, zone: &DnsName) -> String {
    match rtype {
        "TXT" | "SPF" => unquoted(answer),
        "ALIAS" | "CNAME" | "DNAME" | "MX" | "NS" | "PTR" | "SRV" => {
            canonical(rtype, &dotted(answer), zone)
        }
        // A field that is empty is not quoted.
        "NAPTR" => canonical(rtype, &answer.replace("  ", " \"\" "), zone),
        "CAA" => {
            let mut fields = answer.splitn(3, ' ');
            let mut field = || fields.next().unwrap_or_default();
            let (flags, tag, value) = (field(), field(), field());
            let value = quote(&unquoted(value));
            canonical(rtype, &format!("{flags} {tag} {value}"), zone)
        }
        _ => canonical(rtype, answer, zone),
    }
}

/// The record was made, or taken away, in between.
fn is_overtaken(error: &anyhow::Error) -> bool {
    failure(error).is_some_and(|failure| {
        failure.status == Some(StatusCode::NOT_FOUND) && failure.body.contains("record not found")
            || failure.body.contains("record already exists")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_as_zone_files_have_them() {
        let zone: DnsName = "example.test".parse().unwrap();
        for (rtype, answer, expected) in [
            ("TXT", "v=spf1 -all", "v=spf1 -all"),
            ("TXT", "\"a b\" \"c\"", "a bc"),
            ("CNAME", "Docs.example.net", "docs.example.net."),
            ("MX", "10 mail.example.net.", "10 mail.example.net."),
            ("MX", "0 .", "0 ."),
            ("SRV", "1 2 443 x.test", "1 2 443 x.test."),
            ("CAA", "0 issue ca.test; a=b", "0 issue \"ca.test; a=b\""),
            ("NAPTR", "1 2 u sip  .", "1 2 \"u\" \"sip\" \"\" ."),
            ("A", "192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(rdata(rtype, answer, &zone), expected, "{rtype} {answer}");
        }
    }

    #[test]
    fn a_linked_record_is_named() {
        let record: RecordAnswer = serde_json::from_value(json!({
            "domain": "a.test", "type": "TXT", "ttl": 60, "link": "b.test",
        }))
        .unwrap();
        let batch = TxtBatch::adding(vec![crate::model::change::Txt {
            name: "a.test".parse().unwrap(),
            value: "x".to_owned(),
        }]);
        let Err(error) = todo(&[record], &batch) else {
            panic!("no error");
        };
        assert_eq!(
            error.to_string(),
            "the TXT record at `a.test` is linked to `b.test`, so it has no answers of its own"
        );
    }
}
