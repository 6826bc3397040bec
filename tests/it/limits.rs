//! Rate limits that orders are kept within, names that no CA certifies, and the drill.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::{Files, Transport};
use crate::support::zones::zone;

fn lab() -> Lab {
    Lab::builder().bind().pebble().start()
}

#[test]
fn what_does_not_fit_is_put_off() {
    let names: Vec<_> = (0..52).map(|n| format!("n{n:02}.bench.test")).collect();
    let list: Vec<_> = names
        .iter()
        .map(|name| json!({"cert_name": &name[..3], "names": [name]}))
        .collect();
    let nightly = Nightly::with(lab(), &[], |files, _| {
        files.with("certs.json", &Value::from(list).to_string())
    });
    let renew = |args: &[&str]| {
        let words = ["renew", "--key-type", "p256"];
        nightly
            .command(&[&words, args].concat())
            .env("GIT_CERTS_LIMITS", "letsencrypt")
            .run()
            .expect_code(0)
    };
    let limit = "the 50 new certificates in 7 days for `bench.test` are used up";
    let first = renew(&[]);
    assert!(
        first.normal_stdout().ends_with(&format!(
            "put off  n50  n50.bench.test: until [DATE], {limit}\n\
             put off  n51  n51.bench.test: until [DATE], {limit}\n\n\
             50 issued, 0 failed, 2 put off, 0 up to date\n\
             pushed 50 commits to `main`\n"
        )),
        "{}",
        first.stdout
    );
    let told = format!("put off until [DATE]: `n51`, {limit}\n");
    assert!(first.normal_stderr().contains(&told), "{}", first.stderr);

    // The clone has one commit only: what the certificates themselves say is remembered.
    let plan = nightly
        .command(&["plan", "--limits", "letsencrypt"])
        .run()
        .expect_code(0);
    assert!(plan.normal_stderr().contains(&told), "{}", plan.stderr);
    let second = renew(&["--format", "json"]);
    let data: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!((&data["issued"], &data["put_off"]), (&json!(0), &json!(2)));
    let waiting = &data["certificates"][0];
    assert_eq!(
        (&waiting["cert_name"], &waiting["result"], &waiting["limit"]),
        (&json!("n50"), &json!("put off"), &json!(limit))
    );
    let second = renew(&[]);
    assert!(
        second
            .normal_stdout()
            .ends_with("\n0 issued, 0 failed, 2 put off, 50 up to date\n"),
        "{}",
        second.stdout
    );
    // Renewals do not count, and without limits nothing waits.
    let off = renew(&["--limits", "off", "--only", "n51"]);
    assert!(
        off.stdout.contains("1 issued, 0 failed, 0 up to date"),
        "{}",
        off.stdout
    );
    let again = renew(&["--renew", "1000", "--only", "n00"]);
    assert!(
        again.stdout.contains("1 issued, 0 failed"),
        "{}",
        again.stdout
    );
}

#[test]
fn names_that_no_ca_certifies_fail_alone_and_those_that_overlap_are_told() {
    let lab = lab();
    let identity = lab.age_identity("identity");
    let wanted: [(&str, &[&str]); 3] = [
        ("suffix", &["www.bench.test", "co.uk"]),
        ("overlap", &["a.r.bench.test", "*.r.bench.test"]),
        ("wild", &["*.co.uk"]),
    ];
    let certs = Files::certificates(&wanted, &[&identity.recipient]).publish(&lab, "certs");
    let zones = [
        zone("bench.test").declaration(),
        "D(\"co.uk\", REG_NONE, DnsProvider(ddns, 0));\n".to_owned(),
    ];
    let dns = Files::dns_of(&zones.join("\n")).publish(&lab, "dns");
    let nightly = Nightly {
        lab,
        certs,
        dns,
        identity,
    };
    let warnings = [
        "warning: certificate `overlap`: `a.r.bench.test` is covered by `*.r.bench.test`, and Let's Encrypt refuses an order for both: take one of them out of the list",
        "warning: certificate `suffix`: `co.uk` is a public suffix, under which anybody can register domains: no CA issues it",
        "warning: certificate `wild`: `*.co.uk` is a wildcard directly below `co.uk`, a public suffix: no CA issues it",
    ];
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    let mut told: Vec<_> = plan.stderr.lines().collect();
    told.retain(|line| line.starts_with("warning: certificate "));
    told.sort_unstable();
    assert_eq!(told, warnings);
    assert!(
        plan.stdout
            .ends_with("\n3 due (2 would fail), 0 up to date\n"),
        "{}",
        plan.stdout
    );
    let output = nightly.renew().expect_code(1);
    assert_eq!(
        output.normal_stdout(),
        "failed   suffix   www.bench.test, co.uk\n\
         failed   wild     *.co.uk\n\
         issued   overlap  *.r.bench.test, a.r.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 2 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    assert!(
        output.stderr.ends_with(
            "error: cannot issue `suffix`\n  \
             caused by: `co.uk` is a public suffix, under which anybody can register domains: no CA issues it\n\
             hint: correct the name in certs.json: the list of suffixes is at https://publicsuffix.org\n\
             error: cannot issue `wild`\n  \
             caused by: `*.co.uk` is a wildcard directly below `co.uk`, a public suffix: no CA issues it\n\
             hint: correct the name in certs.json: the list of suffixes is at https://publicsuffix.org\n"
        ),
        "{}",
        output.stderr
    );
}

#[test]
fn a_drill_reckons_up_what_replacing_everything_would_cost() {
    let nightly = Nightly::new(
        lab(),
        &[
            (
                "one",
                &["one.bench.test", "*.one.bench.test", "two.bench.test"],
            ),
            ("files", &["files.test"]),
        ],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let folder = lab.folder().join("mine");
    let url = certs.url(Transport::Path);
    let home = lab.folder().join("home");
    let here = |args: &[&str]| {
        nightly
            .command(args)
            .env("GIT_CERTS_REPO", "")
            .env("GIT_CERTS_KEY_TYPE", "p256")
            .folder(&folder)
            .run()
            .expect_code(0)
    };
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    here(&["renew"]);
    let requests = nightly.requests();
    let drill = |args: &[&str]| here(&[&["plan", "--drill"], args].concat());
    assert_eq!(
        drill(&[]).stdout,
        "2 certificates to replace at once, 4 names to prove\n\n\
         limits\n  \
         not known for 2 orders\n\n\
         challenges\n  \
         bench.test at `ddns`: 3 values at 2 names\n  \
         files.test at `zonefiles`: 1 value at 1 name\n\n\
         requests\n  \
         acme.test: about 20 for 2 orders, it publishes no rates that are known here\n"
    );
    assert_eq!(nightly.requests(), requests);
    // The history of a checkout has what was issued before.
    for _ in 0..4 {
        here(&["renew", "--renew", "1000", "--only", "one"]);
    }
    let limited = drill(&["--limits", "letsencrypt"]);
    assert_eq!(
        limited.normal_stdout(),
        "2 certificates to replace at once, 4 names to prove\n\n\
         limits\n  \
         with ARI: none for 2 orders, as each order names what it replaces\n  \
         without: 1 of 2 fit, 1 would wait\n    \
         one: until [DATE], the 5 certificates in 7 days for exactly these names are used up\n\n\
         challenges\n  \
         bench.test at `ddns`: 3 values at 2 names\n  \
         files.test at `zonefiles`: 1 value at 1 name\n\n\
         requests\n  \
         acme.test: about 20 for 2 orders, at least 1 minute at its published rates, besides the wait for name servers\n"
    );
    let limited = drill(&["--limits", "letsencrypt", "--format", "json"]);
    let mut data: Value = serde_json::from_str(&limited.stdout).unwrap();
    assert!(data["without_ari"][0]["until"].take().is_string());
    assert_eq!(
        data,
        json!({
            "version": 1,
            "orders": 2,
            "values": 4,
            "without_ari": [{
                "cert_name": "one",
                "limit": "the 5 certificates in 7 days for exactly these names are used up",
                "until": null,
            }],
            "limits_unknown": 0,
            "zones": [
                {"zone": "bench.test", "providers": ["ddns"], "names": 2, "values": 3},
                {"zone": "files.test", "providers": ["zonefiles"], "names": 1, "values": 1},
            ],
            "astray": [],
            "authorities": [{"host": "acme.test", "orders": 2, "requests": 20, "minutes": 1}],
        })
    );
}
