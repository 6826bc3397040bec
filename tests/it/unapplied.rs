//! Challenges that never came up, or that name servers were not told of: what is said of them is true.

use std::fs;

use pretty_assertions::assert_eq;
use regex::Regex;

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::Nightly;
use crate::support::repos::Files;

fn nightly(name: &str) -> Nightly {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    Nightly::new(lab, &[("www", &[name])])
}

/// What is said from the first error on, without values and serials.
fn errors(output: &Output) -> String {
    let stderr = output.normal_stderr();
    let errors = &stderr[stderr.find("error: ").unwrap()..];
    let values = Regex::new(r#"TXT "[^"]+"|lacks `[^`]+`"#).unwrap();
    values.replace_all(errors, "[VALUE]").into_owned()
}

fn zone_file(nightly: &Nightly) -> String {
    let folder = bind::zone_folder(nightly.lab.namespace());
    fs::read_to_string(folder.join("files.test.zone")).unwrap()
}

#[test]
fn what_a_server_refuses_need_not_be_withdrawn() {
    let nightly = nightly("www.bench.test");
    let creds = r#"{"none": {"TYPE": "NONE"}, "powerdns": {"TYPE": "POWERDNS"}, "zonefiles": {"TYPE": "BIND"},
        "ddns": {"TYPE": "AXFRDDNS", "master": "192.0.2.2", "transfer-key": "$LAB_TSIG_KEY",
                 "update-key": "hmac-sha256:other-key:bm90IHRoZSBrZXk=", "update_key": "x"}}"#;
    let files = Files::default().with("creds.json", creds);
    files.commit(&nightly.lab, &nightly.dns, "another key");
    let output = nightly.renew().expect_code(1);
    assert_eq!(
        errors(&output),
        "\
error: cannot issue `www`
  caused by: cannot add challenges to zone `bench.test` at `ddns`
  caused by: cannot change zone `bench.test` at `192.0.2.2:53` (RFC 2136, `creds.json` entry `ddns`)
  caused by: `192.0.2.2:53` does not know the TSIG key `other-key` (BADKEY)
hint: the algorithm and the name of `update-key` in `creds.json` entry `ddns` must be the server's
"
    );
    // A field that DNSControl would pass over without a word.
    let warning = "warning: the entry `ddns` in creds.json has `update_key`, which AXFRDDNS does not know; its fields: \
                   `master`, `nameservers`, `update-key`, `transfer-key`, `transfer-server`, `update-mode`, \
                   `transfer-mode`, `buggy-cname`\n";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
}

#[test]
fn a_reload_that_fails_leaves_nothing_in_the_file() {
    let nightly = nightly("www.files.test");
    let command = nightly.command(&["renew"]);
    let output = command.env("LAB_RELOAD_COMMAND", "false").run();
    assert_eq!(
        errors(&output.expect_code(1)),
        "\
error: cannot issue `www`
  caused by: cannot add challenges to zone `files.test` at `zonefiles`
  caused by: `_reload_command` in `creds.json` entry `zonefiles` failed for zone `files.test`
  caused by: exit status: 1
error: challenges are withdrawn from zone `files.test` at `zonefiles`, but its name servers may still show them:
    _acme-challenge.www.files.test [VALUE]
  caused by: `_reload_command` in `creds.json` entry `zonefiles` failed for zone `files.test`
  caused by: exit status: 1
hint: let the name servers read the zone again; they do no harm to certificates
"
    );
    assert!(!zone_file(&nightly).contains("_acme-challenge"));
}

#[test]
fn a_server_that_has_not_read_the_file_is_told_by_its_serial() {
    let nightly = nightly("www.files.test");
    let field = "`_reload_command` of `creds.json` entry `zonefiles`";
    let serial = Regex::new("the SOA serial [^,]+, and").unwrap();
    for (reload, remedy) in [
        (
            "",
            format!(
                "nothing makes the name server read its file again: name the command that does in {field}, such as `rndc reload %z`"
            ),
        ),
        (
            "true",
            format!(
                "{field} ended well, but the name server has not read the file: run it by hand, and see the server's log"
            ),
        ),
    ] {
        let command = nightly.command(&["renew", "--dns-timeout", "5"]);
        let output = command.env("LAB_RELOAD_COMMAND", reload).run();
        let said = errors(&output.expect_code(1));
        assert_eq!(
            serial.replace(&said, "the SOA serial [SERIAL], and"),
            format!(
                "\
error: cannot issue `www`
  caused by: `_acme-challenge.www.files.test` is not on every name server: ns1.files.test (192.0.2.2) does not know the name (NXDOMAIN)
hint: the zone was written with the SOA serial [SERIAL], and ns1.files.test (192.0.2.2) serves 1: {remedy}
hint: `[zones.\"files.test\"]` in `git-certs.toml` can give the zone more time (`dns-timeout`), and name servers that the CA need not ask (`ignore-servers`)
"
            )
        );
        assert!(!zone_file(&nightly).contains("_acme-challenge"));
    }
}

#[test]
fn the_log_tells_of_each_zone() {
    let nightly = nightly("www.example.test");
    let output = nightly.command(&["renew", "-v"]).run().expect_code(0);
    let stderr = output.normal_stderr();
    let told = stderr.lines().filter(|line| line.contains("DEBUG zone `"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "DEBUG zone `example.test`: written at `ddns`, `powerdns`; asked: ns1.example.test (192.0.2.2), ns2.example.test (192.0.2.3)",
            "DEBUG zone `example.test`: every challenge was seen after [TIME]",
        ]
    );
}

#[test]
fn a_server_that_is_gone_when_challenges_are_written_is_not_swept() {
    let nightly = nightly("www.pdns.test");
    let lab = &nightly.lab;
    let ca = lab.pause(Server::Pebble);
    let mut run = nightly.command(&["renew"]).spawn();
    run.wait_for_stderr("looked at 1 zone");
    lab.stop(Server::PowerDns);
    drop(ca);
    let output = run.wait().expect_code(1);
    assert_eq!(
        errors(&output),
        "\
error: cannot issue `www`
  caused by: cannot add challenges to zone `pdns.test` at `powerdns`
  caused by: cannot change zone `pdns.test` at PowerDNS at `http://192.0.2.3:8081` (`creds.json` entry `powerdns`)
  caused by: no answer to `GET /api/v1/servers/localhost/zones/pdns.test.`
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
hint: check `apiUrl` in `creds.json` entry `powerdns`, and the way there: a proxy (`HTTPS_PROXY`, `NO_PROXY`), a firewall, DNS; then run again
"
    );
}
