//! Real name servers for the tests of this room: BIND, Knot and PowerDNS on 127.0.0.1.
//!
//! Each runs as a child in a temporary folder on a free high port, is stopped by its own pid on
//! drop, and serves `example.test`, `big.test`, which needs several messages to transfer, and
//! `types.test`, which has a record of every type that is compared field by field.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::model::environment::Environment;
use crate::model::provider::ProviderEntry;
use crate::model::zone::Zone;
use crate::net::http::Http;
use crate::net::ports::{free_port, started};
use crate::provider::dnscontrol_binary::Invocation;
use crate::provider::registry::Context;

/// Secret of the TSIG key `test-key`, and one that no server knows.
pub(super) const SECRET: &str = "YS1zZWNyZXQtZm9yLXRlc3RzLW9uLWxvb3BiYWNrLTEyMzQ=";
pub(super) const WRONG_SECRET: &str = "YW5vdGhlci1zZWNyZXQtdGhhdC1uby1zZXJ2ZXIta25vd3M=";

/// PowerDNS' API key.
pub(super) const API_KEY: &str = "api-key-for-tests";

/// Hosts in `big.test`.
pub(super) const BIG: usize = 3000;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// One kind of record each, in the spelling of zone files.
pub(super) const ZONE: &str = r#"$ORIGIN example.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 86400 60
@ NS ns1
@ NS ns2.example.net.
ns1 A 127.0.0.1
@ MX 10 mail
@ CAA 0 issue "letsencrypt.org"
@ TXT "v=spf1 " "-all"
www 600 CNAME @
ipv6 AAAA 2001:db8::1
_sip._tcp SRV 1 2 5060 sip
quoted TXT "a\"b;c\\d"
many TXT "one"
many TXT "two"
sub NS ns1
_acme-challenge.alias CNAME elsewhere.example.net.
*.any CNAME elsewhere.example.net.
"#;

/// One record a type, as RFCs and people write them.
pub(super) const TYPES: &str = r#"$TTL 300
@ SOA ns1.example.test. hostmaster 1 3600 600 86400 60
@ NS ns1.example.test.
a A 127.0.0.1
aaaa AAAA 2001:DB8:0::1
afsdb AFSDB 1 Host
caa CAA 128 issuewild "ca.test; account=1"
cert CERT 1 2 8 aGVsbG8=
cname CNAME WWW
dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
dname DNAME Example.net.
ds DS 60485 8 2 ( D4B7D520E7BB5F0F67674A0CCEB1E3E0
   614B93C4F9E99B8383F6A1E4469DA50A )
hinfo HINFO "PC" "a \"b\""
https HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
kx KX 1 Host.example.test.
loc LOC 51 28 38.38 N 0 0 7.771 W -10m 1m 10000m 10m
mx MX 10 Mail
naptr NAPTR 100 10 "U" "E2U+sip" "!^(.*)$!sip:\\1@example.test!" .
openpgpkey OPENPGPKEY aGVsbG8=
ptr PTR Host
rp RP who.example.test. text
smimea SMIMEA 3 1 1 ABCDEF01
srv SRV 1 2 5060 Sip
sshfp SSHFP 4 2 E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
svcb SVCB 0 Other.example.test.
tlsa TLSA 3 1 1 E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
txt TXT "a;b" "c\100\"" "d\;e" "\195\188"
uri URI 10 1 "https://example.test/"
*.wild TXT "wild card"
"#;

/// A running server.
pub(super) struct Server {
    child: Child,
    folder: TempDir,
    /// Where it answers DNS.
    pub(super) dns: SocketAddr,
    /// Where PowerDNS' API or BIND's control channel is.
    pub(super) control: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            let _ = writeln!(std::io::stderr(), "server's log:\n{}", last.join("\n"));
        }
    }
}

impl Server {
    /// BIND, primary for the zones by `test-key`.
    pub(super) fn bind() -> Self {
        Self::named("", &Self::updated_zones())
    }

    /// The same, which hands out one zone at a time.
    pub(super) fn bind_with_one_transfer() -> Self {
        Self::named("transfers-out 1;", &Self::updated_zones())
    }

    fn updated_zones() -> [String; 3] {
        ["example.test", "big.test", "types.test"].map(|zone| {
            format!(
                "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; \
                 update-policy {{ grant \"test-key\" zonesub ANY; }}; }};\n"
            )
        })
    }

    /// BIND whose zone file is edited by hand and reloaded by `rndc`.
    pub(super) fn bind_with_files() -> Self {
        Self::named(
            "",
            &["zone \"example.test\" { type primary; file \"example.test.zone\"; };\n".to_owned()],
        )
    }

    fn named(option: &str, zones: &[String]) -> Self {
        Self::start("named", |folder, dns, control| {
            let here = folder.display();
            let config = format!(
                "key \"test-key\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
                 options {{ directory \"{here}\"; pid-file \"{here}/pid\"; session-keyfile none;\n\
                 listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;\n\
                 dnssec-validation no; notify no; allow-transfer {{ key \"test-key\"; }}; {option} }};\n\
                 controls {{ inet 127.0.0.1 port {} allow {{ 127.0.0.1; }} keys {{ \"test-key\"; }}; }};\n{}",
                dns.port(),
                control.port(),
                zones.concat()
            );
            write(&folder.join("named.conf"), &config);
            write(
                &folder.join("rndc.conf"),
                &format!(
                    "key \"test-key\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n\
                     options {{ default-key \"test-key\"; default-server 127.0.0.1; default-port {}; }};\n",
                    control.port()
                ),
            );
            let mut command = Command::new("/usr/sbin/named");
            command
                .args(["-g", "-n", "1", "-U", "1", "-c"])
                .arg(folder.join("named.conf"));
            command
        })
    }

    /// Knot, primary for the zones by `test-key`.
    pub(super) fn knot() -> Self {
        Self::start("knotd", |folder, dns, _| {
            let here = folder.display();
            let mut config = format!(
                "server:\n    rundir: \"{here}\"\n    listen: 127.0.0.1@{}\n    udp-workers: 1\n    \
                 tcp-workers: 1\n    background-workers: 1\nlog:\n  - target: stderr\n    any: info\n\
                 control:\n    listen: \"{here}/sock\"\ndatabase:\n    storage: \"{here}\"\n\
                 key:\n  - id: test-key.\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
                 acl:\n  - id: test\n    key: test-key.\n    action: [update, transfer, query]\n\
                 template:\n  - id: default\n    storage: \"{here}\"\n    journal-content: none\n    \
                 zonefile-sync: -1\n    acl: test\nzone:\n",
                dns.port()
            );
            for zone in ["example.test", "big.test", "types.test"] {
                let _ = write!(config, "  - domain: {zone}.\n    file: {zone}.zone\n");
            }
            write(&folder.join("knot.conf"), &config);
            let mut command = Command::new("/usr/sbin/knotd");
            command.arg("-c").arg(folder.join("knot.conf"));
            command
        })
    }

    /// PowerDNS with `SQLite`: its API, and updates by `test-key`.
    pub(super) fn powerdns() -> Self {
        Self::start("pdns_server", |folder, dns, control| {
            let here = folder.display();
            write(
                &folder.join("pdns.conf"),
                &format!(
                    "launch=gsqlite3\ngsqlite3-database={here}/db\ngsqlite3-pragma-synchronous=0\n\
                     local-address=127.0.0.1\nlocal-port={}\nsocket-dir={here}\nsetuid=\nsetgid=\n\
                     dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nwebserver=yes\n\
                     webserver-address=127.0.0.1\nwebserver-port={}\nwebserver-allow-from=127.0.0.0/8\n\
                     api=yes\napi-key={API_KEY}\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n\
                     zone-cache-refresh-interval=0\nreceiver-threads=1\ndistributor-threads=1\n\
                     security-poll-suffix=\n",
                    dns.port(),
                    control.port()
                ),
            );
            let schema = [
                "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
                "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
            ]
            .iter()
            .find_map(|path| File::open(path).ok())
            .expect("no schema of pdns-backend-sqlite3");
            run(Command::new("sqlite3").arg(folder.join("db")).stdin(schema));
            let pdnsutil = |arguments: &[&str]| {
                run(Command::new("pdnsutil")
                    .arg(format!("--config-dir={here}"))
                    .args(arguments)
                    .stdin(Stdio::null()));
            };
            pdnsutil(&["import-tsig-key", "test-key", "hmac-sha256", SECRET]);
            for zone in ["example.test", "big.test", "types.test"] {
                pdnsutil(&["load-zone", zone, &format!("{here}/{zone}.zone")]);
                pdnsutil(&["set-kind", zone, "primary"]);
                pdnsutil(&["set-meta", zone, "TSIG-ALLOW-DNSUPDATE", "test-key"]);
                pdnsutil(&["set-meta", zone, "TSIG-ALLOW-AXFR", "test-key"]);
            }
            let mut command = Command::new("/usr/sbin/pdns_server");
            command.arg(format!("--config-dir={here}")).args([
                "--daemon=no",
                "--guardian=no",
                "--write-pid=no",
            ]);
            command
        })
    }

    fn start(name: &str, prepare: impl Fn(&Path, SocketAddr, SocketAddr) -> Command) -> Self {
        started(|| {
            let folder = tempfile::tempdir().expect("no temporary folder");
            write_zones(folder.path());
            let [dns, control] =
                [free_port(), free_port()].map(|port| (Ipv4Addr::LOCALHOST, port).into());
            let mut command = prepare(folder.path(), dns, control);
            let log = File::create(folder.path().join("log")).expect("no log");
            let child = command
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("no log"))
                .stderr(log)
                .spawn()
                .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
            let mut server = Self {
                child,
                folder,
                dns,
                control,
            };
            if server.is_up() {
                Ok(server)
            } else {
                Err(server.log())
            }
        })
    }

    /// Waits until the last zone is served, by TCP.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return false;
            }
            if serves(self.dns).unwrap_or(false) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// An entry of creds.json that reaches this server by AXFR and updates.
    pub(super) fn axfrddns(&self, secret: &str) -> ProviderEntry {
        let key = format!("hmac-sha256:test-key:{secret}");
        entry(
            "AXFRDDNS",
            &[
                ("master", &self.dns.to_string()),
                ("update-key", &key),
                ("transfer-key", &key),
            ],
        )
    }
}

/// An entry of creds.json with the name `main`.
pub(super) fn entry(kind: &str, fields: &[(&str, &str)]) -> ProviderEntry {
    ProviderEntry {
        unset: BTreeMap::new(),
        name: "main".to_owned(),
        kind: kind.to_owned(),
        fields: fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        meta: serde_json::Map::new(),
    }
}

/// What providers are connected with: an empty environment, and no checkout.
pub(super) fn context() -> Context {
    Context {
        http: Http::new(None).unwrap(),
        environment: Environment::default(),
        dns_root: "/nonexistent".into(),
        dns_root_is_temporary: false,
        dnscontrol: Invocation::default(),
    }
}

/// A zone of dnsconfig.js that declares nothing.
pub(super) fn zone(name: &str) -> Zone {
    Zone {
        name: name.parse().unwrap(),
        tag: String::new(),
        providers: Vec::new(),
        records: Vec::new(),
        absent: Vec::new(),
        nameservers: Vec::new(),
        nameserver_ttl: 300,
        no_purge: false,
        ignore: Vec::new(),
        external_dns: None,
        is_declared: true,
        meta: BTreeMap::new(),
    }
}

fn write_zones(folder: &Path) {
    write(&folder.join("example.test.zone"), ZONE);
    let soa = "$TTL 300\n@ SOA ns1.example.test. hostmaster 1 3600 600 86400 60\n@ NS ns1.example.test.\n";
    write(&folder.join("types.test.zone"), TYPES);
    let mut big = soa.to_owned();
    for host in 0..BIG {
        let _ = writeln!(big, "host-number-{host} TXT \"{}\"", "x".repeat(100));
    }
    write(&folder.join("big.test.zone"), &big);
}

pub(super) fn write(path: &Path, text: &str) {
    File::create(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether the server has loaded `example.test`: a query for its SOA (RFC 1035 section 4.1).
fn serves(address: SocketAddr) -> std::io::Result<bool> {
    const QUERY: &[u8] = b"\0\x1e\x12\x34\0\0\0\x01\0\0\0\0\0\0\x07example\x04test\0\0\x06\0\x01";
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(QUERY)?;
    let mut answer = [0; 14];
    stream.read_exact(&mut answer)?;
    let (code, answers) = (answer[5] & 0x0f, answer[9]);
    Ok(code == 0 && answers == 1)
}
