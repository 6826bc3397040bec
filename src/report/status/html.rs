//! A page for people: one file without scripts, and nothing from elsewhere.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::chain::Leaf;
use crate::model::history::Commit;
use crate::model::status::{CertificateStatus, Finding, Served, Status};
use crate::report::status::timeline::{self, SIZES, class};
use crate::report::status::words::{self, Mood};
use crate::report::tame::tame_part;
use crate::report::terminal::{day, past};

/// Names of a certificate that are shown at once.
const SHOWN: usize = 4;

/// The page's look.
pub(super) const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn html(status: &Status) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>Certificates</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#certificates\">To the certificates</a>\n\
         <header>\n<h1>Certificates</h1>\n<p class=\"as-of\">As of {}</p>\n",
        moment(status.at)
    );
    page += "<ul class=\"tiles\">\n";
    for (mood, count) in words::counts(status) {
        page += &format!(
            "<li class=\"{}\"><b>{count}</b><span>{}</span></li>\n",
            class(mood),
            mood.word()
        );
    }
    page += "</ul>\n</header>\n<main>\n";
    page += &figure(status);
    page += &certificates(status);
    page += &servers(status);
    page += "</main>\n";
    page + &footer(status) + "</body>\n</html>\n"
}

fn figure(status: &Status) -> String {
    let pictures: String = SIZES
        .iter()
        .filter_map(|size| timeline::svg(status, *size))
        .collect();
    if pictures.is_empty() {
        return format!(
            "<p class=\"none\">{} holds no certificate yet.</p>\n",
            status.home.capitalized()
        );
    }
    format!(
        "<figure>\n{pictures}<figcaption>Each mark is a certificate, at the time when it expires.</figcaption>\n</figure>\n"
    )
}

fn certificates(status: &Status) -> String {
    let mut html = "<h2 id=\"certificates\">All certificates</h2>\n\
         <p class=\"key\">A bar is what is left of the lifetime; at the line in it the renewal is due.</p>\n\
         <div class=\"card\">\n"
        .to_owned();
    html += &head(&[
        "Certificate",
        "State",
        "Expires",
        "Issuer",
        "Renewal",
        "Recipients",
    ]);
    for certificate in &status.certificates {
        html += &row(certificate, status.at);
    }
    html + "</tbody>\n</table>\n</div>\n"
}

/// The begin of a table. Roles are said again: where rows are blocks, browsers forget them.
fn head(columns: &[&str]) -> String {
    let cells = columns
        .iter()
        .map(|column| format!("<th scope=\"col\" role=\"columnheader\">{column}</th>"));
    format!(
        "<table role=\"table\">\n<thead role=\"rowgroup\">\n<tr role=\"row\">{}</tr>\n</thead>\n<tbody role=\"rowgroup\">\n",
        cells.collect::<String>()
    )
}

fn row(certificate: &CertificateStatus, now: OffsetDateTime) -> String {
    let mood = Mood::of(certificate);
    let issuer = match words::issuer(certificate) {
        "" => String::new(),
        issuer => format!(
            "{} <span class=\"quiet\">{}</span>",
            escaped(issuer),
            words::key_type(certificate)
        ),
    };
    let cells = [
        (
            "State",
            format!(
                "<span class=\"state {}\"><span aria-hidden=\"true\">{}</span> {}</span>",
                class(mood),
                sign(mood),
                words::state(&certificate.state)
            ),
        ),
        ("Expires", expiry(certificate, now)),
        ("Issuer", issuer),
        ("Renewal", words::next(certificate)),
        ("Recipients", words::readers(certificate)),
    ];
    let mut html = format!(
        "<tr role=\"row\">\n<th scope=\"row\" role=\"rowheader\">{}{}{}</th>\n",
        escaped(certificate.name.as_str()),
        names(certificate),
        notes(certificate)
    );
    for (head, cell) in cells {
        // What is empty has no head on narrow screens either.
        html += &match (head, cell.is_empty()) {
            (_, true) => "<td role=\"cell\"></td>\n".to_owned(),
            ("Expires", false) => format!("<td role=\"cell\" class=\"expiry\">{cell}</td>\n"),
            ("Renewal", false) => {
                format!("<td role=\"cell\" class=\"when\" data-head=\"Renewal\">{cell}</td>\n")
            }
            (head, false) => format!("<td role=\"cell\" data-head=\"{head}\">{cell}</td>\n"),
        };
    }
    html + "</tr>\n"
}

/// A sign beside the colour, for those who do not see it.
fn sign(mood: Mood) -> &'static str {
    match mood {
        Mood::Bad => "\u{2715}",
        Mood::Due => "\u{25d4}",
        Mood::Good => "\u{2713}",
        Mood::Unlisted => "\u{2013}",
    }
}

/// What is left of the lifetime as a bar, with a line where the renewal is due.
fn expiry(certificate: &CertificateStatus, now: OffsetDateTime) -> String {
    let (Some(leaf), Some(left)) = (&certificate.leaf, words::share_left(certificate, now)) else {
        return String::new();
    };
    let due = certificate.next.as_ref().and_then(|next| next.due_from);
    let mark = due.map_or_else(String::new, |due| {
        let at = percent(share_at(leaf, due));
        format!("<u style=\"inset-inline-start:{at}\"></u>")
    });
    format!(
        "<time datetime=\"{}\">{}</time>, <span class=\"quiet\">{}</span>\
         <span class=\"bar {}\" aria-hidden=\"true\"><i style=\"width:{}\"></i>{mark}</span>",
        stamp(leaf.not_after),
        day(leaf.not_after),
        words::time_left(leaf.not_after, now),
        class(Mood::of(certificate)),
        percent(left)
    )
}

fn share_at(leaf: &Leaf, moment: OffsetDateTime) -> f64 {
    let left = (leaf.not_after - moment).as_seconds_f64();
    (left / leaf.lifetime().as_seconds_f64()).clamp(0.0, 1.0)
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

fn names(certificate: &CertificateStatus) -> String {
    let names: Vec<_> = certificate
        .names
        .iter()
        .map(|name| escaped(name.as_str()))
        .collect();
    let (shown, more) = names.split_at_checked(SHOWN).unwrap_or((&names, &[]));
    let mut html = format!("<p class=\"names\">{}</p>", shown.join(", "));
    if !more.is_empty() {
        html += &format!(
            "<details class=\"names\"><summary>and {} more</summary>{}</details>",
            more.len(),
            more.join(", ")
        );
    }
    html
}

fn notes(certificate: &CertificateStatus) -> String {
    let notes = words::notes(certificate);
    if notes.is_empty() {
        return String::new();
    }
    let items = notes
        .iter()
        .map(|note| format!("<li>{}</li>", in_code(note)));
    format!("<ul class=\"notes\">{}</ul>", items.collect::<String>())
}

fn servers(status: &Status) -> String {
    let mut rows = String::new();
    for certificate in &status.certificates {
        for served in &certificate.served {
            let cells = [
                ("Certificate", escaped(certificate.name.as_str())),
                (
                    "Shows",
                    format!(
                        "<span class=\"state {}\">{}</span>",
                        finding_class(served),
                        words::finding(&served.finding)
                    ),
                ),
                ("Which means", in_code(&words::served(served, status.home))),
            ];
            rows += &format!(
                "<tr role=\"row\">\n<th scope=\"row\" role=\"rowheader\">{}</th>\n",
                escaped(&served.to_string())
            );
            for (head, cell) in cells {
                rows += &format!("<td role=\"cell\" data-head=\"{head}\">{cell}</td>\n");
            }
            rows += "</tr>\n";
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<h2>Servers</h2>\n<div class=\"card\">\n{}{rows}</tbody>\n</table>\n</div>\n",
        head(&["Server", "Certificate", "Shows", "Which means"])
    )
}

fn finding_class(served: &Served) -> &'static str {
    match served.finding {
        Finding::Current => "good",
        Finding::Older | Finding::Newer => "due",
        Finding::Unproven | Finding::SelfSigned | Finding::Other | Finding::Unreachable(_) => "bad",
        Finding::Skipped(_) => "unlisted",
    }
}

fn footer(status: &Status) -> String {
    let mut html = "<footer>\n".to_owned();
    if let Some(journal) = &status.journal {
        html += &format!("<p>{}</p>\n", in_code(journal));
    }
    html += &format!("<p>Last run: {}</p>\n", last_run(status));
    if let Some(as_of) = words::ari_as_of(status) {
        html += &format!("<p>As to renewals: {}</p>\n", in_code(&as_of));
    }
    html + "<p>Made by git-certs</p>\n</footer>\n"
}

/// With a link, where the run has an address.
fn last_run(status: &Status) -> String {
    match &status.last_run {
        Some(Commit {
            at, run: Some(run), ..
        }) if run.starts_with("https://") => {
            let address = escaped(run);
            format!(
                "{}, <a href=\"{address}\" rel=\"noreferrer\">{address}</a>",
                moment(*at)
            )
        }
        _ => escaped(&words::last_run(status)),
    }
}

fn moment(moment: OffsetDateTime) -> String {
    format!(
        "<time datetime=\"{}\">{}</time>",
        stamp(moment),
        past(moment)
    )
}

fn stamp(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}

/// Text of a page, or a value of an attribute in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in tame_part(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

/// The same; what stands in backticks is code.
fn in_code(text: &str) -> String {
    let escaped = escaped(text);
    if !escaped.matches('`').count().is_multiple_of(2) {
        return escaped;
    }
    let mut parts = escaped.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    let mut is_code = true;
    for part in parts {
        html += if is_code { "<code>" } else { "</code>" };
        html += part;
        is_code = !is_code;
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_add_nothing() {
        assert_eq!(
            escaped("<img src=x onerror='a' \"&\u{1b} ##[error]::1>"),
            "&lt;img src=x onerror=&#39;a&#39; &quot;&amp;\\u{1b} ##\\[error]::1&gt;"
        );
        assert_eq!(
            in_code("use `a<b` `c`"),
            "use <code>a&lt;b</code> <code>c</code>"
        );
        assert_eq!(in_code("a ` b"), "a ` b");
    }
}
