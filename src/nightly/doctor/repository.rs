//! The cert repository and the CAs: the push, the journal, recipients, the account and its key, the clock.

use std::slice;

use anyhow::{Error, anyhow};
use futures_util::future::join_all;

use crate::acme::presets::Directory;
use crate::model::certificate::KeySource;
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::outcome::Planned;
use crate::nightly::clock;
use crate::nightly::doctor::CLOCK_TOLERANCE;
use crate::nightly::dry_run::Candidate;
use crate::nightly::recover::left_by;
use crate::nightly::run::Nightly;
use crate::nightly::shard::Part;
use crate::repo::layout;

/// The status of an account that can order (RFC 8555 section 7.1.6).
const VALID: &str = "valid";

impl Nightly {
    /// Looks at all that has nothing to do with DNS.
    ///
    /// `vault_is_closed`: the accounts are in Vault, where nothing can be read.
    pub(super) async fn repository(
        &self,
        certificates: &[Planned],
        vault_is_closed: bool,
    ) -> Vec<Finding> {
        if vault_is_closed && self.vault_store().is_some() {
            return self.journal().await;
        }
        let push = async {
            // What Vault takes has been looked at.
            let proven = match self.vault_store() {
                Some(_) => None,
                None => self.prove_store(certificates).await.err(),
            };
            let findings = proven.map(|error| Finding::error(Subject::Run, error));
            findings.into_iter().collect()
        };
        let all: [Vec<Finding>; 4] = tokio::join!(
            push,
            self.journal(),
            self.keys(certificates),
            self.authorities(certificates)
        )
        .into();
        all.concat()
    }

    /// What another run has left, or is at.
    async fn journal(&self) -> Vec<Finding> {
        let found = match self.found(&Part::All).await {
            Ok(found) => found,
            Err(error) => return vec![Finding::error(Subject::Run, error)],
        };
        let told = found.iter().map(|found| {
            if found.is_running(&self.job.journal) {
                let at_work = anyhow!("another run is at work: {}", found.describe());
                return Finding::note(Subject::Run, at_work);
            }
            let left = anyhow!(left_by(found));
            let hint = "the next `git-certs renew` takes it over";
            Finding::warning(Subject::Run, with_hint(left, hint))
        });
        told.collect()
    }

    /// Who new keys are for, and keys that certificates keep.
    async fn keys(&self, certificates: &[Planned]) -> Vec<Finding> {
        let mut findings = Vec::new();
        // One by one only where something is wrong.
        if self.forms(certificates).await.is_err() {
            for planned in certificates {
                if let Err(error) = self.forms(slice::from_ref(planned)).await {
                    findings.push(Finding::error(subject(planned), error));
                }
            }
        }
        let has_identity = !self.job.keyring.is_empty() || self.vault_store().is_some();
        for planned in certificates {
            let needs_identity = planned.wanted.key_source == KeySource::Kept;
            if needs_identity && !has_identity {
                continue;
            }
            if let Err(error) = self.kept_key(&planned.wanted).await {
                findings.push(Finding::error(subject(planned), error));
            }
        }
        findings
    }

    /// Every CA that one of the certificates may go to: whether it answers, and takes our orders.
    async fn authorities(&self, certificates: &[Planned]) -> Vec<Finding> {
        let candidates = self.candidates(certificates).await;
        let mut directories: Vec<Directory> = Vec::new();
        let mut findings = Vec::new();
        for planned in certificates {
            for directory in self.job.authorities(&planned.wanted) {
                if !directories.contains(&directory) {
                    directories.push(directory);
                }
            }
            let first = self.job.authorities(&planned.wanted).into_iter().next();
            let candidate = first.and_then(|first| candidates.get(first.url()));
            if let Some(Ok(candidate)) = candidate
                && let profile = planned.wanted.profile.as_ref()
                && let Err(error) = candidate.prospect.profile(profile)
            {
                let error = error.context(format!("cannot issue `{}`", planned.wanted.name));
                findings.push(Finding::error(subject(planned), error));
            }
        }
        let looks = directories.iter().map(|directory| async {
            match candidates.get(directory.url()) {
                Some(Ok(candidate)) => self.authority(directory, candidate).await,
                Some(Err(error)) if self.job.fallback.contains(directory) => {
                    vec![Finding::warning(Subject::Run, Error::new(error.clone()))]
                }
                Some(Err(error)) => vec![Finding::error(Subject::Run, Error::new(error.clone()))],
                None => Vec::new(),
            }
        });
        let looks = join_all(looks).await.into_iter().flatten();
        findings.extend(looks);
        findings
    }

    async fn authority(&self, directory: &Directory, candidate: &Candidate) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(text) = clock::warning(candidate.prospect.ahead(), CLOCK_TOLERANCE, "the CA's")
        {
            let hint = "let the machine set its clock by NTP: certificates and DNSSEC signatures are valid from and until a moment";
            let error = with_hint(anyhow!(text), hint);
            findings.push(Finding::warning(Subject::Run, error));
        }
        if let Err(error) = &candidate.may_order {
            findings.push(Finding::error(Subject::Run, Error::new(error.clone())));
        } else if candidate.account.is_some() {
            findings.extend(self.account(directory).await);
        } else if self.vault_store().is_none() {
            let recipients = self
                .workspaces
                .with(|workspace| layout::account_recipients(workspace));
            let error = recipients.await.err();
            findings.extend(error.map(|error| Finding::error(Subject::Run, error)));
        }
        findings
    }

    /// Whether the account's key opens, and the CA knows the account by it.
    async fn account(&self, directory: &Directory) -> Option<Finding> {
        let host = directory.host();
        let in_vault = self.vault_store().is_some();
        if self.job.keyring.is_empty() && !in_vault {
            let unknown = anyhow!(
                "no age identity is given, so it is not known whether the account key for `{host}` opens"
            );
            let hint =
                "set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`";
            return Some(Finding::note(Subject::Run, with_hint(unknown, hint)));
        }
        let error = match Box::pin(self.accounts_at(directory).show()).await {
            Ok(account) if account.status == VALID => return None,
            Ok(account) => {
                let what = if in_vault {
                    format!("remove the secret `.letsencrypt/{host}` in Vault")
                } else {
                    format!("move the files in `.letsencrypt/{host}/` away")
                };
                with_hint(
                    anyhow!("the account `{}` is {}", account.url, account.status),
                    format!("{what}: the next run registers another"),
                )
            }
            Err(error) => error,
        };
        Some(Finding::error(Subject::Run, error))
    }
}

fn subject(planned: &Planned) -> Subject {
    Subject::Certificate(planned.wanted.name.clone())
}
