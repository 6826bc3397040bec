//! Refusals of a push that may pass, and how long they are waited for.

use std::thread::sleep;
use std::time::Duration;

use crate::repo::prove;

/// How often others may come first between our look at the branch and our push: each of the 256 jobs of a matrix of
/// GitHub once, and a few people.
pub(super) const ATTEMPTS: u32 = 300;

/// How often the branch may be locked on the server: for some seconds on the whole.
const LOCK_ATTEMPTS: u32 = 4;

/// Longest pause before the second try; longer with each try.
const PAUSE: Duration = Duration::from_millis(400);

/// Tries after which pauses grow no longer.
const GROWING: u32 = 10;

/// Refusals that may pass.
#[derive(Default)]
pub(in crate::repo) struct Waits {
    /// Others came first.
    pub(super) races: u32,
    /// The branch was locked.
    locks: u32,
}

impl Waits {
    /// Whether another try is worth it. If so, waits before.
    pub(in crate::repo) fn again(&mut self, reason: &str, said: &str) -> bool {
        let tried = if prove::is_stale(reason, said) {
            &mut self.races
        } else if prove::is_locked(reason, said) && self.locks < LOCK_ATTEMPTS {
            &mut self.locks
        } else {
            return false;
        };
        pause(*tried);
        *tried += 1;
        true
    }
}

/// Waits a random time, so that many writers do not meet again.
fn pause(tried: u32) {
    let mut byte = [128_u8; 1];
    // Without randomness the middle is as good.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    sleep((PAUSE * (tried + 1).min(GROWING)).mul_f64(f64::from(byte) / 256.0));
}
