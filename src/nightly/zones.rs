//! A zone at its providers: read and compared before anything is ordered.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use futures_util::future::try_join_all;

use crate::dns::lookup::NameServer;
use crate::model::change::Txt;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::zone::{Meta, Record, Zone, ZoneRef};
use crate::nightly::issue::count;
use crate::nightly::pending::{self, Correction, Declared, Mode, Policy};
use crate::provider::port::DnsProvider;

/// A zone that challenges can be written to.
#[derive(Debug)]
pub(crate) struct ReadyZone {
    /// Name with the tag.
    pub(crate) unique_name: String,
    pub(crate) name: DnsName,
    /// What follows `!` in split-horizon declarations.
    pub(crate) tag: String,
    /// Metadata of the domain.
    pub(crate) meta: Meta,
    /// Every authoritative server.
    pub(crate) servers: Vec<NameServer>,
    /// Where the values go: every provider of the zone that is not skipped.
    pub(crate) providers: Vec<ZoneAccess>,
}

impl ReadyZone {
    /// The zone as providers are asked for it.
    pub(crate) fn reference(&self) -> ZoneRef<'_> {
        ZoneRef {
            name: &self.name,
            tag: &self.tag,
            meta: &self.meta,
        }
    }
}

/// A zone at one of its providers.
#[derive(Clone, Debug)]
pub(crate) struct ZoneAccess {
    /// Entry in creds.json.
    pub(crate) entry: String,
    pub(crate) provider: Arc<dyn DnsProvider>,
    /// Challenge values that were there before this run and that DNSControl would delete.
    pub(crate) leftovers: Vec<Txt>,
}

/// A zone as its providers have it.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) providers: Vec<ZoneAccess>,
    /// CNAMEs, and what else stands at challenge names. Empty where the zone is not read.
    pub(super) records: Vec<Found>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// A record that a provider has.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Entry in creds.json.
    pub(super) entry: String,
    pub(super) record: Record,
}

/// Reads a zone at all its providers at once, and compares each with dnsconfig.js.
///
/// Nothing is read of a zone that dnsconfig.js does not declare, and with [`Mode::Off`]. An error
/// where corrections are pending: someone has yet to push, or changed the zone by hand.
pub(super) async fn read(
    zone: &Zone,
    providers: Vec<ZoneAccess>,
    policy: &Policy,
    delegated: &BTreeSet<DnsName>,
) -> Result<Contents> {
    let mut contents = Contents {
        providers,
        records: Vec::new(),
        warnings: Vec::new(),
    };
    if !zone.is_declared || policy.mode == Mode::Off {
        return Ok(contents);
    }
    let reading = contents.providers.iter().map(|access| async {
        tokio::try_join!(
            access.provider.records(zone.reference()),
            access.provider.nameservers(zone.reference())
        )
    });
    let (records, nameservers): (Vec<_>, Vec<_>) = try_join_all(reading).await?.into_iter().unzip();
    let entries = contents.providers.iter().map(|access| access.entry.clone());
    let nameservers = pending::apex_nameservers(zone, &entries.zip(nameservers).collect());
    let declared = Declared {
        zone,
        nameservers: nameservers.as_deref(),
        delegated,
    };
    for (access, records) in contents.providers.iter_mut().zip(records) {
        let quirks = access.provider.quirks(zone.reference());
        let compared = pending::compare(&declared, &records, &quirks)?;
        let mut corrections = compared.corrections;
        corrections.retain(|correction| policy.counts(correction));
        if !corrections.is_empty() {
            let pending = describe(zone, &access.entry, &corrections);
            if policy.mode == Mode::Abort {
                return Err(with_hint(anyhow!(pending), WHAT_TO_DO));
            }
            contents.warnings.push(pending);
        }
        if !compared.uncompared.is_empty() {
            let types: Vec<_> = compared.uncompared.into_iter().collect();
            contents.warnings.push(format!(
                "not compared in zone `{}` at `{}`: {}",
                zone.unique_name(),
                access.entry,
                types.join(", ")
            ));
        }
        let told = records
            .into_iter()
            .filter(|record| record.rtype == "CNAME" || record.name.is_challenge());
        contents.records.extend(told.map(|record| Found {
            entry: access.entry.clone(),
            record,
        }));
        access.leftovers = compared.leftovers;
    }
    Ok(contents)
}

/// What to do about corrections.
const WHAT_TO_DO: &str = "run `dnscontrol push`, or bring dnsconfig.js in line with the provider";

fn describe(zone: &Zone, entry: &str, corrections: &[Correction]) -> String {
    let list: String = corrections
        .iter()
        .map(|correction| format!("\n{correction}"))
        .collect();
    format!(
        "zone `{}` has {} at `{entry}`:{list}",
        zone.unique_name(),
        count(corrections.len(), "pending correction"),
    )
}
