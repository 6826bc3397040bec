//! Secrets that this process has met, so that nothing that it says shows one: servers repeat what they were sent.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Shorter ones are in ordinary words.
const SHORTEST: usize = 8;

/// What is written instead of a secret.
const HIDDEN: &str = "***";

/// Every spelling of every secret, longest first. One process, one list.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on [`hide`] hides a secret, each line of it by itself.
pub(crate) fn remember(secret: &[u8]) {
    let text = String::from_utf8_lossy(secret);
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for spelling in parts(&text).flat_map(spellings) {
        if spelling.len() >= SHORTEST && !known.contains(&spelling) {
            known.push(spelling);
        }
    }
    known.sort_by_key(|spelling| Reverse(spelling.len()));
}

/// `text` without the secrets that are known.
pub(crate) fn hide(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    hidden(text, &known)
}

fn hidden<'t>(text: &'t str, known: &[String]) -> Cow<'t, str> {
    known.iter().fold(Cow::Borrowed(text), |text, spelling| {
        if text.contains(spelling) {
            Cow::Owned(text.replace(spelling, HIDDEN))
        } else {
            text
        }
    })
}

/// The lines of a secret that tell it. Comments and PEM borders are in every file of their kind.
pub(crate) fn parts(secret: &str) -> impl Iterator<Item = &str> {
    let is_text = secret.trim().contains('\n');
    secret
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= SHORTEST)
        .filter(move |line| !(is_text && (line.starts_with('#') || line.starts_with("-----"))))
}

/// As it is, in URLs, in JSON, and in Base64: by itself, and wherever it begins there.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let inner = json.get(1..json.len() - 1).unwrap_or_default().to_owned();
    let base64 = (0..3).map(|before| {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(&bytes);
        // What stands beside it is in the characters at both ends.
        let whole = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        text.get(whole).unwrap_or_default().to_owned()
    });
    // A few letters out of the middle are in ordinary words.
    let parts = base64.filter(|part| part.len() >= SHORTEST);
    let whole = STANDARD.encode(secret);
    [secret.to_owned(), encoded, inner, whole]
        .into_iter()
        .chain(parts)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_spelling() {
        let secret = "s3cret/\"key\"+1";
        let known = spellings(secret);
        for text in [secret, "s3cret%2F%22key%22%2B1", "s3cret/\\\"key\\\"+1"] {
            assert_eq!(hidden(&format!("no: {text}."), &known), "no: ***.");
        }
        for user in ["", "a", "ab", "abc"] {
            let sent = STANDARD.encode(format!("{user}:{secret}"));
            let shown = hidden(&sent, &known);
            assert!(shown.contains(HIDDEN), "{shown}");
            assert!(shown.len() < 12, "{shown}");
        }
        assert_eq!(hidden("nothing", &known), "nothing");
    }

    #[test]
    fn what_was_met_is_hidden_line_by_line() {
        remember(b"# made by age-keygen\nline-of-a-known-key\nshort\nother-line-of-it\n");
        assert_eq!(
            hide("short: line-of-a-known-key, other-line-of-it, # made by age-keygen"),
            "short: ***, ***, # made by age-keygen"
        );
    }
}
