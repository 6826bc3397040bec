//! One account of several waits for name servers that go on at the same time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::dns::wait::Progress;

/// The latest word of each wait.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<usize, Progress>>);

impl Tally {
    /// Takes the word of the wait with this number, and returns that of all: the longest time, and of what is new only what
    /// this one has.
    pub(super) fn with(&self, number: usize, at: &Progress) -> Progress {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, at.clone());
        let each = || all.values();
        Progress {
            seen: each().map(|one| one.seen).sum(),
            total: each().map(|one| one.total).sum(),
            elapsed: each().map(|one| one.elapsed).max().unwrap_or_default(),
            newly_seen: at.newly_seen.clone(),
            newly_shown: at.newly_shown.clone(),
            laggards: each().flat_map(|one| one.laggards.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn what_all_have_seen_is_added_up() {
        let at = |seen, seconds| Progress {
            seen,
            total: 3,
            elapsed: Duration::from_secs(seconds),
            newly_seen: vec![seen],
            newly_shown: Vec::new(),
            laggards: Vec::new(),
        };
        let tally = Tally::default();
        tally.with(0, &at(1, 5));
        tally.with(1, &at(1, 1));
        let all = tally.with(1, &at(2, 2));
        assert_eq!((all.seen, all.total), (3, 6));
        assert_eq!(all.elapsed, Duration::from_secs(5));
        assert_eq!(all.newly_seen, [2]);
    }
}
