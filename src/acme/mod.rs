//! The CA: accounts, orders, keys and requests, in the words of RFC 8555.

mod abilities;
pub(crate) mod account;
pub(crate) mod account_key;
pub(crate) mod ari;
mod authorization;
mod chain;
pub(crate) mod client;
pub(crate) mod connections;
mod directory;
pub(crate) mod endpoint;
pub(crate) mod external;
pub(crate) mod holder;
pub(crate) mod key;
pub(crate) mod limits;
pub(crate) mod mark;
pub(crate) mod order;
mod pace;
mod patience;
mod pem;
mod place;
pub(crate) mod presets;
pub(crate) mod prospect;
pub(crate) mod refusal;
pub(crate) mod revocation;
pub(crate) mod unproven;

#[cfg(test)]
mod pebble;
