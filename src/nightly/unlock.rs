//! The account key: opened when something needs it, or made with a new account.

use anyhow::{Context, Result, anyhow};

use crate::acme::account::Account;
use crate::model::hint::Hint;
use crate::model::secret::Secret;
use crate::nightly::job::{IdentitySource, Job};
use crate::nightly::workspaces::Workspaces;
use crate::repo::git::File;
use crate::repo::layout;
use crate::repo::seal::Identities;

/// An account that orders can be placed with.
pub(crate) struct Opened {
    pub(crate) account: Account,
    /// Files of an account that was registered just now; they have yet to be stored.
    pub(crate) new_files: Vec<File>,
}

/// The account of the CA, from the cert repository; registered if there is none.
pub(crate) async fn account(job: &Job, workspaces: &Workspaces) -> Result<Opened> {
    let host = job.directory.host();
    let at = host.clone();
    let stored = workspaces
        .with(move |workspace| layout::account(workspace, &at))
        .await?;
    match stored {
        Some(stored) => {
            let key = identities(&job.identities)?.open(&stored.key, &stored.key_path)?;
            Ok(Opened {
                account: Account::open(&job.directory, &job.http, &key).await?,
                new_files: Vec::new(),
            })
        }
        None => register(job, workspaces, host).await,
    }
}

async fn register(job: &Job, workspaces: &Workspaces, host: String) -> Result<Opened> {
    // Whoever cannot store the key must not make an account.
    let recipients = workspaces
        .with(|workspace| layout::account_recipients(workspace))
        .await?;
    let (account, files) = Account::register(
        &job.directory,
        &job.http,
        job.email.as_deref(),
        job.agree_tos,
    )
    .await?;
    Ok(Opened {
        new_files: layout::account_files(&host, &files.metadata, &files.key, &recipients)?,
        account,
    })
}

fn identities(sources: &[IdentitySource]) -> Result<Identities> {
    let mut identities = Identities::default();
    for source in sources {
        match source {
            IdentitySource::Text { variable, text } => {
                identities.add(text, &format!("`{variable}`"))?;
            }
            IdentitySource::File(path) => {
                let shown = path.display();
                let text = std::fs::read(path)
                    .with_context(|| format!("cannot read the identity `{shown}`"))?;
                identities.add(&Secret::new(text), &format!("`{shown}`"))?;
            }
        }
    }
    if identities.is_empty() {
        return Err(anyhow!("there is no age identity to open the account key with"))
            .hint(|| "set GIT_CERTS_AGE_KEY to the text of one, or name its file with `--identity`");
    }
    Ok(identities)
}
