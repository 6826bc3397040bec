//! A stand-in for the `dnscontrol` binary, which cannot be had from a package registry.
//!
//! It keeps the zones of one entry, of a TYPE that only the binary knows, in the lab's PowerDNS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::namespace::PATH;
use crate::support::powerdns;
use crate::support::repos::Files;

/// What the provider of the entry asks for.
const PASSWORD: &str = "lab-password";

/// The variable of creds.json that has it.
const VARIABLE: &str = "LAB_HEDNS_PASSWORD";

/// The program, in a folder of its own.
#[derive(Debug)]
pub struct Dnscontrol<'lab> {
    lab: &'lab Lab,
    folder: PathBuf,
}

impl<'lab> Dnscontrol<'lab> {
    pub fn new(lab: &'lab Lab) -> Self {
        let folder = lab.folder().join("dnscontrol");
        let constants = [
            ("FOLDER", folder.to_str().unwrap()),
            ("EVALUATOR", env!("CARGO_BIN_EXE_git-certs")),
            ("API", &powerdns::api_url()),
            ("API_KEY", powerdns::API_KEY),
            ("PASSWORD", PASSWORD),
            ("VERSION", "v4.40.0"),
        ]
        .map(|(name, value)| format!("{name} = {value:?}\n"))
        .concat();
        let script = include_str!("dnscontrol.py");
        let program = lab.namespace().write(
            "dnscontrol/bin/dnscontrol",
            format!("#!/usr/bin/python3\n{constants}{script}"),
        );
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { lab, folder }
    }

    /// The DNS repository of the lab, with PowerDNS behind an entry that only `dnscontrol` knows.
    pub fn files() -> Files {
        let creds = format!(
            r#"{{
  "none": {{ "TYPE": "NONE" }},
  // A registrar that has another idea of the delegation.
  "registrar": {{ "TYPE": "DYNADOT", "key": "x" }},
  "ddns": {{
    "TYPE": "AXFRDDNS",
    "master": "{bind}",
    "transfer-key": "$LAB_TSIG_KEY",
    "update-key": "$LAB_TSIG_KEY"
  }},
  "powerdns": {{ "TYPE": "HEDNS", "username": "lab", "password": "${VARIABLE}" }},
  "zonefiles": {{ "TYPE": "BIND" }}
}}
"#,
            bind = crate::support::address::BIND
        );
        Files::dns().with("creds.json", &creds)
    }

    /// The same command with the program on its PATH.
    pub fn with(&self, command: Command) -> Command {
        let bin = self.folder.join("bin");
        command
            .env("PATH", format!("{}:{PATH}", bin.display()))
            .env(VARIABLE, PASSWORD)
    }

    /// The runs so far: verb and domains.
    pub fn runs(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Whether the delegation of a zone was changed.
    pub fn has_delegated(&self) -> bool {
        self.folder.join("delegated").exists()
    }

    /// Lets the next push wait.
    pub fn close_gate(&self) {
        self.lab.namespace().write("dnscontrol/gate", "");
    }

    /// Whether a push waits.
    pub fn is_reached(&self) -> bool {
        self.folder.join("reached").exists()
    }

    /// Lets pushes through again.
    pub fn open_gate(&self) {
        fs::remove_file(self.folder.join("gate")).unwrap();
    }
}
