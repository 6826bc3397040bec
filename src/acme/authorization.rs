//! One authorization: what it is about, its challenge answered, why it failed (RFC 8555 section 7.5).

use std::time::Duration;

use anyhow::{Context, Result};
use instant_acme::{
    AuthorizationState, AuthorizationStatus, ChallengeHandle, ChallengeStatus, ChallengeType,
};

use crate::acme::client::{Client, call};
use crate::acme::endpoint::Endpoint;
use crate::acme::patience::is_lost;
use crate::acme::refusal::{Refusal, explained};
use crate::model::name::Identifier;

/// How often a challenge is answered whose answer is lost.
const ATTEMPTS: u32 = 3;

/// Pause before it is answered again.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells the CA that one value is published.
pub(super) async fn answer(client: &Client, mut challenge: ChallengeHandle<'_>) -> Result<()> {
    for attempt in 1..=ATTEMPTS {
        let answer = call!(client, Endpoint::Challenge, async {
            challenge.set_ready().await
        });
        match answer {
            Ok(()) => break,
            Err(error) if is_lost(&error) && attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE).await;
            }
            // The lost one was taken, and a second is refused: the order tells how it went.
            Err(error) if attempt > 1 && !is_lost(&error) => break,
            Err(error) => return Err(explained(error)),
        }
    }
    Ok(())
}

pub(super) fn identifier(authorization: &AuthorizationState) -> Result<Identifier> {
    let text = authorization.identifier().to_string();
    text.parse()
        .with_context(|| format!("the CA wants a proof for `{text}`"))
}

pub(super) fn awaits_answer(authorization: &AuthorizationState) -> bool {
    authorization.status == AuthorizationStatus::Pending
        && authorization.challenges.iter().any(|challenge| {
            challenge.r#type == ChallengeType::Dns01 && challenge.status == ChallengeStatus::Pending
        })
}

/// The error of the challenge that was tried.
pub(super) fn refusal(authorization: &AuthorizationState) -> Refusal {
    let problem = authorization
        .challenges
        .iter()
        .find_map(|challenge| challenge.error.clone());
    Refusal {
        status: None,
        problem,
        retry_after: None,
    }
}
