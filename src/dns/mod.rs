//! DNS as a client sees it: which servers a zone has, and whether each of them shows a value.

pub(crate) mod agreement;
pub(crate) mod caa;
pub(crate) mod caa_tree;
pub(crate) mod dnssec;
pub(crate) mod doh;
mod exchange;
mod item;
pub(crate) mod lookup;
pub(crate) mod not_seen;
mod port53;
pub(crate) mod present;
mod reach;
pub(crate) mod recursor;
mod referral;
pub(crate) mod rules;
#[cfg(test)]
mod testing;
pub(crate) mod view;
pub(crate) mod wait;
