//! Account keys of every kind that a repository may hold, and signatures with them (RFC 7515, RFC 7518).

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::pkcs8::Document;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

use crate::acme::pem::{self, KeyBlock};
use crate::model::secret::Secret;

/// The key that an account is known by.
///
/// Orders are signed with P-256 keys alone, as instant-acme knows no others; get-certs made P-384
/// keys, and other clients RSA keys. Such an account gets a P-256 key by rollover.
pub(crate) enum AccountKey {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl AccountKey {
    /// Reads PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`), in PEM form.
    pub(crate) fn parse(key: &Secret) -> Result<Self> {
        let KeyBlock { label, der } = pem::decode(key)?;
        let curve = |algorithm| EcdsaKeyPair::from_private_key_der(algorithm, &der);
        if let Ok(pair) = curve(&ECDSA_P256_SHA256_FIXED_SIGNING) {
            return Ok(Self::P256(pair));
        }
        if let Ok(pair) = curve(&ECDSA_P384_SHA384_FIXED_SIGNING) {
            return Ok(Self::P384(pair));
        }
        let rsa = match label.as_str() {
            "RSA PRIVATE KEY" => rsa::KeyPair::from_der(&der),
            _ => rsa::KeyPair::from_pkcs8(&der),
        };
        match rsa {
            Ok(pair) => Ok(Self::Rsa(pair)),
            Err(_) => bail!("it is neither a P-256, a P-384 nor an RSA key"),
        }
    }

    /// Makes a P-256 key: PKCS#8 in PEM form.
    pub(crate) fn generate() -> Result<Secret> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| anyhow!("cannot make an account key"))?;
        pem::encode(pkcs8(&pair)?.as_ref())
    }

    /// PKCS#8 of a P-256 key; none for the other kinds.
    pub(super) fn p256_pkcs8(&self) -> Result<Option<Document>> {
        match self {
            Self::P256(pair) => pkcs8(pair).map(Some),
            Self::P384(_) | Self::Rsa(_) => Ok(None),
        }
    }

    /// The key as PKCS#8 in PEM form, whatever form it was read from.
    pub(crate) fn to_pem(&self) -> Result<Secret> {
        match self {
            Self::P256(pair) | Self::P384(pair) => pem::encode(pkcs8(pair)?.as_ref()),
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair
                    .as_der()
                    .map_err(|_| anyhow!("cannot convert the key to PKCS#8"))?;
                pem::encode(der.as_ref())
            }
        }
    }

    /// Whether orders can be signed with it.
    pub(crate) fn signs_orders(&self) -> bool {
        matches!(self, Self::P256(_))
    }

    /// The public key as JSON Web Key (RFC 7517).
    pub(super) fn jwk(&self) -> Result<Value> {
        match self {
            Self::P256(pair) => point("P-256", pair),
            Self::P384(pair) => point("P-384", pair),
            Self::Rsa(pair) => {
                let der = pair.public_key().as_ref();
                let (_, public) = RSAPublicKey::from_der(der)
                    .map_err(|_| anyhow!("cannot read the public half of the RSA key"))?;
                // RFC 7518 section 6.3.1.1: no leading zero.
                let number = |bytes: &[u8]| {
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    encoded(bytes.get(zeros..).unwrap_or_default())
                };
                Ok(json!({
                    "kty": "RSA",
                    "n": number(public.modulus),
                    "e": number(public.exponent),
                }))
            }
        }
    }

    /// RFC 7518 section 3.1.
    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::P256(pair) | Self::P384(pair) => pair
                .sign(&random, text)
                .map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map(|()| signature)
            }
        };
        signed.map_err(|_| anyhow!("cannot sign with the account key"))
    }

    /// A signed request body: flattened JSON serialization (RFC 8555 section 6.2).
    ///
    /// `account` is the account's URL; without it the body carries the public key, as newAccount and
    /// the inner half of keyChange want it. An empty payload is POST-as-GET.
    pub(super) fn signed(
        &self,
        account: Option<&str>,
        nonce: Option<&str>,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Value> {
        let mut protected = json!({ "alg": self.algorithm(), "url": url });
        let who = match account {
            Some(account) => ("kid", account.into()),
            None => ("jwk", self.jwk()?),
        };
        let nonce = nonce.map(|nonce| ("nonce", nonce.into()));
        if let Value::Object(fields) = &mut protected {
            fields.extend(
                [who]
                    .into_iter()
                    .chain(nonce)
                    .map(|(key, value)| (key.to_owned(), value)),
            );
        }
        let protected = encoded(protected.to_string().as_bytes());
        let payload = payload.map(|payload| encoded(payload.to_string().as_bytes()));
        let payload = payload.unwrap_or_default();
        let signature = self.sign(format!("{protected}.{payload}").as_bytes())?;
        Ok(json!({
            "protected": protected,
            "payload": payload,
            "signature": encoded(&signature),
        }))
    }

    /// What the new key signs in keyChange (RFC 8555 section 7.3.5).
    pub(super) fn takes_over(&self, old: &Self, account: &str, url: &str) -> Result<Value> {
        let payload = json!({ "account": account, "oldKey": old.jwk()? });
        self.signed(None, None, url, Some(&payload))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256(_) => f.write_str("P-256"),
            Self::P384(_) => f.write_str("P-384"),
            Self::Rsa(pair) => write!(f, "RSA-{}", pair.public_modulus_len() * 8),
        }
    }
}

fn pkcs8(pair: &EcdsaKeyPair) -> Result<Document> {
    pair.to_pkcs8v1()
        .map_err(|_| anyhow!("cannot convert the key to PKCS#8"))
}

/// RFC 7518 section 6.2.1.
fn point(curve: &str, pair: &EcdsaKeyPair) -> Result<Value> {
    let uncompressed = pair.public_key().as_ref();
    let halves = uncompressed.strip_prefix(&[4]);
    let (x, y) = halves
        .map(|both| both.split_at(both.len() / 2))
        .context("cannot read the public half of the key")?;
    Ok(json!({ "kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y) }))
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey,
    };
    use base64::prelude::BASE64_STANDARD;
    use pretty_assertions::assert_eq;
    use rcgen::{
        PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SignatureAlgorithm,
    };

    use super::*;

    /// A key as get-certs (SEC1, PKCS#1) or everybody else (PKCS#8) would store it.
    fn stored(algorithm: &'static SignatureAlgorithm, label: &str) -> Secret {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = pair.serialized_der();
        let inner = if label == "PRIVATE KEY" {
            der.to_vec()
        } else {
            let (_, outer) = x509_parser::der_parser::der::parse_der(der).unwrap();
            outer.as_sequence().unwrap()[2].as_slice().unwrap().to_vec()
        };
        let base64 = BASE64_STANDARD.encode(inner);
        Secret::from(format!(
            "-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n"
        ))
    }

    /// What get-certs left: P-384 in SEC1 form.
    pub(in crate::acme) fn of_get_certs() -> Secret {
        stored(&PKCS_ECDSA_P384_SHA384, "EC PRIVATE KEY")
    }

    /// RSA in PKCS#1 form.
    pub(in crate::acme) fn of_old_clients() -> Secret {
        stored(&PKCS_RSA_SHA256, "RSA PRIVATE KEY")
    }

    #[test]
    fn every_kind_is_read_in_both_forms_and_signs_what_can_be_verified() {
        for (algorithm, own, kind) in [
            (&PKCS_ECDSA_P256_SHA256, "EC PRIVATE KEY", "P-256"),
            (&PKCS_ECDSA_P384_SHA384, "EC PRIVATE KEY", "P-384"),
            (&PKCS_RSA_SHA256, "RSA PRIVATE KEY", "RSA-2048"),
        ] {
            for label in [own, "PRIVATE KEY"] {
                let key = AccountKey::parse(&stored(algorithm, label)).unwrap();
                assert_eq!(key.to_string(), kind);
                assert_eq!(key.signs_orders(), kind == "P-256");
                let again = AccountKey::parse(&key.to_pem().unwrap()).unwrap();
                assert_eq!(again.jwk().unwrap(), key.jwk().unwrap());
                let body = key
                    .signed(None, Some("n"), "https://ca.test/x", Some(&json!({"a": 1})))
                    .unwrap();
                let part = |name: &str| body[name].as_str().unwrap();
                let decoded = |name| BASE64_URL_SAFE_NO_PAD.decode(part(name)).unwrap();
                assert_eq!(decoded("payload"), br#"{"a":1}"#);
                let protected: Value = serde_json::from_slice(&decoded("protected")).unwrap();
                assert_eq!(protected["nonce"], "n");
                assert_eq!(protected["url"], "https://ca.test/x");
                assert!(protected["jwk"].is_object());
                let text = format!("{}.{}", part("protected"), part("payload"));
                let (text, signature) = (text.as_bytes(), decoded("signature"));
                let verified = match &key {
                    AccountKey::P256(pair) => {
                        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
                            .verify(text, &signature)
                    }
                    AccountKey::P384(pair) => {
                        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, pair.public_key().as_ref())
                            .verify(text, &signature)
                    }
                    AccountKey::Rsa(pair) => UnparsedPublicKey::new(
                        &RSA_PKCS1_2048_8192_SHA256,
                        pair.public_key().as_ref(),
                    )
                    .verify(text, &signature),
                };
                verified.unwrap();
            }
        }
    }

    #[test]
    fn a_key_that_is_made_is_read_again() {
        let key = AccountKey::generate().unwrap();
        assert!(key.expose().starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
        assert!(AccountKey::parse(&key).unwrap().signs_orders());
    }
}
