//! JSON with comments and trailing commas, as creds.json may be written.

/// Text of a file: UTF-8, or UTF-16 with a byte order mark. The mark is taken off.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let units = |pair: &[u8], to_unit: fn([u8; 2]) -> u16| pair.try_into().map(to_unit).ok();
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, |pair| units(pair, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => utf16(rest, |pair| units(pair, u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.to_vec()).ok(),
    }
}

fn utf16(bytes: &[u8], unit: impl Fn(&[u8]) -> Option<u16>) -> Option<String> {
    let units: Option<Vec<u16>> = bytes.chunks(2).map(unit).collect();
    String::from_utf16(&units?).ok()
}

/// Blanks `//` and `/* */` comments and commas before `}` and `]`; lines and columns stay.
pub(super) fn to_json(text: &str) -> String {
    let mut json = without_comments(text).into_bytes();
    let mut in_string = false;
    let mut comma = None;
    let mut index = 0;
    while let Some(&byte) = json.get(index) {
        match byte {
            b'\\' if in_string => index += 1,
            b'"' => {
                in_string = !in_string;
                comma = None;
            }
            _ if in_string => {}
            b',' => comma = Some(index),
            b'}' | b']' => {
                if let Some(place) = comma.take().and_then(|at| json.get_mut(at)) {
                    *place = b' ';
                }
            }
            other if other.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        index += 1;
    }
    // Only ASCII was replaced by ASCII.
    String::from_utf8(json).unwrap_or_default()
}

fn without_comments(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match (character, rest.peek()) {
            ('\\', Some(_)) if in_string => {
                json.push(character);
                json.extend(rest.next());
            }
            ('"', _) => {
                in_string = !in_string;
                json.push(character);
            }
            ('/', Some('/')) if !in_string => {
                json.push(' ');
                while let Some(commented) = rest.next_if(|next| *next != '\n') {
                    json.push(blank(commented));
                }
            }
            ('/', Some('*')) if !in_string => {
                json.push(' ');
                // Past the star: `/*/` does not end what it begins.
                json.extend(rest.next().map(blank));
                let mut last = ' ';
                for commented in rest.by_ref() {
                    json.push(blank(commented));
                    if (last, commented) == ('*', '/') {
                        break;
                    }
                    last = commented;
                }
            }
            _ => json.push(character),
        }
    }
    json
}

fn blank(character: char) -> char {
    if character == '\n' { '\n' } else { ' ' }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(text: &str) -> Option<Value> {
        serde_json::from_str(&to_json(text)).ok()
    }

    #[test]
    fn comments_and_trailing_commas_go() {
        let text = r#"{ // "a": 1,
            "url": "https://x/*y*/,]", /* {
            */ "list": [1, 2, /**/ ], /*/ "no": 0, /*/
            "escaped": "\",}",
        }"#;
        assert_eq!(
            parsed(text).unwrap(),
            json!({"url": "https://x/*y*/,]", "list": [1, 2], "escaped": "\",}"})
        );
        assert_eq!(to_json(text).lines().count(), text.lines().count());
    }

    #[test]
    fn other_mistakes_stay_mistakes() {
        for text in [
            "{,}x", "[1,,2]", "{'a': 1}", "{a: 1}", "# x\n{}", "[1 /* ", "\"\\",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn byte_order_marks_are_taken_off() {
        assert_eq!(decode(b"\xef\xbb\xbf{}").unwrap(), "{}");
        assert_eq!(decode(b"\xff\xfe{\0}\0").unwrap(), "{}");
        assert_eq!(decode(b"\xfe\xff\0{\0}").unwrap(), "{}");
        assert_eq!(decode(b"{}").unwrap(), "{}");
        assert_eq!(decode(b"\xff"), None);
        assert_eq!(decode(b"\xff\xfe{"), None);
    }
}
