//! Whether a change that failed may have written something.

use std::cell::Cell;

use anyhow::Result;
use reqwest::{Response, StatusCode};

use crate::model::change::{Effect, FailedChange, with_effect};
use crate::model::hint::find;
use crate::net::http::Repeat;

tokio::task_local! {
    static MAY_HAVE_WRITTEN: Cell<bool>;
}

/// Does a change, and marks its error where for certain nothing was written.
pub(super) async fn watched(work: impl Future<Output = Result<()>>) -> Result<()> {
    let judged = async {
        work.await.map_err(|error| {
            let is_known = find::<FailedChange>(&error).is_some();
            if MAY_HAVE_WRITTEN.with(Cell::get) || is_known {
                error
            } else {
                with_effect(error, Effect::Nothing)
            }
        })
    };
    MAY_HAVE_WRITTEN.scope(Cell::new(false), judged).await
}

/// Something was written, or may have been. Without effect outside of [`watched`].
pub(super) fn note() {
    // An error means that nobody wants to know.
    let _ = MAY_HAVE_WRITTEN.try_with(|may| may.set(true));
}

/// Whether a request has had no effect for certain: it was refused, or there was no connection.
///
/// Of a request that was repeated only the last attempt is known.
pub(super) fn is_refusal(sent: &reqwest::Result<Response>, repeat: Repeat) -> bool {
    repeat != Repeat::Safe
        && match sent {
            Ok(answer) => {
                let status = answer.status();
                status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
            }
            Err(error) => error.is_connect(),
        }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_was_refused_has_no_effect() {
        let refused = |status: u16, repeat| {
            let answer = http::Response::builder().status(status).body("").unwrap();
            is_refusal(&Ok(Response::from(answer)), repeat)
        };
        for (status, expected) in [
            (200, false),
            (400, true),
            (408, false),
            (429, true),
            (500, false),
        ] {
            assert_eq!(refused(status, Repeat::Never), expected, "{status}");
            // An earlier attempt may have been carried out.
            assert!(!refused(status, Repeat::Safe));
        }
    }

    #[tokio::test]
    async fn an_error_before_the_first_write_is_marked() {
        let effect = async |writes: bool| {
            let change = watched(async {
                if writes {
                    note();
                }
                Err(anyhow!("refused"))
            });
            let error = change.await.unwrap_err().context("cannot change");
            find::<FailedChange>(&error).map(|failed| failed.effect)
        };
        assert_eq!(effect(false).await, Some(Effect::Nothing));
        assert_eq!(effect(true).await, None);
        // What is known already stays.
        let told = watched(async { Err(with_effect(anyhow!("told"), Effect::Untold)) }).await;
        let error = told.unwrap_err();
        let failed = find::<FailedChange>(&error).unwrap();
        assert_eq!(failed.effect, Effect::Untold);
        note();
    }
}
