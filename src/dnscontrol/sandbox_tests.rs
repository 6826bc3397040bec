//! What a hostile or broken script can do: nothing beyond its limits.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use pretty_assertions::assert_eq;

use crate::dnscontrol::{DnsConfig, Limits, Source};
use crate::model::hint::explain;

const LIMITS: Limits = Limits {
    memory: 64 << 20,
    time: Duration::from_millis(150),
    stack: 1 << 20,
};

/// Enough to reach the limits on memory and stack on a machine that is busy.
const PATIENT: Limits = Limits {
    time: Duration::from_secs(30),
    ..LIMITS
};

/// The engine may take two seconds more to notice the time, and this machine may be busy.
const LATEST: Duration = Duration::from_secs(6);

fn load(script: &str, limits: Limits) -> Result<DnsConfig> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dnsconfig.js"), script).unwrap();
    DnsConfig::load(&Source {
        root: folder.path().to_owned(),
        limits,
        ..Source::default()
    })
}

/// What the limits say about a script, without its place.
fn stopped(script: &str, limits: Limits) -> String {
    let start = Instant::now();
    let explained = explain(&load(script, limits).expect_err(script));
    let took = start.elapsed();
    assert!(took < limits.time + LATEST, "{script} took {took:?}");
    let cause = explained.causes.first().unwrap();
    match cause.split_once("`: ") {
        Some((_, what)) => what.to_owned(),
        None => cause.clone(),
    }
}

#[test]
fn memory_has_a_limit() {
    for script in [
        "var all = []; for (;;) all.push(new Array(1000));",
        "'a'.repeat(1e9)",
        "'a'.padEnd(1e9)",
        "new Array(1e8).fill(0)",
        "Array.from({length: 1e8})",
        "new Array(1e6).join(new Array(1000).join('x'))",
        "new Uint8Array(1e9)",
        "var o = {}; for (var i = 0; ; i++) o['k' + i] = i;",
        "var m = new Map(); for (var i = 0; ; i++) m.set(i, {});",
        "[].concat.apply([], new Array(6e4).fill(new Array(1e4).fill(1)))",
        "JSON.stringify(new Array(1e7).fill('xxxxxxxxxx'))",
        "'x'.repeat(1e6).replace(/x/g, new Array(1000).join('y'))",
        "function keep() { return Promise.resolve().then(function () { all.push(new Array(1e5)); return keep(); }); } var all = []; keep();",
    ] {
        assert_eq!(
            stopped(script, PATIENT),
            "needs more than 64 MiB of memory",
            "{script}"
        );
    }
}

/// `QuickJS` forgets a promise whose next job finds no memory, and at some sizes that is what ends the script.
#[test]
fn memory_has_a_limit_at_every_size() {
    let script = "function keep() { return Promise.resolve().then(function () { all.push(new Array(100)); return keep(); }); } var all = []; keep();";
    for extra in 0..40 {
        let limits = Limits {
            memory: (4 << 20) + 2000 * extra,
            ..PATIENT
        };
        let what = stopped(script, limits);
        assert!(
            what.starts_with("needs more than ") && what.ends_with(" of memory"),
            "{extra}: {what}"
        );
    }
}

#[test]
fn memory_that_was_used_up_is_not_hidden() {
    for script in [
        "var all = []; try { for (;;) all.push({}); } catch (e) { all = null; }",
        "var all = []; new Promise(function () { for (;;) all.push({}); }).catch(function () { all = null; });",
    ] {
        assert_eq!(
            stopped(script, PATIENT),
            "needs more than 64 MiB of memory",
            "{script}"
        );
    }
}

/// A script may try whether something large fits.
#[test]
fn a_large_request_that_is_refused_can_be_handled() {
    let script = "var large; try { large = new Uint8Array(1e9); } catch (e) { large = null; } if (large) throw new Error('it fits');";
    load(script, PATIENT).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn what_nobody_waits_for_fails_all_the_same() {
    assert_eq!(
        stopped(
            "queueMicrotask(function () { throw new Error('late'); });",
            PATIENT
        ),
        "late"
    );
}

#[test]
fn strings_have_a_limit() {
    assert_eq!(
        stopped("var s = 'x'; for (;;) s += s;", PATIENT),
        "InternalError: string too long"
    );
}

#[test]
fn stack_has_a_limit() {
    let deep = format!("var x = {}1{};", "(".repeat(50_000), ")".repeat(50_000));
    let list = format!("JSON.parse('{}')", "[".repeat(200_000));
    for script in [
        "function f() { return f() + 1; }\nf();",
        &deep,
        "var a = [];\nfor (var i = 0; i < 1e5; i++) a = [a];\nJSON.stringify(a)",
        &list,
        "var o = {toString: function () { return '' + o; }}; '' + o;",
        "var o = {get a() { return this.a; }}; o.a",
        "new Proxy({}, {get: function (t, k, p) { return p.x; }}).x",
        "var a = [1, 2]; a.sort(function c() { return a.slice().sort(c).length; });",
        "eval(new Array(50000).join('[') + new Array(50000).join(']'))",
        "eval(new Array(50000).join('!') + '1')",
        "eval('x' + new Array(50000).join('.x(') )",
    ] {
        let what = stopped(script, PATIENT);
        assert!(
            what == "calls or brackets nest too deeply for a stack of 1 MiB"
                || what.starts_with("SyntaxError"),
            "{}: {what}",
            script.chars().take(60).collect::<String>()
        );
    }
    // Patterns have a limit of their own.
    let what = stopped("new RegExp(new Array(100000).join('('))", PATIENT);
    assert!(
        what.contains("stack") || what.contains("SyntaxError"),
        "{what}"
    );
}

#[test]
fn time_has_a_limit() {
    for script in [
        "for (;;) {}",
        "while (true) { try { while (true); } finally { continue; } }",
        "for (;;) { try { throw 1; } catch (e) {} }",
        "/^(a+)+$/.test(new Array(40).join('a') + 'b')",
        "/^(a|aa|a?)+$/.test(new Array(60).join('a') + 'b')",
        "function f() { Promise.resolve().then(f); } f()",
        "setInterval(function () {}, 1)",
        "setTimeout(function f() { setImmediate(f); }, 1)",
        "var o = {get a() { for (;;); }}; o.a",
        "'' + {toString: function () { for (;;); }}",
        "+{valueOf: function () { for (;;); }}",
        "conf.domains[0] = {toJSON: function () { for (;;); }}",
        "conf.domains[0] = {get a() { for (;;); }}",
        "Object.defineProperty(conf, 'domains', {enumerable: true, get: function () { for (;;); }})",
        "JSON.parse('[1]', function () { for (;;); })",
        "[3, 2, 1].sort(function () { for (;;); })",
        "'abc'.replace(/b/, function () { for (;;); })",
        "new Promise(function () { for (;;); })",
        "Promise.resolve({then: function () { for (;;); }})",
        "new Proxy({}, {get: function () { for (;;); }}).x",
        "A(Object.defineProperty({}, 'x', {get: function () { for (;;); }}).x)",
        "throw {toString: function () { for (;;); }}",
        "throw {get stack() { for (;;); }}",
        "var e = new Error(); Object.defineProperty(e, 'message', {get: function () { for (;;); }}); throw e;",
        "Promise.reject({toString: function () { for (;;); }})",
        "Error.prepareStackTrace = function () { for (;;); }; throw new Error('x');",
        "function* g() { for (;;) yield 1; } for (var x of g());",
        "for (;;) String(2n ** 100000n)",
        // These two ask for no interrupt: their threads go on for about 20 s, beside other tests.
        "var a = new Array(1e9); a.indexOf(1)",
        "Array.prototype.reverse.call({length: 2e9})",
        "for (;;) new Date().toString()",
    ] {
        assert_eq!(
            stopped(script, LIMITS),
            "still running after 150ms",
            "{script}"
        );
    }
}

#[test]
fn limits_can_be_raised() {
    let large = "var kept = new Array(2e6).fill('x').map(function (x, i) { return x + i; });";
    assert!(load(large, LIMITS).is_err());
    let deep = "function f(n) { return n ? f(n - 1) + 1 : 0; } f(20000);";
    assert!(load(deep, LIMITS).is_err());
    let slow = "var end = Date.now() + 800; while (Date.now() < end);";
    assert!(load(slow, LIMITS).is_err());
    let raised = Limits {
        memory: 1 << 30,
        time: Duration::from_secs(20),
        stack: 64 << 20,
    };
    for script in [large, deep, slow] {
        load(script, raised).unwrap_or_else(|error| panic!("{script}: {error:#}"));
    }
}

#[test]
fn the_limits_say_what_to_do() {
    for (limits, script, expected) in [
        (
            PATIENT,
            "\nvar all = []; for (;;) all.push(new Array(1000));",
            "`dnsconfig.js:2:37`: needs more than 64 MiB of memory\nhint: look for a loop without an end; a configuration that is this large needs a higher `--js-memory`",
        ),
        (
            PATIENT,
            "function f() { return f() + 1; }\nf();",
            "`dnsconfig.js:1:22`: calls or brackets nest too deeply for a stack of 1 MiB\nhint: look for a function that calls itself without an end; a configuration that nests this deeply needs a higher `--js-stack`",
        ),
        (
            // What is evaluated before it takes a part of the time.
            Limits {
                time: Duration::from_secs(2),
                ..LIMITS
            },
            "for (;;) {}",
            "`dnsconfig.js:1:1`: still running after 2s\nhint: look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`",
        ),
    ] {
        let explained = explain(&load(script, limits).unwrap_err());
        assert_eq!(explained.what, "cannot evaluate `dnsconfig.js`");
        let shown = format!(
            "{}\nhint: {}",
            explained.causes.join("\n"),
            explained.hints.first().unwrap()
        );
        assert_eq!(shown, expected);
    }
}

#[test]
fn there_is_no_way_out() {
    for name in [
        "process",
        "fetch",
        "XMLHttpRequest",
        "WebSocket",
        "Deno",
        "std",
        "os",
        "module",
        "exports",
        "global",
        "Worker",
        "importScripts",
        "native",
        "kit",
    ] {
        let script =
            format!("if (typeof {name} !== 'undefined') throw new Error('{name} is there');");
        load(&script, PATIENT).unwrap_or_else(|error| panic!("{error:#}"));
    }
    for script in [
        "import('fs')",
        "import('./dnsconfig.js')",
        "import('/etc/hostname')",
    ] {
        assert!(load(script, PATIENT).is_err(), "{script}");
    }
    assert!(load("import fs from 'fs';", PATIENT).is_err());
}
