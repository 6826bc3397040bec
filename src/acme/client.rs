//! instant-acme's requests over the one HTTP client, with a pool of nonces and counts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use time::OffsetDateTime;

use crate::acme::refusal::Refusal;
use crate::net::http::{Http, Repeat, retry_after};

/// Header with the value that the next signed request carries (RFC 8555 section 6.5).
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Type of the problem that says that a nonce was not accepted and nothing was done.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// How often a call that ends in `badNonce` is made again.
///
/// instant-acme signs three times in each call, so this is 30 in a row: a CA that rejects every
/// second nonce fails one call in a thousand million.
const BAD_NONCE_ROUNDS: u32 = 10;

/// How often a call whose answer was lost is made again, where that does no harm.
const LOST_ROUNDS: u32 = 3;

/// First pause before a lost call is made again; doubled each time.
const LOST_PAUSE: Duration = Duration::from_millis(250);

/// Largest answer that is read. A chain of four certificates with 100 names each is 40 kB.
const LARGEST_ANSWER: usize = 4 << 20;

/// Longest time for the body of an answer.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// What the requests of the running call are for.
    static ENDPOINT: Endpoint;
}

/// The resources of RFC 8555 section 7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Directory,
    NewNonce,
    /// newAccount that finds an account by its key (RFC 8555 section 7.3.1).
    FindAccount,
    NewAccount,
    /// An account's own URL: read or deactivated.
    Account,
    KeyChange,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    Revoke,
}

impl Endpoint {
    /// Whether a call whose answer was lost can be made again blindly.
    ///
    /// A second newOrder leaves at worst an order that expires. A second newAccount would make
    /// another account, a second keyChange would be signed with a key that is void; challenges and
    /// finalize are read again first.
    fn is_repeatable(self) -> bool {
        !matches!(
            self,
            Self::NewAccount | Self::KeyChange | Self::Challenge | Self::Finalize
        )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::NewNonce => "newNonce",
            Self::FindAccount | Self::NewAccount => "newAccount",
            Self::Account => "account",
            Self::KeyChange => "keyChange",
            Self::NewOrder => "newOrder",
            Self::Order => "order",
            Self::Authorization => "authorization",
            Self::Challenge => "challenge",
            Self::Finalize => "finalize",
            Self::Certificate => "certificate",
            Self::Revoke => "revokeCert",
        })
    }
}

/// How many requests the CA got. One that the HTTP client sent again after a 429, a 503 or a lost
/// connection counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    pub(crate) by_endpoint: BTreeMap<Endpoint, u32>,
    /// Of these, the ones that were answered with `badNonce`.
    pub(crate) bad_nonces: u32,
}

impl Requests {
    /// All requests.
    pub(crate) fn total(&self) -> u32 {
        self.by_endpoint.values().sum()
    }
}

/// Makes a call of instant-acme; again after `badNonce`, and after a lost answer where that does
/// no harm.
///
/// A macro, because futures of closures that lend out what they captured are not `Send` for the
/// compiler.
macro_rules! call {
    ($client:expr, $endpoint:expr, $call:expr) => {{
        let mut patience = $crate::acme::client::Patience::new($endpoint);
        loop {
            match $client.attempt($endpoint, $call).await {
                Err(error) if patience.allows(&error).await => {}
                answer => break answer,
            }
        }
    }};
}
pub(super) use call;

/// How often one call can still be made again.
pub(super) struct Patience {
    endpoint: Endpoint,
    bad_nonces: u32,
    lost: u32,
}

impl Patience {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            bad_nonces: 0,
            lost: 0,
        }
    }

    /// Whether to make the call again; pauses first where an answer was lost.
    pub(super) async fn allows(&mut self, error: &Error) -> bool {
        if is_bad_nonce(error) {
            self.bad_nonces += 1;
            return self.bad_nonces <= BAD_NONCE_ROUNDS;
        }
        if !self.endpoint.is_repeatable() || !is_lost(error) {
            return false;
        }
        self.lost += 1;
        if self.lost > LOST_ROUNDS {
            return false;
        }
        tokio::time::sleep(LOST_PAUSE * 2_u32.pow(self.lost - 1)).await;
        true
    }
}

/// The HTTP side of one CA. Cloning shares nonces and counts.
///
/// Every nonce that the CA sends goes into a pool, and newNonce is asked only when the pool is
/// empty: orders side by side need a few newNonce requests between them instead of one each.
#[derive(Clone)]
pub(super) struct Client {
    http: Http,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The newest is used first: those that the CA has forgotten stay below.
    nonces: Vec<HeaderValue>,
    /// Address and body: instant-acme asks for it again.
    directory: Option<(String, Bytes)>,
    requests: Requests,
    /// What the latest answer of a URL asked for with Retry-After.
    waits: HashMap<String, Duration>,
}

impl Client {
    pub(super) fn new(http: Http) -> Self {
        Self {
            http,
            shared: Arc::default(),
        }
    }

    /// One attempt of [`call!`]: its requests are counted for `endpoint`.
    pub(super) async fn attempt<T>(
        &self,
        endpoint: Endpoint,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        ENDPOINT.scope(endpoint, call).await
    }

    /// Fetches the directory.
    pub(super) async fn directory(&self, url: &str) -> Result<Bytes, Error> {
        let request = http::Request::get(url).body(BodyWrapper::default())?;
        let mut answer = self.exchange(request).await?;
        let body = answer.body.into_bytes().await.map_err(Error::Other)?;
        self.shared().directory = Some((url.to_owned(), body.clone()));
        Ok(body)
    }

    /// What the latest answer of `url` asked for with Retry-After; told once.
    pub(super) fn take_wait(&self, url: &str) -> Option<Duration> {
        self.shared().waits.remove(url)
    }

    /// The counts so far.
    pub(super) fn requests(&self) -> Requests {
        self.shared().requests.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, Error> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        if let Some(kept) = self.kept(&parts.method, &url) {
            return Ok(kept);
        }
        let repeat = if parts.method == Method::POST {
            Repeat::WhenRefused
        } else {
            Repeat::Safe
        };
        let mut outgoing = reqwest::Request::new(parts.method.clone(), url.parse().map_err(other)?);
        *outgoing.headers_mut() = parts.headers;
        // instant-acme's name would hide ours.
        outgoing.headers_mut().remove(USER_AGENT);
        *outgoing.body_mut() = Some(body.collect().await.map_err(other)?.to_bytes().into());
        self.count(&parts.method);

        let answer = self.http.send(outgoing, repeat).await.map_err(other)?;
        let status = answer.status();
        let mut headers = answer.headers().clone();
        let body = tokio::time::timeout(BODY_TIMEOUT, read(answer))
            .await
            .map_err(other)??;
        let refusal = refusal(status, &headers, &body);
        let is_bad_nonce = refusal.as_ref().is_some_and(has_bad_nonce);
        self.remember(&url, &parts.method, &mut headers, is_bad_nonce);
        // Kept above; instant-acme would add any number to its clock.
        headers.remove(RETRY_AFTER);
        match refusal {
            // instant-acme signs again with another nonce.
            Some(_) if is_bad_nonce => Ok(response(status, headers, body)),
            Some(refusal) => Err(other(refusal)),
            None => Ok(response(status, headers, body)),
        }
    }

    /// The answer to a request that need not be sent: a nonce from the pool, the known directory.
    fn kept(&self, method: &Method, url: &str) -> Option<BytesResponse> {
        let mut shared = self.shared();
        match *method {
            // The only HEAD requests are for nonces.
            Method::HEAD => {
                let headers = HeaderMap::from_iter([(REPLAY_NONCE, shared.nonces.pop()?)]);
                Some(response(StatusCode::OK, headers, Bytes::new()))
            }
            Method::GET => {
                let (address, body) = shared.directory.clone()?;
                (address == url).then(|| response(StatusCode::OK, HeaderMap::new(), body))
            }
            _ => None,
        }
    }

    fn count(&self, method: &Method) {
        let endpoint = match *method {
            Method::HEAD => Endpoint::NewNonce,
            Method::GET => Endpoint::Directory,
            // Every POST is made in `call!`.
            _ => ENDPOINT
                .try_with(|endpoint| *endpoint)
                .unwrap_or(Endpoint::Order),
        };
        *self
            .shared()
            .requests
            .by_endpoint
            .entry(endpoint)
            .or_default() += 1;
    }

    /// Keeps what the headers of an answer say about the next requests.
    fn remember(&self, url: &str, method: &Method, headers: &mut HeaderMap, is_bad_nonce: bool) {
        let mut shared = self.shared();
        shared.requests.bad_nonces += u32::from(is_bad_nonce);
        if method != Method::HEAD
            && let Some(nonce) = headers.remove(REPLAY_NONCE)
        {
            shared.nonces.push(nonce);
        }
        match retry_after(headers, OffsetDateTime::now_utc()) {
            Some(wait) => shared.waits.insert(url.to_owned(), wait),
            None => shared.waits.remove(url),
        };
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move { client.exchange(request).await })
    }
}

/// Whether the answer did not come, or said that the CA itself failed: what was asked may have
/// been done.
pub(super) fn is_lost(error: &Error) -> bool {
    let Error::Other(inner) = error else {
        return false;
    };
    inner.is::<reqwest::Error>()
        || inner.is::<tokio::time::error::Elapsed>()
        || inner
            .downcast_ref::<Refusal>()
            .and_then(|refusal| refusal.status)
            .is_some_and(|status| status.is_server_error())
}

fn is_bad_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(BAD_NONCE))
}

fn has_bad_nonce(refusal: &Refusal) -> bool {
    let problem = refusal.problem.as_ref();
    problem.and_then(|problem| problem.r#type.as_deref()) == Some(BAD_NONCE)
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Refusal> {
    (!status.is_success()).then(|| Refusal {
        status: Some(status),
        problem: serde_json::from_slice::<Problem>(body)
            .ok()
            .filter(|problem| problem.r#type.is_some() || problem.detail.is_some()),
        retry_after: retry_after(headers, OffsetDateTime::now_utc()),
    })
}

async fn read(mut answer: reqwest::Response) -> Result<Bytes, Error> {
    let mut body = Vec::new();
    let lost = |error: reqwest::Error| other(error.without_url());
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Error::Other(
                "the answer of the CA is larger than 4 MiB".into(),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> BytesResponse {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    BytesResponse {
        parts,
        body: Box::new(body),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Other(Box::new(error))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("3660"))])
    }

    #[test]
    fn a_limit_is_a_refusal_with_its_wait() {
        let body = br#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}"#;
        let refusal = refusal(StatusCode::TOO_MANY_REQUESTS, &headers(), body).unwrap();
        assert_eq!(refusal.kind(), Some("rateLimited"));
        assert_eq!(refusal.retry_after, Some(Duration::from_mins(61)));
        let text = "too many (rateLimited); the CA asks to wait 1h 1m";
        assert_eq!(refusal.to_string(), text);
        assert!(!is_lost(&other(refusal)));
    }

    #[test]
    fn a_page_is_a_refusal_without_a_problem() {
        for body in ["<html>down</html>", "{}", ""] {
            let refusal = refusal(StatusCode::BAD_GATEWAY, &HeaderMap::new(), body.as_bytes());
            let refusal = refusal.unwrap();
            assert_eq!(refusal.to_string(), "the CA answered `502 Bad Gateway`");
            assert!(is_lost(&other(refusal)));
        }
    }

    #[test]
    fn success_is_no_refusal() {
        assert!(refusal(StatusCode::CREATED, &HeaderMap::new(), b"").is_none());
    }
}
