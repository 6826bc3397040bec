//! Nothing due among 10,000 certificates: the time and the memory of the whole run; and of one that
//! asks the CA when to renew 1,000.
//!
//! `cargo bench --bench held`

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement"
)]

mod authority;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use authority::Authority;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const LIVE: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The largest that is good.
const LARGEST_SECONDS: f64 = 1.0;
const LARGEST_MEGABYTES: u64 = 80;

/// The same, for a run that asks about a thousand certificates.
const LARGEST_SECONDS_ASKING: f64 = 5.0;

const RUNS: usize = 3;

/// Whether the CA may be asked when to renew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Windows {
    Fresh,
    Stale,
}

fn main() -> ExitCode {
    let mut good = true;
    println!("certificates  seconds  MB");
    for count in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), count, (LIVE, Windows::Fresh));
        let runs = (0..RUNS).map(|_| run(folder.path(), count, &[]));
        let (seconds, megabytes) = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
        println!("{count:12}  {seconds:7.2}  {megabytes:2}");
        good &= seconds <= LARGEST_SECONDS && megabytes <= LARGEST_MEGABYTES;
    }
    good &= ask(1_000);
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Asks about so many certificates, each answer taking 50 ms.
fn ask(count: usize) -> bool {
    let authority = Authority::start(&[moment(40), moment(42)]);
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), count, (&authority.directory, Windows::Stale));
    let root = folder.path().join("root.pem");
    fs::write(&root, &authority.root).unwrap();
    let settings = [
        ("GIT_CERTS_ACME", authority.directory.as_str()),
        ("GIT_CERTS_CA_BUNDLE", root.to_str().unwrap()),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let runs = (0..RUNS).map(|_| {
        let measured = run(folder.path(), count, &settings);
        assert_eq!(authority.take_asked(), count);
        measured
    });
    let (seconds, megabytes) = runs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
    println!("{count:12}  {seconds:7.2}  {megabytes:2}  asking when to renew each");
    seconds <= LARGEST_SECONDS_ASKING
}

fn moment(days: i64) -> String {
    let moment = OffsetDateTime::now_utc() + Duration::days(days);
    moment.format(&Rfc3339).unwrap()
}

/// A cert repository whose certificates are fresh, their windows too, and a DNS repository.
fn prepare(folder: &Path, count: usize, (directory, windows): (&str, Windows)) {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certs = folder.join("certs");
    let next_check = moment(if windows == Windows::Fresh { 1 } else { -1 });
    let mut wanted = Vec::new();
    for number in 0..count {
        let name = format!("c{number}");
        let host = format!("{name}.example.test");
        let mut params = CertificateParams::new(vec![host.clone()]).unwrap();
        params.not_before = now - Duration::days(1);
        params.not_after = now + Duration::days(89);
        params.use_authority_key_identifier_extension = true;
        // One of the key's would be the same for all.
        params.serial_number = Some((number as u64 + 1).into());
        let leaf = params.signed_by(&key, &ca).unwrap();
        let place = certs.join("certificates").join(&name);
        fs::create_dir_all(&place).unwrap();
        let write =
            |end: &str, text: &str| fs::write(place.join(format!("{name}.{end}")), text).unwrap();
        write("crt", &format!("{}{}", leaf.pem(), ca.pem()));
        write("key.age", "-----BEGIN AGE ENCRYPTED FILE-----\n");
        let description = serde_json::json!({
            "directory": directory,
            "renewal_info": {"start": moment(58), "end": moment(60), "next_check": next_check},
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
fn run(folder: &Path, count: usize, settings: &[(&str, &str)]) -> (f64, u64) {
    let report = folder.join("time");
    let output = Command::new("/usr/bin/time")
        .args(["--format", "%e %M", "--output"])
        .arg(&report)
        .arg(env!("CARGO_BIN_EXE_git-certs"))
        .args(["renew", "--repo"])
        .arg(folder.join("certs"))
        .arg("--dns-repo")
        .arg(folder.join("dns"))
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .envs(settings.iter().copied())
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
