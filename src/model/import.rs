//! What comes over from another program, as far as it is told.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::Error;
use time::OffsetDateTime;

use crate::model::certificate::{CertificateName, KeyType};

/// A program whose files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tool {
    #[default]
    GetCerts,
    Certbot,
    Lego,
    AcmeSh,
    Dehydrated,
    Uacme,
}

impl Tool {
    pub(crate) const ALL: [Self; 6] = [
        Self::GetCerts,
        Self::Certbot,
        Self::Lego,
        Self::AcmeSh,
        Self::Dehydrated,
        Self::Uacme,
    ];

    /// What the command line calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::GetCerts => "get-certs",
            Self::Certbot => "certbot",
            Self::Lego => "lego",
            Self::AcmeSh => "acme.sh",
            Self::Dehydrated => "dehydrated",
            Self::Uacme => "uacme",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter();
        let mut found = known.filter(|tool| tool.as_str() == text);
        found
            .next()
            .ok_or_else(|| format!("it is none of {}", Self::names()))
    }
}

impl Tool {
    /// All of them, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(|tool| format!("`{tool}`")).join(", ")
    }
}

/// What an import does, or has done.
#[derive(Debug, Default)]
pub(crate) struct Importing {
    /// Whose files.
    pub(crate) tool: Tool,
    /// Where they are; none: in the cert repository.
    pub(crate) folder: Option<String>,
    pub(crate) certificates: Vec<Imported>,
    /// Accounts that come over: where, and with what kind of key.
    pub(crate) accounts: Vec<(String, String)>,
    /// Certificates and accounts that the repository has already.
    pub(crate) there: Vec<String>,
    /// Certificates that certs.json gets.
    pub(crate) listed: Vec<CertificateName>,
    /// Files of the repository that go.
    pub(crate) removed: Vec<String>,
    /// Files of the repository that lose lines.
    pub(crate) edited: Vec<String>,
    /// What stays as it is, and why.
    pub(crate) left: Vec<Error>,
    /// Worth to be said.
    pub(crate) notes: Vec<String>,
    /// None where the history is cut off.
    pub(crate) exposed: Option<Exposed>,
}

/// A certificate that comes over.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) name: CertificateName,
    /// What the other program calls it, if that is another name.
    pub(crate) label: Option<String>,
    /// In the order in which they were asked for.
    pub(crate) names: Vec<String>,
    pub(crate) key_type: Option<KeyType>,
    pub(crate) not_after: OffsetDateTime,
    /// Where the key was found.
    pub(crate) key_path: String,
}

/// Keys of today that the history has in plain text.
#[derive(Debug, Default)]
pub(crate) struct Exposed {
    /// Path and commit.
    pub(crate) files: Vec<(String, String)>,
    /// Certificates whose keys these are; whether certs.json lists them.
    pub(crate) certificates: Vec<(CertificateName, bool)>,
    /// Hosts whose account's keys these are.
    pub(crate) accounts: BTreeSet<String>,
    /// Older commits have keys that are encrypted with PGP.
    pub(crate) by_pgp: bool,
}

impl Importing {
    /// Whether anything is to be done.
    pub(crate) fn is_nothing(&self) -> bool {
        self.certificates.is_empty()
            && self.accounts.is_empty()
            && self.listed.is_empty()
            && self.removed.is_empty()
            && self.edited.is_empty()
    }
}
