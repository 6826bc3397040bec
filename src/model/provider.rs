//! A provider as dnsconfig.js and creds.json describe it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, anyhow};

use crate::model::hint::with_hint;

/// One entry of creds.json with what dnsconfig.js says of it.
#[derive(Clone)]
pub(crate) struct ProviderEntry {
    /// The entry's name in creds.json.
    pub(crate) name: String,
    /// DNSControl's TYPE, such as `AXFRDDNS`.
    pub(crate) kind: String,
    /// Credential fields as creds.json names them, `$VAR` resolved. Secret.
    pub(crate) fields: BTreeMap<String, String>,
    /// Fields that are empty because the environment variable that they name is not set or
    /// empty: the field, the variable.
    pub(crate) unset: BTreeMap<String, String>,
    /// Third argument of `NewDnsProvider`.
    pub(crate) meta: serde_json::Map<String, serde_json::Value>,
}

impl ProviderEntry {
    /// A credential field; none where it is absent or empty.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        self.fields
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A credential field that can be left out; an error where the variable that it names is not set.
    ///
    /// For keys: whoever names a variable does not mean requests without a signature.
    pub(crate) fn optional(&self, key: &str) -> Result<Option<&str>> {
        if self.unset.contains_key(key) {
            self.required(key).map(Some)
        } else {
            Ok(self.field(key))
        }
    }

    /// A credential field that the provider cannot do without.
    pub(crate) fn required(&self, key: &str) -> Result<&str> {
        self.field(key).ok_or_else(|| {
            let Self { name, kind, .. } = self;
            match self.unset.get(key) {
                Some(variable) => with_hint(
                    anyhow!(
                        "the entry `{name}` ({kind}) in `creds.json` takes `{key}` from the environment variable `{variable}`, which is not set or empty"
                    ),
                    format!("set `{variable}`"),
                ),
                None => with_hint(
                    anyhow!("the entry `{name}` ({kind}) in `creds.json` has no `{key}`"),
                    format!("add `{key}` to the entry"),
                ),
            }
        })
    }
}

impl fmt::Debug for ProviderEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderEntry({} {})", self.name, self.kind)
    }
}
