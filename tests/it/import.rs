//! `import` of what get-certs has left: in plain text, and encrypted by blackbox.

use std::fs;

use pretty_assertions::assert_eq;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::support::cert_repo::{CertRepo, Files};

const ACCOUNT: &str = ".letsencrypt/ca.test/account";

/// A repository of get-certs: `web` (RSA) and `mail` (a curve), with the keys that each has in its two files, and an account.
/// Not committed.
fn of_get_certs() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["web", "mail"]);
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let rsa = (rsa.serialize_pem(), Files::with_key("web", &rsa));
    let curve = KeyPair::generate().unwrap();
    let curve = (curve.serialize_pem(), Files::with_key("mail", &curve));
    for (name, program, (key, files)) in [("web", "rsa", rsa), ("mail", "ec", curve)] {
        let traditional: &[&str] = match program {
            "rsa" => &["rsa", "-traditional"],
            _ => &["ec"],
        };
        let key = repo.tool("openssl", traditional, &key);
        put_get_certs(&repo, name, &files.chain, &key);
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let key = repo.tool("openssl", &["ec"], &key.serialize_pem());
    repo.put(&format!("{ACCOUNT}.key"), key);
    let metadata = json!({
        "email": "me@a.test",
        "registration": {"body": {"status": "valid"}, "uri": "https://ca.test/acct/1"},
    });
    repo.put(&format!("{ACCOUNT}.json"), format!("{metadata:#}"));
    repo
}

/// The four files of get-certs.
fn put_get_certs(repo: &CertRepo, name: &str, chain: &str, key: &str) {
    let file = |end: &str| format!("certificates/{name}/{name}.{end}");
    let url = format!("https://ca.test/cert/{name}");
    let description =
        json!({"domain": format!("{name}.a.test"), "certUrl": url, "certStableUrl": url});
    repo.put(&file("crt"), chain);
    repo.put(&file("key"), key);
    repo.put(&file("pem"), format!("{chain}\n{key}"));
    repo.put(&file("json"), format!("{description:#}"));
}

/// Paths of the last commit.
fn committed(repo: &CertRepo) -> Vec<String> {
    let files = repo.git(&["ls-tree", "-r", "--name-only", "HEAD"]);
    files.lines().map(str::to_owned).collect()
}

fn description(repo: &CertRepo, path: &str) -> Value {
    serde_json::from_str(&repo.read(path)).unwrap()
}

/// Files below the repository that have a private key in plain text.
fn in_plain_text(repo: &CertRepo) -> String {
    let found = repo.tool(
        "sh",
        &["-c", "grep -rl 'PRIVATE KEY' certs --exclude-dir=.git || true"],
        "",
    );
    found
}

const IMPORTED: [&str; 9] = [
    ".age-recipients",
    ".letsencrypt/ca.test/account.json",
    ".letsencrypt/ca.test/account.key.age",
    "certificates/mail/mail.crt",
    "certificates/mail/mail.json",
    "certificates/mail/mail.key.age",
    "certificates/web/web.crt",
    "certificates/web/web.json",
    "certificates/web/web.key.age",
];

fn imported() -> Vec<String> {
    let files = IMPORTED.map(str::to_owned).into_iter();
    files.chain(["certs.json".to_owned()]).collect()
}

#[test]
fn keys_of_get_certs_are_encrypted_in_one_commit_and_the_history_is_told() {
    let repo = of_get_certs();
    let keys = ["web", "mail"].map(|name| repo.read(&format!("certificates/{name}/{name}.key")));
    let before = repo.commit("get-certs");
    let dry = repo.run("import --dry-run", "alice");
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert_eq!(dry.stderr, "");
    let plan = format!(
        "get-certs, in this repository

import   `mail`: mail.a.test; p256, until 2126-11-01; key in certificates/mail/mail.key
import   `web`: web.a.test; rsa2048, until 2126-11-01; key in certificates/web/web.key
import   account at `ca.test`: P-384 key, which the next run replaces by a P-256 key
remove   .letsencrypt/ca.test/account.key
remove   certificates/mail/mail.key
remove   certificates/mail/mail.pem
remove   certificates/web/web.key
remove   certificates/web/web.pem

older commits have keys of today in plain text, for everybody who could ever read the repository:
  .letsencrypt/ca.test/account.key in {before}
  certificates/mail/mail.key in {before}
  certificates/mail/mail.pem in {before}
  certificates/web/web.key in {before}
  certificates/web/web.pem in {before}

once all is pushed, replace them:
  git certs revoke mail --reason keyCompromise --renew-now
  git certs revoke web --reason keyCompromise --renew-now
  git certs account rollover    for `ca.test`

2 certificates and 1 account to import, 5 files to remove
"
    );
    assert_eq!(dry.stdout, plan);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let unasked = repo.run("import", "alice");
    assert_eq!(
        (unasked.code, unasked.stdout.as_str(), unasked.stderr.as_str()),
        (
            Some(2),
            plan.as_str(),
            "error: nothing was imported\n  caused by: this commits what is listed above, and removes files\n\
             hint: `--dry-run` only looks\nhint: run it with `--yes` where nobody can be asked\n"
        )
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), "");

    let done = repo.run("import --yes", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        done.stdout,
        plan.clone() + "imported 2 certificates and 1 account\n"
    );
    assert_eq!(committed(&repo), imported());
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(in_plain_text(&repo), "");
    assert_eq!(
        repo.git(&["log", "-1", "--format=%B"]),
        "Import 2 certificates and 1 account

From: get-certs, in this repository
Certificates: mail, web
Accounts: ca.test

"
    );
    for (name, key) in ["web", "mail"].iter().zip(&keys) {
        let path = format!("certificates/{name}/{name}.key.age");
        let opened = repo.opened(&path, "alice").unwrap();
        assert!(opened.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        let public = |key: &str| repo.tool("openssl", &["pkey", "-pubout"], key);
        assert_eq!(public(&opened), public(key));
    }
    let web = description(&repo, "certificates/web/web.json");
    assert_eq!(web["certUrl"], "https://ca.test/cert/web");
    assert_eq!(web["names"], json!(["web.a.test"]));
    assert_eq!(web["key_type"], "rsa2048");
    let account = description(&repo, &format!("{ACCOUNT}.json"));
    assert_eq!(account["registration"]["uri"], "https://ca.test/acct/1");
    assert_eq!(account["email"], "me@a.test");
    let verified = repo.run("verify", "alice");
    assert_eq!(
        (verified.code, verified.stdout.as_str()),
        (Some(0), "1 commit, 10 files: 0 faults, 0 notes\n")
    );
    let recipients = repo.run("recipients list", "alice");
    assert!(
        recipients
            .stdout
            .ends_with("\n3 keys are encrypted for these lists, 0 for others, 0 for lists that are not known\n"),
        "{}",
        recipients.stdout
    );

    let again = repo.run("import --yes", "alice");
    assert_eq!(
        (again.code, again.stdout.as_str(), again.stderr.as_str()),
        (
            Some(0),
            "get-certs, in this repository\n\nnothing to import\n",
            ""
        )
    );
}
