//! External account binding (RFC 8555 section 7.3.4): a new account is tied to one at the CA's shop.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::acme::account_key::{AccountKey, encoded};
use crate::acme::presets::Directory;
use crate::model::hint::Hint;
use crate::model::secret::Secret;

/// What a CA gave for a new account, as it was typed; each half may be missing.
///
/// Only registering looks at it: an account that exists needs none.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExternalAccount {
    /// Key identifier: ASCII, public.
    pub(crate) kid: Option<String>,
    /// HMAC key: base64url or base64, padded or not.
    pub(crate) hmac: Option<Arc<Secret>>,
}

/// The account at the CA's shop, and what signs for it.
pub(super) struct Binder {
    kid: String,
    key: hmac::Key,
}

impl Binder {
    /// What binds the account of `key`, which newAccount at `url` is asked for (RFC 8555 section 7.3.4).
    pub(super) fn bind(&self, key: &AccountKey, url: &str) -> Result<Value> {
        let protected = json!({ "alg": "HS256", "kid": self.kid, "url": url });
        let protected = encoded(protected.to_string().as_bytes());
        let payload = encoded(key.jwk()?.to_string().as_bytes());
        let signature = hmac::sign(&self.key, format!("{protected}.{payload}").as_bytes());
        Ok(json!({
            "protected": protected,
            "payload": payload,
            "signature": encoded(signature.as_ref()),
        }))
    }
}

impl ExternalAccount {
    /// What binds; none where nothing was given.
    pub(super) fn binder(&self, directory: &Directory) -> Result<Option<Binder>> {
        let (kid, hmac) = match (&self.kid, &self.hmac) {
            (None, None) => return Ok(None),
            (Some(kid), Some(hmac)) => (kid, hmac),
            (Some(_), None) => {
                return Err(anyhow!("`--eab-kid` is given, but its HMAC key is not"))
                    .hint(|| "set GIT_CERTS_EAB_HMAC to the key that the CA gave with it");
            }
            (None, Some(_)) => {
                return Err(anyhow!(
                    "an HMAC key for external account binding is given, but no `--eab-kid`"
                ))
                .hint(|| "set GIT_CERTS_EAB_KID to the key identifier that the CA gave with it");
            }
        };
        let key = decoded(hmac)
            .ok_or_else(|| anyhow!("the HMAC key for external account binding is not base64"))
            .hint(|| how_to_get_one(directory))?;
        Ok(Some(Binder {
            kid: kid.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
        }))
    }
}

/// Where a CA hands out key identifiers and HMAC keys.
pub(super) fn how_to_get_one(directory: &Directory) -> String {
    let from = match directory.eab_page() {
        Some(page) => format!("get them from the CA: {page}"),
        None => "the CA's customer pages have them".to_owned(),
    };
    format!("`--eab-kid` takes the key identifier, GIT_CERTS_EAB_HMAC the HMAC key; {from}")
}

/// The bytes; none if it is not base64 or nothing. CAs and panels write all four forms.
fn decoded(hmac: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    const FORGIVING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::URL_SAFE, FORGIVING);
    let text = hmac.expose_str()?.trim();
    let url_safe = text.bytes().map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    });
    let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
    encoded.extend(url_safe);
    let mut bytes = Zeroizing::new(vec![0; encoded.len()]);
    let length = engine.decode_slice(&*encoded, &mut bytes).ok()?;
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use crate::model::hint::explain;

    use super::*;

    #[test]
    fn an_hmac_key_is_read_in_both_alphabets_padded_or_not() {
        let bytes = |text: &str| decoded(&Secret::from(text.to_owned())).map(|key| key.to_vec());
        let key = Some(vec![0xfb, 0xff, 0x01, 0x02]);
        for text in ["-_8BAg", "-_8BAg==", "+/8BAg", "+/8BAg==", " -_8BAg\n"] {
            assert_eq!(bytes(text), key, "{text}");
        }
        for text in ["", "=", "a", "not base64!", "ab cd"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn half_a_binding_and_a_key_that_cannot_be_read_are_errors() {
        let told = |kid: Option<&str>, hmac: Option<&str>| {
            let account = ExternalAccount {
                kid: kid.map(str::to_owned),
                hmac: hmac.map(|text| Arc::new(Secret::from(text.to_owned()))),
            };
            let directory = "zerossl".parse().unwrap();
            let explained = explain(&account.binder(&directory).err().unwrap());
            format!("{}\nhint: {}", explained.what, explained.hints.join(", "))
        };
        assert_eq!(
            told(Some("kid-1"), None),
            "`--eab-kid` is given, but its HMAC key is not\n\
             hint: set GIT_CERTS_EAB_HMAC to the key that the CA gave with it"
        );
        assert_eq!(
            told(None, Some("hunter2")),
            "an HMAC key for external account binding is given, but no `--eab-kid`\n\
             hint: set GIT_CERTS_EAB_KID to the key identifier that the CA gave with it"
        );
        assert_eq!(
            told(Some("kid-1"), Some("hunter2!")),
            "the HMAC key for external account binding is not base64\n\
             hint: `--eab-kid` takes the key identifier, GIT_CERTS_EAB_HMAC the HMAC key; get them \
             from the CA: https://zerossl.com/documentation/acme/generate-eab-credentials/"
        );
        let nothing = ExternalAccount::default();
        assert!(nothing.binder(&"live".parse().unwrap()).unwrap().is_none());
    }
}
