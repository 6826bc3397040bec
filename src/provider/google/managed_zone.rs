//! Which zones of a project an entry means: public ones, or private ones of some networks.

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

use crate::model::hint::with_hint;
use crate::model::provider::ProviderEntry;

/// A zone: <https://cloud.google.com/dns/docs/reference/rest/v1/managedZones#ManagedZone>.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::provider) struct ManagedZone {
    pub(in crate::provider) name: String,
    #[serde(default)]
    pub(in crate::provider) name_servers: Vec<String>,
    #[serde(default)]
    visibility: String,
    #[serde(default)]
    private_visibility_config: VisibilityConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct VisibilityConfig {
    #[serde(default)]
    networks: Vec<Network>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Network {
    #[serde(default)]
    network_url: String,
}

/// What `visibility` and `networks` in `NewDnsProvider()` say.
#[derive(Debug)]
pub(in crate::provider) struct View {
    is_private: bool,
    /// Networks that a private zone has, as URLs.
    networks: Vec<String>,
}

impl View {
    pub(in crate::provider) fn of_entry(entry: &ProviderEntry, project: &str) -> Result<Self> {
        Ok(Self {
            is_private: is_private(entry)?,
            networks: networks(entry, project)?,
        })
    }

    pub(in crate::provider) fn has(&self, zone: &ManagedZone) -> bool {
        let has = |url: &String| {
            let networks = &zone.private_visibility_config.networks;
            networks.iter().any(|network| network.network_url == *url)
        };
        let is_private = zone.visibility == "private";
        is_private == self.is_private && (!is_private || self.networks.iter().all(has))
    }
}

fn is_private(entry: &ProviderEntry) -> Result<bool> {
    match entry.meta.get("visibility").map(Value::as_str) {
        None | Some(Some("" | "public")) => Ok(false),
        Some(Some("private")) => Ok(true),
        Some(_) => Err(with_hint(
            anyhow!("`visibility` of DNS provider `{}` is unknown", entry.name),
            "write `public` or `private` in `NewDnsProvider()`",
        )),
    }
}

/// A network that has a name only is one of the project, as in DNSControl.
fn networks(entry: &ProviderEntry, project: &str) -> Result<Vec<String>> {
    let Some(list) = entry.meta.get("networks") else {
        return Ok(Vec::new());
    };
    let names = list.as_array().map(|list| list.iter().map(Value::as_str));
    let names: Option<Vec<&str>> = names.and_then(Iterator::collect);
    let names = names.ok_or_else(|| {
        with_hint(
            anyhow!(
                "`networks` of DNS provider `{}` is no list of names",
                entry.name
            ),
            "write `\"networks\": [\"NAME\"]` in `NewDnsProvider()`",
        )
    })?;
    let prefix =
        format!("https://www.googleapis.com/compute/v1/projects/{project}/global/networks");
    let url = |name: &str| {
        if name.contains('/') {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        }
    };
    Ok(names.into_iter().map(url).collect())
}
