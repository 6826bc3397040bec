//! Whether commits are pushed.

use anyhow::{Result, anyhow};
use clap::Args;
use clap::builder::BoolishValueParser;

use crate::cli::arguments::Run;
use crate::model::hint::Hint;

/// Whether what is committed is pushed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct Pushing {
    /// Commit, but do not push
    #[arg(long, env = "GIT_CERTS_NO_PUSH")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    no_push: Option<bool>,
}

impl Pushing {
    /// The answer for a run that commits. A clone that is not pushed would be deleted with its commits.
    pub(super) fn is_wanted(self, run: &Run) -> Result<bool> {
        let no_push = self.no_push.unwrap_or_default();
        if no_push && run.certs.repo.is_some() {
            return Err(anyhow!(
                "`--no-push` with `--repo` would keep nothing: the clone is deleted when the run ends"
            ))
            .hint(|| "leave one of them out; in a checkout `--no-push` keeps the commits");
        }
        Ok(!no_push)
    }
}
