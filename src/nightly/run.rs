//! The nightly build in six steps: open, unlock, plan, prove and issue, seal and commit, sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use time::OffsetDateTime;

use crate::dns::lookup::Lookup;
use crate::dns::rules::Rules;
use crate::dns::view::Lookout;
use crate::dns::wait::WaitSettings;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::{CertificateName, Wanted};
use crate::model::hint::{Shared, with_hint};
use crate::model::outcome::{Done, Outcome, Planned};
use crate::model::zone::Zone;
use crate::nightly::challenge::Challenges;
use crate::nightly::issue::Issuer;
use crate::nightly::job::Job;
use crate::nightly::plan::{self, Holdings};
use crate::nightly::stop::Stop;
use crate::nightly::store::{self, Store};
use crate::nightly::survey::{Survey, Surveyor};
use crate::nightly::unlock::{Accounts, Opened};
use crate::nightly::workspaces::{Workspaces, blocking};
use crate::provider::dnscontrol_binary::Invocation;
use crate::provider::registry;
use crate::repo::seal::Recipients;
use crate::repo::{certs_json, layout};
use crate::report::progress::Progress;
use crate::report::terminal;

/// A run with its repositories open: the first step is done.
pub(crate) struct Nightly {
    workspaces: Workspaces,
    job: Arc<Job>,
    stop: Stop,
    progress: Progress,
}

/// Recipients of the keys that a run makes.
type RecipientsByName = BTreeMap<CertificateName, Arc<Recipients>>;

/// What issuing needs, once everything has been looked at.
struct Means {
    survey: Survey,
    recipients: RecipientsByName,
    opened: Opened,
}

impl Nightly {
    pub(crate) fn new(workspaces: Workspaces, job: Job, stop: Stop, progress: Progress) -> Self {
        Self {
            workspaces,
            job: Arc::new(job),
            stop,
            progress,
        }
    }

    /// Decides what is due. Touches neither the CA nor DNS, and needs no secret.
    pub(crate) async fn plan(&self) -> Result<Vec<Planned>> {
        Ok(self.stop.ends(self.decide()).await?.0)
    }

    /// The whole build.
    ///
    /// An error means that nothing could be issued, or that what was issued could not be pushed;
    /// what fails with one certificate is in the outcome.
    pub(crate) async fn renew(&self) -> Result<Outcome> {
        let (plan, dns) = self.stop.ends(self.decide()).await?;
        let (due, kept): (Vec<_>, Vec<_>) = plan.into_iter().partition(Planned::is_due);
        let mut outcome = Outcome {
            kept,
            ..Outcome::default()
        };
        if due.is_empty() {
            return Ok(outcome);
        }
        self.say_what_is_due(&due);
        let store = self.store();
        let look = async {
            let recipients = self.recipients(&due).await?;
            let (survey, ()) = tokio::try_join!(self.survey(&due, dns), store.prove())?;
            Ok((recipients, survey))
        };
        // A certificate that cannot be stored would be lost, and counts against the CA's limits.
        let (recipients, survey) = self.stop.ends(look).await?;
        let (ready, blocked) = survey.sort(due);
        outcome.done = blocked;
        if !ready.is_empty() {
            let accounts = self.accounts();
            let opened = accounts.open(&self.job.registration);
            let opened = self.stop.ends(opened).await?;
            outcome.has_ordered = true;
            if !opened.new_files.is_empty() {
                let url = opened.account.url();
                self.progress
                    .say(&format!("registered the ACME account `{url}`"));
            }
            let means = Means {
                survey,
                recipients,
                opened,
            };
            self.issue_and_store(ready, means, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn decide(&self) -> Result<(Vec<Planned>, DnsConfig)> {
        let job = Arc::clone(&self.job);
        let dns = blocking(move || DnsConfig::load(&job.dns));
        let (dns, (wanted, held)) = tokio::try_join!(dns, self.read())?;
        every_name_in_a_zone(&wanted, &dns)?;
        every_skipped_entry_declared(&self.job.skip, &dns)?;
        every_setting_of_a_zone(&self.job.name_servers, &dns)?;
        let wanted = self.selected(wanted)?;
        let now = OffsetDateTime::now_utc();
        Ok((plan::plan(&wanted, &held, self.job.renew_days, now), dns))
    }

    /// certs.json and the certificates that the repository has.
    async fn read(&self) -> Result<(Vec<Wanted>, Holdings)> {
        let job = Arc::clone(&self.job);
        let progress = self.progress.clone();
        self.workspaces
            .with(move |workspace| {
                let listed = match &job.certs_json {
                    Some(other) => {
                        certs_json::parse(other.text.as_bytes(), &other.origin, job.key_type)
                    }
                    None => layout::wanted(workspace, job.key_type),
                }?;
                for warning in &listed.warnings {
                    progress.say(&format!("warning: {warning}"));
                }
                for name in layout::unlisted(workspace, &listed.wanted)? {
                    progress.say(&format!(
                        "warning: certificate `{name}` is not in certs.json: it is not renewed"
                    ));
                }
                for path in layout::plain_keys(workspace, &listed.wanted)? {
                    progress.say(&format!(
                        "warning: `{path}` is a private key in plain text: remove it, and renew its certificate"
                    ));
                }
                let held = layout::held(workspace, &listed.wanted)?;
                Ok((listed.wanted, held))
            })
            .await
    }

    /// All of certs.json, or the one certificate of `--only`.
    fn selected(&self, wanted: Vec<Wanted>) -> Result<Vec<Wanted>> {
        let Some(only) = &self.job.only else {
            return Ok(wanted);
        };
        if let Some(one) = wanted.iter().find(|wanted| &wanted.name == only) {
            return Ok(vec![one.clone()]);
        }
        let list = match &self.job.certs_json {
            Some(other) => other.origin.as_str(),
            None => "certs.json",
        };
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        Err(with_hint(
            anyhow!("`{list}` has no certificate `{only}`"),
            format!("it has {}", first_of(&names)),
        ))
    }

    fn say_what_is_due(&self, due: &[Planned]) {
        for planned in due {
            let Planned {
                wanted,
                action,
                reason,
                ..
            } = planned;
            self.progress
                .say(&format!("to {action}: `{}`, {reason}", wanted.name));
        }
    }

    /// Says something of several lines, all but the first indented.
    fn say_in_full(&self, text: &str) {
        self.progress.say(&text.replace('\n', "\n    "));
    }

    /// Who the new keys will be encrypted for, before anything is asked of the CA.
    async fn recipients(&self, due: &[Planned]) -> Result<RecipientsByName> {
        let names: Vec<_> = due
            .iter()
            .map(|planned| planned.wanted.name.clone())
            .collect();
        let job = Arc::clone(&self.job);
        self.workspaces
            .with(move |workspace| {
                names
                    .into_iter()
                    .map(|name| {
                        let instead = job.recipients.as_ref();
                        let recipients = layout::recipients(
                            workspace,
                            &name,
                            instead.map(|list| (list.text.as_str(), list.origin.as_str())),
                        )?;
                        Ok((name, Arc::new(recipients)))
                    })
                    .collect()
            })
            .await
    }

    async fn survey(&self, due: &[Planned], dns: DnsConfig) -> Result<Survey> {
        let step = self.progress.step("looking at the zones");
        let lookup = match self.job.resolvers.as_slice() {
            [] => Lookup::system()?,
            resolvers => Lookup::at(resolvers)?,
        };
        let surveyor = Surveyor {
            lookout: &Lookout::new(lookup, &self.job.name_servers),
            context: &registry::Context {
                http: self.job.http.clone(),
                environment: self.job.environment.clone(),
                dns_root: self.job.dns.root.clone(),
                dns_root_is_temporary: self.job.dns_is_temporary,
                dnscontrol: self.invocation(),
            },
            skip: &self.job.skip,
            policy: &self.job.pending,
        };
        let survey = surveyor
            .survey(dns, due.iter().map(|planned| &planned.wanted))
            .await?;
        step.done(&format!("looked at {}", survey.summary()));
        survey.news.iter().for_each(|news| self.say_in_full(news));
        Ok(survey)
    }

    /// How `dnscontrol` is run for providers that are not spoken to from here.
    fn invocation(&self) -> Invocation {
        let dns = &self.job.dns;
        Invocation {
            config: dns.config.clone(),
            creds: dns.creds.clone(),
            variables: dns.variables.clone(),
            reads_ir: dns.ir.is_some(),
            allow_fetch: dns.allow_fetch,
            temporary: self.workspaces.temporary().to_owned(),
            search_path: self.job.environment.get("PATH").unwrap_or_default().into(),
        }
    }

    /// The account that the run orders with.
    pub(crate) fn accounts(&self) -> Accounts<'_> {
        Accounts {
            workspaces: &self.workspaces,
            progress: &self.progress,
            http: &self.job.http,
            directory: &self.job.directory,
            identities: &self.job.identities,
            push: self.job.push,
        }
    }

    fn store(&self) -> Store<'_> {
        self.accounts().store()
    }

    async fn issue_and_store(
        &self,
        ready: Vec<Planned>,
        means: Means,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let Means {
            survey,
            recipients,
            opened,
        } = means;
        let challenges = Challenges::default();
        let issuer = Issuer {
            account: &opened.account,
            survey: &survey,
            challenges: &challenges,
            wait: &WaitSettings {
                deadline: self.job.dns_timeout,
                ..WaitSettings::default()
            },
            recipients: &recipients,
            stop: &self.stop,
            progress: &self.progress,
        };
        let results = issuer.issue(&ready).await;
        let new_account = store::Account {
            files: opened.new_files,
            host: self.job.directory.host(),
        };
        let store = self.store();
        let (withdrawn, kept) = tokio::join!(
            challenges.withdraw(&self.stop),
            store.keep(new_account, &ready, results, &recipients)
        );
        withdrawn
            .swept
            .iter()
            .for_each(|swept| self.say_in_full(swept));
        let mut left_over = withdrawn.failed;
        left_over.extend(kept.account.err());
        if kept.pushed.is_err() {
            // The error below ends the run: this is the last chance to name them.
            left_over.iter().for_each(terminal::print_error);
        }
        outcome.pushed = kept.pushed?;
        outcome.left_over = left_over;
        let done = ready.into_iter().zip(kept.certificates);
        outcome.done.extend(done.map(|(planned, result)| Done {
            planned,
            result: result.map_err(Shared::new),
        }));
        Ok(())
    }
}

/// All of certs.json must fit, not only what is due: a typing error is found the day it is made.
fn every_name_in_a_zone(wanted: &[Wanted], dns: &DnsConfig) -> Result<()> {
    let zones: Vec<_> = dns.zones.iter().map(Zone::unique_name).collect();
    for Wanted {
        name, identifiers, ..
    } in wanted
    {
        for identifier in identifiers {
            if dns.zone_for(&identifier.challenge_name()).is_none() {
                return Err(with_hint(
                    anyhow!(
                        "`{identifier}` of certificate `{name}` is in no zone of the DNS repository"
                    ),
                    format!(
                        "declare the zone with `D(...)`, or take the name out of the list; {}",
                        declared("zone", &zones)
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// A misspelt entry would be written to.
fn every_skipped_entry_declared(skip: &BTreeSet<String>, dns: &DnsConfig) -> Result<()> {
    let entries: Vec<_> = dns.entries().collect();
    match skip.iter().find(|entry| !entries.contains(&entry.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(with_hint(
            anyhow!("`--skip {unknown}` is no DNS provider of the DNS repository"),
            declared("DNS provider", &entries),
        )),
    }
}

fn declared<N: Display>(what: &str, names: &[N]) -> String {
    match names {
        [] => format!("no {what} is declared"),
        names => format!("declared: {}", first_of(names)),
    }
}

/// A setting of a zone that does not exist would be of no effect, and nobody would know.
fn every_setting_of_a_zone(rules: &Rules, dns: &DnsConfig) -> Result<()> {
    let zones: Vec<_> = dns.zones.iter().map(Zone::unique_name).collect();
    match rules.zones.keys().find(|name| !zones.contains(name)) {
        Some(name) => Err(with_hint(
            anyhow!("`[zones.\"{name}\"]` in `git-certs.toml` is no zone of the DNS repository"),
            declared("zone", &zones),
        )),
        None => Ok(()),
    }
}

/// The first names, for a hint.
fn first_of<N: Display>(names: &[N]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
