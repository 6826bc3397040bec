//! DNS as a client sees it: which servers a zone has, and whether each of them shows a value.

mod exchange;
pub(crate) mod lookup;
pub(crate) mod not_seen;
pub(crate) mod present;
pub(crate) mod reach;
mod referral;
#[cfg(test)]
mod testing;
pub(crate) mod wait;
