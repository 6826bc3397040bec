//! AWS keys, long-lived or of a session.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::secret::Secret;
use crate::provider::http::Api;

/// How long before their end keys are replaced: a change with its waits has to fit in.
const SPARE: Duration = Duration::from_mins(5);

/// An access key.
pub(in crate::provider) struct Keys {
    id: String,
    secret: Secret,
    /// That of a session.
    token: Option<Secret>,
    /// None for keys that do not expire by themselves.
    expires: Option<OffsetDateTime>,
}

/// Keys as services hand them out: STS under these names in XML, containers and instances in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) token: String,
    /// RFC 3339.
    pub(super) expiration: String,
}

impl Keys {
    pub(in crate::provider) fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            secret: Secret::from(secret.to_owned()),
            token: token.map(|token| Secret::from(token.to_owned())),
            expires: None,
        }
    }

    pub(super) fn from_answer(answer: &Answer) -> Result<Self> {
        let Answer {
            access_key_id,
            secret_access_key,
            token,
            expiration,
        } = answer;
        let expires = OffsetDateTime::parse(expiration, &Rfc3339)
            .with_context(|| format!("the keys expire at `{expiration}`, which is no time"))?;
        Ok(Self {
            expires: Some(expires),
            ..Self::new(access_key_id, secret_access_key, Some(token))
        })
    }

    pub(in crate::provider) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.expose()
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_ref()?.expose_str()
    }

    /// Whether requests can be signed with them for some minutes more.
    pub(super) fn last(&self, now: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| expires - now > SPARE)
    }

    /// Keeps them out of the messages of an API.
    pub(super) fn hide_from(&self, api: &Api) {
        let secret = self.secret.expose_str().unwrap_or_default();
        api.hide("secret access key", secret);
        api.hide("session token", self.token().unwrap_or_default());
    }
}

/// Which, without the secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn keys_end() {
        let answer = Answer {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "hunter2".to_owned(),
            token: "session".to_owned(),
            expiration: "2026-11-25T17:00:00Z".to_owned(),
        };
        let keys = Keys::from_answer(&answer).unwrap();
        assert!(keys.last(datetime!(2026-11-25 16:54:59 UTC)));
        assert!(!keys.last(datetime!(2026-11-25 16:55:00 UTC)));
        assert_eq!(format!("{keys:?}"), "Keys(ASIAEXAMPLE)");
        let endless = Keys::new("AKIAEXAMPLE", "hunter2", None);
        assert!(endless.last(datetime!(2126-11-25 17:00:00 UTC)));
        let answer = Answer {
            expiration: "soon".to_owned(),
            ..answer
        };
        assert_eq!(
            Keys::from_answer(&answer).unwrap_err().to_string(),
            "the keys expire at `soon`, which is no time"
        );
    }
}
