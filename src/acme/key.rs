//! Keys of certificates and the requests that are signed with them.

use anyhow::{Context, Result, anyhow};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize,
};
use zeroize::Zeroizing;

use crate::acme::account_key::AccountKey;
use crate::acme::pem;
use crate::model::certificate::{KeySource, KeyType, Wanted};
use crate::model::chain;
use crate::model::hint::Hint;
use crate::model::name::Identifier;
use crate::model::request::SigningRequest;
use crate::model::secret::Secret;

/// Longest common name (`ub-common-name`, RFC 5280 appendix A.1); CAs refuse longer ones.
const LONGEST_COMMON_NAME: usize = 64;

/// What a certificate is issued for.
pub(crate) enum KeyMaterial {
    /// A key of ours.
    Own(CertificateKey),
    /// Somebody else's, who asks with this.
    Foreign(SigningRequest),
}

impl KeyMaterial {
    /// Finds or makes the key of a certificate; `kept` is the one that it has.
    ///
    /// Blocks: see [`CertificateKey::generate`].
    pub(crate) fn of(wanted: &Wanted, kept: Option<&Secret>) -> Result<Self> {
        let own = match (&wanted.key_source, kept) {
            (KeySource::Request(request), _) => return Ok(Self::Foreign(request.clone())),
            (KeySource::Kept, Some(kept)) => CertificateKey::read(kept, wanted.key_type)?,
            (KeySource::Kept | KeySource::New, _) => None,
        };
        let own = match own {
            Some(own) => own,
            None => CertificateKey::generate(wanted.key_type)?,
        };
        Ok(Self::Own(own))
    }

    /// Certificate signing request (PKCS#10, DER) for the names: see [`CertificateKey::request`].
    pub(crate) fn request(&self, identifiers: &[Identifier]) -> Result<Vec<u8>> {
        match self {
            Self::Own(key) => key.request(identifiers),
            Self::Foreign(request) => Ok(request.der.clone()),
        }
    }

    /// The public key: `SubjectPublicKeyInfo`, DER.
    pub(crate) fn public_key_der(&self) -> Vec<u8> {
        match self {
            Self::Own(key) => key.public_key_der(),
            Self::Foreign(request) => request.public_key.clone(),
        }
    }

    /// The private key as PKCS#8 in PEM form, if it is ours.
    pub(crate) fn into_pem(self) -> Result<Option<Secret>> {
        match self {
            Self::Own(key) => key.into_pem().map(Some),
            Self::Foreign(_) => Ok(None),
        }
    }
}

/// A certificate's private key. It is wiped on drop and never printed.
pub(crate) struct CertificateKey(Zeroizing<KeyPair>);

impl CertificateKey {
    /// Makes a new key.
    ///
    /// Blocks: microseconds for P-256, up to seconds for RSA-4096. Async callers use
    /// `spawn_blocking`.
    pub(crate) fn generate(key_type: KeyType) -> Result<Self> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        let key = match key_type {
            KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
            KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
            KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
            KeyType::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyType::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        };
        key.map(|key| Self(Zeroizing::new(key)))
            .with_context(|| format!("cannot make a key of type `{key_type}`"))
    }

    /// Reads a key in PEM form; none if it is of another type.
    fn read(pem: &Secret, key_type: KeyType) -> Result<Option<Self>> {
        let text = pem.expose_str().context("the key is no text")?;
        let key = KeyPair::from_pem(text)
            .map_err(|_| anyhow!("the key that is to be kept cannot be read"))?;
        let found = chain::key_type_of(&key.subject_public_key_info());
        Ok((found == Some(key_type)).then(|| Self(Zeroizing::new(key))))
    }

    /// Reads a key in PEM form, of whatever type.
    pub(crate) fn parse(pem: &Secret) -> Result<Self> {
        let text = pem.expose_str().context("the key is no text")?;
        let key = KeyPair::from_pem(text).map_err(|_| anyhow!("the key cannot be read"))?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Reads a key that another program made: PKCS#8, SEC1 or PKCS#1, in PEM form.
    ///
    /// Errors say what it is instead.
    pub(crate) fn import(pem: &Secret) -> Result<Self> {
        Self::parse(&AccountKey::parse(pem)?.to_pem()?)
    }

    /// The same, of a file that holds no other key: one that goes, once its key is encrypted.
    pub(crate) fn import_only(pem: &Secret) -> Result<Self> {
        let count = pem::count(pem);
        if count > 1 {
            return Err(anyhow!("it has {count} private keys, and stays as it is")).hint(
                || "leave the one that is in use in the file, and keep the others elsewhere",
            );
        }
        Self::import(pem)
    }

    /// The same of each key of a file, but for those that cannot be read.
    pub(crate) fn import_all(pem: &Secret) -> impl Iterator<Item = Self> {
        pem::each(pem).filter_map(|key| Self::import(&key).ok())
    }

    /// Certificate signing request (PKCS#10, DER) for the names, in this order.
    ///
    /// The first name is the common name too, as get-certs had it, unless it is longer than 64
    /// characters: then there is none, and the CA chooses.
    pub(crate) fn request(&self, identifiers: &[Identifier]) -> Result<Vec<u8>> {
        let request = || {
            let names = identifiers
                .iter()
                .map(|name| name.as_str().to_owned())
                .collect::<Vec<_>>();
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = DistinguishedName::new();
            if let Some(first) = identifiers.first()
                && first.as_str().len() <= LONGEST_COMMON_NAME
            {
                let name = &mut params.distinguished_name;
                name.push(DnType::CommonName, first.as_str());
            }
            params.serialize_request(&*self.0)
        };
        let request = request().context("cannot make a certificate signing request")?;
        Ok(request.der().to_vec())
    }

    /// The public key: `SubjectPublicKeyInfo`, DER.
    pub(crate) fn public_key_der(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// The private key as PKCS#8 in PEM form.
    pub(crate) fn into_pem(self) -> Result<Secret> {
        pem::encode(self.0.serialized_der())
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::ParsedExtension;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    use super::*;
    use crate::acme::account_key::tests::{of_get_certs, of_old_clients};

    fn names(texts: &[&str]) -> Vec<Identifier> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Common name and subject alternative names of a request.
    fn read(der: &[u8]) -> (String, Vec<String>) {
        let (_, request) = X509CertificationRequest::from_der(der).unwrap();
        request.verify_signature().unwrap();
        let names = request
            .requested_extensions()
            .unwrap()
            .find_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
                _ => None,
            })
            .unwrap();
        (
            request.certification_request_info.subject.to_string(),
            names.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn a_request_has_the_names_in_order_and_the_first_as_common_name() {
        let key = CertificateKey::generate(KeyType::P256).unwrap();
        let der = key
            .request(&names(&[
                "www.bücher.example",
                "*.example.com",
                "example.com",
            ]))
            .unwrap();
        let (subject, alternatives) = read(&der);
        assert_eq!(subject, "CN=www.xn--bcher-kva.example");
        assert_eq!(
            alternatives,
            [
                "DNSName(www.xn--bcher-kva.example)",
                "DNSName(*.example.com)",
                "DNSName(example.com)"
            ]
        );
    }

    #[test]
    fn a_long_first_name_is_no_common_name() {
        let key = CertificateKey::generate(KeyType::P384).unwrap();
        let exact = format!("{}.example", "a".repeat(56));
        assert_eq!(exact.len(), 64);
        let (subject, _) = read(&key.request(&names(&[&exact])).unwrap());
        assert_eq!(subject, format!("CN={exact}"));
        let (subject, alternatives) = read(
            &key.request(&names(&[&format!("a{exact}"), "b.example"]))
                .unwrap(),
        );
        assert_eq!(subject, "");
        assert_eq!(alternatives.len(), 2);
    }

    #[test]
    fn keys_of_other_programs_become_pkcs8() {
        for key in [of_get_certs(), of_old_clients()] {
            let imported = CertificateKey::import(&key).unwrap();
            let public = imported.public_key_der();
            let pem = imported.into_pem().unwrap();
            assert!(pem.expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
            assert_eq!(
                CertificateKey::parse(&key).unwrap().public_key_der(),
                public
            );
            assert_eq!(
                CertificateKey::parse(&pem).unwrap().public_key_der(),
                public
            );
        }
        let error = |text: &str| {
            let key = Secret::from(text.to_owned());
            CertificateKey::import(&key).err().unwrap().to_string()
        };
        let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert_eq!(
            error(&edwards.serialize_pem()),
            "it is neither a P-256, a P-384 nor an RSA key"
        );
        assert_eq!(error("hello"), "not a private key in PEM form");
    }

    #[test]
    fn every_type_makes_a_key_of_its_kind_that_can_be_read_again() {
        for (key_type, bits) in [
            (KeyType::Rsa2048, 2048),
            (KeyType::Rsa3072, 3072),
            (KeyType::P256, 256),
            (KeyType::P384, 384),
        ] {
            let key = CertificateKey::generate(key_type).unwrap();
            let public = key.public_key_der();
            let (_, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&public).unwrap();
            assert_eq!(info.parsed().unwrap().key_size(), bits);
            let pem = key.into_pem().unwrap();
            assert!(pem.expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
            let again = KeyPair::from_pem(pem.expose_str().unwrap()).unwrap();
            assert_eq!(again.subject_public_key_info(), public);
        }
    }
}
