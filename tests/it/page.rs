//! The page of `status --format html` in a browser: light and dark, wide and narrow.

use std::fs;
use std::path::Path;
use std::time::Duration as Wait;

use pretty_assertions::assert_eq;
use rcgen::KeyPair;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::support::cert_repo::{CertRepo, Files};
use crate::support::lab::Lab;

/// So many certificates.
const COUNT: i64 = 45;

/// What a browser does on its own; without root's sandbox, which the namespace stands for.
const QUIET: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--enable-logging=stderr",
];

/// A page of many certificates in all states, some with long names.
fn page() -> String {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let mut entries = Vec::new();
    for number in 0..COUNT {
        let name = format!("certificate-{number}");
        let long = "a-label-of-quite-some-length.".repeat(6);
        let mut names = vec![format!("{name}.example.com")];
        if number % 7 == 0 {
            names.extend((0..6).map(|n| format!("n{n}.{long}example.com")));
        }
        let until = now + Duration::days(number * 2 - 3) + Duration::hours(1);
        let period = (until - Duration::days(90), until);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let files = Files::valid(&names, &KeyPair::generate().unwrap(), period);
        if number % 9 != 4 {
            repo.store(&name, &files, &[&alice]);
        }
        if number % 11 != 5 {
            entries.push(serde_json::json!({"cert_name": name, "names": names}));
        }
    }
    repo.put("certs.json", Value::from(entries).to_string());
    // Whoever pushes writes this.
    repo.commit("Renew x: y\n\nGit-Certs-Run: https://ci.test/\"><script>alert(1)</script>");
    let said = repo.run("status --format html", "none");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    said.stdout
}

#[test]
fn the_page_is_good_in_every_scheme_and_width() {
    let lab = Lab::builder().start();
    let page = page();
    assert!(!page.contains("<script") && page.contains("&quot;&gt;&lt;script&gt;"));
    lab.namespace().write("page/page.html", &page);
    let measure = lab
        .namespace()
        .write("page/measure.html", include_str!("support/measure.html"));
    let browser = |scheme: u8, words: &[&str], file: &Path| {
        lab.command("chromium")
            .args(QUIET)
            .arg(format!(
                "--user-data-dir={}",
                lab.folder().join("chromium").display()
            ))
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .args(words.to_vec())
            .arg(format!("file://{}", file.display()))
            .deadline(Wait::from_mins(3))
            .run()
            .expect_code(0)
    };
    let mut backgrounds = Vec::new();
    // As Blink counts them: dark, light.
    for scheme in [0, 1] {
        let words = [
            "--dump-dom",
            "--virtual-time-budget=10000",
            "--allow-file-access-from-files",
        ];
        let output = browser(scheme, &words, &measure);
        assert_eq!(complaints(&output.stderr), "");
        let measured = output.stdout.split("<pre id=\"measured\">").nth(1).unwrap();
        let measured = measured
            .split("</pre>")
            .next()
            .unwrap()
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let measured: Vec<Value> = serde_json::from_str(&measured).unwrap();
        assert_eq!(measured.len(), 6);
        for at in &measured {
            assert_eq!(at["scrollWidth"], at["width"], "{at}");
            assert_eq!(at["outside"], Value::Array(Vec::new()), "{at}");
            // WCAG 2.2, 1.4.3.
            assert!(at["contrast"].as_f64().unwrap() >= 4.5, "{at}");
            assert!(at["smallest"].as_i64().unwrap() >= 10, "{at}");
            let picture = match at["width"].as_i64().unwrap() {
                ..545 => "narrow",
                545..929 => "medium",
                _ => "wide",
            };
            assert_eq!(at["pictures"], Value::from(vec![picture]), "{at}");
            let held = (0..COUNT).filter(|number| number % 9 != 4).count();
            assert_eq!(at["marks"], Value::from(vec![held]), "{at}");
            assert_eq!(
                (&at["heads"], &at["scripts"]),
                (&0.into(), &0.into()),
                "{at}"
            );
            assert_eq!(
                (&at["named"], &at["ids"]),
                (&true.into(), &true.into()),
                "{at}"
            );
            assert_eq!(
                (&at["lang"], &at["title"]),
                (&"en".into(), &"Certificates".into())
            );
            assert_eq!(at["elsewhere"], Value::Array(Vec::new()), "{at}");
        }
        let rows = measured[0]["rows"].as_i64().unwrap();
        // Those that are neither listed nor held are nowhere.
        let nowhere = (0..COUNT)
            .filter(|number| number % 9 == 4 && number % 11 == 5)
            .count();
        assert_eq!(rows, COUNT - i64::try_from(nowhere).unwrap());
        backgrounds.push(measured[0]["background"].clone());
    }
    assert_ne!(backgrounds[0], backgrounds[1]);
    // What a page complains of would be seen.
    let probe = "<title>x</title><script>console.error('hear me')</script>";
    let probe = lab.namespace().write("page/probe.html", probe);
    let output = browser(1, &["--dump-dom"], &probe);
    assert!(
        complaints(&output.stderr).contains("hear me"),
        "{}",
        output.stderr
    );
    pictures(&lab, browser);
}

/// What pages wrote to the console; the browser's own do so, too.
fn complaints(log: &str) -> String {
    let lines = log.lines().filter(|line| line.contains(":CONSOLE"));
    lines
        .filter(|line| line.contains("source: file:"))
        .collect()
}

/// Pictures of the page, for people to look at, in `target/tmp`.
fn pictures<B>(lab: &Lab, browser: impl Fn(u8, &[&str], &Path) -> B) {
    let page = lab.folder().join("page/page.html");
    for (name, scheme, size) in [
        ("light", 1, "1280,1600"),
        ("dark", 0, "1280,1600"),
        ("narrow", 1, "500,1600"),
    ] {
        let picture = lab.folder().join(format!("page/{name}.png"));
        let words = [
            format!("--screenshot={}", picture.display()),
            format!("--window-size={size}"),
        ];
        browser(scheme, &words.each_ref().map(String::as_str), &page);
        let bytes = fs::read(&picture).unwrap();
        assert!(
            bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000,
            "{name}: {} bytes",
            bytes.len()
        );
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("status-{name}.png"));
        fs::write(kept, bytes).unwrap();
    }
}
