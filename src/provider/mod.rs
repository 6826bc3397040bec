//! DNS providers: one trait, one list, one file a provider.

mod axfrddns;
mod bind;
mod cloudflare;
mod desec;
mod digitalocean;
mod http;
mod pace;
mod pages;
pub(crate) mod port;
mod powerdns;
mod redact;
pub(crate) mod registry;
mod rfc2136;
mod rrset;
mod tsig;
mod wire;
mod words;
mod zone_cache;
mod zonefile;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod servers;
