//! Nothing due among 10,000 certificates: the time and the memory of the whole run.
//!
//! `cargo bench --bench held`

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// What issue 5 asks for.
const LARGEST_SECONDS: f64 = 1.0;
const LARGEST_MEGABYTES: u64 = 80;

const RUNS: usize = 3;

fn main() -> ExitCode {
    let mut good = true;
    println!("certificates  seconds  MB");
    for count in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), count);
        let runs = (0..RUNS).map(|_| run(folder.path(), count));
        let (seconds, megabytes) = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
        println!("{count:12}  {seconds:7.2}  {megabytes:2}");
        good &= seconds <= LARGEST_SECONDS && megabytes <= LARGEST_MEGABYTES;
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A cert repository whose certificates are fresh, their windows too, and a DNS repository.
fn prepare(folder: &Path, count: usize) {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certs = folder.join("certs");
    let moment = |days: i64| (now + Duration::days(days)).format(&Rfc3339).unwrap();
    let mut wanted = Vec::new();
    for number in 0..count {
        let name = format!("c{number}");
        let host = format!("{name}.example.test");
        let mut params = CertificateParams::new(vec![host.clone()]).unwrap();
        params.not_before = now - Duration::days(1);
        params.not_after = now + Duration::days(89);
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &ca).unwrap();
        let place = certs.join("certificates").join(&name);
        fs::create_dir_all(&place).unwrap();
        let write =
            |end: &str, text: &str| fs::write(place.join(format!("{name}.{end}")), text).unwrap();
        write("crt", &format!("{}{}", leaf.pem(), ca.pem()));
        write("key.age", "-----BEGIN AGE ENCRYPTED FILE-----\n");
        let description = serde_json::json!({
            "directory": "https://acme-v02.api.letsencrypt.org/directory",
            "renewal_info": {"start": moment(58), "end": moment(60), "next_check": moment(1)},
        });
        write("json", &description.to_string());
        wanted.push(serde_json::json!({"cert_name": name, "names": [host]}));
    }
    fs::write(
        certs.join("certs.json"),
        serde_json::Value::from(wanted).to_string(),
    )
    .unwrap();
    let dns = folder.join("dns");
    fs::create_dir(&dns).unwrap();
    let script =
        "D('example.test', NewRegistrar('none'), DnsProvider(NewDnsProvider('bind', 'BIND')));\n";
    fs::write(dns.join("dnsconfig.js"), script).unwrap();
    for place in [&certs, &dns] {
        git(place, &["init", "--quiet", "--initial-branch=main"]);
        git(place, &["add", "--all"]);
        let who = [
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@example.test",
        ];
        git(
            place,
            &[&who[..], &["commit", "--quiet", "-m", "held"]].concat(),
        );
    }
}

fn git(place: &Path, words: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(place)
        .args(words)
        .status();
    assert!(status.unwrap().success(), "git {words:?}");
}

/// Seconds and megabytes of one run, by GNU time. Its settings would reach the CA nowhere.
fn run(folder: &Path, count: usize) -> (f64, u64) {
    let report = folder.join("time");
    let output = Command::new("/usr/bin/time")
        .args(["--format", "%e %M", "--output"])
        .arg(&report)
        .arg(env!("CARGO_BIN_EXE_git-certs"))
        .args(["renew", "--acme", "live", "--repo"])
        .arg(folder.join("certs"))
        .arg("--dns-repo")
        .arg(folder.join("dns"))
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = format!("nothing is due: {count} up to date");
    assert!(
        stdout.contains(&expected) && !stderr.contains("warning"),
        "{stdout}{stderr}"
    );
    let text = fs::read_to_string(report).unwrap();
    let (seconds, kilobytes) = text.trim().split_once(' ').unwrap();
    (
        seconds.parse().unwrap(),
        kilobytes.parse::<u64>().unwrap() / 1024,
    )
}
