//! The key of sops: out of our environment, so that no child inherits it, and lent to those that print credentials.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::OnceLock;

use crate::model::secret::Secret;

/// Variable with the text of an age identity, as sops wants it.
pub(crate) const SOPS_AGE_KEY: &str = "SOPS_AGE_KEY";

static KEPT: OnceLock<Secret> = OnceLock::new();

/// Keeps it for the whole run. What is kept already stays.
pub(crate) fn keep(key: Secret) {
    let _ = KEPT.set(key);
}

/// Lends it to a program that the user wants to print credentials: it may call sops.
pub(crate) fn lend(command: &mut Command) {
    if let Some(key) = KEPT.get() {
        command.env(SOPS_AGE_KEY, OsStr::from_bytes(key.expose()));
    }
}
