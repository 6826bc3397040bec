//! Errors that say what to do: `.hint("...")` where the remedy is known.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::model::change::FailedChange;
use crate::model::disk;

/// An error with a remedy. It prints as the error that it carries.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Hinted {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.chain().nth(1)
    }
}

/// One error that several certificates fail with. It prints as the error that it carries.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<anyhow::Error>);

impl Shared {
    pub(crate) fn new(error: anyhow::Error) -> Self {
        Self(Arc::new(error))
    }

    /// Whether both print the same, causes included.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || format!("{:#}", self.0) == format!("{:#}", other.0)
    }
}

impl Shared {
    /// The problems that it consists of: itself alone, unless it comes from [`several`].
    pub(crate) fn parts(&self) -> Vec<Self> {
        let cause: &(dyn StdError + 'static) = self.0.as_ref().as_ref();
        if let Some(Several(all)) = cause.downcast_ref() {
            all.iter().flat_map(Self::parts).collect()
        } else if let Some(inner) = cause.downcast_ref::<Self>() {
            inner.parts()
        } else {
            vec![self.clone()]
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.chain().nth(1)
    }
}

/// Problems that are there at once. It prints as all of them, causes included.
#[derive(Debug)]
struct Several(Vec<Shared>);

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|one| format!("{:#}", one.0)).collect();
        f.write_str(&all.join("; "))
    }
}

impl StdError for Several {}

/// One error for several problems, each of them once; none if there is no problem.
pub(crate) fn several(problems: impl IntoIterator<Item = Shared>) -> Option<anyhow::Error> {
    let mut all: Vec<Shared> = Vec::new();
    for problem in problems.into_iter().flat_map(|problem| problem.parts()) {
        if !all.iter().any(|known| known.says_the_same(&problem)) {
            all.push(problem);
        }
    }
    match all.as_slice() {
        [] => None,
        [only] => Some(anyhow::Error::new(only.clone())),
        _ => Some(anyhow::Error::new(Several(all))),
    }
}

/// Adds what to do to an error.
pub(crate) trait Hint<T> {
    /// Adds a hint: what the user can do, lower case, no final stop.
    fn hint<S: Into<String>>(self, hint: impl FnOnce() -> S) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint<S: Into<String>>(self, hint: impl FnOnce() -> S) -> anyhow::Result<T> {
        self.map_err(|error| with_hint(error.into(), hint()))
    }
}

/// `error` with what to do about it.
pub(crate) fn with_hint(error: anyhow::Error, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted {
        error,
        hint: hint.into(),
    })
}

/// The first cause of type `E`, under hints and context too, for code that branches on it.
pub(crate) fn find<E: StdError + 'static>(error: &anyhow::Error) -> Option<&E> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<E>().or_else(|| find(carried(cause)?)))
}

/// What failed, the chain of causes, and the hints, outermost first.
pub(crate) struct Explained {
    pub(crate) what: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
}

/// A cause that the HTTP library puts between what failed and why.
const SAYS_NOTHING: &str = "client error (Connect)";

/// Takes an error apart for printing. A cause that only repeats the line above it is left out.
pub(crate) fn explain(error: &anyhow::Error) -> Explained {
    let mut lines: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        collect_hints(cause, &mut hints);
        let line = without_numbers(&cause.to_string());
        if line != SAYS_NOTHING && lines.last().is_none_or(|last| !last.contains(&line)) {
            lines.push(line);
        }
    }
    let what = if lines.is_empty() {
        String::new()
    } else {
        lines.remove(0)
    };
    Explained {
        what,
        causes: lines,
        hints,
    }
}

/// What the system and libgit2 add to their words: how it begins. Each ends with `)`.
const NUMBERS: [&str; 3] = [" (os error ", "; class=", "; code="];

/// Words without numbers that say nothing to people, as in `No such file or directory (os error 2)`.
pub(crate) fn without_numbers(text: &str) -> String {
    let is_number = |inside: &str| {
        let mut characters = inside.chars();
        characters.all(|c| c.is_ascii_alphanumeric() || " (-".contains(c))
    };
    let mut plain = text.to_owned();
    for begin in NUMBERS {
        let mut parts = plain.split(begin);
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.split_once(')') {
                Some((inside, after)) if is_number(inside) => kept += after,
                _ => kept = kept + begin + part,
            }
        }
        plain = kept;
    }
    plain
}

fn collect_hints(cause: &(dyn StdError + 'static), hints: &mut Vec<String>) {
    // These kinds stand for the errors that they carry, which the chain therefore leaves out.
    if let Some(Several(all)) = cause.downcast_ref() {
        let causes = all.iter().flat_map(|one| one.0.chain());
        causes.for_each(|cause| collect_hints(cause, hints));
        return;
    }
    if let Some(Hinted { hint, .. }) = cause.downcast_ref()
        && !hints.contains(hint)
    {
        hints.push(hint.clone());
    }
    if let Some(remedy) = disk::remedy(cause)
        && !hints.iter().any(|hint| hint == remedy)
    {
        hints.push(remedy.to_owned());
    }
    if let Some(first) = carried(cause).and_then(|error| error.chain().next()) {
        collect_hints(first, hints);
    }
}

/// The error that another stands for.
fn carried<'e>(cause: &'e (dyn StdError + 'static)) -> Option<&'e anyhow::Error> {
    if let Some(Hinted { error, .. }) = cause.downcast_ref() {
        return Some(error);
    }
    if let Some(FailedChange { error, .. }) = cause.downcast_ref() {
        return Some(error);
    }
    cause.downcast_ref().map(|Shared(error)| error.as_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn hints_are_found_below_context_and_causes_stay() {
        let error = Err::<(), _>(anyhow!("refused").context("cannot push"))
            .hint(|| "ask for access")
            .hint(|| "or use another branch")
            .context("cannot finish")
            .unwrap_err();
        let explained = explain(&error);
        assert_eq!(explained.what, "cannot finish");
        assert_eq!(explained.causes, ["cannot push", "refused"]);
        assert_eq!(explained.hints, ["or use another branch", "ask for access"]);
    }

    #[test]
    fn a_shared_error_keeps_causes_and_hints() {
        let error = Err::<(), _>(anyhow!("refused").context("cannot push"))
            .hint(|| "ask for access")
            .unwrap_err();
        let shared = anyhow::Error::new(Shared::new(error)).context("cannot issue");
        let explained = explain(&shared);
        assert_eq!(explained.what, "cannot issue");
        assert_eq!(explained.causes, ["cannot push", "refused"]);
        assert_eq!(explained.hints, ["ask for access"]);
    }

    #[test]
    fn several_problems_are_one_error_and_can_be_told_apart() {
        let problem = |what: &'static str| {
            Shared::new(with_hint(
                anyhow!("refused").context(what),
                format!("{what}?"),
            ))
        };
        assert!(several([]).is_none());
        let one = several([problem("cannot read"), problem("cannot read")]).unwrap();
        assert_eq!(explain(&one).what, "cannot read");
        assert_eq!(explain(&one).causes, ["refused"]);
        let two = several([problem("cannot read"), problem("cannot write")]).unwrap();
        let all = several([Shared::new(two), problem("cannot wait")]).unwrap();
        let told = explain(&all);
        assert_eq!(
            told.what,
            "cannot read: refused; cannot write: refused; cannot wait: refused"
        );
        assert_eq!(told.causes, [""; 0]);
        assert_eq!(
            told.hints,
            ["cannot read?", "cannot write?", "cannot wait?"]
        );
        let parts = Shared::new(Shared::new(all).into()).parts();
        let told: Vec<_> = parts.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["cannot read", "cannot write", "cannot wait"]);
    }

    #[test]
    fn a_typed_cause_is_found_below_hints_and_context() {
        let error = std::io::Error::other("refused");
        let error = Err::<(), _>(error)
            .context("cannot push")
            .hint(|| "ask for access")
            .hint(|| "or use another branch")
            .context("cannot finish")
            .unwrap_err();
        assert_eq!(
            find::<std::io::Error>(&error).unwrap().to_string(),
            "refused"
        );
        assert!(find::<fmt::Error>(&error).is_none());
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let plain = |text: &str| without_numbers(text);
        assert_eq!(
            plain("a: File exists (os error 17) at path \"x\": b (os error 2)"),
            "a: File exists at path \"x\": b"
        );
        assert_eq!(
            plain("reference 'x' not found; class=Reference (4); code=UnbornBranch (-9)"),
            "reference 'x' not found"
        );
        assert_eq!(plain("no object; class=Odb (9)"), "no object");
        for other in ["x (os error", "x; class=\"a\") b", "x (os error 2"] {
            assert_eq!(plain(other), other);
        }
    }
}
