//! YAML as JSON, by Debian's python3-yaml.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

const SCRIPT: &str = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";

/// Reads a document; what is no YAML fails the test.
#[track_caller]
pub fn parse(text: &str) -> Value {
    // Debian's python: another one may come first on PATH.
    let mut python = Command::new("/usr/bin/python3")
        .args(["-I", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts; `make test-deps` installs it");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "no YAML, or `make test-deps` is needed:\n{text}\n{errors}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[should_panic(expected = "no YAML")]
fn what_is_no_yaml_is_found() {
    parse("a: [b\n");
}
