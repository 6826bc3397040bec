//! The configuration of a DNS repository: its zones, and its providers on demand.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

use crate::dnscontrol::creds::Creds;
use crate::dnscontrol::engine::{self, Limits, Script};
use crate::dnscontrol::ir::{Declaration, Ir};
use crate::dnscontrol::normalize;
use crate::model::hint::Hint;
use crate::model::name::DnsName;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Zone;

/// Where the configuration is and how it may run.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// DNS repository. Scripts read nothing outside it.
    pub(crate) root: PathBuf,
    /// dnsconfig.js, relative to `root` or absolute.
    pub(crate) config: PathBuf,
    /// creds.json, relative to `root` or absolute, or `!command args`, which is run in `root`.
    pub(crate) creds: String,
    /// `--variable`: global strings of the script.
    pub(crate) variables: Vec<(String, String)>,
    /// Output of `dnscontrol print-ir`, relative to `root` or absolute, in place of the script.
    pub(crate) ir: Option<PathBuf>,
    pub(crate) limits: Limits,
}

/// What a DNS repository declares.
#[derive(Debug)]
pub(crate) struct DnsConfig {
    /// In the order of declaration.
    pub(crate) zones: Vec<Zone>,
    declared: Vec<Declaration>,
    root: PathBuf,
    creds_source: String,
    /// Read when the first provider is asked for.
    creds: Mutex<Option<Creds>>,
}

impl DnsConfig {
    /// Runs the script, or reads the IR, and normalises what it declares. Blocks.
    ///
    /// creds.json is not read yet.
    pub(crate) fn load(source: &Source) -> Result<Self> {
        let (ir, shown) = match &source.ir {
            Some(file) => (read_ir(source, file)?, file),
            None => (evaluate(source)?, &source.config),
        };
        let zones =
            normalize::zones(&ir).with_context(|| format!("cannot use `{}`", shown.display()))?;
        Ok(Self {
            zones,
            declared: ir.dns_providers,
            root: source.root.clone(),
            creds_source: source.creds.clone(),
            creds: Mutex::new(None),
        })
    }

    /// The zone with the longest name of those that `name` is in; the first declared of equals.
    pub(crate) fn zone_for(&self, name: &DnsName) -> Option<&Zone> {
        self.zones
            .iter()
            .filter(|zone| name.is_in(&zone.name))
            // `max_by_key` would take the last of equals.
            .reduce(|best, zone| {
                if zone.name.as_str().len() > best.name.as_str().len() {
                    zone
                } else {
                    best
                }
            })
    }

    /// A provider with its credentials, from creds.json and the environment. Blocks the first time.
    ///
    /// Entries that nobody asks for may be missing or wrong.
    pub(crate) fn provider(&self, entry: &str) -> Result<ProviderEntry> {
        let declared = self
            .declared
            .iter()
            .find(|declared| declared.name == entry)
            .ok_or_else(|| anyhow!("the DNS provider `{entry}` is not declared"))
            .hint(|| format!("declare it with `NewDnsProvider(\"{entry}\")`"))?;
        let mut slot = self.creds.lock().unwrap_or_else(PoisonError::into_inner);
        let creds = match slot.take() {
            Some(creds) => creds,
            None => Creds::read(&self.creds_source, &self.root)?,
        };
        slot.insert(creds)
            .provider(declared, &|variable| env::var(variable).ok())
    }
}

fn evaluate(source: &Source) -> Result<Ir> {
    let json = engine::evaluate(&Script {
        root: source.root.clone(),
        config: source.config.clone(),
        variables: source.variables.clone(),
        limits: source.limits,
    })?;
    serde_json::from_str(&json).with_context(|| {
        format!(
            "`{}` declares something that has no meaning",
            source.config.display()
        )
    })
}

fn read_ir(source: &Source, file: &PathBuf) -> Result<Ir> {
    let shown = file.display();
    let bytes =
        fs::read(source.root.join(file)).with_context(|| format!("cannot read `{shown}`"))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("`{shown}` is not the output of `dnscontrol print-ir`"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
#[expect(clippy::too_many_lines, reason = "tables of cases")]
mod tests {
    use std::time::{Duration, Instant};

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::hint::explain;

    /// A DNS repository, and a file `outside.js` beside it.
    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new(files: &[(&str, &str)]) -> Self {
            let repository = Self(tempfile::tempdir().unwrap());
            fs::write(repository.0.path().join("outside.js"), "").unwrap();
            fs::create_dir(repository.root()).unwrap();
            for (path, text) in files {
                let path = repository.root().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            repository
        }

        fn root(&self) -> PathBuf {
            self.0.path().join("dns")
        }

        fn source(&self) -> Source {
            Source {
                root: self.root(),
                config: "dnsconfig.js".into(),
                creds: "creds.json".into(),
                variables: Vec::new(),
                ir: None,
                limits: Limits {
                    memory: 64 << 20,
                    time: Duration::from_secs(20),
                    stack: 1 << 20,
                },
            }
        }

        fn load(&self) -> Result<DnsConfig> {
            DnsConfig::load(&self.source())
        }
    }

    /// The error as the user reads it.
    fn shown<T>(result: Result<T>) -> String {
        let explained = explain(&result.err().expect("an error"));
        let mut lines = vec![explained.what];
        lines.extend(explained.causes.iter().map(|cause| format!("  {cause}")));
        lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
        lines.join("\n")
    }

    fn script_error(script: &str) -> String {
        shown(Repository::new(&[("dnsconfig.js", script), ("lib.js", "\n\nthrow 'inner'")]).load())
    }

    const DECLARED: &str = "NewRegistrar('none'); NewDnsProvider('x'); ";

    fn domain_error(arguments: &str) -> String {
        script_error(&format!("{DECLARED}\nD('a.test', 'none', {arguments});"))
    }

    #[test]
    fn a_script_that_fails_says_where() {
        for (script, expected) in [
            ("\n  throw new Error('boom');", "`dnsconfig.js:2:13`: boom"),
            ("throw 'text'", "`dnsconfig.js`: text"),
            ("require('./lib.js')", "`lib.js`: thrown in lib"),
            (
                "require('./bad.js')",
                "`bad.js:2:9`: SyntaxError: unexpected token in expression: ';'",
            ),
            (
                "throw {toString: function () { throw 1; }}",
                "`dnsconfig.js`: something without a text was thrown",
            ),
            (
                "function f() {\n  undefined_word();\n}\nf();",
                "`dnsconfig.js:2:3`: ReferenceError: undefined_word is not defined",
            ),
            (
                "\n\nD('a.test', ",
                "`dnsconfig.js:3:13`: SyntaxError: unexpected token in expression: ''",
            ),
            ("PANIC('help')", "`dnsconfig.js:1:1`: help"),
            (
                "FETCH('https://x')",
                "`dnsconfig.js:1:1`: FETCH is not allowed: a configuration cannot use the network",
            ),
            (
                "setTimeout(function () { throw new Error('late') }, 5)",
                "`dnsconfig.js:1:36`: late",
            ),
            (
                "Promise.reject(new Error('unhandled'))",
                "`dnsconfig.js:1:20`: unhandled",
            ),
            (
                "Promise.resolve().then(function () {\n  typo();\n})",
                "`dnsconfig.js:2:3`: ReferenceError: typo is not defined",
            ),
            ("conf.x = conf", "TypeError: circular reference"),
            (
                "require('./missing.js')",
                "`dnsconfig.js:1:1`: no file `./missing.js` in the DNS repository",
            ),
            (
                "\nrequire('../outside.js')",
                "`dnsconfig.js:2:1`: `../outside.js` is outside the DNS repository",
            ),
            (
                "require('./link.js')",
                "`dnsconfig.js:1:1`: `./link.js` is outside the DNS repository",
            ),
            (
                "glob('/etc')",
                "`dnsconfig.js:1:1`: `/etc` is outside the DNS repository",
            ),
            (
                "require_glob('./no')",
                "`dnsconfig.js:1:1`: no folder `./no` in the DNS repository",
            ),
            (
                "require(1)",
                "`dnsconfig.js:1:1`: require: the path must be a string",
            ),
            (
                "HASH('md5', '')",
                "`dnsconfig.js:1:1`: HASH: `md5` is none of SHA1, SHA256 and SHA512",
            ),
            (
                "IP('1.2.3')",
                "`dnsconfig.js:1:1`: IP: `1.2.3` is not an IPv4 address",
            ),
            (
                "REV('1.2.3.4/24')",
                "`dnsconfig.js:1:1`: REV: `1.2.3.4/24` has bits set beyond its length",
            ),
            (
                "TTL('1x')",
                "`dnsconfig.js:1:1`: `1x` is not a TTL: a number of seconds, or a number and one of s m h d w n y",
            ),
            (
                "D('a.test', 'none');\nD('a.test!', 'none')",
                "`dnsconfig.js:2:1`: `a.test` is declared more than once",
            ),
            (
                "D_EXTEND('b.test')",
                "`dnsconfig.js:1:1`: D_EXTEND: `b.test` is in no domain that was declared before",
            ),
            (
                "INCLUDE('b.test')",
                "`dnsconfig.js:1:1`: INCLUDE: `b.test` was not declared before",
            ),
        ] {
            let repository = Repository::new(&[
                ("dnsconfig.js", script),
                ("lib.js", "throw 'thrown in lib'"),
                ("bad.js", "\nvar a = ;"),
            ]);
            std::os::unix::fs::symlink("../outside.js", repository.root().join("link.js")).unwrap();
            assert_eq!(
                shown(repository.load()),
                format!("cannot evaluate `dnsconfig.js`\n  {expected}"),
                "{script}"
            );
        }
    }

    #[test]
    fn wrong_arguments_are_refused_where_they_are() {
        for (arguments, expected) in [
            (
                "A('@')",
                "A record requires 2 arguments (name, target). Only 1 were supplied",
            ),
            (
                "A('@', true)",
                "A record: the argument `target` must be a string or number, not a boolean",
            ),
            (
                "TXT('@', [1])",
                "TXT record: the argument `target` must be a string or list of strings, not an object",
            ),
            (
                "MX('@', '10', 'm')",
                "MX record: the argument `mxpreference` must be a number, not a string",
            ),
            (
                "DS('@', 1)",
                "DS record requires 5 arguments (name, keytag, algorithm, digesttype, digest). Only 2 were supplied",
            ),
            (
                "A('@', '1.2.3.4', 7)",
                "A record `@` has an extra argument that is a number, not a modifier or an object",
            ),
            (
                "undefined",
                "`a.test` has a modifier that is undefined, not a record, a modifier, a list or an object",
            ),
            (
                "CAA_BUILDER({})",
                "CAA_BUILDER requires at least one of issue, issuewild, issuevmc, issuemail",
            ),
            ("DMARC_BUILDER({})", "DMARC_BUILDER requires `policy`"),
            (
                "DMARC_BUILDER({policy: 'x'})",
                "DMARC_BUILDER: `policy` must be one of none, quarantine, reject, not `x`",
            ),
            ("DKIM_BUILDER({})", "DKIM_BUILDER requires `selector`"),
            (
                "SPF_BUILDER({})",
                "SPF_BUILDER requires at least 2 elements in `parts`",
            ),
            (
                "DnsProvider('x', 'y')",
                "DnsProvider: the number of name servers must be a number",
            ),
            ("IGNORE(1)", "IGNORE: each pattern must be a string"),
            (
                "CF_WORKER_ROUTE('a,b', 'c')",
                "CF_WORKER_ROUTE: the pattern and the script must not contain commas",
            ),
            (
                "LOC('@', 1, 1, 1, 'X', 1, 1, 1, 'E', 1, 1, 1, 1)",
                "LOC record: `X` is neither N nor S",
            ),
            ("M365_BUILDER({})", "M365_BUILDER is not supported yet"),
            ("LOC_BUILDER_DD({})", "LOC_BUILDER_DD requires `x`"),
            (
                "IMPORT_TRANSFORM([], 'b.test', 1)",
                "IMPORT_TRANSFORM is not supported yet",
            ),
            ("REVCOMPAT('rfc4183')", "REVCOMPAT is not supported yet"),
        ] {
            let error = domain_error(arguments);
            let (first, rest) = error.split_once('\n').unwrap();
            assert_eq!(first, "cannot evaluate `dnsconfig.js`");
            let (place, message) = rest.split_once("`: ").unwrap();
            assert!(place.starts_with("  `dnsconfig.js:2:"), "{error}");
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn what_dnscontrol_refuses_is_refused() {
        let long = format!(
            "SPF_BUILDER({{overflow: '_spf%d', parts: ['v=spf1', '{}']}})",
            "x".repeat(250)
        );
        for (arguments, expected) in [
            (
                "DnsProvider('y')",
                "`a.test` uses the DNS provider `y`, which is not declared\nhint: declare it with `NewDnsProvider(\"y\")`, before the domain",
            ),
            (
                "A('@', '1.2.3')",
                "A record `@` of `a.test`\n  `1.2.3` is not an IPv4 address",
            ),
            (
                "AAAA('@', '1.2.3.4')",
                "AAAA record `@` of `a.test`\n  `1.2.3.4` is not an IPv6 address",
            ),
            (
                "MX('@', 70000, 'm')",
                "MX record `@` of `a.test`\n  `mxpreference` is 70000, more than 65535",
            ),
            (
                "MX('@', 1.5, 'm')",
                "MX record `@` of `a.test`\n  `mxpreference` is 1.5, not a whole number from 0",
            ),
            (
                "CNAME('@', 'b.test.')",
                "CNAME record `@` of `a.test`\n  a domain itself cannot be a CNAME",
            ),
            (
                "NS('@', 'b.test.')",
                "NS record `@` of `a.test`\n  a domain itself cannot have NS records\nhint: declare its name servers with `NAMESERVER()`",
            ),
            (
                "CNAME('w', 'b.test')",
                "CNAME record `w` of `a.test`\n  the target `b.test` does not end with a dot\nhint: write `b.test.`",
            ),
            (
                "A('', '1.2.3.4')",
                "A record `` of `a.test`\n  the name is empty\nhint: write `@` for the domain itself",
            ),
            (
                "A('w.b.test.', '1.2.3.4')",
                "A record `w.b.test.` of `a.test`\n  the name ends with a dot and is not in `a.test`",
            ),
            (
                "A('w.a.test', '1.2.3.4')",
                "A record `w.a.test` of `a.test`\n  the name repeats the domain\nhint: write only what comes before the domain, or add `DISABLE_REPEATED_DOMAIN_CHECK`",
            ),
            (
                "A('a..b', '1.2.3.4')",
                "A record `a..b` of `a.test`\n  `a..b.a.test` has a label that is empty or longer than 63 characters",
            ),
            (
                "CAA('@', 'isue', 'x')",
                "CAA record `@` of `a.test`\n  `isue` is no tag of CAA; those are issue, issuewild, iodef, contactemail, contactphone, issuemail, issuevmc",
            ),
            (
                "A('w', '1.2.3.4'), A('W', '1.2.3.4')",
                "`a.test` declares a record twice: A `w.a.test`",
            ),
            (
                "A('w', '1.2.3.4'), CNAME('w', 'b')",
                "`w.a.test` has a CNAME and another record: A and CNAME",
            ),
            (
                "CNAME('w', 'b'), CNAME('w', 'c')",
                "`w.a.test` has a CNAME and another record: CNAME and CNAME",
            ),
            (
                "A('w', '1.2.3.4', {transform: [{low: IP('1.2.3.0')}]})",
                "A record `w` of `a.test`\n  the modifier `transform` is not supported yet",
            ),
            (
                "SPF_BUILDER({parts: ['v=spf1', '-all'], raw: '', flatten: ['*']})",
                "TXT record `@` of `a.test`\n  `flatten` of SPF_BUILDER is not supported yet",
            ),
            (
                &long,
                "TXT record `@` of `a.test`\n  `overflow` of SPF_BUILDER is not supported yet, and the text is longer than 255 bytes",
            ),
            (
                "PTR('1.2.3.4', 'b.')",
                "PTR record `1.2.3.4` of `a.test`\n  the address is not in `a.test`",
            ),
            (
                "NAMESERVER('a..b')",
                "bad domain `a.test`\n  bad name server `a..b`\n  `a..b` has a label that is empty or longer than 63 characters",
            ),
        ] {
            let error = domain_error(arguments);
            let (place, message) = error.split_once("`: ").unwrap_or_else(|| panic!("{error}"));
            assert!(
                place.starts_with("cannot use `dnsconfig.js`\n  `dnsconfig.js:2:"),
                "{error}"
            );
            assert_eq!(message, expected);
        }
        assert_eq!(
            script_error("NewRegistrar('none');\nD('a.test', 'none'); D('A.test', 'none')"),
            "cannot use `dnsconfig.js`\n  `dnsconfig.js:2:22`: `a.test` is declared more than once"
        );
    }

    #[test]
    fn memory_and_stack_have_limits() {
        let memory = "needs more than 64 MiB of memory\nhint: look for a loop without an end; a configuration that is this large needs a higher `--js-memory`";
        let stack = "calls or brackets nest too deeply for a stack of 1 MiB\nhint: look for a function that calls itself without an end";
        let parentheses = format!("var x = {}1{};", "(".repeat(50_000), ")".repeat(50_000));
        for (script, place, expected) in [
            (
                "\nvar all = []; for (;;) all.push(new Array(1000));",
                "dnsconfig.js:2:37",
                memory,
            ),
            (
                "function f() { return f() + 1; }\nf();",
                "dnsconfig.js:1:22",
                stack,
            ),
            (&parentheses, "dnsconfig.js", stack),
            (
                "var a = [];\nfor (var i = 0; i < 1e5; i++) a = [a];\nJSON.stringify(a)",
                "dnsconfig.js:3:16",
                stack,
            ),
        ] {
            let error = script_error(script);
            let wanted = format!("cannot evaluate `dnsconfig.js`\n  `{place}`: {expected}");
            assert_eq!(
                error,
                wanted,
                "{}",
                script.chars().take(50).collect::<String>()
            );
        }
    }

    #[test]
    fn time_has_a_limit() {
        for (script, place) in [
            (
                "var x = 0;\nfor (;;) {\n  x += Math.sqrt(2);\n}",
                "`dnsconfig.js:1:1`: ",
            ),
            (
                "while (true) { try { while (true); } finally { continue; } }",
                "`dnsconfig.js:1:1`: ",
            ),
            (
                "\n\n/^(a+)+$/.test(new Array(40).join('a') + 'b')",
                "`dnsconfig.js:3:42`: ",
            ),
            ("function f() { Promise.resolve().then(f); } f()", ""),
            ("setInterval(function () {}, 1)", ""),
        ] {
            let repository = Repository::new(&[("dnsconfig.js", script)]);
            let mut source = repository.source();
            source.limits.time = Duration::from_millis(200);
            let start = Instant::now();
            assert_eq!(
                shown(DnsConfig::load(&source)),
                format!(
                    "cannot evaluate `dnsconfig.js`\n  {place}still running after 200ms\nhint: look there and below for a loop without an end or a regular expression that backtracks; a configuration that is this slow needs a higher `--js-timeout`"
                )
            );
            assert!(start.elapsed() < Duration::from_secs(2), "{script}");
        }
    }

    #[test]
    fn a_missing_configuration() {
        assert_eq!(
            shown(Repository::new(&[]).load()),
            "no `dnsconfig.js` in the DNS repository\n  No such file or directory (os error 2)\nhint: name the repository with `--dns-repo`, and the file in it with `--config`"
        );
    }

    #[test]
    fn the_longest_zone_wins_and_the_first_of_equals() {
        let config = Repository::new(&[(
            "dnsconfig.js",
            &format!("{DECLARED} D('a.test!in', 'none', DnsProvider('x', 2)); D('a.test', 'none'); D('b.a.test', 'none');"),
        )])
        .load()
        .unwrap();
        let found = |name: &str| {
            let zone = config.zone_for(&name.parse().unwrap());
            zone.map(Zone::unique_name)
        };
        assert_eq!(found("www.a.test").as_deref(), Some("a.test!in"));
        assert_eq!(found("a.test").as_deref(), Some("a.test!in"));
        assert_eq!(found("x.b.a.test").as_deref(), Some("b.a.test"));
        assert_eq!(found("ba.test"), None);
    }

    #[test]
    fn providers_are_read_on_demand() {
        let repository = Repository::new(&[
            (
                "dnsconfig.js",
                "NewDnsProvider('x', {default_ns: ['ns.a.test']}); NewDnsProvider('y', 'BIND');",
            ),
            (
                "creds.json",
                r#"{"x": {"TYPE": "POWERDNS", "apiKey": "secret"}, "broken": 1}"#,
            ),
        ]);
        let config = repository.load().unwrap();
        let entry = config.provider("x").unwrap();
        assert_eq!(
            (entry.kind.as_str(), entry.field("apiKey")),
            ("POWERDNS", Some("secret"))
        );
        assert_eq!(entry.meta["default_ns"][0], "ns.a.test");
        assert_eq!(config.provider("y").unwrap().kind, "BIND");
        assert_eq!(
            shown(config.provider("z")),
            "the DNS provider `z` is not declared\nhint: declare it with `NewDnsProvider(\"z\")`"
        );
        assert!(!format!("{config:?} {entry:?}").contains("secret"));
    }

    #[test]
    fn the_output_of_print_ir_takes_the_place_of_the_script() {
        let v4 = r#"{"registrars": [{"name": "none", "type": "-"}], "dns_providers": [{"name": "x", "type": "BIND"}], "domains": [
            {"name": "a.test", "tag": "in", "uniquename": "a.test!in", "registrar": "none", "dnsProviders": {"x": 0}, "keepunknown": true, "records": [
                {"type": "TXT", "name": "@", "target": "a \"b\"", "ttl": 60},
                {"type": "MX", "name": "@", "target": "m.b.test.", "mxpreference": 5},
                {"type": "DS", "name": "s", "zonfefilepartial": "1 13 2 ABCD"},
                {"type": "TXT", "name": "v5", "name_unicode": "v5", "rdata": "\"sim\" \"ple\""}
            ]},
            {"name": "b.test", "meta": {"dnscontrol_uniquename": "b.test!out"}, "registrar": "none", "dnsProviders": {}}]}"#;
        let repository = Repository::new(&[("ir.json", v4), ("bad.json", "{")]);
        let mut source = repository.source();
        source.ir = Some("ir.json".into());
        let config = DnsConfig::load(&source).unwrap();
        let zone = &config.zones[0];
        let records: Vec<String> = zone.records.iter().map(ToString::to_string).collect();
        assert_eq!(
            records,
            [
                "TXT a.test \"a \"b\"\" ttl=60",
                "MX a.test 5 m.b.test. ttl=300",
                "DS s.a.test 1 13 2 abcd ttl=300",
                "TXT v5.a.test \"simple\" ttl=300",
            ]
        );
        assert!(zone.no_purge);
        assert_eq!(config.zones[1].unique_name(), "b.test!out");
        source.ir = Some("bad.json".into());
        assert_eq!(
            shown(DnsConfig::load(&source)),
            "`bad.json` is not the output of `dnscontrol print-ir`\n  EOF while parsing an object at line 1 column 1"
        );
    }
}
