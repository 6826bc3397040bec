//! The example workflow, run by act, which stands for GitHub's runner: in self-hosted mode, on the servers of the lab.

use std::fs;

use pretty_assertions::assert_eq;

use crate::action::{Runner, assert_is_sealed};
use crate::docs::{read, root};
use crate::examples::{SHARDED, WORKFLOW};
use crate::support::command::{Command, Output};
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::variables;
use crate::support::{git_server, pebble};

/// A later step, which sees what the action gives.
const LATER: &str = r#"
      - name: Look
        if: always()
        env:
          OUTPUTS: ${{ toJSON(steps.certs.outputs) }}
        run: |
          echo "outputs: $(echo "$OUTPUTS" | tr -d '\n')"
          git certs --version
"#;

#[test]
fn the_example_workflow_renews() {
    let nightly = Nightly::new(
        Lab::builder().all().start(),
        &[("www", &["www.bench.test", "www.pdns.test"])],
    );
    let lab = &nightly.lab;
    let first = run(&nightly).expect_code(0);
    let said = lines(&first);
    assert!(
        said.contains(&"1 issued, 0 failed, 0 up to date".to_owned()),
        "{}",
        first.stdout
    );
    assert_is_sealed(lab, &nightly.certs);
    nightly.assert_valid("www");
    assert!(lab.challenges().is_empty(), "{:?}", lab.challenges());

    // What the job shows, and what later steps get.
    let summary = "Summary - ### git-certs: 1 issued, 0 up to date";
    assert!(first.stdout.contains(summary), "{}", first.stdout);
    let outputs = outputs(&said);
    let tip = nightly.certs.tip(lab);
    for (name, value) in [
        ("exit_code", "0"),
        ("issued", "1"),
        ("renewed_names", r#"["www"]"#),
        ("pushed", "true"),
        ("commit_sha", &tip),
    ] {
        assert_eq!(outputs[name], value, "{name}");
    }
    let version = format!("git-certs {}", env!("CARGO_PKG_VERSION"));
    assert!(said.contains(&version), "{}", first.stdout);
    // Nothing that is secret is in the log.
    let key = fs::read_to_string(&nightly.identity.file).unwrap();
    let secret = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-"));
    for text in [&first.stdout, &first.stderr] {
        assert!(!text.contains(secret.unwrap()), "{text}");
        assert!(!text.contains(git_server::TOKEN), "{text}");
    }

    let again = run(&nightly).expect_code(0);
    let said = lines(&again);
    assert!(
        said.iter()
            .any(|line| line.starts_with("nothing is due: 1 up to date")),
        "{}",
        again.stdout
    );
    assert_eq!(self::outputs(&said)["changed"], "false");
}

#[test]
fn a_run_that_fails_fails_the_job_and_has_outputs() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().git_http().start(),
        &[("good", &["good.bench.test"]), ("bad", &["bad.pdns.test"])],
    );
    let output = run(&nightly).expect_code(1);
    let outputs = outputs(&lines(&output));
    assert_eq!(outputs["exit_code"], "1");
    assert_eq!(outputs["issued"], "1");
    assert_eq!(outputs["failed_names"], r#"["bad"]"#);
    assert!(
        output.stdout.contains("::error title=git-certs::"),
        "{}",
        output.stdout
    );
    nightly.assert_valid("good");
}

/// Several jobs at once, as many as have something to do.
#[test]
fn the_example_of_shards_renews() {
    let wanted: [(&str, &[&str]); 3] = [
        ("bench", &["www.bench.test"]),
        ("files", &["files.test"]),
        ("pdns", &["www.pdns.test"]),
    ];
    let nightly = Nightly::new(Lab::builder().all().start(), &wanted);
    let lab = &nightly.lab;
    nightly
        .command(&["account", "register"])
        .run()
        .expect_code(0);
    let first = run_file(&nightly, "renew-sharded.yml", &read(SHARDED)).expect_code(0);
    let said = lines(&first);
    let issued = said
        .iter()
        .filter(|line| *line == "1 issued, 0 failed, 0 up to date");
    assert_eq!(issued.count(), wanted.len(), "{}", first.stdout);
    for (name, _) in wanted {
        nightly.assert_valid(name);
    }
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    assert!(lab.challenges().is_empty(), "{:?}", lab.challenges());
    let summary = "Summary - ### git-certs: shard 3/8: 1 issued, 0 up to date";
    assert!(first.stdout.contains(summary), "{}", first.stdout);
}

/// Runs the example workflow as it stands, but for its DNS repository and a later step; what else the lab
/// needs comes from the environment.
fn run(nightly: &Nightly) -> Output {
    let example = read(WORKFLOW);
    let workflow = example.replace(
        "      - uses: git-certs",
        "      - id: certs\n        uses: git-certs",
    );
    assert_ne!(workflow, example);
    run_file(
        nightly,
        "renew.yml",
        &(workflow.trim_end().to_owned() + LATER),
    )
}

/// Runs a workflow of the cert repository.
fn run_file(nightly: &Nightly, name: &str, text: &str) -> Output {
    let lab = &nightly.lab;
    let runner = Runner::of_a_release(lab);
    let action = runner.action_of_the_lab();
    let workflow = text.replace("https://github.com/example/dns", "https://git.test/dns");
    assert_ne!(workflow, text);
    let checkout = lab.folder().join("checkout-certs");
    let file = checkout.join(".github/workflows").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, workflow).unwrap();

    let key = fs::read_to_string(&nightly.identity.file).unwrap();
    let mut command = act(lab)
        .args(["workflow_dispatch", "--action-offline-mode"])
        .args(["--platform", "ubuntu-24.04=-self-hosted"])
        .arg("--local-repository")
        .arg(format!("git-certs/git-certs@main={}", action.display()))
        .args(["--secret", "AGE_KEY", "--secret", "GITHUB_TOKEN"])
        .args(["--secret", "DNS_REPO_TOKEN", "--secret", "PDNS_API_KEY"])
        .folder(&checkout)
        .env("AGE_KEY", key)
        .env("GITHUB_TOKEN", git_server::TOKEN)
        .env("DNS_REPO_TOKEN", git_server::TOKEN)
        .env("PDNS_API_KEY", "nobody asks for it");
    let ca = lab.ca().display().to_string();
    let of_the_job = [
        ("GITHUB_SERVER_URL", "https://git.test"),
        ("GITHUB_REPOSITORY", "certs"),
        ("GIT_CERTS_ACME", pebble::DIRECTORY),
        ("GIT_CERTS_AGREE_TOS", "true"),
        ("GIT_CERTS_CA_BUNDLE", &ca),
        ("CURL_CA_BUNDLE", &ca),
    ];
    let of_the_lab = variables(lab);
    let of_the_lab = of_the_lab
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    for (name, value) in of_the_job.into_iter().chain(of_the_lab) {
        command = command.arg("--env").arg(format!("{name}={value}"));
    }
    command.run()
}

/// The program.
pub fn act(lab: &Lab) -> Command {
    let program = root().join("target/act/bin/act");
    assert!(
        program.is_file(),
        "act is not there\nhint: run `make test-deps`"
    );
    lab.command(program.to_str().unwrap())
}

/// What the steps wrote, without act's prefix.
fn lines(output: &Output) -> Vec<String> {
    let lines = output.stdout.lines();
    let said = lines.filter_map(|line| line.split_once("  | "));
    said.map(|(_, words)| words.to_owned()).collect()
}

/// What the later step saw of the outputs.
fn outputs(said: &[String]) -> serde_json::Value {
    let seen = said.iter().find_map(|line| line.strip_prefix("outputs: "));
    serde_json::from_str(seen.expect("the later step says them")).unwrap()
}
