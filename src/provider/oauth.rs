//! OAuth 2.0: a client whose credentials are access tokens that expire.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use url::{Host, Url, form_urlencoded};

use crate::model::hint::with_hint;
use crate::net::http::{Http, Repeat, is_loopback};
use crate::provider::http::Api;
use crate::provider::port::Answer;
use crate::provider::registry::Context;
use crate::provider::reply::failure;

/// A token is replaced this long before it expires: a change with its pauses may take minutes.
const MARGIN: Duration = Duration::from_mins(3);

/// Longest lifetime that is believed, seconds.
const LONGEST: i64 = 24 * 3600;

/// Longest wait for a metadata service: where there is none, often nothing answers at all.
pub(super) const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// Where access tokens come from.
pub(super) trait TokenSource: Send + Sync {
    fn fetch<'a>(&'a self, asker: Asker<'a>) -> Answer<'a, Token>;
}

/// A client of an API, and where its access tokens come from.
pub(super) struct Session<S> {
    pub(super) api: Api,
    source: S,
    http: Http,
    direct: Http,
    /// When the client's token expires; none where it has none.
    expires: Mutex<Option<OffsetDateTime>>,
}

impl<S: TokenSource> Session<S> {
    pub(super) fn new(api: Api, source: S, context: &Context) -> Result<Self> {
        Ok(Self {
            api,
            source,
            http: context.http.clone(),
            direct: Http::direct()?,
            expires: Mutex::default(),
        })
    }

    /// Does `work` with a valid token; once more with a new one if the API takes a kept one no
    /// longer. So `work` has to be safe to repeat.
    pub(super) async fn run<T, W>(&self, work: impl Fn() -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let is_new = self.sign_in().await?;
        match work().await {
            Err(error) if !is_new && is_unauthorized(&error) => {
                *self.expires.lock().await = None;
                self.sign_in().await?;
                work().await
            }
            done => done,
        }
    }

    /// Makes sure that the client has a token; says whether it is a new one.
    async fn sign_in(&self) -> Result<bool> {
        let mut expires = self.expires.lock().await;
        let soon = OffsetDateTime::now_utc() + MARGIN;
        if expires.is_some_and(|expires| expires > soon) {
            return Ok(false);
        }
        let asker = Asker {
            api: &self.api,
            http: &self.http,
            direct: &self.direct,
        };
        let token = self.source.fetch(asker).await;
        let token = token.context("cannot get an access token")?;
        asker.hide("access token", &token.secret);
        self.api.set_header("authorization", bearer(&token.secret)?);
        *expires = Some(token.expires);
        Ok(true)
    }
}

impl<S> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?})", self.api)
    }
}

fn is_unauthorized(error: &anyhow::Error) -> bool {
    failure(error).and_then(|failure| failure.status) == Some(StatusCode::UNAUTHORIZED)
}

/// An `Authorization` header (RFC 6750 section 2.1).
pub(super) fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| anyhow!("the token has a character that no HTTP header can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// An access token.
pub(super) struct Token {
    pub(super) secret: String,
    pub(super) expires: OffsetDateTime,
}

impl Token {
    /// A token as RFC 6749 section 5.1 has it. Azure's metadata services give numbers as texts,
    /// and some of them the time `expires_on` only. One without a lifetime is used once.
    pub(super) fn read(answer: &Value, now: OffsetDateTime) -> Result<Self> {
        let number = |key: &str| {
            let value = answer.get(key)?;
            value.as_i64().or_else(|| value.as_str()?.parse().ok())
        };
        let left = number("expires_in")
            .or_else(|| Some(number("expires_on")?.saturating_sub(now.unix_timestamp())));
        Ok(Self {
            secret: text(answer, "access_token")?,
            expires: now + time::Duration::seconds(left.unwrap_or(0).clamp(0, LONGEST)),
        })
    }
}

/// A text in an answer. What is there instead is not shown: it may be secret.
pub(super) fn text(answer: &Value, key: &str) -> Result<String> {
    let text = answer.get(key).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
        .map(str::to_owned)
        .with_context(|| format!("the answer has no `{key}`"))
}

/// Sends the requests that lead to a token, which have none themselves.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    api: &'a Api,
    http: &'a Http,
    /// Knows no proxy.
    direct: &'a Http,
}

impl Asker<'_> {
    /// A request; one without TLS stays on this machine and its metadata service, see [`address`].
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let http = if url.scheme() == "http" {
            self.direct
        } else {
            self.http
        };
        http.client().request(method, url)
    }

    /// A request with the fields of a form.
    pub(super) fn form(&self, url: &Url, fields: &[(&str, &str)]) -> RequestBuilder {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.request(Method::POST, url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.finish())
    }

    /// What is answered.
    pub(super) async fn text(&self, request: RequestBuilder, repeat: Repeat) -> Result<String> {
        match self.api.send(request, repeat).await {
            Ok(reply) => Ok(reply.body),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// The JSON that is answered.
    pub(super) async fn json(&self, request: RequestBuilder, repeat: Repeat) -> Result<Value> {
        let body = self.text(request, repeat).await?;
        serde_json::from_str(&body).context("the answer is no JSON")
    }

    /// Whatever status such a server refuses with, the credentials are to be checked: RFC 6749
    /// section 5.2 has 400 where other APIs have 401.
    fn refused(&self, error: anyhow::Error) -> anyhow::Error {
        let is_no = |status: StatusCode| {
            status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
        };
        match failure(&error) {
            Some(failure) if failure.status.is_some_and(is_no) => {
                with_hint(anyhow!(failure.to_string()), self.api.credentials_hint())
            }
            _ => error,
        }
    }

    /// Messages never hold this secret.
    pub(super) fn hide(&self, name: &str, secret: &str) {
        self.api.hide(name, secret);
    }
}

/// The address of a server that is given credentials, which `place` says: `http://` leads to this
/// machine only.
pub(super) fn address(text: &str, place: &str) -> Result<Url> {
    checked(text, place, is_loopback)
}

/// The address of a metadata service, which `place` says: `http://` leads to this machine and to
/// addresses that are not routed (RFC 3927) only.
pub(super) fn metadata_address(text: &str, place: &str) -> Result<Url> {
    let is_near = |url: &Url| match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Domain(name)) => name == "metadata.google.internal",
        _ => false,
    };
    checked(text, place, |url| is_loopback(url) || is_near(url))
}

fn checked(text: &str, place: &str, is_near: impl Fn(&Url) -> bool) -> Result<Url> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    match url {
        Some(url) if url.scheme() == "https" || url.scheme() == "http" && is_near(&url) => Ok(url),
        Some(url) if url.scheme() == "http" => Err(with_hint(
            anyhow!("{place} would send credentials in the clear"),
            "write `https://`",
        )),
        _ => Err(with_hint(
            anyhow!("{place} is no URL"),
            "write it as `https://HOST`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn tokens_of_every_shape() {
        let now = datetime!(2026-11-25 12:00 UTC);
        let left = |answer: Value| {
            let token = Token::read(&answer, now).unwrap();
            assert_eq!(token.secret, "t");
            (token.expires - now).whole_seconds()
        };
        assert_eq!(
            left(json!({ "access_token": "t", "expires_in": 3599 })),
            3599
        );
        assert_eq!(left(json!({ "access_token": "t", "expires_in": "60" })), 60);
        let at = (now.unix_timestamp() + 90).to_string();
        assert_eq!(left(json!({ "access_token": "t", "expires_on": at })), 90);
        assert_eq!(left(json!({ "access_token": "t" })), 0);
        for odd in [i64::MAX, i64::MIN] {
            let left = left(json!({ "access_token": "t", "expires_in": odd }));
            assert!((0..=LONGEST).contains(&left));
        }
        let error = Token::read(&json!({ "access_token": ["secret"] }), now);
        let error = error.err().unwrap();
        assert_eq!(format!("{error:#}"), "the answer has no `access_token`");
    }

    #[test]
    fn credentials_stay_on_tls_or_near() {
        let strict = |text: &str| address(text, "`X`").map_err(|error| error.to_string());
        let near = |text: &str| metadata_address(text, "`X`").map_err(|error| error.to_string());
        let clear = Err("`X` would send credentials in the clear".to_owned());
        let metadata = [
            "http://169.254.169.254/token",
            "http://metadata.google.internal/token",
        ];
        for text in metadata {
            assert_eq!(strict(text), clear, "{text}");
            assert!(near(text).is_ok(), "{text}");
        }
        for text in ["http://10.0.0.1/token", "http://login.test/token"] {
            assert_eq!(strict(text), clear, "{text}");
            assert_eq!(near(text), clear, "{text}");
        }
        for text in [
            "https://login.test",
            "http://127.0.0.1:1",
            "http://localhost",
        ] {
            assert!(strict(text).is_ok() && near(text).is_ok(), "{text}");
        }
        for text in ["login.test", "file:///token", "data:x"] {
            assert_eq!(strict(text), Err("`X` is no URL".to_owned()), "{text}");
        }
    }
}
