//! age identities in files: a new one that only its user can read, and who one is that is there.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use age::secrecy::ExposeSecret;
use age::x25519;
use anyhow::{Context, Result, anyhow};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::model::file;
use crate::model::hint::Hint;
use crate::repo::files::PRIVATE;

/// Makes an identity, writes it as `age-keygen` does, and returns its recipient. A file that is there stays as it is.
///
/// It is the one plaintext key that is ever written: whoever asked for it has no other way to get it.
pub(crate) fn create(path: &Path, now: OffsetDateTime) -> Result<String> {
    let about = || format!("cannot write the identity to `{}`", path.display());
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(about)?;
    }
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let created = now.format(&Rfc3339)?;
    let text = Zeroizing::new(format!(
        "# created: {created}\n# public key: {recipient}\n{}\n",
        identity.to_string().expose_secret()
    ));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)
        .with_context(about)
        .hint(|| {
            format!(
                "another file stays as it is; for an identity that is there, give `--recipient` what `age-keygen -y {}` prints",
                path.display()
            )
        })?;
    file.write_all(text.as_bytes()).with_context(about)?;
    file.sync_all().with_context(about)?;
    Ok(recipient)
}

/// Recipient of the first identity in a file, as `age-keygen` writes it.
pub(crate) fn recipient(path: &Path) -> Result<String> {
    let bytes = file::read(path).map(Zeroizing::new);
    let bytes = bytes.with_context(|| format!("cannot read `{}`", path.display()))?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let identity = text.lines().find_map(|line| line.trim().parse().ok());
    let identity: x25519::Identity = identity
        .ok_or_else(|| anyhow!("`{}` has no identity as `age-keygen` makes it", path.display()))
        .hint(|| "name another file; or give `--recipient` what belongs to an identity of another kind")?;
    Ok(identity.to_public().to_string())
}
