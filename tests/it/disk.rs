//! Disks that are full or cannot be written to: it is said, nothing is lost, and the next run recovers.

use std::path::PathBuf;

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::disk::Disk;
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly, pebble_log};
use crate::support::repos::Transport;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

fn orders(lab: &Lab) -> usize {
    pebble_log(lab).matches("Added order").count()
}

fn temporary(lab: &Lab) -> PathBuf {
    lab.folder().join("tmp")
}

/// From the first word on, to the end.
fn from(word: &str, output: &Output) -> String {
    let said = output.normal_stderr();
    let at = said.find(word).unwrap_or_else(|| panic!("{output:?}"));
    said[at..].to_owned()
}

/// Runs it, and does something when it is at a point.
fn at<T>(nightly: &Nightly, point: &str, run: Command, act: impl FnOnce() -> T) -> Output {
    let gate = Gate::new(&nightly.lab);
    let run = gate.at(point, run).spawn();
    gate.wait();
    act();
    gate.open();
    run.wait()
}

/// The next run brings it to a good end with the order of the first; nothing is left anywhere.
fn assert_recovers(nightly: &Nightly, placed: usize) {
    let lab = &nightly.lab;
    let next = nightly.renew().expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(orders(lab), placed, "{next:?}");
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"], "{next:?}");
    assert_eq!(lab.challenges().len(), 0, "{next:?}");
}

#[test]
fn no_room_for_temporary_files() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &temporary(lab), 2);
    disk.fill();
    let output = nightly.renew().expect_code(2);
    assert_eq!(output.normal_stderr(), "?");
}

#[test]
fn temporary_files_cannot_be_written() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &temporary(lab), 2);
    disk.make_read_only();
    let output = nightly.renew().expect_code(2);
    assert_eq!(output.normal_stderr(), "?");
}

#[test]
fn room_for_temporary_files_ends_in_the_middle() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &temporary(lab), 2);
    let mut all = Vec::new();
    for point in [
        "after journal begins",
        "before record",
        "seen",
        "before commit",
        "before push#2",
        "before journal ends",
    ] {
        let output = at(
            &nightly,
            point,
            nightly.command(&["renew", "--renew", "1000"]),
            || disk.fill(),
        );
        all.push(format!(
            "=== {point} {:?} {}\n{}\n--- {:?} {:?}",
            output.status,
            output.stdout,
            output.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges()
        ));
        disk.free();
        let next = nightly.renew();
        all.push(format!(
            "next {:?} {}\n{}\n--- {:?} {:?} {:?}",
            next.status,
            next.stdout,
            next.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges(),
            disk.names()
        ));
    }
    panic!("{}", all.join("\n"));
}

#[test]
fn a_checkout_that_cannot_be_written() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let home = lab.folder().join("home");
    let mine = home.join("mine");
    lab.git(
        &home,
        &[
            "clone",
            "--quiet",
            &nightly.certs.url(Transport::Path),
            mine.to_str().unwrap(),
        ],
    );
    let disk = Disk::mount(lab, &mine, 2);
    let run = || {
        nightly
            .command(&["renew", "--renew", "1000"])
            .env("GIT_CERTS_REPO", "")
            .folder(&mine)
    };
    disk.make_read_only();
    let output = run().run();
    let mut all = vec![format!(
        "=== {:?} {}\n{}\n--- {:?} {:?} {}",
        output.status,
        output.stdout,
        output.normal_stderr(),
        nightly.certs.refs(lab),
        lab.challenges(),
        orders(lab)
    )];
    disk.make_writable();
    for point in ["looked", "before commit", "before files", "before files#2"] {
        let output = at(&nightly, point, run(), || disk.fill());
        all.push(format!(
            "=== {point} {:?} {}\n{}\n--- {:?} {:?}",
            output.status,
            output.stdout,
            output.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges()
        ));
        disk.free();
        let next = run().run();
        all.push(format!(
            "next {:?} {}\n{}\n--- {:?} {:?} {:?}",
            next.status,
            next.stdout,
            next.normal_stderr(),
            nightly.certs.refs(lab),
            lab.challenges(),
            disk.names()
        ));
    }
    panic!("{}", all.join("\n"));
}

#[test]
fn the_server_s_disk_is_full() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &nightly.certs.folder, 2);
    let mut all = Vec::new();
    for point in [
        "planned",
        "before push",
        "before record",
        "before push#2",
        "before journal ends",
    ] {
        for way in [Transport::Path, Transport::Https] {
            let run = nightly
                .command(&["renew", "--renew", "1000"])
                .env("GIT_CERTS_REPO", nightly.certs.url(way));
            let output = at(&nightly, point, run, || disk.fill());
            all.push(format!(
                "=== {point} {:?} {}\n{}\n--- {:?}",
                output.status,
                output.stdout,
                output.normal_stderr(),
                lab.challenges()
            ));
            disk.free();
            let next = nightly.renew();
            all.push(format!(
                "next {:?} {}\n{}\n--- {:?} {:?}",
                next.status,
                next.stdout,
                next.normal_stderr(),
                lab.challenges(),
                disk.names()
            ));
        }
    }
    panic!("{}", all.join("\n"));
}
