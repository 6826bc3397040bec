//! Waits until every address of every name server of a zone shows the values that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::lookup::{DNS_PORT, NameServer};
use crate::model::name::DnsName;

/// Addresses that are asked at the same time. Keeps many zones below the usual limit of 1024 open
/// files.
const SERVERS_AT_ONCE: usize = 256;

/// Values that a message shows of a name that has others.
const SHOWN_VALUES: usize = 3;

/// TXT values that every address of every server has to show at a name.
///
/// Compared as a whole and exactly, the strings of a TXT record joined. Other values at the name do
/// not matter.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) name: DnsName,
    pub(crate) values: BTreeSet<String>,
    pub(crate) servers: Vec<NameServer>,
}

/// How long and how often to ask.
#[derive(Clone, Debug)]
pub(crate) struct WaitSettings {
    /// For all names together. Default: 5 minutes.
    pub(crate) deadline: Duration,
    /// After the first answer of a server. Default: 50 milliseconds.
    pub(crate) first_pause: Duration,
    /// Pauses grow by half up to this. Default: 2 seconds.
    pub(crate) longest_pause: Duration,
}

impl Default for WaitSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(5),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
        }
    }
}

/// Where the wait stands, after each round of questions to a server.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Names that every server shows with all values.
    pub(crate) seen: usize,
    /// Names that are waited for, the seen ones included.
    pub(crate) total: usize,
    pub(crate) elapsed: Duration,
    /// Expectations, by position, that were seen on every server since the last report.
    pub(crate) newly_seen: Vec<usize>,
    /// Servers that something is still missing on, one entry an address.
    pub(crate) laggards: Vec<Laggard>,
}

/// A server address that lacks something. Prints as `ns2.example.com (192.0.2.2) does not answer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Laggard {
    pub(crate) server: DnsName,
    pub(crate) address: SocketAddr,
    /// What it did last; where several names are missing, for the first of them.
    pub(crate) problem: Problem,
    /// Number of names that are not complete there.
    pub(crate) names: usize,
}

impl Laggard {
    /// Name and address: `ns2.example.com (192.0.2.2)`, with the port if it is not 53.
    pub(crate) fn who(&self) -> String {
        let Self {
            server, address, ..
        } = self;
        if address.port() == DNS_PORT {
            format!("{server} ({})", address.ip())
        } else {
            format!("{server} ({address})")
        }
    }
}

impl fmt::Display for Laggard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who(), self.problem)
    }
}

/// What a server said instead of the values. Prints as the predicate of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No answer that could be read.
    Unanswered(Unanswered),
    /// A response code other than NOERROR and NXDOMAIN.
    Code(ResponseCode),
    /// An answer without the AA bit: it does not serve the zone.
    NotAuthoritative,
    /// The name is an alias, so that no TXT record can stand there.
    Alias(String),
    /// NXDOMAIN.
    NoName,
    /// The name has no TXT record.
    NoTxt,
    /// Some values are missing; others may be there.
    Lacks {
        missing: BTreeSet<String>,
        found: BTreeSet<String>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(why) => why.fmt(f),
            Self::Code(ResponseCode::Refused) => f.write_str("answers REFUSED"),
            Self::Code(ResponseCode::ServFail) => f.write_str("answers SERVFAIL"),
            Self::Code(code) => write!(f, "answers with code {}", u16::from(*code)),
            Self::NotAuthoritative => f.write_str("is not authoritative for it"),
            Self::Alias(target) => write!(f, "has a CNAME to `{target}` there"),
            Self::NoName => f.write_str("does not know the name (NXDOMAIN)"),
            Self::NoTxt => f.write_str("has no TXT record there"),
            Self::Lacks { missing, found } => {
                write!(f, "lacks {} (it has {})", quoted(missing), quoted(found))
            }
        }
    }
}

fn quoted(values: &BTreeSet<String>) -> String {
    let shown: Vec<_> = values.iter().take(SHOWN_VALUES).collect();
    let mut text = String::new();
    for (index, value) in shown.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        text.push_str(&format!("{comma}`{}`", value.escape_debug()));
    }
    match values.len().saturating_sub(shown.len()) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A name that was not complete on every server at the deadline, or cannot become so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotSeen {
    pub(crate) name: DnsName,
    /// In the order of addresses. Empty if there was nobody to ask.
    pub(crate) laggards: Vec<Laggard>,
}

impl NotSeen {
    /// The target, if every server says that the name is the same CNAME.
    pub(crate) fn alias(&self) -> Option<&str> {
        let mut targets = self.laggards.iter().map(|laggard| match &laggard.problem {
            Problem::Alias(target) => Some(target.as_str()),
            _ => None,
        });
        let first = targets.next()??;
        targets.all(|other| other == Some(first)).then_some(first)
    }
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if let Some(target) = self.alias() {
            return write!(
                f,
                "`{name}` is a CNAME to `{target}`: it cannot have a TXT record"
            );
        }
        if self.laggards.is_empty() {
            return write!(f, "`{name}` has no name server that can be asked");
        }
        write!(f, "`{name}` is not on every name server: ")?;
        for (index, laggard) in self.laggards.iter().enumerate() {
            let semicolon = if index == 0 { "" } else { "; " };
            write!(f, "{semicolon}{laggard}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotSeen {}

/// Asks every address of every server directly until it shows all values of its names.
///
/// One result an expectation, in their order: a name that is not seen fails alone. All servers are
/// asked at the same time, each again only for what it has not shown yet. A name that is a CNAME on
/// every server fails at once; everything else is asked until the deadline. IPv6 addresses that
/// this machine has no route to are left out, unless a name has no other. No recursive resolver is
/// asked: it would keep a negative answer (RFC 2308). Nothing goes on after the future is dropped.
pub(crate) async fn until_seen(
    expectations: &[Expectation],
    settings: &WaitSettings,
    progress: &(dyn Fn(&Progress) + Send + Sync),
) -> Vec<Result<(), NotSeen>> {
    let started = Instant::now();
    let mut items: Vec<_> = expectations.iter().map(Item::new).collect();
    let all = ask_until_seen(&mut items, settings, |items, newly_seen| {
        progress(&Progress {
            seen: items.iter().filter(|item| item.is_seen()).count(),
            total: items.len(),
            elapsed: started.elapsed(),
            newly_seen,
            laggards: laggards(items),
        });
    });
    if timeout(settings.deadline, all).await.is_err() {
        tracing::debug!(deadline = ?settings.deadline, "some values were not seen in time");
    }
    items.iter().map(Item::verdict).collect()
}

async fn ask_until_seen(
    items: &mut [Item<'_>],
    settings: &WaitSettings,
    report: impl Fn(&[Item<'_>], Vec<usize>),
) {
    let limit = Semaphore::new(SERVERS_AT_ONCE);
    let addresses: BTreeSet<_> = items.iter().flat_map(|item| item.open.keys()).collect();
    let mut rounds: FuturesUnordered<_> = addresses
        .into_iter()
        .filter_map(|&address| questions(items, address))
        .map(|questions| round(questions, Duration::ZERO, &limit))
        .collect();
    while let Some((asked, answers, pause)) = rounds.next().await {
        let mut newly_seen = Vec::new();
        for (index, answer) in asked.items.into_iter().zip(answers) {
            if let Some(item) = items.get_mut(index)
                && item.take(asked.address, answer)
            {
                newly_seen.push(index);
            }
        }
        if let Some(questions) = questions(items, asked.address) {
            let next = pause.mul_f32(1.5);
            let pause = next.clamp(settings.first_pause, settings.longest_pause);
            rounds.push(round(questions, pause, &limit));
        }
        report(items, newly_seen);
    }
}

/// What one server is asked in one round.
struct Questions {
    address: SocketAddr,
    /// Positions in the list of items.
    items: Vec<usize>,
    names: Vec<Name>,
}

/// What is still open at `address`; none if nothing is.
fn questions(items: &[Item<'_>], address: SocketAddr) -> Option<Questions> {
    let (positions, names): (Vec<_>, Vec<_>) = items
        .iter()
        .enumerate()
        .filter(|(_, item)| !item.is_alias() && item.open.contains_key(&address))
        .map(|(index, item)| (index, item.question.clone()))
        .unzip();
    (!positions.is_empty()).then_some(Questions {
        address,
        items: positions,
        names,
    })
}

async fn round(
    questions: Questions,
    pause: Duration,
    limit: &Semaphore,
) -> (Questions, Vec<Result<Message, Unanswered>>, Duration) {
    sleep(pause).await;
    // The semaphore is never closed; without a permit the round would only be less considerate.
    let permit = limit.acquire().await;
    let answers = ask(questions.address, RecordType::TXT, &questions.names).await;
    drop(permit);
    (questions, answers, pause)
}

/// An expectation and what is known about it.
struct Item<'a> {
    expectation: &'a Expectation,
    question: Name,
    /// Addresses that have not shown everything, with what they said last, once they were asked.
    open: BTreeMap<SocketAddr, Option<Problem>>,
    /// Addresses without a route; they matter only if there is no other.
    left_out: BTreeMap<SocketAddr, Option<Problem>>,
    /// Number of addresses that have shown everything.
    complete: usize,
}

impl<'a> Item<'a> {
    fn new(expectation: &'a Expectation) -> Self {
        let servers = expectation.servers.iter();
        Self {
            expectation,
            question: wire_name(&expectation.name),
            open: servers
                .flat_map(|server| &server.addresses)
                .map(|&address| (address, None))
                .collect(),
            left_out: BTreeMap::new(),
            complete: 0,
        }
    }

    /// Notes what `address` said. True if the name is now seen everywhere.
    fn take(&mut self, address: SocketAddr, answer: Result<Message, Unanswered>) -> bool {
        match judge(answer, &self.question, &self.expectation.values) {
            Ok(()) => {
                self.open.remove(&address);
                self.complete += 1;
            }
            Err(problem @ Problem::Unanswered(Unanswered::NoRoute)) => {
                tracing::info!(%address, name = %self.expectation.name, "left out: no IPv6 route");
                self.open.remove(&address);
                self.left_out.insert(address, Some(problem));
            }
            Err(problem) => {
                self.open.insert(address, Some(problem));
            }
        }
        self.is_seen()
    }

    fn is_seen(&self) -> bool {
        self.open.is_empty() && self.complete > 0
    }

    /// Whether every server that was asked says that the name is a CNAME.
    fn is_alias(&self) -> bool {
        let mut said = self.open.values();
        self.complete == 0 && said.all(|problem| matches!(problem, Some(Problem::Alias(_))))
    }

    fn verdict(&self) -> Result<(), NotSeen> {
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
                .map(|(address, problem)| {
                    let silent = Problem::Unanswered(Unanswered::Silent);
                    self.laggard(*address, problem.clone().unwrap_or(silent))
                })
                .collect(),
        })
    }

    fn laggard(&self, address: SocketAddr, problem: Problem) -> Laggard {
        let mut servers = self.expectation.servers.iter();
        let server = servers.find(|server| server.addresses.contains(&address));
        Laggard {
            server: server.map_or_else(|| self.expectation.name.clone(), |it| it.name.clone()),
            address,
            problem,
            names: 1,
        }
    }
}

fn laggards(items: &[Item<'_>]) -> Vec<Laggard> {
    let mut by_address: BTreeMap<SocketAddr, Laggard> = BTreeMap::new();
    for item in items {
        for (address, problem) in &item.open {
            let Some(problem) = problem else { continue };
            by_address
                .entry(*address)
                .and_modify(|laggard| laggard.names += 1)
                .or_insert_with(|| item.laggard(*address, problem.clone()));
        }
    }
    by_address.into_values().collect()
}

/// Whether an answer shows all of `values` at `name`, with authority.
fn judge(
    answer: Result<Message, Unanswered>,
    name: &Name,
    values: &BTreeSet<String>,
) -> Result<(), Problem> {
    let message = answer.map_err(Problem::Unanswered)?;
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(Problem::Code(code));
    }
    if !message.metadata.authoritative {
        return Err(Problem::NotAuthoritative);
    }
    let mut found = BTreeSet::new();
    for record in message.answers.iter().filter(|record| record.name == *name) {
        match &record.data {
            RData::CNAME(target) => {
                let target = target.0.to_ascii();
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
