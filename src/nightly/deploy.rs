//! Runs a command of the user's that puts exported files where they belong.

use std::ffi::OsString;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal as Number, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::model::hint::Hint;
use crate::model::outside;

/// Tells the command where the files are.
const FOLDER: &str = "GIT_CERTS_EXPORT_DIR";

/// How long a command that was asked to stop has the files. GitHub kills a job 10 seconds after the first signal.
const GRACE: Duration = Duration::from_secs(5);

/// What a shell adds to the number of the signal that ended a program.
const KILLED: i32 = 128;

/// A command that is about to be run.
pub(crate) struct Deploy {
    command: OsString,
    arguments: Vec<OsString>,
    signals: Signals,
}

impl Deploy {
    /// None if there are no words. Signals that come from now on are for the command.
    pub(crate) fn of(words: Vec<OsString>) -> Result<Option<Self>> {
        let mut words = words.into_iter();
        let Some(command) = words.next() else {
            return Ok(None);
        };
        Ok(Some(Self {
            command,
            arguments: words.collect(),
            signals: Signals::listen()?,
        }))
    }

    /// Runs the command to its end; returns its exit code. Signals are passed on.
    ///
    /// `clear` takes the files away where they are ours: before this returns, and when a command that was asked to
    /// stop takes its time.
    pub(crate) async fn run(self, folder: &Path, clear: impl Fn()) -> Result<u8> {
        let Self {
            command,
            arguments,
            mut signals,
        } = self;
        let shown = command.display();
        let mut program = Command::new(&command);
        program.args(&arguments).env(FOLDER, folder);
        let mut child = outside::spawn_async(program)
            .with_context(|| format!("cannot run `{shown}`"))
            .hint(
                || "after `--` comes a program, which is looked for on PATH, and its arguments",
            )?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut is_asked_to_stop = false;
        let mut end_of_grace = None;
        let status = loop {
            let grace = async {
                match end_of_grace {
                    Some(end) => sleep_until(end).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                ended = child.wait() => break ended,
                number = signals.next() => {
                    if !is_asked_to_stop {
                        end_of_grace = Some(Instant::now() + GRACE);
                    }
                    is_asked_to_stop = true;
                    if let Some(pid) = pid && !has_it_from_the_terminal(number) {
                        // It may have ended in this moment.
                        let _ = kill_process(pid, number);
                    }
                }
                () = grace => {
                    clear();
                    end_of_grace = None;
                }
            }
        };
        clear();
        let status = status.with_context(|| format!("cannot wait for `{shown}`"))?;
        Ok(code(status))
    }
}

/// A terminal sends Ctrl-C to all that run in its foreground, the command included.
fn has_it_from_the_terminal(number: Number) -> bool {
    let is_foreground = || tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp());
    number == Number::INT && is_foreground()
}

fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| KILLED + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Number {
        tokio::select! {
            _ = self.interrupt.recv() => Number::INT,
            _ = self.terminate.recv() => Number::TERM,
            _ = self.hangup.recv() => Number::HUP,
        }
    }
}
