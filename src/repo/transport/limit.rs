//! How long a conversation may take, and how much a server may send in it.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// Longest conversation, a question of `ssh` to the user and hooks of the server included.
pub(super) const LONGEST: Duration = Duration::from_mins(10);

/// Longest list of references, bytes: a million of them.
pub(super) const LONGEST_LIST: u64 = 64 << 20;

/// Largest answer to the one request, bytes: a pack goes to the disk as it comes.
pub(super) const LARGEST_ANSWER: u64 = 2 << 30;

/// When a conversation has to have ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    began: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            began: Instant::now(),
            limit,
        }
    }

    /// The time that is left; an error of kind `TimedOut` if there is none.
    pub(super) fn left(self) -> io::Result<Duration> {
        match self.limit.checked_sub(self.began.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(self.error()),
        }
    }

    pub(super) fn error(self) -> io::Error {
        let text = format!("no end after {} s", self.limit.as_secs());
        io::Error::new(ErrorKind::TimedOut, text)
    }
}

/// Bytes that may still come.
#[derive(Debug)]
pub(super) struct Allowance {
    most: u64,
    left: u64,
}

impl Allowance {
    pub(super) fn of(most: u64) -> Self {
        Self { most, left: most }
    }

    /// An error of kind `FileTooLarge` if that is more than was allowed.
    pub(super) fn take(&mut self, count: usize) -> io::Result<()> {
        let left = u64::try_from(count)
            .ok()
            .and_then(|count| self.left.checked_sub(count));
        self.left = left.ok_or_else(|| {
            let text = format!("it has more than {} MiB", self.most >> 20);
            io::Error::new(ErrorKind::FileTooLarge, text)
        })?;
        Ok(())
    }
}
