//! Finds out, before anything is ordered, where each challenge is written and whether it can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};
use futures_util::future::{join, join_all};

use crate::dns::present;
use crate::dns::view::Lookout;
use crate::dnscontrol::DnsConfig;
use crate::model::hint::{Shared, several, with_hint};
use crate::model::name::DnsName;
use crate::model::outcome::{Done, Planned};
use crate::model::provider::ProviderEntry;
use crate::model::secret::names_secret;
use crate::model::wording::count;
use crate::model::zone::Zone;
use crate::nightly::delegation::Trail;
use crate::nightly::findings::{Findings, Need, Step};
use crate::nightly::pending::Policy;
use crate::nightly::workspaces::blocking;
use crate::nightly::zones::{self, Contents, ReadyZone, ZoneAccess};
use crate::provider::registry::{self, Context as ProviderContext, Provider};
use crate::report::masks;

/// Where the values of a challenge name are written.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) zone: Arc<ReadyZone>,
    /// The challenge name itself, or the end of the CNAMEs that begin there.
    pub(crate) name: DnsName,
}

/// What a survey found out.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// By challenge name. What is not ready fails its certificates.
    targets: BTreeMap<DnsName, Result<Target, Shared>>,
    /// How many zones there are, and how many are not ready.
    zones: (usize, usize),
    /// What the user should know, line by line.
    pub(crate) news: Vec<String>,
    /// What the user is warned of.
    pub(crate) warnings: BTreeSet<String>,
    /// Where each zone is written and who is asked, a line a zone.
    pub(crate) looked_at: Vec<String>,
}

impl Survey {
    /// Where the values of a challenge name are written.
    pub(crate) fn target(&self, challenge: &DnsName) -> Result<Target, Shared> {
        self.targets.get(challenge).cloned().unwrap_or_else(|| {
            Err(Shared::new(anyhow!(
                "`{challenge}` is no challenge name of this run"
            )))
        })
    }

    /// Challenge names that lead to a zone that is ready, and where.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (&DnsName, &Target)> {
        let all = self.targets.iter();
        all.filter_map(|(name, target)| Some((name, target.as_ref().ok()?)))
    }

    /// Challenge names that do not, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&DnsName, &Shared)> {
        let all = self.targets.iter();
        all.filter_map(|(name, target)| Some((name, target.as_ref().err()?)))
    }

    /// Parts the certificates whose zones are all ready from those that cannot be issued.
    pub(crate) fn sort(&self, due: Vec<Planned>) -> (Vec<Planned>, Vec<Done>) {
        let mut ready = Vec::new();
        let mut blocked = Vec::new();
        for planned in due {
            let names = planned.wanted.identifiers.iter();
            let failed =
                names.filter_map(|identifier| self.target(&identifier.challenge_name()).err());
            match several(failed) {
                None => ready.push(planned),
                Some(error) => blocked.push(Done {
                    planned,
                    result: Err(Shared::new(error)),
                }),
            }
        }
        (ready, blocked)
    }

    fn arrive(&mut self, trail: &Trail, zone: Arc<ReadyZone>) {
        if trail.is_delegated() {
            let name = &zone.unique_name;
            self.news.push(format!("{trail}, in zone `{name}`"));
        }
        let name = trail.end().clone();
        self.targets
            .insert(trail.challenge().clone(), Ok(Target { zone, name }));
    }

    fn fail(&mut self, trail: &Trail, error: Error) {
        self.targets
            .insert(trail.challenge().clone(), Err(Shared::new(error)));
    }

    /// How many zones there are, and how many are not ready.
    pub(crate) fn summary(&self) -> String {
        let (all, failed) = self.zones;
        let all = count(all, "zone");
        match failed {
            0 => all,
            failed => format!("{all}, {failed} not ready"),
        }
    }
}

/// What a survey works with.
pub(crate) struct Surveyor<'a> {
    pub(crate) lookout: &'a Lookout<'a>,
    /// None: what public DNS says is all that is looked at.
    pub(crate) providers: Option<Providers<'a>>,
}

/// How providers are asked.
pub(crate) struct Providers<'a> {
    pub(crate) context: &'a ProviderContext,
    /// Entries of creds.json that are left alone.
    pub(crate) skip: &'a BTreeSet<String>,
    pub(crate) policy: &'a Policy,
}

impl Surveyor<'_> {
    /// Looks at all zones of these challenge names at once.
    ///
    /// A zone that is written to is ready when all its name servers serve it and no provider has
    /// pending corrections. A zone that only has CNAMEs on the way there needs no provider. Zones
    /// that CNAMEs lead to although dnsconfig.js does not say so take another round.
    pub(crate) async fn survey(
        &self,
        dns: Arc<DnsConfig>,
        names: BTreeSet<DnsName>,
    ) -> Result<Survey> {
        let mut open: Vec<_> = names.into_iter().map(Trail::new).collect();
        let mut findings = Findings::new(&dns);
        let mut survey = Survey::default();
        while !open.is_empty() {
            self.explore(&mut findings, &open).await?;
            let mut further = Vec::new();
            for mut trail in open {
                match findings.step(&mut trail) {
                    Ok(Step::Further) => further.push(trail),
                    Ok(Step::Here(zone)) => survey.arrive(&trail, zone),
                    Err(error) => survey.fail(&trail, error),
                }
            }
            open = further;
        }
        survey.zones = findings.count();
        survey.warnings = findings.warnings();
        survey.looked_at = findings.looked_at();
        Ok(survey)
    }

    /// Finds out what is not known yet about the zones that the trails lead through.
    async fn explore(&self, findings: &mut Findings<'_>, open: &[Trail]) -> Result<()> {
        let ends = open.iter().filter(|trail| trail.is_delegated());
        findings
            .delegated
            .extend(ends.map(|trail| trail.end().clone()));
        let needs = findings.needs(open);
        let unread: Vec<&Zone> = needs.iter().filter_map(Need::to_read).collect();
        let reading = if let Some(providers) = &self.providers {
            providers.prepare(findings, unread).await?
        } else {
            findings.contents.extend(unread.into_iter().map(unasked));
            Vec::new()
        };
        let delegated = &findings.delegated;
        let reading = reading.into_iter().map(|reading| reading.read(delegated));
        let serving = needs.iter().filter_map(|need| findings.to_serve(need));
        let serving = serving.map(|zone| async {
            let view = self.lookout.view(zone.reference()).await;
            (zone.unique_name(), view.map(Arc::new).map_err(Shared::new))
        });
        let (contents, views) = join(join_all(reading), join_all(serving)).await;
        findings.contents.extend(contents);
        findings.views.extend(views);
        let asking = needs.iter().filter_map(|need| findings.to_ask(need));
        let asking = asking.map(|(names, view)| async {
            let said = present::aliases(&names, view).await;
            names.into_iter().zip(said)
        });
        let checking = needs.iter().filter_map(|need| findings.to_check(need));
        let checking = checking.map(|(names, servers)| async {
            let shown = present::common_txt(&names, servers).await;
            names.into_iter().zip(shown)
        });
        let (said, shown) = join(join_all(asking), join_all(checking)).await;
        findings.said.extend(said.into_iter().flatten());
        findings.shown.extend(shown.into_iter().flatten());
        Ok(())
    }
}

/// A zone of which no provider is asked.
fn unasked(zone: &Zone) -> (String, Result<Contents, Shared>) {
    let contents = match zone.providers.as_slice() {
        [] => Err(Shared::new(no_provider(zone))),
        _ => Ok(Contents::default()),
    };
    (zone.unique_name(), contents)
}

/// A zone that is about to be read.
struct Reading<'a> {
    zone: &'a Zone,
    policy: &'a Policy,
    providers: Vec<ZoneAccess>,
    /// What is wrong with other providers of the zone.
    problems: Vec<Shared>,
}

impl Reading<'_> {
    async fn read(self, delegated: &BTreeSet<DnsName>) -> (String, Result<Contents, Shared>) {
        let contents = zones::read(self.zone, self.providers, self.policy, delegated).await;
        let contents = contents.map_err(Shared::new);
        let mut problems = self.problems;
        problems.extend(contents.as_ref().err().cloned());
        let result = match several(problems) {
            None => contents,
            Some(error) => Err(Shared::new(error)),
        };
        (self.zone.unique_name(), result)
    }
}

impl<'a> Providers<'a> {
    /// Connects to the providers of the zones. What has none that can be asked is a finding already.
    async fn prepare<'z>(
        &self,
        findings: &mut Findings<'_>,
        unread: Vec<&'z Zone>,
    ) -> Result<Vec<Reading<'z>>>
    where
        'a: 'z,
    {
        let connected = self.connect(findings.dns, &unread).await?;
        let warnings = connected.values();
        findings
            .of_entries
            .extend(warnings.filter_map(|connection| connection.warning.clone()));
        let mut reading = Vec::new();
        for zone in unread {
            match self.access(zone, &connected) {
                Ok((providers, problems)) => reading.push(Reading {
                    zone,
                    policy: self.policy,
                    providers,
                    problems,
                }),
                Err(error) => {
                    let lost = (zone.unique_name(), Err(Shared::new(error)));
                    findings.contents.extend([lost]);
                }
            }
        }
        Ok(reading)
    }

    /// Connects each provider once, however many zones it has.
    ///
    /// On a thread for blocking calls, as credentials can come from a command or a slow disk.
    async fn connect(&self, dns: &Arc<DnsConfig>, zones: &[&Zone]) -> Result<Connected> {
        let entries: BTreeSet<String> = zones
            .iter()
            .flat_map(|zone| &zone.providers)
            .map(|provider| &provider.entry)
            .filter(|entry| !self.skip.contains(*entry))
            .cloned()
            .collect();
        let (dns, context) = (Arc::clone(dns), self.context.clone());
        let connect = move |entry: String| {
            let described = dns.provider(&entry).map_err(Shared::new);
            let warning = described.as_ref().ok().and_then(registry::unknown_fields);
            described.iter().for_each(mask);
            let provider = described.and_then(|described| {
                registry::open(&described, &dns.zones, &context).map_err(Shared::new)
            });
            (entry, Connection { provider, warning })
        };
        blocking(move || Ok(entries.into_iter().map(connect).collect())).await
    }

    /// The providers of a zone that are not skipped, and what is wrong with others.
    fn access(&self, zone: &Zone, connected: &Connected) -> Result<(Vec<ZoneAccess>, Vec<Shared>)> {
        let used: Vec<_> = zone
            .providers
            .iter()
            .filter(|provider| !self.skip.contains(&provider.entry))
            .collect();
        if used.is_empty() {
            return Err(no_provider(zone));
        }
        let (mut providers, mut problems) = (Vec::new(), Vec::new());
        for used in used {
            let connection = connected.get(&used.entry);
            match connection.map(|connection| &connection.provider) {
                Some(Ok(provider)) => providers.push(ZoneAccess {
                    entry: used.entry.clone(),
                    provider: provider.clone(),
                    leftovers: Vec::new(),
                }),
                Some(Err(error)) => problems.push(error.clone()),
                None => return Err(anyhow!("`{}` is not connected", used.entry)),
            }
        }
        // Where no provider can be asked, name servers are not either.
        match several(problems.iter().cloned()) {
            Some(error) if providers.is_empty() => Err(error),
            _ => Ok((providers, problems)),
        }
    }
}

/// The log shows no credential of an entry.
fn mask(entry: &ProviderEntry) {
    let secrets = entry.fields.iter().filter(|(key, _)| names_secret(key));
    for (_, value) in secrets {
        masks::mask(value.as_bytes());
        // TSIG keys are written as algorithm, name and secret.
        if let Some((_, secret)) = value.rsplit_once(':') {
            masks::mask(secret.as_bytes());
        }
    }
}

/// By the name of the entry.
type Connected = BTreeMap<String, Connection>;

/// What came of connecting a provider.
struct Connection {
    provider: Result<Provider, Shared>,
    /// What the user should know of its entry.
    warning: Option<String>,
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
