//! A CA that only tells when to renew (RFC 9773), and takes its time for each answer.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long each answer takes.
const LATENCY: Duration = Duration::from_millis(50);

/// Listens until the program ends.
pub struct Authority {
    pub directory: String,
    /// Root of its TLS certificate, PEM.
    pub root: String,
    /// Paths that were asked for: a certificate each.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Authority {
    /// Every certificate is due in 40 days, and may be asked about again in 6 hours.
    pub fn start(window: &[String; 2]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let answers = Answers {
            directory: format!(
                r#"{{"newNonce": "{base}/nonce", "newAccount": "{base}/account", "renewalInfo": "{base}/ari"}}"#
            ),
            window: format!(
                r#"{{"suggestedWindow": {{"start": "{}", "end": "{}"}}}}"#,
                window[0], window[1]
            ),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&answers.asked);
        let (config, answers) = (Arc::new(config), Arc::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, answers) = (Arc::clone(&config), Arc::clone(&answers));
                let connection = ServerConnection::new(config).unwrap();
                thread::spawn(move || answers.serve(StreamOwned::new(connection, stream.unwrap())));
            }
        });
        Self {
            directory: format!("{base}/dir"),
            root: ca.pem(),
            asked,
        }
    }

    /// How many certificates were asked about since the last call; none twice.
    pub fn take_asked(&self) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let different: BTreeSet<_> = asked.iter().collect();
        assert_eq!(different.len(), asked.len(), "asked twice");
        asked.len()
    }
}

struct Answers {
    directory: String,
    window: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    /// One connection, to its end.
    fn serve(&self, tls: StreamOwned<ServerConnection, TcpStream>) {
        let mut tls = BufReader::new(tls);
        loop {
            let mut request = String::new();
            if !matches!(tls.read_line(&mut request), Ok(1..)) {
                return;
            }
            let mut line = String::new();
            while !matches!(line.as_str(), "\r\n") {
                line.clear();
                tls.read_line(&mut line).unwrap();
            }
            thread::sleep(LATENCY);
            let path = request.split(' ').nth(1).unwrap();
            let (status, body) = match path.strip_prefix("/ari/") {
                _ if !request.starts_with("GET ") => ("405 Method Not Allowed", ""),
                _ if path == "/dir" => ("200 OK", self.directory.as_str()),
                Some(id) if is_id(id) => {
                    self.asked.lock().unwrap().push(path.to_owned());
                    ("200 OK", self.window.as_str())
                }
                _ => ("404 Not Found", ""),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After: 21600\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if tls.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// Two parts in base64url (RFC 9773 section 4.1).
fn is_id(text: &str) -> bool {
    let is_part = |part: &str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.split_once('.')
        .is_some_and(|(key, serial)| is_part(key) && is_part(serial))
}
