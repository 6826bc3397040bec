//! Where settings come from, and which of them wins.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, assert_valid};
use crate::support::repos::{Files, Transport};
use crate::support::{pebble, zones};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// A cert repository with a git-certs.toml.
fn nightly(lab: Lab, toml: impl FnOnce(&Lab) -> String) -> Nightly {
    let toml = toml(&lab);
    Nightly::with(lab, WANTED, |files, _| files.with("git-certs.toml", &toml))
}

/// What the threshold of a plan is for a certificate that is there.
#[track_caller]
fn due_below(command: &Command) -> String {
    let output = command.run().expect_code(0);
    let line = output.stdout.lines().next().unwrap();
    line.rsplit_once("due below ").unwrap().1.to_owned()
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let nightly = nightly(Lab::builder().bind().pebble().start(), |_| {
        "renew = 11\n".to_owned()
    });
    nightly.renew().expect_code(0);
    let plan = || nightly.command(&["plan"]);
    assert_eq!(due_below(&plan()), "11 days");
    assert_eq!(due_below(&plan().env("GIT_CERTS_RENEW", "")), "11 days");
    assert_eq!(due_below(&plan().env("GIT_CERTS_RENEW", "12")), "12 days");
    let flag = || plan().args(["--renew", "13"]);
    assert_eq!(due_below(&flag()), "13 days");
    assert_eq!(due_below(&flag().env("GIT_CERTS_RENEW", "12")), "13 days");
}

#[test]
fn the_file_alone_can_say_everything() {
    let lab = Lab::builder().bind().pebble().start();
    let dns = Files::dns().publish(&lab, "dns-of-the-file");
    let nightly = nightly(lab, |lab| {
        let ca = lab.ca();
        let identity = lab.folder().join("identity.agekey");
        format!(
            "acme = \"{}\"\n\
             agree-tos = true\n\
             email = \"me@example.test\"\n\
             ca-bundle = \"{}\"\n\
             renew = 20\n\
             key-type = \"p384\"\n\
             dns-repo = \"{}\"\n\
             dns-branch = \"main\"\n\
             config = \"dnsconfig.js\"\n\
             creds = \"creds.json\"\n\
             variable = [\"a=b\"]\n\
             skip = [\"powerdns\"]\n\
             pending = \"warn\"\n\
             never-count = [\"x.bench.test TXT\"]\n\
             challenge-zones = {{ \"acme.test\" = \"ddns\" }}\n\
             resolver = [\"{}\"]\n\
             dns-timeout = 20\n\
             dns-confirmations = 2\n\
             doh = [\"off\"]\n\
             doh-settle = 5\n\
             identity = \"{}\"\n\
             [zones.\"bench.test\"]\n\
             ignore-servers = [\"192.0.2.66\"]\n\
             extra-servers = [\"192.0.2.2\"]\n\
             dns-timeout = 30\n\
             dns-confirmations = 3\n",
            pebble::DIRECTORY,
            ca.display(),
            dns.url(Transport::Path),
            crate::support::address::RESOLVER,
            identity.display(),
        )
    });
    let Nightly { lab, certs, .. } = &nightly;
    let url = certs.url(Transport::Path);
    for _ in 0..2 {
        lab.git_certs(["renew", "--repo", &url, "--renew", "1000"])
            .run()
            .expect_code(0);
    }
    nightly.assert_valid("www");
    let account = certs.show(lab, ".letsencrypt/acme.test/account.json");
    assert!(
        account.contains("\"email\": \"me@example.test\""),
        "{account}"
    );
    let described = certs.show(lab, "certificates/www/www.json");
    assert!(described.contains("\"key_type\": \"p384\""), "{described}");
    let key = lab
        .command("openssl")
        .args(["x509", "-noout", "-text"])
        .stdin(nightly.chain("www"))
        .succeed()
        .stdout;
    assert!(key.contains("ASN1 OID: secp384r1"), "{key}");
}

#[test]
fn the_environment_alone_can_say_everything() {
    let nightly = nightly(Lab::builder().bind().pebble().start(), |_| {
        "acme = \"https://nobody.test/dir\"\nkey-type = \"p384\"\nresolver = [\"192.0.2.66\"]\n"
            .to_owned()
    });
    let Nightly {
        lab,
        certs,
        dns,
        identity,
    } = &nightly;
    // In the DNS repository other files have the names that are the default.
    let config = zones::zone("bench.test").declaration();
    Files::default()
        .with(
            "conf/other.js",
            &format!(
                "var REG_NONE = NewRegistrar(\"none\");\nvar ddns = NewDnsProvider(CLI_ENTRY);\n\
                 NewDnsProvider(\"powerdns\");\nNewDnsProvider(\"zonefiles\");\n{config}"
            ),
        )
        .with("conf/creds.json", &{
            let creds = lab.git(&dns.folder, &["show", "main:creds.json"]).stdout;
            creds.replace("\"ddns\"", "\"other\"")
        })
        .with("dnsconfig.js", "throw new Error('the default was read')")
        .with("creds.json", "not JSON")
        .commit(lab, dns, "elsewhere");
    let output = lab
        .git_certs(["renew"])
        .env("GIT_CERTS_REPO", certs.url(Transport::Path))
        .env("GIT_CERTS_BRANCH", "main")
        .env("GIT_CERTS_ONLY", "www")
        .env("GIT_CERTS_FORMAT", "json")
        .env("GIT_CERTS_VERBOSE", "true")
        .env("GIT_CERTS_DRY_RUN", "false")
        .env("GIT_CERTS_NO_PUSH", "0")
        .env("GIT_CERTS_ACME", pebble::DIRECTORY)
        .env("GIT_CERTS_AGREE_TOS", "yes")
        .env("GIT_CERTS_EMAIL", "ci@example.test")
        .env("GIT_CERTS_CA_BUNDLE", lab.ca())
        .env("GIT_CERTS_RENEW", "5")
        .env("GIT_CERTS_KEY_TYPE", "p256")
        .env("GIT_CERTS_DNS_REPO", dns.url(Transport::Path))
        .env("GIT_CERTS_DNS_BRANCH", "main")
        .env("GIT_CERTS_CONFIG", "conf/other.js")
        .env("GIT_CERTS_CREDS", "conf/creds.json")
        .env("GIT_CERTS_VARIABLE", "CLI_ENTRY=other\nUNUSED=1")
        .env("GIT_CERTS_SKIP", "powerdns,zonefiles")
        .env("GIT_CERTS_PENDING", "abort")
        .env("GIT_CERTS_NEVER_COUNT", "x.bench.test TXT\n*.x.bench.test")
        .env("GIT_CERTS_RESOLVER", crate::support::address::RESOLVER)
        .env("GIT_CERTS_DNS_TIMEOUT", "20")
        .env("GIT_CERTS_DNS_CONFIRMATIONS", "2")
        .env(
            "GIT_CERTS_DOH",
            "https://a.test/dns-query,https://b.test/dns-query",
        )
        .env("GIT_CERTS_DOH_SETTLE", "5")
        .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
        .run()
        .expect_code(0);
    assert!(output.stdout.contains("\"result\": \"issued\""));
    assert!(output.stdout.contains("\"newOrder\": 1,\n"));
    // The log that --verbose asks for.
    let asked = "DEBUG asked of the CA requests={\"authorization\": 1, \"certificate\": 1, ";
    assert!(output.stderr.contains(asked), "{}", output.stderr);
    let described = certs.show(lab, "certificates/www/www.json");
    assert!(described.contains("\"key_type\": \"p256\""), "{described}");
    assert!(described.contains(pebble::DIRECTORY), "{described}");
    let account = certs.show(lab, ".letsencrypt/acme.test/account.json");
    assert!(account.contains("ci@example.test"), "{account}");
}

#[test]
fn variables_that_are_empty_are_not_set() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let mut command = nightly.command(&["renew"]);
    for name in [
        "ACME_TIMEOUT",
        "AGE_KEY",
        "BRANCH",
        "CERT_CONFIG",
        "CONFIG",
        "CREDS",
        "DIR",
        "DNS_BRANCH",
        "DNS_CONFIRMATIONS",
        "DNS_TIMEOUT",
        "DNS_TOKEN",
        "DOH",
        "DOH_SETTLE",
        "DRY_RUN",
        "EMAIL",
        "FORMAT",
        "IR",
        "KEY_TYPE",
        "NEVER_COUNT",
        "NOTIFY",
        "NO_PUSH",
        "ONLY",
        "PENDING",
        "RECIPIENTS",
        "RENEW",
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
    ] {
        command = command.env(format!("GIT_CERTS_{name}"), "");
    }
    for name in [
        "SOPS_AGE_KEY",
        "SOPS_AGE_KEY_FILE",
        "GITHUB_TOKEN",
        "CI_JOB_TOKEN",
        "GIT_SSH_COMMAND",
        "LEGO_CA_CERTIFICATES",
    ] {
        command = command.env(name, "");
    }
    let output = command.run().expect_code(0);
    assert!(
        output.stdout.ends_with("pushed 1 commit to `main`\n"),
        "{}",
        output.stdout
    );
    nightly.assert_valid("www");
}

#[test]
fn what_get_certs_took_is_taken_with_one_dash() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly {
        lab, dns, identity, ..
    } = &nightly;
    // As its users had it: certificates in the current folder, dnsconfig.js beside them.
    let folder = lab.folder().join("as-before");
    Files::certificates(
        &[
            ("first", &["first.bench.test"]),
            ("other", &["other.bench.test"]),
        ],
        &[&identity.recipient],
    )
    .write(&folder);
    fs::rename(folder.join("certs.json"), folder.join("list.json")).unwrap();
    for file in ["dnsconfig.js", "creds.json"] {
        fs::write(folder.join(file), dns.show(lab, file)).unwrap();
    }
    let words = [
        "renew",
        "-email",
        "me@example.test",
        "-agreeTOS",
        "-acme",
        pebble::DIRECTORY,
        "-renew",
        "15",
        "-dir",
        ".",
        "-certConfig",
        "list.json",
        "-skip",
        "powerdns",
        "-only",
        "first",
        "-verbose",
        "-config",
        "dnsconfig.js",
        "-creds",
        "creds.json",
        "-v",
        "a=b",
        "-notify=false",
        "-vault=false",
    ];
    lab.git_certs(words)
        .env("GIT_CERTS_CA_BUNDLE", lab.ca())
        .folder(&folder)
        .run()
        .expect_code(0);
    assert!(folder.join("certificates/first/first.key.age").is_file());
    assert!(!folder.join("certificates/other").exists());
}

#[test]
fn files_are_named_in_the_environment_too() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly {
        lab, dns, identity, ..
    } = &nightly;
    let folder = lab.folder().join("certs");
    let write = |name: &str, text: &str| lab.namespace().write(&format!("elsewhere/{name}"), text);
    fs::create_dir(&folder).unwrap();
    let list = write(
        "list.json",
        r#"[{"cert_name": "other", "names": ["other.bench.test"]}]"#,
    );
    let recipients = write("recipients", &identity.recipient);
    fs::write(folder.join(".age-recipients"), &identity.recipient).unwrap();
    let creds = write("creds.json", &dns.show(lab, "creds.json"));
    let key_of_sops = fs::read_to_string(&lab.age_identity("sops").file).unwrap();
    let ir = write(
        "ir.json",
        r#"{"registrars": [{"name": "none", "type": "-"}],
            "dns_providers": [{"name": "ddns", "type": "-"}],
            "domains": [{"name": "bench.test", "registrar": "none", "dnsProviders": {"ddns": 0},
              "records": [
                {"type": "A", "name": "@", "ttl": 300, "target": "198.51.100.80"},
                {"type": "A", "name": "www", "ttl": 300, "target": "198.51.100.80"},
                {"type": "A", "name": "ns1", "ttl": 300, "target": "192.0.2.2"}],
              "nameservers": [{"name": "ns1.bench.test"}]}]}"#,
    );
    nightly
        .bare(&["renew"])
        .env("GIT_CERTS_DIR", &folder)
        .env("GIT_CERTS_DNS_REPO", lab.folder().join("elsewhere"))
        .env("GIT_CERTS_CERT_CONFIG", list)
        .env("GIT_CERTS_RECIPIENTS", recipients)
        // The key of sops is lent to the command.
        .env("SOPS_AGE_KEY", &key_of_sops)
        .env(
            "GIT_CERTS_CREDS",
            format!(
                "!sh -c 'test -n \"$SOPS_AGE_KEY\" && exec cat {}'",
                creds.display()
            ),
        )
        .env("GIT_CERTS_IR", ir)
        .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
        .run()
        .expect_code(0);
    let text = |extension: &str| {
        fs::read_to_string(folder.join(format!("certificates/other/other.{extension}"))).unwrap()
    };
    assert_valid(lab, &text("crt"), &text("key.age"), identity);
}
