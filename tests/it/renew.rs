//! The nightly build from an empty cert repository to one where nothing is due.

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::support::command::{Output, normalise};
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, pebble_log, wait_until};

const WANTED: &[(&str, &[&str])] = &[
    ("wildcard", &["example.test", "*.example.test"]),
    ("mail", &["mail.pdns.test", "smtp.pdns.test"]),
    ("both", &["www.example.test", "files.test"]),
];

#[test]
fn one_run_issues_commits_and_pushes_and_the_next_has_nothing_to_do() {
    let nightly = Nightly::new(Lab::builder().all().start(), WANTED);
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let renew = nightly
        .command(&["renew"])
        .env("GIT_AUTHOR_NAME", "Nightly Build")
        .env("GIT_AUTHOR_EMAIL", "nightly@example.test");
    let run = gate.reload(renew).spawn();
    gate.wait();
    let name = "_acme-challenge.example.test";
    for server in [Server::Bind, Server::PowerDns] {
        wait_until(lab, "two values side by side", || {
            lab.txt(server, name).len() == 2
        });
    }
    assert_eq!(lab.txt(Server::Bind, name), lab.txt(Server::PowerDns, name));
    // The account, without which what is ordered would be lost.
    assert_eq!(nightly.certs.subjects(lab).len(), 2);
    gate.open();
    let output = run.wait().expect_code(0);

    assert_eq!(
        output.normal_stdout(),
        "issued   wildcard  *.example.test, example.test: until [DATE], commit [COMMIT]\n\
         issued   mail      mail.pdns.test, smtp.pdns.test: until [DATE], commit [COMMIT]\n\
         issued   both      files.test, www.example.test: until [DATE], commit [COMMIT]\n\n\
         3 issued, 0 failed, 0 up to date\n\
         pushed 3 commits to `main`\n"
    );
    assert_eq!(
        sorted(&output.normal_stderr()),
        sorted(
            "cloned `[LAB]/git/certs.git` ([TIME])\n\
             cloned `[LAB]/git/dns.git` ([TIME])\n\
             to issue: `wildcard`, not in the repository\n\
             to issue: `mail`, not in the repository\n\
             to issue: `both`, not in the repository\n\
             a push would be accepted ([TIME])\n\
             looked at 3 zones ([TIME])\n\
             ordered 3 certificates with 6 challenges ([TIME])\n\
             asked every name server for every challenge ([TIME])\n\
             issued 3 certificates, with [N] requests to the CA ([TIME])\n\
             registered the ACME account `https://acme.test/my-account/[ID]`\n\
             pushed 1 commit to `main` ([TIME])\n\
             pushed 3 commits to `main` ([TIME])\n"
        )
    );
    assert_repository(&nightly);
    assert_history(&nightly);
    assert_eq!(lab.challenges().into_iter().collect::<Vec<_>>(), []);
    assert_eq!(
        lab.left_over(),
        [""; 0].map(Into::<std::path::PathBuf>::into)
    );
    assert_nothing_due(&nightly);
}

/// Files, descriptions and keys after the first run.
fn assert_repository(nightly: &Nightly) {
    let Nightly { lab, certs, .. } = nightly;
    assert_eq!(
        certs.files(lab),
        [
            ".age-recipients",
            ".letsencrypt/acme.test/account.json",
            ".letsencrypt/acme.test/account.key.age",
            "certificates/both/both.crt",
            "certificates/both/both.json",
            "certificates/both/both.key.age",
            "certificates/mail/mail.crt",
            "certificates/mail/mail.json",
            "certificates/mail/mail.key.age",
            "certificates/wildcard/wildcard.crt",
            "certificates/wildcard/wildcard.json",
            "certificates/wildcard/wildcard.key.age",
            "certs.json",
        ]
    );
    for (name, names) in WANTED {
        nightly.assert_valid(name);
        assert_description(nightly, name, names);
    }
    let account = certs.show(lab, ".letsencrypt/acme.test/account.json");
    let account: Value = serde_json::from_str(&account).unwrap();
    let url = account["registration"]["uri"].as_str().unwrap();
    assert!(
        url.starts_with("https://acme.test/my-account/"),
        "{account}"
    );
}

/// One commit for the account and one a certificate, on the only branch.
fn assert_history(nightly: &Nightly) {
    let Nightly { lab, certs, .. } = nightly;
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(
        certs.subjects(lab),
        [
            "Issue both: not in the repository",
            "Issue mail: not in the repository",
            "Issue wildcard: not in the repository",
            "Register an ACME account at acme.test",
            "files of the test",
        ]
    );
    let message = lab.git(
        &certs.folder,
        &["log", "-1", "--format=%an <%ae>%n%B", "main~2"],
    );
    assert_eq!(
        normalise(&message.stdout, lab.folder()),
        "Nightly Build <nightly@example.test>\n\
         Issue wildcard: not in the repository\n\n\
         Git-Certs-Names: *.example.test, example.test\n\
         Git-Certs-Serial: [SERIAL]\n\
         Git-Certs-Not-After: [DATE]\n\
         Git-Certs-Issuer: Pebble Intermediate CA [ID]\n\
         Git-Certs-Run: [SERIAL]\n\n"
    );
    let message = lab.git(&certs.folder, &["log", "-1", "--format=%B", "main~2"]);
    let parsed = lab
        .command("git")
        .args(["interpret-trailers", "--parse"])
        .stdin(message.stdout.clone())
        .succeed();
    let (_, trailers) = message.stdout.trim_end().split_once("\n\n").unwrap();
    assert_eq!(parsed.stdout.trim_end(), trailers);
    let field = |name: &str| {
        let line = trailers.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    };
    let described: Value =
        serde_json::from_str(&certs.show(lab, "certificates/wildcard/wildcard.json")).unwrap();
    assert_eq!(described["serial"], field("Git-Certs-Serial: "));
    assert_eq!(described["not_after"], field("Git-Certs-Not-After: "));
    let changed = lab.git(
        &certs.folder,
        &["diff-tree", "-r", "--no-commit-id", "--name-only", "main"],
    );
    assert_eq!(
        changed.stdout,
        "certificates/both/both.crt\ncertificates/both/both.json\ncertificates/both/both.key.age\n"
    );
}

/// NAME.json says what openssl and sha256sum say.
fn assert_description(nightly: &Nightly, name: &str, names: &[&str]) {
    let Nightly { lab, certs, .. } = nightly;
    let text = certs.show(lab, &format!("certificates/{name}/{name}.json"));
    let described: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = described.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "domain",
            "certUrl",
            "certStableUrl",
            "names",
            "not_before",
            "not_after",
            "serial",
            "issuer",
            "key_type",
            "public_key_sha256",
            "directory",
            "received",
            "action",
            "key_age_sha256",
            "recipients_sha256",
            "renewal_info",
        ]
    );
    assert_eq!(described["domain"], names[0]);
    let mut expected: Vec<_> = names.to_vec();
    expected.sort_unstable();
    let mut listed: Vec<_> = described["names"].as_array().unwrap().iter().collect();
    listed.sort_by_key(|name| name.as_str());
    assert_eq!(listed, expected);
    assert_eq!(described["directory"], "https://acme.test/dir");
    assert_eq!(described["action"], "issue");
    assert_eq!(described["key_type"], "rsa2048");
    let serial = lab
        .command("openssl")
        .args(["x509", "-noout", "-serial"])
        .stdin(nightly.chain(name))
        .succeed()
        .stdout;
    let serial = serial.trim().trim_start_matches("serial=");
    assert_eq!(described["serial"], serial);
    let sealed = certs.show(lab, &format!("certificates/{name}/{name}.key.age"));
    let sum = lab.command("sha256sum").stdin(sealed).succeed().stdout;
    assert_eq!(described["key_age_sha256"], sum.split(' ').next().unwrap());
}

/// Nothing due: no request, no secret, no commit.
#[test]
fn what_the_run_waited_for_is_told() {
    let wanted: &[(&str, &[&str])] = &[("www", &["www.bench.test"]), ("api", &["api.bench.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    let renew = nightly.command(&["renew", "-v", "--format", "json"]);
    let waited = Regex::new(r"waited ([0-9]+\.[0-9]) s: open ").unwrap();
    let path = |output: &Output| {
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let path = &report["critical_path"];
        let stages = path["stages"].as_object().unwrap().clone();
        let seconds = path["seconds"].as_f64().unwrap();
        let sum: f64 = stages.values().map(|spent| spent.as_f64().unwrap()).sum();
        assert!((sum - seconds).abs() < 0.01, "{path}");
        // What is missing is the start of the program and its end.
        let rest = output.took.as_secs_f64() - seconds;
        assert!(rest >= 0.0, "{rest} s besides {path}");
        let mut told = waited.captures_iter(&output.stderr);
        let told: f64 = told.next().unwrap()[1].parse().unwrap();
        assert!((told - seconds).abs() < 0.06, "{}", output.stderr);
        assert_eq!(waited.captures_iter(&output.stderr).count(), 1);
        let names: Vec<_> = stages.keys().cloned().collect();
        (path["certificate"].clone(), names.join(" "), stages)
    };
    let (certificate, names, stages) = path(&renew.run().expect_code(0));
    assert!(
        certificate == "www" || certificate == "api",
        "{certificate}"
    );
    assert_eq!(
        names,
        "open plan prepare account order write see validate finalize fetch commit push withdraw"
    );
    // Each of these needs an answer from somebody.
    for stage in ["open", "order", "write", "validate", "push"] {
        assert!(stages[stage].as_f64() > Some(0.0), "{stage}: {stages:?}");
    }
    let (certificate, names, _) = path(&renew.run().expect_code(0));
    assert_eq!((certificate, names.as_str()), (Value::Null, "open plan"));
}

fn assert_nothing_due(nightly: &Nightly) {
    let Nightly { lab, certs, .. } = nightly;
    let asked = pebble_log(lab);
    assert!(asked.contains("POST /order-plz"), "{asked}");
    let tip = lab.git(&certs.folder, &["rev-parse", "main"]).stdout;
    let mut again = nightly.command(&["renew"]);
    for secret in ["GIT_CERTS_AGE_KEY_FILE", "LAB_TSIG_KEY", "LAB_API_KEY"] {
        again = again.env(secret, "");
    }
    let again = again.run().expect_code(0);
    // They may end in the same second, or not.
    let ends = WANTED.iter().map(|(name, _)| {
        let text = certs.show(lab, &format!("certificates/{name}/{name}.json"));
        let described: Value = serde_json::from_str(&text).unwrap();
        (described["not_after"].as_str().unwrap().to_owned(), *name)
    });
    let (_, first) = ends.min().unwrap();
    assert_eq!(
        again.normal_stdout(),
        format!("nothing is due: 3 up to date, the first to expire is `{first}` on [DATE]\n")
    );
    assert_eq!(
        sorted(&again.normal_stderr()),
        sorted("cloned `[LAB]/git/certs.git` ([TIME])\ncloned `[LAB]/git/dns.git` ([TIME])\n")
    );
    assert_eq!(pebble_log(lab), asked);
    assert_eq!(lab.git(&certs.folder, &["rev-parse", "main"]).stdout, tip);
    assert_eq!(lab.left_over().len(), 0);
}

/// Steps may overlap: their lines in one order.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
