//! `fetch()` of scripts, where the user allows it.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};

use crate::net::http::{Http, Repeat};

/// Most redirects that are followed, as browsers and Go have it.
const MOST_REDIRECTS: usize = 10;

/// What a script asks for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) url: String,
    /// In upper case.
    pub(super) method: String,
    pub(super) headers: Vec<Vec<String>>,
    pub(super) body: String,
}

/// What it gets.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// After redirects.
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Vec<Vec<String>>,
    /// What is not UTF-8 is replaced.
    pub(super) body: String,
}

/// Asks and waits, at most until the script's time is over. Redirects are followed.
///
/// A body that is larger than `largest` bytes is an error.
pub(super) fn fetch(question: Question, until: Instant, largest: usize) -> Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime for the network")?;
    runtime.block_on(async {
        tokio::time::timeout_at(until.into(), ask(question, largest))
            .await
            .context("no answer before the time limit of the configuration")?
    })
}

async fn ask(question: Question, largest: usize) -> Result<Answer> {
    let http = Http::new(None)?;
    let mut url: Url = question.url.parse().context("not a URL")?;
    let mut method: Method = question.method.parse().context("not a method")?;
    let mut body = question.body;
    for _ in 0..=MOST_REDIRECTS {
        let mut request = http.client().request(method.clone(), url.clone());
        for header in &question.headers {
            if let [name, value] = header.as_slice() {
                request = request.header(name, value);
            }
        }
        let request = request.body(body.clone()).build()?;
        let repeat = match method {
            Method::GET | Method::HEAD => Repeat::Safe,
            _ => Repeat::WhenRefused,
        };
        let answer = http.send(request, repeat).await?;
        let Some(next) = redirected(&answer)? else {
            return read(answer, largest).await;
        };
        ensure!(
            next.origin() == url.origin() || question.headers.is_empty(),
            "a redirect to another host, where the headers must not go"
        );
        let keeps = matches!(
            answer.status(),
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
        );
        if !keeps && method != Method::HEAD {
            method = Method::GET;
            body.clear();
        }
        url = next;
    }
    bail!("more than {MOST_REDIRECTS} redirects")
}

fn redirected(answer: &Response) -> Result<Option<Url>> {
    let moved = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = answer.headers().get(LOCATION).filter(|_| moved) else {
        return Ok(None);
    };
    let location = location.to_str().context("a redirect to no URL")?;
    let next = answer.url().join(location);
    Ok(Some(next.context("a redirect to no URL")?))
}

async fn read(mut answer: Response, largest: usize) -> Result<Answer> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| vec![name.to_string(), text(value.as_bytes())])
        .collect();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        ensure!(
            body.len() + chunk.len() <= largest,
            "the answer is larger than the memory limit"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        url: answer.url().to_string(),
        status: answer.status().as_u16(),
        reason: answer
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
        headers,
        body: text(&body),
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
mod tests {
    use std::fs;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use crate::dnscontrol::{DnsConfig, Limits, Source};
    use crate::model::hint::explain;

    /// Answers each connection with what its path asks for; the port.
    fn server() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).unwrap();
                let request = String::from_utf8_lossy(buffer.get(..length).unwrap()).into_owned();
                let (head, body) = match request.split(' ').nth(1).unwrap() {
                    "/text" => ("200 OK\r\nX-One: 1\r\nx-one: 2", "the text".to_owned()),
                    "/json" => ("200 OK", r#"{"address": "192.0.2.7"}"#.to_owned()),
                    "/moved" => ("302 Found\r\nLocation: /text", String::new()),
                    "/circle" => ("302 Found\r\nLocation: /circle", String::new()),
                    "/large" => ("200 OK", "x".repeat(3 << 20)),
                    "/slow" => {
                        thread::sleep(Duration::from_secs(3));
                        ("200 OK", String::new())
                    }
                    "/echo" => ("200 OK", request.replace("\r\n", "|")),
                    _ => ("404 Not Found", "no".to_owned()),
                };
                // The client may be gone.
                drop(write!(
                    stream,
                    "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                ));
            }
        });
        port
    }

    fn load(script: &str, time: Duration) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let script = script.replace("URL", &format!("http://127.0.0.1:{}", server()));
        fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
        let config = DnsConfig::load(&Source {
            root: folder.path().to_owned(),
            allow_fetch: true,
            limits: Limits {
                memory: 2 << 20,
                time,
                ..Limits::default()
            },
            ..Source::default()
        })?;
        let records = config.zones.iter().flat_map(|zone| &zone.records);
        Ok(records.map(|record| record.data.clone()).collect())
    }

    #[test]
    fn scripts_fetch_where_it_is_allowed() {
        for (script, expected) in [
            (
                "FETCH('URL/text').then(function (r) { return r.text(); }).then(add)",
                "the text",
            ),
            (
                "FETCH('URL/json').then(function (r) { return r.json(); }).then(function (j) { add(j.address); })",
                "192.0.2.7",
            ),
            (
                "FETCH('URL/moved').then(function (r) { return r.text(); }).then(add)",
                "the text",
            ),
            (
                "fetch('URL/absent').then(function (r) { add([r.ok, r.status, r.statusText].join()); })",
                "false,404,Not Found",
            ),
            (
                "FETCH('URL/text').then(function (r) { add([r.headers.get('X-One'), r.headers.get('Y'), r.headers.has('x-one'), r.ok].join()); })",
                "1, 2,,true,true",
            ),
        ] {
            let script = format!(
                "NewRegistrar('none'); D('a.test', 'none');\n\
                 function add(text) {{ D_EXTEND('a.test', TXT('@', text)); }}\n{script};"
            );
            let records = load(&script, Duration::from_secs(20)).unwrap();
            assert_eq!(records, [expected], "{script}");
        }
        let echo = "NewRegistrar('none'); FETCH('URL/echo', {method: 'post', headers: {'X-Key': 'k'}, body: 'b'})\
             .then(function (r) { return r.text(); }).then(function (t) { D('a.test', 'none', TXT('@', t)); });";
        let records = load(echo, Duration::from_secs(20)).unwrap();
        let echoed = records.first().unwrap();
        assert!(
            echoed.starts_with("POST /echo HTTP/1.1|") && echoed.contains("|x-key: k|"),
            "{echoed}"
        );
    }

    #[test]
    fn what_cannot_be_fetched() {
        for (script, seconds, expected) in [
            ("FETCH('nowhere')", 20, "cannot fetch `nowhere`: not a URL"),
            (
                "FETCH('URL/circle')",
                20,
                "URL/circle`: more than 10 redirects",
            ),
            (
                "FETCH('URL/large')",
                20,
                "URL/large`: the answer is larger than the memory limit",
            ),
            ("FETCH('URL/slow')", 1, "still running after 1s"),
            (
                "FETCH('file:///etc/hostname')",
                20,
                "cannot fetch `file:///etc/hostname`",
            ),
            (
                "FETCH('URL/text').then(function (r) { return r.json(); })",
                20,
                "SyntaxError",
            ),
        ] {
            let error = load(script, Duration::from_secs(seconds)).unwrap_err();
            let causes = explain(&error).causes.join(" ");
            let (_, expected) = expected.split_once("URL").unwrap_or(("", expected));
            assert!(causes.contains(expected), "{script}: {causes}");
        }
    }
}
