//! The network, or a server, goes in the middle of a run: it is said, and the next run recovers.

use std::time::Duration;

use pretty_assertions::assert_eq;
use regex::Regex;

use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, orders, pebble_log, wait_until};
use crate::support::repos::Transport;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// As long as this a run may try to reach servers that do not answer.
const PATIENCE: Duration = Duration::from_mins(5);

const FROM_THE_JOURNAL: &str = "1 certificate not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it\n";

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

/// A run that clones over HTTPS, and what goes when it is at a point.
fn when_at(nightly: &Nightly, point: &str, go: impl FnOnce()) -> Output {
    let run = nightly
        .command(&["renew"])
        .env("GIT_CERTS_REPO", nightly.certs.url(Transport::Https))
        .deadline(PATIENCE);
    let gate = Gate::new(&nightly.lab);
    let run = gate.at(point, run).spawn();
    gate.wait();
    go();
    gate.open();
    run.wait()
}

/// All that a run says after its steps.
#[track_caller]
fn assert_ends(output: &Output, code: i32, end: &str) {
    let said = output.normal_stderr();
    let value = Regex::new(r#"TXT "[A-Za-z0-9_-]{43}""#).unwrap();
    let said = value.replace_all(&said, "TXT \"[VALUE]\"");
    let steps = said
        .split_inclusive('\n')
        .take_while(|line| !line.starts_with("error: ") && !line.starts_with("1 certificate "));
    let steps: usize = steps.map(str::len).sum();
    assert_eq!(&said[steps..], end, "{output:?}");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// The next run brings it to a good end, with so many orders in all.
#[track_caller]
fn assert_recovers(nightly: &Nightly, placed: usize) {
    let lab = &nightly.lab;
    let next = nightly.renew().expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(orders(lab), placed, "{next:?}");
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"], "{next:?}");
    assert_eq!(lab.challenges().len(), 0, "{next:?}");
    assert_eq!(lab.left_over().len(), 0);
}

const UNREACHABLE: &str = "\
cannot push to `https://git.test/certs.git`: the server cannot be reached
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
";

const STAYS: &str = "hint: the next run takes it over; `git-certs unlock` lets it do so at once\n";

const REACH_IT: &str =
    "hint: check the address, and that this machine reaches it: a firewall, a proxy\n";

#[test]
fn the_git_server_goes_before_anything_is_written() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let output = when_at(&nightly, "before record", || lab.stop(Server::GitHttp));
    assert_ends(
        &output,
        1,
        &format!(
            "error: cannot issue `www`\n  \
             caused by: cannot write the journal, without which nothing is proven\n  \
             caused by: {UNREACHABLE}{REACH_IT}\
             error: cannot end the journal\n  \
             caused by: {UNREACHABLE}{STAYS}{REACH_IT}"
        ),
    );
    assert_eq!(lab.challenges().len(), 0);
    lab.start(Server::GitHttp);
    assert_recovers(&nightly, 2);
}

#[test]
fn the_git_server_goes_before_the_push() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let output = when_at(&nightly, "before push#2", || lab.stop(Server::GitHttp));
    assert_ends(
        &output,
        2,
        &format!(
            "{FROM_THE_JOURNAL}\
             error: cannot end the journal\n  caused by: {UNREACHABLE}{STAYS}{REACH_IT}\
             error: {UNREACHABLE}{REACH_IT}"
        ),
    );
    assert_eq!(lab.challenges().len(), 0);
    lab.start(Server::GitHttp);
    assert_recovers(&nightly, 1);
}

#[test]
fn the_name_server_goes_before_the_sweep() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let output = when_at(&nightly, "before remove ddns", || lab.stop(Server::Bind));
    assert_ends(
        &output,
        1,
        "error: cannot withdraw challenges from zone `bench.test` at `ddns`:\n    \
         _acme-challenge.www.bench.test TXT \"[VALUE]\"\n  \
         caused by: cannot change zone `bench.test` at `192.0.2.2:53` (RFC 2136, `creds.json` entry `ddns`)\n  \
         caused by: cannot connect to `192.0.2.2:53` by TCP\n  \
         caused by: Connection refused\n\
         hint: remove what is there of them by hand; they do no harm to certificates\n\
         hint: the server must run and take TCP; check its address in `creds.json`\n",
    );
    lab.start(Server::Bind);
    assert_eq!(lab.challenges().len(), 1);
    assert_recovers(&nightly, 1);
}

/// The CA does not answer any more, and CI cancels the run.
#[test]
fn the_ca_goes_silent_before_it_issues() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate
        .at("before finalize", nightly.command(&["renew"]))
        .spawn();
    gate.wait();
    let silent = lab.pause(Server::Pebble);
    gate.open();
    run.signal("TERM");
    let output = run.wait();
    assert_ends(
        &output,
        1,
        "error: cannot issue `www`\n  caused by: stopped by a signal\n",
    );
    assert_eq!(lab.challenges().len(), 0);
    assert_eq!(
        nightly.certs.refs(lab),
        ["refs/git-certs/journal", "refs/heads/main"]
    );
    drop(silent);
    // What was asked of it is done now.
    wait_until(lab, "the certificate", || {
        pebble_log(lab).contains("Issued certificate serial")
    });
    assert_recovers(&nightly, 1);
}

/// Nothing answers any more, not even with a refusal.
#[test]
fn the_link_goes_before_the_journal_is_ended() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let link = |state: &str| {
        let ip = lab.namespace().command_as_root("ip");
        ip.args(["link", "set", "lo", state]).succeed();
    };
    let mut output = when_at(&nightly, "before journal ends", || link("down"));
    link("up");
    assert!(
        output
            .stdout
            .ends_with("1 issued, 0 failed, 0 up to date\npushed 1 commit to `main`\n"),
        "{output:?}"
    );
    // Whether a connection was open still depends on how long the run took.
    let connects = "tcp connect error\n  caused by: deadline has elapsed";
    output.stderr = output.stderr.replace("operation timed out", connects);
    let unreachable = UNREACHABLE.replace("Connection refused", "deadline has elapsed");
    assert_ends(
        &output,
        1,
        &format!("error: cannot end the journal\n  caused by: {unreachable}{STAYS}{REACH_IT}"),
    );
    assert_recovers(&nightly, 1);
}
