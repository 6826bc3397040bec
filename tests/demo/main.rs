//! `make demo`: the whole nightly build in a throw-away lab, shown step by step.
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

use support::lab::Lab;
use support::repos::{Files, Transport};

fn main() {
    title("starting a CA, a root, two name servers, a resolver and a git server, on loopback only");
    let lab = Lab::builder().all().start();
    let identity = lab.age_identity("demo");
    let certs = Files::certificates(
        &[
            ("wildcardCert", &["example.test", "*.example.test"]),
            ("mail", &["mail.pdns.test", "smtp.pdns.test"]),
            ("www", &["www.example.test", "www.files.test"]),
        ],
        &[&identity.recipient],
    );
    let certs = certs.publish(&lab, "certs");
    let dns = Files::dns().publish(&lab, "dns");

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

fn title(text: &str) {
    println!("\n\u{1b}[1m# {text}\u{1b}[0m");
}
