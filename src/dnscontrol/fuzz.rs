//! What fuzz targets and measurements may call, behind the cargo feature `fuzzing`.
//!
//! Errors are fine; what must not happen is a crash, a hang, or an answer after the limits.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::dnscontrol::creds::Creds;
use crate::dnscontrol::engine::{self, Script};
use crate::dnscontrol::ir::{Declaration, Ir};
use crate::dnscontrol::normalize;
use crate::dnscontrol::print;
use crate::dnscontrol::spf::Lookups;
use crate::dnscontrol::zones;
use crate::dnscontrol::{DnsConfig, Limits, Source, TxtLookup};

/// Small, so that the fuzzer finds what escapes them.
const LIMITS: Limits = Limits {
    memory: 64 << 20,
    time: Duration::from_millis(500),
    stack: 512 << 10,
};

/// How much longer than the time limit an answer may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(8);

/// A folder for as long as the fuzzer runs.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    #[expect(
        clippy::expect_used,
        reason = "without a folder there is nothing to do"
    )]
    FOLDER
        .get_or_init(|| tempfile::tempdir().expect("a temporary folder"))
        .path()
}

/// Names of other domains have two answers that include each other, and the rest none.
fn lookup() -> TxtLookup {
    TxtLookup::from_fn(|name| match name {
        "a" => Ok(vec![
            "v=spf1 ip4:192.0.2.1 include:b include:b -all".to_owned(),
        ]),
        "b" => Ok(vec!["v=spf1 include:a -all".to_owned()]),
        _ => bail!("no network"),
    })
}

/// Evaluates and normalises a script.
#[expect(
    clippy::disallowed_methods,
    reason = "the script, in a temporary folder"
)]
pub fn evaluator(script: &[u8]) {
    let source = Source {
        root: folder().to_owned(),
        txt: lookup(),
        limits: LIMITS,
        ..Source::default()
    };
    if fs::write(source.root.join(&source.config), script).is_err() {
        return;
    }
    let start = Instant::now();
    drop(DnsConfig::load(&source));
    let took = start.elapsed();
    assert!(
        took < LIMITS.time + PATIENCE,
        "the limits did not hold: {took:?}"
    );
}

/// Normalises and prints an IR, twice: what is printed must be read as it was.
pub fn ir(json: &[u8]) {
    let Ok(first) = normalized(json, false) else {
        return;
    };
    let again = normalized(first.as_bytes(), true);
    assert!(
        again.as_ref().is_ok_and(|again| *again == first),
        "{first} gives {again:?}"
    );
}

fn normalized(json: &[u8], expanded: bool) -> Result<String> {
    let mut ir: Ir = serde_json::from_slice(json)?;
    let lookup = lookup();
    normalize::normalize(&mut ir, &mut Lookups::new(folder(), &lookup), expanded)?;
    zones::zones(&ir)?;
    Ok(print::print(&ir))
}

/// Reads creds.json and asks for everything in it.
#[expect(clippy::disallowed_methods, reason = "the file, in a temporary folder")]
pub fn creds(text: &[u8]) {
    if fs::write(folder().join("creds.json"), text).is_err() {
        return;
    }
    let Ok(creds) = Creds::read("creds.json", folder()) else {
        return;
    };
    for (name, kind) in [("none", "-"), ("bind", "BIND"), ("a", "-"), ("a", "BIND")] {
        let declared = Declaration {
            name: name.to_owned(),
            kind: kind.to_owned(),
            meta: None,
        };
        drop(creds.provider(&declared, &|name| Some(name.to_owned())));
    }
}

/// Times of one evaluation, for the measurement of the whole against the bare engine.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The engine alone, until it is gone: the language's words and the script.
    pub engine: Duration,
    /// From the script to zones.
    pub whole: Duration,
    pub records: usize,
}

/// Evaluates `config` in `root` twice: in the bare engine, and to zones.
///
/// # Errors
///
/// Those of the configuration.
pub fn measure(root: &Path, config: &str) -> Result<Times> {
    let source = Source {
        root: root.to_owned(),
        config: config.into(),
        ..Source::default()
    };
    let start = Instant::now();
    engine::evaluate_only(&Script {
        root: source.root.clone(),
        config: source.config.clone(),
        variables: Vec::new(),
        positions: false,
        allow_fetch: false,
        limits: source.limits,
    })?;
    let engine = start.elapsed();
    let start = Instant::now();
    let loaded = DnsConfig::load(&source)?;
    let whole = start.elapsed();
    Ok(Times {
        engine,
        whole,
        records: loaded.zones.iter().map(|zone| zone.records.len()).sum(),
    })
}
