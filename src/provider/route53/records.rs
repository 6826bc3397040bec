//! Records as Route 53 has them, as DNSControl compares them, and as a change replaces them.

use anyhow::{Context as _, Result, anyhow};

use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::rdata::canonical;
use crate::model::zone::Record;
use crate::provider::labels::full_owner;
use crate::provider::port::COMPARED;
use crate::provider::route53::xml::{Set, zone_file};
use crate::provider::rrset::TxtSet;

/// TTL of aliases, which have none of their own, as DNSControl has it.
const ALIAS_TTL: u32 = 300;

/// The set as a change can replace it.
pub(super) fn txt_set(name: DnsName, set: Set) -> Result<TxtSet> {
    let other = match (&set.alias, &set.identifier) {
        (Some(alias), _) => Some(format!("is an alias of `{}`", alias.target)),
        (None, Some(id)) => Some(format!("has a routing policy (record `{id}`)")),
        (None, None) if set.is_of_policy => Some("belongs to a traffic policy".to_owned()),
        (None, None) if set.health_check.is_some() => Some("has a health check".to_owned()),
        (None, None) => None,
    };
    if let Some(other) = other {
        return Err(with_hint(
            anyhow!("the TXT set of `{name}` {other}"),
            "a challenge needs a simple TXT record there; remove this one, or rename it",
        ));
    }
    Ok(TxtSet {
        ttl: set
            .ttl
            .with_context(|| format!("the TXT set of `{name}` has no TTL"))?,
        name,
        values: set.values,
    })
}

/// The records of a set, as DNSControl has them.
pub(super) fn records(set: &Set) -> Result<Vec<Record>> {
    if set.rtype == "SOA" || set.is_of_policy {
        return Ok(Vec::new());
    }
    let name = full_owner(&set.name)?;
    // Names are complete with and without their final dot.
    let canonical = |rtype: &str, text: &str| canonical(rtype, &zone_file(text), &DnsName::root());
    let mut records: Vec<Record> = if let Some(alias) = &set.alias {
        let data = format!(
            "{} {} zone_id={} evaluate_target_health={}",
            set.rtype,
            canonical("CNAME", &alias.target),
            alias.zone_id,
            alias.evaluates_health
        );
        vec![Record::new(name, "R53_ALIAS", ALIAS_TTL, data)]
    } else {
        let rtype = if set.rtype == "SPF" {
            "TXT"
        } else {
            &set.rtype
        };
        let ttl = set.ttl.unwrap_or(0);
        let record =
            |value: &String| Record::new(name.clone(), rtype, ttl, canonical(rtype, value));
        set.values.iter().map(record).collect()
    };
    if let Some(identifier) = &set.identifier {
        for record in &mut records {
            let mut add = |key: &str, value: Option<&String>| {
                let value = value.map(|value| (key.to_owned(), value.clone()));
                record.meta.extend(value);
            };
            add("r53_set_identifier", Some(identifier));
            add("r53_weight", set.weight.as_ref());
            add("r53_health_check_id", set.health_check.as_ref());
        }
    }
    Ok(records)
}

/// What DNSControl makes of a record before it compares.
pub(super) fn prepared(mut record: Record, zone_id: Option<&str>) -> Record {
    if record.rtype == "R53_ALIAS"
        && !record.data.contains(" zone_id=")
        && let Some(id) = zone_id
    {
        // An alias that names no zone points into its own.
        let health = " evaluate_target_health=";
        record.data = record
            .data
            .replace(health, &format!(" zone_id={id}{health}"));
    }
    let keys = ["r53_set_identifier", "r53_weight", "r53_health_check_id"];
    let compared: Vec<String> = keys
        .iter()
        .filter_map(|key| Some(format!("{key}={}", record.meta.get(*key)?)))
        .collect();
    if !compared.is_empty() {
        record.meta.insert(COMPARED.to_owned(), compared.join(","));
    }
    record
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::provider::route53::xml::Alias;

    fn set(rtype: &str, values: &[&str]) -> Set {
        Set {
            name: "*.a.test.".to_owned(),
            rtype: rtype.to_owned(),
            ttl: Some(60),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            alias: None,
            identifier: None,
            weight: None,
            health_check: None,
            is_of_policy: false,
        }
    }

    fn shown(set: &Set) -> Vec<String> {
        let records = records(set).unwrap();
        records.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn records_are_canonical() {
        for (rtype, value, expected) in [
            (
                "TXT",
                r#""a\040b" "\303\274""#,
                "TXT *.a.test \"a bü\" ttl=60",
            ),
            (
                "SPF",
                "\"v=spf1 -all\"",
                "TXT *.a.test \"v=spf1 -all\" ttl=60",
            ),
            ("CNAME", r"\052.B.test", "CNAME *.a.test *.b.test. ttl=60"),
            ("MX", "10 mail.test", "MX *.a.test 10 mail.test. ttl=60"),
            (
                "SRV",
                "1 2 5060 sip.test",
                "SRV *.a.test 1 2 5060 sip.test. ttl=60",
            ),
            ("AAAA", "2001:DB8:0::1", "AAAA *.a.test 2001:db8::1 ttl=60"),
        ] {
            assert_eq!(shown(&set(rtype, &[value])), [expected]);
        }
        assert!(shown(&set("SOA", &["x"])).is_empty());
        let policy = Set {
            is_of_policy: true,
            ..set("A", &["192.0.2.1"])
        };
        assert!(shown(&policy).is_empty());
    }

    #[test]
    fn aliases_point_into_their_own_zone_unless_they_say_another() {
        let alias = |data: &str| {
            let record = Record::new("a.test".parse().unwrap(), "R53_ALIAS", 300, data.to_owned());
            prepared(record, Some("Z1")).data
        };
        let own = "A b.test. zone_id=Z1 evaluate_target_health=false";
        assert_eq!(alias("A b.test. evaluate_target_health=false"), own);
        assert_eq!(alias(own), own);
        let other = "A b.test. zone_id=Z2 evaluate_target_health=true";
        assert_eq!(alias(other), other);
    }

    #[test]
    fn weights_count() {
        let weighted = Set {
            identifier: Some("blue".to_owned()),
            weight: Some("5".to_owned()),
            ..set("A", &["192.0.2.1"])
        };
        let record = records(&weighted).unwrap().remove(0);
        let compared = |record: Record| prepared(record, None).meta.remove(COMPARED);
        assert_eq!(
            compared(record.clone()).as_deref(),
            Some("r53_set_identifier=blue,r53_weight=5")
        );
        // As dnsconfig.js declares it.
        let mut declared = Record::new(record.name.clone(), "A", 60, record.data.clone());
        for (key, value) in [("r53_weight", "5"), ("r53_set_identifier", "blue")] {
            declared.meta.insert(key.to_owned(), value.to_owned());
        }
        assert_eq!(compared(declared), compared(record));
        assert_eq!(
            compared(records(&set("A", &["192.0.2.1"])).unwrap().remove(0)),
            None
        );
    }

    #[test]
    fn only_simple_sets_are_changed() {
        let problem = |set: Set| {
            let error = txt_set("a.test".parse().unwrap(), set).unwrap_err();
            error.to_string()
        };
        let txt = || set("TXT", &["\"x\""]);
        assert_eq!(
            txt_set("a.test".parse().unwrap(), txt()).unwrap().values,
            ["\"x\""]
        );
        assert_eq!(
            problem(Set {
                identifier: Some("blue".to_owned()),
                ..txt()
            }),
            "the TXT set of `a.test` has a routing policy (record `blue`)"
        );
        assert_eq!(
            problem(Set {
                is_of_policy: true,
                ..txt()
            }),
            "the TXT set of `a.test` belongs to a traffic policy"
        );
        assert_eq!(
            problem(Set {
                health_check: Some("h".to_owned()),
                ..txt()
            }),
            "the TXT set of `a.test` has a health check"
        );
        let alias = Alias {
            zone_id: "Z".to_owned(),
            target: "b.test.".to_owned(),
            evaluates_health: false,
        };
        assert_eq!(
            problem(Set {
                alias: Some(alias),
                ttl: None,
                ..txt()
            }),
            "the TXT set of `a.test` is an alias of `b.test.`"
        );
    }
}
