//! schema/certs.schema.json, which editors read, is what the parser takes.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a schema may be written in one go"
)]

use std::fs;

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::model::certificate::CertificateName;
use crate::model::hint::explain;
use crate::repo::certs_json::{Defaults, FIELDS, MAX_NAMES, Problem, examine};

const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

const PAGE: &str = include_str!("../../../docs/certificates.md");

#[test]
fn the_schema_of_certs_json_is_what_it_takes() {
    let generated = format!("{:#}\n", schema());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/certs.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, &generated).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(written, generated, "UPDATE_DOCS=1 if this is right");
}

#[test]
fn its_pattern_is_that_of_names() {
    let pattern = Regex::new(NAME).unwrap();
    for name in [
        "a", "Www-1_x", "1a", "", "a.b", "a b", "-a", "\u{fc}", "a\u{fc}", "a\n",
    ] {
        assert_eq!(
            pattern.is_match(name),
            name.parse::<CertificateName>().is_ok(),
            "{name:?}"
        );
    }
}

fn schema() -> Value {
    let fields = FIELDS.map(|field| (field.to_owned(), property(field)));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://raw.githubusercontent.com/git-certs/git-certs/main/schema/certs.schema.json",
        "title": "certs.json",
        "description": "The certificates that git-certs keeps",
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": Map::from_iter(fields),
            "additionalProperties": false,
            "required": ["cert_name"],
            "anyOf": [{"required": ["names"]}, {"required": ["csr"]}],
            "allOf": [
                {"not": {"required": ["preferred_profile", "required_profile"]}},
                {"not": {"required": ["csr", "reuse_key"], "properties": {"reuse_key": {"const": true}}}},
            ],
        },
    })
}

fn property(field: &str) -> Value {
    let mut property = json!({"description": meaning(field)});
    let of = |value: Value| problems(field, &value);
    let rest = match field {
        "cert_name" => json!({"type": "string", "pattern": NAME}),
        "names" => json!({
            "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_NAMES, "uniqueItems": true
        }),
        "recipients" => json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        "endpoints" => json!({"type": "array", "items": {"type": "string"}}),
        "key_type" => json!({"enum": kinds()}),
        _ if of(json!(true)).is_empty() => json!({"type": "boolean"}),
        _ => {
            let problems = of(json!(["x"]));
            assert_eq!(
                problems[0].error.to_string(),
                format!("`{field}` is not a text")
            );
            json!({"type": "string"})
        }
    };
    let more = rest.as_object().unwrap().clone();
    property.as_object_mut().unwrap().extend(more);
    property
}

/// The kinds of keys that the parser names when it is given another one.
fn kinds() -> Vec<String> {
    let problems = problems("key_type", &json!("?"));
    let hints = explain(&problems[0].error).hints;
    let kinds = hints[0].strip_prefix("use one of ").unwrap().split(", ");
    let kinds: Vec<_> = kinds.map(str::to_owned).collect();
    for kind in &kinds {
        assert!(
            self::problems("key_type", &json!(kind)).is_empty(),
            "{kind}"
        );
    }
    kinds
}

/// What is wrong with an entry that has this field besides what each needs.
fn problems(field: &str, value: &Value) -> Vec<Problem> {
    let entry = json!({"cert_name": "a", "names": ["a.test"], field: value});
    examine(&[entry], &Defaults::default(), &|_| Ok(None)).problems
}

/// The second column of the page's table, without its links.
fn meaning(field: &str) -> String {
    let start = format!("| `{field}` | ");
    let row = PAGE.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("docs/certificates.md has no row of `{field}`"));
    let meaning = row.split(" | ").next().unwrap();
    let links = Regex::new(r"\[([^\]]+)\]\([^)]+\)").unwrap();
    links.replace_all(meaning, "docs/$1").replace('`', "")
}
