//! Asking again where an API refuses without HTTP's own words for how long.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use reqwest::RequestBuilder;

use crate::net::http::{Repeat, jittered};
use crate::provider::http::Api;
use crate::provider::reply::Reply;

/// Longest pause that an API can ask for where nothing says when to give up.
const LONGEST_ASKED: Duration = Duration::from_mins(10);

/// How an API is asked again that had too many requests.
#[derive(Debug)]
pub(super) struct Patience {
    /// Next pause; doubled each time.
    pub(super) pause: Duration,
    pub(super) longest: Duration,
    /// How often the request may still be sent; none for no limit.
    pub(super) attempts: Option<u32>,
    /// When to give up; none for never.
    pub(super) until: Option<Instant>,
}

impl Patience {
    /// Pauses, as long as the API `asked` at least; or returns the error where it has been enough.
    pub(super) async fn wait(
        &mut self,
        error: anyhow::Error,
        asked: Option<Duration>,
    ) -> Result<()> {
        let pause = asked.unwrap_or_default().max(self.pause);
        let left = self.until.map_or(LONGEST_ASKED, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if self.attempts.is_some_and(|attempts| attempts <= 1) || pause > left {
            return Err(error);
        }
        tokio::time::sleep(jittered(pause)).await;
        self.attempts = self.attempts.map(|attempts| attempts - 1);
        self.pause = (self.pause * 2).min(self.longest);
        Ok(())
    }
}

/// How often [`send_patiently`] sends a request at most; with the pauses between, for a bit over a minute.
const ATTEMPTS: u32 = 7;

/// Sends a request, and again while the body of a good answer says that there were too many and
/// nothing was done.
///
/// The last answer comes back, whatever it says.
pub(super) async fn send_patiently(
    api: &Api,
    request: RequestBuilder,
    repeat: Repeat,
    is_over_limit: fn(&Reply) -> bool,
) -> Result<Reply> {
    let mut patience = Patience {
        pause: Duration::from_secs(1),
        longest: Duration::from_mins(1),
        attempts: Some(ATTEMPTS),
        until: None,
    };
    while let Some(copy) = request.try_clone() {
        let reply = api.send(copy, repeat).await?;
        let is_over = is_over_limit(&reply);
        if !is_over
            || patience
                .wait(anyhow!("too many requests"), None)
                .await
                .is_err()
        {
            return Ok(reply);
        }
    }
    api.send(request, repeat).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(attempts: Option<u32>, limit: Option<Duration>) -> Patience {
        Patience {
            pause: Duration::from_millis(1),
            longest: Duration::from_millis(2),
            attempts,
            until: limit.map(|limit| Instant::now() + limit),
        }
    }

    async fn waits(mut patience: Patience, asked: Option<Duration>) -> u32 {
        let mut count = 0;
        while patience.wait(anyhow!("busy"), asked).await.is_ok() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn it_ends_by_count_or_by_time() {
        assert_eq!(waits(patience(Some(3), None), None).await, 2);
        assert_eq!(waits(patience(Some(1), None), None).await, 0);
        let limit = Some(Duration::from_secs(3));
        let count = waits(patience(None, limit), Some(Duration::from_millis(500))).await;
        assert!((1..=5).contains(&count), "{count}");
    }

    #[tokio::test]
    async fn an_api_cannot_ask_for_more_than_some_minutes() {
        for seconds in [3_600, u64::MAX] {
            let mut patience = patience(Some(3), None);
            let asked = Some(Duration::from_secs(seconds));
            let waited = patience.wait(anyhow!("busy"), asked);
            let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
            assert_eq!(waited.unwrap().unwrap_err().to_string(), "busy");
        }
    }
}
