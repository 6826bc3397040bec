//! Disks that are full, or cannot be written to.

use std::error::Error;
use std::io::ErrorKind;

const FULL: &str =
    "the disk is full: make room, and run again; temporary files go where TMPDIR says";
const READ_ONLY: &str = "nothing can be written there: change that, and run again; temporary files go where TMPDIR says";

/// How libgit2 and git say it.
const FULL_WORDS: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
const READ_ONLY_WORDS: &str = "Read-only file system";

/// What to do where the system or libgit2 says of a disk of this machine that nothing can be written.
pub(crate) fn remedy(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(FULL),
            ErrorKind::ReadOnlyFilesystem => Some(READ_ONLY),
            _ => None,
        };
    }
    let error = cause.downcast_ref::<git2::Error>()?;
    if is_full(error.message()) {
        Some(FULL)
    } else {
        let words = error.message();
        words.contains(READ_ONLY_WORDS).then_some(READ_ONLY)
    }
}

/// Whether these words, of a server too, say that a disk is full.
pub(crate) fn is_full(words: &str) -> bool {
    FULL_WORDS.iter().any(|full| words.contains(full))
}
