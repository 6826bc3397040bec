//! Labels of records, relative to their zone, where the apex is the empty one.

use anyhow::{Context as _, Result};

use crate::model::name::DnsName;

/// The label of a name in its zone; empty at the apex.
pub(super) fn label<'a>(name: &'a DnsName, zone: &DnsName) -> &'a str {
    let label = name.label_in(zone).filter(|label| *label != "@");
    label.unwrap_or_default()
}

/// The name that a label stands for: the empty one and `@` for the zone itself.
pub(super) fn owner(label: &str, zone: &DnsName) -> Result<DnsName> {
    let owner = match label {
        "" | "@" => Ok(zone.clone()),
        label => DnsName::within(label, zone),
    };
    owner.with_context(|| format!("the zone has a record at `{label}`"))
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
        assert_eq!(owner("@", &zone).unwrap(), zone);
        let error = owner("a..b", &zone).unwrap_err();
        assert_eq!(error.to_string(), "the zone has a record at `a..b`");
    }
}
