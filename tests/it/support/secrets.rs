//! What no output of the program may have in it, whichever test it is that runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use crate::support::{bind, git_server, pebble, powerdns};

/// Shorter values are in ordinary words.
const SHORTEST: usize = 8;

/// Fails if the program said a secret of the lab, a private key, or one that it got in a variable; or if it panicked.
///
/// `line` is what was run. GitHub's runner takes the lines of `::add-mask::` out, where it was told that it is one.
#[track_caller]
pub fn check<'a>(
    line: &str,
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    said: [&str; 2],
) {
    static KEYS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("AGE-SECRET-KEY-1[0-9A-Za-z]{20}|AGE-PLUGIN-[A-Z0-9]+-1[0-9A-Z]{20}|-----BEGIN [A-Z ]*PRIVATE KEY-----")
            .unwrap()
    });
    let variables: Vec<_> = variables.into_iter().collect();
    let on_github = variables.contains(&("GITHUB_ACTIONS", "true"));
    let said: String = said
        .concat()
        .split_inclusive('\n')
        .filter(|line| !(on_github && line.starts_with("::add-mask::")))
        .collect();
    let tsig = bind::TSIG.rsplit(':').next().unwrap();
    let of_lab = [tsig, powerdns::API_KEY, pebble::EAB_KEY, git_server::TOKEN];
    let given = variables
        .iter()
        .filter(|(name, _)| is_secret(name))
        .flat_map(|(_, value)| value.lines().map(str::trim))
        .filter(|value| value.len() >= SHORTEST && !value.starts_with(['#', '/', '-']));
    for secret in of_lab.into_iter().chain(given) {
        assert!(!said.contains(secret), "`{line}` said `{secret}`:\n{said}");
    }
    let key = KEYS.find(&said).map(|found| found.as_str());
    assert_eq!(key, None, "`{line}` said a key:\n{said}");
    assert!(!said.contains("panicked at"), "`{line}` panicked:\n{said}");
}

/// The same of the files that a run has written for others to read; those that were there before count, too.
///
/// `words` is what the program was called with, `folder` where.
#[track_caller]
pub fn check_reports<'a>(
    words: &[&str],
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    (folder, shown_on_purpose): (&Path, &[String]),
) {
    let variables: Vec<_> = variables.into_iter().collect();
    let secrets: Vec<_> = variables
        .iter()
        .copied()
        .filter(|(name, _)| is_secret(name))
        .collect();
    for path in reports(words, &variables, folder) {
        // Files that cannot be written are in tests as well, named pipes, and what is no text.
        if !path.is_file() {
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = shown_on_purpose
            .iter()
            .fold(text, |text, secret| text.replace(secret, ""));
        let line = format!("{words:?}, in `{}`", path.display());
        check(&line, secrets.iter().copied(), [&text, ""]);
    }
}

/// Options and variables that name files for reports.
const OPTIONS: [&str; 4] = ["--output", "-o", "--summary-file", "--output-file"];
const VARIABLES: [&str; 4] = [
    "GITHUB_STEP_SUMMARY",
    "GITHUB_OUTPUT",
    "GIT_CERTS_SUMMARY_FILE",
    "GIT_CERTS_OUTPUT_FILE",
];

/// Files that a run may write reports to.
pub fn reports(words: &[&str], variables: &[(&str, &str)], folder: &Path) -> Vec<PathBuf> {
    let own = words.iter().take_while(|word| **word != "--");
    let own: Vec<_> = own.copied().collect();
    let next = own.windows(2).filter(|pair| OPTIONS.contains(&pair[0]));
    let next = next.map(|pair| pair[1]);
    let joined = own.iter().filter_map(|word| {
        let (option, file) = word.split_once('=')?;
        OPTIONS.contains(&option).then_some(file)
    });
    let named = variables.iter();
    let named = named.filter(|(name, value)| VARIABLES.contains(name) && !value.is_empty());
    let named = named.map(|(_, value)| *value);
    let all = next.chain(joined).chain(named);
    all.map(|file| folder.join(file)).collect()
}

/// By the names that tests give to secrets.
fn is_secret(variable: &str) -> bool {
    let words = [
        "TOKEN", "SECRET", "PASSWORD", "HMAC", "AGE_KEY", "API_KEY", "TSIG_KEY",
    ];
    words.iter().any(|word| variable.contains(word)) && !variable.ends_with("_FILE")
}
