//! DNS providers: one trait, one list, one file a provider.
//!
//! # How to add a provider
//!
//! 1. **Describe it.** `NAME.rs` starts with `SPEC`: DNSControl's TYPE, the fields of creds.json as
//!    DNSControl names them, the least that the credentials must be allowed to do, the vendor's
//!    limits with the page that says so, and what a user should know. One line in
//!    `PROVIDERS` of [`registry`] makes it known.
//! 2. **Connect.** [`http::Api::new`] takes the vendor's base URL; `credential` turns a field into a
//!    header. Base URLs can be overridden (`_base_url`), limits are kept, requests that may be
//!    repeated are repeated, and errors name the entry, the field and what was tried, without
//!    secrets (`credential_in_request` names a field in hints, `hide` takes a secret that is in no
//!    field). Environment variables come from [`Context::environment`](registry::Context) only,
//!    tokens that expire from [`oauth`].
//! 3. **Understand its no.** A status other than 2xx is a [`reply::Failure`]. An API that answers
//!    200 and says no in the body calls `refused` itself, with the [`reply::Why`] that decides the
//!    hint; one that says there so that it was asked too often is asked again with [`patience`].
//! 4. **List.** `records` is `self.api.reading(zone, async move { ... })`: turn pages with
//!    `Api::pages` and [`pages`], remember ids of zones in a [`zone_cache::ZoneCache`], name
//!    records with [`labels`], and make them with [`canonical`](crate::model::rdata::canonical)
//!    RDATA. Look out for host names without a final dot ([`bare`]), and for TXT that is not quoted.
//!    `nameservers` answers with [`nameservers`].
//! 5. **Change.** `change` is a loop of look and write ([`rrset`]): `settle` where each value has an
//!    id, `edits` and `Rounds::look_again` where whole sets are replaced.
//!    Single requests run a few at a time ([`together`]) where the vendor's limits allow it.
//!    Writes that replace what was read are sent with `Repeat::Never`, so that each try looks
//!    first.
//! 6. **Compare.** [`quirks`](port::DnsProvider::quirks) says how DNSControl compares; its `prepare`
//!    makes of every record, declared or existing, what the vendor would store, such as a TTL of
//!    the few that there are ([`ttls`]).
//! 7. **Prove it.** A real server, if one can run here (`servers.rs`); else
//!    `fake/NAME.rs`, as strict as the vendor's documentation, citing it rule by rule. It ends with
//!    the conformance test: a `Subject` that says what is particular, and `conforms_to_all`.

mod aws;
mod axfrddns;
mod azure;
mod azure_dns;
mod bare;
mod base;
mod bind;
mod bunny_dns;
mod cloudflare;
mod cloudflare_compare;
mod cloudns;
mod desec;
mod digitalocean;
pub(crate) mod dnscontrol_binary;
mod dnsimple;
mod ended;
mod gandi_v5;
mod gcloud;
mod google;
mod hetzner;
mod hetzner_v2;
mod http;
mod inwx;
mod inwx_client;
mod labels;
mod linode;
mod namecheap;
mod namecheap_zone;
mod namedotcom;
mod nameservers;
mod netcup;
mod ns1;
mod oauth;
mod ovh;
mod pace;
mod pages;
mod patience;
mod porkbun;
mod porkbun_forwards;
pub(crate) mod port;
mod powerdns;
mod redact;
pub(crate) mod registry;
mod reply;
mod rfc2136;
mod route53;
mod rrset;
mod together;
mod totp;
mod transfer;
mod transip;
mod tsig;
mod ttls;
mod volume;
mod vultr;
mod wire;
mod words;
mod written;
mod zone_cache;
mod zonefile;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod servers;
