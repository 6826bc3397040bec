//! What a look at everything that a run needs has found.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use anyhow::Error;

use crate::model::certificate::CertificateName;
use crate::model::hint::Shared;
use crate::model::name::DnsName;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// A certificate would fail, or the run.
    Error,
    /// It works, but not as it should, or not for long.
    Warning,
    /// Worth to be known, such as a look that could not be taken.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// What it is about. In the order of the report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The repositories, the CA, this machine.
    Run,
    /// A zone, by its name with the tag.
    Zone(String),
    Certificate(CertificateName),
}

/// Something that was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) subject: Subject,
    pub(crate) severity: Severity,
    /// What, its causes, and what to do.
    pub(crate) error: Shared,
}

impl Finding {
    pub(crate) fn error(subject: Subject, error: impl Into<Error>) -> Self {
        Self::new(Severity::Error, subject, error)
    }

    pub(crate) fn warning(subject: Subject, error: impl Into<Error>) -> Self {
        Self::new(Severity::Warning, subject, error)
    }

    pub(crate) fn note(subject: Subject, error: impl Into<Error>) -> Self {
        Self::new(Severity::Note, subject, error)
    }

    fn new(severity: Severity, subject: Subject, error: impl Into<Error>) -> Self {
        Self {
            subject,
            severity,
            error: Shared::new(error.into()),
        }
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Checkup {
    /// How many certificates, and how many zones they need.
    pub(crate) certificates: usize,
    pub(crate) zones: usize,
    /// Sorted by subject, then by severity; each once.
    pub(crate) findings: Vec<Finding>,
    /// None if nothing was rehearsed.
    pub(crate) rehearsals: Option<Vec<Rehearsal>>,
}

impl Checkup {
    /// Sorts the findings, and leaves out what is said already.
    pub(crate) fn settle(&mut self) {
        self.findings
            .sort_by_key(|finding| (finding.subject.clone(), finding.severity));
        let mut said = BTreeSet::new();
        self.findings
            .retain(|finding| said.insert(format!("{:#}", Error::new(finding.error.clone()))));
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        let all = self.findings.iter();
        all.filter(|finding| finding.severity == severity).count()
    }
}

/// A value that was written to a zone, for a try.
#[derive(Clone, Debug)]
pub(crate) struct Rehearsal {
    pub(crate) zone: String,
    pub(crate) name: DnsName,
    /// Entries of creds.json that it was written at.
    pub(crate) entries: Vec<String>,
    /// How long writing took.
    pub(crate) written: Duration,
    /// Servers with their addresses, or resolvers, and after how long each showed it; the first first.
    pub(crate) shown: Vec<(String, Duration)>,
}
