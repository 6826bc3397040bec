//! What providers with an HTTP API share: base URL, credentials, pace, repeats, pages, errors.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use roxmltree::{Document, Node};
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use url::Url;

use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;
use crate::model::zone::ZoneRef;
use crate::net::http::{Http, Repeat, body, certificate_hint, pause_asked};
use crate::provider::base::{Base, base_url, unreachable};
use crate::provider::pace::Pace;
use crate::provider::pages::Pages;
use crate::provider::port::Answer;
use crate::provider::redact::Redactor;
use crate::provider::registry::{Context, Spec};
use crate::provider::reply::{Failure, Reply, Why, status};
use crate::provider::volume::{self, Volume};
use crate::provider::words::words;
use crate::provider::written;

/// A client of one API with the credentials of one entry.
pub(super) struct Api {
    spec: &'static Spec,
    entry: String,
    http: Http,
    base: Url,
    /// What says where the base is; none for the vendor's own.
    base_place: Option<String>,
    headers: Mutex<HeaderMap>,
    /// Fields that the credentials are made of.
    credentials: Vec<&'static str>,
    /// Where they come from, if not from fields.
    credentials_place: Option<String>,
    redactor: Mutex<Redactor>,
    pace: Pace,
}

impl Api {
    /// A client without credentials; [`Api::credential`] adds them.
    ///
    /// The vendor's limits are kept only at the vendor's own address.
    pub(super) fn new(
        spec: &'static Spec,
        entry: &ProviderEntry,
        context: &Context,
        base: Base,
    ) -> Result<Self> {
        let (base, base_place) = base_url(entry, &context.environment, base)?;
        let rates = if base_place.is_none() {
            spec.rates
        } else {
            &[]
        };
        Ok(Self {
            spec,
            entry: entry.name.clone(),
            http: context.http.clone(),
            base,
            base_place,
            headers: Mutex::default(),
            credentials: Vec::new(),
            credentials_place: None,
            redactor: Mutex::new(Redactor::new(entry)),
            pace: Pace::new(rates),
        })
    }

    /// A header of every request, made of the value of `field`.
    pub(super) fn credential(
        self,
        field: &'static str,
        header: &'static str,
        value: &str,
    ) -> Result<Self> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            anyhow!(
                "`{field}` in `creds.json` entry `{}` has a character that no HTTP header can have",
                self.entry
            )
        })?;
        self.set_header(header, value);
        Ok(self.credential_in_request(field))
    }

    /// A header of every request from now on, such as a session's token.
    pub(super) fn set_header(&self, header: &'static str, mut value: HeaderValue) {
        value.set_sensitive(true);
        held(&self.headers).insert(HeaderName::from_static(header), value);
    }

    /// Says that the provider's file puts `field` into its requests; hints name it.
    pub(super) fn credential_in_request(mut self, field: &'static str) -> Self {
        self.credentials.push(field);
        self
    }

    /// Says that the value of `field` is no secret, so that messages may hold it.
    pub(super) fn shows(self, field: &'static str) -> Self {
        held(&self.redactor).show(field);
        self
    }

    /// Says that the credentials are not in fields; hints name this place.
    pub(super) fn credentials_from(mut self, place: &str) -> Self {
        self.credentials_place = Some(place.to_owned());
        self
    }

    /// A secret that is in no field, such as a session's token: messages never hold it.
    pub(super) fn hide(&self, name: &str, secret: &str) {
        held(&self.redactor).add(name, secret);
    }

    /// `text` without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        held(&self.redactor).clean(text)
    }

    /// The address of a resource: path segments below the base, not yet encoded.
    pub(super) fn url(&self, segments: &[&str]) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("bad URL"))?
            .pop_if_empty()
            .extend(segments);
        Ok(url)
    }

    /// Starts a request with the credentials; add a body or headers, then [`Api::send`] it.
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.client().request(method, url);
        request.headers(held(&self.headers).clone())
    }

    /// Sends a request.
    ///
    /// [`Repeat::Safe`] is for reads and for deletions by id, [`Repeat::WhenRefused`] for writes
    /// that add one thing, [`Repeat::Never`] for writes that replace what was read before. An
    /// error is a [`Failure`]: no answer, or a status other than 2xx.
    pub(super) async fn send(&self, request: RequestBuilder, repeat: Repeat) -> Result<Reply> {
        let request = request.build().context("cannot make the request")?;
        let path = self.clean(request.url().path());
        let tried = format!("{} {path}", request.method());
        self.pace.wait(request.method() != Method::GET).await;
        let may_write = request.method() != Method::GET || repeat != Repeat::Safe;
        let sent = self.http.send(request, repeat).await;
        if may_write && !written::is_refusal(&sent, repeat) {
            written::note();
        }
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Err(self.lost(&tried, error.into())),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match body(answer, volume::MOST).await {
            Ok(body) => String::from_utf8_lossy(&body).into_owned(),
            Err(error) => return Err(self.lost(&tried, error)),
        };
        let reply = Reply {
            tried,
            status,
            headers,
            body,
        };
        if status.is_success() {
            return Ok(reply);
        }
        let why = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Why::Credentials,
            StatusCode::NOT_FOUND => Why::NotFound,
            _ => Why::Other,
        };
        // Words are cut, and half a secret would not be found.
        Err(self.refused(&reply, why, &words(&self.clean(&reply.body))))
    }

    /// Reads one resource.
    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let reply = self
            .send(self.request(Method::GET, url), Repeat::Safe)
            .await?;
        self.json(&reply)
    }

    /// Deletes one resource; that it is gone already is no error.
    pub(super) async fn delete(&self, url: Url) -> Result<()> {
        let request = self.request(Method::DELETE, url);
        match self.send(request, Repeat::Safe).await {
            Err(error) if status(&error) != Some(StatusCode::NOT_FOUND) => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads a resource that comes in pages: `next` makes the address of the page after one.
    ///
    /// Only the query of that address is used, so that credentials go nowhere else.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        first: Url,
        next: impl Fn(&T, &Reply, &Url) -> Option<Url>,
    ) -> Result<Vec<T>> {
        let request = |url| self.request(Method::GET, url);
        self.pages_by(request, first, next).await
    }

    /// As [`Api::pages`], where a page takes more than its address, such as a header.
    pub(super) async fn pages_by<T: DeserializeOwned>(
        &self,
        request: impl Fn(Url) -> RequestBuilder,
        first: Url,
        next: impl Fn(&T, &Reply, &Url) -> Option<Url>,
    ) -> Result<Vec<T>> {
        let mut url = first;
        let mut pages = Vec::new();
        let mut seen = Pages::default();
        let mut volume = Volume::default();
        seen.note(url.path(), &url)?;
        loop {
            let request = request(url.clone());
            let reply = self.send(request, Repeat::Safe).await?;
            let whose = format!("what `{}` answers, page by page,", reply.tried);
            volume.add(&whose, reply.body.len())?;
            let page = self.json(&reply)?;
            let after = next(&page, &reply, &url);
            pages.push(page);
            let Some(after) = after else {
                return Ok(pages);
            };
            url.set_query(after.query());
            seen.note(&reply.tried, &url)?;
        }
    }

    /// Reads the JSON of an answer.
    pub(super) fn json<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T> {
        self.read(reply, serde_json::from_str(&reply.body))
    }

    /// Reads the XML of an answer: `read` gets its root element.
    pub(super) fn xml<T>(
        &self,
        reply: &Reply,
        read: impl FnOnce(Node<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let parsed = Document::parse(&reply.body).map_err(Into::into);
        self.read(
            reply,
            parsed.and_then(|document| read(document.root_element())),
        )
    }

    fn read<T>(&self, reply: &Reply, parsed: Result<T, impl fmt::Display>) -> Result<T> {
        parsed.map_err(|error| {
            let error = self.clean(&error.to_string());
            anyhow!(error).context(format!("cannot read the answer to `{}`", reply.tried))
        })
    }

    /// The error of an answer that says no, with a hint.
    ///
    /// Call it for APIs that say so in the body of an answer with status 200.
    pub(super) fn refused(&self, reply: &Reply, why: Why, words: &str) -> anyhow::Error {
        let asked = pause_asked(reply.status, &reply.headers, OffsetDateTime::now_utc());
        let mut what = format!("`{}` answered {}", reply.tried, reply.status);
        if !words.is_empty() {
            what = format!("{what}: {}", self.clean(words));
        }
        if let Some(asked) = asked.filter(|asked| !asked.is_zero()) {
            what = format!("{what} (try again in {} s)", asked.as_secs());
        }
        let failure = anyhow::Error::new(Failure {
            what,
            status: Some(reply.status),
            body: self.clean(&reply.body),
            retry_after: asked,
            cause: None,
        });
        self.hinted(failure, why)
    }

    /// An error with the hint that goes with the reason.
    pub(super) fn hinted(&self, error: anyhow::Error, why: Why) -> anyhow::Error {
        let entry = &self.entry;
        match why {
            Why::Credentials => with_hint(error, self.credentials_hint()),
            Why::NotFound => with_hint(
                error,
                format!("check that the account of `creds.json` entry `{entry}` has the zone"),
            ),
            Why::Other => error,
        }
    }

    /// The error of a zone that the account does not list.
    pub(super) fn no_zone(&self, zone: ZoneRef<'_>) -> anyhow::Error {
        with_hint(
            anyhow!("the account has no zone `{zone}`"),
            format!("add it there, or {}", self.credentials_hint()),
        )
    }

    /// Points an error to the credentials, where the API says so with another status than 401 or 403.
    pub(super) fn blame_credentials(&self, error: anyhow::Error) -> anyhow::Error {
        with_hint(error, self.credentials_hint())
    }

    /// What to check if the credentials are wrong, or may not do something.
    pub(super) fn credentials_hint(&self) -> String {
        let fields: Vec<String> = self
            .credentials
            .iter()
            .map(|key| format!("`{key}`"))
            .collect();
        let fields = format!(
            "{} in `creds.json` entry `{}`",
            fields.join(" and "),
            self.entry
        );
        let place = self.credentials_place.as_ref().unwrap_or(&fields);
        format!("check {place}: {}", self.spec.scope)
    }

    fn lost(&self, tried: &str, cause: anyhow::Error) -> anyhow::Error {
        let failure = anyhow::Error::new(Failure {
            what: format!("no answer to `{tried}`"),
            status: None,
            body: String::new(),
            retry_after: None,
            cause: Some(cause.into()),
        });
        let hint = certificate_hint(&failure).map(str::to_owned);
        let hint = hint.unwrap_or_else(|| unreachable(&self.entry, self.base_place.as_deref()));
        with_hint(failure, hint)
    }

    /// Gives the errors of reading a zone their first line.
    pub(super) fn reading<'a, T>(
        &'a self,
        zone: ZoneRef<'a>,
        work: impl Future<Output = Result<T>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            work.await
                .with_context(|| format!("cannot read zone `{zone}` from {self}"))
        })
    }

    /// Gives the errors of changing a zone their first line.
    pub(super) fn changing<'a>(
        &'a self,
        zone: ZoneRef<'a>,
        work: impl Future<Output = Result<()>> + Send + 'a,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            written::watched(work)
                .await
                .with_context(|| format!("cannot change zone `{zone}` at {self}"))
        })
    }
}

/// What a lock holds; none of its holders can leave it half done.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The vendor, where it is unless that is the usual place, and the entry.
impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)?;
        if self.base_place.is_some() {
            let host = self.base.host_str().unwrap_or_default();
            write!(f, " at `{}://{host}", self.base.scheme())?;
            if let Some(port) = self.base.port() {
                write!(f, ":{port}")?;
            }
            f.write_str("`")?;
        }
        write!(f, " (`creds.json` entry `{}`)", self.entry)
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({} {})", self.spec.kind, self.entry)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::environment::Environment;
    use crate::model::hint::explain;
    use crate::provider::cloudflare::SPEC;
    use crate::provider::servers::{context, entry};

    fn api(base: Base, fields: &[(&str, &str)]) -> Result<Api> {
        let variable = ("OTHER_PLACE".to_owned(), "http://variable.test".to_owned());
        let context = Context {
            environment: Environment::from_iter([variable]),
            ..context()
        };
        Api::new(&SPEC, &entry("CLOUDFLAREAPI", fields), &context, base)
    }

    #[test]
    fn the_base_is_the_vendors_unless_the_entry_says_another() {
        let vendor = Base::VendorOr("https://api.test/v4/", "apiurl");
        let shown = |fields: &[(&str, &str)]| {
            let api = api(vendor, fields).unwrap();
            format!("{api} {}", api.url(&["zones", "a/b"]).unwrap())
        };
        assert_eq!(
            shown(&[]),
            "Cloudflare (`creds.json` entry `main`) https://api.test/v4/zones/a%2Fb"
        );
        assert_eq!(
            shown(&[("apiurl", "https://b.test")]),
            "Cloudflare at `https://b.test` (`creds.json` entry `main`) https://b.test/zones/a%2Fb"
        );
        assert_eq!(
            shown(&[
                ("apiurl", "https://b.test"),
                ("_base_url", "http://localhost:8/x")
            ]),
            "Cloudflare at `http://localhost:8` (`creds.json` entry `main`) http://localhost:8/x/zones/a%2Fb"
        );
    }

    #[test]
    fn credentials_are_not_sent_in_the_clear() {
        let problem = |base: Base, url: &str| {
            let explained = explain(&api(base, &[("_base_url", url)]).unwrap_err());
            (explained.what, explained.hints.concat())
        };
        let vendor = Base::Vendor("https://api.test");
        assert_eq!(
            problem(vendor, "http://proxy.test"),
            (
                "`_base_url` in `creds.json` entry `main` would send the credentials in the clear"
                    .to_owned(),
                "write `https://`".to_owned()
            )
        );
        assert_eq!(
            problem(vendor, "proxy.test").0,
            "`_base_url` in `creds.json` entry `main` is no URL"
        );
        // What the environment says counts as much, but less than the entry.
        let vendor_unless = |variables| Base::VendorUnless("https://api.test", variables);
        assert_eq!(
            problem(vendor_unless(&["UNSET", "OTHER_PLACE"]), "").0,
            "`OTHER_PLACE` would send the credentials in the clear"
        );
        assert!(
            api(
                vendor_unless(&["OTHER_PLACE"]),
                &[("_base_url", "https://b.test")]
            )
            .is_ok()
        );
        assert!(api(vendor_unless(&["UNSET"]), &[]).is_ok());
        assert!(api(Base::Own("apiUrl"), &[("apiUrl", "http://dns.test")]).is_ok());
        assert!(api(vendor, &[("_base_url", "http://127.0.0.1:1")]).is_ok());
    }

    #[tokio::test]
    async fn what_the_server_says_has_no_credentials() {
        use crate::provider::fake::{Fake, Reply, Vendor};
        let fake = Fake::start(Vendor {
            answer: Box::new(|request| {
                let header = request.header("authorization").to_owned();
                let body = serde_json::json!({ "message": format!("bad header `{header}`") });
                Reply::json(403, &body).with("retry-after", "90".to_owned())
            }),
            is_write: |_| false,
            too_many: Reply::empty(429),
        });
        let fields = [("apitoken", "very-secret"), ("_base_url", &fake.url())];
        let api = api(Base::Vendor("https://api.test"), &fields).unwrap();
        let api = api
            .credential("apitoken", "authorization", "Bearer very-secret")
            .unwrap();
        let url = api.url(&["zones", "very-secret"]).unwrap();
        let error = api.get::<serde_json::Value>(url).await.unwrap_err();
        let explained = explain(&error);
        assert_eq!(
            explained.what,
            "`GET /zones/[apitoken]` answered 403 Forbidden: bad header `Bearer [apitoken]` (try again in 90 s)"
        );
        assert_eq!(
            explained.hints,
            [format!(
                "check `apitoken` in `creds.json` entry `main`: {}",
                SPEC.scope
            )]
        );
        assert!(!format!("{error:?}").contains("very-secret"), "{error:?}");
        assert!(!format!("{api:?}").contains("very-secret"));
    }
}
