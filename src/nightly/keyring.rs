//! What opens keys: age identities and SSH keys, from variables and files.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

use crate::model::file;
use crate::model::hint::{Hint, Shared, several};
use crate::model::secret::{Sealed, Secret, looks_secret};
use crate::repo::seal::Identities;
use crate::report::masks;
use crate::report::progress::Progress;
use crate::report::questions::Questions;

/// Something that may open a key; a file is read when it is needed.
#[derive(Debug)]
pub(crate) enum IdentitySource {
    /// The text of an age identity, from a variable.
    Text { variable: String, text: Secret },
    /// An age identity file or an SSH key.
    File(PathBuf),
}

/// Identities to be tried one after another. Clones share what has been read.
///
/// Each is read when it is needed first, and kept: nobody types a passphrase twice.
#[derive(Clone, Debug)]
pub(crate) struct Keyring(Arc<Mutex<Vec<Entry>>>);

/// Where identities are, and what was there when they were read.
type Entry = (IdentitySource, Option<Identities>);

impl Keyring {
    pub(crate) fn new(sources: Vec<IdentitySource>) -> Self {
        let unread = sources.into_iter().map(|source| (source, None));
        Self(Arc::new(Mutex::new(unread.collect())))
    }

    /// Whether there is nothing to open a key with.
    pub(super) fn is_empty(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.is_empty()
    }

    /// Opens a key with the first identity that can. Blocks while somebody is asked on the terminal.
    pub(super) fn decrypt(
        &self,
        key: &Sealed,
        key_path: &str,
        progress: &Progress,
    ) -> Result<Secret> {
        let mut failed = Vec::new();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (source, read) in all.iter_mut() {
            let identities = match read {
                Some(identities) => identities,
                None => read.insert(identities(source, &Questions::new(progress))?),
            };
            match identities.open(key) {
                Ok(secret) => return Ok(secret),
                Err(error) => failed.push(Shared::new(error)),
            }
        }
        match several(failed) {
            Some(error) => Err(error.context(format!("cannot decrypt `{key_path}`"))),
            None => Err(anyhow!(
                "there is no age identity to open `{key_path}` with"
            ))
            .hint(
                || "set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`",
            ),
        }
    }
}

fn identities(source: &IdentitySource, questions: &Questions) -> Result<Identities> {
    match source {
        IdentitySource::Text { variable, text } => Identities::parse(text, variable, questions),
        IdentitySource::File(path) => {
            let origin = path.display().to_string();
            if looks_secret(&origin) {
                return Err(anyhow!(
                    "the file of the identity is named by a private key"
                ))
                .hint(|| "that is the key itself: give it as GIT_CERTS_AGE_KEY");
            }
            let text = file::read(path)
                .with_context(|| format!("cannot read the identity `{origin}`"))
                .hint(|| "an identity is a file of `age-keygen`, or an SSH private key")?;
            let text = Secret::new(text);
            masks::mask(text.expose());
            Identities::parse(&text, &origin, questions)
        }
    }
}
