//! A certificate of the repository with everything that belongs to it, to be copied to Vault.

use anyhow::{Context, Result};

use crate::model::certificate::CertificateName;
use crate::model::secret::Sealed;
use crate::repo::git::Workspace;
use crate::repo::layout::{certificate_file, certificate_key};
use crate::repo::revoked;

/// A certificate that is in git, to be copied.
pub(crate) struct InGit {
    /// NAME.crt.
    pub(crate) chain: String,
    /// NAME.json.
    pub(crate) description: String,
    /// The encrypted key, and its path.
    pub(crate) key: Option<(Sealed, String)>,
}

/// What git has of a certificate, unless its key was compromised.
pub(crate) fn in_git(workspace: &Workspace, name: &CertificateName) -> Result<Option<InGit>> {
    let text = |extension: &str| {
        let path = certificate_file(name, extension);
        let text = workspace.read(&path)?.map(String::from_utf8).transpose();
        text.with_context(|| format!("`{path}` is not UTF-8"))
    };
    let Some(chain) = text("crt")? else {
        return Ok(None);
    };
    if revoked::is_compromised(workspace, name)? {
        return Ok(None);
    }
    Ok(Some(InGit {
        chain,
        description: text("json")?.unwrap_or_default(),
        key: certificate_key(workspace, name)?,
    }))
}
