//! RDATA of APIs that leave the final dot of host names off, and keep the priority apart.

use std::fmt::Display;

use crate::model::name::DnsName;
use crate::model::rdata::canonical;

/// Canonical RDATA of what an API has: `content`, with its `priority` for MX and SRV.
///
/// All host names are complete, with or without their final dot. TXT is the text itself.
pub(super) fn rdata(rtype: &str, priority: impl Display, content: &str) -> String {
    let words: Vec<&str> = content.split_whitespace().collect();
    let text = match rtype {
        "TXT" => return content.to_owned(),
        "ALIAS" | "ANAME" | "CNAME" | "DNAME" | "NS" | "PTR" => dotted(content.trim()),
        "MX" | "SRV" => format!(
            "{priority} {}",
            with_hosts(&words, |at| at + 1 == words.len())
        ),
        "HTTPS" | "SVCB" => with_hosts(&words, |at| at == 1),
        "AFSDB" | "KX" | "NAPTR" | "RT" => with_hosts(&words, |at| at + 1 == words.len()),
        "RP" | "SOA" => with_hosts(&words, |at| at < 2),
        _ => content.to_owned(),
    };
    canonical(rtype, &text, &DnsName::root())
}

/// A host name, or several fields of which the last is one, with its final dot.
pub(super) fn dotted(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn with_hosts(words: &[&str], is_host: impl Fn(usize) -> bool) -> String {
    let dotted = words.iter().enumerate().map(|(at, word)| {
        if is_host(at) {
            dotted(word)
        } else {
            (*word).to_owned()
        }
    });
    dotted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_get_their_dot() {
        for (rtype, content, expected) in [
            ("TXT", "a  \"b\".", "a  \"b\"."),
            ("A", "192.0.2.1", "192.0.2.1"),
            ("CNAME", "Other.test", "other.test."),
            ("NS", "other.test.", "other.test."),
            ("MX", "mx.test", "10 mx.test."),
            ("MX", ".", "10 ."),
            ("SRV", "5 5060 sip.test", "10 5 5060 sip.test."),
            ("CAA", "0 issue \"ca.test\"", "0 issue \"ca.test\""),
            ("TLSA", "3 1 1 ABCD", "3 1 1 abcd"),
            ("HTTPS", "1 . alpn=h2", "1 . alpn=\"h2\""),
            ("SVCB", "1 svc.test alpn=h2", "1 svc.test. alpn=\"h2\""),
            (
                "NAPTR",
                "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
                "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            ),
            (
                "SOA",
                "ns1.test hostmaster.test 1 2 3 4 5",
                "ns1.test. hostmaster.test. 1 2 3 4 5",
            ),
            ("URL301", "https://example.com/a", "https://example.com/a"),
        ] {
            assert_eq!(rdata(rtype, 10, content), expected, "{rtype}");
        }
    }
}
