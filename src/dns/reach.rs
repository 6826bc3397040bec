//! Looks whether every name server of a zone serves it, before anything is written.

use std::net::SocketAddr;

use anyhow::{Result, anyhow};
use futures_util::future::join_all;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::lookup::NameServer;
use crate::dns::not_seen::{Laggard, Problem};
use crate::dns::port53::Heard;
use crate::model::hint::{Hint, with_hint};
use crate::model::name::DnsName;
use crate::model::zone::ZoneRef;

/// How often a server is asked; with its own patience a silent one costs about six seconds.
const ATTEMPTS: usize = 2;

/// Fails if an address of a server does not answer for the zone with authority. `heard` learns
/// whether one did, those aside that the user adds.
///
/// IPv6 addresses are left out on a machine without an IPv6 route. A challenge would never be seen
/// on such a server, and the CA may ask just that one.
pub(super) async fn every_server(
    zone: ZoneRef<'_>,
    servers: &[NameServer],
    heard: &Heard,
) -> Result<()> {
    let addresses = servers.iter().flat_map(|server| {
        let addresses = server.addresses.iter();
        addresses.map(|&address| look(zone.name, server, address, heard))
    });
    let failed: Vec<_> = join_all(addresses).await.into_iter().flatten().collect();
    if failed.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = failed.iter().map(ToString::to_string).collect();
    let error = anyhow!(
        "not every name server of zone `{}` serves it: {}",
        zone.name,
        list.join("; ")
    );
    let is_extra = |one: &&Laggard| {
        let mut extra = servers.iter().filter(|server| server.is_extra);
        extra.any(|server| server.name == one.server)
    };
    let extra = failed.iter().filter(is_extra);
    let extra: Vec<_> = extra.map(|one| format!("`{}`", one.server)).collect();
    let error = match extra.as_slice() {
        [] => error,
        extra => with_hint(
            error,
            format!(
                "{} stands in `extra-servers` of `[zones.\"{zone}\"]` in `git-certs.toml`: correct it or take it out there, or repair the server",
                extra.join(", ")
            ),
        ),
    };
    if extra.len() == failed.len() {
        return Err(error);
    }
    Err(error)
    .hint(|| format!("a server that the CA need not ask can be named in `ignore-servers` of `[zones.\"{zone}\"]` in `git-certs.toml`"))
    .hint(|| "the CA may ask any of them: repair the server, or take it out of the zone's NS records at the parent and in dnsconfig.js")
}

async fn look(
    zone: &DnsName,
    server: &NameServer,
    address: SocketAddr,
    heard: &Heard,
) -> Option<Laggard> {
    let question = [wire_name(zone)];
    let mut problem = Problem::Unanswered(Unanswered::Silent);
    for _ in 0..ATTEMPTS {
        if let Some(answer) = ask(address, RecordType::SOA, &question).await.pop() {
            if !server.is_extra {
                heard.note(&answer);
            }
            problem = judge(answer)?;
        }
    }
    Some(Laggard {
        server: server.name.clone(),
        address: Some(address),
        problem,
        names: 1,
    })
}

fn judge(answer: Result<Message, Unanswered>) -> Option<Problem> {
    match answer {
        Err(Unanswered::NoRoute) => None,
        Err(why) => Some(Problem::Unanswered(why)),
        Ok(message) => match message.metadata.response_code {
            ResponseCode::NoError if message.metadata.authoritative => None,
            ResponseCode::NoError => Some(Problem::NotAuthoritative),
            ResponseCode::NXDomain => Some(Problem::NoName),
            code => Some(Problem::Code(code)),
        },
    }
}
