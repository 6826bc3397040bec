//! RDATA as text in one canonical form, so that two sides can be compared byte by byte.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::location;
use crate::model::name::DnsName;

/// Longest character-string (RFC 1035 section 3.3).
const MAX_STRING: usize = 255;

/// The canonical form of RDATA that [`Record::data`](crate::model::zone::Record) holds.
///
/// `text` is presentation format (RFC 1035 section 5.1) on one line, comments removed; parentheses
/// count as white space. Host names become lower case, A-labels and fully qualified (`origin`
/// completes the ones without a final dot), addresses and numbers lose their spelling, hexadecimal
/// is lower case, long hexadecimal and Base64 fields lose their white space, the character-strings
/// of TXT and SPF are unquoted and joined, those of other types are quoted. A byte of TXT that is
/// not UTF-8 stays as `\DDD`. For unknown types, and where a field does not parse, white space is
/// collapsed and the rest stays.
pub(crate) fn canonical(rtype: &str, text: &str, origin: &DnsName) -> String {
    let tokens = tokens(text);
    if tokens.first().is_some_and(|token| token.is_bare(br"\#")) {
        return generic(&tokens);
    }
    match rtype {
        "TXT" | "SPF" => {
            let joined: Vec<u8> = tokens.into_iter().flat_map(|token| token.bytes).collect();
            readable(&joined)
        }
        "LOC" => {
            let words: Vec<String> = tokens.iter().map(Token::text).collect();
            location::canonical(&words).unwrap_or_else(|| words.join(" "))
        }
        _ => match fields(rtype) {
            Some(fields) => by_fields(fields, &tokens, origin),
            // Not all of these are presentation format: parentheses stay.
            None => text.split_whitespace().collect::<Vec<_>>().join(" "),
        },
    }
}

/// `text` as one quoted character-string.
pub(crate) fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// `text` as quoted character-strings of at most 255 bytes, separated by spaces.
pub(crate) fn quote_txt(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let strings: Vec<String> = text
        .as_bytes()
        .chunks(MAX_STRING)
        .map(quote_bytes)
        .collect();
    strings.join(" ")
}

/// Kind of an RDATA field.
#[derive(Clone, Copy)]
enum Field {
    Ipv4,
    Ipv6,
    Name,
    Number,
    /// Seconds; BIND's units (`1d2h`) are accepted.
    Seconds,
    /// A mnemonic in lower case.
    Lower,
    /// A mnemonic or number in upper case.
    Upper,
    /// One character-string.
    Quoted,
    /// The rest is hexadecimal.
    Hex,
    /// The rest is Base64.
    Base64,
    /// The rest is a list of service parameters (RFC 9460 section 2.1).
    Params,
}

fn fields(rtype: &str) -> Option<&'static [Field]> {
    use Field::{Base64, Hex, Ipv4, Ipv6, Lower, Name, Number, Params, Quoted, Seconds, Upper};
    Some(match rtype {
        "A" => &[Ipv4],
        "AAAA" => &[Ipv6],
        "ALIAS" | "ANAME" | "CNAME" | "DNAME" | "NS" | "PTR" => &[Name],
        "AFSDB" | "KX" | "MX" | "RT" => &[Number, Name],
        "MINFO" | "RP" => &[Name, Name],
        "SOA" => &[Name, Name, Number, Seconds, Seconds, Seconds, Seconds],
        "SRV" => &[Number, Number, Number, Name],
        "NAPTR" => &[Number, Number, Quoted, Quoted, Quoted, Name],
        "URI" => &[Number, Number, Quoted],
        "HINFO" => &[Quoted, Quoted],
        "CAA" => &[Number, Lower, Quoted],
        "SMIMEA" | "TLSA" => &[Number, Number, Number, Hex],
        "SSHFP" => &[Number, Number, Hex],
        "CDS" | "DLV" | "DS" => &[Number, Upper, Number, Hex],
        "CDNSKEY" | "DNSKEY" | "KEY" => &[Number, Number, Upper, Base64],
        "CERT" => &[Upper, Number, Upper, Base64],
        "DHCID" | "OPENPGPKEY" => &[Base64],
        "HTTPS" | "SVCB" => &[Number, Name, Params],
        _ => return None,
    })
}

/// A word or a quoted string; `bytes` without quotes, escapes resolved.
struct Token {
    bytes: Vec<u8>,
    /// As it was written, with quotes and escapes.
    written: Vec<u8>,
}

impl Token {
    fn is_bare(&self, bytes: &[u8]) -> bool {
        self.written == bytes
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut token: Option<Token> = None;
    let mut quoted = false;
    let mut input = text.bytes();
    while let Some(byte) = input.next() {
        let separates = byte.is_ascii_whitespace() || matches!(byte, b'(' | b')');
        if separates && !quoted {
            found.extend(token.take());
            continue;
        }
        let current = token.get_or_insert_with(|| Token {
            bytes: Vec::new(),
            written: Vec::new(),
        });
        current.written.push(byte);
        match byte {
            b'"' => {
                quoted = !quoted;
                // `"a""b"` are two strings; `key="a"` is one word.
                if !quoted && current.written.first() == Some(&b'"') {
                    found.extend(token.take());
                }
            }
            b'\\' => escape(&mut input, current),
            _ => current.bytes.push(byte),
        }
    }
    found.extend(token);
    found
}

/// Reads what follows a backslash: three digits, or one character that stands for itself.
fn escape(input: &mut std::str::Bytes<'_>, token: &mut Token) {
    let Some(first) = input.next() else {
        token.bytes.push(b'\\');
        return;
    };
    token.written.push(first);
    let mut ahead = input.clone();
    if let (Some(tens), Some(ones)) = (ahead.next(), ahead.next())
        && [first, tens, ones].iter().all(u8::is_ascii_digit)
    {
        let value = [first, tens, ones]
            .iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if let Ok(byte) = u8::try_from(value) {
            token.written.extend([tens, ones]);
            token.bytes.push(byte);
            *input = ahead;
            return;
        }
    }
    token.bytes.push(first);
}

/// Unknown RDATA (RFC 3597 section 5): length and hexadecimal.
fn generic(tokens: &[Token]) -> String {
    let length = tokens.get(1).map(Token::text).unwrap_or_default();
    format!(r"\# {length} {}", joined(tokens.get(2..)).to_lowercase())
        .trim_end()
        .to_owned()
}

fn joined(tokens: Option<&[Token]>) -> String {
    tokens.unwrap_or_default().iter().map(Token::text).collect()
}

fn by_fields(fields: &[Field], tokens: &[Token], origin: &DnsName) -> String {
    let mut parts = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    for field in fields {
        let Some((token, after)) = rest.split_first() else {
            break;
        };
        match field {
            Field::Hex => parts.push(joined(Some(rest)).to_lowercase()),
            Field::Base64 => parts.push(joined(Some(rest))),
            Field::Params => parts.extend(params(rest)),
            one => parts.push(one_field(*one, token, origin)),
        }
        rest = match field {
            Field::Hex | Field::Base64 | Field::Params => &[],
            _ => after,
        };
    }
    parts.extend(rest.iter().map(Token::text));
    parts.join(" ")
}

fn one_field(field: Field, token: &Token, origin: &DnsName) -> String {
    let text = token.text();
    match field {
        Field::Ipv4 => text
            .parse::<Ipv4Addr>()
            .map_or(text, |address| address.to_string()),
        Field::Ipv6 => text
            .parse::<Ipv6Addr>()
            .map_or(text, |address| address.to_string()),
        Field::Name => host_name(&text, origin),
        Field::Number => number(text),
        Field::Seconds => seconds(&text).map_or(text, |seconds| seconds.to_string()),
        Field::Lower => text.to_lowercase(),
        Field::Upper => number(text.to_uppercase()),
        Field::Quoted => quote_bytes(&token.bytes),
        Field::Hex | Field::Base64 | Field::Params => text,
    }
}

fn host_name(text: &str, origin: &DnsName) -> String {
    if text == "@" {
        return origin.fqdn();
    }
    let absolute = if text.ends_with('.') {
        text.to_owned()
    } else {
        format!("{text}.{}", origin.fqdn().trim_start_matches('.'))
    };
    absolute
        .parse::<DnsName>()
        .map_or_else(|_| absolute.to_lowercase(), |name| name.fqdn())
}

fn number(text: String) -> String {
    text.parse::<u64>()
        .map_or(text, |number| number.to_string())
}

fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut digits = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    if digits.is_empty() {
        return Some(total);
    }
    total.checked_add(digits.parse().ok()?)
}

/// Service parameters in the order of their numbers, values quoted.
fn params(tokens: &[Token]) -> Vec<String> {
    let mut found: Vec<(u32, String)> = tokens
        .iter()
        .map(|token| {
            let text = readable(&token.bytes);
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (text.to_lowercase(), None),
            };
            let shown = match value {
                None => key.clone(),
                Some(value) => format!("{key}={}", quote(&param_value(&key, &value))),
            };
            (param_number(&key), shown)
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, shown)| shown).collect()
}

/// Keys of service parameters by number (RFC 9460 section 14.3.2, and IANA's registry, 2026).
pub(crate) const SERVICE_PARAMETERS: [&str; 9] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
];

/// Number of a key (RFC 9460 section 14.3.2); unknown keys come last.
fn param_number(key: &str) -> u32 {
    let position = SERVICE_PARAMETERS.iter().position(|name| *name == key);
    position
        .and_then(|position| u32::try_from(position).ok())
        .or_else(|| key.strip_prefix("key")?.parse().ok())
        .unwrap_or(u32::MAX)
}

fn param_value(key: &str, value: &str) -> String {
    if key != "ipv6hint" {
        return value.to_owned();
    }
    let addresses: Vec<String> = value
        .split(',')
        .map(|text| {
            text.parse::<Ipv6Addr>()
                .map_or_else(|_| text.to_owned(), |address| address.to_string())
        })
        .collect();
    addresses.join(",")
}

/// Text of bytes; what is no UTF-8 as `\DDD`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for &byte in chunk.invalid() {
            text.extend(decimal(byte));
        }
    }
    text
}

/// A byte as `\DDD`.
fn decimal(byte: u8) -> [char; 4] {
    let digit = |number: u8| char::from(b'0' + number % 10);
    ['\\', digit(byte / 100), digit(byte / 10), digit(byte)]
}

fn quote_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.extend(decimal(byte)),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canon(rtype: &str, text: &str) -> String {
        canonical(rtype, text, &"example.com".parse().unwrap())
    }

    #[test]
    fn every_type_has_one_spelling() {
        for (rtype, written, expected) in [
            ("A", " 192.0.2.1 ", "192.0.2.1"),
            ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
            ("CNAME", "WWW", "www.example.com."),
            ("CNAME", "@", "example.com."),
            ("CNAME", "Bücher.example.", "xn--bcher-kva.example."),
            ("ALIAS", "Other.Test.", "other.test."),
            ("NS", "ns1", "ns1.example.com."),
            ("MX", "010  Mail", "10 mail.example.com."),
            ("MX", "0 .", "0 ."),
            ("SRV", "1 2 0443 h.test.", "1 2 443 h.test."),
            (
                "SOA",
                "ns1 host\\.master 1 (1h 15m 1w3d 300)",
                "ns1.example.com. host\\.master.example.com. 1 3600 900 864000 300",
            ),
            (
                "CAA",
                "0 ISSUE letsencrypt.org",
                "0 issue \"letsencrypt.org\"",
            ),
            (
                "CAA",
                "128 issue \"ca.test; a=b\"",
                "128 issue \"ca.test; a=b\"",
            ),
            ("TLSA", "3 1 1 AB cd ( EF )", "3 1 1 abcdef"),
            ("SSHFP", "4 2 ABCD", "4 2 abcd"),
            ("DS", "60485 5 1 2BB1 83af", "60485 5 1 2bb183af"),
            ("DNSKEY", "257 3 13 ab CD ==", "257 3 13 abCD=="),
            (
                "NAPTR",
                "100 10 u E2U+sip \"!^.*$!sip:a@b!\" .",
                "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            ),
            (
                "HTTPS",
                "1 . ipv6hint=2001:DB8:0::1 alpn=\"h3,h2\" no-default-alpn",
                "1 . alpn=\"h3,h2\" no-default-alpn ipv6hint=\"2001:db8::1\"",
            ),
            ("SVCB", "0 svc", "0 svc.example.com."),
            (
                "LOC",
                "52 22 23 N 4 53 32.00 E -2",
                "52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m",
            ),
            ("TYPE65280", "\\# 4 0A 00 00 01", "\\# 4 0a000001"),
            ("CF_REDIRECT", "a  b\t(c)", "a b (c)"),
        ] {
            assert_eq!(canon(rtype, written), expected, "{rtype}");
            assert_eq!(canon(rtype, expected), expected, "{rtype} again");
        }
    }

    #[test]
    fn strings_of_txt_are_joined() {
        assert_eq!(canon("TXT", r#""v=spf1 " "-all""#), "v=spf1 -all");
        assert_eq!(canon("TXT", r#""a""b""#), "ab");
        assert_eq!(canon("TXT", r#""a\"b\\c\195\169\255""#), "a\"b\\cé\\255");
        assert_eq!(canon("TXT", r#""""#), "");
        assert_eq!(canon("TXT", "bare"), "bare");
    }

    #[test]
    fn quoting_survives_the_way_back() {
        for text in ["", "a b", "\"quoted\" \\ é\n(x);", &"long ".repeat(200)] {
            assert_eq!(canon("TXT", &quote_txt(text)), text);
        }
        let strings = quote_txt(&"x".repeat(300));
        assert_eq!(
            strings.split(' ').map(str::len).collect::<Vec<_>>(),
            [257, 47]
        );
    }

    #[test]
    fn nonsense_stays_text() {
        let types = [
            "A", "AAAA", "MX", "SOA", "CAA", "LOC", "HTTPS", "TXT", "TLSA", "X",
        ];
        let texts = [
            "",
            "\"",
            "\\",
            "\\1",
            "\\999",
            "((",
            "x y z",
            "N E",
            "é",
            "\\#",
            "1d 99999999999999999999d",
        ];
        for rtype in types {
            for text in texts {
                let once = canon(rtype, text);
                assert!(once.len() <= text.len() * 4 + 64, "{rtype} {text}: {once}");
            }
        }
        assert_eq!(canon("A", "not  an address"), "not an address");
        assert_eq!(canon("MX", "mail.test."), "mail.test.");
    }

    #[test]
    fn the_root_as_origin() {
        let root: DnsName = ".".parse().unwrap();
        assert_eq!(canonical("NS", "a.test", &root), "a.test.");
    }
}
