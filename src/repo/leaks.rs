//! Finds private keys in bytes of any kind: PEM, DER, PKCS#12, Java key stores, JWK, `PuTTY`, age; DER in Base64, too.
//!
//! What is compressed or encrypted as a whole is not looked into.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memmem;
use serde_json::Value;

/// A private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    pub(crate) kind: String,
    pub(crate) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// By a passphrase.
    Encrypted,
    /// Key stores, whose passwords are often known or none.
    Stored,
    Plain,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----";
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// `-----BEGIN ` in Base64, as in Kubernetes' secrets.
const BEGIN_IN_BASE64: &[u8] = b"LS0tLS1CRUdJTi";

/// Most bytes before the words `PRIVATE KEY` in the first line of PEM.
const LONGEST_KIND: usize = 40;

/// A first line without so many characters of Base64 after it is an example or a search pattern.
const LEAST_BASE64: usize = 40;

/// Characters of Base64 that show how DER begins.
const DER_START: usize = 12;

/// Bytes that are read once more, where what looked like DER is none, for each byte of a file: so that no file takes time
/// that grows with the square of its length.
const AGAIN: usize = 4;

/// Characters after `AGE-SECRET-KEY-1`: 32 bytes and a checksum in Bech32.
const AGE_CHARACTERS: usize = 58;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The worst that is in the bytes.
pub(crate) fn find(bytes: &[u8]) -> Option<Leak> {
    let text = in_text(bytes).into_iter();
    let begins: Vec<_> = memmem::find_iter(bytes, BEGIN_IN_BASE64).collect();
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    // Where the next one begins this one has ended, however it is written.
    let encoded = begins.iter().zip(ends).filter_map(|(begin, end)| {
        let (data, _) = base64(bytes.get(*begin..end)?, usize::MAX);
        let decoded = LENIENT.decode(data).ok()?;
        let leak = in_text(&decoded)?;
        Some(Leak {
            kind: format!("{}, in Base64", leak.kind),
            ..leak
        })
    });
    // Of two names of one key the last counts: DER in Base64 is what PEM is inside.
    let all = der_in_base64(bytes).into_iter();
    let all = all.chain(text).chain(encoded).chain(in_binary(bytes));
    all.max_by_key(|leak| leak.state)
}

/// Values that are DER in Base64, as Traefik keeps keys: every SEQUENCE begins with an `M`.
fn der_in_base64(bytes: &[u8]) -> Vec<Leak> {
    let mut leaks = Vec::new();
    let mut again = bytes.len().saturating_mul(AGAIN);
    let mut from = 0;
    for at in memchr::memchr_iter(b'M', bytes) {
        if at < from {
            continue;
        }
        let Some(most) = length_in_base64(bytes, at) else {
            continue;
        };
        let (data, read) = base64(bytes.get(at..).unwrap_or_default(), most);
        let decoded = (data.len() == most).then(|| LENIENT.decode(data));
        let found = decoded.and_then(|decoded| in_der(&decoded.ok()?));
        match again.checked_sub(read).filter(|_| found.is_none()) {
            Some(left) => again = left,
            None => from = at + read,
        }
        leaks.extend(found.map(|(kind, state)| Leak {
            kind: format!("{kind}, in Base64"),
            state,
        }));
    }
    leaks
}

/// Characters of the Base64 that begins here, if it may be DER of a key.
fn length_in_base64(bytes: &[u8], at: usize) -> Option<usize> {
    let before = bytes.get(..at)?.last();
    let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    if before.is_some_and(is_inside) {
        return None;
    }
    let start = LENIENT.decode(bytes.get(at..at + DER_START)?).ok()?;
    let (length, rest) = der_length(start.strip_prefix(&[SEQUENCE])?)?;
    // A version, or what an encrypted key is encrypted with.
    let is_key = matches!(
        rest,
        [INTEGER, 1, 0 | 1 | 3, ..] | [SEQUENCE, _, OBJECT_ID, ..]
    );
    is_key.then(|| ((start.len() - rest.len() + length) * 4).div_ceil(3))
}

fn in_text(bytes: &[u8]) -> Option<Leak> {
    let pem = memmem::find_iter(bytes, PRIVATE_KEY).filter_map(|at| pem(bytes, at));
    let age = [b"AGE-SECRET-KEY-", b"age-secret-key-"];
    let age = age
        .into_iter()
        .flat_map(|start| memmem::find_iter(bytes, start))
        .filter_map(|at| age_key(bytes.get(at..)?));
    let all = pem.chain(age).chain(putty(bytes)).chain(jwk(bytes));
    all.max_by_key(|leak| leak.state)
}

/// The key whose first line has `PRIVATE KEY` at a place.
fn pem(bytes: &[u8], at: usize) -> Option<Leak> {
    let before = bytes.get(at.saturating_sub(LONGEST_KIND)..at)?;
    let begin = memmem::rfind(before, BEGIN)?;
    let kind = before.get(begin + BEGIN.len()..)?;
    let after = bytes.get(at + PRIVATE_KEY.len()..)?;
    let end = memmem::find(after.get(..LONGEST_KIND.min(after.len()))?, END)?;
    let body = after.get(end + END.len()..)?;
    let body = body.get(..memmem::find(body, END).unwrap_or(body.len()))?;
    // The headers of encrypted keys end with a blank line.
    let is_encrypted = kind.starts_with(b"ENCRYPTED") || memmem::find(body, b"ENCRYPTED").is_some();
    let (data, _) = base64(body, LEAST_BASE64);
    if data.len() < LEAST_BASE64 {
        return None;
    }
    let is_locked = kind.starts_with(b"OPENSSH") && has_cipher(&data);
    let name = match kind.trim_ascii() {
        b"" => "PKCS#8".to_owned(),
        b"RSA" => "PKCS#1".to_owned(),
        b"EC" => "SEC1".to_owned(),
        b"OPENSSH" => "OpenSSH".to_owned(),
        other => String::from_utf8_lossy(other).into_owned(),
    };
    Some(Leak {
        kind: format!("{name} in PEM"),
        state: if is_encrypted || is_locked {
            State::Encrypted
        } else {
            State::Plain
        },
    })
}

/// The Base64 that begins here, so many characters of it at most, and how many bytes that takes: over line ends, also
/// those of strings in JSON and YAML.
fn base64(bytes: &[u8], most: usize) -> (Vec<u8>, usize) {
    let mut data = Vec::new();
    let mut left = bytes;
    while data.len() < most
        && let [first, rest @ ..] = left
    {
        left = match (first, rest) {
            (b'\\', [b'n' | b'r' | b't', rest @ ..]) => rest,
            (byte, rest) if byte.is_ascii_alphanumeric() || b"+/=".contains(byte) => {
                data.push(*byte);
                rest
            }
            (byte, rest) if byte.is_ascii_whitespace() || b"\\\"',>".contains(byte) => rest,
            // Lines of headers.
            (b':' | b'-', rest) if data.len() < LEAST_BASE64 => {
                data.clear();
                let line = rest.iter().position(|byte| *byte == b'\n');
                rest.get(line.unwrap_or(rest.len())..).unwrap_or_default()
            }
            _ => break,
        };
    }
    let read = bytes.len() - left.len();
    #[cfg(test)]
    tests::READ.set(tests::READ.get() + read);
    (data, read)
}

/// Whether an OpenSSH key names a cipher (PROTOCOL.key of OpenSSH: magic, then the cipher's name).
fn has_cipher(data: &[u8]) -> bool {
    let none = b"openssh-key-v1\0\0\0\0\x04none";
    let start = data.get(..LEAST_BASE64).unwrap_or_default();
    LENIENT
        .decode(start)
        .is_ok_and(|start| !start.starts_with(none))
}

fn age_key(bytes: &[u8]) -> Option<Leak> {
    let mut parts = bytes.splitn(4, |byte| *byte == b'-').skip(3);
    let rest = parts.next()?;
    let key = rest
        .strip_prefix(b"PQ-")
        .unwrap_or(rest)
        .strip_prefix(b"1")?;
    let length = key.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    (length.count() >= AGE_CHARACTERS).then(|| Leak {
        kind: "age identity".to_owned(),
        state: State::Plain,
    })
}

fn putty(bytes: &[u8]) -> Option<Leak> {
    let at = memmem::find(bytes, b"PuTTY-User-Key-File-")?;
    let rest = bytes.get(at..)?;
    memmem::find(rest, b"Private-Lines: ")?;
    Some(Leak {
        kind: "PuTTY".to_owned(),
        state: match memmem::find(rest, b"Encryption: none") {
            Some(_) => State::Plain,
            None => State::Encrypted,
        },
    })
}

/// A JSON Web Key with its private part (RFC 7518 section 6), as certbot keeps account keys.
fn jwk(bytes: &[u8]) -> Option<Leak> {
    fn has_key(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                let is_private = fields.contains_key("kty") && fields.contains_key("d");
                is_private || fields.values().any(has_key)
            }
            Value::Array(all) => all.iter().any(has_key),
            _ => false,
        }
    }
    memmem::find(bytes, b"\"kty\"")?;
    let value: Value = serde_json::from_slice(bytes).ok()?;
    has_key(&value).then(|| Leak {
        kind: "JWK".to_owned(),
        state: State::Plain,
    })
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;

/// Files that are a key from their first byte to their last.
fn in_binary(bytes: &[u8]) -> Option<Leak> {
    let (kind, state) = match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => ("Java key store (JKS)", State::Stored),
        [0xce, 0xce, 0xce, 0xce, ..] => ("Java key store (JCEKS)", State::Stored),
        [SEQUENCE, ..] => in_der(bytes)?,
        _ => return None,
    };
    Some(Leak {
        kind: kind.to_owned(),
        state,
    })
}

fn in_der(bytes: &[u8]) -> Option<(&'static str, State)> {
    let (content, rest) = der(bytes, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    if let Some((algorithm, rest)) = der(content, SEQUENCE) {
        // Password-based encryption: PKCS#5, 1.2.840.113549.1.5, and PKCS#12, 1.2.840.113549.1.12.1.
        let (id, _) = der(algorithm, OBJECT_ID)?;
        let is_by_password = [[0x05].as_slice(), &[0x0c, 0x01]].iter().any(|end| {
            id.strip_prefix(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01])
                .is_some_and(|arc| arc.starts_with(end))
        });
        der(rest, OCTETS)?;
        return is_by_password.then_some(("PKCS#8 in DER", State::Encrypted));
    }
    let (version, rest) = der(content, INTEGER)?;
    let is_next = |tag| der(rest, tag);
    match version {
        [3] => is_next(SEQUENCE)
            .and_then(|(info, _)| der(info, OBJECT_ID))
            .map(|_| ("PKCS#12", State::Stored)),
        [0 | 1] => {
            if let Some((algorithm, rest)) = is_next(SEQUENCE) {
                der(algorithm, OBJECT_ID)?;
                der(rest, OCTETS)?;
                return Some(("PKCS#8 in DER", State::Plain));
            }
            // The secret number of SEC1, of 160 bits or more; the modulus of PKCS#1.
            let is_long = |tag, least| is_next(tag).is_some_and(|(value, _)| value.len() >= least);
            match (is_long(OCTETS, 20), is_long(INTEGER, 64)) {
                (true, _) => Some(("SEC1 in DER", State::Plain)),
                (_, true) => Some(("PKCS#1 in DER", State::Plain)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Content of a value of DER, and what comes after it.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = der_length(bytes.strip_prefix(&[tag])?)?;
    rest.split_at_checked(length)
}

fn der_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(*first), rest)),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = digits
                .iter()
                .fold(0, |all, digit| all << 8 | usize::from(*digit));
            Some((length, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
