//! What is looked at before the CA is asked for anything: recipients, keys, zones, the push.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::acme::presets::Directory;
use crate::dns::lookup::Lookup;
use crate::dns::view::Lookout;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::{CertificateName, KeySource};
use crate::model::hint::Shared;
use crate::model::outcome::{Done, Outcome, Planned};
use crate::model::secret::Secret;
use crate::nightly::run::Nightly;
use crate::nightly::survey::{Survey, Surveyor};
use crate::nightly::unlock::Accounts;
use crate::provider::dnscontrol_binary::Invocation;
use crate::provider::registry;
use crate::repo::layout;
use crate::repo::seal::Recipients;

/// Recipients of the keys that a run makes.
pub(super) type RecipientsByName = BTreeMap<CertificateName, Arc<Recipients>>;

/// Keys of certificates that keep them.
pub(super) type KeysByName = BTreeMap<CertificateName, Arc<Secret>>;

/// What issuing needs, once everything has been looked at.
pub(super) struct Means {
    pub(super) survey: Survey,
    pub(super) recipients: RecipientsByName,
    pub(super) kept: KeysByName,
}

impl Nightly {
    /// Who the new keys will be encrypted for, before anything is asked of the CA.
    pub(super) async fn recipients(&self, due: &[Planned]) -> Result<RecipientsByName> {
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

    /// Opens the keys of certificates that keep them. One that cannot be opened fails its certificate.
    pub(super) async fn kept_keys(
        &self,
        due: Vec<Planned>,
        outcome: &mut Outcome,
    ) -> Result<(Vec<Planned>, KeysByName)> {
        let (mut ready, mut kept) = (Vec::new(), KeysByName::new());
        for planned in due {
            let name = &planned.wanted.name;
            if planned.wanted.key_source != KeySource::Kept {
                ready.push(planned);
                continue;
            }
            match self.accounts().certificate_key(name).await {
                Ok(key) => {
                    kept.extend(key.map(|key| (name.clone(), Arc::new(key))));
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

    pub(super) async fn survey(&self, due: &[Planned], dns: DnsConfig) -> Result<Survey> {
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

    /// The accounts of the cert repository at the CA of the run.
    pub(crate) fn accounts(&self) -> Accounts<'_> {
        self.accounts_at(&self.job.directory)
    }

    /// The same at another CA.
    pub(super) fn accounts_at<'a>(&'a self, directory: &'a Directory) -> Accounts<'a> {
        Accounts {
            workspaces: &self.workspaces,
            progress: &self.progress,
            http: &self.job.http,
            directory,
            identities: &self.job.identities,
            push: self.job.push,
        }
    }
}
