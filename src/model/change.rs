//! Challenge values to be written to DNS and taken back.

use std::fmt;

use crate::model::name::DnsName;

/// One TXT value at one name. The value is one string of at most 255 octets, unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Txt {
    pub(crate) name: DnsName,
    pub(crate) value: String,
}

/// Length of a SHA-256 digest in base64url without padding.
const DIGEST: usize = 43;

impl Txt {
    /// Whether the value looks like what ACME has published for DNS-01: the base64url digest of a
    /// key authorization (RFC 8555 section 8.4).
    pub(crate) fn looks_like_a_challenge(&self) -> bool {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        self.value.len() == DIGEST && self.value.bytes().all(is_base64url)
    }
}

impl fmt::Display for Txt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} TXT \"{}\"", self.name, self.value)
    }
}

/// TXT values of one zone that are added and removed in as few API calls as the provider allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TxtBatch {
    pub(crate) add: Vec<Txt>,
    pub(crate) remove: Vec<Txt>,
}

impl TxtBatch {
    /// A batch that only adds.
    pub(crate) fn adding(values: Vec<Txt>) -> Self {
        Self {
            add: values,
            remove: Vec::new(),
        }
    }

    /// A batch that only removes.
    pub(crate) fn removing(values: Vec<Txt>) -> Self {
        Self {
            add: Vec::new(),
            remove: values,
        }
    }
}

/// What a change that failed has done all the same. It prints as the error that it carries.
///
/// An error without this may have done all of the change, a part, or nothing.
#[derive(Debug)]
pub(crate) struct FailedChange {
    pub(crate) error: anyhow::Error,
    pub(crate) effect: Effect,
}

/// The known effect of a change that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing was written.
    Nothing,
    /// It was written, but name servers that have to read it have yet to be told.
    Untold,
}

impl fmt::Display for FailedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for FailedChange {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.chain().nth(1)
    }
}

/// `error` of a change that has had this effect.
pub(crate) fn with_effect(error: anyhow::Error, effect: Effect) -> anyhow::Error {
    anyhow::Error::new(FailedChange { error, effect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_from_other_values() {
        let looks = |value: &str| {
            let name = "_acme-challenge.example.com".parse().unwrap();
            let value = value.to_owned();
            Txt { name, value }.looks_like_a_challenge()
        };
        assert!(looks("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"));
        assert!(looks("----_____ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh"));
        assert!(!looks("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX"));
        assert!(!looks("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0="));
        assert!(!looks("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEu+0"));
        assert!(!looks("v=spf1 include:_spf.example.com -all ------"));
    }
}
