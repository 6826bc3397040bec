//! Named points at which a test ends the process as a crash would.
//!
//! Debug builds alone look at `GIT_CERTS_TEST_KILL_AT`: `NAME`, or `NAME#2` for the second time that the point
//! is passed.

/// Ends the process here if a test asked for it.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_: &str) {}

/// Ends the process here if a test asked for it.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static WISH: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let wish = WISH.get_or_init(|| {
        let wish = std::env::var("GIT_CERTS_TEST_KILL_AT").ok()?;
        Some(match wish.split_once('#') {
            Some((name, times)) => (name.to_owned(), times.parse().ok()?),
            None => (wish, 1),
        })
    });
    if let Some((wished, times)) = wish
        && wished == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times
    {
        // Never returns: the signal cannot be caught.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
