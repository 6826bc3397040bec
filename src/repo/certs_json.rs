//! certs.json: the list of certificates, as get-certs read it.

use std::collections::BTreeSet;

use anyhow::{Context, Error, Result, anyhow};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, KeyType, Wanted};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;

/// Most names of one certificate: Let's Encrypt's limit, and get-certs'.
const MAX_NAMES: usize = 100;

/// Fields of a certificate. get-certs compared them without regard to case.
const FIELDS: [&str; 5] = ["cert_name", "names", "use_ecc", "must_staple", "key_type"];

/// What the file looks like.
const EXAMPLE: &str = r#"write [{"cert_name": "www", "names": ["www.example.com"]}]"#;

/// What certs.json asks for.
#[derive(Debug)]
pub(crate) struct Listed {
    /// In the order of the file.
    pub(crate) wanted: Vec<Wanted>,
    /// What is accepted but has no effect.
    pub(crate) warnings: Vec<String>,
}

/// Reads certs.json; `origin` is its name, for messages.
///
/// `default_key` is for certificates that say nothing of their key (`key_type`, or get-certs'
/// `use_ecc`). Names become canonical; duplicates within a certificate are dropped.
pub(crate) fn parse(bytes: &[u8], origin: &str, default_key: KeyType) -> Result<Listed> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.trim_ascii().is_empty() {
        return Err(anyhow!("`{origin}` is empty")).hint(|| EXAMPLE);
    }
    let value: Value = serde_json::from_slice(text)
        .with_context(|| format!("`{origin}` is not JSON"))
        .hint(|| "comments and trailing commas are not allowed in this file")?;
    let Value::Array(entries) = value else {
        return Err(anyhow!("`{origin}` is not a list")).hint(|| EXAMPLE);
    };
    if entries.is_empty() {
        return Err(anyhow!("`{origin}` lists no certificate")).hint(|| EXAMPLE);
    }
    let mut listed = Listed {
        wanted: Vec::new(),
        warnings: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for (position, entry) in (1..).zip(entries) {
        let (name, fields) =
            named(&entry).with_context(|| format!("cannot use entry {position} of `{origin}`"))?;
        if !seen.insert(name.clone()) {
            return Err(anyhow!(
                "entry {position} of `{origin}` repeats the name `{name}`"
            ))
            .hint(|| "each certificate needs a `cert_name` of its own");
        }
        let about = format!("cannot use certificate `{name}` of `{origin}`");
        let wanted = certificate(name, fields, default_key, &mut listed.warnings).context(about)?;
        listed.wanted.push(wanted);
    }
    Ok(listed)
}

/// Reads what a fuzzer makes: what is accepted keeps the promises that the rest builds on.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Ok(listed) = parse(bytes, "certs.json", KeyType::P256) else {
        return;
    };
    let names: BTreeSet<_> = listed.wanted.iter().map(|wanted| &wanted.name).collect();
    assert!(!names.is_empty() && names.len() == listed.wanted.len());
    for wanted in &listed.wanted {
        // It becomes a folder.
        let name = wanted.name.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_plain), "{name:?}");
        assert!((1..=MAX_NAMES).contains(&wanted.identifiers.len()));
        for identifier in &wanted.identifiers {
            let again: Result<Identifier, _> = identifier.as_str().parse();
            assert_eq!(again.as_ref(), Ok(identifier));
        }
    }
}

/// The name of an entry, and its fields.
fn named(entry: &Value) -> Result<(CertificateName, &Map<String, Value>)> {
    let Value::Object(fields) = entry else {
        return Err(anyhow!("it is not an object")).hint(|| EXAMPLE);
    };
    let name = text(fields, "cert_name")?
        .ok_or_else(|| with_hint(anyhow!("it has no `cert_name`"), EXAMPLE))?;
    let name = name
        .parse()
        .hint(|| "a name is a letter, then letters, digits, `-` and `_`: it becomes a folder")?;
    Ok((name, fields))
}

fn certificate(
    name: CertificateName,
    fields: &Map<String, Value>,
    default_key: KeyType,
    warnings: &mut Vec<String>,
) -> Result<Wanted> {
    for field in fields.keys() {
        if !FIELDS.iter().any(|known| known.eq_ignore_ascii_case(field)) {
            warnings.push(format!(
                "certificate `{name}` has an unknown field `{field}`"
            ));
        }
    }
    if flag(fields, "must_staple")? {
        warnings.push(format!(
            "certificate `{name}` asks for `must_staple`, which no public CA issues any more"
        ));
    }
    Ok(Wanted {
        key_type: key_type(fields, default_key)?,
        identifiers: identifiers(fields)?,
        name,
    })
}

fn identifiers(entry: &Map<String, Value>) -> Result<Vec<Identifier>> {
    let names = match field(entry, "names") {
        Some(Value::Array(names)) => names.as_slice(),
        None | Some(Value::Null) => &[],
        Some(_) => return Err(anyhow!("`names` is not a list")).hint(|| EXAMPLE),
    };
    let mut identifiers: Vec<Identifier> = Vec::new();
    for name in names {
        let Value::String(name) = name else {
            return Err(anyhow!("`names` holds something that is no text: {name}"))
                .hint(|| EXAMPLE);
        };
        let identifier: Identifier = name.parse().hint(
            || "names look like `www.example.com` or `*.example.com`, of letters, digits and `-`",
        )?;
        if !identifiers.contains(&identifier) {
            identifiers.push(identifier);
        }
    }
    match identifiers.len() {
        0 => Err(anyhow!("it has no `names`")).hint(|| EXAMPLE),
        1..=MAX_NAMES => Ok(identifiers),
        many => Err(anyhow!(
            "it has {many} names; a certificate holds at most {MAX_NAMES}"
        ))
        .hint(|| "make two certificates of it"),
    }
}

fn key_type(entry: &Map<String, Value>, default: KeyType) -> Result<KeyType> {
    let ecc = flag(entry, "use_ecc")?;
    match text(entry, "key_type")? {
        Some(kind) => serde_json::from_value(kind.into())
            .map_err(|_| anyhow!("`key_type` `{kind}` is not known"))
            .hint(|| "use one of rsa2048, rsa3072, rsa4096, p256, p384"),
        None if ecc => Ok(KeyType::P256),
        None => Ok(default),
    }
}

fn field<'e>(entry: &'e Map<String, Value>, name: &str) -> Option<&'e Value> {
    entry.get(name).or_else(|| {
        entry
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

fn text<'e>(entry: &'e Map<String, Value>, name: &str) -> Result<Option<&'e str>> {
    match field(entry, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_kind(name, "a text")),
    }
}

fn flag(entry: &Map<String, Value>, name: &str) -> Result<bool> {
    match field(entry, name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong_kind(name, "`true` or `false`")),
    }
}

fn wrong_kind(name: &str, right: &str) -> Error {
    anyhow!("`{name}` is not {right}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hint::explain;

    fn list(text: &str) -> Result<Listed> {
        parse(text.as_bytes(), "certs.json", KeyType::Rsa2048)
    }

    fn failure(text: &str) -> String {
        let explained = explain(&list(text).unwrap_err());
        let mut lines = vec![explained.what];
        lines.extend(explained.causes);
        lines.join(": ")
    }

    #[test]
    fn what_get_certs_read_is_read() {
        let listed = list(
            r#"[{"cert_name": "a", "names": ["WWW.Example.com", "www.example.com.", "bücher.example"]},
                {"Cert_Name": "b", "NAMES": ["*.b.example"], "use_ecc": true, "must_staple": true, "x": 1},
                {"cert_name": "c", "names": ["c.example"], "key_type": "p384"}]"#,
        )
        .unwrap();
        let [a, b, c] = listed.wanted.as_slice() else {
            panic!("{listed:?}");
        };
        let names: Vec<_> = a.identifiers.iter().map(Identifier::as_str).collect();
        assert_eq!(names, ["www.example.com", "xn--bcher-kva.example"]);
        assert_eq!(
            (a.key_type, b.key_type, c.key_type),
            (KeyType::Rsa2048, KeyType::P256, KeyType::P384)
        );
        assert_eq!(
            listed.warnings,
            [
                "certificate `b` has an unknown field `x`",
                "certificate `b` asks for `must_staple`, which no public CA issues any more"
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert_eq!(
            failure("[{]"),
            "`certs.json` is not JSON: key must be a string at line 1 column 3"
        );
        assert_eq!(failure("{}"), "`certs.json` is not a list");
        assert_eq!(failure("[]"), "`certs.json` lists no certificate");
        assert_eq!(
            failure("[1]"),
            "cannot use entry 1 of `certs.json`: it is not an object"
        );
        assert_eq!(
            failure("[{}]"),
            "cannot use entry 1 of `certs.json`: it has no `cert_name`"
        );
        for name in ["../x", "a/b", "", "1a", "a.b"] {
            let text = format!(r#"[{{"cert_name": "{name}", "names": ["a.example"]}}]"#);
            assert_eq!(
                failure(&text),
                format!("cannot use entry 1 of `certs.json`: `{name}` is not a certificate name")
            );
        }
        let one = r#"{"cert_name": "a", "names": ["a.example"]}"#;
        assert_eq!(
            failure(&format!("[{one},{one}]")),
            "entry 2 of `certs.json` repeats the name `a`"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a b"]}]"#),
            "cannot use certificate `a` of `certs.json`: `a b` is not a DNS name"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a.example"], "use_ecc": "yes"}]"#),
            "cannot use certificate `a` of `certs.json`: `use_ecc` is not `true` or `false`"
        );
        assert_eq!(
            failure(r#"[{"cert_name": "a", "names": ["a.example"], "key_type": "p521"}]"#),
            "cannot use certificate `a` of `certs.json`: `key_type` `p521` is not known"
        );
    }

    #[test]
    fn there_are_1_to_100_names() {
        let with = |count: usize| {
            let names: Vec<_> = (0..count).map(|n| format!(r#""n{n}.example""#)).collect();
            list(&format!(
                r#"[{{"cert_name": "a", "names": [{}]}}]"#,
                names.join(",")
            ))
        };
        assert_eq!(with(100).unwrap().wanted[0].identifiers.len(), 100);
        assert_eq!(
            format!("{:#}", with(101).unwrap_err()),
            "cannot use certificate `a` of `certs.json`: it has 101 names; a certificate holds at most 100"
        );
        assert_eq!(
            format!("{:#}", with(0).unwrap_err()),
            "cannot use certificate `a` of `certs.json`: it has no `names`"
        );
    }
}
