//! `verify --history` of 10,000 commits: the time and the memory of the whole run.
//!
//! `cargo bench --bench verify`

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};

/// What issue 6 asks for.
const LARGEST_SECONDS: f64 = 10.0;

const COMMITS: usize = 10_000;
const CERTIFICATES: usize = 2_000;
const RUNS: usize = 3;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    println!("commits  certificates  seconds  MB");
    let runs = (0..RUNS).map(|_| run(folder.path()));
    let (seconds, megabytes) = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
    println!("{COMMITS:7}  {CERTIFICATES:12}  {seconds:7.2}  {megabytes:2}");
    if seconds <= LARGEST_SECONDS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A history in which each commit renews one certificate.
fn prepare(folder: &Path) {
    let bare = [
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        "certs",
    ];
    git(folder, &bare, "");
    let key = KeyPair::generate().unwrap();
    let mut stream = String::new();
    for number in 0..COMMITS {
        let name = format!("c{}", number % CERTIFICATES);
        let message = format!("Renew {name}: 30 days left\n");
        writeln!(
            stream,
            "commit refs/heads/main\ncommitter Bench <bench@example.test> {} +0000\ndata {}\n{message}",
            1_700_000_000 + number,
            message.len()
        )
        .unwrap();
        for (end, text) in files(&name, number, &key) {
            writeln!(
                stream,
                "M 644 inline certificates/{name}/{name}.{end}\ndata {}\n{text}",
                text.len()
            )
            .unwrap();
        }
    }
    let certs = folder.join("certs");
    git(&certs, &["fast-import", "--quiet"], &stream);
    // As a clone has it: one pack.
    git(&certs, &["gc", "--quiet"], "");
    git(folder, &["clone", "--quiet", "certs", "mine"], "");
}

/// The files of a certificate, with a ciphertext of its own.
fn files(name: &str, number: usize, key: &KeyPair) -> [(&'static str, String); 3] {
    let host = format!("{name}.example.test");
    let mut params = CertificateParams::new(vec![host.clone()]).unwrap();
    let serial = 0x7000_0000_0000_0000 + u64::try_from(number).unwrap();
    params.serial_number = Some(serial.into());
    let chain = params.self_signed(key).unwrap().pem().repeat(2);
    // What a compressor finds in ciphertext: nothing.
    let noise = (0..40).flat_map(|part| {
        let text = format!("{number} {part}");
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    });
    let text = STANDARD.encode(noise.collect::<Vec<u8>>());
    let sealed =
        format!("-----BEGIN AGE ENCRYPTED FILE-----\n{text}\n-----END AGE ENCRYPTED FILE-----\n");
    let description = serde_json::json!({
        "domain": host,
        "names": [host],
        "serial": format!("{serial:X}"),
        "directory": "https://ca.test/dir",
        "public_key_sha256": sha256(&key.subject_public_key_info()),
        "key_age_sha256": sha256(sealed.as_bytes()),
    });
    [
        ("crt", chain),
        ("key.age", sealed),
        ("json", format!("{description:#}\n")),
    ]
}

fn sha256(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn git(folder: &Path, words: &[&str], input: &str) {
    let mut child = Command::new("git")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    assert!(child.wait().unwrap().success(), "git {words:?}");
}

/// Seconds and megabytes of one run, by GNU time.
fn run(folder: &Path) -> (f64, u64) {
    let report = folder.join("time");
    let output = Command::new("/usr/bin/time")
        .args(["--format", "%e %M", "--output"])
        .arg(&report)
        .arg(env!("CARGO_BIN_EXE_git-certs"))
        .args(["verify", "--history", "--dir"])
        .arg(folder.join("mine"))
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let files = 3 * COMMITS;
    assert_eq!(
        stdout,
        format!("{COMMITS} commits, {files} files: 0 faults, 0 notes\n")
    );
    let text = fs::read_to_string(report).unwrap();
    let (seconds, kilobytes) = text.trim().split_once(' ').unwrap();
    (
        seconds.parse().unwrap(),
        kilobytes.parse::<u64>().unwrap() / 1024,
    )
}
