//! Large configurations: the time to zones against the time of the bare script engine.
//!
//! `cargo bench --features fuzzing --bench dnsconfig`

#![expect(
    clippy::disallowed_methods,
    reason = "configurations in temporary folders"
)]

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use git_certs::fuzz::{Times, measure};

/// How often each figure is taken; the best counts.
const RUNS: usize = 5;

/// What issue 3 asks for.
const LARGEST_RATIO: f64 = 1.5;
const JSON_LIMIT: Duration = Duration::from_secs(2);

#[expect(clippy::print_stdout, reason = "figures")]
fn main() -> ExitCode {
    let mut good = true;
    println!("domains  records    engine     whole  ratio  per record");
    for domains in [50, 500, 5_000] {
        let times = best(&script(domains));
        let ratio = times.whole.as_secs_f64() / times.engine.as_secs_f64();
        let records = u32::try_from(times.records).unwrap_or(u32::MAX);
        println!(
            "{domains:7}  {records:7}  {:8.3?}  {:8.3?}  {ratio:5.2}  {:8.3?}",
            times.engine,
            times.whole,
            times.whole / records,
        );
        good &= domains < 5_000 || ratio <= LARGEST_RATIO;
    }
    let (files, took) = json_files();
    println!("{files} required JSON files: {took:.3?}");
    good &= took <= JSON_LIMIT;
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// 17 records a domain: addresses with a modifier, and what mail needs.
fn script(domains: usize) -> String {
    let mut script =
        String::from("var NONE = NewRegistrar('none'), DNS = NewDnsProvider('dns', 'BIND');\n");
    for domain in 0..domains {
        let _ = writeln!(
            script,
            "D('domain{domain}.example', NONE, DnsProvider(DNS), DefaultTTL('1h'),"
        );
        for host in 0..14 {
            let _ = writeln!(script, "  A('host{host}', '192.0.2.{host}', CF_PROXY_OFF),");
        }
        script.push_str("  MX('@', 10, 'mail.example.net.'),\n  CNAME('www', 'host1', TTL(60)),\n  TXT('@', 'v=spf1 mx -all'));\n");
    }
    script
}

#[expect(clippy::unwrap_used, reason = "a measurement")]
fn best(script: &str) -> Times {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
    let runs = (0..RUNS).map(|_| measure(folder.path(), "dnsconfig.js").unwrap());
    runs.reduce(|best, run| Times {
        engine: best.engine.min(run.engine),
        whole: best.whole.min(run.whole),
        records: run.records,
    })
    .unwrap()
}

/// As in a well-known repository: one JSON file for each name, with its records.
#[expect(clippy::unwrap_used, reason = "a measurement")]
fn json_files() -> (usize, Duration) {
    let files = 15_000;
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names");
    fs::create_dir(&names).unwrap();
    for file in 0..files {
        let text = format!(
            "{{\n  \"owner\": {{\"username\": \"user{file}\", \"email\": \"user{file}@example.net\"}},\n  \"record\": {{\"CNAME\": \"user{file}.example.net\"}}\n}}\n"
        );
        fs::write(names.join(format!("name{file}.json")), text).unwrap();
    }
    let script = "NewRegistrar('none'); var records = [];\n\
        glob('./names', true, '.json').forEach(function (path) {\n\
          var name = path.replace(/^.*\\//, '').replace('.json', '');\n\
          records.push(CNAME(name, require(path).record.CNAME + '.'));\n\
        });\n\
        D('example.com', 'none', records);\n";
    fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
    let runs = (0..RUNS).map(|_| measure(folder.path(), "dnsconfig.js").unwrap());
    (files, runs.map(|times| times.whole).min().unwrap())
}
