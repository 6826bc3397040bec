//! `import` from folders that certbot, lego, dehydrated and uacme have made against the lab's CA, and from what get-certs leaves.

use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::get_certs;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open};
use crate::support::peers;
use crate::support::repos::Transport;

/// What every program is asked for.
const NAMES: [&str; 2] = ["www.bench.test", "*.www.bench.test"];

fn lab() -> Nightly {
    let lab = Lab::builder().bind().pebble().start();
    Nightly::new(lab, &[])
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
fn account(nightly: &Nightly) -> String {
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
    let url = account(nightly);
    let before = nightly.chain(name);
    nightly
        .command(&["renew", "--only", name, "--renew", "9999"])
        .env("GIT_CERTS_AGREE_TOS", "false")
        .run()
        .expect_code(0);
    assert_ne!(nightly.chain(name), before);
    assert_eq!(account(nightly), url);
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
    assert_eq!(said, "");
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), "");
    goes_on(&nightly, "web", Some(&folder));
}

#[test]
fn lego() {
    let nightly = lab();
    let folder = folder(&nightly, "lego");
    succeed(peers::lego(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(said, "");
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), "");
    goes_on(&nightly, "www_bench_test", Some(&folder));
}

#[test]
fn dehydrated() {
    let nightly = lab();
    peers::trust_lab(&nightly.lab);
    let folder = folder(&nightly, "dehydrated");
    succeed(peers::dehydrated(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(said, "");
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), "");
    goes_on(&nightly, "web", Some(&folder));
}

#[test]
fn uacme() {
    let nightly = lab();
    peers::trust_lab(&nightly.lab);
    let folder = folder(&nightly, "uacme");
    succeed(peers::uacme(&nightly.lab, &folder, &wanted("web")));
    let said = import(&nightly, &folder);
    assert_eq!(said, "");
    assert_eq!(nightly.certs.show(&nightly.lab, "certs.json"), "");
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
    assert_eq!(account(&nightly), account_of_get_certs.url);
    goes_on(&nightly, "web", None);
    let sealed = certs.show(lab, ".letsencrypt/acme.test/account.key.age");
    let key = open(lab, &sealed, &identity.file).expect_code(0).stdout;
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(account(&nightly), account_of_get_certs.url);
}
