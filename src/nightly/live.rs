//! Which certificates servers show, compared with those of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, anyhow};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;

use crate::dns::lookup::Lookup;
use crate::model::certificate::CertificateName;
use crate::model::chain::{Seen, leaf_der};
use crate::model::endpoint::{Endpoint, Host};
use crate::model::hint::without_numbers;
use crate::model::name::{DnsName, Identifier};
use crate::model::status::{CertificateStatus, Finding, Place, Served, Status};
use crate::model::wording::count;
use crate::net::onlooker;
use crate::nightly::status::Look;
use crate::nightly::workspaces::blocking;
use crate::repo::layout;
use crate::repo::versions;

/// Servers that are asked at once.
const AT_ONCE: usize = 200;

/// A place of one certificate, and what is asked for there.
struct Question {
    /// Position of the certificate.
    certificate: usize,
    endpoint: Endpoint,
    server_name: Option<DnsName>,
}

/// What a server shows, or why nothing is known.
struct Answer {
    certificate: usize,
    endpoint: Endpoint,
    address: Option<IpAddr>,
    seen: Result<Sight>,
}

/// A certificate, and whether its server has the key.
struct Sight {
    seen: Seen,
    is_proven: bool,
}

/// What the repository knows of a certificate, now and before.
#[derive(Debug, Default)]
struct Known {
    now: Option<Seen>,
    /// Serial numbers that it has had; empty where there is no history.
    serials: BTreeSet<String>,
}

impl Look<'_> {
    /// The same, with what servers show at every address of every name.
    pub(crate) async fn live(&self, names: &BTreeSet<CertificateName>) -> Result<Status> {
        let read = self.read(names).await?;
        let mut status = read.status;
        let mut questions = Vec::new();
        for (position, certificate) in status.certificates.iter_mut().enumerate() {
            let endpoints = read.endpoints.get(&certificate.name).map(Vec::as_slice);
            let (asked, skipped) = places(certificate, endpoints);
            certificate.served = skipped;
            questions.extend(asked.into_iter().map(|endpoint| Question {
                certificate: position,
                server_name: server_name(&endpoint, certificate),
                endpoint,
            }));
        }
        let step = self.progress.step("looking at servers");
        let answers = self.ask(questions).await?;
        step.done(&format!("looked at {}", count(answers.len(), "endpoint")));
        let mut known = BTreeMap::new();
        for answer in answers {
            if let Some(certificate) = status.certificates.get_mut(answer.certificate) {
                let served = self.judged(certificate, answer, &mut known).await?;
                certificate.served.push(served);
            }
        }
        Ok(status)
    }

    async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Answer>> {
        let lookup = match self.job.resolvers.as_slice() {
            [] => Lookup::system()?,
            resolvers => Lookup::at(resolvers)?,
        };
        let asking = questions.into_iter().map(|question| ask(question, &lookup));
        let answers = stream::iter(asking).buffered(AT_ONCE);
        let answers: Vec<Vec<Answer>> = answers.collect().await;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Only what is not the certificate of today costs a look at the history.
    async fn judged(
        &self,
        certificate: &CertificateStatus,
        answer: Answer,
        known: &mut BTreeMap<CertificateName, Known>,
    ) -> Result<Served> {
        let (finding, leaf) = match answer.seen {
            Err(error) => {
                let reason = without_numbers(&format!("{error:#}"));
                (Finding::Unreachable(reason), None)
            }
            Ok(Sight { seen, is_proven }) => {
                let is_current = certificate.leaf.as_ref().is_some_and(|held| {
                    held.serial == seen.leaf.serial && held.public_key == seen.leaf.public_key
                });
                let finding = match known.get(&certificate.name) {
                    _ if is_current && is_proven => Finding::Current,
                    _ if is_current => Finding::Unproven,
                    Some(known) => compare(&seen, known),
                    None => {
                        let new = self.known(&certificate.name).await?;
                        compare(&seen, known.entry(certificate.name.clone()).or_insert(new))
                    }
                };
                (finding, Some(seen.leaf))
            }
        };
        Ok(Served {
            at: Place::Endpoint(answer.endpoint),
            address: answer.address,
            finding,
            leaf,
        })
    }

    async fn known(&self, name: &CertificateName) -> Result<Known> {
        if let Some(vaulting) = &self.job.vault {
            let der = vaulting.leaf_der(name, self.progress).await?;
            return Ok(Known::of(der.as_deref(), BTreeSet::new()));
        }
        let at = name.clone();
        let (chain, place) = self
            .workspaces
            .with(move |workspace| {
                let chain = workspace.read(&layout::certificate_file(&at, "crt"))?;
                Ok((chain, workspace.place()))
            })
            .await?;
        let der = chain.and_then(|chain| leaf_der(&chain).ok());
        let name = name.clone();
        let serials = blocking(move || match place {
            Some(place) if !place.is_cut_off()? => {
                let steps = versions::of(&place, &name)?;
                let leaves = steps.into_iter().filter_map(|step| step.leaf);
                Ok(leaves.map(|leaf| leaf.serial).collect())
            }
            _ => Ok(BTreeSet::new()),
        });
        Ok(Known::of(der.as_deref(), serials.await?))
    }
}

impl Known {
    fn of(der: Option<&[u8]>, serials: BTreeSet<String>) -> Self {
        Self {
            now: der.and_then(|der| Seen::from_der(der).ok()),
            serials,
        }
    }
}

/// Where a certificate is looked for, and names at which nothing can be asked.
fn places(
    certificate: &CertificateStatus,
    endpoints: Option<&[Endpoint]>,
) -> (Vec<Endpoint>, Vec<Served>) {
    if let Some(endpoints) = endpoints {
        return (endpoints.to_vec(), Vec::new());
    }
    let (wildcards, hosts): (Vec<_>, Vec<_>) =
        certificate.names.iter().partition(|name| is_wildcard(name));
    let skipped = wildcards.into_iter().map(|name| Served {
        at: Place::Wildcard(name.clone()),
        address: None,
        finding: Finding::Skipped("a wildcard names no server; `endpoints` in certs.json can"),
        leaf: None,
    });
    let asked = hosts.into_iter().map(|name| Endpoint::https(name.base()));
    (asked.collect(), skipped.collect())
}

fn is_wildcard(name: &Identifier) -> bool {
    name.as_str().starts_with("*.")
}

/// What a client would ask for: the host, where the certificate is for it; else a name that it is for.
fn server_name(endpoint: &Endpoint, certificate: &CertificateStatus) -> Option<DnsName> {
    let names = &certificate.names;
    let own = match &endpoint.host {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    };
    let is_for = |host: &&DnsName| names.iter().any(|name| covers(name, host));
    let other = || names.iter().find(|name| !is_wildcard(name));
    own.filter(is_for)
        .cloned()
        .or_else(|| other().map(Identifier::base))
        .or_else(|| own.cloned())
}

/// Whether a name of a certificate is good for a host (RFC 6125 section 6.4.3).
fn covers(name: &Identifier, host: &DnsName) -> bool {
    if is_wildcard(name) {
        host.parent().is_some_and(|parent| parent == name.base())
    } else {
        name.base() == *host
    }
}

async fn ask(question: Question, lookup: &Lookup) -> Vec<Answer> {
    let Question {
        certificate,
        endpoint,
        server_name,
    } = question;
    let port = endpoint.port;
    let answer = |address, seen| Answer {
        certificate,
        endpoint: endpoint.clone(),
        address,
        seen,
    };
    let addresses = match &endpoint.host {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => lookup.addresses(name).await,
    };
    let addresses = match addresses {
        Ok(addresses) if addresses.is_empty() => Err(anyhow!("it has no address")),
        other => other,
    };
    match addresses {
        Err(error) => vec![answer(None, Err(error))],
        Ok(addresses) => {
            let each = addresses.into_iter().map(|address| {
                let (server_name, answer) = (&server_name, &answer);
                async move {
                    let at = SocketAddr::new(address, port);
                    let shown = onlooker::shown(at, server_name.as_ref()).await;
                    let sight = shown.and_then(|shown| {
                        Ok(Sight {
                            seen: Seen::from_der(&shown.certificate)?,
                            is_proven: shown.is_proven,
                        })
                    });
                    answer(Some(address), sight)
                }
            });
            join_all(each).await
        }
    }
}

/// What it means that a server does not show the certificate of today. Pure.
fn compare(seen: &Seen, known: &Known) -> Finding {
    if known.serials.contains(&seen.leaf.serial) {
        return Finding::Older;
    }
    if seen.is_self_issued {
        return Finding::SelfSigned;
    }
    let Some(now) = &known.now else {
        return Finding::Other;
    };
    let same_organization = seen.organization.is_some() && seen.organization == now.organization;
    let same_authority = same_organization || seen.leaf.issuer == now.leaf.issuer;
    let shares_a_name = !seen.leaf.identifiers.is_disjoint(&now.leaf.identifiers);
    match same_authority && shares_a_name {
        true if seen.leaf.not_before > now.leaf.not_before => Finding::Newer,
        // From the same second, too: deployed once too often is better than not at all.
        true => Finding::Older,
        false => Finding::Other,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use time::macros::datetime;

    use super::*;
    use crate::model::status::State;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority(common_name: &str, organization: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, common_name);
        name.push(DnType::OrganizationName, organization);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate for a name, of a day in November.
    fn seen(authority: &Authority, name: &str, day: u8) -> Seen {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = datetime!(2026-11-01 0:00 UTC).replace_day(day).unwrap();
        let key = KeyPair::generate().unwrap();
        Seen::from_der(params.signed_by(&key, authority).unwrap().der()).unwrap()
    }

    #[test]
    fn what_is_shown_is_compared_with_what_is_held() {
        let [r10, r13] = ["R10", "R13"].map(|name| authority(name, "Let's Encrypt"));
        let other = authority("R13x", "Another");
        let known = Known {
            now: Some(seen(&r13, "a.test", 15)),
            serials: BTreeSet::new(),
        };
        let finding = |seen: &Seen| compare(seen, &known);
        assert_eq!(finding(&seen(&r13, "a.test", 10)), Finding::Older);
        // Its intermediates change.
        assert_eq!(finding(&seen(&r10, "a.test", 10)), Finding::Older);
        assert_eq!(finding(&seen(&r13, "a.test", 15)), Finding::Older);
        assert_eq!(finding(&seen(&r10, "a.test", 20)), Finding::Newer);
        assert_eq!(finding(&seen(&r13, "b.test", 10)), Finding::Other);
        assert_eq!(finding(&seen(&other, "a.test", 10)), Finding::Other);
        let own = Seen::from_der(r10.der()).unwrap();
        assert_eq!(finding(&own), Finding::SelfSigned);
        // What the history has was there before, whatever it says.
        let former = seen(&other, "b.test", 20);
        let known = Known {
            serials: BTreeSet::from([former.leaf.serial.clone()]),
            ..known
        };
        assert_eq!(compare(&former, &known), Finding::Older);
        assert_eq!(compare(&former, &Known::default()), Finding::Other);
    }

    fn certificate(names: &[&str]) -> CertificateStatus {
        CertificateStatus {
            name: "www".parse().unwrap(),
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            is_wanted: true,
            keeps_key: false,
            state: State::Missing,
            leaf: None,
            directory: None,
            next: None,
            window: None,
            readers: None,
            brought_by: None,
            served: Vec::new(),
        }
    }

    #[test]
    fn names_are_asked_and_wildcards_are_not() {
        let certificate = certificate(&["a.test", "*.a.test"]);
        let (asked, skipped) = places(&certificate, None);
        let asked: Vec<_> = asked.iter().map(ToString::to_string).collect();
        assert_eq!(asked, ["a.test:443"]);
        let skipped: Vec<_> = skipped.iter().map(ToString::to_string).collect();
        assert_eq!(skipped, ["*.a.test"]);
        let own = ["b.test:8443".parse().unwrap()];
        assert_eq!(places(&certificate, Some(&own)), (own.to_vec(), Vec::new()));
        assert_eq!(places(&certificate, Some(&[])), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_server_is_asked_for_a_name_that_the_certificate_is_for() {
        let asked = |endpoint: &str, names: &[&str]| {
            let name = server_name(&endpoint.parse().unwrap(), &certificate(names));
            name.map_or_else(|| "nothing".to_owned(), |name| name.to_string())
        };
        let both = ["*.a.test", "a.test"];
        assert_eq!(asked("x.a.test:443", &both), "x.a.test");
        assert_eq!(asked("x.y.a.test:443", &both), "a.test");
        assert_eq!(asked("lb.b.test:443", &both), "a.test");
        assert_eq!(asked("192.0.2.1:443", &both), "a.test");
        assert_eq!(asked("192.0.2.1:443", &["*.a.test"]), "nothing");
        assert_eq!(asked("lb.b.test:443", &["*.a.test"]), "lb.b.test");
    }
}
