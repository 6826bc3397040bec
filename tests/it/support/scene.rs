//! A cert repository and a DNS repository in a lab, and a check that a run which is refused changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::dns::Challenge;
use crate::support::lab::{AgeIdentity, Builder, Lab};
use crate::support::pebble;
use crate::support::repos::{Files, Remote, Transport};

/// The name of the only certificate.
pub const CERTIFICATE: &str = "www";

/// What Pebble's log has for each request that makes an account or an order.
const MAKING: [&str; 2] = ["POST /sign-me-up", "POST /order-plz"];

/// A nightly build that could run.
#[derive(Debug)]
pub struct Scene {
    pub lab: Lab,
    pub identity: AgeIdentity,
    pub certs: Remote,
    pub dns: Remote,
    /// Names of the certificate.
    names: String,
}

/// What a run may change.
#[derive(Debug, PartialEq)]
struct State {
    tips: String,
    challenges: BTreeSet<Challenge>,
    made_at_the_authority: usize,
    left_over: Vec<PathBuf>,
}

impl Scene {
    /// One certificate with these names, in a lab with these servers.
    pub fn start(servers: Builder, names: &[&str]) -> Self {
        Self::with(servers, names, &Files::dns())
    }

    /// The same with other files in the DNS repository.
    pub fn with(servers: Builder, names: &[&str], dns: &Files) -> Self {
        let lab = servers.start();
        let identity = lab.age_identity("lab");
        let certs = Files::certificates(&[(CERTIFICATE, names)], &[&identity.recipient]);
        let certs = certs.publish(&lab, "certs");
        let dns = dns.publish(&lab, "dns");
        Self {
            lab,
            identity,
            certs,
            dns,
            names: names.join(", "),
        }
    }

    /// Another certificate is due, and there is an account for it.
    pub fn with_account() -> Self {
        let scene = Self::start(Lab::builder().bind().pebble(), &["www.bench.test"]);
        scene.renew().succeed();
        let wanted: [(&str, &[&str]); 1] = [("another", &["another.bench.test"])];
        scene.change(&Files::certificates(&wanted, &[&scene.identity.recipient]));
        scene
    }

    /// A run as the manual has it, with repositories that are paths.
    pub fn renew(&self) -> Command {
        self.renew_from(&self.certs.url(Transport::Path))
    }

    /// A run with another cert repository.
    pub fn renew_from(&self, certs: &str) -> Command {
        let dns = self.dns.url(Transport::Path);
        let command = self
            .lab
            .git_certs(["renew", "--repo", certs, "--dns-repo", &dns])
            .env("GIT_CERTS_ACME", pebble::DIRECTORY)
            .env("GIT_CERTS_AGREE_TOS", "true")
            .env("GIT_CERTS_AGE_KEY_FILE", &self.identity.file);
        if self.lab.ca().exists() {
            command.env("GIT_CERTS_CA_BUNDLE", self.lab.ca())
        } else {
            command
        }
    }

    /// Other files in the cert repository.
    pub fn change(&self, files: &Files) {
        files.commit(&self.lab, &self.certs, "a change of the test");
    }

    /// The command ends with 2, says this on standard error and nothing else, and changes nothing.
    #[track_caller]
    pub fn refused(&self, command: &Command, stderr: &str) {
        self.ends_with(command, "", stderr);
    }

    /// The same for a run that fails its certificate, which standard output sums up.
    #[track_caller]
    pub fn blocked(&self, command: &Command, stderr: &str) {
        let names = &self.names;
        let stdout =
            format!("failed   {CERTIFICATE}  {names}\n\n0 issued, 1 failed, 0 up to date\n");
        self.ends_with(command, &stdout, stderr);
    }

    #[track_caller]
    fn ends_with(&self, command: &Command, stdout: &str, stderr: &str) {
        let before = self.state();
        let output = command.run().expect_code(2);
        assert_eq!(settled(&output.normal_stderr()), stderr);
        assert_eq!(output.normal_stdout(), stdout);
        let after = self.state();
        assert_eq!(after, before);
        assert_eq!(after.left_over, [] as [PathBuf; 0]);
    }

    fn state(&self) -> State {
        let tips = [&self.certs, &self.dns].map(|remote| {
            let args = ["for-each-ref", "--format=%(refname) %(objectname)"];
            self.lab.git(&remote.folder, &args).stdout
        });
        // There is no log in a lab without the authority.
        let log = self.lab.folder().join("log/Pebble.out");
        let log = fs::read_to_string(log).unwrap_or_default();
        State {
            tips: tips.concat(),
            challenges: self
                .lab
                .running()
                .iter()
                .flat_map(|server| self.lab.challenges_at(*server))
                .collect(),
            made_at_the_authority: MAKING.map(|words| log.matches(words).count()).iter().sum(),
            left_over: self.lab.left_over(),
        }
    }
}

/// Without the lines of steps: they run side by side, and an error of one can come before the end of another.
fn settled(stderr: &str) -> String {
    let lines = stderr.split_inclusive('\n');
    lines
        .filter(|line| !line.ends_with(" ([TIME])\n"))
        .collect()
}
