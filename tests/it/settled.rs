//! Orders of killed runs that are gone on with only where something good comes of them.

use std::os::unix::process::ExitStatusExt;

use pretty_assertions::assert_eq;

use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, at, orders};
use crate::support::repos::Files;
use crate::support::zones::{ZONES, Zone};

fn killed(nightly: &Nightly, point: &str, words: &[&str]) {
    let killed = at(point, "KILL", nightly.command(words)).run();
    assert_eq!(killed.status.signal(), Some(9), "`{point}`: {killed:?}");
}

fn public_key(nightly: &Nightly) -> String {
    let show = nightly.lab.command("openssl");
    let show = show.args(["x509", "-noout", "-pubkey"]);
    show.stdin(nightly.chain("www")).succeed().stdout
}

/// Killed after its push, before its journal ends: the order has led to what is there.
#[test]
fn a_revoked_certificate_does_not_come_back_from_the_journal() {
    for how in ["later", "at once", "forced"] {
        let lab = Lab::builder().bind().pebble().start();
        let nightly = Nightly::new(lab, &[("www", &["www.bench.test"])]);
        killed(&nightly, "after push#2", &["renew"]);
        let before = public_key(&nightly);
        let revoke = ["revoke", "www", "--reason", "keyCompromise", "--yes"];
        let revoke = |more: &[&str]| {
            let words = [&revoke[..], more].concat();
            nightly.command(&words).run().expect_code(0)
        };
        let renew: &[&str] = match how {
            "later" => {
                revoke(&[]);
                &["renew"]
            }
            "at once" => {
                revoke(&["--renew-now"]);
                &["renew"]
            }
            _ => &["renew", "--renew", "1000"],
        };
        let said = nightly.command(renew).run().expect_code(0);
        assert!(!said.stderr.contains("going on with"), "{how}: {said:?}");
        assert_eq!(orders(&nightly.lab), 2, "{how}: {said:?}");
        assert_ne!(public_key(&nightly), before, "{how}: {said:?}");
        nightly.assert_valid("www");
        let refs = nightly.certs.refs(&nightly.lab);
        assert_eq!(refs, ["refs/heads/main"], "{how}");
    }
}

/// Whoever may write the journal alone puts an old one back.
#[test]
fn an_order_from_before_the_certificate_is_of_no_use() {
    let lab = Lab::builder().bind().pebble().start();
    let nightly = Nightly::new(lab, &[("www", &["www.bench.test"])]);
    let (lab, certs) = (&nightly.lab, &nightly.certs);
    killed(&nightly, "after push#2", &["renew"]);
    let before = public_key(&nightly);
    let journal = "refs/git-certs/journal";
    let old = lab.git(&certs.folder, &["rev-parse", journal]).stdout;
    let revoke = ["revoke", "www", "--reason", "keyCompromise", "--yes"];
    nightly.command(&revoke).run().expect_code(0);
    nightly.renew().expect_code(0);
    lab.git(&certs.folder, &["update-ref", journal, old.trim()]);
    let said = nightly.command(&["renew", "--renew", "1000"]).run();
    let said = said.expect_code(0);
    assert!(!said.stderr.contains("going on with"), "{said:?}");
    assert_ne!(public_key(&nightly), before, "{said:?}");
}

#[test]
fn the_order_of_a_name_that_lost_its_zone_waits_for_it() {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, &[("www", &["www.example.test"])]);
    let lab = &nightly.lab;
    killed(&nightly, "before commit", &["renew"]);
    let zones = ZONES.iter().filter(|zone| zone.name != "example.test");
    let zones: Vec<_> = zones.map(Zone::declaration).collect();
    Files::dns_of(&zones.join("\n")).commit(lab, &nightly.dns, "without a zone");
    let failed = nightly.renew().expect_code(2);
    assert!(failed.stderr.contains("is in no zone"), "{failed:?}");
    Files::dns().commit(lab, &nightly.dns, "all zones");
    let said = nightly.renew().expect_code(0);
    assert!(said.stderr.contains("going on with"), "{said:?}");
    assert_eq!(orders(lab), 1, "{said:?}");
    nightly.assert_valid("www");
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert!(lab.challenges().is_empty(), "{said:?}");
}
