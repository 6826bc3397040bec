//! Name servers for tests: Knot, BIND and Unbound as child processes on loopback.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::dns::doh::Resolver;
use crate::dns::exchange::{ask, wire_name};
use crate::dns::lookup::NameServer;
use crate::model::name::DnsName;
use crate::net::http::Http;
use crate::net::ports::free_port;

/// Servers of one test, all on one port of different addresses; gone when it is dropped.
pub(super) struct Lab {
    dir: TempDir,
    pub(super) port: u16,
    children: Vec<(IpAddr, Child)>,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            port: free_port(),
            children: Vec::new(),
        }
    }

    /// Starts Knot as primary of zones: names and records without SOA.
    pub(super) async fn knot(&mut self, ip: &str, zones: &[(&str, &str)]) -> SocketAddr {
        self.knot_with(ip, zones, ["", ""]).await
    }

    /// Starts a Knot that drops UDP questions above a few a second.
    pub(super) async fn strict_knot(&mut self, ip: &str, zones: &[(&str, &str)]) -> SocketAddr {
        let module = "mod-rrl:\n  - id: default\n    rate-limit: 5\n    slip: 0\n";
        let setting = "    global-module: mod-rrl/default\n";
        self.knot_with(ip, zones, [module, setting]).await
    }

    async fn knot_with(
        &mut self,
        ip: &str,
        zones: &[(&str, &str)],
        extra: [&str; 2],
    ) -> SocketAddr {
        let [module, setting] = extra;
        let mut config = String::new();
        let dir = self.home(ip);
        let (at, port) = (dir.display(), self.port);
        write!(
            config,
            "server:\n  rundir: {at}\n  pidfile: {at}/pid\n  listen: {ip}@{port}\n  \
             udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
             log:\n  - target: {at}/log\n    any: info\ncontrol:\n  listen: {at}/sock\n\
             database:\n  storage: {at}\n{module}template:\n  - id: default\n    storage: {at}\n    \
             journal-content: none\n    zonefile-sync: -1\n{setting}zone:\n"
        )
        .unwrap();
        for (zone, records) in zones {
            let file = write_zone(&dir, zone, records);
            writeln!(config, "  - domain: {zone}\n    file: {file}").unwrap();
        }
        put(&dir.join("conf"), &config);
        let args = ["-c".into(), dir.join("conf").display().to_string()];
        self.start(ip, "knotd", &args, zones[0].0).await
    }

    /// Starts BIND as primary of zones. It listens on addresses that an interface carries only, so
    /// on 127.0.0.1; so there can be one.
    pub(super) async fn bind(&mut self, zones: &[(&str, &str)]) -> SocketAddr {
        self.bind_with(zones, ["", ""]).await
    }

    /// The same; BIND answers over HTTPS too, with authority.
    pub(super) async fn bind_over_https(&mut self, zones: &[(&str, &str)]) -> Resolver {
        let (ip, port) = ("127.0.0.1", free_port());
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let before = format!(
            "tls t {{ cert-file \"{cert}\"; key-file \"{key}\"; }};\n\
             http h {{ endpoints {{ \"/dns-query\"; }}; }};\n"
        );
        let listen = format!("listen-on port {port} tls t http h {{ {ip}; }};\n");
        self.write_certificate();
        self.bind_with(zones, [&before, &listen]).await;
        self.over_https(ip, port, "/dns-query")
    }

    async fn bind_with(&mut self, zones: &[(&str, &str)], extra: [&str; 2]) -> SocketAddr {
        let ip = "127.0.0.1";
        let [before, listen] = extra;
        let mut config = String::new();
        let dir = self.home(ip);
        let (at, port) = (dir.display(), self.port);
        write!(
            config,
            "{before}options {{ directory \"{at}\"; pid-file none; session-keyfile none;\n\
             {listen}listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }};\n\
             recursion no; dnssec-validation no; notify no; }};\ncontrols {{ }};\n\
             logging {{ channel f {{ file \"log\"; severity info; }}; category default {{ f; }}; }};\n"
        )
        .unwrap();
        for (zone, records) in zones {
            let file = write_zone(&dir, zone, records);
            writeln!(
                config,
                "zone \"{zone}\" {{ type primary; file \"{file}\"; }};"
            )
            .unwrap();
        }
        put(&dir.join("conf"), &config);
        let args = ["-f", "-n1", "-U1", "-c"].map(str::to_owned);
        let config = dir.join("conf").display().to_string();
        self.start(ip, "named", &[&args[..], &[config]].concat(), zones[0].0)
            .await
    }

    /// Starts Unbound as the recursive resolver, without a cache. It is told who serves each zone:
    /// it takes servers that it finds by a delegation to be on port 53.
    pub(super) async fn resolver(&mut self, ip: &str, zones: &[(&str, SocketAddr)]) -> SocketAddr {
        let no_cache = " cache-max-ttl: 0\n cache-max-negative-ttl: 0\n";
        self.resolver_with(ip, zones, no_cache).await
    }

    /// The same over HTTPS, with a cache.
    pub(super) async fn resolver_over_https(
        &mut self,
        ip: &str,
        zones: &[(&str, SocketAddr)],
    ) -> Resolver {
        let (cert, key) = (self.path("cert.pem"), self.path("key.pem"));
        let port = free_port();
        let listen = format!(
            " interface: {ip}@{port}\n https-port: {port}\n \
             tls-service-pem: \"{cert}\"\n tls-service-key: \"{key}\"\n"
        );
        self.write_certificate();
        self.resolver_with(ip, zones, &listen).await;
        self.over_https(ip, port, "/dns-query")
    }

    async fn resolver_with(
        &mut self,
        ip: &str,
        zones: &[(&str, SocketAddr)],
        extra: &str,
    ) -> SocketAddr {
        let mut config = String::new();
        let dir = self.home(ip);
        let (at, port) = (dir.display(), self.port);
        write!(
            config,
            "server:\n directory: \"{at}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
             logfile: \"{at}/log\"\n use-syslog: no\n num-threads: 1\n interface: {ip}@{port}\n \
             do-ip6: no\n do-not-query-localhost: no\n module-config: \"iterator\"\n \
             local-zone: \"test.\" nodefault\n \
             qname-minimisation: no\n minimal-responses: no\n target-fetch-policy: \"0 0 0 0 0\"\n{extra}"
        )
        .unwrap();
        for (zone, server) in zones {
            let address = format!("{}@{}", server.ip(), server.port());
            writeln!(
                config,
                "stub-zone:\n name: \"{zone}\"\n stub-addr: {address}"
            )
            .unwrap();
        }
        writeln!(config, "remote-control:\n control-enable: no").unwrap();
        put(&dir.join("conf"), &config);
        let args = [
            "-d".into(),
            "-c".into(),
            dir.join("conf").display().to_string(),
        ];
        self.start(ip, "unbound", &args, "").await
    }

    /// Where what answers over HTTPS is found by its address, with a client that trusts it.
    pub(super) fn over_https(&self, ip: &str, port: u16, path: &str) -> Resolver {
        let root = fs::read(self.path("root.pem")).unwrap();
        let http = Http::new(Some(&root)).unwrap();
        Resolver::new(&format!("https://{ip}:{port}{path}"), &http).unwrap()
    }

    /// A certificate for the servers that are asked over HTTPS.
    fn write_certificate(&self) {
        if fs::exists(self.path("root.pem")).unwrap() {
            return;
        }
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", "127.0.0.10", "127.0.0.11", "127.0.0.12"].map(str::to_owned);
        let params = CertificateParams::new(names).unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let write = |file: &str, text: String| put(&PathBuf::from(self.path(file)), &text);
        write("root.pem", root.pem());
        write("cert.pem", leaf.pem());
        write("key.pem", key.serialize_pem());
    }

    fn path(&self, file: &str) -> String {
        self.dir.path().join(file).display().to_string()
    }

    /// Starts a daemon that ends with this thread, and waits until it answers for `zone`.
    async fn start(&mut self, ip: &str, program: &str, args: &[String], zone: &str) -> SocketAddr {
        let output = fs::File::create(self.home(ip).join("out")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program])
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let address = self.address(ip);
        self.children.push((address.ip(), child));
        let end = Instant::now() + Duration::from_mins(1);
        let names = [wire_name(
            &zone.parse().unwrap_or_else(|_| ".".parse().unwrap()),
        )];
        while ask(address, RecordType::SOA, &names).await[0].is_err() {
            let (_, child) = self.children.last_mut().unwrap();
            let may_come = Instant::now() < end && child.try_wait().unwrap().is_none();
            assert!(
                may_come,
                "{program} on {address} does not answer: {}",
                self.logs(ip)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        address
    }

    /// Adds TXT records to a zone of the Knot at `ip`, in one transaction.
    pub(super) fn add_txt(&self, ip: &str, zone: &str, records: &[(&str, &str)]) {
        let socket = self.home(ip).join("sock").display().to_string();
        let knotc = |args: &[&str]| {
            let mut command = Command::new("/usr/sbin/knotc");
            let run = command.args(["-s", &socket]).args(args).output().unwrap();
            assert!(run.status.success(), "knotc {args:?}: {run:?}");
        };
        knotc(&["zone-begin", zone]);
        for (name, value) in records {
            knotc(&["zone-set", zone, &format!("{name}."), "60", "TXT", value]);
        }
        knotc(&["zone-commit", zone]);
    }

    /// Makes the server at `ip` deaf: it holds its sockets and answers nothing.
    pub(super) fn freeze(&mut self, ip: &str) {
        let tasks = format!("/proc/{}/task", self.signal(ip, "STOP"));
        let stopped = |task: std::io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        };
        while !fs::read_dir(&tasks).unwrap().all(stopped) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the server at `ip`.
    pub(super) fn kill(&mut self, ip: &str) {
        self.signal(ip, "KILL");
        let ip: IpAddr = ip.parse().unwrap();
        for (_, child) in self.children.iter_mut().filter(|(at, _)| *at == ip) {
            child.wait().unwrap();
        }
    }

    /// The id of the process that got the signal.
    fn signal(&mut self, ip: &str, signal: &str) -> u32 {
        let ip: IpAddr = ip.parse().unwrap();
        let (_, child) = self.children.iter().find(|(at, _)| *at == ip).unwrap();
        let mut kill = Command::new("kill");
        let status = kill.args(["-s", signal, &child.id().to_string()]).status();
        assert!(status.unwrap().success());
        child.id()
    }

    /// A server by its name and addresses in this lab.
    pub(super) fn server(&self, name: &str, ips: &[&str]) -> NameServer {
        NameServer {
            name: name.parse().unwrap(),
            addresses: ips.iter().map(|ip| self.address(ip)).collect(),
            is_extra: false,
        }
    }

    /// The same, added by the user.
    pub(super) fn extra(&self, name: &str, ips: &[&str]) -> NameServer {
        NameServer {
            is_extra: true,
            ..self.server(name, ips)
        }
    }

    pub(super) fn address(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), self.port)
    }

    fn home(&self, ip: &str) -> PathBuf {
        let home = self.dir.path().join(ip.replace(':', "_"));
        fs::create_dir_all(&home).unwrap();
        home
    }

    fn logs(&self, ip: &str) -> String {
        let text = |file| fs::read_to_string(self.home(ip).join(file)).unwrap_or_default();
        text("out") + &text("log")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Shorthand of tests.
pub(super) fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn write_zone(dir: &std::path::Path, zone: &str, records: &str) -> String {
    let file = format!("zone-{zone}");
    let soa = "@ SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 1";
    let origin = zone.trim_end_matches('.');
    put(
        &dir.join(&file),
        &format!("$ORIGIN {origin}.\n$TTL 60\n{soa}\n{records}\n"),
    );
    file
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file in the temporary folder of a test"
)]
fn put(file: &std::path::Path, text: &str) {
    fs::write(file, text).unwrap();
}
