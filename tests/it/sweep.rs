//! Nothing is left behind: no challenge, no temporary folder, nothing issued that is not pushed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, at, pebble_log, values, wait_until};
use crate::support::powerdns;

/// A run ends soon after a signal: on its own time limits, as fast as the machine lets it, and not on those of DNS and of the CA.
const CANCEL: Duration = Duration::from_secs(30);

const FOREIGN: &str = "somebody else's";

/// One certificate in each kind of zone.
const WANTED: &[(&str, &[&str])] = &[
    ("dual", &["example.test", "*.example.test"]),
    ("files", &["files.test"]),
];

fn lab() -> Lab {
    Lab::builder().bind().powerdns().pebble().start()
}

/// Puts a value of somebody else's at both names, at all servers.
fn add_foreign_values(lab: &Lab) {
    let name = "_acme-challenge.example.test";
    let change = format!("add {name} 60 TXT \"{FOREIGN}\"");
    bind::update(lab.namespace(), "example.test", &change).expect_code(0);
    powerdns::set_txt(lab.namespace(), "example.test", name, &[FOREIGN]).expect_code(0);
    let file = bind::zone_folder(lab.namespace()).join("files.test.zone");
    let text = fs::read_to_string(&file).unwrap();
    let text =
        text.replace(" 1 3600 ", " 2 3600 ") + &format!("_acme-challenge TXT \"{FOREIGN}\"\n");
    fs::write(&file, text).unwrap();
    let words = bind::reload_words(lab.namespace(), "files.test");
    lab.command(&words[0]).args(&words[1..]).succeed();
    wait_until(lab, "the value in the file", || {
        lab.txt(Server::Bind, "_acme-challenge.files.test") == [FOREIGN]
    });
}

/// The foreign values, and nothing else.
#[track_caller]
fn assert_only_foreign_values(lab: &Lab) {
    let value = |name: &str| (format!("_acme-challenge.{name}"), FOREIGN.to_owned());
    // BIND reloads a zone file in its own time.
    let both = BTreeSet::from([value("example.test"), value("files.test")]);
    wait_until(lab, "the values of files.test gone", || {
        values(lab, Server::Bind) == both
    });
    assert_eq!(
        values(lab, Server::PowerDns),
        BTreeSet::from([value("example.test")])
    );
}

/// What the run said when it ended, without the steps before.
fn errors(output: &Output) -> &str {
    output
        .stderr
        .find("error: ")
        .map_or("", |at| &output.stderr[at..])
}

#[test]
fn values_of_others_survive_success_and_failed_validation() {
    let nightly = Nightly::new(lab(), WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    add_foreign_values(lab);
    nightly.renew().expect_code(0);
    assert_only_foreign_values(lab);
    let before = certs.subjects(lab).len();
    certs.forget_account(lab);

    let gate = Gate::new(lab);
    let run = gate
        .reload(nightly.command(&["renew", "--renew", "1000"]))
        .spawn();
    gate.wait();
    // All name servers will show the values, but the CA finds none of them.
    lab.stop(Server::Resolver);
    gate.open();
    let output = run.wait().expect_code(1);
    lab.start(Server::Resolver);
    assert_eq!(
        output.stdout,
        "failed   dual   example.test, *.example.test\n\
         failed   files  files.test\n\n\
         0 issued, 2 failed, 0 up to date\n"
    );
    assert!(
        output
            .stderr
            .contains("asked every name server for every challenge"),
        "{}",
        output.stderr
    );
    assert!(
        errors(&output).contains("`files`") && errors(&output).contains("`dual`"),
        "{}",
        output.stderr
    );
    assert_only_foreign_values(lab);
    // The account's end and the new one are all that was added.
    assert_eq!(certs.subjects(lab).len(), before + 2);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_signal_while_challenges_are_written_leaves_nothing() {
    for signal in ["INT", "HUP"] {
        let nightly = Nightly::new(lab(), WANTED);
        let lab = &nightly.lab;
        add_foreign_values(lab);
        let gate = Gate::new(lab);
        let run = gate.reload(nightly.command(&["renew"])).spawn();
        gate.wait();
        wait_until(lab, "values at PowerDNS", || {
            values(lab, Server::PowerDns).len() == 3
        });
        run.signal(signal);
        gate.open();
        let output = run.wait().expect_code(1);
        assert_eq!(
            errors(&output),
            "error: cannot issue `dual`, `files`\n  caused by: stopped by a signal\n"
        );
        assert_only_foreign_values(lab);
        assert_eq!(lab.left_over().len(), 0);
        // The account is kept: the next run need not register another.
        assert_eq!(
            nightly.certs.subjects(lab),
            ["Register an ACME account at acme.test", "files of the test"]
        );
    }
}

/// In the end it answers, and nothing has failed.
#[test]
fn a_provider_that_hangs_holds_up_no_certificate_but_its_own() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate.at("before add powerdns", nightly.command(&["renew"]));
    let run = run.spawn();
    gate.wait();
    let paused = lab.pause(Server::PowerDns);
    gate.open();
    wait_until(lab, "one certificate", || {
        pebble_log(lab).contains("Issued certificate serial")
    });
    assert_eq!(pebble_log(lab).matches("Issued certificate").count(), 1);
    drop(paused);
    let output = run.wait().expect_code(0);
    assert!(
        output.stdout.contains("2 issued, 0 failed"),
        "{}",
        output.stdout
    );
    assert_eq!(values(lab, Server::PowerDns), BTreeSet::new());
}

#[test]
fn a_signal_in_the_wait_withdraws_what_can_be_and_names_the_rest() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    add_foreign_values(lab);
    let gate = Gate::new(lab);
    let run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    wait_until(lab, "values at PowerDNS", || {
        values(lab, Server::PowerDns).len() == 3
    });
    let ours: Vec<_> = values(lab, Server::PowerDns)
        .into_iter()
        .filter(|(_, value)| value != FOREIGN)
        .collect();
    let paused = lab.pause(Server::PowerDns);
    gate.open();
    // The certificate that needs no PowerDNS does not wait for it.
    wait_until(lab, "one certificate", || {
        pebble_log(lab).contains("Issued certificate serial")
    });
    let signalled = Instant::now();
    // As GitHub does, only sooner.
    run.signal("INT");
    sleep(Duration::from_secs(1));
    run.signal("TERM");
    let output = run.wait().expect_code(1);
    assert!(signalled.elapsed() < CANCEL, "{:?}", signalled.elapsed());
    let said = errors(&output);
    assert!(
        said.starts_with("error: cannot issue `dual`\n  caused by: stopped by a signal\n"),
        "{said}"
    );
    nightly.assert_valid("files");
    assert!(
        said.contains("error: cannot withdraw challenges from zone `example.test` at `powerdns`:"),
        "{said}"
    );
    for (name, value) in &ours {
        assert!(said.contains(&format!("{name} TXT \"{value}\"")), "{said}");
    }
    assert!(
        !said.contains("`ddns`") && !said.contains("`zonefiles`"),
        "{said}"
    );
    let bind: BTreeSet<_> = values(lab, Server::Bind)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(bind, BTreeSet::from([FOREIGN.to_owned()]));
    assert_eq!(lab.left_over().len(), 0);
    drop(paused);
    assert!(values(lab, Server::PowerDns).contains(&(
        "_acme-challenge.example.test".to_owned(),
        FOREIGN.to_owned()
    )));
}

#[test]
fn a_server_that_comes_back_in_time_is_swept() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    add_foreign_values(lab);
    let gate = Gate::new(lab);
    let run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    wait_until(lab, "values at PowerDNS", || {
        values(lab, Server::PowerDns).len() == 3
    });
    let paused = lab.pause(Server::PowerDns);
    run.signal("TERM");
    gate.open();
    drop(paused);
    let output = run.wait().expect_code(1);
    assert_eq!(
        errors(&output),
        "error: cannot issue `dual`, `files`\n  caused by: stopped by a signal\n"
    );
    assert_only_foreign_values(lab);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn what_was_issued_when_the_signal_came_is_pushed() {
    let nightly = Nightly::new(
        lab(),
        &[("files", &["files.test"]), ("slow", &["www.pdns.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let gate = Gate::new(lab);
    let mut run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    // The CA looks only when PowerDNS no longer answers.
    let ca = lab.pause(Server::Pebble);
    gate.open();
    run.wait_for_stderr("asked every name server for every challenge");
    let server = lab.pause(Server::PowerDns);
    drop(ca);
    wait_until(lab, "one certificate", || {
        pebble_log(lab).contains("Issued certificate serial")
    });
    let signalled = Instant::now();
    run.signal("TERM");
    let output = run.wait().expect_code(1);
    assert!(signalled.elapsed() < CANCEL, "{:?}", signalled.elapsed());
    drop(server);
    assert!(
        output.stdout.contains("\nfailed   slow   www.pdns.test\n\n1 issued, 1 failed, 0 up to date\npushed 1 commit to `main`\n"),
        "{}",
        output.stdout
    );
    assert!(
        errors(&output).contains("cannot withdraw challenges from zone `pdns.test` at `powerdns`"),
        "{}",
        output.stderr
    );
    nightly.assert_valid("files");
    assert!(!certs.files(lab).iter().any(|path| path.contains("slow")));
    assert_eq!(values(lab, Server::Bind), BTreeSet::new());
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_signal_before_anything_was_ordered_ends_the_run_at_once() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    let paused = lab.pause(Server::PowerDns);
    let mut run = nightly.command(&["renew"]).spawn();
    run.wait_for_stderr("to issue: `files`");
    let signalled = Instant::now();
    run.signal("TERM");
    let output = run.wait().expect_code(2);
    assert!(signalled.elapsed() < CANCEL, "{:?}", signalled.elapsed());
    assert_eq!(output.stdout, "");
    assert_eq!(errors(&output), "error: stopped by a signal\n");
    drop(paused);
    assert_eq!(nightly.requests(), [""; 0]);
    assert!(lab.challenges().is_empty());
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn the_folder_of_a_run_that_was_killed_goes_with_the_next() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    run.signal("KILL");
    run.wait();
    gate.open();
    let left = lab.left_over();
    assert_eq!(left.len(), 1, "{left:?}");
    nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(lab.left_over().len(), 0);
}

/// A folder that is not locked yet, or not named as one that is.
#[test]
fn a_run_that_was_killed_as_it_made_its_folder_leaves_nothing_for_long() {
    let nightly = Nightly::new(Lab::builder().start(), WANTED);
    let lab = &nightly.lab;
    let plan = || {
        let command = nightly.command(&["plan", "--no-dns"]);
        command.env("GIT_CERTS_CA_BUNDLE", "")
    };
    for point in ["made", "not locked", "locked"] {
        at(&format!("temporary folder {point}"), "KILL", plan()).run();
    }
    assert_eq!(lab.left_over().len(), 3);
    // Somebody may be at it in this moment.
    plan().run().expect_code(0);
    let left = lab.left_over();
    assert_eq!(left.len(), 3);
    for folder in left {
        lab.command("touch")
            .args(["-d", "1 hour ago"])
            .arg(folder)
            .succeed();
    }
    plan().run().expect_code(0);
    assert_eq!(lab.left_over(), [""; 0].map(PathBuf::from));
}
