//! A test report as CI systems read it: a case a certificate.

use crate::model::status::{State, Status};
use crate::report::status::words;
use crate::report::tame::tame_part;

/// A certificate fails that nobody can use, or that ends within so many days; one that certs.json does not
/// list is skipped.
pub(crate) fn junit(status: &Status, within: Option<u32>) -> String {
    let mut cases = String::new();
    let (mut failures, mut skipped) = (0, 0);
    for certificate in &status.certificates {
        let name = escaped(certificate.name.as_str());
        let inside = match certificate.failure(within, status.at) {
            _ if !certificate.is_wanted => {
                skipped += 1;
                "<skipped message=\"certs.json does not list it\"/>".to_owned()
            }
            Some(failure) => {
                failures += 1;
                let kind = match certificate.state {
                    _ if certificate.unusable(within, status.at).is_none() => "not deployed",
                    State::Valid | State::NotYetValid => "expires soon",
                    _ => words::state(&certificate.state),
                };
                format!(
                    "<failure type=\"{kind}\" message=\"{}\"/>",
                    escaped(&failure)
                )
            }
            None => String::new(),
        };
        let begin = format!("    <testcase classname=\"certificates\" name=\"{name}\"");
        cases += &if inside.is_empty() {
            format!("{begin}/>\n")
        } else {
            format!("{begin}>\n      {inside}\n    </testcase>\n")
        };
    }
    let tests = status.certificates.len();
    let counts =
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"git-certs\" {counts}>\n  \
         <testsuite name=\"certificates\" {counts}>\n{cases}  </testsuite>\n\
         </testsuites>\n"
    )
}

/// A value of an attribute. Control characters are no XML, whatever stands for them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in tame_part(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            character if character.is_control() => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_attributes_cannot_end_early() {
        assert_eq!(
            escaped("a\"b<c>&\u{1b}[d\n\u{ffff} ##[error]::1"),
            "a&quot;b&lt;c&gt;&amp;\\u{1b}[d   ##\\[error]::1"
        );
    }
}
