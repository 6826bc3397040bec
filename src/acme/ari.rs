//! ACME Renewal Information (RFC 9773): asked without an account.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::acme::account::Account;
use crate::acme::client::Client;
use crate::acme::connections::Connections;
use crate::acme::directory::Offers;
use crate::acme::endpoint::Endpoint;
use crate::acme::presets::Directory;
use crate::acme::refusal::explained;
use crate::model::chain::Leaf;
use crate::model::renewal::{ASK_AGAIN_AT_MOST, CertificateId, RenewalInfo};

/// When to ask again where the CA does not say: Let's Encrypt's own figure.
const ASK_AGAIN: Duration = Duration::from_hours(6);

/// The CA can ask for no less (RFC 9773 section 4.3.2).
const ASK_AGAIN_AT_LEAST: Duration = Duration::from_mins(1);

/// Longest wait for an answer that the next run can ask for as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// The renewalInfo resource of a CA. Cloning shares the connections.
#[derive(Clone)]
pub(crate) struct Renewals {
    client: Client,
    url: String,
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
    pub(crate) async fn of(
        directory: &Directory,
        connections: &Connections,
    ) -> Result<Option<Self>> {
        let client = connections.to(directory);
        Offers::of(directory, &client).await?;
        Ok(Self::at(&client))
    }

    /// The same where the directory has been fetched.
    fn at(client: &Client) -> Option<Self> {
        let url = client.abilities().renewal_info?;
        Some(Self {
            client: client.clone(),
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// What the CA says about one certificate.
    pub(crate) async fn info(
        &self,
        id: &CertificateId,
        now: OffsetDateTime,
    ) -> Result<RenewalInfo> {
        let url = format!("{}/{id}", self.url);
        let body = self.client.fetch(Endpoint::RenewalInfo, &url).await;
        let body = body.map_err(explained)?;
        let answer: Answer =
            serde_json::from_slice(&body).context("the answer is not what RFC 9773 says")?;
        let Window { start, end } = answer.suggested_window;
        // Such a window means nothing (RFC 9773 section 4.2).
        ensure!(start < end, "the window ends before it starts");
        let asked = self.client.take_wait(&url);
        let wait = asked
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
        let renewals = Renewals::at(&self.client)?;
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
