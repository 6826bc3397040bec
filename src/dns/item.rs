//! A name that is waited for, and what is known about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use tokio::time::Instant;

use crate::dns::doh::{Resolver, kept_for};
use crate::dns::exchange::{Unanswered, wire_name};
use crate::dns::not_seen::{Laggard, NotSeen, Problem};
use crate::dns::view::OPERATORS;
use crate::dns::wait::Expectation;

/// When a resolver is asked again whose answer says nothing about how long it is kept: none at all,
/// or SERVFAIL.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Somebody who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place<'a> {
    /// An address of a name server.
    Server(SocketAddr),
    /// A resolver over HTTPS.
    Resolver(&'a Resolver),
}

/// An expectation and what is known about it.
pub(super) struct Item<'a> {
    pub(super) expectation: &'a Expectation,
    pub(super) question: Name,
    pub(super) deadline: Instant,
    /// Places that have not shown everything.
    open: BTreeMap<Place<'a>, Said>,
    /// Addresses without a route; they matter only if there is nobody else.
    left_out: BTreeMap<Place<'a>, Said>,
    /// Number of name servers that have shown everything.
    at_servers: usize,
    /// Number of resolvers.
    at_resolvers: usize,
}

/// What somebody said last.
#[derive(Clone, Debug, Default)]
struct Said {
    /// None before the first answer, and after one that was right.
    problem: Option<Problem>,
    /// Answers in a row that were right.
    confirmed: u32,
    /// How long the same will be said.
    kept: Option<Duration>,
}

impl<'a> Item<'a> {
    pub(super) fn new(expectation: &'a Expectation, deadline: Instant) -> Self {
        let view = &expectation.view;
        let servers = view.servers.iter().flat_map(|server| &server.addresses);
        let resolvers = view.resolvers.iter();
        Self {
            expectation,
            question: wire_name(&expectation.name),
            deadline,
            open: servers
                .map(|&address| Place::Server(address))
                .chain(resolvers.map(Place::Resolver))
                .map(|place| (place, Said::default()))
                .collect(),
            left_out: BTreeMap::new(),
            at_servers: 0,
            at_resolvers: 0,
        }
    }

    /// Places that are still to be asked.
    pub(super) fn open(&self) -> impl Iterator<Item = Place<'a>> {
        self.open.keys().copied()
    }

    /// Whether the place is still to be asked.
    pub(super) fn asks(&self, place: Place<'a>, now: Instant) -> bool {
        self.open.contains_key(&place) && now < self.deadline && !self.is_seen()
    }

    /// Whether the place showed everything when it was last asked, though not often enough.
    pub(super) fn is_confirming(&self, place: Place<'a>) -> bool {
        self.open.get(&place).is_some_and(|said| said.confirmed > 0)
    }

    /// When to ask a resolver again: what it keeps it only says again.
    pub(super) fn ask_again(&self, place: Place<'a>) -> Duration {
        let kept = self.open.get(&place).and_then(|said| said.kept);
        kept.map_or(ASK_AGAIN, |kept| kept + Duration::from_secs(1))
    }

    /// Notes what `place` said. True if the name is now seen everywhere, and was not before.
    pub(super) fn take(&mut self, place: Place<'a>, answer: Result<Message, Unanswered>) -> bool {
        let Some(mut said) = self.open.remove(&place) else {
            return false;
        };
        let resolver = matches!(place, Place::Resolver(_));
        let message = answer.as_ref().ok().filter(|_| resolver);
        said.kept = message.and_then(|message| kept_for(message, &self.question));
        let needed = match place {
            Place::Server(_) => self.expectation.view.confirmations.get(),
            // It saw the name servers itself; the same answer again would come from its cache.
            Place::Resolver(_) => 1,
        };
        match judge(answer, &self.question, &self.expectation.values, resolver) {
            Ok(()) if said.confirmed + 1 >= needed => {
                *(if resolver {
                    &mut self.at_resolvers
                } else {
                    &mut self.at_servers
                }) += 1;
                return self.is_seen();
            }
            Ok(()) => {
                said.confirmed += 1;
                said.problem = None;
            }
            Err(problem) => {
                said.confirmed = 0;
                said.problem = Some(match said.kept {
                    Some(kept) => Problem::Cached(Box::new(problem), kept.as_secs()),
                    None => problem,
                });
            }
        }
        if said.problem == Some(Problem::Unanswered(Unanswered::NoRoute)) {
            tracing::info!(?place, name = %self.expectation.name, "left out: no IPv6 route");
            self.left_out.insert(place, said);
        } else {
            self.open.insert(place, said);
        }
        self.is_seen()
    }

    /// Whether every place that matters has shown everything. A resolver that does not answer does
    /// not matter where enough others have.
    pub(super) fn is_seen(&self) -> bool {
        let enough = self.at_resolvers >= OPERATORS;
        let does_not_matter = |(place, said): (&Place<'_>, &Said)| {
            enough
                && matches!(place, Place::Resolver(_))
                && matches!(said.problem, Some(Problem::Unanswered(_)))
        };
        self.at_servers + self.at_resolvers > 0 && self.open.iter().all(does_not_matter)
    }

    /// Whether a place that was asked has shown everything.
    pub(super) fn is_shown_by(&self, place: Place<'a>) -> bool {
        !self.open.contains_key(&place) && !self.left_out.contains_key(&place)
    }

    /// The name of a place.
    pub(super) fn who(&self, place: Place<'a>) -> String {
        self.laggard(place, Problem::NoTxt).who()
    }

    pub(super) fn verdict(&self) -> Result<(), NotSeen> {
        if self.is_seen() {
            return Ok(());
        }
        let lacking = if self.open.is_empty() {
            &self.left_out
        } else {
            &self.open
        };
        Err(NotSeen {
            name: self.expectation.name.clone(),
            laggards: lacking
                .iter()
                .map(|(place, said)| {
                    let silent = Problem::Unanswered(Unanswered::Silent);
                    self.laggard(*place, said.problem.clone().unwrap_or(silent))
                })
                .collect(),
        })
    }

    /// Who has not shown everything although asked.
    pub(super) fn laggards(&self) -> impl Iterator<Item = (Place<'a>, Laggard)> {
        self.open.iter().filter_map(|(place, said)| {
            let problem = said.problem.clone()?;
            Some((*place, self.laggard(*place, problem)))
        })
    }

    fn laggard(&self, place: Place<'a>, problem: Problem) -> Laggard {
        let (server, address) = match place {
            Place::Resolver(resolver) => (resolver.host(), None),
            Place::Server(address) => {
                let mut servers = self.expectation.view.servers.iter();
                let server = servers.find(|server| server.addresses.contains(&address));
                let name = server.map_or(&self.expectation.name, |server| &server.name);
                (name, Some(address))
            }
        };
        Laggard {
            server: server.clone(),
            address,
            problem,
            names: 1,
        }
    }
}

/// Whether an answer shows all of `values` at `name`. One of a name server needs authority.
fn judge(
    answer: Result<Message, Unanswered>,
    name: &Name,
    values: &BTreeSet<String>,
    recursive: bool,
) -> Result<(), Problem> {
    let message = answer.map_err(Problem::Unanswered)?;
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(Problem::Code(code));
    }
    if !recursive && !message.metadata.authoritative {
        return Err(Problem::NotAuthoritative);
    }
    let mut found = BTreeSet::new();
    for record in message.answers.iter().filter(|record| record.name == *name) {
        match &record.data {
            RData::CNAME(target) => {
                let target = target.0.to_lowercase().to_ascii();
                return Err(Problem::Alias(target.trim_end_matches('.').to_owned()));
            }
            RData::TXT(txt) => {
                found.insert(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned());
            }
            _ => {}
        }
    }
    let missing: BTreeSet<_> = values.difference(&found).cloned().collect();
    match (missing.is_empty(), found.is_empty(), code) {
        (true, _, _) => Ok(()),
        (_, true, ResponseCode::NXDomain) => Err(Problem::NoName),
        (_, true, _) => Err(Problem::NoTxt),
        _ => Err(Problem::Lacks { missing, found }),
    }
}
