//! `SPF_BUILDER`: includes are replaced by what they stand for, long records are split.
//!
//! As DNSControl does it: the look-ups that flattening needs come from `spfcache.json` in the DNS
//! repository where they are there, else from the DNS.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::dnscontrol::ir::{Domain, Ir, Record};
use crate::dnscontrol::normalize::{ZoneName, in_place};
use crate::dnscontrol::resolver::TxtLookup;
use crate::model::file;
use crate::model::hint::{Hint, with_hint};

/// Known answers, in the DNS repository.
const CACHE: &str = "spfcache.json";

/// Largest record that is not split, bytes, unless `txtMaxSize` says otherwise.
const DEFAULT_SIZE: usize = 255;

/// Most includes that are replaced in one record. RFC 7208 section 4.6.4 allows ten look-ups in all,
/// before flattening.
const MOST: usize = 500;

/// Where SPF records of other domains come from.
pub(super) struct Lookups<'a> {
    root: &'a Path,
    lookup: &'a TxtLookup,
    /// Read when the first record asks for it.
    known: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Cached {
    #[serde(rename = "SPF", default)]
    spf: String,
}

impl<'a> Lookups<'a> {
    pub(super) fn new(root: &'a Path, lookup: &'a TxtLookup) -> Self {
        Self {
            root,
            lookup,
            known: None,
        }
    }

    /// The SPF record of `name`.
    fn spf(&mut self, name: &str) -> Result<String> {
        let mut known = match self.known.take() {
            Some(known) => known,
            None => read_cache(self.root)?,
        };
        let found = match known.get(name) {
            Some(text) => Ok(text.clone()),
            None => self.ask(name),
        };
        if let Ok(text) = &found {
            known.insert(name.to_owned(), text.clone());
        }
        self.known = Some(known);
        found
    }

    fn ask(&self, name: &str) -> Result<String> {
        let mut texts = self
            .lookup
            .texts(name)
            .with_context(|| format!("cannot look up the SPF record of `{name}`"))
            .hint(|| "flattening needs the DNS, or an answer in `spfcache.json`")?
            .into_iter()
            .filter(|text| text.starts_with("v=spf1"));
        let text = texts
            .next()
            .with_context(|| format!("`{name}` has no SPF record"))?;
        ensure!(texts.next().is_none(), "`{name}` has several SPF records");
        Ok(text)
    }
}

/// An absent or empty file knows nothing.
fn read_cache(root: &Path) -> Result<HashMap<String, String>> {
    let about = || format!("cannot read `{CACHE}`");
    let path = match root.join(CACHE).canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(error).with_context(about),
    };
    ensure!(
        path.starts_with(root.canonicalize().with_context(about)?) && path.is_file(),
        "`{CACHE}` is outside the DNS repository, or no file"
    );
    let text = file::read_text(path).with_context(about)?;
    if text.trim().is_empty() {
        return Ok(HashMap::new());
    }
    let entries: HashMap<String, Cached> = serde_json::from_str(&text).with_context(about)?;
    Ok(entries
        .into_iter()
        .filter(|(_, cached)| !cached.spf.is_empty())
        .map(|(name, cached)| (name, cached.spf))
        .collect())
}

/// Flattens and splits the TXT records whose meta asks for it.
pub(super) fn expand(ir: &mut Ir, lookups: &mut Lookups<'_>) -> Result<()> {
    for domain in &mut ir.domains {
        if domain.records.iter().any(asks) {
            expand_domain(domain, lookups)?;
        }
    }
    Ok(())
}

fn asks(item: &Record) -> bool {
    let given = |key| item.meta(key).is_some_and(|value| !value.is_empty());
    item.rtype == "TXT" && (given("flatten") || given("split"))
}

fn expand_domain(domain: &mut Domain, lookups: &mut Lookups<'_>) -> Result<()> {
    let zone = ZoneName::new(&domain.name);
    let mut records = mem::take(&mut domain.records);
    let mut more = Vec::new();
    for item in records.iter_mut().filter(|item| asks(item)) {
        in_place(item, &zone, |item| {
            let mut terms = terms(&item.target)?;
            if let Some(wanted) = item.meta("flatten").filter(|wanted| !wanted.is_empty()) {
                terms = flatten(terms, wanted, lookups, &mut 0)?;
                item.target = joined(&terms);
            }
            if item.meta.contains_key("split") {
                more.extend(split(item, terms, &zone)?);
            }
            Ok(())
        })?;
    }
    records.extend(more);
    domain.records = records;
    Ok(())
}

/// A term of an SPF record (RFC 7208 section 4.6.1).
#[derive(Clone, Debug, PartialEq)]
struct Term {
    text: String,
    /// The domain that is included.
    include: Option<String>,
}

/// The terms after the version, up to `all`.
fn terms(text: &str) -> Result<Vec<Term>> {
    let rest = text
        .strip_prefix("v=spf1 ")
        .with_context(|| format!("`{text}` is not an SPF record"))?;
    let words: Vec<&str> = rest.split(' ').collect();
    let mut terms = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if word.is_empty() {
            continue;
        }
        let bare = word.strip_prefix(['?', '~', '-', '+']).unwrap_or(word);
        let lower = bare.to_lowercase();
        let include = if let Some(name) = bare.strip_prefix("include:") {
            Some(name.to_owned())
        } else if let Some(name) = bare.strip_prefix("redirect=") {
            ensure!(index + 1 == words.len(), "`{bare}` must be the last term");
            Some(name.to_owned())
        } else {
            let known = ["a", "mx", "ip4:", "ip6:"]
                .iter()
                .any(|start| lower.starts_with(start))
                || bare.starts_with("exists:")
                || bare.starts_with("ptr:");
            ensure!(
                known,
                "`{bare}` is no term of SPF that can be flattened or split"
            );
            None
        };
        terms.push(Term {
            text: (*word).to_owned(),
            include,
        });
        // Nothing after it matters.
        if bare == "all" {
            break;
        }
    }
    Ok(terms)
}

fn joined(terms: &[Term]) -> String {
    let texts = terms.iter().map(|term| format!(" {}", term.text));
    format!("v=spf1{}", texts.collect::<String>())
}

/// Replaces the includes that `wanted` names (`*`, or names with commas between them).
fn flatten(
    terms: Vec<Term>,
    wanted: &str,
    lookups: &mut Lookups<'_>,
    replaced: &mut usize,
) -> Result<Vec<Term>> {
    let matches = |name: &str| wanted == "*" || wanted.split(',').any(|one| one == name);
    let mut flat = Vec::new();
    for term in terms {
        match &term.include {
            Some(name) if matches(name) => {
                *replaced += 1;
                if *replaced > MOST {
                    return Err(anyhow!("the SPF record includes more than {MOST} others"))
                        .hint(|| "look for a domain that includes itself");
                }
                let inner = self::terms(&lookups.spf(name)?)
                    .with_context(|| format!("bad SPF record of `{name}`"))?;
                let mut inner = flatten(inner, wanted, lookups, replaced)?;
                // Its last term says what happens to all others.
                inner.pop();
                flat.extend(inner);
            }
            _ => flat.push(term),
        }
    }
    Ok(flat)
}

/// Shortens `item` to its largest size, and makes the records that it then includes.
fn split(item: &mut Record, terms: Vec<Term>, zone: &ZoneName) -> Result<Vec<Record>> {
    let pattern = item.meta("split").unwrap_or_default();
    if !pattern.contains("%d") {
        bail!(with_hint(
            anyhow!("the pattern `{pattern}` of `overflow` has no `%d`"),
            "write `_spf%d`"
        ));
    }
    let number = |key: &str, default: usize| match item.meta(key) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .with_context(|| format!("`{key}` is `{text}`, not a number")),
    };
    let size = number("txtMaxSize", DEFAULT_SIZE)?;
    let room = size.saturating_sub(number("overhead1", 0)?);
    let pattern = format!("{pattern}{}", zone.below);
    let (first, others) = parts(terms, &pattern, room, size);
    item.target = first;
    Ok(others
        .into_iter()
        .map(|(name, target)| Record {
            name: name.strip_suffix(&zone.below).unwrap_or(&name).to_owned(),
            target,
            ..item.clone()
        })
        .collect())
}

/// The text of the record itself, and of the ones that it leads to, by their names.
fn parts(
    mut terms: Vec<Term>,
    pattern: &str,
    room: usize,
    size: usize,
) -> (String, BTreeMap<String, String>) {
    let mut texts = Vec::new();
    let mut room = room;
    loop {
        let whole = joined(&terms);
        let last = match terms.last() {
            Some(last) if whole.len() > room => last.text.clone(),
            _ => {
                texts.push(whole);
                break;
            }
        };
        let next = pattern.replacen("%d", &(texts.len() + 1).to_string(), 1);
        let tail = format!(" include:{} {last}", next.to_lowercase());
        let mut text = "v=spf1".to_owned();
        let mut taken = 0;
        for term in &terms {
            if text.len() + 1 + term.text.len() + tail.len() > room {
                break;
            }
            text.push(' ');
            text.push_str(&term.text);
            taken += 1;
        }
        if taken == 0 {
            // Not even the first term fits: nothing can be done.
            texts.push(whole);
            break;
        }
        texts.push(text + &tail);
        terms.drain(..taken);
        room = size;
    }
    let mut texts = texts.into_iter();
    let first = texts.next().unwrap_or_default();
    let name = |index: usize| pattern.replacen("%d", &index.to_string(), 1).to_lowercase();
    let others = (1..).map(name).zip(texts).collect();
    (first, others)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
mod tests {
    use super::*;
    use std::fs;

    fn answers(name: &str) -> Result<Vec<String>> {
        let text = match name {
            "one.test" => "v=spf1 ip4:192.0.2.1 include:two.test ~all",
            "two.test" => "v=spf1 a:x.test mx -all",
            "loop.test" => "v=spf1 include:loop.test -all",
            "twice.test" => return Ok(vec!["v=spf1 -all".to_owned(), "v=spf1 ?all".to_owned()]),
            "other.test" => "something else",
            _ => bail!("no such name"),
        };
        Ok(vec!["google-site".to_owned(), text.to_owned()])
    }

    fn flat(text: &str, wanted: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join(CACHE),
            r#"{"cached.test": {"SPF": "v=spf1 ip6:2001:db8::1 -all"}}"#,
        )
        .unwrap();
        let lookup = TxtLookup::from_fn(answers);
        let mut lookups = Lookups::new(folder.path(), &lookup);
        Ok(joined(&flatten(
            terms(text)?,
            wanted,
            &mut lookups,
            &mut 0,
        )?))
    }

    #[test]
    fn includes_are_replaced() {
        for (text, wanted, expected) in [
            (
                "v=spf1 include:one.test include:two.test -all",
                "one.test",
                "v=spf1 ip4:192.0.2.1 include:two.test include:two.test -all",
            ),
            (
                "v=spf1  include:one.test +A ?all ignored",
                "*",
                "v=spf1 ip4:192.0.2.1 a:x.test mx +A ?all",
            ),
            (
                "v=spf1 include:cached.test redirect=two.test",
                "two.test,cached.test",
                "v=spf1 ip6:2001:db8::1 a:x.test mx",
            ),
            (
                "v=spf1 include:absent.test -all",
                "x",
                "v=spf1 include:absent.test -all",
            ),
        ] {
            assert_eq!(flat(text, wanted).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_flattened() {
        for (text, expected) in [
            ("spf", "`spf` is not an SPF record"),
            (
                "v=spf1 foo -all",
                "`foo` is no term of SPF that can be flattened or split",
            ),
            (
                "v=spf1 redirect=two.test -all",
                "`redirect=two.test` must be the last term",
            ),
            (
                "v=spf1 include:absent.test -all",
                "cannot look up the SPF record of `absent.test`",
            ),
            (
                "v=spf1 include:other.test -all",
                "`other.test` has no SPF record",
            ),
            (
                "v=spf1 include:twice.test -all",
                "`twice.test` has several SPF records",
            ),
            (
                "v=spf1 include:loop.test -all",
                "the SPF record includes more than 500 others",
            ),
        ] {
            assert_eq!(flat(text, "*").unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn long_records_lead_to_others() {
        let text = "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ip4:192.0.2.3 ip4:192.0.2.4 -all";
        let (first, others) = parts(terms(text).unwrap(), "_s%d.a.test", 50, 60);
        assert_eq!(first, "v=spf1 ip4:192.0.2.1 include:_s1.a.test -all");
        assert_eq!(
            others.into_iter().collect::<Vec<_>>(),
            [(
                "_s1.a.test".to_owned(),
                "v=spf1 ip4:192.0.2.2 ip4:192.0.2.3 ip4:192.0.2.4 -all".to_owned()
            )]
        );
        let (first, others) = parts(terms(text).unwrap(), "_s%d.a.test", 20, 20);
        assert_eq!((first.as_str(), others.len()), (text, 0));
    }
}
