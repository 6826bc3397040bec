//! ACME Renewal Information (RFC 9773): asked without an account.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::acme::account::Account;
use crate::acme::presets::Directory;
use crate::model::chain::Leaf;
use crate::model::renewal::{CertificateId, RenewalInfo};
use crate::net::http::{Http, Repeat, retry_after};

/// When to ask again where the CA does not say: Let's Encrypt's own figure.
const ASK_AGAIN: Duration = Duration::from_hours(6);

/// Bounds of what the CA says (RFC 9773 section 4.3.2).
const ASK_AGAIN_AT_LEAST: Duration = Duration::from_mins(1);
const ASK_AGAIN_AT_MOST: Duration = Duration::from_hours(24);

/// Longest wait for an answer that the next run can ask for as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 64 << 10;

/// The renewalInfo resource of a CA. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Renewals {
    http: Http,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    renewal_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    suggested_window: Window,
    #[serde(rename = "explanationURL")]
    explanation_url: Option<String>,
}

#[derive(Deserialize)]
struct Window {
    #[serde(with = "time::serde::rfc3339")]
    start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    end: OffsetDateTime,
}

impl Renewals {
    /// The resource that the directory names; none where the CA has none.
    pub(crate) async fn of(directory: &Directory, http: &Http) -> Result<Option<Self>> {
        let (_, body) = get(http, directory.url()).await?;
        let resources: Resources =
            serde_json::from_slice(&body).context("this is no ACME directory")?;
        Ok(resources.renewal_info.map(|url| Self::at(&url, http)))
    }

    fn at(url: &str, http: &Http) -> Self {
        Self {
            http: http.clone(),
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    /// What the CA says about one certificate.
    pub(crate) async fn info(
        &self,
        id: &CertificateId,
        now: OffsetDateTime,
    ) -> Result<RenewalInfo> {
        let (headers, body) = get(&self.http, &format!("{}/{id}", self.url)).await?;
        let answer: Answer =
            serde_json::from_slice(&body).context("the answer is not what RFC 9773 says")?;
        let Window { start, end } = answer.suggested_window;
        // Such a window means nothing (RFC 9773 section 4.2).
        ensure!(start < end, "the window ends before it starts");
        let wait = retry_after(&headers, now)
            .unwrap_or(ASK_AGAIN)
            .clamp(ASK_AGAIN_AT_LEAST, ASK_AGAIN_AT_MOST);
        Ok(RenewalInfo {
            start,
            end,
            explanation_url: answer.explanation_url.filter(|url| is_web_page(url)),
            next_check: now + wait,
        })
    }
}

impl Account {
    /// What the CA says about a certificate that it has just issued; none where it says nothing yet.
    pub(crate) async fn renewal_info(&self, leaf: &Leaf) -> Option<RenewalInfo> {
        let renewals = Renewals::at(&self.client.abilities().renewal_info?, self.client.http());
        let id = leaf.id.as_ref()?;
        let asking = renewals.info(id, OffsetDateTime::now_utc());
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok()?;
        // The next run asks again.
        answer
            .inspect_err(|error| tracing::debug!("no renewal info yet: {error:#}"))
            .ok()
    }
}

/// It is printed: nothing but an address.
fn is_web_page(url: &str) -> bool {
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic());
    printable && (url.starts_with("https://") || url.starts_with("http://"))
}

async fn get(http: &Http, url: &str) -> Result<(HeaderMap, Vec<u8>)> {
    let request = http.client().get(url).build()?;
    let mut answer = http.send(request, Repeat::Safe).await?;
    let status = answer.status();
    ensure!(status == StatusCode::OK, "the CA answered `{status}`");
    let headers = answer.headers().clone();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        body.extend_from_slice(&part);
        if body.len() > LARGEST_ANSWER {
            return Err(anyhow!("the answer is longer than {LARGEST_ANSWER} bytes"));
        }
    }
    Ok((headers, body))
}
