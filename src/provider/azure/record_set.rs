//! Sets of records as Azure Resource Manager has them.

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::name::DnsName;
use crate::model::rdata::{canonical, quote};
use crate::model::zone::Record;
use crate::provider::labels::owner;

/// <https://learn.microsoft.com/rest/api/dns/record-sets/get#recordset>
#[derive(Clone, Debug, Deserialize)]
pub(in crate::provider) struct RecordSet {
    /// In the zone; `@` at the apex.
    pub(in crate::provider) name: String,
    /// `Microsoft.Network/dnszones/` and the type.
    #[serde(rename = "type")]
    kind: String,
    pub(in crate::provider) etag: String,
    pub(in crate::provider) properties: Properties,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::provider) struct Properties {
    #[serde(rename = "TTL")]
    pub(in crate::provider) ttl: u32,
    /// Notes of the user.
    pub(in crate::provider) metadata: Option<Value>,
    /// What an alias leads to.
    #[serde(default, rename = "targetResource")]
    target: Value,
    #[serde(default, rename = "TXTRecords")]
    pub(in crate::provider) texts: Vec<Text>,
    /// `ARecords`, `CNAMERecord` and so on.
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A TXT value: strings of at most 255 octets each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(in crate::provider) struct Text {
    #[serde(default)]
    pub(in crate::provider) value: Vec<String>,
}

impl RecordSet {
    pub(in crate::provider) fn records(&self, zone: &DnsName) -> Result<Vec<Record>> {
        let owner = owner(&self.name, zone)?;
        let (_, rtype) = self.kind.rsplit_once('/').unwrap_or_default();
        let record = |rtype, data| Record::new(owner.clone(), rtype, self.properties.ttl, data);
        let texts = &self.properties.texts;
        if rtype == "TXT" {
            // A set without values is one empty value to DNSControl.
            if texts.is_empty() {
                return Ok(vec![record(rtype, String::new())]);
            }
            let texts = texts.iter().map(|text| record(rtype, text.value.concat()));
            return Ok(texts.collect());
        }
        let Some(key) = key(rtype) else {
            bail!(
                "the zone has a set of type `{rtype}` at `{owner}`, which git-certs does not know"
            );
        };
        let values: Vec<&Value> = match self.properties.others.get(key) {
            Some(Value::Array(values)) => values.iter().collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(value) => vec![value],
        };
        let target = self.properties.target.get("id").and_then(Value::as_str);
        if let (true, Some(target)) = (values.is_empty(), target) {
            return Ok(vec![record("AZURE_ALIAS", format!("{rtype} {target}"))]);
        }
        let data = values
            .into_iter()
            .map(|value| canonical(rtype, &presentation(rtype, value), zone));
        Ok(data.map(|data| record(rtype, data)).collect())
    }
}

/// Where the values of a type are: a list, or an object where there can be one only.
fn key(rtype: &str) -> Option<&'static str> {
    Some(match rtype {
        "A" => "ARecords",
        "AAAA" => "AAAARecords",
        "CAA" => "caaRecords",
        "CNAME" => "CNAMERecord",
        "MX" => "MXRecords",
        "NS" => "NSRecords",
        "PTR" => "PTRRecords",
        "SOA" => "SOARecord",
        "SRV" => "SRVRecords",
        _ => return None,
    })
}

/// RDATA as in zone files. Host names may come without their final dot.
fn presentation(rtype: &str, value: &Value) -> String {
    let field = |key: &str| match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let host = |key: &str| format!("{}.", field(key).trim_end_matches('.'));
    let joined = |fields: &[&str]| {
        fields
            .iter()
            .map(|key| field(key))
            .collect::<Vec<_>>()
            .join(" ")
    };
    match rtype {
        "A" => field("ipv4Address"),
        "AAAA" => field("ipv6Address"),
        "CAA" => format!("{} {}", joined(&["flags", "tag"]), quote(&field("value"))),
        "CNAME" => host("cname"),
        "MX" => format!("{} {}", field("preference"), host("exchange")),
        "NS" => host("nsdname"),
        "PTR" => host("ptrdname"),
        "SOA" => format!(
            "{} {} {}",
            host("host"),
            host("email"),
            joined(&[
                "serialNumber",
                "refreshTime",
                "retryTime",
                "expireTime",
                "minimumTTL"
            ])
        ),
        "SRV" => format!(
            "{} {}",
            joined(&["priority", "weight", "port"]),
            host("target")
        ),
        _ => value.to_string(),
    }
}
