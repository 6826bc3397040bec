//! Settings that make no sense, from the command line, the environment and git-certs.toml.
#![expect(clippy::too_many_lines, reason = "tables of cases")]

use pretty_assertions::assert_eq;

use crate::support::folders::{Folders, Said};

#[test]
fn options_without_meaning() {
    for (words, stderr) in [
        (
            "--variable a",
            r"error: `--variable a` has no value
hint: write `--variable KEY=VALUE`
",
        ),
        (
            "--variable =a",
            r"error: `--variable =a` has no name
hint: write `--variable KEY=VALUE`
",
        ),
        (
            "--resolver nonsense",
            r"error: `--resolver nonsense` is no IP address
hint: an address looks like `192.0.2.53` or `192.0.2.53:53`
",
        ),
        (
            "--resolver 192.0.2.53,dns.a.test",
            r"error: `--resolver dns.a.test` is no IP address
hint: an address looks like `192.0.2.53` or `192.0.2.53:53`
",
        ),
        (
            "--never-count *",
            r"error: `*` of `--never-count` is no pattern
  caused by: it covers every record of every zone
hint: it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`
",
        ),
        (
            "--never-count=a.test,TXTT",
            r"error: `a.test,TXTT` of `--never-count` is no pattern
  caused by: `a.test,TXTT` is several names: each needs a pattern of its own
hint: it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`
",
        ),
        (
            "--never-count a.test --never-count=[a.test",
            r"error: `[a.test` of `--never-count` is no pattern
  caused by: error parsing glob '[a.test': unclosed character class; missing ']'
hint: it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`
",
        ),
        (
            "--pending later",
            r"error: invalid value 'later' for '--pending <MODE>': one of abort, warn, off is needed

For more information, try '--help'.
",
        ),
        (
            "--limits none",
            r"error: invalid value 'none' for '--limits <WHOSE>': one of letsencrypt, letsencrypt-staging, off is needed

For more information, try '--help'.
",
        ),
        (
            "--doh http://a.test,https://b.test",
            r"error: `--doh` names a resolver that cannot be used
  caused by: `http://a.test` is not an https:// URL
hint: a resolver looks like `https://dns.google/dns-query`; `off` does without
",
        ),
        (
            "--doh dns.google",
            r"error: `--doh` names a resolver that cannot be used
  caused by: `dns.google` is no URL
  caused by: relative URL without a base
hint: a resolver looks like `https://dns.google/dns-query`; `off` does without
",
        ),
        (
            "--doh https://a.test/dns-query,https://a.test/other",
            r"error: `--doh` names one resolver alone
hint: name at least two, on different hosts: what one says may be wrong
",
        ),
        (
            "--dir missing",
            r"error: `missing` is not a folder
hint: `--dir` names the folder of the cert repository; `--repo` clones one
",
        ),
        (
            "--only api",
            r"error: `certs.json` has no certificate `api`
hint: it has `www`
",
        ),
        (
            "--only a/b",
            r"error: `--only` names no certificate
  caused by: `a/b` is not a certificate name
hint: it takes a `cert_name` of certs.json
",
        ),
        (
            "--only=..",
            r"error: `--only` names no certificate
  caused by: `..` is not a certificate name
hint: it takes a `cert_name` of certs.json
",
        ),
        (
            "--vault",
            r"error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set
hint: set it to `https://HOST:8200`
",
        ),
        (
            "--vault -vaultPath /secret/certs",
            r"error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set
hint: set it to `https://HOST:8200`
",
        ),
        (
            "--acme http://ca.test/directory",
            r"error: `http://ca.test/directory` is not an https:// URL
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
        ),
        (
            "--acme nonsense",
            r"error: `nonsense` is neither the name of a CA nor the URL of an ACME directory
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
        ),
        (
            "--ca-bundle missing.pem",
            r"error: cannot read `missing.pem` of `--ca-bundle`
  caused by: No such file or directory
hint: a relative path starts at the current folder
",
        ),
        (
            "--ca-bundle certs.json",
            r"error: cannot use `certs.json`
  caused by: it holds no certificate
hint: `--ca-bundle` takes certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`
",
        ),
        (
            "--cert-config missing.json",
            r"error: cannot read `missing.json` of `--cert-config`
  caused by: No such file or directory
hint: a relative path starts at the current folder
",
        ),
        (
            "--skip ddns,powerdsn",
            r"error: `--skip powerdsn` is no DNS provider of the DNS repository
hint: declared: `ddns`
",
        ),
        (
            "--recipients missing.txt",
            r"error: cannot read `missing.txt` of `--recipients`
  caused by: No such file or directory
hint: a relative path starts at the current folder
",
        ),
        (
            "--ir missing.json",
            r"error: cannot read `missing.json`
  caused by: No such file or directory
",
        ),
    ] {
        Folders::new().plan_is_refused(words, stderr);
    }
}

#[test]
fn variables_without_meaning() {
    for (name, value, stderr) in [
        (
            "GIT_CERTS_RENEW",
            "soon",
            r"error: invalid value 'soon' for '--renew <DAYS>': a whole number is needed

For more information, try '--help'.
",
        ),
        (
            "GIT_CERTS_VERBOSE",
            "maybe",
            r"error: invalid value 'maybe' for '--verbose[=<VERBOSE>]': value was not a boolean

For more information, try '--help'.
",
        ),
        (
            "LEGO_CA_CERTIFICATES",
            "missing.pem:",
            r"error: cannot read `missing.pem` of `LEGO_CA_CERTIFICATES`
  caused by: No such file or directory
hint: a relative path starts at the current folder
",
        ),
        (
            "LEGO_CA_CERTIFICATES",
            "certs.json",
            r"error: cannot use `certs.json`
  caused by: it holds no certificate
hint: `LEGO_CA_CERTIFICATES` takes certificates in PEM, which begin with `-----BEGIN CERTIFICATE-----`
",
        ),
        (
            "GIT_CERTS_VAULT",
            "true",
            r"error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set
hint: set it to `https://HOST:8200`
",
        ),
        (
            "GIT_CERTS_ACME",
            "nonsense",
            r"error: `nonsense` is neither the name of a CA nor the URL of an ACME directory
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
        ),
    ] {
        let folders = Folders::new().variable(name, value);
        folders.plan_is_refused("", stderr);
    }
}

#[test]
fn a_settings_file_that_cannot_be_read() {
    for (text, stderr) in [
        (
            r#"repo = "x"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 1: unknown field `repo`, expected one of `acme`, `fallback-acme`, `agree-tos`, `email`, `eab-kid`, `preferred-profile`, `required-profile`, `preferred-chain`, `ca-bundle`, `caa-identity`, `limits`, `acme-timeout`, `renew`, `key-type`, `cert-config`, `dns-repo`, `dns-branch`, `config`, `creds`, `ir`, `variable`, `js-timeout`, `js-memory`, `js-stack`, `allow-fetch`, `skip`, `pending`, `never-count`, `challenge-zones`, `resolver`, `dns-timeout`, `dns-confirmations`, `doh`, `doh-settle`, `identity`, `recipients`, `notify`, `vault`, `vault-copy`, `vault-path`, `vault-role`, `vault-auth-mount`, `vault-audience`, `journal`, `lock-timeout`, `rescue-dir`, `zones`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"renew = "soon"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 9: expected a whole number, found a string
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r"renew = 
",
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 9: string values must be quoted, expected literal string
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        // The line is not shown: it may hold a password.
        (
            r#"dns-repo = "https://user:hunter2@git.test/dns" or
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 48: unexpected key or value, expected newline, `#`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r"js-timeout = 0
",
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 14: expected a whole number above 0, found `0`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"[acme]
url = "x"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 1: expected a string, found a table
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"acme = "live"
acme = "staging"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 2, column 1: duplicate key
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"key-type = "p521"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 12: unknown value `p521`, expected one of `rsa2048`, `rsa3072`, `rsa4096`, `p256`, `p384`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"limits = "none"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 10: unknown value `none`, expected one of `letsencrypt`, `letsencrypt-staging`, `off`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"pending = "later"
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 11: unknown value `later`, expected one of `abort`, `warn`, `off`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"never-count = ["date.a.test TXT CNAME"]
"#,
            r"error: `date.a.test TXT CNAME` of `--never-count` is no pattern
  caused by: `CNAME` is too much: types are separated by commas
hint: it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`
",
        ),
        (
            r#"never-count = ["date.a.test TXTT"]
"#,
            r"error: `date.a.test TXTT` of `--never-count` is no pattern
  caused by: `TXTT` is no record type
hint: it takes a name and types: `date.example.com`, `*.example.com`, `*._report.example.com TXT,CNAME`
hint: types: A, AAAA, ADGUARDHOME_AAAA_PASSTHROUGH, ADGUARDHOME_A_PASSTHROUGH, AFSDB, AKAMAICDN, AKAMAITLC, ALIAS, AZURE_ALIAS, BUNNY_DNS_PZ, BUNNY_DNS_RDR, CAA, CDNSKEY, CDS, CERT, CF_REDIRECT, CF_TEMP_REDIRECT, CF_WORKER_ROUTE, CLOUDFLAREAPI_SINGLE_REDIRECT, CLOUDNS_WR, CNAME, DHCID, DNAME, DNSKEY, DS, FRAME, HINFO, HTTPS, IMPORT_TRANSFORM, KX, LOC, LUA, MIKROTIK_FORWARDER, MIKROTIK_FWD, MIKROTIK_NXDOMAIN, MINFO, MX, NAPTR, NETLIFY, NETLIFYV6, NS, NSEC, NSEC3, NSEC3PARAM, OPENPGPKEY, PORKBUN_URLFWD, PTR, R53_ALIAS, RP, RRSIG, RT, SMIMEA, SOA, SPF, SRV, SSHFP, SVCB, TLSA, TXT, URI, URL, URL301
",
        ),
        (
            r#"challenge-zones = { "acme.test" = 1 }
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 1, column 35: an entry of creds.json or a list of them is needed
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"[challenge-zones]
"acme.test" = []
"#,
            r"error: `acme.test` in `challenge-zones` has no entry
hint: name the entry of creds.json whose provider serves the zone
",
        ),
        (
            r#"[challenge-zones]
"acme..test" = "ddns"
"#,
            r"error: `acme..test` in `challenge-zones` names no zone
  caused by: `acme..test` has a label that is empty or longer than 63 characters
",
        ),
        (
            r#"[challenge-zones]
"acme.test" = "ddns"
"ACME.test!inside" = ["ddns", "powerdns"]
"#,
            r"error: `acme.test` is in `challenge-zones` twice
hint: give all its entries in one list
",
        ),
        (
            r#"[challenge-zones]
"a.test" = "ddns"
"#,
            r"error: `a.test` in `challenge-zones` is a zone of dnsconfig.js
hint: take it out of `challenge-zones`: dnsconfig.js says where it is
",
        ),
        (
            r"vault = true
",
            r"error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set
hint: set it to `https://HOST:8200`
",
        ),
        (
            r#"[zones."a.test"]
ignore = ["ns1.a.test"]
"#,
            r"error: cannot read `git-certs.toml`
  caused by: line 2, column 1: unknown field `ignore`, expected one of `ignore-servers`, `extra-servers`, `dns-timeout`, `dns-confirmations`
hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
",
        ),
        (
            r#"[zones."b.test"]
dns-timeout = 600
"#,
            r#"error: `[zones."b.test"]` in `git-certs.toml` is no zone of the DNS repository, nor of `challenge-zones`
hint: declared: `a.test`
"#,
        ),
        (
            r#"[zones."a..test"]
dns-timeout = 600
"#,
            r#"error: `[zones."a..test"]` in `git-certs.toml` cannot be used
  caused by: `a..test` has a label that is empty or longer than 63 characters
"#,
        ),
        (
            r#"[zones."a.test"]
extra-servers = ["192.0.2.53", "https://ns1"]
"#,
            r#"error: `[zones."a.test"]` in `git-certs.toml` cannot be used
  caused by: `https://ns1` in `extra-servers` is neither the name of a host nor an IP address
hint: a name server looks like `ns1.example.com`, `192.0.2.1` or `2001:db8::1`
"#,
        ),
        (
            r#"acme = "nonsense"
"#,
            r"error: `nonsense` is neither the name of a CA nor the URL of an ACME directory
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
        ),
    ] {
        let folders = Folders::new().with("certs/git-certs.toml", text);
        folders.plan_is_refused("", stderr);
    }
}

#[test]
fn an_empty_variable_is_not_given() {
    let settings = [
        "ACME",
        "ACME_TIMEOUT",
        "AGE_KEY",
        "AGE_KEY_FILE",
        "AGREE_TOS",
        "BRANCH",
        "CA_BUNDLE",
        "CERT_CONFIG",
        "CONFIG",
        "CREDS",
        "DIR",
        "DNS_BRANCH",
        "DNS_CONFIRMATIONS",
        "DNS_REPO",
        "DNS_TIMEOUT",
        "DNS_TOKEN",
        "DOH",
        "DOH_SETTLE",
        "DRY_RUN",
        "EMAIL",
        "FORMAT",
        "IR",
        "JS_MEMORY",
        "JS_TIMEOUT",
        "KEY_TYPE",
        "NEVER_COUNT",
        "NOTIFY",
        "NO_PUSH",
        "ONLY",
        "PENDING",
        "RECIPIENTS",
        "RENEW",
        "REPO",
        "RESOLVER",
        "SKIP",
        "TOKEN",
        "VARIABLE",
        "VAULT",
        "VAULT_AUDIENCE",
        "VAULT_AUTH_MOUNT",
        "VAULT_COPY",
        "VAULT_PATH",
        "VAULT_ROLE",
        "VERBOSE",
    ];
    let folders = settings.iter().fold(Folders::new(), |folders, setting| {
        folders.variable(&format!("GIT_CERTS_{setting}"), "")
    });
    let plan = "issue    www  www.a.test: not in the repository\n\n1 due, 0 up to date\n";
    let said = folders.run("plan --no-dns --dns-repo ../dns");
    assert_eq!(said, Said::done(plan));
}
