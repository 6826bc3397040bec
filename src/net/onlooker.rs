//! Looks at the certificate that a server shows, and can do nothing else.
//!
//! Everywhere else servers are verified, and no switch turns that off. Here the certificate is what the question is
//! about, a wrong one too: whatever is shown is taken down, the connection ends with the handshake, no byte
//! of data is sent, and nothing that a server says here is acted upon.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::model::name::DnsName;

/// Longest wait for a server, from the first packet to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The first certificate, DER.
    pub(crate) certificate: Vec<u8>,
    /// The server signed the handshake with the certificate's key: whoever knows a certificate can show it.
    pub(crate) is_proven: bool,
}

/// The first certificate that the server at an address shows to who asks for `name`; without a name, to who
/// asks for nothing in particular.
pub(crate) async fn shown(address: SocketAddr, name: Option<&DnsName>) -> Result<Shown> {
    let name = match name {
        Some(name) => ServerName::try_from(name.as_str().to_owned())
            .with_context(|| format!("`{name}` cannot be asked for"))?,
        None => ServerName::from(address.ip()),
    };
    let onlooker = Arc::new(Onlooker::new());
    let config = ClientConfig::builder_with_provider(Arc::clone(&onlooker.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&onlooker) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let look = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    let ended = timeout(PATIENCE, look).await;
    // A server that wants to know its clients ends the handshake after it has shown its certificate.
    if let Some(certificate) = onlooker.seen.get() {
        return Ok(Shown {
            certificate: certificate.clone(),
            is_proven: onlooker.is_proven.load(Ordering::Acquire),
        });
    }
    match ended {
        Err(_) => Err(anyhow!("no answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(_)) => Err(anyhow!("it shows no certificate")),
    }
}

/// Notes the first certificate of one handshake.
#[derive(Debug)]
struct Onlooker {
    provider: Arc<CryptoProvider>,
    seen: OnceLock<Vec<u8>>,
    is_proven: AtomicBool,
}

impl Onlooker {
    fn new() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            seen: OnceLock::new(),
            is_proven: AtomicBool::new(false),
        }
    }

    /// Notes that a signature is the certificate's.
    fn noted(
        &self,
        verified: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.is_proven.store(verified.is_ok(), Ordering::Release);
        verified
    }
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        first: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.get_or_init(|| first.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.noted(verify_tls12_signature(
            message,
            certificate,
            signature,
            algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.noted(verify_tls13_signature(
            message,
            certificate,
            signature,
            algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pretty_assertions::assert_eq;
    use rcgen::{KeyPair, generate_simple_self_signed};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls::{ServerConfig, SupportedProtocolVersion, version};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Shows a certificate, whatever its key is.
    #[derive(Debug)]
    struct Shows(Arc<CertifiedKey>);

    impl ResolvesServerCert for Shows {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// What is seen of a server that signs with a key of its own, or with the certificate's.
    async fn seen(version: &'static SupportedProtocolVersion, has_key: bool) -> bool {
        let made = generate_simple_self_signed(["www.bench.test".to_owned()]).unwrap();
        let other = KeyPair::generate().unwrap();
        let key = if has_key { &made.signing_key } else { &other };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shows = CertifiedKey::new(vec![made.cert.der().clone()], key);
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shows(Arc::new(shows))));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config))
                .accept(stream)
                .await
                .is_ok()
        });
        let shown = shown(address, None).await.unwrap();
        assert_eq!(shown.certificate, made.cert.der().to_vec());
        assert_eq!(server.await.unwrap(), has_key);
        shown.is_proven
    }

    #[tokio::test]
    async fn a_certificate_without_its_key_is_seen_and_not_proven() {
        for version in [&version::TLS12, &version::TLS13] {
            assert!(seen(version, true).await);
            assert!(!seen(version, false).await);
        }
    }
}
