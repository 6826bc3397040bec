//! `revoke`: what the CA says afterwards, the mark, and the certificate that takes its place.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::Files;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"]), ("api", &["api.bench.test"])];

fn issued() -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    nightly.renew().expect_code(0);
    nightly
}

fn description(nightly: &Nightly, name: &str) -> Value {
    let path = format!("certificates/{name}/{name}.json");
    serde_json::from_str(&nightly.certs.show(&nightly.lab, &path)).unwrap()
}

/// What Pebble says of a certificate by its serial number.
fn status(nightly: &Nightly, serial: &str) -> Value {
    let lab = &nightly.lab;
    let answer = lab
        .command("curl")
        .args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(lab.ca())
        .arg(format!(
            "https://acme.test:15000/cert-status-by-serial/{serial}"
        ))
        .succeed();
    serde_json::from_str(&answer.stdout).unwrap()
}

#[test]
fn a_certificate_is_revoked_marked_and_issued_again_by_the_next_run() {
    let nightly = issued();
    let Nightly { lab, certs, .. } = &nightly;
    let before = description(&nightly, "www");
    let serial = before["serial"].as_str().unwrap();
    let revoke = nightly.command(&["revoke", "www", "--reason", "KeyCompromise"]);
    let asked = revoke.run().expect_code(2);
    let what = asked.normal_stderr();
    assert_eq!(
        what.split_once("error: ").unwrap().1,
        "this revokes certificate `www` for www.bench.test, serial [SERIAL], until [DATE], because of \
         `keyCompromise`: it cannot be undone\n\
         hint: run it with `--yes` where nobody can be asked\n"
    );
    assert_eq!(status(&nightly, serial)["Status"], "Valid");

    let output = revoke.clone().arg("--yes").run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "`www` is revoked: keyCompromise; the next `renew` issues it again\n\
         pushed 1 commit to `main`\n"
    );
    let said = status(&nightly, serial);
    assert_eq!(
        (&said["Status"], &said["Reason"]),
        (&"Revoked".into(), &1.into())
    );
    assert_eq!(certs.subjects(lab)[0], "Revoke www: keyCompromise");
    let mut marked = description(&nightly, "www");
    let mark = marked.as_object_mut().unwrap().remove("revoked").unwrap();
    assert_eq!(marked, before);
    assert_eq!(mark["reason"], "keyCompromise");

    let again = revoke.arg("--yes").run().expect_code(0);
    assert!(
        again
            .stdout
            .starts_with("`www` was revoked already; the next `renew` issues it again\n"),
        "{}",
        again.stdout
    );
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    let plan = plan.normal_stdout();
    assert!(
        plan.contains("reissue  www  www.bench.test: revoked on [DATE]: keyCompromise\n")
            && plan.ends_with("\n1 due, 1 up to date\n"),
        "{plan}"
    );
    nightly.renew().expect_code(0);
    let after = description(&nightly, "www");
    assert_eq!(after.get("revoked"), None);
    assert_ne!(after["serial"], before["serial"]);
    assert_ne!(after["public_key_sha256"], before["public_key_sha256"]);
    nightly.assert_valid("www");
}

#[test]
fn it_is_issued_again_in_the_same_run() {
    let nightly = issued();
    let redundant = r#"[{"cert_name": "www", "names": ["www.bench.test", "*.bench.test"]},
        {"cert_name": "api", "names": ["api.bench.test"]}]"#;
    Files::default().with("certs.json", redundant).commit(
        &nightly.lab,
        &nightly.certs,
        "a warning",
    );
    let Nightly { lab, .. } = &nightly;
    let before = description(&nightly, "www");
    let other = description(&nightly, "api");
    let output = nightly
        .command(&[
            "revoke",
            "www",
            "--reason",
            "superseded",
            "--renew-now",
            "--yes",
        ])
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  *.bench.test, www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    assert_eq!(
        output.stderr.matches("warning: ").count(),
        1,
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("\n`www` is revoked: superseded\n"),
        "{}",
        output.stderr
    );
    let said = status(&nightly, before["serial"].as_str().unwrap());
    assert_eq!(
        (&said["Status"], &said["Reason"]),
        (&"Revoked".into(), &4.into())
    );
    let after = description(&nightly, "www");
    let said = status(&nightly, after["serial"].as_str().unwrap());
    assert_eq!(said["Status"], "Valid");
    assert_eq!(description(&nightly, "api"), other);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_compromised_key_is_not_kept() {
    let lab = Lab::builder().bind().pebble().start();
    let nightly = Nightly::with(lab, WANTED, |files, _| {
        let kept = r#"[{"cert_name": "www", "names": ["www.bench.test"], "reuse_key": true, "key_type": "p256"}]"#;
        files.with("certs.json", kept)
    });
    nightly.renew().expect_code(0);
    let key = || description(&nightly, "www")["public_key_sha256"].clone();
    let first = key();
    let revoke = |reason: &str| {
        let words = ["revoke", "www", "--reason", reason, "--renew-now", "--yes"];
        nightly.command(&words).run().expect_code(0);
    };
    revoke("superseded");
    assert_eq!(key(), first);
    revoke("keyCompromise");
    let second = key();
    assert_ne!(second, first);
    nightly.assert_valid("www");
    // A reason that is given later does not make it good again.
    for reason in ["keyCompromise", "superseded"] {
        let words = ["revoke", "www", "--reason", reason, "--yes"];
        nightly.command(&words).run().expect_code(0);
    }
    assert_eq!(
        description(&nightly, "www")["revoked"]["reason"],
        "keyCompromise"
    );
    nightly.renew().expect_code(0);
    assert_ne!(key(), second);
}

#[test]
fn a_mark_that_cannot_be_pushed_is_an_error_and_made_by_the_next_try() {
    let nightly = issued();
    let Nightly { certs, .. } = &nightly;
    let hook = certs.folder.join("hooks/update");
    // What a trial push brings changes nothing.
    let script = "#!/bin/sh\ngit diff-tree -r --quiet $2 $3 || { echo 'not now' >&2; exit 1; }\n";
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let revoke = nightly.command(&["revoke", "www", "--reason", "superseded", "--yes"]);
    let said = revoke.run().expect_code(2).normal_stderr();
    let at = said.find("error: ").unwrap();
    assert!(
        said[at..].starts_with("error: `www` is revoked, but that cannot be stored\n"),
        "{said}"
    );
    let before = description(&nightly, "www");
    assert_eq!(before.get("revoked"), None);
    let serial = before["serial"].as_str().unwrap();
    assert_eq!(status(&nightly, serial)["Status"], "Revoked");
    fs::remove_file(&hook).unwrap();
    let again = revoke.run().expect_code(0);
    assert_eq!(
        again.normal_stdout(),
        "`www` was revoked already; the next `renew` issues it again\npushed 1 commit to `main`\n"
    );
}

#[test]
fn another_account_cannot_revoke() {
    let nightly = issued();
    let Nightly { lab, certs, .. } = &nightly;
    let checkout = lab.folder().join("checkout-certs");
    let git = |args: &[&str]| lab.git(&checkout, args);
    git(&["pull", "--quiet", "--rebase", "origin", "main"]);
    git(&["rm", "--quiet", "-r", ".letsencrypt/acme.test"]);
    git(&["commit", "--quiet", "--message", "another account"]);
    git(&["push", "--quiet", "origin", "main"]);
    nightly.command(&["account", "register"]).succeed();
    let before = certs.subjects(lab);
    let revoke = nightly.command(&["revoke", "www", "--reason", "superseded", "--yes"]);
    let said = revoke.run().expect_code(2).normal_stderr();
    let mut lines = said.lines().skip_while(|line| !line.starts_with("error: "));
    assert_eq!(lines.next(), Some("error: cannot revoke `www`"));
    let cause = lines.next().unwrap();
    assert!(cause.ends_with(" (unauthorized)"), "{cause}");
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "hint: only the account that ordered a certificate can revoke it, or one that has proven \
             all of its names since"
        ]
    );
    assert_eq!(certs.subjects(lab), before);
}

#[test]
fn what_is_not_there_cannot_be_revoked() {
    let nightly = issued();
    let refused = |words: &[&str]| {
        let words = [&["revoke"], words].concat();
        let said = nightly.command(&words).run().expect_code(2).normal_stderr();
        let at = said.find("error: ").unwrap();
        said[at..].to_owned()
    };
    assert_eq!(
        refused(&["nothing", "--reason", "superseded", "--yes"]),
        "error: there is no certificate `nothing`: `certificates/nothing/nothing.crt` is not there\n\
         hint: it takes a `cert_name` of certs.json whose certificate was issued\n"
    );
    assert_eq!(
        refused(&["../x", "--reason", "superseded", "--yes"]),
        "error: `revoke` needs the name of a certificate\n  \
         caused by: `../x` is not a certificate name\n\
         hint: it takes a `cert_name` of certs.json\n"
    );
    assert_eq!(
        refused(&["www", "--reason", "boredom"]),
        "error: invalid value 'boredom' for '--reason <REASON>': one of unspecified, keyCompromise, \
         affiliationChanged, superseded, cessationOfOperation is needed\n\n\
         For more information, try '--help'.\n"
    );
}
