//! A zone at its providers: read and compared before anything is ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use futures_util::future::join_all;

use crate::dns::view::View;
use crate::model::change::Txt;
use crate::model::hint::{Shared, several, with_hint};
use crate::model::name::DnsName;
use crate::model::wording::count;
use crate::model::zone::{Meta, Record, Zone, ZoneRef};
use crate::nightly::pending::{self, Declared, Mode, Policy};
use crate::provider::port::DnsProvider;
use crate::provider::registry::Provider;

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
    /// Every authoritative server, or who is asked instead.
    pub(crate) view: Arc<View>,
    /// Where the values go: every provider of the zone that is not skipped.
    pub(crate) providers: Vec<ZoneAccess>,
    /// Entries of creds.json that the zone has, and that are left alone.
    pub(crate) skipped: Vec<String>,
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
    pub(crate) provider: Provider,
    /// Challenge values that were there before this run and that DNSControl would delete.
    pub(crate) leftovers: Vec<Txt>,
}

/// A zone as its providers have it.
#[derive(Clone, Debug, Default)]
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
/// where corrections are pending: someone has yet to push, or changed the zone by hand. It names the
/// problems at all providers.
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
    let asked = contents.providers.iter().map(|access| ask(zone, access));
    let answers = join_all(asked).await;
    let nameservers = pending::apex_nameservers(zone, &nameservers(&contents.providers, &answers));
    let declared = Declared {
        zone,
        nameservers: nameservers.as_deref(),
        delegated,
    };
    let mut problems = Vec::new();
    for (access, answer) in contents.providers.iter_mut().zip(answers) {
        let compared = answer.and_then(|answer| compare(&declared, access, answer, policy));
        match compared {
            Ok(Compared { records, warnings }) => {
                contents.records.extend(records);
                contents.warnings.extend(warnings);
            }
            Err(error) => problems.push(Shared::new(error)),
        }
    }
    several(problems).map_or(Ok(contents), Err)
}

/// What came of comparing a zone at one provider.
struct Compared {
    records: Vec<Found>,
    warnings: Vec<String>,
}

fn compare(
    declared: &Declared<'_>,
    access: &mut ZoneAccess,
    answer: Answer,
    policy: &Policy,
) -> Result<Compared> {
    let zone = declared.zone;
    let listed = match answer {
        Answer::Listed(listed) => listed,
        Answer::Compared(mut lines) => {
            lines.retain(|line| policy.counts_line(line));
            return Ok(Compared {
                records: Vec::new(),
                warnings: settle(zone, access, &lines, policy)?.into_iter().collect(),
            });
        }
    };
    let quirks = listed.provider.quirks(zone.reference());
    let compared = pending::compare(declared, &listed.records, &quirks)?;
    let corrections = compared.corrections.iter();
    let lines = corrections.filter(|correction| policy.counts(correction));
    let lines: Vec<_> = lines.map(ToString::to_string).collect();
    let pending = settle(zone, access, &lines, policy)?;
    let uncompared = uncompared(zone, access, compared.uncompared);
    access.leftovers = compared.leftovers;
    let told = listed
        .records
        .into_iter()
        .filter(|record| record.rtype == "CNAME" || record.name.is_challenge());
    let records = told.map(|record| Found {
        entry: access.entry.clone(),
        record,
    });
    Ok(Compared {
        records: records.collect(),
        warnings: pending.into_iter().chain(uncompared).collect(),
    })
}

/// What a provider says of a zone.
enum Answer {
    /// Its records, which are compared here.
    Listed(Listed),
    /// What DNSControl itself would change.
    Compared(Vec<String>),
}

struct Listed {
    provider: Arc<dyn DnsProvider>,
    records: Vec<Record>,
    nameservers: Vec<DnsName>,
}

async fn ask(zone: &Zone, access: &ZoneAccess) -> Result<Answer> {
    let zone = zone.reference();
    match &access.provider {
        Provider::Native(provider) => {
            let (records, nameservers) =
                tokio::try_join!(provider.records(zone), provider.nameservers(zone))?;
            Ok(Answer::Listed(Listed {
                provider: Arc::clone(provider),
                records,
                nameservers,
            }))
        }
        Provider::Binary(binary) => binary.pending(zone).await.map(Answer::Compared),
    }
}

/// Name servers of the providers that list them, by entry.
fn nameservers(
    providers: &[ZoneAccess],
    answers: &[Result<Answer>],
) -> BTreeMap<String, Vec<DnsName>> {
    let known = providers
        .iter()
        .zip(answers)
        .filter_map(|(access, answer)| {
            let Ok(Answer::Listed(listed)) = answer else {
                return None;
            };
            Some((access.entry.clone(), listed.nameservers.clone()))
        });
    known.collect()
}

/// An error or a warning where something is pending.
fn settle(
    zone: &Zone,
    access: &ZoneAccess,
    lines: &[String],
    policy: &Policy,
) -> Result<Option<String>> {
    if lines.is_empty() {
        return Ok(None);
    }
    let list: String = lines.iter().map(|line| format!("\n{line}")).collect();
    let pending = format!(
        "zone `{}` has {} at `{}`:{list}",
        zone.unique_name(),
        count(lines.len(), "pending correction"),
        access.entry,
    );
    if policy.mode == Mode::Abort {
        return Err(with_hint(anyhow!(pending), WHAT_TO_DO));
    }
    Ok(Some(pending))
}

fn uncompared(zone: &Zone, access: &ZoneAccess, types: BTreeSet<String>) -> Option<String> {
    let types: Vec<_> = types.into_iter().collect();
    (!types.is_empty()).then(|| {
        format!(
            "not compared in zone `{}` at `{}`: {}",
            zone.unique_name(),
            access.entry,
            types.join(", ")
        )
    })
}

/// What to do about corrections.
const WHAT_TO_DO: &str = "run `dnscontrol push`, or bring dnsconfig.js in line with the provider; \
     `never-count` names records that may differ, and `--pending warn` goes on all the same";
