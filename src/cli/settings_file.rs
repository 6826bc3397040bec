//! Everything that is wrong with `git-certs.toml`, and what in it is right.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Error, anyhow};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::cli::settings::{FILE, KEYS_HINT, Settings};
use crate::cli::type_errors::in_plain_words;
use crate::model::diagnostic::{Diagnostic, Place, Rule, Spot};
use crate::model::hint::with_hint;

/// What a settings file says.
#[derive(Default)]
pub(super) struct Examined {
    /// Its settings, but for those that cannot be used.
    pub(super) settings: Settings,
    /// Where each key stands.
    pub(super) places: BTreeMap<String, Place>,
    pub(super) all: Vec<Diagnostic>,
}

/// Reads each setting by itself, so that one that is wrong hides no other. `path`: the file as people see it.
pub(super) fn examine(bytes: &[u8], path: &str) -> Examined {
    let mut examined = Examined::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let error = Error::new(error).context(format!("`{FILE}` is not UTF-8"));
            examined.note(Place::file(path), &error);
            return examined;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let place =
        |span: Option<Range<usize>>| Place::at(path, span.map(|span| Spot::of(text, span.start)));
    let mut broken = BTreeSet::new();
    for error in errors {
        broken.extend(place(error.span()).spot.map(|spot| spot.line));
        let said = anyhow!("{}", in_plain_words(error.message()));
        examined.note(place(error.span()), &said);
    }
    let whole = table.span();
    for (key, value) in table.into_inner() {
        let name = key.get_ref().to_string();
        let at = key.span();
        let here = place(Some(at.clone()));
        // What the parser made of such a line is not what its author wrote.
        if here.spot.is_some_and(|spot| broken.contains(&spot.line)) {
            continue;
        }
        let alone = DeTable::from_iter([(key, value)]);
        let alone = Deserializer::from(Spanned::new(whole.clone(), alone));
        let settings = match Settings::deserialize(alone) {
            Ok(settings) => settings,
            Err(error) => {
                let span = error.span().filter(|span| *span != whole).unwrap_or(at);
                let said = with_hint(anyhow!("{}", in_brief(&error, &name)), KEYS_HINT);
                examined.note(place(Some(span)), &said);
                continue;
            }
        };
        if let Err(error) = settings.refuse_programs() {
            examined.note(here, &error);
            continue;
        }
        match settings.over(&examined.settings) {
            Ok(both) => examined.settings = both,
            Err(error) => examined.note(here.clone(), &error),
        }
        examined.places.insert(name, here);
    }
    examined
        .all
        .sort_by(|one, other| one.place.cmp(&other.place));
    examined
}

impl Examined {
    fn note(&mut self, place: Place, error: &Error) {
        self.all
            .push(Diagnostic::error(Rule::Settings, place, error));
    }
}

/// A key that is none is named without the names of all the others.
fn in_brief(error: &toml::de::Error, key: &str) -> String {
    let message = in_plain_words(error.message());
    match message.split_once(", expected one of") {
        Some((unknown, _)) if unknown == format!("unknown field `{key}`") => {
            format!("there is no setting `{key}`")
        }
        _ => format!("`{key}`: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn one_that_is_wrong_hides_no_other() {
        let text = "acme = \"staging\"\nrenew = \"soon\"\n  repo = 1\nkey-type = \"p512\"\n\
                    creds = \"!id\"\n[zones.\"a.test\"]\ndns-timeout = 0\n";
        let examined = examine(text.as_bytes(), "x/git-certs.toml");
        let said: Vec<_> = examined
            .all
            .iter()
            .map(|one| {
                let spot = one.place.spot.unwrap();
                (spot.line, spot.column.unwrap(), one.what.as_str())
            })
            .collect();
        assert_eq!(
            said,
            [
                (2, 9, "`renew`: expected a whole number, found a string"),
                (3, 3, "there is no setting `repo`"),
                (
                    4,
                    12,
                    "`key-type`: unknown value `p512`, expected one of `rsa2048`, `rsa3072`, `rsa4096`, `p256`, `p384`"
                ),
                (5, 1, "`creds` in `git-certs.toml` is a command"),
                (7, 15, "`zones`: expected a whole number above 0, found `0`"),
            ]
        );
        assert_eq!(examined.settings.acme.as_deref(), Some("staging"));
        assert_eq!(examined.places.keys().collect::<Vec<_>>(), ["acme"]);
    }

    #[test]
    fn what_is_no_toml_is_told_whole() {
        let examined = examine(b"acme = \nemail = \"a\"\nacme = 1\nx\n", "git-certs.toml");
        let said: Vec<_> = examined
            .all
            .iter()
            .map(|one| (one.place.spot.map(|spot| spot.line), one.what.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (
                    Some(1),
                    "string values must be quoted, expected literal string"
                ),
                (Some(3), "duplicate key"),
                (Some(4), "key with no value, expected `=`"),
            ]
        );
        assert_eq!(examined.settings.email.as_deref(), Some("a"));
        let examined = examine(b"\xff", "git-certs.toml");
        assert_eq!(examined.all.len(), 1);
    }
}
