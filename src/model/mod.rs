//! What everything else is said in: names, certificates, zones, secrets, hints. No I/O, but the doors to it that
//! everything else has to take: [`outside`] and [`mod@file`].

pub(crate) mod account;
pub(crate) mod certificate;
pub(crate) mod chain;
pub(crate) mod change;
pub(crate) mod checkup;
pub(crate) mod confinement;
pub(crate) mod diagnostic;
pub(crate) mod disk;
pub(crate) mod drill;
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod file;
pub(crate) mod finding;
pub(crate) mod hint;
pub(crate) mod history;
pub(crate) mod home;
pub(crate) mod import;
pub(crate) mod kill;
pub(crate) mod known;
pub(crate) mod lent;
pub(crate) mod location;
pub(crate) mod name;
pub(crate) mod outcome;
pub(crate) mod outside;
pub(crate) mod path;
pub(crate) mod provider;
pub(crate) mod rdata;
pub(crate) mod recipients;
pub(crate) mod renewal;
pub(crate) mod request;
pub(crate) mod secret;
pub(crate) mod shard;
pub(crate) mod status;
pub(crate) mod wording;
pub(crate) mod zone;
