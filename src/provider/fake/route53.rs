//! Route 53, as <https://docs.aws.amazon.com/Route53/latest/APIReference/Welcome.html> describes it: moto keeps the
//! zones, and this layer before it adds the rules that AWS has and moto lacks.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use roxmltree::Document;

use crate::model::name::DnsName;
use crate::provider::fake::aws::{Aws, error, xml};
use crate::provider::fake::moto::Moto;
use crate::provider::fake::route53::rules::{
    Key, XMLNS, absolute, all, escaped, key, over_limit, problem, reversed, sets_of, text,
};
use crate::provider::fake::{Fake, Reply, Request, Store, Vendor};
use crate::provider::rrset::Spelling;

/// An account.
pub(super) struct Route53 {
    pub(super) moto: Moto,
    pub(super) aws: Aws,
    /// How often a change is still `PENDING` when it is asked after.
    pub(super) pending: u32,
    /// How many changes more are refused because of one before.
    pub(super) busy: u32,
    /// A set, as moto takes it, that another writer puts before the next change.
    pub(super) rival: Option<String>,
    /// How often each change is still `PENDING`, by id.
    changes: BTreeMap<String, u32>,
    /// What zones list until the next change, by id: making the list of a big one takes moto long.
    lists: BTreeMap<String, Vec<(Key, String)>>,
}

impl Route53 {
    pub(super) fn new() -> Self {
        Self {
            moto: Moto::start(),
            aws: Aws::new(),
            pending: 0,
            busy: 0,
            rival: None,
            changes: BTreeMap::new(),
            lists: BTreeMap::new(),
        }
    }

    /// What all providers' tests have in `example.test` and `big.test`.
    pub(super) fn seeded() -> Self {
        let route53 = Self::new();
        for (zone, rows) in Store::seeded(0).zones {
            let id = route53.moto.create_zone(&zone, false);
            let mut sets: BTreeMap<(DnsName, String), (u32, String)> = BTreeMap::new();
            for row in rows {
                let record = row.record;
                let value = match record.rtype.as_str() {
                    "TXT" => Spelling::Quoted.spell(&record.data),
                    _ => record.data,
                };
                let set = sets.entry((record.name, record.rtype)).or_default();
                set.0 = record.ttl;
                set.1 += &format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>");
            }
            let sets: Vec<String> = sets
                .into_iter()
                .map(|((name, rtype), (ttl, values))| {
                    format!(
                        "<Name>{}</Name><Type>{rtype}</Type><TTL>{ttl}</TTL><ResourceRecords>{values}</ResourceRecords>",
                        name.fqdn()
                    )
                })
                .collect();
            route53.moto.put(&id, &sets);
        }
        route53
    }

    pub(super) fn start(mut self) -> Fake {
        Fake::start(Vendor {
            answer: Box::new(move |request| self.answer(request)),
            is_write: |request| request.method == "POST" && request.path.len() > 1,
            // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
            too_many: error(400, "Throttling", "Rate exceeded"),
        })
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let (method, path) = request.route();
        match (method, &path[..]) {
            ("POST", [""]) => return self.aws.sts(request, &self.moto),
            ("GET", ["container"]) => return self.aws.container(request),
            (_, ["latest", ..]) => return self.aws.instance(request),
            _ => {}
        }
        if let Err(refused) = self.aws.check(request, "route53") {
            return refused;
        }
        match (method, &path[..]) {
            ("GET", ["2013-04-01", "hostedzonesbyname"]) => self.zones_by_name(request),
            ("GET", ["2013-04-01", "hostedzone", id]) => {
                let (status, body) = self.moto.ask(
                    "route53",
                    "GET",
                    &format!("/2013-04-01/hostedzone/{id}"),
                    "",
                );
                if status == 404 {
                    no_zone(id)
                } else {
                    xml(status, body)
                }
            }
            ("GET", ["2013-04-01", "hostedzone", id, "rrset"]) => self.list(id, request),
            ("POST", ["2013-04-01", "hostedzone", id, "rrset", ""]) => self.change(id, request),
            ("GET", ["2013-04-01", "change", id]) => match self.changes.get_mut(*id) {
                None => error(
                    404,
                    "NoSuchChange",
                    &format!("Could not find resource with ID: {id}"),
                ),
                Some(pending) => {
                    let status = if *pending == 0 { "INSYNC" } else { "PENDING" };
                    *pending = pending.saturating_sub(1);
                    change_info("GetChangeResponse", id, status)
                }
            },
            _ => error(404, "InvalidAction", "Could not find operation"),
        }
    }

    /// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListHostedZonesByName.html>: zones in the order of
    /// their reversed names, from `dnsname` and `hostedzoneid` on.
    fn zones_by_name(&self, request: &Request) -> Reply {
        let (_, body) = self
            .moto
            .ask("route53", "GET", "/2013-04-01/hostedzone?maxitems=1000", "");
        let document = Document::parse(&body).unwrap();
        let mut zones: Vec<((String, String), &str, String)> = all(&document, "HostedZone")
            .map(|node| {
                let id = text(node, "Id")
                    .trim_start_matches("/hostedzone/")
                    .to_owned();
                let name = text(node, "Name");
                ((reversed(&name), id), &body[node.range()], name)
            })
            .collect();
        zones.sort();
        let name = reversed(&absolute(request.parameter("dnsname").unwrap_or_default()));
        let first = (
            name,
            request
                .parameter("hostedzoneid")
                .unwrap_or_default()
                .to_owned(),
        );
        zones.retain(|(key, ..)| *key >= first);
        let most = request.number("maxitems", 100).clamp(1, 100);
        let shown: String = zones.iter().take(most).map(|(_, zone, _)| *zone).collect();
        let next = zones.get(most).map_or(String::new(), |((_, id), _, name)| {
            format!("<NextDNSName>{name}</NextDNSName><NextHostedZoneId>{id}</NextHostedZoneId>")
        });
        document_of(
            "ListHostedZonesByNameResponse",
            &format!(
                "<HostedZones>{shown}</HostedZones><IsTruncated>{}</IsTruncated>{next}",
                !next.is_empty()
            ),
        )
    }

    /// Its sets, in their order; none for a zone that is not there.
    fn sets(&mut self, id: &str) -> Option<&[(Key, String)]> {
        if !self.lists.contains_key(id) {
            let body = self.moto.sets(id);
            let document = Document::parse(&body).unwrap();
            if all(&document, "Error").next().is_some() {
                return None;
            }
            let mut sets: Vec<(Key, String)> = all(&document, "ResourceRecordSet")
                .map(|node| {
                    let name = text(node, "Name");
                    // "returns the characters as escape codes":
                    // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
                    let element = |name: &str| format!("<Name>{name}</Name>");
                    let shown =
                        body[node.range()].replace(&element(&name), &element(&escaped(&name)));
                    (key(node), shown)
                })
                .collect();
            sets.sort();
            self.lists.insert(id.to_owned(), sets);
        }
        self.lists.get(id).map(Vec::as_slice)
    }

    fn list(&mut self, id: &str, request: &Request) -> Reply {
        let Some(sets) = self.sets(id) else {
            return no_zone(id);
        };
        let [name, rtype, identifier] = ["name", "type", "identifier"]
            .map(|parameter| request.parameter(parameter).unwrap_or_default());
        // "If you specify Type but not Name, Amazon Route 53 returns the InvalidInput error."
        if name.is_empty() && !(rtype.is_empty() && identifier.is_empty()) {
            return error(400, "InvalidInput", "The input is not valid");
        }
        let first = match name {
            "" => Key::default(),
            name => (
                reversed(&escaped(&absolute(name))),
                rtype.to_owned(),
                identifier.to_owned(),
            ),
        };
        let sets = &sets[sets.partition_point(|(key, _)| *key < first)..];
        let most = request.number("maxitems", 300).clamp(1, 300);
        let shown: String = sets
            .iter()
            .take(most)
            .map(|(_, set)| set.as_str())
            .collect();
        let next = sets.get(most).map_or(String::new(), |((name, rtype, identifier), _)| {
            let next_id = match identifier.as_str() {
                "" => String::new(),
                id => format!("<NextRecordIdentifier>{id}</NextRecordIdentifier>"),
            };
            let name = reversed(name);
            format!("<NextRecordName>{name}</NextRecordName><NextRecordType>{rtype}</NextRecordType>{next_id}")
        });
        document_of(
            "ListResourceRecordSetsResponse",
            &format!(
                "<ResourceRecordSets>{shown}</ResourceRecordSets><IsTruncated>{}</IsTruncated>{next}<MaxItems>{most}</MaxItems>",
                !next.is_empty()
            ),
        )
    }

    /// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>
    fn change(&mut self, id: &str, request: &Request) -> Reply {
        if self.busy > 0 {
            self.busy -= 1;
            let message =
                "The request was rejected because Route 53 was still processing a prior request.";
            return error(400, "PriorRequestNotComplete", message);
        }
        if let Some(set) = self.rival.take() {
            self.lists.remove(id);
            self.moto.put(id, &[set]);
        }
        let body = self.moto.sets(id);
        let zone = Document::parse(&body).unwrap();
        if all(&zone, "Error").next().is_some() {
            return no_zone(id);
        }
        let Ok(document) = Document::parse(&request.body) else {
            return error(400, "InvalidInput", "Invalid XML");
        };
        if !document
            .root_element()
            .has_tag_name((XMLNS, "ChangeResourceRecordSetsRequest"))
        {
            return error(
                400,
                "InvalidInput",
                "Invalid XML ; cvc-elt.1: Cannot find the declaration of element",
            );
        }
        let mut sets = sets_of(&zone);
        let apex = all(&zone, "ResourceRecordSet").find(|node| text(*node, "Type") == "SOA");
        let apex = text(apex.unwrap(), "Name");
        let mut problems = Vec::new();
        for change in all(&document, "Change") {
            problems.extend(problem(&mut sets, change, &apex));
        }
        problems.extend(over_limit(&document));
        // "either makes all or none of the changes"
        if !problems.is_empty() {
            return error(
                400,
                "InvalidChangeBatch",
                &format!("[{}]", problems.join(", ")),
            );
        }
        // moto remembers what was ever created, and refuses to create it again.
        let body = request.body.replace("<Action>CREATE<", "<Action>UPSERT<");
        self.lists.remove(id);
        let (status, answer) = self.moto.change(id, &body);
        assert_eq!(status, 200, "{answer}");
        let change = format!("C{:013}", self.changes.len());
        self.changes.insert(change.clone(), self.pending);
        change_info("ChangeResourceRecordSetsResponse", &change, "PENDING")
    }
}

fn no_zone(id: &str) -> Reply {
    error(
        404,
        "NoSuchHostedZone",
        &format!("No hosted zone found with ID: {id}"),
    )
}

fn change_info(root: &str, id: &str, status: &str) -> Reply {
    document_of(
        root,
        &format!(
            "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status><SubmittedAt>2026-11-25T16:00:00.000Z</SubmittedAt></ChangeInfo>"
        ),
    )
}

fn document_of(root: &str, inner: &str) -> Reply {
    xml(
        200,
        format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{XMLNS}\">{inner}</{root}>"),
    )
}
