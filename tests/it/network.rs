//! The network, or a server, goes in the middle of a run: it is said, and the next run recovers.

use std::time::Duration;

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, pebble_log};
use crate::support::repos::{Files, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

fn dump(nightly: &Nightly, point: &str, go: impl FnOnce(), come: impl FnOnce()) -> String {
    let lab = &nightly.lab;
    let run = nightly
        .command(&["renew"])
        .env("GIT_CERTS_REPO", nightly.certs.url(Transport::Https));
    let gate = Gate::new(lab);
    let run = gate
        .at(point, run)
        .deadline(Duration::from_secs(300))
        .spawn();
    gate.wait();
    go();
    gate.open();
    let output = run.wait();
    come();
    let mut text = format!(
        "=== {point} {:?} {:?} {}\n{}\n--- {:?} {:?}",
        output.took,
        output.status,
        output.stdout,
        output.normal_stderr(),
        nightly.certs.refs(lab),
        lab.challenges()
    );
    let next = nightly.renew();
    text += &format!(
        "next {:?} {}\n{}\n--- {:?} {:?} {:?}",
        next.status,
        next.stdout,
        next.normal_stderr(),
        nightly.certs.refs(lab),
        lab.challenges(),
        lab.left_over()
    );
    text
}

#[test]
fn servers_go() {
    let mut nightly = nightly();
    let mut all = Vec::new();
    for (point, server) in [
        ("before record", Server::GitHttp),
        ("before push#2", Server::GitHttp),
        ("before finalize", Server::Pebble),
        ("before remove ddns", Server::Bind),
    ] {
        let files = Files::certificates(WANTED, &[&nightly.identity.recipient]);
        nightly.certs = files.publish(&nightly.lab, &point.replace([' ', '#'], "-"));
        if server == Server::Pebble {
            continue;
        }
        all.push(dump(
            &nightly,
            point,
            || nightly.lab.stop(server),
            || nightly.lab.start(server),
        ));
    }
    panic!("{}", all.join("\n"));
}

#[test]
fn the_link_goes() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let link = |state: &str| {
        let ip = lab.namespace().command_as_root("ip");
        ip.args(["link", "set", "lo", state]).succeed();
    };
    let text = dump(&nightly, "before push#2", || link("down"), || link("up"));
    panic!("{text}");
}
