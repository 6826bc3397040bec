//! `doctor --rehearse`: a value through every provider to every name server, and away again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::address::ROOT;
use crate::support::bind;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, Wanted, at};
use crate::support::repos::Files;
use crate::support::zones::zone;

/// Where values go.
const NAME: &str = "_acme-challenge.git-certs-rehearsal";

/// Knot as a primary that takes updates: `knot.test`, with the key that BIND has.
fn serve_on_knot(lab: &Lab) {
    let knot = |file: &str| lab.folder().join("knot").join(file);
    let secret = bind::TSIG.rsplit(':').next().unwrap();
    let key = format!("key:\n  - id: lab-key\n    algorithm: hmac-sha256\n    secret: {secret}\n");
    let acl = "acl:\n  - id: lab\n    key: lab-key\n    action: [transfer, update]\n";
    let zone = "  - domain: knot.test.\n    file: knot.test.zone\n    acl: lab\n";
    lab.stop(Server::Root);
    let config = fs::read_to_string(knot("knot.conf")).unwrap();
    let config = config.replace("template:", &format!("{key}{acl}template:")) + zone;
    fs::write(knot("knot.conf"), config).unwrap();
    let records = format!(
        "$ORIGIN knot.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 1\n@ NS ns1\nns1 A {ROOT}\n"
    );
    fs::write(knot("knot.test.zone"), records).unwrap();
    let mut parent = fs::read_to_string(knot("test.zone")).unwrap();
    parent += &format!("knot.test. NS ns1.knot.test.\nns1.knot.test. A {ROOT}\n");
    fs::write(knot("test.zone"), parent).unwrap();
    lab.start(Server::Root);
}

/// A DNS repository with `knot.test` and these zones of the lab.
fn declare_knot(nightly: &Nightly, zones: &[&str]) {
    let lab = &nightly.lab;
    let mut text = format!(
        r#"var knot = NewDnsProvider("knot");
D("knot.test", REG_NONE, DnsProvider(knot, 0), NAMESERVER("ns1.knot.test."), A("ns1", "{ROOT}"));
"#
    );
    text.extend(zones.iter().map(|name| zone(name).declaration()));
    let creds = nightly.dns.show(lab, "creds.json");
    let knot = format!(
        r#""knot": {{ "TYPE": "AXFRDDNS", "master": "{ROOT}", "transfer-key": "$LAB_TSIG_KEY", "update-key": "$LAB_TSIG_KEY" }},"#
    );
    let creds = creds.replace("\"ddns\": {", &format!("{knot}\n  \"ddns\": {{"));
    let files = Files::dns_of(&text).with("creds.json", &creds);
    files.commit(lab, &nightly.dns, "Knot");
}

#[track_caller]
fn assert_nothing_is_left(nightly: &Nightly, zones: &[(Server, &str)]) {
    let lab = &nightly.lab;
    for (server, zone) in zones {
        assert_eq!(
            lab.txt(*server, &format!("{NAME}.{zone}")),
            [""; 0],
            "{zone}"
        );
    }
    assert!(lab.challenges().is_empty());
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert!(lab.left_over().is_empty());
}

/// Entries that each zone was written at, and who showed the value.
fn by_zone(data: &Value) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut shown = BTreeMap::new();
    for rehearsal in data["rehearsals"].as_array().unwrap() {
        let text = |field: &str| rehearsal[field].as_str().unwrap().to_owned();
        assert_eq!(text("name"), format!("{NAME}.{}", text("zone")));
        let entries = rehearsal["entries"].as_array().unwrap().iter();
        let entries: Vec<_> = entries
            .map(|entry| entry.as_str().unwrap().to_owned())
            .collect();
        let servers = rehearsal["shown"].as_array().unwrap().iter();
        let servers: BTreeSet<_> = servers
            .map(|one| {
                assert!(one["seconds"].as_f64().unwrap() < 60.0, "{one}");
                one["server"].as_str().unwrap().to_owned()
            })
            .collect();
        assert!(rehearsal["written"].as_f64().unwrap() < 60.0);
        shown.insert(text("zone"), (entries.join(" "), servers));
    }
    shown
}

#[test]
fn every_server_of_every_zone_shows_a_value() {
    let wanted: Wanted<'_> = &[
        ("dual", &["www.example.test", "example.test"]),
        ("others", &["www.pdns.test", "files.test", "www.knot.test"]),
    ];
    let nightly = Nightly::new(Lab::builder().bind().powerdns().pebble().start(), wanted);
    let lab = &nightly.lab;
    serve_on_knot(lab);
    declare_knot(&nightly, &["example.test", "pdns.test", "files.test"]);
    let doctor = nightly.command(&["doctor", "--rehearse", "--format", "json"]);
    let output = doctor.run().expect_code(0);
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(data["findings"], serde_json::json!([]));
    let shown = by_zone(&data);
    let expected = [
        (
            "example.test",
            "ddns powerdns",
            &[
                "ns1.example.test (192.0.2.2)",
                "ns2.example.test (192.0.2.3)",
            ][..],
        ),
        ("files.test", "zonefiles", &["ns1.files.test (192.0.2.2)"]),
        ("knot.test", "knot", &["ns1.knot.test (192.0.2.1)"]),
        ("pdns.test", "powerdns", &["ns1.pdns.test (192.0.2.3)"]),
    ];
    let expected = expected.map(|(zone, entries, servers)| {
        let servers = servers.iter().map(|server| (*server).to_owned());
        (zone.to_owned(), (entries.to_owned(), servers.collect()))
    });
    assert_eq!(shown, BTreeMap::from(expected));
    assert_nothing_is_left(
        &nightly,
        &[
            (Server::Bind, "example.test"),
            (Server::PowerDns, "example.test"),
            (Server::PowerDns, "pdns.test"),
            (Server::Bind, "files.test"),
            (Server::Root, "knot.test"),
        ],
    );
    // The CA's directory was read, and nothing was asked for.
    assert_eq!(nightly.requests(), [""; 0]);
}

fn pdns() -> Nightly {
    let wanted: Wanted<'_> = &[("www", &["www.pdns.test"])];
    Nightly::new(Lab::builder().bind().powerdns().pebble().start(), wanted)
}

const LEFT: &[(Server, &str)] = &[(Server::PowerDns, "pdns.test")];

#[test]
fn a_rehearsal_that_is_killed_is_swept_by_the_next_run() {
    let nightly = pdns();
    let lab = &nightly.lab;
    let killed = at(
        "after add powerdns",
        "KILL",
        nightly.command(&["doctor", "--rehearse"]),
    );
    assert_eq!(killed.run().status.code(), None);
    let name = format!("{NAME}.pdns.test");
    assert_eq!(lab.txt(Server::PowerDns, &name).len(), 1);
    assert_eq!(
        nightly.certs.refs(lab),
        ["refs/git-certs/journal", "refs/heads/main"]
    );
    let output = nightly
        .command(&["doctor", "--lock-timeout", "1"])
        .run()
        .expect_code(0);
    let left = "warning  an earlier run has left 1 challenge: lab, begun ";
    assert!(output.stdout.starts_with(left), "{}", output.stdout);
    let hint = "\n         hint: the next `git-certs renew` takes it over\n";
    assert!(output.stdout.contains(hint), "{}", output.stdout);
    let output = nightly
        .command(&["renew", "--lock-timeout", "1"])
        .run()
        .expect_code(0);
    let swept = "withdrew 1 challenge of an earlier run from zone `pdns.test` at `powerdns`\n";
    assert!(output.stderr.contains(swept), "{}", output.stderr);
    assert_nothing_is_left(&nightly, LEFT);
}

#[test]
fn a_rehearsal_that_is_stopped_leaves_nothing() {
    let nightly = pdns();
    let stopped = at(
        "after add powerdns",
        "TERM",
        nightly.command(&["doctor", "--rehearse"]),
    );
    let output = stopped.run().expect_code(1);
    assert!(
        output.stdout.starts_with("error    stopped by a signal\n"),
        "{}",
        output.stdout
    );
    assert_nothing_is_left(&nightly, LEFT);
}

#[test]
fn nobody_rehearses_beside_a_run() {
    let nightly = pdns();
    let gate = Gate::new(&nightly.lab);
    let first = gate
        .at(
            "after add powerdns",
            nightly.command(&["doctor", "--rehearse"]),
        )
        .spawn();
    gate.wait();
    let second = nightly.renew().expect_code(2);
    assert!(
        second
            .stderr
            .contains("error: another run is at work: lab, begun "),
        "{}",
        second.stderr
    );
    let doctor = nightly
        .command(&["doctor", "--rehearse"])
        .run()
        .expect_code(1);
    let said = doctor.stdout.lines().next().unwrap();
    assert!(
        said.starts_with("error    another run is at work: lab, begun "),
        "{said}"
    );
    let doctor = nightly.command(&["doctor"]).run().expect_code(0);
    let said = "note     another run is at work: lab, begun ";
    assert!(doctor.stdout.starts_with(said), "{}", doctor.stdout);
    gate.open();
    first.wait().expect_code(0);
    assert_nothing_is_left(&nightly, LEFT);
}

#[test]
fn a_value_that_does_not_come_is_told() {
    let wanted: Wanted<'_> = &[("files", &["files.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    // BIND is never told to read the zone again.
    let doctor = nightly.command(&["doctor", "--rehearse", "--dns-timeout", "5"]);
    let output = doctor
        .env("LAB_RELOAD_COMMAND", "true")
        .run()
        .expect_code(1);
    let seconds = regex::Regex::new(r"\d+\.\d s").unwrap();
    assert_eq!(
        seconds.replace_all(&output.stdout, "[N] s"),
        "\
error    `_acme-challenge.git-certs-rehearsal.files.test` is not on every name server: ns1.files.test (192.0.2.2) does not know the name (NXDOMAIN)
         hint: the zone was written with the SOA serial 2, and ns1.files.test (192.0.2.2) serves 1: `_reload_command` of `creds.json` entry `zonefiles` ended well, but the name server has not read the file: run it by hand, and see the server's log
         hint: `[zones.\"files.test\"]` in `git-certs.toml` can give the zone more time (`dns-timeout`), and name servers that the CA need not ask (`ignore-servers`)
wrote    `_acme-challenge.git-certs-rehearsal.files.test` at `zonefiles` in [N] s

1 certificate, 1 zone: 1 error, 0 warnings, 0 notes
"
    );
    let zone =
        fs::read_to_string(bind::zone_folder(nightly.lab.namespace()).join("files.test.zone"));
    assert!(!zone.unwrap().contains(NAME));
}

#[test]
fn a_zone_that_is_there_for_challenges_is_written_where_they_lead() {
    let wanted: Wanted<'_> = &[("www", &["www.bench.test"])];
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let settings = "[challenge-zones]\n\"pdns.test\" = \"powerdns\"\n";
    let nightly = Nightly::with(lab, wanted, |files, _| {
        files.with("git-certs.toml", settings)
    });
    let lab = &nightly.lab;
    let cname = r#"CNAME("_acme-challenge.www", "www.pdns.test.")"#;
    Files::dns_of(&zone("bench.test").declaration_with(&[cname])).commit(
        lab,
        &nightly.dns,
        "delegated",
    );
    let add = "add _acme-challenge.www.bench.test 300 CNAME www.pdns.test.";
    bind::update(lab.namespace(), "bench.test", add).expect_code(0);
    let doctor = nightly.command(&["doctor", "--rehearse", "--format", "json"]);
    // The zone that only has the CNAME needs no credentials to be written.
    let output = doctor.env("LAB_TSIG_KEY", "").run().expect_code(0);
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    let rehearsals = data["rehearsals"].as_array().unwrap();
    assert_eq!(rehearsals.len(), 1);
    assert_eq!(rehearsals[0]["name"], "www.pdns.test");
    assert_eq!(lab.txt(Server::PowerDns, "www.pdns.test"), [""; 0]);
    assert_nothing_is_left(&nightly, LEFT);
}
