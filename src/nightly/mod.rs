//! The nightly build: six steps, each decided apart from being done.

mod budget;
pub(crate) mod challenge;
mod delegation;
mod drill;
mod findings;
mod fits;
mod hands_off;
pub(crate) mod issue;
mod issuing;
pub(crate) mod job;
mod names;
pub(crate) mod patterns;
pub(crate) mod pending;
mod permission;
pub(crate) mod plan;
mod prepare;
mod renewal;
pub(crate) mod run;
mod sighting;
pub(crate) mod stop;
pub(crate) mod store;
pub(crate) mod survey;
pub(crate) mod unlock;
mod waves;
pub(crate) mod workspaces;
mod zones;
