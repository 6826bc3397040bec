//! Several writers at once: nobody loses anything, and the history is a line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly, orders};
use crate::support::repos::{Remote, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// Certificates for as many runs at once.
const FOUR: &[(&str, &[&str])] = &[
    ("a", &["a.bench.test"]),
    ("b", &["b.bench.test"]),
    ("c", &["c.bench.test"]),
    ("d", &["d.bench.test"]),
];

/// Commits that each plain client of git pushes.
const PUSHES: usize = 10;

fn nightly(wanted: &[(&str, &[&str])]) -> Nightly {
    let lab = Lab::builder().bind().pebble().git_http().git_ssh();
    Nightly::new(lab.start(), wanted)
}

/// What the run said after its plan.
fn after_the_plan(output: &Output) -> String {
    let said = output.normal_stderr();
    let plan = "to issue: `www`, not in the repository\n";
    let (_, after) = said.split_once(plan).unwrap_or_else(|| panic!("{said}"));
    after.to_owned()
}

/// The first run has looked, and another does everything before it has the lock.
#[test]
fn what_another_run_has_done_meanwhile_is_not_done_again() {
    let nightly = nightly(WANTED);
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let late = gate.at("before journal begins", nightly.command(&["renew"]));
    let late = late.spawn();
    gate.wait();
    nightly.renew().expect_code(0);
    let chain = nightly.chain("www");
    gate.open();
    let late = late.wait().expect_code(0);
    assert!(
        late.stdout.starts_with("nothing is due: 1 up to date"),
        "{late:?}"
    );
    let said = after_the_plan(&late);
    let (steps, said) = said.split_once("another run").unwrap();
    assert_eq!(said, " has pushed certificates meanwhile: looking again\n");
    // Steps that are under way at the same time end in any order.
    let steps: BTreeSet<_> = steps.lines().collect();
    assert_eq!(
        steps,
        BTreeSet::from([
            "looked at 1 zone ([TIME])",
            "a push would be accepted ([TIME])",
        ])
    );
    assert_eq!(orders(lab), 1);
    assert_eq!(nightly.chain("www"), chain);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(lab.left_over().len(), 0);
}

/// Commands that sign with a key, and a list of signers with it alone.
fn signers(nightly: &Nightly) -> (impl Fn(&[&str]) -> Command, PathBuf) {
    let lab = &nightly.lab;
    let key = lab.folder().join("signing");
    let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
    lab.command("ssh-keygen").args(words).arg(&key).succeed();
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let list = lab.folder().join("signers");
    fs::write(&list, format!("ci {public}")).unwrap();
    let signed = move |words: &[&str]| {
        let run = nightly.command(words);
        run.env("GIT_CERTS_SIGNING_KEY", key.to_str().unwrap())
    };
    (signed, list)
}

/// What comes meanwhile has to be signed by somebody trusted as well.
#[test]
fn what_another_run_has_done_meanwhile_is_not_trusted_unsigned() {
    let nightly = nightly(WANTED);
    let lab = &nightly.lab;
    let (signed, list) = signers(&nightly);
    signed(&["account", "register"]).run().expect_code(0);
    let trusting = signed(&["renew"]).env("GIT_CERTS_ALLOWED_SIGNERS", &list);
    let gate = Gate::new(lab);
    let late = gate.at("before journal begins", trusting.clone()).spawn();
    gate.wait();
    nightly.renew().expect_code(0);
    gate.open();
    let late = late.wait().expect_code(2);
    let untrusted = "is not to be trusted\n  caused by: the commit is not signed\n";
    assert!(late.stderr.contains(untrusted), "{late:?}");
    assert_eq!(orders(lab), 1);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    let next = trusting.run().expect_code(2);
    assert!(next.stderr.contains(untrusted), "{next:?}");
    // Somebody who may vouches for it.
    signed(&["account", "rollover"]).run().expect_code(0);
    trusting.run().expect_code(0);
}

/// Nobody signs on top of what nobody trusted has signed.
#[test]
fn what_comes_before_the_push_is_not_vouched_for_unsigned() {
    let nightly = nightly(WANTED);
    let (lab, certs) = (&nightly.lab, &nightly.certs);
    let (signed, list) = signers(&nightly);
    signed(&["account", "register"]).run().expect_code(0);
    let gate = Gate::new(lab);
    let trusting = signed(&["renew"]).env("GIT_CERTS_ALLOWED_SIGNERS", &list);
    let late = gate.at("before push", trusting).spawn();
    gate.wait();
    crate::support::repos::Files::default()
        .with("certificates/www/.age-recipients", "age1mallory\n")
        .commit(lab, certs, "theirs");
    gate.open();
    let late = late.wait().expect_code(2);
    let said = late.normal_stderr();
    let (_, said) = said.split_once("error: ").unwrap();
    let kept = lab.git(
        &certs.folder,
        &["for-each-ref", "--format=%(refname)", "refs/git-certs/kept"],
    );
    let (told, hints) = said.split_once("hint: ").unwrap();
    // Ids are left out of what is compared.
    assert_eq!(
        told.split_once("`, ").unwrap().1,
        "is not to be trusted: the commit is not signed\n  \
         caused by: our commits cannot be re-applied\n"
    );
    let fetch = "hint: they are kept: `git fetch origin refs/git-certs/kept/";
    assert!(hints.starts_with("`git show` says what it changes") && hints.contains(fetch));
    assert!(kept.stdout.starts_with("refs/git-certs/kept/"), "{kept:?}");
    assert_eq!(certs.subjects(lab)[0], "theirs");
}

/// What is not a certificate does not matter before the push.
#[test]
fn a_push_of_something_else_meanwhile_does_not_matter() {
    let nightly = nightly(WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    let gate = Gate::new(lab);
    let late = gate.at("before journal begins", nightly.command(&["renew"]));
    let late = late.spawn();
    gate.wait();
    crate::support::repos::Files::default()
        .with("notes", "theirs\n")
        .commit(lab, certs, "theirs");
    gate.open();
    let late = late.wait().expect_code(0);
    assert!(!late.stderr.contains("looking again"), "{late:?}");
    nightly.assert_valid("www");
    assert_eq!(
        certs.subjects(lab),
        [
            "Issue www: not in the repository",
            "Register an ACME account at acme.test",
            "theirs",
            "files of the test",
        ]
    );
}

#[test]
fn a_checkout_that_another_run_has_overtaken_is_told_so() {
    let nightly = nightly(WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    let folder = lab.folder().join("mine");
    let url = certs.url(Transport::Path);
    let home = lab.folder().join("home");
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    let gate = Gate::new(lab);
    // The trial push is over by then.
    let late = nightly
        .command(&["renew"])
        .env("GIT_CERTS_REPO", "")
        .folder(&folder);
    let late = gate.at("before journal begins", late).spawn();
    gate.wait();
    nightly.renew().expect_code(0);
    gate.open();
    let late = late.wait().expect_code(2);
    let said = late.normal_stderr();
    assert_eq!(
        &said[said.find("error: ").unwrap()..],
        "error: this checkout is behind `main` of `[LAB]/git/certs.git`, where certificates have changed\n\
         hint: `git pull --rebase`, then run again: what is due here may be renewed there\n"
    );
    assert_eq!(late.stdout, "");
    assert_eq!(orders(lab), 1);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
}

/// A plain client of git: commits and pushes, and pulls where another push came first. Returns how often.
fn push_by_git(lab: &Lab, certs: &Remote, url: &str, name: &str) -> usize {
    let folder = lab.folder().join(format!("writer-{name}"));
    let home = lab.folder().join("home");
    lab.git(&home, &["clone", "--quiet", url, folder.to_str().unwrap()]);
    let mut races = 0;
    for number in 1..=PUSHES {
        fs::write(folder.join(format!("{name}-{number}")), name).unwrap();
        lab.git(&folder, &["add", "--all"]);
        let message = format!("{name} {number}");
        lab.git(&folder, &["commit", "--quiet", "--message", &message]);
        while !push(lab, &folder) {
            races += 1;
            assert!(races < 500, "{name} never comes through: {certs:?}");
            lab.git(&folder, &["pull", "--quiet", "--rebase", "origin", "main"]);
        }
    }
    races
}

fn push(lab: &Lab, folder: &Path) -> bool {
    let push = ["push", "--quiet", "origin", "HEAD:main"];
    let command = lab.command("git").args(push).folder(folder);
    let output = command.env("GIT_SSL_CAINFO", lab.ca()).run();
    output.status.success()
}

/// Runs until it has done its work, as a nightly job would on the next nights.
fn run_to_the_end(command: &Command) {
    for _ in 1..100 {
        let output = command.run();
        if output.status.code() == Some(0) {
            return;
        }
        assert!(
            output.stderr.contains("error: another run is at work: lab"),
            "{output:?}"
        );
        thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("it never came to its turn");
}

/// Four runs and four plain clients of git push to one branch; over all transports.
fn eight_writers(args: &[&str]) {
    let nightly = nightly(FOUR);
    let Nightly { lab, certs, .. } = &nightly;
    nightly
        .command(&["account", "register"])
        .run()
        .expect_code(0);
    let ways = [
        Transport::Path,
        Transport::Https,
        Transport::Ssh,
        Transport::Https,
    ];
    let races = thread::scope(|scope| {
        let runs: Vec<_> = FOUR
            .iter()
            .zip(ways)
            .map(|((name, _), way)| {
                let words = [&["renew", "--only", name], args].concat();
                let command = nightly.command(&words);
                let command = command.env("GIT_CERTS_REPO", certs.url(way));
                scope.spawn(move || run_to_the_end(&command))
            })
            .collect();
        let clients: Vec<_> = ["one", "two", "three", "four"]
            .into_iter()
            .zip(ways)
            .map(|(name, way)| scope.spawn(move || push_by_git(lab, certs, &certs.url(way), name)))
            .collect();
        for run in runs {
            run.join().unwrap();
        }
        let races = clients.into_iter().map(|client| client.join().unwrap());
        races.sum::<usize>()
    });
    assert!(races > 0, "nobody was in anybody's way");
    for (name, _) in FOUR {
        nightly.assert_valid(name);
    }
    let subjects: BTreeSet<_> = certs.subjects(lab).into_iter().collect();
    let expected = ["one", "two", "three", "four"]
        .into_iter()
        .flat_map(|name| (1..=PUSHES).map(move |number| format!("{name} {number}")))
        .chain(
            FOUR.iter()
                .map(|(name, _)| format!("Issue {name}: not in the repository")),
        )
        .chain([
            "Register an ACME account at acme.test".to_owned(),
            "files of the test".to_owned(),
        ]);
    assert_eq!(subjects, expected.collect());
    assert_eq!(certs.subjects(lab).len(), subjects.len());
    let files: BTreeSet<_> = certs.files(lab).into_iter().collect();
    for name in ["one", "two", "three", "four"] {
        for number in 1..=PUSHES {
            assert!(files.contains(&format!("{name}-{number}")), "{files:?}");
        }
    }
    let merges = lab.git(&certs.folder, &["rev-list", "--merges", "--count", "main"]);
    assert_eq!(merges.stdout, "0\n");
    lab.git(&certs.folder, &["fsck", "--strict"]);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(orders(lab), FOUR.len());
    assert_eq!(lab.challenges().len(), 0);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn eight_writers_lose_nothing() {
    eight_writers(&[]);
}

#[test]
fn eight_writers_without_a_lock_lose_nothing() {
    eight_writers(&["--journal", "off"]);
}
