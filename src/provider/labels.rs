//! Names of records as APIs have them: labels relative to their zone, or names in full.

use anyhow::{Context as _, Result};

use crate::model::name::DnsName;

/// The label of a name in its zone; empty at the apex.
pub(super) fn label<'a>(name: &'a DnsName, zone: &DnsName) -> &'a str {
    let label = name.label_in(zone).filter(|label| *label != "@");
    label.unwrap_or_default()
}

/// The name that a label stands for: the empty one and `@` for the zone itself; what ends with a
/// dot is a name in full.
pub(super) fn owner(label: &str, zone: &DnsName) -> Result<DnsName> {
    match label {
        "" | "@" => Ok(zone.clone()),
        full if full.ends_with('.') => full_owner(full),
        label => DnsName::within(label, zone).with_context(|| record_at(label)),
    }
}

/// A name in full, with or without its final dot.
pub(super) fn full_owner(name: &str) -> Result<DnsName> {
    name.parse().with_context(|| record_at(name))
}

fn record_at(name: &str) -> String {
    format!("the zone has a record at `{name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apex_has_no_label() {
        let zone: DnsName = "example.test".parse().unwrap();
        let names = ["example.test", "*.a.example.test"];
        for (name, expected) in names
            .map(|name| name.parse().unwrap())
            .iter()
            .zip(["", "*.a"])
        {
            assert_eq!(label(name, &zone), expected);
            assert_eq!(owner(expected, &zone).unwrap(), *name);
        }
    }

    #[test]
    fn owners_are_below_the_zone() {
        let zone = "a.test".parse().unwrap();
        for (label, expected) in [
            ("@", "a.test"),
            ("", "a.test"),
            ("X.y", "x.y.a.test"),
            ("x.a.test.", "x.a.test"),
        ] {
            assert_eq!(owner(label, &zone).unwrap().as_str(), expected);
        }
        assert_eq!(full_owner("X.a.test").unwrap().as_str(), "x.a.test");
        for error in [owner("a..b", &zone), full_owner("a..b")] {
            let error = error.unwrap_err();
            assert_eq!(error.to_string(), "the zone has a record at `a..b`");
        }
    }
}
