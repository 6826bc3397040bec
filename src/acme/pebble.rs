//! A real Pebble (and its DNS server) for tests, as child processes that end with the test.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::acme::account::{Account, NewAccountFiles, Registration};
use crate::acme::connections::Connections;
use crate::acme::order::{Delivered, Placed};
use crate::acme::presets::Directory;
use crate::model::change::Txt;
use crate::net::http::{Http, Repeat};
use crate::net::ports::{free_port, started};

/// scripts/install-test-deps puts it there.
const NEWEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pebble/pebble");

/// How long a server may take until it listens.
const START: Duration = Duration::from_mins(1);

/// A child process with its log.
struct Server {
    child: Child,
    log: std::path::PathBuf,
}

impl Server {
    /// The log if it does not listen.
    fn start(command: &mut Command, folder: &Path, listens: SocketAddr) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = folder.join("server.log");
        let output = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("`{name}` does not start, is it installed? {error}"));
        let mut server = Self { child, log };
        let started = Instant::now();
        while TcpStream::connect(listens).is_err() {
            let ended = server.child.try_wait().unwrap();
            if ended.is_some() || started.elapsed() > START {
                let log = server.log();
                return Err(format!(
                    "`{name}` does not listen on {listens} (ended: {ended:?})\n{log}"
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    #[expect(
        clippy::print_stderr,
        reason = "the log belongs to the message of a failed test"
    )]
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(30).collect::<Vec<_>>();
            eprintln!("--- end of {}", self.log.display());
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

/// Pebble on a free port of 127.0.0.1, with a TLS certificate of its own CA.
pub(super) struct Pebble {
    // Before the folder: the process ends first.
    _server: Server,
    _folder: TempDir,
    address: SocketAddr,
    management: SocketAddr,
    pub(super) directory: Directory,
    pub(super) http: Http,
    pub(super) connections: Connections,
}

/// What [`Pebble::binding`] takes.
pub(super) const EAB_KID: &str = "kid-1";
pub(super) const EAB_HMAC: &str =
    "bGFiIGtleSBmb3IgZXh0ZXJuYWwgYWNjb3VudCBiaW5kaW5nLCBnb29kIGZvciBub3RoaW5n";

impl Pebble {
    /// Starts Pebble without sleeps, rejected nonces and reuse, but for what `settings` say.
    pub(super) fn start(settings: &[(&str, &str)]) -> Self {
        Self::asking(free_address(), settings)
    }

    /// The same, with a DNS server that is asked for the proofs.
    pub(super) fn asking(dns: SocketAddr, settings: &[(&str, &str)]) -> Self {
        started(|| Self::with(dns, settings, false))
    }

    /// Accounts need external account binding: [`EAB_KID`] and [`EAB_HMAC`].
    pub(super) fn binding() -> Self {
        started(|| Self::with(free_address(), &[], true))
    }

    fn with(
        dns: SocketAddr,
        settings: &[(&str, &str)],
        wants_binding: bool,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let (address, management) = (free_address(), free_address());
        let roots = write_tls(folder.path());
        let config = folder.path().join("pebble.json");
        let text = serde_json::json!({"pebble": {
            "listenAddress": address.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.path().join("tls.crt"),
            "privateKey": folder.path().join("tls.key"),
            "httpPort": 5002,
            "tlsPort": 5001,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": wants_binding,
            "externalAccountMACKeys": {EAB_KID: EAB_HMAC},
        }});
        write(&config, &text.to_string());
        let server = Server::start(
            Command::new(NEWEST)
                .arg("-config")
                .arg(&config)
                .args(["-dnsserver", &dns.to_string()])
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "0")
                .env("PEBBLE_AUTHZREUSE", "0")
                .envs(settings.iter().copied()),
            folder.path(),
            address,
        )?;
        let http = Http::new(Some(roots.as_bytes())).unwrap();
        Ok(Self {
            _server: server,
            _folder: folder,
            address,
            management,
            directory: format!("https://{address}/dir").parse().unwrap(),
            connections: Connections::new(http.clone()),
            http,
        })
    }

    /// A way to this server on which answers can be lost.
    pub(super) async fn behind_cutter(&self) -> Cutter {
        Cutter::start(self.address).await
    }

    /// A new account.
    pub(super) async fn account(&self) -> (Account, NewAccountFiles) {
        let agreed = Registration {
            agreed: true,
            ..Registration::default()
        };
        Account::register(&self.directory, &self.connections, &agreed)
            .await
            .unwrap()
    }

    /// What the CA says of a certificate: `Valid` or `Revoked`, and why.
    pub(super) async fn status(&self, serial: &str) -> serde_json::Value {
        let url = format!("https://{}/cert-status-by-serial/{serial}", self.management);
        let request = self.http.client().get(url).build().unwrap();
        let answer = self.http.send(request, Repeat::Safe).await.unwrap();
        answer.json().await.unwrap()
    }
}

impl Placed {
    /// Finalizes and fetches.
    pub(super) async fn finish(
        &mut self,
        request: &[u8],
        preferred_chain: Option<&str>,
    ) -> Result<Delivered> {
        self.finalize(request).await?;
        self.fetch(preferred_chain).await
    }
}

/// Passes connections on, and on demand closes one when the answer arrives.
pub(super) struct Cutter {
    pub(super) directory: Directory,
    armed: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    async fn start(to: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (armed, cuts) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let cutter = Self {
            directory: format!("https://{address}/dir").parse().unwrap(),
            armed: Arc::clone(&armed),
            cuts: Arc::clone(&cuts),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = tokio::net::TcpStream::connect(to).await.unwrap();
                tokio::spawn(pass_on(
                    client,
                    server,
                    Arc::clone(&armed),
                    Arc::clone(&cuts),
                ));
            }
        });
        cutter
    }

    /// The next answer is lost: the server has done what was asked.
    pub(super) fn cut(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn pass_on(
    mut client: tokio::net::TcpStream,
    mut server: tokio::net::TcpStream,
    armed: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            if armed.swap(false, Ordering::SeqCst) {
                cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            to_client.write_all(&buffer[..length]).await.unwrap();
        }
    };
    // Whichever ends first closes both connections.
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}

/// Pebble's DNS server, which answers what it is told.
pub(super) struct Dns {
    _server: Server,
    _folder: TempDir,
    management: SocketAddr,
    pub(super) address: SocketAddr,
}

impl Dns {
    pub(super) fn start() -> Self {
        started(Self::attempt)
    }

    fn attempt() -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let (address, management) = (free_address(), free_address());
        let server = Server::start(
            Command::new("pebble-challtestsrv")
                .args(["-dns01", &address.to_string()])
                .args(["-management", &management.to_string()])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", ""]),
            folder.path(),
            management,
        )?;
        Ok(Self {
            _server: server,
            _folder: folder,
            management,
            address,
        })
    }

    /// Publishes a value next to those that the name has.
    pub(super) async fn add(&self, txt: &Txt) {
        let http = Http::new(None).unwrap();
        let request = http
            .client()
            .post(format!("http://{}/set-txt", self.management))
            .json(&serde_json::json!({"host": txt.name.fqdn(), "value": txt.value}))
            .build()
            .unwrap();
        let answer = http.send(request, Repeat::WhenRefused).await.unwrap();
        assert!(answer.status().is_success());
    }
}

fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Writes certificate and key for 127.0.0.1 and returns the CA's certificate.
fn write_tls(folder: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    write(&folder.join("tls.crt"), &leaf.pem());
    write(&folder.join("tls.key"), &key.serialize_pem());
    ca.pem()
}

fn write(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
