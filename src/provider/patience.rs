//! APIs that say in the body of a good answer that they were asked too often.

use std::time::Duration;

use anyhow::Result;
use reqwest::RequestBuilder;

use crate::net::http::{Repeat, jittered};
use crate::provider::http::{Api, Reply};

/// How often a request is sent at most; with the pauses between, for a bit over a minute.
const ATTEMPTS: u32 = 7;

/// First pause; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Sends a request, and again while the answer says that there were too many and nothing was done.
///
/// The last answer comes back, whatever it says.
pub(super) async fn send_patiently(
    api: &Api,
    request: RequestBuilder,
    repeat: Repeat,
    is_over_limit: fn(&Reply) -> bool,
) -> Result<Reply> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        let Some(copy) = request.try_clone() else {
            break;
        };
        let reply = api.send(copy, repeat).await?;
        if !is_over_limit(&reply) {
            return Ok(reply);
        }
        tokio::time::sleep(jittered(pause)).await;
        pause *= 2;
    }
    api.send(request, repeat).await
}
