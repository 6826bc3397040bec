//! The account key: who can open it, with what, and that it is registered once.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open, pebble_log};
use crate::support::repos::Files;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];
const KEY: &str = ".letsencrypt/acme.test/account.key.age";

fn lab() -> Lab {
    Lab::builder().bind().pebble().start()
}

/// A renewal that has to order, without any identity.
fn renewal(nightly: &Nightly) -> Command {
    nightly
        .command(&["renew", "--renew", "1000"])
        .env("GIT_CERTS_AGE_KEY_FILE", "")
}

#[test]
fn every_way_to_give_an_identity_opens_the_account() {
    let lab = lab();
    let home = lab.folder().join("home/.ssh");
    let make = |file: &Path| {
        lab.command("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(file)
            .succeed();
        fs::read_to_string(file.with_extension("pub")).unwrap()
    };
    let other = lab.folder().join("deploy-key");
    let recipients = make(&other) + &make(&home.join("id_ed25519"));
    let nightly = Nightly::with(lab, WANTED, |files, identity| {
        let all = format!("# who renews\n{}\n{recipients}", identity.recipient);
        files.with(".letsencrypt/.age-recipients", &all)
    });
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    // Registered without an identity: encrypting needs none.
    let first = renewal(&nightly).run().expect_code(0);
    assert!(first.stdout.contains("1 issued"), "{}", first.stdout);
    let account = certs.show(lab, ".letsencrypt/acme.test/account.json");
    let key = certs.show(lab, KEY);

    let text = fs::read_to_string(&identity.file).unwrap();
    let secret = text.lines().last().unwrap();
    let file = identity.file.to_str().unwrap();
    let ways = [
        renewal(&nightly).env("GIT_CERTS_AGE_KEY", secret),
        renewal(&nightly).env("GIT_CERTS_AGE_KEY", text.clone()),
        renewal(&nightly).args(["--identity", file]),
        renewal(&nightly).env("SOPS_AGE_KEY", secret),
        renewal(&nightly).env("SOPS_AGE_KEY_FILE", file),
        renewal(&nightly).arg("--identity").arg(&other),
        // ~/.ssh/id_ed25519
        renewal(&nightly),
    ];
    for (count, way) in (2..).zip(ways) {
        way.run().expect_code(0);
        assert_eq!(certs.subjects(lab).len(), count + 2);
    }
    assert_eq!(
        certs.show(lab, ".letsencrypt/acme.test/account.json"),
        account
    );
    assert_eq!(certs.show(lab, KEY), key);
    let registered = pebble_log(lab)
        .lines()
        .filter(|line| line.contains("There are now") && line.contains("accounts in memory"))
        .count();
    assert_eq!(registered, 1, "{}", pebble_log(lab));
}

#[test]
fn a_key_that_the_age_command_encrypted_is_opened() {
    let nightly = Nightly::new(lab(), WANTED);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    nightly.renew().expect_code(0);
    let plain = open(lab, &certs.show(lab, KEY), &identity.file)
        .expect_code(0)
        .stdout;
    let renewer = lab.age_identity("renewer");
    let again = lab
        .command("age")
        .args(["--armor", "--recipient", &renewer.recipient])
        .stdin(plain)
        .succeed()
        .stdout;
    Files::default().with(KEY, &again).commit(
        lab,
        certs,
        "encrypt the account key for the renewer",
    );
    let wrong = renewal(&nightly)
        .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
        .run()
        .expect_code(2);
    assert!(
        wrong
            .stderr
            .contains(&format!("error: cannot decrypt `{KEY}`\n")),
        "{}",
        wrong.stderr
    );
    let none = renewal(&nightly).run().expect_code(2);
    assert!(
        none.stderr.ends_with(&format!(
            "error: there is no age identity to open `{KEY}` with\n\
             hint: set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`\n"
        )),
        "{}",
        none.stderr
    );
    assert_eq!(certs.subjects(lab).len(), 4);
    renewal(&nightly)
        .env("GIT_CERTS_AGE_KEY_FILE", &renewer.file)
        .run()
        .expect_code(0);
    assert_eq!(certs.subjects(lab).len(), 5);
}

#[test]
fn an_identity_that_cannot_open_the_account_is_no_hindrance_to_one_that_can() {
    let nightly = Nightly::new(lab(), WANTED);
    let Nightly { lab, identity, .. } = &nightly;
    nightly.renew().expect_code(0);
    let stranger = lab.age_identity("stranger");
    renewal(&nightly)
        .env("GIT_CERTS_AGE_KEY_FILE", &stranger.file)
        .env("SOPS_AGE_KEY_FILE", &identity.file)
        .run()
        .expect_code(0);
}

#[test]
fn the_renewer_cannot_open_what_it_makes() {
    let lab = lab();
    let [renewer, reader, owner] =
        ["renewer", "reader", "owner"].map(|name| lab.age_identity(name));
    let wanted: &[(&str, &[&str])] = &[("www", &["www.bench.test"]), ("own", &["own.bench.test"])];
    let nightly = Nightly::with(lab, wanted, |files, _| {
        files
            .with(".letsencrypt/.age-recipients", &renewer.recipient)
            .with(".age-recipients", &reader.recipient)
            .with("certificates/own/.age-recipients", &owner.recipient)
    });
    let Nightly { lab, certs, .. } = &nightly;
    for _ in 0..2 {
        renewal(&nightly)
            .env("GIT_CERTS_AGE_KEY_FILE", &renewer.file)
            .run()
            .expect_code(0);
    }
    let readers = |path: &str| {
        let sealed = certs.show(lab, path);
        [&renewer, &reader, &owner]
            .map(|identity| open(lab, &sealed, &identity.file).status.success())
    };
    assert_eq!(readers(KEY), [true, false, false]);
    assert_eq!(
        readers("certificates/www/www.key.age"),
        [false, true, false]
    );
    assert_eq!(
        readers("certificates/own/own.key.age"),
        [false, false, true]
    );

    // A list from elsewhere takes the place of the repository's, not of a certificate's own.
    let list = lab.folder().join("recipients");
    fs::write(
        &list,
        format!("# both\n{}\n{}\n", renewer.recipient, reader.recipient),
    )
    .unwrap();
    renewal(&nightly)
        .env("GIT_CERTS_AGE_KEY_FILE", &renewer.file)
        .arg("--recipients")
        .arg(&list)
        .run()
        .expect_code(0);
    assert_eq!(readers("certificates/www/www.key.age"), [true, true, false]);
    assert_eq!(
        readers("certificates/own/own.key.age"),
        [false, false, true]
    );
}
