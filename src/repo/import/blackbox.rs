//! What blackbox (of Stack Exchange) encrypted: `PATH.gpg` beside where `PATH` would be, listed in `blackbox-files.txt`.
//!
//! `gpg` is the user's own, with its keys and its agent; what it decrypts comes through a pipe.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};

use crate::model::hint::{Hint, with_hint};
use crate::model::outside;
use crate::model::secret::{Secret, is_own_variable};
use crate::repo::git::{Content, File, Workspace};
use crate::repo::talk::talk;

/// Folders that blackbox keeps its lists in; the second is that of old versions.
const FOLDERS: [&str; 2] = [".blackbox", "keyrings/live"];

/// Largest file that is opened, bytes. Keys and chains have some thousand.
const LARGEST: u64 = 1 << 20;

const LIST: &str = "blackbox-files.txt";

const IGNORED: &str = ".gitignore";

/// What a file of blackbox's ends with.
pub(crate) const ENCRYPTED: &str = ".gpg";

/// Opens a file with the user's `gpg`.
pub(super) fn decrypt(bytes: &[u8], shown: &str) -> Result<Secret> {
    let mut command = Command::new("gpg");
    for (variable, _) in std::env::vars_os() {
        if is_own_variable(&variable.to_string_lossy()) {
            command.env_remove(variable);
        }
    }
    command
        .args(["--batch", "--quiet", "--decrypt"])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = outside::spawn(command)
        .context("cannot run `gpg`, which opens what blackbox encrypted")
        .hint(|| "install GnuPG: the package is `gnupg` on Debian and Ubuntu")?;
    let (opened, said) = talk(&mut child, bytes, LARGEST);
    let status = child.wait().context("cannot wait for `gpg`")?;
    let opened = opened.with_context(|| format!("cannot read what `gpg` makes of `{shown}`"))?;
    if status.success() {
        return Ok(Secret::new(opened));
    }
    let said = String::from_utf8_lossy(&said);
    let said = said
        .lines()
        .last()
        .unwrap_or("it does not say why")
        .to_owned();
    Err(with_hint(
        anyhow!(said).context(format!("`gpg` cannot open `{shown}`")),
        "run it where the PGP key of one of blackbox's admins is: `gpg --list-secret-keys` shows yours",
    ))
}

/// blackbox's list and `.gitignore` without files that are not encrypted by it any more.
///
/// Lines for other files stay, in their order.
pub(crate) fn without(workspace: &Workspace, converted: &BTreeSet<String>) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let lists = FOLDERS.map(|folder| format!("{folder}/{LIST}"));
    let is_used = lists
        .iter()
        .map(|list| workspace.has(list))
        .collect::<Result<Vec<_>>>()?;
    if !is_used.contains(&true) {
        return Ok(files);
    }
    for path in lists.iter().map(String::as_str).chain([IGNORED]) {
        let Some(bytes) = workspace.read(path)? else {
            continue;
        };
        let text = String::from_utf8(bytes).with_context(|| format!("`{path}` is not UTF-8"))?;
        let lines = text.split_inclusive('\n');
        let rest: String = lines
            .filter(|line| {
                let line = line.trim_end();
                let line = if path == IGNORED {
                    line.strip_prefix('/').unwrap_or_default()
                } else {
                    line
                };
                !converted.contains(line)
            })
            .collect();
        if rest != text {
            files.push(File {
                path: path.to_owned(),
                content: Content::Public(rest.into_bytes()),
            });
        }
    }
    Ok(files)
}
