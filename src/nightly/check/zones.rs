//! dnsconfig.js is loaded, and names and settings are compared with its zones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Error;

use crate::dns::rules::Rules;
use crate::dnscontrol::{DnsConfig, Source};
use crate::model::diagnostic::{Diagnostic, Located, Place, Rule, Spot};
use crate::model::hint::find;
use crate::nightly::check::certs::List;
use crate::nightly::fits;
use crate::nightly::patterns::{Ignored, NeverCount};

/// Where people see the files of the DNS repository.
pub(crate) enum Shown {
    /// Below this folder: with a final `/`, or empty.
    Folder(String),
    /// Nowhere: it is a clone of ours.
    Nowhere,
}

/// The DNS repository, and settings that are about it.
pub(crate) struct Dns {
    pub(crate) source: Source,
    pub(crate) shown: Shown,
    /// None: they cannot be used.
    pub(crate) rules: Option<Rules>,
    pub(crate) never_count: Vec<NeverCount>,
    pub(crate) skip: BTreeSet<String>,
    /// Where settings stand.
    pub(crate) places: BTreeMap<String, Place>,
}

impl Dns {
    /// Loads dnsconfig.js, and compares names and settings with its zones.
    pub(super) fn compare(&self, list: &List) -> Vec<Diagnostic> {
        let dns = match DnsConfig::load(&self.source) {
            Ok(dns) => dns,
            Err(error) => {
                return vec![Diagnostic::error(
                    Rule::DnsConfig,
                    self.place(&error),
                    &error,
                )];
            }
        };
        let mut all = Vec::new();
        for found in list.certificates() {
            for (position, error) in fits::each_in_no_zone(&found.wanted, &dns) {
                let place = list.place_of(found, position);
                all.push(Diagnostic::error(Rule::Zones, place, &error));
            }
        }
        let of_zones = self.rules.as_ref();
        let of_zones = of_zones.map(|rules| fits::every_setting_of_a_zone(rules, &dns));
        let skipped = fits::every_skipped_entry_declared(&self.skip, &dns);
        for (key, fault) in [("skip", Some(skipped)), ("zones", of_zones)] {
            let fault = fault.and_then(Result::err);
            all.extend(
                fault.map(|error| Diagnostic::error(Rule::Zones, self.setting(key), &error)),
            );
        }
        for what in fits::patterns_without_a_zone(&self.never_count, &dns) {
            let place = self.setting("never-count");
            let hint = "correct the name, or leave the pattern out";
            all.push(Diagnostic::warning(Rule::Zones, place, what, hint));
        }
        let ignored = dns.zones.iter().map(|zone| Ignored::of(zone).err());
        let place = self.file(&self.source.config.display().to_string(), None);
        all.extend(
            ignored
                .flatten()
                .map(|error| Diagnostic::error(Rule::DnsConfig, place.clone(), &error)),
        );
        all
    }

    fn setting(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or_default()
    }

    /// Where the script failed, or the script.
    fn place(&self, error: &Error) -> Place {
        let located: Option<&Located> = find(error);
        if let Some((file, spot)) = located.and_then(Located::place) {
            return self.file(file, Some(spot));
        }
        let file = self.source.ir.as_ref().unwrap_or(&self.source.config);
        self.file(&file.display().to_string(), None)
    }

    fn file(&self, path: &str, spot: Option<Spot>) -> Place {
        match &self.shown {
            Shown::Folder(folder) => Place::at(&format!("{folder}{path}"), spot),
            Shown::Nowhere => Place::default(),
        }
    }
}
