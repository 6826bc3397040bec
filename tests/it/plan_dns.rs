//! What `plan` finds in public DNS: CAA and delegations, without any secret.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Nightly, Wanted};
use crate::support::repos::Files;
use crate::support::zones::zone;

/// A job of a fork: no identity, no credentials of providers.
fn plan(nightly: &Nightly, args: &[&str]) -> Output {
    let words = [&["plan"], args].concat();
    let command = nightly.command(&words);
    let command = command.env("GIT_CERTS_AGE_KEY_FILE", "");
    command.env("LAB_TSIG_KEY", "").env("LAB_API_KEY", "").run()
}

/// What is said besides clones.
fn said(output: &Output) -> String {
    let stderr = output.normal_stderr();
    let lines = stderr.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("cloned ")).collect()
}

const WANTED: Wanted<'_> = &[
    ("good", &["www.bench.test"]),
    ("forbidden", &["caa.bench.test"]),
    ("lame", &["www.lame.test"]),
    ("orphan", &["www.pdns.test"]),
    ("hosted", &["www.example.test"]),
];

fn lab() -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().powerdns().pebble().start(), WANTED);
    let lab = &nightly.lab;
    let alias = r#"CNAME("_acme-challenge.www", "www.nowhere.test.")"#;
    let orphan = zone("pdns.test").declaration();
    let zones = [
        zone("bench.test").declaration(),
        zone("lame.test").declaration(),
        orphan.replace("  DnsProvider(powerdns, 0),\n", ""),
        zone("example.test").declaration_with(&[alias]),
    ];
    Files::dns_of(&zones.concat()).commit(lab, &nightly.dns, "other zones");
    let add = "add caa.bench.test 300 CAA 0 issue \"other.test\"";
    bind::update(lab.namespace(), "bench.test", add).expect_code(0);
    nightly
}

#[test]
fn what_would_fail_is_said() {
    let nightly = lab();
    let output = plan(&nightly, &[]).expect_code(0);
    assert_eq!(
        said(&output),
        "\
looked at 4 zones, 2 not ready ([TIME])
warning: cannot issue `forbidden`
  caused by: CAA forbids the CA to issue for `caa.bench.test`
  caused by: CAA record `0 issue \"other.test\"` at `caa.bench.test` names other CAs than `pebble.letsencrypt.org`
hint: add `CAA(\"caa\", \"issue\", \"pebble.letsencrypt.org\")` to `D(\"bench.test\", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
warning: cannot issue `hosted`
  caused by: `_acme-challenge.www.example.test` is a CNAME to `www.nowhere.test`, but not on every name server of zone `example.test`: ns1.example.test (192.0.2.2) does not know the name (NXDOMAIN); ns2.example.test (192.0.2.3) does not know the name (NXDOMAIN)
hint: the CA may ask any of them: run `dnscontrol push`, and wait until all have it
warning: cannot issue `lame`
  caused by: not every name server of zone `lame.test` serves it: ns2.lame.test (192.0.2.66) refuses connections
hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js
hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"lame.test\"]` in `git-certs.toml`
warning: cannot issue `orphan`
  caused by: zone `pdns.test` has no DNS provider in dnsconfig.js
hint: add `DnsProvider(...)` to `D(\"pdns.test\", ...)`
"
    );
    assert_eq!(
        output.stdout,
        "issue    good       www.bench.test: not in the repository\n\
         issue    forbidden  caa.bench.test: not in the repository\n\
         issue    lame       www.lame.test: not in the repository\n\
         issue    orphan     www.pdns.test: not in the repository\n\
         issue    hosted     www.example.test: not in the repository\n\n\
         5 due (4 would fail), 0 up to date\n"
    );
    assert_eq!(nightly.requests(), [""; 0]);
    assert!(nightly.lab.challenges().is_empty());

    let lame = &["--only", "lame", "--format", "json"];
    let output = plan(&nightly, lame).expect_code(0);
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((&data["due"], &data["would_fail"]), (&json!(1), &json!(1)));
    assert_eq!(
        data["certificates"][0]["error"],
        json!({
            "what": "not every name server of zone `lame.test` serves it: ns2.lame.test (192.0.2.66) refuses connections",
            "causes": [],
            "hints": [
                "the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js",
                "a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"lame.test\"]` in `git-certs.toml`",
            ],
        })
    );
    let output = plan(&nightly, &["--only", "forbidden", "--no-dns"]).expect_code(0);
    assert_eq!(said(&output), "");
    assert_eq!(
        output.stdout,
        "issue    forbidden  caa.bench.test: not in the repository\n\n1 due, 0 up to date\n"
    );
}

#[test]
fn where_dns_cannot_be_asked_nothing_is_judged() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("one", &["www.bench.test"]), ("two", &["two.bench.test"])],
    );
    // Nobody listens there.
    let nobody = &[
        "--resolver",
        "192.0.2.66",
        "--doh",
        "off",
        "--format",
        "json",
    ];
    let output = plan(&nightly, nobody).expect_code(0);
    assert_eq!(
        said(&output),
        "\
looked at 1 zone, 1 not ready ([TIME])
warning: it is not known whether CAA and delegations would let a run issue
  caused by: cannot find the name servers of `bench.test`
  caused by: the DNS resolver cannot look up SOA of `test`
  caused by: request timed out
hint: where DNS cannot be asked, `--no-dns` leaves this out
hint: name servers cannot be asked on port 53 here, and DNS over HTTPS is off
hint: `--resolver` names `192.0.2.66:53`: check that it is a recursive resolver that this machine reaches, or leave the setting out for those of `/etc/resolv.conf`
"
    );
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&data["due"], &data["would_fail"]),
        (&json!(2), &Value::Null)
    );

    // The CA is down: what does not depend on it is judged all the same.
    nightly.lab.stop(Server::Pebble);
    let output = plan(&nightly, &[]).expect_code(0);
    assert!(
        said(&output).contains("warning: it is not known whether CAA would let the CA issue\n"),
        "{}",
        said(&output)
    );
    assert!(output.stdout.ends_with("\n2 due, 0 up to date\n"));
}
