//! How each tool is set up and run: its own least waits, an account made beforehand.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::command::{Command, Output};
use crate::support::lab::{AgeIdentity, Lab, Server};
use crate::support::nightly::pebble_log;
use crate::support::pebble::DIRECTORY;
use crate::support::peers::{ZONE, bare_lego, certbot, dehydrated, lego, uacme};
use crate::support::repos::{Files, Transport};

/// No run may take longer.
const DEADLINE: Duration = Duration::from_mins(20);

/// Certificates to be issued: how many, and how many names each.
pub struct Scenario {
    pub title: &'static str,
    certificates: usize,
    names: usize,
}

impl Scenario {
    pub fn new(title: &'static str, certificates: usize, names: usize) -> Self {
        Self {
            title,
            certificates,
            names,
        }
    }

    /// What stands for it on the command line: `20x5`.
    pub fn size(&self) -> String {
        format!("{}x{}", self.certificates, self.names)
    }

    /// A prefix for everything of a run, and its certificates.
    pub fn fresh(&self, tool: &str, run: usize) -> (String, Vec<(String, Vec<String>)>) {
        let prefix = format!("{tool}-{}-{run}", self.size());
        let certificates = self.certificates(&prefix);
        (prefix, certificates)
    }

    /// Fresh names: from 100 on, half of them are wildcards of the other half.
    fn certificates(&self, prefix: &str) -> Vec<(String, Vec<String>)> {
        (0..self.certificates)
            .map(|certificate| {
                let host = |name: usize| format!("{prefix}-{certificate}-{name}.{ZONE}");
                let names = if self.names < 100 {
                    (0..self.names).map(host).collect()
                } else {
                    (0..self.names / 2)
                        .flat_map(|name| [host(name), format!("*.{}", host(name))])
                        .collect()
                };
                (format!("{prefix}-{certificate}"), names)
            })
            .collect()
    }
}

/// Wall time of the whole scenario, and the largest memory of one process.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub seconds: f64,
    pub megabytes: u64,
    /// Requests that the CA got for each certificate.
    pub requests: f64,
    /// A process ended with another code than 0.
    pub failed: bool,
}

/// A tool that issues certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    GitCerts,
    Certbot,
    Uacme,
    Dehydrated,
    Lego,
}

impl Tool {
    pub const ALL: [Self; 5] = [
        Self::GitCerts,
        Self::Certbot,
        Self::Uacme,
        Self::Dehydrated,
        Self::Lego,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::GitCerts => "git-certs",
            Self::Certbot => "certbot",
            Self::Uacme => "uacme",
            Self::Dehydrated => "dehydrated",
            Self::Lego => "lego",
        }
    }

    /// Whether a run takes minutes.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Dehydrated | Self::Lego)
    }

    /// Sets the tool up (not measured) and issues the scenario's certificates (measured).
    pub fn measure(self, lab: &Lab, scenario: &Scenario, run: usize) -> Measured {
        let (prefix, certificates) = scenario.fresh(self.name(), run);
        let folder = lab.folder().join("bench").join(&prefix);
        fs::create_dir_all(&folder).unwrap();
        // Pebble 2.4 can lock itself up once it holds hundreds of orders: each run has a new one.
        lab.stop(Server::Pebble);
        lab.start(Server::Pebble);
        let commands = match self {
            Self::GitCerts => git_certs(lab, &prefix, &certificates),
            Self::Certbot => certbot(lab, &folder, &certificates),
            Self::Uacme => uacme(lab, &folder, &certificates),
            Self::Dehydrated => dehydrated(lab, &folder, &certificates),
            Self::Lego => {
                // The account is there before the clock starts, as with the others.
                let account = format!("{prefix}-account.{ZONE}");
                let account = bare_lego(lab, &folder).args(["-d", &account, "run"]);
                account.deadline(DEADLINE).succeed();
                lego(lab, &folder, &certificates)
            }
        };
        let commands: Vec<_> = commands.into_iter().map(timed).collect();
        let before = requests(lab);
        let started = Instant::now();
        let outputs: Vec<Output> = commands.iter().map(Command::run).collect();
        let seconds = started.elapsed().as_secs_f64();
        let failed = outputs.iter().find(|output| !output.status.success());
        if let Some(output) = failed {
            println!("{} failed: {}{}", self.name(), output.stdout, output.stderr);
        }
        Measured {
            seconds,
            requests: (requests(lab) - before) as f64 / scenario.certificates as f64,
            failed: failed.is_some(),
            megabytes: outputs.iter().map(peak_memory).max().unwrap(),
        }
    }
}

/// How many requests Pebble got so far, by its log.
fn requests(lab: &Lab) -> usize {
    pebble_log(lab).matches(" -> calling handler()").count()
}

/// Which versions were measured.
pub fn versions(lab: &Lab) -> String {
    let packages = ["certbot", "uacme", "dehydrated", "lego", "pebble", "bind9"];
    let output = lab
        .command("dpkg-query")
        .args(["--show", "--showformat=${Package} ${Version}\n"])
        .args(packages)
        .succeed();
    let list: Vec<_> = output.stdout.lines().collect();
    format!(
        "Versions: git-certs {}, {}.\n",
        env!("CARGO_PKG_VERSION"),
        list.join(", ")
    )
}

/// The command under GNU time, whose last line of stderr is the peak memory.
pub fn timed(command_line: Command) -> Command {
    command_line
        .under("/usr/bin/time", &["--format=%M"])
        .deadline(DEADLINE)
}

pub fn peak_memory(output: &Output) -> u64 {
    let kilobytes: u64 = output
        .stderr
        .lines()
        .last()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kilobytes.div_ceil(1024)
}

pub fn git_certs(lab: &Lab, prefix: &str, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let identity = lab.age_identity(prefix);
    let wanted: Vec<(&str, Vec<&str>)> = certificates
        .iter()
        .map(|(name, names)| (name.as_str(), names.iter().map(String::as_str).collect()))
        .collect();
    let wanted: Vec<(&str, &[&str])> = wanted
        .iter()
        .map(|(name, names)| (*name, names.as_slice()))
        .collect();
    let run = |certs: &str, dns: &str| renew(lab, certs, dns, &identity);
    let dns = Files::dns().publish(lab, &format!("{prefix}-dns"));
    let dns = dns.url(Transport::Https);
    // The account is there before the clock starts, as with the others.
    let account = format!("{prefix}-account.{ZONE}");
    let certs = Files::certificates(&[("account", &[&account])], &[&identity.recipient])
        .publish(lab, prefix);
    run(&certs.url(Transport::Https), &dns).succeed();
    Files::certificates(&wanted, &[&identity.recipient]).commit(lab, &certs, "certificates");
    vec![run(&certs.url(Transport::Https), &dns)]
}

/// `git-certs renew` of two repositories.
pub fn renew(lab: &Lab, certs: &str, dns: &str, identity: &AgeIdentity) -> Command {
    lab.git_certs([
        "renew",
        "--repo",
        certs,
        "--dns-repo",
        dns,
        "--acme",
        DIRECTORY,
    ])
    .args(["--agree-tos", "--key-type", "p256"])
    .env("GIT_CERTS_CA_BUNDLE", lab.ca())
    .env("GIT_CERTS_AGE_KEY_FILE", &identity.file)
}
