//! Words of others, made harmless for terminals and CI logs, without the secrets that servers repeat.

use std::io::{self, Write};

use serde_json::{Map, Value};

use crate::model::hint::without_numbers;
use crate::model::known::hide;

/// Longest line that is shown, in characters; a configuration can throw megabytes.
const LONGEST_LINE: usize = 4_000;

/// Turn what stands after them, so that a line reads as another one (<https://www.unicode.org/reports/tr9/>, section 2).
const TURNS: [char; 9] = [
    '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}',
    '\u{2069}',
];

/// Begins a command of GitHub's runner anywhere in a line, as `::` does at its beginning
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>).
const COMMAND: &str = "##[";

/// Hides secrets, escapes control characters, leaves numbers of errors out, takes the meaning from workflow commands and cuts long lines.
pub(crate) fn tame(text: &str) -> String {
    let text = without_numbers(&hide(text)).replace(COMMAND, "##\\[");
    let line = |line: &str| {
        let is_command = line.trim_start().starts_with("::");
        let escape = if is_command { "\\" } else { "" };
        format!("{escape}{}", visible(line))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The same for what stands inside a line, such as an address of IPv6: `::1` is no command there.
pub(crate) fn tame_part(text: &str) -> String {
    visible(&without_numbers(&hide(text)).replace(COMMAND, "##\\["))
}

/// Data in lines, without a secret or a workflow command.
pub(crate) fn tame_json(data: &Value) -> String {
    escaped(&format!("{:#}\n", without_secrets(data)))
}

/// The same in one line.
pub(crate) fn tame_json_line(data: &Value) -> String {
    escaped(&format!("{}\n", without_secrets(data)))
}

/// The same of a line that was written as JSON already.
pub(crate) fn tame_written_json(line: &str) -> String {
    match serde_json::from_str(line) {
        Ok(data) => tame_json_line(&data),
        Err(_) => escaped(&hide(line)),
    }
}

/// Names of fields stay: programs look for them, and a secret may be a word like any other.
fn without_secrets(data: &Value) -> Value {
    match data {
        Value::String(text) => hide(text).into(),
        Value::Array(all) => all.iter().map(without_secrets).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), without_secrets(value)));
            fields.collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => data.clone(),
    }
}

/// JSON never begins a line with `::`.
fn escaped(json: &str) -> String {
    let json = json.replace(COMMAND, "##\\u005b");
    let mut tamed = String::with_capacity(json.len());
    for character in json.chars() {
        // JSON itself escapes those of ASCII, DEL aside; line ends are between values.
        if (character.is_control() && !character.is_ascii_whitespace())
            || TURNS.contains(&character)
        {
            tamed += &format!("\\u{:04x}", u32::from(character));
        } else {
            tamed.push(character);
        }
    }
    tamed
}

fn visible(line: &str) -> String {
    let mut tamed = String::with_capacity(line.len());
    for (count, character) in line.chars().enumerate() {
        if count == LONGEST_LINE {
            tamed.push_str("...");
            break;
        }
        let is_white = character == '\t' || character == '\n';
        if (character.is_control() && !is_white) || TURNS.contains(&character) {
            tamed.extend(character.escape_default());
        } else {
            tamed.push(character);
        }
    }
    tamed
}

/// Writes what is written to it tamed, to standard error.
pub(crate) struct TameStderr(pub(crate) fn(&str) -> String);

impl Write for TameStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all((self.0)(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::known::remember;

    #[test]
    fn terminals_and_runners_obey_nothing() {
        assert_eq!(tame("a\u{1b}[2Jb\rc\n\td"), "a\\u{1b}[2Jb\\rc\n\td");
        assert_eq!(tame("x\n  ::stop-commands::t"), "x\n\\  ::stop-commands::t");
        assert_eq!(
            tame("x ##[stop-commands]t ###[add-mask]e"),
            "x ##\\[stop-commands]t ###\\[add-mask]e"
        );
        assert_eq!(tame("a\u{202e}b\u{2069}"), "a\\u{202e}b\\u{2069}");
        assert_eq!(tame("::1"), "\\::1");
        assert_eq!(tame_part("::1 \u{9b}2J\n##[x]"), "::1 \\u{9b}2J\n##\\[x]");
        assert_eq!(tame("2001:db8::1 b\u{fc}cher"), "2001:db8::1 b\u{fc}cher");
    }

    #[test]
    fn json_stays_what_it_is() {
        let said = "##[stop-commands]t \\##[\u{9b}2J\u{7f}\u{202e}\u{e9}";
        let json = tame_json_line(&json!([said]));
        assert_eq!(
            json,
            "[\"##\\u005bstop-commands]t \\\\##\\u005b\\u009b2J\\u007f\\u202eé\"]\n"
        );
        let again: Vec<String> = serde_json::from_str(&json).unwrap();
        assert_eq!(again, [said]);
    }

    #[test]
    fn secrets_are_hidden_in_texts_alone() {
        remember(b"word-of-a-field");
        remember(b"98765432");
        let data = json!({"word-of-a-field": [98_765_432, "no word-of-a-field", {"98765432": "98765432"}]});
        let hidden = r#"{"word-of-a-field":[98765432,"no ***",{"98765432":"***"}]}"#;
        assert_eq!(tame_json_line(&data), format!("{hidden}\n"));
        assert_eq!(
            tame_written_json(&format!("{data}\n")),
            format!("{hidden}\n")
        );
        assert_eq!(
            tame_json(&data),
            format!("{:#}\n", serde_json::from_str::<Value>(hidden).unwrap())
        );
        assert_eq!(
            tame_written_json("word-of-a-field ##[x]\n"),
            "*** ##\\u005bx]\n"
        );
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(tame(&"a".repeat(5_000)).len(), LONGEST_LINE + 3);
    }
}
