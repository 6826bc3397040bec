//! HTTP for everything that speaks it: one client, one trust store, one retry rule.

pub(crate) mod http;
pub(crate) mod onlooker;
#[cfg(test)]
pub(crate) mod ports;
mod proxies;
