//! Calls of INWX's JSON-RPC interface: sessions, the second factor, result codes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;
use crate::model::secret::Secret;
use crate::net::http::Repeat;
use crate::provider::http::Api;
use crate::provider::reply::{Reply, Why, failure};
use crate::provider::totp;
use crate::provider::words::words;

/// Result codes, which are EPP's (RFC 5730 section 3).
const SUCCESS: Range<i64> = 1000..2000;
const AUTHENTICATION_ERROR: i64 = 2200;
pub(super) const AUTHORIZATION_ERROR: i64 = 2201;
pub(super) const OBJECT_EXISTS: i64 = 2302;
pub(super) const OBJECT_DOES_NOT_EXIST: i64 = 2303;

/// A client with one session.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) api: Api,
    entry: ProviderEntry,
    /// The cookie of the session, once there is one.
    session: Mutex<Option<Arc<Secret>>>,
}

/// Every answer; the status is 200 for errors too.
#[derive(Deserialize)]
struct Envelope {
    code: i64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    reason: String,
    #[serde(rename = "resData", default)]
    data: Value,
}

#[derive(Deserialize)]
struct Login {
    /// `0`, or what is needed besides.
    #[serde(default)]
    tfa: Value,
}

impl Client {
    /// A client that has not logged in yet.
    pub(super) fn new(api: Api, entry: &ProviderEntry) -> Result<Self> {
        let both = entry.optional("totp")?.is_some() && entry.optional("totp-key")?.is_some();
        ensure!(
            !both,
            "`creds.json` entry `{}` has both `totp` and `totp-key`",
            entry.name
        );
        Ok(Self {
            api,
            entry: entry.clone(),
            session: Mutex::default(),
        })
    }

    /// Calls a method in a session; in a new one, where the one before has expired.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Value,
        repeat: Repeat,
    ) -> Result<T> {
        let session = self.session(None).await?;
        let body = json!({ "method": method, "params": parameters });
        let (reply, answer) = match self.ask(&body, Some(&session), repeat).await {
            Err(error) if code(&error) == AUTHENTICATION_ERROR => {
                let session = self.session(Some(&session)).await?;
                self.ask(&body, Some(&session), repeat).await?
            }
            answer => answer?,
        };
        let data = match answer.data {
            // PHP's way to write an empty object.
            Value::Null | Value::Array(_) => json!({}),
            data => data,
        };
        serde_json::from_value(data)
            .with_context(|| format!("cannot read the answer to `{method}` ({})", reply.status))
    }

    /// The session, another one than `expired`.
    async fn session(&self, expired: Option<&Arc<Secret>>) -> Result<Arc<Secret>> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(current) if !expired.is_some_and(|expired| Arc::ptr_eq(current, expired)) => {
                Ok(Arc::clone(current))
            }
            _ => {
                let new = Arc::new(self.log_in().await?);
                *session = Some(Arc::clone(&new));
                Ok(new)
            }
        }
    }

    async fn log_in(&self) -> Result<Secret> {
        let body = json!({
            "method": "account.login",
            "params": {
                "user": self.entry.required("username")?,
                "pass": self.entry.required("password")?,
                "lang": "en",
            },
        });
        let (reply, answer) = self.ask(&body, None, Repeat::WhenRefused).await?;
        let session = Secret::from(cookies(&reply)?);
        self.api
            .hide("session", session.expose_str().unwrap_or_default());
        let login: Login = serde_json::from_value(answer.data).context("cannot read the login")?;
        match login.tfa {
            Value::Null => {}
            Value::Number(number) if number.as_i64() == Some(0) => {}
            Value::String(none) if none == "0" => {}
            Value::String(kind) if kind == "GOOGLE-AUTH" => self.unlock(&session).await?,
            other => {
                return Err(anyhow!(
                    "the account wants a second factor of kind `{other}`"
                ));
            }
        }
        Ok(session)
    }

    /// Gives the one-time password; the next one too, as one that was used before is refused.
    async fn unlock(&self, session: &Secret) -> Result<()> {
        let (given, secret) = (
            self.entry.optional("totp")?,
            self.entry.optional("totp-key")?,
        );
        let name = &self.entry.name;
        let Some(secret) = secret else {
            let given = given.ok_or_else(|| {
                with_hint(
                    anyhow!("the account has a second factor"),
                    format!(
                        "add `totp-key` to `creds.json` entry `{name}`, or use a sub-account without one"
                    ),
                )
            })?;
            return self.unlock_with(given, session).await;
        };
        let password = || {
            totp::password(secret, OffsetDateTime::now_utc()).ok_or_else(|| {
                with_hint(
                    anyhow!("`totp-key` in `creds.json` entry `{name}` is no shared secret"),
                    "it is the Base32 text that INWX showed when the second factor was set up",
                )
            })
        };
        match self.unlock_with(&password()?, session).await {
            Err(error) if code(&error) == AUTHENTICATION_ERROR => {
                let pause = totp::until_next(OffsetDateTime::now_utc());
                tokio::time::sleep(pause + Duration::from_millis(100)).await;
                self.unlock_with(&password()?, session).await
            }
            unlocked => unlocked,
        }
    }

    async fn unlock_with(&self, password: &str, session: &Secret) -> Result<()> {
        let body = json!({ "method": "account.unlock", "params": { "tan": password } });
        let unlocked = self.ask(&body, Some(session), Repeat::Never).await;
        unlocked.map(|_| ()).map_err(|error| {
            let field = if self.entry.field("totp").is_some() {
                "totp"
            } else {
                "totp-key"
            };
            with_hint(
                error,
                format!(
                    "check `{field}` in `creds.json` entry `{}`",
                    self.entry.name
                ),
            )
        })
    }

    /// Sends one call; an error is of HTTP, or a code that is no success.
    async fn ask(
        &self,
        body: &Value,
        session: Option<&Secret>,
        repeat: Repeat,
    ) -> Result<(Reply, Envelope)> {
        let mut request = self.api.request(Method::POST, self.api.url(&[""])?);
        if let Some(cookie) = session.and_then(Secret::expose_str) {
            request = request.header(COOKIE, cookie);
        }
        let reply = self.api.send(request.json(body), repeat).await?;
        let answer: Envelope = self.api.json(&reply)?;
        if SUCCESS.contains(&answer.code) {
            return Ok((reply, answer));
        }
        let why = match answer.code {
            AUTHENTICATION_ERROR | AUTHORIZATION_ERROR => Why::Credentials,
            OBJECT_DOES_NOT_EXIST => Why::NotFound,
            _ => Why::Other,
        };
        let Envelope {
            code, msg, reason, ..
        } = &answer;
        let method = body
            .get("method")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let said = [msg, reason].map(|text| text.trim()).join(" ");
        let said = format!("{method}: {} ({code})", words(said.trim()));
        Err(self.api.refused(&reply, why, &said))
    }
}

/// The result code behind an error; 0 for none.
pub(super) fn code(error: &anyhow::Error) -> i64 {
    let body = failure(error).map_or("", |failure| &failure.body);
    let answer: Option<Envelope> = serde_json::from_str(body).ok();
    answer.map_or(0, |answer| answer.code)
}

/// The cookies that an answer sets, as a request sends them.
fn cookies(reply: &Reply) -> Result<String> {
    let set = reply.headers.get_all(SET_COOKIE).into_iter();
    let pairs: Vec<&str> = set
        .filter_map(|value| value.to_str().ok()?.split(';').next())
        .map(str::trim)
        .collect();
    ensure!(!pairs.is_empty(), "the login started no session");
    Ok(pairs.join("; "))
}
