//! certs.json with more entries: what is in it stays as it is written. Pure.

use anyhow::{Context, Result};
use serde_json::Value;

/// How far entries are indented where the file does not show it.
const INDENT: &str = "  ";

/// The text with entries added at its end; a new file where there is none.
///
/// The text is one that certs.json's reader takes: a list, an object each.
pub(crate) fn with(text: Option<&str>, entries: &[Value]) -> Result<String> {
    let written: Vec<_> = entries.iter().map(written).collect();
    let Some(text) = text else {
        let lines: Vec<_> = written
            .iter()
            .map(|entry| format!("{INDENT}{entry}"))
            .collect();
        return Ok(format!("[\n{}\n]\n", lines.join(",\n")));
    };
    let end = text.rfind(']').context("it is not a list")?;
    let (before, after) = text.split_at(end);
    let before = before.trim_end();
    let is_empty = before.ends_with('[');
    let indent = indent(before);
    let between = indent.map_or_else(|| " ".to_owned(), |indent| format!("\n{indent}"));
    let mut new = before.to_owned();
    for (number, entry) in written.iter().enumerate() {
        if number > 0 || !is_empty {
            new.push(',');
        }
        new += &format!("{between}{entry}");
    }
    // On a line of its own, unless all was on one.
    if indent.is_some() {
        new.push('\n');
    }
    Ok(new + after)
}

/// What entries that stand on lines of their own begin with; none where all is on one line.
fn indent(text: &str) -> Option<&str> {
    let lines: Vec<_> = text.lines().collect();
    let first = lines
        .iter()
        .skip(1)
        .find(|line| line.trim_start().starts_with('{'));
    match first {
        Some(line) => line.get(..line.len() - line.trim_start().len()),
        None => (lines.len() > 1 || text.trim() == "[").then_some(INDENT),
    }
}

/// An entry on one line, as people write it.
fn written(entry: &Value) -> String {
    match entry {
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), written(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(written).collect();
            format!("[{}]", all.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn entries() -> [Value; 2] {
        [
            json!({"cert_name": "a", "names": ["a.test", "*.a.test"]}),
            json!({"cert_name": "b", "names": ["b.test"], "reuse_key": true}),
        ]
    }

    const A: &str = r#"{ "cert_name": "a", "names": ["a.test", "*.a.test"] }"#;
    const B: &str = r#"{ "cert_name": "b", "names": ["b.test"], "reuse_key": true }"#;

    #[test]
    fn what_is_there_stays_as_it_is_written() {
        for (before, after) in [
            (None, format!("[\n  {A},\n  {B}\n]\n")),
            (Some("[]"), format!("[\n  {A},\n  {B}\n]")),
            (Some("[\n]\n"), format!("[\n  {A},\n  {B}\n]\n")),
            (
                Some("[{\"x\": 1}]\n"),
                format!("[{{\"x\": 1}}, {A}, {B}]\n"),
            ),
            (
                Some("\u{feff}[\n\t{\n\t\t\"x\": 1\n\t}\n]"),
                format!("\u{feff}[\n\t{{\n\t\t\"x\": 1\n\t}},\n\t{A},\n\t{B}\n]"),
            ),
            (
                Some("[\n    {\"x\": \"]\"},\n    {\"y\": 2}\n]\n\n"),
                format!("[\n    {{\"x\": \"]\"}},\n    {{\"y\": 2}},\n    {A},\n    {B}\n]\n\n"),
            ),
            (
                Some("[{\n  \"x\": 1\n}, {\n  \"y\": 1\n}]\n"),
                format!("[{{\n  \"x\": 1\n}}, {{\n  \"y\": 1\n}},\n  {A},\n  {B}\n]\n"),
            ),
        ] {
            assert_eq!(with(before, &entries()).unwrap(), after);
        }
        assert!(with(Some("{}"), &entries()).is_err());
    }
}
