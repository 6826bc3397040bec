//! `GANDI_V5`: Gandi's `LiveDNS`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, Zone, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{linked_next, page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::status;
use crate::provider::rrset::{Edit, Rounds, Spelling, TxtSet, edits};

pub(super) const SPEC: Spec = Spec {
    kind: "GANDI_V5",
    name: "Gandi",
    api: "https://api.gandi.net/docs/livedns/",
    fields: &[
        Field {
            key: "token",
            required: false,
            help: "personal access token; or `apikey`",
        },
        Field {
            key: "apikey",
            required: false,
            help: "API key, which Gandi has deprecated; a token can be limited to a domain",
        },
        Field {
            key: "sharing_id",
            required: false,
            help: "organization that has the domains; default: all that the token can read",
        },
        Field {
            key: "apiurl",
            required: false,
            help: "where the API is, such as `https://api.sandbox.gandi.net`; default: Gandi's own",
        },
    ],
    // https://api.gandi.net/docs/authentication/
    scope: "it needs the permission `Manage domain name technical configurations` for the domain",
    // https://api.gandi.net/docs/reference/, for each address.
    rates: &[Rate {
        requests: 1000,
        per: Duration::from_mins(1),
        of: Of::All,
    }],
    notes: &[
        "one call for each name: the API has no batches",
        "the API replaces whole sets: each change is read back, and done again if another writer undid it",
        "TTLs below 300 seconds are raised; new sets get 300",
        "the apex NS set is Gandi's own and is not compared",
        "new values can take some minutes to reach all of Gandi's name servers",
    ],
    connect,
};

/// Limits of TTLs, seconds; DNSControl moves others there.
const MINIMUM_TTL: u32 = 300;
const MAXIMUM_TTL: u32 = 2_592_000;

#[derive(Debug)]
struct Gandi {
    api: Api,
    organization: Option<String>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::VendorOr("https://api.gandi.net", "apiurl");
    let api = Api::new(&SPEC, entry, context, base)?.shows("apiurl");
    let api = if entry.field("apikey").is_some() && entry.field("token").is_none() {
        let key = format!("Apikey {}", entry.required("apikey")?);
        api.credential("apikey", "authorization", &key)?
    } else {
        let token = format!("Bearer {}", entry.required("token")?);
        api.credential("token", "authorization", &token)?
    };
    Ok(Box::new(Gandi {
        api,
        organization: entry.field("sharing_id").map(str::to_owned),
    }))
}

#[derive(Deserialize)]
struct RrSet {
    /// `@` or a label, in the spelling that a change has to use.
    #[serde(rename = "rrset_name")]
    name: String,
    #[serde(rename = "rrset_type")]
    rtype: String,
    #[serde(rename = "rrset_ttl")]
    ttl: u32,
    /// As in zone files.
    #[serde(rename = "rrset_values")]
    values: Vec<String>,
}

impl DnsProvider for Gandi {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let mut records = Vec::new();
            for set in self.list(zone, None).await? {
                let name = owner(&set.name, zone.name)?;
                records.extend(set.values.iter().map(|value| {
                    let data = canonical(&set.rtype, value, zone.name);
                    Record::new(name.clone(), &set.rtype, set.ttl, data)
                }));
            }
            Ok(records)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let ttl = TXT_TTL.max(MINIMUM_TTL);
            let mut rounds = Rounds::default();
            loop {
                let listed = self.list(zone, Some("TXT")).await?;
                let sets = txt_sets(&listed, zone.name)?;
                let edits = edits(&sets, batch, Spelling::Quoted, ttl);
                if edits.is_empty() {
                    return Ok(());
                }
                let written = self.write(zone, &edits, &listed).await;
                rounds.look_again(written).await?;
            }
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let url = self.url(zone, &["nameservers"])?;
            let names: Vec<String> = self.api.get(url).await?;
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            minimum_ttl: MINIMUM_TTL,
            ignores_apex_ns: true,
            prepare: Some(Arc::new(prepare)),
            ..Quirks::default()
        }
    }
}

impl Gandi {
    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RrSet>> {
        let mut url = self.url(zone, &["records"])?;
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "rrset_type", rtype);
        }
        let next = |_: &Vec<RrSet>, reply: &_, url: &Url| {
            linked_next(reply, url).map(|_| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn write(&self, zone: ZoneRef<'_>, edits: &[Edit], listed: &[RrSet]) -> Result<()> {
        for edit in edits {
            let label = edit.after.name.label_in(zone.name).unwrap_or_default();
            // Names are told apart by case in changes, and only there.
            let spelt = listed
                .iter()
                .find(|set| set.rtype == "TXT" && set.name.eq_ignore_ascii_case(label));
            let label = spelt.map_or(label, |set| &set.name);
            let url = self.url(zone, &["records", label, "TXT"])?;
            if edit.deletes() {
                self.delete(url).await?;
                continue;
            }
            let set = json!({ "rrset_values": edit.after.values, "rrset_ttl": edit.after.ttl });
            let request = self.api.request(Method::PUT, url).json(&set);
            self.api.send(request, Repeat::Never).await?;
        }
        Ok(())
    }

    async fn delete(&self, url: Url) -> Result<()> {
        let request = self.api.request(Method::DELETE, url);
        match self.api.send(request, Repeat::Never).await {
            Ok(_) => Ok(()),
            // Another writer was faster; the next look says so.
            Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let path = ["v5", "livedns", "domains", zone.name.as_str()];
        let url = self.api.url(&[&path, more].concat())?;
        Ok(match &self.organization {
            Some(id) => with_parameter(&url, "sharing_id", id),
            None => url,
        })
    }
}

fn txt_sets(listed: &[RrSet], zone: &DnsName) -> Result<Vec<TxtSet>> {
    let texts = listed.iter().filter(|set| set.rtype == "TXT");
    let set = |set: &RrSet| {
        Ok(TxtSet {
            name: owner(&set.name, zone)?,
            ttl: set.ttl,
            values: set.values.clone(),
        })
    };
    texts.map(set).collect()
}

/// What DNSControl makes of a record before it compares.
fn prepare(zone: &Zone, mut record: Record) -> Record {
    // Gandi has ALIAS at the apex only.
    if record.rtype == "ALIAS" && record.name != zone.name {
        "CNAME".clone_into(&mut record.rtype);
    }
    record.ttl = record.ttl.min(MAXIMUM_TTL);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::servers::zone;

    #[test]
    fn records_are_compared_as_dnscontrol_does() {
        let zone = zone("example.test");
        for (name, ttl, expected) in [
            ("example.test", 300, "ALIAS example.test x. ttl=300"),
            ("a.example.test", 300, "CNAME a.example.test x. ttl=300"),
            (
                "example.test",
                9_000_000,
                "ALIAS example.test x. ttl=2592000",
            ),
        ] {
            let record = Record::new(name.parse().unwrap(), "ALIAS", ttl, "x.".to_owned());
            assert_eq!(prepare(&zone, record).to_string(), expected);
        }
    }
}
