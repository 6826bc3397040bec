//! What a check of a repository found.

/// Something that is wrong, or worth to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) place: Place,
    /// The commit that brought it, or that was looked at.
    pub(crate) commit: String,
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: String,
}

/// What of a commit it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Message,
    Signature,
    /// A file, by its path.
    File(String),
}

impl Place {
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Message | Self::Signature => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Fault,
    Note,
}

/// Everything that a check found, and how much it looked at.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) commits: usize,
    pub(crate) files: usize,
    /// In the order of the commits.
    pub(crate) all: Vec<Finding>,
}

impl Findings {
    pub(crate) fn faults(&self) -> usize {
        let faults = self.all.iter();
        faults
            .filter(|finding| finding.level == Level::Fault)
            .count()
    }
}
