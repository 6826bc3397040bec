//! examples/cert-repo works as it stands.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::action::{self, keys};
use crate::docs::{git_certs, read, root, text};
use crate::support::lab::Lab;
use crate::yaml;

const WORKFLOW: &str = "examples/cert-repo/.github/workflows/renew.yml";

const DNSCONFIG: &str =
    r#"D("example.com", NewRegistrar("none"), DnsProvider(NewDnsProvider("ddns")));"#;

#[test]
fn the_example_repository_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (certs, dns) = copy_example(folder.path());
    let plan = |dns: &str| git_certs(&["plan", "--dir", &certs, "--dns-repo", dns]);
    let output = plan(&dns);
    assert_eq!(text(output.stderr), "");
    assert_eq!(
        text(output.stdout),
        "issue    wildcardCert  example.com, *.example.com: not in the repository\n\
         issue    mail          mail.example.com, smtp.example.com: not in the repository\n\
         \n2 due, 0 up to date\n"
    );
    // Its settings are read: one that does not exist is an error.
    let settings = Path::new(&certs).join("git-certs.toml");
    let more = fs::read_to_string(&settings).unwrap() + "no-such-setting = 1\n";
    fs::write(&settings, more).unwrap();
    assert_eq!(plan(&dns).status.code(), Some(2));
}

#[test]
fn nobody_encrypts_to_the_example_by_mistake() {
    let lab = Lab::builder().start();
    let (certs, dns) = copy_example(&lab.folder().join("home"));
    let output = lab
        .git_certs(["renew", "--dir", &certs, "--dns-repo", &dns])
        .run()
        .expect_code(2);
    assert!(
        output
            .stderr
            .contains("error: `.age-recipients` has no recipient\n"),
        "{}",
        output.stderr
    );
    assert!(!Path::new(&certs).join("certificates").exists());
}

/// Copies the example and puts a DNS repository beside it; returns both folders.
fn copy_example(parent: &Path) -> (String, String) {
    let [certs, dns] = ["certs", "dns"].map(|name| parent.join(name));
    for folder in [&certs, &dns] {
        fs::create_dir(folder).unwrap();
    }
    for name in ["certs.json", "git-certs.toml", ".age-recipients"] {
        fs::copy(
            root().join("examples/cert-repo").join(name),
            certs.join(name),
        )
        .unwrap();
    }
    fs::write(dns.join("dnsconfig.js"), DNSCONFIG).unwrap();
    fs::write(dns.join("creds.json"), "{}").unwrap();
    [certs, dns]
        .map(|folder| folder.into_os_string().into_string().unwrap())
        .into()
}

#[test]
fn workflows_give_inputs_that_the_action_has() {
    let inputs = keys(&action::action()["inputs"]);
    let page = read("README.md");
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next();
    let workflow = yaml::parse(&read(WORKFLOW));
    for step in [
        &workflow["jobs"]["renew"]["steps"][0],
        &yaml::parse(block.unwrap())[0],
    ] {
        assert_eq!(step["uses"], "git-certs/git-certs@main");
        let given = keys(&step["with"]);
        assert!(!given.is_empty() && given.is_subset(&inputs), "{given:?}");
    }
}
