//! What `check` has to say: for people, as data, and as the reports of CI systems.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::model::diagnostic::{Checked, Diagnostic, Place, Rule, Severity};
use crate::model::wording::count;
use crate::report::json::{self, VERSION};
use crate::report::tame::tame;
use crate::report::voice::{self, Level};

/// The file of what stands in none: reports of CI systems want one.
const SOME_FILE: &str = "certs.json";

/// Lines that compilers and linters have made known: `path:line:column: error: ...`; a count at the end.
pub(crate) fn text(checked: &Checked) -> String {
    let mut text: String = checked.all.iter().map(lines).collect();
    for (rule, why) in &checked.left_out {
        text += &format!("{rule}: left out: {}\n", tame(why));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text + &format!("{}\n", counted(checked))
}

fn lines(one: &Diagnostic) -> String {
    let place = match one.place.to_string() {
        place if place.is_empty() => place,
        place => format!("{place}: "),
    };
    let severity = one.severity;
    let hints = one.hints.iter();
    let hints: String = hints
        .map(|hint| format!("  hint: {}\n", tame(hint)))
        .collect();
    format!("{}{severity}: {}\n{hints}", tame(&place), tame(&one.what))
}

fn counted(checked: &Checked) -> String {
    let (errors, warnings) = checked.count();
    format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
}

/// Says everything on stderr, where CI systems make annotations of it.
pub(crate) fn say(checked: &Checked) {
    for one in &checked.all {
        let level = match one.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        };
        let hints = one.hints.iter().map(|hint| format!("\nhint: {hint}"));
        let text = one.what.clone() + &hints.collect::<String>();
        voice::write(&voice::line_at(level, &one.place, &text));
    }
}

/// As data: docs/check.md.
pub(crate) fn json(checked: &Checked) -> String {
    let all = checked.all.iter().map(|one| {
        json!({
            "severity": one.severity.to_string(),
            "rule": one.rule.to_string(),
            "path": one.place.path,
            "line": one.place.spot.map(|spot| spot.line),
            "column": one.place.spot.and_then(|spot| spot.column),
            "what": one.what,
            "hints": one.hints,
        })
    });
    let left_out = checked.left_out.iter();
    let left_out = left_out.map(|(rule, why)| json!({"rule": rule.to_string(), "why": why}));
    let (errors, warnings) = checked.count();
    json::text(&json!({
        "version": VERSION,
        "errors": errors,
        "warnings": warnings,
        "findings": all.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    }))
}

/// GitLab's report of code quality, which it shows beside the lines of a merge request.
///
/// <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>
pub(crate) fn code_quality(checked: &Checked) -> String {
    // What is said again of the same file is told apart by its number.
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    let all = checked.all.iter().map(|one| {
        let path = one.place.path.as_deref().unwrap_or(SOME_FILE);
        let same = format!("{}\0{path}\0{}", one.rule, one.what);
        let again = said.entry(same.clone()).or_default();
        let print = digest(&SHA256, format!("{same}\0{again}").as_bytes());
        *again += 1;
        let hints: String = one.hints.iter().map(|hint| format!("; {hint}")).collect();
        json!({
            "description": format!("{}{hints}", one.what),
            "check_name": one.rule.to_string(),
            "fingerprint": HEXLOWER.encode(print.as_ref()),
            "severity": match (one.severity, one.rule) {
                (Severity::Error, Rule::PrivateKeys) => "blocker",
                (Severity::Error, _) => "critical",
                (Severity::Warning, _) => "minor",
            },
            "location": {
                "path": path,
                "lines": { "begin": one.place.spot.map_or(1, |spot| spot.line) },
            },
        })
    });
    json::text(&Value::from(all.collect::<Vec<_>>()))
}

/// JUnit's XML, which most CI systems read: a test for each rule that found nothing, and for each finding.
///
/// Warnings are failures where they are meant to be (`strict`).
pub(crate) fn junit(checked: &Checked, strict: bool) -> String {
    let mut cases = Vec::new();
    let mut failures = 0;
    for rule in Rule::ALL {
        if let Some((_, why)) = checked.left_out.iter().find(|(left, _)| *left == rule) {
            let skipped = format!("<skipped message=\"{}\"/>", xml(why));
            cases.push(case(rule, &rule.to_string(), "", &skipped));
            continue;
        }
        let found: Vec<_> = checked.all.iter().filter(|one| one.rule == rule).collect();
        if found.is_empty() {
            cases.push(case(rule, &rule.to_string(), "", ""));
        }
        for one in found {
            let is_failure = strict || one.severity == Severity::Error;
            failures += usize::from(is_failure);
            let text = xml(lines(one).trim_end());
            let outcome = if is_failure {
                let message = xml(&one.what);
                format!("<failure type=\"{rule}\" message=\"{message}\">{text}</failure>")
            } else {
                format!("<system-out>{text}</system-out>")
            };
            let name = lines(one).lines().next().unwrap_or_default().to_owned();
            cases.push(case(rule, &name, &file(&one.place), &outcome));
        }
    }
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{}\"",
        cases.len(),
        checked.left_out.len()
    );
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  \
         <testsuite name=\"git-certs check\" {counts}>\n{}  </testsuite>\n</testsuites>\n",
        cases.concat()
    )
}

fn case(rule: Rule, name: &str, file: &str, outcome: &str) -> String {
    let name = xml(name);
    format!("    <testcase classname=\"{rule}\" name=\"{name}\"{file}>{outcome}</testcase>\n")
}

fn file(place: &Place) -> String {
    let path = place.path.as_ref();
    let path = path.map(|path| format!(" file=\"{}\"", xml(path)));
    let line = place.spot.map(|spot| format!(" line=\"{}\"", spot.line));
    path.into_iter().chain(line).collect()
}

/// Text of an element or an attribute. Control characters, which XML has none of, are escaped as on a terminal.
fn xml(text: &str) -> String {
    let mut escaped = String::new();
    for character in tame(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' => escaped += "&#10;",
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use roxmltree::Document;

    use super::*;
    use crate::model::diagnostic::Spot;

    const PAGE: &str = include_str!("../../docs/check.md");

    fn checked() -> Checked {
        let name = Diagnostic {
            severity: Severity::Error,
            rule: Rule::Names,
            place: Place::at(
                "certs.json",
                Some(Spot {
                    line: 4,
                    column: Some(15),
                }),
            ),
            what: "certificate `www`: `www example.com` is not a DNS name".to_owned(),
            hints: vec![
                "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`"
                    .to_owned(),
            ],
        };
        let twice = Diagnostic::warning(
            Rule::CertsJson,
            Place::at(
                "certs.json",
                Some(Spot {
                    line: 9,
                    column: Some(5),
                }),
            ),
            "certificate `mail` has an unknown field `key-type`".to_owned(),
            "correct its name, or leave it out",
        );
        let why = "no DNS repository is at hand; `--dns-repo` names one".to_owned();
        Checked {
            all: vec![name, twice],
            left_out: vec![(Rule::DnsConfig, why.clone()), (Rule::Zones, why)],
        }
    }

    #[test]
    fn examples_of_the_page_are_real() {
        let block = |language: &str| {
            let block = PAGE.split(&format!("```{language}\n")).nth(1).unwrap();
            block.split("```").next().unwrap()
        };
        assert_eq!(text(&checked()), block("text"));
        assert_eq!(json(&checked()), block("json"));
    }

    #[test]
    fn hostile_words_stay_text() {
        let mut checked = checked();
        checked.all[0].what = "a\u{1b}[2J<b a=\"c\">&\n]]>\u{ffff}".to_owned();
        checked.all[0].place.path = Some("\"><x>.json".to_owned());
        let report = junit(&checked, false);
        let document = Document::parse(&report).unwrap();
        let failure = document
            .descendants()
            .find(|node| node.has_tag_name("failure"))
            .unwrap();
        assert_eq!(
            failure.attribute("message"),
            Some("a\\u{1b}[2J<b a=\"c\">&\n]]>\u{fffd}")
        );
        assert_eq!(
            failure.parent().unwrap().attribute("file"),
            Some("\"><x>.json")
        );
    }

    #[test]
    fn a_report_counts_what_failed() {
        for (strict, failures) in [(false, "1"), (true, "2")] {
            let report = junit(&checked(), strict);
            let document = Document::parse(&report).unwrap();
            let suites = document.root_element();
            assert_eq!(suites.attribute("failures"), Some(failures));
            let of = |tag| {
                document
                    .descendants()
                    .filter(|node| node.has_tag_name(tag))
                    .count()
            };
            assert_eq!(of("failure").to_string(), failures);
            assert_eq!((of("testcase"), of("skipped")), (7, 2));
            assert_eq!(suites.attribute("tests"), Some("7"));
        }
    }

    #[test]
    fn what_is_said_twice_has_two_fingerprints() {
        let mut checked = checked();
        checked.all = vec![checked.all[0].clone(), checked.all[0].clone()];
        let report: Value = serde_json::from_str(&code_quality(&checked)).unwrap();
        assert_ne!(report[0]["fingerprint"], report[1]["fingerprint"]);
        assert_eq!(
            report[0]["location"],
            json!({"path": "certs.json", "lines": {"begin": 4}})
        );
        assert_eq!(report[0]["severity"], "critical");
    }
}
