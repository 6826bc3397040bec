//! release.yml, as it stands, run by act for all platforms: git, `gh` and the archives are real, GitHub's API is the lab's, and
//! toolchains, registries and signatures have stand-ins that know the calls which they stand for (`runner_tools.sh`).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::act::act;
use crate::action::Runner;
use crate::docs::{read, root};
use crate::support::cert_repo::sha256;
use crate::support::command::Output;
use crate::support::lab::Lab;
use crate::support::namespace::PATH;
use crate::support::{git_server, github};

const WORKFLOW: &str = ".github/workflows/release.yml";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const TARGETS: [&str; 4] = [
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-unknown-linux-musl",
];
/// What a release takes of the repository.
const FILES: [&str; 11] = [
    ".github",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "action",
    "action.yml",
    "scripts",
];
const PLACE: &str = "runners";
/// Programs that a runner of the lab has not.
const TOOLS: [&str; 6] = ["apt-get", "cargo", "docker", "go", "rustup", "sudo"];
/// What stands for <https://github.com/actions/attest>.
const ATTEST: &str = r#"
name: attest
inputs:
  subject-path: {default: ""}
  subject-name: {default: ""}
  subject-digest: {default: ""}
  sbom-path: {default: ""}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        FILE: ${{ inputs.subject-path }}
        NAME: ${{ inputs.subject-name }}
        DIGEST: ${{ inputs.subject-digest }}
        LIST: ${{ inputs.sbom-path }}
      run: |
        if [ -n "$FILE" ]; then
          [ -s "$FILE" ] && [ -z "$NAME$DIGEST" ]
        else
          [ -n "$NAME" ] && [[ "$DIGEST" =~ ^sha256:[0-9a-f]{64}$ ]]
        fi
        [ -z "$LIST" ] || [ -s "$LIST" ]
        echo "attest ${FILE##*/} ${LIST##*/} $NAME $DIGEST" | xargs >> "$DONE"
"#;
/// What stands for <https://github.com/rust-lang/crates-io-auth-action>.
const AUTH: &str = r"
name: auth
outputs:
  token: {value: token-of-the-registry}
runs:
  using: composite
  steps:
    - shell: bash
      run: true
";

/// The project's own repository at `https://github.com`, with a commit and a tag for a release.
struct Project {
    lab: Lab,
    checkout: PathBuf,
    /// The released commit.
    commit: String,
}

impl Project {
    fn new() -> Self {
        let lab = Lab::builder().github().start();
        let bare = git_server::make_repository(lab.namespace(), "git-certs/git-certs");
        let checkout = lab.folder().join("project");
        fs::create_dir(&checkout).unwrap();
        let mut copy = lab.command("cp").arg("-r");
        for file in FILES {
            copy = copy.arg(root().join(file));
        }
        copy.arg(&checkout).succeed();
        drop(fs::remove_file(checkout.join("action/release.sha256")));
        let changes = read("CHANGELOG.md");
        let heading = format!("## Unreleased\n\n## {VERSION}\n");
        let released = changes.replacen("## Unreleased\n", &heading, 1);
        assert_ne!(released, changes);
        fs::write(checkout.join("CHANGELOG.md"), released).unwrap();

        let git = |args: &[&str]| lab.git(&checkout, args);
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "A release"]);
        let tag = format!("release-{VERSION}");
        git(&["tag", &tag]);
        git(&["push", "--quiet", bare.to_str().unwrap(), "main", &tag]);
        let address = "https://github.com/git-certs/git-certs";
        git(&["remote", "add", "origin", address]);
        let commit = git(&["rev-parse", "HEAD"]).stdout.trim().to_owned();
        Self {
            lab,
            checkout,
            commit,
        }
    }

    /// Runs a workflow's text as GitHub does when the tag is pushed.
    fn run(&self, workflow: &str, tag: &str, jobs: &[&str]) -> Output {
        let lab = &self.lab;
        let runner = self.place();
        let file = lab.namespace().write("workflows/release.yml", workflow);
        let event = format!(r#"{{"ref": "refs/tags/{tag}"}}"#);
        let event = lab.namespace().write("event.json", event);
        let launcher = self.make_runner(&runner);
        let mut command = act(lab)
            .args(["push", "--action-offline-mode", "--env"])
            .arg(format!("HOME={}", lab.folder().join("home").display()))
            .arg("--workflows")
            .arg(file)
            .arg("--eventpath")
            .arg(event)
            .args(jobs.iter().flat_map(|job| ["--job", job]))
            .args(["--secret", "GITHUB_TOKEN"])
            .folder(&self.checkout)
            .env("GITHUB_TOKEN", git_server::TOKEN)
            .env("PATH", format!("{}:{PATH}", runner.join("bin").display()))
            .deadline(Duration::from_mins(5));
        for platform in ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15"] {
            let platform = format!("{platform}=-self-hosted");
            command = command.arg("--platform").arg(platform);
        }
        for line in read(WORKFLOW).lines() {
            let Some((_, used)) = line.split_once("uses: ") else {
                continue;
            };
            let used = used.split_once(" #").unwrap().0;
            let (name, _) = used.split_once('@').unwrap();
            let stands = runner.join(name.replace('/', "-"));
            if stands.exists() {
                let stands = format!("{used}={}", stands.display());
                command = command.arg("--local-repository").arg(stands);
            }
        }
        let ca = lab.ca().display().to_string();
        for (name, value) in [
            ("DONE", self.done()),
            ("MADE", runner.join("made")),
            ("LAUNCHER", launcher),
            ("GIT_SSL_CAINFO", PathBuf::from(&ca)),
            ("SSL_CERT_FILE", PathBuf::from(&ca)),
            ("REGISTRY_TOKEN", PathBuf::from(git_server::TOKEN)),
        ] {
            let variable = format!("{name}={}", value.display());
            command = command.arg("--env").arg(variable);
        }
        command.run()
    }

    /// Makes it, and returns the program that a build makes, which is static as a release's is.
    fn make_runner(&self, runner: &Path) -> PathBuf {
        let lab = &self.lab;
        let launcher = runner.join("launcher");
        if launcher.exists() {
            return launcher;
        }
        let write = |name: &str, text: &str| {
            let path = format!("{PLACE}/{name}");
            lab.namespace().write(&path, text)
        };
        write("actions-attest/action.yml", ATTEST);
        write("rust-lang-crates-io-auth-action/action.yml", AUTH);
        let tools = write("tools.sh", include_str!("support/runner_tools.sh"));
        fs::set_permissions(&tools, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(runner.join("bin")).unwrap();
        for name in TOOLS {
            symlink(&tools, runner.join("bin").join(name)).unwrap();
        }
        let program = env!("CARGO_BIN_EXE_git-certs");
        let source = format!(
            "#include <unistd.h>\nint main(int count, char **words) {{ return execv(\"{program}\", words); }}\n"
        );
        let source = write("launcher.c", &source);
        lab.command("gcc")
            .args(["-static-pie", "-o"])
            .args([&launcher, &source])
            .succeed();
        launcher
    }

    /// What stands for GitHub's runners.
    fn place(&self) -> PathBuf {
        self.lab.folder().join(PLACE)
    }

    /// What the stand-ins did.
    fn done(&self) -> PathBuf {
        self.place().join("done")
    }

    /// All references of the repository at GitHub.
    fn refs(&self) -> Vec<String> {
        let format = "--format=%(refname)";
        let bare = self.bare();
        let refs = self.lab.git(&bare, &["for-each-ref", format]).stdout;
        refs.lines().map(str::to_owned).collect()
    }

    fn bare(&self) -> PathBuf {
        self.lab.folder().join("git/git-certs/git-certs.git")
    }

    fn show(&self, args: &[&str]) -> String {
        self.lab.git(&self.bare(), args).stdout
    }
}

#[test]
fn a_tag_makes_a_release_that_the_action_installs() {
    let project = Project::new();
    let lab = &project.lab;
    let tag = format!("release-{VERSION}");
    project.run(&read(WORKFLOW), &tag, &[]).expect_code(0);

    let releases = github::releases(lab);
    let [release] = &releases[..] else {
        panic!("{releases:?}")
    };
    assert_eq!(release["tag_name"], format!("v{VERSION}"));
    assert_eq!(release["name"], VERSION);
    assert_eq!(release["draft"], false);
    assert_eq!(release["target_commitish"], project.commit.as_str());
    let body = release["body"].as_str().unwrap();
    let changes = read("CHANGELOG.md");
    assert_eq!(
        body.trim(),
        changes.split("## Unreleased\n").nth(1).unwrap().trim()
    );
    let mut wanted: BTreeSet<_> = TARGETS
        .iter()
        .flat_map(|target| ["tar.gz", "cdx.json"].map(|end| format!("git-certs-{target}.{end}")))
        .collect();
    wanted.insert("release.sha256".to_owned());
    assert_eq!(names(release), wanted);
    assert_eq!(done(&project), wanted_calls(&project.commit));

    assert_tags(&project);
    // Others find it as it is published.
    let folder = git_server::releases(lab.namespace()).join(format!("v{VERSION}"));
    fs::create_dir_all(&folder).unwrap();
    for name in names(release) {
        fs::copy(github::asset(lab, &name), folder.join(name)).unwrap();
    }
    let version = format!("v{VERSION}");
    let sums = project.show(&["show", &format!("{version}:action/release.sha256")]);
    let said = Runner::with_sums(lab, &sums).install(&[]).expect_code(0);
    let address =
        format!("https://git.test/releases/{version}/git-certs-x86_64-unknown-linux-musl.tar.gz");
    assert!(said.stdout.contains(&address), "{}", said.stdout);

    let before = github::releases(lab);
    let again = project.run(&read(WORKFLOW), &tag, &[]).expect_code(1);
    let error = format!("error: `{version}` is released: run failed jobs again, not all of them");
    assert!(again.stdout.contains(&error), "{}", again.stdout);
    assert_eq!(github::releases(lab), before);
}

/// A run that cannot publish is run again, its last job alone, as "re-run failed jobs" does.
#[test]
fn a_release_that_failed_at_its_end_is_run_again() {
    let project = Project::new();
    let lab = &project.lab;
    let workflow = read(WORKFLOW);
    let tag = format!("release-{VERSION}");
    // What publishes cannot upload.
    let last = "        run: scripts/release publish";
    let mark = lab.folder().join("github/refuses");
    let refused = format!(
        "        run: touch {} && scripts/release publish",
        mark.display()
    );
    let failing = workflow.replace(last, &refused);
    assert_ne!(failing, workflow);
    let output = project.run(&failing, &tag, &[]).expect_code(1);
    assert!(output.stdout.contains("HTTP 503"), "{}", output.stdout);
    assert_eq!(github::releases(lab)[0]["draft"], true);
    // Nobody is led to what nobody can download.
    let floating = format!("refs/tags/v{}", VERSION.split('.').next().unwrap());
    assert!(!project.refs().contains(&floating));
    let published = format!("v{VERSION}");
    let before = project.show(&["rev-parse", &published]);

    github::accepts(lab);
    let again = workflow
        .replace("    needs: [draft, build, image]\n", "")
        .replace("${{ needs.draft.outputs.version }}", VERSION);
    let output = project.run(&again, &tag, &["publish"]).expect_code(0);
    assert!(
        output.stdout.contains("Everything up-to-date"),
        "{}",
        output.stdout
    );
    let releases = github::releases(lab);
    assert_eq!(releases.len(), 1);
    assert_eq!(releases[0]["draft"], false);
    assert_eq!(project.show(&["rev-parse", &published]), before);
    assert_tags(&project);
}

#[test]
fn a_tag_of_another_version_makes_nothing() {
    let project = Project::new();
    let output = project.run(&read(WORKFLOW), "release-99.0.0", &[]);
    let output = output.expect_code(1);
    let error =
        format!("error: the tag is `release-99.0.0`, but Cargo.toml says version {VERSION}");
    assert!(
        output.stderr.contains(&error) || output.stdout.contains(&error),
        "{}{}",
        output.stdout,
        output.stderr
    );
    assert!(github::releases(&project.lab).is_empty());
    assert!(!project.done().exists());
}

/// One that is none for everybody would move the floating tags.
#[test]
fn a_version_before_a_release_is_refused() {
    let project = Project::new();
    let file = project.checkout.join("Cargo.toml");
    let manifest = fs::read_to_string(&file).unwrap();
    let version = format!("version = \"{VERSION}\"");
    let early = manifest.replacen(&version, "version = \"1.0.0-rc.1\"", 1);
    fs::write(&file, early).unwrap();
    let said = project
        .lab
        .command("sh")
        .arg(project.checkout.join("scripts/release"))
        .args(["check", "release-1.0.0-rc.1"])
        .run()
        .expect_code(2);
    let error = "error: version 1.0.0-rc.1 of Cargo.toml is not of three numbers\n";
    assert_eq!(said.stderr, error);
}

fn names(release: &Value) -> BTreeSet<String> {
    let assets = release["assets"].as_array().unwrap();
    let names = assets.iter().map(|asset| asset["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// What the stand-ins were asked for, sorted: jobs run at once.
fn done(project: &Project) -> Vec<String> {
    let text = fs::read_to_string(project.done()).unwrap();
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("apt-get"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

/// Two tags of one commit, which the archives' sums make of the released one.
#[track_caller]
fn assert_tags(project: &Project) {
    let major = VERSION.split('.').next().unwrap();
    assert_eq!(
        project.refs(),
        [
            "refs/heads/main".to_owned(),
            format!("refs/tags/release-{VERSION}"),
            format!("refs/tags/v{major}"),
            format!("refs/tags/v{VERSION}"),
        ]
    );
    let version = format!("v{VERSION}");
    let tip = |name: &str| project.show(&["rev-parse", name]);
    assert_eq!(tip(&format!("v{major}")), tip(&version));
    assert_eq!(tip("main").trim(), project.commit);
    let log = project.show(&["log", "--format=%an%n%s%n%P", "--name-only", "-1", &version]);
    assert_eq!(
        log,
        format!(
            "github-actions[bot]\nSums of release {VERSION}\n{}\n\naction/release.sha256\n",
            project.commit
        )
    );
    let sums = project.show(&["show", &format!("{version}:action/release.sha256")]);
    let mut wanted = String::new();
    for target in TARGETS {
        let name = format!("git-certs-{target}.tar.gz");
        let archive = fs::read(github::asset(&project.lab, &name)).unwrap();
        wanted.push_str(&format!("{}  {version}/{name}\n", sha256(&archive)));
    }
    assert_eq!(sums, wanted);
}

/// Each platform has an archive that is attested, and each kind of image one name for all platforms, which is signed.
fn wanted_calls(commit: &str) -> Vec<String> {
    let install = "rustup toolchain install 1.95 --profile minimal";
    let mut calls = vec![
        install.to_owned(),
        "cargo +1.95 publish --locked".to_owned(),
        "go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3".to_owned(),
    ];
    for target in TARGETS {
        let name = format!("git-certs-{target}");
        calls.extend([
            format!("{install} --target {target}"),
            format!("cargo +1.95 build --release --locked --target {target}"),
            "cargo install --locked --quiet cargo-cyclonedx@0.5.9".to_owned(),
            format!("cargo cyclonedx --quiet --format json --target {target} --override-filename {name}.cdx"),
            format!("attest {name}.tar.gz"),
            format!("attest {name}.tar.gz {name}.cdx.json"),
        ]);
    }
    let login = "docker login ghcr.io --username nektos/act --password-stdin";
    calls.extend([login; 3].map(str::to_owned));
    let repository = "ghcr.io/git-certs/git-certs";
    let minor = VERSION.rsplit_once('.').unwrap().0;
    let major = VERSION.split('.').next().unwrap();
    for (kind, end) in [("prebuilt", ""), ("distroless", "-distroless")] {
        let of_platform =
            ["amd64", "arm64"].map(|name| format!("{repository}:{VERSION}-{kind}-{name}"));
        for image in &of_platform {
            calls.push(format!(
                "docker build --target {kind} --tag {image} --file Dockerfile --provenance=false \
                 --label org.opencontainers.image.version={VERSION} --label org.opencontainers.image.revision={commit} context"
            ));
            calls.push(format!("docker push --quiet {image}"));
        }
        let image = format!("{repository}:{VERSION}{end}");
        calls.push(format!(
            "docker buildx imagetools create --tag {image} --tag {repository}:{minor}{end} --tag {repository}:{major}{end} {}",
            of_platform.join(" ")
        ));
        // The stand-in's digest of a name.
        let digest = sha256(format!("{image}\n").as_bytes());
        calls.push(format!("cosign sign --yes {repository}@sha256:{digest}"));
        calls.push(format!("attest {repository} sha256:{digest}"));
    }
    calls.sort();
    calls
}
