//! A cert folder and a DNS folder without git and without servers, and what the program says of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pretty_assertions::assert_eq;

use crate::support::secrets;

/// A cert folder `certs`, a DNS folder `dns`, and a home, as temporary folders.
///
/// The program runs in `certs`.
pub struct Folders {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What the program said, and how it ended.
#[derive(Debug, PartialEq)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Folders {
    /// Sound input: one certificate, and its zone.
    pub fn new() -> Self {
        let folders = Self {
            root: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        folders
            .with("home/.keep", "")
            .with("tmp/.keep", "")
            .with(
                "certs/certs.json",
                r#"[{"cert_name": "www", "names": ["www.a.test"]}]"#,
            )
            .with(
                "dns/dnsconfig.js",
                "var NONE = NewRegistrar('none');\nvar DDNS = NewDnsProvider('ddns');\n\
                 D('a.test', NONE, DnsProvider(DDNS));\n",
            )
    }

    /// One file more, or another text for it.
    pub fn with(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub fn without(self, path: &str) -> Self {
        fs::remove_file(self.path(path)).unwrap();
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Runs the program with words that blanks separate. Whatever it says, it must not write.
    #[track_caller]
    pub fn run(&self, words: &str) -> Said {
        let before = contents(self.root.path());
        let output = Command::new(env!("CARGO_BIN_EXE_git-certs"))
            .args(words.split_whitespace())
            .current_dir(self.path("certs"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            // The width that help is wrapped at.
            .env("COLUMNS", "100")
            .env("TMPDIR", self.path("tmp"))
            .envs(self.variables.iter().cloned())
            .output()
            .unwrap();
        assert_eq!(contents(self.root.path()), before, "{words}");
        let text = |bytes| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(self.root.path().to_str().unwrap(), "[ROOT]")
        };
        let said = Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        let variables: Vec<_> = variables.collect();
        secrets::check(
            words,
            variables.iter().copied(),
            [&said.stdout, &said.stderr],
        );
        let own: Vec<_> = words.split_whitespace().collect();
        secrets::check_reports(&own, variables, (&self.path("certs"), &[]));
        said
    }

    /// Runs `plan` on the DNS folder, with more words; it must refuse with this on stderr.
    #[track_caller]
    pub fn plan_is_refused(&self, words: &str, stderr: &str) {
        self.is_refused(&format!("plan --dns-repo ../dns {words}"), stderr);
    }

    #[track_caller]
    pub fn is_refused(&self, words: &str, stderr: &str) {
        assert_eq!(self.run(words), Said::refused(stderr), "{words}");
    }
}

impl Said {
    /// Exit code 0, and this on stdout alone.
    pub fn done(stdout: &str) -> Self {
        Self {
            code: Some(0),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    /// Exit code 2, and this on stderr alone.
    pub fn refused(stderr: &str) -> Self {
        Self {
            code: Some(2),
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }
}

/// Every file below a folder, by path; links are not followed.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            all.insert(path, b"link".to_vec());
        } else if path.is_dir() {
            all.extend(contents(&path));
            all.insert(path, b"folder".to_vec());
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}
