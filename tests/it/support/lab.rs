//! The lab as tests use it: which servers run, and what can be asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::address::{BIND, FAULTS, GIT, GITHUB, POWERDNS, RESOLVER, ROOT, VAULT};
use crate::support::command::{Command, Output, Running, logs};
use crate::support::namespace::Namespace;
use crate::support::{
    authority, bind, faults, git_server, github, knot, openbao, pebble, powerdns, repos, resolver,
    route53,
};

/// A server that does not answer after this has failed.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A server of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// Knot, with the root zone and `test.`.
    Root,
    /// Unbound.
    Resolver,
    /// BIND.
    Bind,
    /// PowerDNS.
    PowerDns,
    /// moto.
    Route53,
    /// The ACME server.
    Pebble,
    /// The proxy before the ACME server that injects faults.
    Faults,
    /// lighttpd with `git http-backend`.
    GitHttp,
    /// sshd.
    GitSsh,
    /// OpenBao.
    Vault,
    /// What stands for GitHub's API.
    GitHub,
}

impl Server {
    /// Where it listens.
    pub fn address(self) -> &'static str {
        match self {
            Self::Root => ROOT,
            Self::Resolver => RESOLVER,
            Self::Bind => BIND,
            Self::PowerDns => POWERDNS,
            Self::Route53 => route53::ADDRESS,
            Self::Pebble => crate::support::address::PEBBLE,
            Self::Faults => FAULTS,
            Self::GitHttp | Self::GitSsh => GIT,
            Self::Vault => VAULT,
            Self::GitHub => GITHUB,
        }
    }
}

/// Chooses the servers of a lab.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    servers: BTreeSet<Server>,
    pebble: pebble::Settings,
}

impl Builder {
    pub fn bind(self) -> Self {
        self.with(&[Server::Root, Server::Resolver, Server::Bind])
    }

    pub fn powerdns(self) -> Self {
        self.with(&[Server::Root, Server::Resolver, Server::PowerDns])
    }

    /// The API alone, with no zone.
    pub fn route53(self) -> Self {
        self.with(&[Server::Route53])
    }

    pub fn pebble(self) -> Self {
        self.with(&[Server::Root, Server::Resolver, Server::Pebble])
    }

    pub fn pebble_with(mut self, settings: pebble::Settings) -> Self {
        self.pebble = settings;
        self.pebble()
    }

    /// Pebble, and the proxy before it.
    pub fn faults(self) -> Self {
        self.pebble().with(&[Server::Faults])
    }

    /// git over HTTP and HTTPS.
    pub fn git_http(self) -> Self {
        self.with(&[Server::GitHttp])
    }

    pub fn git_ssh(self) -> Self {
        self.with(&[Server::GitSsh])
    }

    /// OpenBao: initialized, unsealed, with a key-value engine of each version.
    pub fn vault(self) -> Self {
        self.with(&[Server::Vault])
    }

    /// GitHub: its releases, and its git server.
    pub fn github(self) -> Self {
        self.with(&[Server::GitHub]).git_http()
    }

    /// Everything but Route 53, Vault and GitHub.
    pub fn all(self) -> Self {
        self.bind().powerdns().pebble().git_http().git_ssh()
    }

    fn with(mut self, servers: &[Server]) -> Self {
        self.servers.extend(servers);
        self
    }

    /// Starts the servers, all at once, and waits until each answers.
    pub fn start(self) -> Lab {
        let lab = Lab {
            servers: self.servers,
            running: Mutex::default(),
            pebble: self.pebble,
            namespace: Some(Namespace::start()),
        };
        let with_tls = [Server::Pebble, Server::GitHttp, Server::Vault];
        if with_tls.iter().any(|server| lab.servers.contains(server)) {
            authority::write(lab.namespace());
        }
        thread::scope(|scope| {
            for &server in &lab.servers {
                let lab = &lab;
                scope.spawn(move || {
                    lab.configure(server);
                    lab.start(server);
                });
            }
        });
        lab
    }
}

/// Servers in a namespace of their own, gone when this is dropped.
#[derive(Debug)]
pub struct Lab {
    servers: BTreeSet<Server>,
    running: Mutex<BTreeMap<Server, Running>>,
    pebble: pebble::Settings,
    /// None while it is dropped.
    namespace: Option<Namespace>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.namespace = None;
        // What entered the namespace from outside ends with the servers.
        if let Ok(running) = self.running.get_mut() {
            for running in mem::take(running).into_values() {
                running.wait();
            }
        }
    }
}

impl Lab {
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn namespace(&self) -> &Namespace {
        self.namespace.as_ref().unwrap()
    }

    /// The folder of this lab's files, gone with it.
    pub fn folder(&self) -> &Path {
        self.namespace().folder()
    }

    /// The root certificate of `acme.test` and of `https://git.test`.
    pub fn ca(&self) -> PathBuf {
        authority::root(self.namespace())
    }

    fn configure(&self, server: Server) {
        let namespace = self.namespace();
        match server {
            Server::Root => knot::configure(namespace),
            Server::Resolver => resolver::configure(namespace),
            Server::Bind => bind::configure(namespace),
            Server::PowerDns => powerdns::configure(namespace),
            Server::Route53 => route53::configure(namespace),
            Server::Pebble => pebble::configure(namespace, &self.pebble),
            Server::Faults => faults::configure(namespace),
            Server::GitHttp => git_server::configure_http(namespace),
            Server::GitSsh => git_server::configure_ssh(namespace),
            Server::Vault => openbao::configure(namespace),
            Server::GitHub => github::configure(namespace),
        }
    }

    /// Starts a server, with the state in which it was stopped, and waits until it answers.
    pub fn start(&self, server: Server) {
        let namespace = self.namespace();
        let command = match server {
            Server::Root => knot::command(namespace),
            Server::Resolver => resolver::command(namespace),
            Server::Bind => bind::command(namespace),
            Server::PowerDns => powerdns::command(namespace),
            Server::Route53 => route53::command(namespace),
            Server::Pebble => pebble::command(namespace, &self.pebble),
            Server::Faults => faults::command(namespace),
            Server::GitHttp => git_server::http_command(namespace),
            Server::GitSsh => git_server::ssh_command(namespace),
            Server::Vault => openbao::command(namespace),
            Server::GitHub => github::command(namespace),
        };
        let mut running = command.spawn_to(&self.folder().join(format!("log/{server:?}")));
        let started = Instant::now();
        while !self.answers(server) {
            let ended = running.ended();
            assert!(
                ended.is_none() && started.elapsed() < START_LIMIT,
                "{server:?} does not answer ({ended:?}){}",
                logs(self.folder())
            );
            thread::sleep(Duration::from_millis(5));
        }
        let before = self.running.lock().unwrap().insert(server, running);
        assert!(before.is_none(), "{server:?} was running already");
        if server == Server::Vault {
            openbao::unseal(namespace);
        }
    }

    fn answers(&self, server: Server) -> bool {
        let dns = |name: &str| {
            let arguments = ["+time=1", "+tries=1", "+short", "SOA", name];
            let at = format!("@{}", server.address());
            let output = self.command("dig").arg(at).args(arguments).run();
            output.status.success() && !output.stdout.is_empty()
        };
        let http_status = |url: &str| {
            let quiet = [
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ];
            self.command("curl")
                .args(quiet)
                .arg("--cacert")
                .arg(self.ca())
                .arg(url)
                .run()
                .stdout
        };
        match server {
            Server::Root | Server::Resolver => dns("test"),
            Server::Bind => dns("example.test"),
            Server::PowerDns => dns("example.test") && http_status(&powerdns::api_url()) == "200",
            Server::Route53 => {
                let zones = route53::ask(self.namespace(), "hostedzone").run();
                zones.status.success()
            }
            Server::Pebble => http_status(pebble::DIRECTORY) == "200",
            // Whether Pebble runs or not: it is started at the same time.
            Server::Faults => http_status(faults::DIRECTORY) != "000",
            Server::GitHttp => http_status("https://git.test/") == "401",
            // Whatever it says: it may be sealed, or have no data yet.
            Server::Vault => http_status(&format!("{}/v1/sys/health", openbao::URL)) != "000",
            Server::GitHub => http_status("https://api.github.com/") == "401",
            Server::GitSsh => {
                let script = format!("read -r line < /dev/tcp/{GIT}/22 && [[ $line == SSH-* ]]");
                self.command("bash")
                    .args(["-c", &script])
                    .run()
                    .status
                    .success()
            }
        }
    }

    /// Stops a server: connections to it are refused.
    pub fn stop(&self, server: Server) {
        let mut running = self.take(server);
        running.signal("TERM");
        let started = Instant::now();
        while running.ended().is_none() && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(5));
        }
        if running.ended().is_none() {
            running.signal("KILL");
        }
        running.wait();
    }

    /// Makes a server silent for as long as the answer lives: connections to it get no answer.
    pub fn pause(&self, server: Server) -> Paused<'_> {
        self.with_running(server, |running| running.signal("STOP"));
        Paused { lab: self, server }
    }

    /// Lets no answer from port 53 through for as long as the answer lives, but for the resolver's
    /// and those that it gets: what a firewall does that drops questions.
    pub fn block_port_53(&self) -> Blocked<'_> {
        let mut lines = BLOCK.map(|rule| format!("rule add {rule}")).to_vec();
        lines.push("rule del pref 0".to_owned());
        self.route(&lines);
        Blocked { lab: self }
    }

    fn route(&self, lines: &[String]) {
        self.namespace()
            .command_as_root("ip")
            .args(["-batch", "-"])
            .stdin(lines.join("\n"))
            .succeed();
    }

    fn with_running(&self, server: Server, act: impl FnOnce(&Running)) {
        let running = self.take(server);
        act(&running);
        self.running.lock().unwrap().insert(server, running);
    }

    fn take(&self, server: Server) -> Running {
        let running = self.running.lock().unwrap().remove(&server);
        running.unwrap_or_else(|| panic!("{server:?} does not run"))
    }

    /// A program to run inside the lab.
    pub fn command(&self, program: &str) -> Command {
        self.namespace().command(program)
    }

    /// Our program, inside the lab, with the variables that the lab's creds.json asks for.
    pub fn git_certs<A: AsRef<str>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_git-certs"));
        if !self.servers.contains(&Server::Resolver) {
            command = command.env("GIT_CERTS_NO_DNS", "true");
        }
        for (name, value) in repos::variables(self) {
            command = command.env(name, value);
        }
        command.args(args.into_iter().map(|word| word.as_ref().to_owned()))
    }

    /// What our program left in its folder for temporary files.
    pub fn left_over(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder().join("tmp")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Runs git, which has to succeed, as an author who always commits at the same time.
    #[track_caller]
    pub fn git(&self, folder: &Path, args: &[&str]) -> Output {
        let date = "2026-01-01T00:00:00Z";
        self.command("git")
            .args(args.to_vec())
            .folder(folder)
            .env("GIT_SSL_CAINFO", self.ca())
            .env("GIT_AUTHOR_NAME", "Lab")
            .env("GIT_AUTHOR_EMAIL", "lab@example.test")
            .env("GIT_AUTHOR_DATE", date)
            .env("GIT_COMMITTER_NAME", "Lab")
            .env("GIT_COMMITTER_EMAIL", "lab@example.test")
            .env("GIT_COMMITTER_DATE", date)
            .env("GIT_TERMINAL_PROMPT", "0")
            .succeed()
    }

    /// Makes an age identity.
    pub fn age_identity(&self, name: &str) -> AgeIdentity {
        let file = self.folder().join(format!("{name}.agekey"));
        self.command("age-keygen")
            .arg("--output")
            .arg(&file)
            .succeed();
        let recipient = self
            .command("age-keygen")
            .arg("-y")
            .arg(&file)
            .succeed()
            .stdout;
        AgeIdentity {
            recipient: recipient.trim().to_owned(),
            file,
        }
    }

    /// The servers that were chosen, whether they run or not.
    pub fn servers(&self) -> &BTreeSet<Server> {
        &self.servers
    }

    /// Those that run.
    pub fn running(&self) -> BTreeSet<Server> {
        self.running.lock().unwrap().keys().copied().collect()
    }

    /// The last lines of all servers' logs, for failure messages.
    pub fn logs(&self) -> String {
        logs(self.folder())
    }
}

/// A server that does not answer until this is dropped.
#[derive(Debug)]
pub struct Paused<'lab> {
    lab: &'lab Lab,
    server: Server,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.lab.with_running(self.server, Running::resume);
    }
}

/// The kernel's own rule, the first of all, gives way: it would deliver everything.
const BLOCK: [&str; 5] = [
    "pref 20 to 192.0.2.10 lookup local",
    "pref 21 from 192.0.2.10 lookup local",
    "pref 22 ipproto udp sport 53 blackhole",
    "pref 23 ipproto tcp sport 53 blackhole",
    "pref 100 lookup local",
];

/// Port 53 is blocked until this is dropped.
#[derive(Debug)]
pub struct Blocked<'lab> {
    lab: &'lab Lab,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let mut lines = vec!["rule add pref 0 lookup local".to_owned()];
        lines.extend(BLOCK.map(|rule| format!("rule del {rule}")));
        self.lab.route(&lines);
    }
}

/// An identity of age.
#[derive(Clone, Debug)]
pub struct AgeIdentity {
    /// The file with the private part.
    pub file: PathBuf,
    /// The public part.
    pub recipient: String,
}
