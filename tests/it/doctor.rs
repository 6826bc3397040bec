//! What `doctor` finds: planted faults (`doctor.txt`), nothing where all is well, and what it cannot look at.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::bind;
use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Nightly, Wanted};
use crate::support::repos::Files;
use crate::support::signed::sign;
use crate::support::zones::{TTL, zone};

/// What is said on stderr besides clones and steps.
fn said(output: &Output) -> String {
    let stderr = output.normal_stderr();
    let lines = stderr.split_inclusive('\n');
    lines
        .filter(|line| !line.ends_with(" ([TIME])\n"))
        .collect()
}

/// Changes a file of a server that does not run.
fn edit(lab: &Lab, file: &str, change: impl FnOnce(String) -> String) {
    let path = lab.folder().join(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(text)).unwrap();
}

const CLEAN: Wanted<'_> = &[
    ("dual", &["example.test", "*.example.test"]),
    ("files", &["www.files.test", "pdns.test"]),
    ("delegated", &["hop.bench.test"]),
];

/// Everything is as it should be.
fn clean() -> Nightly {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, CLEAN);
    let lab = &nightly.lab;
    let cname = r#"CNAME("_acme-challenge.hop", "hop.pdns.test.")"#;
    let declared = |name: &str| match name {
        "bench.test" => zone(name).declaration_with(&[cname]),
        name => zone(name).declaration(),
    };
    let zones = ["example.test", "bench.test", "pdns.test", "files.test"].map(declared);
    Files::dns_of(&zones.concat()).commit(lab, &nightly.dns, "a delegation");
    let add = "add _acme-challenge.hop.bench.test 300 CNAME hop.pdns.test.";
    bind::update(lab.namespace(), "bench.test", add).expect_code(0);
    nightly
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let nightly = clean();
    let well = "3 certificates, 4 zones: 0 errors, 0 warnings, 0 notes\n";
    // Before there is an account, and after.
    let output = nightly.command(&["doctor"]).run().expect_code(0);
    assert_eq!(
        (output.stdout.as_str(), said(&output)),
        (well, String::new())
    );
    assert_eq!(nightly.requests(), [""; 0]);
    nightly.renew().expect_code(0);
    let (tip, refs) = (
        nightly.certs.tip(&nightly.lab),
        nightly.certs.refs(&nightly.lab),
    );
    let output = nightly.command(&["doctor"]).run().expect_code(0);
    assert_eq!(
        (output.stdout.as_str(), said(&output)),
        (well, String::new())
    );
    assert_eq!(nightly.certs.tip(&nightly.lab), tip);
    assert_eq!(nightly.certs.refs(&nightly.lab), refs);
    assert!(nightly.lab.left_over().is_empty());
    assert!(nightly.lab.challenges().is_empty());
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let nightly = clean();
    nightly.renew().expect_code(0);
    let bare = |args: &[&str]| {
        let command = nightly.command(args).env("GIT_CERTS_AGE_KEY_FILE", "");
        command.env("LAB_TSIG_KEY", "").env("LAB_API_KEY", "")
    };
    let output = bare(&["doctor"]).run().expect_code(0);
    assert_eq!(
        output.stdout,
        "\
note     no age identity is given, so it is not known whether the account key for `acme.test` opens
         hint: set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`
note     `ddns` has no credentials here, so it is not compared with dnsconfig.js: `bench.test`, `example.test`
         hint: set `LAB_TSIG_KEY`, as the job that renews does
note     `powerdns` has no credentials here, so it is not compared with dnsconfig.js: `example.test`, `pdns.test`
         hint: set `LAB_API_KEY`, as the job that renews does

3 certificates, 4 zones: 0 errors, 0 warnings, 3 notes
"
    );
    let args = [
        "doctor",
        "--rehearse",
        "--only",
        "files",
        "--format",
        "json",
    ];
    let output = bare(&args).run().expect_code(0);
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&data["errors"], &data["warnings"], &data["notes"]),
        (&json!(0), &json!(0), &json!(3))
    );
    assert_eq!(
        data["findings"][2],
        json!({
            "severity": "note",
            "zone": "pdns.test",
            "cert_name": null,
            "what": "zone `pdns.test` is not rehearsed: `powerdns` has no credentials here",
            "causes": [],
            "hints": [],
        })
    );
    assert_eq!(data["rehearsals"][0]["zone"], "files.test");
}

const FAULTY: Wanted<'_> = &[
    ("ok", &["ok.bench.test"]),
    ("caa", &["caa.bench.test"]),
    ("account", &["account.bench.test"]),
    ("cname", &["cname.bench.test"]),
    ("astray", &["astray.bench.test"]),
    ("room", &["room.bench.test"]),
    ("lame", &["www.lame.test"]),
    ("pending", &["www.pdns.test"]),
    ("expired", &["www.blocked.test"]),
    ("unsigned", &["www.files.test"]),
    ("dual", &["www.example.test"]),
    ("nowhere", &["www.nowhere.test"]),
];

/// A run at which the clock is two minutes ahead.
pub fn with_a_clock_off(lab: &Lab, command: Command) -> Command {
    let source = include_str!("support/clock.c");
    let source = lab.namespace().write("clock.c", source);
    let library = lab.folder().join("clock.so");
    let compile = lab.command("cc").args(["-shared", "-fPIC", "-o"]);
    compile.arg(&library).arg(source).arg("-ldl").succeed();
    command.env("LD_PRELOAD", library).env("LAB_CLOCK", "120")
}

/// What a CAA record lets another account than ours do.
const ANOTHER_ACCOUNT: &str =
    "pebble.letsencrypt.org; accounturi=https://acme.test/my-account/none";

/// Zones as they are on the servers, but for what is planted.
fn declared_with_faults() -> Files {
    let bench = [
        r#"CNAME("_acme-challenge.cname", "cname.pdns.test.")"#.to_owned(),
        r#"IGNORE("_acme-challenge.cname")"#.to_owned(),
        r#"CNAME("_acme-challenge.astray", "astray.elsewhere.test.")"#.to_owned(),
        r#"A("_acme-challenge.room", "198.51.100.7")"#.to_owned(),
        r#"CAA("caa", "issue", "other.test")"#.to_owned(),
        format!(r#"CAA("account", "issue", "{ANOTHER_ACCOUNT}")"#),
    ];
    let bench: Vec<_> = bench.iter().map(String::as_str).collect();
    let declared = |name: &str| match name {
        "bench.test" => zone(name).declaration_with(&bench),
        "pdns.test" => zone(name).declaration_with(&[r#"A("new", "192.0.2.7")"#]),
        "example.test" => zone(name).declaration_with(&[r#"IGNORE("_acme-challenge.www", "TXT")"#]),
        name => zone(name).declaration(),
    };
    let names = [
        "bench.test",
        "pdns.test",
        "example.test",
        "files.test",
        "blocked.test",
        "lame.test",
    ];
    let zones = names.map(declared).concat();
    Files::dns_of(&zones)
}

/// Faults on the servers, and some in dnsconfig.js.
fn plant_in_dns(nightly: &Nightly) {
    let lab = &nightly.lab;
    declared_with_faults().commit(lab, &nightly.dns, "faults");
    // Signatures that expired, a DS record of a zone that is not signed, another delegation.
    let namespace = lab.namespace();
    let past = ("20260101000000", "20260201000000");
    let (signed, ds) = sign(namespace, zone("blocked.test"), Some(past));
    lab.stop(Server::Bind);
    edit(lab, "bind/zones/blocked.test.zone", |_| signed);
    lab.start(Server::Bind);
    lab.stop(Server::Root);
    edit(lab, "knot/test.zone", |text| {
        let text = text.replace("example.test. NS ns2.example.test.\n", "");
        format!("{text}blocked.test. DS {ds}\nfiles.test. DS {ds}\n")
    });
    lab.start(Server::Root);
    let value = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    for (zone, record) in [
        (
            "bench.test",
            "_acme-challenge.astray.bench.test 300 CNAME astray.elsewhere.test.".to_owned(),
        ),
        (
            "bench.test",
            "caa.bench.test 300 CAA 0 issue \"other.test\"".to_owned(),
        ),
        (
            "bench.test",
            format!("account.bench.test 300 CAA 0 issue \"{ANOTHER_ACCOUNT}\""),
        ),
        (
            "example.test",
            format!("_acme-challenge.www.example.test {TTL} TXT {value}"),
        ),
    ] {
        bind::update(namespace, zone, &format!("add {record}")).expect_code(0);
    }
}

#[test]
fn planted_faults_are_found() {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, &FAULTY[..1]);
    nightly.renew().expect_code(0);
    let lab = &nightly.lab;
    Files::certificates(FAULTY, &[&nightly.identity.recipient])
        .with("certificates/lame/.age-recipients", "age1nobody\n")
        .with("git-certs.toml", "[zones.\"typo.test\"]\ndns-timeout = 9\n")
        .commit(lab, &nightly.certs, "faults");
    plant_in_dns(&nightly);
    nightly.certs.refuse_pushes();
    let stranger = lab.age_identity("stranger");
    let doctor = nightly.command(&["doctor", "--fallback-acme", "https://faulty.test/dir"]);
    let doctor = doctor.env("GIT_CERTS_AGE_KEY_FILE", &stranger.file);
    let output = with_a_clock_off(lab, doctor).run().expect_code(1);
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/doctor.txt");
    let stdout = output.normal_stdout();
    let off = regex::Regex::new("machine is .* ahead of").unwrap();
    let stdout = off.replace(&stdout, "machine is [OFF] ahead of");
    assert_eq!(stdout, fs::read_to_string(kept).unwrap());
    assert_eq!(said(&output), "");
}

#[test]
fn where_port_53_is_blocked_that_is_said() {
    let nightly = Nightly::new(
        Lab::builder().powerdns().pebble().start(),
        &[("www", &["www.pdns.test"])],
    );
    let blocked = nightly.lab.block_port_53();
    let doh = "https://one.doh.test/dns-query,https://two.doh.test/dns-query";
    let output = nightly
        .command(&["doctor", "--doh", doh])
        .run()
        .expect_code(0);
    drop(blocked);
    assert_eq!(
        output.stdout,
        "\
warning  port 53 is blocked here: challenges are looked up over HTTPS at `one.doh.test`, `two.doh.test`, from 30 s after they are written on
note     port 53 is blocked here, so name servers of zone `pdns.test` are not compared, nor its DNSSEC
         hint: run this once where port 53 is open

1 certificate, 1 zone: 0 errors, 1 warning, 1 note
"
    );
}

#[test]
fn caa_that_is_open_to_every_account_and_servers_of_nobody_are_told() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["bench.test", "*.bench.test"])],
    );
    let lab = &nightly.lab;
    nightly.renew().expect_code(0);
    let caa = r#"CAA("@", "issue", "pebble.letsencrypt.org")"#;
    let creds = nightly.dns.show(lab, "creds.json");
    let creds = creds.replace(
        "\"master\"",
        "\"nameservers\": \"ns9.bench.test\", \"master\"",
    );
    Files::dns_of(&zone("bench.test").declaration_with(&[caa]))
        .with("creds.json", &creds)
        .commit(lab, &nightly.dns, "an open record");
    let add = "add bench.test 300 CAA 0 issue \"pebble.letsencrypt.org\"";
    bind::update(lab.namespace(), "bench.test", add).expect_code(0);
    let output = nightly.command(&["doctor"]).run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "\
warning  `ddns` serves zone `bench.test` on `ns9.bench.test`, none of which is a name server of the zone: what is written there nobody sees
         hint: delegate the zone to them (for a registered domain: at its registrar), or take `DnsProvider(...)` of `ddns` out of `D(\"bench.test\", ...)` in dnsconfig.js
note     CAA record `0 issue \"pebble.letsencrypt.org\"` at `bench.test` lets every account at the CA issue
         hint: `CAA(\"@\", \"issue\", \"pebble.letsencrypt.org; accounturi=https://acme.test/my-account/[ID]\")` in its place in `D(\"bench.test\", ...)` in dnsconfig.js lets ours alone

1 certificate, 1 zone: 0 errors, 1 warning, 1 note
"
    );
}

#[test]
fn what_is_broken_everywhere_is_told_all_the_same() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let lab = &nightly.lab;
    lab.stop(Server::Pebble);
    Files::default()
        .with("dnsconfig.js", "D(")
        .commit(lab, &nightly.dns, "a mistake");
    let output = nightly.command(&["doctor"]).run().expect_code(1);
    let stdout = output.normal_stdout();
    assert_eq!(
        stdout,
        "\
error    cannot use the CA at `https://acme.test/dir`
         caused by: error sending request
         caused by: tcp connect error
         caused by: Connection refused
         hint: check that this machine reaches the CA: its name, a firewall, a proxy (`HTTPS_PROXY`)
error    cannot evaluate `dnsconfig.js`
         caused by: `dnsconfig.js:1:3`: SyntaxError: unexpected token in expression: ''

1 certificate, 0 zones: 2 errors, 0 warnings, 0 notes
"
    );
    // Without a list there is nothing to look at.
    Files::default()
        .with("certs.json", "[{}]")
        .commit(lab, &nightly.certs, "another");
    let output = nightly.command(&["doctor"]).run().expect_code(2);
    assert_eq!(output.stdout, "");
    assert!(said(&output).starts_with("error: "), "{}", said(&output));
}
