//! `import` of what get-certs has left: in plain text, and encrypted by blackbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use crate::support::cert_repo::{CertRepo, Files};

const ACCOUNT: &str = ".letsencrypt/ca.test/account";

/// A repository of get-certs: `web` (RSA) and `mail` (a curve), with the keys that each has in its two files, and an account.
/// Not committed.
pub fn of_get_certs() -> CertRepo {
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
pub fn in_plain_text(repo: &CertRepo) -> String {
    repo.tool(
        "sh",
        &[
            "-c",
            "grep -rl 'PRIVATE KEY' certs --exclude-dir=.git || true",
        ],
        "",
    )
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
  git-certs revoke mail --reason keyCompromise --renew-now
  git-certs revoke web --reason keyCompromise --renew-now
  git-certs account rollover    for `ca.test`

2 certificates and 1 account to import, 5 files to remove
"
    );
    assert_eq!(dry.stdout, plan);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let unasked = repo.run("import", "alice");
    assert_eq!(
        (
            unasked.code,
            unasked.stdout.as_str(),
            unasked.stderr.as_str()
        ),
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
    let message = repo.git(&["log", "-1", "--format=%B"]);
    let (message, _) = message.split_once("\nGit-Certs-Run: ").unwrap();
    assert_eq!(
        message,
        "Import 2 certificates and 1 account\n\nFrom: get-certs\n\
         Certificates: mail, web\nAccounts: ca.test\n"
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
        recipients.stdout.ends_with(
            "\n3 keys are encrypted for these lists, 0 for others, 0 for lists that are not known\n"
        ),
        "{}",
        recipients.stdout
    );

    let again = repo.run("import --yes", "alice");
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        again.stdout,
        format!(
            "get-certs, in this repository

older commits have keys of today in plain text, for everybody who could ever read the repository:
  .letsencrypt/ca.test/account.key in {before}
  certificates/mail/mail.key in {before}
  certificates/mail/mail.pem in {before}
  certificates/web/web.key in {before}
  certificates/web/web.pem in {before}

once all is pushed, replace them:
  git-certs revoke mail --reason keyCompromise --renew-now
  git-certs revoke web --reason keyCompromise --renew-now
  git-certs account rollover    for `ca.test`

nothing to import
"
        )
    );
}

/// Says what an import says that changes nothing.
#[track_caller]
fn is_left(repo: &CertRepo, words: &str, code: i32, stdout: &str, stderr: &str) {
    let tip = repo.git(&["rev-parse", "HEAD"]);
    let status = repo.git(&["status", "--porcelain", "--ignored"]);
    let said = repo.run(words, "alice");
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        (stdout, stderr)
    );
    assert_eq!(said.code, Some(code));
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
    assert_eq!(repo.git(&["status", "--porcelain", "--ignored"]), status);
}

#[test]
fn keys_that_no_commit_has_go_once_theirs_are_stored() {
    let repo = of_get_certs();
    repo.put(".gitignore", "*.key\n*.pem\n");
    repo.commit("get-certs, with keys that stay here");
    let untracked = || {
        ["key", "pem"].map(|end| {
            repo.path(&format!("certs/certificates/web/web.{end}"))
                .exists()
        })
    };
    // Killed when all is committed.
    let killed = repo.run_with(
        "import --yes",
        "alice",
        &[
            ("GIT_CERTS_TEST_AT".to_owned(), "before files".to_owned()),
            ("GIT_CERTS_TEST_DO".to_owned(), "KILL".to_owned()),
        ],
    );
    assert_eq!(killed.code, None, "{}", killed.stderr);
    assert_eq!(untracked(), [true, true]);
    assert_eq!(committed(&repo).len(), imported().len() + 1);
    let done = repo.run("import --yes", "alice");
    let mended =
        "warning: an earlier command has left 11 files behind the last commit: put right\n";
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), mended));
    assert_eq!(untracked(), [false, false]);
    assert_eq!(in_plain_text(&repo), "");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

/// Whatever git has of keys in plain text.
fn objects_in_plain_text(repo: &CertRepo) -> usize {
    let objects = "git -C certs cat-file --batch --batch-all-objects --buffer";
    let count = format!("{objects} | grep -ac 'PRIVATE KEY' || true");
    let count = repo.tool("sh", &["-c", &count], "");
    count.trim().parse().unwrap()
}

#[test]
fn keys_that_were_only_added_to_git_are_told() {
    let repo = of_get_certs();
    repo.remove("certificates/mail/mail.pem");
    repo.git(&["add", "--all"]);
    repo.git(&["reset", "--quiet", "--", "certificates", ".letsencrypt"]);
    repo.git(&["commit", "--quiet", "--message", "lists"]);
    let added = "certificates/web/web.key";
    repo.git(&["add", added]);
    let done = repo.run("import --yes", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let notes: Vec<_> = done
        .stdout
        .lines()
        .filter(|line| line.starts_with("note"))
        .collect();
    assert_eq!(
        notes,
        [format!(
            "note     `{added}` was added to git, which keeps a copy in `.git`: once all is done, `git gc --prune=now` removes it"
        )]
    );
    assert_ne!(objects_in_plain_text(&repo), 0);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    assert_eq!(objects_in_plain_text(&repo), 0);
    assert_eq!(in_plain_text(&repo), "");
}

/// A key that age has encrypted, and another one in plain text, which is the certificate's.
#[test]
fn of_two_keys_none_is_lost() {
    let repo = of_get_certs();
    repo.commit("get-certs");
    let alice = repo.read(".age-recipients");
    let other = KeyPair::generate().unwrap().serialize_pem();
    let sealed = repo.sealed(&other, &[alice.trim()]);
    let path = "certificates/web/web.key.age";
    repo.put(path, &sealed);
    let said = repo.run("import --yes", "alice");
    assert_eq!(
        said.stderr,
        format!(
            "error: cannot import `web`\n  caused by: `{path}` has another key, and no commit has it: it would be lost\n\
             hint: commit it first, or remove it if nobody needs it\n"
        )
    );
    assert_eq!(said.code, Some(1));
    assert_eq!(repo.read(path), sealed);
    assert!(repo.path("certs/certificates/web/web.key").exists());
    // Once it is committed, the history has it.
    repo.git(&["add", path]);
    repo.git(&["commit", "--quiet", "--message", "another key"]);
    let done = repo.run("import --yes", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(repo.git(&["show", &format!("HEAD~1:{path}")]), sealed);
    assert_ne!(repo.opened(path, "alice").unwrap(), other);
    assert!(!repo.path("certs/certificates/web/web.key").exists());
}

/// Files that have more keys than the one that would be encrypted, in git or not.
#[test]
fn a_file_with_several_keys_stays() {
    let repo = of_get_certs();
    repo.put(".gitignore", "web.key\n");
    let second = KeyPair::generate_for(&PKCS_RSA_SHA256)
        .unwrap()
        .serialize_pem();
    let files = [
        "certificates/web/web.key".to_owned(),
        format!("{ACCOUNT}.key"),
    ];
    let both = files
        .each_ref()
        .map(|path| format!("{}{second}", repo.read(path)));
    for (path, text) in files.iter().zip(&both) {
        repo.put(path, text);
    }
    repo.remove("certificates/web/web.pem");
    repo.commit("get-certs, with keys of somebody");
    let said = repo.run("import --yes --no-push", "alice");
    let causes = files.each_ref().map(|path| {
        format!(
            "  caused by: cannot use the key in `{path}`\n  caused by: it has 2 private keys, and stays as it is\n\
             hint: leave the one that is in use in the file, and keep the others elsewhere\n"
        )
    });
    assert_eq!(
        said.stderr,
        format!(
            "error: cannot import `web`\n{}error: cannot import the account at `ca.test`\n{}",
            causes[0], causes[1]
        )
    );
    assert_eq!(said.code, Some(1));
    assert_eq!(files.each_ref().map(|path| repo.read(path)), both);
    let sealed = ["web/web", "mail/mail"]
        .map(|stem| repo.path(&format!("certs/certificates/{stem}.key.age")));
    assert_eq!(sealed.map(|path| path.exists()), [false, true]);
}

/// Not the first key of a file alone: another one may be that of a certificate.
#[test]
fn each_key_of_a_file_in_the_history_is_told() {
    let repo = of_get_certs();
    repo.put(".gitignore", "*.key\n*.pem\n");
    let other = KeyPair::generate_for(&PKCS_ED25519)
        .unwrap()
        .serialize_pem();
    let keys = ["certificates/mail/mail.key", &format!("{ACCOUNT}.key")];
    let keys = keys.map(|path| repo.read(path)).concat();
    repo.put("certificates/all.txt", other + &keys);
    let before = repo.commit("with all keys");
    repo.git(&["rm", "--quiet", "certificates/all.txt"]);
    repo.git(&["commit", "--quiet", "--message", "without"]);
    let said = repo.run("import --dry-run", "alice");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let told = format!(
        "
older commits have keys of today in plain text, for everybody who could ever read the repository:
  certificates/all.txt in {before}

once all is pushed, replace them:
  git-certs revoke mail --reason keyCompromise --renew-now
  git-certs account rollover    for `ca.test`

2 certificates and 1 account to import, 5 files to remove
"
    );
    assert!(said.stdout.ends_with(&told), "{}", said.stdout);
}

#[test]
fn a_push_that_is_refused_loses_nothing() {
    let repo = of_get_certs();
    repo.put(".gitignore", "*.key\n*.pem\n");
    repo.commit("get-certs, with keys that stay here");
    let remote = repo.server();
    repo.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    let hook = remote.join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\necho protected >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let tip = repo.git(&["rev-parse", "HEAD"]);
    let refused = repo.run("import --yes", "alice");
    assert_eq!(
        (refused.code, refused.stderr.as_str()),
        (
            Some(2),
            "error: `[ROOT]/remote` refuses pushes to `main`: pre-receive hook declined\n  \
             caused by: the server printed: protected\n\
             hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`\n"
        )
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
    assert!(repo.path("certs/certificates/web/web.key").exists());
    fs::remove_file(hook).unwrap();
    repo.git(&["fetch", "--quiet", "origin"]);
    repo.git(&["branch", "--set-upstream-to", "origin/main"]);
    let key = repo.read("certificates/web/web.key");
    // Killed between commit and push: the commit stays, with the keys of the files that are gone.
    let killed = repo.run_with(
        "import --yes",
        "alice",
        &[
            ("GIT_CERTS_TEST_AT".to_owned(), "before push".to_owned()),
            ("GIT_CERTS_TEST_DO".to_owned(), "KILL".to_owned()),
        ],
    );
    assert_eq!(killed.code, None, "{}", killed.stderr);
    assert_eq!(committed(&repo).len(), imported().len() + 1);
    assert_eq!(in_plain_text(&repo), "");
    assert!(
        repo.opened("certificates/web/web.key.age", "alice")
            .is_some()
    );
    // Whoever may have put a key there meanwhile: what is here in plain text is encrypted again before it goes.
    repo.put("certificates/web/web.key", key);
    let done = repo.run("import --yes", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        done.stdout,
        "get-certs, in this repository

import   `web`: web.a.test; rsa2048, until 2126-11-01; key in certificates/web/web.key
remove   certificates/web/web.key

1 certificate and 0 accounts to import, 1 file to remove
imported 1 certificate and 0 accounts
pushed 2 commits to `main`
"
    );
    let heads = ["HEAD", "origin/main"].map(|name| repo.git(&["rev-parse", name]));
    assert_eq!(heads[0], heads[1]);
    assert_eq!(in_plain_text(&repo), "");
}

#[test]
fn what_cannot_be_encrypted_stays() {
    let repo = of_get_certs();
    // A recipient of a plugin that is not here, and an account that cannot be read.
    repo.put(
        "certificates/web/.age-recipients",
        "age1flaky1ppppppppppppppppppppqqqqayusvz\n",
    );
    repo.put(&format!("{ACCOUNT}.json"), "{ \"email\": \"x\", broken");
    repo.commit("from get-certs");
    let done = repo.run("import --yes --no-push", "alice");
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    for path in ["certificates/web/web.key", &format!("{ACCOUNT}.key")] {
        assert!(repo.path(&format!("certs/{path}")).exists(), "{path}");
    }
    assert!(!repo.path("certs/certificates/mail/mail.key").exists());
    assert_eq!(
        done.stderr,
        "error: cannot import `web`\n  \
         caused by: cannot encrypt for the recipients in `certificates/web/.age-recipients`\n  \
         caused by: there is no `age-plugin-flaky` on PATH\n\
         hint: install `age-plugin-flaky`, or take its recipients out\n\
         error: cannot import the account at `ca.test`\n  \
         caused by: its account.json cannot be read\n  \
         caused by: key must be a string at line 1 column 17\n"
    );
}

#[test]
fn what_does_not_belong_together_stays_as_it_is() {
    let repo = of_get_certs();
    let mut recipients = repo.read(".age-recipients");
    recipients.push_str("# the build\n");
    repo.put(".age-recipients", recipients);
    let key = || KeyPair::generate().unwrap().serialize_pem();
    // A run of get-certs that ended between two files: the old key is in one of them.
    repo.put("certificates/web/web.key", key());
    let put = |name: &str, key: &str| {
        let chain = Files::new(name).chain;
        put_get_certs(&repo, name, &chain, key);
        fs::remove_file(repo.path(&format!("certs/certificates/{name}/{name}.pem"))).unwrap();
    };
    put("foreign", &key());
    put("keyless", "");
    repo.remove("certificates/keyless/keyless.key");
    let locked = repo.tool(
        "openssl",
        &["pkcs8", "-topk8", "-passout", "pass:x"],
        &key(),
    );
    put("locked", &locked);
    let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    put("edwards", &edwards.serialize_pem());
    put("broken", &key());
    repo.put("certificates/broken/broken.crt", "nothing");
    put("1st", &key());
    repo.put("certificates/orphan/orphan.key", key());
    repo.put(&format!("{ACCOUNT}.key"), locked);
    repo.put(".letsencrypt/other.test/account.key", key());
    repo.commit("get-certs");
    let done = repo.run("import --yes", "alice");
    let locked = "caused by: a private key that is locked with a passphrase\n\
                  hint: `openssl pkey -in FILE -out FILE` takes the passphrase off\n";
    let older = "hint: it may be an older one: remove the file if nobody needs it\n";
    assert_eq!(
        done.stderr,
        format!(
            "error: cannot import `keyless`
  caused by: its private key is not there
hint: the next `git-certs renew` issues it again
error: cannot import `orphan`
  caused by: there is a key, but no certificate: `certificates/orphan/orphan.crt` is not there
hint: take the certificate from an older commit, or remove the key
error: cannot import the account at `other.test`
  caused by: there is a key, but no account: `.letsencrypt/other.test/account.json` is not there
hint: take it from an older commit, or remove the key
error: cannot import `1st`
  caused by: its folder is not named as certs.json names certificates
hint: a name is a letter, then letters, digits, `-` and `_`: rename the folder and the files in it
error: cannot import `broken`
  caused by: its certificate cannot be read
  caused by: no certificate in PEM form
error: cannot import `edwards`
  caused by: cannot use the key in `certificates/edwards/edwards.key`
  caused by: it is neither a P-256, a P-384 nor an RSA key
error: cannot import `foreign`
  caused by: the key in `certificates/foreign/foreign.key` is not the certificate's, and no other is there
hint: remove the file if nobody needs it, and `git-certs renew` issues a new certificate, with a key of its own
error: cannot import `locked`
  caused by: cannot use the key in `certificates/locked/locked.key`
  {locked}error: the key in `certificates/web/web.key` is not the certificate's, and stays as it is
{older}error: cannot import the account at `ca.test`
  caused by: cannot use the key in `.letsencrypt/ca.test/account.key`
  {locked}"
        )
    );
    assert_eq!(done.code, Some(1));
    assert!(
        done.stdout
            .ends_with("\n2 certificates and 0 accounts to import, 3 files to remove\nimported 2 certificates and 0 accounts\n"),
        "{}",
        done.stdout
    );
    assert!(
        repo.opened("certificates/web/web.key.age", "alice")
            .is_some()
    );
    assert!(repo.path("certs/certificates/web/web.key").exists());
    assert!(!repo.path("certs/certificates/web/web.pem").exists());
    let again = repo.run("import --yes", "alice");
    assert_eq!(again.stderr.matches("error: ").count(), 10);
    // It is told again, but no longer that there is no other.
    assert!(
        again.stderr.contains(
            "\nerror: cannot import `web`\n  \
             caused by: the key in `certificates/web/web.key` is not the certificate's, which is in `certificates/web/web.key.age`\n\
             hint: remove the file; whoever could read the repository has the key in it: replace it where it is used\n"
        ),
        "{}",
        again.stderr
    );
    assert_eq!(again.code, Some(1));
    assert!(
        again.stdout.ends_with("\nnothing to import\n"),
        "{}",
        again.stdout
    );
}

#[test]
fn certs_json_is_made_where_there_is_none_and_is_left_alone_where_there_is() {
    let repo = of_get_certs();
    repo.list(&["web"]);
    repo.commit("get-certs");
    let dry = repo.run("import --dry-run", "alice");
    assert!(
        dry.stdout.contains(
            "\nnote     `mail` is not in certs.json: its key is encrypted, but nothing renews it\n"
        ),
        "{}",
        dry.stdout
    );
    repo.remove("certs.json");
    repo.commit("without a list");
    let done = repo.run("import --yes", "alice");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout
            .contains("\nlist     `mail` in certs.json\nlist     `web` in certs.json\n"),
        "{}",
        done.stdout
    );
    assert_eq!(
        repo.read("certs.json"),
        "[\n  { \"cert_name\": \"mail\", \"names\": [\"mail.a.test\"], \"key_type\": \"p256\" },\n  \
         { \"cert_name\": \"web\", \"names\": [\"web.a.test\"], \"key_type\": \"rsa2048\" }\n]\n"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_clone_is_imported_into_as_well() {
    let repo = of_get_certs();
    repo.commit("get-certs");
    let remote = repo.server();
    let words = format!("import --yes --repo {}", remote.display());
    let done = repo.run(&words, "alice");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains(
            "\nnote     the history is not here: `git-certs verify --history` in a full clone says which keys it gives away\n"
        ),
        "{}",
        done.stdout
    );
    repo.git(&["pull", "--quiet", remote.to_str().unwrap(), "main"]);
    assert_eq!(committed(&repo), imported());
    assert_eq!(in_plain_text(&repo), "");
}

#[test]
fn a_folder_without_git_is_imported_as_well() {
    let repo = of_get_certs();
    fs::remove_dir_all(repo.path("certs/.git")).unwrap();
    let done = repo.run("import --yes", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(
        done.stdout
            .ends_with("\n2 certificates and 1 account to import, 5 files to remove\nimported 2 certificates and 1 account\n"),
        "{}",
        done.stdout
    );
    assert_eq!(in_plain_text(&repo), "");
    assert!(
        repo.opened("certificates/web/web.key.age", "alice")
            .is_some()
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.put("certs.json", "[]\n");
    repo.commit("nothing yet");
    is_left(
        &repo,
        "import --yes",
        0,
        "get-certs, in this repository\n\nnothing to import\n",
        "",
    );
    is_left(
        &repo,
        "import ../nowhere",
        2,
        "",
        "error: cannot read `../nowhere`\n  caused by: No such file or directory\n\
         hint: it takes the folder in which the other program keeps its files\n",
    );
    is_left(
        &repo,
        "import ../tmp",
        2,
        "",
        "error: `../tmp` has no certificates of a program that is known\n\
         hint: it takes the folder of one of `get-certs`, `certbot`, `lego`, `acme.sh`, `dehydrated`, `uacme`, \
         such as `/etc/letsencrypt`, `~/.acme.sh` or `.lego`\n",
    );
    is_left(
        &repo,
        "import --from caddy .",
        2,
        "",
        "error: invalid value 'caddy' for '--from <PROGRAM>': it is none of `get-certs`, `certbot`, `lego`, `acme.sh`, \
         `dehydrated`, `uacme`\n\nFor more information, try '--help'.\n",
    );
    fs::create_dir_all(repo.path("both/renewal")).unwrap();
    fs::write(repo.path("both/renewal/a.conf"), "").unwrap();
    fs::create_dir_all(repo.path("both/certs/a")).unwrap();
    fs::write(repo.path("both/certs/a/fullchain.pem"), "").unwrap();
    is_left(
        &repo,
        "import ../both",
        2,
        "",
        "error: `../both` may be a folder of `certbot` or `dehydrated`\nhint: say which with `--from`\n",
    );
    repo.put("certs.json", "{");
    repo.commit("a broken list");
    is_left(
        &repo,
        "import --yes",
        2,
        "",
        "error: `certs.json` is not JSON\n  caused by: EOF while parsing an object at line 1 column 1\n\
         hint: comments and trailing commas are not allowed in this file\n",
    );
    repo.list(&["web"]);
    let web = Files::new("web");
    put_get_certs(&repo, "web", &web.chain, &web.key);
    repo.remove(".age-recipients");
    repo.commit("nobody can open keys");
    is_left(
        &repo,
        "import --yes",
        2,
        "",
        "error: there is no `.age-recipients` in the cert repository\n\
         hint: it lists who can open private keys, one age or SSH recipient a line: `age-keygen -o key.txt` makes \
         an identity, `age-keygen -y key.txt > .age-recipients` lists it\n",
    );
}

/// Every line of Base64 of a key in PEM.
fn lines_of(key: &str) -> Vec<&str> {
    let lines = key.lines().filter(|line| line.len() >= 40);
    lines.filter(|line| !line.starts_with("---")).collect()
}

#[test]
fn no_key_leaves_the_program_in_plain_text() {
    let repo = of_get_certs();
    let web = repo.read("certificates/web/web.key");
    let mail = repo.read("certificates/mail/mail.key");
    let account = repo.read(&format!("{ACCOUNT}.key"));
    repo.commit("get-certs");
    let log = repo.path("strace.log");
    let traced = "trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,execve";
    let options = [
        "-f",
        "-v",
        "-s",
        "1000000",
        "-e",
        traced,
        "-o",
        log.to_str().unwrap(),
    ];
    let output = repo
        .under("strace", &options, "import --yes")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = fs::read(log).unwrap();
    let calls =
        String::from_utf8_lossy(&calls).into_owned() + &String::from_utf8(output.stdout).unwrap();
    assert!(calls.contains("BEGIN AGE ENCRYPTED FILE"));
    let opened = ["certificates/web/web", "certificates/mail/mail", ACCOUNT]
        .map(|stem| repo.opened(&format!("{stem}.key.age"), "alice").unwrap());
    let keys = [vec![web, mail, account], opened.to_vec()].concat();
    let lines: Vec<_> = keys.iter().flat_map(|key| lines_of(key)).collect();
    assert!(lines.len() > 50, "{}", lines.len());
    for line in lines {
        assert!(!calls.contains(line), "a key was written");
    }
    assert!(!calls.contains("PRIVATE KEY"));
    assert_eq!(fs::read_dir(repo.path("tmp")).unwrap().count(), 0);
}
