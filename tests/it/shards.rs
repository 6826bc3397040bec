//! Several runs share the certificates of one repository.

use std::collections::BTreeSet;
use std::thread;

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::more_zones;
use crate::support::nightly::{Nightly, orders};
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
    (nightly, zones, names.into_iter().map(|(name, _)| name).collect())
}

fn shard(nightly: &Nightly, shard: &str) -> Command {
    nightly
        .command(&["renew", "--shard", shard])
        .env("GIT_CERTS_KEY_TYPE", "p256")
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
    let matrix: serde_json::Value = serde_json::from_str(&plan.expect_code(0).stdout).unwrap();
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
