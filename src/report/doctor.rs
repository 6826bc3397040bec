//! What `doctor` found, for people and as data.

use std::time::Duration;

use anyhow::Error;
use serde_json::{Value, json};

use crate::model::checkup::{Checkup, Finding, Rehearsal, Severity, Subject};
use crate::model::hint::explain;
use crate::model::wording::count;
use crate::report::json::{self, VERSION, seconds};
use crate::report::tame::tame;

/// Each finding with its causes and what to do, the rehearsals, and a count.
pub(crate) fn text(checkup: &Checkup) -> String {
    let mut text: String = checkup.findings.iter().map(lines).collect();
    let rehearsals = checkup.rehearsals.iter().flatten();
    text.extend(rehearsals.map(rehearsal));
    if !text.is_empty() {
        text.push('\n');
    }
    let counts = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ];
    let counts = counts.map(|(severity, noun)| count(checkup.count(severity), noun));
    text + &format!(
        "{}, {}: {}\n",
        count(checkup.certificates, "certificate"),
        count(checkup.zones, "zone"),
        counts.join(", ")
    )
}

fn lines(finding: &Finding) -> String {
    let explained = explain(&Error::new(finding.error.clone()));
    let indented = |text: &str| tame(text.trim_end()).replace('\n', "\n           ");
    let mut lines = format!("{:<7}  {}\n", finding.severity, indented(&explained.what));
    for cause in &explained.causes {
        lines += &format!("         caused by: {}\n", indented(cause));
    }
    for hint in &explained.hints {
        lines += &format!("         hint: {}\n", indented(hint));
    }
    lines
}

fn rehearsal(rehearsal: &Rehearsal) -> String {
    let entries: Vec<_> = rehearsal
        .entries
        .iter()
        .map(|entry| format!("`{entry}`"))
        .collect();
    let mut lines = format!(
        "wrote    `{}` at {} in {}\n",
        rehearsal.name,
        entries.join(", "),
        rounded(rehearsal.written)
    );
    for (who, after) in &rehearsal.shown {
        lines += &format!("         {who} showed it after {}\n", rounded(*after));
    }
    tame(&lines)
}

fn rounded(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The same as data: docs/doctor.md.
pub(crate) fn json(checkup: &Checkup) -> String {
    let findings = checkup.findings.iter().map(|finding| {
        let (zone, certificate) = match &finding.subject {
            Subject::Run => (None, None),
            Subject::Zone(zone) => (Some(zone.as_str()), None),
            Subject::Certificate(name) => (None, Some(name.as_str())),
        };
        let explained = explain(&Error::new(finding.error.clone()));
        json!({
            "severity": finding.severity.to_string(),
            "zone": zone,
            "cert_name": certificate,
            "what": explained.what,
            "causes": explained.causes,
            "hints": explained.hints,
        })
    });
    let rehearsals = checkup.rehearsals.as_ref();
    let rehearsals = rehearsals.map(|all| all.iter().map(rehearsed).collect::<Vec<_>>());
    json::text(&json!({
        "version": VERSION,
        "certificates": checkup.certificates,
        "zones": checkup.zones,
        "errors": checkup.count(Severity::Error),
        "warnings": checkup.count(Severity::Warning),
        "notes": checkup.count(Severity::Note),
        "findings": findings.collect::<Vec<_>>(),
        "rehearsals": rehearsals,
    }))
}

fn rehearsed(rehearsal: &Rehearsal) -> Value {
    let shown = rehearsal.shown.iter();
    let shown = shown.map(|(who, after)| json!({"server": who, "seconds": seconds(*after)}));
    json!({
        "zone": rehearsal.zone,
        "name": rehearsal.name.as_str(),
        "entries": rehearsal.entries,
        "written": seconds(rehearsal.written),
        "shown": shown.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::with_hint;

    const PAGE: &str = include_str!("../../docs/doctor.md");

    fn example(language: &str) -> &'static str {
        let block = PAGE.split(&format!("```{language}\n")).nth(1).unwrap();
        block.split("```").next().unwrap()
    }

    fn checkup() -> Checkup {
        let record = "CAA record `0 issue \"ca.example\"` at `example.com` names other CAs than `letsencrypt.org`";
        let forbidden =
            anyhow!(record).context("CAA forbids the CA to issue for `www.example.com`");
        let to_add = "add `CAA(\"@\", \"issue\", \"letsencrypt.org\")` to `D(\"example.com\", ...)` in dnsconfig.js";
        let shown = [
            ("ns1.example.com (192.0.2.1)", 100),
            ("ns2.example.com (192.0.2.2)", 4_200),
        ];
        Checkup {
            certificates: 2,
            zones: 2,
            findings: vec![
                Finding::note(
                    Subject::Run,
                    with_hint(
                        anyhow!("no age identity is given"),
                        "set `GIT_CERTS_AGE_KEY`",
                    ),
                ),
                Finding::error(
                    Subject::Zone("example.com".to_owned()),
                    with_hint(forbidden, to_add),
                ),
                Finding::warning(
                    Subject::Certificate("www".parse().unwrap()),
                    anyhow!("`*.example.org` is covered twice"),
                ),
            ],
            rehearsals: Some(vec![Rehearsal {
                zone: "example.com".to_owned(),
                name: "_acme-challenge.git-certs-rehearsal.example.com"
                    .parse()
                    .unwrap(),
                entries: ["bind", "route53"].map(str::to_owned).to_vec(),
                written: Duration::from_millis(312),
                shown: shown
                    .map(|(who, after)| (who.to_owned(), Duration::from_millis(after)))
                    .to_vec(),
            }]),
        }
    }

    #[test]
    fn the_examples_of_the_page_are_reports() {
        assert_eq!(text(&checkup()), example("text"));
        assert_eq!(json(&checkup()), example("json"));
    }

    #[test]
    fn what_is_found_twice_is_said_once_and_in_order() {
        let mut checkup = checkup();
        checkup.findings.extend(checkup.findings.clone());
        checkup.findings.reverse();
        checkup.settle();
        let order: Vec<_> = checkup
            .findings
            .iter()
            .map(|finding| finding.severity)
            .collect();
        assert_eq!(order, [Severity::Note, Severity::Error, Severity::Warning]);
    }

    #[test]
    fn words_of_others_do_no_harm() {
        let finding = Finding::note(Subject::Run, anyhow!("a\n\u{1b}[31mb"));
        let checkup = Checkup {
            findings: vec![finding],
            ..Checkup::default()
        };
        assert_eq!(
            text(&checkup),
            "note     a\n           \\u{1b}[31mb\n\n0 certificates, 0 zones: 0 errors, 0 warnings, 1 note\n"
        );
    }
}
