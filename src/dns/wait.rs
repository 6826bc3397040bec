//! Waits until every address of every name server of a zone shows the values that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::dns::exchange::{Unanswered, ask, wire_name};
use crate::dns::lookup::NameServer;
use crate::dns::not_seen::{Laggard, NotSeen, Problem};
use crate::model::name::DnsName;

/// Addresses that are asked at the same time. Keeps many zones below the usual limit of 1024 open
/// files.
const SERVERS_AT_ONCE: usize = 256;

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

/// Asks every address of every server directly until it shows all values of its names.
///
/// One result an expectation, in their order: a name that is not seen fails alone. All servers are
/// asked at the same time, each again only for what it has not shown yet, until the deadline: a
/// CNAME too can be what a wildcard has there until the value comes. IPv6 addresses that this
/// machine has no route to are left out, unless a name has no other. No recursive resolver is
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
        .filter(|(_, item)| item.open.contains_key(&address))
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use crate::dns::testing::{Lab, name};

    use super::*;

    const BIND: &str = "127.0.0.1";
    const KNOT: &str = "127.0.0.3";
    const OTHER: &str = "127.0.0.4";

    fn settings(milliseconds: u64) -> WaitSettings {
        WaitSettings {
            deadline: Duration::from_millis(milliseconds),
            ..WaitSettings::default()
        }
    }

    fn expect(at: &str, values: &[&str], servers: &[NameServer]) -> Expectation {
        Expectation {
            name: name(at),
            values: values.iter().map(|&value| value.to_owned()).collect(),
            servers: servers.to_vec(),
        }
    }

    /// What is said of each expectation; empty for what was seen.
    async fn outcome(expectations: &[Expectation], milliseconds: u64) -> Vec<String> {
        let results = until_seen(expectations, &settings(milliseconds), &|_| {}).await;
        let text = |result: Result<(), NotSeen>| result.err().map(|error| error.to_string());
        results
            .into_iter()
            .map(|result| text(result).unwrap_or_default())
            .collect()
    }

    /// `x.test` on BIND and Knot: what one of them lacks is told from what both have.
    async fn lab(on_bind: &str, on_knot: &str) -> (Lab, NameServer, NameServer) {
        let mut lab = Lab::new();
        lab.bind(&[("x.test", &format!("@ NS ns1.invalid.\n{on_bind}"))])
            .await;
        lab.knot(
            KNOT,
            &[("x.test", &format!("@ NS ns1.invalid.\n{on_knot}"))],
        )
        .await;
        let ns1 = lab.server("ns1.x.test", &[BIND]);
        let ns2 = lab.server("ns2.x.test", &[KNOT]);
        (lab, ns1, ns2)
    }

    #[tokio::test]
    async fn everything_is_there_at_once() {
        let records = "a TXT one\na TXT two\na TXT other\nb TXT \"in two \" \"strings\"\nC TXT one";
        let (_lab, ns1, ns2) = lab(records, records).await;
        let both = [ns1, ns2];
        let expectations = [
            expect("a.x.test", &["one", "two"], &both),
            expect("b.x.test", &["in two strings"], &both),
            expect("c.x.test", &["one"], &both),
        ];
        let reports = Mutex::new(Vec::new());
        let note = |progress: &Progress| reports.lock().unwrap().push(progress.clone());
        let started = Instant::now();
        let results = until_seen(&expectations, &settings(10_000), &note).await;
        assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
        assert!(started.elapsed() < Duration::from_secs(2));
        // One round each: nothing is asked twice.
        let reports = reports.into_inner().unwrap();
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[0].seen, 0);
        assert_eq!((reports[1].seen, reports[1].total), (3, 3));
        assert_eq!(reports[1].newly_seen, [0, 1, 2]);
        assert_eq!(reports[1].laggards, []);
    }

    #[tokio::test]
    async fn values_that_come_later_are_seen_soon() {
        let (lab, ns1, ns2) = lab("a TXT one\na TXT two\nb TXT one", "b TXT one").await;
        let both = [ns1, ns2];
        let expectations = [
            expect("a.x.test", &["one", "two"], &both),
            expect("b.x.test", &["one"], &both),
        ];
        let seen = Mutex::new(BTreeMap::new());
        let note = |progress: &Progress| {
            for index in &progress.newly_seen {
                seen.lock().unwrap().insert(*index, progress.elapsed);
            }
        };
        let written = async {
            sleep(Duration::from_millis(400)).await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "one")]);
            sleep(Duration::from_millis(200)).await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "two")]);
            Instant::now()
        };
        let waited = async {
            let results = until_seen(&expectations, &settings(20_000), &note).await;
            (results, Instant::now())
        };
        let (at, (results, done)) = tokio::join!(written, waited);
        assert_eq!(results, [Ok(()), Ok(())]);
        assert!(done.duration_since(at) < Duration::from_secs(2));
        // `b` did not have to wait for `a`.
        let seen = seen.into_inner().unwrap();
        assert!(seen[&1] < seen[&0], "{seen:?}");
        assert!(seen[&0] > Duration::from_millis(600), "{seen:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_down_fails_its_own_names_only() {
        let (mut lab, ns1, ns2) = lab("a TXT one\nb TXT one", "a TXT one").await;
        let expectations = [
            expect("a.x.test", &["one"], &[ns1.clone(), ns2]),
            expect("b.x.test", &["one"], &[ns1]),
        ];
        let port = lab.port;
        lab.freeze(KNOT);
        let text = |what| {
            format!("`a.x.test` is not on every name server: ns2.x.test (127.0.0.3:{port}) {what}")
        };
        let silent = outcome(&expectations, 4_000).await;
        assert_eq!(silent, [text("does not answer"), String::new()]);
        // The deadline comes before the first answer could be given up.
        let silent = outcome(&expectations, 1_500).await;
        assert_eq!(silent, [text("does not answer"), String::new()]);
        lab.kill(KNOT);
        let refused = outcome(&expectations, 1_500).await;
        assert_eq!(refused, [text("refuses connections"), String::new()]);
    }

    #[tokio::test]
    async fn a_silent_server_is_reported_early() {
        let (mut lab, ns1, ns2) = lab("a TXT one\nb TXT one", "").await;
        lab.freeze(KNOT);
        let port = lab.port;
        let both = [ns1, ns2];
        let expectations = [
            expect("a.x.test", &["one"], &both),
            expect("b.x.test", &["one"], &both),
        ];
        let first = Mutex::new(None);
        let note = |progress: &Progress| {
            if let [laggard] = &progress.laggards[..] {
                let told = (laggard.clone(), progress.elapsed);
                first.lock().unwrap().get_or_insert(told);
            }
        };
        until_seen(&expectations, &settings(5_000), &note).await;
        let (laggard, elapsed) = first.into_inner().unwrap().unwrap();
        assert_eq!(laggard.who(), format!("ns2.x.test (127.0.0.3:{port})"));
        assert_eq!(laggard.problem.to_string(), "does not answer");
        assert_eq!(laggard.names, 2);
        assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    }

    #[tokio::test]
    async fn what_servers_say_instead() {
        let mut lab = Lab::new();
        let records = "a TXT one\na TXT two\nb A 127.0.0.1\ncut NS ns.cut\nns.cut A 127.0.0.1
c TXT 1\nc TXT 2\nc TXT 3\nc TXT 4\nc TXT 5";
        let zone = format!("@ NS ns1.invalid.\n{records}");
        lab.bind(&[("x.test", &zone), ("broken.test", "not a zone file")])
            .await;
        lab.knot(KNOT, &[("x.test", &zone)]).await;
        let both = [
            lab.server("ns1.x.test", &[BIND]),
            lab.server("ns2.x.test", &[KNOT]),
        ];
        let expectations = [
            expect("a.x.test", &["three", "one"], &both),
            expect("b.x.test", &["one"], &both[..1]),
            expect("c.x.test", &["one", "two"], &both[..1]),
            expect("missing.x.test", &["one"], &both[..1]),
            expect("a.cut.x.test", &["one"], &both),
            expect("a.elsewhere.test", &["one"], &both[..1]),
            expect("a.broken.test", &["one"], &both[..1]),
            expect("d.x.test", &["one"], &[]),
            expect("a.x.test", &["one"], &both),
        ];
        let port = lab.port;
        let ns1 = format!("ns1.x.test (127.0.0.1:{port})");
        let ns2 = format!("ns2.x.test (127.0.0.3:{port})");
        let not_on = "is not on every name server:";
        assert_eq!(
            outcome(&expectations, 1_500).await,
            [
                format!(
                    "`a.x.test` {not_on} {ns1} lacks `three` (it has `one`, `two`); {ns2} lacks `three` (it has `one`, `two`)"
                ),
                format!("`b.x.test` {not_on} {ns1} has no TXT record there"),
                format!(
                    "`c.x.test` {not_on} {ns1} lacks `one`, `two` (it has `1`, `2`, `3` and 2 more)"
                ),
                format!("`missing.x.test` {not_on} {ns1} does not know the name (NXDOMAIN)"),
                format!(
                    "`a.cut.x.test` {not_on} {ns1} is not authoritative for it; {ns2} is not authoritative for it"
                ),
                format!("`a.elsewhere.test` {not_on} {ns1} answers REFUSED"),
                format!("`a.broken.test` {not_on} {ns1} answers SERVFAIL"),
                "`d.x.test` has no name server that can be asked".to_owned(),
                String::new(),
            ]
        );
    }

    #[tokio::test]
    async fn an_alias_is_said() {
        let records = "a CNAME Target.elsewhere.test.\nb TXT one";
        let (_lab, ns1, ns2) = lab(records, records).await;
        let both = [ns1, ns2];
        let expectations = [
            expect("a.x.test", &["one"], &both),
            expect("b.x.test", &["one"], &both),
        ];
        let results = until_seen(&expectations, &settings(1_000), &|_| {}).await;
        assert_eq!(results[1], Ok(()));
        let error = results[0].clone().unwrap_err();
        assert_eq!(error.alias(), Some("target.elsewhere.test"));
        assert_eq!(
            error.to_string(),
            "`a.x.test` is a CNAME to `target.elsewhere.test`: it cannot have a TXT record"
        );
    }

    #[tokio::test]
    async fn an_alias_on_one_server_only_is_waited_for() {
        let (lab, ns1, ns2) = lab("a CNAME elsewhere.test.", "").await;
        let expectation = [expect("a.x.test", &["one"], &[ns1, ns2])];
        let port = lab.port;
        assert_eq!(
            outcome(&expectation, 1_500).await,
            [format!(
                "`a.x.test` is not on every name server: ns1.x.test (127.0.0.1:{port}) has a CNAME to `elsewhere.test` there; ns2.x.test (127.0.0.3:{port}) does not know the name (NXDOMAIN)"
            )]
        );
    }

    #[tokio::test]
    async fn the_cname_of_a_wildcard_gives_way_to_the_value() {
        let mut lab = Lab::new();
        let records = "@ NS ns1.invalid.\n* CNAME elsewhere.test.";
        lab.knot(KNOT, &[("x.test", records)]).await;
        let expectation = [expect(
            "a.x.test",
            &["one"],
            &[lab.server("ns1.x.test", &[KNOT])],
        )];
        let written = async {
            sleep(Duration::from_millis(300)).await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "one")]);
        };
        let (results, ()) = tokio::join!(outcome(&expectation, 10_000), written);
        assert_eq!(results, [""]);
    }

    #[tokio::test]
    async fn sets_that_only_fit_in_tcp() {
        let value = |index: usize| format!("{index:03}{}", "v".repeat(200));
        let record = |index| format!("a TXT {0}\nb TXT {0}\n", value(index));
        let records: String = (0..100).map(record).collect();
        let (_lab, ns1, ns2) = lab(&records, &records).await;
        let all: Vec<_> = (0..100).map(value).collect();
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let both = [ns1, ns2];
        let expectations = [
            expect("a.x.test", &all, &both),
            expect("b.x.test", &all, &both),
        ];
        assert_eq!(outcome(&expectations, 10_000).await, ["", ""]);
    }

    #[tokio::test]
    async fn questions_that_are_dropped_go_over_tcp() {
        let mut lab = Lab::new();
        lab.strict_knot(KNOT, &[("x.test", "@ NS ns1.invalid.\n* TXT one")])
            .await;
        let server = [lab.server("ns1.x.test", &[KNOT])];
        let expectations: Vec<_> = (0..100)
            .map(|index| expect(&format!("n{index}.x.test"), &["one"], &server))
            .collect();
        let reports = Mutex::new(0);
        let started = Instant::now();
        let note = |_: &Progress| *reports.lock().unwrap() += 1;
        let results = until_seen(&expectations, &settings(20_000), &note).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*reports.lock().unwrap(), 1);
        // Some answers were waited for in vain, once for all of them.
        assert!(started.elapsed() > Duration::from_secs(1));
        assert!(started.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_hundred_names_take_one_round() {
        let record = |index| format!("_acme-challenge.n{index} TXT value-{index}\n");
        let records: String = (0..100).map(record).collect();
        let (_lab, ns1, ns2) = lab(&records, &records).await;
        let both = [ns1, ns2];
        let expectations: Vec<_> = (0..100)
            .map(|index| {
                let at = format!("_acme-challenge.n{index}.x.test");
                expect(&at, &[&format!("value-{index}")], &both)
            })
            .collect();
        let reports = Mutex::new(0);
        let started = Instant::now();
        let note = |_: &Progress| *reports.lock().unwrap() += 1;
        let results = until_seen(&expectations, &settings(10_000), &note).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*reports.lock().unwrap(), 2);
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[tokio::test]
    async fn addresses_and_families() {
        let (mut lab, _, _) = lab("a TXT one", "").await;
        lab.knot(OTHER, &[("x.test", "@ NS ns1.invalid.\na TXT one")])
            .await;
        // One server with three addresses, the second of them with other contents.
        let three = [lab.server("ns.x.test", &[BIND, KNOT, OTHER])];
        let port = lab.port;
        assert_eq!(
            outcome(&[expect("a.x.test", &["one"], &three)], 1_500).await,
            [format!(
                "`a.x.test` is not on every name server: ns.x.test (127.0.0.3:{port}) does not know the name (NXDOMAIN)"
            )]
        );
        // The loopback address of IPv6 where the machine has it; no route where it has not.
        let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
        let with_ipv6 = [lab.server("ns.x.test", &[BIND, "::1"])];
        let only_ipv6 = [lab.server("ns.x.test", &["::1"])];
        let said = outcome(
            &[
                expect("a.x.test", &["one"], &with_ipv6),
                expect("a.x.test", &["one"], &only_ipv6),
            ],
            1_500,
        )
        .await;
        let lacking = |what| {
            format!("`a.x.test` is not on every name server: ns.x.test ([::1]:{port}) {what}")
        };
        if has_ipv6 {
            let refused = lacking("refuses connections");
            assert_eq!(said, [refused.clone(), refused]);
            lab.knot("::1", &[("x.test", "@ NS ns1.invalid.\na TXT one")])
                .await;
            let expectation = [expect("a.x.test", &["one"], &with_ipv6)];
            assert_eq!(outcome(&expectation, 5_000).await, [""]);
        } else {
            let no_route = "cannot be reached: this machine has no IPv6 route to it";
            assert_eq!(said, [String::new(), lacking(no_route)]);
        }
    }

    #[tokio::test]
    async fn a_wait_can_be_spawned_and_aborted() {
        let (mut lab, _, ns2) = lab("", "").await;
        lab.freeze(KNOT);
        let wait = tokio::spawn(async move {
            let expectations = [expect("a.x.test", &["one"], &[ns2])];
            until_seen(&expectations, &settings(60_000), &|_| {}).await
        });
        sleep(Duration::from_millis(200)).await;
        wait.abort();
        assert!(wait.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn nothing_goes_on_after_a_drop() {
        let (mut lab, ns1, ns2) = lab("", "").await;
        lab.freeze(KNOT);
        let expectations = [expect("a.x.test", &["one"], &[ns1, ns2])];
        let wait = settings(60_000);
        let dropped = timeout(
            Duration::from_millis(400),
            until_seen(&expectations, &wait, &|_| {}),
        );
        assert!(dropped.await.is_err());
        let handle = tokio::runtime::Handle::current();
        assert_eq!(handle.metrics().num_alive_tasks(), 0);
    }
}
