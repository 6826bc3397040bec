//! The network goes in the middle of a run.

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, pebble_log};
use crate::support::repos::Transport;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

#[test]
fn the_link_goes() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let link = |state: &str| {
        let ip = lab.namespace().command_as_root("ip");
        ip.args(["link", "set", "lo", state]).succeed();
    };
    let mut all = Vec::new();
    for point in [
        "after journal begins",
        "before record",
        "after record",
        "seen",
        "before finalize",
        "before push#2",
        "before remove ddns",
        "before journal ends",
    ] {
        let run = nightly
            .command(&["renew", "--renew", "1000"])
            .env("GIT_CERTS_REPO", nightly.certs.url(Transport::Https));
        let gate = Gate::new(lab);
        let run = gate.at(point, run).spawn();
        gate.wait();
        link("down");
        gate.open();
        let output = run.wait();
        link("up");
        all.push(format!(
            "=== {point} {:?} {:?} {}\n{}\n--- {:?} {:?}",
            output.took,
            output.status,
            output.stdout,
            output.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges()
        ));
        let next = nightly.renew();
        all.push(format!(
            "next {:?} {}\n{}\n--- {:?} {:?} {:?}",
            next.status,
            next.stdout,
            next.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges(),
            lab.left_over()
        ));
    }
    panic!("{}", all.join("\n"));
}
