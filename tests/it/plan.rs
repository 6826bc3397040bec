//! What `plan` says, and that it touches nothing.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly};
use crate::support::repos::Files;

const WANTED: &[(&str, &[&str])] = &[
    ("one", &["one.bench.test"]),
    ("two", &["Two.bench.test", "*.two.bench.test"]),
];

fn lab() -> Lab {
    Lab::builder().bind().pebble().start()
}

/// Asks the way that cannot succeed if it needs a secret.
fn without_secrets(nightly: &Nightly, args: &[&str]) -> crate::support::command::Output {
    nightly
        .command(args)
        .env("GIT_CERTS_AGE_KEY_FILE", "")
        .env("LAB_TSIG_KEY", "")
        .run()
}

/// BIND tells of every transfer and update, refused ones included.
fn bind_log(lab: &Lab) -> String {
    fs::read_to_string(lab.folder().join("log/Bind.err")).unwrap()
}

#[test]
fn a_plan_touches_nothing() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    let traces = || {
        let objects = lab.git(&nightly.certs.folder, &["count-objects", "-v"]);
        (nightly.requests(), bind_log(lab), objects.stdout)
    };
    let before = traces();
    let text = "issue    one  one.bench.test: not in the repository\n\
                issue    two  two.bench.test, *.two.bench.test: not in the repository\n\n\
                2 due, 0 up to date\n";
    let output = without_secrets(&nightly, &["plan"]).expect_code(0);
    assert_eq!(output.stdout, text);
    let mut lines: Vec<_> = output.normal_stderr().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(
        lines,
        [
            "cloned `[LAB]/git/certs.git` ([TIME])",
            "cloned `[LAB]/git/dns.git` ([TIME])",
            "looked at 1 zone ([TIME])",
        ]
    );
    let output = without_secrets(&nightly, &["plan", "--format", "json"]).expect_code(0);
    assert_eq!(
        serde_json::from_str::<Value>(&output.stdout).unwrap(),
        json!({
            "version": 1,
            "due": 2,
            "would_fail": 0,
            "unlisted": [],
            "certificates": [
                {
                    "cert_name": "one",
                    "names": ["one.bench.test"],
                    "action": "issue",
                    "reason": "not in the repository",
                    "not_after": null,
                    "due_from": null,
                },
                {
                    "cert_name": "two",
                    "names": ["two.bench.test", "*.two.bench.test"],
                    "action": "issue",
                    "reason": "not in the repository",
                    "not_after": null,
                    "due_from": null,
                },
            ],
        })
    );
    assert_eq!(traces(), before);
    assert_eq!(nightly.certs.subjects(lab), ["files of the test"]);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert!(lab.left_over().is_empty());
}

#[test]
fn the_plan_follows_what_is_held() {
    let nightly = Nightly::new(lab(), WANTED);
    let lab = &nightly.lab;
    nightly.renew().expect_code(0);
    let requests = nightly.requests();
    let plan = |args: &[&str], code: i32| {
        let words = [&["plan"], args].concat();
        without_secrets(&nightly, &words).expect_code(code)
    };

    let kept = plan(&["--detailed-exitcode"], 0);
    assert_eq!(
        kept.normal_stdout(),
        "keep     one  one.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\
         keep     two  two.bench.test, *.two.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\n\
         0 due, 2 up to date\n"
    );
    let due = plan(&["--detailed-exitcode", "-renew", "1000"], 2);
    assert_eq!(
        due.stdout,
        "renew    one  one.bench.test: 89 days of 90 days left, due below 1000 days\n\
         renew    two  two.bench.test, *.two.bench.test: 89 days of 90 days left, due below 1000 days\n\n\
         2 due, 0 up to date\n"
    );
    assert_eq!(
        plan(&["--renew=1000", "--only", "two"], 0).stdout,
        "renew    two  two.bench.test, *.two.bench.test: 89 days of 90 days left, due below 1000 days\n\n\
         1 due, 0 up to date\n"
    );
    let unknown = plan(&["--detailed-exitcode", "--only", "three"], 1);
    assert!(
        unknown.stderr.ends_with(
            "error: `certs.json` has no certificate `three`\nhint: it has `one`, `two`\n"
        ),
        "{}",
        unknown.stderr
    );
    // The same names in another form, and other names.
    Files::default()
        .with(
            "certs.json",
            r#"[{"cert_name": "one", "names": ["ONE.bench.test", "uno.bench.test"]},
                {"cert_name": "two", "names": ["*.two.bench.test", "two.bench.test"]}]"#,
        )
        .commit(lab, &nightly.certs, "other names");
    let changed = plan(&["--detailed-exitcode"], 2);
    assert_eq!(
        changed.normal_stdout(),
        "reissue  one  one.bench.test, uno.bench.test: names differ: + uno.bench.test\n\
         keep     two  *.two.bench.test, two.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\n\
         1 due, 1 up to date\n"
    );
    assert_eq!(nightly.requests(), requests);
}

#[test]
fn what_the_plan_says_is_done() {
    let nightly = Nightly::new(lab(), WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    nightly
        .command(&["renew", "--only", "one"])
        .run()
        .expect_code(0);
    let first = nightly.chain("one");
    assert!(!certs.files(lab).iter().any(|path| path.contains("two")));

    let forced = nightly
        .command(&["renew", "--renew", "1000", "--format", "json"])
        .run()
        .expect_code(0);
    let data: Value = serde_json::from_str(&forced.stdout).unwrap();
    assert_eq!(data["issued"], 2);
    assert_eq!(data["failed"], 0);
    assert_eq!(data["left_over"], json!([]));
    let [one, two] = [0, 1].map(|index| &data["certificates"][index]);
    assert_eq!(
        (&one["cert_name"], &one["action"], &one["result"]),
        (&json!("one"), &json!("renew"), &json!("issued"))
    );
    assert_eq!(
        (&two["cert_name"], &two["action"], &two["result"]),
        (&json!("two"), &json!("issue"), &json!("issued"))
    );
    let commit = lab.git(&certs.folder, &["rev-parse", "main"]).stdout;
    assert!(commit.starts_with(two["commit"].as_str().unwrap()), "{two}");
    assert_ne!(nightly.chain("one"), first);
    nightly.assert_valid("one");

    Files::default()
        .with(
            "certs.json",
            r#"[{"cert_name": "one", "names": ["uno.bench.test"]}]"#,
        )
        .commit(lab, certs, "another name");
    nightly.renew().expect_code(0);
    assert_eq!(
        certs.subjects(lab)[0],
        "Reissue one: names differ: + uno.bench.test, - one.bench.test"
    );
    nightly.assert_valid("one");
}

#[test]
fn an_entry_that_is_skipped_gets_no_challenge() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[("dual", &["example.test"])],
    );
    let lab = &nightly.lab;
    // BIND alone has the value: PowerDNS never shows it, and the wait has its limit.
    let skipping = nightly.command(&["renew", "-skip", "powerdns", "--dns-timeout", "3"]);
    let gate = Gate::new(lab);
    let skipping = gate.at("after add ddns", skipping).spawn();
    gate.wait();
    assert!(!lab.challenges().is_empty());
    gate.open();
    let output = skipping.wait().expect_code(1);
    assert!(
        output.stderr.contains("ns2.example.test") && !output.stderr.contains("ns1.example.test"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.ends_with(
            "hint: `--skip` leaves out `powerdns`, whose name servers get no value: `[zones.\"example.test\"]` in \
             `git-certs.toml` can name them in `ignore-servers`; the CA may ask them all the same\n"
        ),
        "{}",
        output.stderr
    );
    assert!(lab.challenges().is_empty());

    let all = nightly
        .command(&["renew", "--skip", "powerdns, ddns"])
        .run()
        .expect_code(2);
    assert!(
        all.stderr.ends_with(
            "error: cannot issue `dual`\n  \
             caused by: all DNS providers of zone `example.test` are skipped\n\
             hint: take one of them off `--skip`\n"
        ),
        "{}",
        all.stderr
    );
}

#[test]
fn a_list_of_another_name_is_read_from_the_clone() {
    let nightly = Nightly::with(lab(), WANTED, |files, _| {
        let list = r#"[{"cert_name": "other", "names": ["other.bench.test"]}]"#;
        files.with("lists/other.json", list)
    });
    let plan = |list: &str| nightly.command(&["plan", "--cert-config", list]).run();
    assert_eq!(
        plan("lists/other.json").expect_code(0).stdout,
        "issue    other  other.bench.test: not in the repository\n\n1 due, 0 up to date\n"
    );
    let stderr = plan("lists/missing.json").expect_code(2).normal_stderr();
    let error = stderr.lines().filter(|line| !line.starts_with("cloned "));
    assert_eq!(
        error.collect::<Vec<_>>(),
        [
            "error: the cert repository has no `lists/missing.json`",
            "hint: with `--repo`, `--cert-config` is a path in the cert repository",
        ]
    );
}
