//! git-certs keeps Let's Encrypt certificates in a git repository.
//!
//! The only public item runs the program, so that the compiler reports dead code. The rooms and
//! who may import whom are checked by `tests/it/shape.rs`.

mod acme;
mod cli;
mod dns;
mod dnscontrol;
mod model;
mod net;
mod nightly;
mod provider;
mod repo;
mod report;

pub use cli::main;

/// What fuzz targets and measurements may call.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::cli::settings::fuzz as settings;
    pub use crate::dnscontrol::fuzz::{Times, creds, evaluator, ir, measure};
    pub use crate::repo::bindings::fuzz as name_json;
    pub use crate::repo::certs_json::fuzz as certs_json;
    pub use crate::repo::journal::fuzz as journal;
    pub use crate::repo::recipients::fuzz as recipients;
}
