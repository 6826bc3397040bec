//! A CA's directory (RFC 8555 section 7.1.1): what it offers, and what a new account needs.

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::acme::client::Client;
use crate::acme::presets::{Directory, WHAT_ACME_TAKES};
use crate::acme::refusal::{Refusal, explained};
use crate::model::hint::{Hint, find, with_hint};

/// What is read of a directory: instant-acme keeps it to itself. Only newNonce and newAccount are
/// needed; what else is missing fails when it is asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offers {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) key_change: Option<String>,
    pub(super) revoke_cert: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) terms_of_service: Option<String>,
    pub(super) external_account_required: bool,
}

impl Offers {
    /// Fetches the directory.
    pub(super) async fn of(directory: &Directory, client: &Client) -> Result<Self> {
        let body = client.directory(directory.url()).await.map_err(|error| {
            let error = explained(error);
            let status = find::<Refusal>(&error).and_then(|refusal| refusal.status);
            match status {
                Some(StatusCode::NOT_FOUND) => with_hint(error, WHAT_ACME_TAKES),
                _ => error,
            }
        })?;
        serde_json::from_slice(&body)
            .context("this is no ACME directory")
            .hint(|| WHAT_ACME_TAKES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_optional_may_be_missing() {
        let least = r#"{"newNonce": "https://ca.test/n", "newAccount": "https://ca.test/a"}"#;
        let offers: Offers = serde_json::from_str(least).unwrap();
        assert_eq!(offers.key_change, None);
        assert_eq!(offers.revoke_cert, None);
        assert_eq!(offers.meta.terms_of_service, None);
        assert!(!offers.meta.external_account_required);
        let bare_meta = least.replace('}', r#", "meta": {}}"#);
        let offers: Offers = serde_json::from_str(&bare_meta).unwrap();
        assert_eq!(offers.meta.terms_of_service, None);
    }
}
