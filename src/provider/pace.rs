//! How fast an API may be asked: the vendor's published limits, kept on our side.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for our own count; beyond it the API is asked, and may answer 429.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A published limit: so many requests in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) requests: usize,
    pub(crate) per: Duration,
    pub(crate) of: Of,
}

/// Which requests a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    All,
    Reads,
    Writes,
}

impl Of {
    fn counts(self, is_write: bool) -> bool {
        match self {
            Self::All => true,
            Self::Reads => !is_write,
            Self::Writes => is_write,
        }
    }
}

/// Counts the requests of one client.
#[derive(Debug)]
pub(super) struct Pace {
    rates: &'static [Rate],
    sent: Mutex<VecDeque<(Instant, bool)>>,
}

impl Pace {
    pub(super) fn new(rates: &'static [Rate]) -> Self {
        Self {
            rates,
            sent: Mutex::default(),
        }
    }

    /// Returns when a request fits into every limit, and counts it.
    pub(super) async fn wait(&self, is_write: bool) {
        while let Some(pause) = self.take(is_write, Instant::now()) {
            tokio::time::sleep(pause).await;
        }
    }

    /// Counts a request at `now`, or says how long it has to wait.
    fn take(&self, is_write: bool, now: Instant) -> Option<Duration> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let applying = self.rates.iter().filter(|rate| rate.of.counts(is_write));
        let pause = applying
            .filter_map(|rate| {
                let counted = sent.iter().rev().filter(|(_, kind)| rate.of.counts(*kind));
                let (first, _) = counted.take(rate.requests).nth(rate.requests - 1)?;
                Some(rate.per.saturating_sub(now.duration_since(*first)))
            })
            .max()
            .unwrap_or_default();
        if !pause.is_zero() && pause <= LONGEST_WAIT {
            return Some(pause);
        }
        let longest = self.rates.iter().map(|rate| rate.per).max();
        let window = longest.unwrap_or_default();
        while sent
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > window)
        {
            sent.pop_front();
        }
        sent.push_back((now, is_write));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: &[Rate] = &[
        Rate {
            requests: 2,
            per: Duration::from_secs(1),
            of: Of::Writes,
        },
        Rate {
            requests: 3,
            per: Duration::from_secs(10),
            of: Of::All,
        },
    ];

    #[test]
    fn every_limit_is_kept() {
        let pace = Pace::new(RATES);
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(pace.take(true, at(0)), None);
        assert_eq!(pace.take(true, at(100)), None);
        assert_eq!(pace.take(true, at(200)), Some(Duration::from_millis(800)));
        assert_eq!(pace.take(false, at(200)), None);
        assert_eq!(pace.take(false, at(300)), Some(Duration::from_millis(9700)));
        assert_eq!(pace.take(true, at(10_000)), None);
    }

    #[test]
    fn a_limit_of_hours_is_left_to_the_api() {
        const ONE: &[Rate] = &[Rate {
            requests: 1,
            per: Duration::from_hours(1),
            of: Of::All,
        }];
        let pace = Pace::new(ONE);
        let now = Instant::now();
        assert_eq!(pace.take(false, now), None);
        assert_eq!(pace.take(false, now), None);
    }

    #[tokio::test]
    async fn requests_wait_for_their_turn() {
        const ONE: &[Rate] = &[Rate {
            requests: 2,
            per: Duration::from_millis(60),
            of: Of::All,
        }];
        let pace = Pace::new(ONE);
        let start = Instant::now();
        for _ in 0..5 {
            pace.wait(false).await;
        }
        assert!(start.elapsed() >= Duration::from_millis(120));
    }
}
