//! What does not fit together in the two repositories is an error before anything is done.

use std::collections::BTreeSet;
use std::fmt::Display;

use anyhow::{Context, Error, Result, anyhow};

use crate::acme::presets::Directory;
use crate::dns::rules::Rules;
use crate::dnscontrol::DnsConfig;
use crate::model::certificate::{Profile, Wanted};
use crate::model::hint::{Hint, Shared, with_hint};
use crate::model::name::Identifier;
use crate::model::outcome::Verdicts;
use crate::model::wording::first_of;
use crate::model::zone::Zone;
use crate::nightly::patterns::NeverCount;

/// Certificates with names in no zone, due or not: a typing error is found the day it is made.
pub(super) fn astray(wanted: &[Wanted], dns: &DnsConfig) -> Verdicts {
    let each = wanted.iter().filter_map(|wanted| {
        let names: Vec<_> = in_no_zone(wanted, dns).map(|(_, name)| name).collect();
        let error = without_zone(&names, dns)?;
        Some((wanted.name.clone(), Shared::new(error)))
    });
    each.collect()
}

/// The same name by name, with their positions in the certificate.
pub(super) fn each_in_no_zone(wanted: &Wanted, dns: &DnsConfig) -> Vec<(usize, Error)> {
    let each = in_no_zone(wanted, dns)
        .filter_map(|(position, name)| Some((position, without_zone(&[name], dns)?)));
    each.collect()
}

fn in_no_zone<'w>(
    wanted: &'w Wanted,
    dns: &DnsConfig,
) -> impl Iterator<Item = (usize, &'w Identifier)> {
    let names = wanted.identifiers.iter().enumerate();
    names.filter(|(_, name)| dns.zone_for(&name.challenge_name()).is_none())
}

/// What to say of names in no zone; none if there is no such name.
fn without_zone(names: &[&Identifier], dns: &DnsConfig) -> Option<Error> {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let verb = match names {
        [] => return None,
        [_] => "is",
        _ => "are",
    };
    let what = anyhow!(
        "{} {verb} in no zone of the DNS repository",
        quoted.join(", ")
    );
    let zones: Vec<_> = dns.zones.iter().map(Zone::unique_name).collect();
    let hint = format!(
        "declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, or take the name out of the list; {}",
        declared("zone", &zones)
    );
    Some(with_hint(what, hint))
}

/// A CA that does not exist is found the day it is named.
pub(super) fn every_ca_is_one(wanted: &[Wanted]) -> Result<()> {
    wanted.iter().try_for_each(ca_is_one)
}

pub(super) fn ca_is_one(wanted: &Wanted) -> Result<()> {
    ca_of(&format!("certificate `{}`", wanted.name), wanted)
}

/// The same for a certificate that need not have a name. `subject`: what is spoken of.
pub(super) fn ca_of(subject: &str, wanted: &Wanted) -> Result<()> {
    if let Some(acme) = &wanted.acme {
        acme.parse::<Directory>()
            .with_context(|| format!("cannot use `acme` of {subject}"))
            .hint(|| "it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory")?;
    }
    Ok(())
}

/// A misspelt entry would be written to.
pub(super) fn every_skipped_entry_declared(skip: &BTreeSet<String>, dns: &DnsConfig) -> Result<()> {
    let entries: Vec<_> = dns.entries().collect();
    match skip.iter().find(|entry| !entries.contains(&entry.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(with_hint(
            anyhow!("`--skip {unknown}` is no DNS provider of the DNS repository"),
            declared("DNS provider", &entries),
        )),
    }
}

fn declared<N: Display>(what: &str, names: &[N]) -> String {
    match names {
        [] => format!("no {what} is declared"),
        names => format!("declared: {}", first_of(names)),
    }
}

/// A setting of a zone that does not exist would be of no effect, and nobody would know.
pub(super) fn every_setting_of_a_zone(rules: &Rules, dns: &DnsConfig) -> Result<()> {
    let zones: Vec<_> = dns.all_zones().map(Zone::unique_name).collect();
    match rules.zones.keys().find(|name| !zones.contains(name)) {
        Some(name) => Err(with_hint(
            anyhow!(
                "`[zones.\"{name}\"]` in `git-certs.toml` is no zone of the DNS repository, nor of `challenge-zones`"
            ),
            declared("zone", &zones),
        )),
        None => Ok(()),
    }
}

/// What to say of patterns that fit no zone: they are of no effect.
pub(super) fn patterns_without_a_zone(patterns: &[NeverCount], dns: &DnsConfig) -> Vec<String> {
    let is_astray = |pattern: &&NeverCount| {
        let mut zones = dns.zones.iter();
        !zones.any(|zone| pattern.may_cover_in(&zone.name))
    };
    let astray = patterns.iter().filter(is_astray);
    let told = astray.map(|pattern| {
        format!("`{pattern}` of `never-count` fits no name in a zone of the DNS repository")
    });
    told.collect()
}

/// What to say of a certificate whose preferred profile the CA does not have; `asked` for is another, or none.
pub(super) fn without_profile(wanted: &Wanted, asked: Option<&str>) -> Option<String> {
    match &wanted.profile {
        Some(Profile::Preferred(name)) if asked != Some(name) => Some(format!(
            "certificate `{}`: the CA does not have the profile `{name}`: it is issued as the CA does without one",
            wanted.name
        )),
        _ => None,
    }
}
