//! The CA: accounts, orders, keys and requests, in the words of RFC 8555.

pub(crate) mod account;
mod authorization;
pub(crate) mod client;
pub(crate) mod key;
pub(crate) mod order;
mod pace;
mod patience;
mod pem;
pub(crate) mod presets;
pub(crate) mod refusal;
pub(crate) mod unproven;

#[cfg(test)]
mod pebble;
