//! Providers that git-certs does not speak to by itself, through `dnscontrol`.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::support::command::Output;
use crate::support::dnscontrol::Dnscontrol;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Nightly, values, wait_until};
use crate::support::powerdns;
use crate::support::repos::Files;
use crate::support::zones::zone;

/// As zone files have it.
const FOREIGN: &str = r#"the \"value\" of somebody else"#;

/// Two names at one challenge name, a zone at two providers, and one with a provider of ours.
const WANTED: &[(&str, &[&str])] = &[
    ("mail", &["pdns.test", "*.pdns.test", "mail.pdns.test"]),
    ("dual", &["www.example.test", "bench.test"]),
];

fn lab() -> Lab {
    Lab::builder().bind().powerdns().pebble().start()
}

fn nightly(files: &Files) -> Nightly {
    let nightly = Nightly::new(lab(), WANTED);
    files.commit(&nightly.lab, &nightly.dns, "providers of the test");
    nightly
}

/// The declaration of `pdns.test` with more modifiers, at a registrar that would change delegations.
fn with_modifiers(modifiers: &str) -> Files {
    let declaration = zone("pdns.test").declaration();
    let changed = declaration
        .replacen(", REG_NONE,", &format!(", REGISTRAR, {modifiers}"), 1)
        .replace('\n', "\n  ");
    assert_ne!(declaration, changed);
    let script = format!(
        "var REG_NONE = NewRegistrar(\"none\"), REGISTRAR = NewRegistrar(\"registrar\");\n\
         var ddns = NewDnsProvider(\"ddns\"), powerdns = NewDnsProvider(\"powerdns\");\n\
         {changed}\n{}\n{}",
        zone("example.test").declaration(),
        zone("bench.test").declaration()
    );
    Dnscontrol::files().with("dnsconfig.js", &script)
}

/// What PowerDNS has at challenge names.
fn challenges(lab: &Lab) -> Vec<(String, String)> {
    values(lab, Server::PowerDns).into_iter().collect()
}

fn foreign(name: &str) -> (String, String) {
    (format!("_acme-challenge.{name}"), FOREIGN.to_owned())
}

fn add_foreign(lab: &Lab, name: &str) {
    let name = format!("_acme-challenge.{name}");
    powerdns::set_txt(lab.namespace(), "pdns.test", &name, &[FOREIGN]).expect_code(0);
}

/// What the run said when it ended, without the steps before.
fn errors(output: &Output) -> String {
    let said = output.normal_stderr();
    said.find("error: ")
        .map_or(String::new(), |at| said[at..].to_owned())
}

#[test]
fn a_whole_run_goes_through_it() {
    let nightly = nightly(&with_modifiers(""));
    let lab = &nightly.lab;
    let dnscontrol = Dnscontrol::new(lab);
    add_foreign(lab, "pdns.test");
    add_foreign(lab, "old.pdns.test");
    let output = dnscontrol
        .with(nightly.command(&["renew"]))
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   mail  *.pdns.test, mail.pdns.test, pdns.test: until [DATE], commit [COMMIT]\n\
         issued   dual  bench.test, www.example.test: until [DATE], commit [COMMIT]\n\n\
         2 issued, 0 failed, 0 up to date\n\
         pushed 2 commits to `main`\n"
    );
    nightly.assert_valid("mail");
    nightly.assert_valid("dual");
    // All zones in one run, and the values that others have at challenge names stay.
    let both = "example.test,pdns.test";
    assert_eq!(
        dnscontrol.runs(),
        ["preview", "preview", "push", "preview", "push"].map(|verb| format!("{verb} {both}"))
    );
    assert_eq!(
        challenges(lab),
        [foreign("old.pdns.test"), foreign("pdns.test")]
    );
    assert!(!dnscontrol.has_delegated());
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn zones_that_keep_or_ignore_challenges_are_served_and_cleaned_all_the_same() {
    for modifiers in [
        "NO_PURGE,",
        "IGNORE(\"_acme-challenge\", \"TXT\"), IGNORE(\"_acme-challenge.**\", \"TXT\"), IGNORE(\"*\", \"SRV\"),",
        "NO_PURGE, IGNORE(\"_acme-challenge*\"), DISABLE_IGNORE_SAFETY_CHECK,",
    ] {
        let nightly = nightly(&with_modifiers(modifiers));
        let lab = &nightly.lab;
        let dnscontrol = Dnscontrol::new(lab);
        add_foreign(lab, "pdns.test");
        add_foreign(lab, "old.pdns.test");
        let command = nightly.command(&["renew", "--only", "mail"]);
        dnscontrol.with(command).run().expect_code(0);
        nightly.assert_valid("mail");
        assert_eq!(
            challenges(lab),
            [foreign("old.pdns.test"), foreign("pdns.test")],
            "{modifiers}"
        );
        assert!(!dnscontrol.has_delegated());
    }
}

#[test]
fn a_zone_with_pending_corrections_fails_alone() {
    let nightly = nightly(&with_modifiers("A(\"new\", \"192.0.2.80\"), "));
    let dnscontrol = Dnscontrol::new(&nightly.lab);
    let output = dnscontrol
        .with(nightly.command(&["renew"]))
        .run()
        .expect_code(1);
    assert_eq!(
        errors(&output),
        "error: cannot issue `mail`\n  \
           caused by: zone `pdns.test` has 1 pending correction at `powerdns`:\n    \
             + CREATE new.pdns.test A 192.0.2.80 ttl=300\n\
         hint: run `dnscontrol push`, or bring dnsconfig.js in line with the provider; `never-count` names records that may differ, and `--pending warn` goes on all the same\n"
    );
    nightly.assert_valid("dual");
    let pushed: Vec<_> = dnscontrol.runs().into_iter().skip(1).collect();
    assert_eq!(
        pushed,
        ["preview", "push", "preview", "push"].map(|verb| format!("{verb} example.test"))
    );
    assert_eq!(
        nightly.lab.ask(Server::PowerDns, "new.pdns.test", "A"),
        [""; 0]
    );
    assert_eq!(challenges(&nightly.lab), []);
}

#[test]
fn a_checkout_is_left_as_it_was() {
    let nightly = nightly(&with_modifiers(""));
    let lab = &nightly.lab;
    let dnscontrol = Dnscontrol::new(lab);
    let checkout = lab.folder().join("checkout-dns");
    let left = checkout.join(".git-certs-killed.dnscontrol");
    fs::write(&left, "").unwrap();
    let file = fs::File::open(&left).unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_hours(24);
    file.set_modified(yesterday).unwrap();

    // A signal comes while values are pushed.
    dnscontrol.close_gate();
    let here = |args: &[&str]| {
        let command = nightly.command(args);
        dnscontrol.with(command.env("GIT_CERTS_DNS_REPO", &checkout))
    };
    // The stand-in takes longer to start than the program that it stands for.
    let renew = here(&["renew", "--only", "mail"]).env("GIT_CERTS_TEST_HURRY", "60000");
    let run = renew.spawn();
    wait_until(lab, "a push", || dnscontrol.is_reached());
    assert_eq!(wrappers(&checkout), 1);
    run.signal("INT");
    dnscontrol.open_gate();
    run.wait().expect_code(1);
    assert_eq!(wrappers(&checkout), 0);
    assert_eq!(challenges(lab), []);
    assert_eq!(lab.left_over().len(), 0);
    let status = lab.git(&checkout, &["status", "--porcelain"]).stdout;
    assert_eq!(status, "");
}

fn wrappers(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".git-certs-")).count()
}

#[test]
fn a_wrong_password_is_not_repeated() {
    let nightly = nightly(&with_modifiers(""));
    let dnscontrol = Dnscontrol::new(&nightly.lab);
    let command = dnscontrol.with(nightly.command(&["renew", "--only", "mail"]));
    let output = command.env("LAB_HEDNS_PASSWORD", "wrong-password").run();
    assert_eq!(
        errors(&output.expect_code(2)),
        "error: cannot issue `mail`\n  \
           caused by: `dnscontrol` failed for zone `pdns.test` at `powerdns` (HEDNS)\n  \
           caused by: Domain \"pdns.test\" provider powerdns Error: login with password [password] refused\n"
    );
}

#[test]
fn without_the_program_or_with_ir_it_says_what_to_do() {
    let nightly = nightly(&with_modifiers(""));
    let output = nightly.command(&["renew", "--only", "mail"]).run();
    assert_eq!(
        errors(&output.expect_code(2)),
        "error: cannot issue `mail`\n  \
           caused by: `creds.json` entry `powerdns`: git-certs does not speak to DNS provider `HEDNS` by itself, \
           and there is no `dnscontrol` on PATH that could\n\
         hint: install DNSControl, through which every provider works; `git-certs providers` lists those \
           that need no help; skip it with `--skip powerdns` if another provider serves the zone\n"
    );
    let lab = &nightly.lab;
    let checkout = lab.folder().join("checkout-dns");
    let printed = lab.git_certs(["print-ir"]).folder(&checkout).succeed();
    fs::write(checkout.join("ir.json"), printed.stdout).unwrap();
    let dnscontrol = Dnscontrol::new(lab);
    let command = nightly
        .command(&["renew", "--only", "mail", "--ir", "ir.json"])
        .env("GIT_CERTS_DNS_REPO", checkout);
    assert_eq!(
        errors(&dnscontrol.with(command).run().expect_code(2)),
        "error: cannot issue `mail`\n  \
           caused by: `creds.json` entry `powerdns`: `HEDNS` needs the `dnscontrol` binary, which loses records \
           when it reads IR\n\
         hint: leave `--ir` out, or skip the entry with `--skip powerdns`\n"
    );
    assert_eq!(dnscontrol.runs(), [""; 0]);
}
