//! TRANSIP: the API v6 of `TransIP`.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OnceCell;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::Hint as _;
use crate::model::name::{DnsName, NameError};
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::owner;
use crate::provider::pace::{Of, Rate};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::{Reply, status};
use crate::provider::rrset::{Todo, TxtRecord, settle};

pub(super) const SPEC: Spec = Spec {
    kind: "TRANSIP",
    name: "TransIP",
    api: "https://api.transip.nl/rest/docs.html#domains-dns",
    fields: &[
        Field {
            key: "AccountName",
            required: false,
            help: "name of the account; with `PrivateKey`",
        },
        Field {
            key: "PrivateKey",
            required: false,
            help: "private key of a key pair made in the control panel, PEM; is used rather than `AccessToken`",
        },
        Field {
            key: "AccessToken",
            required: false,
            help: "access token made in the control panel, which expires; or `AccountName` and `PrivateKey`",
        },
    ],
    scope: "the account must have the API switched on, and the key pair or token must be valid, not read-only, and accept the address of this machine; TransIP cannot limit them to a zone",
    // https://api.transip.nl/rest/docs.html#header-rate-limit
    rates: &[Rate {
        requests: 1000,
        per: Duration::from_mins(15),
        of: Of::All,
    }],
    notes: &[
        "one call for each value, one after the other: the API has no batches but to replace a whole zone, and refuses changes of a zone that is being changed",
        "an account has 1000 calls in 15 minutes",
        "with a key pair, each run takes a token for two hours, which the control panel lists as `git-certs-...`",
        "the apex NS set is the domain's own and is not compared",
    ],
    connect,
};

/// How long a token is good for: longer than a run.
const EXPIRY: &str = "2 hours";

#[derive(Debug)]
struct TransIp {
    api: Api,
    /// None where the entry has a token.
    login: Option<Login>,
    token: OnceCell<String>,
}

/// What a token is asked for with.
struct Login {
    account: String,
    key: RsaKeyPair,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.transip.nl/v6");
    let api = Api::new(&SPEC, entry, context, base)?;
    let (api, login) = if let Some(pem) = entry.optional("PrivateKey")? {
        let login = Login {
            account: entry.required("AccountName")?.to_owned(),
            key: private_key(pem).hint(|| {
                format!(
                    "`PrivateKey` in `creds.json` entry `{}` must be an RSA key of 2048 bits or more in PEM form, with its line ends (`\\n` in JSON)",
                    entry.name
                )
            })?,
        };
        let api = api.credential_in_request("AccountName");
        (api.credential_in_request("PrivateKey"), Some(login))
    } else {
        let token = format!("Bearer {}", entry.required("AccessToken")?);
        let api = api.credential("AccessToken", "authorization", &token)?;
        (api, None)
    };
    Ok(Box::new(TransIp {
        api,
        login,
        token: OnceCell::new(),
    }))
}

/// Reads PKCS#8, which `TransIP` makes, or PKCS#1. The error does not repeat the text.
fn private_key(pem: &str) -> Result<RsaKeyPair> {
    let unusable = || anyhow!("cannot use the TransIP private key");
    // Variables of CI systems often hold the line ends as two characters.
    let pem = pem.replace("\\n", "\n");
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unusable())? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(unusable()),
    };
    key.map_err(|_| unusable())
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
}

#[derive(Deserialize)]
struct EntriesAnswer {
    #[serde(rename = "dnsEntries")]
    entries: Vec<Entry>,
}

/// A record; a change names all of it, for it has no id.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    /// Relative to the zone, or `@`.
    name: String,
    /// Seconds.
    expire: u32,
    #[serde(rename = "type")]
    rtype: String,
    /// As in a zone file; TXT without quotes.
    content: String,
}

#[derive(Deserialize)]
struct NameserversAnswer {
    nameservers: Vec<Nameserver>,
}

#[derive(Deserialize)]
struct Nameserver {
    hostname: String,
}

impl DnsProvider for TransIp {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let entries = self.list(zone).await?;
            entries
                .iter()
                .map(|entry| entry.record(zone.name))
                .collect()
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let list = || self.txt_records(zone);
            let write = async |todo| self.write(zone, &todo).await;
            settle(batch, TXT_TTL, list, write).await
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let domain = zone.name.as_str();
            let url = self.api.url(&["domains", domain, "nameservers"])?;
            let reply = self.call(Method::GET, url, None).await?;
            let answer: NameserversAnswer = self.api.json(&reply)?;
            let names = answer.nameservers.iter();
            let parsed = names.map(|server| server.hostname.parse());
            Ok(parsed.collect::<Result<_, NameError>>()?)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ignores_apex_ns: true,
            ..Quirks::default()
        }
    }
}

impl TransIp {
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<Entry>> {
        let reply = self.call(Method::GET, self.url(zone)?, None).await?;
        let answer: EntriesAnswer = self.api.json(&reply)?;
        Ok(answer.entries)
    }

    async fn txt_records(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtRecord<Entry>>> {
        let entries = self.list(zone).await?.into_iter();
        let texts = entries.filter(|entry| entry.rtype == "TXT");
        let record = |entry: Entry| {
            Ok(TxtRecord {
                name: owner(&entry.name, zone.name)?,
                ttl: entry.expire,
                value: entry.content.clone(),
                id: entry,
            })
        };
        texts.map(record).collect()
    }

    /// Says whether every deletion found what it was for.
    async fn write(&self, zone: ZoneRef<'_>, todo: &Todo<Entry>) -> Result<bool> {
        for new in &todo.create {
            let entry = Entry {
                name: new.txt.name.label_in(zone.name).unwrap_or("@").to_owned(),
                expire: new.ttl,
                rtype: "TXT".to_owned(),
                content: new.txt.value.clone(),
            };
            self.call(Method::POST, self.url(zone)?, Some(&entry))
                .await?;
        }
        let mut found_all = true;
        for entry in &todo.delete {
            let deleted = self
                .call(Method::DELETE, self.url(zone)?, Some(entry))
                .await;
            match deleted {
                Err(error) if is_absent(&error) => found_all = false,
                deleted => drop(deleted?),
            }
        }
        Ok(found_all)
    }

    async fn call(&self, method: Method, url: Url, entry: Option<&Entry>) -> Result<Reply> {
        let repeat = if method == Method::POST {
            Repeat::WhenRefused
        } else {
            Repeat::Safe
        };
        let mut request = self.api.request(method, url);
        if let Some(login) = &self.login {
            let take = || self.take_token(login);
            request = request.bearer_auth(self.token.get_or_try_init(take).await?);
        }
        if let Some(entry) = entry {
            request = request.json(&json!({ "dnsEntry": entry }));
        }
        self.api.send(request, repeat).await
    }

    /// <https://api.transip.nl/rest/docs.html#header-authentication>
    async fn take_token(&self, login: &Login) -> Result<String> {
        let mut nonce = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| anyhow!("no random numbers"))?;
        let nonce = format!("{:016x}", u64::from_be_bytes(nonce));
        let body = json!({
            "login": login.account,
            "nonce": nonce,
            "label": format!("git-certs-{nonce}"),
            "read_only": false,
            "expiration_time": EXPIRY,
            // Whether addresses matter is a property of the key pair.
            "global_key": true,
        })
        .to_string();
        let mut signature = vec![0; login.key.public_modulus_len()];
        login
            .key
            .sign(
                &RSA_PKCS1_SHA512,
                &SystemRandom::new(),
                body.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("cannot sign the request for a token"))?;
        let request = self
            .api
            .request(Method::POST, self.api.url(&["auth"])?)
            .header("signature", STANDARD.encode(signature))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let reply = self.api.send(request, Repeat::WhenRefused).await?;
        let answer: TokenAnswer = self.api.json(&reply)?;
        self.api.hide("token", &answer.token);
        Ok(answer.token)
    }

    fn url(&self, zone: ZoneRef<'_>) -> Result<Url> {
        self.api.url(&["domains", zone.name.as_str(), "dns"])
    }
}

/// Whether the API found no such entry, or not one alone.
fn is_absent(error: &anyhow::Error) -> bool {
    let absent = [StatusCode::NOT_FOUND, StatusCode::NOT_ACCEPTABLE];
    status(error).is_some_and(|status| absent.contains(&status))
}

impl Entry {
    fn record(&self, zone: &DnsName) -> Result<Record> {
        let data = match self.rtype.as_str() {
            "TXT" => self.content.clone(),
            rtype => canonical(rtype, &self.content, zone),
        };
        let owner = owner(&self.name, zone)?;
        Ok(Record::new(owner, &self.rtype, self.expire, data))
    }
}

#[cfg(test)]
mod tests {
    use crate::model::environment::Environment;
    use crate::model::hint::explain;
    use crate::provider::conformance::provider_in;
    use crate::provider::servers::entry;

    #[test]
    fn a_bad_key_is_named_and_not_shown() {
        let fields = [("AccountName", "me"), ("PrivateKey", "hunter2-hunter2")];
        let error = provider_in(&entry("TRANSIP", &fields), &Environment::default()).unwrap_err();
        let explained = explain(&error);
        assert_eq!(explained.what, "cannot use the TransIP private key");
        assert_eq!(
            explained.hints,
            [
                "`PrivateKey` in `creds.json` entry `main` must be an RSA key of 2048 bits or more in PEM form, with its line ends (`\\n` in JSON)"
            ]
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
