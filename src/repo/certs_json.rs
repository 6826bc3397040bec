//! Reads certs.json, in get-certs' format with an optional `key_type` for each certificate.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use crate::model::certificate::{CertificateName, KeyType, Wanted};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::Identifier;

/// Most names that a certificate can have (get-certs' and Let's Encrypt's limit).
const MAX_NAMES: usize = 100;

/// A certs.json to begin with.
const EXAMPLE: &str = r#"[{"cert_name": "example", "names": ["example.com", "*.example.com"]}]"#;

/// What certs.json asks for.
#[derive(Clone, Debug)]
pub(crate) struct CertsJson {
    /// At least one, names all different, in the order of the file.
    pub(crate) wanted: Vec<Wanted>,
    /// What was not understood and left aside.
    pub(crate) warnings: Vec<String>,
}

/// Reads certs.json; `label` is what messages call the file.
///
/// As get-certs did: strict JSON, keys in any case, unknown keys ignored (with a warning), only the
/// first JSON value read. `default` is the type of key for certificates that say nothing; `use_ecc`
/// means P-256.
pub(crate) fn parse(bytes: &[u8], label: &str, default: KeyType) -> Result<CertsJson> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let first = values.next().transpose().map_err(|error| {
        with_hint(
            anyhow!(error).context(format!("`{label}` is not JSON")),
            "JSON has no comments and no comma after the last item",
        )
    })?;
    let Some(first) = first else {
        return Err(anyhow!("`{label}` is empty")).hint(|| format!("begin with {EXAMPLE}"));
    };
    let mut warnings = Vec::new();
    if bytes
        .get(values.byte_offset()..)
        .is_some_and(|rest| !rest.trim_ascii().is_empty())
    {
        warnings.push(format!(
            "`{label}` goes on after its first JSON value; the rest is ignored"
        ));
    }
    let Value::Array(entries) = first else {
        return Err(anyhow!("`{label}` is not a list of certificates"))
            .hint(|| format!("it looks like {EXAMPLE}"));
    };
    if entries.is_empty() {
        return Err(anyhow!("`{label}` asks for no certificate"))
            .hint(|| format!("begin with {EXAMPLE}"));
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let number = index + 1;
        let found = Entry::new(entry)
            .and_then(|entry| entry.wanted(number, default, &mut warnings))
            .with_context(|| format!("`{label}` entry {number} cannot be used"))?;
        if let Some(earlier) = wanted.iter().position(|other| other.name == found.name) {
            return Err(with_hint(
                anyhow!(
                    "`{label}` entries {} and {number} are both called `{}`",
                    earlier + 1,
                    found.name
                ),
                "give one of them another `cert_name`",
            ));
        }
        wanted.push(found);
    }
    Ok(CertsJson { wanted, warnings })
}

/// One entry, its keys in lower case.
struct Entry(Map<String, Value>);

impl Entry {
    fn new(value: Value) -> Result<Self> {
        let Value::Object(fields) = value else {
            bail!("it is not an object");
        };
        // A null is as good as nothing, as in Go.
        let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
        Ok(Self(
            fields
                .map(|(key, value)| (key.to_lowercase(), value))
                .collect(),
        ))
    }

    fn wanted(
        mut self,
        number: usize,
        default: KeyType,
        warnings: &mut Vec<String>,
    ) -> Result<Wanted> {
        let name = self.name()?;
        let identifiers = self
            .identifiers()
            .with_context(|| format!("certificate `{name}`"))?;
        let use_ecc = self.flag("use_ecc")?;
        let key_type = self.key_type()?;
        if self.flag("must_staple")? {
            warnings.push(format!(
                "certificate `{name}`: `must_staple` is ignored; CAs have given up OCSP"
            ));
        }
        for key in self.0.keys() {
            warnings.push(format!(
                "certificate `{name}` (entry {number}): unknown key `{key}` is ignored"
            ));
        }
        let by_flag = if use_ecc { KeyType::P256 } else { default };
        Ok(Wanted {
            name,
            identifiers,
            key_type: key_type.unwrap_or(by_flag),
        })
    }

    fn name(&mut self) -> Result<CertificateName> {
        match self.0.shift_remove("cert_name") {
            Some(Value::String(name)) => name.parse::<CertificateName>().hint(|| {
                "a `cert_name` is a letter, then letters, digits, `-` and `_`: it names a folder"
            }),
            Some(_) => bail!("`cert_name` is not a text"),
            None => bail!("it has no `cert_name`"),
        }
    }

    fn identifiers(&mut self) -> Result<Vec<Identifier>> {
        let names = match self.0.shift_remove("names") {
            Some(Value::Array(names)) => names,
            Some(_) => bail!("`names` is not a list"),
            None => Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let mut identifiers = Vec::new();
        for name in names {
            let Value::String(text) = name else {
                bail!("`names` has an item that is not a text");
            };
            let identifier: Identifier = text
                .parse()
                .hint(|| "a name is a host name with at least one dot, or `*.` and a host name")?;
            if seen.insert(identifier.clone()) {
                identifiers.push(identifier);
            }
        }
        if identifiers.is_empty() {
            return Err(with_hint(
                anyhow!("it has no name"),
                "put 1 to 100 names into `names`",
            ));
        }
        if identifiers.len() > MAX_NAMES {
            return Err(with_hint(
                anyhow!("it has {} names, more than {MAX_NAMES}", identifiers.len()),
                "split it into several certificates, or use a wildcard",
            ));
        }
        Ok(identifiers)
    }

    fn flag(&mut self, key: &str) -> Result<bool> {
        match self.0.shift_remove(key) {
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => bail!("`{key}` is not true or false"),
            None => Ok(false),
        }
    }

    fn key_type(&mut self) -> Result<Option<KeyType>> {
        let Some(value) = self.0.shift_remove("key_type") else {
            return Ok(None);
        };
        let found = serde_json::from_value(value).ok();
        ensure!(
            found.is_some(),
            "`key_type` is none of `rsa2048`, `rsa3072`, `rsa4096`, `p256`, `p384`"
        );
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    fn read(text: &str) -> CertsJson {
        parse(text.as_bytes(), "certs.json", KeyType::Rsa2048).unwrap()
    }

    fn error(text: &str) -> String {
        let error = parse(text.as_bytes(), "certs.json", KeyType::Rsa2048).unwrap_err();
        let explained = explain(&error);
        let mut lines = vec![explained.what];
        lines.extend(explained.causes.iter().map(|cause| format!("  {cause}")));
        lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
        lines.join("\n")
    }

    #[test]
    fn what_get_certs_read() {
        let found = read(
            r#"[{"Cert_Name": "a-1", "NAMES": ["B.test", "*.b.test", "b.TEST.", "bücher.test"]},
                {"cert_name": "b", "names": ["c.test"], "use_ecc": true, "must_staple": true},
                {"cert_name": "c", "names": ["c.test"], "key_type": "p384", "colour": 1, "use_ecc": null}
            ] "rest""#,
        );
        let shown: Vec<_> = found
            .wanted
            .iter()
            .map(|wanted| {
                format!(
                    "{} {:?} {}",
                    wanted.name, wanted.identifiers, wanted.key_type
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "a-1 [b.test, *.b.test, xn--bcher-kva.test] rsa2048",
                "b [c.test] p256",
                "c [c.test] p384"
            ]
        );
        assert_eq!(
            found.warnings,
            [
                "`certs.json` goes on after its first JSON value; the rest is ignored",
                "certificate `b`: `must_staple` is ignored; CAs have given up OCSP",
                "certificate `c` (entry 3): unknown key `colour` is ignored"
            ]
        );
        assert!(
            read(r#"[{"cert_name":"a","names":["a.test"]}]"#)
                .warnings
                .is_empty()
        );
    }

    #[test]
    fn what_is_no_list() {
        let begin = format!("hint: begin with {EXAMPLE}");
        assert_eq!(error(" \n"), format!("`certs.json` is empty\n{begin}"));
        assert_eq!(
            error("[]"),
            format!("`certs.json` asks for no certificate\n{begin}")
        );
        assert_eq!(
            error("{}"),
            format!("`certs.json` is not a list of certificates\nhint: it looks like {EXAMPLE}")
        );
        assert_eq!(
            error("[\n  {\"cert_name\": \"a\",}\n]"),
            "`certs.json` is not JSON\n  trailing comma at line 2 column 21\n\
             hint: JSON has no comments and no comma after the last item"
        );
    }

    #[test]
    fn what_is_no_entry() {
        let entry = |fields: &str| {
            error(&format!(
                r#"[{{"cert_name":"a","names":["a.test"]}},{fields}]"#
            ))
        };
        let prefix = "`certs.json` entry 2 cannot be used\n  ";
        let name_hint =
            "hint: a `cert_name` is a letter, then letters, digits, `-` and `_`: it names a folder";
        for name in ["../x", "a/b", "1a", ""] {
            assert_eq!(
                entry(&format!(r#"{{"cert_name":"{name}","names":["b.test"]}}"#)),
                format!("{prefix}`{name}` is not a certificate name\n{name_hint}")
            );
        }
        for (fields, cause) in [
            ("1", "it is not an object"),
            (r#"{"names":["b.test"]}"#, "it has no `cert_name`"),
            (r#"{"cert_name":1}"#, "`cert_name` is not a text"),
            (
                r#"{"cert_name":"b","names":"b.test"}"#,
                "certificate `b`\n  `names` is not a list",
            ),
            (
                r#"{"cert_name":"b","names":[1]}"#,
                "certificate `b`\n  `names` has an item that is not a text",
            ),
            (
                r#"{"cert_name":"b","names":["b.test"],"use_ecc":1}"#,
                "`use_ecc` is not true or false",
            ),
            (
                r#"{"cert_name":"b","names":["b.test"],"key_type":"dsa"}"#,
                "`key_type` is none of `rsa2048`, `rsa3072`, `rsa4096`, `p256`, `p384`",
            ),
        ] {
            assert_eq!(entry(fields), format!("{prefix}{cause}"));
        }
        assert_eq!(
            entry(r#"{"cert_name":"a","names":["b.test"]}"#),
            "`certs.json` entries 1 and 2 are both called `a`\nhint: give one of them another `cert_name`"
        );
        assert_eq!(
            entry(r#"{"cert_name":"b","names":["10.0.0.1"]}"#),
            format!(
                "{prefix}certificate `b`\n  `10.0.0.1` is an IP address; DNS-01 cannot prove addresses\n\
                 hint: a name is a host name with at least one dot, or `*.` and a host name"
            )
        );
        assert_eq!(
            entry(r#"{"cert_name":"b","names":[]}"#),
            format!(
                "{prefix}certificate `b`\n  it has no name\nhint: put 1 to 100 names into `names`"
            )
        );
        let names = |count: usize| -> String {
            let names: Vec<_> = (0..count).map(|n| format!("\"n{n}.test\"")).collect();
            format!(r#"{{"cert_name":"b","names":[{}]}}"#, names.join(","))
        };
        assert_eq!(
            entry(&names(101)),
            format!(
                "{prefix}certificate `b`\n  it has 101 names, more than 100\n\
                 hint: split it into several certificates, or use a wildcard"
            )
        );
        assert_eq!(
            read(&format!("[{}]", names(100))).wanted[0]
                .identifiers
                .len(),
            100
        );
    }
}
