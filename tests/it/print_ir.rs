//! `print-ir`: what a configuration means, from a script or from what was printed before.

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::address::RESOLVER;
use crate::support::bind;
use crate::support::folders::{Folders, Said};
use crate::support::lab::Lab;

/// `print-ir` in the DNS folder of `folders`, which has this script.
fn printed(script: &str, words: &str) -> Said {
    let folders = Folders::new()
        .with("certs/dnsconfig.js", script)
        .with("certs/printed.json", PRINTED);
    folders.run(&format!("print-ir {words}"))
}

const SCRIPT: &str = "var NONE = NewRegistrar('none');\n\
    D('a.test', NONE, A('@', typeof where === 'undefined' ? '192.0.2.1' : where));\n";

/// What DNSControl prints of [`SCRIPT`].
const PRINTED: &str = concat!(
    r#"{"registrars":[{"name":"none","type":"-"}],"dns_providers":[],"domains":[{"name":"a.test","uniquename":"a.test","#,
    r#""registrar":"none","dnsProviders":{},"meta":{"dnscontrol_nameraw":"a.test","dnscontrol_nameunicode":"a.test","#,
    r#""dnscontrol_uniquename":"a.test"},"records":[{"type":"A","name":"@","ttl":300,"target":"192.0.2.1"}]}]}"#
);

/// The addresses of the only domain.
fn addresses(said: &Said) -> Vec<String> {
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let ir: Value = serde_json::from_str(&said.stdout).unwrap();
    let records = ir["domains"][0]["records"].as_array().unwrap();
    let targets = records.iter().map(|record| &record["target"]);
    targets.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_script_and_what_was_printed_mean_the_same() {
    let script = printed(SCRIPT, "");
    let again = printed("throw 'nobody runs this'", "--ir printed.json");
    assert_eq!(addresses(&script), ["192.0.2.1"]);
    let without_places = |said: &Said| {
        let mut ir: Value = serde_json::from_str(&said.stdout).unwrap();
        let records = ir["domains"][0]["records"].as_array_mut().unwrap();
        for record in records {
            record.as_object_mut().unwrap().remove("filepos");
        }
        ir
    };
    assert_eq!(without_places(&again), without_places(&script));
}

#[test]
fn options_reach_the_script() {
    let said = printed(SCRIPT, "--variable where=192.0.2.7");
    assert_eq!(addresses(&said), ["192.0.2.7"]);
    let lines = printed(SCRIPT, "--pretty").stdout.lines().count();
    assert!(lines > 10, "{lines} lines");
}

#[test]
fn limits_can_be_set() {
    // Each of these needs more than the limit, and less than the default.
    let nested = "function down(n) { return n ? down(n - 1) : 0; } down(8000);";
    for (script, words, message) in [
        (
            "for (var start = Date.now(); Date.now() - start < 3000;) ;",
            "--js-timeout 1",
            "still running after 1s\nhint: look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`\n",
        ),
        (
            "var text = new Array(8000000).join('x') + Math.random();",
            "--js-memory 8",
            "needs more than 8 MiB of memory\nhint: look for a loop without an end; a configuration that is this large needs a higher `--js-memory`\n",
        ),
        (
            nested,
            "--js-stack 1",
            "calls or brackets nest too deeply for a stack of 1 MiB\nhint: look for a function that calls itself without an end; a configuration that nests this deeply needs a higher `--js-stack`\n",
        ),
    ] {
        let script = format!("{script}\n{SCRIPT}");
        assert_eq!(addresses(&printed(&script, "")), ["192.0.2.1"], "{words}");
        let said = printed(&script, words);
        let place = "error: cannot evaluate `dnsconfig.js`\n  caused by: ";
        let stderr = said.stderr.strip_prefix(place).unwrap();
        // Where exactly the limit is met, the engine decides.
        let what = stderr.split_once("`: ").map_or(stderr, |(_, what)| what);
        assert_eq!((said.code, what), (Some(2), message), "{words}");
    }
}

/// The TXT records of `a.test` when `SPF_BUILDER` flattens two includes, looked up with these words.
fn flattened(lab: &Lab, words: &[&str]) -> Vec<String> {
    let folder = lab.folder().join("spf");
    std::fs::create_dir_all(&folder).unwrap();
    let script = "var NONE = NewRegistrar('none');\n\
        D('a.test', NONE, SPF_BUILDER({label: '@', parts: ['v=spf1', 'include:spf.bench.test', '-all'],\n\
          flatten: ['spf.bench.test', 'more.bench.test']}));\n";
    std::fs::write(folder.join("dnsconfig.js"), script).unwrap();
    let output = lab
        .git_certs([&["print-ir"], words].concat())
        .folder(&folder)
        .succeed();
    addresses(&Said {
        code: Some(0),
        stdout: output.stdout,
        stderr: output.stderr,
    })
}

#[test]
fn spf_is_flattened_with_what_the_resolver_says() {
    let lab = Lab::builder().bind().start();
    for (name, text) in [
        (
            "spf",
            "v=spf1 ip4:192.0.2.0/24 include:more.bench.test ~all",
        ),
        ("spf", "google-site-verification=something-else"),
        ("more", "v=spf1 ip6:2001:db8::/32 -all"),
    ] {
        let change = format!("add {name}.bench.test 60 TXT \"{text}\"");
        let added = bind::update(lab.namespace(), "bench.test", &change);
        assert!(added.status.success(), "{}", added.stderr);
    }
    // What was written stays at a name of its own.
    let expected = [
        "v=spf1 include:spf.bench.test -all",
        "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all",
    ];
    assert_eq!(flattened(&lab, &[]), expected);
    assert_eq!(flattened(&lab, &["--resolver", RESOLVER]), expected);
}
