//! The house keeps its shape: who imports whom, sizes, headers, nothing left to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

/// Every room with its floor. A room imports only from floors below its own.
const ROOMS: [(&str, u8); 12] = [
    ("model", 0),
    ("net", 1),
    ("acme", 2),
    ("dns", 2),
    ("dnscontrol", 2),
    ("provider", 2),
    ("repo", 2),
    ("report", 2),
    ("nightly", 3),
    ("cli", 4),
    ("lib", 5),
    ("main", 5),
];

/// Lines of a file of `src/`, its tests not counted.
const MAX_LINES: usize = 400;

#[test]
fn rooms_import_only_from_floors_below() {
    let files = files(&["src"], &["rs"]);
    let tests = test_only_files(&files);
    let faults: Vec<_> = files
        .iter()
        .filter(|(path, _)| !tests.contains(path))
        .flat_map(|(path, text)| import_faults(path, text))
        .collect();
    assert_eq!(faults.join("\n"), "");
}

#[test]
fn no_file_is_too_long() {
    let files = files(&["src"], &["rs"]);
    let tests = test_only_files(&files);
    let faults: Vec<_> = files
        .iter()
        .filter(|(path, _)| !tests.contains(path))
        .filter_map(|(path, text)| size_fault(path, text))
        .collect();
    assert_eq!(faults.join("\n"), "");
}

#[test]
fn every_file_says_what_it_is() {
    let faults: Vec<_> = files(&["src", "tests", "benches", "fuzz"], &["rs"])
        .iter()
        .filter_map(|(path, text)| header_fault(path, text))
        .collect();
    assert_eq!(faults.join("\n"), "");
}

#[test]
fn nothing_is_left_to_do() {
    let faults: Vec<_> = files(
        &["src", "tests", "benches", "fuzz", "scripts", "examples"],
        &["rs", "js", "sh", ""],
    )
    .iter()
    .flat_map(|(path, text)| left_faults(path, text))
    .collect();
    assert_eq!(faults.join("\n"), "");
}

/// Places in a file of `src/` that name a room which the file's own room may not import.
fn import_faults(path: &str, text: &str) -> Vec<String> {
    let modules = module_path(path);
    let Some(floor) = floor(&modules[0]) else {
        return vec![format!(
            "{path}:1: `{}` is no room: DESIGN and tests/it/shape.rs list them",
            modules[0]
        )];
    };
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(code(text).lines()) {
        for target in rooms_named(line, modules.len()) {
            let allowed = target == modules[0]
                || ROOMS
                    .iter()
                    .any(|(room, at)| *room == target && *at < floor);
            if !allowed && ROOMS.iter().any(|(room, _)| *room == target) {
                faults.push(format!(
                    "{path}:{number}: `{}` (floor {floor}) must not import `{target}`",
                    modules[0]
                ));
            }
        }
        if line.contains("use crate::{") || line.contains("use crate::*") {
            faults.push(format!(
                "{path}:{number}: name one room in each `use crate::`"
            ));
        }
    }
    faults
}

/// Rooms that a line names, by `crate::ROOM` or by enough `super::` to leave the file's own room.
fn rooms_named(line: &str, depth: usize) -> Vec<String> {
    let mut rooms = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in line.match_indices(start) {
            let before = line[..at].chars().next_back();
            let in_path = before.is_some_and(|c| c == ':' || c == '$' || is_word(c));
            if in_path {
                continue;
            }
            let mut rest = &line[at..];
            let mut up = 0;
            while let Some(next) = rest.strip_prefix("super::") {
                (rest, up) = (next, up + 1);
            }
            if start == "crate::" {
                rest = &rest[start.len()..];
            } else if up < depth {
                continue;
            }
            rooms.push(rest.chars().take_while(|c| is_word(*c)).collect());
        }
    }
    rooms
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn size_fault(path: &str, text: &str) -> Option<String> {
    let lines = without_tests(text).lines().count();
    (lines > MAX_LINES).then(|| {
        let past = MAX_LINES + 1;
        format!("{path}:{past}: {lines} lines without tests, {MAX_LINES} are the limit: is this two things?")
    })
}

fn header_fault(path: &str, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let says = first
        .strip_prefix("//! ")
        .is_some_and(|words| !words.trim().is_empty());
    (!says)
        .then(|| format!("{path}:1: does not begin with a `//!` line that says what the file is"))
}

fn left_faults(path: &str, text: &str) -> Vec<String> {
    // In two parts, so that this file does not find itself.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["todo", "!"],
        ["unimple", "mented!"],
    ]
    .map(|half| half.concat());
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for word in &words {
            let found = line.match_indices(word.as_str()).any(|(at, _)| {
                let after = line[at + word.len()..].chars().next();
                let before = line[..at].chars().next_back();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            });
            if found {
                faults.push(format!("{path}:{number}: `{word}`"));
            }
        }
    }
    faults
}

/// `src/acme/order.rs` is module `acme::order`; `src/acme/mod.rs` is `acme`.
fn module_path(path: &str) -> Vec<String> {
    let path = path
        .strip_prefix("src/")
        .unwrap()
        .strip_suffix(".rs")
        .unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

fn floor(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, floor)| *floor)
}

/// The text before the tests at the end of the file.
fn without_tests(text: &str) -> &str {
    let tests = text.match_indices("\n#[cfg(test)]\n").find(|(at, mark)| {
        let mut after = text[at + mark.len()..].lines();
        // Exceptions from lints may stand between the two.
        after
            .find(|line| line.starts_with("mod ") || line.is_empty())
            .is_some_and(|line| line.starts_with("mod tests {"))
    });
    tests.map_or(text, |(at, _)| &text[..=at])
}

/// The text before the tests with comments blanked, line for line.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in without_tests(text).lines() {
        if !line.trim_start().starts_with("//") {
            code.push_str(line.split(" // ").next().unwrap_or_default());
        }
        code.push('\n');
    }
    code
}

/// Files that are compiled for tests only: `#[cfg(test)] mod NAME;`, or `#![cfg(test)]` at their top.
fn test_only_files(files: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in files {
        if text.contains("\n#![cfg(test)]\n") {
            found.insert(path.clone());
        }
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let declared = pair[1]
                .strip_suffix(';')
                .and_then(|line| line.split("mod ").nth(1));
            if let ("#[cfg(test)]", Some(name)) = (pair[0], declared) {
                let folder = path
                    .strip_suffix("/mod.rs")
                    .or_else(|| path.strip_suffix(".rs"))
                    .unwrap();
                let folder = folder.trim_end_matches("/lib");
                found.insert(format!("{folder}/{name}.rs"));
                found.insert(format!("{folder}/{name}/mod.rs"));
            }
        }
    }
    found
}

/// All files below the folders with one of the extensions, by path from the repository's root.
fn files(folders: &[&str], extensions: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let extension = path.extension().unwrap_or_default();
        if extensions.iter().any(|wanted| extension == *wanted)
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap();
            files.push((path.to_str().unwrap().to_owned(), text));
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no files below {folders:?}");
    files
}

#[test]
fn imports_that_break_the_rule_are_found() {
    let text = "\
//! Orders; see [`crate::dns::wait`].
use std::fmt;

use crate::model::name::DnsName;
use crate::provider::port;
use super::account;
// use crate::repo::git;
fn f() -> crate::net::http::Client { super::super::nightly::run() }

#[cfg(test)]
mod tests {
    use crate::dns::lookup;
}
";
    assert_eq!(
        import_faults("src/acme/order.rs", text),
        [
            "src/acme/order.rs:5: `acme` (floor 2) must not import `provider`",
            "src/acme/order.rs:8: `acme` (floor 2) must not import `nightly`",
        ]
    );
    assert_eq!(
        import_faults("src/net/mod.rs", "use super::acme::order;\n"),
        ["src/net/mod.rs:1: `net` (floor 1) must not import `acme`"]
    );
    assert_eq!(
        import_faults(
            "src/nightly/run.rs",
            "use crate::{acme, cli};\nuse crate::report::json;\n"
        ),
        ["src/nightly/run.rs:1: name one room in each `use crate::`"]
    );
    assert_eq!(
        import_faults("src/attic/mod.rs", ""),
        ["src/attic/mod.rs:1: `attic` is no room: DESIGN and tests/it/shape.rs list them"]
    );
}

#[test]
fn other_faults_are_found() {
    let long = "line\n".repeat(401);
    assert_eq!(
        size_fault("src/a.rs", &long).unwrap(),
        "src/a.rs:401: 401 lines without tests, 400 are the limit: is this two things?"
    );
    let tests = format!(
        "{}\n#[cfg(test)]\nmod tests {{\n{long}}}\n",
        "line\n".repeat(399)
    );
    assert_eq!(size_fault("src/a.rs", &tests), None);

    assert!(header_fault("src/a.rs", "use std::fmt;\n").is_some());
    assert!(header_fault("src/a.rs", "//!\n//! late\n").is_some());
    assert_eq!(header_fault("src/a.rs", "//! A file.\n"), None);

    let word = ["TO", "DO"].concat();
    assert_eq!(
        left_faults(
            "src/a.rs",
            &format!("// fine\n// {word}: later\n// {word}S\n")
        ),
        [format!("src/a.rs:2: `{word}`")]
    );

    let declared = [(
        "src/provider/mod.rs".to_owned(),
        "mod port;\n#[cfg(test)]\nmod conformance;\n".to_owned(),
    )];
    assert!(test_only_files(&declared).contains("src/provider/conformance.rs"));
    assert!(!test_only_files(&declared).contains("src/provider/port.rs"));
}
