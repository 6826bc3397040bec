//! What every name server of a zone has at names, before anything is written there.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures_util::future::{join, join_all};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::dns::doh::Resolver;
use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::lookup::NameServer;
use crate::dns::not_seen::{Laggard, Problem};
use crate::dns::view::{OPERATORS, View};
use crate::model::name::DnsName;

/// How often a server is asked for what it does not answer.
const ATTEMPTS: usize = 2;

/// CNAMEs: what each address of the servers has at each of the names; one list a name, in order.
///
/// [`Problem::Alias`] is a CNAME; [`Problem::NoAlias`] and [`Problem::NoName`] say that there is
/// none. Where a wildcard covers the name, its CNAME is what a server has there. IPv6 addresses
/// that this machine has no route to are left out.
///
/// Resolvers of a view are asked over HTTPS. One that does not answer is left out where enough
/// others do.
pub(crate) async fn aliases(names: &[DnsName], view: &View) -> Vec<Vec<Laggard>> {
    let questions: Vec<Name> = names.iter().map(wire_name).collect();
    let (mut by_name, over_https) = join(
        at_servers(&questions, &view.servers),
        join_all(
            questions
                .iter()
                .map(|name| at_resolvers(name, &view.resolvers)),
        ),
    )
    .await;
    for (list, more) in by_name.iter_mut().zip(over_https) {
        list.extend(more);
    }
    by_name
}

async fn at_servers(questions: &[Name], servers: &[NameServer]) -> Vec<Vec<Laggard>> {
    let addresses = addresses(servers)
        .map(|(server, address)| async move { (server, address, look(address, questions).await) });
    let mut by_name = vec![Vec::new(); questions.len()];
    for (server, address, said) in join_all(addresses).await {
        for (list, problem) in by_name.iter_mut().zip(said) {
            if problem != Problem::Unanswered(Unanswered::NoRoute) {
                list.push(Laggard {
                    server: server.name.clone(),
                    address: Some(address),
                    problem,
                    names: 1,
                });
            }
        }
    }
    by_name
}

async fn at_resolvers(name: &Name, resolvers: &[Resolver]) -> Vec<Laggard> {
    let asked = resolvers.iter().map(|resolver| async move {
        let answer = resolver.ask(RecordType::CNAME, name).await;
        Laggard {
            server: resolver.host().clone(),
            address: None,
            problem: judge(answer, name, true),
            names: 1,
        }
    });
    let said = join_all(asked).await;
    let (silent, answered): (Vec<_>, Vec<_>) = said
        .into_iter()
        .partition(|one| matches!(one.problem, Problem::Unanswered(_)));
    if answered.len() >= OPERATORS {
        return answered;
    }
    silent.into_iter().chain(answered).collect()
}

/// TXT values that every address of the servers has at each of the names; a set a name, in order.
///
/// An address that does not answer has none; IPv6 addresses without a route are left out.
pub(crate) async fn common_txt(names: &[DnsName], servers: &[NameServer]) -> Vec<BTreeSet<String>> {
    let questions: Vec<Name> = names.iter().map(wire_name).collect();
    let answers = addresses(servers).map(|(_, address)| ask(address, RecordType::TXT, &questions));
    let mut by_name: Vec<Option<BTreeSet<String>>> = vec![None; names.len()];
    for answers in join_all(answers).await {
        for ((common, name), answer) in by_name.iter_mut().zip(&questions).zip(answers) {
            let values = match answer {
                Err(Unanswered::NoRoute) => continue,
                Err(_) => BTreeSet::new(),
                Ok(message) => txt_at(&message, name),
            };
            *common = Some(match common.take() {
                None => values,
                Some(common) => &common & &values,
            });
        }
    }
    by_name.into_iter().map(Option::unwrap_or_default).collect()
}

/// SOA serials of a zone, by the server's address; those aside that do not answer with authority.
pub(crate) async fn serials(zone: &DnsName, servers: &[NameServer]) -> Vec<(String, u32)> {
    let question = [wire_name(zone)];
    let answers = addresses(servers).map(|(server, address)| {
        let question = &question;
        async move {
            let message = ask(address, RecordType::SOA, question).await.pop()?.ok()?;
            let serial = message
                .answers
                .iter()
                .find_map(|record| match &record.data {
                    RData::SOA(soa) => Some(soa.serial),
                    _ => None,
                })?;
            let who = format!("{} ({})", server.name, address.ip());
            message.metadata.authoritative.then_some((who, serial))
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

pub(super) fn addresses(servers: &[NameServer]) -> impl Iterator<Item = (&NameServer, SocketAddr)> {
    servers.iter().flat_map(|server| {
        let addresses = server.addresses.iter();
        addresses.map(move |&address| (server, address))
    })
}

pub(super) fn txt_at(message: &Message, name: &Name) -> BTreeSet<String> {
    let at_name = message.answers.iter().filter(|record| record.name == *name);
    at_name
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        })
        .collect()
}

/// What a server has at each name: a CNAME, or none.
async fn look(address: SocketAddr, questions: &[Name]) -> Vec<Problem> {
    let silent = Problem::Unanswered(Unanswered::Silent);
    let mut said = vec![silent; questions.len()];
    for _ in 0..ATTEMPTS {
        let open: Vec<usize> = (0..)
            .zip(&said)
            .filter(|(_, problem)| matches!(problem, Problem::Unanswered(_)))
            .map(|(index, _)| index)
            .collect();
        let names: Vec<Name> = open
            .iter()
            .filter_map(|&index| questions.get(index).cloned())
            .collect();
        let answers = ask(address, RecordType::CNAME, &names).await;
        for ((index, name), answer) in open.into_iter().zip(&names).zip(answers) {
            if let Some(slot) = said.get_mut(index) {
                *slot = judge(answer, name, false);
            }
        }
    }
    said
}

/// One of a name server needs authority.
fn judge(answer: Result<Message, Unanswered>, name: &Name, recursive: bool) -> Problem {
    let message = match answer {
        Ok(message) => message,
        Err(why) => return Problem::Unanswered(why),
    };
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Problem::Code(code);
    }
    if !recursive && !message.metadata.authoritative {
        return Problem::NotAuthoritative;
    }
    // The code is about the end of the chain (RFC 6604 section 2).
    let mut at_name = message.answers.iter().filter(|record| record.name == *name);
    let target = at_name.find_map(|record| match &record.data {
        RData::CNAME(target) => Some(target.0.to_lowercase().to_ascii()),
        _ => None,
    });
    match (target, code) {
        (Some(target), _) => Problem::Alias(target.trim_end_matches('.').to_owned()),
        (None, ResponseCode::NXDomain) => Problem::NoName,
        (None, _) => Problem::NoAlias,
    }
}

#[cfg(test)]
mod tests {
    use crate::dns::testing::{Lab, name};

    use super::*;

    const BIND: &str = "127.0.0.1";
    const KNOT: &str = "127.0.0.3";

    async fn said(names: &[&str], servers: &[NameServer]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|text| name(text)).collect();
        let by_name = aliases(&names, &View::of(servers)).await;
        let shown = |list: &Vec<Laggard>| {
            let all: Vec<_> = list.iter().map(|one| one.problem.to_string()).collect();
            all.join("; ")
        };
        by_name.iter().map(shown).collect()
    }

    #[tokio::test]
    async fn every_server_is_asked_for_every_name() {
        let mut lab = Lab::new();
        let both = "@ NS ns1.invalid.\na CNAME Target.elsewhere.test.\n*.w CNAME a.x.test.\nt TXT one\n\
                    t.w TXT two\nchain CNAME missing\ncut NS ns9.invalid.";
        lab.bind(&[("x.test", &format!("{both}\nonly CNAME a.test."))])
            .await;
        lab.knot(KNOT, &[("x.test", both)]).await;
        let servers = [
            lab.server("ns1.x.test", &[BIND]),
            lab.server("ns2.x.test", &[KNOT]),
        ];
        let names = [
            "a.x.test",
            "any.w.x.test",
            "t.w.x.test",
            "t.x.test",
            "chain.x.test",
            "_acme-challenge.cut.x.test",
            "only.x.test",
            "none.x.test",
            "elsewhere.test",
        ];
        let twice = |text: &str| format!("{text}; {text}");
        assert_eq!(
            said(&names, &servers).await,
            [
                twice("has a CNAME to `target.elsewhere.test` there"),
                twice("has a CNAME to `a.x.test` there"),
                twice("has no CNAME there"),
                twice("has no CNAME there"),
                twice("has a CNAME to `missing.x.test` there"),
                twice("is not authoritative for it"),
                "has a CNAME to `a.test` there; does not know the name (NXDOMAIN)".to_owned(),
                twice("does not know the name (NXDOMAIN)"),
                twice("answers REFUSED"),
            ]
        );
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_said() {
        let mut lab = Lab::new();
        lab.bind(&[("x.test", "@ NS ns1.invalid.\na CNAME b")])
            .await;
        let servers = [
            lab.server("ns1.x.test", &[BIND]),
            lab.server("ns2.x.test", &["127.0.0.77"]),
        ];
        assert_eq!(
            said(&["a.x.test"], &servers).await,
            ["has a CNAME to `b.x.test` there; refuses connections"]
        );
        assert_eq!(said(&["a.x.test"], &[]).await, [""]);
        assert_eq!(said(&[], &servers).await, [""; 0]);
    }

    #[tokio::test]
    async fn values_that_every_server_has() {
        let mut lab = Lab::new();
        let records = "@ NS ns1.invalid.\na TXT one\na TXT \"two \" \"strings\"\nb TXT one";
        lab.bind(&[("x.test", &format!("{records}\na TXT more"))])
            .await;
        lab.knot(KNOT, &[("x.test", &records.replace("b TXT", "c TXT"))])
            .await;
        let servers = [
            lab.server("ns1.x.test", &[BIND]),
            lab.server("ns2.x.test", &[KNOT]),
        ];
        let names = ["a.x.test", "b.x.test", "none.x.test"].map(name);
        let set = |values: &[&str]| -> BTreeSet<String> {
            values.iter().map(|&value| value.to_owned()).collect()
        };
        assert_eq!(
            common_txt(&names, &servers).await,
            [set(&["one", "two strings"]), set(&[]), set(&[])]
        );
        let silent = [
            servers[0].clone(),
            lab.server("ns3.x.test", &["127.0.0.77"]),
        ];
        assert_eq!(common_txt(&names[..1], &silent).await, [set(&[])]);
        assert_eq!(common_txt(&names[..1], &[]).await, [set(&[])]);
    }
}
