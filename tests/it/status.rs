//! `status`: what it says of every certificate in every form, with nothing but the repository.

use std::collections::BTreeSet;
use std::fs;

use pretty_assertions::assert_eq;
use rcgen::KeyPair;
use regex::Regex;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::docs::{blocks, read};
use crate::support::cert_repo::{CertRepo, Files};
use crate::support::folders::{Folders, Said};
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly};

/// What CI notes in a commit.
const RUN: &str = "https://ci.test/jobs/42";

/// From so many days ago for so many days, and a bit.
fn period(ago: i64, ahead: i64) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let bit = Duration::hours(1);
    (now - Duration::days(ago), now + Duration::days(ahead) + bit)
}

fn files(name: &str, period: (OffsetDateTime, OffsetDateTime)) -> Files {
    Files::valid(
        &[&format!("{name}.a.test")],
        &KeyPair::generate().unwrap(),
        period,
    )
}

/// `www` is good, `mail` due, `shop` missing, `old` not listed.
struct Scene {
    repo: CertRepo,
    www: Files,
    mail: Files,
    until: [OffsetDateTime; 3],
    due: OffsetDateTime,
}

fn scene() -> Scene {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www", "mail", "shop"]);
    let (from, until) = period(10, 80);
    let old = period(40, 50);
    let nearly = period(85, 4);
    let [www, mail, other] = [("www", (from, until)), ("mail", nearly), ("old", old)]
        .map(|(name, period)| files(name, period));
    repo.store("mail", &mail, &[&alice]);
    repo.store("old", &other, &[&alice]);
    repo.commit("by hand");
    repo.store("www", &www, &[&alice]);
    let serial = www.description["serial"].as_str().unwrap();
    repo.commit(&format!(
        "Issue www: not in the repository\n\nGit-Certs-Serial: {serial}\nGit-Certs-Run: {RUN}"
    ));
    Scene {
        due: until - (until - from) / 3,
        until: [until, nearly.1, old.1],
        repo,
        www,
        mail,
    }
}

/// Minutes go on while a test runs.
fn without_minutes(text: &str) -> String {
    let minutes = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC").unwrap();
    minutes.replace_all(text, "[MINUTE]").into_owned()
}

#[test]
fn every_certificate_is_told() {
    let Scene {
        repo, until, due, ..
    } = scene();
    let [www, mail, old] = until.map(OffsetDateTime::date);
    let due = due.date();
    let issuer = "rcgen self signed cert";
    let said = repo.run("status", "none");
    let key = "it is not known for whom its key is encrypted: `git-certs rekey";
    let shop = format!("{:<84}", "shop         missing");
    let expected = format!(
        "certificate  state    left                expires     issuer                  key   renewal          recipients
www          valid    #########. 80 days  {www}  {issuer}  p256  from {due}  1, not known
mail         valid    #......... 4 days   {mail}  {issuer}  p256  now              1, not known
{shop}now
old          valid    ######.... 50 days  {old}  {issuer}  p256  never            1, not known

`www`: {key} www` encrypts it for those of today
`mail`: to renew: 4 days of 89 days left, due below 29 days
`mail`: {key} mail` encrypts it for those of today
`shop`: to issue: not in the repository
`old`: certs.json does not list it: it is not renewed
`old`: {key} old` encrypts it for those of today

last run: [MINUTE], {RUN}
1 not usable, 1 due, 1 good, 1 not in certs.json
"
    );
    assert_eq!(without_minutes(&said.stdout), expected);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));

    // For a job that watches.
    let code = |words: &str| repo.run(words, "none").code;
    assert_eq!(code("status --fail-within 0"), Some(1));
    assert_eq!(code("status www mail --fail-within 3"), Some(0));
    assert_eq!(code("status www mail --fail-within 5"), Some(1));
    assert_eq!(code("status www --fail-within 79"), Some(0));
    // What is not listed is not waited for.
    assert_eq!(code("status www old --fail-within 60"), Some(0));
    // `renew` with the same number of days.
    let said = repo.run("status www --renew 90", "none");
    assert!(
        said.stdout
            .contains("\n`www`: to renew: 80 days of 90 days left, due below 90 days\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_keys_of_the_example_are_those_of_a_look() {
    let Scene { repo, www, .. } = scene();
    let said = repo.run("status --format json", "none");
    let data: Value = serde_json::from_str(&said.stdout).unwrap();
    let page = read("docs/json.md");
    let section = page.split("\n## `status`\n").nth(1).unwrap();
    let example: Value = serde_json::from_str(&blocks(section, "json")[0]).unwrap();
    let keys = |value: &Value| {
        let fields = value.as_object().unwrap();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&data), keys(&example));
    assert_eq!(
        keys(&data["certificates"][0]),
        keys(&example["certificates"][0])
    );
    assert_eq!(keys(&data["last_run"]), keys(&example["last_run"]));
    let first = &data["certificates"][0];
    assert_eq!(first["serial"], www.description["serial"]);
    assert_eq!(first["commit"], data["last_run"]);
    assert_eq!(
        first["recipients"],
        json!({"count": 1, "source": ".age-recipients", "fit": "unknown"})
    );
    assert_eq!(data["certificates"][1]["commit"], Value::Null);
    assert_eq!(data["certificates"][2]["state"], "missing");
    assert_eq!(data["certificates"][3]["listed"], false);
    // Every field stands in the table below.
    let mut fields: BTreeSet<_> = keys(&example).into_iter().collect();
    fields.extend(keys(&example["certificates"][0]));
    fields.extend(keys(&example["last_run"]));
    for field in fields {
        assert!(
            section.contains(&format!("`{field}`")),
            "`{field}` is not explained"
        );
    }
}

#[test]
fn metrics_and_test_reports_can_be_read() {
    let Scene { repo, mail, .. } = scene();
    let said = repo.run("status --format prometheus", "none");
    let label = r#"[a-z_]+="(?:[^"\\\n]|\\["\\n])*""#;
    let sample = Regex::new(&format!(
        r"^([a-z_]+)(?:\{{{label}(?:,{label})*\}})? -?\d+$"
    ))
    .unwrap();
    let mut declared = BTreeSet::new();
    for line in said.stdout.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(kind, "gauge");
            assert!(declared.insert(name.to_owned()), "{name} comes twice");
        } else if !line.starts_with("# HELP ") {
            let found = sample.captures(line);
            let name = &found.unwrap_or_else(|| panic!("no sample: {line}"))[1];
            assert_eq!(
                declared.last().map(|_| declared.contains(name)),
                Some(true),
                "{line}"
            );
        }
    }
    let end = mail.description["not_after"].as_str().unwrap();
    let end = OffsetDateTime::parse(end, &time::format_description::well_known::Rfc3339).unwrap();
    let line = format!(
        "\ngit_certs_certificate_not_after_timestamp_seconds{{cert_name=\"mail\"}} {}\n",
        end.unix_timestamp()
    );
    assert!(said.stdout.contains(&line), "{}", said.stdout);

    let report = repo.run("status --format junit --fail-within 14", "none");
    assert_eq!(report.code, Some(1));
    let script = "import sys, xml.etree.ElementTree as tree\n\
        for case in tree.parse(sys.stdin).iter('testcase'):\n    \
        print(case.get('name'), *(f'{what.tag}: {what.get(\"message\")}' for what in case))";
    let cases = repo.tool("python3", &["-c", script], &report.stdout);
    assert_eq!(
        cases,
        format!(
            "www\nmail failure: expires on {}, within 14 days\nshop failure: not in the repository\n\
             old skipped: certs.json does not list it\n",
            end.date()
        )
    );
}

#[test]
fn a_file_is_replaced_whole() {
    let Scene { repo, .. } = scene();
    let said = repo.run("status --format html --output ../public/index.html", "none");
    assert_eq!(said, Said::done(""));
    let page = fs::read_to_string(repo.path("public/index.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n") && page.ends_with("</html>\n"));
    assert_eq!(fs::read_dir(repo.path("public")).unwrap().count(), 1);
    let said = repo.run("status --output alice/x", "none");
    assert_eq!(said.code, Some(0));
    let said = repo.run("status --output certs.json/x", "none");
    assert_eq!(said.code, Some(2));
    assert!(
        said.stderr
            .starts_with("error: cannot write `[ROOT]/certs/certs.json/x`\n"),
        "{}",
        said.stderr
    );
    // A page for the summary of a job.
    let said = repo.run("status --format markdown", "none");
    assert!(
        said.stdout
            .starts_with("### Certificates: 1 not usable, 1 due, 1 good, 1 not in certs.json\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_clone_tells_what_its_last_commit_tells() {
    let Scene { repo, .. } = scene();
    let here = repo.path("certs");
    let status = format!("status www --format json --repo file://{}", here.display());
    let look = || -> Value {
        let said = repo.run(&status, "none");
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    };
    let data = look();
    assert_eq!(data["last_run"]["run"], RUN);
    assert_eq!(data["certificates"][0]["commit"], data["last_run"]);
    // Which commits brought the others is not known.
    assert_eq!(data["history_is_cut_off"], true);
    repo.commit("by hand again");
    let data = look();
    assert_eq!(data["last_run"], Value::Null);
    assert_eq!(data["history_is_cut_off"], true);
    assert_eq!(data["certificates"][0]["commit"], Value::Null);
    assert_eq!(data["certificates"][0]["state"], "valid");
}

#[test]
fn a_run_is_one_that_renews() {
    let Scene { repo, .. } = scene();
    let last = || -> Value {
        let said = repo.run("status --format json", "none");
        let data: Value = serde_json::from_str(&said.stdout).unwrap();
        data["last_run"]["subject"].clone()
    };
    assert_eq!(last(), "Issue www: not in the repository");
    for other in [
        "Roll back www: the certificate of 1a2b3c4d5e",
        "Import certificates of lego",
        "Revoke www: superseded",
    ] {
        repo.commit(&format!("{other}\n\nGit-Certs-Run: {RUN}"));
        assert_eq!(last(), "Issue www: not in the repository");
    }
    repo.commit(&format!(
        "Renewal windows of 1 certificate\n\nGit-Certs-Run: {RUN}"
    ));
    assert_eq!(last(), "Renewal windows of 1 certificate");
}

#[test]
fn one_that_is_broken_does_not_hide_the_others() {
    let Scene { repo, .. } = scene();
    repo.put("certificates/mail/mail.crt", "no PEM");
    repo.put("certificates/www/www.json", "{");
    repo.put("certificates/.keep", "");
    let said = repo.run("status", "none");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    for line in [
        "`www`: who can open its key is not known: `certificates/www/www.json` cannot be read: EOF while parsing \
         an object at line 1 column 1\n",
        "`mail`: to reissue: `certificates/mail/mail.crt` cannot be read: no certificate in PEM form\n",
        "2 not usable, 1 good, 1 not in certs.json\n",
    ] {
        assert!(said.stdout.contains(line), "{}", said.stdout);
    }
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let Scene { repo, .. } = scene();
    let refused = |words: &str, stderr: &str| {
        assert_eq!(repo.run(words, "none"), Said::refused(stderr));
    };
    refused(
        "status nothing",
        "error: there is no certificate `nothing`, in certs.json or in the repository\n\
         hint: there is `www`, `mail`, `shop`, `old`\n",
    );
    refused(
        "status a/b",
        "error: `status` names no certificate\n  caused by: `a/b` is not a certificate name\n\
         hint: it takes a `cert_name` of certs.json\n",
    );
    refused(
        "status --fail-within soon",
        "error: invalid value 'soon' for '--fail-within <DAYS>': a whole number is needed\n\n\
         For more information, try '--help'.\n",
    );
    // A folder without git has no runs, and the rest is there.
    let folders = Folders::new();
    let said = folders.run("status");
    assert_eq!(
        said,
        Said::done(
            "certificate  state    left  expires  issuer  key  renewal  recipients\n\
             www          missing                              now\n\n\
             `www`: to issue: not in the repository\n\n\
             last run: none has left a commit\n1 not usable\n"
        )
    );
    let folders = folders.without("certs/certs.json");
    folders.is_refused(
        "status",
        "error: there is no `certs.json` in the cert repository\n\
         hint: it lists the certificates: [{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}]\n",
    );
}

#[test]
fn a_folder_of_a_checkout_is_told_where_the_list_is() {
    let repo = CertRepo::new();
    repo.list(&["www"]);
    repo.put("certificates/www/notes", "");
    repo.put("sub/certs.json", "[]");
    repo.put("sub/certificates/www/notes", "");
    repo.commit("two of them");
    for (folder, list) in [
        ("certificates/www", "[ROOT]/certs"),
        ("sub/certificates", "[ROOT]/certs/sub"),
    ] {
        for command in ["status", "plan"] {
            let said = repo.run(&format!("{command} --dir {folder}"), "none");
            assert_eq!(
                (said.code, said.stdout.as_str(), said.stderr),
                (
                    Some(2),
                    "",
                    format!(
                        "error: there is no `certs.json` in this folder of the cert repository\n\
                         hint: `{list}` has one: run it there, or with `--dir`\n"
                    )
                ),
                "{command} {folder}"
            );
        }
    }
}

#[test]
fn a_run_that_is_at_work_is_told() {
    let wanted: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    let journal = || {
        let output = nightly.command(&["status"]).run().expect_code(0);
        let text = without_minutes(&output.stdout);
        let mut lines = text.lines();
        lines.find(|line| line.contains(" run ")).map(str::to_owned)
    };
    assert_eq!(journal(), None);
    let gate = Gate::new(&nightly.lab);
    let run = gate.at("looked", nightly.command(&["renew"])).spawn();
    gate.wait();
    let who = "lab, begun [MINUTE], last sign of life [MINUTE]";
    assert_eq!(journal().unwrap(), format!("a run is at work: {who}"));
    nightly.command(&["unlock", "--yes"]).run().expect_code(0);
    assert_eq!(
        journal().unwrap(),
        format!("an earlier run was cut short: {who}; the next `renew` takes over what it left")
    );
    gate.open();
    run.wait();
    nightly.renew().expect_code(0);
    assert_eq!(journal(), None);
    let output = nightly.command(&["status"]).run().expect_code(0);
    assert!(output.stdout.ends_with("\n1 good\n"), "{}", output.stdout);
    assert!(
        output
            .stdout
            .contains("\nwhen to renew is what the CAs said last (ARI), good until ")
    );
}

/// A token or a password may be a word like any other.
#[test]
fn a_secret_that_is_the_name_of_a_field_hides_none() {
    let repo = CertRepo::new();
    repo.list(&["wordlike"]);
    repo.commit("a list");
    let say = |token: &str, words: &str| {
        let mut program = repo.program();
        let program = program.args(words.split(' ')).env("GIT_CERTS_TOKEN", token);
        let output = program.output().unwrap();
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let status = |token: &str| {
        let [text, _] = say(token, "status --format json");
        let mut data: Value = serde_json::from_str(&text).unwrap();
        data["at"].take();
        data
    };
    let data = status("");
    assert_eq!(data["certificates"][0]["cert_name"], "wordlike");
    for field in ["certificates", "cert_name", "not_after"] {
        assert_eq!(status(field), data);
    }
    assert_eq!(status("wordlike")["certificates"][0]["cert_name"], "***");

    let [_, told] = say("timestamp", "status wordlike-other --log-format json");
    let told: Value = serde_json::from_str(&told).unwrap();
    let fields: Vec<_> = told.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["timestamp", "level", "message"]);
}
