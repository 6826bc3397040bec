//! What a run plans and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Error;
use time::OffsetDateTime;

use crate::model::certificate::{CertificateName, Wanted};
use crate::model::chain::Leaf;
use crate::model::hint::Shared;
use crate::model::path::Path;
use crate::model::renewal::Predecessor;
use crate::model::shard::Shard;

/// What is to be done for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// There is none yet.
    Issue,
    /// The one that is there does not fit certs.json.
    Reissue,
    /// It fits and comes to its end.
    Renew,
    /// Nothing.
    Keep,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Issue => "issue",
            Self::Reissue => "reissue",
            Self::Renew => "renew",
            Self::Keep => "keep",
        })
    }
}

/// A line of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) wanted: Wanted,
    pub(crate) action: Action,
    /// Why: lower case, no final stop.
    pub(crate) reason: String,
    /// End of the certificate that is held.
    pub(crate) not_after: Option<OffsetDateTime>,
    /// From when on that is to be renewed, or the one that was issued; none where it is to be issued or made anew.
    pub(crate) due_from: Option<OffsetDateTime>,
    /// The certificate that the new one takes the place of (RFC 9773 section 5).
    pub(crate) replaces: Option<Predecessor>,
}

impl Planned {
    /// Whether there is something to do.
    pub(crate) fn is_due(&self) -> bool {
        self.action != Action::Keep
    }
}

/// What a run would do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// One for each certificate of certs.json, in its order.
    pub(crate) certificates: Vec<Planned>,
    /// What public DNS says of those that are due; none if it was not asked.
    pub(crate) verdicts: Option<Verdicts>,
    /// Those that no run could issue, due or not: their names are in no zone.
    pub(crate) astray: Verdicts,
    /// Names of certificates that the repository has, and that nothing renews any more.
    pub(crate) unlisted: Vec<String>,
}

/// What would fail certificates.
pub(crate) type Verdicts = BTreeMap<CertificateName, Shared>;

impl Plan {
    /// Certificates that there is something to do for.
    pub(crate) fn due(&self) -> impl Iterator<Item = &Planned> {
        self.certificates.iter().filter(|planned| planned.is_due())
    }

    /// Certificates that there is nothing to do for.
    pub(crate) fn up_to_date(&self) -> impl Iterator<Item = &Planned> {
        self.certificates
            .iter()
            .filter(|planned| !planned.is_due() && !self.astray.contains_key(&planned.wanted.name))
    }

    /// Why a certificate would fail.
    pub(crate) fn verdict(&self, name: &CertificateName) -> Option<&Shared> {
        let of_dns = || self.verdicts.as_ref()?.get(name);
        self.astray.get(name).or_else(of_dns)
    }

    /// How many certificates would fail; none if nothing is known.
    pub(crate) fn failing(&self) -> Option<usize> {
        let of_dns = self.verdicts.as_ref().map(Verdicts::len);
        match self.astray.len() {
            0 => of_dns,
            astray => Some(astray + of_dns.unwrap_or_default()),
        }
    }

    /// What cannot be, whatever DNS says, each error once.
    pub(crate) fn errors(&self) -> Vec<Error> {
        errors(self.astray.iter())
    }

    /// What DNS says, each error once.
    pub(crate) fn warnings(&self) -> Vec<Error> {
        errors(self.verdicts.iter().flatten())
    }
}

/// What came of one certificate: it was due, or cannot be issued at all.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) planned: Planned,
    pub(crate) result: Result<Stored, Shared>,
}

/// A certificate that was issued and committed.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) leaf: Leaf,
    /// The commit, abbreviated; none where the folder is no git repository, and in Vault.
    pub(crate) commit: Option<String>,
}

/// A due certificate that would not fit into the CA's limits: for a later run.
#[derive(Clone, Debug)]
pub(crate) struct PutOff {
    pub(crate) planned: Planned,
    /// Which limit: lower case, no final stop.
    pub(crate) reason: String,
    /// From when on it would fit.
    pub(crate) until: OffsetDateTime,
}

/// What came of the whole run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The share that the run had; none if it had all certificates.
    pub(crate) shard: Option<Shard>,
    /// One for each due certificate that was not put off.
    pub(crate) done: Vec<Done>,
    /// Whether the CA was asked for anything.
    pub(crate) has_ordered: bool,
    /// Certificates that a dry run has found nothing against.
    pub(crate) ready: Vec<Planned>,
    /// Due certificates that wait for a later run.
    pub(crate) put_off: Vec<PutOff>,
    /// How many requests the CA got, by resource (RFC 8555 section 7.1).
    pub(crate) requests: BTreeMap<String, u32>,
    /// Certificates for which nothing was due.
    pub(crate) kept: Vec<Planned>,
    /// Where the commits went, or what was written to Vault, in words; none if there is neither.
    pub(crate) pushed: Option<String>,
    /// The newest of the commits that were pushed.
    pub(crate) tip: Option<String>,
    /// What the run waited for; none before its end.
    pub(crate) path: Option<Path>,
    /// Challenge values that could not be withdrawn, and other trouble that left a trace.
    pub(crate) left_over: Vec<Error>,
}

impl Outcome {
    /// Certificates that were issued.
    pub(crate) fn issued(&self) -> impl Iterator<Item = (&CertificateName, &Stored)> {
        self.done.iter().filter_map(|done| {
            let stored = done.result.as_ref().ok()?;
            Some((&done.planned.wanted.name, stored))
        })
    }

    /// Names of the certificates that failed.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &CertificateName> {
        self.done
            .iter()
            .filter(|done| done.result.is_err())
            .map(|done| &done.planned.wanted.name)
    }

    /// Everything that went wrong, each error once.
    pub(crate) fn errors(&self) -> Vec<Error> {
        errors(self.done.iter().filter_map(|done| {
            let error = done.result.as_ref().err()?;
            Some((&done.planned.wanted.name, error))
        }))
    }

    /// Whether everything that was due is done and nothing is left over.
    pub(crate) fn is_clean(&self) -> bool {
        self.failed().next().is_none() && self.left_over.is_empty()
    }
}

/// Each error once: what several certificates fail with, such as a zone that is not ready, has the
/// names of all of them.
fn errors<'a>(failed: impl Iterator<Item = (&'a CertificateName, &'a Shared)>) -> Vec<Error> {
    let mut failures: Vec<(Shared, Vec<String>)> = Vec::new();
    for (name, error) in failed {
        let name = format!("`{name}`");
        for problem in error.parts() {
            match failures
                .iter_mut()
                .find(|(known, _)| known.says_the_same(&problem))
            {
                Some((_, names)) => names.push(name.clone()),
                None => failures.push((problem, vec![name.clone()])),
            }
        }
    }
    let all = failures.into_iter();
    all.map(|(error, names)| {
        Error::new(error).context(format!("cannot issue {}", names.join(", ")))
    })
    .collect()
}
