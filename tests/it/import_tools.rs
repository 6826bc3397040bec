//! `import` from folders that acme.sh, certbot, dehydrated, lego and uacme have made against the lab's CA, and from what get-certs leaves.

use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::get_certs;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open};
use crate::support::pebble::Settings;
use crate::support::peers;
use crate::support::repos::Transport;

/// What every program is asked for.
const NAMES: [&str; 2] = ["www.bench.test", "*.www.bench.test"];

fn lab() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().start(), &[])
}

/// certs.json after an import.
fn list(name: &str) -> String {
    format!(
        "[\n  {{ \"cert_name\": \"{name}\", \"names\": [\"www.bench.test\", \"*.www.bench.test\"], \
         \"key_type\": \"p256\" }}\n]"
    )
}

fn wanted(name: &str) -> Vec<(String, Vec<String>)> {
    vec![(name.to_owned(), NAMES.map(str::to_owned).to_vec())]
}

fn folder(nightly: &Nightly, name: &str) -> PathBuf {
    let folder = nightly.lab.folder().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Imports a folder; returns what was said.
fn import(nightly: &Nightly, folder: &Path) -> String {
    let tip = nightly.certs.tip(&nightly.lab);
    let folder = folder.to_str().unwrap();
    let dry = nightly
        .command(&["import", "--dry-run", folder])
        .run()
        .expect_code(0);
    assert_eq!(nightly.certs.tip(&nightly.lab), tip);
    let output = nightly
        .command(&["import", "--yes", folder])
        .run()
        .expect_code(0);
    assert!(output.stdout.starts_with(&dry.stdout), "{}", dry.stdout);
    output.normal_stdout()
}

/// The account's URL by the CA, which the repository's key belongs to.
fn account_of(nightly: &Nightly) -> String {
    let shown = nightly
        .command(&["account", "show", "--format", "json"])
        .run()
        .expect_code(0);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["account"]["url"].as_str().unwrap().to_owned()
}

/// Fails unless the repository is sound, everything is up to date, and another import does nothing; then renews `name`
/// with the account that came over.
#[track_caller]
fn goes_on(nightly: &Nightly, name: &str, folder: Option<&Path>) {
    let lab = &nightly.lab;
    let verified = nightly.command(&["verify"]).run().expect_code(0);
    assert!(
        verified.stdout.ends_with(" files: 0 faults, 0 notes\n"),
        "{}",
        verified.stdout
    );
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    assert!(
        plan.stdout.ends_with("\n0 due, 1 up to date\n"),
        "{}",
        plan.stdout
    );
    nightly.assert_valid(name);
    let tip = nightly.certs.tip(lab);
    let words = ["import", "--yes"].map(str::to_owned).into_iter();
    let words: Vec<_> = words
        .chain(folder.map(|folder| folder.to_str().unwrap().to_owned()))
        .collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let again = nightly.command(&words).run().expect_code(0);
    assert!(
        again.stdout.ends_with("\nnothing to import\n"),
        "{}",
        again.stdout
    );
    assert_eq!(nightly.certs.tip(lab), tip);
    let url = account_of(nightly);
    let before = nightly.chain(name);
    nightly
        .command(&["renew", "--only", name, "--renew", "9999"])
        .env("GIT_CERTS_AGREE_TOS", "false")
        .run()
        .expect_code(0);
    assert_ne!(nightly.chain(name), before);
    assert_eq!(account_of(nightly), url);
    nightly.assert_valid(name);
    nightly.command(&["verify"]).run().expect_code(0);
}

fn succeed(commands: Vec<crate::support::command::Command>) {
    for command in commands {
        command.succeed();
    }
}

#[test]
fn certbot() {
    let nightly = lab();
    let folder = folder(&nightly, "certbot");
    succeed(peers::certbot(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(
        said,
        "certbot, in `[LAB]/certbot`

import   `web`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in [LAB]/certbot/live/web/privkey.pem
import   account at `acme.test`: RSA-2048 key, which the next run replaces by a P-256 key
list     `web` in certs.json
note     `[LAB]/certbot` stays as it is, with its keys in plain text: once servers take theirs from this repository, \
stop certbot and remove the folder

1 certificate and 1 account to import, 0 files to remove
imported 1 certificate and 1 account
pushed 1 commit to `main`
"
    );
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), list("web"));
    goes_on(&nightly, "web", Some(&folder));
}

#[test]
fn lego() {
    let nightly = lab();
    let folder = folder(&nightly, "lego");
    succeed(peers::lego(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(
        said,
        "lego, in `[LAB]/lego`

import   `www_bench_test`, there `www.bench.test`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in [LAB]/lego/certificates/www.bench.test.key
import   account at `acme.test`: P-256 key
list     `www_bench_test` in certs.json
note     `[LAB]/lego` stays as it is, with its keys in plain text: once servers take theirs from this repository, \
stop lego and remove the folder

1 certificate and 1 account to import, 0 files to remove
imported 1 certificate and 1 account
pushed 1 commit to `main`
"
    );
    assert_eq!(
        nightly.certs.show(&nightly.lab, "certs.json"),
        list("www_bench_test")
    );
    goes_on(&nightly, "www_bench_test", Some(&folder));
}

#[test]
fn dehydrated() {
    let nightly = lab();
    peers::trust_lab(&nightly.lab);
    let folder = folder(&nightly, "dehydrated");
    succeed(peers::dehydrated(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(
        said,
        "dehydrated, in `[LAB]/dehydrated`

import   `web`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in [LAB]/dehydrated/certs/web/privkey.pem
import   account at `acme.test`: RSA-4096 key, which the next run replaces by a P-256 key
list     `web` in certs.json
note     `[LAB]/dehydrated` stays as it is, with its keys in plain text: once servers take theirs from this repository, \
stop dehydrated and remove the folder

1 certificate and 1 account to import, 0 files to remove
imported 1 certificate and 1 account
pushed 1 commit to `main`
"
    );
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), list("web"));
    goes_on(&nightly, "web", Some(&folder));
}

#[test]
fn uacme() {
    // Debian's uacme does not understand the challenges of newer ones.
    let packaged = Settings {
        packaged: true,
        ..Settings::default()
    };
    let lab = Lab::builder().bind().pebble_with(packaged).start();
    let nightly = Nightly::new(lab, &[]);
    peers::trust_lab(&nightly.lab);
    let folder = folder(&nightly, "uacme");
    succeed(peers::uacme(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(
        said,
        "uacme, in `[LAB]/uacme`

import   `www_bench_test`, there `www.bench.test`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in [LAB]/uacme/private/www.bench.test/key.pem
import   account at `acme.test`: RSA-2048 key, which the next run replaces by a P-256 key
list     `www_bench_test` in certs.json
note     at which CA the account is told nowhere: it is taken to be at `acme.test`, as `--acme` says
note     `[LAB]/uacme` stays as it is, with its keys in plain text: once servers take theirs from this repository, \
stop uacme and remove the folder

1 certificate and 1 account to import, 0 files to remove
imported 1 certificate and 1 account
pushed 1 commit to `main`
"
    );
    assert_eq!(
        nightly.certs.show(&nightly.lab, "certs.json"),
        list("www_bench_test")
    );
    goes_on(&nightly, "www_bench_test", Some(&folder));
}

/// A folder that lego 4 has made, and the account's URL.
fn made_by_lego(nightly: &Nightly) -> (PathBuf, String) {
    let folder = folder(nightly, "made");
    succeed(peers::lego(&nightly.lab, &folder, &wanted("web")));
    let account = folder.join(format!("accounts/acme.test/{LEGO_ACCOUNT}/account.json"));
    let account: Value = serde_json::from_str(&fs::read_to_string(account).unwrap()).unwrap();
    let url = account["registration"]["uri"].as_str().unwrap();
    (folder, url.to_owned())
}

/// Its name in lego's folder.
const LEGO_ACCOUNT: &str = "bench@example.test";

/// lego 5 is in no Debian yet: its files are written here as its source has them (cmd/internal/storage of version 5.3.1),
/// around a certificate and an account that lego 4 has made.
#[test]
fn lego_5() {
    let nightly = lab();
    let (folder, url) = made_by_lego(&nightly);
    let account = folder.join(format!("accounts/acme.test/{LEGO_ACCOUNT}"));
    let key = format!("{LEGO_ACCOUNT}.key");
    fs::rename(account.join("keys").join(&key), account.join(&key)).unwrap();
    fs::remove_dir(account.join("keys")).unwrap();
    let description = json!({
        "id": LEGO_ACCOUNT,
        "email": LEGO_ACCOUNT,
        "keyType": "EC256",
        "server": "https://acme.test/dir",
        "origin": "command",
        "registration": {"status": "valid", "contact": [format!("mailto:{LEGO_ACCOUNT}")], "accountURL": url},
    });
    fs::write(account.join("account.json"), format!("{description:#}")).unwrap();
    let description = json!({
        "id": "web",
        "domains": NAMES,
        "keyType": "EC256",
        "certUrl": "https://acme.test/certZ/1",
        "certStableUrl": "https://acme.test/certZ/1",
        "origin": "command",
    });
    let certificate = |end: &str| folder.join(format!("certificates/www.bench.test.{end}"));
    for end in ["crt", "key", "issuer.crt"] {
        fs::rename(
            certificate(end),
            folder.join(format!("certificates/web.{end}")),
        )
        .unwrap();
    }
    fs::remove_file(certificate("json")).unwrap();
    fs::write(
        folder.join("certificates/web.json"),
        format!("{description:#}"),
    )
    .unwrap();
    let said = import(&nightly, &folder);
    assert!(
        said.starts_with(
            "lego, in `[LAB]/made`

import   `web`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in [LAB]/made/certificates/web.key
import   account at `acme.test`: P-256 key
list     `web` in certs.json
"
        ),
        "{said}"
    );
    assert_eq!(account_of(&nightly), url);
    goes_on(&nightly, "web", Some(&folder));
}

#[test]
fn acme_sh() {
    let nightly = lab();
    let folder = folder(&nightly, ".acme.sh");
    succeed(peers::acme_sh(&nightly.lab, &folder, &wanted("web")));
    let conf = fs::read_to_string(folder.join("ca/acme.test/dir/ca.conf")).unwrap();
    let url = conf.split("ACCOUNT_URL='").nth(1).unwrap();
    let url = url.split('\'').next().unwrap();
    let said = import(&nightly, &folder);
    assert!(
        said.starts_with(
            "acme.sh, in `[LAB]/.acme.sh`

import   `www_bench_test`, there `www.bench.test`: www.bench.test, *.www.bench.test; p256, until [DATE]; key in \
[LAB]/.acme.sh/www.bench.test_ecc/www.bench.test.key
import   account at `acme.test`: P-256 key
list     `www_bench_test` in certs.json
"
        ),
        "{said}"
    );
    assert_eq!(
        nightly.certs.show(&nightly.lab, "certs.json"),
        list("www_bench_test").replace(
            "p256\" }",
            "p256\", \"preferred_chain\": \"ISRG Root X1\" }"
        )
    );
    let metadata = nightly
        .certs
        .show(&nightly.lab, ".letsencrypt/acme.test/account.json");
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["email"], "me@bench.test");
    assert_eq!(account_of(&nightly), url);
    goes_on(&nightly, "www_bench_test", Some(&folder));
}

/// The layout by what is known of get-certs; certificate and account are real.
#[test]
fn get_certs() {
    let nightly = lab();
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let account_of_get_certs = get_certs::account(lab);
    let maker = folder(&nightly, "maker");
    succeed(peers::lego(lab, &maker, &wanted("web")));
    let made = |end: &str| {
        fs::read_to_string(maker.join(format!("certificates/www.bench.test.{end}"))).unwrap()
    };
    let checkout = lab.folder().join("mine");
    let home = lab.folder().join("home");
    lab.git(
        &home,
        &[
            "clone",
            "--quiet",
            &certs.url(Transport::Path),
            checkout.to_str().unwrap(),
        ],
    );
    let put = |path: &str, text: &str| {
        let path = checkout.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let (chain, key) = (made("crt"), made("key"));
    put(
        "certs.json",
        r#"[{"cert_name": "web", "names": ["www.bench.test", "*.www.bench.test"], "use_ecc": true}]"#,
    );
    put("certificates/web/web.crt", &chain);
    put("certificates/web/web.key", &key);
    put("certificates/web/web.pem", &format!("{chain}\n{key}"));
    put("certificates/web/web.json", &made("json"));
    put(
        ".letsencrypt/acme.test/account.key",
        &account_of_get_certs.key,
    );
    put(
        ".letsencrypt/acme.test/account.json",
        &account_of_get_certs.metadata,
    );
    lab.git(&checkout, &["add", "--all"]);
    lab.git(&checkout, &["commit", "--quiet", "--message", "get-certs"]);
    lab.git(&checkout, &["push", "--quiet"]);
    let plan = nightly
        .command(&["plan"])
        .env("GIT_CERTS_REPO", "")
        .folder(&checkout);
    let said = plan.run().expect_code(0).stderr;
    assert!(
        said.contains(
            "warning: `certificates/web/web.key` is a private key in plain text: `git-certs import` encrypts it with age\n"
        ),
        "{said}"
    );
    let here = nightly
        .command(&["import", "--yes"])
        .env("GIT_CERTS_REPO", "")
        .folder(&checkout);
    let said = here.run().expect_code(0);
    assert!(
        said.stdout
            .ends_with("\nimported 1 certificate and 1 account\npushed 1 commit to `main`\n"),
        "{}",
        said.stdout
    );
    assert_eq!(account_of(&nightly), account_of_get_certs.url);
    goes_on(&nightly, "web", None);
    let sealed = certs.show(lab, ".letsencrypt/acme.test/account.key.age");
    let key = open(lab, &sealed, &identity.file).expect_code(0).stdout;
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(account_of(&nightly), account_of_get_certs.url);
}
