//! Requests to Route 53: signed, and sent again while it puts them off.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use time::OffsetDateTime;
use url::Url;

use crate::net::http::{Repeat, jittered};
use crate::provider::aws::Credentials;
use crate::provider::aws::sigv4::{Scope, Unsigned, query, sign};
use crate::provider::http::Api;
use crate::provider::pages::Pages;
use crate::provider::reply::{Reply, failure};
use crate::provider::route53::xml::{self, Page};

const VERSION: &str = "2013-04-01";

/// The API is one for all regions, and signed for this one:
/// <https://docs.aws.amazon.com/general/latest/gr/r53.html>.
const SCOPE: Scope = Scope {
    region: "us-east-1",
    service: "route53",
};

/// Errors with status 400 that say "later":
/// <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>.
const LATER: [&str; 3] = [
    "PriorRequestNotComplete",
    "Throttling",
    "ThrottlingException",
];

/// How often a request is sent that is put off.
const ATTEMPTS: u32 = 6;

/// First pause when a request is put off, doubled each time: the limit is one by the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// First and longest pause before asking whether all name servers have a change.
const POLL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// How long they may take; a minute is usual.
const SYNC_TIMEOUT: Duration = Duration::from_mins(3);

/// The API with credentials.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) api: Api,
    pub(super) credentials: Credentials,
}

impl Client {
    /// The address of a resource.
    pub(super) fn url(&self, path: &[&str], parameters: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.api.url(&[&[VERSION], path].concat())?;
        if !parameters.is_empty() {
            url.set_query(Some(&query(parameters.iter().copied())));
        }
        Ok(url)
    }

    /// Reads one resource.
    pub(super) async fn read<T>(&self, url: &Url, parse: fn(&str) -> Result<T>) -> Result<T> {
        let reply = self.send(Method::GET, url, "").await?;
        parsed(&reply, parse)
    }

    /// Reads a list from `first` on, while what was read last says that it goes on.
    pub(super) async fn pages<T>(
        &self,
        first: Url,
        parse: fn(&str) -> Result<Page<T>>,
        goes_on: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>> {
        let most = first.query_pairs().find(|(key, _)| key == "maxitems");
        let most = most.map(|(key, value)| (key.into_owned(), value.into_owned()));
        let mut url = first.clone();
        let mut items = Vec::new();
        let mut seen = Pages::default();
        let tried = format!("GET {}", url.path());
        seen.note(&tried, &url)?;
        loop {
            let page = self.read(&url, parse).await?;
            items.extend(page.items);
            let Some(next) = page.next.filter(|_| goes_on(&items)) else {
                return Ok(items);
            };
            let next = next.iter().map(|(key, value)| (*key, value.as_str()));
            let most = most
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            let after = query(next.chain(most));
            url.set_query(Some(&after));
            seen.note(&tried, &url)?;
        }
    }

    /// Sends something that is done once.
    pub(super) async fn write<T>(
        &self,
        url: &Url,
        body: &str,
        parse: fn(&str) -> Result<T>,
    ) -> Result<T> {
        let reply = self.send(Method::POST, url, body).await?;
        parsed(&reply, parse)
    }

    /// Returns when all name servers of Route 53 have the changes.
    pub(super) async fn wait_for(&self, changes: &[String]) -> Result<()> {
        let start = Instant::now();
        let (mut pause, longest) = POLL;
        for id in changes {
            let url = self.url(&["change", id], &[])?;
            while !self.read(&url, xml::change).await?.is_in_sync {
                ensure!(
                    start.elapsed() < SYNC_TIMEOUT,
                    "after {} s, not all name servers of Route 53 have the change `{id}`",
                    SYNC_TIMEOUT.as_secs()
                );
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
        }
        Ok(())
    }

    async fn send(&self, method: Method, url: &Url, body: &str) -> Result<Reply> {
        let mut pause = FIRST_PAUSE;
        let mut sent = self.send_once(&method, url, body).await;
        for _ in 1..ATTEMPTS {
            let code = sent.as_ref().err().and_then(code);
            if !code.is_some_and(|code| LATER.contains(&code.as_str())) {
                break;
            }
            tokio::time::sleep(jittered(pause)).await;
            pause *= 2;
            sent = self.send_once(&method, url, body).await;
        }
        sent
    }

    async fn send_once(&self, method: &Method, url: &Url, body: &str) -> Result<Reply> {
        let keys = self.credentials.keys(&self.api).await?;
        let content_type = (!body.is_empty()).then_some("application/xml");
        let unsigned = Unsigned {
            method: method.as_str(),
            url,
            content_type,
            body,
        };
        let mut request = self.api.request(method.clone(), url.clone());
        for (name, value) in sign(&unsigned, &keys, SCOPE, OffsetDateTime::now_utc())? {
            let mut value = HeaderValue::try_from(value).context("bad AWS credentials")?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
            request = request.body(body.to_owned());
        }
        let is_read = *method == Method::GET;
        let repeat = if is_read {
            Repeat::Safe
        } else {
            Repeat::WhenRefused
        };
        self.api.send(request, repeat).await
    }
}

fn parsed<T>(reply: &Reply, parse: fn(&str) -> Result<T>) -> Result<T> {
    parse(&reply.body).with_context(|| format!("cannot read the answer to `{}`", reply.tried))
}

/// The code of the error that the API answered with.
pub(super) fn code(error: &anyhow::Error) -> Option<String> {
    xml::code(&failure(error)?.body)
}
