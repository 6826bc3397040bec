//! `make demo`: the whole nightly build in a throw-away lab, shown step by step.
//!
//! With `record FILE` a terminal on which docs/pictures/session.sh runs becomes an animated SVG (`make pictures`).
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a demonstration may panic, and prints"
)]

#[allow(dead_code, reason = "the lab offers more than the demonstration uses")]
#[path = "../it/support/mod.rs"]
mod support;

use std::path::Path;
use std::{env, fs};

use support::lab::{AgeIdentity, Lab};
use support::repos::{Files, Remote, Transport};

fn main() {
    match &env::args().collect::<Vec<_>>()[1..] {
        [word, file] if word == "record" => record(Path::new(file)),
        _ => demonstrate(),
    }
}

fn demonstrate() {
    title("starting a CA, a root, two name servers, a resolver and a git server, on loopback only");
    let Scene {
        lab,
        identity,
        certs,
        dns,
    } = Scene::new();

    title("the cert repository asks for these certificates");
    println!("{}", certs.show(&lab, "certs.json"));
    title("the DNS repository says where their zones are; `example.test` is at two providers");
    println!("{}", dns.show(&lab, "dnsconfig.js"));

    let renew = |title_text: &str| {
        title(title_text);
        let output = lab
            .git_certs([
                "renew",
                "--repo",
                &certs.url(Transport::Https),
                "--dns-repo",
                &dns.url(Transport::Https),
                "--acme",
                support::pebble::DIRECTORY,
                "--agree-tos",
            ])
            .env("GIT_CERTS_CA_BUNDLE", lab.ca())
            .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
            .succeed();
        print!("{}{}", output.stderr, output.stdout);
    };
    renew(
        "git-certs renew --repo https://git.test/certs.git --dns-repo https://git.test/dns.git ...",
    );

    title("what was committed and pushed");
    print!(
        "{}",
        lab.git(
            &certs.folder,
            &[
                "log",
                "--reverse",
                "--stat",
                "--format=%n%h %s%n%n%b",
                "main",
                "-3"
            ]
        )
        .stdout
    );
    title("a private key, as it is in the repository");
    let key = certs.show(&lab, "certificates/wildcardCert/wildcardCert.key.age");
    key.lines().take(3).for_each(|line| println!("{line}"));
    println!("...");
    title("challenges left on the name servers");
    println!("{}", lab.challenges().len());
    renew("git-certs renew, once more");
}

/// Two repositories on a git server, and all that stands behind them.
struct Scene {
    lab: Lab,
    identity: AgeIdentity,
    certs: Remote,
    dns: Remote,
}

impl Scene {
    fn new() -> Self {
        let lab = Lab::builder().all().start();
        let identity = lab.age_identity("demo");
        let files = Files::certificates(
            &[
                ("wildcardCert", &["example.test", "*.example.test"]),
                ("mail", &["mail.pdns.test", "smtp.pdns.test"]),
                ("www", &["www.example.test", "www.files.test"]),
            ],
            &[&identity.recipient],
        );
        let certs = files.publish(&lab, "certs");
        let dns = Files::dns().publish(&lab, "dns");
        Self {
            lab,
            identity,
            certs,
            dns,
        }
    }
}

/// Runs the session in a checkout of the cert repository, on a terminal that termtosvg draws.
fn record(file: &Path) {
    let Scene {
        lab,
        identity,
        certs,
        dns,
    } = Scene::new();
    let checkout = lab.folder().join("checkout");
    let (url, folder) = (certs.url(Transport::Https), checkout.to_str().unwrap());
    lab.git(lab.folder(), &["clone", "--quiet", &url, folder]);
    let terminal = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/terminal.py");
    let session = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures/session.sh");
    let (drawn, program) = (
        lab.folder().join("recording.svg"),
        Path::new(env!("CARGO_BIN_EXE_git-certs")),
    );
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        support::namespace::PATH
    );
    let mut recorder = lab
        .command("python3")
        .args([terminal, "[]", "termtosvg"])
        .arg(&drawn);
    for (name, value) in support::repos::variables(&lab) {
        recorder = recorder.env(name, value);
    }
    recorder
        .args([
            "--command",
            &format!("bash {session}"),
            "--screen-geometry",
            "100x30",
        ])
        .args([
            "--template",
            "window_frame",
            "--min-frame-duration",
            "80",
            "--loop-delay",
            "4000",
        ])
        .env("PATH", path)
        .env("TERM", "xterm-256color")
        .env("GIT_CERTS_ACME", support::pebble::DIRECTORY)
        .env("GIT_CERTS_AGREE_TOS", "true")
        .env("GIT_CERTS_DNS_REPO", dns.url(Transport::Https))
        .env("GIT_CERTS_CA_BUNDLE", lab.ca())
        .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
        .folder(&checkout)
        .succeed();
    fs::copy(&drawn, file).unwrap();
}

fn title(text: &str) {
    println!("\n\u{1b}[1m# {text}\u{1b}[0m");
}
