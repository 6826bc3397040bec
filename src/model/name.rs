//! DNS names and ACME identifiers, canonical from the start.

use std::fmt;
use std::str::FromStr;

/// Label that ACME prefixes to a name for DNS-01 (RFC 8555 section 8.4).
const CHALLENGE_LABEL: &str = "_acme-challenge";

/// Longest name in text form, without the final dot (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// Longest label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// A DNS name: lower case, A-labels, no final dot. The root is the empty string.
///
/// Labels that are no host names (`_acme-challenge`, `*`, `0/25`) are allowed: this is the owner
/// name of a record or of a zone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DnsName(String);

/// Why a text is no DNS name or no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("`{0}` is not a DNS name")]
    Syntax(String),
    #[error("`{0}` is longer than 253 characters")]
    TooLong(String),
    #[error("`{0}` has a label that is empty or longer than 63 characters")]
    Label(String),
    #[error("`{0}` is an IP address; DNS-01 cannot prove addresses")]
    Address(String),
    #[error("`{0}` has only one label")]
    OneLabel(String),
    #[error("`{0}` has a wildcard that is not its whole first label")]
    Wildcard(String),
}

impl DnsName {
    /// The root.
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    /// Parent of this name; none for the root.
    pub(crate) fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(
            self.0
                .split_once('.')
                .map_or_else(String::new, |(_, rest)| rest.to_owned()),
        ))
    }

    /// This name below `suffix`: `www` in `example.com` is `www.example.com`.
    pub(crate) fn within(label: &str, suffix: &Self) -> Result<Self, NameError> {
        format!("{label}.{suffix}").parse()
    }

    /// Whether this name is `zone` or below it.
    pub(crate) fn is_in(&self, zone: &Self) -> bool {
        self.label_in(zone).is_some()
    }

    /// The short label of this name in `zone`: `@` at the apex, none outside the zone.
    pub(crate) fn label_in(&self, zone: &Self) -> Option<&str> {
        if self == zone {
            return Some("@");
        }
        if zone.0.is_empty() {
            return Some(&self.0);
        }
        self.0.strip_suffix(&zone.0)?.strip_suffix('.')
    }

    /// Whether this is a challenge name: its first label is `_acme-challenge`.
    pub(crate) fn is_challenge(&self) -> bool {
        self.0
            .split('.')
            .next()
            .is_some_and(|label| label == CHALLENGE_LABEL)
    }

    /// The domain that was registered for this name, by the public suffix list with its private part; the name
    /// itself where it is a suffix.
    pub(crate) fn registered_domain(&self) -> Self {
        Self(psl::domain_str(&self.0).unwrap_or(&self.0).to_owned())
    }

    /// Text with the final dot.
    pub(crate) fn fqdn(&self) -> String {
        format!("{}.", self.0)
    }

    /// Text without the final dot.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        let ascii = if bare.is_ascii() {
            bare.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(bare).map_err(|_| NameError::Syntax(text.to_owned()))?
        };
        if ascii.len() > MAX_NAME {
            return Err(NameError::TooLong(text.to_owned()));
        }
        if ascii.is_empty() {
            return if text == "." {
                Ok(Self(ascii))
            } else {
                Err(NameError::Syntax(text.to_owned()))
            };
        }
        if ascii
            .split('.')
            .any(|label| label.is_empty() || label.len() > MAX_LABEL)
        {
            return Err(NameError::Label(text.to_owned()));
        }
        if ascii.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(NameError::Syntax(text.to_owned()));
        }
        Ok(Self(ascii))
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A name that a certificate is for: an ACME identifier of type `dns`, wildcard or not.
///
/// Ordered as text, so `*.example.com` comes before `example.com`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Identifier(String);

impl Identifier {
    /// The name without `*.`; what the CA calls the identifier of the authorization.
    pub(crate) fn base(&self) -> DnsName {
        DnsName(self.0.strip_prefix("*.").unwrap_or(&self.0).to_owned())
    }

    /// Where the proof for this name is published (RFC 8555 section 8.4).
    ///
    /// A name and its wildcard share it.
    pub(crate) fn challenge_name(&self) -> DnsName {
        DnsName(format!("{CHALLENGE_LABEL}.{}", self.base()))
    }

    /// A-label text, with `*.` for a wildcard.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (star, rest) = match text.strip_prefix("*.") {
            Some(rest) => ("*.", rest),
            None => ("", text),
        };
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(NameError::Address(text.to_owned()));
        }
        if rest.contains('*') {
            return Err(NameError::Wildcard(text.to_owned()));
        }
        let name: DnsName = rest.parse().map_err(|error| match error {
            NameError::TooLong(_) => NameError::TooLong(text.to_owned()),
            NameError::Label(_) => NameError::Label(text.to_owned()),
            _ => NameError::Syntax(text.to_owned()),
        })?;
        let hostname = name.0.split('.').all(|label| {
            label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
        if !hostname {
            return Err(NameError::Syntax(text.to_owned()));
        }
        if !name.0.contains('.') {
            return Err(NameError::OneLabel(text.to_owned()));
        }
        Ok(Self(format!("{star}{name}")))
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_canonical() {
        assert_eq!(name("WWW.Example.COM.").as_str(), "www.example.com");
        assert_eq!(name("bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(name(".").as_str(), "");
        assert_eq!(
            name("_acme-challenge.x.test").fqdn(),
            "_acme-challenge.x.test."
        );
    }

    #[test]
    fn what_is_no_name() {
        for text in ["", "a..b", "a b.test", ".a"] {
            assert!(text.parse::<DnsName>().is_err(), "{text:?}");
        }
        assert!("a".repeat(64).parse::<DnsName>().is_err());
    }

    #[test]
    fn labels_in_a_zone() {
        let zone = name("example.com");
        assert_eq!(name("example.com").label_in(&zone), Some("@"));
        assert_eq!(name("a.b.example.com").label_in(&zone), Some("a.b"));
        assert_eq!(name("badexample.com").label_in(&zone), None);
        assert!(!name("com").is_in(&zone));
    }

    #[test]
    fn a_wildcard_and_its_base_share_the_challenge_name() {
        let star: Identifier = "*.Example.com".parse().unwrap();
        let base: Identifier = "example.com.".parse().unwrap();
        assert_eq!(star.challenge_name(), base.challenge_name());
        assert_eq!(
            star.challenge_name().as_str(),
            "_acme-challenge.example.com"
        );
        assert!(star < base);
    }

    #[test]
    fn what_is_no_identifier() {
        let error = |text: &str| text.parse::<Identifier>().unwrap_err();
        assert_eq!(error("10.0.0.1"), NameError::Address("10.0.0.1".into()));
        assert_eq!(error("localhost"), NameError::OneLabel("localhost".into()));
        assert_eq!(error("a.*.test"), NameError::Wildcard("a.*.test".into()));
        assert_eq!(error("_x.test"), NameError::Syntax("_x.test".into()));
        assert_eq!(error("-x.test"), NameError::Syntax("-x.test".into()));
        assert_eq!(error("*."), NameError::Syntax("*.".into()));
    }
}
