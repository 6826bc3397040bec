//! What a DNS provider can do for us.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::zone::{Record, Zone, ZoneRef};

/// TTL in seconds of the TXT sets that a change creates.
///
/// Resolvers of the CA that saw an earlier value ask again after that long.
pub(crate) const TXT_TTL: u32 = 60;

/// A future that an object-safe trait can return.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Reads zones of one account and changes single TXT values in them.
///
/// It speaks DNS, not ACME. The contract, which one conformance suite checks for every provider:
///
/// - **By value.** Adding keeps the other values at the name; removing takes exactly the value named.
/// - **Idempotent.** Adding what is there and removing what is absent succeed and change nothing.
/// - **Nothing else.** Other names, types and values stay as they are. A set that exists keeps its
///   TTL; a new one gets [`TXT_TTL`].
/// - **A batch is one step** where the API has such a step. Additions come before removals: a value
///   that is in both is gone afterwards. An error may leave the batch half done; doing it again is
///   safe.
/// - **Done means done.** When a change returns, the provider has been asked and holds the values.
/// - **Concurrent.** Calls for different zones may overlap; calls for one zone are serialised by
///   the caller.
/// - **Errors** name the provider's entry in creds.json and never hold a credential.
pub(crate) trait DnsProvider: Debug + Send + Sync {
    /// All records of the zone, as the provider has them, in the form that [`Record`] describes.
    ///
    /// Apex NS and SOA records are included where the provider lists them.
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>>;

    /// Adds and removes TXT values.
    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()>;

    /// What name servers have yet to read of what was written to the zone; none where the provider
    /// hands it to them by itself.
    fn unread(&self, _: ZoneRef<'_>) -> Option<Unread> {
        None
    }

    /// Name servers that DNSControl would declare at the apex for this provider.
    ///
    /// Empty where the provider does not know them (AXFRDDNS and BIND without `default_ns`).
    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>>;

    /// How DNSControl compares this zone at this provider.
    ///
    /// It is asked after [`DnsProvider::records`], which may have found out something about it.
    fn quirks(&self, zone: ZoneRef<'_>) -> Quirks;
}

/// A zone that name servers read when they are told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Serial of its SOA record, as written.
    pub(crate) serial: u32,
    /// What to do where they serve an older one: lower case, no final stop.
    pub(crate) remedy: String,
}

/// Key of [`Record::meta`] with what is compared, and printed, after RDATA.
pub(crate) const COMPARED: &str = "compared";

/// What DNSControl does to a zone before it compares, by provider.
#[derive(Clone, Default)]
pub(crate) struct Quirks {
    /// Types that are never compared, such as `SOA`.
    pub(crate) ignored_types: &'static [&'static str],
    /// An SOA record that dnsconfig.js does not declare stays; a declared one is compared.
    pub(crate) keeps_undeclared_soa: bool,
    /// Smallest TTL that the provider stores, seconds; desired TTLs below are raised.
    pub(crate) minimum_ttl: u32,
    /// The provider manages the apex NS set itself: it is not compared.
    pub(crate) ignores_apex_ns: bool,
    /// Makes of a record, declared or existing, what DNSControl compares: type, TTL, and under the
    /// key [`COMPARED`] of its metadata what counts besides RDATA, such as `proxy=true`.
    pub(crate) prepare: Option<Prepare>,
}

/// Makes of a record what is compared, given the zone that dnsconfig.js declares.
pub(crate) type Prepare = Arc<dyn Fn(&Zone, Record) -> Record + Send + Sync>;
