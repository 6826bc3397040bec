//! What an API said, and how a request failed.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
#[cfg(test)]
use reqwest::header::{HeaderName, HeaderValue};

use crate::model::hint::find;

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    /// Method and path, without secrets.
    pub(super) tried: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// Why an API says no; decides the hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The credentials are wrong, or may not do this.
    Credentials,
    /// The zone is not there, or not for these credentials.
    NotFound,
    Other,
}

/// A request that did not succeed. The body has no credentials.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Failure {
    pub(super) what: String,
    /// None where there was no answer: the request may have been carried out.
    pub(super) status: Option<StatusCode>,
    pub(super) body: String,
    pub(super) retry_after: Option<Duration>,
    #[source]
    pub(super) cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The failed request behind an error.
pub(super) fn failure(error: &anyhow::Error) -> Option<&Failure> {
    find(error)
}

/// The status that the failed request behind an error was answered with.
pub(super) fn status(error: &anyhow::Error) -> Option<StatusCode> {
    failure(error)?.status
}

#[cfg(test)]
impl Reply {
    /// An answer with nothing but a header.
    pub(super) fn with_header(name: HeaderName, value: &str) -> Self {
        Self {
            tried: "GET /".to_owned(),
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]),
            body: String::new(),
        }
    }
}
