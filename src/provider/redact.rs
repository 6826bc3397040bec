//! Keeps credentials out of messages.

use std::cmp::Reverse;

use crate::model::known::spellings;
use crate::model::provider::ProviderEntry;

/// Values shorter than this are replaced only where they are whole words: `1` is in every date.
const DISTINCT: usize = 8;

/// Replaces every field value of an entry by the field's name in brackets.
pub(super) struct Redactor {
    /// What to look for, longest first, and what to write.
    secrets: Vec<(String, String)>,
}

impl Redactor {
    /// Knows the values of all fields, in every spelling.
    pub(super) fn new(entry: &ProviderEntry) -> Self {
        let mut redactor = Self {
            secrets: Vec::new(),
        };
        // Of fields with the same value, the first one counts.
        for (key, value) in entry.fields.iter().rev() {
            redactor.add(key, value);
        }
        redactor
    }

    /// The value of this field is no secret, such as an address.
    pub(super) fn show(&mut self, key: &str) {
        let name = format!("[{key}]");
        self.secrets.retain(|(_, by)| *by != name);
    }

    /// One more secret, such as a session's token, in every spelling.
    pub(super) fn add(&mut self, name: &str, secret: &str) {
        if secret.is_empty() {
            return;
        }
        for spelling in spellings(secret) {
            self.secrets.retain(|(known, _)| *known != spelling);
            self.secrets.push((spelling, format!("[{name}]")));
        }
        self.secrets
            .sort_by_key(|(secret, _)| Reverse(secret.len()));
    }

    /// `text` without the values.
    pub(super) fn clean(&self, text: &str) -> String {
        let replace = |text: String, (secret, name): &(String, String)| {
            if secret.len() >= DISTINCT {
                text.replace(secret, name)
            } else {
                replace_words(&text, secret, name)
            }
        };
        self.secrets.iter().fold(text.to_owned(), replace)
    }
}

fn replace_words(text: &str, word: &str, by: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        let starts = !before.ends_with(char::is_alphanumeric)
            && (!before.is_empty() || !clean.ends_with(char::is_alphanumeric));
        let ends = !after.starts_with(char::is_alphanumeric);
        clean.push_str(before);
        clean.push_str(if starts && ends { by } else { word });
        rest = after;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn redactor(fields: &[(&str, &str)]) -> Redactor {
        Redactor::new(&crate::provider::servers::entry("X", fields))
    }

    #[test]
    fn values_are_replaced_in_every_spelling() {
        let redactor = redactor(&[("apikey", "s3cret/\"key\"+1"), ("apiuser", "bob")]);
        for text in [
            "bad key s3cret/\"key\"+1",
            "bad key s3cret%2F%22key%22%2B1",
            "bad key s3cret/\\\"key\\\"+1",
            "bad key czNjcmV0LyJrZXkiKzE=",
        ] {
            assert_eq!(redactor.clean(text), "bad key [apikey]", "{text}");
        }
        // As a login is sent, with the user's name before it.
        for user in ["", "a", "ab", "abc"] {
            let sent = STANDARD.encode(format!("{user}:s3cret/\"key\"+1"));
            let shown = redactor.clean(&sent);
            assert!(shown.contains("[apikey]") && shown.len() < 17, "{shown}");
        }
    }

    #[test]
    fn short_values_are_replaced_as_words_only() {
        let redactor = redactor(&[("sandbox", "1"), ("user", "bob")]);
        assert_eq!(
            redactor.clean("bob: 1 of 10 (bobcat, bob)"),
            "[user]: [sandbox] of 10 (bobcat, [user])"
        );
    }

    #[test]
    fn a_secret_can_be_added() {
        let mut redactor = redactor(&[]);
        redactor.add("session", "0123456789");
        assert_eq!(redactor.clean("x0123456789y"), "x[session]y");
        redactor.add("login", "0123456789/");
        assert_eq!(
            redactor.clean("0123456789 0123456789%2F MDEyMzQ1Njc4OS8="),
            "[session] [login] [login]"
        );
    }
}
