//! Whether a validating resolver, such as the CA's, believes what the name servers of a zone say.

use anyhow::anyhow;
use time::OffsetDateTime;

use crate::dns::dnssec::{self, Break, Flaw, Trust};
use crate::dns::lookup::{Lookup, NameServer};
use crate::model::checkup::{Finding, Subject};
use crate::model::hint::with_hint;
use crate::model::zone::Zone;

/// Follows the chain of trust to each server of the zone.
pub(super) async fn look(zone: &Zone, servers: &[NameServer], lookup: &Lookup) -> Vec<Finding> {
    let now = OffsetDateTime::now_utc();
    let subject = || Subject::Zone(zone.unique_name());
    match dnssec::trust(lookup, &zone.name, servers, now).await {
        Err(error) => vec![Finding::warning(subject(), error)],
        Ok(Trust::Good) => Vec::new(),
        Ok(Trust::None { to_add }) if to_add.is_empty() => Vec::new(),
        Ok(Trust::None { to_add }) => {
            let error = anyhow!(
                "zone `{}` is signed, but nobody checks it: its parent has no DS record",
                zone.name
            );
            let hint = format!("to have it checked, {}", add(zone, &to_add));
            vec![Finding::note(subject(), with_hint(error, hint))]
        }
        Ok(Trust::Broken(breaks)) => breaks
            .iter()
            .map(|one| Finding::error(subject(), broken(zone, one)))
            .collect(),
    }
}

fn broken(zone: &Zone, one: &Break) -> anyhow::Error {
    let name = &zone.name;
    let error = anyhow!("the CA will not believe zone `{name}`, which DNSSEC protects: {one}");
    let hint = match &one.flaw {
        Flaw::NoKeys => format!(
            "sign the zone there (`AUTODNSSEC_ON` in `D(\"{}\", ...)`, where the provider can), or take the DS records of `{name}` out at its registrar",
            zone.unique_name()
        ),
        Flaw::OtherKeys(_) if !one.to_add.is_empty() => add(zone, &one.to_add),
        Flaw::OtherKeys(_) => {
            format!("take the DS records of `{name}` out at its registrar, or bring the key back")
        }
        Flaw::Unsigned(_) | Flaw::Wrong(_) => "let the name server sign the zone anew".to_owned(),
        Flaw::Expired(..) => {
            "let the name server sign the zone anew: it has stopped to do so by itself".to_owned()
        }
        Flaw::Early(..) => "check the clocks of the name server and of this machine".to_owned(),
    };
    with_hint(error, hint)
}

fn add(zone: &Zone, ds: &[String]) -> String {
    let records: Vec<_> = ds
        .iter()
        .map(|ds| format!("`{} DS {ds}`", zone.name.fqdn()))
        .collect();
    format!(
        "give the registrar (the parent zone) {}",
        records.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use anyhow::Error;
    use hickory_proto::rr::RecordType;
    use pretty_assertions::assert_eq;
    use time::macros::datetime;

    use super::*;
    use crate::model::hint::{Shared, explain};

    #[test]
    fn each_break_has_its_remedy() {
        let zone = Zone::undeclared("x.test".parse().unwrap(), String::new(), Vec::new());
        let (soa, at) = (RecordType::SOA, datetime!(2026-11-26 10:00 UTC));
        let told = |flaw, to_add: &[&str]| {
            let one = Break {
                who: vec!["ns1 (1)".to_owned(), "ns2 (2)".to_owned()],
                flaw,
                to_add: to_add.iter().map(|ds| (*ds).to_owned()).collect(),
            };
            let explained = explain(&Error::new(Shared::new(broken(&zone, &one))));
            let what =
                "the CA will not believe zone `x.test`, which DNSSEC protects: ns1 (1), ns2 (2) ";
            let what = explained.what.strip_prefix(what).unwrap().to_owned();
            format!("{what}: {}", explained.hints.join(" "))
        };
        for (flaw, to_add, expected) in [
            (
                Flaw::NoKeys,
                &[][..],
                "has no DNSKEY records: sign the zone there (`AUTODNSSEC_ON` in `D(\"x.test\", ...)`, where the provider can), or take the DS records of `x.test` out at its registrar",
            ),
            (
                Flaw::OtherKeys(vec![1, 2]),
                &["7 13 2 AB"],
                "has no key with the tag 1 or 2: give the registrar (the parent zone) `x.test. DS 7 13 2 AB`",
            ),
            (
                Flaw::OtherKeys(vec![1]),
                &[],
                "has no key with the tag 1: take the DS records of `x.test` out at its registrar, or bring the key back",
            ),
            (
                Flaw::Unsigned(soa),
                &[],
                "does not sign its SOA records: let the name server sign the zone anew",
            ),
            (
                Flaw::Wrong(soa),
                &[],
                "has SOA records whose signature is wrong: let the name server sign the zone anew",
            ),
            (
                Flaw::Expired(soa, at),
                &[],
                "has SOA records whose signature expired on 2026-11-26: let the name server sign the zone anew: it has stopped to do so by itself",
            ),
            (
                Flaw::Early(soa, at),
                &[],
                "has SOA records whose signature is not valid before 2026-11-26: check the clocks of the name server and of this machine",
            ),
        ] {
            assert_eq!(told(flaw, to_add), expected);
        }
    }
}
