//! HTTP for everything that speaks it: one client, one trust store, one retry rule.

pub(crate) mod http;
pub(crate) mod onlooker;
mod proxies;
