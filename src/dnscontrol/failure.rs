//! Why a script failed, in words of its author: message, file, line.

use std::time::Duration;

use anyhow::anyhow;
use rquickjs::function::Constructor;
use rquickjs::{Coerced, Ctx, Error, Exception, Value};

use crate::dnscontrol::engine::Limits;
use crate::model::diagnostic::Located;
use crate::model::hint::with_hint;

/// What went wrong, where, and what to do about it.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    what: String,
    /// `file:line:column`, or `file`.
    position: Option<String>,
    hint: Option<&'static str>,
}

impl Failure {
    /// Takes the pending exception of `ctx` apart.
    pub(super) fn describe(ctx: &Ctx<'_>, error: &Error, limits: Limits) -> Self {
        if !error.is_exception() {
            return Self {
                what: error.to_string(),
                position: None,
                hint: None,
            };
        }
        Self::of(ctx, &ctx.catch(), limits)
    }

    /// The same place, but another reason.
    pub(super) fn because(self, reason: Self) -> Self {
        Self {
            position: self.position,
            ..reason
        }
    }

    /// Takes a value apart that was thrown, or that a promise was rejected with.
    pub(super) fn of(ctx: &Ctx<'_>, thrown: &Value<'_>, limits: Limits) -> Self {
        let what = message(ctx, thrown);
        let position = position(thrown);
        // When nothing is left to make an error of, QuickJS throws null.
        if what.contains("out of memory") || thrown.is_null() {
            return Self {
                position,
                ..Self::memory(limits)
            };
        }
        if what.contains("Maximum call stack size exceeded") {
            return Self {
                what: format!(
                    "calls or brackets nest too deeply for a stack of {}",
                    bytes(limits.stack)
                ),
                position,
                hint: Some(
                    "look for a function that calls itself without an end; a configuration that nests this deeply needs a higher `--js-stack`",
                ),
            };
        }
        Self {
            what,
            position,
            hint: None,
        }
    }

    /// The memory is used up.
    pub(super) fn memory(limits: Limits) -> Self {
        Self {
            what: format!("needs more than {} of memory", bytes(limits.memory)),
            position: None,
            hint: Some(
                "look for a loop without an end; a configuration that is this large needs a higher `--js-memory`",
            ),
        }
    }

    /// The time limit ended the script.
    pub(super) fn timeout(limits: Limits) -> Self {
        Self {
            what: format!("still running after {}", duration(limits.time)),
            position: None,
            hint: Some(
                // QuickJS names the statement before the loop.
                "look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`",
            ),
        }
    }

    /// Names the script where nothing better is known: what is thrown need not be an `Error`.
    pub(super) fn or_in(mut self, script: Option<String>) -> Self {
        self.position = self.position.or(script);
        self
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        let error = match self.position {
            Some(position) => anyhow::Error::new(Located {
                position,
                what: self.what,
            }),
            None => anyhow!(self.what),
        };
        match self.hint {
            Some(hint) => with_hint(error, hint),
            None => error,
        }
    }
}

/// Throws an `Error` that knows where it was thrown.
pub(super) fn throw(ctx: &Ctx<'_>, message: &str) -> Error {
    let error = ctx
        .globals()
        .get::<_, Constructor<'_>>("Error")
        .and_then(|constructor| constructor.construct::<_, Value<'_>>((message,)));
    match error {
        Ok(error) => ctx.throw(error),
        Err(_) => Exception::throw_message(ctx, message),
    }
}

fn message(ctx: &Ctx<'_>, thrown: &Value<'_>) -> String {
    if let Ok(Coerced(text)) = thrown.get::<Coerced<String>>() {
        // A plain `Error:` says nothing.
        return match text.strip_prefix("Error: ") {
            Some(rest) => rest.to_owned(),
            None => text,
        };
    }
    // Turning it into text threw again.
    ctx.catch();
    "something without a text was thrown".to_owned()
}

/// The innermost place in a user's script.
fn position(thrown: &Value<'_>) -> Option<String> {
    let stack: String = thrown.as_object()?.get("stack").ok()?;
    places(&stack).next().map(str::to_owned)
}

/// The places of a stack that are in users' scripts, `file:line:column`, innermost first.
pub(super) fn places(stack: &str) -> impl Iterator<Item = &str> {
    stack.lines().filter_map(|line| {
        let frame = line.trim().strip_prefix("at ").unwrap_or_default();
        let place = match frame.rsplit_once('(') {
            Some((_, place)) => place.trim_end_matches(')'),
            None => frame,
        };
        let ours = place.is_empty() || place == "native" || place.starts_with('<');
        (!ours).then_some(place)
    })
}

fn bytes(count: usize) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if count >= unit && count.is_multiple_of(unit) {
            return format!("{} {name}", count / unit);
        }
    }
    format!("{count} bytes")
}

fn duration(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
}
