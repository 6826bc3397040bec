//! Tells people of a run, by the services that they use. A notice that cannot be sent is no failure of the run.

mod chat;
mod discord;
mod limited;
mod mail;
mod matrix;
mod teams;
mod telegram;
mod webhook;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;
use url::{Host, Url};

use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::net::http::{Http, Repeat};
use crate::report::notice::Notice;

/// A service that is slower is left alone: the run is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// What speaks to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Slack,
    Mattermost,
    Discord,
    Teams,
    Telegram,
    Matrix,
    Webhook,
    Mail,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slack => "Slack",
            Self::Mattermost => "Mattermost",
            Self::Discord => "Discord",
            Self::Teams => "Teams",
            Self::Telegram => "Telegram",
            Self::Matrix => "Matrix",
            Self::Webhook => "the webhook",
            Self::Mail => "by mail",
        })
    }
}

/// A service and its address, which is a secret. `Debug` does not show it.
pub(crate) struct Service {
    kind: Kind,
    /// The variable or the field that has the address.
    origin: String,
    address: Url,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({}, {})", self.kind, self.origin)
    }
}

/// A request of HTTP.
#[derive(Debug, PartialEq, Eq)]
struct Post {
    method: Method,
    url: Url,
    bearer: Option<String>,
    body: Value,
}

impl Post {
    fn of(url: &Url, body: Value) -> Self {
        Self {
            method: Method::POST,
            url: url.clone(),
            bearer: None,
            body,
        }
    }
}

impl Service {
    /// `origin` has the address, which no message repeats.
    pub(crate) fn new(kind: Kind, origin: &str, address: &Secret) -> Result<Self> {
        let parsed = || {
            let text = address.expose_str()?.trim();
            Url::parse(text).ok()
        };
        let address = parsed().ok_or_else(|| anyhow!("`{origin}` is not a URL"))?;
        let schemes: &[&str] = match kind {
            Kind::Mail => &["smtp", "smtps"],
            _ => &["https", "http"],
        };
        let good = schemes.contains(&address.scheme());
        ensure!(
            good && address.has_host(),
            "`{origin}` is not a URL that begins with `{}://`",
            schemes.first().unwrap_or(&"https")
        );
        ensure!(
            address.scheme() != "http" || is_here(&address),
            "`{origin}` would be sent without encryption: it has to begin with `https://`"
        );
        Ok(Self {
            kind,
            origin: origin.to_owned(),
            address,
        })
    }

    /// Sends the notice. `id` is another one for each notice.
    async fn send(&self, http: &Http, notice: &Notice, id: &str) -> Result<()> {
        let address = &self.address;
        let post = match self.kind {
            Kind::Mail => return mail::send(address, notice).await,
            Kind::Slack => chat::slack(address, notice),
            Kind::Mattermost => chat::mattermost(address, notice),
            Kind::Discord => discord::post(address, notice),
            Kind::Teams => teams::post(address, notice),
            Kind::Telegram => telegram::post(address, notice)?,
            Kind::Matrix => matrix::post(address, notice, id)?,
            Kind::Webhook => webhook::post(address, notice),
        };
        let mut request = http
            .client()
            .request(post.method, post.url)
            .json(&post.body);
        if let Some(token) = post.bearer {
            request = request.bearer_auth(token);
        }
        let request = request.build().map_err(reqwest::Error::without_url)?;
        let answer = http.send(request, Repeat::Never).await?;
        let status = answer.status();
        ensure!(status.is_success(), "it answers with {status}");
        Ok(())
    }
}

/// Sends the notice to all services at once; returns what went wrong.
pub(crate) async fn send(
    http: &Http,
    services: &[Service],
    notice: &Notice,
    id: &str,
) -> Vec<anyhow::Error> {
    let sent = services.iter().map(|service| async move {
        let Service { kind, origin, .. } = service;
        let sent = timeout(PATIENCE, service.send(http, notice, id)).await;
        sent.unwrap_or_else(|_| Err(anyhow!("it did not answer within {} s", PATIENCE.as_secs())))
            .with_context(|| format!("cannot notify {kind}"))
            .hint(|| format!("`{origin}` has the address; docs/notify.md has its form"))
    });
    let sent = join_all(sent).await;
    sent.into_iter().filter_map(Result::err).collect()
}

/// The user or the password of an address, without `%40` and the like.
fn plain(text: &str) -> String {
    // Only in forms a `+` is a blank.
    let text = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    let first = pairs.next();
    first.map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Whether what is sent there does not leave the machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        // An address where the scheme is none of the web's.
        Some(Host::Domain(name)) => {
            let address = name.parse::<IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
