//! The account key: opened when something needs it, or made with a new account.

use anyhow::{Context, Result, anyhow};

use crate::acme::account::Account;
use crate::acme::presets::Directory;
use crate::model::certificate::CertificateName;
use crate::model::hint::Hint;
use crate::model::secret::{Secret, looks_secret};
use crate::nightly::job::{IdentitySource, Job};
use crate::nightly::workspaces::Workspaces;
use crate::repo::git::File;
use crate::repo::layout::{self, StoredKey};
use crate::repo::seal::Identities;

/// An account that orders can be placed with.
pub(crate) struct Opened {
    pub(crate) account: Account,
    /// Files of an account that was registered just now; they have yet to be stored.
    pub(crate) new_files: Vec<File>,
}

/// The account at a CA, from the cert repository; registered if there is none.
pub(crate) async fn account(
    job: &Job,
    workspaces: &Workspaces,
    directory: &Directory,
) -> Result<Opened> {
    let host = directory.host();
    let at = host.clone();
    let stored = workspaces
        .with(move |workspace| layout::account(workspace, &at))
        .await?;
    let opened = match stored {
        Some(stored) => {
            let key = open(&job.identities, &stored)?;
            Opened {
                account: Account::open(directory, &job.http, &key).await?,
                new_files: Vec::new(),
            }
        }
        None => register(job, workspaces, directory).await?,
    };
    tracing::debug!(account = opened.account.url(), "account");
    Ok(opened)
}

async fn register(job: &Job, workspaces: &Workspaces, directory: &Directory) -> Result<Opened> {
    // Whoever cannot store the key must not make an account.
    let recipients = workspaces
        .with(|workspace| layout::account_recipients(workspace))
        .await?;
    let (account, files) =
        Account::register(directory, &job.http, job.email.as_deref(), job.agree_tos).await?;
    Ok(Opened {
        new_files: layout::account_files(
            &directory.host(),
            &files.metadata,
            &files.key,
            &recipients,
        )?,
        account,
    })
}

/// The private key of a certificate that keeps it; none where there is none yet.
pub(crate) async fn certificate_key(
    job: &Job,
    workspaces: &Workspaces,
    name: &CertificateName,
) -> Result<Option<Secret>> {
    let name = name.clone();
    let stored = workspaces
        .with(move |workspace| layout::certificate_key(workspace, &name))
        .await?;
    stored
        .map(|stored| open(&job.identities, &stored))
        .transpose()
        .hint(|| {
            "a certificate with `reuse_key` needs an identity that opens its key; leave it out for a new key each time"
        })
}

/// Opens a key with the first identity that can.
fn open(sources: &[IdentitySource], stored: &StoredKey) -> Result<Secret> {
    let StoredKey {
        key,
        path: key_path,
    } = stored;
    let mut failed = None;
    for source in sources {
        let opened = identities(source)?.open(key);
        match opened {
            Ok(secret) => return Ok(secret),
            Err(error) => failed = Some(error.context(format!("cannot decrypt `{key_path}`"))),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Err(anyhow!(
            "there is no age identity to open `{key_path}` with"
        ))
        .hint(|| "set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`"),
    }
}

fn identities(source: &IdentitySource) -> Result<Identities> {
    match source {
        IdentitySource::Text { variable, text } => Identities::parse(text, variable),
        IdentitySource::File(path) => {
            let origin = path.display().to_string();
            if looks_secret(&origin) {
                return Err(anyhow!(
                    "the file of the identity is named by a private key"
                ))
                .hint(|| "that is the key itself: give it as GIT_CERTS_AGE_KEY");
            }
            let text = std::fs::read(path)
                .with_context(|| format!("cannot read the identity `{origin}`"))
                .hint(|| "an identity is a file of `age-keygen`, or an SSH private key")?;
            Identities::parse(&Secret::new(text), &origin)
        }
    }
}
