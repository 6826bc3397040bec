//! Metrics in Prometheus' text format, for the textfile collector of its node exporter.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>, names by
//! <https://prometheus.io/docs/practices/naming/>.

use time::OffsetDateTime;

use crate::model::outcome::Action;
use crate::model::recipients::Fit;
use crate::model::status::{CertificateStatus, Finding, KeyReaders, Served, State, Status};
use crate::report::status::words;
use crate::report::tame::tame_part;

/// All metrics; each has its lines in one place.
pub(crate) fn prometheus(status: &Status) -> String {
    let mut page = Page(String::new());
    of_certificates(&mut page, &status.certificates);
    of_servers(&mut page, &status.certificates);
    page.metric(
        "git_certs_last_run_timestamp_seconds",
        "Time of the newest commit that a run made.",
        status
            .last_run
            .iter()
            .map(|run| (Vec::new(), seconds(run.at))),
    );
    page.metric(
        "git_certs_status_timestamp_seconds",
        "When the repository was looked at.",
        [(Vec::new(), seconds(status.at))],
    );
    page.0
}

/// What is known of a certificate in one number; none where it is not known.
type Value = fn(&CertificateStatus) -> Option<i64>;

/// Name, help and value of metrics that have a sample a certificate.
const OF_CERTIFICATES: [(&str, &str, Value); 8] = [
    (
        "git_certs_certificate_not_after_timestamp_seconds",
        "End of the certificate that the repository has.",
        |one| one.not_after().map(seconds),
    ),
    (
        "git_certs_certificate_not_before_timestamp_seconds",
        "Begin of the certificate that the repository has.",
        |one| one.leaf.as_ref().map(|leaf| seconds(leaf.not_before)),
    ),
    (
        "git_certs_certificate_renewal_timestamp_seconds",
        "From when on the certificate is to be renewed.",
        |one| one.next.as_ref()?.due_from.map(seconds),
    ),
    (
        "git_certs_certificate_due",
        "Whether the next run has something to do for the certificate.",
        |one| Some((one.next.as_ref()?.action != Action::Keep).into()),
    ),
    (
        "git_certs_certificate_usable",
        "Whether the repository has a certificate that is valid now.",
        |one| one.is_wanted.then(|| (one.state == State::Valid).into()),
    ),
    (
        "git_certs_certificate_listed",
        "Whether certs.json lists the certificate.",
        |one| Some(one.is_wanted.into()),
    ),
    (
        "git_certs_certificate_recipients",
        "How many recipients the list of today has.",
        |one| i64::try_from(known_readers(one)?.count).ok(),
    ),
    (
        "git_certs_certificate_recipients_stale",
        "Whether the key is encrypted for other recipients than those of today.",
        |one| Some((known_readers(one)?.fit == Fit::Stale).into()),
    ),
];

fn known_readers(certificate: &CertificateStatus) -> Option<&KeyReaders> {
    certificate.readers.as_ref()?.as_ref().ok()
}

fn of_certificates(page: &mut Page, all: &[CertificateStatus]) {
    for (name, help, value) in OF_CERTIFICATES {
        let values = all.iter().filter_map(|one| Some((one, value(one)?)));
        let samples = values.map(|(one, value)| (vec![("cert_name", one.name.to_string())], value));
        page.metric(name, help, samples);
    }
    let known = all.iter().filter_map(|one| Some((one, one.leaf.as_ref()?)));
    page.metric(
        "git_certs_certificate_info",
        "What the certificate says.",
        known.map(|(one, leaf)| {
            let labels = vec![
                ("cert_name", one.name.to_string()),
                ("issuer", leaf.issuer.clone()),
                ("key_type", words::key_type(one)),
                ("serial", leaf.serial.clone()),
                ("state", words::state(&one.state).to_owned()),
            ];
            (labels, 1)
        }),
    );
}

fn of_servers(page: &mut Page, all: &[CertificateStatus]) {
    let of = |value: fn(&Served) -> Option<i64>| {
        all.iter().flat_map(move |one| {
            one.served.iter().filter_map(move |served| {
                let address = served.address.map(|address| address.to_string());
                let labels = vec![
                    ("cert_name", one.name.to_string()),
                    ("endpoint", served.place()),
                    ("address", address.unwrap_or_default()),
                ];
                Some((labels, value(served)?))
            })
        })
    };
    page.metric(
        "git_certs_served_not_after_timestamp_seconds",
        "End of the certificate that a server shows.",
        of(|served| served.leaf.as_ref().map(|leaf| seconds(leaf.not_after))),
    );
    page.metric(
        "git_certs_served_current",
        "Whether a server shows the certificate that the repository has.",
        of(|served| {
            let is_asked = !matches!(served.finding, Finding::Skipped(_));
            is_asked.then(|| (served.finding == Finding::Current).into())
        }),
    );
}

struct Page(String);

/// Labels, and a value.
type Sample = (Vec<(&'static str, String)>, i64);

impl Page {
    fn metric(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let labels: Vec<_> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            self.0 += &if labels.is_empty() {
                format!("{name} {value}\n")
            } else {
                format!("{name}{{{}}} {value}\n", labels.join(","))
            };
        }
    }
}

fn seconds(moment: OffsetDateTime) -> i64 {
    moment.unix_timestamp()
}

/// A value of a label.
fn escaped(text: &str) -> String {
    tame_part(text)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_cannot_end_early() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!(escaped("\u{1b}[31m"), "\\\\u{1b}[31m");
        assert_eq!(escaped("::1 ##[error]"), "::1 ##\\\\[error]");
    }
}
