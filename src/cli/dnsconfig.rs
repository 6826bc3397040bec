//! What dnsconfig.js is read with: its place, what it may use, and zones beside it.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::cli::dns_arguments::PrintIr;
use crate::cli::name_servers;
use crate::cli::settings::{Entries, Settings};
use crate::dnscontrol::{Limits, Source, TxtLookup};
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::Zone;
use crate::nightly::workspaces::DnsFolder;

/// DNSControl's name for its configuration.
pub(super) const FILE: &str = "dnsconfig.js";

/// The configuration in the current folder, for `print-ir`.
pub(super) fn source_here(arguments: &PrintIr) -> Result<Source> {
    let settings = Settings {
        config: arguments.config.clone(),
        ir: arguments.ir.clone(),
        variable: arguments.variable.clone(),
        js_timeout: arguments.js_timeout,
        js_memory: arguments.js_memory,
        js_stack: arguments.js_stack,
        allow_fetch: arguments.allow_fetch,
        resolver: arguments.resolver.clone(),
        ..Settings::default()
    };
    let here = DnsFolder {
        path: std::path::absolute(".").context("cannot use the current folder")?,
        is_temporary: false,
    };
    source(&settings, &here)
}

pub(super) fn source(settings: &Settings, dns: &DnsFolder) -> Result<Source> {
    let config = settings.config.clone().unwrap_or_else(|| FILE.into());
    // A configuration elsewhere brings its own surroundings.
    let root = match config.parent() {
        Some(parent) if config.is_absolute() && !config.starts_with(&dns.path) => parent.to_owned(),
        _ => dns.path.clone(),
    };
    Ok(Source {
        root,
        config,
        creds: settings
            .creds
            .clone()
            .unwrap_or_else(|| "creds.json".into()),
        variables: settings
            .variable
            .iter()
            .flatten()
            .map(|text| variable(text))
            .collect::<Result<_>>()?,
        ir: settings.ir.clone(),
        allow_fetch: settings.allow_fetch.unwrap_or_default(),
        txt: TxtLookup::At(name_servers::recursive(settings)?),
        challenge_zones: challenge_zones(settings)?,
        limits: limits(settings),
    })
}

fn limits(settings: &Settings) -> Limits {
    let bytes = |mebibytes: NonZeroU32| {
        let mebibytes = usize::try_from(mebibytes.get()).unwrap_or(usize::MAX);
        mebibytes.saturating_mul(1 << 20)
    };
    let default = Limits::default();
    let seconds = |seconds: NonZeroU32| Duration::from_secs(seconds.get().into());
    Limits {
        memory: settings.js_memory.map_or(default.memory, bytes),
        time: settings.js_timeout.map_or(default.time, seconds),
        stack: settings.js_stack.map_or(default.stack, bytes),
    }
}

/// `challenge-zones`: each zone once, its name perhaps with a tag as in `D()`.
fn challenge_zones(settings: &Settings) -> Result<Vec<Zone>> {
    let mut zones: Vec<Zone> = Vec::new();
    for (key, entries) in settings.challenge_zones.iter().flatten() {
        let (name, tag) = key.split_once('!').unwrap_or((key, ""));
        let entries = match entries {
            Entries::One(entry) => vec![entry.clone()],
            Entries::Several(entries) => entries.clone(),
        };
        if entries.is_empty() || entries.iter().any(String::is_empty) {
            return Err(anyhow!("`{key}` in `challenge-zones` has no entry"))
                .hint(|| "name the entry of creds.json whose provider serves the zone");
        }
        let name: DnsName = name
            .parse()
            .with_context(|| format!("`{key}` in `challenge-zones` names no zone"))?;
        if zones.iter().any(|zone| zone.name == name) {
            return Err(anyhow!("`{name}` is in `challenge-zones` twice"))
                .hint(|| "give all its entries in one list");
        }
        zones.push(Zone::undeclared(name, tag.to_owned(), entries));
    }
    Ok(zones)
}

fn variable(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some(("", _)) => Err(with_hint(
            anyhow!("`--variable {text}` has no name"),
            "write `--variable KEY=VALUE`",
        )),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(with_hint(
            anyhow!("`--variable {text}` has no value"),
            "write `--variable KEY=VALUE`",
        )),
    }
}
