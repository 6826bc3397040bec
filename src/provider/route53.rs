//! ROUTE53: the API 2013-04-01 of Amazon Route 53.

mod client;
mod records;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use url::Url;

use crate::model::change::TxtBatch;
use crate::model::hint::with_hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, Zone, ZoneRef};
use crate::provider::aws::Credentials;
use crate::provider::base::Base;
use crate::provider::http::Api;
use crate::provider::nameservers;
use crate::provider::pace::{Of, Rate};
use crate::provider::port::{Answer, DnsProvider, Quirks, TXT_TTL};
use crate::provider::registry::{Context, Field, Spec};
use crate::provider::route53::client::{Client, code};
use crate::provider::route53::xml::{HostedZone, Set};
use crate::provider::rrset::{Edit, Rounds, Spelling, TxtSet, by_name, edits};
use crate::provider::zone_cache::ZoneCache;

pub(super) const SPEC: Spec = Spec {
    kind: "ROUTE53",
    name: "Amazon Route 53",
    api: "https://docs.aws.amazon.com/Route53/latest/APIReference/Welcome.html",
    fields: &[
        Field {
            key: "KeyId",
            required: false,
            help: "access key id; default: what AWS's own tools find: `AWS_ACCESS_KEY_ID` and \
                   `AWS_SECRET_ACCESS_KEY`, `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, `AWS_PROFILE` or \
                   the profile `default`, the role of the container or of the EC2 instance",
        },
        Field {
            key: "SecretKey",
            required: false,
            help: "secret access key",
        },
        Field {
            key: "Token",
            required: false,
            help: "session token, if the access key is one of a session",
        },
        Field {
            key: "Profile",
            required: false,
            help: "profile of `~/.aws/config` and `~/.aws/credentials`, instead of an access key",
        },
        Field {
            key: "RoleArn",
            required: false,
            help: "role to assume with the credentials",
        },
        Field {
            key: "ExternalId",
            required: false,
            help: "external id that the role asks for",
        },
        Field {
            key: "DelegationSet",
            required: false,
            help: "for zones that DNSControl makes; not used",
        },
    ],
    // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html
    scope: "the policy must allow `route53:ListHostedZonesByName` and `route53:GetChange`, and for the zone \
            `route53:GetHostedZone`, `route53:ListResourceRecordSets` and `route53:ChangeResourceRecordSets`",
    // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
    rates: &[Rate {
        requests: 5,
        per: Duration::from_secs(1),
        of: Of::All,
    }],
    notes: &[
        "the policy needs `route53:ListHostedZonesByName` and `route53:GetChange` on `*`, and on \
         `arn:aws:route53:::hostedzone/ID` `route53:GetHostedZone`, `route53:ListResourceRecordSets` and \
         `route53:ChangeResourceRecordSets`, the last with the condition `ForAllValues:StringEquals` \
         `route53:ChangeResourceRecordSetsRecordTypes` `TXT` and `ForAllValues:StringLike` \
         `route53:ChangeResourceRecordSetsNormalizedRecordNames` `_acme-challenge.*`",
        "all values of a zone go in one call, 1,000 values or 32,000 characters at a time; a change fails as a \
         whole if another writer was faster, and is done again",
        "after values are added, it waits until all name servers of Route 53 have them, 3 minutes at most",
        "private zones are skipped; where several public zones have the name, `R53_ZONE(\"ID\")` in `D()` says which",
        "`R53_ALIAS`, `R53_WEIGHT` and `R53_HEALTH_CHECK_ID` are compared; other routing policies show as records \
         that are not declared, records of traffic policies are left alone, as in DNSControl",
        "a challenge name that has an alias, or TXT records with a routing policy, is an error",
        "profiles with `sso_session`, `credential_process` or `mfa_serial`, and the partitions of China and \
         GovCloud, are not supported",
    ],
    connect,
};

/// Sets of a page, at most.
const PER_PAGE: usize = 300;

/// Hosted zones of a page, at most.
const ZONES_PER_PAGE: &str = "100";

/// What a change is refused with, another writer's doing or not.
const REFUSED: &str = "InvalidChangeBatch";

#[derive(Debug)]
struct Route53 {
    client: Client,
    zones: ZoneCache<HostedZone>,
}

fn connect(entry: &ProviderEntry, context: &Context) -> Result<Box<dyn DnsProvider>> {
    let variables = &["AWS_ENDPOINT_URL_ROUTE_53", "AWS_ENDPOINT_URL"];
    let base = Base::VendorUnless("https://route53.amazonaws.com", variables);
    let credentials = Credentials::find(entry, context)?;
    let mut api = Api::new(&SPEC, entry, context, base)?.credentials_from(credentials.place());
    for public in ["Profile", "RoleArn", "DelegationSet"] {
        api = api.shows(public);
    }
    Ok(Box::new(Route53 {
        client: Client { api, credentials },
        zones: ZoneCache::default(),
    }))
}

impl DnsProvider for Route53 {
    fn records<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<Record>> {
        self.client.api.reading(zone, async move {
            let hosted = self.zone(zone).await?;
            let sets = self.sets(&hosted).await?;
            let records: Vec<_> = sets.iter().map(records::records).collect::<Result<_>>()?;
            Ok(records.concat())
        })
    }

    fn change<'a>(&'a self, zone: ZoneRef<'a>, batch: &'a TxtBatch) -> Answer<'a, ()> {
        self.client.api.changing(zone, async move {
            let hosted = self.zone(zone).await?;
            let mut rounds = Rounds::default();
            let mut refused: Option<Vec<Edit>> = None;
            let mut changes = Vec::new();
            loop {
                let sets = self.txt_sets(&hosted, batch).await?;
                // Route 53's escapes are octal, but a challenge's value needs none.
                let edits = edits(&sets, batch, Spelling::Quoted, TXT_TTL);
                if edits.is_empty() {
                    break;
                }
                match self.write(&hosted, &edits, &mut changes).await {
                    Ok(()) => break,
                    Err(error) if code(&error).as_deref() == Some(REFUSED) => {
                        // Refused although nobody changed the sets: then it is for another reason.
                        if refused.as_ref() == Some(&edits) {
                            return Err(error);
                        }
                        refused = Some(edits);
                        rounds.settled(Ok(false)).await?;
                    }
                    Err(error) => {
                        rounds.settled(Err(error)).await?;
                    }
                }
            }
            // Nobody waits for values to disappear.
            if !batch.add.is_empty() {
                self.client.wait_for(&changes).await?;
            }
            Ok(())
        })
    }

    fn nameservers<'a>(&'a self, zone: ZoneRef<'a>) -> Answer<'a, Vec<DnsName>> {
        self.client.api.reading(zone, async move {
            let hosted = self.zone(zone).await?;
            let (_, servers) = self.zone_by_id(&hosted.id).await?;
            nameservers::parsed(servers)
        })
    }

    fn quirks(&self, zone: ZoneRef<'_>) -> Quirks {
        let zone_id = self.zones.known(zone).map(|zone| zone.id);
        Quirks {
            ignored_types: &["SOA"],
            prepare: Some(Arc::new(move |_: &Zone, record| {
                records::prepared(record, zone_id.as_deref())
            })),
            ..Quirks::default()
        }
    }
}

impl Route53 {
    /// The public zone of that name, or the one that `R53_ZONE()` names.
    async fn zone(&self, zone: ZoneRef<'_>) -> Result<HostedZone> {
        let look_up = async {
            match zone.meta.get("zone_id") {
                Some(id) => {
                    let (hosted, _) = self.zone_by_id(xml::bare_id(id)).await?;
                    check_named(zone, hosted)
                }
                None => self.zone_by_name(zone).await,
            }
        };
        self.zones.get(zone, look_up).await
    }

    async fn zone_by_id(&self, id: &str) -> Result<(HostedZone, Vec<String>)> {
        let url = self.client.url(&["hostedzone", id], &[])?;
        self.client.read(&url, xml::hosted_zone_with_servers).await
    }

    async fn zone_by_name(&self, zone: ZoneRef<'_>) -> Result<HostedZone> {
        let name = zone.name.fqdn();
        let first = [("dnsname", name.as_str()), ("maxitems", ZONES_PER_PAGE)];
        let url = self.client.url(&["hostedzonesbyname"], &first)?;
        // The list goes on with other names, in their order.
        let goes_on = |zones: &[HostedZone]| zones.last().is_some_and(|last| last.name == name);
        let mut found = self.client.pages(url, xml::hosted_zones, goes_on).await?;
        found.retain(|hosted| hosted.name == name);
        let has_private = found.iter().any(|hosted| hosted.is_private);
        found.retain(|hosted| !hosted.is_private);
        if found.len() > 1 {
            let ids: Vec<String> = found
                .iter()
                .map(|hosted| format!("`{}`", hosted.id))
                .collect();
            return Err(with_hint(
                anyhow!(
                    "the account has several public zones `{zone}`: {}",
                    ids.join(", ")
                ),
                format!("say which: add `R53_ZONE(\"ID\")` to `D(\"{zone}\", ...)`"),
            ));
        }
        found.pop().ok_or_else(|| {
            let nothing = self.client.api.no_zone(zone);
            if has_private {
                nothing.context(format!(
                    "`{zone}` is only a private zone, which a CA cannot see"
                ))
            } else {
                nothing
            }
        })
    }

    async fn sets(&self, hosted: &HostedZone) -> Result<Vec<Set>> {
        let most = PER_PAGE.to_string();
        let url = self.sets_url(hosted, &[("maxitems", &most)])?;
        self.client.pages(url, xml::sets, |_| true).await
    }

    /// The TXT sets at the names of a batch: name by name, or the whole zone where that is less to ask.
    async fn txt_sets(&self, hosted: &HostedZone, batch: &TxtBatch) -> Result<Vec<TxtSet>> {
        let names: Vec<&DnsName> = by_name(batch).iter().map(|change| change.name).collect();
        let mut sets = Vec::new();
        if names.len() < hosted.sets.div_ceil(PER_PAGE) {
            for name in &names {
                // The first set from there on, which may be another.
                let name = name.fqdn();
                let first = [("name", name.as_str()), ("type", "TXT"), ("maxitems", "1")];
                let url = self.sets_url(hosted, &first)?;
                sets.extend(self.client.read(&url, xml::sets).await?.items);
            }
        } else {
            sets = self.sets(hosted).await?;
        }
        let mut found = Vec::new();
        for set in sets.into_iter().filter(|set| set.rtype == "TXT") {
            // A name that is no challenge name may have any form.
            let name = set.name.parse().ok();
            if let Some(name) = name.filter(|name| names.contains(&name)) {
                found.push(records::txt_set(name, set)?);
            }
        }
        Ok(found)
    }

    fn sets_url(&self, hosted: &HostedZone, parameters: &[(&str, &str)]) -> Result<Url> {
        self.client
            .url(&["hostedzone", &hosted.id, "rrset"], parameters)
    }

    /// Sends the edits, and adds the ids of the changes that were accepted.
    async fn write(
        &self,
        hosted: &HostedZone,
        edits: &[Edit],
        changes: &mut Vec<String>,
    ) -> Result<()> {
        let url = self
            .client
            .url(&["hostedzone", &hosted.id, "rrset", ""], &[])?;
        for body in xml::change_batches(edits) {
            let change = self.client.write(&url, &body, xml::change).await?;
            changes.push(change.id);
        }
        Ok(())
    }
}

/// A zone that `R53_ZONE()` names has to be the public zone of that name.
fn check_named(zone: ZoneRef<'_>, hosted: HostedZone) -> Result<HostedZone> {
    let HostedZone {
        id,
        name,
        is_private,
        ..
    } = &hosted;
    let wrong = if *name != zone.name.fqdn() {
        format!("zone `{id}` is that of `{}`", name.trim_end_matches('.'))
    } else if *is_private {
        format!("zone `{id}` is private, so a CA cannot see it")
    } else {
        return Ok(hosted);
    };
    Err(with_hint(
        anyhow!(wrong),
        format!("check `R53_ZONE(\"{id}\")` in `D(\"{zone}\", ...)`"),
    ))
}
