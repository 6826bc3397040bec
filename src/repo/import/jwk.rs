//! A private key as JSON Web Key (RFC 7518 section 6.3), as certbot keeps account keys.

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::{BigUint, RsaPrivateKey};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::model::secret::Secret;

/// An RSA key, in place: its other members follow from these.
#[derive(Deserialize)]
struct Jwk<'t> {
    kty: &'t str,
    #[serde(default)]
    n: &'t str,
    #[serde(default)]
    e: &'t str,
    #[serde(default)]
    d: &'t str,
    #[serde(default)]
    p: &'t str,
    #[serde(default)]
    q: &'t str,
}

/// The key as PKCS#1 in PEM form.
pub(super) fn to_pem(text: &Secret) -> Result<Secret> {
    // What is wrong would be told with a piece of the key.
    let jwk: Jwk<'_> =
        serde_json::from_slice(text.expose()).map_err(|_| anyhow!("it is not a JSON Web Key"))?;
    ensure!(
        jwk.kty == "RSA",
        "it is a JSON Web Key of the kind `{}`, not `RSA`",
        jwk.kty
    );
    let (modulus, exponents) = (number(jwk.n)?, (number(jwk.e)?, number(jwk.d)?));
    let primes = vec![number(jwk.p)?, number(jwk.q)?];
    let key = RsaPrivateKey::from_components(modulus, exponents.0, exponents.1, primes)
        .map_err(|_| anyhow!("its numbers are not those of an RSA key"))?;
    let der = key
        .to_pkcs1_der()
        .map_err(|_| anyhow!("it cannot be converted"))?;
    let base64 = Zeroizing::new(BASE64_STANDARD.encode(der.as_bytes()));
    Ok(Secret::from(format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        *base64
    )))
}

fn number(text: &str) -> Result<BigUint> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| anyhow!("not base64url"))
        .context("a number of the JSON Web Key cannot be read")?;
    ensure!(!bytes.is_empty(), "the JSON Web Key has no private part");
    Ok(BigUint::from_bytes_be(&bytes))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rcgen::{PKCS_RSA_SHA256, PublicKeyData};
    use rsa::pkcs8::DecodePrivateKey;
    use rsa::traits::{PrivateKeyParts, PublicKeyParts};

    use super::*;

    #[test]
    fn a_key_of_certbot_becomes_pem() {
        let pair = rcgen::KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let key = RsaPrivateKey::from_pkcs8_der(pair.serialized_der()).unwrap();
        let text = |number: &BigUint| BASE64_URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let jwk = serde_json::json!({
            "kty": "RSA", "n": text(key.n()), "e": text(key.e()), "d": text(key.d()),
            "p": text(&key.primes()[0]), "q": text(&key.primes()[1]), "dp": "-",
        });
        let pem = to_pem(&Secret::from(jwk.to_string())).unwrap();
        let again = rcgen::KeyPair::from_pem(pem.expose_str().unwrap()).unwrap();
        assert_eq!(
            again.subject_public_key_info(),
            pair.subject_public_key_info()
        );
    }

    #[test]
    fn what_is_no_such_key_is_said_without_a_piece_of_it() {
        let error =
            |text: &str| format!("{:#}", to_pem(&Secret::from(text.to_owned())).unwrap_err());
        for (text, said) in [
            ("hunter2", "it is not a JSON Web Key"),
            ("{\"n\": \"hunter2\"}", "it is not a JSON Web Key"),
            (
                "{\"kty\": \"EC\", \"d\": \"hunter2\"}",
                "it is a JSON Web Key of the kind `EC`, not `RSA`",
            ),
            (
                "{\"kty\": \"RSA\", \"n\": \"AQAB\", \"e\": \"AQAB\"}",
                "the JSON Web Key has no private part",
            ),
            (
                "{\"kty\": \"RSA\", \"n\": \"?\"}",
                "a number of the JSON Web Key cannot be read: not base64url",
            ),
            (
                r#"{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB", "p": "AQAB", "q": "AQAB"}"#,
                "its numbers are not those of an RSA key",
            ),
        ] {
            assert_eq!(error(text), said);
        }
    }
}
