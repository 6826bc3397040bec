//! instant-acme's requests over the one HTTP client, with a pool of nonces and counts.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::acme::abilities::{Abilities, Chain, alternates};
use crate::acme::endpoint::{Endpoint, Requests};
use crate::acme::pace::Pace;
use crate::acme::patience::{Late, NoNonce, is_about_the_nonce, is_for_now};
use crate::acme::refusal::Refusal;
use crate::model::kill;
use crate::net::http::{Http, Repeat, date, retry_after};

/// Header with the value that the next signed request carries (RFC 8555 section 6.5).
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// Largest answer that is read. A chain of four certificates with 100 names each is 40 kB.
const LARGEST_ANSWER: usize = 4 << 20;

/// Longest time for an answer, its body included.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// What the requests of the running call are for.
    static ENDPOINT: Endpoint;
}

/// Makes a call of instant-acme; again after `badNonce`, after 429 and 503, and after a lost answer
/// where that does no harm.
///
/// A macro, because futures of closures that lend out what they captured are not `Send` for the
/// compiler.
macro_rules! call {
    ($client:expr, $endpoint:expr, $call:expr) => {{
        let mut patience = $crate::acme::patience::Patience::new($endpoint);
        loop {
            match $client.attempt($endpoint, $call).await {
                Err(error) if patience.allows(&error).await => {}
                answer => break answer,
            }
        }
    }};
}
pub(super) use call;

/// The HTTP side of one CA. Cloning shares nonces and counts.
///
/// Every nonce that the CA sends goes into a pool, and newNonce is asked only when the pool is
/// empty: orders side by side need a few newNonce requests between them instead of one each.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: Http,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The newest is used first: those that the CA has forgotten stay below.
    nonces: Vec<HeaderValue>,
    /// Address and body: instant-acme asks for it again.
    directory: Option<(String, Bytes)>,
    requests: Requests,
    /// What the latest answer of a URL asked for with Retry-After.
    waits: HashMap<String, Duration>,
    /// Chains that were fetched, by their URLs.
    chains: HashMap<String, Chain>,
    pace: Pace,
    /// How far the CA's clock is ahead of ours.
    ahead: time::Duration,
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
        kill::point(&format!("before {endpoint}"));
        let answer = ENDPOINT.scope(endpoint, call).await;
        kill::point(&format!("after {endpoint}"));
        answer
    }

    /// The directory; fetched once.
    pub(super) async fn directory(&self, url: &str) -> Result<Bytes, Error> {
        let body = self.fetch(Endpoint::Directory, url).await?;
        self.shared().directory = Some((url.to_owned(), body.clone()));
        Ok(body)
    }

    /// Fetches what the CA shows everybody.
    pub(super) async fn fetch(&self, endpoint: Endpoint, url: &str) -> Result<Bytes, Error> {
        let mut answer = call!(self, endpoint, async {
            let request = http::Request::get(url).body(BodyWrapper::default())?;
            self.request(request).await
        })?;
        answer.body.into_bytes().await.map_err(Error::Other)
    }

    /// What the latest answer of `url` asked for with Retry-After; told once.
    pub(super) fn take_wait(&self, url: &str) -> Option<Duration> {
        self.shared().waits.remove(url)
    }

    /// The chain that was fetched from `url`; told once. instant-acme knows no alternates.
    pub(super) fn take_chain(&self, url: &str) -> Option<Chain> {
        self.shared().chains.remove(url)
    }

    /// What the directory says of the CA beyond RFC 8555.
    pub(super) fn abilities(&self) -> Abilities {
        let shared = self.shared();
        let body = shared.directory.as_ref().map(|(_, body)| body);
        body.map(|body| Abilities::read(body)).unwrap_or_default()
    }

    /// The counts so far.
    pub(super) fn requests(&self) -> Requests {
        self.shared().requests.clone()
    }

    /// How far the CA's clock is ahead of ours, as its latest answer has it.
    pub(super) fn ahead(&self) -> time::Duration {
        self.shared().ahead
    }

    /// Longest wait for what the CA does by itself.
    pub(super) fn longest_wait(&self) -> Duration {
        self.http.longest_wait()
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
        let host = parts.uri.host().unwrap_or_default();
        if self.keep_pace(host, &parts.method).await
            && let Some(come_meanwhile) = self.kept(&parts.method, &url)
        {
            return Ok(come_meanwhile);
        }
        let mut outgoing = reqwest::Request::new(parts.method.clone(), url.parse().map_err(other)?);
        *outgoing.headers_mut() = parts.headers;
        // instant-acme's name would hide ours.
        outgoing.headers_mut().remove(USER_AGENT);
        *outgoing.body_mut() = Some(body.collect().await.map_err(other)?.to_bytes().into());
        let answer = self.answer(outgoing).await;
        match parts.method {
            // The only HEAD requests are for nonces.
            Method::HEAD => answer.map_err(|error| other(NoNonce(error))),
            _ => answer,
        }
    }

    /// Waits until the CA takes another request of this kind; whether that took a moment.
    async fn keep_pace(&self, host: &str, method: &Method) -> bool {
        let (endpoint, now) = (endpoint(method), Instant::now());
        let wait = self.shared().pace.reserve(host, endpoint, now);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        !wait.is_zero()
    }

    /// Sends a request once: what is signed cannot be sent again, as its nonce may be used up.
    async fn answer(&self, request: reqwest::Request) -> Result<BytesResponse, Error> {
        let (method, url) = (request.method().clone(), request.url().to_string());
        self.count(&method);
        let limit = ANSWER_TIMEOUT.min(self.longest_wait());
        let exchange = async {
            let answer = self.http.send(request, Repeat::Never).await;
            let answer = answer.map_err(other)?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, Error>((status, headers, read(answer).await?))
        };
        let in_time = tokio::time::timeout(limit, exchange).await;
        let (status, mut headers, body) = in_time.map_err(|_| other(Late(limit)))??;
        let refusal = refusal(status, &headers, &body);
        self.remember(&url, &method, &mut headers, refusal.as_ref());
        // Kept above; instant-acme would add any number to its clock.
        headers.remove(RETRY_AFTER);
        match refusal {
            // instant-acme signs again with another nonce.
            Some(refusal) if !has_bad_nonce(&refusal) => Err(other(refusal)),
            _ => {
                if endpoint(&method) == Endpoint::Certificate {
                    let body = body.clone();
                    let alternates = alternates(&headers, &url);
                    let chain = Chain { body, alternates };
                    self.shared().chains.insert(url, chain);
                }
                Ok(response(status, headers, body))
            }
        }
    }

    /// The answer to a request that need not be sent: a nonce from the pool, the known directory.
    fn kept(&self, method: &Method, url: &str) -> Option<BytesResponse> {
        let mut shared = self.shared();
        match *method {
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
        let mut shared = self.shared();
        let counts = &mut shared.requests.by_endpoint;
        *counts.entry(endpoint(method)).or_default() += 1;
    }

    /// Keeps what an answer says about the next requests.
    fn remember(
        &self,
        url: &str,
        method: &Method,
        headers: &mut HeaderMap,
        refusal: Option<&Refusal>,
    ) {
        let now = OffsetDateTime::now_utc();
        let mut shared = self.shared();
        shared.requests.bad_nonces += u32::from(refusal.is_some_and(has_bad_nonce));
        shared.requests.refused += u32::from(refusal.is_some_and(is_for_now));
        if method != Method::HEAD
            && let Some(nonce) = headers.remove(REPLAY_NONCE)
        {
            shared.nonces.push(nonce);
        }
        if let Some(date) = date(headers) {
            shared.ahead = date - now;
        }
        match retry_after(headers, now) {
            Some(wait) => shared.waits.insert(url.to_owned(), wait),
            None => shared.waits.remove(url),
        };
    }
}

/// What a request is for.
fn endpoint(method: &Method) -> Endpoint {
    match *method {
        Method::HEAD => Endpoint::NewNonce,
        // Every other request is made in `call!`.
        _ => ENDPOINT
            .try_with(|endpoint| *endpoint)
            .unwrap_or(Endpoint::Directory),
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

fn has_bad_nonce(refusal: &Refusal) -> bool {
    refusal.problem.as_ref().is_some_and(is_about_the_nonce)
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
    use crate::acme::patience::is_lost;

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
        let text = "too many (rateLimited); the CA asks to wait 1h 1m (git-certs waits 1m at most)";
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
