//! What a parser says of a value of the wrong type, in the words of the file's author. Pure.

/// `expected a whole number, found a string` for `invalid type: string "soon", expected u32`.
///
/// A string is not repeated: it may hold a password. What is not understood stays as it is.
pub(super) fn in_plain_words(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    if message == "wanted string or table" {
        return "expected one of the words that it takes, in quotes".to_owned();
    }
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    match rest.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            format!("expected {}, found {}", wanted(expected), thing(found))
        }
        None => message.to_owned(),
    }
}

fn wanted(expected: &str) -> &str {
    match expected.strip_prefix("a nonzero ").unwrap_or(expected) {
        _ if expected.starts_with("a nonzero ") => "a whole number above 0",
        "u8" | "u16" | "u32" | "u64" | "i64" => "a whole number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn thing(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match (kind, value) {
        ("string", _) => "a string".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "a table".to_owned(),
        ("integer" | "boolean", value) => value.to_owned(),
        ("floating", value) => value.strip_prefix("point ").unwrap_or(value).to_owned(),
        _ => found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use crate::cli::settings::Settings;

    #[test]
    fn types_have_names_that_people_know() {
        for (text, expected) in [
            (
                "renew = \"hunter2\"",
                "expected a whole number, found a string",
            ),
            ("renew = -1", "expected a whole number, found `-1`"),
            ("renew = 1.5", "expected a whole number, found `1.5`"),
            (
                "dns-timeout = 0",
                "expected a whole number above 0, found `0`",
            ),
            ("acme = 3", "expected a string, found `3`"),
            ("acme = [\"x\"]", "expected a string, found a list"),
            ("acme = {}", "expected a string, found a table"),
            ("skip = \"hunter2\"", "expected a list, found a string"),
            (
                "agree-tos = \"yes\"",
                "expected `true` or `false`, found a string",
            ),
            ("zones = 1", "expected a table, found `1`"),
            ("zones.\"a.test\" = 1", "expected a table, found `1`"),
            (
                "pending = 1",
                "expected one of the words that it takes, in quotes",
            ),
            (
                "pending = \"later\"",
                "unknown value `later`, expected one of `abort`, `warn`, `off`",
            ),
        ] {
            let error = Settings::from_file(text.as_bytes()).unwrap_err();
            let message = error.chain().nth(1).unwrap().to_string();
            let (place, said) = message.split_once(": ").unwrap();
            assert!(place.starts_with("line 1, column "), "{message}");
            assert_eq!(said, expected, "{text}");
        }
    }
}
