//! Waits until every address of every name server of a zone shows the values that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::dns::exchange::{Unanswered, ask};
use crate::dns::item::{Item, Place};
use crate::dns::not_seen::{Laggard, NotSeen};
use crate::dns::view::View;
use crate::model::name::DnsName;

/// Addresses that are asked at the same time. Keeps many zones below the usual limit of 1024 open
/// files.
const SERVERS_AT_ONCE: usize = 256;

/// Questions over HTTPS at the same time: each is a connection where a proxy speaks HTTP/1.1 only.
const HTTPS_AT_ONCE: usize = 32;

/// Round trips to a server that the first pause lasts.
const ROUND_TRIPS: u32 = 8;

/// TXT values that every address of every server has to show at a name.
///
/// Compared as a whole and exactly, the strings of a TXT record joined. Other values at the name do
/// not matter.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) name: DnsName,
    pub(crate) values: BTreeSet<String>,
    /// Of the zone.
    pub(crate) view: Arc<View>,
}

/// How long and how often to ask.
#[derive(Clone, Debug)]
pub(crate) struct WaitSettings {
    /// For all names whose zone has no deadline of its own. Default: 5 minutes.
    pub(crate) deadline: Duration,
    /// Least pause between two answers of a server. Default: 50 milliseconds.
    pub(crate) shortest_pause: Duration,
    /// Most that the first pause can last: it is eight round trips long. Default: 250 milliseconds.
    ///
    /// A server on the same network is cheap to ask and often has the value at once. One that is
    /// 30 milliseconds away or more is nobody's neighbour: its operator counts questions.
    pub(crate) first_pause: Duration,
    /// Pauses grow by half up to this. Default: 2 seconds.
    pub(crate) longest_pause: Duration,
}

impl Default for WaitSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_mins(5),
            shortest_pause: Duration::from_millis(50),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl WaitSettings {
    /// The pause after an answer that came `round_trip` after its question.
    fn next_pause(&self, before: Duration, round_trip: Duration) -> Duration {
        let first = (round_trip * ROUND_TRIPS).clamp(self.shortest_pause, self.first_pause);
        before.mul_f32(1.5).clamp(first, self.longest_pause)
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
    /// Expectations, by position, and who has shown all of their values since the last report: server and
    /// address.
    pub(crate) newly_shown: Vec<(usize, String)>,
    /// Servers that something is still missing on, one entry an address.
    pub(crate) laggards: Vec<Laggard>,
}

/// Asks every address of every server directly until it shows all values of its names, as often in
/// a row as the zone's view wants.
///
/// One result an expectation, in their order: a name that is not seen fails alone. All servers are
/// asked at the same time, each again only for what it has not shown yet, until the deadline: a
/// CNAME too can be what a wildcard has there until the value comes. IPv6 addresses that this
/// machine has no route to are left out, unless a name has no other. Nothing goes on after the
/// future is dropped.
///
/// No recursive resolver is asked, as it would keep a negative answer (RFC 2308), but for those of a
/// view that has no other way: they are left alone for a time first, then asked over HTTPS, and
/// again when they have forgotten what they said. A name is seen when all that answer show it, two
/// at least.
pub(crate) async fn until_seen(
    expectations: &[Expectation],
    settings: &WaitSettings,
    progress: &(dyn Fn(&Progress) + Send + Sync),
) -> Vec<Result<(), NotSeen>> {
    let started = Instant::now();
    let deadline = |of: &Expectation| started + of.view.deadline.unwrap_or(settings.deadline);
    let mut items: Vec<_> = expectations
        .iter()
        .map(|expectation| Item::new(expectation, deadline(expectation)))
        .collect();
    let last = items.iter().map(|item| item.deadline).max();
    let all = ask_until_seen(&mut items, settings, |items, newly_seen, newly_shown| {
        progress(&Progress {
            seen: items.iter().filter(|item| item.is_seen()).count(),
            total: items.len(),
            elapsed: started.elapsed(),
            newly_seen,
            newly_shown,
            laggards: laggards(items),
        });
    });
    if timeout_at(last.unwrap_or(started), all).await.is_err() {
        tracing::debug!("some values were not seen in time");
    }
    items.iter().map(Item::verdict).collect()
}

async fn ask_until_seen(
    items: &mut [Item<'_>],
    settings: &WaitSettings,
    report: impl Fn(&[Item<'_>], Vec<usize>, Vec<(usize, String)>),
) {
    let limits = Limits {
        servers: Semaphore::new(SERVERS_AT_ONCE),
        https: Semaphore::new(HTTPS_AT_ONCE),
    };
    let mut rounds: FuturesUnordered<_> = first_questions(items)
        .into_iter()
        .map(|questions| round(questions, &limits))
        .collect();
    while let Some((questions, answers, round_trip)) = rounds.next().await {
        let (mut newly_seen, mut newly_shown) = (Vec::new(), Vec::new());
        for (&index, answer) in questions.items.iter().zip(answers) {
            let Some(item) = items.get_mut(index) else {
                continue;
            };
            if item.take(questions.place, answer) {
                newly_seen.push(index);
            }
            if item.is_shown_by(questions.place) {
                newly_shown.push((index, item.who(questions.place)));
            }
        }
        if let Some(questions) = questions.again(items, settings, round_trip) {
            rounds.push(round(questions, &limits));
        }
        report(items, newly_seen, newly_shown);
    }
}

/// How much goes on at the same time.
struct Limits {
    servers: Semaphore,
    https: Semaphore,
}

/// What one server or resolver is asked in one round.
struct Questions<'a> {
    place: Place<'a>,
    /// Positions in the list of items; one alone for a resolver.
    items: Vec<usize>,
    names: Vec<Name>,
    /// Before they are put.
    pause: Duration,
}

/// Servers are asked at once for all of their names, resolvers for each name after a time.
fn first_questions<'a>(items: &[Item<'a>]) -> Vec<Questions<'a>> {
    let now = Instant::now();
    let mut at_servers: BTreeMap<Place<'a>, Questions<'a>> = BTreeMap::new();
    let mut at_resolvers = Vec::new();
    for (index, item) in items.iter().enumerate() {
        // However short the deadline: asked early is better than not at all.
        let settle = item.expectation.view.settle.min((item.deadline - now) / 2);
        for place in item.open() {
            let first = |pause| Questions {
                place,
                items: vec![index],
                names: vec![item.question.clone()],
                pause,
            };
            match place {
                Place::Resolver(_) => at_resolvers.push(first(settle)),
                Place::Server(_) => match at_servers.get_mut(&place) {
                    None => drop(at_servers.insert(place, first(Duration::ZERO))),
                    Some(questions) => {
                        questions.items.push(index);
                        questions.names.push(item.question.clone());
                    }
                },
            }
        }
    }
    at_servers.into_values().chain(at_resolvers).collect()
}

impl<'a> Questions<'a> {
    /// The next round at the same place; none if nothing is open there.
    fn again(
        mut self,
        items: &[Item<'a>],
        settings: &WaitSettings,
        round_trip: Duration,
    ) -> Option<Self> {
        let now = Instant::now();
        let asked = self.items.iter();
        let open: Vec<_> = asked
            .filter_map(|&index| Some((index, items.get(index)?)))
            .filter(|(_, item)| item.asks(self.place, now))
            .collect();
        let (_, first) = open.first()?;
        let is_resolver = matches!(self.place, Place::Resolver(_));
        self.pause = if is_resolver {
            first.ask_again(self.place)
        } else if open.iter().all(|(_, item)| item.is_confirming(self.place)) {
            settings.next_pause(Duration::ZERO, round_trip)
        } else {
            settings.next_pause(self.pause, round_trip)
        };
        // A resolver that keeps its answer for longer is not going to give another in time.
        let in_time = !is_resolver || now + self.pause < first.deadline;
        self.names = open.iter().map(|(_, item)| item.question.clone()).collect();
        self.items = open.into_iter().map(|(index, _)| index).collect();
        in_time.then_some(self)
    }
}

/// Answers to questions and how long they took.
async fn round<'a>(
    questions: Questions<'a>,
    limits: &Limits,
) -> (Questions<'a>, Vec<Result<Message, Unanswered>>, Duration) {
    sleep(questions.pause).await;
    let limit = match questions.place {
        Place::Server(_) => &limits.servers,
        Place::Resolver(_) => &limits.https,
    };
    // The semaphore is never closed; without a permit the round would only be less considerate.
    let permit = limit.acquire().await;
    let asked = Instant::now();
    let answers = match questions.place {
        Place::Server(address) => ask(address, RecordType::TXT, &questions.names).await,
        Place::Resolver(resolver) => {
            let each = questions.names.iter();
            join_all(each.map(|name| resolver.ask(RecordType::TXT, name))).await
        }
    };
    drop(permit);
    (questions, answers, asked.elapsed())
}

fn laggards(items: &[Item<'_>]) -> Vec<Laggard> {
    let mut by_place: BTreeMap<Place<'_>, Laggard> = BTreeMap::new();
    for (place, laggard) in items.iter().flat_map(Item::laggards) {
        by_place
            .entry(place)
            .and_modify(|known| known.names += 1)
            .or_insert(laggard);
    }
    by_place.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Mutex;

    use tokio::sync::Notify;
    use tokio::time::timeout;

    use crate::dns::doh::Resolver;
    use crate::dns::lookup::NameServer;
    use crate::dns::testing::{Lab, name};

    use super::*;

    const BIND: &str = "127.0.0.1";
    const KNOT: &str = "127.0.0.3";
    const OTHER: &str = "127.0.0.4";

    /// Far above what anything takes here: the machine may be busy.
    const LATEST: Duration = Duration::from_secs(20);
    const PATIENT: u64 = 60_000;

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
            view: Arc::new(View::of(servers)),
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
        let results = until_seen(&expectations, &settings(PATIENT), &note).await;
        assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
        assert!(started.elapsed() < LATEST);
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
        let (seen, b_is_seen) = (Mutex::new(BTreeMap::new()), Notify::new());
        let note = |progress: &Progress| {
            for index in &progress.newly_seen {
                seen.lock().unwrap().insert(*index, progress.elapsed);
                b_is_seen.notify_one();
            }
        };
        let written = async {
            b_is_seen.notified().await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "one")]);
            sleep(Duration::from_millis(200)).await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "two")]);
            Instant::now()
        };
        let waited = async {
            let results = until_seen(&expectations, &settings(PATIENT), &note).await;
            (results, Instant::now())
        };
        let (at, (results, done)) = tokio::join!(written, waited);
        assert_eq!(results, [Ok(()), Ok(())]);
        assert!(done.duration_since(at) < LATEST);
        // `b` did not have to wait for `a`, and one of two values was not enough.
        let seen = seen.into_inner().unwrap();
        let both_written = seen[&1] + Duration::from_millis(200);
        assert!(seen[&0] > both_written, "{seen:?}");
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
        let (first, is_told) = (Mutex::new(None), Notify::new());
        let note = |progress: &Progress| {
            if let [laggard] = &progress.laggards[..] {
                first.lock().unwrap().get_or_insert(laggard.clone());
                is_told.notify_one();
            }
        };
        let settings = settings(PATIENT);
        tokio::select! {
            _ = until_seen(&expectations, &settings, &note) => panic!("told too late"),
            () = is_told.notified() => {}
        }
        let laggard = first.into_inner().unwrap().unwrap();
        assert_eq!(laggard.who(), format!("ns2.x.test (127.0.0.3:{port})"));
        assert_eq!(laggard.problem.to_string(), "does not answer");
        assert_eq!(laggard.names, 2);
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
        let results = until_seen(&expectations, &settings(5_000), &|_| {}).await;
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
        let results = until_seen(&expectations, &settings(PATIENT), &note).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*reports.lock().unwrap(), 1);
        // Some answers were waited for in vain, once for all of them.
        assert!(started.elapsed() > Duration::from_secs(1));
        assert!(started.elapsed() < LATEST);
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
        let results = until_seen(&expectations, &settings(PATIENT), &note).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(*reports.lock().unwrap(), 2);
        assert!(started.elapsed() < LATEST);
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

    #[test]
    fn pauses_begin_with_the_round_trip_and_have_a_limit() {
        let settings = WaitSettings::default();
        let next = |before, round_trip| {
            let [before, round_trip] = [before, round_trip].map(Duration::from_millis);
            settings.next_pause(before, round_trip).as_millis()
        };
        // On this network, some way off, on another continent; silent.
        assert_eq!(
            [0, 10, 150, 3_000].map(|trip| next(0, trip)),
            [50, 80, 250, 250]
        );
        assert_eq!(
            [100, 250, 1_600].map(|before| next(before, 1)),
            [150, 375, 2_000]
        );
    }

    #[tokio::test]
    async fn values_that_have_to_be_shown_more_than_once() {
        let (lab, ns1, ns2) = lab("a TXT one\nb TXT one", "b TXT one").await;
        let view = |times| {
            Arc::new(View {
                confirmations: times,
                ..View::of(&[ns1.clone(), ns2.clone()])
            })
        };
        let three = view(NonZeroU32::new(3).unwrap());
        let once = view(NonZeroU32::MIN);
        let expectations = [
            Expectation {
                view: Arc::clone(&three),
                ..expect("a.x.test", &["one"], &[])
            },
            Expectation {
                view: three,
                ..expect("b.x.test", &["one"], &[])
            },
            Expectation {
                view: once,
                ..expect("b.x.test", &["one"], &[])
            },
        ];
        let (rounds, b_is_seen) = (Mutex::new(Vec::new()), Notify::new());
        let note = |progress: &Progress| {
            let round = (progress.newly_seen.clone(), progress.elapsed);
            rounds.lock().unwrap().push(round);
            if progress.newly_seen.contains(&1) {
                b_is_seen.notify_one();
            }
        };
        let written = async {
            b_is_seen.notified().await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "one")]);
        };
        let settings = settings(PATIENT);
        let waited = until_seen(&expectations, &settings, &note);
        let (results, ()) = tokio::join!(waited, written);
        assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
        let rounds = rounds.into_inner().unwrap();
        let round_of = |index| {
            rounds
                .iter()
                .position(|(seen, _)| seen.contains(&index))
                .unwrap()
        };
        let (a, b, once) = (round_of(0), round_of(1), round_of(2));
        // Two servers answer once each, three times each.
        assert!(once < b && b >= 5 && a > b, "{rounds:?}");
        let two_pauses = 2 * settings.shortest_pause;
        assert!(rounds[a].1 >= rounds[b].1 + two_pauses, "{rounds:?}");
    }

    #[tokio::test]
    async fn a_zone_can_have_a_deadline_of_its_own() {
        let (lab, _, ns2) = lab("", "b TXT one").await;
        let with_deadline = |at, milliseconds| Expectation {
            view: Arc::new(View {
                deadline: Some(Duration::from_millis(milliseconds)),
                ..View::of(std::slice::from_ref(&ns2))
            }),
            ..expect(at, &["one"], &[])
        };
        let expectations = [
            with_deadline("late.x.test", PATIENT),
            with_deadline("short.x.test", 1_500),
            expect("usual.x.test", &["one"], std::slice::from_ref(&ns2)),
        ];
        let names = ["late.x.test", "short.x.test", "usual.x.test"];
        let written = async {
            sleep(Duration::from_secs(4)).await;
            lab.add_txt(KNOT, "x.test", &names.map(|name| (name, "one")));
        };
        let (said, ()) = tokio::join!(outcome(&expectations, 3_000), written);
        let port = lab.port;
        let missing = |name| {
            format!(
                "`{name}` is not on every name server: ns2.x.test (127.0.0.3:{port}) does not know the name (NXDOMAIN)"
            )
        };
        assert_eq!(said, [String::new(), missing(names[1]), missing(names[2])]);
    }

    /// Unbound and another Unbound, each with a cache, before the Knot with `x.test`.
    async fn over_https(on_knot: &str) -> (Lab, View) {
        let mut lab = Lab::new();
        let knot = lab
            .knot(
                KNOT,
                &[("x.test", &format!("@ NS ns1.invalid.\n{on_knot}"))],
            )
            .await;
        let zones = [("x.test", knot)];
        let resolvers = vec![
            lab.resolver_over_https("127.0.0.10", &zones).await,
            lab.resolver_over_https("127.0.0.11", &zones).await,
        ];
        let view = View {
            resolvers,
            ..View::of(&[])
        };
        (lab, view)
    }

    fn seen_from(view: View, at: &str, values: &[&str]) -> Expectation {
        Expectation {
            view: Arc::new(view),
            ..expect(at, values, &[])
        }
    }

    #[tokio::test]
    async fn over_https_a_negative_answer_is_outlived() {
        let (lab, view) = over_https("").await;
        let expectation = [seen_from(view, "a.x.test", &["one"])];
        let (said, both_lack_it) = (Mutex::new(BTreeSet::new()), Notify::new());
        let note = |progress: &Progress| {
            let laggards = progress.laggards.iter().map(ToString::to_string);
            let mut said = said.lock().unwrap();
            said.extend(laggards);
            if said.len() == 2 {
                both_lack_it.notify_one();
            }
        };
        let written = async {
            both_lack_it.notified().await;
            lab.add_txt(KNOT, "x.test", &[("a.x.test", "one")]);
        };
        let settings = settings(PATIENT);
        let started = Instant::now();
        let (results, ()) = tokio::join!(until_seen(&expectation, &settings, &note), written);
        assert_eq!(results, [Ok(())]);
        // The zone's negative TTL is one second.
        let elapsed = started.elapsed();
        assert!(elapsed > Duration::from_millis(1_900), "{elapsed:?}");
        assert!(elapsed < LATEST, "{elapsed:?}");
        let lacking = |ip| {
            format!("{ip} (over HTTPS) does not know the name (NXDOMAIN), and keeps that for 1 s")
        };
        let said: Vec<_> = said.into_inner().unwrap().into_iter().collect();
        assert_eq!(said, [lacking("127.0.0.10"), lacking("127.0.0.11")]);
    }

    #[tokio::test]
    async fn over_https_nobody_is_asked_before_the_time_to_settle() {
        let (lab, view) = over_https("").await;
        let settling = |seconds| View {
            settle: Duration::from_secs(seconds),
            ..view.clone()
        };
        let expectations = [
            seen_from(settling(1), "a.x.test", &["one"]),
            // Half of the deadline at most.
            seen_from(settling(60), "b.x.test", &["one"]),
        ];
        let values = ["a.x.test", "b.x.test"].map(|name| (name, "one"));
        lab.add_txt(KNOT, "x.test", &values);
        let reports = Mutex::new(Vec::new());
        let note = |progress: &Progress| {
            let report = (progress.elapsed, progress.newly_seen.clone());
            reports.lock().unwrap().push(report);
        };
        let settings = settings(16_000);
        let results = until_seen(&expectations, &settings, &note).await;
        assert_eq!(results, [Ok(()), Ok(())]);
        let reports = reports.into_inner().unwrap();
        assert_eq!(reports.len(), 4, "{reports:?}");
        // Two resolvers each.
        let [first_a, first_b] = [&reports[0], &reports[2]].map(|(elapsed, _)| elapsed.as_secs());
        assert!((1..8).contains(&first_a) && first_b >= 8, "{reports:?}");
        let seen = [&reports[1], &reports[3]].map(|(_, seen)| seen.clone());
        assert_eq!(seen, [[0], [1]]);
    }

    #[tokio::test]
    async fn over_https_what_is_kept_for_too_long_is_not_waited_for() {
        let (_lab, view) = over_https("a TXT old\nb CNAME elsewhere").await;
        let expectations = [
            seen_from(view.clone(), "a.x.test", &["new"]),
            seen_from(view, "b.x.test", &["new"]),
        ];
        let started = Instant::now();
        let said = outcome(&expectations, 30_000).await;
        assert!(started.elapsed() < LATEST);
        let each = |what: &str| {
            ["127.0.0.10", "127.0.0.11"]
                .map(|ip| format!("{ip} (over HTTPS) {what}, and keeps that for 60 s"))
                .join("; ")
        };
        let not_on = "is not seen by every resolver:";
        assert_eq!(
            said,
            [
                format!("`a.x.test` {not_on} {}", each("lacks `new` (it has `old`)")),
                format!(
                    "`b.x.test` {not_on} {}",
                    each("has a CNAME to `elsewhere.x.test` there")
                ),
            ]
        );
    }

    #[tokio::test]
    async fn over_https_two_have_to_agree_and_a_third_may_fail() {
        let (lab, view) = over_https("a TXT one\nb TXT one").await;
        let dead = lab.over_https("127.0.0.12", 1, "/dns-query");
        let with = |resolvers: &[&Resolver]| View {
            resolvers: resolvers.iter().copied().cloned().collect(),
            ..View::of(&[])
        };
        let [first, second] = &view.resolvers[..] else {
            panic!("two resolvers");
        };
        let expectations = [
            seen_from(with(&[first, second, &dead]), "a.x.test", &["one"]),
            seen_from(with(&[first, &dead]), "b.x.test", &["one"]),
        ];
        assert_eq!(
            outcome(&expectations, 4_000).await,
            [
                "",
                "`b.x.test` is not seen by every resolver: 127.0.0.12 (over HTTPS) cannot be reached: no connection over HTTPS"
            ]
        );
    }
}
