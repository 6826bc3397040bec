//! Certificates: wanted, held, issued.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::model::chain::Leaf;
use crate::model::name::Identifier;
use crate::model::renewal::RenewalInfo;
use crate::model::request::SigningRequest;
use crate::model::secret::{Sealed, Secret};

/// Name of a certificate in certs.json and of its folder.
///
/// A letter, then letters, digits, `-` and `_`: get-certs' rule, which also keeps the name inside
/// `certificates/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CertificateName(String);

/// A text is no certificate name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a certificate name")]
pub(crate) struct BadCertificateName(pub(crate) String);

impl CertificateName {
    /// Stands for the name of an entry of certs.json that has none.
    pub(crate) fn of_entry(number: usize) -> Self {
        Self(format!("entry-{number}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CertificateName {
    type Err = BadCertificateName;

    fn from_str(text: &str) -> Result<Self, BadCertificateName> {
        let mut characters = text.chars();
        let good = characters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && characters.all(|rest| rest.is_ascii_alphanumeric() || rest == '-' || rest == '_');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCertificateName(text.to_owned()))
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kind and size of a certificate's private key.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyType {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::P256 => "p256",
            Self::P384 => "p384",
        })
    }
}

/// Which of its sets of rules the CA shall issue by (draft-ietf-acme-profiles).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Where the CA has it; else the CA chooses.
    Preferred(String),
    /// Or no certificate at all.
    Required(String),
}

impl Profile {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Preferred(name) | Self::Required(name) => name,
        }
    }
}

/// Where the private key of the next certificate comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A new one, each time.
    #[default]
    New,
    /// The one of the certificate that is held, if it is of the wanted type.
    Kept,
    /// Somebody else has it.
    Request(SigningRequest),
}

impl KeySource {
    /// Whether somebody else has the key, and nobody here.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Request(_))
    }
}

/// A certificate that certs.json asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: CertificateName,
    /// In the order of certs.json, without duplicates; at least one.
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) key_type: KeyType,
    pub(crate) key_source: KeySource,
    /// The CA, as `--acme` takes it; none: that of the run.
    pub(crate) acme: Option<String>,
    /// None: as the CA chooses.
    pub(crate) profile: Option<Profile>,
    /// Common name of a root or an issuer that the chain shall lead to; none: the CA's first chain.
    pub(crate) preferred_chain: Option<String>,
    /// Recipients of its key, one a line; none: those of a file.
    pub(crate) recipients: Option<String>,
}

impl Wanted {
    /// The identifiers as a set, to be compared.
    pub(crate) fn identifier_set(&self) -> BTreeSet<&Identifier> {
        self.identifiers.iter().collect()
    }
}

/// A certificate that a CA issued some time ago, as far as its limits are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuance {
    pub(crate) identifiers: BTreeSet<Identifier>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) serial: String,
    /// Directory URL of the CA.
    pub(crate) directory: String,
    /// Whether there was one with the same names before; none: not known.
    pub(crate) is_renewal: Option<bool>,
}

/// A certificate that the repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) leaf: Leaf,
    /// A URL of the CA that issued it: its directory, or where get-certs found the certificate.
    pub(crate) ca: Option<String>,
    /// What that CA said last about its renewal.
    pub(crate) renewal: Option<RenewalInfo>,
    /// Hash of the recipients that its key is encrypted for, as far as that is known.
    pub(crate) recipients: Option<String>,
}

/// The private key of a new certificate, in the forms that the stores of the run take; in none where
/// somebody else has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewKey {
    /// For git: encrypted for the certificate's recipients.
    pub(crate) sealed: Option<Sealed>,
    /// For Vault, which guards keys itself.
    pub(crate) open: Option<Arc<Secret>>,
}

/// A certificate that the CA issued in this run, ready for the store.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) wanted: Wanted,
    /// Full chain, leaf first, PEM.
    pub(crate) chain_pem: String,
    pub(crate) leaf: Leaf,
    pub(crate) key: NewKey,
    /// When the CA handed it out, by the clock of this machine.
    pub(crate) received: OffsetDateTime,
    /// Where the CA keeps the certificate.
    pub(crate) url: String,
    /// Directory URL of the CA.
    pub(crate) directory: String,
    /// The profile that was asked for; none where the CA chose.
    pub(crate) profile: Option<String>,
    /// What the CA says about its renewal, where it says so at once.
    pub(crate) renewal: Option<RenewalInfo>,
}
