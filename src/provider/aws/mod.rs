//! What AWS's APIs share: where credentials come from, and signatures.

mod fetch;
pub(super) mod keys;
mod machine;
mod profiles;
pub(super) mod sigv4;
mod source;

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use url::Url;

use crate::model::provider::ProviderEntry;
use crate::net::http::Http;
use crate::provider::aws::fetch::Fetch;
use crate::provider::aws::keys::Keys;
use crate::provider::aws::source::Source;
use crate::provider::base::address;
use crate::provider::http::Api;
use crate::provider::registry::Context;

/// STS of the region that DNSControl fixes; <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>.
const STS: &str = "https://sts.us-east-1.amazonaws.com/";
const STS_VARIABLES: &[&str] = &["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];

/// The credentials of an entry; those of a session are fetched when they are needed.
pub(super) struct Credentials {
    source: Source,
    http: Http,
    sts: Url,
    held: Mutex<Option<Arc<Keys>>>,
}

impl Credentials {
    /// Looks where they are; nothing is sent.
    pub(super) fn find(entry: &ProviderEntry, context: &Context) -> Result<Self> {
        let environment = &context.environment;
        let source = Source::find(entry, environment).with_context(|| {
            format!(
                "cannot find AWS credentials for `creds.json` entry `{}`",
                entry.name
            )
        })?;
        Ok(Self {
            source,
            http: context.http.clone(),
            sts: address(environment, STS, STS_VARIABLES)?,
            held: Mutex::default(),
        })
    }

    /// Where they come from, for hints.
    pub(super) fn place(&self) -> &str {
        &self.source.place
    }

    /// Keys that last some minutes more. Messages of `api` never hold them.
    pub(super) async fn keys(&self, api: &Api) -> Result<Arc<Keys>> {
        let mut held = self.held.lock().await;
        if let Some(keys) = held
            .as_ref()
            .filter(|keys| keys.last(OffsetDateTime::now_utc()))
        {
            return Ok(Arc::clone(keys));
        }
        let fetch = Fetch {
            api,
            http: &self.http,
            sts: &self.sts,
        };
        let keys = fetch.keys(&self.source).await?;
        tracing::debug!(place = self.place(), ?keys, "AWS credentials");
        *held = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.place())
    }
}
