//! How a program ended that was run for its effect, and what it said: as much of it as is of use.

use std::process::ExitStatus;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;

/// What a run prints is kept up to here, bytes.
const MOST_WORDS: u64 = 1 << 20;

/// Longest part of it that an error repeats, characters.
const SHOWN: usize = 600;

/// How a run ended, and what it said.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// Waits for the end.
    pub(super) async fn of(mut child: Child) -> Result<Self> {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (status, stdout, stderr) =
            tokio::try_join!(child.wait(), listen(stdout), listen(stderr))?;
        Ok(Self {
            status,
            stdout,
            stderr,
        })
    }

    /// The end of what it said, for an error.
    pub(super) fn words(&self) -> String {
        let said = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let said = said.trim();
        let skipped = said.chars().count().saturating_sub(SHOWN);
        let end: String = said.chars().skip(skipped).collect();
        match end.as_str() {
            "" => self.status.to_string(),
            end => format!("{}: {end}", self.status),
        }
    }
}

/// Keeps the beginning of what the child prints and reads the rest away.
async fn listen(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let Some(mut from) = from else {
        return Ok(String::new());
    };
    let mut words = Vec::new();
    (&mut from).take(MOST_WORDS).read_to_end(&mut words).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&words).into_owned())
}
