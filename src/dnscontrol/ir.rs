//! The intermediate representation: what a script declares, as `dnscontrol print-ir` prints it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Everything that a configuration declares.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Ir {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) registrars: Vec<Declaration>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) dns_providers: Vec<Declaration>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) domains: Vec<Domain>,
}

/// A registrar or a DNS provider.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Declaration {
    pub(super) name: String,
    /// TYPE, or `-` where only creds.json knows it.
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Map::is_empty"
    )]
    pub(super) meta: Map<String, Value>,
}

/// A zone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Domain {
    /// May end with `!tag`.
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) tag: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) uniquename: String,
    #[serde(default)]
    pub(super) registrar: String,
    /// Name to number of name servers, in the order of declaration.
    #[serde(default, rename = "dnsProviders", deserialize_with = "null_is_empty")]
    pub(super) providers: Map<String, Value>,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Map::is_empty"
    )]
    pub(super) meta: Map<String, Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) records: Vec<Record>,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) rawrecords: Vec<RawRecord>,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) recordsabsent: Vec<Record>,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) nameservers: Vec<Nameserver>,
    #[serde(default, rename = "keepunknown")]
    pub(super) no_purge: bool,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) unmanaged: Vec<Unmanaged>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) filepos: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Nameserver {
    pub(super) name: String,
}

/// `IGNORE(label, types, target)`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Unmanaged {
    #[serde(default, rename = "label_pattern")]
    pub(super) label: String,
    #[serde(default, rename = "rType_pattern")]
    pub(super) types: String,
    #[serde(default, rename = "target_pattern")]
    pub(super) target: String,
}

/// A record with its fields by name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Record {
    #[serde(rename = "type")]
    pub(super) rtype: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) target: String,
    #[serde(default)]
    pub(super) ttl: u32,
    /// The sub-domain of `D_EXTEND` that the record was declared in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) subdomain: String,
    #[serde(
        default,
        deserialize_with = "null_is_empty",
        skip_serializing_if = "Map::is_empty"
    )]
    pub(super) meta: Map<String, Value>,
    #[serde(default)]
    pub(super) filepos: String,
    /// What only some types have, such as `mxpreference`.
    #[serde(flatten)]
    pub(super) fields: Map<String, Value>,
}

/// A record with its fields by position.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct RawRecord {
    #[serde(rename = "type")]
    pub(super) rtype: String,
    #[serde(default)]
    pub(super) args: Vec<Value>,
    #[serde(default)]
    pub(super) metas: Vec<Map<String, Value>>,
    #[serde(default)]
    pub(super) ttl: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) subdomain: String,
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
    fn what_dnscontrol_prints_is_read_and_written() {
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
        let written = serde_json::to_value(&ir).unwrap();
        assert_eq!(written["domains"][0]["records"][0]["mxpreference"], 10);
        assert_eq!(written["domains"][0]["keepunknown"], true);
    }
}
