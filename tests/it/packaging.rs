//! What is shipped: the image's recipe, the package, and the files that a run makes.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use regex::Regex;

use crate::docs::{read, root, text};
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;

#[test]
fn a_run_makes_the_files_that_the_readme_shows() {
    let nightly = Nightly::with(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
        |files, identity| {
            let recipients = format!("{}\n", identity.recipient);
            files.with(".letsencrypt/.age-recipients", &recipients)
        },
    );
    nightly.renew().expect_code(0);
    let made: BTreeSet<_> = nightly
        .certs
        .files(&nightly.lab)
        .into_iter()
        .map(|path| path.replace("acme.test", "HOST").replace("www", "NAME"))
        .collect();
    let shown = tree();
    let needed: BTreeSet<_> = shown
        .iter()
        .filter(|(path, meaning)| !meaning.ends_with("optional") || made.contains(*path))
        .map(|(path, _)| path.clone())
        .collect();
    assert_eq!(made, needed);
}

/// README's list of files: path and meaning.
fn tree() -> BTreeMap<String, String> {
    let readme = read("README.md");
    let block = readme.split("```").find(|block| block.contains("NAME.crt"));
    block
        .expect("README lists the files")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(path, meaning)| (path.to_owned(), meaning.trim().to_owned()))
        .collect()
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let recipe = read("Dockerfile");
    let minimum = toml()["package"]["rust-version"].clone();
    let rust = Regex::new(r"(?m)^ARG RUST=\S+/rust:([0-9.]+)-").unwrap();
    assert_eq!(
        &rust.captures(&recipe).unwrap()[1],
        minimum.as_str().unwrap()
    );
    let workflow = read(".github/workflows/release.yml");
    let rust = Regex::new(r"toolchain install (\S+)|cargo \+(\S+)").unwrap();
    let versions = rust.captures_iter(&workflow);
    let versions: BTreeSet<_> = versions
        .flat_map(|found| [found.get(1), found.get(2)])
        .flatten()
        .map(|version| version.as_str())
        .collect();
    assert_eq!(versions, BTreeSet::from([minimum.as_str().unwrap()]));

    let sent = read(".dockerignore");
    let copied: BTreeSet<_> = recipe
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"))
        .flat_map(|line| line.split(' ').rev().skip(1))
        .collect();
    assert_eq!(
        copied,
        BTreeSet::from(["Cargo.lock", "Cargo.toml", "examples", "src"])
    );
    for path in copied {
        assert!(root().join(path).exists(), "`{path}` is not there");
        assert!(
            sent.lines().any(|line| line == format!("!{path}")),
            "`{path}` is not sent to the builder"
        );
    }
}

#[test]
fn the_image_needs_nothing_else_to_build() {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let status = Command::new("cp").arg("-r").args([from, to]).status();
        assert!(status.unwrap().success());
    };
    for path in ["Cargo.toml", "Cargo.lock", "examples", "src"] {
        copy(&root().join(path), &folder.path().join(path));
    }
    // Reads the manifest as a build does, and everything that it names.
    let output = cargo()
        .args(["tree", "--locked", "--offline", "--prefix=none"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    let packages = text(output.stdout);
    assert!(packages.starts_with("git-certs v"), "{packages}");
    assert!(packages.contains("\ninstant-acme v"), "{packages}");
}

#[test]
fn the_package_has_the_program_and_its_documentation() {
    let output = cargo()
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let listed = text(output.stdout);
    let outside: Vec<_> = listed
        .lines()
        .filter(|path| !path.starts_with("src/") && !path.starts_with("docs/"))
        .collect();
    assert_eq!(
        outside,
        [
            ".cargo_vcs_info.json",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "Cargo.lock",
            "Cargo.toml",
            "Cargo.toml.orig",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "Makefile",
            "README.md",
            "examples/cert-repo/.age-recipients",
            "examples/cert-repo/.gitattributes",
            "examples/cert-repo/.github/workflows/deploy.yml",
            "examples/cert-repo/.github/workflows/plan.yml",
            "examples/cert-repo/.github/workflows/renew-sharded.yml",
            "examples/cert-repo/.github/workflows/renew.yml",
            "examples/cert-repo/.gitignore",
            "examples/cert-repo/.gitlab-ci.yml",
            "examples/cert-repo/Makefile",
            "examples/cert-repo/README.md",
            "examples/cert-repo/certs.json",
            "examples/cert-repo/deploy",
            "examples/cert-repo/git-certs.toml",
        ]
    );
    for path in ["src/main.rs", "src/dnscontrol/helpers.js", "docs/json.md"] {
        assert!(listed.lines().any(|line| line == path), "no `{path}`");
    }
}

#[test]
fn a_release_has_the_version_and_the_section_that_its_tag_names() {
    let release = |words: &[&str]| {
        let mut script = Command::new(root().join("scripts/release"));
        let output = script.args(words).output().unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        release(&["check", &format!("release-{version}")]),
        (Some(0), format!("{version}\n"), String::new())
    );
    let error = |words: &str| (Some(2), String::new(), format!("error: {words}\n"));
    assert_eq!(
        release(&["check", "release-99.0.0"]),
        error(&format!(
            "the tag is `release-99.0.0`, but Cargo.toml says version {version}"
        ))
    );
    let changelog = read("CHANGELOG.md");
    let section = changelog.split("## Unreleased\n\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    assert_eq!(
        release(&["notes", "Unreleased"]),
        (Some(0), section.to_owned(), String::new())
    );
    assert_eq!(
        release(&["notes", "99.0.0"]),
        error("CHANGELOG.md says nothing under `## 99.0.0`")
    );
    let (code, stdout, usage) = release(&["no-such-part"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(usage.matches("scripts/release ").count(), 6);
}

/// The cargo that runs the tests.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").expect("cargo runs the tests"))
}

fn toml() -> toml::Table {
    read("Cargo.toml").parse().unwrap()
}
