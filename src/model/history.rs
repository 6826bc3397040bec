//! What became of a certificate, commit by commit.

use time::OffsetDateTime;

use crate::model::chain::Leaf;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Forty digits.
    pub(crate) id: String,
    pub(crate) at: OffsetDateTime,
    pub(crate) subject: String,
    pub(crate) author: String,
    /// The run that made it, by its trailer.
    pub(crate) run: Option<String>,
}

/// A commit that changed files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) commit: Commit,
    pub(crate) change: Change,
    /// What the certificate says after it; none where there is none, or none that can be read.
    pub(crate) leaf: Option<Leaf>,
    /// Whether NAME.json names another key than the one that is there after it.
    pub(crate) key_is_swapped: bool,
    /// `revoked on 2026-11-25: superseded`, where it is marked after it.
    pub(crate) revoked: Option<String>,
    /// Whether that was because of the key.
    pub(crate) is_compromised: bool,
}

/// What a commit changed, of several things the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Another certificate, or the first one.
    Certificate,
    /// There is none any more.
    Removed,
    /// The same certificate with another file of its key.
    Key,
    /// What NAME.json says: a mark, or when to renew.
    Description,
    /// Another file in its folder.
    Other,
}

impl Commit {
    /// Digits that people see.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}
