//! Every way to the two repositories, and the tokens that lead in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::git_server;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::{Files, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

fn nightly() -> Nightly {
    let lab = Lab::builder().bind().pebble().git_http().git_ssh().start();
    Nightly::new(lab, WANTED)
}

/// A renewal that always has something to do, with these places.
fn renewal(nightly: &Nightly, certs: &str, dns: &str) -> Command {
    nightly
        .command(&["renew", "--renew", "1000"])
        .env("GIT_CERTS_REPO", certs)
        .env("GIT_CERTS_DNS_REPO", dns)
}

#[test]
fn both_repositories_are_reached_over_every_transport() {
    let nightly = nightly();
    let Nightly {
        lab, certs, dns, ..
    } = &nightly;
    let ways = [
        Transport::Path,
        Transport::File,
        Transport::Https,
        Transport::Ssh,
        Transport::Scp,
    ];
    for (index, way) in ways.into_iter().enumerate() {
        // Every transport carries either of them, and never the same both.
        let other = ways[(index + 1) % ways.len()];
        let output = renewal(&nightly, &certs.url(way), &dns.url(other))
            .run()
            .expect_code(0);
        assert!(output.stdout.ends_with(" to `main`\n"), "{}", output.stdout);
        assert!(
            !(output.stdout + &output.stderr).contains(git_server::TOKEN),
            "{way:?} shows the token"
        );
        // The files, the account, and one a run.
        assert_eq!(certs.subjects(lab).len(), index + 3, "{way:?}");
        assert_eq!(lab.left_over().len(), 0, "{way:?}");
    }
    nightly.assert_valid("www");
}

#[test]
fn plain_http_is_refused() {
    let nightly = nightly();
    let Nightly { certs, dns, .. } = &nightly;
    let output = renewal(
        &nightly,
        &certs.url(Transport::Http),
        &dns.url(Transport::Https),
    )
    .run()
    .expect_code(2);
    assert_eq!(output.stdout, "");
    assert_eq!(
        output.stderr,
        "error: `http://git.test/certs.git` is not encrypted\n\
         hint: use `https://` or `ssh://`; plain `http://` is for loopback addresses only\n"
    );
}

#[test]
fn a_token_comes_from_the_environment() {
    let nightly = nightly();
    let (certs, dns) = ("https://git.test/certs.git", "https://git.test/dns.git");
    let token = git_server::TOKEN;
    renewal(&nightly, certs, dns)
        .env("GIT_CERTS_TOKEN", token)
        .run()
        .expect_code(0);
    renewal(&nightly, certs, dns)
        .env("GIT_CERTS_TOKEN", "")
        .env("CI_SERVER_HOST", "git.test")
        .env("GITHUB_SERVER_URL", "https://git.test")
        .env("GITHUB_TOKEN", token)
        .run()
        .expect_code(0);
    // The token of the cert repository goes to its host only.
    let path = nightly.certs.url(Transport::Path);
    renewal(&nightly, &path, dns)
        .env("GIT_CERTS_TOKEN", token)
        .run()
        .expect_code(2);
    renewal(&nightly, &path, dns)
        .env("GIT_CERTS_DNS_TOKEN", token)
        .run()
        .expect_code(0);
    assert_eq!(nightly.certs.subjects(&nightly.lab).len(), 5);
}

#[test]
fn a_token_comes_from_gits_configuration() {
    let nightly = nightly();
    let (certs, dns) = ("https://git.test/certs.git", "https://git.test/dns.git");
    let login = STANDARD.encode(format!("x-access-token:{}", git_server::TOKEN));
    let header = format!("AUTHORIZATION: basic {login}");
    renewal(&nightly, certs, dns)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.https://git.test/.extraheader")
        .env("GIT_CONFIG_VALUE_0", &header)
        .run()
        .expect_code(0);
    assert_eq!(nightly.certs.subjects(&nightly.lab).len(), 3);
    // Another server's is not sent.
    let output = renewal(&nightly, certs, dns)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.https://other.test/.extraheader")
        .env("GIT_CONFIG_VALUE_0", &header)
        .run()
        .expect_code(2);
    assert!(
        output.stderr.contains("the server asks for a login"),
        "{}",
        output.stderr
    );
    // A helper is asked, but not for a host that only the file in the repository names.
    let helper = format!(
        "!f() {{ echo username=git; echo password={}; }}; f",
        git_server::TOKEN
    );
    let with_helper = |command: Command| {
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "credential.helper")
            .env("GIT_CONFIG_VALUE_0", &helper)
    };
    with_helper(renewal(&nightly, certs, dns))
        .run()
        .expect_code(0);
    let here = Files::certificates(WANTED, &[&nightly.identity.recipient])
        .with("git-certs.toml", &format!("dns-repo = \"{dns}\"\n"));
    here.commit(&nightly.lab, &nightly.certs, "settings");
    let path = nightly.certs.url(Transport::Path);
    let by_file = renewal(&nightly, &path, "");
    let output = with_helper(by_file).run().expect_code(2);
    assert!(
        output.stderr.contains("the server asks for a login"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_wrong_token_is_said_before_anything_happens() {
    let nightly = nightly();
    let certs = nightly.certs.url(Transport::Https);
    let wrong = certs.replace(git_server::TOKEN, "wr0ng-t0ken");
    let from_the_url = renewal(&nightly, &wrong, &nightly.dns.url(Transport::Path));
    let from_the_environment = renewal(
        &nightly,
        "https://git.test/certs.git",
        &nightly.dns.url(Transport::Path),
    )
    .env("GIT_CERTS_TOKEN", "wr0ng-t0ken");
    for command in [from_the_url, from_the_environment] {
        let output = command.run().expect_code(2);
        assert_eq!(output.stdout, "");
        let said: Vec<_> = output
            .stderr
            .lines()
            .filter(|line| !line.starts_with("cloned "))
            .collect();
        assert_eq!(
            said,
            [
                "error: cannot read `https://git.test/certs.git`: the server does not accept the login",
                "  caused by: HTTP 401 Unauthorized",
                "hint: check that the token or the key is valid and belongs to this server",
            ]
        );
    }
    let none = renewal(
        &nightly,
        "https://git.test/certs.git",
        &nightly.dns.url(Transport::Path),
    );
    let output = none.run().expect_code(2);
    assert!(
        output.stderr.ends_with(
            "error: cannot read `https://git.test/certs.git`: the server asks for a login\n  \
             caused by: HTTP 401 Unauthorized\n\
             hint: give a token (GIT_CERTS_TOKEN, for the DNS repository GIT_CERTS_DNS_TOKEN), or an address by `ssh://`\n"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(nightly.requests(), [""; 0]);
    assert_eq!(nightly.certs.subjects(&nightly.lab), ["files of the test"]);
}

#[test]
fn the_dns_repository_may_be_a_folder() {
    let nightly = nightly();
    let folder = nightly.lab.folder().join("dns-folder");
    Files::dns().write(&folder);
    renewal(
        &nightly,
        &nightly.certs.url(Transport::Path),
        folder.to_str().unwrap(),
    )
    .run()
    .expect_code(0);
    // What the configuration prints is seen, as DNSControl shows it, and stays off stdout.
    let text = std::fs::read_to_string(folder.join("dnsconfig.js")).unwrap();
    std::fs::write(
        folder.join("dnsconfig.js"),
        text + "console.log('hello from', 6 * 7);\n",
    )
    .unwrap();
    let talkative = nightly
        .command(&["plan"])
        .env("GIT_CERTS_DNS_REPO", &folder)
        .run()
        .expect_code(0);
    assert!(
        talkative.stderr.contains("INFO hello from 42\n"),
        "{}",
        talkative.stderr
    );
    assert!(!talkative.stdout.contains("hello"), "{}", talkative.stdout);
    // A checkout is read as it is, with what is not committed.
    let checkout = nightly.lab.folder().join("checkout-dns");
    std::fs::write(checkout.join("dnsconfig.js"), "syntax error").unwrap();
    let output = renewal(
        &nightly,
        &nightly.certs.url(Transport::Path),
        checkout.to_str().unwrap(),
    )
    .run()
    .expect_code(2);
    assert!(output.stderr.contains("dnsconfig.js"), "{}", output.stderr);
}

#[test]
fn one_repository_may_hold_both() {
    let lab = Lab::builder().bind().pebble().start();
    let identity = lab.age_identity("one");
    let certs = Files::certificates(WANTED, &[&identity.recipient]);
    let both = certs.publish(&lab, "both");
    Files::dns().commit(&lab, &both, "dnsconfig.js beside it");
    let nightly = Nightly {
        dns: both.clone(),
        certs: both,
        identity,
        lab,
    };
    nightly
        .command(&["renew"])
        .env("GIT_CERTS_DNS_REPO", "")
        .run()
        .expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(nightly.certs.subjects(&nightly.lab).len(), 4);
}

#[test]
fn a_branch_is_read_and_pushed() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let git = |args: &[&str]| lab.git(&certs.folder, args).stdout;
    git(&["branch", "staging", "main"]);
    Files::default()
        .with("certs.json", "not JSON")
        .commit(lab, certs, "another main");
    let main = git(&["rev-parse", "main"]);
    let output = nightly
        .command(&["renew", "--branch", "staging"])
        .run()
        .expect_code(0);
    assert!(
        output.stdout.ends_with("pushed 1 commit to `staging`\n"),
        "{}",
        output.stdout
    );
    assert_eq!(git(&["rev-parse", "main"]), main);
    let subjects = git(&["log", "--format=%s", "staging"]);
    assert_eq!(
        subjects,
        "Issue www: not in the repository\n\
         Register an ACME account at acme.test\n\
         files of the test\n"
    );

    let missing = nightly
        .command(&["renew", "--branch", "nowhere"])
        .run()
        .expect_code(2);
    assert_eq!(missing.stdout, "");
    assert!(
        missing.normal_stderr().contains("`nowhere`"),
        "{}",
        missing.stderr
    );

    // And so is a branch of the DNS repository.
    let git = |args: &[&str]| lab.git(&nightly.dns.folder, args).stdout;
    git(&["branch", "good", "main"]);
    Files::default()
        .with("dnsconfig.js", "throw new Error('main was read')")
        .commit(lab, &nightly.dns, "another main");
    let plan = ["plan", "--branch", "staging"];
    let read = nightly.command(&plan).run().expect_code(2);
    assert!(read.stderr.contains("main was read"), "{}", read.stderr);
    nightly
        .command(&plan)
        .args(["--dns-branch", "good"])
        .run()
        .expect_code(0);
}
