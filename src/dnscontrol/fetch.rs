//! `fetch()` of scripts, where the user allows it.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};

use crate::net::http::{Http, Repeat};

/// Most redirects that are followed, as browsers and Go have it.
const MOST_REDIRECTS: usize = 10;

/// What a script asks for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) url: String,
    /// In upper case.
    pub(super) method: String,
    pub(super) headers: Vec<Vec<String>>,
    pub(super) body: String,
}

/// What it gets.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// After redirects.
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<Vec<String>>,
    /// What is not UTF-8 is replaced.
    pub(super) body: String,
}

/// Asks and waits, at most until the script's time is over. Redirects are followed.
///
/// A body that is larger than `largest` bytes is an error.
pub(super) fn fetch(question: Question, until: Instant, largest: usize) -> Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime for the network")?;
    runtime.block_on(async {
        tokio::time::timeout_at(until.into(), ask(question, largest))
            .await
            .context("no answer before the time limit of the configuration")?
    })
}

async fn ask(question: Question, largest: usize) -> Result<Answer> {
    let http = Http::new(None)?;
    let mut url: Url = question.url.parse().context("not a URL")?;
    let mut method: Method = question.method.parse().context("not a method")?;
    let mut body = question.body;
    for _ in 0..=MOST_REDIRECTS {
        let mut request = http.client().request(method.clone(), url.clone());
        for header in &question.headers {
            if let [name, value] = header.as_slice() {
                request = request.header(name, value);
            }
        }
        let request = request.body(body.clone()).build()?;
        let repeat = match method {
            Method::GET | Method::HEAD => Repeat::Safe,
            _ => Repeat::Never,
        };
        let answer = http.send(request, repeat).await?;
        let Some(next) = redirected(&answer)? else {
            return read(answer, largest).await;
        };
        ensure!(
            next.origin() == url.origin() || question.headers.is_empty(),
            "a redirect to another host, where the headers must not go"
        );
        let keeps = matches!(
            answer.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if !keeps && method != Method::HEAD {
            method = Method::GET;
            body.clear();
        }
        url = next;
    }
    bail!("more than {MOST_REDIRECTS} redirects")
}

fn redirected(answer: &Response) -> Result<Option<Url>> {
    let moved = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = answer.headers().get(LOCATION).filter(|_| moved) else {
        return Ok(None);
    };
    let location = location.to_str().context("a redirect to no URL")?;
    let next = answer.url().join(location);
    Ok(Some(next.context("a redirect to no URL")?))
}

async fn read(mut answer: Response, largest: usize) -> Result<Answer> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| vec![name.to_string(), text(value.as_bytes())])
        .collect();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ensure!(
            body.len() + chunk.len() <= largest,
            "the answer is larger than the memory limit"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        url: answer.url().to_string(),
        status: answer.status().as_u16(),
        reason: answer
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
        headers,
        body: text(&body),
    })
}
