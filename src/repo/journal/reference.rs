//! Names of the references that journals are kept at.

use std::fmt;

use crate::model::shard::Scope;

/// Where a journal is kept, the first choice first: outside of branches no pipeline starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Home {
    /// `refs/git-certs/journal`
    Outside,
    /// The branch `git-certs-journal`
    Branch,
}

impl Home {
    pub(crate) const ALL: [Self; 2] = [Self::Outside, Self::Branch];

    fn prefix(self) -> &'static str {
        match self {
            Self::Outside => "refs/git-certs/journal",
            Self::Branch => "refs/heads/git-certs-journal",
        }
    }
}

/// The reference of one journal. It prints as its full name, which for a shard ends with such as
/// `-3-of-8-1f2e3d4c`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    /// What the run works on.
    pub(crate) scope: Scope,
    pub(crate) home: Home,
}

impl Reference {
    /// None for references that are no journal's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Home::ALL.into_iter().find_map(|home| {
            let scope = Scope::parse_suffix(name.strip_prefix(home.prefix())?)?;
            Some(Self { scope, home })
        })
    }

    /// The name of the branch that it is; none outside of branches.
    pub(crate) fn branch(&self) -> Option<String> {
        let name = self.to_string();
        name.strip_prefix("refs/heads/").map(str::to_owned)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, home } = self;
        write!(f, "{}{scope}", home.prefix())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn journals_are_known_by_their_names() {
        for name in [
            "refs/git-certs/journal",
            "refs/heads/git-certs-journal",
            "refs/git-certs/journal-3-of-8-1f2e3d4c",
            "refs/heads/git-certs-journal-8-of-8-1f2e3d4c",
        ] {
            let found = Reference::parse(name).map(|reference| reference.to_string());
            assert_eq!(found.as_deref(), Some(name));
        }
        for name in [
            "refs/git-certs/journals",
            "refs/git-certs/kept/1",
            "refs/heads/git-certs-journal-of-mine",
            "refs/heads/main",
        ] {
            assert_eq!(Reference::parse(name), None, "{name}");
        }
    }
}
