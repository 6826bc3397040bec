//! URL forwards of Porkbun, which DNSControl declares as records.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::model::name::DnsName;
use crate::model::zone::{Record, Zone};
use crate::provider::port::COMPARED;

/// The answer to `getUrlForwarding`.
#[derive(Deserialize)]
pub(super) struct Forwards {
    pub(super) forwards: Vec<Forward>,
}

/// A redirect of the web server that the name then points to.
#[derive(Deserialize)]
pub(super) struct Forward {
    /// Empty at the apex.
    subdomain: String,
    location: String,
    /// `permanent` or `temporary`.
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "includePath")]
    include_path: String,
    wildcard: String,
}

impl Forward {
    fn owner(&self, zone: &DnsName) -> Result<DnsName> {
        let owner = match self.subdomain.as_str() {
            "" => Ok(zone.clone()),
            label => DnsName::within(label, zone),
        };
        owner.with_context(|| format!("the zone has a URL forward at `{}`", self.subdomain))
    }

    /// Whether a record is what Porkbun made for this forward: an ALIAS, and a CNAME for all below.
    pub(super) fn made(&self, record: &Record, zone: &DnsName) -> bool {
        let Ok(owner) = self.owner(zone) else {
            return false;
        };
        record.data.ends_with(".porkbun.com.")
            && match record.rtype.as_str() {
                "ALIAS" => record.name == owner,
                // DNSControl leaves out the one at the apex.
                "CNAME" if owner != *zone => {
                    DnsName::within("*", &owner).is_ok_and(|below| below == record.name)
                }
                _ => false,
            }
    }

    /// The record that DNSControl declares it with.
    pub(super) fn record(&self, zone: &DnsName) -> Result<Record> {
        let rtype = match self.kind.as_str() {
            "permanent" => "URL301",
            _ => "URL",
        };
        let mut record = Record::new(self.owner(zone)?, rtype, 0, self.location.clone());
        for (key, value) in [
            ("includePath", &self.include_path),
            ("wildcard", &self.wildcard),
        ] {
            record.meta.insert(key.to_owned(), value.clone());
        }
        Ok(record)
    }
}

/// What DNSControl makes of a URL forward before it compares.
pub(super) fn prepare(_: &Zone, mut record: Record) -> Record {
    if !["PORKBUN_URLFWD", "URL", "URL301"].contains(&record.rtype.as_str()) {
        return record;
    }
    let meta = |key: &str, default: &str| {
        let value = record.meta.get(key).filter(|value| !value.is_empty());
        value.map_or(default, String::as_str).to_owned()
    };
    let compared = format!(
        "includePath={} wildcard={}",
        meta("includePath", "no"),
        meta("wildcard", "yes")
    );
    if record.rtype == "PORKBUN_URLFWD" {
        let is_permanent = meta("type", "temporary") == "permanent";
        let rtype = if is_permanent { "URL301" } else { "URL" };
        rtype.clone_into(&mut record.rtype);
    }
    record.ttl = 0;
    record.meta.insert(COMPARED.to_owned(), compared);
    record
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn zone() -> DnsName {
        "example.test".parse().unwrap()
    }

    fn forward(subdomain: &str, kind: &str) -> Forward {
        let json = json!({
            "id": "1", "subdomain": subdomain, "location": "https://example.com/A", "type": kind,
            "includePath": "yes", "wildcard": "yes",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn forwards_take_the_place_of_what_porkbun_made_for_them() {
        let made = |forward: &Forward, name: &str, rtype: &str, data: &str| {
            let record = Record::new(name.parse().unwrap(), rtype, 600, data.to_owned());
            forward.made(&record, &zone())
        };
        let (apex, www) = (forward("", "permanent"), forward("www", "temporary"));
        let target = "uixie.porkbun.com.";
        assert!(made(&apex, "example.test", "ALIAS", target));
        assert!(made(&www, "www.example.test", "ALIAS", target));
        assert!(made(&www, "*.www.example.test", "CNAME", target));
        assert!(!made(&apex, "*.example.test", "CNAME", target));
        assert!(!made(&www, "example.test", "ALIAS", target));
        assert!(!made(&www, "www.example.test", "ALIAS", "example.com."));
        assert!(!made(&www, "www.example.test", "A", target));
        assert_eq!(
            www.record(&zone()).unwrap().to_string(),
            "URL www.example.test https://example.com/A ttl=0"
        );
        assert_eq!(apex.record(&zone()).unwrap().rtype, "URL301");
    }

    #[test]
    fn forwards_are_compared_as_dnscontrol_does() {
        let prepared = |rtype: &str, meta: &[(&str, &str)]| {
            let mut record = Record::new(zone(), rtype, 600, "https://example.com".to_owned());
            let meta = meta
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            record.meta.extend(meta);
            let no_zone = Zone::undeclared(zone(), String::new(), Vec::new());
            let record = prepare(&no_zone, record);
            let compared = record.meta.get(COMPARED).map_or("-", String::as_str);
            format!("{} {} {compared}", record.rtype, record.ttl)
        };
        assert_eq!(prepared("A", &[]), "A 600 -");
        assert_eq!(prepared("URL", &[]), "URL 0 includePath=no wildcard=yes");
        assert_eq!(
            prepared("URL301", &[("includePath", "yes"), ("wildcard", "no")]),
            "URL301 0 includePath=yes wildcard=no"
        );
        assert_eq!(
            prepared("PORKBUN_URLFWD", &[]),
            "URL 0 includePath=no wildcard=yes"
        );
        assert_eq!(
            prepared("PORKBUN_URLFWD", &[("type", "permanent")]),
            "URL301 0 includePath=no wildcard=yes"
        );
    }
}
