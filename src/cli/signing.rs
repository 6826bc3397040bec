//! SSH keys that were given: for signatures of commits, and for the way to a server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use ssh_key::PublicKey;

use crate::cli::arguments::secret;
use crate::cli::{config, environment};
use crate::model::file;
use crate::model::hint::Hint;
use crate::model::secret::{Secret, looks_secret};
use crate::repo::git::People;
use crate::repo::ssh_key::SshKey;

/// How commits are signed.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Signing {
    /// SSH key that signs each commit: its file (of a public one, ssh-agent signs), or in the environment the key itself
    #[arg(long, env = "GIT_CERTS_SIGNING_KEY", value_name = "FILE", allow_hyphen_values = true, value_parser = StringValueParser::new().map(secret))]
    signing_key: Option<Arc<Secret>>,

    /// Go on only if one of these has signed the last commit of the cert repository, in git's format; a file that those who push cannot change
    #[arg(long, env = "GIT_CERTS_ALLOWED_SIGNERS", value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
}

impl Signing {
    /// Who commits, and the key that signs.
    pub(super) fn people(&self) -> Result<People> {
        let key = self.signing_key.as_deref();
        let trusted = self.allowed_signers.as_deref();
        Ok(People {
            key: key.map(signing_key).transpose()?.map(Arc::new),
            trusted: trusted
                .map(config::allowed_signers)
                .transpose()?
                .map(Arc::new),
            ..environment::people()?
        })
    }
}

fn signing_key(given: &Secret) -> Result<SshKey> {
    let text = given.expose_str().unwrap_or_default();
    if !looks_secret(text) {
        let bytes = file::read(text)
            .with_context(|| format!("cannot read the SSH key `{text}` of `--signing-key`"))
            .hint(|| "a relative path starts at the current folder")?;
        return in_file(&Secret::new(bytes)).with_context(|| format!("cannot sign with `{text}`"));
    }
    let variable = environment::SIGNING_KEY;
    let ours = environment::secret(variable);
    if ours.is_none_or(|ours| ours.expose() != given.expose()) {
        return Err(anyhow!("`--signing-key` holds a private key"))
            .hint(|| "it takes the name of a file; the key itself goes into GIT_CERTS_SIGNING_KEY, as other users of the machine see command lines");
    }
    SshKey::parse(given).with_context(|| format!("cannot sign with the key in {variable}"))
}

/// The key in a file; of a public one the ssh-agent has the other half.
fn in_file(bytes: &Secret) -> Result<SshKey> {
    let public = bytes.expose_str().map(PublicKey::from_openssh);
    let Some(Ok(public)) = public else {
        return SshKey::parse(bytes);
    };
    let socket = environment::variable(environment::SSH_AUTH_SOCK)
        .context("it is a public key, and there is no ssh-agent with the private one")
        .hint(|| "`ssh-agent` prints what to set, `ssh-add FILE` gives it the key; or name the private key")?;
    SshKey::in_agent(public, socket.into())
}

/// The key in a variable for the way to `ssh://` repositories.
pub(super) fn ssh_key() -> Result<Option<SshKey>> {
    let variable = environment::SSH_KEY;
    let key = environment::secret(variable).map(|text| SshKey::parse(&text));
    key.transpose()
        .with_context(|| format!("cannot use the key in {variable}"))
}
