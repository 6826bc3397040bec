//! The intermediate representation: what a script declares, as `dnscontrol print-ir` prints it.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Everything that a configuration declares.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Ir {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) registrars: Vec<Declaration>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) dns_providers: Vec<Declaration>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) domains: Vec<Domain>,
}

/// A registrar or a DNS provider.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Declaration {
    pub(super) name: String,
    /// TYPE, or `-` where only creds.json knows it.
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) meta: Option<Map<String, Value>>,
}

/// A zone.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Domain {
    /// May end with `!tag`.
    pub(super) name: String,
    #[serde(default)]
    pub(super) tag: String,
    #[serde(default)]
    pub(super) uniquename: String,
    #[serde(default)]
    pub(super) registrar: String,
    /// Name to number of name servers, in the order of declaration.
    #[serde(default, rename = "dnsProviders", deserialize_with = "null_is_empty")]
    pub(super) providers: Map<String, Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) meta: Map<String, Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) records: Vec<Record>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) rawrecords: Vec<RawRecord>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) recordsabsent: Vec<Record>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) nameservers: Vec<Nameserver>,
    #[serde(default, rename = "keepunknown", alias = "KeepUnknown")]
    pub(super) no_purge: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) unmanaged: Vec<Unmanaged>,
    #[serde(default, rename = "unmanaged_disable_safety_check")]
    pub(super) unmanaged_unsafe: bool,
    #[serde(default)]
    pub(super) ignore_external_dns: bool,
    #[serde(default)]
    pub(super) external_dns_prefix: String,
    #[serde(default)]
    pub(super) auto_dnssec: String,
    /// Where the script declares it; DNSControl does not print this.
    #[serde(default)]
    pub(super) filepos: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Nameserver {
    pub(super) name: String,
}

/// `IGNORE(label, types, target)`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Unmanaged {
    #[serde(default, rename = "label_pattern")]
    pub(super) label: String,
    #[serde(default, rename = "rType_pattern")]
    pub(super) types: String,
    #[serde(default, rename = "target_pattern")]
    pub(super) target: String,
}

/// A record with its fields by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) rtype: String,
    pub(super) name: String,
    pub(super) target: String,
    /// 0 where nothing is declared.
    pub(super) ttl: u32,
    /// The sub-domain of `D_EXTEND` that the record was declared in.
    pub(super) subdomain: String,
    pub(super) meta: Map<String, Value>,
    /// Where the script declares it: `file:line:column`, innermost first, one a line.
    pub(super) filepos: String,
    /// What only some types have, such as `mxpreference`.
    pub(super) fields: Map<String, Value>,
}

impl Record {
    /// A meta value; none where it is absent or no text.
    pub(super) fn meta(&self, key: &str) -> Option<&str> {
        self.meta.get(key)?.as_str()
    }

    /// RDATA in one piece.
    ///
    /// DNSControl v5 prints it so for all types, v4 for some, in a field with this spelling.
    pub(super) fn whole(&self) -> Option<&str> {
        ["rdata", "zonfefilepartial"]
            .iter()
            .filter_map(|key| self.fields.get(*key)?.as_str())
            .find(|text| !text.is_empty())
    }
}

/// The keys of a record that all types have.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Type,
    Name,
    Target,
    Ttl,
    Subdomain,
    Meta,
    Filepos,
    /// Of a record that must not exist; where it stands says so already.
    #[serde(rename = "ensure_absent")]
    EnsureAbsent,
    Other(String),
}

// By hand, because serde's `flatten` takes most of the time of a large configuration.
impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::Type => record.rtype = or_default(&mut map)?,
                Key::Name => record.name = or_default(&mut map)?,
                Key::Target => record.target = or_default(&mut map)?,
                Key::Ttl => record.ttl = or_default(&mut map)?,
                Key::Subdomain => record.subdomain = or_default(&mut map)?,
                Key::Meta => record.meta = or_default(&mut map)?,
                Key::Filepos => record.filepos = or_default(&mut map)?,
                Key::EnsureAbsent => drop(map.next_value::<IgnoredAny>()?),
                Key::Other(key) => {
                    record.fields.insert(key, map.next_value()?);
                }
            }
        }
        Ok(record)
    }
}

/// Go reads null as nothing.
fn or_default<'de, A, T>(map: &mut A) -> Result<T, A::Error>
where
    A: MapAccess<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

/// A record with its fields by position.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RawRecord {
    #[serde(rename = "type")]
    pub(super) rtype: String,
    #[serde(default)]
    pub(super) args: Vec<Value>,
    #[serde(default)]
    pub(super) metas: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) filepos: String,
}

/// Go writes an absent list or map as null.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnscontrol_prints_is_read() {
        let text = r#"{
            "registrars": [{"name": "none", "type": "-"}],
            "dns_providers": null,
            "domains": [{
                "name": "a.test", "registrar": "none", "dnsProviders": {"z": -1, "a": 2},
                "meta": {"dnscontrol_tag": ""},
                "records": [{"type": "MX", "name": "@", "target": "m.", "ttl": 300, "mxpreference": 10, "filepos": "[line:1:2]"}],
                "rawrecords": null, "keepunknown": true, "something_new": 1
            }]
        }"#;
        let ir: Ir = serde_json::from_str(text).unwrap();
        let domain = &ir.domains[0];
        assert_eq!(domain.providers.keys().collect::<Vec<_>>(), ["z", "a"]);
        assert!(domain.no_purge && domain.rawrecords.is_empty());
        assert_eq!(domain.records[0].fields["mxpreference"], 10);
    }
}
