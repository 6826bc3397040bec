//! What no output of the program may have in it, whichever test it is that runs it.

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

/// By the names that tests give to secrets.
fn is_secret(variable: &str) -> bool {
    let words = [
        "TOKEN", "SECRET", "PASSWORD", "HMAC", "AGE_KEY", "API_KEY", "TSIG_KEY",
    ];
    words.iter().any(|word| variable.contains(word)) && !variable.ends_with("_FILE")
}
