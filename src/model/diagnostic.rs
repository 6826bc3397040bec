//! What `check` has to say: of which file, where in it, how bad it is, what to do.

use std::fmt;

use anyhow::Error;

use crate::model::hint::explain;

/// Something in a file that is wrong, or is likely not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) rule: Rule,
    pub(crate) place: Place,
    pub(crate) what: String,
    /// What to do.
    pub(crate) hints: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A file, and the place in it where one is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From the folder of the cert repository; none for what stands in no file.
    pub(crate) path: Option<String>,
    pub(crate) spot: Option<Spot>,
}

/// A place in a text, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    /// None: the whole line.
    pub(crate) column: Option<usize>,
}

/// What is looked at. Each has a name that programs know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Settings,
    CertsJson,
    Names,
    Recipients,
    PrivateKeys,
    DnsConfig,
    Zones,
}

/// Everything that a check found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) all: Vec<Diagnostic>,
    /// What could not be looked at, and why.
    pub(crate) left_out: Vec<(Rule, String)>,
}

/// Something wrong at a place of a script, for those who want to know the place.
#[derive(Debug, thiserror::Error)]
#[error("`{position}`: {what}")]
pub(crate) struct Located {
    /// `file:line:column`, or `file`.
    pub(crate) position: String,
    pub(crate) what: String,
}

impl Located {
    /// The place; none where only the file is known.
    pub(crate) fn place(&self) -> Option<(&str, Spot)> {
        let mut parts = self.position.rsplitn(3, ':');
        let (column, line) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let spot = Spot {
            line,
            column: Some(column),
        };
        Some((parts.next()?, spot))
    }
}

impl Diagnostic {
    /// An error with its causes and hints.
    pub(crate) fn error(rule: Rule, place: Place, error: &Error) -> Self {
        let explained = explain(error);
        let parts = std::iter::once(explained.what).chain(explained.causes);
        Self {
            severity: Severity::Error,
            rule,
            place,
            what: parts.collect::<Vec<_>>().join(": "),
            hints: explained.hints,
        }
    }

    pub(crate) fn warning(rule: Rule, place: Place, what: String, hint: &str) -> Self {
        Self {
            severity: Severity::Warning,
            rule,
            place,
            what,
            hints: vec![hint.to_owned()],
        }
    }

    /// The same, said of something: `certificate ...`.
    pub(crate) fn of(self, subject: &str) -> Self {
        Self {
            what: format!("{subject}: {}", self.what),
            ..self
        }
    }
}

impl Place {
    pub(crate) fn file(path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            spot: None,
        }
    }

    pub(crate) fn at(path: &str, spot: Option<Spot>) -> Self {
        Self {
            path: Some(path.to_owned()),
            spot,
        }
    }
}

impl Spot {
    /// The place of a byte.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: Some(line.chars().count() + 1),
        }
    }

    pub(crate) fn line(line: usize) -> Self {
        Self { line, column: None }
    }
}

impl Default for Spot {
    /// The beginning.
    fn default() -> Self {
        Self::line(1)
    }
}

impl Checked {
    /// How many errors, and how many warnings.
    pub(crate) fn count(&self) -> (usize, usize) {
        let errors = self.all.iter();
        let errors = errors.filter(|one| one.severity == Severity::Error).count();
        (errors, self.all.len() - errors)
    }
}

impl Rule {
    pub(crate) const ALL: [Self; 7] = [
        Self::Settings,
        Self::CertsJson,
        Self::Names,
        Self::Recipients,
        Self::PrivateKeys,
        Self::DnsConfig,
        Self::Zones,
    ];
}

impl fmt::Display for Place {
    /// `path:line:column`, as far as it is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(path) = &self.path else {
            return Ok(());
        };
        f.write_str(path)?;
        let numbers = self.spot.into_iter();
        let mut numbers = numbers.flat_map(|spot| std::iter::once(spot.line).chain(spot.column));
        numbers.try_for_each(|number| write!(f, ":{number}"))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings",
            Self::CertsJson => "certs-json",
            Self::Names => "names",
            Self::Recipients => "recipients",
            Self::PrivateKeys => "private-keys",
            Self::DnsConfig => "dnsconfig",
            Self::Zones => "zones",
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "a\n\u{fc}\u{fc} x";
        let spot = Spot::of(text, text.find('x').unwrap_or_default());
        assert_eq!((spot.line, spot.column), (2, Some(4)));
        assert_eq!(Spot::of("", 0), Spot::of("x", 0));
    }
}
