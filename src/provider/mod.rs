//! DNS providers: one trait, one list, one file a provider.

mod axfrddns;
mod bind;
pub(crate) mod port;
mod powerdns;
pub(crate) mod registry;
mod rfc2136;
mod tsig;
mod wire;
mod zonefile;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod servers;
