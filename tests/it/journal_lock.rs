//! One run at a time, and what a run leaves that cannot push.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, at, orders, pebble_log, wait_until};
use crate::support::repos::{Files, Remote};
use crate::support::{bind, pebble};

const WANTED: &[(&str, &[&str])] = &[("files", &["files.test"])];

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().all().start(), WANTED)
}

/// Moments, as messages have them.
pub fn without_moments(text: &str) -> String {
    let moment = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    moment.replace_all(text, "[MOMENT]").into_owned()
}

fn refuse(certs: &Remote, pattern: &str) {
    let hook = certs.folder.join("hooks/update");
    let script =
        format!("#!/bin/sh\ncase $1 in {pattern}) echo 'branches only' >&2; exit 1 ;; esac\n");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_second_run_waits_for_the_first_unless_it_is_unlocked() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let unlock = || {
        let output = nightly.command(&["unlock", "--yes"]).run().expect_code(0);
        without_moments(&output.stdout)
    };
    assert_eq!(unlock(), "no run holds the cert repository\n");
    let gate = Gate::new(lab);
    let first = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    let second = nightly.renew().expect_code(2);
    assert_eq!(
        without_moments(second.stderr.split_once("error: ").unwrap().1),
        "another run is at work: lab, begun [MOMENT], last sign of life [MOMENT]\n\
         hint: wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left\n"
    );
    assert_eq!(second.stdout, "");
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(
        without_moments(plan.stderr.lines().last().unwrap()),
        "another run is at work: lab, begun [MOMENT], last sign of life [MOMENT]"
    );

    assert_eq!(
        unlock(),
        "unlocked: the next run takes over what was left by lab, begun [MOMENT], last sign of life [MOMENT]\n"
    );
    assert_eq!(
        unlock(),
        "no run holds the cert repository; the next one takes over what was left: lab, begun [MOMENT], last sign of life [MOMENT]\n"
    );
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(
        without_moments(plan.stderr.lines().last().unwrap()),
        "an earlier run has left 1 order and 1 challenge: lab, begun [MOMENT], last sign of life [MOMENT]; `renew` takes it over"
    );
    let third = nightly.renew().expect_code(0);
    assert!(
        third
            .stderr
            .contains("going on with the order of an earlier run for `files`"),
        "{third:?}"
    );
    nightly.assert_valid("files");
    let before = nightly.chain("files");
    gate.open();
    // The first finds that it was taken for dead; nothing that the third has stored is lost.
    first.signal("TERM");
    first.wait().expect_code(1);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(nightly.chain("files"), before);
    assert_eq!(lab.challenges().len(), 0);
}

#[test]
fn a_run_without_a_sign_of_life_is_taken_over() {
    let nightly = nightly();
    let gate = Gate::new(&nightly.lab);
    let first = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let second = nightly.command(&["renew", "--lock-timeout", "1"]).run();
    let second = second.expect_code(0);
    assert!(second.stdout.starts_with("issued   files"), "{second:?}");
    gate.open();
    first.signal("KILL");
    first.wait();
    nightly.assert_valid("files");
}

#[test]
fn a_run_that_gives_signs_of_life_is_not_taken_over() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let renew = nightly.command(&["renew"]);
    let first = gate.reload(renew.env("GIT_CERTS_TEST_BEAT", "500")).spawn();
    gate.wait();
    let journal = |lab: &Lab| {
        let tip = ["rev-parse", "refs/git-certs/journal"];
        lab.git(&nightly.certs.folder, &tip).stdout
    };
    let before = journal(lab);
    // Without signs of life this were long enough.
    std::thread::sleep(std::time::Duration::from_secs(7));
    assert_ne!(journal(lab), before);
    let second = nightly.command(&["renew", "--lock-timeout", "6"]).run();
    let second = second.expect_code(2);
    assert_eq!(
        without_moments(second.stderr.split_once("error: ").unwrap().1),
        "another run is at work: lab, begun [MOMENT], last sign of life [MOMENT]\n\
         hint: wait until it has ended; if it is dead, `git-certs unlock` lets the next run take over what it has left\n"
    );

    // One that was taken for dead does not come back by its signs of life.
    let unlock = nightly.command(&["unlock", "--yes"]);
    wait_until(lab, "a moment between two signs of life", || {
        let output = unlock.run();
        let changed = "error: the journal has changed meanwhile: a run is at work\n\
             hint: if that run is dead, run `git-certs unlock` again\n";
        assert!(
            output.status.success() || output.stderr.ends_with(changed),
            "{output:?}"
        );
        output.status.success()
    });
    nightly.renew().expect_code(0);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    let chain = nightly.chain("files");
    gate.open();
    first.signal("TERM");
    first.wait().expect_code(1);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(nightly.chain("files"), chain);
    assert_eq!(lab.challenges().len(), 0);
}

#[test]
fn a_server_without_other_references_gets_a_branch() {
    let nightly = nightly();
    refuse(&nightly.certs, "refs/git-certs/*");
    let output = nightly.renew().expect_code(0);
    assert!(
        output.stderr.contains(
            "the journal is the branch `git-certs-journal`: the server refuses references outside of branches: hook declined; branches only; error: hook declined to update refs/git-certs/journal\n"
        ),
        "{output:?}"
    );
    assert_eq!(nightly.certs.refs(&nightly.lab), ["refs/heads/main"]);
    nightly.assert_valid("files");
}

#[test]
fn a_server_that_takes_no_journal_is_worked_with_all_the_same() {
    let nightly = nightly();
    refuse(&nightly.certs, "refs/git-certs/*|*journal");
    let refused = nightly
        .command(&["renew", "--journal", "ref"])
        .run()
        .expect_code(2);
    assert_eq!(
        refused.stderr.split_once("error: ").unwrap().1,
        "the server refuses the journal: hook declined; branches only; error: hook declined to update refs/git-certs/journal\n\
         hint: let this login push to it, or choose another place with `--journal`\n"
    );
    let output = nightly.renew().expect_code(0);
    assert!(
        output.stderr.contains(
            "warning: there is no journal, so what a killed run has ordered is lost: the server refuses it: hook declined; branches only; error: hook declined to update refs/heads/git-certs-journal\n"
        ),
        "{output:?}"
    );
    nightly.assert_valid("files");
}

#[test]
fn without_a_journal_nothing_is_written_there() {
    let nightly = nightly();
    refuse(&nightly.certs, "refs/git-certs/*|*journal");
    let output = nightly
        .command(&["renew", "--journal", "off"])
        .run()
        .expect_code(0);
    assert!(!output.stderr.contains("journal"), "{output:?}");
}

#[test]
fn what_cannot_be_pushed_is_fetched_by_the_next_run() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    nightly.certs.refuse_pushes();
    gate.open();
    let output = run.wait().expect_code(2);
    assert!(
        output.stderr.contains("error: `"),
        "the refusal is told: {output:?}"
    );
    assert_eq!(
        nightly.certs.refs(lab),
        ["refs/git-certs/journal", "refs/heads/main"]
    );
    fs::remove_file(nightly.certs.folder.join("hooks/update")).unwrap();
    let orders = |lab: &Lab| pebble_log(lab).matches("Added order").count();
    assert_eq!(orders(lab), 1);
    nightly.renew().expect_code(0);
    assert_eq!(
        orders(lab),
        1,
        "the certificate is fetched, not ordered again"
    );
    nightly.assert_valid("files");
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(lab.txt(Server::Bind, "_acme-challenge.files.test"), [""; 0]);
}

/// A reference outside of branches may be easier to write than the branch.
#[test]
fn a_journal_of_somebody_else_touches_nothing_else() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let register = nightly.command(&["account", "register"]);
    register.run().expect_code(0);
    let account = certs.show(lab, ".letsencrypt/acme.test/account.json");
    let account: Value = serde_json::from_str(&account).unwrap();
    let other = "_acme-challenge.files.test";
    let zone = lab.txt(Server::Bind, other);
    let value = |name: &str, value: &str| json!({"zone": "files.test", "entry": "zonefiles", "name": name, "value": value});
    // It looks like a challenge, as somebody else's may.
    let kept = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
    bind::update(
        lab.namespace(),
        "bench.test",
        &format!("add keep.bench.test 60 TXT \"{kept}\""),
    )
    .expect_code(0);
    let at_keep = |directory: &str, mark: &str| {
        json!({
            "zone": "bench.test", "entry": "ddns", "name": "keep.bench.test", "value": kept,
            "directory": directory, "mark": mark,
        })
    };
    let journal = json!({
        "version": 1,
        "run": {"id": "x", "by": "somebody", "began": "2026-01-01T00:00:00Z", "seen": "2026-01-01T00:00:00Z"},
        "orders": [{
            "certificate": "files",
            "directory": pebble::DIRECTORY,
            "account": account["registration"]["uri"],
            "url": "https://evil.test/order/1",
            "placed": OffsetDateTime::now_utc().format(&Rfc3339).unwrap(),
            "request": "",
            "recipients": "",
        }],
        "values": [
            at_keep("", ""),
            at_keep(pebble::DIRECTORY, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"),
            at_keep("https://evil.test/dir", "x"),
            value("files.test", "v=spf1 -all"),
        ],
    });
    plant(&nightly, &journal.to_string());
    let output = nightly.renew().expect_code(0);
    let said = without_moments(&output.stderr);
    for line in [
        "an earlier run has left 1 order and 4 challenges: somebody, begun [MOMENT], last sign of life [MOMENT]\n",
        "warning: 4 challenges of the journal stay where they are, if they are anywhere: nobody who can open the account key \
         has written them down so: at `files.test`, `keep.bench.test`\n",
        "an earlier run ordered `files`, but that order is of no use: it is not an order of this CA: `https://evil.test/order/1`\n",
    ] {
        assert!(said.contains(line), "{line}{said}");
    }
    nightly.assert_valid("files");
    assert_eq!(lab.txt(Server::Bind, "keep.bench.test"), [kept]);
    assert_eq!(lab.txt(Server::Bind, other), zone);

    plant(&nightly, "nonsense");
    let output = nightly.renew().expect_code(2);
    assert_eq!(
        output.stderr.split_once("error: ").unwrap().1,
        "cannot read the journal at `refs/git-certs/journal`\n  \
         caused by: it is no journal\n  \
         caused by: expected ident at line 1 column 2\n\
         hint: delete it where it is kept, or run with `--journal off`; what a killed run has left is then not taken over\n"
    );
}

#[test]
fn without_the_account_key_values_wait_in_the_journal() {
    let wanted: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    let Nightly { lab, certs, .. } = &nightly;
    at("after add ddns", "KILL", nightly.command(&["renew"])).run();
    let show = ["show", "refs/git-certs/journal:journal.json"];
    let noted = lab.git(&certs.folder, &show).stdout;
    nightly.renew().expect_code(0);
    assert_eq!(lab.challenges().len(), 0);
    // As if the certificate had been pushed, and the value not withdrawn.
    let mut journal: Value = serde_json::from_str(&noted).unwrap();
    journal["orders"] = json!([]);
    journal["run"]["ended"] = true.into();
    let noted = journal.to_string();
    let name = "_acme-challenge.www.bench.test";
    let value = journal["values"][0]["value"].as_str().unwrap();
    let add = format!("add {name} 60 TXT \"{value}\"");
    bind::update(lab.namespace(), "bench.test", &add).expect_code(0);
    plant(&nightly, &noted);
    for _ in 0..2 {
        let without = nightly
            .command(&["renew"])
            .env("GIT_CERTS_AGE_KEY_FILE", "");
        let output = without.run().expect_code(0);
        assert!(output.stdout.starts_with("nothing is due"), "{output:?}");
        let said = output.normal_stderr();
        let warning = "warning: 1 challenge of an earlier run cannot be withdrawn without the account key; the next run tries \
                       again: there is no age identity to open `.letsencrypt/acme.test/account.key.age` with\n";
        assert!(said.ends_with(warning), "{said}");
        let refs = ["refs/git-certs/journal", "refs/heads/main"];
        assert_eq!(certs.refs(lab), refs);
        assert_eq!(lab.challenges().len(), 1);
    }

    // A note with another's mark is none of ours.
    journal["values"][0]["name"] = "_acme-challenge.other.bench.test".into();
    plant(&nightly, &journal.to_string());
    let output = nightly.renew().expect_code(0);
    let warning = "warning: 1 challenge of the journal stays where it is, if it is anywhere: nobody who can open the account \
                   key has written it down so: at `_acme-challenge.other.bench.test`\n";
    assert!(output.stderr.ends_with(warning), "{output:?}");
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(lab.challenges().len(), 1);

    plant(&nightly, &noted);
    let output = nightly.renew().expect_code(0);
    let withdrew = "withdrew 1 challenge of an earlier run from zone `bench.test` at `ddns`\n";
    assert!(output.stderr.ends_with(withdrew), "{output:?}");
    assert_eq!(lab.txt(Server::Bind, name), [""; 0]);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
}

/// Somebody who may write the journal, but neither the branch nor DNS, hands in a request for his own key: recipients
/// are public, so that he can encrypt it as well.
#[test]
fn a_request_of_somebody_else_is_not_handed_in() {
    let nightly = nightly();
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    at("before finalize", "KILL", nightly.command(&["renew"])).run();
    let show = ["show", "refs/git-certs/journal:journal.json"];
    let mut journal: Value = serde_json::from_str(&lab.git(&certs.folder, &show).stdout).unwrap();
    let openssl = |args: &[&str], stdin: &str| {
        let run = lab.command("openssl").args(args.to_vec()).stdin(stdin);
        run.succeed().stdout
    };
    let key = openssl(&["genpkey", "-algorithm", "RSA"], "");
    let names = "subjectAltName=DNS:files.test";
    let request = [
        "req",
        "-new",
        "-key",
        "/dev/stdin",
        "-subj",
        "/",
        "-addext",
        names,
    ];
    let request = openssl(&request, &key);
    let lines: Vec<_> = request.lines().collect();
    let sealed = lab
        .command("age")
        .args(["--armor", "--recipient", &identity.recipient])
        .stdin(&*key)
        .succeed()
        .stdout;
    journal["run"]["ended"] = true.into();
    journal["orders"][0]["request"] = lines[1..lines.len() - 1].concat().into();
    journal["orders"][0]["key"] = sealed.into();
    plant(&nightly, &journal.to_string());

    let output = nightly.renew().expect_code(0);
    let of_no_use = "\nan earlier run ordered `files`, but that order is of no use: nobody who can open the account key has \
                     written it down so\n";
    assert!(output.stderr.contains(of_no_use), "{}", output.stderr);
    nightly.assert_valid("files");
    let own = openssl(&["x509", "-noout", "-pubkey"], &nightly.chain("files"));
    assert_ne!(own, openssl(&["pkey", "-pubout"], &key));
}

/// Of several orders for one certificate, those that lead to nothing do not hide the one that was issued.
#[test]
fn an_order_behind_others_that_are_of_no_use_is_gone_on_with() {
    let more: &[(&str, &[&str])] = &[("www", &["www.bench.test", "old.bench.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), more);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let journal_of_a_killed_run = || -> Value {
        at("before commit", "KILL", nightly.command(&["renew"])).run();
        let show = ["show", "refs/git-certs/journal:journal.json"];
        serde_json::from_str(&lab.git(&certs.folder, &show).stdout).unwrap()
    };
    let for_other_names = journal_of_a_killed_run()["orders"][0].clone();
    let forget = ["update-ref", "-d", "refs/git-certs/journal"];
    lab.git(&certs.folder, &forget);
    let files = Files::certificates(&[("www", &["www.bench.test"])], &[&identity.recipient]);
    files.commit(lab, certs, "without a name");
    let mut journal = journal_of_a_killed_run();
    let issued = journal["orders"][0].clone();
    let mut of_nobody = issued.clone();
    of_nobody["url"] = format!("{}x", issued["url"].as_str().unwrap()).into();
    journal["orders"] = json!([of_nobody, for_other_names, issued]);
    journal["run"]["ended"] = true.into();
    plant(&nightly, &journal.to_string());
    let before = nightly.requests().len();
    let output = nightly.renew().expect_code(0);
    let of_no_use = "an earlier run ordered `www`, but that order is of no use:";
    let said = format!(
        "{of_no_use} nobody who can open the account key has written it down so\n\
         {of_no_use} it is for other names\n\
         going on with the order of an earlier run for `www`\n"
    );
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    assert_eq!(orders(lab), 2, "no other was placed");
    // Those of no use are found so without the CA.
    let asked = &nightly.requests()[before..];
    let looks = asked
        .iter()
        .filter(|asked| asked.starts_with("POST /my-order/"));
    assert_eq!(looks.count(), 1, "{asked:?}");
    nightly.assert_valid("www");
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
}

#[test]
fn words_of_a_journal_are_tame() {
    let nightly = nightly();
    let by = "x\u{1b}[2J\n::add-mask::e ##[stop-commands]t";
    let moment = "2026-01-01T00:00:00Z";
    let run = json!({"id": "x", "by": by, "began": moment, "seen": moment});
    plant(&nightly, &json!({"version": 1, "run": run}).to_string());
    let output = nightly.command(&["unlock", "--yes"]).run().expect_code(0);
    assert_eq!(
        without_moments(&output.stdout),
        "no run holds the cert repository; the next one takes over what was left: x\\u{1b}[2J\n\
         \\::add-mask::e ##\\[stop-commands]t, begun [MOMENT], last sign of life [MOMENT]\n"
    );
}

/// Puts a journal in the place of whatever is there.
fn plant(nightly: &Nightly, journal: &str) {
    let Nightly { lab, certs, .. } = nightly;
    let git = |args: &[&str], stdin: &str| {
        let git = lab.command("git").arg("-C").arg(&certs.folder);
        let identity = ["-c", "user.name=x", "-c", "user.email=x@x.test"];
        let output = git.args(identity).args(args.to_vec()).stdin(stdin).run();
        output.expect_code(0).stdout.trim().to_owned()
    };
    let blob = git(&["hash-object", "-w", "--stdin"], journal);
    let tree = git(&["mktree"], &format!("100644 blob {blob}\tjournal.json\n"));
    let commit = git(&["commit-tree", "-m", "x", &tree], "");
    git(&["update-ref", "refs/git-certs/journal", &commit], "");
}
