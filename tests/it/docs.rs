//! The documentation says what is true: generated pages, examples, command lines, links.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;

#[test]
fn the_page_of_the_providers_is_the_registry() {
    let page = git_certs(&["providers", "--format", "markdown"]);
    compare("docs/providers.md", &text(page.stdout));
}

/// Compares a generated page with the file, or writes the file if `UPDATE_DOCS` is set.
fn compare(path: &str, generated: &str) {
    let file = root().join(path);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, generated).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        written, generated,
        "`{path}` is out of date: run the tests with UPDATE_DOCS=1"
    );
}

/// Runs the program outside of any lab, with nothing set and nowhere to write to.
fn git_certs(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_git-certs"))
        .args(words)
        .env_clear()
        .output()
        .unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
