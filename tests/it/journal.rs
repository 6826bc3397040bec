//! Runs that are killed, and what the next run makes of it.

use std::fmt::Debug;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::lab::{AgeIdentity, Lab};
use crate::support::nightly::{Gate, assert_valid, at, pebble_log, wait_until};
use crate::support::pebble;
use crate::support::repos::{Files, Remote, Transport, variables};

const WANTED: &[(&str, &[&str])] = &[
    ("wildcard", &["example.test", "*.example.test"]),
    ("mail", &["mail.pdns.test", "smtp.pdns.test"]),
];

/// Before the CA knows of anything that can be lost.
const EARLY: &[&str] = &[
    "planned",
    "before directory",
    "after directory",
    "before journal begins",
    "after journal begins",
    "looked",
    "before newAccount",
    "after newAccount",
    "before push",
    "after push",
    "before newOrder",
    "before newOrder#2",
    "after newOrder",
    "after newOrder#2",
    "before authorization",
    "before authorization#3",
    "after authorization",
    "after authorization#4",
    "before record",
];

/// With orders, keys and values in the journal.
const NOTED: &[&str] = &[
    "after record",
    "before add ddns",
    "after add ddns",
    "before add powerdns",
    "before add powerdns#2",
    "after add powerdns",
    "after add powerdns#2",
    "seen",
    "seen#2",
    "before challenge",
    "before challenge#4",
    "after challenge",
    "after challenge#4",
    "before order",
    "after order",
    "before finalize",
    "after finalize",
    "before finalize#2",
    "after finalize#2",
    "before certificate",
    "after certificate",
    "before certificate#2",
    "after certificate#2",
    "before commit",
    "before commit#2",
    "before push#2",
    "after push#2",
    "before remove ddns",
    "after remove ddns",
    "before remove powerdns#2",
    "after remove powerdns#2",
    "before journal ends",
    "after journal ends",
];

/// A signal and the point where it comes.
const SIGNALLED: &[(&str, &str)] = &[
    ("planned", "INT"),
    ("after journal begins", "TERM"),
    ("looked", "HUP"),
    ("after newAccount", "INT"),
    ("before push", "TERM"),
    ("after newOrder#2", "HUP"),
    ("before record", "INT"),
    ("after record", "TERM"),
    ("after add ddns", "HUP"),
    ("before add powerdns#2", "INT"),
    ("seen", "TERM"),
    ("after challenge", "HUP"),
    ("after finalize", "INT"),
    ("before certificate#2", "TERM"),
    ("before commit#2", "HUP"),
    ("before push#2", "INT"),
    ("before remove ddns", "TERM"),
    ("after remove powerdns#2", "HUP"),
    ("before journal ends", "INT"),
];

#[test]
fn a_run_that_is_killed_early_leaves_nothing() {
    Rig::new().survives_all(EARLY, |_| true);
}

#[test]
fn a_run_that_is_killed_at_work_is_gone_on_with() {
    Rig::new().survives_all(NOTED, |placed| placed == 2);
}

#[test]
fn a_run_that_is_signalled_sweeps_and_is_gone_on_with() {
    let rig = Rig::new();
    for (point, signal) in SIGNALLED {
        let certs = rig.certs(&point.replace([' ', '#'], "-"));
        let signalled = at(point, signal, rig.renew(&certs)).run();
        let code = signalled.status.code();
        assert!(
            matches!(code, Some(0..=2)),
            "`{point}`: {code:?}: {signalled:?}"
        );
        rig.assert_swept(point, &certs, &signalled);
        rig.next_is_good(point, &certs);
    }
}

/// The terminal goes: SIGHUP comes, and nothing can be said any more.
#[test]
fn a_run_that_loses_its_terminal_sweeps_and_is_gone_on_with() {
    let rig = Rig::new();
    let lab = &rig.lab;
    for point in ["looked", "after add powerdns", "seen", "before push#2"] {
        let certs = rig.certs(&point.replace([' ', '#'], "-"));
        let gate = Gate::new(lab);
        let line = format!("exec {} renew", env!("CARGO_BIN_EXE_git-certs"));
        let script = lab.command("script");
        let script = script.args(["--quiet", "--command", &line, "/dev/null"]);
        let script = variables(lab)
            .into_iter()
            .fold(script, |script, (name, value)| script.env(name, value));
        let terminal = gate.at(point, rig.set_up(script, &certs)).spawn();
        gate.wait();
        terminal.signal("KILL");
        terminal.wait();
        gate.open();
        wait_until(lab, "the end of the run", || lab.left_over().is_empty());
        rig.assert_swept(point, &certs, &"on a terminal");
        rig.next_is_good(point, &certs);
    }
}

struct Rig {
    lab: Lab,
    identity: AgeIdentity,
    dns: Remote,
}

impl Rig {
    fn new() -> Self {
        let lab = Lab::builder().all().start();
        Self {
            identity: lab.age_identity("identity"),
            dns: Files::dns().publish(&lab, "dns"),
            lab,
        }
    }

    fn certs(&self, name: &str) -> Remote {
        Files::certificates(WANTED, &[&self.identity.recipient]).publish(&self.lab, name)
    }

    fn renew(&self, certs: &Remote) -> Command {
        self.set_up(self.lab.git_certs(["renew"]), certs)
    }

    fn set_up(&self, command: Command, certs: &Remote) -> Command {
        command
            .env("GIT_CERTS_CA_BUNDLE", self.lab.ca())
            .env("GIT_CERTS_ACME", pebble::DIRECTORY)
            .env("GIT_CERTS_AGREE_TOS", "true")
            .env("GIT_CERTS_REPO", certs.url(Transport::Path))
            .env("GIT_CERTS_DNS_REPO", self.dns.url(Transport::Path))
            .env("GIT_CERTS_AGE_KEY_FILE", &self.identity.file)
    }

    /// Tries every point, and fails with all that went wrong.
    fn survives_all(&self, points: &[&str], is_right: impl Fn(usize) -> bool) {
        let mut failed = Vec::new();
        for point in points {
            match catch_unwind(AssertUnwindSafe(|| self.survives(point))) {
                Ok(placed) if is_right(placed) => {}
                Ok(placed) => failed.push(format!("`{point}`: {placed} orders")),
                Err(_) => failed.push(format!("`{point}`: see above")),
            }
        }
        assert_eq!(failed, Vec::<String>::new());
    }

    /// Kills a run at a point; the next one brings everything to a good end. Returns how many orders the two
    /// placed together.
    fn survives(&self, point: &str) -> usize {
        let certs = self.certs(&point.replace([' ', '#'], "-"));
        let placed = self.placed();
        let killed = at(point, "KILL", self.renew(&certs)).run();
        assert_eq!(
            killed.status.signal(),
            Some(9),
            "`{point}` is not reached: {killed:?}"
        );
        self.next_is_good(point, &certs);
        self.placed() - placed
    }

    /// The next run brings everything to a good end, and then nothing is left to do.
    fn next_is_good(&self, point: &str, certs: &Remote) {
        let next = self.renew(certs).run().expect_code(0);
        self.assert_good(point, certs, &next);
        let again = self.renew(certs).run().expect_code(0);
        assert!(
            again.stdout.starts_with("nothing is due: 2 up to date"),
            "`{point}`: {again:?}"
        );
        assert_eq!(self.lab.left_over().len(), 0, "`{point}`");
    }

    /// What a run leaves that had time for an end: at most a journal.
    fn assert_swept(&self, point: &str, certs: &Remote, run: &dyn Debug) {
        let refs = certs.refs(&self.lab);
        assert!(
            refs == ["refs/heads/main"] || refs == ["refs/git-certs/journal", "refs/heads/main"],
            "`{point}`: {refs:?}: {run:?}"
        );
        assert_eq!(self.lab.challenges().len(), 0, "`{point}`: {run:?}");
        assert_eq!(self.lab.left_over().len(), 0, "`{point}`: {run:?}");
    }

    fn assert_good(&self, point: &str, certs: &Remote, next: &Output) {
        let lab = &self.lab;
        for (name, _) in WANTED {
            let show =
                |ending: &str| certs.show(lab, &format!("certificates/{name}/{name}.{ending}"));
            assert_valid(lab, &show("crt"), &show("key.age"), &self.identity);
        }
        assert_eq!(certs.refs(lab), ["refs/heads/main"], "`{point}`: {next:?}");
        assert_eq!(lab.challenges().len(), 0, "`{point}`: {next:?}");
        let merges = lab.git(&certs.folder, &["rev-list", "--merges", "--count", "main"]);
        assert_eq!(merges.stdout.trim(), "0", "`{point}`");
        assert_eq!(certs.subjects(lab).len(), 4, "`{point}`: {next:?}");
    }

    /// Orders that Pebble has taken.
    fn placed(&self) -> usize {
        let log = pebble_log(&self.lab);
        log.lines()
            .filter(|line| line.contains("Added order"))
            .count()
    }
}
