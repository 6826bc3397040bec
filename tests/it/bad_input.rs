//! Bad input that needs no server: what failed, why, what to do about it, and nothing is written.
#![expect(clippy::too_many_lines, reason = "tables of cases")]

use std::os::unix::fs::symlink;

use pretty_assertions::assert_eq;

use crate::support::folders::{Folders, Said};

#[test]
fn a_certs_json_that_is_none() {
    for (text, stderr) in [
        (
            "nonsense",
            r"error: `certs.json` is not JSON
  caused by: expected ident at line 1 column 2
hint: comments and trailing commas are not allowed in this file
",
        ),
        (
            "",
            r#"error: `certs.json` is empty
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            "[]",
            r#"error: `certs.json` lists no certificate
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#"{"cert_name": "www"}"#,
            r#"error: `certs.json` is not a list
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#"["www.a.test"]"#,
            r#"error: cannot use entry 1 of `certs.json`
  caused by: it is not an object
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#"[{"names": ["www.a.test"]}]"#,
            r#"error: cannot use entry 1 of `certs.json`
  caused by: it has no `cert_name`
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#"[{"cert_name": "www", "names": ["a.test"]}, {"cert_name": "www", "names": ["b.a.test"]}]"#,
            r"error: cannot use entry 2 of `certs.json`
  caused by: entry 1 has the name `www` already
hint: each certificate needs a `cert_name` of its own
",
        ),
        (
            r#"[{"cert_name": "..", "names": ["a.test"]}]"#,
            r"error: cannot use entry 1 of `certs.json`
  caused by: `..` is not a certificate name
hint: a name is a letter, then letters, digits, `-` and `_`: it becomes a folder
",
        ),
        (
            r#"[{"cert_name": "../www", "names": ["a.test"]}]"#,
            r"error: cannot use entry 1 of `certs.json`
  caused by: `../www` is not a certificate name
hint: a name is a letter, then letters, digits, `-` and `_`: it becomes a folder
",
        ),
        (
            r#"[{"cert_name": "a/b", "names": ["a.test"]}]"#,
            r"error: cannot use entry 1 of `certs.json`
  caused by: `a/b` is not a certificate name
hint: a name is a letter, then letters, digits, `-` and `_`: it becomes a folder
",
        ),
        (
            r#"[{"cert_name": "www", "names": ["a.test"], "key_type": "p521"}]"#,
            r"error: cannot use certificate `www` of `certs.json`
  caused by: `key_type` `p521` is not known
hint: use one of rsa2048, rsa3072, rsa4096, p256, p384
",
        ),
    ] {
        let folders = Folders::new().with("certs/certs.json", text);
        folders.plan_is_refused("", stderr);
    }
    Folders::new().without("certs/certs.json").plan_is_refused(
        "",
        r#"error: there is no `certs.json` in the cert repository
hint: it lists the certificates: [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
    );
}

#[test]
fn names_that_no_certificate_can_have() {
    for (names, stderr) in [
        (
            "[]",
            r#"error: cannot use certificate `www` of `certs.json`
  caused by: it has no `names`
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#""a.test""#,
            r#"error: cannot use certificate `www` of `certs.json`
  caused by: `names` is not a list
hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
"#,
        ),
        (
            r#"["192.0.2.1"]"#,
            r"error: cannot use certificate `www` of `certs.json`
  caused by: `192.0.2.1` is an IP address; DNS-01 cannot prove addresses
hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`
",
        ),
        (
            r#"["2001:db8::1"]"#,
            r"error: cannot use certificate `www` of `certs.json`
  caused by: `2001:db8::1` is an IP address; DNS-01 cannot prove addresses
hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`
",
        ),
        (
            r#"["my_host.a.test"]"#,
            r"error: cannot use certificate `www` of `certs.json`
  caused by: `my_host.a.test` is not a DNS name
hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`
",
        ),
        (
            r#"["*.*.a.test"]"#,
            r"error: cannot use certificate `www` of `certs.json`
  caused by: `*.*.a.test` has a wildcard that is not its whole first label
hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`
",
        ),
    ] {
        with_names(names).plan_is_refused("", stderr);
    }
    let many: Vec<_> = (0..101).map(|n| format!("n{n}.a.test")).collect();
    with_names(&serde_json::to_string(&many).unwrap()).plan_is_refused(
        "",
        r"error: cannot use certificate `www` of `certs.json`
  caused by: it has 101 names; a certificate holds at most 100
hint: make two certificates of it
",
    );
}

fn with_names(names: &str) -> Folders {
    Folders::new().with(
        "certs/certs.json",
        &format!(r#"[{{"cert_name": "www", "names": {names}}}]"#),
    )
}

/// What is said of names in no zone.
fn astray(certificate: &str, names: &str) -> String {
    format!(
        "error: cannot issue `{certificate}`\n  \
         caused by: {names} in no zone of the DNS repository\n\
         hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, \
         or take the name out of the list; declared: `a.test`\n"
    )
}

#[test]
fn every_name_in_no_zone_is_told_and_the_plan_is_whole() {
    let list = r#"[{"cert_name": "good", "names": ["a.test"]},
        {"cert_name": "bad", "names": ["b.test", "www.a.test", "c.test"]}, {"cert_name": "worse", "names": ["c.test"]}]"#;
    let folders = Folders::new().with("certs/certs.json", list);
    let said = Said {
        code: Some(1),
        stdout: "issue    good   a.test: not in the repository\n\
                 issue    bad    b.test, www.a.test, c.test: not in the repository\n\
                 issue    worse  c.test: not in the repository\n\n\
                 3 due (2 would fail), 0 up to date\n"
            .to_owned(),
        stderr: astray("bad", "`b.test`, `c.test` are") + &astray("worse", "`c.test` is"),
    };
    for more in ["", " --detailed-exitcode"] {
        assert_eq!(
            folders.run(&format!("plan --no-dns --dns-repo ../dns{more}")),
            said
        );
    }
}

#[test]
fn a_name_in_no_zone_of_another_certificate_does_not_count_with_only() {
    let list = r#"[{"cert_name": "good", "names": ["a.test"]}, {"cert_name": "bad", "names": ["b.test"]}]"#;
    let folders = Folders::new().with("certs/certs.json", list);
    let plan = "plan --no-dns --dns-repo ../dns --only";
    assert_eq!(
        folders.run(&format!("{plan} good")),
        Said::done("issue    good  a.test: not in the repository\n\n1 due, 0 up to date\n")
    );
    assert_eq!(folders.run(&format!("{plan} bad")).code, Some(1));
}

#[test]
fn a_dnsconfig_js_that_fails() {
    for (script, stderr) in [
        (
            r"
throw new Error('boom');",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:2:11`: boom
",
        ),
        (
            r"

D('a.test', ",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:3:13`: SyntaxError: unexpected token in expression: ''
",
        ),
        (
            "for (;;) {}",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:1:1`: still running after 1s
hint: look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`
",
        ),
        (
            r"function again() {
  return again() + 1;
}
again();",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:2:10`: calls or brackets nest too deeply for a stack of 8 MiB
hint: look for a function that calls itself without an end; a configuration that nests this deeply needs a higher `--js-stack`
",
        ),
        (
            "/^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!');",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:1:10`: still running after 1s
hint: look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`
",
        ),
        (
            "require('./missing.js');",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:1:1`: no file `./missing.js` in the DNS repository
",
        ),
        (
            "require('../outside.js');",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:1:1`: `../outside.js` is outside the DNS repository
",
        ),
        (
            "require('./link.js');",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:1:1`: `./link.js` is outside the DNS repository
",
        ),
        (
            "D('a.test', NewRegistrar('none'), DnsProvider('other'));",
            r#"error: cannot use `dnsconfig.js`
  caused by: `dnsconfig.js:1:34`: `a.test` uses the DNS provider `other`, which is not declared
hint: declare it with `NewDnsProvider("other")`, before the domain
"#,
        ),
        (
            r"D('a.test', NewRegistrar('none'));
D('a.test', NewRegistrar('none'));",
            r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:2:13`: `a.test` is declared more than once
",
        ),
    ] {
        let folders = Folders::new()
            .with("dns/dnsconfig.js", script)
            .with("outside.js", "");
        symlink("../outside.js", folders.path("dns/link.js")).unwrap();
        let is_endless = stderr.contains("still running after 1s");
        let limit = if is_endless { "--js-timeout 1" } else { "" };
        folders.plan_is_refused(limit, stderr);
    }
}

#[test]
fn a_dnsconfig_js_that_eats_memory() {
    let folders = Folders::new().with(
        "dns/dnsconfig.js",
        "var all = [];\nfor (;;) all.push(new Array(99999).join('x' + all.length));",
    );
    folders.plan_is_refused(
        "--js-memory 64",
        r"error: cannot evaluate `dnsconfig.js`
  caused by: `dnsconfig.js:2:47`: needs more than 64 MiB of memory
hint: look for a loop without an end; a configuration that is this large needs a higher `--js-memory`
",
    );
}

#[test]
fn a_dnsconfig_js_that_is_missing() {
    Folders::new().without("dns/dnsconfig.js").plan_is_refused(
        "",
        r"error: no `dnsconfig.js` in the DNS repository
  caused by: No such file or directory
hint: go to the DNS repository, or name it with `--dns-repo` where a command has that; `--config` names the file in it
",
    );
    Folders::new().plan_is_refused(
        "--config other.js",
        r"error: no `other.js` in the DNS repository
  caused by: No such file or directory
hint: go to the DNS repository, or name it with `--dns-repo` where a command has that; `--config` names the file in it
",
    );
}

#[test]
fn a_stored_certificate_that_cannot_be_read_is_made_again() {
    for (text, reason) in [
        ("", "no certificate in PEM form"),
        ("nonsense\n", "no certificate in PEM form"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot parse a certificate: Parsing Error: Der(UnexpectedTag { expected: Some(Tag(16)), actual: Tag(0) })",
        ),
    ] {
        let folders = Folders::new().with("certs/certificates/www/www.crt", text);
        let stdout = format!(
            "reissue  www  www.a.test: `certificates/www/www.crt` cannot be read: {reason}\n\n\
             1 due, 0 up to date\n"
        );
        let said = folders.run("plan --no-dns --dns-repo ../dns");
        assert_eq!(said, Said::done(&stdout));
    }
}
