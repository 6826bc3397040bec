//! What fails stops only what depends on it, and another writer's push is kept.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::bind;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, pebble_log};
use crate::support::repos::{Files, Remote, Transport};
use crate::support::zones::{ZONES, Zone};

/// Requests for the names of an order, as Pebble logs them.
fn was_ordered(lab: &Lab, name: &str) -> bool {
    pebble_log(lab).contains(name)
}

/// Parents of each commit of `main`: none has two.
fn is_linear(lab: &Lab, remote: &Remote) -> bool {
    let merges = lab.git(&remote.folder, &["rev-list", "--merges", "main"]);
    merges.stdout.is_empty()
}

#[test]
fn a_zone_that_was_changed_by_hand_stops_its_own_certificates_only() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[
            ("dual", &["example.test", "www.bench.test"]),
            ("fine", &["www.pdns.test"]),
            ("dual-too", &["*.example.test"]),
        ],
    );
    let Nightly { lab, certs, .. } = &nightly;
    // At one of its two providers.
    bind::update(
        lab.namespace(),
        "example.test",
        "add new.example.test 300 A 198.51.100.7",
    )
    .expect_code(0);
    bind::update(lab.namespace(), "example.test", "delete www.example.test A").expect_code(0);
    let output = nightly.renew().expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "failed   dual      example.test, www.bench.test\n\
         failed   dual-too  *.example.test\n\
         issued   fine      www.pdns.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 2 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    let errors = &output.stderr[output.stderr.find("error: ").unwrap()..];
    assert_eq!(
        errors,
        "error: cannot issue `dual`, `dual-too`\n  \
         caused by: zone `example.test` has 2 pending corrections at `ddns`:\n    \
         - DELETE new.example.test A 198.51.100.7 ttl=300\n    \
         + CREATE www.example.test A 198.51.100.80 ttl=300\n\
         hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same\n"
    );
    assert!(was_ordered(lab, "www.pdns.test"));
    assert!(!was_ordered(lab, "www.bench.test") && !was_ordered(lab, "example.test"));
    assert!(lab.challenges().is_empty());
    nightly.assert_valid("fine");
    assert!(!certs.files(lab).iter().any(|path| path.contains("dual")));

    // Nothing else is due: nothing was asked of the CA, which the exit code says.
    let requests = nightly.requests();
    let again = nightly.renew().expect_code(2);
    assert_eq!(
        again.stdout,
        "failed   dual      example.test, www.bench.test\n\
         failed   dual-too  *.example.test\n\n\
         0 issued, 2 failed, 1 up to date\n"
    );
    assert_eq!(nightly.requests(), requests);
}

#[test]
fn a_name_that_the_ca_rejects_stops_its_own_certificate_only() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[
            ("blocked", &["www.bench.test", "www.blocked.test"]),
            ("fine", &["one.bench.test"]),
        ],
    );
    let lab = &nightly.lab;
    let output = nightly.renew().expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "failed   blocked  www.bench.test, www.blocked.test\n\
         issued   fine     one.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 1 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    let errors = &output.stderr[output.stderr.find("error: ").unwrap()..];
    assert_eq!(
        errors,
        "error: cannot issue `blocked`\n  \
         caused by: cannot place the order\n  \
         caused by: Order included an identifier for which issuance is forbidden by policy: \
         \"www.blocked.test\" (rejectedIdentifier); `www.blocked.test`: www.blocked.test is a forbidden domain \
         (rejectedIdentifier)\n"
    );
    assert!(lab.challenges().is_empty());
    nightly.assert_valid("fine");
}

#[test]
fn a_push_that_came_first_is_kept_below_ours() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().git_http().start(),
        &[("files", &["files.test"]), ("www", &["www.bench.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let gate = Gate::new(lab);
    let renew = nightly.command(&["renew"]);
    let renew = renew.env("GIT_CERTS_REPO", certs.url(Transport::Https));
    let run = gate.reload(renew).spawn();
    gate.wait();
    for number in ["1", "2"] {
        Files::default()
            .with("theirs", number)
            .with("certificates/other/other.crt", "theirs")
            .commit(lab, certs, &format!("theirs {number}"));
    }
    gate.open();
    let output = run.wait().expect_code(0);
    assert!(
        output.stdout.ends_with("pushed 2 commits to `main`\n"),
        "{}",
        output.stdout
    );
    assert_eq!(
        certs.subjects(lab),
        [
            "Issue www: not in the repository",
            "Issue files: not in the repository",
            "theirs 2",
            "theirs 1",
            "Register an ACME account at acme.test",
            "files of the test",
        ]
    );
    assert!(is_linear(lab, certs));
    assert_eq!(certs.show(lab, "theirs"), "2");
    assert_eq!(certs.show(lab, "certificates/other/other.crt"), "theirs");
    nightly.assert_valid("files");
    nightly.assert_valid("www");
    // The commits that the output names are those that were pushed.
    for line in output
        .stdout
        .lines()
        .filter(|line| line.starts_with("issued"))
    {
        let id = line.rsplit_once(' ').unwrap().1;
        let contained = lab.git(
            &certs.folder,
            &["branch", "--format=%(refname:short)", "--contains", id],
        );
        assert_eq!(contained.stdout, "main\n");
    }
}

#[test]
fn a_server_that_is_down_is_named() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[("dual", &["example.test"]), ("fine", &["www.bench.test"])],
    );
    let lab = &nightly.lab;
    lab.stop(Server::PowerDns);
    let output = nightly.renew().expect_code(1);
    assert!(
        output.stderr.contains("ns2.example.test") || output.stderr.contains("`powerdns`"),
        "{}",
        output.stderr
    );
    assert!(!was_ordered(lab, "example.test"));
    nightly.assert_valid("fine");
    lab.start(Server::PowerDns);
    nightly.renew().expect_code(0);
    nightly.assert_valid("dual");
    assert!(lab.challenges().is_empty());
}

#[test]
fn two_runs_at_once_lose_nothing() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("files", &["files.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let gate = Gate::new(lab);
    // With a journal the second would not begin.
    let command = nightly.command(&["renew", "--journal", "off"]);
    let slow = gate.reload(command.clone()).spawn();
    gate.wait();
    command.run().expect_code(0);
    let first = nightly.chain("files");
    gate.open();
    let output = slow.wait().expect_code(0);
    assert!(
        output.stdout.starts_with("issued   files  files.test: "),
        "{}",
        output.stdout
    );
    // Of the two certificates the one that expires later is on the branch; one that expires at the same
    // second stays.
    nightly.assert_valid("files");
    let kept = nightly.chain("files");
    assert!(not_after(&kept) >= not_after(&first));
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    assert!(is_linear(lab, certs));
    assert!(lab.challenges().is_empty());
}

/// When the first certificate of a chain expires, in seconds since 1970.
fn not_after(chain: &str) -> i64 {
    let (_, pem) = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    certificate.validity().not_after.timestamp()
}

#[test]
fn a_name_that_lost_its_zone_fails_its_own_certificate_only() {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, &[("lost", &["www.example.test", "www.bench.test"])]);
    let Nightly { lab, certs, .. } = &nightly;
    nightly.renew().expect_code(0);
    let zones = ZONES.iter().filter(|zone| zone.name != "example.test");
    let zones: Vec<_> = zones.map(Zone::declaration).collect();
    Files::dns_of(&zones.join("\n")).commit(lab, &nightly.dns, "without a zone");
    let wanted: &[(&str, &[&str])] = &[
        ("lost", &["www.example.test", "www.bench.test"]),
        ("new", &["new.bench.test"]),
    ];
    Files::certificates(wanted, &[&nightly.identity.recipient]).commit(lab, certs, "one more");
    let error = "error: cannot issue `lost`\n  \
                 caused by: `www.example.test` is in no zone of the DNS repository\n";

    let summary = lab.folder().join("summary.md");
    let plan = nightly.command(&["plan", "--summary-file", summary.to_str().unwrap()]);
    let plan = plan.run().expect_code(1);
    assert_eq!(
        plan.normal_stdout(),
        "keep     lost  www.example.test, www.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\
         issue    new   new.bench.test: not in the repository\n\n\
         1 due, 0 up to date, 1 cannot be renewed\n"
    );
    assert!(plan.stderr.contains(error), "{}", plan.stderr);
    let summary = fs::read_to_string(summary).unwrap();
    let told = [
        "### git-certs: 1 due, 1 would fail, 0 up to date\n",
        "| `lost` | `www.example.test`, `www.bench.test` | **would fail** | ",
        "| `new` | `new.bench.test` | issue |  | not in the repository |\n",
        error.trim_start_matches("error: "),
    ];
    for words in told {
        assert!(summary.contains(words), "{words}\n{summary}");
    }

    let matrix = || {
        let plan = nightly.command(&["plan", "--matrix", "1"]);
        let plan = plan.run().expect_code(0);
        let warning = error.replace("error: ", "warning: ");
        assert!(plan.stderr.contains(&warning), "{}", plan.stderr);
        plan.stdout
    };
    let due = |due| format!("{{\"include\":[{{\"shard\":\"1/1\",\"due\":{due}}}]}}\n");
    assert_eq!(matrix(), due(2));
    let held = nightly.chain("lost");
    let output = nightly.renew().expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "failed   lost  www.example.test, www.bench.test\n\
         issued   new   new.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 1 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    assert!(output.stderr.contains(error), "{}", output.stderr);
    nightly.assert_valid("new");
    assert_eq!(nightly.chain("lost"), held);
    // Said even where nothing is due.
    let output = nightly.renew().expect_code(2);
    assert!(output.stderr.contains(error), "{}", output.stderr);
    assert_eq!(matrix(), due(1));
    let shard = nightly.command(&["renew", "--shard", "1/1"]);
    let shard = shard.run().expect_code(2);
    assert!(shard.stderr.contains(error), "{}", shard.stderr);
}
