//! Several requests at once, for APIs that have no batches.

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use crate::provider::rrset::{NewTxt, Todo};

/// Requests under way at once: enough to hide the latency, few enough for any vendor.
const AT_ONCE: usize = 8;

/// Creates records, then deletes others, a few at a time.
pub(super) async fn write_singly<'a, I, C, D>(
    todo: &'a Todo<I>,
    create: impl Fn(&'a NewTxt) -> C,
    delete: impl Fn(&'a I) -> D,
) -> Result<()>
where
    C: Future<Output = Result<()>>,
    D: Future<Output = Result<()>>,
{
    together(todo.create.iter().map(create).collect()).await?;
    together(todo.delete.iter().map(delete).collect()).await
}

/// Runs requests, a few at a time.
///
/// After an error no other request starts; those under way are waited for, so that a look
/// afterwards sees what they did. The first error comes back.
async fn together<F>(requests: Vec<F>) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let mut waiting = requests.into_iter();
    let mut running: FuturesUnordered<F> = waiting.by_ref().take(AT_ONCE).collect();
    let mut outcome = Ok(());
    while let Some(done) = running.next().await {
        outcome = outcome.and(done);
        if outcome.is_ok() {
            running.extend(waiting.next());
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    /// Runs `count` requests of which `bad` fails; how many ran, and how many at once.
    async fn run(count: usize, bad: usize) -> (usize, usize, Result<()>) {
        let (done, now, most) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
        let request = async |number: usize| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            done.fetch_add(1, Ordering::SeqCst);
            if number == bad {
                bail!("request {number} failed");
            }
            Ok(())
        };
        let outcome = together((0..count).map(request).collect()).await;
        (done.into_inner(), most.into_inner(), outcome)
    }

    #[tokio::test]
    async fn all_run_and_a_few_at_once() {
        let (done, most, outcome) = run(100, 1000).await;
        assert!(outcome.is_ok());
        assert_eq!((done, most), (100, AT_ONCE));
        assert_eq!(run(0, 1000).await.0, 0);
    }

    #[tokio::test]
    async fn an_error_stops_what_has_not_started() {
        let (done, _, outcome) = run(100, 0).await;
        assert_eq!(outcome.unwrap_err().to_string(), "request 0 failed");
        assert!(done < 2 * AT_ONCE, "{done}");
    }
}
