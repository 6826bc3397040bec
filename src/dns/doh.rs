//! Questions to recursive resolvers over HTTPS (RFC 8484), for where port 53 is blocked.

use std::cmp::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Request, StatusCode};
use tokio::time::timeout;
use url::Url;

use crate::dns::exchange::{Unanswered, answers};
use crate::model::name::DnsName;
use crate::net::http::{Http, Repeat, body};

/// The form of questions and answers (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";

/// Longest wait for an answer, the connection included. A question is put again later anyway.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest DNS message (RFC 8484 section 6).
const LARGEST: usize = 65_535;

/// A recursive resolver that is asked over HTTPS.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    url: Url,
    host: DnsName,
    http: Http,
}

/// Resolvers of one host are one operator's.
impl Ord for Resolver {
    fn cmp(&self, other: &Self) -> Ordering {
        self.host.cmp(&other.host)
    }
}

impl PartialOrd for Resolver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Resolver {}

impl Resolver {
    /// A resolver by its URL, such as `https://dns.google/dns-query`.
    pub(crate) fn new(url: &str, http: &Http) -> Result<Self> {
        let parsed: Url = url.parse().with_context(|| format!("`{url}` is no URL"))?;
        ensure!(parsed.scheme() == "https", "`{url}` is not an https:// URL");
        let host = parsed.host_str().unwrap_or_default().parse();
        Ok(Self {
            host: host.with_context(|| format!("`{url}` has no host"))?,
            url: parsed,
            http: http.clone(),
        })
    }

    /// Another path on the same host.
    #[cfg(test)]
    pub(super) fn at(mut self, path: &str) -> Self {
        self.url.set_path(path);
        self
    }

    /// Who runs it, for people and to tell resolvers apart.
    pub(crate) fn host(&self) -> &DnsName {
        &self.host
    }

    /// Asks for records of type `kind` at `name`, with recursion.
    pub(super) async fn ask(&self, kind: RecordType, name: &Name) -> Result<Message, Unanswered> {
        let asked = timeout(PATIENCE, self.exchange(kind, name)).await;
        let answer = asked.unwrap_or(Err(Unanswered::Silent));
        if let Err(error) = &answer {
            tracing::debug!(url = %self.url, %name, %error, "no answer over HTTPS");
        }
        answer
    }

    async fn exchange(&self, kind: RecordType, name: &Name) -> Result<Message, Unanswered> {
        let request = self
            .request(kind, name)
            .map_err(|error| unreachable(&error))?;
        let sent = self.http.send(request, Repeat::Never).await;
        let answer = sent.map_err(|error| unreachable(&error.into()))?;
        if answer.status() != StatusCode::OK {
            return Err(Unanswered::Status(answer.status().as_u16()));
        }
        // Proxies answer with pages.
        let form = answer.headers().get(CONTENT_TYPE);
        if form.is_none_or(|form| form.as_bytes() != MESSAGE.as_bytes()) {
            return Err(Unanswered::Garbled);
        }
        let bytes = body(answer, LARGEST)
            .await
            .map_err(|error| unreachable(&error))?;
        match Message::from_vec(&bytes) {
            Ok(message) if answers(&message, name, kind) && !message.metadata.truncation => {
                Ok(message)
            }
            _ => Err(Unanswered::Garbled),
        }
    }

    /// With POST: answers to GET may be kept by proxies (RFC 8484 section 5.1).
    fn request(&self, kind: RecordType, name: &Name) -> Result<Request> {
        let mut question = Message::query();
        question.metadata.id = 0;
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(name.clone(), kind));
        let request = self.http.client().post(self.url.clone());
        let request = request
            .header(CONTENT_TYPE, MESSAGE)
            .header(ACCEPT, MESSAGE);
        Ok(request.body(question.to_vec()?).build()?)
    }
}

/// Which of the causes is worth telling is known to the client alone: the log has them.
fn unreachable(error: &anyhow::Error) -> Unanswered {
    tracing::debug!(error = format!("{error:#}"), "a resolver over HTTPS failed");
    Unanswered::Unreachable("no connection over HTTPS".to_owned())
}

/// How long a resolver goes on giving this answer: the rest of the records' life at `name`, or that
/// of the negative answer, which the SOA record tells (RFC 2308 section 5).
pub(super) fn kept_for(message: &Message, name: &Name) -> Option<Duration> {
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return None;
    }
    let answers = message.answers.iter();
    let there = answers.filter(|record| record.name == *name);
    let seconds = there.map(|record| record.ttl).min().or_else(|| {
        message
            .authorities
            .iter()
            .find_map(|record| match &record.data {
                RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            })
    });
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}
