//! The contract of [`DnsProvider`], run over every provider: on real servers where one can run here,
//! else on a [`Fake`], which can also refuse requests and lose answers.

use std::collections::BTreeSet;
use std::slice::from_ref;

use pretty_assertions::assert_eq;

use crate::model::change::{Txt, TxtBatch};
use crate::model::environment::Environment;
use crate::model::hint::explain;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::{Record, ZoneRef};
use crate::net::http::Http;
use crate::provider::fake::Fake;
use crate::provider::port::{DnsProvider, TXT_TTL};
use crate::provider::registry::{Context, connect};
use crate::provider::servers::{API_KEY, BIG, SECRET, Server, TYPES, WRONG_SECRET, context, entry};
use crate::provider::zonefile;

/// What every server has in `example.test`, sorted; the SOA is left out.
const EXPECTED: &[&str] = &[
    "A ns1.example.test 127.0.0.1 ttl=300",
    "AAAA ipv6.example.test 2001:db8::1 ttl=300",
    "CAA example.test 0 issue \"letsencrypt.org\" ttl=300",
    "CNAME *.any.example.test elsewhere.example.net. ttl=300",
    "CNAME _acme-challenge.alias.example.test elsewhere.example.net. ttl=300",
    "CNAME www.example.test example.test. ttl=600",
    "MX example.test 10 mail.example.test. ttl=300",
    "NS example.test ns1.example.test. ttl=300",
    "NS example.test ns2.example.net. ttl=300",
    "NS sub.example.test ns1.example.test. ttl=300",
    "SRV _sip._tcp.example.test 1 2 5060 sip.example.test. ttl=300",
    "TXT example.test \"v=spf1 -all\" ttl=300",
    "TXT many.example.test \"one\" ttl=300",
    "TXT many.example.test \"two\" ttl=300",
    "TXT quoted.example.test \"a\"b;c\\d\" ttl=300",
];

pub(super) fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

pub(super) fn txt(owner: &str, value: &str) -> Txt {
    Txt {
        name: name(owner),
        value: value.to_owned(),
    }
}

pub(super) fn provider(entry: &ProviderEntry) -> Box<dyn DnsProvider> {
    provider_in(entry, &Environment::default()).unwrap()
}

/// A provider in an environment of its own.
pub(super) fn provider_in(
    entry: &ProviderEntry,
    environment: &Environment,
) -> anyhow::Result<Box<dyn DnsProvider>> {
    let context = Context {
        environment: environment.clone(),
        ..context()
    };
    connect(entry, &context)
}

async fn records(provider: &dyn DnsProvider, zone: &DnsName) -> Vec<Record> {
    provider.records(zone.into()).await.unwrap()
}

/// The records but the SOA, as text, sorted.
pub(super) async fn listed(provider: &dyn DnsProvider, zone: &DnsName) -> Vec<String> {
    let records = records(provider, zone).await;
    let others = records.iter().filter(|one| one.rtype != "SOA");
    let mut lines: Vec<String> = others.map(ToString::to_string).collect();
    lines.sort();
    lines
}

/// A provider under test, and what is particular about it.
pub(super) struct Subject<'a> {
    /// Its entry of creds.json.
    pub(super) entry: ProviderEntry,
    /// The environment that it is in.
    pub(super) environment: Environment,
    /// Field that a wrong credential is tried in.
    pub(super) credential: &'static str,
    /// The fake behind it; none for a real server, which refuses nothing and loses no answer.
    pub(super) fake: Option<&'a Fake>,
    pub(super) lists_soa: bool,
    pub(super) lists_apex_ns: bool,
    /// Types that the API does not have.
    pub(super) lacks: &'static [&'static str],
    /// Smallest TTL of the API, seconds.
    pub(super) minimum_ttl: u32,
    /// What the API makes of a TTL that is not too small, seconds.
    pub(super) stored_ttl: fn(u32) -> u32,
    /// TTL of the apex NS set where the API has none, seconds.
    pub(super) apex_ns_ttl: Option<u32>,
    /// Requests that it takes to add 100 values at 100 names of one zone.
    pub(super) calls: usize,
}

impl<'a> Subject<'a> {
    /// A provider on a fake: its SOA is not listed, the apex NS set is.
    pub(super) fn new(fake: &'a Fake, mut entry: ProviderEntry, credential: &'static str) -> Self {
        entry.fields.insert("_base_url".to_owned(), fake.url());
        Self {
            entry,
            environment: Environment::default(),
            credential,
            fake: Some(fake),
            lists_soa: false,
            lists_apex_ns: true,
            lacks: &[],
            minimum_ttl: 0,
            stored_ttl: |ttl| ttl,
            apex_ns_ttl: None,
            calls: 0,
        }
    }

    /// A provider on a real server that lists everything.
    fn real(entry: ProviderEntry) -> Subject<'static> {
        Subject {
            entry,
            environment: Environment::default(),
            credential: "",
            fake: None,
            lists_soa: true,
            lists_apex_ns: true,
            lacks: &[],
            minimum_ttl: 0,
            stored_ttl: |ttl| ttl,
            apex_ns_ttl: None,
            calls: 0,
        }
    }

    pub(super) fn connect(&self) -> Box<dyn DnsProvider> {
        provider_in(&self.entry, &self.environment).unwrap()
    }

    /// TTL of sets that a change creates.
    fn ttl(&self) -> u32 {
        self.stored(TXT_TTL)
    }

    /// What the API makes of a TTL.
    fn stored(&self, ttl: u32) -> u32 {
        (self.stored_ttl)(ttl.max(self.minimum_ttl))
    }

    /// What `example.test` has, with more, sorted.
    fn expected_with(&self, more: &[String]) -> Vec<String> {
        let is_apex_ns = |line: &&&str| line.starts_with("NS example.test ");
        let rtype = |line: &str| line.split(' ').next().unwrap().to_owned();
        let is_lacking = |line: &&&str| self.lacks.contains(&rtype(line).as_str());
        let mut lines: Vec<String> = EXPECTED
            .iter()
            .filter(|line| self.lists_apex_ns || !is_apex_ns(line))
            .filter(|line| !is_lacking(line))
            .map(|line| {
                let (record, ttl) = line.rsplit_once('=').unwrap();
                let own = self.apex_ns_ttl.filter(|_| is_apex_ns(&line));
                let ttl = own.unwrap_or_else(|| self.stored(ttl.parse().unwrap()));
                format!("{record}={ttl}")
            })
            .collect();
        lines.extend(more.iter().cloned());
        lines.sort();
        lines
    }
}

/// Every case of the suite, on a fake.
pub(super) async fn conforms_to_all(subject: &Subject<'_>) {
    let provider = subject.connect();
    conforms(subject).await;
    lists_a_big_zone(subject).await;
    survives_refusals(subject).await;
    survives_lost_answers(subject).await;
    wrong_credentials_are_named(subject).await;
    a_zone_that_is_not_there_is_named(subject).await;
    survives_another_writer(subject).await;
    takes_few_calls(subject).await;
    let zone = name("example.test");
    assert_eq!(listed(&*provider, &zone).await, subject.expected_with(&[]));
}

fn fake<'a>(subject: &Subject<'a>) -> &'a Fake {
    subject.fake.expect("this case needs a fake")
}

/// Requests over the limit are sent again when the API says, wherever in a change they are.
async fn survives_refusals(subject: &Subject<'_>) {
    let zone = name("example.test");
    let value = txt("_acme-challenge.refused.example.test", "x");
    let line = format!("TXT {} \"x\" ttl={}", value.name, subject.ttl());
    for good in 0..3 {
        for (batch, lines) in [
            (TxtBatch::adding(vec![value.clone()]), vec![line.clone()]),
            (TxtBatch::removing(vec![value.clone()]), vec![]),
        ] {
            let provider = subject.connect();
            fake(subject).refuse_after(good, 1);
            let start = std::time::Instant::now();
            provider.change((&zone).into(), &batch).await.unwrap();
            if good < 2 {
                assert!(fake(subject).is_through(), "the refusal was not met");
                let asked = std::time::Duration::from_secs(u64::from(fake(subject).says_when()));
                assert!(start.elapsed() >= asked, "Retry-After was not kept");
            }
            let expected = subject.expected_with(&lines);
            assert_eq!(listed(&*provider, &zone).await, expected);
        }
    }
    fake(subject).refuse_after(2, 1);
    lists_a_big_zone(subject).await;
}

/// A write that was carried out is not done twice, though its answer never came.
async fn survives_lost_answers(subject: &Subject<'_>) {
    let zone = name("example.test");
    let provider = subject.connect();
    let values = ["one", "two"].map(|value| txt("_acme-challenge.lost.example.test", value));
    let lines = values
        .each_ref()
        .map(|txt| format!("{txt} ttl={}", subject.ttl()))
        .map(|line| {
            let (owner, rest) = line.split_once(" TXT ").unwrap();
            format!("TXT {owner} {rest}")
        });
    for (batch, lines) in [
        (TxtBatch::adding(values.to_vec()), &lines[..]),
        (TxtBatch::removing(values.to_vec()), &[]),
    ] {
        fake(subject).lose_answer();
        provider.change((&zone).into(), &batch).await.unwrap();
        assert!(fake(subject).is_through(), "no answer was lost");
        let expected = subject.expected_with(lines);
        assert_eq!(listed(&*provider, &zone).await, expected);
    }
}

/// A wrong credential is refused with the entry and the field, and is not printed.
pub(super) async fn wrong_credentials_are_named(subject: &Subject<'_>) {
    const WRONG: &str = "wrong-credential-for-tests";
    let mut entry = subject.entry.clone();
    entry
        .fields
        .insert(subject.credential.to_owned(), WRONG.to_owned());
    let provider = provider_in(&entry, &subject.environment).unwrap();
    let messages = errors_of(&*provider, "example.test").await;
    for (message, verb) in messages.iter().zip(["read", "change"]) {
        let start = format!("cannot {verb} zone `example.test` ");
        assert!(message.starts_with(&start), "{message}");
        let field = format!("`{}`", subject.credential);
        let hint = message.lines().find(|line| line.starts_with("hint: "));
        let hint = hint.unwrap_or_else(|| panic!("no hint: {message}"));
        assert!(
            hint.contains(&field) && hint.contains("`main`"),
            "{message}"
        );
        assert!(!message.contains(WRONG), "{message}");
    }
}

async fn a_zone_that_is_not_there_is_named(subject: &Subject<'_>) {
    let messages = errors_of(&*subject.connect(), "absent.test").await;
    for (message, verb) in messages.iter().zip(["read", "change"]) {
        let start = format!("cannot {verb} zone `absent.test` ");
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("`main`"), "{message}");
        assert!(message.contains("\nhint: "), "{message}");
    }
}

/// Two clients that write different values to the same name both get their way.
async fn survives_another_writer(subject: &Subject<'_>) {
    const VALUES: usize = 4;
    let zone = name("example.test");
    let owner = "_acme-challenge.many-writers.example.test";
    let writer = async |letter: &str, removes: bool| {
        let provider = subject.connect();
        for number in 0..VALUES {
            let value = vec![txt(owner, &format!("{letter}{number}"))];
            let batch = if removes {
                TxtBatch::removing(value)
            } else {
                TxtBatch::adding(value)
            };
            provider.change((&zone).into(), &batch).await.unwrap();
        }
    };
    let provider = subject.connect();
    tokio::join!(writer("a", false), writer("b", false));
    let all: Vec<String> = ["a", "b"]
        .iter()
        .flat_map(|letter| (0..VALUES).map(move |number| format!("{letter}{number}")))
        .map(|value| format!("TXT {owner} \"{value}\" ttl={}", subject.ttl()))
        .collect();
    let expected = subject.expected_with(&all);
    assert_eq!(listed(&*provider, &zone).await, expected);
    tokio::join!(writer("a", true), writer("b", true));
    assert_eq!(listed(&*provider, &zone).await, subject.expected_with(&[]));
}

/// Twenty certificates of five names in one zone.
async fn takes_few_calls(subject: &Subject<'_>) {
    let zone = name("example.test");
    let values: Vec<Txt> = (0..100)
        .map(|number| txt(&format!("_acme-challenge.n{number}.example.test"), "x"))
        .collect();
    let provider = subject.connect();
    fake(subject).requests();
    let add = TxtBatch::adding(values.clone());
    provider.change((&zone).into(), &add).await.unwrap();
    let requests = fake(subject).requests();
    assert_eq!(requests.len(), subject.calls, "{requests:#?}");
    let remove = TxtBatch::removing(values);
    provider.change((&zone).into(), &remove).await.unwrap();
}

/// The contract, clause by clause; afterwards the zone is as it was.
async fn conforms(subject: &Subject<'_>) {
    let provider = &*subject.connect();
    let expected_with = |more: &[String]| subject.expected_with(more);
    let ttl = subject.ttl();
    let zone = name("example.test");
    let all = records(provider, &zone).await;
    let soas = all.iter().filter(|one| one.rtype == "SOA");
    assert_eq!(soas.count(), usize::from(subject.lists_soa), "SOA records");
    let challenge = "_acme-challenge.example.test";
    let change = async |add: &[Txt], remove: &[Txt]| {
        let batch = TxtBatch {
            add: add.to_vec(),
            remove: remove.to_vec(),
        };
        provider.change((&zone).into(), &batch).await.unwrap();
        listed(provider, &zone).await
    };
    let line = |value: &str| format!("TXT {challenge} \"{value}\" ttl={ttl}");
    assert_eq!(listed(provider, &zone).await, expected_with(&[]));
    assert_eq!(change(&[], &[]).await, expected_with(&[]));
    // Add, add a second value at the same name, add what is there.
    let (one, two) = (txt(challenge, "one-_9"), txt(challenge, "two"));
    let with_one = expected_with(&[line("one-_9")]);
    let with_both = expected_with(&[line("one-_9"), line("two")]);
    assert_eq!(change(from_ref(&one), &[]).await, with_one);
    assert_eq!(change(from_ref(&two), &[]).await, with_both);
    assert_eq!(change(&[one.clone(), two.clone()], &[]).await, with_both);
    // Remove one, remove what is absent: another value, a name without records.
    assert_eq!(change(&[], from_ref(&two)).await, with_one);
    assert_eq!(
        change(&[], &[two.clone(), txt("absent.example.test", "x")]).await,
        with_one
    );
    // One batch that adds and removes at one name and at others.
    let deep = txt("_acme-challenge.a.b.example.test", "deep");
    let deep_line = format!("TXT _acme-challenge.a.b.example.test \"deep\" ttl={ttl}");
    assert_eq!(
        change(&[two.clone(), deep.clone()], from_ref(&one)).await,
        expected_with(&[line("two"), deep_line])
    );
    // What is in both is gone.
    assert_eq!(
        change(from_ref(&one), &[one.clone(), two, deep]).await,
        expected_with(&[])
    );
    // The other values of a set stay, and its TTL.
    assert_eq!(
        change(&[txt("many.example.test", "three")], &[]).await,
        expected_with(&[format!(
            "TXT many.example.test \"three\" ttl={}",
            subject.stored(300)
        )])
    );
    assert_eq!(
        change(&[], &[txt("many.example.test", "three")]).await,
        expected_with(&[])
    );
    beside_a_wildcard(subject, provider).await;
    many_names(subject, provider, &zone).await;
}

/// A wildcard CNAME is no obstacle, and stays.
async fn beside_a_wildcard(subject: &Subject<'_>, provider: &dyn DnsProvider) {
    let zone = name("example.test");
    let value = vec![txt("_acme-challenge.any.example.test", "x")];
    let line = format!(
        "TXT _acme-challenge.any.example.test \"x\" ttl={}",
        subject.ttl()
    );
    for (batch, lines) in [
        (TxtBatch::adding(value.clone()), vec![line]),
        (TxtBatch::removing(value), vec![]),
    ] {
        provider.change((&zone).into(), &batch).await.unwrap();
        let expected = subject.expected_with(&lines);
        assert_eq!(listed(provider, &zone).await, expected);
    }
}

/// A hundred names at once.
async fn many_names(subject: &Subject<'_>, provider: &dyn DnsProvider, zone: &DnsName) {
    let before = subject.expected_with(&[]);
    let values: Vec<Txt> = (0..100)
        .flat_map(|number| {
            let owner = format!("_acme-challenge.n{number}.example.test");
            [txt(&owner, "a"), txt(&owner, "b")]
        })
        .collect();
    let add = TxtBatch::adding(values.clone());
    provider.change(zone.into(), &add).await.unwrap();
    let count = listed(provider, zone).await.len();
    assert_eq!(count, before.len() + values.len());
    let remove = TxtBatch::removing(values);
    provider.change(zone.into(), &remove).await.unwrap();
    assert_eq!(listed(provider, zone).await, before);
}

/// A zone whose transfer takes several messages.
async fn lists_a_big_zone(subject: &Subject<'_>) {
    let provider = subject.connect();
    let records = records(&*provider, &name("big.test")).await;
    let texts = records.iter().filter(|record| record.rtype == "TXT");
    let owners: BTreeSet<&DnsName> = texts.map(|record| &record.name).collect();
    assert_eq!(owners.len(), BIG);
    let own = usize::from(subject.lists_soa) + usize::from(subject.lists_apex_ns);
    assert_eq!(records.len(), BIG + own);
}

/// Every type reads the same from a server and from its zone file.
async fn lists_every_type(provider: &dyn DnsProvider) {
    let zone = name("types.test");
    let records = zonefile::records(TYPES, &zone).unwrap();
    let mut lines: Vec<String> = records
        .iter()
        .filter(|one| one.rtype != "SOA")
        .map(ToString::to_string)
        .collect();
    lines.sort();
    assert_eq!(listed(provider, &zone).await, lines);
}

/// The error of reading and of changing `zone`, as the user sees it.
async fn errors(entry: &ProviderEntry, zone: &str) -> Vec<String> {
    errors_of(&*provider(entry), zone).await
}

async fn errors_of(provider: &dyn DnsProvider, zone: &str) -> Vec<String> {
    let zone = name(zone);
    let batch = TxtBatch::adding(vec![txt(&format!("_acme-challenge.{zone}"), "x")]);
    let read = provider.records((&zone).into()).await.unwrap_err();
    let change = provider.change((&zone).into(), &batch).await.unwrap_err();
    [read, change].iter().map(message).collect()
}

/// An error as the user sees it.
pub(super) fn message(error: &anyhow::Error) -> String {
    let explained = explain(error);
    let mut lines = vec![explained.what];
    lines.extend(explained.causes);
    lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

/// Both messages of a signed server that does not accept the key.
fn refused(server: &Server, why: &str, hint: &str) -> Vec<String> {
    let address = server.dns;
    [
        (
            format!("cannot read zone `example.test` from `{address}` (AXFR, `creds.json` entry `main`)"),
            "transfer-key",
        ),
        (
            format!("cannot change zone `example.test` at `{address}` (RFC 2136, `creds.json` entry `main`)"),
            "update-key",
        ),
    ]
    .iter()
    .map(|(what, field)| {
        let origin = format!("`{field}` in `creds.json` entry `main`");
        format!("{what}\n`{address}` {why}\nhint: {}", hint.replace("KEY", &origin))
    })
    .collect()
}

async fn wrong_keys_are_named(server: &Server) {
    assert_eq!(
        errors(&server.axfrddns(WRONG_SECRET), "example.test").await,
        refused(
            server,
            "does not accept the signature of the TSIG key `test-key` (BADSIG)",
            "the secret of KEY must be the server's"
        )
    );
    let mut entry = server.axfrddns(SECRET);
    for field in ["update-key", "transfer-key"] {
        let key = format!("hmac-sha256:other-key:{SECRET}");
        entry.fields.insert(field.to_owned(), key);
    }
    assert_eq!(
        errors(&entry, "example.test").await,
        refused(
            server,
            "does not know the TSIG key `other-key` (BADKEY)",
            "the algorithm and the name of KEY must be the server's"
        )
    );
}

/// Nothing can be added beside a CNAME; `why` is what the error says of it.
async fn an_alias_is_named(server: &Server, why: &str) {
    let provider = provider(&server.axfrddns(SECRET));
    let zone = name("example.test");
    let batch = TxtBatch::adding(vec![txt("_acme-challenge.alias.example.test", "x")]);
    let error = provider.change((&zone).into(), &batch).await.unwrap_err();
    assert_eq!(
        message(&error),
        format!(
            "cannot change zone `example.test` at `{}` (RFC 2136, `creds.json` entry `main`)\n{why}",
            server.dns
        )
    );
    let subject = Subject::real(server.axfrddns(SECRET));
    assert_eq!(listed(&*provider, &zone).await, subject.expected_with(&[]));
}

const ALIAS: &str =
    "`_acme-challenge.alias.example.test` is a CNAME, so it cannot have a TXT record";

const ALIAS_HINT: &str = "hint: remove the CNAME, or point it to a zone that `dnsconfig.js` has";

async fn axfrddns_on(server: &Server) {
    let subject = Subject::real(server.axfrddns(SECRET));
    let provider = subject.connect();
    conforms(&subject).await;
    lists_a_big_zone(&subject).await;
    lists_every_type(&*provider).await;
}

#[tokio::test]
async fn axfrddns_on_bind() {
    let server = Server::bind();
    axfrddns_on(&server).await;
    an_alias_is_named(&server, &format!("{ALIAS}\n{ALIAS_HINT}")).await;
    wrong_keys_are_named(&server).await;
}

#[tokio::test]
async fn axfrddns_on_knot() {
    let server = Server::knot();
    axfrddns_on(&server).await;
    an_alias_is_named(&server, &format!("{ALIAS}\n{ALIAS_HINT}")).await;
    wrong_keys_are_named(&server).await;
}

#[tokio::test]
async fn axfrddns_on_powerdns() {
    let server = Server::powerdns();
    axfrddns_on(&server).await;
    // PowerDNS does not say what is wrong with a key.
    let hint = "the server must be primary for the zone and know the TSIG key: check KEY";
    let [read, change] = [
        "refuses to transfer the zone (NOTAUTH)",
        "refuses to answer a TXT query (NOTAUTH)",
    ]
    .map(|why| refused(&server, why, hint));
    assert_eq!(
        errors(&server.axfrddns(WRONG_SECRET), "example.test").await,
        [read[0].clone(), change[1].clone()]
    );
    let refused = format!(
        "`{}` refuses to update the zone (REFUSED)\nhint: {ALIAS}\n\
         hint: the server must have the zone, and allow this for the key or address",
        server.dns
    );
    an_alias_is_named(&server, &refused).await;
}

#[tokio::test]
async fn axfrddns_by_udp_and_host_name() {
    let server = Server::bind();
    let mut entry = server.axfrddns(SECRET);
    let master = format!("localhost:{}", server.dns.port());
    entry.fields.insert("master".to_owned(), master);
    entry
        .fields
        .insert("update-mode".to_owned(), "udp".to_owned());
    conforms(&Subject::real(entry)).await;
}

#[tokio::test]
async fn axfrddns_on_a_server_that_does_not_answer() {
    let server = Server::knot();
    let entry = server.axfrddns(SECRET);
    let address = server.dns;
    assert_eq!(
        errors(&entry, "absent.test").await,
        [
            format!(
                "cannot read zone `absent.test` from `{address}` (AXFR, `creds.json` entry `main`)\n\
                 `{address}` refuses to transfer the zone (NOTAUTH)\n\
                 hint: the server must be primary for the zone and know the TSIG key: check `transfer-key` in `creds.json` entry `main`"
            ),
            format!(
                "cannot change zone `absent.test` at `{address}` (RFC 2136, `creds.json` entry `main`)\n\
                 `{address}` refuses to answer a TXT query (REFUSED)\n\
                 hint: the server must have the zone, and allow this for the key or address"
            ),
        ]
    );
    drop(server);
    let hint = "hint: the server must run and take TCP; check its address in `creds.json`";
    assert_eq!(
        errors(&entry, "example.test").await,
        [
            format!(
                "cannot read zone `example.test` from `{address}` (AXFR, `creds.json` entry `main`)\n\
                 cannot connect to `{address}` by TCP\n\
                 Connection refused\n{hint}"
            ),
            format!(
                "cannot change zone `example.test` at `{address}` (RFC 2136, `creds.json` entry `main`)\n\
                 cannot connect to `{address}` by TCP\n\
                 Connection refused\n{hint}"
            ),
        ]
    );
}

fn powerdns_entry(server: &Server, key: &str) -> ProviderEntry {
    entry(
        "POWERDNS",
        &[
            ("apiUrl", &format!("http://{}", server.control)),
            ("apiKey", key),
            ("serverName", "localhost"),
        ],
    )
}

#[tokio::test]
async fn powerdns() {
    let server = Server::powerdns();
    let subject = Subject::real(powerdns_entry(&server, API_KEY));
    let provider = subject.connect();
    conforms(&subject).await;
    lists_a_big_zone(&subject).await;
    lists_every_type(&*provider).await;
    let at = format!(
        "PowerDNS at `http://{}` (`creds.json` entry `main`)",
        server.control
    );
    let tried = |zone| format!("GET /api/v1/servers/localhost/zones/{zone}.");
    let hint =
        "hint: check `apiKey` in `creds.json` entry `main`: it must be the server's `api-key`";
    assert_eq!(
        errors(&powerdns_entry(&server, "wrong"), "example.test").await,
        [
            format!(
                "cannot read zone `example.test` from {at}\n`{}` answered 401 Unauthorized: Unauthorized\n{hint}",
                tried("example.test")
            ),
            format!(
                "cannot change zone `example.test` at {at}\n`{}` answered 401 Unauthorized: Unauthorized\n{hint}",
                tried("example.test")
            ),
        ]
    );
    let hint = "hint: the server has no zone `absent.test`: create it there, or correct its name in `dnsconfig.js`";
    assert_eq!(
        errors(&powerdns_entry(&server, API_KEY), "absent.test").await,
        [
            format!(
                "cannot read zone `absent.test` from {at}\n`{}` answered 404 Not Found: Not Found\n{hint}",
                tried("absent.test")
            ),
            format!(
                "cannot change zone `absent.test` at {at}\n`{}` answered 404 Not Found: Not Found\n{hint}",
                tried("absent.test")
            ),
        ]
    );
}

#[tokio::test]
async fn powerdns_errors_have_the_servers_words() {
    let server = Server::powerdns();
    let entry = powerdns_entry(&server, API_KEY);
    let provider = provider(&entry);
    let zone = name("example.test");
    let batch = TxtBatch::adding(vec![txt("_acme-challenge.alias.example.test", "x")]);
    let error = provider.change((&zone).into(), &batch).await.unwrap_err();
    let at = format!(
        "PowerDNS at `http://{}` (`creds.json` entry `main`)",
        server.control
    );
    assert_eq!(
        message(&error),
        format!(
            "cannot change zone `example.test` at {at}\n`PATCH /api/v1/servers/localhost/zones/example.test.` answered 422 Unprocessable Entity: \
             RRset _acme-challenge.alias.example.test. IN TXT: Conflicts with pre-existing RRset"
        )
    );
    drop(server);
    let error = provider.records((&zone).into()).await.unwrap_err();
    assert_eq!(
        message(&error),
        format!(
            "cannot read zone `example.test` from {at}\nno answer to `GET /api/v1/servers/localhost/zones/example.test.`\nerror sending request\n\
             tcp connect error\nConnection refused\n\
             hint: check `apiUrl` in `creds.json` entry `main`, and the way there: a proxy (`HTTPS_PROXY`, `NO_PROXY`), a firewall, DNS; then run again"
        )
    );
}

#[tokio::test]
async fn powerdns_keeps_comments_and_disabled_records() {
    let server = Server::powerdns();
    let http = Http::new(None).unwrap();
    let url = format!(
        "http://{}/api/v1/servers/localhost/zones/example.test.",
        server.control
    );
    let set = serde_json::json!({
        "name": "noted.example.test.", "type": "TXT", "ttl": 120, "changetype": "REPLACE",
        "records": [{ "content": "\"off\"", "disabled": true }],
        "comments": [{ "content": "why", "account": "me", "modified_at": 1 }],
    });
    let request = http
        .client()
        .patch(&url)
        .header("X-API-Key", API_KEY)
        .json(&serde_json::json!({ "rrsets": [set] }));
    assert!(request.send().await.unwrap().status().is_success());
    let noted = async || -> serde_json::Value {
        let request = http.client().get(&url).header("X-API-Key", API_KEY);
        let body = request.send().await.unwrap().text().await.unwrap();
        let zone: serde_json::Value = serde_json::from_str(&body).unwrap();
        let sets = zone["rrsets"].as_array().unwrap();
        let mut set = sets
            .iter()
            .find(|set| set["name"] == "noted.example.test.")
            .unwrap()
            .clone();
        set["records"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(ToString::to_string);
        set
    };
    let before = noted().await;
    let provider = provider(&powerdns_entry(&server, API_KEY));
    let zone = name("example.test");
    let value = vec![txt("noted.example.test", "on")];
    let add = TxtBatch::adding(value.clone());
    provider.change((&zone).into(), &add).await.unwrap();
    let with = noted().await;
    assert_eq!(with["comments"], before["comments"]);
    assert_eq!(with["ttl"], 120);
    assert_eq!(with["records"].as_array().unwrap().len(), 2);
    let remove = TxtBatch::removing(value);
    provider.change((&zone).into(), &remove).await.unwrap();
    assert_eq!(noted().await, before);
}

#[tokio::test]
async fn powerdns_survives_other_writers() {
    let server = Server::powerdns();
    let subject = Subject::real(powerdns_entry(&server, API_KEY));
    survives_another_writer(&subject).await;
}

#[tokio::test]
async fn axfrddns_survives_other_writers() {
    let server = Server::bind();
    survives_another_writer(&Subject::real(server.axfrddns(SECRET))).await;
}

#[tokio::test]
async fn bind_with_reload() {
    let server = Server::bind_with_files();
    let folder = server.folder();
    let reload = format!("rndc -c {}/rndc.conf reload %z", folder.display());
    let entry = entry(
        "BIND",
        &[
            ("directory", folder.to_str().unwrap()),
            ("_reload_command", &reload),
        ],
    );
    let subject = Subject::real(entry);
    conforms(&subject).await;
    let files = subject.connect();
    // What the server itself says.
    let served = provider(&server.axfrddns(SECRET));
    let zone = name("example.test");
    let value = vec![txt("_acme-challenge.example.test", "served")];
    let batch = TxtBatch::adding(value);
    files.change(ZoneRef::from(&zone), &batch).await.unwrap();
    let line = format!("TXT _acme-challenge.example.test \"served\" ttl={TXT_TTL}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !listed(&*served, &zone).await.contains(&line) {
        assert!(
            std::time::Instant::now() < deadline,
            "not reloaded:\n{}",
            server.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
