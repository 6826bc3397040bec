//! A cert repository, a DNS repository and an identity: what the nightly build works with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::command::{Command, Output};
use crate::support::lab::{AgeIdentity, Lab, Server};
use crate::support::repos::{Files, Remote, Transport};
use crate::support::{bind, pebble};

/// Something that has to come within this time.
const PATIENCE: Duration = Duration::from_mins(2);

/// Certificates wanted: name and DNS names.
pub type Wanted<'a> = &'a [(&'a str, &'a [&'a str])];

/// Repositories `certs` and `dns` in a lab, and the identity that everything is encrypted for.
#[derive(Debug)]
pub struct Nightly {
    pub lab: Lab,
    pub certs: Remote,
    pub dns: Remote,
    pub identity: AgeIdentity,
}

impl Nightly {
    /// All the zones of the lab in `dns`; `certs` wants these certificates.
    pub fn new(lab: Lab, wanted: Wanted<'_>) -> Self {
        Self::with(lab, wanted, |files, _| files)
    }

    /// The same with other files in the cert repository.
    pub fn with(
        lab: Lab,
        wanted: Wanted<'_>,
        change: impl FnOnce(Files, &AgeIdentity) -> Files,
    ) -> Self {
        let identity = lab.age_identity("identity");
        let files = Files::certificates(wanted, &[&identity.recipient]);
        let certs = change(files, &identity).publish(&lab, "certs");
        let dns = Files::dns().publish(&lab, "dns");
        Self {
            lab,
            certs,
            dns,
            identity,
        }
    }

    /// Our program with the settings that hardly a test is about: CA, its root, agreement.
    pub fn bare(&self, args: &[&str]) -> Command {
        self.lab
            .git_certs(args)
            .env("GIT_CERTS_CA_BUNDLE", self.lab.ca())
            .env("GIT_CERTS_ACME", pebble::DIRECTORY)
            .env("GIT_CERTS_AGREE_TOS", "true")
    }

    /// A subcommand that clones both repositories by path, and has the identity.
    pub fn command(&self, args: &[&str]) -> Command {
        self.bare(args)
            .env("GIT_CERTS_REPO", self.certs.url(Transport::Path))
            .env("GIT_CERTS_DNS_REPO", self.dns.url(Transport::Path))
            .env("GIT_CERTS_AGE_KEY_FILE", &self.identity.file)
    }

    /// `renew`, to its end.
    pub fn renew(&self) -> Output {
        self.command(&["renew"]).run()
    }

    /// Everything that Pebble was asked for so far, its directory aside: method and path.
    pub fn requests(&self) -> Vec<String> {
        pebble_log(&self.lab)
            .lines()
            .filter_map(|line| {
                let before = line.strip_suffix(" -> calling handler()")?;
                let words: Vec<_> = before.split(' ').collect();
                Some(words[words.len().checked_sub(2)?..].join(" "))
            })
            .filter(|request| request != "GET /dir")
            .collect()
    }

    /// A certificate's chain, PEM.
    pub fn chain(&self, name: &str) -> String {
        self.certs
            .show(&self.lab, &format!("certificates/{name}/{name}.crt"))
    }

    /// Fails unless the chain leads to the CA's root and the key, opened by `age`, belongs to it.
    #[track_caller]
    pub fn assert_valid(&self, name: &str) {
        let key = self
            .certs
            .show(&self.lab, &format!("certificates/{name}/{name}.key.age"));
        assert_valid(&self.lab, &self.chain(name), &key, &self.identity);
    }
}

/// What Pebble wrote.
pub fn pebble_log(lab: &Lab) -> String {
    let log = |extension| lab.folder().join("log/Pebble").with_extension(extension);
    [log("out"), log("err")]
        .map(|path| fs::read_to_string(path).unwrap())
        .concat()
}

/// Fails unless the chain leads to the CA's root and the key, opened by `age`, belongs to it.
#[track_caller]
pub fn assert_valid(lab: &Lab, chain: &str, key: &str, identity: &AgeIdentity) {
    let write = |name: &str, text: &str| lab.namespace().write(&format!("check/{name}"), text);
    let root = write("root.pem", &pebble::issuer_root(lab.namespace()));
    let chain = write("chain.pem", chain);
    let openssl = |args: &[&str]| lab.command("openssl").args(args.to_vec());
    openssl(&["verify", "-purpose", "sslserver", "-CAfile"])
        .arg(&root)
        .arg("-untrusted")
        .arg(&chain)
        .arg(&chain)
        .succeed();
    let certified = openssl(&["x509", "-noout", "-pubkey", "-in"])
        .arg(&chain)
        .succeed()
        .stdout;
    let plain = open(lab, key, &identity.file).expect_code(0).stdout;
    assert!(plain.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let public = openssl(&["pkey", "-pubout"]).stdin(plain).succeed().stdout;
    assert_eq!(public, certified);
}

/// How many orders Pebble has taken.
pub fn orders(lab: &Lab) -> usize {
    pebble_log(lab).matches("Added order").count()
}

/// `age --decrypt` with the identity in a file.
pub fn open(lab: &Lab, sealed: &str, identity: &Path) -> Output {
    lab.command("age")
        .args(["--decrypt", "--identity"])
        .arg(identity)
        .stdin(sealed)
        .run()
}

/// Challenge values that one server has: name and value.
pub fn values(lab: &Lab, server: Server) -> BTreeSet<(String, String)> {
    lab.challenges_at(server)
        .into_iter()
        .map(|challenge| (challenge.name, challenge.value))
        .collect()
}

/// Waits for something to become true.
#[track_caller]
pub fn wait_until(lab: &Lab, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: not in time{}",
            lab.logs()
        );
        sleep(Duration::from_millis(10));
    }
}

/// Does something to a run at one of its points, which debug builds know: `KILL`, `INT`, `TERM` or `HUP`.
pub fn at(point: &str, what: &str, run: Command) -> Command {
    run.env("GIT_CERTS_TEST_AT", point)
        .env("GIT_CERTS_TEST_DO", what)
}

/// Holds a run: where it writes challenges to `files.test`, as the reload command waits for us, or at a named
/// point of the run.
#[derive(Debug)]
pub struct Gate<'lab> {
    lab: &'lab Lab,
    folder: PathBuf,
}

impl<'lab> Gate<'lab> {
    pub fn new(lab: &'lab Lab) -> Self {
        Self::named(lab, "gate")
    }

    /// One beside others.
    pub fn named(lab: &'lab Lab, name: &str) -> Self {
        let folder = lab.folder().join(name);
        let shown = folder.display();
        let reload = bind::reload_words(lab.namespace(), "\"$1\"").join(" ");
        let script = format!(
            ": > {shown}/reached\nwhile [ ! -e {shown}/open ]; do sleep 0.02; done\nexec {reload}\n"
        );
        lab.namespace().write(&format!("{name}/reload.sh"), script);
        for state in ["reached", "open"] {
            drop(fs::remove_file(folder.join(state)));
        }
        Self { lab, folder }
    }

    /// Puts the gate in a run's way where BIND is to read `files.test`. No other zone is waited for before.
    pub fn reload(&self, run: Command) -> Command {
        let script = self.folder.join("reload.sh");
        let command = format!("sh {} %z", script.display());
        run.env("LAB_RELOAD_COMMAND", command)
            .env("GIT_CERTS_TEST_TOGETHER", "600000")
    }

    /// Puts the gate in the way of a run at one of its points: `NAME`, or `NAME#2` for the second time.
    pub fn at(&self, point: &str, run: Command) -> Command {
        at(point, self.folder.to_str().unwrap(), run)
    }

    /// Waits until a run stands before the gate.
    #[track_caller]
    pub fn wait(&self) {
        wait_until(self.lab, "a run at the gate", || {
            self.folder.join("reached").exists()
        });
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        fs::write(self.folder.join("open"), "").unwrap();
    }
}
