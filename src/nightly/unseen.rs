//! What is said of challenges that are not seen, and of those that cannot be withdrawn.

use anyhow::Error;

use crate::dns::present;
use crate::model::change::{Effect, FailedChange, Txt};
use crate::model::hint::{find, with_hint};
use crate::nightly::zones::{ReadyZone, ZoneAccess};
use crate::provider::port::Unread;

/// What a change that failed has done, where that is known.
pub(super) fn effect(error: &Error) -> Option<Effect> {
    find::<FailedChange>(error).map(|failed| failed.effect)
}

/// What helps where name servers have not read what was written: their serials tell.
pub(super) async fn unread(zone: &ReadyZone) -> Option<String> {
    let written = |access: &ZoneAccess| access.provider.unread(zone.reference());
    let Unread { serial, remedy } = zone.providers.iter().find_map(written)?;
    let served = present::serials(&zone.name, &zone.view.servers).await;
    let others = served.iter().filter(|(_, served)| *served != serial);
    let others: Vec<_> = others
        .map(|(who, served)| format!("{who} serves {served}"))
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "the zone was written with the SOA serial {serial}, and {}: {remedy}",
            others.join(", ")
        )
    })
}

/// The error of values that could not be withdrawn from a zone at one provider.
pub(super) fn not_withdrawn(
    zone: &ReadyZone,
    access: &ZoneAccess,
    values: &[Txt],
    error: Error,
) -> Error {
    let place = format!("zone `{}` at `{}`", zone.unique_name, access.entry);
    let list = list(values);
    match effect(&error) {
        Some(Effect::Untold) => with_hint(
            error.context(format!(
                "challenges are withdrawn from {place}, but its name servers may still show them:{list}"
            )),
            "let the name servers read the zone again; they do no harm to certificates",
        ),
        _ => with_hint(
            error.context(format!("cannot withdraw challenges from {place}:{list}")),
            "remove what is there of them by hand; they do no harm to certificates",
        ),
    }
}

/// The values, each on a line of its own.
pub(super) fn list(values: &[Txt]) -> String {
    values.iter().map(|txt| format!("\n{txt}")).collect()
}

/// What helps if name servers do not show a value in time.
pub(super) fn what_to_set(zone: &ReadyZone) -> String {
    let table = format!("`[zones.\"{}\"]` in `git-certs.toml`", zone.unique_name);
    if zone.skipped.is_empty() {
        return format!(
            "{table} can give the zone more time (`dns-timeout`), and name servers that the CA need not ask (`ignore-servers`)"
        );
    }
    let entries: Vec<_> = zone
        .skipped
        .iter()
        .map(|entry| format!("`{entry}`"))
        .collect();
    format!(
        "`--skip` leaves out {}, whose name servers get no value: {table} can name them in `ignore-servers`; the CA may ask them all the same",
        entries.join(", ")
    )
}
