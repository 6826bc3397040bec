//! What it would cost to replace every certificate on one day.

use crate::model::outcome::PutOff;

/// A mass revocation, as far as it can be foreseen.
#[derive(Debug)]
pub(crate) struct Drill {
    /// Certificates that are held, one order each.
    pub(crate) orders: usize,
    /// Names to prove, over all orders; each takes one TXT value.
    pub(crate) values: usize,
    /// Certificates that would be put off if the CA did not know what they replace.
    pub(crate) without_ari: Vec<PutOff>,
    /// Certificates of CAs whose limits are not known.
    pub(crate) unlimited: usize,
    /// Where challenges would be written, sorted by zone.
    pub(crate) zones: Vec<DrillZone>,
    /// Names whose challenges lead to no zone that is known, sorted.
    pub(crate) astray: Vec<String>,
    /// By CA, sorted by its host.
    pub(crate) authorities: Vec<DrillAuthority>,
}

/// A zone that challenges would be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DrillZone {
    pub(crate) zone: String,
    /// Entries of creds.json; each gets all of the values.
    pub(crate) providers: Vec<String>,
    pub(crate) names: usize,
    pub(crate) values: usize,
}

/// A CA that would be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DrillAuthority {
    pub(crate) host: String,
    pub(crate) orders: usize,
    /// About so many, polls included.
    pub(crate) requests: usize,
    /// The least that the requests take at the rates that the CA publishes, rounded up; none: it
    /// publishes none.
    pub(crate) minutes: Option<usize>,
}
