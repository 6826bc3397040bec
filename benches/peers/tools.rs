//! How each tool is set up and run: its own least waits, an account made beforehand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::address::{BIND, RESOLVER};
use crate::support::bind;
use crate::support::command::{Command, Output};
use crate::support::lab::{AgeIdentity, Lab, Server};
use crate::support::nightly::pebble_log;
use crate::support::pebble::DIRECTORY;
use crate::support::repos::{Files, Transport};

/// The zone that all names are in; one BIND serves it.
const ZONE: &str = "bench.test";

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
            Self::Lego => lego(lab, &folder, &certificates),
        };
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

/// Lets every program of the lab trust the CA's HTTPS certificate, as a system's bundle would.
pub fn trust_lab(lab: &Lab) {
    let script = "cat /etc/ssl/certs/ca-certificates.crt \"$1\" > \"$2\" && \
                  mount --bind \"$2\" /etc/ssl/certs/ca-certificates.crt";
    lab.command("bash")
        .args(["-c", script, "trust"])
        .arg(lab.ca())
        .arg(lab.folder().join("bundle.crt"))
        .succeed();
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
    vec![timed(run(&certs.url(Transport::Https), &dns))]
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

pub fn certbot(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let [_, name, secret] = tsig();
    let credentials = folder.join("rfc2136.ini");
    write(
        &credentials,
        0o600,
        &format!(
            "dns_rfc2136_server = {BIND}\ndns_rfc2136_port = 53\ndns_rfc2136_name = {name}\n\
             dns_rfc2136_secret = {secret}\ndns_rfc2136_algorithm = HMAC-SHA256\n"
        ),
    );
    let certbot = || bare_certbot(lab, folder);
    certbot()
        .args(["register", "--register-unsafely-without-email"])
        .succeed();
    certificates
        .iter()
        .map(|(name, names)| {
            let command = certbot()
                .args(["certonly", "--key-type", "ecdsa", "--cert-name", name])
                .args(["--dns-rfc2136", "--dns-rfc2136-propagation-seconds", "0"])
                .arg("--dns-rfc2136-credentials")
                .arg(&credentials);
            timed(with_domains(command, "-d", names))
        })
        .collect()
}

/// `certbot` with its folders, the CA and no questions.
pub fn bare_certbot(lab: &Lab, folder: &Path) -> Command {
    let mut command = lab.command("certbot");
    for option in ["--config-dir", "--work-dir", "--logs-dir"] {
        command = command.arg(option).arg(folder);
    }
    command
        .args(["--non-interactive", "--agree-tos", "--server", DIRECTORY])
        .env("REQUESTS_CA_BUNDLE", lab.ca())
}

/// `lego` with its folder, the CA and the way to the zone.
pub fn bare_lego(lab: &Lab, folder: &Path) -> Command {
    let [_, name, secret] = tsig();
    lab.command("lego")
        .args([
            "--accept-tos",
            "--email",
            "bench@example.test",
            "--server",
            DIRECTORY,
        ])
        .args([
            "--dns",
            "rfc2136",
            "--dns.resolvers",
            RESOLVER,
            "--key-type",
            "ec256",
        ])
        .arg("--path")
        .arg(folder)
        .env("LEGO_CA_CERTIFICATES", lab.ca())
        .env("RFC2136_NAMESERVER", format!("{BIND}:53"))
        .env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.")
        .env("RFC2136_TSIG_KEY", &name)
        .env("RFC2136_TSIG_SECRET", &secret)
        .env("RFC2136_POLLING_INTERVAL", "0")
        .env("RFC2136_SEQUENCE_INTERVAL", "0")
}

pub fn lego(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let lego = |names: &[String]| with_domains(bare_lego(lab, folder), "-d", names).arg("run");
    let account = format!("{}-account.{ZONE}", certificates[0].0);
    lego(&[account]).deadline(DEADLINE).succeed();
    certificates
        .iter()
        .map(|(_, names)| timed(lego(names)))
        .collect()
}

fn uacme(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    // uacme calls: METHOD TYPE IDENTIFIER TOKEN AUTH
    let hook = nsupdate_hook(
        folder,
        "[ \"$2\" = dns-01 ] || exit 1\n\
         case $1 in begin) change=add ;; *) change=delete ;; esac\n\
         printf 'update %s _acme-challenge.%s 60 TXT \"%s\"\\n' \"$change\" \"$3\" \"$5\"",
    );
    let uacme = || {
        lab.command("uacme")
            .args(["--acme-url", DIRECTORY, "--confdir"])
            .arg(folder)
            .arg("--yes")
    };
    uacme().arg("new").succeed();
    certificates
        .iter()
        .map(|(_, names)| {
            let command = uacme()
                .arg("--hook")
                .arg(&hook)
                .args(["--type", "EC", "issue"]);
            timed(command.args(names.iter().cloned()))
        })
        .collect()
}

pub fn dehydrated(
    lab: &Lab,
    folder: &Path,
    certificates: &[(String, Vec<String>)],
) -> Vec<Command> {
    // With HOOK_CHAIN one call has all names: deploy_challenge (DOMAIN TOKEN VALUE)...
    let hook = nsupdate_hook(
        folder,
        "case $1 in deploy_challenge) change=add ;; clean_challenge) change=delete ;; *) exit 0 ;; esac\n\
         shift\n\
         while [ $# -ge 3 ]; do\n\
         printf 'update %s _acme-challenge.%s 60 TXT \"%s\"\\n' \"$change\" \"$1\" \"$3\"\n\
         shift 3\n\
         done",
    );
    let config = folder.join("config");
    write(
        &config,
        0o644,
        &format!(
            "CA={DIRECTORY}\nCHALLENGETYPE=dns-01\nHOOK={}\nHOOK_CHAIN=yes\nKEY_ALGO=prime256v1\nBASEDIR={}\n",
            hook.display(),
            folder.display()
        ),
    );
    let lines: Vec<_> = certificates
        .iter()
        .map(|(name, names)| format!("{} > {name}\n", names.join(" ")))
        .collect();
    write(&folder.join("domains.txt"), 0o644, &lines.concat());
    let dehydrated = || lab.command("dehydrated").arg("--config").arg(&config);
    dehydrated()
        .args(["--register", "--accept-terms"])
        .succeed();
    vec![timed(dehydrated().arg("--cron"))]
}

/// A hook whose body prints nsupdate's words for all challenges at once.
fn nsupdate_hook(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("hook.sh");
    let text = format!(
        "#!/bin/bash\nset -e\nwords() {{\n{body}\n}}\nall=$(words \"$@\")\n[ -n \"$all\" ] || exit 0\n\
         printf 'server {BIND}\\nzone {ZONE}\\n%s\\nsend\\n' \"$all\" | nsupdate -y {}\n",
        bind::TSIG
    );
    write(&path, 0o755, &text);
    path
}

fn with_domains(command: Command, option: &str, names: &[String]) -> Command {
    names
        .iter()
        .fold(command, |command, name| command.arg(option).arg(name))
}

fn tsig() -> [String; 3] {
    let parts: Vec<_> = bind::TSIG.split(':').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

pub fn write(path: &Path, mode: u32, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
