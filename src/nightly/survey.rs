//! Looks at the zones that a run needs, before anything is ordered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};
use futures_util::future::{join_all, try_join_all};

use crate::dns::view::{Lookout, View};
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::Wanted;
use crate::model::hint::{Hint, Shared, with_hint};
use crate::model::name::DnsName;
use crate::model::outcome::{Done, Planned};
use crate::model::zone::{Record, Zone, ZoneProvider, ZoneRef};
use crate::nightly::issue::count;
use crate::nightly::pending::{self, Correction};
use crate::nightly::workspaces::blocking;
use crate::provider::port::DnsProvider;
use crate::provider::registry::{self, Context as ProviderContext};

/// A zone that challenges can be written to.
#[derive(Debug)]
pub(crate) struct ReadyZone {
    /// Name with the tag.
    pub(crate) unique_name: String,
    pub(crate) name: DnsName,
    /// What follows `!` in split-horizon declarations.
    pub(crate) tag: String,
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
        }
    }
}

/// A zone at one of its providers.
#[derive(Clone, Debug)]
pub(crate) struct ZoneAccess {
    /// Entry in creds.json.
    pub(crate) entry: String,
    pub(crate) provider: Arc<dyn DnsProvider>,
}

/// What to do about a challenge name that holds something else.
const NO_DELEGATION: &str =
    "a challenge needs a TXT record there; CNAME delegation is not followed yet";

/// The zones that a run needs; one that is not ready fails its certificates.
pub(crate) struct Zones {
    dns: Arc<DnsConfig>,
    /// By unique name.
    looked_at: BTreeMap<String, Result<Arc<ReadyZone>, Shared>>,
}

impl Zones {
    /// The zone that a challenge name is in.
    pub(crate) fn zone(&self, challenge: &DnsName) -> Result<Arc<ReadyZone>, Shared> {
        let zone = self.dns.zone_for(challenge);
        zone.and_then(|zone| self.looked_at.get(&zone.unique_name()))
            .cloned()
            .unwrap_or_else(|| {
                Err(Shared::new(anyhow!(
                    "`{challenge}` is in no zone of dnsconfig.js"
                )))
            })
    }

    /// Parts the certificates whose zones are all ready from those that cannot be issued.
    pub(crate) fn sort(&self, due: Vec<Planned>) -> (Vec<Planned>, Vec<Done>) {
        let mut ready = Vec::new();
        let mut blocked = Vec::new();
        for planned in due {
            let mut zones = planned.wanted.identifiers.iter();
            let failed = zones.find_map(|identifier| self.zone(&identifier.challenge_name()).err());
            match failed {
                None => ready.push(planned),
                Some(error) => blocked.push(Done {
                    planned,
                    result: Err(error),
                }),
            }
        }
        (ready, blocked)
    }

    /// What the user should know of the zones, each line once.
    pub(crate) fn warnings(&self) -> BTreeSet<&String> {
        let ready = self.looked_at.values().flatten();
        ready.flat_map(|zone| &zone.view.warnings).collect()
    }

    /// How many there are, and how many are not ready.
    pub(crate) fn summary(&self) -> String {
        let all = count(self.looked_at.len(), "zone");
        match self.looked_at.values().filter(|zone| zone.is_err()).count() {
            0 => all,
            failed => format!("{all}, {failed} not ready"),
        }
    }
}

/// What a survey works with.
pub(crate) struct Surveyor<'a> {
    pub(crate) lookout: &'a Lookout<'a>,
    pub(crate) context: &'a ProviderContext,
    /// Entries of creds.json that are left alone.
    pub(crate) skip: &'a BTreeSet<String>,
}

impl Surveyor<'_> {
    /// Looks at all zones of the certificates at once.
    ///
    /// A zone is ready when all its name servers serve it and no provider has pending corrections.
    pub(crate) async fn survey<'w>(
        &self,
        dns: DnsConfig,
        due: impl Iterator<Item = &'w Wanted>,
    ) -> Result<Zones> {
        let dns = Arc::new(dns);
        let mut needed: BTreeMap<String, (&Zone, BTreeSet<DnsName>)> = BTreeMap::new();
        for identifier in due.flat_map(|wanted| &wanted.identifiers) {
            let challenge = identifier.challenge_name();
            if let Some(zone) = dns.zone_for(&challenge) {
                let (_, names) = needed
                    .entry(zone.unique_name())
                    .or_insert_with(|| (zone, BTreeSet::new()));
                names.insert(challenge);
            }
        }
        let providers = self
            .connect(&dns, needed.values().map(|(zone, _)| *zone))
            .await?;
        let zones = needed.into_iter().map(|(unique_name, (zone, names))| {
            let providers = &providers;
            async move {
                let ready = self
                    .look(zone, &names, providers)
                    .await
                    .map(Arc::new)
                    .map_err(Shared::new);
                (unique_name, ready)
            }
        });
        let looked_at = join_all(zones).await.into_iter().collect();
        let dns = Arc::clone(&dns);
        Ok(Zones { dns, looked_at })
    }

    /// Connects each provider once, however many zones it has.
    ///
    /// On a thread for blocking calls, as credentials can come from a command or a slow disk.
    async fn connect<'z>(
        &self,
        dns: &Arc<DnsConfig>,
        zones: impl Iterator<Item = &'z Zone>,
    ) -> Result<Connected> {
        let entries: BTreeSet<String> = zones
            .flat_map(|zone| &zone.providers)
            .map(|provider| &provider.entry)
            .filter(|entry| !self.skip.contains(*entry))
            .cloned()
            .collect();
        let (dns, context) = (Arc::clone(dns), self.context.clone());
        let connect = move |entry: String| {
            let provider = dns
                .provider(&entry)
                .and_then(|described| registry::connect(&described, &context))
                .map(Arc::from)
                .map_err(Shared::new);
            (entry, provider)
        };
        blocking(move || Ok(entries.into_iter().map(connect).collect())).await
    }

    async fn look(
        &self,
        zone: &Zone,
        names: &BTreeSet<DnsName>,
        connected: &Connected,
    ) -> Result<ReadyZone> {
        refuse_declared(zone, names)?;
        let is_used = |provider: &&ZoneProvider| !self.skip.contains(&provider.entry);
        let (used, skipped): (Vec<_>, Vec<_>) = zone.providers.iter().partition(is_used);
        let skipped = skipped.into_iter().map(|one| one.entry.clone()).collect();
        if used.is_empty() {
            return Err(no_provider(zone));
        }
        let providers = used
            .iter()
            .map(|used| match connected.get(&used.entry) {
                Some(Ok(provider)) => Ok(ZoneAccess {
                    entry: used.entry.clone(),
                    provider: Arc::clone(provider),
                }),
                Some(Err(error)) => Err(Error::new(error.clone())),
                None => Err(anyhow!("`{}` is not connected", used.entry)),
            })
            .collect::<Result<Vec<_>>>()?;
        let view = self.lookout.view(zone.reference());
        let (view, ()) = tokio::try_join!(view, compare(zone, &providers, names))?;
        tracing::debug!(zone = %zone.name, ?view, ?providers, "ready");
        Ok(ReadyZone {
            unique_name: zone.unique_name(),
            name: zone.name.clone(),
            tag: zone.tag.clone(),
            view: Arc::new(view),
            providers,
            skipped,
        })
    }
}

type Connected = BTreeMap<String, Result<Arc<dyn DnsProvider>, Shared>>;

/// What dnsconfig.js declares at a challenge name must leave room for TXT values.
fn refuse_declared(zone: &Zone, names: &BTreeSet<DnsName>) -> Result<()> {
    match other_than_txt(&zone.records, names) {
        Some(record) => Err(with_hint(
            anyhow!(
                "`{}` is declared as {} in dnsconfig.js",
                record.name,
                record.rtype
            ),
            NO_DELEGATION,
        )),
        None => Ok(()),
    }
}

fn other_than_txt<'r>(records: &'r [Record], names: &BTreeSet<DnsName>) -> Option<&'r Record> {
    records
        .iter()
        .find(|record| names.contains(&record.name) && record.rtype != "TXT")
}

fn no_provider(zone: &Zone) -> Error {
    let name = zone.unique_name();
    if zone.providers.is_empty() {
        with_hint(
            anyhow!("zone `{name}` has no DNS provider in dnsconfig.js"),
            format!("add `DnsProvider(...)` to `D(\"{name}\", ...)`"),
        )
    } else {
        with_hint(
            anyhow!("all DNS providers of zone `{name}` are skipped"),
            "take one of them off `--skip`",
        )
    }
}

/// Refuses a zone that DNSControl would change: someone has yet to push, or changed it by hand.
async fn compare(zone: &Zone, providers: &[ZoneAccess], names: &BTreeSet<DnsName>) -> Result<()> {
    let zones = try_join_all(providers.iter().map(|access| read(zone, access))).await?;
    let known = zones
        .iter()
        .map(|read| (read.access.entry.clone(), read.nameservers.clone()))
        .collect();
    let apex = pending::apex_nameservers(zone, &known);
    for Read {
        access, records, ..
    } in &zones
    {
        let entry = &access.entry;
        if let Some(record) = other_than_txt(records, names) {
            return Err(anyhow!(
                "`{}` is a {} record at `{entry}`",
                record.name,
                record.rtype
            ))
            .hint(|| NO_DELEGATION);
        }
        let quirks = access.provider.quirks(zone.reference());
        let corrections = pending::corrections(zone, apex.as_deref(), records, &quirks)?;
        if !corrections.is_empty() {
            return Err(has_pending(zone, entry, &corrections));
        }
    }
    Ok(())
}

/// What a provider has.
struct Read<'a> {
    access: &'a ZoneAccess,
    records: Vec<Record>,
    nameservers: Vec<DnsName>,
}

async fn read<'a>(zone: &Zone, access: &'a ZoneAccess) -> Result<Read<'a>> {
    let provider = &access.provider;
    let (records, nameservers) = tokio::try_join!(
        provider.records(zone.reference()),
        provider.nameservers(zone.reference())
    )?;
    Ok(Read {
        access,
        records,
        nameservers,
    })
}

fn has_pending(zone: &Zone, entry: &str, corrections: &[Correction]) -> Error {
    let list: String = corrections
        .iter()
        .map(|correction| format!("\n{correction}"))
        .collect();
    with_hint(
        anyhow!(
            "zone `{}` has {} at `{entry}`:{list}",
            zone.unique_name(),
            count(corrections.len(), "pending correction")
        ),
        "run `dnscontrol push`, or bring dnsconfig.js in line with the provider",
    )
}
