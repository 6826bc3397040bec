//! Named points of a run at which a test does something to it: ends it as a crash would, sends it a signal, or
//! holds it while the test does something to the world.
//!
//! Debug builds alone look at `GIT_CERTS_TEST_AT`: `NAME`, or `NAME#2` for the second time that the point
//! is passed. `GIT_CERTS_TEST_DO` is `KILL`, `INT`, `TERM`, `HUP`, or a folder: a file `reached` appears there,
//! `unconfined` too where this thread can write outside of the workspace, and the run goes on when there is a file `open`.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Does here what a test asked for.
#[cfg(not(debug_assertions))]
pub(crate) fn point(_: &str) {}

/// Does here what a test asked for.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicU32;

    static WISH: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let wish = WISH.get_or_init(|| {
        let wish = std::env::var("GIT_CERTS_TEST_AT").ok()?;
        Some(match wish.split_once('#') {
            Some((name, times)) => (name.to_owned(), times.parse().ok()?),
            None => (wish, 1),
        })
    });
    if let Some((wished, times)) = wish
        && wished == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times
    {
        act();
    }
}

#[cfg(debug_assertions)]
fn act() {
    use rustix::process::{Signal, getpid, kill_process};

    let wish = std::env::var("GIT_CERTS_TEST_DO").unwrap_or_default();
    let signal = match wish.as_str() {
        "KILL" => Signal::KILL,
        "INT" => Signal::INT,
        "TERM" => Signal::TERM,
        "HUP" => Signal::HUP,
        folder => return wait_in(folder.as_ref()),
    };
    // Of SIGKILL it never returns: that cannot be caught.
    let _ = kill_process(getpid(), signal);
    // What is left to do here may take less time than hearing of it.
    let sent = std::time::Instant::now();
    while !HEARD.load(Ordering::SeqCst) && sent.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the run knows of a signal.
#[cfg(debug_assertions)]
static HEARD: AtomicBool = AtomicBool::new(false);

/// To be said when everybody in the run can know of a signal.
pub(crate) fn heard() {
    #[cfg(debug_assertions)]
    HEARD.store(true, Ordering::SeqCst);
}

#[cfg(debug_assertions)]
fn wait_in(folder: &std::path::Path) {
    let _ = std::fs::File::create_new(folder.join("unconfined"));
    let reached = folder.join("reached");
    let _ = crate::model::outside::outside(move || std::fs::File::create_new(reached));
    while !folder.join("open").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A time that a test cannot wait for, or that is too short for a test: debug builds take milliseconds from a variable.
#[cfg(not(debug_assertions))]
pub(crate) fn time(_: &str, usual: Duration) -> Duration {
    usual
}

/// A time that a test cannot wait for, or that is too short for a test: debug builds take milliseconds from a variable.
#[cfg(debug_assertions)]
pub(crate) fn time(variable: &str, usual: Duration) -> Duration {
    let wish = std::env::var(variable).ok();
    let wish = wish.and_then(|wish| wish.parse().ok());
    wish.map_or(usual, Duration::from_millis)
}
