//! A table for people at a terminal.

use time::OffsetDateTime;

use crate::model::status::{CertificateStatus, Status};
use crate::report::status::words;
use crate::report::tame::{tame, tame_part};
use crate::report::terminal::day;

/// Characters of an expiry bar.
const BAR: usize = 10;

/// Heads of the columns.
const HEADS: [&str; 8] = [
    "certificate",
    "state",
    "left",
    "expires",
    "issuer",
    "key",
    "renewal",
    "recipients",
];

/// The table, what somebody should know, what servers show, and a count.
pub(crate) fn text(status: &Status) -> String {
    let rows = status.certificates.iter().map(|one| row(one, status.at));
    let rows: Vec<_> = std::iter::once(HEADS.map(str::to_owned))
        .chain(rows)
        .collect();
    let mut text = table(&rows);
    let mut notes = String::new();
    for certificate in &status.certificates {
        for note in words::notes(certificate) {
            notes += &format!("`{}`: {}\n", certificate.name, tame(&note));
        }
    }
    if !notes.is_empty() {
        text += &format!("\n{notes}");
    }
    text += &servers(status);
    text.push('\n');
    if let Some(journal) = &status.journal {
        text += &format!("{}\n", tame(journal));
    }
    text += &format!("last run: {}\n", tame(&words::last_run(status)));
    if let Some(as_of) = words::ari_as_of(status) {
        text += &format!("{as_of}\n");
    }
    let counts = words::counts(status);
    let counts = counts
        .iter()
        .map(|(mood, count)| format!("{count} {}", mood.word()));
    text + &format!("{}\n", counts.collect::<Vec<_>>().join(", "))
}

fn row(certificate: &CertificateStatus, now: OffsetDateTime) -> [String; HEADS.len()] {
    let end = certificate.not_after();
    let left = words::share_left(certificate, now).zip(end);
    [
        certificate.name.to_string(),
        words::state(&certificate.state).to_owned(),
        left.map_or_else(String::new, |(share, end)| {
            format!("{} {}", bar(share), words::time_left(end, now))
        }),
        end.map(day).unwrap_or_default(),
        tame(words::issuer(certificate)),
        words::key_type(certificate),
        words::next(certificate),
        words::readers(certificate),
    ]
}

/// Full at the begin of the lifetime; empty at its end only.
fn bar(share: f64) -> String {
    let steps: Vec<_> = (0_u8..).take(BAR).collect();
    steps
        .iter()
        .map(|step| {
            let is_left = f64::from(*step) / 10.0 < share;
            if is_left { '#' } else { '.' }
        })
        .collect()
}

/// Columns as wide as what is in them, two blanks between them.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn servers(status: &Status) -> String {
    let mut rows = Vec::new();
    for certificate in &status.certificates {
        for served in &certificate.served {
            rows.push([
                certificate.name.to_string(),
                tame_part(&served.to_string()),
                words::finding(&served.finding).to_owned(),
                tame(&words::served(served, status.home)),
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("\nservers:\n{}", table(&rows))
}
