//! `dnscontrol` with answers that a test gives: what is asked of it, and what becomes of each answer.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::model::change::Txt;
use crate::model::file;
use crate::model::hint::explain;
use crate::model::zone::{NameserverCount, ZoneProvider};
use crate::provider::servers;

/// Notes its arguments and the configuration that it is given, and says what `N.*` in its folder
/// say, for its Nth run.
const SCRIPT: &str = r#"#!/bin/sh
here=${0%/*}
if [ "$1" = version ]; then cat "$here/version"; exit "$(cat "$here/version.code")"; fi
run=$(($(ls "$here" | grep -c '[.]config$') + 1))
echo "$*" > "$here/$run.arguments"
while [ $# -gt 0 ]; do
  case $1 in
    --config) cp "$2" "$here/$run.config" ;;
    --report) report=$2 ;;
  esac
  shift
done
[ ! -e "$here/$run.report" ] || cat "$here/$run.report" > "$report"
[ ! -e "$here/$run.stdout" ] || cat "$here/$run.stdout"
[ ! -e "$here/$run.stderr" ] || cat "$here/$run.stderr" >&2
[ ! -e "$here/$run.hang" ] || { sleep 300 & echo $! > "$here/$run.hang"; wait; }
[ ! -e "$here/$run.code" ] || exit "$(cat "$here/$run.code")"
"#;

/// A `dnscontrol` in a folder of its own, and a DNS repository.
struct Fake(tempfile::TempDir);

/// How a run goes.
#[derive(Default)]
struct Run<'a> {
    /// None for no report.
    report: Option<Value>,
    stdout: &'a str,
    stderr: &'a str,
    code: u8,
}

/// The entry's password, which no message may have.
const PASSWORD: &str = "hunter2-hunter2";

impl Fake {
    fn new() -> Self {
        let fake = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "dns", "tmp"] {
            fs::create_dir(fake.path(folder)).unwrap();
        }
        fake.write("bin/dnscontrol", SCRIPT);
        fake.write("bin/version", "4.40.0\n");
        fake.write("bin/version.code", "0");
        let program = fake.path("bin/dnscontrol");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        fake
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let mut file = File::create(self.path(path)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(&self, path: &str) -> String {
        file::read_text(self.path(path)).unwrap()
    }

    /// What comes of the next runs.
    fn answer(&self, runs: Vec<Run<'_>>) {
        let before = self.runs().len();
        for (number, run) in (before + 1..).zip(runs) {
            if let Some(report) = run.report {
                self.write(&format!("bin/{number}.report"), &report.to_string());
            }
            self.write(&format!("bin/{number}.stdout"), run.stdout);
            self.write(&format!("bin/{number}.stderr"), run.stderr);
            self.write(&format!("bin/{number}.code"), &run.code.to_string());
        }
    }

    /// The same for runs that go well.
    fn report(&self, reports: &[Value]) {
        let runs = reports.iter().map(|report| Run {
            report: Some(report.clone()),
            ..Run::default()
        });
        self.answer(runs.collect());
    }

    /// The arguments of all runs so far, but the names of temporary files.
    fn runs(&self) -> Vec<String> {
        let mut runs = Vec::new();
        while let Ok(text) =
            file::read_text(self.path(&format!("bin/{}.arguments", runs.len() + 1)))
        {
            let words = text.split_whitespace().map(|word| {
                if word.starts_with(".git-certs-") {
                    assert!(word.contains(".dnscontrol"), "{word}");
                    "WRAPPER"
                } else if Path::new(word).starts_with(self.path("tmp")) {
                    "REPORT"
                } else {
                    word
                }
            });
            runs.push(words.collect::<Vec<_>>().join(" "));
        }
        runs
    }

    /// The verbs of all runs so far, and the domains.
    fn steps(&self) -> Vec<String> {
        let step = |arguments: &String| {
            let words: Vec<_> = arguments.split(' ').collect();
            let domains = words.iter().position(|word| *word == "--domains").unwrap();
            format!("{} {}", words[1], words[domains + 1])
        };
        self.runs().iter().map(step).collect()
    }

    /// The lines of a run's configuration that declare something.
    fn declared(&self, run: usize) -> Vec<String> {
        let text = self.read(&format!("bin/{run}.config"));
        let lines = text.lines().map(str::trim);
        let declared = lines.filter(|line| line.starts_with("D_EXTEND") || line.starts_with("TXT"));
        declared
            .map(|line| line.trim_end_matches([',', ';']).to_owned())
            .collect()
    }

    fn invocation(&self) -> Invocation {
        Invocation {
            temporary: self.path("tmp"),
            search_path: self.path("bin").into_os_string(),
            ..Invocation::default()
        }
    }

    fn connect(&self) -> DnscontrolBinary {
        self.connect_with(self.invocation(), &zones()).unwrap()
    }

    fn connect_with(&self, dnscontrol: Invocation, zones: &[Zone]) -> Result<DnscontrolBinary> {
        let context = Context {
            dns_root: self.path("dns"),
            dnscontrol,
            ..servers::context()
        };
        let entry = servers::entry("HEDNS", &[("password", PASSWORD)]);
        let program = find(&context.dnscontrol.search_path).unwrap();
        DnscontrolBinary::connect(program, &entry, zones, &context)
    }

    /// Neither configuration nor report is left.
    fn assert_clean(&self) {
        for folder in ["dns", "tmp"] {
            assert_eq!(
                fs::read_dir(self.path(folder)).unwrap().count(),
                0,
                "{folder}"
            );
        }
    }
}

fn zone(name: &str, tag: &str) -> Zone {
    Zone {
        tag: tag.to_owned(),
        providers: vec![ZoneProvider {
            entry: "main".to_owned(),
            nameservers: NameserverCount::All,
        }],
        ..servers::zone(name)
    }
}

fn zones() -> Vec<Zone> {
    let purged = zone("kept.test", "");
    vec![
        zone("a.test", ""),
        zone("b.test", ""),
        zone("s.test", "in"),
        zone("s.test", "out"),
        Zone {
            no_purge: true,
            ..purged
        },
    ]
}

fn txt(zone: &str, value: &str) -> Txt {
    Txt {
        name: format!("_acme-challenge.{zone}").parse().unwrap(),
        value: value.to_owned(),
    }
}

fn add(zone: &str, value: &str) -> TxtBatch {
    TxtBatch::adding(vec![txt(zone, value)])
}

fn remove(zone: &str, value: &str) -> TxtBatch {
    TxtBatch::removing(vec![txt(zone, value)])
}

/// A report of zones, each with its lines.
fn report(zones: &[(&str, &[&str])]) -> Value {
    let items = zones.iter().map(|(domain, lines)| {
        [
            json!({"domain": domain, "corrections": lines.len(), "correction_details": lines, "provider": "main"}),
            json!({"domain": domain, "corrections": 0, "registrar": "none"}),
        ]
    });
    items.flatten().collect()
}

fn created(zone: &str, value: &str) -> String {
    format!("+ CREATE _acme-challenge.{zone} TXT \"{value}\" ttl=300")
}

fn deleted(zone: &str, value: &str) -> String {
    format!("- DELETE _acme-challenge.{zone} TXT \"{value}\" ttl=300")
}

/// The error as the user reads it.
fn shown<T>(result: Result<T>) -> String {
    let explained = explain(&result.err().unwrap());
    let mut lines = vec![explained.what];
    lines.extend(explained.causes.iter().map(|cause| format!("  {cause}")));
    lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

fn reference<'a>(zones: &'a [Zone], unique_name: &str) -> ZoneRef<'a> {
    let zone = zones.iter().find(|zone| zone.unique_name() == unique_name);
    zone.unwrap().reference()
}

#[tokio::test]
async fn calls_of_one_moment_are_one_run() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let [a, b] = ["a.test", "b.test"].map(|name| reference(&zones, name));
    let (one, two) = (created("a.test", "one"), created("b.test", "two"));
    let [nothing, both] = [
        report(&[("a.test", &[]), ("b.test", &["Enable DNSSEC"])]),
        report(&[("a.test", &[&one]), ("b.test", &[&two])]),
    ];
    fake.report(&[nothing, both.clone(), both]);
    let (in_a, in_b) = tokio::join!(provider.pending(a), provider.pending(b));
    assert_eq!(in_a.unwrap(), [""; 0]);
    assert_eq!(in_b.unwrap(), ["Enable DNSSEC"]);
    let batches = [add("a.test", "one"), add("b.test", "two")];
    let (in_a, in_b) = tokio::join!(
        provider.change(a, &batches[0]),
        provider.change(b, &batches[1])
    );
    in_a.unwrap();
    in_b.unwrap();
    let arguments = |verb| {
        format!(
            "--no-colors {verb} --config WRAPPER --creds creds.json --providers main \
             --domains a.test,b.test --no-populate --report REPORT"
        )
    };
    assert_eq!(fake.runs(), ["preview", "preview", "push"].map(arguments));
    assert_eq!(
        fake.declared(1),
        ["D_EXTEND(\"a.test\"", "D_EXTEND(\"b.test\""]
    );
    let declared = [
        "D_EXTEND(\"a.test\"",
        "TXT(\"_acme-challenge\", \"one\", TTL(300)))",
        "D_EXTEND(\"b.test\"",
        "TXT(\"_acme-challenge\", \"two\", TTL(300)))",
    ];
    assert_eq!(fake.declared(2), declared);
    assert_eq!(fake.read("bin/2.config"), fake.read("bin/3.config"));
    fake.assert_clean();
}

#[tokio::test]
async fn values_stay_declared_until_they_are_removed() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let zone = reference(&zones, "a.test");
    let values = |run: usize| fake.declared(run).split_off(1);
    let value =
        |value: &str, end: &str| format!("TXT(\"_acme-challenge\", \"{value}\", TTL(300)){end}");
    for (batch, line, declared) in [
        (
            add("a.test", "one"),
            created("a.test", "one"),
            vec![value("one", ")")],
        ),
        (
            add("a.test", "two"),
            created("a.test", "two"),
            vec![value("one", ""), value("two", ")")],
        ),
        (
            remove("a.test", "one"),
            deleted("a.test", "one"),
            vec![value("two", ")")],
        ),
        (remove("a.test", "two"), deleted("a.test", "two"), vec![]),
    ] {
        let report = report(&[("a.test", &[&line])]);
        fake.report(&[report.clone(), report]);
        provider.change(zone, &batch).await.unwrap();
        assert_eq!(values(fake.runs().len()), declared);
    }
    assert_eq!(fake.steps(), ["preview a.test", "push a.test"].repeat(4));
    fake.assert_clean();
}

#[tokio::test]
async fn what_is_there_already_is_not_pushed() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let zone = reference(&zones, "a.test");
    fake.report(&[report(&[("a.test", &[])]), report(&[("a.test", &[])])]);
    provider.change(zone, &add("a.test", "one")).await.unwrap();
    provider
        .change(zone, &remove("a.test", "two"))
        .await
        .unwrap();
    provider.change(zone, &TxtBatch::default()).await.unwrap();
    assert_eq!(fake.steps(), ["preview a.test", "preview a.test"]);
}

#[tokio::test]
async fn values_of_others_at_challenge_names_are_no_corrections_and_stay() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let zone = reference(&zones, "a.test");
    let theirs = deleted("a.test", "theirs");
    let ours = created("a.test", "ours");
    let replaced = r#"± MODIFY _acme-challenge.a.test TXT ("late" ttl=300) -> ("ours" ttl=300)"#;
    fake.report(&[
        report(&[("a.test", &["Zone update for a.test", &theirs])]),
        // One more has come since.
        report(&[("a.test", &[replaced])]),
        report(&[("a.test", &[&ours])]),
        report(&[("a.test", &[&ours])]),
    ]);
    assert_eq!(provider.pending(zone).await.unwrap(), [""; 0]);
    provider.change(zone, &add("a.test", "ours")).await.unwrap();
    assert_eq!(
        fake.steps(),
        [
            "preview a.test",
            "preview a.test",
            "preview a.test",
            "push a.test"
        ]
    );
    let values = fake.declared(4).join(" ");
    for value in ["ours", "theirs", "late"] {
        assert!(
            values.contains(&format!("\"{value}\", TTL(300)")),
            "{values}"
        );
    }
}

#[tokio::test]
async fn challenge_names_without_peace_are_left_alone() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let zone = reference(&zones, "a.test");
    // Somebody adds one value after the other.
    let reports: Vec<_> = (0..LOOKS)
        .map(|number| report(&[("a.test", &[&deleted("a.test", &number.to_string())])]))
        .collect();
    fake.report(&reports);
    assert_eq!(
        shown(provider.change(zone, &add("a.test", "ours")).await),
        "values at challenge names of zone `a.test` come and go\n\
         hint: another ACME client may be at work: try again later"
    );
    assert_eq!(fake.steps(), vec!["preview a.test"; LOOKS]);
}

#[tokio::test]
async fn somebody_elses_change_is_never_pushed() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let [a, b] = ["a.test", "b.test"].map(|name| reference(&zones, name));
    let (one, two) = (created("a.test", "one"), created("b.test", "two"));
    let foreign = "+ CREATE www.a.test A 192.0.2.1 ttl=300";
    fake.report(&[
        report(&[("a.test", &[&one, foreign]), ("b.test", &[&two])]),
        report(&[("b.test", &[&two])]),
    ]);
    let batches = [add("a.test", "one"), add("b.test", "two")];
    let (in_a, in_b) = tokio::join!(
        provider.change(a, &batches[0]),
        provider.change(b, &batches[1])
    );
    in_b.unwrap();
    assert_eq!(
        shown(in_a),
        format!(
            "`dnscontrol push` would change more in zone `a.test` at `main` than challenges:\n{foreign}\n\
             hint: nothing was pushed: run `dnscontrol push`, or bring dnsconfig.js in line with the provider"
        )
    );
    assert_eq!(fake.steps(), ["preview a.test,b.test", "push b.test"]);

    fake.report(&[
        report(&[("b.test", &[&deleted("b.test", "two")])]),
        report(&[("b.test", &[&deleted("b.test", "two"), "Enable DNSSEC"])]),
    ]);
    assert_eq!(
        shown(provider.change(b, &remove("b.test", "two")).await),
        "`dnscontrol push` changed more in zone `b.test` than it had said before:\n\
         - DELETE _acme-challenge.b.test TXT \"two\" ttl=300\n\
         Enable DNSSEC\n\
         hint: somebody changed the zone at the same moment: compare it with dnsconfig.js"
    );
}

#[tokio::test]
async fn a_zone_that_fails_leaves_the_others_alone() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let [a, b] = ["a.test", "b.test"].map(|name| reference(&zones, name));
    let stdout = format!(
        "******************** Domain: a.test\nINFO#1: Domain \"a.test\" provider main Error: 401: \
         password {PASSWORD} is wrong\n******************** Domain: b.test\nDone. 0 corrections.\n"
    );
    // Before 4.23.0 the exit code was 0, and a fixed fault may come back.
    for code in [0, 1] {
        fake.answer(vec![Run {
            report: Some(report(&[("a.test", &[]), ("b.test", &[])])),
            stdout: &stdout,
            stderr: "completed with errors",
            code,
        }]);
        let (in_a, in_b) = tokio::join!(provider.pending(a), provider.pending(b));
        assert_eq!(in_b.unwrap(), [""; 0]);
        assert_eq!(
            shown(in_a),
            "`dnscontrol` failed for zone `a.test` at `main` (HEDNS)\n  \
             Domain \"a.test\" provider main Error: 401: password [password] is wrong"
        );
    }
    let one = created("a.test", "one");
    fake.answer(vec![
        Run {
            report: Some(report(&[("a.test", &[&one])])),
            ..Run::default()
        },
        Run {
            report: Some(report(&[("a.test", &[&one])])),
            stdout: "******************** Domain: a.test\n#1: ...\nFAILURE! 500: try again\n",
            stderr: "completed with errors",
            code: 1,
        },
    ]);
    assert_eq!(
        shown(provider.change(a, &add("a.test", "one")).await),
        "`dnscontrol` failed for zone `a.test` at `main` (HEDNS)\n  500: try again"
    );
}

#[tokio::test]
async fn a_run_that_fails_says_so_for_every_zone() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let [a, b] = ["a.test", "b.test"].map(|name| reference(&zones, name));
    let about = "`dnscontrol preview` failed for `creds.json` entry `main` (HEDNS)\n  ";
    for (run, expected) in [
        // A fatal error leaves no report, and one may be left that is not written to the end.
        (
            Run {
                stdout: "reading",
                stderr: "1 Validation errors:\nERROR: boom\nexiting due to validation errors\n",
                code: 1,
                ..Run::default()
            },
            "exit status: 1: 1 Validation errors:\nERROR: boom\nexiting due to validation errors",
        ),
        (
            Run {
                stderr: "no report at all",
                ..Run::default()
            },
            "exit status: 0: no report at all",
        ),
        (
            Run {
                report: Some(report(&[("a.test", &[]), ("b.test", &[])])),
                stdout: "nothing of a zone",
                stderr: "completed with errors",
                code: 1,
            },
            "exit status: 1: completed with errors",
        ),
        (
            Run {
                report: Some(json!({"not": "a list"})),
                ..Run::default()
            },
            "cannot read the report of `dnscontrol`\n  invalid type: map, expected a sequence at line 1 column 0",
        ),
    ] {
        fake.answer(vec![run]);
        let (in_a, in_b) = tokio::join!(provider.pending(a), provider.pending(b));
        let in_a = shown(in_a);
        assert_eq!(in_a, format!("{about}{expected}"));
        assert_eq!(shown(in_b), in_a);
    }
    // A domain that is not found is no error to `dnscontrol`, nor is its report without an item.
    for nothing in [Value::Null, json!([]), report(&[("b.test", &[])])] {
        fake.report(&[nothing]);
        assert_eq!(
            shown(provider.pending(a).await),
            "`dnscontrol` failed for zone `a.test` at `main` (HEDNS)\n  its report does not have the zone"
        );
    }
    fake.assert_clean();
}

#[tokio::test]
async fn a_version_that_cannot_say_what_it_would_do_is_refused() {
    for (version, code, expected) in [
        (
            "v4.28.0",
            "0",
            "`[BIN]/dnscontrol` is DNSControl 4.28.0, and 4.28.1 is the oldest that says what it would change\n\
             hint: update DNSControl",
        ),
        (
            "(devel)",
            "0",
            "`[BIN]/dnscontrol version` names no version: exit status: 0: (devel)",
        ),
        (
            "4.40.0",
            "3",
            "`[BIN]/dnscontrol version` names no version: exit status: 3: 4.40.0",
        ),
    ] {
        let fake = Fake::new();
        fake.write("bin/version", version);
        fake.write("bin/version.code", code);
        let provider = fake.connect();
        let zones = zones();
        let said = shown(provider.pending(reference(&zones, "a.test")).await);
        let bin = fake.path("bin");
        assert_eq!(
            said.replace(bin.to_str().unwrap(), "[BIN]"),
            format!(
                "`dnscontrol preview` failed for `creds.json` entry `main` (HEDNS)\n  {expected}"
            )
        );
        assert_eq!(fake.runs(), [""; 0]);
    }
}

#[tokio::test]
async fn zones_without_purge_need_the_fourth_version() {
    let zones = zones();
    let zone = reference(&zones, "kept.test");
    let fake = Fake::new();
    let provider = fake.connect();
    let line = deleted("kept.test", "one");
    fake.report(&[
        report(&[("kept.test", &[&line])]),
        report(&[("kept.test", &[&line])]),
    ]);
    provider
        .change(zone, &remove("kept.test", "one"))
        .await
        .unwrap();
    assert_eq!(
        fake.declared(2),
        [
            "D_EXTEND(\"kept.test\"",
            "TXT(\"_acme-challenge\", \"removed\", ENSURE_ABSENT_REC()))"
        ]
    );

    let fake = Fake::new();
    fake.write("bin/version", "v5.0.4");
    fake.report(&[report(&[("a.test", &[])])]);
    let provider = fake.connect();
    let (kept, a) = tokio::join!(
        provider.pending(zone),
        provider.pending(reference(&zones, "a.test"))
    );
    a.unwrap();
    assert_eq!(
        shown(kept),
        "zone `kept.test` has `NO_PURGE`, where DNSControl 5.0.4 is not known to remove a value again\n\
         hint: take `NO_PURGE` off the zone, or use DNSControl 4"
    );
    assert_eq!(fake.steps(), ["preview a.test"]);
}

#[tokio::test]
async fn two_versions_of_a_zone_are_two_runs() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let [inside, outside] = ["s.test!in", "s.test!out"].map(|name| reference(&zones, name));
    fake.report(&[
        report(&[("s.test", &["first"])]),
        report(&[("s.test", &["second"])]),
    ]);
    let (inside, outside) = tokio::join!(provider.pending(inside), provider.pending(outside));
    assert_eq!(inside.unwrap(), ["first"]);
    assert_eq!(outside.unwrap(), ["second"]);
    assert_eq!(fake.steps(), ["preview s.test!in", "preview s.test!out"]);
}

#[tokio::test]
async fn the_users_settings_are_passed_on_and_variables_in_the_file_alone() {
    let fake = Fake::new();
    fs::create_dir(fake.path("dns/sub")).unwrap();
    let invocation = Invocation {
        config: "sub/dns.js".into(),
        creds: "!sops -d creds.json".to_owned(),
        variables: vec![("token".to_owned(), "secret-token".to_owned())],
        allow_fetch: true,
        ..fake.invocation()
    };
    let zones = zones();
    let provider = fake.connect_with(invocation, &zones).unwrap();
    fake.report(&[report(&[("a.test", &[])])]);
    provider.pending(reference(&zones, "a.test")).await.unwrap();
    let arguments = fake.read("bin/1.arguments");
    assert!(
        arguments.starts_with("--no-colors --allow-fetch preview --config sub/.git-certs-"),
        "{arguments}"
    );
    assert!(
        arguments.contains(" --creds !sops -d creds.json "),
        "{arguments}"
    );
    assert!(!arguments.contains("secret-token"), "{arguments}");
    let config = fake.read("bin/1.config");
    assert!(
        config.contains("this[\"token\"] = \"secret-token\";\nrequire(\"./dns.js\");\n"),
        "{config}"
    );
    assert_eq!(fs::read_dir(fake.path("dns/sub")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_run() {
    let fake = Fake::new();
    let zones = zones();
    let invocation = Invocation {
        reads_ir: true,
        ..fake.invocation()
    };
    assert_eq!(
        shown(fake.connect_with(invocation, &zones)),
        "`creds.json` entry `main`: `HEDNS` needs the `dnscontrol` binary, which loses records when it reads IR\n\
         hint: leave `--ir` out, or skip the entry with `--skip main`"
    );
    let provider = fake.connect();
    let other = zone("other.test", "");
    assert_eq!(
        shown(
            provider
                .change(other.reference(), &add("other.test", "x"))
                .await
        ),
        "dnsconfig.js declares no zone `other.test` at `main` (HEDNS)\n\
         hint: `dnscontrol` changes declared zones only: add `D(\"other.test\", ...)`"
    );
    assert_eq!(fake.runs(), [""; 0]);
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_run_and_leaves_nothing() {
    let fake = Fake::new();
    let (provider, zones) = (fake.connect(), zones());
    let zone = reference(&zones, "a.test");
    fake.write("bin/1.hang", "");
    let batch = add("a.test", "one");
    let started = async {
        while fake.read("bin/1.hang").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        result = provider.change(zone, &batch) => panic!("it ended: {result:?}"),
        () = started => {}
    }
    fake.assert_clean();
    let status = format!("/proc/{}/status", fake.read("bin/1.hang").trim());
    while file::read_text(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What it was about to add may be there.
    let line = deleted("a.test", "one");
    fake.report(&[
        report(&[("a.test", &[&line])]),
        report(&[("a.test", &[&line])]),
    ]);
    provider
        .change(zone, &remove("a.test", "one"))
        .await
        .unwrap();
    assert_eq!(
        fake.steps(),
        ["preview a.test", "preview a.test", "push a.test"]
    );
}

#[test]
fn a_job_that_nobody_waits_for_is_not_done() {
    let job = |zone: &str| {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            zone: zone.to_owned(),
            batch: None,
            reply,
        };
        (job, answer)
    };
    let (gone, answer) = job("a.test");
    drop(answer);
    let (tagged, _tagged) = job("a.test!in");
    let (again, _again) = job("a.test!in");
    let (other, _other) = job("a.test!out");
    let (now, later) = first_round(vec![gone, tagged, again, other]);
    let names = |jobs: &[Job]| jobs.iter().map(|job| job.zone.clone()).collect::<Vec<_>>();
    assert_eq!(names(&now), ["a.test!in", "a.test!in"]);
    assert_eq!(names(&later), ["a.test!out"]);
}

#[test]
fn credentials_from_a_command_are_known() {
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("plain", 0o644), ("run", 0o755), ("run.json", 0o755)] {
        let file = File::create(folder.path().join(name)).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode))
            .unwrap();
    }
    for (creds, expected) in [
        ("!sops -d creds.json", true),
        ("run", true),
        ("run.json", false),
        ("plain", false),
        ("missing", false),
    ] {
        assert_eq!(
            runner::is_command(creds, folder.path()),
            expected,
            "{creds}"
        );
    }
}
