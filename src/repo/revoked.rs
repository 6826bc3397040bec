//! The mark of a revoked certificate in NAME.json: `"revoked": {"at": ..., "reason": ...}`.

use std::fmt;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::certificate::CertificateName;
use crate::repo::git::{File, Workspace};
use crate::repo::layout::{certificate_file, with_field};

/// Name of the field.
pub(super) const NAME: &str = "revoked";

/// Name of the field, in quotes: what is searched for before anything is parsed.
const FIELD: &[u8] = b"\"revoked\"";

/// The reason of RFC 5280 section 5.3.1 that is the key's.
const KEY_COMPROMISE: &str = "keyCompromise";

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    revoked: Option<Mark>,
    #[serde(default)]
    directory: Option<String>,
}

/// When a certificate was revoked, and why.
#[derive(Deserialize)]
pub(super) struct Mark {
    at: String,
    reason: String,
}

impl Mark {
    /// Whether it was because of the key, which is never used again then.
    pub(super) fn is_compromised(&self) -> bool {
        self.reason == KEY_COMPROMISE
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.split('T').next().unwrap_or_default();
        write!(f, "revoked on {day}: {}", self.reason)
    }
}

/// Path and bytes of a certificate, and the directory URL of the CA that issued it, as far as the
/// repository has them.
pub(crate) fn certificate(
    workspace: &Workspace,
    name: &CertificateName,
) -> Result<(String, Option<Vec<u8>>, Option<String>)> {
    let path = certificate_file(name, "crt");
    let bytes = workspace.read(&path)?;
    let description = workspace.read(&certificate_file(name, "json"))?;
    let directory = description.and_then(|bytes| directory_of(&bytes));
    Ok((path, bytes, directory))
}

/// The directory URL of the CA that NAME.json names.
pub(super) fn directory_of(description: &[u8]) -> Option<String> {
    let description = serde_json::from_slice::<Description>(description).ok()?;
    description.directory
}

/// Why a certificate is to be issued again although it looks good, if its NAME.json says that it was revoked.
pub(super) fn reason(description: &[u8]) -> Option<String> {
    mark_in(description).map(|mark| mark.to_string())
}

/// The mark, if its NAME.json has one.
pub(super) fn mark_in(description: &[u8]) -> Option<Mark> {
    // Thousands of certificates are looked at in each run, and hardly one is revoked.
    if !description
        .windows(FIELD.len())
        .any(|window| window == FIELD)
    {
        return None;
    }
    serde_json::from_slice::<Description>(description)
        .ok()?
        .revoked
}

/// Whether a certificate was revoked because of its key, which is never used again then.
pub(crate) fn is_compromised(workspace: &Workspace, name: &CertificateName) -> Result<bool> {
    let bytes = workspace.read(&certificate_file(name, "json"))?;
    Ok(bytes.is_some_and(|bytes| says_compromised(&bytes)))
}

/// Whether NAME.json says so.
pub(crate) fn says_compromised(description: &[u8]) -> bool {
    mark_in(description).is_some_and(|mark| mark.is_compromised())
}

/// NAME.json with the mark.
pub(crate) fn mark(
    workspace: &Workspace,
    name: &CertificateName,
    reason: &str,
    now: OffsetDateTime,
) -> Result<File> {
    with_field(workspace, name, NAME, mark_of(reason, now)?)
}

/// The mark itself.
pub(super) fn mark_of(reason: &str, now: OffsetDateTime) -> Result<Value> {
    let now = now.replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok(json!({ "at": now, "reason": reason }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::model::file;
    use crate::repo::files;
    use crate::repo::git::People;
    use crate::repo::servers::access;

    #[test]
    fn a_mark_is_added_to_what_is_there_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let people = People::find(|_| None, None).unwrap();
        let open = Workspace::here(folder.path(), None, &access(None, None), people);
        let mut workspace = open.unwrap();
        let name: CertificateName = "www".parse().unwrap();
        let path = folder.path().join("certificates/www/www.json");
        let before =
            "{\n  \"domain\": \"revoked.test\",\n  \"directory\": \"https://ca.test/d\"\n}\n";
        files::replace(&path, before.as_bytes(), 0o644).unwrap();
        assert_eq!(reason(before.as_bytes()), None);
        let now = datetime!(2026-11-25 20:30:40.5 UTC);
        let file = mark(&workspace, &name, "superseded", now).unwrap();
        workspace.commit("x", &[file]).unwrap();
        assert_eq!(
            file::read_text(&path).unwrap(),
            "{\n  \"domain\": \"revoked.test\",\n  \"directory\": \"https://ca.test/d\",\n  \
             \"revoked\": {\n    \"at\": \"2026-11-25T20:30:40Z\",\n    \"reason\": \"superseded\"\n  }\n}\n"
        );
        assert_eq!(
            reason(&file::read(&path).unwrap()).as_deref(),
            Some("revoked on 2026-11-25: superseded")
        );
        let (_, certificate, directory) = certificate(&workspace, &name).unwrap();
        assert_eq!(
            (certificate, directory.as_deref()),
            (None, Some("https://ca.test/d"))
        );
    }
}
