//! Looks at the certificate that a server shows, and can do nothing else.
//!
//! Everywhere else servers are verified, and no switch turns that off. Here the certificate is what the question is
//! about, a wrong one too: whatever is shown is taken down, the connection ends with the handshake, no byte
//! of data is sent, and nothing that a server says here is acted upon.

use std::net::SocketAddr;
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

/// The first certificate, DER, that the server at an address shows to who asks for `name`; without a name, to who
/// asks for nothing in particular.
pub(crate) async fn shown(address: SocketAddr, name: Option<&DnsName>) -> Result<Vec<u8>> {
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
        return Ok(certificate.clone());
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
}

impl Onlooker {
    fn new() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            seen: OnceLock::new(),
        }
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
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
