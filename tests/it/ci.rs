//! What CI systems get beside the log: annotations, a summary, outputs.

use std::fs;
use std::path::PathBuf;

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::support::command::{Command, Output};
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::Files;

fn lab() -> Lab {
    Lab::builder().bind().pebble().start()
}

/// As GitHub's runner starts a step.
fn on_github(nightly: &Nightly, args: &[&str]) -> (Command, PathBuf, PathBuf) {
    let file = |name: &str| nightly.lab.folder().join(name);
    let (summary, outputs) = (file("summary.md"), file("outputs"));
    let command = nightly
        .command(args)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &outputs);
    (command, summary, outputs)
}

/// Values of `NAME=VALUE` lines.
fn value(outputs: &str, name: &str) -> String {
    let mut lines = outputs.lines().filter_map(|line| line.split_once('='));
    let value = lines.find(|(key, _)| *key == name);
    value.expect(name).1.to_owned()
}

fn annotations(output: &Output) -> Vec<&str> {
    let lines = output.stderr.lines();
    let is_one = |line: &&str| {
        ["::error ", "::warning "]
            .iter()
            .any(|kind| line.starts_with(kind))
    };
    lines.filter(is_one).collect()
}

#[test]
fn a_run_on_github_leaves_a_summary_outputs_and_annotations() {
    let nightly = Nightly::new(
        lab(),
        &[("good", &["good.bench.test"]), ("bad", &["bad.pdns.test"])],
    );
    let (run, summary, outputs) = on_github(&nightly, &["renew"]);
    let output = run.run().expect_code(1);
    let commit = nightly.certs.tip(&nightly.lab);
    let outputs = fs::read_to_string(outputs).unwrap();
    for (name, expected) in [
        ("changed", "true"),
        ("issued", "1"),
        ("failed", "1"),
        ("put_off", "0"),
        ("up_to_date", "0"),
        ("renewed_names", r#"["good"]"#),
        ("failed_names", r#"["bad"]"#),
        ("pushed", "true"),
        ("commit_sha", &commit),
        ("exit_code", "1"),
    ] {
        assert_eq!(value(&outputs, name), expected, "{name}");
    }
    let report: Value = serde_json::from_str(&value(&outputs, "report")).unwrap();
    let mut all = report["certificates"].as_array().unwrap().iter();
    let good = all.find(|one| one["cert_name"] == "good").unwrap();
    assert_eq!(
        value(&outputs, "earliest_expiry"),
        good["not_after"].as_str().unwrap()
    );
    assert_eq!(
        value(&outputs, "next_check"),
        good["due_from"].as_str().unwrap()
    );

    let summary = fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("### git-certs: 1 issued, 1 failed, 0 up to date\n\n"),
        "{summary}"
    );
    assert!(
        summary.contains("| `bad` | `bad.pdns.test` | **failed** |"),
        "{summary}"
    );
    // The server refuses both.
    let annotations = annotations(&output);
    assert_eq!(annotations.len(), 2, "{annotations:#?}");
    for annotation in annotations {
        let begin = "::error title=git-certs::cannot issue `bad`%0A  caused by: ";
        assert!(annotation.starts_with(begin), "{annotation}");
    }
    assert!(!output.stderr.contains("\nerror: "), "{}", output.stderr);
}

#[test]
fn steps_are_folded_and_results_are_not() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test"])]);
    let (run, ..) = on_github(&nightly, &["renew"]);
    let output = run.succeed();
    let lines = output.stderr.lines();
    let lines = lines.filter(|line| !line.starts_with("::add-mask::"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.first(), Some(&"::group::git-certs renew"));
    assert_eq!(lines.last(), Some(&"::endgroup::"));
    let is_ordered = |line: &&str| line.starts_with("ordered 1 certificate");
    assert!(lines.iter().any(is_ordered), "{lines:#?}");

    let plan = nightly.command(&["plan"]).env("GITLAB_CI", "true");
    let said = plan.succeed().stderr;
    let marks = said
        .split('\u{1b}')
        .filter(|part| part.contains("section_"));
    let marks: Vec<_> = marks
        .map(|mark| mark.trim_end().replace(|c: char| c.is_ascii_digit(), ""))
        .collect();
    assert_eq!(
        marks,
        [
            "[Ksection_start::git_certs[collapsed=true]",
            "[Ksection_end::git_certs",
        ]
    );
}

#[test]
fn a_terminal_shows_the_certificates_under_way() {
    let nightly = Nightly::new(
        lab(),
        &[("www", &["www.bench.test"]), ("mail", &["mail.bench.test"])],
    );
    let script = ["-c", include_str!("support/terminal.py"), "[]"];
    let run = nightly.command(&["renew"]).under("python3", &script);
    let shown = run.env("TERM", "xterm").succeed().stdout;
    for part in [
        "www: writing challenges",
        "mail: writing challenges",
        " 0 of 2 certificates, 0s so far ",
    ] {
        assert!(shown.contains(part), "{part}: {shown:?}");
    }
    let (_, results) = shown.split_once("issued   www ").unwrap();
    assert!(!results.contains("of 2 certificates"), "{results:?}");
    // No colour, with NO_COLOR and without.
    let colour = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    assert!(!colour.is_match(&shown), "{shown:?}");
}

#[test]
fn a_quiet_run_says_warnings_and_errors_only() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test", "*.bench.test"])]);
    let output = nightly.command(&["renew", "--quiet"]).succeed();
    assert_eq!(
        output.stderr,
        "warning: certificate `www`: `www.bench.test` is covered by `*.bench.test`, and Let's Encrypt \
         refuses an order for both: take one of them out of the list\n"
    );
    assert!(
        output
            .stdout
            .contains("\n1 issued, 0 failed, 0 up to date\n")
    );
    let none = nightly
        .command(&["plan", "-q", "--only", "mail"])
        .run()
        .expect_code(2);
    assert!(
        none.stderr
            .starts_with("error: `certs.json` has no certificate `mail`\n"),
        "{}",
        none.stderr
    );
}

#[test]
fn the_log_can_be_read_by_programs() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test"])]);
    let run = nightly.command(&["renew", "-v", "--log-format", "json"]);
    let output = run.env("GITHUB_ACTIONS", "true").succeed();
    let lines: Vec<Value> = output
        .stderr
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    let of = |level: &str| lines.iter().filter(|line| line["level"] == level).count();
    assert!(of("INFO") > 5 && of("DEBUG") > 5, "{}", output.stderr);
    assert_eq!(of("INFO") + of("DEBUG"), lines.len());
}

#[test]
fn what_could_not_run_is_in_the_summary() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test"])]);
    let broken = Files::default().with("certs.json", "[{]");
    broken.commit(&nightly.lab, &nightly.certs, "broken");
    for (words, code) in [
        (&["renew"][..], 2),
        (&["plan"], 2),
        (&["plan", "--detailed-exitcode"], 1),
    ] {
        let (run, summary, outputs) = on_github(&nightly, words);
        let output = run.run().expect_code(code);
        assert_eq!(
            annotations(&output),
            ["::error title=git-certs::`certs.json` is not JSON%0A  \
              caused by: key must be a string at line 1 column 3%0A\
              hint: comments and trailing commas are not allowed in this file"]
        );
        assert_eq!(
            fs::read_to_string(&outputs).unwrap(),
            format!("exit_code={code}\n")
        );
        assert_eq!(
            fs::read_to_string(&summary).unwrap(),
            "### git-certs: could not run\n\n\
             <pre>error: `certs.json` is not JSON\n  \
             caused by: key must be a string at line 1 column 3\n\
             hint: comments and trailing commas are not allowed in this file</pre>\n\n"
        );
        fs::remove_file(summary).unwrap();
        fs::remove_file(outputs).unwrap();
    }
}

#[test]
fn files_are_written_where_they_are_asked_for() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test"])]);
    let lab = &nightly.lab;
    let outputs = lab.folder().join("certs.env");
    let run = |file: &str| {
        nightly
            .command(&["plan", "--summary-file", file, "--output-file"])
            .arg(&outputs)
            .succeed()
    };
    let summary = lab.folder().join("summary.md");
    run(summary.to_str().unwrap());
    let page = "### git-certs: 1 due, 0 up to date\n\n\
                | Certificate | Names | Result | Expires | Why |\n\
                | --- | --- | --- | --- | --- |\n\
                | `www` | `www.bench.test` | issue |  | not in the repository |\n\n";
    assert_eq!(fs::read_to_string(&summary).unwrap(), page);
    let lines = "CERTS_DUE=1\nCERTS_UP_TO_DATE=0\nCERTS_DUE_NAMES=[\"www\"]\nCERTS_NEXT_CHECK=\n\
                 CERTS_EARLIEST_EXPIRY=\nCERTS_EXIT_CODE=0\n";
    assert_eq!(fs::read_to_string(&outputs).unwrap(), lines);
    // What was found out is told all the same.
    let output = run("/no/such/folder/summary.md");
    assert!(
        output.stderr.ends_with(
            "warning: cannot write `/no/such/folder/summary.md`: No such file or directory\n"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_to_string(&outputs).unwrap(), lines.repeat(2));
    // A link that somebody has put there leads nowhere; those of the system do.
    let (link, other) = (lab.folder().join("link.md"), lab.folder().join("other"));
    for target in [&other, &summary] {
        std::os::unix::fs::symlink(target, &link).unwrap();
        let output = run(link.to_str().unwrap());
        let warning =
            "warning: cannot write `[LAB]/link.md`: it is a symbolic link, which is not followed\n";
        let said = output.normal_stderr();
        assert!(said.ends_with(warning), "{said}");
        fs::remove_file(&link).unwrap();
    }
    assert!(!other.exists());
    assert_eq!(fs::read_to_string(&summary).unwrap(), page);
    assert!(run("/dev/stdout").stdout.starts_with(page));
    fs::write(&outputs, lines.repeat(2)).unwrap();
    // On GitHub besides those of the runner.
    let (run, of_runner, _) = on_github(&nightly, &["plan", "--summary-file"]);
    let besides = lab.folder().join("besides.md");
    run.arg(&besides).succeed();
    assert_eq!(fs::read_to_string(besides).unwrap(), page);
    assert_eq!(fs::read_to_string(of_runner).unwrap(), page.repeat(2));
}

#[test]
fn more_annotations_than_the_runner_shows_are_counted() {
    let nightly = Nightly::new(lab(), &[("www", &["www.bench.test"])]);
    let left = (10..22).fold(Files::default(), |files, number| {
        files.with(&format!("certificates/c{number}/c{number}.json"), "{}")
    });
    left.commit(
        &nightly.lab,
        &nightly.certs,
        "certificates that nobody wants",
    );
    let (plan, ..) = on_github(&nightly, &["plan"]);
    let output = plan.succeed();
    let warning =
        |number| format!("certificate `c{number}` is not in certs.json: it is not renewed");
    let mut expected: Vec<_> = (10..19)
        .map(|number| format!("::warning title=git-certs::{}", warning(number)))
        .collect();
    expected.push("::warning title=git-certs::there are more warnings: see the log".to_owned());
    expected.extend((19..22).map(|number| format!("warning: {}", warning(number))));
    let lines = output.stderr.lines();
    let lines: Vec<_> = lines.filter(|line| line.contains("warning")).collect();
    assert_eq!(lines, expected);
}
