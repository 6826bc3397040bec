//! Whether files have followed commits that changed them, and what is to follow.

use std::collections::BTreeSet;

use git2::Oid;

/// A file that commits have changed.
pub(super) struct Changed {
    /// From the top of the work tree.
    pub(super) path: String,
    /// What it was before the commits, and after each but the last.
    pub(super) before: BTreeSet<Found>,
    /// What it is in the last of the commits.
    pub(super) after: Found,
}

/// What is found at a path: in a commit, in the work tree, or in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Nothing,
    Content(Oid),
    /// No file, one behind a symbolic link, a merge that is not finished.
    Other,
}

/// How a file, or its entry in the index, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Followed,
    Behind,
    /// The user has changed it.
    Own,
}

/// What is to follow of a file, and whether something of it stays that the commit would have replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) file: bool,
    pub(super) entry: bool,
    pub(super) is_kept: bool,
}

pub(super) fn decide(file: State, entry: State, is_gone: bool) -> Steps {
    let is_free = entry != State::Own;
    // The index is written last: whose entry has followed was changed after the command was through with it. A file that the
    // commit has no more may have had no entry before.
    let is_later = entry == State::Followed && !is_gone;
    Steps {
        file: is_free && file == State::Behind,
        entry: is_free && entry == State::Behind,
        is_kept: !is_free || file == State::Own && !is_later,
    }
}

impl Found {
    /// Of one side of a difference.
    pub(super) fn of(id: Oid) -> Self {
        if id.is_zero() {
            Self::Nothing
        } else {
            Self::Content(id)
        }
    }
}

impl Changed {
    pub(super) fn state(&self, found: Found) -> State {
        if found == self.after {
            State::Followed
        } else if self.before.contains(&found) {
            State::Behind
        } else {
            State::Own
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_changed_stays() {
        use State::{Behind, Followed, Own};

        let decided = |file, entry| {
            let [steps, gone] = [false, true].map(|is_gone| decide(file, entry, is_gone));
            assert_eq!((steps.file, steps.entry), (gone.file, gone.entry));
            (steps.file, steps.entry, steps.is_kept, gone.is_kept)
        };
        assert_eq!(decided(Behind, Behind), (true, true, false, false));
        assert_eq!(decided(Behind, Followed), (true, false, false, false));
        assert_eq!(decided(Followed, Behind), (false, true, false, false));
        assert_eq!(decided(Followed, Followed), (false, false, false, false));
        // The entry is as it was: the next commit would bring that back.
        assert_eq!(decided(Own, Behind), (false, true, true, true));
        assert_eq!(decided(Own, Followed), (false, false, false, true));
        for file in [Behind, Followed, Own] {
            assert_eq!(decided(file, Own), (false, false, true, true));
        }
    }
}
