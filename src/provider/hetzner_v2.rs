//! `HETZNER_V2`: zones in Hetzner's Cloud API.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use reqwest::{Method, StatusCode};
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
use crate::provider::labels::owner;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::{page_after, with_parameter};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::status;
use crate::provider::rrset::{Rounds, Spelling, by_name};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "HETZNER_V2",
    name: "Hetzner Cloud",
    api: "https://docs.hetzner.cloud/reference/cloud#tag/zone-rrset-actions",
    fields: &[Field {
        key: "api_token",
        required: true,
        help: "API token of the project that has the zones",
    }],
    scope: "it must be a `Read & Write` API token of the project that has the zone",
    // "Rate Limiting" of https://docs.hetzner.cloud/reference/cloud, for each project.
    rates: &[Rate {
        requests: 3600,
        per: Duration::from_hours(1),
        of: Of::All,
    }],
    notes: &[
        "one call for each name that gets values, and one that loses some: the API has no batches",
        "each change is waited for until Hetzner has carried it out",
        "a token has all rights in its project: keep the zones in a project without servers",
        "zones in secondary mode, and sets with change protection, cannot be changed",
    ],
    connect,
};

/// Sets of a page, at most.
const PER_PAGE: &str = "100";

/// Values that one action takes, at most.
const VALUES: usize = 50;

/// Actions that one call asks for: the largest page.
const ACTIONS: usize = 50;

/// First and longest pause before the state of actions is asked for.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// How long an action may run; they usually take some seconds.
const LONGEST_ACTION: Duration = Duration::from_mins(2);

#[derive(Debug)]
struct HetznerCloud {
    api: Api,
    zones: ZoneCache<Zone>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let base = Base::Vendor("https://api.hetzner.cloud/v1");
    let token = format!("Bearer {}", entry.required("api_token")?);
    let api = Api::new(&SPEC, entry, context, base)?;
    Ok(Box::new(HetznerCloud {
        api: api.credential("api_token", "authorization", &token)?,
        zones: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
struct ZoneAnswer {
    zone: Zone,
}

#[derive(Clone, Debug, Deserialize)]
struct Zone {
    /// Of sets without a TTL of their own, seconds.
    ttl: u32,
    authoritative_nameservers: Nameservers,
}

#[derive(Clone, Debug, Deserialize)]
struct Nameservers {
    assigned: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    rrsets: Vec<RrSet>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u64>,
}

#[derive(Deserialize)]
struct RrSet {
    /// `@` or a label.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    /// None: the zone's.
    ttl: Option<u32>,
    records: Vec<RecordAnswer>,
}

#[derive(Clone, Deserialize)]
struct RecordAnswer {
    /// As in zone files.
    value: String,
}

#[derive(Deserialize)]
struct ActionAnswer {
    action: Action,
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    id: u64,
    status: Status,
    error: Option<ActionError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Running,
    Success,
    Error,
}

#[derive(Deserialize)]
struct ActionError {
    code: String,
    message: String,
}

/// One call: values that a set gets or loses.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    /// `@` or a label.
    name: String,
    action: &'static str,
    body: Value,
}

impl DnsProvider for HetznerCloud {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.api.reading(zone, async move {
            let default = self.zone(zone).await?.ttl;
            let mut records = Vec::new();
            for set in self.list(zone, None).await? {
                let name = owner(&set.name, zone.name)?;
                records.extend(set.records.iter().map(|record| {
                    let data = canonical(&set.rtype, &record.value, zone.name);
                    Record::new(name.clone(), &set.rtype, set.ttl.unwrap_or(default), data)
                }));
            }
            // The SOA record cannot be changed.
            records.retain(|record| record.rtype != "SOA");
            Ok(records)
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.api.changing(zone, async move {
            let mut rounds = Rounds::default();
            loop {
                let calls = calls(&self.list(zone, Some("TXT")).await?, batch, zone.name);
                if calls.is_empty() || rounds.settled(self.write(zone, &calls).await).await? {
                    return Ok(());
                }
            }
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.api.reading(zone, async move {
            let names = self.zone(zone).await?.authoritative_nameservers.assigned;
            nameservers::parsed(names)
        })
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl HetznerCloud {
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<Zone> {
        let look_up = async {
            let url = self.api.url(&["zones", zone.name.as_str()])?;
            let answer: ZoneAnswer = self.api.get(url).await?;
            Ok(answer.zone)
        };
        self.zones.get(zone, look_up).await
    }

    async fn list(&self, zone: ZoneRef<'_>, rtype: Option<&str>) -> Result<Vec<RrSet>> {
        let url = self.api.url(&["zones", zone.name.as_str(), "rrsets"])?;
        let mut url = with_parameter(&url, "per_page", PER_PAGE);
        if let Some(rtype) = rtype {
            url = with_parameter(&url, "type", rtype);
        }
        let next = |page: &Page, _: &_, url: &Url| {
            let more = page.meta.pagination.next_page;
            more.map(|_| page_after(url, "page"))
        };
        let pages = self.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.rrsets).collect())
    }

    /// Makes the calls and waits for their actions; says whether that was all of it.
    async fn write(&self, zone: ZoneRef<'_>, calls: &[Call]) -> Result<bool> {
        let mut started = Vec::new();
        let sent = self.start(zone, calls, &mut started).await;
        // What was begun is waited for even after a failure: the next look has to see it.
        self.finish(started).await?;
        sent
    }

    async fn start(
        &self,
        zone: ZoneRef<'_>,
        calls: &[Call],
        started: &mut Vec<Action>,
    ) -> Result<bool> {
        for Call { name, action, body } in calls {
            let zone = zone.name.as_str();
            let path = ["zones", zone, "rrsets", name, "TXT", "actions", action];
            let request = self.api.request(Method::POST, self.api.url(&path)?);
            match self.api.send(request.json(body), Repeat::WhenRefused).await {
                Ok(reply) => started.push(self.api.json::<ActionAnswer>(&reply)?.action),
                // Another writer took the set away.
                Err(error) if status(&error) == Some(StatusCode::NOT_FOUND) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits until no action runs any more.
    async fn finish(&self, started: Vec<Action>) -> Result<()> {
        let began = Instant::now();
        let (mut pause, longest_pause) = POLL;
        let mut running = check(&started)?;
        while !running.is_empty() {
            ensure!(
                began.elapsed() < LONGEST_ACTION,
                "Hetzner is still carrying out the change after {} s",
                LONGEST_ACTION.as_secs()
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest_pause);
            let mut still = Vec::new();
            for ids in running.chunks(ACTIONS) {
                let actions = self.actions(ids).await?;
                ensure!(
                    actions.len() == ids.len(),
                    "Hetzner does not know all actions that it has begun"
                );
                still.extend(check(&actions)?);
            }
            running = still;
        }
        Ok(())
    }

    async fn actions(&self, ids: &[u64]) -> Result<Vec<Action>> {
        let url = self.api.url(&["zones", "actions"])?;
        let mut url = with_parameter(&url, "per_page", &ACTIONS.to_string());
        for id in ids {
            url.query_pairs_mut().append_pair("id", &id.to_string());
        }
        let answer: Actions = self.api.get(url).await?;
        Ok(answer.actions)
    }
}

/// The actions that still run; an error if one failed.
fn check(actions: &[Action]) -> Result<Vec<u64>> {
    if let Some(failed) = actions.iter().find(|one| one.status == Status::Error) {
        let Some(ActionError { code, message }) = &failed.error else {
            bail!("Hetzner could not carry out the change");
        };
        return Err(anyhow!("{message} ({code})").context("Hetzner could not carry out the change"));
    }
    let running = actions.iter().filter(|one| one.status == Status::Running);
    Ok(running.map(|one| one.id).collect())
}

/// The calls that make the TXT sets as the batch says; none where they are so already.
fn calls(sets: &[RrSet], batch: &TxtBatch, zone: &DnsName) -> Vec<Call> {
    let text = |record: &RecordAnswer| Spelling::Quoted.text(&record.value);
    let mut calls = Vec::new();
    for change in by_name(batch) {
        let name = change.name.label_in(zone).unwrap_or_default();
        let set = sets
            .iter()
            .find(|set| set.rtype == "TXT" && set.name.eq_ignore_ascii_case(name));
        let held = set.map_or(&[][..], |set| &set.records);
        let is_held = |value: &str| held.iter().any(|record| text(record) == value);
        let added = change.add.iter().filter(|value| !is_held(value));
        let added = added.filter(|value| !change.remove.contains(value));
        let added = added.map(|value| json!({ "value": Spelling::Quoted.spell(value) }));
        let removed = held
            .iter()
            .filter(|record| change.remove.contains(&text(record).as_str()));
        let removed = removed.map(|record| json!({ "value": record.value }));
        let name = set.map_or(name, |set| &set.name);
        // A set that exists takes no TTL but its own.
        let ttl = set.map_or(Some(TXT_TTL), |set| set.ttl);
        let added: Vec<Value> = added.collect();
        calls.extend(added.chunks(VALUES).map(|values| Call {
            name: name.to_owned(),
            action: "add_records",
            body: match ttl {
                Some(ttl) => json!({ "records": values, "ttl": ttl }),
                None => json!({ "records": values }),
            },
        }));
        let removed: Vec<Value> = removed.collect();
        calls.extend(removed.chunks(VALUES).map(|values| Call {
            name: name.to_owned(),
            action: "remove_records",
            body: json!({ "records": values }),
        }));
    }
    calls
}
