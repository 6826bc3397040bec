//! What blackbox (of Stack Exchange) encrypted: `PATH.gpg` beside where `PATH` would be, listed in `blackbox-files.txt`.
//!
//! `gpg` is the user's own, with its keys and its agent; what it decrypts comes through a pipe.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::model::file;
use crate::model::hint::{Hint, with_hint};
use crate::model::outside;
use crate::model::secret::{Secret, is_own_variable};
use crate::repo::git::{Content, File, Workspace};

/// Folders that blackbox keeps its lists in; the second is that of old versions.
const FOLDERS: [&str; 2] = [".blackbox", "keyrings/live"];

/// Largest file that is opened, bytes. Keys and chains have some thousand.
const LARGEST: u64 = 1 << 20;

/// Most of gpg's words that are kept, bytes.
const MOST_WORDS: u64 = 64 << 10;

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
    let (opened, said) = talk(&mut child, bytes);
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

/// Writes and reads at once: gpg begins to write before it has read everything. What it wrote, and what it said.
fn talk(child: &mut Child, bytes: &[u8]) -> (io::Result<Vec<u8>>, Vec<u8>) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // One that ends early says why.
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(bytes)));
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            if let Some(mut pipe) = stderr {
                let _ = (&mut pipe).take(MOST_WORDS).read_to_end(&mut said);
                let _ = io::copy(&mut pipe, &mut io::sink());
            }
            said
        });
        let opened = stdout.map_or_else(|| Ok(Vec::new()), |pipe| file::whole(pipe, LARGEST));
        // What is packed small can be huge.
        if opened.is_err() {
            let _ = child.kill();
        }
        (opened, said.join().unwrap_or_default())
    })
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
