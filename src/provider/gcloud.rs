//! GCLOUD: Google Cloud DNS through its API v1.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::header::HeaderValue;
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
use crate::provider::google::Credentials;
use crate::provider::google::managed_zone::{ManagedZone, View};
use crate::provider::http::Api;
use crate::provider::labels::full_owner;
use crate::provider::nameservers;
use crate::provider::oauth::Session;
use crate::provider::pages::with_parameter;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::reply::failure;
use crate::provider::rrset::{Edit, Rounds, Spelling, TxtSet, edits};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "GCLOUD",
    name: "Google Cloud DNS",
    api: "https://cloud.google.com/dns/docs/reference/rest/v1",
    fields: &[
        Field {
            key: "project_id",
            required: true,
            help: "project that the zones are in",
        },
        Field {
            key: "private_key",
            required: false,
            help: "key of a service account, from its JSON file; default: Application Default Credentials",
        },
        Field {
            key: "client_email",
            required: false,
            help: "e-mail address of the service account; needed with `private_key`",
        },
        Field {
            key: "private_key_id",
            required: false,
            help: "id of the key, from the same file",
        },
        Field {
            key: "token_uri",
            required: false,
            help: "where tokens are made; default: `https://oauth2.googleapis.com/token`",
        },
        Field {
            key: "type",
            required: false,
            help: "`service_account`, from the same file",
        },
        Field {
            key: "name_server_set",
            required: false,
            help: "accepted and without effect: zones are not created",
        },
    ],
    // https://cloud.google.com/dns/docs/access-control
    scope: "it needs the role `roles/dns.admin`, or one with `dns.managedZones.list` for the project and, for the project or the zone, `dns.resourceRecordSets.list`, `.create`, `.update` and `.delete`, and `dns.changes.create` and `.get`",
    // https://cloud.google.com/dns/quotas names requests a minute, without a number.
    rates: &[],
    notes: &[
        "Application Default Credentials: the file in `GOOGLE_APPLICATION_CREDENTIALS`, that of `gcloud auth application-default login`, or the service account of a Google Cloud machine",
        "workload identity federation (GitHub Actions, GitLab, Kubernetes): the other provider's token comes from a file or a URL; AWS, executables and certificates are not supported",
        "all values of a zone go in one change, 1,000 sets at a time; a set that another writer changed meanwhile is read again",
        "the zone is the public one of that name, or the private one where `NewDnsProvider()` says `\"visibility\": \"private\"` (and has `networks`, if `networks` are given); of several the last that the API lists, as in DNSControl",
        "a CA does not see private zones",
        "DNSSEC settings and routing policies are not compared",
    ],
    connect,
};

/// Sets that a change adds, or deletes, at most: <https://cloud.google.com/dns/quotas>.
const MOST_SETS: usize = 1000;

/// Data of a change at most, bytes: <https://cloud.google.com/dns/quotas>.
const MOST_DATA: usize = 100_000;

/// First pause before the question whether a change is done; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause before that question.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a change may be pending; most are done within seconds.
const LONGEST_WAIT: Duration = Duration::from_mins(3);

#[derive(Debug)]
struct Gcloud {
    session: Session<Credentials>,
    project: String,
    view: View,
    zones: ZoneCache<ManagedZone>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let credentials = Credentials::find(entry, &context.environment)?;
    let base = Base::Vendor("https://dns.googleapis.com/dns/v1");
    let api = Api::new(&SPEC, entry, context, base)?
        .shows("project_id")
        .shows("token_uri")
        .shows("type");
    let api = match &credentials.place {
        Some(place) => api.credentials_from(place),
        None => api
            .credential_in_request("private_key")
            .credential_in_request("client_email"),
    };
    if let Some(project) = &credentials.quota_project {
        let project = HeaderValue::from_str(project).context("bad `quota_project_id`")?;
        api.set_header("x-goog-user-project", project);
    }
    let project = entry.required("project_id")?;
    Ok(Box::new(Gcloud {
        session: Session::new(api, credentials, context)?,
        view: View::of_entry(entry, project)?,
        project: project.to_owned(),
        zones: ZoneCache::default(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZonesPage {
    #[serde(default)]
    managed_zones: Vec<ManagedZone>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetsPage {
    #[serde(default)]
    rrsets: Vec<RrSet>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RrSet {
    /// With a final dot.
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    ttl: u32,
    /// None where a routing policy has them.
    #[serde(default)]
    rrdatas: Vec<String>,
    routing_policy: Option<Value>,
}

#[derive(Deserialize)]
struct ChangeAnswer {
    id: String,
    status: String,
}

impl DnsProvider for Gcloud {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        let work = self.session.run(move || self.read(zone));
        self.session.api.reading(zone, work)
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        let work = self.session.run(move || self.bring(zone, batch));
        self.session.api.changing(zone, work)
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        let work = self.session.run(move || async move {
            let names = self.zone(zone).await?.name_servers;
            nameservers::parsed(names)
        });
        self.session.api.reading(zone, work)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl Gcloud {
    async fn read(&self, zone: ZoneRef<'_>) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for set in self.list(zone).await? {
            let name = full_owner(&set.name)?;
            records.extend(set.rrdatas.iter().map(|value| {
                let data = canonical(&set.rtype, value, zone.name);
                Record::new(name.clone(), &set.rtype, set.ttl, data)
            }));
        }
        Ok(records)
    }

    async fn bring(&self, zone: ZoneRef<'_>, batch: &TxtBatch) -> Result<()> {
        let mut rounds = Rounds::default();
        loop {
            let sets = self.list(zone).await?;
            let texts = sets.iter().filter(|set| set.rtype == "TXT");
            let texts = texts.map(|set| txt_set(set, batch));
            let edits = edits(
                &texts.collect::<Result<Vec<_>>>()?,
                batch,
                Spelling::Quoted,
                TXT_TTL,
            );
            if edits.is_empty() || rounds.settled(self.write(zone, &edits).await).await? {
                return Ok(());
            }
        }
    }

    /// The zone of that name that DNSControl uses: of several the last.
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<ManagedZone> {
        let look_up = async {
            let url = self.url(&[])?;
            let url = with_parameter(&url, "dnsName", &zone.name.fqdn());
            let next =
                |page: &ZonesPage, _: &_, url: &Url| after(url, page.next_page_token.as_deref());
            let pages = self.session.api.pages(url, next).await?;
            let zones = pages.into_iter().flat_map(|page| page.managed_zones);
            let found = zones.filter(|zone| self.view.has(zone)).last();
            found.ok_or_else(|| self.session.api.no_zone(zone))
        };
        self.zones.get(zone, look_up).await
    }

    /// All sets: the API filters by type only for one name.
    async fn list(&self, zone: ZoneRef<'_>) -> Result<Vec<RrSet>> {
        let zone = self.zone(zone).await?;
        let next = |page: &SetsPage, _: &_, url: &Url| after(url, page.next_page_token.as_deref());
        let url = self.url(&[&zone.name, "rrsets"])?;
        let pages = self.session.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.rrsets).collect())
    }

    /// Replaces sets if they still are what was read; says whether they were.
    async fn write(&self, zone: ZoneRef<'_>, edits: &[Edit]) -> Result<bool> {
        let api = &self.session.api;
        let zone = self.zone(zone).await?;
        let url = self.url(&[&zone.name, "changes"])?;
        let mut rest = edits;
        while let Some((now, later)) = rest.split_at_checked(fitting(rest)) {
            if now.is_empty() {
                break;
            }
            // Deletions have to be exactly what there is: 409 or 412 if another writer was faster.
            let request = api.request(Method::POST, url.clone()).json(&json!({
                "deletions": now.iter().filter_map(|edit| native(edit.before.as_ref()?)).collect::<Vec<_>>(),
                "additions": now.iter().filter_map(|edit| native(&edit.after)).collect::<Vec<_>>(),
            }));
            match api.send(request, Repeat::WhenRefused).await {
                Ok(reply) => self.wait(&zone, api.json(&reply)?).await?,
                Err(error) if is_overtaken(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
            rest = later;
        }
        Ok(true)
    }

    /// Returns when the name servers have been told.
    async fn wait(&self, zone: &ManagedZone, mut change: ChangeAnswer) -> Result<()> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        while change.status != "done" {
            ensure!(
                start.elapsed() < LONGEST_WAIT,
                "change `{}` is still pending after {} minutes",
                change.id,
                LONGEST_WAIT.as_secs() / 60
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let url = self.url(&[&zone.name, "changes", &change.id])?;
            change = self.session.api.get(url).await?;
        }
        Ok(())
    }

    fn url(&self, more: &[&str]) -> Result<Url> {
        let path = [&["projects", self.project.as_str(), "managedZones"], more].concat();
        self.session.api.url(&path)
    }
}

fn after(url: &Url, token: Option<&str>) -> Option<Url> {
    let token = token.filter(|token| !token.is_empty())?;
    Some(with_parameter(url, "pageToken", token))
}

fn txt_set(set: &RrSet, batch: &TxtBatch) -> Result<TxtSet> {
    let name = full_owner(&set.name)?;
    let mut changed = batch.add.iter().chain(&batch.remove);
    ensure!(
        set.routing_policy.is_none() || changed.all(|txt| txt.name != name),
        "the TXT set at `{name}` has a routing policy, so it has no single values"
    );
    Ok(TxtSet {
        name,
        ttl: set.ttl,
        values: set.rrdatas.clone(),
    })
}

/// How many edits one change takes.
fn fitting(edits: &[Edit]) -> usize {
    let mut data = 0;
    let length = |set: &TxtSet| set.values.iter().map(String::len).sum::<usize>();
    let fits = |edit: &&Edit| {
        data += length(&edit.after) + edit.before.as_ref().map_or(0, length);
        data <= MOST_DATA
    };
    let count = edits.iter().take(MOST_SETS).take_while(fits).count();
    // A set that is too large alone is for the API to refuse.
    count.max(1).min(edits.len())
}

/// A set as the API has it; none where it has no values.
fn native(set: &TxtSet) -> Option<Value> {
    let native = json!({
        "name": set.name.fqdn(),
        "type": "TXT",
        "ttl": set.ttl,
        "rrdatas": set.values,
    });
    (!set.values.is_empty()).then_some(native)
}

/// A set that was to be deleted is gone: the API calls that 404.
fn is_overtaken(error: &anyhow::Error) -> bool {
    failure(error).is_some_and(|failure| {
        failure.status == Some(StatusCode::NOT_FOUND) && failure.body.contains("entity.change")
    })
}
