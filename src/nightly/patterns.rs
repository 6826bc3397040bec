//! Globs on records: those of `IGNORE()`, and those of `never-count`. Pure.

use anyhow::{Context, Result, anyhow};
use globset::{GlobBuilder, GlobMatcher};

use crate::model::name::DnsName;
use crate::model::zone::{IgnorePattern, Record, Zone};

/// An [`IgnorePattern`], ready to be matched; none matches everything.
pub(super) struct Ignored<'a> {
    label: Option<GlobMatcher>,
    types: Vec<&'a str>,
    target: Option<GlobMatcher>,
}

impl<'a> Ignored<'a> {
    /// Those of a zone.
    pub(super) fn of(zone: &'a Zone) -> Result<Vec<Self>> {
        let patterns = zone.ignore.iter().map(|pattern| {
            Self::new(pattern)
                .with_context(|| format!("bad `IGNORE()` of zone `{}`", zone.unique_name()))
        });
        patterns.collect()
    }

    fn new(pattern: &'a IgnorePattern) -> Result<Self> {
        let types = pattern.types.trim();
        Ok(Self {
            label: glob(&pattern.label)?,
            types: if ["", "*"].contains(&types) {
                Vec::new()
            } else {
                types.split(',').map(str::trim).collect()
            },
            target: glob(&pattern.target)?,
        })
    }

    pub(super) fn matches(&self, zone: &Zone, record: &Record) -> bool {
        let is_match = |glob: &Option<GlobMatcher>, text: &str| {
            glob.as_ref().is_none_or(|glob| glob.is_match(text))
        };
        let label = record.name.label_in(&zone.name);
        is_match(&self.label, label.unwrap_or(record.name.as_str()))
            && (self.types.is_empty() || self.types.contains(&record.rtype.as_str()))
            && is_match(&self.target, &target(record))
    }
}

/// Records that may differ: a name with `*`, and types.
#[derive(Clone, Debug)]
pub(crate) struct NeverCount {
    name: GlobMatcher,
    /// In upper case; empty for all.
    types: Vec<String>,
}

impl NeverCount {
    /// Reads `NAME` or `NAME TYPE,TYPE`. The name is fully qualified; `*` stands for any text,
    /// dots included, as in `IGNORE()`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let name = words.next().context("it is empty")?;
        let types = words.next().unwrap_or_default();
        if let Some(third) = words.next() {
            return Err(anyhow!(
                "`{third}` is too much: types are separated by commas"
            ));
        }
        let types = types.split_terminator(',').map(|word| {
            let is_type = |word: &str| {
                let mut bytes = word.bytes();
                !word.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            let good = Some(word).filter(|word| is_type(word));
            good.map(str::to_uppercase)
                .with_context(|| format!("`{word}` is no record type"))
        });
        let types = types.collect::<Result<_>>()?;
        let is_several = name.contains(';') || (name.contains(',') && !name.contains('{'));
        if is_several {
            return Err(anyhow!(
                "`{name}` is several names: each needs a pattern of its own"
            ));
        }
        let name: DnsName = name.parse()?;
        Ok(Self {
            name: glob(name.as_str())?.context("it covers every record of every zone")?,
            types,
        })
    }

    pub(super) fn covers(&self, name: &DnsName, rtype: &str) -> bool {
        self.name.is_match(name.as_str())
            && (self.types.is_empty() || self.types.iter().any(|one| one == rtype))
    }
}

/// A glob as DNSControl compiles it: without separators, so that `*` crosses dots, whatever the
/// documentation of `IGNORE()` says. None matches everything.
fn glob(pattern: &str) -> Result<Option<GlobMatcher>> {
    if pattern.bytes().all(|byte| byte == b'*') {
        return Ok(None);
    }
    // `**` is `*` here; to the library it is something about folders.
    let mut simple = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    let mut after_star = false;
    while let Some(character) = characters.next() {
        if character != '*' || !after_star {
            simple.push(character);
        }
        after_star = character == '*';
        if character == '\\' {
            simple.extend(characters.next());
        }
    }
    let glob = GlobBuilder::new(&simple)
        .literal_separator(false)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()?;
    Ok(Some(glob.compile_matcher()))
}

/// What DNSControl calls the target: of several fields the one with the name or value.
fn target(record: &Record) -> String {
    let mut words = record.data.split(' ');
    let word = match record.rtype.as_str() {
        "AFSDB" | "DS" | "KX" | "MX" | "NAPTR" | "RT" | "SMIMEA" | "SRV" | "SSHFP" | "TLSA" => {
            words.next_back()
        }
        "SOA" => words.next(),
        "HTTPS" | "SVCB" => words.nth(1),
        "CAA" => return quoted_value(&record.data).to_owned(),
        _ => None,
    };
    word.unwrap_or(&record.data).to_owned()
}

fn quoted_value(data: &str) -> &str {
    data.split_once('"')
        .and_then(|(_, rest)| rest.strip_suffix('"'))
        .unwrap_or(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, name: &str, rtype: &str) -> bool {
        let pattern = NeverCount::parse(pattern).unwrap();
        pattern.covers(&name.parse().unwrap(), rtype)
    }

    #[test]
    fn a_name_and_types_never_count() {
        for (pattern, name, rtype, expected) in [
            ("date.example.com", "date.example.com", "TXT", true),
            ("date.example.com", "a.date.example.com", "TXT", false),
            ("Date.Example.COM. txt", "date.example.com", "TXT", true),
            ("date.example.com TXT", "date.example.com", "A", false),
            ("date.example.com A,TXT", "date.example.com", "A", true),
            ("date.example.com A,", "date.example.com", "A", true),
            ("*.example.com", "a.b.example.com", "A", true),
            ("*.example.com", "example.com", "A", false),
            (
                "*._report.example.com TXT",
                "x._report.example.com",
                "TXT",
                true,
            ),
            ("{,*.}example.com", "example.com", "A", true),
            ("{,*.}example.com", "a.example.com", "A", true),
            ("bücher.example", "xn--bcher-kva.example", "A", true),
        ] {
            assert_eq!(
                covers(pattern, name, rtype),
                expected,
                "{pattern} {name} {rtype}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (pattern, expected) in [
            (" ", "it is empty"),
            ("*", "it covers every record of every zone"),
            ("** TXT", "it covers every record of every zone"),
            (
                "a.test TXT A",
                "`A` is too much: types are separated by commas",
            ),
            (
                "a.test,b.test",
                "`a.test,b.test` is several names: each needs a pattern of its own",
            ),
            ("a.test T-T", "`T-T` is no record type"),
            ("a.test A,,B", "`` is no record type"),
            (
                "a..test",
                "`a..test` has a label that is empty or longer than 63 characters",
            ),
            (
                "[a.test",
                "error parsing glob '[a.test': unclosed character class; missing ']'",
            ),
        ] {
            let error = NeverCount::parse(pattern).unwrap_err();
            assert_eq!(error.to_string(), expected, "{pattern}");
        }
    }
}
