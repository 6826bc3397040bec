//! Where certificates are kept.

use std::fmt;

/// The place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// git, or a folder without it.
    Repository,
    Vault,
}

impl Home {
    /// At the begin of a sentence.
    pub(crate) fn capitalized(self) -> &'static str {
        match self {
            Self::Repository => "The repository",
            Self::Vault => "Vault",
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repository => "the repository",
            Self::Vault => "Vault",
        })
    }
}
