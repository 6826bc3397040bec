//! `log`, `why` and `rollback`: what became of a certificate, what comes next, and the one before.

use pretty_assertions::assert_eq;
use rcgen::KeyPair;
use regex::Regex;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::cert_repo::{CertRepo, Files};
use crate::support::folders::{Folders, Said};
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly};

/// From so many days ago for so many days, and a bit.
fn period(ago: i64, ahead: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let bit = Duration::hours(1);
    (now - Duration::days(ago), now + Duration::days(ahead) + bit)
}

fn files(names: &[&str], period: (OffsetDateTime, OffsetDateTime)) -> Files {
    Files::valid(names, &KeyPair::generate().unwrap(), period)
}

fn serial(files: &Files) -> &str {
    files.description["serial"].as_str().unwrap()
}

fn until(files: &Files) -> &str {
    files.description["not_after"]
        .as_str()
        .unwrap()
        .split('T')
        .next()
        .unwrap()
}

/// A repository that wants `www`, and whose keys are for Alice.
fn repo() -> (CertRepo, String) {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo.commit("first");
    (repo, alice)
}

/// Stores and commits a certificate as a run does; returns the commit.
fn issue(repo: &CertRepo, files: &Files, alice: &str, subject: &str) -> String {
    repo.store("www", files, &[alice]);
    repo.commit(&format!(
        "{subject}\n\nGit-Certs-Serial: {}\nGit-Certs-Run: run-1",
        serial(files)
    ))
}

/// Two certificates after one another, both good; returns the commits, too.
fn renewed() -> (CertRepo, [Files; 2], [String; 2]) {
    let (repo, alice) = repo();
    let old = files(&["www.a.test"], period(20, 70));
    let new = files(&["www.a.test"], period(1, 89));
    let first = issue(&repo, &old, &alice, "Issue www: not in the repository");
    let second = issue(&repo, &new, &alice, "Renew www: as asked");
    (repo, [old, new], [first, second])
}

fn without_minutes(text: &str) -> String {
    let minutes = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    minutes.replace_all(text, "[MINUTE]").into_owned()
}

/// The files of `www`, as they are.
fn held(repo: &CertRepo) -> [String; 3] {
    ["crt", "json", "key.age"].map(|end| repo.read(&format!("certificates/www/www.{end}")))
}

#[test]
fn the_history_of_a_certificate_is_told() {
    let (repo, [old, new], [first, second]) = renewed();
    let mut marked = new.description.clone();
    marked["revoked"] = json!({"at": "2026-11-25T20:30:40Z", "reason": "superseded"});
    repo.put("certificates/www/www.json", format!("{marked:#}\n"));
    let third = repo.commit("Revoke www: superseded");
    repo.put("unrelated", "");
    repo.commit("something else");
    let said = repo.run("log www", "none");
    let block = |files: &Files| {
        let from = files.description["not_before"].as_str().unwrap();
        format!(
            "  names   www.a.test\n  serial  {}\n  valid   {} to {}\n  issuer  rcgen self signed cert\n",
            serial(files),
            &from[..10],
            until(files)
        )
    };
    assert_eq!(
        without_minutes(&said.stdout),
        format!(
            "{third}  [MINUTE]  Revoke www: superseded\n  what    what NAME.json says\n  \
             mark    revoked on 2026-11-25: superseded\n  author  Test\n\n\
             {second}  [MINUTE]  Renew www: as asked\n  what    another certificate\n{}  author  Test\n  run     run-1\n\n\
             {first}  [MINUTE]  Issue www: not in the repository\n  what    another certificate\n{}  author  Test\n  run     run-1\n",
            block(&new),
            block(&old)
        )
    );
    let said = repo.run("log www --format json", "none");
    let data: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(data["cert_name"], "www");
    let commits = data["commits"].as_array().unwrap();
    assert_eq!(commits.len(), 3);
    assert_eq!(commits[0]["revoked"], "revoked on 2026-11-25: superseded");
    assert_eq!(commits[0]["change"], "description");
    assert_eq!(commits[2]["change"], "certificate");
    assert_eq!(commits[2]["serial"], old.description["serial"]);
    assert_eq!(commits[2]["run"], "run-1");
    // A clone brings as much.
    let here = repo.path("certs");
    let clone = format!("log www --format json --repo file://{}", here.display());
    assert_eq!(repo.run(&clone, "none").stdout, said.stdout);
}

#[test]
fn a_certificate_without_a_history_is_told() {
    let (repo, _, _) = renewed();
    assert_eq!(
        repo.run("log mail", "none"),
        Said::refused(
            "error: no commit has a certificate `mail`\n\
             hint: it takes the name of a folder below `certificates`: `git-certs status` lists them\n"
        )
    );
    let here = repo.path("certs");
    let origin = format!("file://{}", here.display());
    repo.tool(
        "git",
        &["clone", "--quiet", "--depth", "1", &origin, "shallow"],
        "",
    );
    assert_eq!(
        repo.run("log www --dir ../shallow", "none"),
        Said::refused(
            "error: the history is cut off: this is a shallow clone\n\
             hint: `git fetch --unshallow` brings the rest; `actions/checkout` does with `fetch-depth: 0`\n"
        )
    );
    Folders::new().is_refused(
        "log www",
        "error: this folder is in no git repository\n\
         hint: the history of a certificate is that of its commits: name a repository with `--repo`, or go into a checkout\n",
    );
}

#[test]
fn the_next_action_has_its_reasons() {
    let (repo, alice) = repo();
    let why = |words: &str| {
        let said = repo.run(&format!("why {words}"), "none");
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
        without_minutes(&said.stdout)
    };
    assert_eq!(
        why("www"),
        "certs.json wants `www` for www.a.test.\n\
         The repository has no certificate for it.\n\
         It is to be issued now: not in the repository.\n\
         The rate limits of `acme-v02.api.letsencrypt.org` leave room for an order, as far as this repository knows.\n"
    );
    let mut files = files(&["www.a.test"], period(10, 80));
    let [from, to] = ["not_before", "not_after"]
        .map(|field| files.description[field].as_str().unwrap()[..10].to_owned());
    let now = OffsetDateTime::now_utc();
    let stamp = |days: i64| {
        let moment = (now + Duration::days(days)).replace_nanosecond(0).unwrap();
        moment
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap()
    };
    issue(&repo, &files, &alice, "Issue www: x");
    let held = format!(
        "certs.json wants `www` for www.a.test.\n\
         The repository has a certificate with serial {} by rcgen self signed cert, key type p256, for www.a.test.\n\
         It is valid from {from} until {to}: 80 days of 90 days are left.\n",
        serial(&files)
    );
    assert_eq!(
        why("www --acme https://ca.test/dir"),
        format!(
            "{held}The repository does not know what the CA suggests (ARI).\n\
             Nothing is due: 80 days of 90 days left, due below 30 days. It is to be renewed from [MINUTE] on.\n\
             No rate limits are kept for `ca.test`.\n"
        )
    );
    files.description["renewal_info"] = json!({
        "start": stamp(-2), "end": stamp(-1), "next_check": stamp(-5),
        "explanation_url": "https://ca.test/why",
    });
    issue(&repo, &files, &alice, "Renewal windows");
    let said = why("www");
    assert!(
        said.contains(
            "The CA suggests to renew it between [MINUTE] and [MINUTE] (ARI), and says why at https://ca.test/why. \
             That held until [MINUTE]: the next `plan` or `renew` asks again.\n"
        ),
        "{said}"
    );
    let window = [-2, -1].map(|days| stamp(days)[..10].to_owned());
    let [start, end] = window;
    assert!(
        said.contains(&format!(
            "\nIt is to be renewed now: the CA wants it replaced early, between {start} and {end}: https://ca.test/why.\n"
        )),
        "{said}"
    );
    files.description["renewal_info"] = Value::Null;
    issue(&repo, &files, &alice, "Renewal windows");
    let said = why("www --renew 85");
    assert!(
        said.contains("\nIt is to be renewed now: 80 days of 90 days left, due below 85 days.\n"),
        "{said}"
    );
    let elsewhere = r#"[{"cert_name": "www", "names": ["www.a.test"], "acme": "nowhere"}]"#;
    repo.put("certs.json", elsewhere);
    let said = repo.run("why www", "none");
    assert_eq!(said.code, Some(2));
    assert!(
        said.stderr.starts_with("error: cannot use `acme` of certificate `www`\n  caused by: ")
            && said.stderr.ends_with(
                "\nhint: it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory\n"
            ),
        "{}",
        said.stderr
    );
    // Nobody waits for what is not listed.
    repo.list(&["mail"]);
    assert_eq!(
        repo.run("why www", "none"),
        Said::refused(
            "error: certs.json does not list `www`: `renew` leaves the certificate as it is\n\
             hint: list it in certs.json, or remove its folder below `certificates`\n"
        )
    );
}

#[test]
fn rate_limits_that_are_used_up_are_told() {
    let (repo, alice) = repo();
    for _ in 0..5 {
        let mut files = files(&["www.a.test"], period(1, 89));
        files.description["directory"] = "https://acme-v02.api.letsencrypt.org/directory".into();
        issue(&repo, &files, &alice, "Renew www: x");
    }
    repo.remove("certificates/www/www.crt");
    let said = repo.run("why www", "none");
    let said = without_minutes(&said.stdout);
    assert!(
        said.ends_with(
            "It is to be issued now: not in the repository.\n\
             The rate limits of `acme-v02.api.letsencrypt.org` leave no room for an order until [MINUTE]: the 5 \
             certificates in 7 days for exactly these names are used up.\n"
        ),
        "{said}"
    );
}

#[test]
fn the_one_before_is_put_back() {
    let (repo, [old, new], [first, second]) = renewed();
    let after = held(&repo);
    repo.git(&["checkout", "--quiet", &first, "--", "certificates"]);
    let before = held(&repo);
    repo.git(&["checkout", "--quiet", "HEAD", "--", "certificates"]);
    let asked = repo.run("rollback www --no-push", "none");
    let warning = "warning: it is not known for whom its key is encrypted: `git-certs rekey` encrypts it for the recipients of today\n";
    let what = format!(
        "this puts the certificate of commit {first} back as `www`: for www.a.test, serial {}, until {}, in place of \
         serial {}, until {}",
        serial(&old),
        until(&old),
        serial(&new),
        until(&new)
    );
    assert_eq!(
        asked,
        Said::refused(&format!(
            "{warning}error: {what}\nhint: run it with `--yes` where nobody can be asked\n"
        ))
    );
    assert_eq!(held(&repo), after);
    let back = |commit: &str, files: &Files| Said {
        code: Some(0),
        stdout: format!(
            "`www` is the certificate of commit {commit} again: serial {}, until {}\n",
            serial(files),
            until(files)
        ),
        stderr: warning.to_owned(),
    };
    assert_eq!(
        repo.run("rollback www --no-push --yes", "none"),
        back(&first, &old)
    );
    assert_eq!(held(&repo), before);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    let message = repo.git(&["log", "-1", "--format=%B"]);
    assert!(
        message.starts_with(&format!(
            "Roll back www: the certificate of {first}\n\nGit-Certs-Names: www.a.test\nGit-Certs-Serial: {}\n",
            serial(&old)
        )),
        "{message}"
    );
    // There and back again.
    assert_eq!(
        repo.run("rollback www --no-push --yes", "none"),
        back(&second, &new)
    );
    assert_eq!(held(&repo), after);
    let word = format!("rollback www --no-push --yes --to {first}");
    assert_eq!(repo.run(&word, "none"), back(&first, &old));
    let serials = repo.git(&[
        "log",
        "--format=%(trailers:key=Git-Certs-Serial,valueonly,separator=)",
    ]);
    assert_eq!(
        serials.lines().take(3).collect::<Vec<_>>(),
        [serial(&old), serial(&new), serial(&old)]
    );
    let said = repo.run("status --format json", "none");
    let data: Value = serde_json::from_str(&said.stdout).unwrap();
    let subject = data["certificates"][0]["commit"]["subject"]
        .as_str()
        .unwrap();
    assert_eq!(
        subject,
        format!("Roll back www: the certificate of {first}")
    );
}

#[test]
fn a_key_that_was_removed_or_swapped_comes_back() {
    let (repo, [_, new], [_, second]) = renewed();
    let whole = held(&repo);
    let back = format!(
        "`www` is the certificate of commit {second} again: serial {}, until {}\n",
        serial(&new),
        until(&new)
    );
    let words = format!("rollback www --no-push --yes --to {second}");
    for swapped in [false, true] {
        repo.remove("certificates/www/www.key.age");
        if swapped {
            let list = repo.read(".age-recipients");
            let sealed = repo.sealed(&Files::new("other").key, &[list.trim()]);
            repo.put("certificates/www/www.key.age", sealed);
        }
        repo.commit("by mistake");
        let said = repo.run(&words, "none");
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(0), back.as_str()),
            "{}",
            said.stderr
        );
        assert_eq!(held(&repo), whole);
    }
}

#[test]
fn a_commit_of_another_branch_is_not_put_back() {
    let (repo, _, _) = renewed();
    let list = repo.read(".age-recipients");
    repo.git(&["switch", "--quiet", "--create", "other", "HEAD~1"]);
    let other = files(&["www.a.test"], period(1, 89));
    let commit = issue(&repo, &other, list.trim(), "Renew www: elsewhere");
    repo.git(&["switch", "--quiet", "main"]);
    assert_eq!(
        refused(&repo, "--to other"),
        format!(
            "error: commit {commit} is not in the history of this branch\n\
             hint: `git-certs log www` shows the commits of this certificate; to take one of elsewhere all the same, \
             `git checkout COMMIT -- certificates/www` and look at it yourself\n"
        )
    );
}

/// What `rollback www` says on standard error, which must not change anything.
fn refused(repo: &CertRepo, words: &str) -> String {
    let before = (held(repo), repo.git(&["rev-parse", "HEAD"]));
    let said = repo.run(&format!("rollback www --no-push --yes {words}"), "none");
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(2), ""),
        "{}",
        said.stderr
    );
    assert_eq!((held(repo), repo.git(&["rev-parse", "HEAD"])), before);
    said.stderr
}

#[test]
fn one_that_nobody_should_use_stays_away() {
    let (repo, alice) = repo();
    let key = KeyPair::generate().unwrap();
    let expired = files(&["www.a.test"], period(100, -2));
    let first = issue(&repo, &expired, &alice, "Issue www: x");
    assert_eq!(
        refused(&repo, ""),
        "error: there is no certificate `www` before the one that is there\n\
         hint: if its files were changed, `--to COMMIT` takes those of a commit that `git-certs log www` shows; \
         `git-certs revoke` and `git-certs renew --only` replace it by a new one\n"
    );
    let bad = Files::valid(&["www.a.test"], &key, period(20, 70));
    let second = issue(&repo, &bad, &alice, "Renew www: x");
    let not_put_back =
        |commit: &str| format!("error: the certificate of commit {commit} is not put back\n");
    assert_eq!(
        refused(&repo, ""),
        format!(
            "{}  caused by: it expired on {}\nhint: `git-certs renew` issues a new one\n",
            not_put_back(&first),
            until(&expired)
        )
    );
    assert_eq!(
        refused(&repo, &format!("--to {second}")),
        format!(
            "{}  caused by: it is there already: serial {}\nhint: `git-certs log www` shows commits that have others\n",
            not_put_back(&second),
            serial(&bad)
        )
    );
    // The same key again, then it is revoked because of that key.
    let same_key = Files::valid(&["www.a.test"], &key, period(10, 80));
    let third = issue(&repo, &same_key, &alice, "Renew www: x");
    let mut marked = same_key.description.clone();
    marked["revoked"] = json!({"at": "2026-11-25T20:30:40Z", "reason": "keyCompromise"});
    repo.put("certificates/www/www.json", format!("{marked:#}\n"));
    repo.commit("Revoke www: keyCompromise");
    let good = files(&["www.a.test"], period(1, 89));
    issue(&repo, &good, &alice, "Reissue www: x");
    let mark =
        "it was revoked on 2026-11-25: keyCompromise\nhint: no client that checks would take it\n";
    let said = refused(&repo, "");
    assert!(said.ends_with(&format!("  caused by: {mark}")), "{said}");
    // The mark counts for the commit before it, too.
    assert_eq!(
        refused(&repo, &format!("--to {third}")),
        format!("{}  caused by: {mark}", not_put_back(&third))
    );
    assert_eq!(
        refused(&repo, &format!("--to {second}")),
        format!(
            "{}  caused by: its key was compromised: a certificate with the same key was revoked for that\n\
             hint: a key that somebody else has is never used again\n",
            not_put_back(&second)
        )
    );
    assert_eq!(
        refused(&repo, "--to nothing"),
        "error: there is no commit `nothing`\nhint: `git-certs log www` shows the commits of this certificate\n"
    );
    let root = repo.git(&["rev-list", "--max-parents=0", "HEAD"]);
    assert_eq!(
        refused(&repo, &format!("--to {root}")),
        format!(
            "error: commit {} has no certificate `www`\nhint: `git-certs log www` shows the commits of this certificate\n",
            &root[..10]
        )
    );
}

#[test]
fn files_that_do_not_belong_together_stay_away() {
    let (repo, alice) = repo();
    let mixed = files(&["www.a.test"], period(20, 70));
    repo.store("www", &mixed, &[&alice]);
    repo.put(
        "certificates/www/www.key.age",
        repo.sealed("another", &[&alice]),
    );
    let first = repo.commit("Issue www: x");
    repo.remove("certificates/www/www.key.age");
    repo.put("certificates/www/www.json", "{}");
    repo.put("certificates/www/www.key", &mixed.key);
    let second = repo.commit("as get-certs did");
    repo.remove("certificates/www/www.key");
    repo.put("certificates/www/www.key.gpg", "PGP");
    let without = repo.commit("as blackbox did");
    repo.remove("certificates/www/www.key.gpg");
    repo.put("certificates/www/www.key.age", [0xff]);
    let third = repo.commit("no age file");
    repo.put("certificates/www/www.crt", "no PEM");
    let fourth = repo.commit("no certificate");
    issue(
        &repo,
        &files(&["www.a.test"], period(1, 89)),
        &alice,
        "Renew www: x",
    );
    let said = refused(&repo, &format!("--to {first}"));
    assert_eq!(
        said,
        format!(
            "error: the certificate of commit {first} is not put back\n  \
             caused by: its files do not belong together: `www.key.age`: it is not the key that `www.json` names: it was \
             swapped or damaged\n\
             hint: `--to COMMIT` names another: `git-certs log www` shows them\n"
        )
    );
    assert_eq!(
        refused(&repo, &format!("--to {second}")),
        format!(
            "error: the certificate of commit {second} is not put back\n  \
             caused by: its key is in plain text there\n\
             hint: whoever could read the repository has that key: issue a new certificate\n"
        )
    );
    assert_eq!(
        refused(&repo, &format!("--to {without}")),
        format!(
            "error: the certificate of commit {without} is not put back\n  \
             caused by: its key is not there, encrypted with age\n\
             hint: `--to` names another commit; `git-certs renew --only` replaces the certificate by a new one\n"
        )
    );
    for (commit, end, cause) in [
        (&third, "key.age", "not an ASCII-armoured age file"),
        (&fourth, "crt", "no certificate in PEM form"),
    ] {
        assert_eq!(
            refused(&repo, &format!("--to {commit}")),
            format!("error: `www.{end}` of commit {commit} cannot be used\n  caused by: {cause}\n")
        );
    }
}

#[test]
fn what_speaks_against_it_is_told_first() {
    let (repo, alice) = repo();
    let mut old = files(&["www.a.test", "old.a.test"], period(70, 20));
    old.description["recipients_sha256"] = "0".repeat(64).into();
    issue(&repo, &old, &alice, "Issue www: x");
    issue(
        &repo,
        &files(&["www.a.test"], period(1, 89)),
        &alice,
        "Reissue www: x",
    );
    let said = repo.run("rollback www --no-push --yes", "none");
    assert_eq!(said.code, Some(0));
    assert_eq!(
        said.stderr,
        "warning: it is for other names than the one that is there: old.a.test, www.a.test in place of www.a.test\n\
         warning: the next `renew` replaces it at once: names differ: - old.a.test\n\
         warning: its key is encrypted for other recipients than those of today: `git-certs rekey` encrypts it for them\n"
    );
    // There and back: it is not due by days, but its end is near.
    repo.run("rollback www --no-push --yes", "none");
    repo.put(
        "certs.json",
        r#"[{"cert_name": "www", "names": ["www.a.test", "old.a.test"]}]"#,
    );
    repo.put("git-certs.toml", "renew = 5\n");
    repo.remove(".age-recipients");
    let said = repo.run("rollback www --no-push --yes", "none");
    assert_eq!(
        said.stderr,
        format!(
            "warning: it is for other names than the one that is there: old.a.test, www.a.test in place of www.a.test\n\
             warning: it expires soon, on {}\n\
             warning: it is not known whether its key is encrypted for the recipients of today: there is no \
             `.age-recipients` in the cert repository\n",
            until(&old)
        )
    );
    repo.list(&["mail"]);
    let said = repo.run("rollback www --no-push --yes", "none");
    assert!(
        said.stderr
            .contains("warning: certs.json does not list it, so nothing renews it\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_rollback_is_pushed_and_the_next_run_knows_it() {
    let wanted: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    nightly.renew().expect_code(0);
    let (lab, certs) = (&nightly.lab, &nightly.certs);
    let held = || {
        ["crt", "json", "key.age"]
            .map(|end| certs.show(lab, &format!("certificates/www/www.{end}")))
    };
    let before = held();
    nightly
        .command(&["renew", "--renew", "9999"])
        .run()
        .expect_code(0);
    assert_ne!(held(), before);
    let log = nightly.command(&["log", "www"]).run().expect_code(0);
    assert_eq!(
        log.stdout.matches("what    another certificate\n").count(),
        2,
        "{}",
        log.stdout
    );
    let output = nightly
        .command(&["rollback", "www", "--yes"])
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "`www` is the certificate of commit [COMMIT] again: serial [SERIAL], until [DATE]\n\
         pushed 1 commit to `main`\n"
    );
    assert!(!output.stderr.contains("rekey"), "{}", output.stderr);
    assert_eq!(held(), before);
    nightly.assert_valid("www");
    assert!(certs.subjects(lab)[0].starts_with("Roll back www: the certificate of "));
    assert_eq!(lab.left_over().len(), 0);
    // The CA has not forgotten the other one; a run takes the place of this one.
    nightly
        .command(&["renew", "--renew", "9999"])
        .run()
        .expect_code(0);
    assert_ne!(held(), before);
    nightly.assert_valid("www");

    // A run that comes first has the newer one, which stays.
    let gate = Gate::new(lab);
    let rollback = nightly.command(&["rollback", "www", "--yes"]);
    let rollback = gate.at("before push", rollback).spawn();
    gate.wait();
    nightly
        .command(&["renew", "--renew", "9999"])
        .run()
        .expect_code(0);
    let after = held();
    gate.open();
    let said = rollback.wait().expect_code(2).stderr;
    assert!(
        said.ends_with(
            "\nerror: another run has stored certificate `www` meanwhile, and that one stays\n\
             hint: run it again if that certificate is to go, too\n"
        ),
        "{said}"
    );
    assert_eq!(held(), after);
}

#[test]
fn a_rollback_in_a_clone_has_to_be_pushed() {
    let (repo, _, _) = renewed();
    let here = repo.path("certs");
    let words = format!(
        "rollback www --yes --no-push --repo file://{}",
        here.display()
    );
    assert_eq!(
        repo.run(&words, "none"),
        Said::refused(
            "error: `--no-push` with `--repo` would keep nothing: the clone is deleted when the run ends\n\
             hint: leave one of them out; in a checkout `--no-push` keeps the commits\n"
        )
    );
}
