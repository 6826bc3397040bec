//! PEM of private keys (RFC 7468), in buffers that are wiped.

use anyhow::{Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::model::hint::Hint;
use crate::model::secret::Secret;

/// Label of a PKCS#8 key.
pub(super) const PKCS8: &str = "PRIVATE KEY";

/// Around a label.
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Characters on a line (RFC 7468 section 2).
const LINE: usize = 64;

/// DER of a private key and the label that says what kind.
pub(super) struct KeyBlock {
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Writes a PKCS#8 key. No copy of it is left anywhere else.
pub(super) fn encode(der: &[u8]) -> Result<Secret> {
    let size = der.len().div_ceil(3) * 4;
    let mut base64 = Zeroizing::new(vec![0; size]);
    let written = BASE64_STANDARD.encode_slice(der, &mut base64)?;
    ensure!(written == size, "base64 of unexpected length");
    // Reserved at once: a buffer that grows leaves its old half behind.
    let mut text = Vec::with_capacity(size + size.div_ceil(LINE) + 2 * (PKCS8.len() + 17));
    text.extend_from_slice(format!("-----BEGIN {PKCS8}-----\n").as_bytes());
    for line in base64.chunks(LINE) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {PKCS8}-----\n").as_bytes());
    Ok(Secret::new(text))
}

/// Blocks that hold a private key, of whatever kind.
pub(super) fn count(secret: &Secret) -> usize {
    keys_in(secret.expose_str().unwrap_or_default()).count()
}

/// The same, each by itself.
pub(super) fn each(secret: &Secret) -> impl Iterator<Item = Secret> {
    let keys = keys_in(secret.expose_str().unwrap_or_default());
    keys.map(|(label, body)| Secret::from([BEGIN, label, DASHES, body].concat()))
}

/// The label of each, and what comes after it.
fn keys_in(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = text.split(BEGIN).skip(1);
    let labelled = blocks.filter_map(|block| block.split_once(DASHES));
    labelled.filter(|(label, _)| label.contains(PKCS8))
}

/// Reads the first block that holds a private key; `EC PARAMETERS` and the like are passed over.
pub(super) fn decode(secret: &Secret) -> Result<KeyBlock> {
    let text = secret
        .expose_str()
        .ok_or_else(|| anyhow!("not a private key in PEM form"))?;
    let (label, body) = keys_in(text)
        .find(|(label, _)| label.ends_with(PKCS8))
        .ok_or_else(|| anyhow!("not a private key in PEM form"))?;
    let (body, _) = body
        .split_once("-----END ")
        .ok_or_else(|| anyhow!("a private key without its last line"))?;
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type:") {
        return Err(anyhow!("a private key that is locked with a passphrase"))
            .hint(|| "`openssl pkey -in FILE -out FILE` takes the passphrase off");
    }
    let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
    base64.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; base64.len()]);
    let length = BASE64_STANDARD
        .decode_slice(&*base64, &mut der)
        .map_err(|_| anyhow!("a private key that is not base64"))?;
    der.truncate(length);
    Ok(KeyBlock {
        label: label.to_owned(),
        der,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_by_others() {
        for length in [1, 47, 48, 49, 138] {
            let der = (0..length).collect::<Vec<u8>>();
            let pem = encode(&der).unwrap();
            let block = decode(&pem).unwrap();
            assert_eq!(block.label, PKCS8);
            assert_eq!(*block.der, der);
            let (_, other) = x509_parser::pem::parse_x509_pem(pem.expose()).unwrap();
            assert_eq!(other.contents, der);
        }
    }

    #[test]
    fn the_key_is_found_behind_parameters() {
        let text = "-----BEGIN EC PARAMETERS-----\r\nBgUrgQQAIg==\r\n-----END EC PARAMETERS-----\r\n\
                    -----BEGIN EC PRIVATE KEY-----\r\nAAEC\r\n-----END EC PRIVATE KEY-----\r\n";
        let block = decode(&Secret::from(text.to_owned())).unwrap();
        assert_eq!(block.label, "EC PRIVATE KEY");
        assert_eq!(*block.der, [0, 1, 2]);
    }

    #[test]
    fn what_is_no_key_is_said() {
        let error = |text: &str| {
            decode(&Secret::from(text.to_owned()))
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(error("hello"), "not a private key in PEM form");
        assert_eq!(
            error("-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"),
            "not a private key in PEM form"
        );
        assert_eq!(
            error("-----BEGIN PRIVATE KEY-----\nAAEC\n"),
            "a private key without its last line"
        );
        assert_eq!(
            error("-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n"),
            "a private key that is not base64"
        );
        assert_eq!(
            error(
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAEC\n-----END ENCRYPTED PRIVATE KEY-----\n"
            ),
            "a private key that is locked with a passphrase"
        );
    }
}
