//! Challenge values by the zone that they are written to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dns::wait::Expectation;
use crate::model::change::Txt;
use crate::model::name::DnsName;
use crate::nightly::challenge::Placement;
use crate::nightly::zones::ReadyZone;

/// The values of a zone.
pub(super) type Group = (Arc<ReadyZone>, Vec<Txt>);

pub(super) type Groups = BTreeMap<String, Group>;

pub(super) fn by_zone(placements: Vec<Placement>) -> Groups {
    let mut groups = Groups::new();
    for Placement { zone, txt } in placements {
        let (_, values) = groups
            .entry(zone.unique_name.clone())
            .or_insert_with(|| (zone, Vec::new()));
        if !values.contains(&txt) {
            values.push(txt);
        }
    }
    groups
}

pub(super) fn by_name(values: &[Txt]) -> BTreeMap<DnsName, BTreeSet<String>> {
    let mut names = BTreeMap::new();
    for txt in values {
        names
            .entry(txt.name.clone())
            .or_insert_with(BTreeSet::new)
            .insert(txt.value.clone());
    }
    names
}

/// The values that an expectation is about.
pub(super) fn values_of(expectation: &Expectation) -> impl Iterator<Item = Txt> {
    let name = expectation.name.clone();
    let values = expectation.values.clone().into_iter();
    values.map(move |value| Txt {
        name: name.clone(),
        value,
    })
}

pub(super) fn zones_by_name(groups: &Groups) -> BTreeMap<&DnsName, &Arc<ReadyZone>> {
    let each = groups.values();
    each.flat_map(|(zone, values)| values.iter().map(move |txt| (&txt.name, zone)))
        .collect()
}

/// Names that are waited for, by zone.
pub(super) fn names_by_zone(
    expectations: &[Expectation],
    zones: &BTreeMap<&DnsName, &Arc<ReadyZone>>,
) -> BTreeMap<String, BTreeSet<DnsName>> {
    let mut open = BTreeMap::new();
    for Expectation { name, .. } in expectations {
        if let Some(zone) = zones.get(name) {
            let names: &mut BTreeSet<_> = open.entry(zone.unique_name.clone()).or_default();
            names.insert(name.clone());
        }
    }
    open
}
