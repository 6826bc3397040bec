//! Why a certificate is revoked (RFC 5280 section 5.3.1), and what came of it.

use std::fmt;
use std::str::FromStr;

/// A reason that the owner of a certificate can have.
///
/// The other reasons of RFC 5280 are the CA's own. Let's Encrypt takes all of these but
/// `affiliationChanged`: <https://letsencrypt.org/docs/revoking/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}

/// Whether there was anything to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Now,
    Before,
}

impl Reason {
    const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// `CRLReason`.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        })
    }
}

impl FromStr for Reason {
    type Err = String;

    /// Any case, as nobody remembers where the capitals are.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.map(|reason| (reason, reason.to_string()));
        let found = named
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.map(|(reason, _)| *reason).ok_or_else(|| {
            let names: Vec<_> = named.iter().map(|(_, name)| name.as_str()).collect();
            format!("one of {} is needed", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_in_any_case() {
        for reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
            assert_eq!(reason.to_string().to_lowercase().parse(), Ok(reason));
        }
        assert_eq!(
            "cACompromise".parse::<Reason>(),
            Err(
                "one of unspecified, keyCompromise, affiliationChanged, superseded, \
                 cessationOfOperation is needed"
                    .to_owned()
            )
        );
    }
}
