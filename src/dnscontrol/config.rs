//! The configuration of a DNS repository: its zones, and its providers on demand.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

use crate::dnscontrol::creds::Creds;
use crate::dnscontrol::engine::{self, Limits, Script};
use crate::dnscontrol::ir::{Declaration, Ir};
use crate::dnscontrol::normalize;
use crate::model::hint::Hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Zone;

/// Where the configuration is and how it may run.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// DNS repository. Scripts read nothing outside it.
    pub(crate) root: PathBuf,
    /// dnsconfig.js, relative to `root` or absolute.
    pub(crate) config: PathBuf,
    /// creds.json, relative to `root` or absolute, or `!command args`, which is run in `root`.
    pub(crate) creds: String,
    /// `--variable`: global strings of the script.
    pub(crate) variables: Vec<(String, String)>,
    /// Output of `dnscontrol print-ir`, relative to `root` or absolute, in place of the script.
    pub(crate) ir: Option<PathBuf>,
    pub(crate) limits: Limits,
}

/// What a DNS repository declares.
#[derive(Debug)]
pub(crate) struct DnsConfig {
    /// In the order of declaration.
    pub(crate) zones: Vec<Zone>,
    declared: Vec<Declaration>,
    root: PathBuf,
    creds_source: String,
    /// Read when the first provider is asked for.
    creds: Mutex<Option<Creds>>,
}

impl DnsConfig {
    /// Runs the script, or reads the IR, and normalises what it declares. Blocks.
    ///
    /// creds.json is not read yet.
    pub(crate) fn load(source: &Source) -> Result<Self> {
        let (ir, shown) = match &source.ir {
            Some(file) => (read_ir(source, file)?, file),
            None => (evaluate(source)?, &source.config),
        };
        let zones =
            normalize::zones(&ir).with_context(|| format!("cannot use `{}`", shown.display()))?;
        Ok(Self {
            zones,
            declared: ir.dns_providers,
            root: source.root.clone(),
            creds_source: source.creds.clone(),
            creds: Mutex::new(None),
        })
    }

    /// The zone with the longest name of those that `name` is in; the first declared of equals.
    pub(crate) fn zone_for(&self, name: &DnsName) -> Option<&Zone> {
        self.zones
            .iter()
            .filter(|zone| name.is_in(&zone.name))
            // `max_by_key` would take the last of equals.
            .reduce(|best, zone| {
                if zone.name.as_str().len() > best.name.as_str().len() {
                    zone
                } else {
                    best
                }
            })
    }

    /// A provider with its credentials, from creds.json and the environment. Blocks the first time.
    ///
    /// Entries that nobody asks for may be missing or wrong.
    pub(crate) fn provider(&self, entry: &str) -> Result<ProviderEntry> {
        let declared = self
            .declared
            .iter()
            .find(|declared| declared.name == entry)
            .ok_or_else(|| anyhow!("the DNS provider `{entry}` is not declared"))
            .hint(|| format!("declare it with `NewDnsProvider(\"{entry}\")`"))?;
        let mut slot = self.creds.lock().unwrap_or_else(PoisonError::into_inner);
        let creds = match slot.take() {
            Some(creds) => creds,
            None => Creds::read(&self.creds_source, &self.root)?,
        };
        slot.insert(creds)
            .provider(declared, &|variable| env::var(variable).ok())
    }
}

fn evaluate(source: &Source) -> Result<Ir> {
    let json = engine::evaluate(&Script {
        root: source.root.clone(),
        config: source.config.clone(),
        variables: source.variables.clone(),
        limits: source.limits,
    })?;
    serde_json::from_str(&json).with_context(|| {
        format!(
            "`{}` declares something that has no meaning",
            source.config.display()
        )
    })
}

fn read_ir(source: &Source, file: &PathBuf) -> Result<Ir> {
    let shown = file.display();
    let bytes =
        fs::read(source.root.join(file)).with_context(|| format!("cannot read `{shown}`"))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("`{shown}` is not the output of `dnscontrol print-ir`"))
}
