//! A CA, or the way to it, that fails: what becomes of the run, and that nothing is lost or left.

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::address::NOBODY;
use crate::support::bind;
use crate::support::command::{Command, Output};
use crate::support::faults::{DIRECTORY, authorizations};
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, at, orders, pebble_log, wait_until};
use crate::support::pebble;

/// Every resource that a run asks for.
const RESOURCES: [&str; 9] = [
    "GET /dir",
    "HEAD /nonce-plz",
    "POST /sign-me-up",
    "POST /order-plz",
    "POST /authZ/",
    "POST /chalZ/",
    "POST /finalize-order/",
    "POST /my-order/",
    "POST /certZ/",
];

/// Pebble behind the proxy, and certificates to issue there: each run is about one of them.
struct Faulty {
    nightly: Nightly,
    zone: &'static str,
    issued: usize,
    ordered: usize,
}

impl Faulty {
    /// With an account and the certificates that are named; `a` is for `a.bench.test`.
    fn start(names: &[&str]) -> Self {
        Self::start_in(Lab::builder().bind().faults().start(), "bench.test", names)
    }

    fn start_in(lab: Lab, zone: &'static str, names: &[&str]) -> Self {
        let wanted: Vec<_> = names
            .iter()
            .map(|name| (*name, format!("{name}.{zone}")))
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(name, dns)| (*name, [dns.as_str()]))
            .collect();
        let wanted: Vec<(&str, &[&str])> =
            wanted.iter().map(|(name, dns)| (*name, &dns[..])).collect();
        Self {
            nightly: Nightly::new(lab, &wanted),
            zone,
            issued: 0,
            ordered: 0,
        }
    }

    fn renew(&self, name: &str) -> Command {
        self.nightly
            .command(&["renew", "--only", name, "--key-type", "p256"])
            .env("GIT_CERTS_ACME", DIRECTORY)
    }

    /// A run for one certificate, which is issued in spite of these faults. They all have to happen.
    #[track_caller]
    fn survives(&mut self, name: &str, faults: &[Value]) -> Output {
        let command = self.renew(name);
        self.survives_in(name, &command, faults)
    }

    #[track_caller]
    fn survives_in(&mut self, name: &str, command: &Command, faults: &[Value]) -> Output {
        self.nightly.lab.inject(faults);
        let before = self.faults();
        let output = command.run().expect_code(0);
        self.ordered += 1;
        self.issued += 1;
        let summary = format!(
            "issued   {name}  {name}.{}: until [DATE], commit [COMMIT]\n\n1 issued, 0 failed, 0 up to date\n",
            self.zone
        );
        let stdout = output.normal_stdout();
        assert!(stdout.starts_with(&summary), "{stdout}");
        self.nightly.assert_valid(name);
        let times = |fault: &Value| fault.get("times").map_or(Some(1), Value::as_u64);
        match faults.iter().map(times).sum::<Option<u64>>() {
            Some(expected) => assert_eq!((self.faults() - before) as u64, expected),
            // Those that go on for ever happened at least.
            None => assert!(self.faults() > before),
        }
        self.nothing_is_left();
        output
    }

    /// A run for one certificate, which fails with this message, and no more than that.
    #[track_caller]
    fn fails(&mut self, name: &str, command: &Command, faults: &[Value], message: &str) {
        self.nightly.lab.inject(faults);
        let from = self.nightly.lab.seen_by_proxy().len();
        let output = command.run().expect_code(1);
        assert_eq!(
            output.normal_stdout(),
            format!(
                "failed   {name}  {name}.{}\n\n0 issued, 1 failed, 0 up to date\n",
                self.zone
            )
        );
        let errors = &output.stderr[output.stderr.find("error: ").unwrap()..];
        // A digest of something random.
        let value = Regex::new(r#"TXT "[\w-]{43}""#).unwrap();
        let clock = Regex::new(r"\d\d:\d\d:\d\d UTC").unwrap();
        let errors = value.replace_all(errors, "TXT \"[VALUE]\"");
        assert_eq!(clock.replace_all(&errors, "[CLOCK]"), message);
        let seen = &self.nightly.lab.seen_by_proxy()[from..];
        let mut requests = seen.iter().map(|seen| &seen.request);
        // An order that was finalized has none that is pending, though nobody looked again.
        if !requests.any(|request| request.starts_with("POST /finalize-order/")) {
            let states = authorizations(seen);
            let pending: Vec<_> = states
                .iter()
                .filter(|(_, state)| **state == "pending")
                .collect();
            assert!(pending.is_empty(), "{pending:?}");
        }
        let files = self.nightly.certs.files(&self.nightly.lab);
        let folder = format!("certificates/{name}/");
        assert!(!files.iter().any(|path| path.starts_with(&folder)));
        self.nothing_is_left();
    }

    /// A run that cannot even open the account.
    #[track_caller]
    fn cannot_run(&self, command: &Command, faults: &[Value], message: &str) {
        self.nightly.lab.inject(faults);
        let output = command.run().expect_code(2);
        assert_eq!(output.stdout, "");
        let errors = &output.stderr[output.stderr.find("error: ").unwrap()..];
        assert_eq!(errors, message);
        self.nothing_is_left();
    }

    fn faults(&self) -> usize {
        let seen = self.nightly.lab.seen_by_proxy();
        seen.iter().filter(|seen| seen.fault != "-").count()
    }

    /// No challenge, no temporary file; Pebble made no order and no certificate but those expected.
    #[track_caller]
    fn nothing_is_left(&self) {
        let lab = &self.nightly.lab;
        assert!(lab.challenges().is_empty());
        assert!(lab.left_over().is_empty());
        let log = pebble_log(lab);
        assert_eq!(
            (
                log.matches("Added order").count(),
                log.matches("Issued certificate serial").count()
            ),
            (self.ordered, self.issued)
        );
    }
}

/// What a server of the CA says when it has no time.
fn limited(request: &str, seconds: u32) -> Value {
    json!({
        "match": request,
        "status": 429,
        "headers": {
            "Retry-After": seconds.to_string(),
            "Content-Type": "application/problem+json",
        },
        "body": r#"{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many requests"}"#,
    })
}

/// A page of whatever stands before the CA.
fn page(request: &str, status: u16) -> Value {
    json!({
        "match": request,
        "status": status,
        "headers": {"Content-Type": "text/html"},
        "body": "<html><h1>Not now</h1></html>",
    })
}

fn always(mut fault: Value) -> Value {
    fault["times"] = Value::Null;
    fault
}

#[test]
fn a_limit_is_waited_for_at_every_resource() {
    let mut faulty = Faulty::start(&["a"]);
    let faults = RESOURCES.map(|request| limited(request, 1));
    let output = faulty.survives("a", &faults);
    // Each was waited for.
    assert!(output.took.as_secs() >= 9, "{:?}", output.took);
}

#[test]
fn a_page_instead_of_an_answer_is_asked_for_again_at_every_resource() {
    let mut faulty = Faulty::start(&["a"]);
    faulty.survives("a", &RESOURCES.map(|request| page(request, 503)));
}

#[test]
fn a_limit_that_is_too_long_is_told() {
    let mut faulty = Faulty::start(&["a", "b"]);
    faulty.survives("a", &[]);
    let command = faulty.renew("b");
    let hint = "hint: run again later; to try things out, use `--acme staging`\n";
    faulty.fails(
        "b",
        &command,
        &[limited("POST /order-plz", 3660)],
        &format!(
            "error: cannot issue `b`\n  \
             caused by: cannot place the order\n  \
             caused by: too many requests (rateLimited); the CA asks to wait 1h 1m (git-certs waits 1m at most)\n\
             {hint}"
        ),
    );
    faulty.cannot_run(
        &command,
        &[limited("GET /dir", 3660)],
        &format!(
            "error: cannot open the account at `https://faulty.test/dir`\n  \
             caused by: too many requests (rateLimited); the CA asks to wait 1h 1m (git-certs waits 1m at most)\n\
             {hint}"
        ),
    );
    // After that, the certificate is issued.
    faulty.survives("b", &[]);
}

#[test]
fn a_ca_that_is_down_is_told() {
    let mut faulty = Faulty::start(&["a", "b"]);
    faulty.survives("a", &[]);
    let command = faulty.renew("b");
    faulty.fails(
        "b",
        &command,
        &[always(page("POST /order-plz", 503))],
        "error: cannot issue `b`\n  \
         caused by: cannot place the order\n  \
         caused by: the CA answered `503 Service Unavailable`\n",
    );
    faulty.fails(
        "b",
        &command,
        &[page("POST /order-plz", 200)],
        "error: cannot issue `b`\n  \
         caused by: cannot place the order\n  \
         caused by: the answer is not what ACME says\n  \
         caused by: expected value at line 1 column 1\n",
    );
}

/// Whoever cannot look at an order of an earlier run does not forget it.
#[test]
fn an_order_that_cannot_be_looked_at_is_gone_on_with_later() {
    let faulty = Faulty::start(&["a"]);
    let Nightly { lab, certs, .. } = &faulty.nightly;
    let command = faulty.renew("a");
    at("before commit", "KILL", command.clone()).run();

    lab.inject(&[always(page("POST /my-order/", 503))]);
    let output = command.run().expect_code(1);
    let said = "an earlier run ordered `a`, and what became of that order is not known: cannot read the order \
                `https://faulty.test/my-order/";
    let answer = "`: the CA answered `503 Service Unavailable`\n";
    let (_, rest) = output.stderr.split_once(said).unwrap();
    let (_, rest) = rest.split_once('`').unwrap();
    assert!(format!("`{rest}").starts_with(answer), "{rest}");
    // Another was placed, and came to nothing either.
    assert_eq!(orders(lab), 2);

    // The CA asks to wait, and a signal comes.
    lab.inject(&[always(limited("POST /my-order/", 50))]);
    let before = lab.seen_by_proxy().len();
    let run = command.spawn();
    wait_until(lab, "a look at the order", || {
        let seen = lab.seen_by_proxy();
        seen[before..].iter().any(|seen| seen.status == 429)
    });
    run.signal("TERM");
    let output = run.wait().expect_code(1);
    assert_eq!(
        &output.stderr[output.stderr.find("error: ").unwrap()..],
        "error: cannot issue `a`\n  caused by: stopped by a signal\n"
    );

    lab.inject(&[]);
    let output = command.run().expect_code(0);
    let going_on = "going on with the order of an earlier run for `a`\n";
    assert!(output.stderr.contains(going_on), "{}", output.stderr);
    assert_eq!(orders(lab), 2);
    faulty.nightly.assert_valid("a");
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
}

#[test]
fn rejected_nonces_are_replaced() {
    let mut faulty = Faulty::start(&["a"]);
    let rejected = json!({
        "match": "POST /order-plz",
        "times": 10,
        "status": 400,
        "nonce": true,
        "headers": {"Content-Type": "application/problem+json"},
        "body": r#"{"type": "urn:ietf:params:acme:error:badNonce", "detail": "bad nonce"}"#,
    });
    faulty.survives("a", &[rejected]);
}

#[test]
fn half_of_the_nonces_are_rejected() {
    let settings = pebble::Settings {
        nonce_reject: 50,
        ..pebble::Settings::default()
    };
    let lab = Lab::builder().bind().pebble_with(settings).faults().start();
    let mut faulty = Faulty::start_in(lab, "bench.test", &["a"]);
    faulty.survives("a", &[]);
}

#[test]
fn connections_that_break_lose_nothing() {
    let mut faulty = Faulty::start(&["a", "b", "c"]);
    // A newAccount whose answer is lost would leave an account that nobody has the key of.
    faulty.survives("a", &[]);
    let lost = |request: &str, when: &str| json!({"match": request, "drop": when});
    let mut faults = RESOURCES.map(|request| lost(request, "before")).to_vec();
    faults.push(lost("POST /finalize-order/", "after"));
    faulty.survives("b", &faults);
    // newOrder is left out: Pebble would have an order more.
    let after = [
        "HEAD /nonce-plz",
        "POST /authZ/",
        "POST /chalZ/",
        "POST /my-order/",
        "POST /certZ/",
    ];
    let mut after = after.map(|request| lost(request, "after")).to_vec();
    after.push(lost("POST /certZ/", "half"));
    faulty.survives("c", &after);
}

#[test]
fn a_chain_that_cannot_be_used_is_fetched_again_and_never_stored() {
    let mut faulty = Faulty::start(&["a", "b", "c"]);
    let chain = |sub: [&str; 2]| json!({"match": "POST /certZ/", "sub": sub});
    let garbage = chain([r"(?s)\A.*\Z", "oops"]);
    let leaf_alone = chain([r"(?s)(-----END CERTIFICATE-----\n).*", r"\1"]);
    faulty.survives("a", &[garbage.clone(), leaf_alone.clone()]);

    let command = faulty.renew("b");
    // It is issued once; each run after that fetches it again.
    faulty.ordered += 1;
    faulty.issued += 1;
    for (fault, said) in [
        (garbage, "the CA answered without a certificate"),
        (
            leaf_alone,
            "the CA answered with a certificate but without its issuer",
        ),
    ] {
        faulty.fails(
            "b",
            &command,
            &[always(fault)],
            &format!("error: cannot issue `b`\n  caused by: {said}\n"),
        );
    }
    faulty.nightly.lab.inject(&[]);
    command.run().expect_code(0);
    faulty.nothing_is_left();
}

#[test]
fn a_ca_that_stumbles_over_what_is_replaced_is_asked_without() {
    let mut faulty = Faulty::start(&["a"]);
    faulty.survives("a", &[]);
    let stumbles = json!({
        "match": "POST /order-plz",
        "status": 500,
        "headers": {"Content-Type": "application/problem+json"},
        "body": r#"{"type": "urn:ietf:params:acme:error:serverInternal", "detail": "no order for the certificate"}"#,
        // As often as newOrder is sent.
        "times": 5,
    });
    let command = faulty.renew("a").args(["--renew", "1000"]);
    faulty.survives_in("a", &command, &[stumbles]);
}

#[test]
fn a_ca_that_does_not_come_to_an_end_is_not_waited_for_for_ever() {
    let mut faulty = Faulty::start(&["a", "b"]);
    let command = faulty.renew("b").args(["--acme-timeout", "8"]);
    faulty.survives("a", &[]);
    faulty.ordered += 1;
    faulty.fails(
        "b",
        &command,
        &[json!({
            "match": "POST /chalZ/",
            "status": 200,
            "body": r#"{"type": "dns-01", "url": "https://faulty.test/chalZ/x", "status": "pending", "token": "x"}"#,
        })],
        "error: cannot issue `b`\n  \
         caused by: after 8s the CA has not finished checking `b.bench.test`\n\
         hint: run again later, or wait longer with `--acme-timeout`\n",
    );
    faulty.ordered += 1;
    faulty.issued += 1;
    faulty.fails(
        "b",
        &command,
        &[always(json!({
            "match": "POST /(my-order|finalize-order)/",
            "sub": [r#""status": "valid""#, r#""status": "processing""#],
        }))],
        "error: cannot issue `b`\n  \
         caused by: after 8s the CA has taken the certificate signing request but not issued\n\
         hint: run again later, or wait longer with `--acme-timeout`\n",
    );
}

#[test]
fn another_ca_stands_in_where_one_does_not_come_to_an_end() {
    let mut faulty = Faulty::start(&["a", "b"]);
    for (name, fault, said) in [
        (
            "a",
            json!({
                "match": "POST /chalZ/",
                "status": 200,
                "body": r#"{"type": "dns-01", "url": "https://faulty.test/chalZ/x", "status": "pending", "token": "x"}"#,
            }),
            "has not finished checking `a.bench.test`",
        ),
        (
            "b",
            json!({
                "match": "POST /(my-order|finalize-order)/",
                "sub": [r#""status": "valid""#, r#""status": "processing""#],
            }),
            "has taken the certificate signing request but not issued",
        ),
    ] {
        let command =
            faulty
                .renew(name)
                .args(["--acme-timeout", "8", "--fallback-acme", pebble::DIRECTORY]);
        // One order at each CA; what the first was about to issue is not fetched.
        faulty.ordered += 1;
        faulty.issued += usize::from(name == "b");
        faulty.nightly.lab.inject(&[always(fault)]);
        let output = command.run().expect_code(0);
        faulty.ordered += 1;
        faulty.issued += 1;
        let line = format!(
            "`{name}` failed at `faulty.test`, ordering at `acme.test`: after 8s the CA {said}\n"
        );
        assert!(output.stderr.contains(&line), "{}", output.stderr);
        assert_eq!(issuer(&faulty, name), pebble::DIRECTORY);
        faulty.nightly.assert_valid(name);
        faulty.nothing_is_left();
    }
}

/// The directory of the CA that issued a certificate, as NAME.json has it.
fn issuer(faulty: &Faulty, name: &str) -> String {
    let Nightly { lab, certs, .. } = &faulty.nightly;
    let text = certs.show(lab, &format!("certificates/{name}/{name}.json"));
    let described: Value = serde_json::from_str(&text).unwrap();
    described["directory"].as_str().unwrap().to_owned()
}

/// Only the CA of this name may issue in the zone.
fn allow(faulty: &Faulty, identity: &str) {
    let change = format!("add bench.test 60 CAA 0 issue \"{identity}\"");
    let namespace = faulty.nightly.lab.namespace();
    bind::update(namespace, "bench.test", &change).expect_code(0);
}

/// The CA behind the proxy has another name in CAA than Pebble.
fn renamed() -> Value {
    always(json!({
        "match": "GET /dir",
        "sub": ["pebble.letsencrypt.org", "faulty.test"],
    }))
}

#[test]
fn a_ca_that_caa_forbids_is_passed_over_for_one_that_it_allows() {
    let mut faulty = Faulty::start(&["a"]);
    allow(&faulty, "pebble.letsencrypt.org");
    faulty.nightly.lab.inject(&[renamed()]);
    let fallback = ["--pending", "off", "--fallback-acme", pebble::DIRECTORY];
    let output = faulty.renew("a").args(fallback).run().expect_code(0);
    faulty.ordered += 1;
    faulty.issued += 1;
    let line = "`a` failed at `faulty.test`, ordering at `acme.test`: CAA forbids the CA to issue for `a.bench.test`: \
                CAA record `0 issue \"pebble.letsencrypt.org\"` at `bench.test` names other CAs than `faulty.test`\n";
    assert!(output.stderr.contains(line), "{}", output.stderr);
    assert_eq!(issuer(&faulty, "a"), pebble::DIRECTORY);
    faulty.nightly.assert_valid("a");
    faulty.nothing_is_left();
}

#[test]
fn a_ca_that_stands_in_is_passed_over_where_caa_forbids_it() {
    let mut faulty = Faulty::start(&["a"]);
    for directory in [DIRECTORY, pebble::DIRECTORY] {
        let register = faulty.nightly.command(&["account", "register"]);
        register.env("GIT_CERTS_ACME", directory).succeed();
    }
    allow(&faulty, "faulty.test");
    let command =
        faulty
            .renew("a")
            .args(["--pending", "off", "--fallback-acme", pebble::DIRECTORY]);
    faulty.fails(
        "a",
        &command,
        &[renamed(), always(page("POST /order-plz", 503))],
        "error: cannot issue `a`\n  \
         caused by: cannot place the order\n  \
         caused by: the CA answered `503 Service Unavailable`\n",
    );
    let output = command.run().expect_code(1);
    let line = "`a` cannot be ordered at `acme.test`, which would stand in: CAA forbids the CA to issue for `a.bench.test`: \
                CAA record `0 issue \"faulty.test\"` at `bench.test` names other CAs than `pebble.letsencrypt.org`\n";
    assert!(output.stderr.contains(line), "{}", output.stderr);
    faulty.nothing_is_left();
}

#[test]
fn an_account_whose_answer_is_lost_is_found_by_its_key() {
    let lost = json!({"match": "POST /sign-me-up", "drop": "after"});
    let accounts = |faulty: &Faulty| {
        let log = pebble_log(&faulty.nightly.lab);
        // Pebble says so for each that it makes.
        log.matches(" accounts in memory").count()
    };
    let mut faulty = Faulty::start(&["a"]);
    let output = faulty.survives("a", std::slice::from_ref(&lost));
    assert!(
        output
            .stderr
            .contains("registered the ACME account `https://faulty.test/my-account/"),
        "{}",
        output.stderr
    );
    assert_eq!(accounts(&faulty), 1);

    let faulty = Faulty::start(&["a"]);
    faulty.nightly.lab.inject(&[lost]);
    let register = faulty
        .nightly
        .command(&["account", "register"])
        .env("GIT_CERTS_ACME", DIRECTORY);
    register.run().expect_code(0);
    assert_eq!((faulty.faults(), accounts(&faulty)), (1, 1));
    let seen = faulty.nightly.lab.seen_by_proxy();
    let asked = seen
        .iter()
        .filter(|seen| seen.request == "POST /sign-me-up");
    let statuses: Vec<_> = asked.map(|seen| seen.status).collect();
    assert_eq!(statuses, [201, 200]);
    // The key that is stored is the account's.
    faulty.renew("a").succeed();
    assert_eq!(accounts(&faulty), 1);
}

#[test]
fn a_server_that_drips_is_not_waited_for_for_ever() {
    let mut faulty = Faulty::start(&["a", "b"]);
    let command = faulty.renew("a").args(["--acme-timeout", "8"]);
    let slow = |request: &str| json!({"match": request, "drip": 1});
    faulty.survives_in("a", &command, &[slow("GET /dir"), slow("POST /my-order/")]);

    let command = faulty.renew("b").args(["--acme-timeout", "4"]);
    faulty.ordered += 1;
    faulty.fails(
        "b",
        &command,
        &[always(slow("POST /chalZ/"))],
        "error: cannot issue `b`\n  \
         caused by: cannot ask the CA to check `b.bench.test`\n  \
         caused by: the answer of the CA did not come within 4 s\n",
    );
}

#[test]
fn a_proof_that_fails_late_is_told_with_what_we_saw() {
    let mut faulty = Faulty::start(&["a", "b"]);
    faulty.survives("a", &[]);
    faulty.ordered += 1;
    let command = faulty.renew("b");
    faulty.fails(
        "b",
        &command,
        &[
            // Another token than Pebble's: it looks for another value than the one that is written.
            always(json!({"match": "POST /authZ/", "sub": [r#""token": "...."#, r#""token": "AAAA"#]})),
            json!({
                "match": "POST /my-order/",
                "times": 5,
                "sub": [r#""status": "invalid""#, r#""status": "pending""#],
            }),
        ],
        "error: cannot issue `b`\n  \
         caused by: the CA did not accept the proof for `b.bench.test`: \
         Correct value not found for DNS challenge (unauthorized)\n\
         hint: before the CA looked, ns1.bench.test showed `_acme-challenge.b.bench.test TXT \"[VALUE]\"` at [CLOCK]; \
         it asks through resolvers of its own, from several places, and validates DNSSEC\n",
    );
}

#[test]
fn an_order_whose_challenges_are_never_seen_is_given_up() {
    let lab = Lab::builder().bind().faults().start();
    let mut faulty = Faulty::start_in(lab, "files.test", &["a", "b"]);
    faulty.survives("a", &[]);
    faulty.ordered += 1;
    let command = faulty
        .renew("b")
        .args(["--dns-timeout", "5"])
        // BIND is not told that the zone's file has changed.
        .env("LAB_RELOAD_COMMAND", "true");
    faulty.fails(
        "b",
        &command,
        &[],
        "error: cannot issue `b`\n  \
         caused by: `_acme-challenge.b.files.test` is not on every name server: \
         ns1.files.test (192.0.2.2) does not know the name (NXDOMAIN)\n\
         hint: the zone was written with the SOA serial 4, and ns1.files.test (192.0.2.2) serves 3: \
         `_reload_command` of `creds.json` entry `zonefiles` ended well, but the name server has not read the file: \
         run it by hand, and see the server's log\n\
         hint: `[zones.\"files.test\"]` in `git-certs.toml` can give the zone more time (`dns-timeout`), \
         and name servers that the CA need not ask (`ignore-servers`)\n",
    );
}

#[test]
fn content_types_and_optional_entries_do_not_matter() {
    let mut faulty = Faulty::start(&["a", "b"]);
    let page = json!({"match": "", "headers": {"Content-Type": "text/html"}});
    faulty.survives("a", &[always(page)]);
    let minimal = json!({
        "match": "GET /dir",
        "status": 200,
        "body": json!({
            "newNonce": "https://faulty.test/nonce-plz",
            "newAccount": "https://faulty.test/sign-me-up",
            "newOrder": "https://faulty.test/order-plz",
        }).to_string(),
    });
    faulty.survives("b", &[minimal]);
}

#[test]
fn an_unknown_authority_is_refused_and_lego_s_roots_are_taken() {
    let mut faulty = Faulty::start(&["a"]);
    let strangers = faulty.renew("a").env("GIT_CERTS_CA_BUNDLE", "");
    let directory = "`https://faulty.test/dir`";
    faulty.cannot_run(
        &strangers,
        &[],
        &format!(
            "error: cannot register an account at {directory}\n  \
             caused by: error sending request\n  \
             caused by: invalid peer certificate: UnknownIssuer\n\
             hint: for a private CA, name the file with its root: `--ca-bundle FILE`\n"
        ),
    );
    let root = faulty.nightly.lab.ca();
    let other = faulty.nightly.lab.namespace().write(
        "other.pem",
        pebble::issuer_root(faulty.nightly.lab.namespace()),
    );
    let both = format!("{}:{}", other.display(), root.display());
    let command = strangers.env("LEGO_CA_CERTIFICATES", both);
    faulty.survives_in("a", &command, &[]);
}

#[test]
fn the_ca_is_asked_through_the_proxy_of_the_environment() {
    let mut faulty = Faulty::start(&["a"]);
    let proxy = format!("http://{NOBODY}:3128");
    let command = faulty.renew("a").env("HTTPS_PROXY", proxy);
    faulty.cannot_run(
        &command,
        &[],
        "error: cannot register an account at `https://faulty.test/dir`\n  \
         caused by: error sending request\n  \
         caused by: tunnel error: failed to create underlying connection\n  \
         caused by: tcp connect error\n  \
         caused by: Connection refused\n\
         hint: check that this machine reaches the CA: its name, a firewall, a proxy (`HTTPS_PROXY`)\n",
    );
    let command = command.env("NO_PROXY", "faulty.test");
    faulty.survives_in("a", &command, &[]);
}

#[test]
fn a_clock_that_is_wrong_loses_no_certificate() {
    let lab = Lab::builder().bind().powerdns().faults().start();
    let mut faulty = Faulty::start_in(lab, "pdns.test", &["a", "b"]);
    let lab = &faulty.nightly.lab;
    let source = lab
        .namespace()
        .write("clock.c", include_str!("support/clock.c"));
    let library = lab.folder().join("clock.so");
    lab.command("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .succeed();
    for (name, seconds, said) in [
        ("a", "-7200", "is 2h behind"),
        ("b", "7200", "is 2h ahead of"),
    ] {
        let command = faulty
            .renew(name)
            .env("LD_PRELOAD", &library)
            .env("LAB_CLOCK", seconds);
        let output = faulty.survives_in(name, &command, &[]);
        let warning = format!("warning: the clock of this machine {said} the CA's\n");
        assert!(output.stderr.contains(&warning), "{}", output.stderr);
    }
}

#[test]
fn orders_come_in_waves_that_shrink_when_the_ca_has_no_time() {
    let names: Vec<_> = (10..45).map(|number| format!("n{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let faulty = Faulty::start(&names);
    let lab = &faulty.nightly.lab;
    lab.inject(&[limited("POST /order-plz", 1)]);
    faulty
        .nightly
        .command(&["renew", "--key-type", "p256"])
        .env("GIT_CERTS_ACME", DIRECTORY)
        .succeed();
    let mut waves = vec![0];
    for seen in lab.seen_by_proxy() {
        match seen.request.as_str() {
            "POST /order-plz" if seen.status == 201 => *waves.last_mut().unwrap() += 1,
            // The last request of a wave.
            request if request.starts_with("POST /certZ/") && waves.last() != Some(&0) => {
                waves.push(0);
            }
            _ => {}
        }
    }
    waves.pop();
    assert_eq!(waves, [20, 10, 5]);
    assert!(lab.challenges().is_empty());
    assert_eq!(
        pebble_log(lab).matches("Issued certificate serial").count(),
        names.len()
    );
}
