//! The CA: accounts, orders, keys and requests, in the words of RFC 8555.

pub(crate) mod account;
pub(crate) mod account_key;
pub(crate) mod client;
mod directory;
pub(crate) mod external;
pub(crate) mod holder;
pub(crate) mod key;
pub(crate) mod order;
mod pem;
pub(crate) mod presets;
pub(crate) mod refusal;
pub(crate) mod revocation;
mod unproven;

#[cfg(test)]
mod pebble;
