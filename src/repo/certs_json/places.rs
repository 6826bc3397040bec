//! Where in a JSON text what stands. The text is one that has been parsed already. Pure.

use crate::model::diagnostic::Spot;

/// Which part of certs.json; entries, fields and items that are not there stand for what holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// Counted from 0; none: the whole list.
    pub(crate) entry: Option<usize>,
    pub(crate) field: Option<String>,
    /// Of a list in a field, counted from 0.
    pub(crate) item: Option<usize>,
}

/// Where the parts of a list of objects begin.
#[derive(Default)]
pub(crate) struct Places {
    start: Spot,
    entries: Vec<Entry>,
}

struct Entry {
    at: Spot,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    key: Spot,
    value: Spot,
    items: Vec<Spot>,
}

impl At {
    pub(crate) fn entry(entry: usize) -> Self {
        Self {
            entry: Some(entry),
            ..Self::default()
        }
    }

    pub(crate) fn field(entry: usize, field: &str) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::entry(entry)
        }
    }
}

impl Places {
    /// Reads a text that is JSON; of another one the places mean nothing.
    pub(crate) fn of(text: &str) -> Self {
        let mut scanner = Scanner::of(text);
        scanner.blanks();
        let start = scanner.spot();
        let mut entries = Vec::new();
        scanner.list(&mut |scanner| {
            let at = scanner.spot();
            entries.push(Entry {
                at,
                fields: scanner.fields(),
            });
        });
        Self { start, entries }
    }

    /// Where something stands; where what holds it does, if it is not there.
    pub(crate) fn spot(&self, at: &At) -> Spot {
        let entry = at.entry.and_then(|entry| self.entries.get(entry));
        let field = entry.zip(at.field.as_deref()).and_then(|(entry, name)| {
            let exact = entry.fields.iter().rfind(|field| field.name == name);
            let is_like = |field: &&Field| field.name.eq_ignore_ascii_case(name);
            exact.or_else(|| entry.fields.iter().find(is_like))
        });
        match (entry, field) {
            (_, Some(field)) => match at.item {
                Some(item) => *field.items.get(item).unwrap_or(&field.value),
                None => field.key,
            },
            (Some(entry), None) => entry.at,
            (None, None) => self.start,
        }
    }

    /// Fields that stand in an entry again: entry, name, and where.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = (usize, &str, Spot)> {
        let entries = self.entries.iter().enumerate();
        entries.flat_map(|(number, entry)| {
            let fields = entry.fields.iter().enumerate();
            let again = fields.filter(|(position, field)| {
                let mut before = entry.fields.iter().take(*position);
                before.any(|earlier| earlier.name.eq_ignore_ascii_case(&field.name))
            });
            again.map(move |(_, field)| (number, field.name.as_str(), field.key))
        })
    }
}

/// Goes through JSON. The parser has bounded how deeply it nests.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The place of the byte `counted`.
    counted: usize,
    line: usize,
    column: usize,
}

impl<'t> Scanner<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            counted: 0,
            line: 1,
            column: 1,
        }
    }

    /// Where it is; each byte is counted once.
    fn spot(&mut self) -> Spot {
        let new = self.text.get(self.counted..self.at).unwrap_or_default();
        for character in new.chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 0;
            }
            self.column += 1;
        }
        self.counted = self.at;
        Spot {
            line: self.line,
            column: Some(self.column),
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_ascii_start().len();
    }

    /// Takes this byte, and blanks after it.
    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.at += 1;
            self.blanks();
        }
        is_there
    }

    /// Goes through a list; `item` goes through each item. What is no list is gone through as a whole.
    fn list(&mut self, item: &mut dyn FnMut(&mut Self)) {
        if !self.take(b'[') {
            self.value();
            return;
        }
        while !self.take(b']') && self.peek().is_some() {
            let before = self.at;
            item(self);
            self.take(b',');
            if self.at == before {
                return;
            }
        }
    }

    /// Goes through an object.
    fn fields(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        if !self.take(b'{') {
            self.value();
            return fields;
        }
        while !self.take(b'}') && self.peek() == Some(b'"') {
            let key = self.spot();
            let name = self.string();
            self.take(b':');
            let value = self.spot();
            let mut items = Vec::new();
            self.list(&mut |scanner| {
                items.push(scanner.spot());
                scanner.value();
            });
            self.take(b',');
            fields.push(Field {
                name,
                key,
                value,
                items,
            });
        }
        fields
    }

    /// Goes through a string, and blanks after it.
    fn string(&mut self) -> String {
        let rest = self.rest().as_bytes();
        let mut end = 1;
        while let Some(byte) = rest.get(end) {
            end += match byte {
                b'\\' => 2,
                b'"' => break,
                _ => 1,
            };
        }
        let quoted = self.rest().get(..=end).unwrap_or_else(|| self.rest());
        self.at += quoted.len();
        self.blanks();
        serde_json::from_str(quoted).unwrap_or_default()
    }

    /// Goes through any value, and blanks after it.
    fn value(&mut self) {
        match self.peek() {
            Some(b'[') => self.list(&mut Self::value),
            Some(b'{') => {
                self.fields();
            }
            Some(b'"') => {
                self.string();
            }
            _ => {
                let is_end = |c: char| c.is_ascii_whitespace() || ",]}".contains(c);
                let rest = self.rest();
                self.at += rest.find(is_end).unwrap_or(rest.len());
                self.blanks();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const TEXT: &str = r#"
[
  {"cert_name": "a\"]}", "x": {"y": [1, {"z": [[]]}]}, "names": ["a.test", "b.test"]},
  { "Names" : [ ] , "names": null, "n": -1.5e3 }, 7
]
"#;

    #[test]
    fn parts_are_found() {
        let places = Places::of(TEXT);
        let spot = |at: At| {
            let spot = places.spot(&at);
            (spot.line, spot.column.unwrap_or_default())
        };
        let item = |item| At {
            item: Some(item),
            ..At::field(0, "NAMES")
        };
        for (at, expected) in [
            (At::default(), (2, 1)),
            (At::entry(0), (3, 3)),
            (At::field(0, "cert_name"), (3, 4)),
            (At::field(0, "x"), (3, 26)),
            (item(0), (3, 66)),
            (item(1), (3, 76)),
            (item(2), (3, 65)),
            (At::field(0, "none"), (3, 3)),
            (At::field(1, "names"), (4, 21)),
            (At::entry(1), (4, 3)),
            (At::entry(2), (4, 51)),
            (At::entry(3), (2, 1)),
        ] {
            assert_eq!(spot(at.clone()), expected, "{at:?}");
        }
    }

    #[test]
    fn fields_that_stand_twice_are_found() {
        let places = Places::of(TEXT);
        let spot = Spot {
            line: 4,
            column: Some(21),
        };
        assert_eq!(places.repeated().collect::<Vec<_>>(), [(1, "names", spot)]);
    }

    #[test]
    fn what_is_no_list_of_objects_comes_to_an_end() {
        for text in [
            "",
            "7",
            "{}",
            "[",
            "[{\"a\"",
            "[1,2",
            "[\"\\",
            "}{",
            "[}",
            "[[[[",
            "[{\"a\":}",
        ] {
            let places = Places::of(text);
            assert_eq!(places.spot(&At::default()).line, 1, "{text}");
        }
    }
}
