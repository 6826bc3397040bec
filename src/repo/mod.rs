//! The repositories: git without a work tree, age, and the files of the certificate repository.
//!
//! [`git`] is what callers use to read, commit and push; [`layout`] knows which file is where;
//! [`seal`] encrypts. Below them: [`transport`] reaches a server (http, ssh, a local `git`),
//! [`upload_pack`] fetches and [`receive_pack`] pushes.

pub(crate) mod accounts;
pub(crate) mod address;
mod agent_wire;
pub(crate) mod allowed_signers;
pub(crate) mod bindings;
pub(crate) mod certs_json;
pub(crate) mod commits;
pub(crate) mod export;
pub(crate) mod exposed;
pub(crate) mod files;
pub(crate) mod git;
pub(crate) mod held;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod in_git;
pub(crate) mod inventory;
pub(crate) mod issuances;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod layout;
mod leaks;
pub(crate) mod lock;
mod locked;
mod objects;
pub(crate) mod past;
pub(crate) mod pkt;
mod plugin;
pub(crate) mod prove;
pub(crate) mod receive_pack;
pub(crate) mod recipients;
pub(crate) mod recipients_file;
pub(crate) mod revoked;
pub(crate) mod seal;
mod short_number;
pub(crate) mod signature;
mod signed;
mod sizes;
pub(crate) mod ssh_key;
pub(crate) mod stale;
pub(crate) mod starter;
mod talk;
mod today;
pub(crate) mod transport;
pub(crate) mod upload_pack;
pub(crate) mod vault;
pub(crate) mod verify;
pub(crate) mod versions;
pub(crate) mod walk;

#[cfg(test)]
mod servers;
