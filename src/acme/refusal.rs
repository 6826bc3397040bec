//! What the CA says when it does not do what was asked.

use std::fmt;
use std::time::Duration;

use instant_acme::{Error, Identifier, Problem};
use reqwest::StatusCode;

use crate::acme::patience::{Late, NoNonce};
use crate::model::hint::{find, with_hint};
use crate::net::http::{LONGEST_PAUSE, certificate_hint, is_untrusted};

/// Common beginning of the types of RFC 8555 section 6.7.
const NAMESPACE: &str = "urn:ietf:params:acme:error:";

/// An answer that is no success. Found in an error with [`crate::model::hint::find`].
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// None where the refusal stands inside an order or a challenge.
    pub(crate) status: Option<StatusCode>,
    /// None where the answer is no problem document (RFC 7807), such as a proxy's page.
    pub(crate) problem: Option<Problem>,
    /// How long the CA asks to wait before the next attempt.
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// The problem's type without RFC 8555's common beginning, such as `rateLimited`.
    pub(crate) fn kind(&self) -> Option<&str> {
        kind(self.problem.as_ref()?.r#type.as_deref())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            status: None,
            problem: Some(problem),
            retry_after: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.problem, self.status) {
            (Some(problem), _) => {
                write_problem(f, problem.detail.as_deref(), problem.r#type.as_deref())?;
                for sub in &problem.subproblems {
                    f.write_str("; ")?;
                    if let Some(Identifier::Dns(name)) = &sub.identifier {
                        write!(f, "`{}`: ", printable(name))?;
                    }
                    write_problem(f, sub.detail.as_deref(), sub.r#type.as_deref())?;
                }
            }
            (None, Some(status)) => write!(f, "the CA answered `{status}`")?,
            (None, None) => f.write_str("the CA gave no reason")?,
        }
        if let Some(wait) = self.retry_after.filter(|wait| !wait.is_zero()) {
            write!(
                f,
                "; the CA asks to wait {}",
                humantime::format_duration(wait)
            )?;
            if wait > LONGEST_PAUSE {
                let most = humantime::format_duration(LONGEST_PAUSE);
                write!(f, " (git-certs waits {most} at most)")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

fn write_problem(
    f: &mut fmt::Formatter<'_>,
    detail: Option<&str>,
    full_type: Option<&str>,
) -> fmt::Result {
    match (detail.map(printable), kind(full_type).map(printable)) {
        (Some(detail), Some(kind)) => write!(f, "{detail} ({kind})"),
        (Some(text), None) | (None, Some(text)) => f.write_str(&text),
        (None, None) => f.write_str("no reason given"),
    }
}

fn kind(full_type: Option<&str>) -> Option<&str> {
    full_type.map(|text| text.strip_prefix(NAMESPACE).unwrap_or(text))
}

/// One line without control characters, whatever a server sends.
fn printable(text: &str) -> String {
    text.split(|character: char| character.is_control())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What instant-acme reports, as the error that the user gets, with a hint where there is one.
pub(super) fn explained(error: Error) -> anyhow::Error {
    let error = match error {
        Error::Api(problem) => anyhow::Error::new(Refusal::from(problem)),
        // Taken out of the box, or nobody could find them again.
        Error::Other(inner) => match inner.downcast::<NoNonce>() {
            Ok(no_nonce) => return explained(no_nonce.0),
            Err(inner) => unboxed(inner),
        },
        Error::Json(json) => anyhow::Error::new(json).context("the answer is not what ACME says"),
        other => anyhow::Error::new(other),
    };
    match hint(&error) {
        Some(hint) => with_hint(error, hint),
        None => error,
    }
}

/// Whether another CA could do better: this one is not there, has no time, comes to no end, or may
/// not.
pub(crate) fn is_fault_of_the_ca(error: &anyhow::Error) -> bool {
    let has_no_answer = find::<NoAnswer>(error).is_some() || find::<Late>(error).is_some();
    if has_no_answer || find::<TooLate>(error).is_some() {
        return true;
    }
    find::<Refusal>(error).is_some_and(|refusal| {
        let is_theirs = matches!(
            refusal.kind(),
            Some("rateLimited" | "serverInternal" | "badNonce" | "caa" | "rejectedIdentifier")
        );
        is_theirs
            || refusal
                .status
                .is_some_and(|status| status.is_server_error())
    })
}

/// The CA answers, but has not come to an end in the time that there is: it checks a proof that every
/// name server showed, or issues, for longer. It prints as what it did not do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct TooLate(pub(super) String);

/// The CA did not answer. It prints as what happened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct NoAnswer(reqwest::Error);

fn unboxed(error: Box<dyn std::error::Error + Send + Sync>) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) => anyhow::Error::new(*refusal),
        Err(error) => match error.downcast::<reqwest::Error>() {
            Ok(lost) => anyhow::Error::new(NoAnswer(*lost)),
            Err(error) => anyhow::Error::from_boxed(error),
        },
    }
}

/// What to do about a certificate of the CA's server that no known root vouches for.
const UNTRUSTED: &str = "for a private CA, name the file with its root: `--ca-bundle FILE`";

/// What to do about a CA that nobody answers for.
pub(super) const UNREACHABLE: &str =
    "check that this machine reaches the CA: its name, a firewall, a proxy (`HTTPS_PROXY`)";

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(NoAnswer(lost)) = error.downcast_ref() {
        if is_untrusted(lost) {
            return certificate_hint(error).or(Some(UNTRUSTED));
        }
        return lost.is_connect().then_some(UNREACHABLE);
    }
    match error.downcast_ref::<Refusal>()?.kind()? {
        "rateLimited" => Some("run again later; to try things out, use `--acme staging`"),
        "caa" => Some("allow this CA in the CAA records of the name"),
        "userActionRequired" => Some("the CA's message says what the owner of the account must do"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::model::hint::explain;

    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_problem_is_told_with_its_subproblems() {
        let refusal = Refusal::from(problem(
            r#"{"type": "urn:ietf:params:acme:error:compound", "detail": "2 errors",
                "subproblems": [
                    {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids",
                     "identifier": {"type": "dns", "value": "a.example"}},
                    {"type": "urn:ietf:params:acme:error:dns"}]}"#,
        ));
        assert_eq!(
            refusal.to_string(),
            "2 errors (compound); `a.example`: CAA forbids (caa); dns"
        );
    }

    #[test]
    fn a_page_of_a_proxy_is_told_by_its_status() {
        let refusal = Refusal {
            status: Some(StatusCode::BAD_GATEWAY),
            problem: None,
            retry_after: Some(Duration::from_secs(90)),
        };
        assert_eq!(
            refusal.to_string(),
            "the CA answered `502 Bad Gateway`; the CA asks to wait 1m 30s (git-certs waits 1m at most)"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let refusal = Refusal::from(problem(r#"{"detail": "one\n\u001b[2Jtwo"}"#));
        assert_eq!(refusal.to_string(), "one [2Jtwo");
    }

    #[test]
    fn a_limit_gives_a_hint() {
        let error = explained(Error::Api(problem(
            r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}"#,
        )));
        let explained = explain(&error);
        assert_eq!(explained.what, "too many (rateLimited)");
        assert_eq!(
            explained.hints,
            ["run again later; to try things out, use `--acme staging`"]
        );
    }
}
