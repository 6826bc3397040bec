//! What becomes of the accounts of another program: one at each CA.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};

use crate::acme::account_key::AccountKey;
use crate::acme::key::CertificateKey;
use crate::model::hint::with_hint;
use crate::nightly::import_keys::{Fitting, fitting_key};
use crate::nightly::importing::Decider;
use crate::repo::import::{FoundAccount, host_of};
use crate::repo::{accounts, layout};

impl Decider<'_> {
    pub(super) fn accounts(&mut self, found: Vec<FoundAccount>) {
        let mut by_host: BTreeMap<String, Vec<FoundAccount>> = BTreeMap::new();
        for account in found {
            by_host
                .entry(self.host(&account))
                .or_default()
                .push(account);
        }
        for (host, mut accounts) in by_host {
            if let Some(chosen) = &self.job.account {
                accounts.retain(|account| account.label == *chosen);
            }
            let labels = accounts
                .iter()
                .map(|account| format!("`{}`", account.label));
            let labels: Vec<_> = labels.collect();
            let done = match (accounts.pop(), accounts.is_empty()) {
                (None, _) => Ok(()),
                (Some(only), true) => self.account(&host, only),
                (Some(_), false) => Err(with_hint(
                    anyhow!("there are several: {}", labels.join(", ")),
                    "choose one by that name: `--account NAME`",
                )),
            };
            if let Err(error) = done {
                let about = format!("cannot import the account at `{host}`");
                self.importing.left.push(error.context(about));
            }
        }
    }

    /// Host of the account's CA. A program that does not tell it works with the CA of this run.
    fn host(&mut self, account: &FoundAccount) -> String {
        let Some(ca) = &account.ca else {
            let host = self.job.directory.host();
            self.importing.notes.push(format!(
                "at which CA the account is told nowhere: it is taken to be at `{host}`, as `--acme` says"
            ));
            return host;
        };
        let directory = self.directory(Some(ca));
        directory.map_or_else(|| host_of(ca), |directory| directory.host())
    }

    fn account(&mut self, host: &str, found: FoundAccount) -> Result<()> {
        let is_meant = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        ensure!(
            host.chars().all(is_meant),
            "the name of its CA is no name of a host"
        );
        let key_path = accounts::key_path(host);
        let has_key = self.workspace.has(&key_path)?;
        if !self.is_here && (has_key || accounts::account(self.workspace, host)?.is_some()) {
            self.importing.there.push(format!("account at `{host}`"));
            return Ok(());
        }
        let Fitting { key, paths, others } = fitting_key(None, "account", found.keys, None)?;
        let public = CertificateKey::parse(&key)?.public_key_der();
        if has_key && !accounts::has_key(self.workspace, host, &public)? {
            return Err(with_hint(
                anyhow!("`{key_path}` is there already, beside a key that age has not encrypted"),
                "if `git-certs account show` finds the account, remove the other file",
            ));
        }
        self.importing.left.extend(others);
        let recipients = layout::account_recipients(self.workspace);
        let Some(recipients) = self.readers(recipients) else {
            return Ok(());
        };
        let metadata = accounts::with_public_key(&found.metadata, &public)
            .context("its account.json cannot be read")?;
        self.files
            .extend(accounts::account_files(host, &metadata, &key, &recipients)?);
        // What cannot be encrypted stays.
        if self.is_here {
            self.removed.extend(paths.into_iter().chain(found.copies));
        }
        self.account_keys.insert(host.to_owned(), public);
        let key = AccountKey::parse(&key)?;
        let mut kind = format!("{key} key");
        if !key.signs_orders() {
            kind += ", which the next run replaces by a P-256 key";
        }
        self.importing.accounts.push((host.to_owned(), kind));
        Ok(())
    }
}
