//! What is being done, on stderr: spinners on a terminal, a line a step elsewhere.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::board::Board;
use crate::report::tame::tame;
use crate::report::voice::{self, Level};

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Where progress is shown. Steps may overlap.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// None where stderr is no terminal.
    bars: Option<MultiProgress>,
    started: Instant,
    /// Warnings that were said: a run that looks twice says them once.
    warned: Arc<Mutex<BTreeSet<String>>>,
}

/// Something under way. Dropped without [`Step::done`], it disappears without a word.
#[derive(Debug)]
pub(crate) struct Step {
    progress: Progress,
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Spinners if stderr is a terminal, and lines are for people.
    pub(crate) fn new() -> Self {
        let moves = std::io::stderr().is_terminal() && voice::may_move();
        Self {
            bars: moves.then(MultiProgress::new),
            started: Instant::now(),
            warned: Arc::default(),
        }
    }

    /// When this was made: the begin of the run.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Says a warning, unless it has been said.
    pub(crate) fn warn(&self, warning: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(warning.to_owned()) {
            self.write(Level::Warning, warning);
        }
    }

    /// Shows so many certificates on their way.
    pub(crate) fn board(&self, count: usize) -> Board {
        Board::new(self.bars.as_ref(), count)
    }

    /// Starts a step.
    pub(crate) fn step(&self, doing: impl Into<String>) -> Step {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(doing.into());
            bar.enable_steady_tick(TICK);
            bar
        });
        Step {
            progress: self.clone(),
            bar,
            start: Instant::now(),
        }
    }

    /// Says something that is worth a line of its own.
    pub(crate) fn say(&self, line: &str) {
        self.write(Level::Info, line);
    }

    fn write(&self, level: Level, text: &str) {
        let write = || voice::write(&voice::line(level, text));
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// Does something while no spinner draws. Steps may end meanwhile, which `suspend` would not let them.
    pub(super) fn unseen<T>(&self, work: impl FnOnce() -> T) -> T {
        let draw_to = |target| {
            if let Some(bars) = &self.bars {
                bars.set_draw_target(target);
            }
        };
        if let Some(bars) = &self.bars {
            // A terminal that is gone has nothing to be cleared.
            let _ = bars.clear();
        }
        draw_to(ProgressDrawTarget::hidden());
        let done = work();
        draw_to(ProgressDrawTarget::stderr());
        done
    }
}

impl Step {
    /// Changes what a spinner says.
    pub(crate) fn update(&self, doing: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(tame(&doing.into()));
        }
    }

    /// Ends the step with what was done.
    pub(crate) fn done(self, what: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.progress.say(&format!("{what} ({seconds:.1} s)"));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
