//! Records from the wire: RDATA as presentation format, for the types that DNSControl compares.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_proto::rr::{Name, Record as WireRecord};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder, NameEncoding};

use crate::model::location;
use crate::model::name::DnsName;
use crate::model::rdata::{SERVICE_PARAMETERS, canonical};
use crate::model::zone::Record;
use crate::provider::labels::full_owner;

/// A field of RDATA.
#[derive(Clone, Copy)]
enum Part {
    Ipv4,
    Ipv6,
    /// A name without compression.
    Name,
    U8,
    U16,
    U32,
    /// A character-string, quoted.
    String,
    /// A character-string that is a keyword.
    Tag,
    /// All character-strings that are left, quoted.
    Strings,
    /// The rest as one quoted string.
    Quoted,
    Hex,
    Base64,
    /// `SvcParams` (RFC 9460 section 2.2).
    Params,
    /// LOC (RFC 1876 section 2).
    Location,
}

/// Number, mnemonic and layout of the types that have a presentation format of their own here.
const TYPES: &[(u16, &str, &[Part])] = {
    use Part::{
        Base64, Hex, Ipv4, Ipv6, Location, Name, Params, Quoted, String, Strings, Tag, U8, U16, U32,
    };
    &[
        (1, "A", &[Ipv4]),
        (2, "NS", &[Name]),
        (5, "CNAME", &[Name]),
        (6, "SOA", &[Name, Name, U32, U32, U32, U32, U32]),
        (12, "PTR", &[Name]),
        (13, "HINFO", &[String, String]),
        (14, "MINFO", &[Name, Name]),
        (15, "MX", &[U16, Name]),
        (16, "TXT", &[Strings]),
        (17, "RP", &[Name, Name]),
        (18, "AFSDB", &[U16, Name]),
        (21, "RT", &[U16, Name]),
        (28, "AAAA", &[Ipv6]),
        (29, "LOC", &[Location]),
        (33, "SRV", &[U16, U16, U16, Name]),
        (35, "NAPTR", &[U16, U16, String, String, String, Name]),
        (36, "KX", &[U16, Name]),
        (37, "CERT", &[U16, U16, U8, Base64]),
        (39, "DNAME", &[Name]),
        (43, "DS", &[U16, U8, U8, Hex]),
        (44, "SSHFP", &[U8, U8, Hex]),
        (46, "RRSIG", &[Hex]),
        (47, "NSEC", &[Hex]),
        (48, "DNSKEY", &[U16, U8, U8, Base64]),
        (49, "DHCID", &[Base64]),
        (50, "NSEC3", &[Hex]),
        (51, "NSEC3PARAM", &[Hex]),
        (52, "TLSA", &[U8, U8, U8, Hex]),
        (53, "SMIMEA", &[U8, U8, U8, Hex]),
        (59, "CDS", &[U16, U8, U8, Hex]),
        (60, "CDNSKEY", &[U16, U8, U8, Base64]),
        (61, "OPENPGPKEY", &[Base64]),
        (64, "SVCB", &[U16, Name, Params]),
        (65, "HTTPS", &[U16, Name, Params]),
        (99, "SPF", &[Strings]),
        (256, "URI", &[U16, U16, Quoted]),
        (257, "CAA", &[U8, Tag, Quoted]),
    ]
};

/// A name for the wire.
pub(super) fn name(name: &DnsName) -> Result<Name> {
    Name::from_ascii(name.fqdn()).with_context(|| format!("`{name}` cannot be sent as a DNS name"))
}

/// A record from the wire in the form of [`Record`].
pub(super) fn record(record: &WireRecord, zone: &DnsName) -> Result<Record> {
    let name = full_owner(&record.name.to_ascii())?;
    let mut rdata = Vec::new();
    let mut encoder = BinEncoder::new(&mut rdata);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record
        .data
        .emit(&mut encoder)
        .with_context(|| format!("cannot read a record of `{name}`"))?;
    let number = u16::from(record.record_type());
    let rtype = mnemonic(number);
    let data = canonical(&rtype, &text(number, &rdata), zone);
    Ok(Record::new(name, &rtype, record.ttl, data))
}

/// Mnemonic of a type, `TYPE65534` for those without one here (RFC 3597 section 5).
fn mnemonic(rtype: u16) -> String {
    find(rtype).map_or_else(|| format!("TYPE{rtype}"), |(name, _)| name.to_owned())
}

/// Presentation format of RDATA whose names are not compressed.
///
/// Unknown types and RDATA that does not fit its type become `\# LENGTH HEX` (RFC 3597 section 5).
fn text(rtype: u16, rdata: &[u8]) -> String {
    find(rtype)
        .and_then(|(_, parts)| {
            let mut reader = Reader(rdata);
            let fields: Option<Vec<String>> = parts.iter().map(|part| reader.part(*part)).collect();
            fields.filter(|_| reader.0.is_empty())
        })
        .map_or_else(
            || format!(r"\# {} {}", rdata.len(), hex(rdata)),
            |fields| fields.join(" "),
        )
}

fn find(rtype: u16) -> Option<(&'static str, &'static [Part])> {
    TYPES
        .iter()
        .find(|(number, ..)| *number == rtype)
        .map(|(_, name, parts)| (*name, *parts))
}

/// What is left of the RDATA.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn part(&mut self, part: Part) -> Option<String> {
        Some(match part {
            Part::Ipv4 => Ipv4Addr::from(self.array::<4>()?).to_string(),
            Part::Ipv6 => Ipv6Addr::from(self.array::<16>()?).to_string(),
            Part::Name => self.name()?,
            Part::U8 => self.u8()?.to_string(),
            Part::U16 => self.u16()?.to_string(),
            Part::U32 => self.u32()?.to_string(),
            Part::String => quoted(self.string()?),
            Part::Tag => std::str::from_utf8(self.string()?).ok()?.to_owned(),
            Part::Strings => self.strings()?,
            Part::Quoted => quoted(self.rest()),
            Part::Hex => hex(self.rest()),
            Part::Base64 => BASE64.encode(self.rest()),
            Part::Params => self.params()?,
            Part::Location => self.location()?,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    fn strings(&mut self) -> Option<String> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(quoted(self.string()?));
        }
        Some(all.join(" "))
    }

    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            let label = self.string()?;
            if label.len() > 63 {
                return None;
            }
            if label.is_empty() {
                break;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        name.push('\\');
                        name.push(byte.into());
                    }
                    b'!'..=b'~' => name.push(byte.into()),
                    _ => escape(&mut name, byte),
                }
            }
            name.push('.');
        }
        if name.is_empty() {
            name.push('.');
        }
        Some(name)
    }

    fn params(&mut self) -> Option<String> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            let key = self.u16()?;
            let length = self.u16()?;
            let value = Reader(self.take(length.into())?).param(key)?;
            let key = param_name(key);
            all.push(if value.is_empty() {
                key
            } else {
                format!("{key}={}", quoted(value.as_bytes()))
            });
        }
        Some(all.join(" "))
    }

    fn param(&mut self, key: u16) -> Option<String> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            all.push(match key {
                0 => param_name(self.u16()?),
                1 => String::from_utf8_lossy(self.string()?).into_owned(),
                3 => self.u16()?.to_string(),
                4 => Ipv4Addr::from(self.array::<4>()?).to_string(),
                5 => BASE64.encode(self.rest()),
                6 => Ipv6Addr::from(self.array::<16>()?).to_string(),
                _ => String::from_utf8_lossy(self.rest()).into_owned(),
            });
        }
        Some(all.join(","))
    }

    fn location(&mut self) -> Option<String> {
        let [version, size, horizontal, vertical] = self.array()?;
        if version != 0 {
            return None;
        }
        Some(location::from_wire(&location::Wire {
            size: size.into(),
            horizontal: horizontal.into(),
            vertical: vertical.into(),
            latitude: self.u32()?,
            longitude: self.u32()?,
            altitude: self.u32()?,
        }))
    }
}

fn param_name(key: u16) -> String {
    SERVICE_PARAMETERS
        .get(usize::from(key))
        .map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = "\"".to_owned();
    for &byte in bytes {
        match byte {
            b' '..=b'~' if !matches!(byte, b'"' | b'\\') => text.push(byte.into()),
            _ => escape(&mut text, byte),
        }
    }
    text.push('"');
    text
}

fn escape(text: &mut String, byte: u8) {
    let _ = write!(text, "\\{byte:03}");
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_read_as_zone_files_do() {
        for (rtype, rdata, expected) in [
            (1, &b"\x7f\0\0\x01"[..], "127.0.0.1"),
            (15, b"\0\x0a\x02mx\x04test\0", "10 mx.test."),
            (16, b"\x03a\"b\x02\xc3\xbc", r#""a\034b" "\195\188""#),
            (39, b"\x03a.b\0", r"a\.b."),
            (
                257,
                b"\0\x05issueletsencrypt.org",
                r#"0 issue "letsencrypt.org""#,
            ),
            (
                65,
                b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x03\0\x02\x01\xbb",
                r#"1 . alpn="h3,h2" port="443""#,
            ),
            (
                29,
                b"\0\x12\x16\x13\x8b\x0b\xbb\xec\x7f\xff\xe1\xa5\x00\x98\x96\x80",
                "51 28 38.380 N 0 0 7.771 W 0.00m 1.00m 10000.00m 10.00m",
            ),
        ] {
            assert_eq!(text(rtype, rdata), expected, "type {rtype}");
        }
    }

    #[test]
    fn what_does_not_fit_stays_hexadecimal() {
        assert_eq!(text(1, b"\x7f\0"), r"\# 2 7f00");
        assert_eq!(text(1, b"\x7f\0\0\x01\0"), r"\# 5 7f00000100");
        assert_eq!(text(65534, b"\x0d"), r"\# 1 0d");
        assert_eq!(mnemonic(65534), "TYPE65534");
        assert_eq!(mnemonic(257), "CAA");
    }
}
