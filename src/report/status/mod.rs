//! How certificates are, in every form in which somebody wants to know.

mod html;
mod json;
mod junit;
mod markdown;
mod prometheus;
mod text;
mod timeline;
pub(super) mod words;

pub(crate) use html::html;
pub(super) use json::commit;
pub(crate) use json::json;
pub(crate) use junit::junit;
pub(crate) use markdown::markdown;
pub(crate) use prometheus::prometheus;
pub(crate) use text::text;

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::status::{Finding, Status};

    /// Compares with a file of `src/report/golden`, or writes it where `UPDATE_DOCS` is set.
    #[expect(clippy::disallowed_methods, reason = "a test may write in one go")]
    fn is_kept(file: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/report/golden")
            .join(file);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{file}");
    }

    #[test]
    fn every_form_is_what_is_kept() {
        let status = fixture::all();
        is_kept("status.txt", &text(&status));
        is_kept("status.md", &markdown(&status));
        is_kept("status.prom", &prometheus(&status));
        is_kept("status.xml", &junit(&status, Some(14)));
        is_kept("status.html", &html(&status).replace(html::STYLE, ""));
    }

    #[test]
    fn the_example_of_the_page_is_a_look() {
        let page = include_str!("../../../docs/json.md");
        let section = page.split("\n## `status`\n").nth(1).unwrap();
        let example = section.split("```json\n").nth(1).unwrap();
        assert_eq!(json(&fixture::one()), example.split("```").next().unwrap());
    }

    #[test]
    fn the_table_of_the_page_is_one() {
        let page = include_str!("../../../docs/status.md");
        let table = page.split("```text\n").nth(1).unwrap();
        assert_eq!(text(&fixture::some()), table.split("```").next().unwrap());
    }

    #[test]
    fn a_repository_without_a_certificate_is_told_in_every_form() {
        let status = Status {
            certificates: Vec::new(),
            last_run: None,
            is_cut_off: true,
            ..fixture::all()
        };
        assert!(text(&status).contains("\nlast run: not known: the history is cut off\n"));
        assert!(html(&status).contains("The repository holds no certificate yet."));
        assert!(!html(&status).contains("<svg"));
        assert!(junit(&status, None).contains("tests=\"0\" failures=\"0\""));
        assert!(!prometheus(&status).contains("git_certs_last_run"));
    }

    #[test]
    fn what_somebody_should_look_at_fails() {
        let failures = |days| {
            let status = fixture::all();
            let certificates = status.certificates.iter();
            let failures = certificates
                .filter_map(|one| Some(format!("{}: {}", one.name, one.failure(days, status.at)?)));
            failures.collect::<Vec<_>>().join("\n")
        };
        let always = "shop: not in the repository\napi: expired on 2026-11-20\n\
                      vpn: revoked on 2026-11-25: keyCompromise";
        let www = |older: &str| {
            format!(
                "www: `www.example.com:443 (2001:db8::80)` {older}; `192.0.2.81:8443` is not reached: Connection refused\n"
            )
        };
        let older = www("still shows an older one: renewed, but not deployed");
        assert_eq!(failures(None), format!("{older}{always}"));
        assert_eq!(failures(Some(4)), format!("{older}{always}"));
        let mail = "mail: expires on 2026-12-01, within 5 days\n";
        assert_eq!(failures(Some(5)), format!("{older}{mail}{always}"));
        assert_eq!(
            failures(Some(30)),
            format!(
                "{}mail: expires on 2026-12-01, within 30 days\n{always}",
                www("shows one that expires on 2026-12-24, within 30 days")
            )
        );
        // Without days a look is at what servers show alone.
        let status = fixture::all();
        let lines = |within| {
            let all = status.failures(within).into_iter();
            all.map(|(name, reason)| format!("{name}: {reason}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lines(None),
            [
                "www: `www.example.com:443 (2001:db8::80)` still shows an older one: renewed, but not deployed",
                "www: `192.0.2.81:8443` is not reached: Connection refused",
            ]
        );
        assert_eq!(lines(Some(4)).len(), 5);
    }

    #[test]
    fn a_report_of_tests_says_what_is_wrong_and_not_where_else_it_was_looked_for() {
        let mut status = fixture::all();
        let kinds = |status: &Status, within| {
            let report = junit(status, within);
            let kinds = report.split("<failure type=\"").skip(1);
            let kinds = kinds.filter_map(|rest| rest.split('"').next());
            kinds.map(str::to_owned).collect::<Vec<_>>().join(", ")
        };
        let others = "expires soon, missing, expired, revoked";
        assert_eq!(kinds(&status, Some(14)), format!("not deployed, {others}"));
        // It expires here, wherever it is shown.
        assert_eq!(kinds(&status, Some(90)), format!("expires soon, {others}"));
        let www = status.certificates.first_mut().unwrap();
        www.served.retain(|one| one.finding == Finding::Current);
        assert_eq!(kinds(&status, Some(90)), format!("expires soon, {others}"));
        assert_eq!(kinds(&status, Some(14)), others);
    }

    #[test]
    fn a_server_that_has_not_the_key_is_told_in_every_form() {
        let mut status = fixture::all();
        for certificate in &mut status.certificates {
            certificate
                .served
                .retain(|one| one.finding == Finding::Current);
            for one in &mut certificate.served {
                one.finding = Finding::Unproven;
            }
        }
        let told = "`www.example.com:443 (192.0.2.80)` shows the certificate, and does not prove that it has its key";
        for within in [None, Some(1_000)] {
            let failures = status.failures(within);
            assert!(failures.contains(&("www", told.to_owned())), "{failures:?}");
        }
        let words =
            "the certificate of the repository, but the server does not prove that it has its key";
        assert!(text(&status).contains(&format!("  unproven  {words}\n")));
        assert!(html(&status).contains(words));
        assert!(json(&status).contains("\"finding\": \"unproven\""));
        assert!(junit(&status, None).contains(told));
    }
}
