//! action.yml and its two scripts: what it takes, gives, installs and runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::docs::{read, root};
use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::repos::{Files, Remote, variables};
use crate::support::{git_server, namespace, pebble};
use crate::yaml;

/// Where the lab has releases, in place of GitHub.
const RELEASES: &str = "https://git.test/releases";
const TARGET: &str = "x86_64-unknown-linux-musl";

#[test]
fn every_input_reaches_the_scripts_through_the_environment() {
    let action = action();
    let inputs = keys(&action["inputs"]);
    let mut used = BTreeSet::new();
    for step in steps(&action) {
        let run = step["run"].as_str().unwrap();
        assert!(
            !run.contains("${{"),
            "a script takes text from outside: {run}"
        );
        for value in step["env"].as_object().unwrap().values() {
            used.extend(input_of(value.as_str().unwrap()).map(str::to_owned));
        }
    }
    assert_eq!(used, inputs);
    let text = read("action.yml");
    assert_eq!(text.matches("inputs.").count(), inputs.len());
    assert!(!text.contains("uses:"), "another action is used");
}

#[test]
fn every_setting_of_the_action_is_one_of_the_program() {
    let documented = read("docs/configuration.md");
    let action = action();
    let names = keys(&steps(&action)[1]["env"]);
    let settings: Vec<_> = names
        .iter()
        .filter_map(|name| name.strip_prefix("INPUT_"))
        .collect();
    assert_eq!(settings.len() + 1, names.len(), "{names:?}");
    for setting in settings {
        let name = format!("`GIT_CERTS_{setting}`");
        assert!(documented.contains(&name), "{name} is no setting");
    }
}

#[test]
fn the_outputs_are_those_of_the_program() {
    let page = read("docs/ci.md");
    let table = page.split("\n## Outputs\n").nth(1).unwrap();
    let name = Regex::new("`([a-z_]+)`").unwrap();
    let documented: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|row| {
            let cell = format!("`{}", row.split(" | ").next().unwrap());
            let names = name.captures_iter(&cell);
            names.map(|name| name[1].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let action = action();
    assert_eq!(keys(&action["outputs"]), documented);
    for (name, output) in action["outputs"].as_object().unwrap() {
        let value = format!("${{{{ steps.run.outputs.{name} }}}}");
        assert_eq!(output["value"], value.as_str());
    }
    assert_eq!(steps(&action)[1]["id"], "run");
}

#[test]
fn it_downloads_from_this_repository() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let repository = manifest["package"]["repository"].as_str().unwrap();
    assert_eq!(
        steps(&action())[0]["env"]["RELEASES"],
        format!("{repository}/releases/download").as_str()
    );
}

/// The action on a runner: a copy of it, and the folders and files that a runner makes.
pub struct Runner<'lab> {
    lab: &'lab Lab,
    action: PathBuf,
    temp: PathBuf,
    /// Programs that come first on PATH.
    bin: PathBuf,
}

impl<'lab> Runner<'lab> {
    /// With the action of a branch: without sums.
    fn new(lab: &'lab Lab) -> Self {
        let place = |name: &str| lab.folder().join("runner").join(name);
        let runner = Self {
            lab,
            action: place("action"),
            temp: place("temp"),
            bin: place("bin"),
        };
        for folder in [&runner.action, &runner.temp, &runner.bin] {
            fs::create_dir_all(folder).unwrap();
        }
        lab.command("cp")
            .arg("-r")
            .arg(root().join("action"))
            .arg(&runner.action)
            .succeed();
        // One that knows no attestations.
        runner.has("gh", "exit 1");
        runner
    }

    /// With the action of a release, whose archive runs the program under test.
    pub fn of_a_release(lab: &'lab Lab) -> Self {
        let runner = Self::new(lab);
        let program = env!("CARGO_BIN_EXE_git-certs");
        let binary = lab.namespace().write(
            "binary",
            format!("#!/bin/sh\nexec {program} \"$@\"\n").as_bytes(),
        );
        let folder = git_server::releases(lab.namespace()).join("v1.2.3");
        fs::create_dir_all(&folder).unwrap();
        let release = |words: &[&str]| {
            lab.command("sh")
                .arg(root().join("scripts/release"))
                .args(words.to_vec())
        };
        release(&["archive", TARGET])
            .arg(&binary)
            .arg(&folder)
            .succeed();
        let sums = release(&["sums", "1.2.3"]).arg(&folder).succeed().stdout;
        runner.write_sums(&sums);
        runner
    }

    /// With the action of a release that has these sums.
    pub fn with_sums(lab: &'lab Lab, sums: &str) -> Self {
        let runner = Self::new(lab);
        runner.write_sums(sums);
        runner
    }

    /// The folder of the action, which has releases of the lab.
    pub fn action_of_the_lab(&self) -> &Path {
        let action = read("action.yml");
        let address = "https://github.com/git-certs/git-certs/releases/download";
        assert_eq!(action.matches(address).count(), 1);
        let text = action.replace(address, RELEASES);
        fs::write(self.action.join("action.yml"), text).unwrap();
        &self.action
    }

    fn write_sums(&self, sums: &str) {
        fs::write(self.action.join("action/release.sha256"), sums).unwrap();
    }

    fn sums(&self) -> String {
        fs::read_to_string(self.action.join("action/release.sha256")).unwrap()
    }

    /// A program of the runner, as a script.
    fn has(&self, name: &str, script: &str) {
        let file = self.bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn install(&self, given: &[(&str, &str)]) -> Output {
        self.step(0, given).run()
    }

    /// A step as the runner starts it: an input that is not given has its default.
    fn step(&self, index: usize, given: &[(&str, &str)]) -> Command {
        let action = action();
        let step = &steps(&action)[index];
        // https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax: `shell: bash`.
        assert_eq!(step["shell"], "bash");
        let script = self.temp.join("step.sh");
        fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        let mut command = self
            .lab
            .command("bash")
            .args(["--noprofile", "--norc", "-e", "-o", "pipefail"])
            .arg(&script)
            .env(
                "PATH",
                format!("{}:{}", self.bin.display(), namespace::PATH),
            )
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", &self.action)
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_PATH", self.temp.join("path"))
            .env("GITHUB_OUTPUT", self.temp.join("outputs"))
            .env("GITHUB_STEP_SUMMARY", self.temp.join("summary"))
            .env("RUNNER_TEMP", &self.temp)
            .env("CURL_CA_BUNDLE", self.lab.ca());
        for (name, value) in step["env"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let value = match input_of(value) {
                Some(input) => {
                    let default = action["inputs"][input]["default"].as_str().unwrap();
                    let given = given.iter().rfind(|(name, _)| *name == input);
                    given.map_or(default, |(_, value)| *value)
                }
                None if name == "RELEASES" => RELEASES,
                None => value,
            };
            let value = value.replace("${{ runner.temp }}", self.temp.to_str().unwrap());
            command = command.env(name, in_context(&value));
        }
        command
    }
}

/// What the runner makes of an expression in this lab.
fn in_context(value: &str) -> String {
    let contexts = [
        (
            "${{ github.event.pull_request.head.repo.html_url || format('{0}/{1}', github.server_url, github.repository) }}",
            "https://git.test/certs.git",
        ),
        ("${{ github.event.pull_request.number }}", "7"),
        ("${{ github.head_ref || github.ref_name }}", "main"),
        ("${{ github.token }}", git_server::TOKEN),
    ];
    let value = contexts.iter().fold(value.to_owned(), |value, (name, is)| {
        value.replace(name, is)
    });
    assert!(!value.contains("${{"), "{value}");
    value
}

fn lab() -> Lab {
    Lab::builder().git_http().start()
}

const DOWNLOADING: &str =
    "downloading https://git.test/releases/v1.2.3/git-certs-x86_64-unknown-linux-musl.tar.gz\n";
const NO_GH: &str = "attestation: not verified, as this runner cannot \
                     (no `gh` that knows attestations, or not on github.com)\n";

#[test]
fn a_release_installs_its_archive() {
    let lab = lab();
    let runner = Runner::of_a_release(&lab);
    let sum = runner.sums()[..64].to_owned();
    let matched = format!("sha256: {sum}, as this commit of the action says\n");
    let output = runner.install(&[]).expect_code(0);
    assert_eq!(output.stdout, format!("{DOWNLOADING}{matched}{NO_GH}"));
    assert_eq!(output.stderr, "");
    // Later steps find it, and nothing else is left.
    let path = fs::read_to_string(runner.temp.join("path")).unwrap();
    let bin = Path::new(path.trim_end());
    let version = lab.command(bin.join("git-certs").to_str().unwrap());
    let version = version.arg("--version").succeed().stdout;
    assert!(version.starts_with("git-certs "), "{version}");
    for (folder, name) in [(bin, "git-certs"), (bin.parent().unwrap(), "bin")] {
        let entries = fs::read_dir(folder).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [name]);
    }

    let words = "attestation verify ARCHIVE --repo git-certs/git-certs \
                 --signer-workflow git-certs/git-certs/.github/workflows/release.yml";
    runner.has("gh", "echo \"$GH_TOKEN $*\" > \"$TMPDIR/gh\"");
    let output = runner.install(&[]).expect_code(0);
    let verified = format!("{DOWNLOADING}{matched}attestation: verified\n");
    assert_eq!(output.stdout, verified);
    let archive = runner
        .temp
        .join(format!("git-certs/git-certs-{TARGET}.tar.gz"));
    let called = fs::read_to_string(lab.folder().join("tmp/gh")).unwrap();
    assert_eq!(
        called.replace(archive.to_str().unwrap(), "ARCHIVE"),
        format!("{} {words}\n", git_server::TOKEN)
    );

    runner.has(
        "gh",
        "[ \"$2\" = --help ] || { echo 'no attestations found'; exit 1; }",
    );
    let output = runner.install(&[]).expect_code(2);
    assert_eq!(
        output.stdout,
        format!(
            "{DOWNLOADING}{matched}no attestations found\n\
             ::error title=git-certs::`gh` does not accept the attestation of \
             `git-certs-{TARGET}.tar.gz`; its words are in the log\n"
        )
    );
    let output = runner
        .install(&[("verify_attestation", "false")])
        .expect_code(0);
    let unasked = format!("{DOWNLOADING}{matched}attestation: not asked for\n");
    assert_eq!(output.stdout, unasked);
}

#[test]
fn an_archive_that_is_not_what_was_released_is_not_run() {
    let lab = lab();
    let runner = Runner::of_a_release(&lab);
    let sums = runner.sums();
    let wrong = "0".repeat(64);
    runner.write_sums(&sums.replace(&sums[..64], &wrong));
    let output = runner.install(&[]).expect_code(2);
    assert_eq!(
        output.stdout,
        format!(
            "{DOWNLOADING}::error title=git-certs::`{RELEASES}/v1.2.3/git-certs-{TARGET}.tar.gz` is not what was \
             released: its SHA-256 is {}, not {wrong}\n",
            &sums[..64]
        )
    );
    let bin = runner.temp.join("git-certs/bin");
    assert_eq!(fs::read_dir(bin).unwrap().count(), 0);
    assert!(!runner.temp.join("path").exists());
}

#[test]
fn what_cannot_be_downloaded_is_an_error() {
    let lab = lab();
    let runner = Runner::of_a_release(&lab);
    // Never mind how a release is had: it is not replaced by what a build makes.
    runner.has("cargo", "echo cargo was called");
    let url = format!("{RELEASES}/v1.2.3/git-certs-{TARGET}.tar.gz");
    let error =
        format!("::error title=git-certs::cannot download `{url}`; the reason is in the log\n");
    fs::remove_dir_all(git_server::releases(lab.namespace())).unwrap();
    let output = runner.install(&[]).expect_code(2);
    assert_eq!(output.stdout, format!("{DOWNLOADING}{error}"));
    assert!(output.stderr.contains("404"), "{}", output.stderr);
    lab.stop(Server::GitHttp);
    let output = runner.install(&[]).expect_code(2);
    assert_eq!(output.stdout, format!("{DOWNLOADING}{error}"));
    assert!(
        output
            .stderr
            .starts_with("curl: (7) Failed to connect to git.test port 443"),
        "{}",
        output.stderr
    );
}

/// Stands for cargo, whose release build takes minutes: shows its arguments, and what it would install.
const CARGO: &str = "printf '%s\\n' \"$@\"";

#[test]
fn other_commits_and_platforms_are_built() {
    let lab = lab();
    let runner = Runner::new(&lab);
    let cannot = "::error title=git-certs::building git-certs needs `cargo`, which is not there: install Rust before this \
                  step, or use a release on a platform that it has\n";
    let branch = "this commit of the action is not a release\n";
    let output = runner.install(&[]).expect_code(2);
    assert_eq!(output.stdout, format!("{branch}{cannot}"));
    runner.has("cargo", CARGO);
    let built = format!(
        "building: takes minutes\ninstall\n--locked\n--quiet\n--path\n{}/action/..\n--root\n{}/git-certs\n",
        runner.action.display(),
        runner.temp.display()
    );
    let output = runner.install(&[]).expect_code(0);
    assert_eq!(output.stdout, format!("{branch}{built}"));

    let runner = Runner::of_a_release(&lab);
    for machine in ["Linux riscv64", "MINGW64_NT-10.0 x86_64"] {
        runner.has("uname", &format!("echo '{machine}'"));
        let output = runner.install(&[]).expect_code(0);
        let without = format!("the release has nothing for this platform ({machine})\n");
        assert_eq!(output.stdout, format!("{without}{built}"));
    }
    // One that releases have, but not this one.
    runner.has("uname", "echo Darwin arm64");
    let output = runner.install(&[]).expect_code(0);
    let without = "the release has nothing for this platform (Darwin arm64)\n";
    assert_eq!(output.stdout, format!("{without}{built}"));
}

#[test]
fn inputs_become_settings_of_the_program() {
    let lab = lab();
    let runner = Runner::new(&lab);
    // In place of the program: what it would see.
    let bin = runner.temp.join("git-certs/bin");
    fs::create_dir_all(&bin).unwrap();
    runner.has(
        "git-certs",
        "echo \"$*\"\necho $$ > \"$TMPDIR/pid\"\nenv | grep -E '^(GIT_CERTS|INPUT)_' | sort",
    );
    fs::rename(runner.bin.join("git-certs"), bin.join("git-certs")).unwrap();
    let key = "# public key: age1xyz\nAGE-SECRET-KEY-1TEST";
    let given = [
        ("command", "plan"),
        ("age_key", key),
        ("acme", "$(id); `id`"),
        ("dnsconfig_file", "dns/config.js"),
    ];
    let running = runner
        .step(1, &given)
        .env("GIT_CERTS_EMAIL", "ops@example.test")
        .env("GIT_CERTS_ACME", "staging")
        .spawn();
    let started = running.pid();
    let output = running.wait().expect_code(0);
    // The signals of a cancelled job go to what was started.
    let pid = fs::read_to_string(lab.folder().join("tmp/pid")).unwrap();
    assert_eq!(pid, format!("{started}\n"));
    let said = output
        .stdout
        .replace(runner.temp.to_str().unwrap(), "[TEMP]");
    assert_eq!(
        said,
        "plan\n\
         GIT_CERTS_ACME=$(id); `id`\n\
         GIT_CERTS_AGE_KEY=# public key: age1xyz\n\
         GIT_CERTS_BRANCH=main\n\
         GIT_CERTS_CONFIG=dns/config.js\n\
         GIT_CERTS_EMAIL=ops@example.test\n\
         GIT_CERTS_REPO=https://git.test/certs.git\n\
         GIT_CERTS_SUMMARY_FILE=[TEMP]/git-certs/summary.md\n\
         GIT_CERTS_TOKEN=lab-token\n"
    );
    assert_eq!(output.stderr, "");
}

#[test]
fn a_pull_request_has_one_comment() {
    let lab = lab();
    let runner = Runner::new(&lab);
    let place = runner.temp.join("git-certs");
    fs::create_dir_all(&place).unwrap();
    let (asked, body) = (runner.temp.join("asked"), runner.temp.join("body"));
    // As `gh api` behaves: the answer is what `--jq` makes of it.
    let answers = |comment: &str| {
        let (asked, body) = (asked.display(), body.display());
        runner.has(
            "gh",
            &format!(
                "[ -n \"$GH_TOKEN\" ] || exit 4\n\
                 case $2 in\n\
                 graphql) printf '%s\\n' \"$*\" | grep -q 'owner=example -F name=certs -F number=7' || exit 5; {comment} ;;\n\
                 --method) echo \"$3 $4 $5 $6\" > {asked}; cat > {body}; echo https://github.com/example/certs/pull/7#c1 ;;\n\
                 *) exit 6 ;;\n\
                 esac"
            ),
        );
    };
    let comment = |event: &str, given: &str| {
        let step = runner.step(2, &[("comment", given)]);
        step.env("GITHUB_EVENT_NAME", event)
            .env("GITHUB_REPOSITORY", "example/certs")
            .succeed()
            .stdout
    };
    answers("exit 7");
    assert_eq!(comment("pull_request", "true"), "");
    fs::write(place.join("summary.md"), "### git-certs: 1 due\n").unwrap();
    assert_eq!(
        comment("pull_request", "false") + &comment("push", "true"),
        ""
    );
    assert!(!asked.exists());

    answers("true");
    let said = "commented: https://github.com/example/certs/pull/7#c1\n";
    assert_eq!(comment("pull_request", "true"), said);
    let post = "POST repos/example/certs/issues/7/comments -F body=@-\n";
    assert_eq!(fs::read_to_string(&asked).unwrap(), post);
    let whole = "<!-- git-certs -->\n### git-certs: 1 due\n";
    assert_eq!(fs::read_to_string(&body).unwrap(), whole);

    answers("echo 41; echo 42");
    fs::write(place.join("summary.md"), "x".repeat(70_000)).unwrap();
    assert_eq!(comment("pull_request", "true"), said);
    let patch = "PATCH repos/example/certs/issues/comments/41 -F body=@-\n";
    assert_eq!(fs::read_to_string(&asked).unwrap(), patch);
    let cut = fs::read_to_string(&body).unwrap();
    assert!(cut.len() < 65_536);
    assert!(cut.ends_with("xxx\n\nThe summary of the run has the rest.\n"));

    answers("echo 'HTTP 403: Resource not accessible by integration'; exit 1");
    assert_eq!(
        comment("pull_request", "true"),
        "HTTP 403: Resource not accessible by integration\n\
         ::notice title=git-certs::the summary of the run is not a comment too, as the token may not write one: \
         give the job `pull-requests: write`\n"
    );
}

#[test]
fn the_action_renews() {
    let lab = Lab::builder().all().start();
    let identity = lab.age_identity("renewer");
    let key = fs::read_to_string(&identity.file).unwrap();
    let wanted: [(&str, &[&str]); 1] = [("www", &["www.bench.test", "www.pdns.test"])];
    let certs = Files::certificates(&wanted, &[&identity.recipient]).publish(&lab, "certs");
    Files::dns().publish(&lab, "dns");
    let runner = Runner::of_a_release(&lab);
    runner.install(&[]).expect_code(0);
    let run = |more: &[(&str, &str)]| {
        let mut given = vec![
            ("dns_repo", "https://git.test/dns.git"),
            ("age_key", key.as_str()),
            ("acme", pebble::DIRECTORY),
            ("agree_tos", "true"),
            ("verbose", "false"),
            ("no_push", "false"),
        ];
        given.extend(more);
        let step = runner.step(1, &given).env("GIT_CERTS_CA_BUNDLE", lab.ca());
        let step = variables(&lab)
            .into_iter()
            .fold(step, |step, (name, value)| step.env(name, value));
        step.env("GITHUB_SERVER_URL", "https://git.test").run()
    };

    let first = run(&[]).expect_code(0);
    let done = "\n1 issued, 0 failed, 0 up to date\n";
    assert!(first.stdout.contains(done), "{}", first.stdout);
    assert_is_sealed(&lab, &certs);
    assert!(lab.challenges().is_empty(), "{:?}", lab.challenges());
    assert!(lab.left_over().is_empty(), "{:?}", lab.left_over());
    let outputs = fs::read_to_string(runner.temp.join("outputs")).unwrap();
    let pushed = format!("commit_sha={}\n", certs.tip(&lab));
    assert!(outputs.contains(&pushed), "{outputs}");
    let summary = fs::read_to_string(runner.temp.join("summary")).unwrap();
    let title = "### git-certs: 1 issued, 0 up to date\n";
    assert!(summary.starts_with(title), "{summary}");

    let again = run(&[]).expect_code(0);
    assert!(
        again.stdout.starts_with("nothing is due: 1 up to date"),
        "{}",
        again.stdout
    );
    let plan = run(&[("command", "plan")]).expect_code(0);
    assert!(
        plan.stdout.ends_with("\n0 due, 1 up to date\n"),
        "{}",
        plan.stdout
    );
    let none = run(&[("only", "mail")]).expect_code(2);
    assert!(
        none.stderr
            .contains("`certs.json` has no certificate `mail`"),
        "{}",
        none.stderr
    );
}

/// Fails unless the certificate `www` is there, its key encrypted.
#[track_caller]
pub fn assert_is_sealed(lab: &Lab, certs: &Remote) {
    let files = certs.files(lab);
    for file in ["www.crt", "www.json", "www.key.age"] {
        let path = format!("certificates/www/{file}");
        assert!(files.contains(&path), "{files:?}");
    }
    let key = certs.show(lab, "certificates/www/www.key.age");
    assert!(
        key.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"),
        "the key is not encrypted"
    );
}

/// The name of the input that the expression stands for.
fn input_of(value: &str) -> Option<&str> {
    value.strip_prefix("${{ inputs.")?.strip_suffix(" }}")
}

pub fn action() -> Value {
    yaml::parse(&read("action.yml"))
}

fn steps(action: &Value) -> &[Value] {
    action["runs"]["steps"].as_array().unwrap()
}

pub fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}
