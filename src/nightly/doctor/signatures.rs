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
