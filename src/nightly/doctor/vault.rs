//! Vault: whether it answers and is unsealed, takes the token for long enough, and lets a run do what it has to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, anyhow};
use time::OffsetDateTime;

use crate::model::certificate::Wanted;
use crate::model::checkup::{Finding, Severity, Subject};
use crate::model::hint::with_hint;
use crate::model::wording::first_of;
use crate::nightly::clock;
use crate::nightly::doctor::CLOCK_TOLERANCE;
use crate::nightly::listing::Listing;
use crate::nightly::run::Nightly;
use crate::nightly::vaulting::{Role, Vaulting};
use crate::repo::vault::{Health, Lack, Purpose, Vault, is_forbidden};

/// A token that was given and ends within this time is told: nobody renews it between two runs.
const ENDS_SOON: Duration = Duration::from_hours(7 * 24);

/// What was found of Vault.
#[derive(Default)]
pub(super) struct OfVault {
    pub(super) findings: Vec<Finding>,
    /// Nothing in it can be read, and why is among the findings.
    pub(super) is_closed: bool,
}

impl OfVault {
    fn closed(error: anyhow::Error) -> Self {
        Self {
            findings: vec![Finding::error(Subject::Run, error)],
            is_closed: true,
        }
    }
}

impl Nightly {
    /// What certs.json lists and what there is of it. Where Vault cannot be read, that is among the findings.
    pub(super) async fn read_and_look_at_vault(&self) -> Result<(Listing, OfVault)> {
        let Some(vaulting) = &self.job.vault else {
            return Ok((self.read().await?, OfVault::default()));
        };
        let mut listing = match vaulting.role {
            Role::Copy => self.read().await?,
            Role::Store => self.listing_alone().await?,
        };
        let mut of_vault = self.vault(vaulting, &listing.wanted).await;
        if vaulting.role == Role::Store && !of_vault.is_closed {
            match self.held_in_vault(vaulting, &listing.wanted).await {
                Ok(held) => {
                    listing.held = held;
                    let faults = self.key_faults(vaulting, &listing.wanted).await;
                    of_vault.findings.extend(faults);
                }
                Err(error) => {
                    of_vault.is_closed = true;
                    let errors = of_vault.findings.iter();
                    let is_told = errors.clone().any(|one| one.severity == Severity::Error);
                    if !is_told {
                        let finding = Finding::error(Subject::Run, error);
                        of_vault.findings.push(finding);
                    }
                }
            }
        }
        Ok((listing, of_vault))
    }

    async fn key_faults(&self, vaulting: &Vaulting, wanted: &[Wanted]) -> Vec<Finding> {
        match vaulting.key_faults(wanted, &self.progress).await {
            Ok(faults) => faults
                .into_iter()
                .map(|(name, fault)| Finding::error(Subject::Certificate(name), fault))
                .collect(),
            Err(error) => vec![Finding::error(Subject::Run, error)],
        }
    }

    async fn vault(&self, vaulting: &Vaulting, wanted: &[Wanted]) -> OfVault {
        let mut of_vault = OfVault::default();
        match vaulting.health().await {
            Err(error) => return OfVault::closed(error),
            Ok(Some(health)) => {
                let server = vaulting.server();
                if let Some(error) = unusable(&health, &server) {
                    return OfVault::closed(error);
                }
                let now = OffsetDateTime::now_utc();
                of_vault.findings.extend(wrong_clock(&health, now));
            }
            // One that stands before it does not let everybody ask.
            Ok(None) => {}
        }
        let vault = match vaulting.open(&self.progress).await {
            Ok(vault) => vault,
            Err(error) => {
                let error = with_policies(error, vaulting);
                of_vault.findings.push(Finding::error(Subject::Run, error));
                of_vault.is_closed = true;
                return of_vault;
            }
        };
        let findings = &mut of_vault.findings;
        match vault.lasts(vaulting.longest()).await {
            Err(error) => findings.push(Finding::error(Subject::Run, error)),
            Ok(()) if !vaulting.logs_in() => {
                findings.extend(vault.time_left().and_then(ends_soon));
            }
            Ok(()) => {}
        }
        findings.extend(vault.without_versions().map(|engine| no_versions(&engine)));
        match self.lacking(vaulting, vault, wanted).await {
            Ok(Some(lacks)) => findings.extend(told(lacks)),
            Ok(None) => findings.push(may_not_ask()),
            Err(error) => findings.push(Finding::error(Subject::Run, error)),
        }
        of_vault
    }

    async fn lacking(
        &self,
        vaulting: &Vaulting,
        vault: &Vault,
        wanted: &[Wanted],
    ) -> Result<Option<Vec<Lack>>> {
        let wanted = self.selected(wanted.to_vec())?;
        let names: Vec<_> = wanted.iter().map(|wanted| &wanted.name).collect();
        let needs = match vaulting.role {
            Role::Copy => vault.needs_of_copies(&names),
            Role::Store => {
                let all = wanted.iter();
                let all = all.flat_map(|wanted| self.job.authorities(wanted));
                let hosts: BTreeSet<_> = all.map(|directory| directory.host()).collect();
                vault.needs(&names, &hosts)
            }
        };
        vault.lacking(&needs).await
    }
}

/// Who may do nothing below a path is not told which engine is there.
fn with_policies(error: anyhow::Error, vaulting: &Vaulting) -> anyhow::Error {
    if !is_forbidden(&error) {
        return error;
    }
    let [second, first] = vaulting.likely_policies();
    let hint = format!("a policy for it is `{second}`; in an engine of version 1 `{first}`");
    with_hint(error, hint)
}

fn unusable(health: &Health, server: &str) -> Option<anyhow::Error> {
    let (what, hint) = match (health.is_initialized, health.is_sealed) {
        (false, _) => (
            "not initialized",
            "initialize it (`vault operator init`), and unseal it",
        ),
        (true, true) => (
            "sealed",
            "unseal it (`vault operator unseal`), or let it unseal itself: no run can wait for people",
        ),
        (true, false) => return None,
    };
    Some(with_hint(anyhow!("Vault at `{server}` is {what}"), hint))
}

fn wrong_clock(health: &Health, now: OffsetDateTime) -> Option<Finding> {
    let text = clock::warning(health.time? - now, CLOCK_TOLERANCE, "Vault's")?;
    let hint = "let both machines set their clocks by NTP: tokens and ID tokens are valid from and until a moment";
    let error = with_hint(anyhow!(text), hint);
    Some(Finding::warning(Subject::Run, error))
}

fn ends_soon(left: Duration) -> Option<Finding> {
    if left >= ENDS_SOON {
        return None;
    }
    let shown = humantime::format_duration(Duration::from_mins(left.as_secs() / 60));
    let error = with_hint(
        anyhow!("the Vault token ends in {shown}: a later run cannot log in with it"),
        "renew it (`vault token renew`), or let each run log in: AppRole, or the ID token of the CI job",
    );
    Some(Finding::warning(Subject::Run, error))
}

fn no_versions(engine: &str) -> Finding {
    let error = with_hint(
        anyhow!(
            "`{engine}` of Vault is an engine of version 1: it keeps no older version, and no run sees that another one wrote first"
        ),
        format!(
            "`vault kv enable-versioning {engine}` makes it one of version 2; its policies name `{engine}/data/...` then"
        ),
    );
    Finding::note(Subject::Run, error)
}

fn may_not_ask() -> Finding {
    let error = with_hint(
        anyhow!("the Vault token may not ask what it may do, so that is not known"),
        "its policy needs `path \"sys/capabilities-self\" { capabilities = [\"update\"] }`, which the policy `default` has",
    );
    Finding::note(Subject::Run, error)
}

/// A finding for each line that the policy lacks.
fn told(lacks: Vec<Lack>) -> Vec<Finding> {
    let mut by_line: BTreeMap<(Purpose, String, Vec<&'static str>), Vec<String>> = BTreeMap::new();
    for Lack { need, capabilities } in lacks {
        let key = (need.purpose, need.policy, capabilities);
        by_line.entry(key).or_default().push(need.shown);
    }
    let findings = by_line.into_iter();
    findings
        .map(|((purpose, line, capabilities), places)| {
            let quoted: Vec<_> = capabilities
                .iter()
                .map(|word| format!("`{word}`"))
                .collect();
            let (may, places) = (quoted.join(", "), first_of(&places));
            let (severity, why) = consequence(purpose);
            let error = with_hint(
                anyhow!("the Vault token lacks {may} at {places}: {why}"),
                format!("its policy needs `{line}`"),
            );
            match severity {
                Severity::Error => Finding::error(Subject::Run, error),
                Severity::Warning => Finding::warning(Subject::Run, error),
                Severity::Note => Finding::note(Subject::Run, error),
            }
        })
        .collect()
}

fn consequence(purpose: Purpose) -> (Severity, &'static str) {
    match purpose {
        Purpose::Certificates => (Severity::Error, "certificates cannot be read and stored"),
        Purpose::Accounts => (
            Severity::Error,
            "the ACME account cannot be read and stored",
        ),
        Purpose::Orders => (Severity::Error, "nothing can be ordered"),
        Purpose::Forgetting => (
            Severity::Warning,
            "notes of orders stay, with their keys, after they have come to their end",
        ),
        Purpose::Listing => (
            Severity::Warning,
            "`status` does not tell of certificates that certs.json does not list, and `export --all` fails",
        ),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-26 10:00:00 UTC);

    fn text(finding: &Finding) -> String {
        format!(
            "{}: {:#}",
            finding.severity,
            anyhow::Error::new(finding.error.clone())
        )
    }

    fn health(is_initialized: bool, is_sealed: bool) -> Health {
        Health {
            is_initialized,
            is_sealed,
            time: Some(NOW),
        }
    }

    #[test]
    fn a_server_that_is_not_open_is_told() {
        let said = |initialized, sealed| {
            let health = health(initialized, sealed);
            unusable(&health, "https://vault.test").map(|error| error.to_string())
        };
        assert_eq!(said(true, false), None);
        assert_eq!(
            said(true, true).unwrap(),
            "Vault at `https://vault.test` is sealed"
        );
        // One that is new says that it is sealed, too.
        assert_eq!(
            said(false, true).unwrap(),
            "Vault at `https://vault.test` is not initialized"
        );
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let said = |seconds| wrong_clock(&health(true, false), NOW + Duration::from_secs(seconds));
        assert!(said(5).is_none());
        assert_eq!(
            text(&said(90).unwrap()),
            "warning: the clock of this machine is 1m 30s ahead of Vault's"
        );
    }

    #[test]
    fn a_token_that_ends_soon_is_told() {
        assert!(ends_soon(ENDS_SOON).is_none());
        assert_eq!(
            text(&ends_soon(Duration::from_secs(26 * 3600 + 59)).unwrap()),
            "warning: the Vault token ends in 1day 2h: a later run cannot log in with it"
        );
    }
}
