//! Numbers and lists in messages.

use std::fmt::Display;

/// How many names of a list are shown.
const SHOWN: usize = 5;

/// A number and its noun: `1 certificate`, `2 certificates`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

/// The first names, and how many there are besides: `` `a`, `b` and 2 more ``.
pub(crate) fn first_of<N: Display>(names: &[N]) -> String {
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_nouns() {
        let counted = [0, 1, 2].map(|number| count(number, "order"));
        assert_eq!(counted, ["0 orders", "1 order", "2 orders"]);
    }

    #[test]
    fn five_names_are_shown_at_most() {
        let names: Vec<_> = (1..=7).map(|number| format!("c{number}")).collect();
        assert_eq!(first_of(&names[..2]), "`c1`, `c2`");
        assert_eq!(first_of(&names[..5]), "`c1`, `c2`, `c3`, `c4`, `c5`");
        assert_eq!(first_of(&names), "`c1`, `c2`, `c3`, `c4`, `c5` and 2 more");
    }
}
