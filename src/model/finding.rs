//! What a check of a repository found.

/// Something that is wrong, or worth to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// None for the message of a commit.
    pub(crate) path: Option<String>,
    /// The commit that brought it, or that was looked at.
    pub(crate) commit: String,
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: String,
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
