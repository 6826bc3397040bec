//! Another key for the account: get-certs' taken over, and every place where a rollover can end early.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::get_certs::{self, Account};
use crate::support::lab::{AgeIdentity, Lab};
use crate::support::nightly::{Nightly, at, open, pebble_log};
use crate::support::repos::{Files, Remote, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];
const FOLDER: &str = ".letsencrypt/acme.test";
const KEY: &str = ".letsencrypt/acme.test/account.key.age";
const NEXT: &str = ".letsencrypt/acme.test/account.key.next.age";
const PLAIN: &str = ".letsencrypt/acme.test/account.key";
const METADATA: &str = ".letsencrypt/acme.test/account.json";

const CHANGED: &str = "the ACME account `https://acme.test/my-account/[ID]` has a new key, in \
                       `.letsencrypt/acme.test/account.key.age`; the old one, of kind P-384, is void";

/// A cert repository with an account of get-certs, and what the file of its key is called.
fn with_account(key_file: &str) -> (Nightly, Account) {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let account = get_certs::account(&nightly.lab);
    let key = match key_file {
        PLAIN => account.key.clone(),
        _ => sealed(&nightly.lab, &nightly.identity, &account.key),
    };
    let files = Files::default()
        .with(METADATA, &account.metadata)
        .with(key_file, &key);
    files.commit(&nightly.lab, &nightly.certs, "the account of get-certs");
    (nightly, account)
}

fn sealed(lab: &Lab, identity: &AgeIdentity, text: &str) -> String {
    lab.command("age")
        .args(["--armor", "--recipient", &identity.recipient])
        .stdin(text)
        .succeed()
        .stdout
}

/// What the repository has of the account, by name.
fn account_files(nightly: &Nightly) -> Vec<String> {
    let files = nightly.certs.files(&nightly.lab);
    let names = files.iter().filter_map(|file| file.strip_prefix(FOLDER));
    names.map(|name| name[1..].to_owned()).collect()
}

fn rollovers(nightly: &Nightly) -> usize {
    let requests = nightly.requests();
    let asked = requests
        .iter()
        .filter(|request| *request == "POST /rollover-account-key");
    asked.count()
}

/// The account orders with its new key, and no other account was made.
fn assert_taken_over(nightly: &Nightly, account: &Account) {
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = nightly;
    assert_eq!(account_files(nightly), ["account.json", "account.key.age"]);
    let mut described: Value = serde_json::from_str(&certs.show(lab, METADATA)).unwrap();
    let fields = described.as_object_mut().unwrap();
    let hash = lab.command("sha256sum").stdin(certs.show(lab, KEY));
    assert_eq!(
        fields.shift_remove("key_age_sha256"),
        hash.succeed().stdout.split(' ').next().map(Into::into)
    );
    let public_key = fields.shift_remove("public_key_sha256");
    assert_eq!(public_key.unwrap().as_str().unwrap().len(), 64);
    // Not there where an earlier run encrypted the key.
    fields.shift_remove("recipients_sha256");
    let before: Value = serde_json::from_str(&account.metadata).unwrap();
    assert_eq!(described, before);
    let key = open(lab, &certs.show(lab, KEY), &identity.file).expect_code(0);
    assert!(key.stdout.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let shown = nightly.command(&["account", "show"]).run().expect_code(0);
    let line = format!("account   {}\n", account.url);
    assert!(shown.stdout.starts_with(&line), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("\nkey       P-256, in "),
        "{}",
        shown.stdout
    );
    let log = pebble_log(lab);
    let made = log.matches("accounts in memory").count();
    assert_eq!(made, 1, "{log}");
}

/// Refuses pushes that change a file whose name ends like this.
fn refuse(remote: &Remote, end: &str) {
    let hook = remote.folder.join("hooks/update");
    let script = format!(
        "#!/bin/sh\nif git diff-tree -r --name-only $2 $3 | grep -q '{end}$'; then\n\
         echo 'not this file' >&2; exit 1; fi\n"
    );
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn allow(remote: &Remote) {
    fs::remove_file(remote.folder.join("hooks/update")).unwrap();
}

#[test]
fn a_renewal_takes_over_the_encrypted_account_of_get_certs() {
    let (nightly, account) = with_account(KEY);
    let Nightly { lab, certs, .. } = &nightly;
    let output = nightly.renew().expect_code(0);
    let said = output.normal_stderr();
    assert!(said.contains(&format!("\n{CHANGED}\n")), "{said}");
    assert!(
        output.stdout.contains("\n1 issued, 0 failed"),
        "{}",
        output.stdout
    );
    let subjects = certs.subjects(lab);
    let url = &account.url;
    assert_eq!(
        subjects[..3],
        [
            "Issue www: not in the repository".to_owned(),
            format!("Change the key of the ACME account {url}"),
            format!("Add a new key for the ACME account {url}"),
        ]
    );
    assert_taken_over(&nightly, &account);
    assert_eq!(rollovers(&nightly), 1);
    nightly.assert_valid("www");
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn the_account_of_get_certs_in_plain_text_is_taken_over_on_command() {
    let (nightly, account) = with_account(PLAIN);
    let lab = &nightly.lab;
    let before = nightly.command(&["account", "show"]).run().expect_code(2);
    assert_eq!(
        before
            .normal_stderr()
            .lines()
            .skip(1)
            .collect::<Vec<_>>()
            .join("\n"),
        "error: the account key `.letsencrypt/acme.test/account.key` is not encrypted\n\
         hint: `git-certs import` takes over what get-certs has left, the account too: it keeps its URL, and the next \
         run gives it a new key"
    );
    let output = nightly
        .command(&["account", "rollover"])
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        format!(
            "{CHANGED}: the history of the repository still has it in plain text, where it does no \
             harm any more\npushed 2 commits to `main`\n"
        )
    );
    assert!(!output.stderr.contains("PRIVATE KEY"), "{}", output.stderr);
    assert_taken_over(&nightly, &account);
    nightly.renew().expect_code(0);
    assert_eq!(rollovers(&nightly), 1);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_checkout_follows_and_has_nothing_left_to_commit() {
    let (nightly, account) = with_account(PLAIN);
    let Nightly { lab, certs, .. } = &nightly;
    let folder = lab.folder().join("mine");
    let (home, url) = (lab.folder().join("home"), certs.url(Transport::Path));
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    nightly
        .command(&["account", "rollover"])
        .env("GIT_CERTS_REPO", "")
        .folder(&folder)
        .run()
        .expect_code(0);
    assert_eq!(lab.git(&folder, &["status", "--porcelain"]).stdout, "");
    assert!(!folder.join(PLAIN).exists() && !folder.join(NEXT).exists());
    assert_taken_over(&nightly, &account);
}

#[test]
fn a_key_of_ours_is_changed_too() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    nightly.renew().expect_code(0);
    let before = certs.show(lab, KEY);
    // By this `rekey` and `import` know that older commits have another key.
    let public_key = || {
        let text = certs.show(lab, &KEY.replace(".key.age", ".json"));
        let account: Value = serde_json::from_str(&text).unwrap();
        account["public_key_sha256"].as_str().unwrap().to_owned()
    };
    let known = public_key();
    let output = nightly
        .command(&["account", "rollover"])
        .run()
        .expect_code(0);
    let changed = CHANGED.replace("P-384", "P-256");
    assert_eq!(
        output.normal_stdout(),
        format!("{changed}\npushed 2 commits to `main`\n")
    );
    assert_ne!(certs.show(lab, KEY), before);
    assert_ne!(public_key(), known);
    nightly.command(&["renew", "--renew", "1000"]).succeed();
    // It is known for whom the new key is encrypted.
    let repo = certs.url(Transport::Path);
    let listed = lab.git_certs(["recipients", "list", "--repo", &repo, "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.succeed().stdout).unwrap();
    assert_eq!(listed["current"], 2);
    assert_eq!(listed["unknown"], json!([]));
}

#[test]
fn a_new_key_that_cannot_be_pushed_is_not_told_to_the_ca() {
    let (nightly, account) = with_account(KEY);
    let Nightly { lab, certs, .. } = &nightly;
    refuse(certs, "next.age");
    let output = nightly
        .command(&["account", "rollover"])
        .run()
        .expect_code(2);
    let said = output.normal_stderr();
    assert!(
        said.contains(
            "\nerror: cannot store the new key of the account: its old key stays in use\n"
        ),
        "{said}"
    );
    assert!(said.contains("not this file"), "{said}");
    assert_eq!(rollovers(&nightly), 0);
    assert_eq!(account_files(&nightly), ["account.json", "account.key.age"]);
    allow(certs);
    nightly.renew().expect_code(0);
    assert_taken_over(&nightly, &account);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_run_that_ended_after_the_ca_was_told_is_brought_to_its_end() {
    let (nightly, account) = with_account(KEY);
    let Nightly { lab, certs, .. } = &nightly;
    refuse(certs, "/account.key.age");
    let output = nightly
        .command(&["account", "rollover"])
        .run()
        .expect_code(2);
    let said = output.normal_stderr();
    assert!(
        said.contains(
            "\nerror: the account `https://acme.test/my-account/[ID]` has a new key, which is in \
             `.letsencrypt/acme.test/account.key.next.age`: the next run puts it in its place, which \
             did not succeed now\n"
        ),
        "{said}"
    );
    assert_eq!(rollovers(&nightly), 1);
    let files = ["account.json", "account.key.age", "account.key.next.age"];
    assert_eq!(account_files(&nightly), files);
    let shown = nightly.command(&["account", "show"]).run().expect_code(0);
    assert!(
        shown.stdout.ends_with(
            "rollover  begun and not ended: `git-certs account rollover` or the next `renew` ends it\n"
        ),
        "{}",
        shown.stdout
    );
    let next = certs.show(lab, NEXT);
    allow(certs);
    let output = nightly.renew().expect_code(0);
    let said = output.normal_stderr();
    assert!(said.contains(&format!("\n{CHANGED}\n")), "{said}");
    assert_eq!(rollovers(&nightly), 1);
    assert_eq!(certs.show(lab, KEY), next);
    assert_taken_over(&nightly, &account);
}

#[test]
fn a_run_that_ended_before_the_ca_was_told_is_brought_to_its_end() {
    let (nightly, account) = with_account(KEY);
    let Nightly { lab, certs, .. } = &nightly;
    let rollover = nightly.command(&["account", "rollover"]);
    at("after push", "KILL", rollover).run();
    assert_eq!(rollovers(&nightly), 0);
    let next = certs.show(lab, NEXT);
    nightly.renew().expect_code(0);
    assert_eq!(certs.show(lab, KEY), next);
    assert_eq!(rollovers(&nightly), 1);
    assert_taken_over(&nightly, &account);
}

#[test]
fn a_new_key_that_this_run_could_not_open_is_not_made() {
    let (nightly, account) = with_account(KEY);
    let Nightly { lab, certs, .. } = &nightly;
    let other = lab.age_identity("other");
    let readers = format!("{}\n", other.recipient);
    Files::default()
        .with(".letsencrypt/.age-recipients", &readers)
        .commit(lab, certs, "other recipients");
    let output = nightly.renew().expect_code(2);
    let said = output.normal_stderr();
    assert!(
        said.ends_with(
            "error: the account keeps its key: this run could not open the new one\n  \
             caused by: cannot decrypt `.letsencrypt/acme.test/account.key.next.age`\n  \
             caused by: no identity in `[LAB]/identity.agekey` can open it\n\
             hint: add the recipient of its identity to `.letsencrypt/.age-recipients`, or to \
             `.age-recipients` where that is not there: `age-keygen -y FILE` prints it\n\
             hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), or let one \
             of them encrypt it for yours\n"
        ),
        "{said}"
    );
    assert_eq!(rollovers(&nightly), 0);
    let both = format!("{readers}{}\n", nightly.identity.recipient);
    Files::default()
        .with(".letsencrypt/.age-recipients", &both)
        .commit(lab, certs, "both recipients");
    nightly.renew().expect_code(0);
    assert_taken_over(&nightly, &account);
}

#[test]
fn a_rollover_that_cannot_be_ended_does_not_keep_certificates_waiting() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    nightly.renew().expect_code(0);
    let key = certs.show(lab, KEY);
    let other = lab.age_identity("other");
    let next = sealed(lab, &other, "whatever");
    Files::default()
        .with(NEXT, &next)
        .commit(lab, certs, "a key for others");
    let renewal = nightly.command(&["renew", "--renew", "1000"]);
    let output = renewal.run().expect_code(0);
    let said = output.normal_stderr();
    assert!(
        said.contains(
            "\nwarning: the rollover of the account key that was begun cannot be ended, and the old \
             key stays in use: cannot decrypt `.letsencrypt/acme.test/account.key.next.age`: no identity \
             in `[LAB]/identity.agekey` can open it\n"
        ),
        "{said}"
    );
    assert_eq!(certs.show(lab, KEY), key);
    assert_eq!(rollovers(&nightly), 0);
}

/// Whoever can push can encrypt a key of their own for us, and would hold the account.
#[test]
fn the_account_is_not_given_a_key_of_somebody_else() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    nightly.renew().expect_code(0);
    let key = certs.show(lab, KEY);
    let curve = "ec_paramgen_curve:P-256";
    let theirs = lab
        .command("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", curve])
        .succeed()
        .stdout;
    Files::default()
        .with(NEXT, &sealed(lab, identity, &theirs))
        .commit(lab, certs, "a key of somebody else");
    let why = "nobody who can open the account key has put the one in `.letsencrypt/acme.test/account.key.next.age` there";
    let output = nightly.command(&["renew", "--renew", "1000"]).run();
    let said = output.expect_code(0).normal_stderr();
    assert!(
        said.contains(&format!(
            "\nwarning: the rollover of the account key that was begun cannot be ended, and the old \
             key stays in use: {why}\n"
        )),
        "{said}"
    );
    let output = nightly.command(&["account", "rollover"]).run();
    let said = output.expect_code(2).normal_stderr();
    assert!(
        said.ends_with(&format!(
            "error: {why}\n\
             hint: somebody may want to take the account over: `git log` says who; remove that file, \
             and the account keeps its key\n"
        )),
        "{said}"
    );
    assert_eq!(certs.show(lab, KEY), key);
    assert_eq!(rollovers(&nightly), 0);
}

#[test]
fn a_key_that_the_ca_does_not_know_stays() {
    let (nightly, _) = with_account(KEY);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let key = lab
        .command("openssl")
        .args(["ecparam", "-name", "secp384r1", "-genkey", "-noout"])
        .succeed()
        .stdout;
    let unknown = sealed(lab, identity, &key);
    Files::default()
        .with(KEY, &unknown)
        .commit(lab, certs, "another key");
    let output = nightly
        .command(&["account", "rollover"])
        .run()
        .expect_code(2);
    let said = output.normal_stderr();
    assert!(
        said.ends_with(
            "error: `https://acme.test/dir` has no account for the key in \
             `.letsencrypt/acme.test/account.key.age`\n\
             hint: check that `--acme` is the CA of this key; for a new account, move the files in \
             `.letsencrypt/acme.test/` away and run again with `--agree-tos`\n"
        ),
        "{said}"
    );
    assert_eq!(certs.show(lab, KEY), unknown);
    assert_eq!(account_files(&nightly), ["account.json", "account.key.age"]);
}
