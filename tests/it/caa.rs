//! CAA: who may issue is looked up before anything is ordered, as the CA would.

use pretty_assertions::assert_eq;

use crate::support::bind;
use crate::support::command::Output;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, Wanted};
use crate::support::repos::Files;

/// A lab whose `bench.test` has these records too. The comparison with dnsconfig.js is off.
fn nightly(wanted: Wanted<'_>, records: &[&str]) -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), wanted);
    add(&nightly, records);
    nightly
}

fn add(nightly: &Nightly, records: &[&str]) {
    for record in records {
        let change = format!("add {record}");
        bind::update(nightly.lab.namespace(), "bench.test", &change).expect_code(0);
    }
}

fn renew(nightly: &Nightly, args: &[&str]) -> Output {
    nightly
        .command(&[&["renew", "--pending", "off", "--key-type", "p256"], args].concat())
        .run()
}

fn errors(output: &Output) -> String {
    let stderr = output.normal_stderr();
    let start = stderr.find("error: ").unwrap_or(stderr.len());
    stderr[start..].to_owned()
}

#[test]
fn what_caa_forbids_fails_alone() {
    let wanted: Wanted<'_> = &[
        ("free", &["free.bench.test"]),
        ("allowed", &["www.allowed.bench.test", "files.test"]),
        ("wild", &["*.wild.bench.test"]),
        ("tame", &["wild.bench.test"]),
        ("above", &["a.b.other.bench.test"]),
        ("alias", &["alias.bench.test"]),
        ("account", &["account.bench.test"]),
        ("method", &["free.bench.test", "method.bench.test"]),
        ("critical", &["critical.bench.test"]),
        ("silent", &["silent.bench.test"]),
    ];
    let records = [
        "allowed.bench.test 60 CAA 0 issue \"ca.test\"",
        "www.allowed.bench.test 60 A 192.0.2.1",
        "wild.bench.test 60 CAA 0 issue \"other.test\"",
        "wild.bench.test 60 CAA 0 issuewild \"ca.test; validationmethods=dns-01\"",
        "other.bench.test 60 CAA 0 issue \"other.test\"",
        "other.bench.test 60 CAA 0 iodef \"mailto:caa@other.test\"",
        "alias.bench.test 60 CNAME other.bench.test.",
        "account.bench.test 60 CAA 0 issue \"ca.test; accounturi=https://acme.test/my-account/none\"",
        "method.bench.test 60 CAA 0 issue \"ca.test; validationmethods=http-01\"",
        "critical.bench.test 60 CAA 128 tbs \"unknown\"",
        "silent.bench.test 60 CNAME host.down.bench.test.",
        "down.bench.test 60 NS ns.down.bench.test.",
        "ns.down.bench.test 60 A 192.0.2.66",
    ];
    let nightly = nightly(wanted, &records);
    let output = renew(&nightly, &["--caa-identity", "ca.test"]).expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "issued   free      free.bench.test: until [DATE], commit [COMMIT]\n\
         issued   allowed   files.test, www.allowed.bench.test: until [DATE], commit [COMMIT]\n\
         issued   wild      *.wild.bench.test: until [DATE], commit [COMMIT]\n\
         failed   tame      wild.bench.test\n\
         failed   above     a.b.other.bench.test\n\
         failed   alias     alias.bench.test\n\
         failed   account   account.bench.test\n\
         failed   method    free.bench.test, method.bench.test\n\
         failed   critical  critical.bench.test\n\
         failed   silent    silent.bench.test\n\n\
         3 issued, 7 failed, 0 up to date\n\
         pushed 3 commits to `main`\n"
    );
    // The resolver says SERVFAIL, or nothing in time.
    let errors = errors(&output);
    let (forbidden, unknown) =
        errors.split_at(errors.find("error: cannot issue `silent`").unwrap());
    assert!(
        unknown.starts_with(
            "error: cannot issue `silent`\n  \
             caused by: it is not known whether CAA lets the CA issue\n  \
             caused by: the CAA records of `silent.bench.test` cannot be looked up\n  \
             caused by: "
        ) && unknown.contains(
            "\nhint: a CA refuses as long as it gets no answer: let every name server of the zone answer questions for \
             CAA, if only with none; `dig CAA NAME @SERVER` shows what it says\n"
        ),
        "{unknown}"
    );
    assert_eq!(
        forbidden,
        r#"error: cannot issue `tame`
  caused by: CAA forbids the CA to issue for `wild.bench.test`
  caused by: CAA record `0 issue "other.test"` at `wild.bench.test` names other CAs than `ca.test`
hint: add `CAA("wild", "issue", "ca.test")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `above`
  caused by: CAA forbids the CA to issue for `a.b.other.bench.test`
  caused by: CAA record `0 issue "other.test"` at `other.bench.test` names other CAs than `ca.test`
hint: add `CAA("other", "issue", "ca.test")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `alias`
  caused by: CAA forbids the CA to issue for `alias.bench.test`
  caused by: CAA record `0 issue "other.test"` at `other.bench.test` names other CAs than `ca.test`
hint: add `CAA("other", "issue", "ca.test")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `account`
  caused by: CAA forbids the CA to issue for `account.bench.test`
  caused by: CAA record `0 issue "ca.test; accounturi=https://acme.test/my-account/[ID]"` at `account.bench.test` is for another account than ours, `https://acme.test/my-account/[ID]`
hint: add `CAA("account", "issue", "ca.test; accounturi=https://acme.test/my-account/[ID]")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `method`
  caused by: CAA forbids the CA to issue for `method.bench.test`
  caused by: CAA record `0 issue "ca.test; validationmethods=http-01"` at `method.bench.test` does not name `dns-01`
hint: add `CAA("method", "issue", "ca.test; validationmethods=dns-01")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `critical`
  caused by: CAA forbids the CA to issue for `critical.bench.test`
  caused by: CAA record `128 tbs "unknown"` at `critical.bench.test` is critical, but of a kind that CAs do not know
hint: take that record of `critical.bench.test` out, or make it not critical
"#
    );
    let orders = nightly.requests();
    let orders = orders
        .iter()
        .filter(|request| *request == "POST /order-plz");
    assert_eq!(orders.count(), 3);
    assert!(nightly.lab.challenges().is_empty());
}

#[test]
fn our_own_account_is_allowed() {
    let nightly = nightly(
        &[("www", &["www.bench.test"]), ("own", &["own.bench.test"])],
        &[],
    );
    let issue = |name| renew(&nightly, &["--only", name]);
    issue("www").expect_code(0);
    let account = ".letsencrypt/acme.test/account.json";
    let account = nightly.certs.show(&nightly.lab, account);
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let url = account["registration"]["uri"].as_str().unwrap();
    add(
        &nightly,
        &[&format!(
            "own.bench.test 60 CAA 0 issue \"pebble.letsencrypt.org; accounturi={url}\""
        )],
    );
    issue("own").expect_code(0);
    nightly.assert_valid("own");
}

#[test]
fn who_the_ca_is_its_directory_says_or_a_setting() {
    let nightly = nightly(
        &[("www", &["www.bench.test"]), ("two", &["two.bench.test"])],
        &["bench.test 60 CAA 0 issue \"pebble.letsencrypt.org\""],
    );
    let output = renew(&nightly, &["-v"]).expect_code(0);
    let told = r#"CAA allows name=www.bench.test record=0 issue "pebble.letsencrypt.org""#;
    assert_eq!(output.stderr.matches(told).count(), 1, "{}", output.stderr);
    Files::default()
        .with("git-certs.toml", "caa-identity = [\"ca.test\"]\n")
        .commit(&nightly.lab, &nightly.certs, "a setting");
    let output = renew(&nightly, &["--renew", "1000"]).expect_code(1);
    assert_eq!(
        errors(&output),
        r#"error: cannot issue `www`
  caused by: CAA forbids the CA to issue for `www.bench.test`
  caused by: CAA record `0 issue "pebble.letsencrypt.org"` at `bench.test` names other CAs than `ca.test`
hint: add `CAA("@", "issue", "ca.test")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
error: cannot issue `two`
  caused by: CAA forbids the CA to issue for `two.bench.test`
  caused by: CAA record `0 issue "pebble.letsencrypt.org"` at `bench.test` names other CAs than `ca.test`
hint: add `CAA("@", "issue", "ca.test")` to `D("bench.test", ...)` in dnsconfig.js, and push it: resolvers keep the old records for their TTL
"#
    );
}
