//! What a CA can do beyond RFC 8555, as its directory and its headers say.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::header::{HeaderMap, LINK};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::model::certificate::Profile;
use crate::model::hint::with_hint;

/// What a directory says of the CA beyond RFC 8555.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Abilities {
    /// Where the CA tells when to renew; it then takes `replaces` in an order too (RFC 9773).
    pub(super) renewal_info: Option<String>,
    meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    /// Names and descriptions (draft-ietf-acme-profiles section 3).
    profiles: BTreeMap<String, Value>,
    /// Domains that stand for the CA in CAA records (RFC 8555 section 7.1.1).
    #[serde(rename = "caaIdentities")]
    caa_identities: Vec<String>,
}

impl Abilities {
    /// A directory that cannot be read says nothing.
    pub(super) fn read(directory: &[u8]) -> Self {
        serde_json::from_slice(directory).unwrap_or_default()
    }

    /// Domains that stand for the CA in CAA records.
    pub(super) fn caa_identities(&self) -> &[String] {
        &self.meta.caa_identities
    }

    /// The profile to ask for; none where the CA does not have the preferred one.
    pub(super) fn profile(&self, wanted: Option<&Profile>) -> Result<Option<String>> {
        let Some(profile) = wanted else {
            return Ok(None);
        };
        let name = profile.name();
        let known: Vec<_> = self.profiles().collect();
        match profile {
            _ if known.contains(&name) => Ok(Some(name.to_owned())),
            Profile::Preferred(_) => Ok(None),
            Profile::Required(_) => Err(with_hint(
                anyhow!("the CA does not have the profile `{name}`"),
                match known.as_slice() {
                    [] => "it has no profiles at all: leave `required_profile` out".to_owned(),
                    known => format!("it has `{}`", known.join("`, `")),
                },
            )),
        }
    }

    /// Names of the profiles, sorted.
    fn profiles(&self) -> impl Iterator<Item = &str> {
        self.meta.profiles.keys().map(String::as_str)
    }
}

/// What the CA answered where a chain is.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) body: Bytes,
    /// Where other chains for the same certificate are (RFC 8555 section 7.4.2).
    pub(super) alternates: Vec<String>,
}

/// Addresses in `Link` headers with the relation `alternate` (RFC 8288), at the same host only.
pub(super) fn alternates(headers: &HeaderMap, url: &str) -> Vec<String> {
    let Ok(base) = Url::parse(url) else {
        return Vec::new();
    };
    let values = headers.get_all(LINK).into_iter();
    let links = values.filter_map(|value| value.to_str().ok());
    let links = links.flat_map(|value| value.split(",<").flat_map(|link| link.split(", <")));
    links
        .filter_map(|link| {
            let (target, parameters) = link.trim().trim_start_matches('<').split_once('>')?;
            let is_alternate = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim().to_ascii_lowercase();
                parameter == "rel=alternate" || parameter == "rel=\"alternate\""
            });
            let target = base.join(target).ok()?;
            (is_alternate && target.origin() == base.origin()).then(|| target.into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_there() {
        for directory in ["{}", r#"{"meta": {}}"#, "[]", "<html>"] {
            let abilities = Abilities::read(directory.as_bytes());
            assert!(abilities.renewal_info.is_none());
            assert_eq!(abilities.profiles().count(), 0);
        }
        let text = r#"{"renewalInfo": "https://ca.test/ari", "meta": {
                "profiles": {"b": "B", "a": "A"}, "caaIdentities": ["ca.test"]}}"#;
        let abilities = Abilities::read(text.as_bytes());
        assert_eq!(abilities.profiles().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(abilities.caa_identities(), ["ca.test"]);
    }

    #[test]
    fn alternates_are_at_the_same_host() {
        let mut headers = HeaderMap::new();
        for value in [
            r#"<https://ca.test/cert/1/1>;rel="alternate", </cert/1/2>; rel=alternate"#,
            r#"<https://ca.test/dir>;rel="index""#,
            r#"<https://evil.test/cert>;rel="alternate""#,
            "nonsense",
        ] {
            headers.append(LINK, value.parse().unwrap());
        }
        assert_eq!(
            alternates(&headers, "https://ca.test/cert/1"),
            ["https://ca.test/cert/1/1", "https://ca.test/cert/1/2"]
        );
        assert!(alternates(&headers, "not a URL").is_empty());
    }
}
