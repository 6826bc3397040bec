//! Several runs share the certificates of one repository.

use std::collections::BTreeSet;
use std::fs;
use std::thread;

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::{Value, json};

use crate::journal_lock::without_moments;
use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::more_zones;
use crate::support::nightly::{Gate, Nightly, at, orders, wait_until};
use crate::support::repos::{Files, Transport};
use crate::support::zones::{ZONES, Zone};

/// Shards that run at once.
const SHARDS: usize = 8;

/// Registered domains, each with as many certificates.
const DOMAINS: usize = 50;

const EACH: usize = 8;

/// Certificates of many registered domains, and a DNS repository that has their zones.
fn many() -> (Nightly, Vec<Zone>, Vec<String>) {
    let lab = Lab::builder().bind().pebble().git_http().git_ssh().start();
    let zones = more_zones::add(&lab, DOMAINS);
    let names: Vec<_> = (0..DOMAINS * EACH)
        .map(|number| {
            let zone = zones[number % DOMAINS].name;
            (format!("c{number}"), format!("n{number}.{zone}"))
        })
        .collect();
    let wanted: Vec<_> = names
        .iter()
        .map(|(name, dns)| json!({"cert_name": name, "names": [dns]}))
        .collect();
    let nightly = Nightly::with(lab, &[], |files, _| {
        files.with("certs.json", &json!(wanted).to_string())
    });
    let all = ZONES.iter().chain(&zones).map(Zone::declaration);
    let declared = all.collect::<Vec<_>>().join("\n");
    Files::dns_of(&declared).commit(&nightly.lab, &nightly.dns, "more zones");
    (
        nightly,
        zones,
        names.into_iter().map(|(name, _)| name).collect(),
    )
}

fn shard(nightly: &Nightly, shard: &str) -> Command {
    renew(nightly, &["--shard", shard])
}

fn renew(nightly: &Nightly, args: &[&str]) -> Command {
    let words = [&["renew"], args].concat();
    nightly.command(&words).env("GIT_CERTS_KEY_TYPE", "p256")
}

/// The CI system is the engine: nobody but the git server stands between the runs.
#[test]
fn eight_shards_at_once_issue_four_hundred_certificates() {
    let (nightly, zones, names) = many();
    let Nightly { lab, certs, .. } = &nightly;
    nightly
        .command(&["account", "register"])
        .run()
        .expect_code(0);
    let plan = nightly.command(&["plan", "--matrix", "8"]).run();
    let matrix: Value = serde_json::from_str(&plan.expect_code(0).stdout).unwrap();
    let jobs = matrix["include"].as_array().unwrap();
    assert_eq!(jobs.len(), SHARDS);
    let due: u64 = jobs.iter().map(|job| job["due"].as_u64().unwrap()).sum();
    assert_eq!(due, names.len() as u64);
    let ways = [Transport::Path, Transport::Https, Transport::Ssh];
    let outputs: Vec<Output> = thread::scope(|scope| {
        let runs: Vec<_> = jobs
            .iter()
            .zip(ways.into_iter().cycle())
            .map(|(job, way)| {
                let command = shard(&nightly, job["shard"].as_str().unwrap());
                let command = command.env("GIT_CERTS_REPO", certs.url(way));
                scope.spawn(move || command.run())
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (job, output) in jobs.iter().zip(outputs) {
        let output = output.expect_code(0);
        let issued = format!("\n{} issued, 0 failed, 0 up to date\n", job["due"]);
        assert!(output.stdout.contains(&issued), "{output:?}");
    }
    let subjects = certs.subjects(lab);
    let expected = names
        .iter()
        .map(|name| format!("Issue {name}: not in the repository"))
        .chain([
            "Register an ACME account at acme.test".to_owned(),
            "files of the test".to_owned(),
        ]);
    let expected: BTreeSet<_> = expected.collect();
    assert_eq!(subjects.len(), expected.len());
    assert_eq!(subjects.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(orders(lab), names.len());
    let files: BTreeSet<_> = certs.files(lab).into_iter().collect();
    for name in &names {
        for end in ["crt", "json", "key.age"] {
            let path = format!("certificates/{name}/{name}.{end}");
            assert!(files.contains(&path), "{path}");
        }
    }
    nightly.assert_valid("c0");
    nightly.assert_valid("c399");
    let merges = lab.git(&certs.folder, &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges.stdout, "0\n");
    lab.git(&certs.folder, &["fsck", "--strict"]);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    for zone in zones {
        assert_eq!(lab.challenges_of(Server::Bind, zone.name), []);
    }
    assert_eq!(lab.left_over().len(), 0);
    let plan = nightly.command(&["plan", "--matrix", "8"]).run();
    assert_eq!(plan.expect_code(0).stdout, "{\"include\":[]}\n");
}

/// One certificate in each of four registered domains.
const FOUR: &[(&str, &[&str])] = &[
    ("bench", &["www.bench.test"]),
    ("example", &["www.example.test"]),
    ("files", &["files.test"]),
    ("pdns", &["www.pdns.test"]),
];

fn four() -> Nightly {
    let nightly = Nightly::new(Lab::builder().all().start(), FOUR);
    nightly
        .command(&["account", "register"])
        .run()
        .expect_code(0);
    nightly
}

/// References besides `main`, without what stands for the list.
fn journals(nightly: &Nightly) -> Vec<String> {
    let refs = nightly.certs.refs(&nightly.lab).into_iter();
    let refs = refs.filter(|name| name != "refs/heads/main");
    let list = Regex::new("-[0-9a-f]{8}$").unwrap();
    refs.map(|name| list.replace(&name, "-LIST").into_owned())
        .collect()
}

/// From the first error on, moments replaced.
fn error(output: &Output) -> String {
    let (_, said) = output
        .stderr
        .split_once("error: ")
        .unwrap_or_else(|| panic!("{output:?}"));
    without_moments(said)
}

/// The share of each is the same for everybody, whatever was issued meanwhile.
#[test]
fn each_shard_does_its_share_and_says_which() {
    let nightly = four();
    let matrix = |args: &[&str]| {
        let words = [&["plan", "--matrix", "3"], args].concat();
        nightly.command(&words).run().expect_code(0)
    };
    assert_eq!(
        matrix(&[]).stdout,
        "{\"include\":[{\"shard\":\"1/3\",\"due\":2},{\"shard\":\"2/3\",\"due\":1},{\"shard\":\"3/3\",\"due\":1}]}\n"
    );
    let plan = nightly.command(&["plan", "--shard", "2/3"]).run();
    assert_eq!(
        plan.expect_code(0).stdout,
        "issue    example  www.example.test: not in the repository\n\n1 due, 0 up to date\n"
    );
    let looked = nightly.command(&["renew", "--shard", "2/3", "--dry-run"]);
    assert_eq!(
        looked.run().expect_code(0).stdout,
        "issue    example  www.example.test: not in the repository\n\n\
         1 would be ordered, 0 would fail, 0 put off, 0 up to date\n"
    );
    let summary = nightly.lab.folder().join("home/summary.md");
    let run = shard(&nightly, "2/3").args(["--format", "json", "--summary-file"]);
    let done = run.arg(&summary).run().expect_code(0);
    let done: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&done["shard"], &done["issued"]),
        (&json!("2/3"), &json!(1))
    );
    let summary = fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("### git-certs: shard 2/3: 1 issued, 0 up to date\n"),
        "{summary}"
    );
    assert_eq!(orders(&nightly.lab), 1);
    nightly.assert_valid("example");
    let output_file = nightly.lab.folder().join("home/outputs.env");
    let more = ["--output-file", output_file.to_str().unwrap()];
    assert_eq!(
        matrix(&more).stdout,
        "{\"include\":[{\"shard\":\"1/3\",\"due\":2},{\"shard\":\"3/3\",\"due\":1}]}\n"
    );
    assert_eq!(
        fs::read_to_string(output_file).unwrap(),
        "CERTS_DUE=3\nCERTS_SHARDS=2\n\
         CERTS_MATRIX={\"include\":[{\"shard\":\"1/3\",\"due\":2},{\"shard\":\"3/3\",\"due\":1}]}\n\
         CERTS_EXIT_CODE=0\n"
    );
    let nothing = shard(&nightly, "2/3").run().expect_code(0);
    assert!(nothing.stdout.starts_with("nothing is due: 1 up to date"));
    // One of one is a run like any other, as GitLab has it.
    let all = shard(&nightly, "1/1").run().expect_code(0);
    assert!(all.stdout.contains("\n3 issued, 0 failed, 1 up to date\n"));
    let none = matrix(&["--detailed-exitcode"]);
    assert_eq!(none.stdout, "{\"include\":[]}\n");
}

#[test]
fn what_makes_no_sense_is_said() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), &FOUR[..1]);
    let say = |args: &[&str]| {
        let output = nightly.command(args).run().expect_code(2);
        assert_eq!(output.stdout, "");
        let said = output.stderr.split("\n\n").next().unwrap();
        said.trim_end().to_owned()
    };
    for bad in ["3", "0/8", "9/8"] {
        assert_eq!(
            say(&["renew", "--shard", bad]),
            format!(
                "error: invalid value '{bad}' for '--shard <NUMBER/OF>': one of several is needed, such as `3/8`"
            )
        );
    }
    assert_eq!(
        say(&["plan", "--matrix", "257"]),
        "error: invalid value '257' for '--matrix <SHARDS>': a whole number from 1 to 256 is needed"
    );
    assert_eq!(
        say(&["renew", "--shard", "1/2", "--only", "bench"]),
        "error: the argument '--shard <NUMBER/OF>' cannot be used with '--only <CERT_NAME>'"
    );
    assert_eq!(
        say(&["plan", "--matrix", "8", "--shard", "1/2"]),
        "error: the argument '--matrix <SHARDS>' cannot be used with '--shard <NUMBER/OF>'"
    );
    let output = shard(&nightly, "1/2").run().expect_code(2);
    assert_eq!(
        error(&output),
        "a shard registers no account, as each of them would make its own\n  \
         caused by: there is no account at `acme.test` in the cert repository: `.letsencrypt/acme.test/account.key.age` is not there\n\
         hint: `git-certs account register` makes one; `--acme` says at which CA\n"
    );
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(orders(&nightly.lab), 0);
}

#[test]
fn runs_that_may_meet_exclude_each_other() {
    let nightly = four();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let first = gate.at("before record", shard(&nightly, "1/2")).spawn();
    gate.wait();
    assert_eq!(journals(&nightly), ["refs/git-certs/journal-1-of-2-LIST"]);
    let at_work = "another run is at work: shard 1/2 of lab, begun [MOMENT], last sign of life [MOMENT]\n\
         hint: wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left\n";
    for other in [
        renew(&nightly, &[]),
        shard(&nightly, "1/2"),
        shard(&nightly, "1/3"),
    ] {
        let output = other.run().expect_code(2);
        assert_eq!(error(&output), at_work);
    }
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(
        without_moments(plan.stderr.lines().last().unwrap()),
        "another run is at work: shard 1/2 of lab, begun [MOMENT], last sign of life [MOMENT]"
    );
    let ordered = orders(lab);
    // The other half is free.
    let second = shard(&nightly, "2/2").run().expect_code(0);
    assert!(!second.stderr.contains("another run"), "{second:?}");
    assert!(orders(lab) > ordered);
    gate.open();
    first.wait().expect_code(0);
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    assert_eq!(orders(lab), FOUR.len());
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(lab.challenges().len(), 0);

    // A run on everything keeps shards out.
    nightly.certs.forget_certificates(lab);
    let gate = Gate::new(lab);
    let whole = gate.at("before record", renew(&nightly, &[])).spawn();
    gate.wait();
    assert_eq!(
        error(&shard(&nightly, "1/2").run().expect_code(2)),
        at_work.replace("shard 1/2 of ", "")
    );
    gate.open();
    whole.wait().expect_code(0);
    assert_eq!(journals(&nightly), [""; 0]);
}

/// Both have seen nobody before they created their journals; each looks again when it has.
#[test]
fn of_runs_that_begin_in_the_same_moment_one_gives_way() {
    let nightly = four();
    let lab = &nightly.lab;
    let whole_at = Gate::new(lab);
    let whole = whole_at.at("planned", renew(&nightly, &[])).spawn();
    whole_at.wait();
    let part_at = Gate::named(lab, "second-gate");
    let part = part_at.at("after journal begins", shard(&nightly, "1/2"));
    let part = part.spawn();
    part_at.wait();
    whole_at.open();
    wait_until(lab, "both journals", || journals(&nightly).len() == 2);
    part_at.open();
    assert_eq!(
        error(&part.wait().expect_code(2)),
        "another run is at work: lab, begun [MOMENT], last sign of life [MOMENT]\n\
         hint: wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left\n"
    );
    whole.wait().expect_code(0);
    assert_eq!(orders(lab), FOUR.len());
    assert_eq!(journals(&nightly), [""; 0]);
}

/// Certificates may be shared out otherwise by then: nobody may do what another one does.
#[test]
fn a_shard_of_another_list_waits() {
    let nightly = four();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let first = gate.at("before record", shard(&nightly, "1/2")).spawn();
    gate.wait();
    let more = [
        &[("another", &["another.bench.test", "lame.test"][..])],
        FOUR,
    ]
    .concat();
    Files::certificates(&more, &[&nightly.identity.recipient]).commit(lab, &nightly.certs, "more");
    let output = shard(&nightly, "2/2").run().expect_code(2);
    assert!(error(&output).starts_with("another run is at work: shard 1/2 of lab, "));
    gate.open();
    first.wait().expect_code(0);
}

#[test]
fn what_a_killed_shard_has_left_goes_to_the_same_shard() {
    let nightly = four();
    let lab = &nightly.lab;
    at("seen", "KILL", shard(&nightly, "1/2")).run();
    assert_eq!(journals(&nightly), ["refs/git-certs/journal-1-of-2-LIST"]);
    let (left, ordered) = (lab.challenges().len(), orders(lab));
    assert!(left > 0 && ordered > 0);
    // The other half is none of its business.
    let other = shard(&nightly, "2/2").run().expect_code(0);
    assert!(!other.stderr.contains("earlier run"), "{other:?}");
    assert_eq!(lab.challenges().len(), left);
    let again = shard(&nightly, "1/2").run().expect_code(0);
    let said = without_moments(&again.stderr);
    assert!(
        said.contains(&format!(
            "an earlier run has left {ordered} orders and {left} challenges: shard 1/2 of lab, begun [MOMENT], last sign of life [MOMENT]\n"
        )),
        "{said}"
    );
    assert_eq!(orders(lab), FOUR.len(), "nothing is ordered twice");
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(lab.challenges().len(), 0);
}

#[test]
fn what_killed_shards_have_left_goes_to_a_run_on_everything() {
    let nightly = four();
    let lab = &nightly.lab;
    for share in ["1/2", "2/2"] {
        at("seen", "KILL", shard(&nightly, share)).run();
    }
    let left = [
        "refs/git-certs/journal-1-of-2-LIST",
        "refs/git-certs/journal-2-of-2-LIST",
    ];
    assert_eq!(journals(&nightly), left);
    assert_eq!(orders(lab), FOUR.len());
    renew(&nightly, &[]).run().expect_code(0);
    assert_eq!(orders(lab), FOUR.len(), "nothing is ordered twice");
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(lab.challenges().len(), 0);
}

/// Two shards at once divide what a run on everything has left, and so do shards of another number.
#[test]
fn what_a_killed_run_has_left_is_divided() {
    let nightly = four();
    let lab = &nightly.lab;
    at("seen", "KILL", renew(&nightly, &[])).run();
    assert_eq!(journals(&nightly), ["refs/git-certs/journal"]);
    at("before share leaves", "KILL", shard(&nightly, "1/3")).run();
    let both = [
        "refs/git-certs/journal",
        "refs/git-certs/journal-1-of-3-LIST",
    ];
    assert_eq!(journals(&nightly), both);
    thread::scope(|scope| {
        let runs = ["1/2", "2/2"].map(|share| {
            let command = shard(&nightly, share);
            scope.spawn(move || command.run().expect_code(0))
        });
        for run in runs {
            let said = run.join().unwrap().stderr;
            assert!(said.contains("an earlier run has left"), "{said}");
            assert!(
                said.contains("going on with the order of an earlier run"),
                "{said}"
            );
        }
    });
    assert_eq!(orders(lab), FOUR.len(), "nothing is ordered twice");
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(lab.challenges().len(), 0);
}

/// Nothing is due any more, but a challenge is left: the shard that it falls to is in the matrix.
#[test]
fn a_shard_that_has_only_to_tidy_up_is_in_the_matrix() {
    let nightly = four();
    let lab = &nightly.lab;
    renew(&nightly, &[]).run().expect_code(0);
    nightly.certs.forget_account(lab);
    nightly
        .command(&["account", "register"])
        .run()
        .expect_code(0);
    let renewing = renew(&nightly, &["--renew", "1000", "--only", "pdns"]);
    at("seen", "KILL", renewing).run();
    assert_eq!(journals(&nightly), ["refs/git-certs/journal"]);
    assert_eq!(lab.challenges().len(), 1);
    let matrix = nightly.command(&["plan", "--matrix", "4"]).run();
    let matrix = matrix.expect_code(0);
    assert_eq!(
        matrix.stdout,
        "{\"include\":[{\"shard\":\"4/4\",\"due\":0}]}\n"
    );
    shard(&nightly, "4/4").run().expect_code(0);
    assert_eq!(lab.challenges().len(), 0);
    assert_eq!(journals(&nightly), [""; 0]);
}

#[test]
fn journals_of_shards_may_be_branches_and_are_unlocked_together() {
    let nightly = four();
    let branch = |share: &str| shard(&nightly, share).args(["--journal", "branch"]);
    at("seen", "KILL", branch("1/2")).run();
    let gate = Gate::new(&nightly.lab);
    let second = gate.at("before record", branch("2/2")).spawn();
    gate.wait();
    assert_eq!(
        journals(&nightly),
        [
            "refs/heads/git-certs-journal-1-of-2-LIST",
            "refs/heads/git-certs-journal-2-of-2-LIST"
        ]
    );
    let unlock = || {
        let output = nightly.command(&["unlock", "--yes"]).run().expect_code(0);
        without_moments(&output.stdout)
    };
    assert_eq!(
        unlock(),
        "unlocked: the next run takes over what was left by shard 2/2 of lab, begun [MOMENT], last sign of life [MOMENT]\n"
    );
    assert_eq!(
        unlock(),
        "no run holds the cert repository; the next one takes over what was left: \
         shard 1/2 of lab, begun [MOMENT], last sign of life [MOMENT]; \
         shard 2/2 of lab, begun [MOMENT], last sign of life [MOMENT]\n"
    );
    renew(&nightly, &[]).run().expect_code(0);
    gate.open();
    second.signal("TERM");
    second.wait();
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    assert_eq!(journals(&nightly), [""; 0]);
    assert_eq!(nightly.lab.challenges().len(), 0);
}

/// Two runs that are alive are taken the repository from.
#[test]
fn unlock_names_everybody_who_works() {
    let nightly = four();
    let gate = Gate::new(&nightly.lab);
    let first = gate.at("before record", shard(&nightly, "1/2")).spawn();
    gate.wait();
    let other = Gate::named(&nightly.lab, "second-gate");
    let second = other.at("before record", shard(&nightly, "2/2")).spawn();
    other.wait();
    let output = nightly.command(&["unlock"]).run().expect_code(2);
    assert_eq!(
        error(&output),
        "this takes the cert repository from \
         shard 1/2 of lab, begun [MOMENT], last sign of life [MOMENT]; \
         shard 2/2 of lab, begun [MOMENT], last sign of life [MOMENT]: those of these runs that are alive fail\n\
         hint: run it with `--yes` where nobody can be asked\n"
    );
    for (gate, run) in [(gate, first), (other, second)] {
        gate.open();
        run.wait().expect_code(0);
    }
}
