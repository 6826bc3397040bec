//! examples/cert-repo and action.yml work as they stand.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::docs::{git_certs, read, root, text};
use crate::support::command::Output;
use crate::support::lab::{AgeIdentity, Lab};
use crate::support::repos::{Files, Remote, variables};
use crate::support::{git_server, pebble};
use crate::yaml;

const WORKFLOW: &str = "examples/cert-repo/.github/workflows/renew.yml";
const GITLAB: &str = "examples/cert-repo/.gitlab-ci.yml";

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
fn every_variable_that_ci_sets_is_known() {
    let documented = read("docs/configuration.md");
    let action = action();
    let gitlab = yaml::parse(&read(GITLAB));
    let mut names = keys(&gitlab["renew"]["variables"]);
    for step in steps(&action) {
        names.extend(keys(&step["env"]));
    }
    names.retain(|name| name.starts_with("GIT_CERTS_"));
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(
            documented.contains(&format!("`{name}`")),
            "`{name}` is no setting"
        );
    }
}

#[test]
fn every_input_of_the_action_reaches_the_program() {
    let action = action();
    let text = read("action.yml");
    let inputs = keys(&action["inputs"]);
    let mut used = BTreeSet::new();
    for step in steps(&action) {
        let run = step["run"].as_str().unwrap();
        assert!(
            !run.contains("${{"),
            "a script takes text from outside: {run}"
        );
        for value in step["env"].as_object().unwrap().values() {
            let value = value.as_str().unwrap();
            used.extend(
                value
                    .strip_prefix("${{ inputs.")
                    .map(|rest| rest.replace(" }}", "")),
            );
        }
    }
    assert_eq!(used, inputs);
    assert_eq!(text.matches("inputs.").count(), inputs.len());
}

#[test]
fn workflows_give_inputs_that_the_action_has() {
    let inputs = keys(&action()["inputs"]);
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

#[test]
fn the_action_renews() {
    let lab = Lab::builder().all().start();
    let identity = lab.age_identity("renewer");
    let wanted: [(&str, &[&str]); 1] = [("www", &["www.bench.test", "www.pdns.test"])];
    let certs = Files::certificates(&wanted, &[&identity.recipient]).publish(&lab, "certs");
    Files::dns().publish(&lab, "dns");

    let first = run_action(&lab, &identity, &[]).expect_code(0);
    assert!(
        first
            .stdout
            .contains("\n1 issued, 0 failed, 0 up to date\n"),
        "{}",
        first.stdout
    );
    let files = certs.files(&lab);
    for file in ["www.crt", "www.json", "www.key.age"] {
        assert!(
            files.contains(&format!("certificates/www/{file}")),
            "{files:?}"
        );
    }
    assert!(is_sealed(&lab, &certs), "the key is not encrypted");
    assert!(lab.challenges().is_empty(), "{:?}", lab.challenges());
    assert!(lab.left_over().is_empty(), "{:?}", lab.left_over());

    let again = run_action(&lab, &identity, &[]).expect_code(0);
    assert!(
        again.stdout.starts_with("nothing is due: 1 up to date"),
        "{}",
        again.stdout
    );
    let plan = run_action(&lab, &identity, &[("command", "plan")]).expect_code(0);
    assert!(
        plan.stdout.ends_with("\n0 due, 1 up to date\n"),
        "{}",
        plan.stdout
    );
    let none = run_action(&lab, &identity, &[("only", "mail")]).expect_code(2);
    assert!(
        none.stderr
            .contains("`certs.json` has no certificate `mail`"),
        "{}",
        none.stderr
    );
}

fn is_sealed(lab: &Lab, certs: &Remote) -> bool {
    let key = certs.show(lab, "certificates/www/www.key.age");
    key.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n")
}

/// Runs the last step as a runner does: what is not given is its default or empty.
fn run_action(lab: &Lab, identity: &AgeIdentity, more: &[(&str, &str)]) -> Output {
    let action = action();
    let key = fs::read_to_string(&identity.file).unwrap();
    let mut given = vec![
        ("dns_repo", "https://git.test/dns.git"),
        ("age_key", &key),
        ("acme", pebble::DIRECTORY),
        ("agree_tos", "true"),
    ];
    given.extend(more);
    let step = steps(&action).last().unwrap();
    let temp = lab.folder().join("runner");
    let bin = temp.join("git-certs/bin");
    fs::create_dir_all(&bin).unwrap();
    let _ = fs::remove_file(bin.join("git-certs"));
    symlink(env!("CARGO_BIN_EXE_git-certs"), bin.join("git-certs")).unwrap();
    let script = temp.join("step.sh");
    fs::write(&script, step["run"].as_str().unwrap()).unwrap();

    assert_eq!(step["shell"], "bash");
    // https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax: `shell: bash`.
    let bash = ["--noprofile", "--norc", "-e", "-o", "pipefail"];
    let mut command = lab
        .command("bash")
        .args(bash)
        .arg(&script)
        .env("CI", "true")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_SERVER_URL", "https://git.test")
        .env("GIT_CERTS_CA_BUNDLE", lab.ca());
    for (name, value) in variables(lab) {
        command = command.env(name, value);
    }
    for (name, value) in step["env"].as_object().unwrap() {
        let value = match value.as_str().unwrap().strip_prefix("${{ inputs.") {
            Some(input) => {
                let input = input.strip_suffix(" }}").unwrap();
                let default = action["inputs"][input]["default"].as_str().unwrap();
                let given = given.iter().rfind(|(name, _)| *name == input);
                given.map_or(default, |(_, value)| *value).to_owned()
            }
            None => value.as_str().unwrap().to_owned(),
        };
        command = command.env(name, in_context(&value, &temp));
    }
    command.run()
}

/// What the runner makes of an expression in this lab.
fn in_context(value: &str, temp: &Path) -> String {
    let contexts = [
        ("${{ runner.temp }}", temp.to_str().unwrap()),
        ("${{ github.server_url }}", "https://git.test"),
        ("${{ github.repository }}", "certs.git"),
        ("${{ github.ref_name }}", "main"),
        ("${{ github.token }}", git_server::TOKEN),
    ];
    let value = contexts.iter().fold(value.to_owned(), |value, (name, is)| {
        value.replace(name, is)
    });
    assert!(!value.contains("${{"), "{value}");
    value
}

fn action() -> Value {
    yaml::parse(&read("action.yml"))
}

fn steps(action: &Value) -> &[Value] {
    action["runs"]["steps"].as_array().unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}
