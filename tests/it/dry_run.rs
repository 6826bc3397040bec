//! What `renew --dry-run` finds, and that it writes nothing.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, Wanted};
use crate::support::repos::Files;
use crate::support::zones::zone;

/// A run that has the credentials of providers, and no key.
fn dry_run(nightly: &Nightly, args: &[&str]) -> Output {
    let words = [&["renew", "--dry-run"], args].concat();
    let command = nightly.command(&words);
    command.env("GIT_CERTS_AGE_KEY_FILE", "").run()
}

/// What is said besides clones.
fn said(output: &Output) -> String {
    let stderr = output.normal_stderr();
    let lines = stderr.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("cloned ")).collect()
}

/// The CA's directory was read, nobody was asked for anything else, and nothing was written.
#[track_caller]
fn assert_untouched(nightly: &Nightly) {
    let lab = &nightly.lab;
    assert_eq!(nightly.requests(), [""; 0]);
    assert!(lab.challenges().is_empty());
    assert_eq!(nightly.certs.subjects(lab), ["files of the test"]);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert!(lab.left_over().is_empty());
}

const WANTED: Wanted<'_> = &[
    ("good", &["www.bench.test"]),
    ("pending", &["www.pdns.test"]),
    ("forbidden", &["caa.bench.test"]),
];

#[test]
fn everything_is_looked_at_and_nothing_is_done() {
    let caa = r#"CAA("caa", "issue", "other.test")"#;
    let zones = [
        zone("bench.test").declaration_with(&[caa]),
        zone("pdns.test").declaration_with(&[r#"A("new", "192.0.2.7")"#]),
    ];
    let nightly = Nightly::new(Lab::builder().bind().powerdns().pebble().start(), WANTED);
    let lab = &nightly.lab;
    Files::dns_of(&zones.concat()).commit(lab, &nightly.dns, "other zones");
    let add = "add caa.bench.test 300 CAA 0 issue \"other.test\"";
    bind::update(lab.namespace(), "bench.test", add).expect_code(0);

    let output = dry_run(&nightly, &[]).expect_code(1);
    assert_eq!(
        said(&output),
        "\
looked at 2 zones, 1 not ready ([TIME])
zone `bench.test`: written at `ddns`; asked: ns1.bench.test (192.0.2.2)
found nothing against 1 certificate ([TIME])
error: cannot issue `pending`
  caused by: zone `pdns.test` has 1 pending correction at `powerdns`:
    + CREATE new.pdns.test A 192.0.2.7 ttl=300
hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same
error: cannot issue `forbidden`
  caused by: CAA forbids the CA to issue for `caa.bench.test`
  caused by: CAA record `0 issue \"other.test\"` at `caa.bench.test` names other CAs than `pebble.letsencrypt.org`
hint: add `CAA(\"caa\", \"issue\", \"pebble.letsencrypt.org\")` to `D(\"bench.test\", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
"
    );
    assert_eq!(
        output.stdout,
        "issue    good       www.bench.test: not in the repository\n\
         failed   pending    www.pdns.test\n\
         failed   forbidden  caa.bench.test\n\n\
         1 would be ordered, 2 would fail, 0 put off, 0 up to date\n"
    );
    // As in a run that ordered nothing.
    dry_run(&nightly, &["--only", "pending"]).expect_code(2);
    let output = dry_run(&nightly, &["--only", "good", "--format", "json"]).expect_code(0);
    assert_eq!(
        serde_json::from_str::<Value>(&output.stdout).unwrap(),
        json!({
            "version": 1,
            "shard": null,
            "due": 1,
            "ready": 1,
            "failed": 0,
            "put_off": 0,
            "certificates": [{
                "cert_name": "good",
                "names": ["www.bench.test"],
                "action": "issue",
                "reason": "not in the repository",
                "not_after": null,
                "due_from": null,
                "result": "ready",
            }],
        })
    );
    assert_untouched(&nightly);
}

#[test]
fn what_a_ca_would_refuse_is_found() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let errors = |output: Output| {
        let stderr = said(&output);
        stderr[stderr.find("error: ").unwrap()..].to_owned()
    };
    let output = dry_run(&nightly, &["--required-profile", "none"]).expect_code(2);
    assert_eq!(
        errors(output),
        "error: cannot issue `www`\n  \
         caused by: the CA does not have the profile `none`\n\
         hint: it has `default`\n"
    );
    let output = dry_run(&nightly, &["--acme", "https://acme.test/nothing"]).expect_code(2);
    assert_eq!(
        errors(output),
        "error: cannot issue `www`\n  \
         caused by: cannot use the CA at `https://acme.test/nothing`\n  \
         caused by: the CA answered `404 Not Found`\n\
         hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory\n"
    );
    let output = dry_run(&nightly, &["--agree-tos=false"]).expect_code(2);
    assert_eq!(
        errors(output),
        "error: cannot issue `www`\n  \
         caused by: there is no account at `acme.test` yet, and a new one needs your agreement to its terms: `data:text/plain,Do%20what%20thou%20wilt`\n\
         hint: read the terms, then run again with `--agree-tos`\n"
    );
    assert_untouched(&nightly);
}

#[test]
fn all_problems_of_a_zone_are_told() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[("dual", &["example.test", "www.lame.test"])],
    );
    let lab = &nightly.lab;
    for zone in ["example.test", "lame.test"] {
        let change = format!("delete www.{zone} A");
        bind::update(lab.namespace(), zone, &change).expect_code(0);
    }
    let command = nightly.command(&["renew", "--dry-run"]);
    let output = command.env("LAB_API_KEY", "hunter2").run().expect_code(2);
    assert_eq!(
        said(&output),
        "\
looked at 2 zones, 2 not ready ([TIME])
found nothing against 0 certificates ([TIME])
error: cannot issue `dual`
  caused by: zone `example.test` has 1 pending correction at `ddns`:
    + CREATE www.example.test A 198.51.100.80 ttl=300
hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same
error: cannot issue `dual`
  caused by: cannot read zone `example.test` from PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: `GET /api/v1/servers/localhost/zones/example.test.` answered 401 Unauthorized: Unauthorized
hint: check `apiKey` in `creds.json` entry `powerdns`: it must be the server's `api-key`
error: cannot issue `dual`
  caused by: zone `lame.test` has 1 pending correction at `ddns`:
    + CREATE www.lame.test A 198.51.100.80 ttl=300
hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same
error: cannot issue `dual`
  caused by: not every name server of zone `lame.test` serves it: ns2.lame.test (192.0.2.66) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"lame.test\"]` in `git-certs.toml`
"
    );
    assert_untouched(&nightly);
}
