//! Tables of address ranges (`IMPORT_TRANSFORM`, the modifier `transform`) and what they make.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};

use crate::dnscontrol::checks::place;
use crate::dnscontrol::ir::{Domain, Ir, Record};
use crate::dnscontrol::normalize::{ZoneName, in_place};

/// What addresses from `low` to `high` become.
struct Range {
    low: u32,
    high: u32,
    /// First addresses of ranges of the same size.
    bases: Vec<u32>,
    /// Addresses that take the place of each.
    addresses: Vec<Ipv4Addr>,
}

/// Replaces `IMPORT_TRANSFORM` records by records of the domains that they name.
pub(super) fn import(ir: &mut Ir) -> Result<()> {
    let imports = |domain: &Domain| domain.records.iter().any(is_import);
    if !ir.domains.iter().any(imports) {
        return Ok(());
    }
    let indexes: HashMap<String, usize> = ir
        .domains
        .iter()
        .enumerate()
        .rev()
        .map(|(index, domain)| (domain.name.clone(), index))
        .collect();
    for index in 0..ir.domains.len() {
        let wanted: Vec<Record> = match ir.domains.get(index) {
            Some(domain) => domain
                .records
                .iter()
                .filter(|item| is_import(item))
                .cloned()
                .collect(),
            None => Vec::new(),
        };
        for item in wanted {
            let made = match indexes
                .get(&item.target)
                .and_then(|from| ir.domains.get(*from))
            {
                Some(source) => imported(&item, source, ir.domains.get(index)),
                None => bail!(
                    "{}IMPORT_TRANSFORM names `{}`, which is not declared",
                    place(&item.filepos),
                    item.target
                ),
            };
            let made = made.with_context(|| {
                format!(
                    "{}IMPORT_TRANSFORM of `{}`",
                    place(&item.filepos),
                    item.target
                )
            })?;
            if let Some(domain) = ir.domains.get_mut(index) {
                domain.records.extend(made);
            }
        }
    }
    for domain in &mut ir.domains {
        domain.records.retain(|item| !is_import(item));
    }
    Ok(())
}

fn is_import(item: &Record) -> bool {
    item.rtype == "IMPORT_TRANSFORM"
}

/// The A and CNAME records of `source` as records of `target`: their whole names become labels.
fn imported(item: &Record, source: &Domain, target: Option<&Domain>) -> Result<Vec<Record>> {
    let target = target.context("the domain is gone")?;
    let table = table(item.meta("transform_table").unwrap_or_default())?;
    let strip = item.meta("transform_suffixstrip").unwrap_or_default();
    let zone = ZoneName::new(&source.name);
    let mut there: HashSet<(&str, String)> = target
        .records
        .iter()
        .map(|record| (record.rtype.as_str(), record.name.clone()))
        .collect();
    let mut made = Vec::new();
    for record in &source.records {
        let name = zone.qualified(&record.name);
        let name = name.trim_end_matches('.');
        let skipped = record
            .meta("import_transform_skip")
            .is_some_and(|skip| !skip.is_empty());
        if skipped || there.contains(&(record.rtype.as_str(), name.to_owned())) {
            continue;
        }
        if !matches!(record.rtype.as_str(), "A" | "CNAME") {
            continue;
        }
        let label = stripped(name, strip)?;
        there.insert((record.rtype.as_str(), label.to_owned()));
        let copy = |target: String| Record {
            name: label.to_owned(),
            target,
            ttl: if item.ttl == 0 { record.ttl } else { item.ttl },
            ..record.clone()
        };
        if record.rtype == "A" {
            let addresses = transformed(record.target.parse()?, &table);
            made.extend(addresses.iter().map(|address| copy(address.to_string())));
        } else {
            let suffix = target.name.strip_prefix(&format!("{strip}."));
            let suffix = suffix.unwrap_or(&target.name);
            made.push(copy(format!("{}{suffix}.", zone.qualified(&record.target))));
        }
    }
    Ok(made)
}

fn stripped<'a>(name: &'a str, suffix: &str) -> Result<&'a str> {
    if suffix.is_empty() {
        return Ok(name);
    }
    name.strip_suffix(suffix)
        .and_then(|rest| rest.strip_suffix('.'))
        .with_context(|| format!("`{name}` does not end with `.{suffix}`"))
}

/// Applies the modifier `transform` to A records.
pub(super) fn apply(ir: &mut Ir) -> Result<()> {
    for domain in &mut ir.domains {
        let mut more = Vec::new();
        let zone = ZoneName::new(&domain.name);
        for item in &mut domain.records {
            if item.rtype == "A" && item.meta.contains_key("transform") {
                in_place(item, &zone, |item| {
                    more.extend(with_addresses(item)?);
                    Ok(())
                })?;
            }
        }
        domain.records.extend(more);
    }
    Ok(())
}

/// Gives `item` its first new address; copies have the others.
fn with_addresses(item: &mut Record) -> Result<Vec<Record>> {
    let table = table(item.meta("transform").unwrap_or_default())?;
    let mut addresses = transformed(item.target.parse()?, &table).into_iter();
    if let Some(first) = addresses.next() {
        item.target = first.to_string();
    }
    Ok(addresses
        .map(|address| Record {
            target: address.to_string(),
            ..item.clone()
        })
        .collect())
}

fn transformed(address: Ipv4Addr, table: &[Range]) -> Vec<Ipv4Addr> {
    let number = u32::from(address);
    let range = table
        .iter()
        .find(|range| (range.low..=range.high).contains(&number));
    match range {
        None => vec![address],
        Some(range) if !range.addresses.is_empty() => range.addresses.clone(),
        Some(range) => {
            let offset = number - range.low;
            let moved = |base: &u32| Ipv4Addr::from(base.wrapping_add(offset));
            range.bases.iter().map(moved).collect()
        }
    }
}

/// Reads what `format_tt` of helpers.js writes: `low ~ high ~ bases ~ addresses ; ...`.
fn table(text: &str) -> Result<Vec<Range>> {
    text.split(';').map(range).collect()
}

fn range(row: &str) -> Result<Range> {
    let cells: Vec<&str> = row.split('~').map(str::trim).collect();
    let [low, high, bases, addresses] = cells.as_slice() else {
        bail!("the row `{}` of the table has not 4 columns", row.trim());
    };
    let range = Range {
        low: address(low)?.into(),
        high: address(high)?.into(),
        bases: list(bases)?.into_iter().map(u32::from).collect(),
        addresses: list(addresses)?,
    };
    ensure!(
        range.low <= range.high,
        "the table has a range from {low} down to {high}"
    );
    ensure!(
        range.bases.is_empty() || range.addresses.is_empty(),
        "the table has both `newBase` and `newIP` for {low} to {high}"
    );
    Ok(range)
}

fn list(text: &str) -> Result<Vec<Ipv4Addr>> {
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(address)
        .collect()
}

fn address(text: &str) -> Result<Ipv4Addr> {
    text.parse()
        .with_context(|| format!("`{text}` in the table is not an IPv4 address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_applied() {
        let table =
            table("1.0.0.0 ~ 1.0.0.9 ~ 2.0.0.0,3.0.0.0 ~  ; 1.0.1.0 ~ 1.0.1.0 ~  ~ 9.9.9.9")
                .unwrap();
        let of = |text: &str| -> Vec<String> {
            let made = transformed(text.parse().unwrap(), &table);
            made.iter().map(ToString::to_string).collect()
        };
        assert_eq!(of("1.0.0.3"), ["2.0.0.3", "3.0.0.3"]);
        assert_eq!(of("1.0.1.0"), ["9.9.9.9"]);
        assert_eq!(of("8.8.8.8"), ["8.8.8.8"]);
    }

    #[test]
    fn bad_tables_are_refused() {
        for (text, expected) in [
            (
                "1.0.0.0 ~ 1.0.0.9",
                "the row `1.0.0.0 ~ 1.0.0.9` of the table has not 4 columns",
            ),
            ("x ~ 1.0.0.9 ~ ~", "`x` in the table is not an IPv4 address"),
            (
                "1.0.0.9 ~ 1.0.0.0 ~ ~",
                "the table has a range from 1.0.0.9 down to 1.0.0.0",
            ),
            (
                "1.0.0.0 ~ 1.0.0.9 ~ 2.0.0.0 ~ 3.0.0.0",
                "the table has both `newBase` and `newIP` for 1.0.0.0 to 1.0.0.9",
            ),
        ] {
            assert_eq!(table(text).map(|_| ()).unwrap_err().to_string(), expected);
        }
    }
}
