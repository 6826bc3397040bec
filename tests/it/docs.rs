//! The documentation says what is true: generated pages, examples, command lines, links.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::yaml;

#[test]
fn the_page_of_the_providers_is_the_registry() {
    let page = git_certs(&["providers", "--format", "markdown"]);
    compare("docs/providers.md", &text(page.stdout));
}

#[test]
fn the_plan_in_the_readme_is_one() {
    let page = read("README.md");
    let wanted = &blocks(&page, "json")[0];
    let shown = page.split("```\n\n```text\n").nth(1).unwrap();
    let output = plan_of(wanted, "text");
    assert_eq!(output, shown.split("```").next().unwrap());
}

#[test]
fn the_example_of_a_plan_has_the_fields_of_a_plan() {
    let page = read("docs/json.md");
    let example: Value = serde_json::from_str(&blocks(&page, "json")[0]).unwrap();
    let wanted = r#"[{"cert_name": "www", "names": ["example.com"]}]"#;
    let plan: Value = serde_json::from_str(&plan_of(wanted, "json")).unwrap();
    assert_eq!(keys(&plan), keys(&example));
    assert_eq!(
        keys(&plan["certificates"][0]),
        keys(&example["certificates"][0])
    );
    assert_eq!(plan["version"], example["version"]);
}

/// What `plan` says of this certs.json where nothing is issued yet and `example.com` is a zone.
fn plan_of(wanted: &str, format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("certs.json", wanted);
    file(
        "dnsconfig.js",
        r#"D("example.com", NewRegistrar("none"), DnsProvider(NewDnsProvider("ddns")));"#,
    );
    let folder = folder.path().to_str().unwrap();
    let place = ["plan", "--dir", folder, "--dns-repo", folder];
    let output = git_certs(&[&place, ["--format", format].as_slice()].concat());
    assert!(output.status.success(), "{}", text(output.stderr));
    text(output.stdout)
}

#[test]
fn every_field_of_the_examples_is_explained() {
    let page = read("docs/json.md");
    let sections: Vec<_> = page.split("\n## ").collect();
    for (section, also) in [(sections[1], sections[2]), (sections[2], sections[1])] {
        let example = serde_json::from_str(&blocks(section, "json")[0]).unwrap();
        let mut fields = BTreeSet::new();
        fields_in(&example, &mut fields);
        for (field, kind) in fields {
            let rows = |section: &str| {
                let mut rows = section.lines().filter(|line| line.starts_with('|'));
                rows.any(|row| {
                    let cells: Vec<_> = row.split(" | ").collect();
                    cells[0].contains(&format!("`{field}`")) && cells[1].contains(kind)
                })
            };
            assert!(
                rows(section) || rows(also),
                "`{field}` is not explained as {kind}"
            );
        }
    }
}

/// Names of fields and what they hold.
fn fields_in(value: &Value, found: &mut BTreeSet<(String, &'static str)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert((name.clone(), kind(value)));
                fields_in(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields_in(value, found)),
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[test]
fn blocks_of_data_can_be_read() {
    let mut count = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "json") {
            let read = serde_json::from_str::<Value>(&block);
            assert!(read.is_ok(), "{path}: {read:?}\n{block}");
            count += 1;
        }
        for block in blocks(&page, "toml") {
            let read = block.parse::<toml::Table>();
            assert!(read.is_ok(), "{path}: {read:?}\n{block}");
            count += 1;
        }
        for block in blocks(&page, "yaml") {
            yaml::parse(&block);
            count += 1;
        }
    }
    assert!(count > 3, "only {count} blocks were found");
}

#[test]
fn command_lines_are_accepted() {
    let mut lines: Vec<(String, String)> = Vec::new();
    let spans = Regex::new("`([^`\n]+)`").unwrap();
    for (path, page) in pages() {
        for block in blocks(&page, "sh") {
            lines.extend(block.lines().map(|line| (path.clone(), line.to_owned())));
        }
        let spans = spans.captures_iter(&page).map(|span| span[1].to_owned());
        lines.extend(spans.map(|span| (path.clone(), span)));
    }
    let path = "examples/cert-repo/Makefile";
    let makefile = read(path);
    let recipe = makefile.lines().filter_map(|line| line.strip_prefix("\t@"));
    lines.extend(recipe.map(|line| (path.to_owned(), line.to_owned())));
    for command in [
        "renew",
        "plan",
        "doctor",
        "init",
        "check",
        "completions",
        "man",
        "revoke",
        "recipients list",
        "recipients add",
        "recipients remove",
        "rekey",
        "export",
        "verify",
        "status",
        "why",
        "log",
        "rollback",
        "account show",
        "account register",
        "account rollover",
        "account deactivate",
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = text(git_certs(&words).stdout);
        let examples = help.split("Examples:\n").nth(1).unwrap();
        let lines_of_help = examples.lines().map(|line| {
            let line = line.trim_start();
            line.split("   ").next().unwrap().to_owned()
        });
        lines.extend(lines_of_help.map(|line| (format!("{command} --help"), line)));
    }
    let mut count = 0;
    for (path, line) in &lines {
        if let Some(words) = words_of_ours(line) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            assert!(is_accepted(&words), "{path}: `{line}` is refused");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} command lines were found");
    assert!(!is_accepted(&["renew", "--no-such-option"]));
    assert!(!is_accepted(&["no-such-command"]));
}

/// The words after the program's name, if the line calls it.
fn words_of_ours(line: &str) -> Option<Vec<String>> {
    let words = shlex::split(line)?;
    let is_variable = |word: &&String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
    };
    let variables = words.iter().take_while(is_variable).count();
    let called: Vec<_> = words[variables..].iter().map(String::as_str).collect();
    let rest = match *called {
        ["git", "certs", ..] => &called[2..],
        ["git-certs", ..] => &called[1..],
        _ => return None,
    };
    Some(
        rest.iter()
            .map(|&word| word.to_owned())
            .take_while(|word| word != "|")
            .take_while(|word| word != ">")
            .filter(|word| word != "...")
            .collect(),
    )
}

/// Whether the parser takes the words: with `--help` at the end nothing is run. After `--` comes another command.
fn is_accepted(words: &[&str]) -> bool {
    let own: Vec<_> = words
        .iter()
        .copied()
        .take_while(|word| *word != "--")
        .collect();
    git_certs(&[&own[..], &["--help"]].concat())
        .status
        .success()
}

#[test]
fn options_in_the_text_exist() {
    let spans = Regex::new("`(--?[A-Za-z][A-Za-z-]*)[^`\n]*`").unwrap();
    let mut count = 0;
    for (path, page) in pages() {
        for span in spans.captures_iter(&page) {
            let option = &span[1];
            let known = [
                "renew",
                "plan",
                "doctor",
                "check",
                "init",
                "man",
                "revoke",
                "rekey",
                "export",
                "import",
                "verify",
                "status",
                "rollback",
                "providers",
                "print-ir",
            ]
            .iter()
            .any(|command| knows(command, option));
            assert!(known, "{path}: there is no option `{option}`");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} options were found");
    assert!(!knows("renew", "--no-such-option"));
}

#[test]
fn every_variable_that_is_read_is_documented() {
    let page = read("docs/configuration.md");
    let literal = Regex::new("\"([A-Z][A-Z_]{3,})\"").unwrap();
    let source = read("src/cli/environment.rs");
    let read_here: BTreeSet<_> = literal
        .captures_iter(&source)
        .map(|name| name[1].to_owned())
        .collect();
    assert!(read_here.contains("GIT_CERTS_TOKEN"), "{read_here:?}");
    for name in read_here {
        assert!(page.contains(&format!("`{name}`")), "`{name}` is not there");
    }
}

/// Whether the parser has the option, with or without a value.
fn knows(command: &str, option: &str) -> bool {
    let output = git_certs(&[command, option, "--help"]);
    !text(output.stderr).contains("unexpected argument")
}

#[test]
fn make_targets_exist() {
    let makefiles = read("Makefile") + &read("examples/cert-repo/Makefile");
    let called = Regex::new(r"(?m)(?:^\s*|`)make ([a-z][a-z-]*)").unwrap();
    let mut texts = pages();
    texts.push((".ci/run".to_owned(), read(".ci/run")));
    let mut found = BTreeSet::new();
    for (path, text) in texts {
        for target in called.captures_iter(&text) {
            let target = target[1].to_owned();
            assert!(
                makefiles.contains(&format!("\n{target}:")),
                "{path}: there is no target `{target}`"
            );
            found.insert(target);
        }
    }
    assert!(
        found.contains("demo") && found.contains("test"),
        "{found:?}"
    );
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s#]+)[^)]*\)").unwrap();
    let mut count = 0;
    for (path, page) in pages() {
        let folder = root().join(&path);
        for target in link.captures_iter(&page) {
            if target[1].contains("://") {
                continue;
            }
            let file = folder.parent().unwrap().join(&target[1]);
            assert!(file.exists(), "{path}: `{}` is not there", &target[1]);
            count += 1;
        }
    }
    assert!(count > 3, "only {count} links were found");
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    let page = read("CHANGELOG.md");
    let first = page.lines().find(|line| line.starts_with("## "));
    assert_eq!(first, Some("## Unreleased"));
}

/// README and everything below docs, by path.
/// A text that was changed, and not drawn again, would show here.
#[test]
fn the_pictures_are_drawn_from_their_texts() {
    let drawn = read("docs/pictures/flow.svg");
    let labels = Regex::new(r#"label="([^"]+)""#).unwrap();
    let source = read("docs/pictures/flow.dot");
    for label in labels.captures_iter(&source) {
        for line in label[1].split("\\n") {
            let line = line.replace('\'', "&#39;");
            assert!(drawn.contains(&format!(">{line}</text>")), "`{line}`");
        }
    }
    assert!(drawn.contains(&read("docs/pictures/style.css")));

    let drawn = read("docs/pictures/renew.svg");
    let session = read("docs/pictures/session.sh");
    for command in session
        .lines()
        .filter_map(|line| line.strip_prefix("type_and_run "))
    {
        let shown = command.replace('\'', "");
        assert!(drawn.contains(&format!(" {shown}<")), "`{shown}`");
    }
    for file in ["flow.svg", "renew.svg"] {
        assert!(
            read("README.md").contains(&format!("(docs/pictures/{file})")),
            "{file}"
        );
    }
}

fn pages() -> Vec<(String, String)> {
    let mut paths = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "docs/guides"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let pages = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
        paths.extend(pages.map(|name| format!("{folder}/{name}")));
    }
    paths
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

/// The fenced blocks of a language.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Compares a generated page with the file, or writes the file if `UPDATE_DOCS` is set.
fn compare(path: &str, generated: &str) {
    let file = root().join(path);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, generated).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        written, generated,
        "`{path}` is out of date: run the tests with UPDATE_DOCS=1"
    );
}

/// Runs the program outside of any lab, with nothing set and nowhere to write to.
/// Our program, where no name server is to be asked.
pub fn git_certs(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_git-certs"))
        .args(words)
        .env_clear()
        .env("GIT_CERTS_NO_DNS", "true")
        .output()
        .unwrap()
}

pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A file of this repository.
pub fn read(path: &str) -> String {
    let file = root().join(path);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn one_provider_is_shown_whole() {
    let output = git_certs(&["providers", "hetzner_v2"]);
    assert!(output.status.success(), "{}", text(output.stderr));
    let shown = text(output.stdout);
    let all = text(git_certs(&["providers"]).stdout);
    assert!(shown.starts_with("HETZNER_V2: "), "{shown}");
    assert!(
        shown.contains("(required)") && shown.contains("  - least rights: "),
        "{shown}"
    );
    assert!(all.contains(&shown), "{shown}");
    let page = text(git_certs(&["providers", "BIND", "--format", "markdown"]).stdout);
    assert!(read("docs/providers.md").contains(&page), "{page}");
    let output = git_certs(&["providers", "GODADDY"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(output.stderr),
        "error: git-certs does not speak to DNS provider `GODADDY` by itself\n\
         hint: it speaks to AXFRDDNS, AZURE_DNS, BIND, BUNNY_DNS, CLOUDFLAREAPI, CLOUDNS, DESEC, DIGITALOCEAN, DNSIMPLE, \
         GANDI_V5, GCLOUD, HETZNER, HETZNER_V2, INWX, LINODE, NAMECHEAP, NAMEDOTCOM, NETCUP, NS1, OVH, PORKBUN, POWERDNS, \
         ROUTE53, TRANSIP, VULTR; to others through `dnscontrol`\n"
    );
}
