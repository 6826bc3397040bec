//! What a vendor says in the body of an error.

use serde_json::Value;

/// Longest part of the vendor's own words that an error repeats, characters.
const LONGEST: usize = 300;

/// Keys that vendors put the message under, the most telling first.
const MESSAGES: &[&str] = &[
    "message",
    "detail",
    "description",
    "error_description",
    "reason",
    "title",
    "error",
];

/// The vendor's own words on one line: the messages of a JSON or XML body, else its text.
pub(super) fn words(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let text = json
        .as_ref()
        .and_then(message)
        .or_else(|| xml_message(body));
    let text = text.unwrap_or_else(|| body.to_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    format!("{}...", line.chars().take(LONGEST).collect::<String>())
}

/// Messages, with their codes where they have some, of any shape that JSON APIs use.
fn message(json: &Value) -> Option<String> {
    match json {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(items) => {
            let all: Vec<String> = items.iter().filter_map(message).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(fields) => {
            let many = fields.get("errors").and_then(message);
            let one = || {
                MESSAGES
                    .iter()
                    .find_map(|key| fields.get(*key).and_then(message))
            };
            if let Some(text) = many.or_else(one) {
                let details = fields.get("details").and_then(Value::as_str);
                let text = [Some(text.as_str()), details.filter(|text| !text.is_empty())];
                let text = text.into_iter().flatten().collect::<Vec<_>>().join(": ");
                let code = fields.get("code").filter(|code| !code.is_null());
                return Some(match code {
                    Some(Value::String(code)) => format!("{text} ({code})"),
                    Some(code) => format!("{text} ({code})"),
                    None => text,
                });
            }
            // Errors by field: {"records": ["too long"]}.
            let all: Vec<String> = fields
                .iter()
                .filter_map(|(key, value)| Some(format!("{key}: {}", message(value)?)))
                .collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        _ => None,
    }
}

/// Messages of an XML API, with their code.
fn xml_message(body: &str) -> Option<String> {
    let document = roxmltree::Document::parse(body).ok()?;
    let texts = |name: &'static str| {
        let nodes = document.descendants();
        nodes.filter_map(move |node| node.has_tag_name(name).then(|| node.text())?)
    };
    let messages: Vec<&str> = texts("Message").collect();
    let text = messages.join("; ");
    match texts("Code").next() {
        Some(code) => Some(format!("{text} ({code})")),
        None => (!messages.is_empty()).then_some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_shape() {
        for (body, expected) in [
            (r#"{"error": "no  such\nzone"}"#, "no such zone"),
            (
                r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[]}"#,
                "Authentication error (10000)",
            ),
            (r#"{"id":"not_found","message":"not found"}"#, "not found"),
            (
                r#"{"error":{"code":"unauthorized","message":"unable to authenticate"}}"#,
                "unable to authenticate (unauthorized)",
            ),
            (
                r#"[{}, {"ttl": ["Ensure this value is greater than or equal to 3600."]}]"#,
                "ttl: Ensure this value is greater than or equal to 3600.",
            ),
            (
                r#"{"message":"Invalid Argument","details":"Parameter Value Error - ttl"}"#,
                "Invalid Argument: Parameter Value Error - ttl",
            ),
            (r#"{"errors": [], "message": "x"}"#, "x"),
            (
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
                "Invalid JWT Signature.",
            ),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (
                "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error>\
                 <Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
                "Rate exceeded (Throttling)",
            ),
            (
                "<InvalidChangeBatch><Messages><Message>a</Message><Message>b</Message></Messages></InvalidChangeBatch>",
                "a; b",
            ),
            ("<html>", "<html>"),
            ("", ""),
        ] {
            assert_eq!(words(body), expected, "{body}");
        }
    }

    #[test]
    fn words_are_short() {
        assert_eq!(words(&"x".repeat(1000)).len(), LONGEST + 3);
    }
}
