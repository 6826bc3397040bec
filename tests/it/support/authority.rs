//! A certificate authority for the lab's own HTTPS servers: Pebble's API, git and Vault.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::support::namespace::Namespace;

/// Makes the authority and one certificate for all servers.
pub fn write(namespace: &Namespace) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "lab servers");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate().unwrap();
    let names = [
        "acme.test",
        "faulty.test",
        "git.test",
        "github.com",
        "api.github.com",
        "uploads.github.com",
        "localhost",
        "vault.test",
        "one.doh.test",
        "two.doh.test",
    ]
    .map(str::to_owned);
    let params = CertificateParams::new(names).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();

    namespace.write("tls/ca.pem", root.pem());
    namespace.write("tls/cert.pem", leaf.pem());
    namespace.write("tls/key.pem", key.serialize_pem());
}

/// The root that clients need.
pub fn root(namespace: &Namespace) -> PathBuf {
    namespace.folder().join("tls/ca.pem")
}
