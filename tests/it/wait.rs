//! The wait for name servers: which are asked, and what is done where port 53 is blocked.

use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use crate::support::lab::{Builder, Lab};
use crate::support::nightly::Nightly;
use crate::support::pebble;
use crate::support::repos::Files;

const PDNS: &[(&str, &[&str])] = &[("mail", &["mail.pdns.test", "*.mail.pdns.test"])];

/// The resolvers over HTTPS of the lab.
const DOH: &str = "https://one.doh.test/dns-query,https://two.doh.test/dns-query";

/// A cert repository with a git-certs.toml.
fn nightly(servers: Builder, wanted: &[(&str, &[&str])], toml: &str) -> Nightly {
    Nightly::with(servers.start(), wanted, |files, _| {
        files.with("git-certs.toml", toml)
    })
}

#[test]
fn where_port_53_is_blocked_resolvers_are_asked_over_https() {
    let nightly = Nightly::new(Lab::builder().powerdns().pebble().start(), PDNS);
    let blocked = nightly.lab.block_port_53();
    let started = Instant::now();
    let output = nightly
        .command(&["renew", "--doh", DOH, "--doh-settle", "2"])
        .run()
        .expect_code(0);
    // Four seconds until it is clear, two for the values to settle.
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_secs(6), "{elapsed:?}");
    let stderr = output.normal_stderr();
    let warning = "warning: port 53 is blocked here: challenges are looked up over HTTPS at `one.doh.test`, \
                   `two.doh.test`, from 2 s after they are written on\n";
    assert_eq!(output.stderr.matches(warning).count(), 1, "{stderr}");
    let asked = "asked resolvers over HTTPS, as port 53 is blocked, for challenges ([TIME])\n";
    assert!(stderr.contains(asked), "{stderr}");
    drop(blocked);
    nightly.assert_valid("mail");
    assert!(nightly.lab.challenges().is_empty());
}

#[test]
fn where_port_53_is_blocked_caa_is_asked_over_https_too() {
    let nightly = Nightly::new(Lab::builder().powerdns().pebble().start(), PDNS);
    let blocked = nightly.lab.block_port_53();
    let renew = |identity: &str| {
        let words = ["renew", "-v", "--doh", DOH, "--doh-settle", "2"];
        let command = nightly.command(&words);
        command.args(["--caa-identity", identity]).run()
    };
    let output = renew("ca.test").expect_code(0);
    let none = "no CAA record is in the way name=mail.pdns.test";
    assert!(output.stderr.contains(none), "{}", output.stderr);
    drop(blocked);
    nightly.assert_valid("mail");
}

#[test]
fn where_nothing_can_be_asked_nothing_is_ordered() {
    let nightly = Nightly::new(Lab::builder().powerdns().pebble().start(), PDNS);
    let blocked = nightly.lab.block_port_53();
    for (doh, why) in [
        ("off", "DNS over HTTPS is off"),
        (
            "https://one.doh.test/dns-query,https://two.doh.test/nothing",
            "fewer than two resolvers over HTTPS know the zone: `two.doh.test` answers with HTTP status 404",
        ),
    ] {
        let output = nightly
            .command(&["renew", "--doh", doh])
            .run()
            .expect_code(2);
        let stderr = output.normal_stderr();
        let error = &stderr[stderr.find("error: ").unwrap()..];
        assert_eq!(
            error,
            format!(
                "error: cannot issue `mail`\n  \
                 caused by: not every name server of zone `pdns.test` serves it: ns1.pdns.test (192.0.2.3) does not answer\n\
                 hint: name servers cannot be asked on port 53 here, and {why}\n\
                 hint: the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js\n\
                 hint: a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"pdns.test\"]` in `git-certs.toml`\n"
            )
        );
    }
    drop(blocked);
    assert_eq!(nightly.requests(), [""; 0]);
    assert!(nightly.lab.challenges().is_empty());
}

#[test]
fn servers_of_a_provider_that_is_skipped_can_be_ignored() {
    // The CA would ask them all the same.
    let always_valid = pebble::Settings {
        always_valid: true,
        ..pebble::Settings::default()
    };
    let nightly = nightly(
        Lab::builder().bind().powerdns().pebble_with(always_valid),
        &[("dual", &["example.test"])],
        "skip = [\"powerdns\"]\n[zones.\"example.test\"]\nignore-servers = [\"ns2.example.test\"]\n",
    );
    nightly.renew().expect_code(0);
    nightly.assert_valid("dual");
    assert!(nightly.lab.challenges().is_empty());
}

#[test]
fn a_server_that_is_never_reached_can_be_ignored_and_another_added() {
    let wanted: &[(&str, &[&str])] = &[("www", &["www.lame.test"])];
    let ignoring = "[zones.\"lame.test\"]\nignore-servers = [\"192.0.2.66\", \"ns7.lame.test\"]\n";
    let nightly = nightly(Lab::builder().bind().pebble(), wanted, ignoring);
    let output = nightly.renew().expect_code(0);
    let warning =
        "warning: `ns7.lame.test` in `ignore-servers` is no name server of zone `lame.test`\n";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    nightly.assert_valid("www");

    let more = "dns-timeout = 1\nextra-servers = [\"192.0.2.1\"]\n";
    Files::default()
        .with("git-certs.toml", &format!("{ignoring}{more}"))
        .commit(
            &nightly.lab,
            &nightly.certs,
            "a server that does not serve the zone",
        );
    let output = nightly
        .command(&["renew", "--renew", "1000"])
        .run()
        .expect_code(2);
    let lame = "not every name server of zone `lame.test` serves it: 192.0.2.1 is not authoritative for it\n";
    assert!(output.stderr.contains(lame), "{}", output.stderr);
}
