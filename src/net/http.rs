//! The one HTTP client: roots, proxies, time-outs, retries with Retry-After.

use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail, ensure};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Request, Response, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::{Host, Url};

use crate::net::proxies::{proxies, through};

/// Sent with every request; CAs and APIs ask for a name and a way to reach the developers.
const USER_AGENT: &str = concat!(
    "git-certs/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Longest wait for a connection, name lookup and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest silence while an answer arrives.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest time for a request and the head of its answer, and for the body of one that is read as a whole: a byte a
/// minute is no silence.
const LONGEST_ANSWER: Duration = Duration::from_mins(10);

/// How often a request that may be repeated is sent at most.
const ATTEMPTS: u32 = 5;

/// First pause between two attempts; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause that a server can ask for with Retry-After; beyond it the answer is returned.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Longest wait for what a CA does by itself, if nothing else is set.
const LONGEST_WAIT: Duration = Duration::from_mins(3);

/// Headers with the time at which a limit ends (`TransIP` writes it with one hyphen more).
const RESETS: [&str; 2] = ["x-ratelimit-reset", "x-rate-limit-reset"];

/// A client that ACME, providers and git share. Cloning shares the connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    longest_wait: Duration,
}

/// Whether sending a request twice does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Lost connections and 5xx answers are retried.
    Safe,
    /// Only answers that say that nothing was done (429 and 503) are retried.
    WhenRefused,
    /// Sent once: what it says may be wrong a moment later.
    Never,
}

impl Http {
    /// Makes a client that trusts the system's roots and `extra_roots` (a PEM bundle).
    ///
    /// Where the machine has no CA bundle, as in small containers, Mozilla's roots are built in.
    /// Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; this machine is asked without.
    pub(crate) fn new(extra_roots: Option<&[u8]>) -> Result<Self> {
        Self::trusting(extra_roots.map(roots).transpose()?.unwrap_or_default())
    }

    /// The same with roots that were read before.
    pub(crate) fn trusting(extra_roots: Vec<Certificate>) -> Result<Self> {
        let proxies = proxies(&|name| std::env::var(name).ok())?;
        Self::built(extra_roots, |builder| through(builder, &proxies))
    }

    /// Makes a client for the metadata services of the machine, which no proxy may see.
    ///
    /// A machine without such a service often does not answer at all: who asks sets a time-out.
    pub(crate) fn direct() -> Result<Self> {
        Self::built(Vec::new(), ClientBuilder::no_proxy)
    }

    fn built(
        extra: Vec<Certificate>,
        adapt: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self> {
        let builder = || {
            let builder = Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none());
            adapt(builder)
        };
        let client = builder()
            .tls_certs_merge(extra.clone())
            .build()
            .or_else(|_| {
                let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS
                    .iter()
                    .filter_map(|der| Certificate::from_der(der).ok());
                builder().tls_certs_only(mozilla.chain(extra)).build()
            });
        Ok(Self {
            client: client.context("cannot set up the HTTP client")?,
            longest_wait: LONGEST_WAIT,
        })
    }

    /// The same connections for a run that waits this long at most for what a CA does by itself.
    pub(crate) fn with_longest_wait(self, longest_wait: Duration) -> Self {
        Self {
            longest_wait,
            ..self
        }
    }

    /// Longest wait for what a CA does by itself: checking proofs, issuing. Default: 3 minutes.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// Starts a request; send it with [`Http::send`].
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request and retries as `repeat` allows, honouring Retry-After.
    ///
    /// Any answer is returned, of whatever status; an error means that there is none. A request
    /// with a streaming body is sent once.
    pub(crate) async fn send(&self, request: Request, repeat: Repeat) -> reqwest::Result<Response> {
        self.send_within(request, repeat, LONGEST_ANSWER).await
    }

    /// `longest`: for one attempt, if the request says nothing else, and after that time there is no other.
    async fn send_within(
        &self,
        mut request: Request,
        repeat: Repeat,
        longest: Duration,
    ) -> reqwest::Result<Response> {
        request.timeout_mut().get_or_insert(longest);
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let attempts = if repeat == Repeat::Never { 1 } else { ATTEMPTS };
        for _ in 1..attempts {
            let Some(copy) = request.try_clone() else {
                break;
            };
            let wait = match self.client.execute(copy).await {
                Ok(answer) if !is_passing(answer.status(), repeat) => return Ok(answer),
                Ok(answer) => {
                    let now = OffsetDateTime::now_utc();
                    match pause_asked(answer.status(), answer.headers(), now) {
                        Some(asked) if asked > LONGEST_PAUSE => return Ok(answer),
                        asked => asked.unwrap_or(pause),
                    }
                }
                Err(error)
                    if repeat == Repeat::Safe && is_lost(&error) && began.elapsed() < longest =>
                {
                    pause
                }
                Err(error) => return Err(error.without_url()),
            };
            tokio::time::sleep(jittered(wait)).await;
            pause *= 2;
        }
        self.client
            .execute(request)
            .await
            .map_err(reqwest::Error::without_url)
    }
}

/// Whether an address is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The certificates of a PEM bundle.
pub(crate) fn roots(pem: &[u8]) -> Result<Vec<Certificate>> {
    let roots = Certificate::from_pem_bundle(pem).context("cannot read the CA bundle")?;
    ensure!(!roots.is_empty(), "it holds no certificate");
    Ok(roots)
}

/// Reads the whole body of an answer, of at most `limit` bytes once it is decompressed.
pub(crate) async fn body(answer: Response, limit: usize) -> Result<Vec<u8>> {
    body_within(answer, limit, LONGEST_ANSWER).await
}

async fn body_within(answer: Response, limit: usize, time: Duration) -> Result<Vec<u8>> {
    let read = tokio::time::timeout(time, whole_body(answer, limit)).await;
    read.unwrap_or_else(|_| bail!("the answer did not end within {} s", time.as_secs()))
}

async fn whole_body(mut answer: Response, limit: usize) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let lost = |error: reqwest::Error| Error::new(error.without_url());
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(lost)
        .context("the answer broke off")?
    {
        ensure!(
            body.len() + chunk.len() <= limit,
            "the answer is larger than {} KiB",
            limit / 1024
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_passing(status: StatusCode, repeat: Repeat) -> bool {
    match repeat {
        Repeat::Never => false,
        Repeat::WhenRefused => {
            status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
        }
        Repeat::Safe => status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
    }
}

fn is_lost(error: &reqwest::Error) -> bool {
    !error.is_builder() && !is_untrusted(error)
}

/// A certificate that is not trusted now will not be trusted in a second.
pub(crate) fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.to_string().contains("certificate") {
            return true;
        }
        cause = current.source();
    }
    false
}

/// What to do about a certificate of a server that is not accepted; none where an error has another cause.
pub(crate) fn certificate_hint(error: &Error) -> Option<&'static str> {
    let words: String = error.chain().map(|cause| format!("{cause}\n")).collect();
    // As rustls calls them: <https://docs.rs/rustls-webpki/latest/webpki/enum.Error.html>
    if words.contains("CaUsedAsEndEntity") {
        Some(
            "the server shows a CA's certificate as its own, as `openssl req -x509` makes them: give it one with \
             `basicConstraints=CA:FALSE`, and name the file with the CA that signed that: `--ca-bundle FILE`",
        )
    } else if words.contains("EndEntityUsedAsCa") {
        Some(
            "the server shows a certificate that was signed with one that is no CA's: have a CA sign it, whose \
             certificate has `basicConstraints=CA:TRUE`",
        )
    } else if words.contains("UnknownIssuer") {
        Some("for a private CA, name the file with its root: `--ca-bundle FILE`")
    } else {
        None
    }
}

/// How long an answer asks to wait: with Retry-After; else, where it says that there were too many
/// requests, with one of [`RESETS`], which several DNS APIs send as a Unix time.
pub(crate) fn pause_asked(
    status: StatusCode,
    headers: &HeaderMap,
    now: OffsetDateTime,
) -> Option<Duration> {
    let reset = || {
        let mut values = RESETS.iter().filter_map(|name| headers.get(*name));
        let seconds = values.next()?.to_str().ok()?;
        let then = OffsetDateTime::from_unix_timestamp(seconds.parse().ok()?).ok()?;
        // Others count the seconds left: no time to come.
        Duration::try_from(then - now).ok()
    };
    retry_after(headers, now).or_else(|| {
        (status == StatusCode::TOO_MANY_REQUESTS)
            .then(reset)
            .flatten()
    })
}

/// What the server asks for with Retry-After: seconds or a date (RFC 9110 section 10.2.3).
///
/// A date is by the server's clock, which its Date header shows; `now` is for servers without one.
pub(crate) fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = moment(text)? - date(headers).unwrap_or(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// What the server's clock shows (RFC 9110 section 6.6.1).
pub(crate) fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    moment(headers.get(DATE)?.to_str().ok()?)
}

/// A date of HTTP in the form that is written today (RFC 9110 section 5.6.7).
fn moment(text: &str) -> Option<OffsetDateTime> {
    let date = text.trim().strip_suffix("GMT")?;
    OffsetDateTime::parse(&format!("{date}+0000"), &Rfc2822).ok()
}

/// Up to a quarter more, so that many runs do not come back in the same moment.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let mut byte = [0_u8; 1];
    if aws_lc_rs::rand::fill(&mut byte).is_err() {
        return pause;
    }
    let [byte] = byte;
    pause + pause.mul_f64(f64::from(byte) / 1024.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use time::macros::datetime;

    use super::*;

    fn after(value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        retry_after(&headers, datetime!(2026-11-23 10:00:00 UTC))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            after("Mon, 23 Nov 2026 10:01:30 GMT"),
            Some(Duration::from_secs(90))
        );
        assert_eq!(after("Mon, 23 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn the_clock_of_the_server_counts() {
        let now = datetime!(2026-11-23 10:00:00 UTC);
        for hours in [-2, 0, 2] {
            let header = |at: OffsetDateTime| {
                let text = at.format(&Rfc2822).unwrap().replace("+0000", "GMT");
                text.parse().unwrap()
            };
            let there = now + time::Duration::hours(hours);
            let later = there + time::Duration::seconds(7);
            let headers =
                HeaderMap::from_iter([(DATE, header(there)), (RETRY_AFTER, header(later))]);
            assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn a_limit_may_say_when_it_ends() {
        let asked = |status: u16, headers: &[(&'static str, &str)]| {
            let pairs = headers.iter().map(|(name, value)| {
                let name = reqwest::header::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            });
            let status = StatusCode::from_u16(status).unwrap();
            let now = datetime!(2026-11-23 10:00:00 UTC);
            pause_asked(status, &pairs.collect(), now)
        };
        let reset = ("x-ratelimit-reset", "1795428090");
        let hyphens = ("x-rate-limit-reset", "1795428090");
        assert_eq!(asked(429, &[hyphens]), Some(Duration::from_secs(90)));
        assert_eq!(asked(429, &[reset]), Some(Duration::from_secs(90)));
        let both = [reset, ("retry-after", "7")];
        assert_eq!(asked(429, &both), Some(Duration::from_secs(7)));
        assert_eq!(asked(404, &[reset]), None);
        assert_eq!(asked(429, &[("x-ratelimit-reset", "60")]), None);
        assert_eq!(asked(429, &[]), None);
    }

    /// A server on loopback that shows these certificates, for one handshake.
    fn tls_server(chain: &[&rcgen::Certificate], key: &KeyPair) -> String {
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = chain.iter().map(|shown| shown.der().clone()).collect();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key.into())
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            // The client ends it.
            let _ = connection.complete_io(&mut stream);
        });
        url
    }

    fn params(name: &str, is_ca: IsCa) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = is_ca;
        params
    }

    async fn hint_at(url: &str, bundle: &rcgen::Certificate) -> Option<&'static str> {
        let http = Http::new(Some(bundle.pem().as_bytes())).unwrap();
        certificate_hint(&Error::new(http.client.get(url).send().await.unwrap_err()))
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_certificate_is_told() {
        let is_ca = || IsCa::Ca(BasicConstraints::Unconstrained);
        let [key, leaf_key] = [(); 2].map(|()| KeyPair::generate().unwrap());

        let ca = CertifiedIssuer::self_signed(params("ca", is_ca()), &key).unwrap();
        let url = tls_server(&[ca.as_ref()], &key);
        assert_eq!(
            hint_at(&url, ca.as_ref()).await,
            Some(
                "the server shows a CA's certificate as its own, as `openssl req -x509` makes them: give it one with \
                 `basicConstraints=CA:FALSE`, and name the file with the CA that signed that: `--ca-bundle FILE`"
            )
        );

        let leaf = params("leaf", IsCa::NoCa)
            .signed_by(&leaf_key, &ca)
            .unwrap();
        let url = tls_server(&[&leaf], &leaf_key);
        assert_eq!(
            hint_at(&url, &leaf).await,
            Some("for a private CA, name the file with its root: `--ca-bundle FILE`")
        );

        let no_ca = CertifiedIssuer::self_signed(params("no ca", IsCa::NoCa), &key).unwrap();
        let leaf = params("leaf", IsCa::NoCa)
            .signed_by(&leaf_key, &no_ca)
            .unwrap();
        let url = tls_server(&[&leaf, no_ca.as_ref()], &leaf_key);
        assert_eq!(
            hint_at(&url, ca.as_ref()).await,
            Some(
                "the server shows a certificate that was signed with one that is no CA's: have a CA sign it, whose \
                 certificate has `basicConstraints=CA:TRUE`"
            )
        );
    }

    #[tokio::test]
    async fn bodies_have_a_limit() {
        let answer = || Response::from(http::Response::new("12345"));
        assert_eq!(body(answer(), 5).await.unwrap(), b"12345");
        assert_eq!(
            body(answer(), 4).await.unwrap_err().to_string(),
            "the answer is larger than 0 KiB"
        );
    }

    /// A server that says this to everybody, and then a character after another: never silent for long, and never done.
    /// Its URL, and how often it was asked.
    fn drips(head: &'static str) -> (String, Arc<AtomicUsize>) {
        use std::io::{Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
                    stream.write_all(head.as_bytes()).unwrap();
                    while stream.write_all(b"x").is_ok() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
        });
        (url, asked)
    }

    #[tokio::test]
    async fn heads_have_a_time_limit() {
        let client = Http::direct().unwrap();
        let (url, asked) = drips("HTTP/1.1 200 OK\r\nX: ");
        let request = client.client().get(url).build();
        let limit = Duration::from_secs(2);
        let sent = client.send_within(request.unwrap(), Repeat::Safe, limit);
        assert!(sent.await.unwrap_err().is_timeout());
        // Not five times.
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn bodies_have_a_time_limit() {
        let (url, _) = drips("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        let client = Http::direct().unwrap();
        let request = client.client().get(url).build().unwrap();
        let answer = client.send(request, Repeat::Never).await.unwrap();
        let body = body_within(answer, 1 << 20, Duration::from_millis(200));
        assert_eq!(
            body.await.unwrap_err().to_string(),
            "the answer did not end within 0 s"
        );
    }

    #[test]
    fn jitter_stays_within_a_quarter() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(4));
            assert!((Duration::from_secs(4)..Duration::from_secs(5)).contains(&pause));
        }
    }
}
