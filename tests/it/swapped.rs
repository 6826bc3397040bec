//! A key that another file has taken the place of: everything that looks at a certificate says so.

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::support::cert_repo::{CertRepo, Files, sha256};
use crate::support::folders::Said;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open};

/// What the state is broken for.
const REASON: &str = "its key is not the one that NAME.json names: it was swapped or damaged";

/// What to do.
const ADVICE: &str = "its key file is not the one that was stored with the certificate: `git log` says who changed it, \
     `git-certs verify` what else was; `git-certs renew` issues the certificate again, with a new key";

/// The same of what is not renewed.
const UNLISTED: &str = "its key file is not the one that was stored with the certificate: `git log` says who changed it, \
     `git-certs verify` what else was";

struct Scene {
    repo: CertRepo,
    alice: String,
    files: Files,
    /// The commit that changed the key's file.
    commit: String,
}

/// `www` has its key, `mail` and `old` have `secret` in its place; certs.json does not list `old`.
fn scene(secret: &dyn Fn(&Files) -> String) -> Scene {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.put(
        "dns/dnsconfig.js",
        "D('a.test', NewRegistrar('none'), DnsProvider(NewDnsProvider('ddns')));\n",
    );
    repo.list(&["www", "mail"]);
    repo.certificate("www", &[&alice]);
    let files = repo.certificate("mail", &[&alice]);
    repo.certificate("old", &[&alice]);
    repo.commit("Issue all");
    for name in ["mail", "old"] {
        let sealed = repo.sealed(&secret(&files), &[&alice]);
        repo.put(&format!("certificates/{name}/{name}.key.age"), sealed);
    }
    let commit = repo.commit("a typo");
    Scene {
        repo,
        alice,
        files,
        commit,
    }
}

fn another_key(_: &Files) -> String {
    Files::new("other").key
}

fn look(repo: &CertRepo, words: &str) -> String {
    let said = repo.run(words, "none");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{words}");
    said.stdout
}

#[test]
fn every_form_of_status_tells() {
    let Scene { repo, .. } = scene(&another_key);
    let text = look(&repo, "status");
    let notes = text.split("\n\n").nth(1).unwrap();
    assert_eq!(
        notes,
        format!(
            "`www`: it is not known for whom its key is encrypted: `git-certs rekey www` encrypts it for those of today\n\
             `mail`: to reissue: {REASON}\n`mail`: {ADVICE}\n\
             `old`: certs.json does not list it: it is not renewed\n`old`: {UNLISTED}"
        )
    );
    let states = Regex::new(r"(?m)^(www|mail|old) +([a-z]+) ").unwrap();
    let states: Vec<_> = states
        .captures_iter(&text)
        .map(|row| row[2].to_owned())
        .collect();
    assert_eq!(states, ["valid", "broken", "broken"]);
    assert!(
        text.ends_with("\n1 not usable, 1 good, 1 not in certs.json\n"),
        "{text}"
    );

    let data: Value = serde_json::from_str(&look(&repo, "status --format json")).unwrap();
    let mail = &data["certificates"][1];
    assert_eq!(
        [
            &mail["state"],
            &mail["action"],
            &mail["reason"],
            &mail["recipients"]["fit"]
        ],
        ["broken", "reissue", REASON, "swapped"]
    );
    let page = look(&repo, "status --format markdown");
    assert!(page.contains(REASON), "{page}");
    let page = look(&repo, "status --format html");
    assert!(page.contains("<code>git-certs verify</code> what else was;") && page.contains(REASON));
    let metrics = look(&repo, "status --format prometheus");
    assert!(
        metrics.contains("git_certs_certificate_usable{cert_name=\"mail\"} 0\n"),
        "{metrics}"
    );
    let report = look(&repo, "status --format junit");
    assert!(
        report.contains(&format!("<failure type=\"broken\" message=\"{REASON}\"/>")),
        "{report}"
    );

    let said = repo.run("status mail --fail-within 0", "none");
    assert_eq!(
        (said.code, said.stderr),
        (Some(1), format!("error: certificate `mail`: {REASON}\n"))
    );
}

#[test]
fn a_clone_a_plan_and_the_recipients_tell() {
    let Scene { repo, .. } = scene(&another_key);
    let here = repo.path("certs");
    let status = format!("status mail --repo file://{}", here.display());
    assert!(look(&repo, &status).contains(&format!("\n`mail`: to reissue: {REASON}\n")));
    let plan = repo.run("plan --dns-repo dns", "none");
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(
        plan.stdout.ends_with(&format!(
            "\nreissue  mail  mail.a.test: {REASON}\n\n1 due, 1 up to date\n"
        )),
        "{}",
        plan.stdout
    );
    let readers = look(&repo, "recipients list");
    assert!(
        readers.ends_with(
            "\n0 keys are encrypted for these lists, 0 for others, 1 for lists that are not known\n  \
             certificate `www`: encrypted for a list that is not known\n\
             `git-certs rekey` encrypts them for the lists as they are\n\
             certificate `mail`: its key is not the one that was stored: `git-certs verify` says more\n\
             certificate `old`: its key is not the one that was stored: `git-certs verify` says more\n"
        ),
        "{readers}"
    );
}

#[test]
fn why_and_log_tell() {
    let Scene { repo, commit, .. } = scene(&another_key);
    let why = look(&repo, "why mail");
    assert!(
        why.contains(&format!("; it cannot be used: {REASON}.\n"))
            && why.contains(&format!(
                "\nIt is to be issued again now: {REASON}.\nAs for the key: {ADVICE}.\n"
            )),
        "{why}"
    );
    repo.put("certificates/mail/notes", "");
    repo.commit("Notes");
    let log = look(&repo, "log mail");
    let minute = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    let log = minute.replace_all(&log, "[MINUTE]");
    let swapped =
        "  key     not the one that NAME.json names: `git-certs verify` says what else is wrong\n";
    assert!(
        log.contains(&format!(
            "[MINUTE]  Notes\n  what    another file of the folder\n{swapped}  author  Test\n\n\
             {commit}  [MINUTE]  a typo\n  what    another key file: it was swapped or damaged\n{swapped}  author  Test\n\n"
        )),
        "{log}"
    );
    assert_eq!(log.matches(swapped).count(), 2);
    let data: Value = serde_json::from_str(&look(&repo, "log mail --format json")).unwrap();
    let swapped: Vec<_> = data["commits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["key_swapped"])
        .collect();
    assert_eq!(swapped, [true, true, false]);
}

/// `renew` does not take it, so it does not help.
#[test]
fn with_reuse_key_the_advice_is_another() {
    let Scene { repo, .. } = scene(&another_key);
    repo.put(
        "certs.json",
        r#"[{"cert_name": "mail", "names": ["mail.a.test"], "reuse_key": true}]"#,
    );
    repo.commit("mail keeps its key");
    let advice = "its key file is not the one that was stored with the certificate: `git log` says who changed it, \
         `git-certs verify` what else was; it has `reuse_key`, so `git-certs renew` fails for it each time, unless the \
         file has the same key: `git-certs rollback mail --to COMMIT` brings the right one back, or leave `reuse_key` out \
         for a new key";
    let status = look(&repo, "status mail");
    assert!(
        status.contains(&format!("\n`mail`: {advice}\n")),
        "{status}"
    );
    let why = look(&repo, "why mail");
    assert!(
        why.contains(&format!("\nAs for the key: {advice}.\n")),
        "{why}"
    );
}

#[test]
fn a_rekey_takes_the_certificates_own_key_alone() {
    let Scene { repo, .. } = scene(&another_key);
    let said = repo.run("rekey mail", "alice");
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.starts_with(
            "error: cannot rekey certificate `mail`\n  caused by: the key in `certificates/mail/mail.key.age` is not the \
             certificate's\n"
        ),
        "{}",
        said.stderr
    );

    // Somebody has encrypted the same key by hand.
    let Scene {
        repo, alice, files, ..
    } = scene(&|files| files.key.clone());
    let by_hand = repo.read("certificates/mail/mail.key.age");
    assert_ne!(
        files.description["key_age_sha256"],
        sha256(by_hand.as_bytes())
    );
    assert_eq!(
        repo.run("rekey mail", "alice"),
        Said::done("rekeyed  certificate `mail`\n\n1 rekeyed, 0 failed, 0 up to date\n")
    );
    let data: Value = serde_json::from_str(&look(&repo, "status mail --format json")).unwrap();
    let mail = &data["certificates"][0];
    assert_eq!(
        [&mail["state"], &mail["recipients"]["fit"]],
        ["valid", "current"]
    );
    let log = look(&repo, "log mail");
    assert!(
        log.contains("\n  what    the same key, encrypted anew\n  author"),
        "{log}"
    );
    assert!(!alice.is_empty());
}

/// A certificate that keeps its key must not be given somebody else's.
#[test]
fn a_key_of_somebody_else_is_not_kept() {
    let nightly = Nightly::with(Lab::builder().bind().pebble().start(), &[], |files, _| {
        files.with(
            "certs.json",
            r#"[{"cert_name": "kept", "names": ["www.bench.test"], "reuse_key": true, "key_type": "p256"},
                {"cert_name": "new", "names": ["new.bench.test"], "key_type": "p256"}]"#,
        )
    });
    nightly.renew().expect_code(0);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let key = Files::new("other").key;
    let sealed = lab
        .command("age")
        .args(["--encrypt", "--armor", "--recipient", &identity.recipient])
        .stdin(key.clone())
        .succeed()
        .stdout;
    let path = |name: &str| format!("certificates/{name}/{name}.key.age");
    crate::support::repos::Files::default()
        .with(&path("kept"), &sealed)
        .with(&path("new"), &sealed)
        .commit(lab, certs, "a typo");
    let before = nightly.chain("kept");
    let output = nightly.renew().expect_code(1);
    let told = output.normal_stderr();
    assert!(
        told.contains(&format!("`new`, {REASON}\n")) && told.contains(&format!("`kept`, {REASON}")),
        "{told}"
    );
    assert!(
        told.contains(
            "the key in `certificates/kept/kept.key.age` is not the certificate's\n\
             hint: somebody put another key there: `git log` says who; take the right one from an older commit \
             (`git-certs rollback kept --to COMMIT`), or leave `reuse_key` out for a new key\n"
        ),
        "{told}"
    );
    assert_eq!(nightly.chain("kept"), before);
    nightly.assert_valid("new");
    let opened = open(lab, &certs.show(lab, &path("new")), &identity.file).expect_code(0);
    assert_ne!(opened.stdout, key);
}
