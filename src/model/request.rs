//! Certificate signing requests that somebody else made: their private keys are never seen here.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use crate::model::name::Identifier;

/// A request (PKCS#10, RFC 2986) whose signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SigningRequest {
    pub(crate) der: Vec<u8>,
    /// Its DNS names.
    pub(crate) identifiers: BTreeSet<Identifier>,
    /// `SubjectPublicKeyInfo`, DER.
    pub(crate) public_key: Vec<u8>,
}

impl SigningRequest {
    /// Reads PEM or DER.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let der = match Pem::iter_from_buffer(bytes).next() {
            Some(Ok(pem)) if pem.label.ends_with("CERTIFICATE REQUEST") => pem.contents,
            Some(Ok(pem)) => bail!("it is PEM of another kind: `{}`", pem.label),
            _ => bytes.to_vec(),
        };
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| anyhow!("it is no certificate signing request (PKCS#10) in PEM or DER"))?;
        ensure!(rest.is_empty(), "something follows the request");
        request
            .verify_signature()
            .context("its signature is wrong")?;
        let mut identifiers = BTreeSet::new();
        for extension in request.requested_extensions().into_iter().flatten() {
            let ParsedExtension::SubjectAlternativeName(names) = extension else {
                continue;
            };
            for name in &names.general_names {
                let GeneralName::DNSName(text) = name else {
                    bail!("it has a name that is no DNS name: {name}");
                };
                identifiers.insert(text.parse().with_context(|| format!("bad name `{text}`"))?);
            }
        }
        ensure!(
            !identifiers.is_empty(),
            "it has no DNS names: they stand in the extension `subjectAltName`"
        );
        let public_key = request.certification_request_info.subject_pki.raw.to_vec();
        Ok(Self {
            der,
            identifiers,
            public_key,
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData, SanType};

    use super::*;

    fn params(names: &[&str]) -> CertificateParams {
        CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap()
    }

    fn refused(bytes: &[u8]) -> String {
        format!("{:#}", SigningRequest::parse(bytes).unwrap_err())
    }

    #[test]
    fn pem_and_der_are_read() {
        let key = KeyPair::generate().unwrap();
        let request = params(&["*.a.example", "a.example"])
            .serialize_request(&key)
            .unwrap();
        let read = SigningRequest::parse(request.pem().unwrap().as_bytes()).unwrap();
        assert_eq!(read, SigningRequest::parse(request.der()).unwrap());
        assert_eq!(read.public_key, key.subject_public_key_info());
        let names: Vec<_> = read.identifiers.iter().map(Identifier::as_str).collect();
        assert_eq!(names, ["*.a.example", "a.example"]);
    }

    #[test]
    fn what_cannot_be_signed_for_is_refused() {
        let key = KeyPair::generate().unwrap();
        assert_eq!(
            refused(b"hello"),
            "it is no certificate signing request (PKCS#10) in PEM or DER"
        );
        assert_eq!(
            refused(key.public_key_pem().as_bytes()),
            "it is PEM of another kind: `PUBLIC KEY`"
        );
        let request = |params: CertificateParams| params.serialize_request(&key).unwrap();
        assert_eq!(
            refused(request(params(&[])).der()),
            "it has no DNS names: they stand in the extension `subjectAltName`"
        );
        let mut address = params(&["a.example"]);
        address
            .subject_alt_names
            .push(SanType::IpAddress("192.0.2.1".parse().unwrap()));
        assert_eq!(
            refused(request(address).der()),
            "it has a name that is no DNS name: IPAddress(c0:00:02:01)"
        );
        let mut forged = request(params(&["a.example"])).der().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        assert!(refused(&forged).starts_with("its signature is wrong"));
        let mut longer = request(params(&["a.example"])).der().to_vec();
        longer.push(0);
        assert_eq!(refused(&longer), "something follows the request");
    }
}
