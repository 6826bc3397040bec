//! Challenge names that are CNAMEs: followed to a zone that can be written, or refused with all that is said.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::{Builder, Lab, Server};
use crate::support::nightly::{Gate, assert_valid, wait_until};
use crate::support::powerdns;
use crate::support::repos::Files;
use crate::support::scene::{CERTIFICATE, Scene};
use crate::support::zones::ZONES;

fn lab() -> Builder {
    Lab::builder().bind().powerdns().pebble()
}

/// The lab's DNS repository with records more in `bench.test`, and without some zones.
fn declared(records: &[&str], without: &[&str]) -> Files {
    let zones = ZONES.iter().filter(|zone| !without.contains(&zone.name));
    let declarations: Vec<_> = zones
        .map(|zone| match zone.name {
            "bench.test" => zone.declaration_with(records),
            _ => zone.declaration(),
        })
        .collect();
    Files::dns_of(&declarations.join("\n"))
}

/// The same records on BIND.
#[track_caller]
fn served(scene: &Scene, records: &[&str]) {
    for record in records {
        let change = format!("add {record}");
        bind::update(scene.lab.namespace(), "bench.test", &change).expect_code(0);
    }
}

/// Certificate `www` for these names, with CNAMEs (label and target) in `bench.test`, declared and served.
fn delegated(names: &[&str], cnames: &[(&str, &str)], without: &[&str]) -> Scene {
    let declarations: Vec<_> = cnames
        .iter()
        .map(|(label, target)| format!("CNAME({label:?}, {target:?})"))
        .collect();
    let declarations: Vec<_> = declarations.iter().map(String::as_str).collect();
    let scene = Scene::with(lab(), names, &declared(&declarations, without));
    let records: Vec<_> = cnames
        .iter()
        .map(|(label, target)| format!("{label}.bench.test 300 CNAME {target}"))
        .collect();
    served(
        &scene,
        &records.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    scene
}

/// The lines that say where challenges go and what is not as it should be.
fn news(output: &Output) -> Vec<&str> {
    let is_news = |line: &&str| line.starts_with('`') || line.starts_with("warning: ");
    output.stderr.lines().filter(is_news).collect()
}

#[track_caller]
fn assert_issued(scene: &Scene) {
    let show = |extension: &str| {
        let path = format!("certificates/{CERTIFICATE}/{CERTIFICATE}.{extension}");
        scene.certs.show(&scene.lab, &path)
    };
    assert_valid(&scene.lab, &show("crt"), &show("key.age"), &scene.identity);
}

#[test]
fn a_cname_leads_to_a_zone_at_another_provider() {
    let names = ["www.bench.test", "bench.test", "*.bench.test", "files.test"];
    let scene = delegated(
        &names,
        &[
            ("_acme-challenge", "both.pdns.test."),
            ("_acme-challenge.www", "hop.bench.test."),
            ("hop", "end.pdns.test."),
        ],
        &[],
    );
    let lab = &scene.lab;
    // Nothing is written to `bench.test`: neither its key nor its agreement with dnsconfig.js matters.
    served(&scene, &["by-hand.bench.test 300 A 198.51.100.1"]);
    let gate = Gate::new(lab);
    let run = gate.reload(scene.renew().env("LAB_TSIG_KEY", "")).spawn();
    gate.wait();
    wait_until(lab, "the values at PowerDNS", || {
        lab.txt(Server::PowerDns, "both.pdns.test").len() == 2
            && lab.txt(Server::PowerDns, "end.pdns.test").len() == 1
    });
    gate.open();
    let output = run.wait().expect_code(0);
    assert_eq!(
        news(&output),
        [
            "warning: certificate `www`: `www.bench.test` is covered by `*.bench.test`, and Let's Encrypt refuses an order for both: take one of them out of the list",
            "`_acme-challenge.bench.test` -> `both.pdns.test`, in zone `pdns.test`",
            "`_acme-challenge.www.bench.test` -> `hop.bench.test` -> `end.pdns.test`, in zone `pdns.test`",
        ]
    );
    assert_issued(&scene);
    for name in ["both.pdns.test", "end.pdns.test"] {
        assert_eq!(lab.txt(Server::PowerDns, name), [""; 0]);
    }
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_zone_of_challenge_zones_is_written_and_not_compared() {
    let scene = delegated(
        &["www.bench.test"],
        &[("_acme-challenge.www", "www.pdns.test.")],
        &["pdns.test", "example.test"],
    );
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `www.pdns.test` is in no zone that git-certs can write to: `_acme-challenge.www.bench.test` -> `www.pdns.test`
hint: declare the zone of `www.pdns.test` with `D(...)` in dnsconfig.js, or name it and its entry of creds.json in `git-certs.toml`: `challenge-zones = { \"ZONE\" = \"ENTRY\" }`
",
    );
    scene.change(&Files::default().with(
        "git-certs.toml",
        "[challenge-zones]\n\"pnds.test\" = \"powerdns\"\n",
    ));
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `www.pdns.test` is in no zone that git-certs can write to: `_acme-challenge.www.bench.test` -> `www.pdns.test`
hint: declare the zone of `www.pdns.test` with `D(...)` in dnsconfig.js, or name it and its entry of creds.json in `git-certs.toml`: `challenge-zones = { \"ZONE\" = \"ENTRY\" }`, which has `pnds.test`
",
    );
    scene.change(&Files::default().with(
        "git-certs.toml",
        "[challenge-zones]\n\"pdns.test\" = \"nobody\"\n",
    ));
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `creds.json` has no entry `nobody`
hint: add `\"nobody\": {\"TYPE\": \"...\"}` with the credentials of the provider
",
    );
    // The script does not declare the provider of `other`.
    let creds = scene.dns.show(&scene.lab, "creds.json");
    let files = Files::default().with("creds.json", &creds.replace("\"powerdns\"", "\"other\""));
    files.commit(&scene.lab, &scene.dns, "another name");
    scene.change(&Files::default().with(
        "git-certs.toml",
        "[challenge-zones]\n\"pdns.test\" = [\"other\"]\n",
    ));
    let output = scene.renew().succeed();
    assert_eq!(
        news(&output),
        ["`_acme-challenge.www.bench.test` -> `www.pdns.test`, in zone `pdns.test`"]
    );
    assert_issued(&scene);
    assert_eq!(scene.lab.txt(Server::PowerDns, "www.pdns.test"), [""; 0]);
}

#[test]
fn cnames_in_a_circle() {
    let scene = delegated(
        &["www.bench.test"],
        &[
            ("_acme-challenge.www", "a.bench.test."),
            ("a", "b.bench.test."),
            ("b", "a.bench.test."),
        ],
        &[],
    );
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the CNAMEs at `_acme-challenge.www.bench.test` lead in a circle: `_acme-challenge.www.bench.test` -> `a.bench.test` -> `b.bench.test` -> `a.bench.test`
hint: let one of them lead to a zone that git-certs can write to
",
    );
}

#[test]
fn a_cname_that_is_declared_and_not_served() {
    let cname = r#"CNAME("_acme-challenge.www", "www.pdns.test.")"#;
    let scene = Scene::with(lab(), &["www.bench.test"], &declared(&[cname], &[]));
    let said = |problem: &str| {
        format!(
            "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `_acme-challenge.www.bench.test` is a CNAME to `www.pdns.test`, but not on every name server of zone `bench.test`: ns1.bench.test (192.0.2.2) {problem}
hint: the CA may ask any of them: run `dnscontrol push`, and wait until all have it
"
        )
    };
    let absent = said("does not know the name (NXDOMAIN)");
    scene.blocked(&scene.renew(), &absent);
    served(
        &scene,
        &["_acme-challenge.www.bench.test 300 CNAME old.pdns.test."],
    );
    let other = said("has a CNAME to `old.pdns.test` there");
    scene.blocked(&scene.renew(), &other);
}

#[test]
fn another_record_is_declared_where_the_challenge_goes() {
    let record = r#"A("_acme-challenge.www", "198.51.100.7")"#;
    let scene = Scene::with(lab(), &["www.bench.test"], &declared(&[record], &[]));
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `_acme-challenge.www.bench.test` is declared as A in dnsconfig.js
hint: a challenge needs TXT records there, or a CNAME to a name that can have them: remove the record
",
    );
}

#[test]
fn what_only_the_provider_has_is_found() {
    let ignore = r#"IGNORE("_acme-challenge.*")"#;
    let names = ["www.bench.test", "a.bench.test"];
    let scene = Scene::with(lab(), &names, &declared(&[ignore], &[]));
    served(
        &scene,
        &["_acme-challenge.a.bench.test 300 SRV 1 2 3 www.bench.test."],
    );
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `_acme-challenge.a.bench.test` has SRV records at `ddns`
hint: a challenge needs TXT records there, or a CNAME to a name that can have them: remove the record
",
    );
    let change = "delete _acme-challenge.a.bench.test SRV";
    bind::update(scene.lab.namespace(), "bench.test", change).expect_code(0);
    served(
        &scene,
        &["_acme-challenge.www.bench.test 300 CNAME www.pdns.test."],
    );
    let left = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    powerdns::set_txt(scene.lab.namespace(), "pdns.test", "www.pdns.test", &[left]).expect_code(0);
    // Without reading the zone, its name servers tell.
    let blind = ["--pending", "off", "--renew", "1000"];
    for words in [&[][..], &blind] {
        let output = scene.renew().args(words.to_vec()).succeed();
        assert_eq!(
            news(&output),
            ["`_acme-challenge.www.bench.test` -> `www.pdns.test`, in zone `pdns.test`"]
        );
    }
    assert_issued(&scene);
    assert_eq!(scene.lab.challenges(), BTreeSet::new());
    assert_eq!(scene.lab.txt(Server::PowerDns, "www.pdns.test"), [""; 0]);
}

#[test]
fn name_servers_that_do_not_agree() {
    let scene = Scene::start(lab(), &["www.example.test"]);
    let change = "add _acme-challenge.www.example.test 300 CNAME www.pdns.test.";
    bind::update(scene.lab.namespace(), "example.test", change).expect_code(0);
    let command = scene.renew().args(["--skip", "ddns"]);
    scene.blocked(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the name servers of zone `example.test` do not agree on a CNAME at `_acme-challenge.www.example.test`: ns1.example.test (192.0.2.2) has a CNAME to `www.pdns.test` there; ns2.example.test (192.0.2.3) does not know the name (NXDOMAIN)
hint: declare the CNAME in dnsconfig.js, or remove it everywhere
",
    );
}

#[test]
fn the_cname_of_a_wildcard_gives_way() {
    let scene = delegated(&["any.bench.test"], &[("*", "www.bench.test.")], &[]);
    let output = scene.renew().succeed();
    assert_eq!(news(&output), [""; 0]);
    assert_issued(&scene);
    assert_eq!(scene.lab.challenges(), BTreeSet::new());
    let shown = scene.lab.ask(Server::Bind, "any.bench.test", "CNAME");
    assert_eq!(shown, ["www.bench.test."]);
}

/// A zone more on PowerDNS.
#[track_caller]
fn create_at_powerdns(lab: &Lab, zone: &str) {
    let body = serde_json::json!({
        "name": format!("{zone}."),
        "kind": "Native",
        "nameservers": ["ns1.pdns.test."],
    });
    lab.command("curl")
        .args(["--silent", "--show-error", "--fail-with-body"])
        .args(["--header", &format!("X-API-Key: {}", powerdns::API_KEY)])
        .args(["--data", "@-"])
        .arg(format!(
            "{}/api/v1/servers/localhost/zones",
            powerdns::api_url()
        ))
        .stdin(body.to_string())
        .succeed();
}

#[test]
fn a_name_that_ns_records_delegate() {
    let ns = r#"NS("sub", "ns1.pdns.test.")"#;
    let scene = Scene::with(lab(), &["sub.bench.test"], &declared(&[ns], &[]));
    served(&scene, &["sub.bench.test 300 NS ns1.pdns.test."]);
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the name servers of zone `bench.test` do not serve `_acme-challenge.sub.bench.test`: NS records delegate it to others
hint: name the zone that it is delegated to, and its entry of creds.json, in `git-certs.toml`: `challenge-zones = { \"ZONE\" = \"ENTRY\" }`
",
    );
    create_at_powerdns(&scene.lab, "sub.bench.test");
    // The resolver keeps for seconds that nobody answered.
    scene.lab.stop(Server::Resolver);
    scene.lab.start(Server::Resolver);
    scene.change(&Files::default().with(
        "git-certs.toml",
        "challenge-zones = { \"sub.bench.test\" = \"powerdns\" }\n",
    ));
    let output = scene.renew().succeed();
    assert_eq!(news(&output), [""; 0]);
    assert_issued(&scene);
}
