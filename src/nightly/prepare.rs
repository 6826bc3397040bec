//! What is looked at before the CA is asked for anything: recipients, keys, zones, the push.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use crate::acme::limits::{Budget, Limits, MEMORY};
use crate::acme::presets::Directory;
use crate::dns::lookup::Lookup;
use crate::dns::view::Lookout;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::{CertificateName, Held, Issuance, KeySource, Wanted};
use crate::model::hint::{Shared, with_hint};
use crate::model::name::{DnsName, Identifier};
use crate::model::outcome::{Done, Outcome, Planned, PutOff};
use crate::model::secret::Secret;
use crate::nightly::budget::{self, in_order};
use crate::nightly::job::Override;
use crate::nightly::key_forms::{FormsByName, KeyForms};
use crate::nightly::permission::Permission;
use crate::nightly::renewal::Answers;
use crate::nightly::run::{Decided, Nightly};
use crate::nightly::survey::{Providers, Survey, Surveyor};
use crate::nightly::unlock::Accounts;
use crate::nightly::vault_store;
use crate::provider::dnscontrol_binary::Invocation;
use crate::provider::registry;
use crate::repo::git::Workspace;
use crate::repo::vault::VaultCertificate;
use crate::repo::{issuances, keys, layout, revoked};

/// Keys of certificates that keep them.
pub(super) type KeysByName = BTreeMap<CertificateName, Arc<Secret>>;

/// What issuing needs, once everything has been looked at.
pub(super) struct Means {
    pub(super) survey: Survey,
    pub(super) forms: FormsByName,
    pub(super) kept: KeysByName,
    pub(super) permission: Permission,
    pub(super) answers: Answers,
}

/// Names that have to be proven.
pub(super) fn challenge_names(certificates: &[Planned]) -> BTreeSet<DnsName> {
    let names = certificates
        .iter()
        .flat_map(|planned| &planned.wanted.identifiers);
    names.map(Identifier::challenge_name).collect()
}

/// Due certificates of one CA with limits, and their places in the plan.
type Group = (Directory, Limits, Vec<(usize, Planned)>);

impl Nightly {
    /// Who the new keys will be encrypted for, before anything is asked of the CA.
    pub(super) async fn forms(&self, due: &[Planned]) -> Result<FormsByName> {
        if self.vault_store().is_some() {
            let in_vault = |planned: &Planned| {
                let forms = KeyForms {
                    recipients: None,
                    is_for_vault: true,
                };
                (planned.wanted.name.clone(), forms)
            };
            return Ok(due.iter().map(in_vault).collect());
        }
        let names: Vec<_> = due
            .iter()
            .map(|planned| {
                let Wanted {
                    name, recipients, ..
                } = &planned.wanted;
                (name.clone(), recipients.clone())
            })
            .collect();
        let job = Arc::clone(&self.job);
        self.workspaces
            .with(move |workspace| {
                let mut reader = workspace.reader()?;
                names
                    .into_iter()
                    .map(|(name, listed)| {
                        let instead = job.recipients.as_ref().map(Override::as_pair);
                        let recipients =
                            layout::recipients(&mut reader, &name, listed.as_deref(), instead)?;
                        let forms = KeyForms {
                            recipients: Some(Arc::new(recipients)),
                            is_for_vault: job.vault.is_some(),
                        };
                        Ok((name, forms))
                    })
                    .collect()
            })
            .await
    }

    /// Opens the keys of certificates that keep them. One that cannot be opened, or must not be used again,
    /// fails its certificate.
    pub(super) async fn kept_keys(
        &self,
        due: Vec<Planned>,
        outcome: &mut Outcome,
    ) -> Result<(Vec<Planned>, KeysByName)> {
        let (mut ready, mut kept) = (Vec::new(), KeysByName::new());
        for planned in due {
            match self.kept_key(&planned.wanted).await {
                Ok(key) => {
                    kept.extend(key.map(|key| (planned.wanted.name.clone(), Arc::new(key))));
                    ready.push(planned);
                }
                Err(error) => outcome.done.push(Done {
                    planned,
                    result: Err(Shared::new(error)),
                }),
            }
        }
        Ok((ready, kept))
    }

    /// None where the key is new, or somebody else has it.
    pub(super) async fn kept_key(&self, wanted: &Wanted) -> Result<Option<Secret>> {
        let request = match &wanted.key_source {
            KeySource::New => return Ok(None),
            KeySource::Kept => return self.accounts().certificate_key(&wanted.name).await,
            KeySource::Request(request) => request.public_key.clone(),
        };
        if let Some(vaulting) = self.vault_store() {
            let held = vaulting
                .open(&self.progress)
                .await?
                .certificate(&wanted.name)
                .await?;
            let spoilt = held.filter(VaultCertificate::is_compromised);
            return match spoilt.and_then(|held| held.leaf()) {
                Some(leaf) if leaf.public_key == request => Err(compromised()),
                _ => Ok(None),
            };
        }
        let name = wanted.name.clone();
        let is_spoilt = move |workspace: &mut Workspace| {
            Ok(revoked::is_compromised(workspace, &name)?
                && keys::public_key(&mut workspace.reader()?, &name)?
                    .is_some_and(|held| held == request))
        };
        if self.workspaces.with(is_spoilt).await? {
            return Err(compromised());
        }
        Ok(None)
    }

    pub(super) async fn survey(&self, due: &[Planned], dns: DnsConfig) -> Result<Survey> {
        let context = self.provider_context();
        let providers = Providers {
            context: &context,
            skip: &self.job.skip,
            policy: &self.job.pending,
        };
        let survey = self.survey_with(due, dns, Some(providers)).await?;
        for line in &survey.looked_at {
            tracing::debug!("{line}");
        }
        Ok(survey)
    }

    /// Looks at the zones of the certificates, at these providers or at none, and says what is worth it.
    pub(super) async fn survey_with(
        &self,
        due: &[Planned],
        dns: DnsConfig,
        providers: Option<Providers<'_>>,
    ) -> Result<Survey> {
        let step = self.progress.step("looking at the zones");
        let surveyor = Surveyor {
            lookout: &Lookout::new(self.lookup()?, &self.job.name_servers),
            providers,
        };
        let survey = surveyor.survey(Arc::new(dns), challenge_names(due)).await?;
        step.done(&format!("looked at {}", survey.summary()));
        survey.news.iter().for_each(|news| self.say_in_full(news));
        for warning in &survey.warnings {
            self.progress.warn(&warning.replace('\n', "\n    "));
        }
        Ok(survey)
    }

    /// What providers are opened with.
    pub(super) fn provider_context(&self) -> registry::Context {
        registry::Context {
            http: self.job.http.clone(),
            environment: self.job.environment.clone(),
            dns_root: self.job.dns.root.clone(),
            dns_root_is_temporary: self.job.dns_is_temporary,
            dnscontrol: self.invocation(),
        }
    }

    /// Parts what fits into the limits of the CAs from what waits for a later run; both in order.
    ///
    /// What another CA can stand in for does not wait.
    pub(super) async fn within_limits(
        &self,
        due: Vec<Planned>,
        decided: &Decided,
    ) -> Result<(Vec<Planned>, Vec<PutOff>)> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let (mut fit, mut wait) = (Vec::new(), Vec::new());
        for (place, planned) in due.into_iter().enumerate() {
            let authorities = self.job.authorities(&planned.wanted);
            let limits = match authorities.as_slice() {
                [only] => self.job.limits_of(only),
                _ => None,
            };
            match (limits, authorities.into_iter().next()) {
                (Some(limits), Some(directory)) => {
                    let group = groups.entry(directory.url().to_owned());
                    let new = || (directory, limits, Vec::new());
                    group.or_insert_with(new).2.push((place, planned));
                }
                _ => fit.push((place, planned)),
            }
        }
        let past = if groups.is_empty() {
            Vec::new()
        } else {
            self.past(decided).await?
        };
        for (directory, limits, due) in groups.into_values() {
            let past = past
                .iter()
                .filter(|past| directory.is_of_same_ca(&past.directory));
            let past: Vec<_> = past.cloned().collect();
            let budget = Budget::new(limits, &past, decided.now);
            let (fits, waits) = budget::sort(due, budget, &directory, decided.now);
            fit.extend(fits);
            wait.extend(waits);
        }
        Ok((in_order(fit), in_order(wait)))
    }

    /// What was issued within the memory of limits, as far as the repository tells.
    pub(super) async fn past(&self, decided: &Decided) -> Result<Vec<Issuance>> {
        let since = decided.now - MEMORY;
        let is_recent = |held: &Result<Held, String>| {
            held.as_ref()
                .is_ok_and(|held| held.leaf.not_before >= since)
        };
        let held = decided.held.iter().filter(|(_, held)| is_recent(held));
        if self.vault_store().is_some() {
            let held = held.map(|(name, held)| (name.clone(), held.clone()));
            return Ok(vault_store::past(&held.collect()));
        }
        let names: Vec<_> = held.map(|(name, _)| name.clone()).collect();
        self.workspaces
            .with(move |workspace| issuances::since(workspace, &names, since))
            .await
    }

    /// Starts to look up the CAA records of all due certificates.
    pub(super) fn permission(&self, due: &[Planned], dns: &DnsConfig) -> Result<Permission> {
        let zones = dns.zones.iter().map(|zone| zone.name.clone());
        Ok(Permission::look_up(
            self.lookup()?,
            self.job.name_servers.doh.clone(),
            due,
            zones.collect(),
        ))
    }

    pub(super) fn lookup(&self) -> Result<Lookup> {
        match self.job.resolvers.as_slice() {
            [] => Lookup::system(),
            resolvers => Lookup::at(resolvers),
        }
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

    /// The accounts of the cert repository at the CA of the run.
    pub(crate) fn accounts(&self) -> Accounts<'_> {
        self.accounts_at(&self.job.directory)
    }

    /// The same at another CA.
    pub(super) fn accounts_at<'a>(&'a self, directory: &'a Directory) -> Accounts<'a> {
        Accounts {
            workspaces: &self.workspaces,
            progress: &self.progress,
            connections: &self.job.connections,
            directory,
            keyring: &self.job.keyring,
            vault: self.vault_store(),
            push: self.job.push,
            is_shared: self.job.shard.is_some_and(|shard| !shard.is_alone()),
        }
    }
}

fn compromised() -> Error {
    with_hint(
        anyhow!("its `csr` is of the key that was compromised"),
        "whoever keeps the key makes a new one, and a new request for it",
    )
}
