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

    #[test]
    fn scratch() {
        for s in [
            "\n  throw new Error('boom');",
            "throw 'text'",
            "throw null",
            "require('./lib.js')",
            "throw {a:1}",
            "throw {toString: function () { throw 1; }}",
            "var x = 1;\nfunction f() {\n  undefined_word();\n}\nf();",
            "var a = ;",
            "\n\nD('a.test', ",
            "function f() { return f() + 1; }\nf();",
            "require('./missing.js')",
            "require('../outside.js')",
            "require('missing.js')",
            "require(1)",
            "D('a.test', 'none');",
            "NewRegistrar('none');\nD('a.test','none', DnsProvider('x'));",
            "NewRegistrar('none');\nD('a.test','none');\nD('a.test!', 'none')",
            "NewRegistrar('none');\nD('a.test','none', A('@'))",
            "NewRegistrar('none');\nD('a.test','none', A('@', true))",
            "NewRegistrar('none');\nD('a.test','none', A('@', '1.2.3.4', 7))",
            "NewRegistrar('none');\nD('a.test','none', undefined)",
            "NewRegistrar('none');\nD('a.test','none', MX('@', 70000, 'a'))",
            "NewRegistrar('none');\nD('a.test','none', SPF_BUILDER({}))",
            "PANIC('help')",
            "FETCH('https://x')",
            "var a=[]; for (;;) a.push(new Array(1000).join('x') + a.length)",
            "var s='x'; for(;;) s += s",
            "JSON.parse('{')",
            "NewRegistrar('none');\nD('a.test','none', { a: conf });conf.x = conf",
            "setTimeout(function () { throw new Error('late') }, 5)",
            "Promise.resolve().then(function () { throw new Error('promised') });x",
            &format!("var x = {}1{};", "(".repeat(50_000), ")".repeat(50_000)),
            &format!("var x = {}1{};", "[".repeat(50_000), "]".repeat(50_000)),
            "var a = []; for (var i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)",
            "new RegExp(new Array(100000).join('('))",
        ] {
            let t = Instant::now();
            println!(
                "=== {}\n{}\n   {:?}",
                s.chars().take(100).collect::<String>(),
                script_error(s),
                t.elapsed()
            );
        }
        for s in [
            "for (;;) {}",
            "while (true) { try { while(true); } finally { continue; } }",
            "/^(a+)+$/.test(new Array(40).join('a') + 'b')",
            "Array.prototype.indexOf.call({length: 9007199254740991}, 1)",
            "\nfunction spin() {\n for (;;) {} }\nspin()",
            "for(;;){try{for(;;);}catch(e){}}",
            "Promise.resolve().then(function f() { return Promise.resolve().then(f) })",
        ] {
            let r = Repository::new(&[("dnsconfig.js", s)]);
            let mut source = r.source();
            source.limits.time = Duration::from_secs(1);
            let t = Instant::now();
            println!(
                "=== {s}\n{}\n   {:?}",
                shown(DnsConfig::load(&source)),
                t.elapsed()
            );
        }
    }
}
