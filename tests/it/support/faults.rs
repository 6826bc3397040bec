//! Pebble with faults: a proxy before it, at `https://faulty.test/dir`. See `faults.py` for what it can do.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::address::FAULTS;
use crate::support::authority;
use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::namespace::Namespace;

/// The directory.
pub const DIRECTORY: &str = "https://faulty.test/dir";

/// A request as the proxy saw it, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method and path.
    pub request: String,
    /// Of Pebble's answer, or of the fault's; 0 where Pebble was not asked.
    pub status: u16,
    /// `-`: none.
    pub fault: String,
    /// Status of the order or authorization in the answer; `-`: none.
    pub state: String,
}

pub fn configure(namespace: &Namespace) {
    namespace.write("faults/proxy.py", include_str!("faults.py"));
    write(namespace, &[]);
}

pub fn command(namespace: &Namespace) -> Command {
    let tls = namespace.folder().join("tls");
    namespace
        .command("python3")
        .arg(namespace.folder().join("faults/proxy.py"))
        .arg(FAULTS)
        .arg(tls.join("cert.pem"))
        .arg(tls.join("key.pem"))
        .arg(authority::root(namespace))
        .arg(rules(namespace))
}

fn rules(namespace: &Namespace) -> PathBuf {
    namespace.folder().join("faults/rules.json")
}

/// In one go: the proxy reads them at every request.
fn write(namespace: &Namespace, faults: &[Value]) {
    static SET: AtomicU32 = AtomicU32::new(0);
    let set = SET.fetch_add(1, Ordering::Relaxed);
    let text = serde_json::json!({"set": set, "rules": faults}).to_string();
    let new = namespace.write("faults/new.json", text);
    fs::rename(new, rules(namespace)).unwrap();
}

impl Lab {
    /// These faults from now on, and none of those before.
    pub fn inject(&self, faults: &[Value]) {
        write(self.namespace(), faults);
    }

    /// All requests so far.
    pub fn seen_by_proxy(&self) -> Vec<Seen> {
        let log = fs::read_to_string(self.folder().join("log/Faults.out")).unwrap_or_default();
        let seen = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            Seen {
                request: words[..2].join(" "),
                status: words[2].parse().unwrap(),
                fault: words[3].to_owned(),
                state: words[4].to_owned(),
            }
        };
        log.lines().map(seen).collect()
    }
}

/// The last state that was seen of each authorization.
pub fn authorizations(seen: &[Seen]) -> BTreeMap<&str, &str> {
    let about = seen.iter().filter(|seen| {
        seen.request.starts_with("POST /authZ/") && seen.state != "-" && seen.fault == "-"
    });
    about
        .map(|seen| (seen.request.as_str(), seen.state.as_str()))
        .collect()
}
