//! Cloudflare's page rules, as `CF_REDIRECT` has them, become expressions of single redirects.
//!
//! Only the patterns that DNSControl converts are converted, to the same expressions.

use anyhow::{Context, Result, anyhow, ensure};
use url::Url;

use crate::model::hint::Hint;

/// A condition and a target, as expressions of Cloudflare's rules language.
pub(super) struct Rule {
    pub(super) when: String,
    pub(super) then: String,
}

/// The rule for requests that match `pattern`, which may have `*`, to `replacement`, which may
/// have `$1` and so on.
pub(super) fn rule(pattern: &str, replacement: &str) -> Result<Rule> {
    let from = Parts::of(pattern)?;
    let to = Parts::of(replacement)?;
    let unknown = |what: &str, text: &str| {
        Err(anyhow!(
            "the {what} `{text}` has no counterpart among single redirects"
        ))
        .hint(|| "write the rule with `CF_SINGLE_REDIRECT`")
    };
    let Some(when) = condition(&from) else {
        return unknown("pattern", pattern);
    };
    let Some(then) = target(&from, &to) else {
        return unknown("replacement", replacement);
    };
    Ok(Rule { when, then })
}

/// A URL without a scheme, or any of them, as host and path; both as written.
struct Parts {
    whole: String,
    host: String,
    path: String,
}

impl Parts {
    fn of(text: &str) -> Result<Self> {
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"))
            .unwrap_or(text);
        let whole = format!("https://{rest}");
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, after) = rest.split_at(end);
        let path = after.split(['?', '#']).next().unwrap_or_default();
        // Stars are no part of host names elsewhere.
        Url::parse(&whole.replace('*', "x")).with_context(|| format!("`{text}` is not a URL"))?;
        ensure!(
            !host.contains(':'),
            "`{text}` has a port, which no rule can match"
        );
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
            whole,
        })
    }
}

fn stars(text: &str) -> usize {
    text.matches('*').count()
}

fn condition(from: &Parts) -> Option<String> {
    let (host, path) = (from.host.as_str(), from.path.as_str());
    let leading = host.strip_prefix('*').filter(|rest| stars(rest) == 0);
    let is_host = format!("http.host eq \"{host}\"");
    if stars(host) == 0 {
        return match path {
            "" | "/" => Some(format!("{is_host} and http.request.uri.path eq \"/\"")),
            "/*" => Some(is_host),
            _ if stars(path) == 0 => {
                Some(format!("{is_host} and http.request.uri.path eq \"{path}\""))
            }
            _ => {
                let start = path.strip_suffix('*').filter(|start| stars(start) == 0)?;
                Some(format!(
                    "(starts_with(http.request.uri.path, \"{start}\") and {is_host})"
                ))
            }
        };
    }
    if let Some(rest) = leading {
        let below = format!("http.host eq \"{rest}\" or ends_with(http.host, \".{rest}\")");
        return match path {
            "/*" => Some(below),
            _ if stars(path) == 0 => Some(format!(
                "( {below} ) and http.request.uri.path eq \"{path}\""
            )),
            _ => None,
        };
    }
    (path == "/*").then(|| format!("http.host matches r###\"{}\"###", expression(host)))
}

/// A pattern of a host as a regular expression.
fn expression(glob: &str) -> String {
    let start = if glob.starts_with('*') { "" } else { "^" };
    let end = if glob.ends_with('*') { "" } else { "$" };
    let inner = glob.replace('.', r"\.").replace('*', ".*");
    format!("{start}{inner}{end}")
}

fn target(from: &Parts, to: &Parts) -> Option<String> {
    let whole = to.whole.as_str();
    let with_path = format!("concat(\"https://{}\", http.request.uri.path)", to.host);
    match whole.matches('$').count() {
        0 => return Some(format!("concat(\"{whole}\", \"\")")),
        1 => {}
        _ => return None,
    }
    let leading = from.host.starts_with('*') && stars(&from.host) == 1;
    let second = to.path.strip_suffix("/$2");
    if let Some(start) = second.filter(|start| leading && !start.is_empty()) {
        return Some(format!(
            "concat(\"https://{}\", \"{start}\", http.request.uri.path)",
            to.host
        ));
    }
    let both = stars(&from.host) == 1 && stars(&from.path) == 1;
    let keeps_path = to.path == "/$1" || (both && second.is_some()) || whole.ends_with("$1");
    keeps_path.then_some(with_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_rules_become_expressions() {
        for (pattern, replacement, when, then) in [
            (
                "a.test",
                "https://b.test",
                r#"http.host eq "a.test" and http.request.uri.path eq "/""#,
                r#"concat("https://b.test", "")"#,
            ),
            (
                "http://a.test/*",
                "http://b.test/$1",
                r#"http.host eq "a.test""#,
                r#"concat("https://b.test", http.request.uri.path)"#,
            ),
            (
                "a.test/old",
                "b.test/new?x=1",
                r#"http.host eq "a.test" and http.request.uri.path eq "/old""#,
                r#"concat("https://b.test/new?x=1", "")"#,
            ),
            (
                "*a.test/",
                "https://b.test",
                r#"( http.host eq "a.test" or ends_with(http.host, ".a.test") ) and http.request.uri.path eq "/""#,
                r#"concat("https://b.test", "")"#,
            ),
            (
                "*a.test/*",
                "https://b.test/sub/$2",
                r#"http.host eq "a.test" or ends_with(http.host, ".a.test")"#,
                r#"concat("https://b.test", "/sub", http.request.uri.path)"#,
            ),
            (
                "*a.test/*",
                "https://b.test/$2",
                r#"http.host eq "a.test" or ends_with(http.host, ".a.test")"#,
                r#"concat("https://b.test", http.request.uri.path)"#,
            ),
            (
                "x.*a.test/*",
                "https://b.test/$2",
                r####"http.host matches r###"^x\..*a\.test$"###"####,
                r#"concat("https://b.test", http.request.uri.path)"#,
            ),
            (
                "a.test/.well-known*",
                "https://b.test/.well-known$1",
                r#"(starts_with(http.request.uri.path, "/.well-known") and http.host eq "a.test")"#,
                r#"concat("https://b.test", http.request.uri.path)"#,
            ),
        ] {
            let rule = rule(pattern, replacement).unwrap();
            assert_eq!(
                (rule.when.as_str(), rule.then.as_str()),
                (when, then),
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        for (pattern, replacement, expected) in [
            (
                "a.test/*/x/*",
                "b.test",
                "the pattern `a.test/*/x/*` has no counterpart among single redirects",
            ),
            (
                "*.*.test/x",
                "b.test",
                "the pattern `*.*.test/x` has no counterpart among single redirects",
            ),
            (
                "a.test/*",
                "b.test/$1/$2",
                "the replacement `b.test/$1/$2` has no counterpart among single redirects",
            ),
            (
                "a.test/*",
                "b.test/$2",
                "the replacement `b.test/$2` has no counterpart among single redirects",
            ),
            (
                "a.test:8080",
                "b.test",
                "`a.test:8080` has a port, which no rule can match",
            ),
            ("", "b.test", "`` is not a URL"),
        ] {
            let error = rule(pattern, replacement).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
