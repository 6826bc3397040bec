//! Renewal as the CA suggests it (RFC 9773), on Pebble.

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, pebble_log};
use crate::support::pebble;
use crate::support::repos::Files;

const WANTED: &[(&str, &[&str])] = &[("one", &["one.bench.test"]), ("two", &["two.bench.test"])];

/// Two certificates, just issued.
fn issued() -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    nightly.renew().expect_code(0);
    nightly
}

fn description(nightly: &Nightly, name: &str) -> Value {
    let path = format!("certificates/{name}/{name}.json");
    serde_json::from_str(&nightly.certs.show(&nightly.lab, &path)).unwrap()
}

/// As if so much time had passed that the CA may be asked again.
fn let_time_pass(nightly: &Nightly) {
    ask_not_before(nightly, "2026-01-01T00:00:00Z");
}

fn ask_not_before(nightly: &Nightly, moment: &str) {
    let files = WANTED.iter().fold(Files::default(), |files, (name, _)| {
        let mut value = description(nightly, name);
        value["renewal_info"]["next_check"] = moment.into();
        let path = format!("certificates/{name}/{name}.json");
        files.with(&path, &format!("{value:#}\n"))
    });
    files.commit(&nightly.lab, &nightly.certs, "time passes");
}

/// How often Pebble was asked when to renew.
fn questions(nightly: &Nightly) -> usize {
    pebble_log(&nightly.lab)
        .matches("GET /draft-ietf-acme-ari-03/renewalInfo/")
        .count()
}

fn orders(nightly: &Nightly) -> usize {
    pebble_log(&nightly.lab).matches("POST /order-plz").count()
}

/// Pebble answers with a window of two days that starts so many days from now.
fn suggest(nightly: &Nightly, name: &str, days: i64, explanation: &str) {
    let start = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    let moment = |moment: time::OffsetDateTime| {
        moment
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap()
    };
    let answer = serde_json::json!({
        "suggestedWindow": {"start": moment(start), "end": moment(start + time::Duration::days(2))},
        "explanationURL": explanation,
    });
    let chain = nightly.chain(name);
    let leaf = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap();
    pebble::set_renewal_info(nightly.lab.namespace(), leaf, &answer.to_string());
}

#[test]
fn the_window_is_kept_and_the_ca_is_not_asked_before_its_time() {
    let nightly = issued();
    let asked = questions(&nightly);
    assert_eq!(asked, 2, "once for each new certificate");
    let info = &description(&nightly, "one")["renewal_info"];
    for field in ["start", "end", "next_check"] {
        assert!(info[field].as_str().unwrap().starts_with("20"), "{info}");
    }
    let output = nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "keep     one  one.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\
         keep     two  two.bench.test: 89 days of 90 days left, due on [DATE], as the CA suggests\n\n\
         0 due, 2 up to date\n"
    );
    assert_eq!(questions(&nightly), asked);

    let_time_pass(&nightly);
    let output = nightly.command(&["plan"]).run().expect_code(0);
    assert!(
        output
            .normal_stderr()
            .contains("asked the CA when to renew 2 certificates ([TIME])\n"),
        "{}",
        output.stderr
    );
    assert_eq!(questions(&nightly), asked + 2);
}

/// Whoever can push could keep runs from learning that a certificate will be revoked.
#[test]
fn the_ca_is_asked_each_day_whatever_a_file_says() {
    let nightly = issued();
    let asked = questions(&nightly);
    ask_not_before(&nightly, "9999-12-31T23:59:59Z");
    nightly.command(&["plan"]).run().expect_code(0);
    assert_eq!(questions(&nightly), asked + 2);
}

#[test]
fn what_the_ca_wants_replaced_is_renewed_and_says_what_it_replaces() {
    let nightly = issued();
    let_time_pass(&nightly);
    suggest(&nightly, "one", -3, "https://ca.test/incident");
    let output = nightly.renew().expect_code(0);
    let reason =
        "the CA wants it replaced early, between [DATE] and [DATE]: https://ca.test/incident";
    assert!(
        output
            .normal_stderr()
            .contains(&format!("to renew: `one`, {reason}\n")),
        "{}",
        output.stderr
    );
    assert_eq!(
        output.normal_stdout(),
        "issued   one  one.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 1 up to date\n\
         pushed 2 commits to `main`\n"
    );
    nightly.assert_valid("one");

    let before = orders(&nightly);
    // The push is lost, and the certificate is ordered again: the CA refuses to replace it twice.
    let folder = &nightly.certs.folder;
    nightly
        .lab
        .git(folder, &["update-ref", "refs/heads/main", "main~1"]);
    let output = nightly.renew().expect_code(0);
    assert!(
        output.stdout.contains("1 issued, 0 failed"),
        "{}",
        output.stdout
    );
    // One that is refused, and one that replaces nothing.
    assert_eq!(orders(&nightly), before + 2);
    nightly.assert_valid("one");
}

#[test]
fn what_was_asked_is_kept_with_the_next_certificate_and_not_asked_again() {
    let nightly = issued();
    let Nightly { lab, certs, .. } = &nightly;
    let_time_pass(&nightly);
    let before = description(&nightly, "two");
    let commits = certs.subjects(lab).len();
    let asked = questions(&nightly);
    // Nothing is due: what the CA says is no reason for a commit.
    let output = nightly.renew().expect_code(0);
    assert!(
        output.stdout.starts_with("nothing is due"),
        "{}",
        output.stdout
    );
    assert_eq!(questions(&nightly), asked + 2);
    assert_eq!(certs.subjects(lab).len(), commits);

    suggest(&nightly, "one", -3, "https://ca.test/incident");
    suggest(&nightly, "two", 40, "https://ca.test/later");
    let renew = nightly.command(&["renew", "--format", "json"]);
    let report = renew.run().expect_code(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    // Both again, and once the new certificate; one directory for all of it.
    assert_eq!(report["requests"]["renewalInfo"], 3);
    assert_eq!(report["requests"]["directory"], 1);
    assert_eq!(questions(&nightly), asked + 5);
    let subjects = certs.subjects(lab);
    assert_eq!(subjects.len(), commits + 2);
    assert!(subjects[0].starts_with("Renew one: "), "{subjects:?}");
    assert_eq!(subjects[1], "Renewal windows of 1 certificate");
    let mut after = description(&nightly, "two");
    let info = after["renewal_info"].take();
    assert_eq!(info["explanation_url"], "https://ca.test/later");
    assert!(
        info["next_check"].as_str().unwrap() > "2026-01-02",
        "{info}"
    );
    let mut rest = before;
    rest["renewal_info"].take();
    assert_eq!(after, rest);

    // Within the Retry-After nobody is asked.
    let report = renew.run().expect_code(0).stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["requests"], serde_json::json!({}));
    assert_eq!(questions(&nightly), asked + 5);
    assert_eq!(certs.subjects(lab).len(), commits + 2);
}

#[test]
fn only_the_certificate_that_is_planned_is_asked_about() {
    let nightly = issued();
    let_time_pass(&nightly);
    let asked = questions(&nightly);
    let plan = nightly.command(&["plan", "--only", "one"]);
    plan.run().expect_code(0);
    assert_eq!(questions(&nightly), asked + 1);
}

#[test]
fn the_lifetime_decides_where_the_ca_says_nothing_useful() {
    let nightly = issued();
    let_time_pass(&nightly);
    let chain = nightly.chain("one");
    let leaf = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap();
    for (answer, why) in [
        (
            "<html>",
            "the answer is not what RFC 9773 says: expected value at line 1 column 1",
        ),
        (
            r#"{"suggestedWindow": {"start": "2027-01-02T00:00:00Z", "end": "2027-01-01T00:00:00Z"}}"#,
            "the window ends before it starts",
        ),
    ] {
        pebble::set_renewal_info(nightly.lab.namespace(), leaf, answer);
        let output = nightly.command(&["plan"]).run().expect_code(0);
        let warning = format!(
            "warning: the CA does not say when to renew, so the lifetime decides: certificate `one`: {why}\n"
        );
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
        assert!(
            output.normal_stdout().contains(
                "keep     one  one.bench.test: 89 days of 90 days left, due below 30 days\n"
            ),
            "{}",
            output.stdout
        );
    }
}
