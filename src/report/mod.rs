//! What a person or a program reads of a run. stdout is data, everything else goes to stderr.

pub(crate) mod account;
pub(crate) mod board;
pub(crate) mod diagnostics;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod findings;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod json;
pub(crate) mod masks;
pub(crate) mod matrix;
pub(crate) mod notice;
pub(crate) mod notify;
pub(crate) mod outputs;
pub(crate) mod progress;
pub(crate) mod questions;
pub(crate) mod recipients;
pub(crate) mod status;
pub(crate) mod summary;
pub(crate) mod tame;
pub(crate) mod terminal;
pub(crate) mod voice;
pub(crate) mod why;

#[cfg(test)]
mod fixture;
