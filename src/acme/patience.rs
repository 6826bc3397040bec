//! How often a call to the CA is made again, after which errors and pauses.

use std::time::Duration;

use instant_acme::{Error, Problem};
use reqwest::StatusCode;

use crate::acme::endpoint::Endpoint;
use crate::acme::refusal::Refusal;
use crate::net::http::{LONGEST_PAUSE, is_untrusted, jittered};

/// Type of the problem that says that a nonce was not accepted and nothing was done.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// How often a call that ends in `badNonce` is made again.
///
/// A CA that rejects every second nonce fails one call in a million; instant-acme signs three times
/// in each of its own.
const BAD_NONCE_ROUNDS: u32 = 20;

/// How often a call that was refused for now, or whose answer was lost, is made again.
const ROUNDS: u32 = 4;

/// First pause before such a call; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A nonce that did not come: what the call is for was not asked for yet.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct NoNonce(pub(super) Error);

/// An answer that was not there after this time, or not to its end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer of the CA did not come within {} s", .0.as_secs())]
pub(super) struct Late(pub(super) Duration);

/// How often one call can still be made again.
pub(super) struct Patience {
    endpoint: Endpoint,
    bad_nonces: u32,
    passing: u32,
}

impl Patience {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            bad_nonces: 0,
            passing: 0,
        }
    }

    /// Whether to make the call again; pauses first where that can help.
    pub(super) async fn allows(&mut self, error: &Error) -> bool {
        let Some(pause) = self.pause(error) else {
            return false;
        };
        if !pause.is_zero() {
            tracing::debug!(endpoint = %self.endpoint, %error, ?pause, "again");
            tokio::time::sleep(jittered(pause)).await;
        }
        true
    }

    /// The pause before the next attempt; none: there is none.
    fn pause(&mut self, error: &Error) -> Option<Duration> {
        if is_bad_nonce(error) {
            self.bad_nonces += 1;
            return (self.bad_nonces <= BAD_NONCE_ROUNDS).then_some(Duration::ZERO);
        }
        let (cause, nothing_was_done) = match carried::<NoNonce>(error) {
            Some(NoNonce(cause)) => (cause, true),
            None => (error, self.endpoint.is_repeatable() || is_unreached(error)),
        };
        let refusal = carried::<Refusal>(cause).filter(|refusal| is_for_now(refusal));
        if refusal.is_none() && !(nothing_was_done && is_lost(cause)) {
            return None;
        }
        let growing = FIRST_PAUSE * 2_u32.pow(self.passing);
        self.passing += 1;
        let asked = refusal.and_then(|refusal| refusal.retry_after);
        let pause = asked.unwrap_or(growing);
        (self.passing <= ROUNDS && pause <= LONGEST_PAUSE).then_some(pause)
    }
}

/// Whether the answer did not come, or said that the CA itself failed: what was asked may have
/// been done.
pub(super) fn is_lost(error: &Error) -> bool {
    if let Some(lost) = carried::<reqwest::Error>(error) {
        // A certificate that is not trusted now will not be trusted in a second.
        return !is_untrusted(lost);
    }
    // What is refused for now was not done, and is asked for again in `call!` alone.
    let failed = carried::<Refusal>(error).filter(|refusal| !is_for_now(refusal));
    let status = failed.and_then(|refusal| refusal.status);
    carried::<Late>(error).is_some() || status.is_some_and(|status| status.is_server_error())
}

/// Whether the answer says that the same can be asked for later: 429 (RFC 6585) and 503 (RFC 9110).
pub(super) fn is_for_now(refusal: &Refusal) -> bool {
    let passing = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    refusal
        .status
        .is_some_and(|status| passing.contains(&status))
}

/// Whether a problem says that the nonce was not accepted.
pub(super) fn is_about_the_nonce(problem: &Problem) -> bool {
    problem.r#type.as_deref() == Some(BAD_NONCE)
}

fn is_bad_nonce(error: &Error) -> bool {
    matches!(error, Error::Api(problem) if is_about_the_nonce(problem))
}

/// Whether there was no connection to ask on.
fn is_unreached(error: &Error) -> bool {
    carried::<reqwest::Error>(error).is_some_and(reqwest::Error::is_connect)
}

/// What our own HTTP client put into an error of instant-acme.
fn carried<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    match error {
        Error::Other(inner) => inner.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> Error {
        Error::Other(Box::new(Refusal {
            status: Some(StatusCode::from_u16(status).unwrap()),
            problem: None,
            retry_after: retry_after.map(Duration::from_secs),
        }))
    }

    fn late() -> Error {
        Error::Other(Box::new(Late(Duration::from_mins(1))))
    }

    /// Pauses in milliseconds, until nothing is tried any more.
    fn pauses(endpoint: Endpoint, error: &Error) -> Vec<u128> {
        let mut patience = Patience::new(endpoint);
        std::iter::from_fn(|| patience.pause(error))
            .map(|pause| pause.as_millis())
            .collect()
    }

    #[test]
    fn what_is_refused_for_now_is_asked_for_again_everywhere() {
        for endpoint in [Endpoint::NewOrder, Endpoint::NewAccount, Endpoint::Finalize] {
            for status in [429, 503] {
                let error = refused(status, None);
                assert_eq!(pauses(endpoint, &error), [250, 500, 1000, 2000]);
                let error = refused(status, Some(60));
                assert_eq!(pauses(endpoint, &error), [60_000; 4]);
                assert!(pauses(endpoint, &refused(status, Some(61))).is_empty());
            }
        }
        assert!(pauses(Endpoint::NewOrder, &refused(403, None)).is_empty());
    }

    #[test]
    fn what_was_lost_is_asked_for_again_where_that_does_no_harm() {
        let bad_gateway = refused(502, None);
        for error in [&late(), &bad_gateway] {
            assert_eq!(pauses(Endpoint::NewOrder, error), [250, 500, 1000, 2000]);
            for endpoint in [Endpoint::NewAccount, Endpoint::Finalize] {
                assert!(pauses(endpoint, error).is_empty());
            }
        }
        // Nothing was asked for yet.
        let no_nonce = Error::Other(Box::new(NoNonce(late())));
        assert_eq!(pauses(Endpoint::Finalize, &no_nonce).len(), 4);
    }

    #[test]
    fn a_bad_nonce_is_no_reason_to_wait() {
        let problem = serde_json::from_str(&format!(r#"{{"type": "{BAD_NONCE}"}}"#)).unwrap();
        assert_eq!(
            pauses(Endpoint::Finalize, &Error::Api(problem)),
            [0; BAD_NONCE_ROUNDS as usize]
        );
    }

    #[test]
    fn an_answer_that_is_late_says_so() {
        assert_eq!(
            late().to_string(),
            "the answer of the CA did not come within 60 s"
        );
    }
}
