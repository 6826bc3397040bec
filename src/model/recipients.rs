//! Who can open which keys; what came of encrypting keys anew, and what the history gives away.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Error;

/// Whether a key is encrypted for the recipients of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Current,
    /// It is encrypted for another list.
    Stale,
    /// The file beside it does not say so.
    Unknown,
    /// The file beside it names another key.
    Swapped,
}

/// A list of recipients.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecipientList {
    /// `certificates`, `accounts`, or one certificate.
    pub(crate) of: String,
    /// The file that it is in.
    pub(crate) source: String,
    pub(crate) recipients: Vec<String>,
}

/// Who can open what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Readers {
    pub(crate) lists: Vec<RecipientList>,
    /// How many keys are encrypted for the lists as they are.
    pub(crate) current: usize,
    /// Whose keys are encrypted for another list.
    pub(crate) stale: Vec<String>,
    /// Whose keys are encrypted for a list that is not known.
    pub(crate) unknown: Vec<String>,
    /// Whose keys are not those that the files beside them name.
    pub(crate) swapped: Vec<String>,
}

/// What `rekey` did.
#[derive(Debug)]
pub(crate) struct Rekeyed {
    /// Whose keys are encrypted for the recipients of today now.
    pub(crate) done: Vec<String>,
    /// What could not be encrypted anew; it is as it was.
    pub(crate) failed: Vec<Error>,
    /// How many keys were encrypted for the recipients of today before.
    pub(crate) current: usize,
    /// Where the commit went, in words.
    pub(crate) pushed: Option<String>,
    /// None where there is no history, or only a part of it.
    pub(crate) past: Option<Past>,
}

/// Who else can open keys that are in use, by what older commits have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Recipients that are no longer listed, and certificates whose keys of today they can open.
    pub(crate) certificates: BTreeMap<String, BTreeSet<String>>,
    /// The same with hosts of accounts.
    pub(crate) accounts: BTreeMap<String, BTreeSet<String>>,
    /// Certificates whose keys were encrypted for a list that the history does not have.
    pub(crate) unknown: BTreeSet<String>,
}
