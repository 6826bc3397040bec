//! Names that other programs give to certificates become names of certs.json. Pure.

use crate::model::certificate::CertificateName;

/// A name for a certificate that another program calls `label`.
///
/// One that certs.json takes stays. `*.example.com` becomes `wildcard_example_com`: no host name has an underscore, so
/// that two of them do not become one. A name that begins with a digit gets `cert_` before it.
pub(crate) fn fitting(label: &str) -> Option<CertificateName> {
    if let Ok(name) = label.parse() {
        return Some(name);
    }
    let label = match label.strip_prefix("*.") {
        Some(rest) => format!("wildcard.{rest}"),
        None => label.to_owned(),
    };
    let fits =
        |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    let text: String = label
        .chars()
        .map(|character| if fits(character) { character } else { '_' })
        .collect();
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let text = if begins { text } else { format!("cert_{text}") };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_such_that_certs_json_takes() {
        for (label, name) in [
            ("www", "www"),
            ("www.example.com", "www_example_com"),
            ("*.example.com", "wildcard_example_com"),
            ("example.com_ecc", "example_com_ecc"),
            ("example.com-0001", "example_com-0001"),
            ("1und1.example", "cert_1und1_example"),
            ("_.example.com", "cert___example_com"),
            ("b\u{fc}cher.example", "b_cher_example"),
        ] {
            assert_eq!(fitting(label).unwrap().as_str(), name);
        }
    }
}
