//! The nightly build: six steps, each decided apart from being done.

pub(crate) mod accounts;
pub(crate) mod challenge;
mod delegation;
mod findings;
mod hands_off;
pub(crate) mod issue;
pub(crate) mod job;
pub(crate) mod patterns;
pub(crate) mod pending;
pub(crate) mod plan;
pub(crate) mod revoke;
mod rollover;
pub(crate) mod run;
pub(crate) mod stop;
pub(crate) mod store;
pub(crate) mod survey;
pub(crate) mod unlock;
pub(crate) mod workspaces;
mod zones;
