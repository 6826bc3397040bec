//! `AZURE_DNS`: Azure DNS through Azure Resource Manager, API version 2018-05-01.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Repeat;
use crate::provider::azure::Credentials;
use crate::provider::azure::record_set::{RecordSet, Text};
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::nameservers;
use crate::provider::oauth::Session;
use crate::provider::pace::{Of, Rate};
use crate::provider::pages::with_parameter;
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::rrset::{Change, Rounds, by_name};

pub(super) const SPEC: Spec = Spec {
    kind: "AZURE_DNS",
    name: "Azure DNS",
    api: "https://learn.microsoft.com/rest/api/dns/",
    fields: &[
        Field {
            key: "SubscriptionID",
            required: true,
            help: "subscription that the zones are in",
        },
        Field {
            key: "ResourceGroup",
            required: true,
            help: "resource group that the zones are in",
        },
        Field {
            key: "TenantID",
            required: false,
            help: "tenant of the application; default: `AZURE_TENANT_ID`",
        },
        Field {
            key: "ClientID",
            required: false,
            help: "id of the application, or of a managed identity; default: `AZURE_CLIENT_ID`",
        },
        Field {
            key: "ClientSecret",
            required: false,
            help: "secret of the application",
        },
        Field {
            key: "UseOIDC",
            required: false,
            help: "`true`: sign in with the token of the workload, in the file `AZURE_FEDERATED_TOKEN_FILE` or from GitHub Actions",
        },
    ],
    // https://learn.microsoft.com/azure/role-based-access-control/permissions/networking#microsoftnetwork
    scope: "it needs the role `DNS Zone Contributor` for the zone, or one with `Microsoft.Network/dnsZones/read`, `.../dnsZones/all/read`, `.../dnsZones/NS/read`, and `read`, `write` and `delete` of `.../dnsZones/TXT`",
    rates: &[
        // https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling:
        // what Azure DNS allows, and the writes of Azure Resource Manager.
        Rate {
            requests: 500,
            per: Duration::from_mins(5),
            of: Of::Reads,
        },
        Rate {
            requests: 200,
            per: Duration::from_secs(20),
            of: Of::Writes,
        },
    ],
    notes: &[
        "one call for each name, eight at a time: the API has no batches; a set that another writer changed meanwhile is read again",
        "without a secret in the entry: `AZURE_CLIENT_SECRET` with `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE` (AKS workload identity), or a managed identity (virtual machines, App Service, Container Apps)",
        "`UseOIDC` needs no browser here, unlike in DNSControl: on GitHub the job needs `permissions: id-token: write`, and the application a federated credential for the workflow",
        "client certificates, Azure Arc, and the sign-ins of the Azure CLI and of PowerShell are not supported; nor are sovereign clouds",
        "`AZURE_ALIAS` is compared by type and target",
        "name servers in the apex NS set that are not Azure's count as declared, as in DNSControl",
    ],
    connect,
};

/// How many sets of a zone are written at once.
const AT_ONCE: usize = 8;

const API_VERSION: &str = "2018-05-01";

#[derive(Debug)]
struct AzureDns {
    session: Session<Credentials>,
    subscription: String,
    resource_group: String,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let credentials = Credentials::find(entry, &context.environment)?;
    let base = Base::Vendor("https://management.azure.com");
    let public = [
        "SubscriptionID",
        "ResourceGroup",
        "TenantID",
        "ClientID",
        "UseOIDC",
    ];
    let api = Api::new(&SPEC, entry, context, base)?;
    let api = public.into_iter().fold(api, Api::shows);
    let api = match credentials.place {
        Some(place) => api.credentials_from(place),
        None => api
            .credential_in_request("ClientID")
            .credential_in_request("ClientSecret"),
    };
    Ok(Box::new(AzureDns {
        session: Session::new(api, credentials, context)?,
        subscription: entry.required("SubscriptionID")?.to_owned(),
        resource_group: entry.required("ResourceGroup")?.to_owned(),
    }))
}

#[derive(Deserialize)]
struct ZoneAnswer {
    properties: ZoneProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ZoneProperties {
    #[serde(default)]
    name_servers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetsPage {
    value: Vec<RecordSet>,
    next_link: Option<String>,
}

/// A TXT set that has to change. Without values it goes.
struct Edit<'a> {
    name: &'a DnsName,
    before: Option<&'a RecordSet>,
    after: Vec<Text>,
}

impl DnsProvider for AzureDns {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        let work = self.session.run(move || async move {
            let sets = self.list(zone, "all").await?;
            let records = sets.iter().map(|set| set.records(zone.name));
            let records: Vec<Vec<Record>> = records.collect::<Result<_>>()?;
            Ok(records.into_iter().flatten().collect())
        });
        self.session.api.reading(zone, work)
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        let work = self.session.run(move || self.bring(zone, batch));
        self.session.api.changing(zone, work)
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        let work = self.session.run(move || self.servers(zone));
        self.session.api.reading(zone, work)
    }

    fn quirks(&self, _: ZoneRef<'_>) -> Quirks {
        Quirks {
            ignored_types: &["SOA"],
            ..Quirks::default()
        }
    }
}

impl AzureDns {
    async fn bring(&self, zone: ZoneRef<'_>, batch: &TxtBatch) -> Result<()> {
        let mut rounds = Rounds::default();
        loop {
            let sets = self.list(zone, "TXT").await?;
            let changes = by_name(batch);
            let edits = changes.iter().map(|change| edit(change, &sets, zone.name));
            let edits: Vec<Edit<'_>> = edits.flatten().collect();
            if edits.is_empty() || rounds.settled(self.write(zone, &edits).await).await? {
                return Ok(());
            }
        }
    }

    /// Azure's name servers, and the others of the apex NS set.
    async fn servers(&self, zone: ZoneRef<'_>) -> Result<Vec<DnsName>> {
        let answer: ZoneAnswer = self.session.api.get(self.url(zone, &[])?).await?;
        let apex: RecordSet = self.session.api.get(self.url(zone, &["NS", "@"])?).await?;
        let mut names = nameservers::parsed(answer.properties.name_servers)?;
        for record in apex.records(zone.name)? {
            let name: DnsName = record.data.parse()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The sets of a type, or of `all`.
    async fn list(&self, zone: ZoneRef<'_>, rtype: &str) -> Result<Vec<RecordSet>> {
        let next = |page: &SetsPage, _: &_, _: &Url| Url::parse(page.next_link.as_ref()?).ok();
        let url = self.url(zone, &[rtype])?;
        let pages = self.session.api.pages(url, next).await?;
        Ok(pages.into_iter().flat_map(|page| page.value).collect())
    }

    /// Writes every set, whatever becomes of the others.
    async fn write(&self, zone: ZoneRef<'_>, edits: &[Edit<'_>]) -> Result<bool> {
        let writes: Vec<_> = edits
            .iter()
            .map(|edit| self.write_one(zone, edit))
            .collect();
        let written: Vec<Result<()>> = stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        written.into_iter().collect::<Result<()>>()?;
        Ok(true)
    }

    /// Writes a set if it still is what was read: 412 if another writer was faster
    /// (<https://learn.microsoft.com/azure/dns/dns-zones-records#etags>).
    async fn write_one(&self, zone: ZoneRef<'_>, edit: &Edit<'_>) -> Result<()> {
        let api = &self.session.api;
        let label = edit.name.label_in(zone.name).unwrap_or("@");
        let url = self.url(zone, &["TXT", label])?;
        let method = if edit.after.is_empty() {
            Method::DELETE
        } else {
            Method::PUT
        };
        let mut request = api.request(method, url);
        request = match edit.before {
            Some(before) => request.header(IF_MATCH, &before.etag),
            None => request.header(IF_NONE_MATCH, "*"),
        };
        if !edit.after.is_empty() {
            let texts = edit.after.iter().map(|text| json!({ "value": text.value }));
            let before = edit.before.map(|before| &before.properties);
            let mut properties = json!({
                "TTL": before.map_or(TXT_TTL, |before| before.ttl),
                "TXTRecords": texts.collect::<Value>(),
            });
            // What a PUT does not have is lost.
            if let (Some(metadata), Some(properties)) = (
                before.and_then(|before| before.metadata.clone()),
                properties.as_object_mut(),
            ) {
                properties.insert("metadata".to_owned(), metadata);
            }
            request = request.json(&json!({ "properties": properties }));
        }
        api.send(request, Repeat::WhenRefused).await.map(|_| ())
    }

    fn url(&self, zone: ZoneRef<'_>, more: &[&str]) -> Result<Url> {
        let zone = [
            "subscriptions",
            &self.subscription,
            "resourceGroups",
            &self.resource_group,
            "providers",
            "Microsoft.Network",
            "dnsZones",
            zone.name.as_str(),
        ];
        let url = self.session.api.url(&[&zone, more].concat())?;
        Ok(with_parameter(&url, "api-version", API_VERSION))
    }
}

fn edit<'a>(change: &Change<'a>, sets: &'a [RecordSet], zone: &DnsName) -> Option<Edit<'a>> {
    let label = change.name.label_in(zone);
    let same = |set: &&RecordSet| label.is_some_and(|label| set.name.eq_ignore_ascii_case(label));
    let before = sets.iter().find(same);
    let texts = before.map_or(&[][..], |set| &set.properties.texts);
    let new = |text: &str| Text {
        value: vec![text.to_owned()],
    };
    let after = change.apply(texts, |text| text.value.concat(), new);
    (after != texts).then_some(Edit {
        name: change.name,
        before,
        after,
    })
}
