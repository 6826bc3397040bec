//! Zones that differ from dnsconfig.js: what is said, what goes on, and what earlier runs left.

use pretty_assertions::assert_eq;

use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::repos::Files;
use crate::support::scene::Scene;
use crate::support::zones::zone;
use crate::support::{bind, powerdns};

/// Two values that look like challenges.
const A: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const B: &str = "----_____ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh";

#[track_caller]
fn change_at_bind(scene: &Scene, change: &str) {
    bind::update(scene.lab.namespace(), "bench.test", change).expect_code(0);
}

/// What is said besides steps and what is due.
fn said(output: &Output) -> String {
    let is_step = |line: &str| {
        line.ends_with(" s)") || line.starts_with("to ") || line.starts_with("registered ")
    };
    let lines = output.stderr.split_inclusive('\n');
    lines.filter(|line| !is_step(line.trim_end())).collect()
}

#[test]
fn pending_corrections_are_shown_or_not_looked_for() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &["www.bench.test"]);
    change_at_bind(&scene, "add by-hand.bench.test 300 A 198.51.100.1");
    change_at_bind(&scene, "delete bench.test A");
    let warned = scene.renew().args(["--pending", "warn"]).succeed();
    assert_eq!(
        said(&warned),
        "\
warning: zone `bench.test` has 2 pending corrections at `ddns`:
    + CREATE bench.test A 198.51.100.80 ttl=300
    - DELETE by-hand.bench.test A 198.51.100.1 ttl=300
"
    );
    let again = || scene.renew().args(["--renew", "1000"]);
    assert_eq!(said(&again().env("GIT_CERTS_PENDING", "off").succeed()), "");
    let patterns = "by-hand.bench.test\nbench.test TXT,A";
    let never = again().env("GIT_CERTS_NEVER_COUNT", patterns).succeed();
    assert_eq!(said(&never), "");
    // Nothing of it was mended.
    let by_hand = scene.lab.ask(Server::Bind, "by-hand.bench.test", "A");
    assert_eq!(by_hand, ["198.51.100.1"]);
    assert_eq!(scene.lab.ask(Server::Bind, "bench.test", "A"), [""; 0]);

    let toml = "pending = \"warn\"\nnever-count = [\"*-hand.bench.test A\"]\n";
    scene.change(&Files::default().with("git-certs.toml", toml));
    let refused = again().args(["--pending", "abort"]).run().expect_code(2);
    assert_eq!(
        said(&refused),
        "\
error: cannot issue `www`
  caused by: zone `bench.test` has 1 pending correction at `ddns`:
    + CREATE bench.test A 198.51.100.80 ttl=300
hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same
"
    );
}

#[test]
fn what_a_skipped_provider_has_a_share_in_is_not_compared() {
    let declaration = zone("bench.test").declaration_with(&["DnsProvider(powerdns)"]);
    let scene = Scene::with(
        Lab::builder().bind().pebble(),
        &["www.bench.test"],
        &Files::dns_of(&declaration),
    );
    let output = scene.renew().args(["--skip", "powerdns"]).succeed();
    assert_eq!(
        said(&output),
        "warning: not compared in zone `bench.test` at `ddns`: NS at the top (a provider that is skipped has a share in them)\n"
    );
}

#[test]
fn what_earlier_runs_left_is_swept() {
    let declared = [
        format!("TXT(\"_acme-challenge.www\", {B:?})"),
        r#"CNAME("_acme-challenge.far", "end.pdns.test.")"#.to_owned(),
        r#"IGNORE("_acme-challenge.ignored", "TXT")"#.to_owned(),
    ];
    let declared: Vec<_> = declared.iter().map(String::as_str).collect();
    let zones = [
        zone("bench.test").declaration_with(&declared),
        zone("pdns.test").declaration(),
    ];
    let names = ["www.bench.test", "far.bench.test", "ignored.bench.test"];
    let scene = Scene::with(
        Lab::builder().bind().powerdns().pebble(),
        &names,
        &Files::dns_of(&zones.concat()),
    );
    let lab = &scene.lab;
    for (label, kind, data) in [
        ("www", "TXT", A),
        ("www", "TXT", B),
        ("www", "TXT", "text"),
        ("ignored", "TXT", A),
        ("other", "TXT", A),
        ("far", "CNAME", "end.pdns.test."),
    ] {
        let change = format!("add _acme-challenge.{label}.bench.test 300 {kind} {data}");
        change_at_bind(&scene, &change);
    }
    for name in ["end.pdns.test", "_acme-challenge.pdns.test"] {
        powerdns::set_txt(lab.namespace(), "pdns.test", name, &[A]).expect_code(0);
    }
    let at_bind =
        |label: &str| lab.txt(Server::Bind, &format!("_acme-challenge.{label}.bench.test"));
    let at_powerdns = |name: &str| lab.txt(Server::PowerDns, name);

    // A run that does not look cannot tell what is left over.
    let blind = scene.renew().args(["--pending", "off"]).succeed();
    let followed = "`_acme-challenge.far.bench.test` -> `end.pdns.test`, in zone `pdns.test`\n";
    assert_eq!(said(&blind), followed);
    assert_eq!(at_bind("www"), [B, A, "text"]);
    assert_eq!(at_powerdns("end.pdns.test"), [A]);

    scene.certs.forget_account(lab);
    let output = scene.renew().args(["--renew", "1000"]).succeed();
    let mut lines: Vec<_> = said(&output).lines().map(str::to_owned).collect();
    lines.sort();
    let mut expected = [
        followed.trim_end().to_owned(),
        "swept 1 old challenge from zone `bench.test` at `ddns`:".to_owned(),
        format!("    _acme-challenge.www.bench.test TXT \"{A}\""),
        "swept 1 old challenge from zone `pdns.test` at `powerdns`:".to_owned(),
        format!("    end.pdns.test TXT \"{A}\""),
    ];
    expected.sort();
    assert_eq!(lines, expected);
    assert_eq!(at_bind("www"), [B, "text"]);
    assert_eq!(at_bind("ignored"), [A]);
    assert_eq!(at_bind("other"), [A]);
    assert_eq!(at_powerdns("end.pdns.test"), [""; 0]);
    assert_eq!(at_powerdns("_acme-challenge.pdns.test"), [A]);
}
