//! DESEC: deSEC's API v1.

use std::time::Duration;

use anyhow::Result;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::rdata::canonical;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{linked_next, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{Edit, Rounds, Spelling, TxtSet, edits};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "DESEC",
    name: "deSEC",
    api: "https://desec.readthedocs.io/en/latest/dns/rrsets.html",
    fields: &[Field {
        key: "auth-token",
        required: true,
        help: "API token",
    }],
    scope: "it must be an API token of the account; token policies may limit it to writing TXT sets of the zone",
    // https://desec.readthedocs.io/en/latest/rate-limits.html: `dns_api_cheap` and, for each domain,
    // `dns_api_per_domain_expensive`, whose longer windows are left to the API's own 429.
    rates: &[
        Rate {
            requests: 10,
            per: Duration::from_secs(1),
            of: Of::Reads,
        },
        Rate {
            requests: 50,
            per: Duration::from_mins(1),
            of: Of::Reads,
        },
        Rate {
            requests: 2,
            per: Duration::from_secs(1),
            of: Of::Writes,
        },
    ],
    notes: &[
        "all values of a zone go in one call",
        "a domain takes 15 writes a minute, 100 an hour and 300 a day",
        "the API replaces whole sets: each change is read back, and done again if another writer undid it",
        "new sets get the domain's smallest TTL",
    ],
    connect,
};

/// What DNSControl declares at the apex.
const NAMESERVERS: [&str; 2] = ["ns1.desec.io", "ns2.desec.org"];

/// What DNSControl takes for the smallest TTL of a domain that it does not know, seconds.
const MINIMUM_TTL: u32 = 3600;

#[derive(Debug)]
struct Desec {
    api: Api,
    /// Smallest TTL of each zone, seconds.
    minimum_ttls: ZoneCache<u32>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let api = Api::new(
        &SPEC,
        entry,
        context,
        Base::Vendor("https://desec.io/api/v1"),
    )?;
    let token = format!("Token {}", entry.required("auth-token")?);
    Ok(Box::new(Desec {
        api: api.credential("auth-token", "authorization", &token)?,
        minimum_ttls: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
struct Domain {
    minimum_ttl: u32,
}

#[derive(Deserialize)]
struct RrSet {
    /// With a final dot.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    records: Vec<String>,
}

impl DnsProvider for Desec {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            self.minimum_ttl(zone).await?;
            let mut records = Vec::new();
            for set in self.list(zone, None).await? {
                let name = full_owner(&set.name)?;
                records.extend(set.records.iter().map(|value| {
                    let data = canonical(&set.rtype, value, zone.name);
                    Record::new(name.clone(), &set.rtype, set.ttl, data)
                }));
            }
            Ok(records)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let ttl = self.minimum_ttl(zone).await?.max(TXT_TTL);
            let mut rounds = Rounds::default();
            loop {
                let sets = self.txt_sets(zone).await?;
                let edits = edits(&sets, batch, Spelling::Quoted, ttl);
                if edits.is_empty() {
                    return Ok(());
                }
                rounds.look_again(self.write(zone, &edits).await).await?;
            }
        })
    }

    fn nameservers<'a>(&'a self, _: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        nameservers::fixed(&NAMESERVERS)
    }

    fn quirks(&self, zone: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA", "ALIAS"],
            minimum_ttl: self.minimum_ttls.known(zone).unwrap_or(MINIMUM_TTL),
            ..Quirks::default()
        }
    }
}

impl Desec {
    async fn minimum_ttl(&self, zone: ZoneRef<'_>) -> Result<u32> {
        let look_up = async {
            let url = self.api.url(&["domains", zone.name.as_str(), ""])?;
            let domain: Domain = self.api.get(url).await?;
            Ok(domain.minimum_ttl)
        };
        self.minimum_ttls.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RrSet>> {
        // Without a cursor, zones of more than 500 sets are refused.
        let mut url = with_parameter(&self.url(zone)?, "cursor", "");
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "type", rtype);
        }
        let next = |_: &Vec<RrSet>, reply: &_, url: &Url| linked_next(reply, url);
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flatten().collect())
    }

    async fn txt_sets(&self, zone: ZoneRef<'_>) -> Result<Vec<TxtSet>> {
        let sets = self.list(zone, Some("TXT")).await?;
        let set = |set: RrSet| {
            Ok(TxtSet {
                name: full_owner(&set.name)?,
                ttl: set.ttl,
                values: set.records,
            })
        };
        sets.into_iter().map(set).collect()
    }

    async fn write(&self, zone: ZoneRef<'_>, edits: &[Edit]) -> Result<()> {
        let sets: Vec<Value> = edits
            .iter()
            .map(|Edit { after, .. }| {
                let label = after.name.label_in(zone.name);
                json!({
                    "subname": label.filter(|label| *label != "@").unwrap_or_default(),
                    "type": "TXT",
                    "ttl": after.ttl,
                    // None deletes the set.
                    "records": after.values,
                })
            })
            .collect();
        let request = self.api.request(Method::PATCH, self.url(zone)?);
        let request = request.json(&sets);
        self.api.send(request, Repeat::Never).await.map(|_| ())
    }

    fn url(&self, zone: ZoneRef<'_>) -> Result<Url> {
        let domain = zone.name.as_str();
        self.api.url(&["domains", domain, "rrsets", ""])
    }
}
