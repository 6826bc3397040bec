//! Work grows with the number of certificates, not with its square.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::cert_repo::{CertRepo, sha256};
use crate::support::folders::Folders;

/// So many times as many certificates may take so many times as long.
const MORE: usize = 8;
const LONGER: f64 = 16.0;

/// A bare repository with so many certificates, whose keys are the same text.
fn repository(repo: &CertRepo, recipient: &str, count: usize) -> String {
    let folder = repo.path(&format!("{count}.git"));
    let folder = folder.to_str().unwrap().to_owned();
    repo.tool(
        "git",
        &[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch=main",
            &folder,
        ],
        "",
    );
    let sealed = repo.sealed("text", &[recipient]);
    let note = json!({ "key_age_sha256": sha256(sealed.as_bytes()) });
    let mut stream =
        "commit refs/heads/main\ncommitter a <a@a.test> 1700000000 +0000\ndata 1\nx\n".to_owned();
    let mut file = |path: &str, text: &str| {
        let length = text.len();
        write!(stream, "M 100644 inline {path}\ndata {length}\n{text}\n").unwrap();
    };
    file(".age-recipients", &format!("{recipient}\n"));
    let name = |number: usize| format!("c{number:05}");
    let entries = (0..count).map(|number| {
        json!({ "cert_name": name(number), "names": [format!("{}.a.test", name(number))] })
    });
    file("certs.json", &entries.collect::<Value>().to_string());
    for number in 0..count {
        let path = format!("certificates/{0}/{0}", name(number));
        file(&format!("{path}.key.age"), &sealed);
        file(&format!("{path}.json"), &note.to_string());
    }
    let mut import = Command::new("git")
        .args(["-C", &folder, "fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = import.stdin.take().unwrap();
    pipe.write_all(stream.as_bytes()).unwrap();
    drop(pipe);
    assert!(import.wait().unwrap().success());
    folder
}

/// Seconds of a processor.
fn spent(repo: &CertRepo, words: &str) -> f64 {
    let shell = "TIMEFORMAT='%U %S'; time \"$@\" 2>&3";
    let options = ["-c", &format!("{{ {shell}; }} 3>&1"), "bash"];
    let output = repo.under("bash", &options, words).output().unwrap();
    assert!(output.status.success(), "{words}: {output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let parts = text
        .split_whitespace()
        .map(|part| part.parse::<f64>().unwrap());
    parts.sum()
}

#[test]
fn a_look_at_all_keys() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    let [few, many] = [400, 400 * MORE].map(|count| {
        let folder = repository(&repo, &alice, count);
        spent(&repo, &format!("recipients list --repo {folder}"))
    });
    assert!(many < LONGER * few, "{few} s, {many} s");
}

#[test]
fn a_certificate_with_far_too_many_names() {
    let folders = Folders::new();
    let [few, many] = [5_000, 5_000 * MORE].map(|count| {
        let names = (0..count).map(|number| format!("n{number}.a.test"));
        let list = json!([{ "cert_name": "www", "names": names.collect::<Vec<_>>() }]);
        fs::write(folders.path("certs/certs.json"), list.to_string()).unwrap();
        let begun = Instant::now();
        let said = folders.run("plan --dns-repo ../dns");
        let cause = format!("it has {count} names; a certificate holds at most 100");
        assert!(said.stderr.contains(&cause), "{}", said.stderr);
        begun.elapsed().as_secs_f64()
    });
    assert!(many < LONGER * few, "{few} s, {many} s");
}
