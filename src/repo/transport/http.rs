//! Smart HTTP (gitprotocol-http(5)) on the shared client.

use std::io::{self, Read};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::{Buf, Bytes};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, Request, RequestBuilder, Response, StatusCode};
use tokio::runtime::Handle;
use url::Url;

use crate::model::known::remember;
use crate::model::secret::Secret;
use crate::net::http::{Http, Repeat, body};
use crate::repo::address::Place;
use crate::repo::pkt;
use crate::repo::transport::access::TOKEN_USER;
use crate::repo::transport::limit::Deadline;
use crate::repo::transport::{Fault, Remote, Service};

/// Redirects that are followed; one is normal (`/x` to `/x.git`).
const MAX_REDIRECTS: u32 = 4;

/// Longest text of an error page that is shown.
const MAX_SHOWN: usize = 300;

/// Largest error page that is read, bytes.
const LARGEST_PAGE: usize = 64 * 1024;

/// One conversation: a GET for the advertisement, a POST for the request.
pub(super) struct HttpWire {
    runtime: Handle,
    until: Deadline,
    /// The repository, after redirects.
    base: Url,
    answer: Response,
    chunk: Bytes,
}

impl HttpWire {
    /// Asks for the advertisement; it is then read from this.
    pub(super) fn open(
        remote: &Remote,
        url: &Url,
        service: Service,
        until: Deadline,
    ) -> Result<Self> {
        let runtime = Handle::try_current().context("HTTP needs a running Tokio runtime")?;
        let user = remote.address.user.as_deref();
        let mut base = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut target = below(&base, "info/refs");
            target.set_query(Some(&format!("service={}", service.name())));
            let request = remote
                .signed(remote.access.http.client().request(Method::GET, target))
                .build()?;
            let answer = exchange((&runtime, until), remote, service, (request, Repeat::Safe))?;
            if answer.status().is_redirection() {
                base = redirected(remote, service, &base, &answer)?;
                continue;
            }
            let is_refused = answer.status() == StatusCode::UNAUTHORIZED;
            let configured = &remote.access.configured;
            if is_refused && !remote.has_login() && configured.ask(url, user)? {
                continue;
            }
            let answer = checked(&runtime, remote, service, answer);
            if is_refused {
                configured.reject(url)?;
            }
            let answer = answer?;
            configured.approve(url)?;
            expect_type(remote, service, &answer, "advertisement")?;
            return Ok(Self {
                runtime,
                until,
                base,
                answer,
                chunk: Bytes::new(),
            });
        }
        Err(remote.error(service, Fault::NotGit, anyhow!("too many redirects")))
    }

    /// Sends the request; the answer is then read from this.
    pub(super) fn send(&mut self, remote: &Remote, service: Service, body: Vec<u8>) -> Result<()> {
        let name = service.name();
        // Reading twice does no harm; a push is repeated only where the server says that it did nothing.
        let repeat = match service {
            Service::UploadPack => Repeat::Safe,
            Service::ReceivePack => Repeat::WhenRefused,
        };
        let target = below(&self.base, name);
        let request = remote
            .signed(remote.access.http.client().request(Method::POST, target))
            .header(CONTENT_TYPE, format!("application/x-{name}-request"))
            .header(ACCEPT, format!("application/x-{name}-result"))
            .body(body)
            .build()?;
        let at = (&self.runtime, self.until);
        let answer = exchange(at, remote, service, (request, repeat))?;
        self.answer = checked(&self.runtime, remote, service, answer)?;
        self.chunk = Bytes::new();
        expect_type(remote, service, &self.answer, "result")
    }
}

impl Read for HttpWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let next = within(&self.runtime, self.until, self.answer.chunk())?;
            match next.map_err(|error| io::Error::other(error.without_url()))? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        if let Some(room) = buffer.get_mut(..count) {
            self.chunk.copy_to_slice(room);
        }
        Ok(count)
    }
}

impl Remote {
    /// Adds the login, and the headers of git's configuration.
    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        let mut headers = self.configured_headers();
        let Some((user, secret)) = self.login() else {
            return request.headers(headers);
        };
        headers.remove(AUTHORIZATION);
        // The server's words are shown.
        remember(secret.expose());
        let secret = secret.expose_str().unwrap_or_default().trim();
        request.headers(headers).basic_auth(user, Some(secret))
    }

    /// User and secret: the token that was passed in, the one in the URL, or what a helper gave.
    fn login(&self) -> Option<(String, Arc<Secret>)> {
        let user = self.address.user.as_deref();
        let named = |default: &str| user.unwrap_or(default).to_owned();
        if let Some(token) = &self.access.token {
            return Some((named(token.user), Arc::clone(&token.secret)));
        }
        if let Some(password) = &self.address.password {
            return Some((named(TOKEN_USER), Arc::clone(password)));
        }
        let given = self.access.configured.given()?;
        Some((given.user, given.password))
    }

    fn configured_headers(&self) -> HeaderMap {
        match &self.address.place {
            Place::Http(url) => {
                let user = self.address.user.as_deref();
                self.access.configured.headers(url, user)
            }
            Place::Ssh(_) | Place::Local(_) => HeaderMap::new(),
        }
    }

    fn has_login(&self) -> bool {
        self.login().is_some() || self.configured_headers().contains_key(AUTHORIZATION)
    }
}

/// Does it, unless the time is over before its end.
fn within<T>(runtime: &Handle, until: Deadline, work: impl Future<Output = T>) -> io::Result<T> {
    let left = until.left()?;
    let ended = runtime.block_on(async { tokio::time::timeout(left, work).await });
    ended.map_err(|_| until.error())
}

fn exchange(
    (runtime, until): (&Handle, Deadline),
    remote: &Remote,
    service: Service,
    (request, repeat): (Request, Repeat),
) -> Result<Response> {
    let http: &Http = &remote.access.http;
    within(runtime, until, http.send(request, repeat))
        .map_err(|error| remote.error(service, Fault::TooLate, error.into()))?
        .map_err(|error| remote.error(service, lost(&error), error.into()))
}

/// Why there was no answer, found in the words of the causes.
fn lost(error: &reqwest::Error) -> Fault {
    let words = format!("{:#}", CauseChain(error)).to_lowercase();
    if words.contains("dns error") || words.contains("failed to lookup address") {
        Fault::NoSuchHost
    } else if words.contains("certificate") {
        Fault::Untrusted
    } else {
        Fault::Unreachable
    }
}

struct CauseChain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for CauseChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut cause = Some(self.0);
        while let Some(current) = cause {
            write!(f, "{current}: ")?;
            cause = current.source();
        }
        Ok(())
    }
}

/// The answer if it is a success; else the error with the page's words.
fn checked(
    runtime: &Handle,
    remote: &Remote,
    service: Service,
    answer: Response,
) -> Result<Response> {
    let status = answer.status();
    let fault = match status {
        status if status.is_success() => return Ok(answer),
        StatusCode::UNAUTHORIZED if remote.has_login() => Fault::LoginRefused,
        StatusCode::UNAUTHORIZED => Fault::LoginAsked,
        StatusCode::FORBIDDEN => Fault::Forbidden,
        StatusCode::NOT_FOUND | StatusCode::GONE => Fault::NotFound,
        status if status.is_server_error() => Fault::Broken,
        _ => Fault::NotGit,
    };
    let plain = content_type(&answer).starts_with("text/plain");
    // The status says enough where the page cannot be had.
    let page = runtime
        .block_on(body(answer, LARGEST_PAGE))
        .unwrap_or_default();
    let words: String = pkt::tidy(&page).chars().take(MAX_SHOWN).collect();
    let said = if plain && !words.is_empty() {
        anyhow!("HTTP {status}: {words}")
    } else {
        anyhow!("HTTP {status}")
    };
    Err(remote.error(service, fault, said))
}

/// The new base for a redirect of `info/refs`. Logins are for one host, so it stays there.
fn redirected(remote: &Remote, service: Service, base: &Url, answer: &Response) -> Result<Url> {
    let refuse = |said| Err(remote.error(service, Fault::NotGit, said));
    let location = answer.headers().get(LOCATION);
    let target = location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| answer.url().join(location).ok());
    let Some(mut target) = target else {
        return refuse(anyhow!("HTTP {} without an address", answer.status()));
    };
    if target.host() != base.host() {
        let host = target.host_str().unwrap_or_default();
        return refuse(anyhow!("it is redirected to another host, `{host}`"));
    }
    if target.port() != base.port() {
        return refuse(anyhow!("it is redirected to another port"));
    }
    if base.scheme() == "https" && target.scheme() != "https" {
        return refuse(anyhow!("it is redirected to `{}://`", target.scheme()));
    }
    target.set_query(None);
    let Some(path) = target.path().strip_suffix("/info/refs").map(str::to_owned) else {
        return refuse(anyhow!("it is redirected to `{}`", target.path()));
    };
    target.set_path(&path);
    Ok(target)
}

fn expect_type(remote: &Remote, service: Service, answer: &Response, part: &str) -> Result<()> {
    let found = content_type(answer);
    let wanted = format!("application/x-{}-{part}", service.name());
    if found == wanted {
        return Ok(());
    }
    let said = anyhow!("the answer has the type `{found}` instead of `{wanted}`");
    Err(remote.error(service, Fault::NotGit, said))
}

fn content_type(answer: &Response) -> &str {
    let value = answer.headers().get(CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}
