//! The configuration of a DNS repository: its zones, and its providers on demand.

use std::env;
use std::path::{Display, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};

use crate::dnscontrol::creds::Creds;
use crate::dnscontrol::engine::{self, Limits, Script};
use crate::dnscontrol::ir::{Declaration, Domain, Ir};
use crate::dnscontrol::normalize;
use crate::dnscontrol::print;
use crate::dnscontrol::resolver::TxtLookup;
use crate::dnscontrol::spf::Lookups;
use crate::dnscontrol::zones;
use crate::model::file;
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
    /// Scripts may use `FETCH()`.
    pub(crate) allow_fetch: bool,
    /// Where `SPF_BUILDER` with `flatten` looks up what `spfcache.json` does not know.
    pub(crate) txt: TxtLookup,
    /// `challenge-zones`: zones that the script does not declare.
    pub(crate) challenge_zones: Vec<Zone>,
    pub(crate) limits: Limits,
}

impl Default for Source {
    /// The files that DNSControl takes, in the current folder, without the network.
    fn default() -> Self {
        Self {
            root: ".".into(),
            config: "dnsconfig.js".into(),
            creds: "creds.json".into(),
            variables: Vec::new(),
            ir: None,
            allow_fetch: false,
            txt: TxtLookup::default(),
            challenge_zones: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// What a DNS repository declares.
#[derive(Debug)]
pub(crate) struct DnsConfig {
    /// In the order of declaration.
    pub(crate) zones: Vec<Zone>,
    challenge_zones: Vec<Zone>,
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
        let (ir, zones) = load(source)?;
        check_undeclared(&source.challenge_zones, &zones)?;
        Ok(Self {
            zones,
            challenge_zones: source.challenge_zones.clone(),
            declared: ir.dns_providers,
            root: source.root.clone(),
            creds_source: source.creds.clone(),
            creds: Mutex::new(None),
        })
    }

    /// The zone with the longest name of those that `name` is in, `challenge-zones` included; the
    /// first declared of equals.
    pub(crate) fn zone_for(&self, name: &DnsName) -> Option<&Zone> {
        self.all_zones()
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

    /// Zones of the script, then `challenge-zones`.
    pub(crate) fn all_zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter().chain(&self.challenge_zones)
    }

    /// Names of the DNS providers that are declared.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|declared| declared.name.as_str())
    }

    /// A zone by its name with the tag, one of `challenge-zones` too.
    pub(crate) fn zone(&self, unique_name: &str) -> Option<&Zone> {
        let mut all = self.zones.iter().chain(&self.challenge_zones);
        all.find(|zone| zone.unique_name() == unique_name)
    }

    /// A provider with its credentials, from creds.json and the environment. Blocks the first time.
    ///
    /// Entries that nobody asks for may be missing or wrong. One that only `challenge-zones` names
    /// need not be declared in the script.
    pub(crate) fn provider(&self, entry: &str) -> Result<ProviderEntry> {
        let undeclared = Declaration {
            name: entry.to_owned(),
            ..Declaration::default()
        };
        let mut declarations = self.declared.iter();
        let declared = declarations
            .find(|declared| declared.name == entry)
            .unwrap_or(&undeclared);
        let mut slot = self.creds.lock().unwrap_or_else(PoisonError::into_inner);
        let creds = match slot.take() {
            Some(creds) => creds,
            None => Creds::read(&self.creds_source, &self.root)?,
        };
        slot.insert(creds)
            .provider(declared, &|variable| env::var(variable).ok())
    }
}

/// A zone of dnsconfig.js is compared, so it must not be listed as one that cannot be.
fn check_undeclared(challenge_zones: &[Zone], declared: &[Zone]) -> Result<()> {
    let is_declared = |zone: &&Zone| declared.iter().any(|other| other.name == zone.name);
    match challenge_zones.iter().find(is_declared) {
        None => Ok(()),
        Some(zone) => Err(anyhow!(
            "`{}` in `challenge-zones` is a zone of dnsconfig.js",
            zone.name
        ))
        .hint(|| "take it out of `challenge-zones`: dnsconfig.js says where it is"),
    }
}

/// The IR of a configuration as `dnscontrol print-ir` (v4) prints it, on one line. Blocks.
///
/// What DNSControl or this program would refuse is refused.
pub(crate) fn print_ir(source: &Source) -> Result<String> {
    let (ir, _) = read(source, true)?;
    Ok(print::print(&ir))
}

/// Reads without the places of declarations, which cost time. An error needs one: the script
/// runs again to find it.
fn load(source: &Source) -> Result<(Ir, Vec<Zone>)> {
    read(source, false).map_err(|error| match (&source.ir, read(source, true)) {
        (None, Err(placed)) => placed,
        _ => error,
    })
}

/// What is declared, normalised, and its zones.
fn read(source: &Source, positions: bool) -> Result<(Ir, Vec<Zone>)> {
    let mut ir = match &source.ir {
        Some(file) => read_ir(source, file)?,
        None => evaluate(source, positions)?,
    };
    let shown = source.ir.as_ref().unwrap_or(&source.config).display();
    let about = || format!("cannot use `{shown}`");
    let mut lookups = Lookups::new(&source.root, &source.txt);
    match &source.ir {
        Some(_) => {
            let expanded = is_expanded(&ir);
            normalize::normalize(&mut ir, &mut lookups, expanded)
        }
        None => normalize::together(&mut ir, &mut lookups, false),
    }
    .with_context(about)?;
    let zones = zones::zones(&ir).with_context(about)?;
    Ok((ir, zones))
}

/// Whether pseudo records are resolved: `print-ir --raw` leaves them, and TTLs that nobody set.
fn is_expanded(ir: &Ir) -> bool {
    let mut records = ir.domains.iter().flat_map(|domain| &domain.records);
    records.all(|item| item.ttl != 0 && item.rtype != "IMPORT_TRANSFORM")
}

/// What the script declares, its domains normalised while the next are printed.
fn evaluate(source: &Source, positions: bool) -> Result<Ir> {
    let script = Script {
        root: source.root.clone(),
        config: source.config.clone(),
        variables: source.variables.clone(),
        positions,
        allow_fetch: source.allow_fetch,
        limits: source.limits,
    };
    let config = source.config.display();
    let mut ir = None;
    let mut fault = None;
    engine::evaluate(&script, |json| {
        // Only the first fault counts, and only if the script has none.
        if fault.is_none() {
            fault = add(&mut ir, &json, &config).err();
        }
    })?;
    match fault {
        Some(error) => Err(error),
        None => ir.with_context(|| format!("`{config}` declares nothing")),
    }
}

/// Adds what the script engine prints: first the IR without domains, then lists of domains.
fn add(ir: &mut Option<Ir>, json: &str, config: &Display<'_>) -> Result<()> {
    let no_meaning = || format!("`{config}` declares something that has no meaning");
    let Some(ir) = ir else {
        *ir = Some(serde_json::from_str(json).with_context(no_meaning)?);
        return Ok(());
    };
    let domains: Vec<Domain> = serde_json::from_str(json).with_context(no_meaning)?;
    for mut domain in domains {
        normalize::one_domain(&mut domain, false)
            .with_context(|| format!("cannot use `{config}`"))?;
        ir.domains.push(domain);
    }
    Ok(())
}

fn read_ir(source: &Source, file: &Path) -> Result<Ir> {
    let shown = file.display();
    let bytes =
        file::read(source.root.join(file)).with_context(|| format!("cannot read `{shown}`"))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("`{shown}` is not the output of `dnscontrol print-ir`"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "fixtures in temporary folders")]
#[expect(clippy::too_many_lines, reason = "tables of cases")]
mod tests {
    use std::fs;
    use std::time::Duration;

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
                limits: Limits {
                    memory: 64 << 20,
                    time: Duration::from_secs(20),
                    stack: 1 << 20,
                },
                ..Source::default()
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
                "`dnsconfig.js:1:1`: FETCH is not allowed: a configuration cannot use the network unless `--allow-fetch` is given",
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
            (
                "conf.registrars.push(conf)",
                "TypeError: circular reference",
            ),
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
                "`dnsconfig.js:1:1`: `1x` is not a duration: a number of seconds, or a number and one of s m h d w n y",
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
    fn names_are_compared_in_lower_case() {
        assert_eq!(
            script_error("NewRegistrar('none');\nD('a.test', 'none'); D('A.test', 'none')"),
            "cannot use `dnsconfig.js`\n  `dnsconfig.js:2:22`: `a.test` is declared more than once"
        );
    }

    #[test]
    fn a_missing_configuration() {
        assert_eq!(
            shown(Repository::new(&[]).load()),
            "no `dnsconfig.js` in the DNS repository\n  No such file or directory\nhint: go to the DNS repository, or name it with `--dns-repo` where a command has that; `--config` names the file in it"
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
    fn challenge_zones_stand_beside_those_of_the_script() {
        let repository = Repository::new(&[
            (
                "dnsconfig.js",
                &format!("{DECLARED} D('a.test!in', 'none', DnsProvider('x', 2));"),
            ),
            ("creds.json", r#"{"y": {"TYPE": "DESEC"}}"#),
        ]);
        let mut source = repository.source();
        let zone = |name: &str| {
            let name = name.parse().unwrap();
            Zone::undeclared(name, String::new(), vec!["y".to_owned()])
        };
        source.challenge_zones = vec![zone("acme.test"), zone("_acme-challenge.www.a.test")];
        let config = DnsConfig::load(&source).unwrap();
        let found = |name: &str| {
            let zone = config.zone_for(&name.parse().unwrap());
            zone.map(|zone| (zone.unique_name(), zone.is_declared))
        };
        assert_eq!(
            found("www.a.test.acme.test"),
            Some(("acme.test".into(), false))
        );
        assert_eq!(
            found("_acme-challenge.www.a.test"),
            Some(("_acme-challenge.www.a.test".into(), false))
        );
        assert_eq!(
            found("_acme-challenge.a.test"),
            Some(("a.test!in".into(), true))
        );
        assert_eq!(config.zones.len(), 1);
        assert_eq!(config.provider("y").unwrap().kind, "DESEC");
        source.challenge_zones = vec![zone("a.test")];
        assert_eq!(
            shown(DnsConfig::load(&source)),
            "`a.test` in `challenge-zones` is a zone of dnsconfig.js\nhint: take it out of `challenge-zones`: dnsconfig.js says where it is"
        );
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
            "`creds.json` has no entry `z`\nhint: add `\"z\": {\"TYPE\": \"...\"}` with the credentials of the provider"
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
