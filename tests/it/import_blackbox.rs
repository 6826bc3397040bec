//! `import` of what get-certs left and blackbox encrypted, with a real key ring.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use pretty_assertions::assert_eq;
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384};

use crate::support::cert_repo::{CertRepo, Files, sha256};

/// A key ring, whose agent ends with it.
struct KeyRing(PathBuf);

impl KeyRing {
    fn new(repo: &CertRepo, name: &str) -> Self {
        let ring = Self(repo.path(name));
        fs::create_dir(&ring.0).unwrap();
        fs::set_permissions(&ring.0, fs::Permissions::from_mode(0o700)).unwrap();
        let make = [
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            "admin@a.test",
            "default",
            "default",
            "never",
        ];
        ring.run("gpg", &make, b"");
        ring
    }

    fn run(&self, program: &str, words: &[&str], input: &[u8]) -> Vec<u8> {
        use std::io::Write;
        use std::process::Stdio;

        let mut child = Command::new(program)
            .args(words)
            .env("GNUPGHOME", &self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut pipe, input) = (child.stdin.take().unwrap(), input.to_vec());
        thread::spawn(move || pipe.write_all(&input).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
        output.stdout
    }

    /// Encrypts as blackbox does, and lists the file.
    fn register(&self, repo: &CertRepo, path: &str, text: &str) {
        let words = [
            "--batch",
            "--quiet",
            "--trust-model",
            "always",
            "--encrypt",
            "-r",
            "admin@a.test",
        ];
        repo.put(
            &format!("{path}.gpg"),
            self.run("gpg", &words, text.as_bytes()),
        );
        for (list, line) in [
            (".blackbox/blackbox-files.txt", path.to_owned()),
            (".gitignore", format!("/{path}")),
        ] {
            let file = repo.path("certs").join(list);
            let before = fs::read_to_string(file).unwrap_or_default();
            repo.put(list, format!("{before}{line}\n"));
        }
    }

    fn variable(&self) -> (String, String) {
        ("GNUPGHOME".to_owned(), self.0.to_str().unwrap().to_owned())
    }
}

impl Drop for KeyRing {
    fn drop(&mut self) {
        let agent = Command::new("gpgconf")
            .args(["--kill", "gpg-agent"])
            .env("GNUPGHOME", &self.0)
            .status();
        drop(agent);
    }
}

/// Certificate `web`, whose `web.pem` nobody thought of, and the account.
fn repository() -> (CertRepo, KeyRing) {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    let ring = KeyRing::new(&repo, "gnupg");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["web"]);
    let web = Files::new("web");
    repo.put("certificates/web/web.crt", &web.chain);
    repo.put(
        "certificates/web/web.json",
        r#"{"domain": "web.a.test", "certUrl": "https://ca.test/1"}"#,
    );
    repo.put(
        "certificates/web/web.pem",
        format!("{}\n{}", web.chain, web.key),
    );
    ring.register(&repo, "certificates/web/web.key", &web.key);
    let account = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    ring.register(
        &repo,
        ".letsencrypt/ca.test/account.key",
        &account.serialize_pem(),
    );
    ring.register(
        &repo,
        ".letsencrypt/ca.test/account.json",
        r#"{"email": "me@a.test", "registration": {"uri": "https://ca.test/acct/1"}}"#,
    );
    ring.register(&repo, "deploy/password", "hunter2");
    repo.put(".blackbox/blackbox-admins.txt", "admin@a.test\n");
    // Opened, and left so.
    repo.put("certificates/web/web.key", &web.key);
    (repo, ring)
}

#[test]
fn what_blackbox_encrypted_is_encrypted_by_age_and_the_rest_stays() {
    let (repo, ring) = repository();
    let before = repo.commit("blackbox");
    let done = repo.run_with("import --yes", "alice", &[ring.variable()]);
    assert_eq!(done.stderr, "");
    assert_eq!(
        done.stdout,
        format!(
            "get-certs, in this repository

import   `web`: web.a.test; p256, until 2126-11-01; key in certificates/web/web.key
import   account at `ca.test`: P-384 key, which the next run replaces by a P-256 key
remove   .letsencrypt/ca.test/account.json.gpg
remove   .letsencrypt/ca.test/account.key.gpg
remove   certificates/web/web.key
remove   certificates/web/web.key.gpg
remove   certificates/web/web.pem
edit     .blackbox/blackbox-files.txt
edit     .gitignore
note     older commits have keys encrypted with PGP: who was an admin of blackbox then can open them

older commits have keys of today in plain text, for everybody who could ever read the repository:
  certificates/web/web.pem in {before}

once all is pushed, replace them:
  git-certs revoke web --reason keyCompromise --renew-now

1 certificate and 1 account to import, 5 files to remove
imported 1 certificate and 1 account
"
        )
    );
    assert_eq!(done.code, Some(0));
    let files = repo.git(&["ls-files"]);
    assert_eq!(
        files.lines().collect::<Vec<_>>(),
        [
            ".age-recipients",
            ".blackbox/blackbox-admins.txt",
            ".blackbox/blackbox-files.txt",
            ".gitignore",
            ".letsencrypt/ca.test/account.json",
            ".letsencrypt/ca.test/account.key.age",
            "certificates/web/web.crt",
            "certificates/web/web.json",
            "certificates/web/web.key.age",
            "certs.json",
            "deploy/password.gpg",
        ]
    );
    assert_eq!(
        repo.read(".blackbox/blackbox-files.txt"),
        "deploy/password\n"
    );
    assert_eq!(repo.read(".gitignore"), "/deploy/password\n");
    assert!(!repo.path("certs/certificates/web/web.key").exists());
    assert_eq!(repo.git(&["status", "--porcelain", "--ignored"]), "");
    let account = repo
        .opened(".letsencrypt/ca.test/account.key.age", "alice")
        .unwrap();
    assert!(account.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let verified = repo.run("verify", "alice");
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

#[test]
fn without_the_pgp_key_nothing_is_lost() {
    let (repo, _ring) = repository();
    fs::remove_file(repo.path("certs/certificates/web/web.key")).unwrap();
    repo.remove("certificates/web/web.pem");
    repo.commit("blackbox");
    let other = KeyRing::new(&repo, "other");
    let tip = repo.git(&["rev-parse", "HEAD"]);
    let said = repo.run_with("import --yes", "alice", &[other.variable()]);
    assert_eq!(said.code, Some(1));
    let no_key = "caused by: gpg: decryption failed: No secret key
hint: run it where the PGP key of one of blackbox's admins is: `gpg --list-secret-keys` shows yours\n";
    assert_eq!(
        said.stderr,
        format!(
            "error: cannot import the account at `ca.test`
  caused by: `gpg` cannot open `.letsencrypt/ca.test/account.json.gpg`
  {no_key}error: cannot import `web`
  caused by: cannot use the key in `certificates/web/web.key.gpg`
  caused by: `gpg` cannot open `certificates/web/web.key.gpg`
  {no_key}"
        )
    );
    assert!(
        said.stdout.ends_with("\nnothing to import\n"),
        "{}",
        said.stdout
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn without_gpg_it_is_said_what_to_install() {
    let (repo, ring) = repository();
    repo.remove("certificates/web/web.key");
    repo.remove("certificates/web/web.pem");
    fs::remove_dir_all(repo.path("certs/.letsencrypt")).unwrap();
    repo.commit("blackbox");
    let nothing = repo.path("tmp").to_str().unwrap().to_owned();
    let said = repo.run_with(
        "import --dry-run",
        "alice",
        &[ring.variable(), ("PATH".to_owned(), nothing)],
    );
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            Some(1),
            "error: cannot import `web`
  caused by: cannot use the key in `certificates/web/web.key.gpg`
  caused by: cannot run `gpg`, which opens what blackbox encrypted
  caused by: No such file or directory
hint: install GnuPG: the package is `gnupg` on Debian and Ubuntu\n"
        )
    );
}

/// The keys of a folder below the top, where blackbox' list is not.
#[test]
fn a_list_that_is_elsewhere_is_told() {
    let (repo, ring) = repository();
    fs::remove_dir_all(repo.path("certs/.blackbox")).unwrap();
    repo.commit("blackbox, its list elsewhere");
    let done = repo.run_with("import --yes", "alice", &[ring.variable()]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(
        done.stdout.contains(
            "\nnote     the list of blackbox is not in this folder: take the lines of these files out of its \
             `blackbox-files.txt`\n"
        ),
        "{}",
        done.stdout
    );
    assert_eq!(
        repo.read(".gitignore").lines().count(),
        4,
        "blackbox' lines stay where its list is not"
    );
}

/// gpg writes before it has read everything; and what is packed small can be huge.
#[test]
fn large_files_are_opened_and_huge_ones_refused() {
    let (repo, ring) = repository();
    // Hashes cannot be packed, and fill the pipe in both directions.
    let note: String = (0..10_000_u32)
        .map(|number| sha256(&number.to_be_bytes()))
        .collect();
    let account = format!(
        r#"{{"email": "me@a.test", "registration": {{"uri": "https://ca.test/acct/1"}}, "note": "{note}"}}"#
    );
    ring.register(&repo, ".letsencrypt/ca.test/account.json", &account);
    repo.remove("certificates/web/web.key");
    repo.remove("certificates/web/web.pem");
    ring.register(&repo, "certificates/web/web.key", &"0".repeat(100 << 20));
    repo.commit("large");
    let said = repo.run_with("import --dry-run", "alice", &[ring.variable()]);
    assert_eq!(
        said.stderr,
        "error: cannot import `web`
  caused by: cannot use the key in `certificates/web/web.key.gpg`
  caused by: cannot read what `gpg` makes of `certificates/web/web.key.gpg`
  caused by: it is larger than 1 MiB, which is the limit\n"
    );
    assert!(
        said.stdout.contains("import   account at `ca.test`"),
        "{}",
        said.stdout
    );
}
