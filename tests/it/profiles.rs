//! Profiles and preferred chains, on Pebble.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::pebble;

const DAY: u32 = 24 * 60 * 60;

/// One list of certificates, at a CA with two profiles and three roots.
fn nightly(certificates: &serde_json::Value) -> Nightly {
    let settings = pebble::Settings {
        profiles: vec![("classic", 90 * DAY), ("shortlived", 6 * DAY)],
        alternate_roots: 2,
        ..pebble::Settings::default()
    };
    let lab = Lab::builder().bind().pebble_with(settings).start();
    Nightly::with(lab, &[], |files, _| {
        files.with("certs.json", &certificates.to_string())
    })
}

/// Whole days from the first to the last day of a certificate.
fn lifetime(nightly: &Nightly, name: &str) -> i64 {
    let path = format!("certificates/{name}/{name}.json");
    let value: serde_json::Value =
        serde_json::from_str(&nightly.certs.show(&nightly.lab, &path)).unwrap();
    let moment = |field: &str| {
        let text = value[field].as_str().unwrap();
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    let lifetime = moment("not_after") - moment("not_before") + time::Duration::SECOND;
    lifetime.whole_days()
}

#[test]
fn a_profile_is_asked_for_where_the_ca_has_it() {
    let nightly = nightly(&json!([
        {"cert_name": "required", "names": ["a.bench.test"], "required_profile": "shortlived"},
        {"cert_name": "preferred", "names": ["b.bench.test"], "preferred_profile": "classic"},
        {"cert_name": "unknown", "names": ["c.bench.test"], "preferred_profile": "tlsserver"},
        {"cert_name": "default", "names": ["d.bench.test"]},
        {"cert_name": "missing", "names": ["e.bench.test"], "required_profile": "tlsserver"},
    ]));
    let output = nightly
        .command(&["renew", "--preferred-profile", "shortlived"])
        .run()
        .expect_code(1);
    assert!(
        output.stderr.contains(
            "error: cannot issue `missing`\n  caused by: the CA does not have the profile `tlsserver`\n\
             hint: it has `classic`, `shortlived`\n"
        ),
        "{}",
        output.stderr
    );
    let warning = "warning: certificate `unknown`: the CA does not have the profile `tlsserver`: it is issued as the CA does \
                   without one\n";
    assert_eq!(output.stderr.matches("warning: ").count(), 1, "{output:?}");
    assert!(output.stderr.contains(warning), "{}", output.stderr);
    assert!(
        output.stdout.contains("4 issued, 1 failed"),
        "{}",
        output.stdout
    );
    assert_eq!(lifetime(&nightly, "required"), 6);
    assert_eq!(lifetime(&nightly, "preferred"), 90);
    assert_eq!(lifetime(&nightly, "default"), 6);
    let described = nightly
        .certs
        .show(&nightly.lab, "certificates/required/required.json");
    assert!(
        described.contains("\"profile\": \"shortlived\""),
        "{described}"
    );
    let unknown = nightly
        .certs
        .show(&nightly.lab, "certificates/unknown/unknown.json");
    assert!(!unknown.contains("\"profile\""), "{unknown}");
}

#[test]
fn a_profile_that_nothing_can_be_issued_without_is_said() {
    let nightly = nightly(&json!([{"cert_name": "a", "names": ["a.bench.test"]}]));
    for option in ["--dry-run=true", "--dry-run=false"] {
        let renew = ["renew", "--required-profile", "tlsserver", option];
        let output = nightly.command(&renew).run();
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        let error = "error: cannot issue `a`\n  caused by: the CA does not have the profile `tlsserver`\n\
                     hint: it has `classic`, `shortlived`\n";
        assert!(output.stderr.contains(error), "{}", output.stderr);
        for empty in ["ordered 0", "issued 0"] {
            assert!(!output.stderr.contains(empty), "{}", output.stderr);
        }
        let preferred = ["renew", "--preferred-profile", "tlsserver", "--dry-run"];
        let output = nightly.command(&preferred).run().expect_code(0);
        let warning = "warning: certificate `a`: the CA does not have the profile `tlsserver`: it is issued as the CA does \
                       without one\n";
        assert!(output.stderr.contains(warning), "{}", output.stderr);
    }
}

#[test]
fn the_preferred_chain_is_taken_where_the_ca_has_it() {
    let nightly = nightly(&json!([
        {"cert_name": "a", "names": ["a.bench.test"]},
    ]));
    let Nightly { lab, certs, .. } = &nightly;
    let name_of = |number: u8| {
        let root = pebble::root(lab.namespace(), number);
        let subject = lab
            .command("openssl")
            .args(["x509", "-noout", "-subject", "-nameopt", "multiline"])
            .stdin(root)
            .succeed()
            .stdout;
        let (_, name) = subject.trim().rsplit_once("= ").unwrap();
        name.to_owned()
    };
    for number in [2, 0, 1] {
        let root = name_of(number);
        nightly
            .command(&["renew", "--renew", "1000", "--preferred-chain", &root])
            .run()
            .expect_code(0);
        let write = |name: &str, text: &str| lab.namespace().write(&format!("check/{name}"), text);
        let anchor = write("root.pem", &pebble::root(lab.namespace(), number));
        let chain = write("chain.pem", &certs.show(lab, "certificates/a/a.crt"));
        lab.command("openssl")
            .args(["verify", "-CAfile"])
            .arg(&anchor)
            .arg("-untrusted")
            .arg(&chain)
            .arg(&chain)
            .succeed();
    }
    let output = nightly
        .command(&["renew", "--renew", "1000", "--preferred-chain", "Nobody"])
        .run()
        .expect_code(0);
    assert!(
        output.stderr.contains(
            "warning: certificate `a`: the CA has no chain to `Nobody`: its first one is kept\n"
        ),
        "{}",
        output.stderr
    );
}
