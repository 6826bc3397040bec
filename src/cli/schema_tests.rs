//! schema/git-certs.schema.json, which editors read, is what `git-certs.toml` takes.
#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    reason = "a schema may be written in one go"
)]

use std::collections::BTreeSet;
use std::fs;

use clap::{Args, Command};
use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::cli::settings::{Settings, ZoneSettings};

/// Keys that are tables, and no options.
const TABLES: [&str; 2] = ["challenge-zones", "zones"];

#[test]
fn the_schema_of_the_settings_is_what_the_file_takes() {
    let generated = format!("{:#}\n", schema());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/git-certs.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, &generated).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(written, generated, "UPDATE_DOCS=1 if this is right");
}

fn schema() -> Value {
    let options = Settings::augment_args(Command::new("settings"));
    let mut properties = Map::new();
    let mut names = BTreeSet::from(TABLES.map(str::to_owned));
    for option in options.get_arguments() {
        let name = option.get_long().unwrap();
        names.insert(name.to_owned());
        let kind = kind("", name);
        let help = option.get_help().unwrap().to_string();
        properties.insert(name.to_owned(), described(kind, &help.replace('`', "")));
    }
    let keys: BTreeSet<_> = keys_of(&json!(Settings::default()));
    assert_eq!(keys, names, "a setting is neither an option nor a table");
    let zone = keys_of(&json!(ZoneSettings::default()));
    let zone = zone
        .into_iter()
        .map(|key| (key.clone(), kind("zones.\"a.test\".", &key)));
    let zone = json!({"type": "object", "properties": Map::from_iter(zone), "additionalProperties": false});
    let entries =
        json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
    for (table, holds, meaning) in [
        ("zones", zone, "What differs in single zones: docs/wait.md"),
        (
            "challenge-zones",
            entries,
            "Zones beside those of dnsconfig.js that challenges may be written to, each with its entries of creds.json: docs/dns.md",
        ),
    ] {
        let of = json!({"type": "object", "additionalProperties": holds});
        properties.insert(table.to_owned(), described(of, meaning));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://raw.githubusercontent.com/git-certs/git-certs/main/schema/git-certs.schema.json",
        "title": "git-certs.toml",
        "description": "Settings of git-certs in a repository of certificates",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn described(mut schema: Value, meaning: &str) -> Value {
    let fields = schema.as_object_mut().unwrap();
    fields.insert("description".to_owned(), meaning.into());
    schema
}

fn keys_of(table: &Value) -> BTreeSet<String> {
    table.as_object().unwrap().keys().cloned().collect()
}

/// What the key takes, found out by trying.
fn kind(table: &str, key: &str) -> Value {
    let said = |value: &str| {
        let read = Settings::from_file(format!("{table}{key} = {value}").as_bytes());
        read.map_err(|error| format!("{error:#}"))
    };
    let is_taken = |value: &str| said(value).is_ok();
    if is_taken("true") {
        return json!({"type": "boolean"});
    }
    if is_taken("1") {
        let least = i32::from(!is_taken("0"));
        return json!({"type": "integer", "minimum": least, "maximum": u32::MAX});
    }
    if is_taken("[\"x\"]") {
        return json!({"type": "array", "items": {"type": "string"}});
    }
    if is_taken("\"x\"") {
        return json!({"type": "string"});
    }
    if is_taken("\"x.json\"") {
        return json!({"type": "string", "pattern": "[^/]\\.json$"});
    }
    let error = said("\"?\"").unwrap_err();
    let words = Regex::new("`([a-z0-9-]+)`").unwrap();
    let (_, expected) = error
        .split_once("unknown value `?`, expected one of ")
        .unwrap();
    let words: Vec<_> = words
        .captures_iter(expected)
        .map(|word| word[1].to_owned())
        .collect();
    for word in &words {
        assert!(is_taken(&format!("{word:?}")), "{key} = {word}");
    }
    json!({"enum": words})
}
