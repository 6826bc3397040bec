//! A page in Markdown, for the summary of a job or a wiki.

use crate::model::status::{CertificateStatus, Status};
use crate::report::status::words::{self, Mood};
use crate::report::summary::escaped;
use crate::report::terminal::{day, past};

/// The table, what somebody should know, and what servers show.
pub(crate) fn markdown(status: &Status) -> String {
    let counts = words::counts(status);
    let counts = counts
        .iter()
        .map(|(mood, count)| format!("{count} {}", mood.word()));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let mut page = format!("### Certificates: {counts}\n\n");
    page += "| Certificate | State | Left | Expires | Issuer | Key | Renewal | Recipients |\n";
    page += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for certificate in &status.certificates {
        page += &row(certificate, status);
    }
    let notes: String = status
        .certificates
        .iter()
        .flat_map(|one| {
            let notes = words::notes(one).into_iter();
            notes.map(|note| format!("- `{}`: {}\n", one.name, escaped(&note)))
        })
        .collect();
    if !notes.is_empty() {
        page += &format!("\n{notes}");
    }
    page += &servers(status);
    page += "\n";
    if let Some(journal) = &status.journal {
        page += &format!("{}\n\n", escaped(journal));
    }
    page += &format!("Last run: {}\n\n", escaped(&words::last_run(status)));
    if let Some(as_of) = words::ari_as_of(status) {
        page += &format!("As of {}: {}\n", past(status.at), escaped(&as_of));
    } else {
        page += &format!("As of {}\n", past(status.at));
    }
    page
}

fn row(certificate: &CertificateStatus, status: &Status) -> String {
    let end = certificate.not_after();
    let state = words::state(&certificate.state);
    let state = match Mood::of(certificate) {
        Mood::Bad => format!("**{state}**"),
        _ => state.to_owned(),
    };
    let cells = [
        format!("`{}`", certificate.name),
        state,
        end.map_or_else(String::new, |end| words::time_left(end, status.at)),
        end.map(day).unwrap_or_default(),
        escaped(words::issuer(certificate)),
        words::key_type(certificate),
        words::next(certificate),
        words::readers(certificate),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn servers(status: &Status) -> String {
    let mut rows = String::new();
    for certificate in &status.certificates {
        for served in &certificate.served {
            rows += &format!(
                "| `{}` | {} | {} | {} |\n",
                certificate.name,
                escaped(&served.to_string()),
                words::finding(&served.finding),
                escaped(&words::served(served, status.home))
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!("\n| Certificate | Server | Shows | |\n| --- | --- | --- | --- |\n{rows}")
}
