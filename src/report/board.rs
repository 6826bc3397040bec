//! Certificates under way, on a terminal: a line each while there is room, and a total with an estimate.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::model::certificate::CertificateName;

/// Lines for single certificates; the total tells of the others.
const MOST: usize = 8;

const TICK: Duration = Duration::from_millis(100);

/// All certificates of a run. Cloning shares it; without a terminal it shows nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Option<Arc<Shown>>);

#[derive(Debug)]
struct Shown {
    bars: MultiProgress,
    total: ProgressBar,
    lines: AtomicUsize,
}

impl Board {
    /// For so many certificates.
    pub(super) fn new(bars: Option<&MultiProgress>, count: usize) -> Self {
        let Some(bars) = bars else {
            return Self::default();
        };
        let total = bars.add(ProgressBar::new(count as u64));
        style(
            &total,
            "{bar:24} {pos} of {len} certificates, {elapsed} so far{estimate}",
        );
        total.enable_steady_tick(TICK);
        Self(Some(Arc::new(Shown {
            bars: bars.clone(),
            total,
            lines: AtomicUsize::new(0),
        })))
    }

    /// A line for one certificate, until it is dropped.
    pub(crate) fn lane(&self, name: &CertificateName) -> Lane {
        let Some(shown) = &self.0 else {
            return Lane::default();
        };
        let has_room = shown.lines.fetch_add(1, Ordering::Relaxed) < MOST;
        let line = has_room.then(|| {
            let new = ProgressBar::new_spinner();
            let line = shown.bars.insert_before(&shown.total, new);
            style(&line, "{spinner} {prefix}: {msg}");
            line.set_prefix(name.to_string());
            line.enable_steady_tick(TICK);
            line
        });
        Lane {
            shown: Some(Arc::clone(shown)),
            line,
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

/// One certificate on its way.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    shown: Option<Arc<Shown>>,
    line: Option<ProgressBar>,
}

impl Lane {
    /// What is waited for now.
    pub(crate) fn now(&self, doing: &'static str) {
        if let Some(line) = &self.line {
            line.set_message(doing);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
        if let Some(shown) = &self.shown {
            shown.lines.fetch_sub(1, Ordering::Relaxed);
            shown.total.inc(1);
        }
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("estimate", estimate));
    }
}

/// Once there is something to go by.
fn estimate(state: &ProgressState, out: &mut dyn fmt::Write) {
    if (1..state.len().unwrap_or_default()).contains(&state.pos()) {
        // A bar that cannot be drawn is no failure.
        let _ = write!(out, ", about {} s left", state.eta().as_secs() + 1);
    }
}
