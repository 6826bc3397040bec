//! An account as `dnscontrol get-certs` made it: with a P-384 key, by the same requests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::command::Command;
use crate::support::lab::Lab;

/// Where Pebble makes accounts.
const NEW_ACCOUNT: &str = "https://acme.test/sign-me-up";

/// What get-certs left of an account.
pub struct Account {
    /// `EC PRIVATE KEY`, PEM.
    pub key: String,
    /// account.json.
    pub metadata: String,
    pub url: String,
}

/// Registers an account at the lab's Pebble.
pub fn account(lab: &Lab) -> Account {
    let key = lab
        .command("openssl")
        .args(["ecparam", "-name", "secp384r1", "-genkey", "-noout"])
        .succeed()
        .stdout;
    let answer = curl(lab)
        .args(["--dump-header", "-", "--data-binary", "@-"])
        .args(["--header", "Content-Type: application/jose+json"])
        .arg(NEW_ACCOUNT)
        .stdin(signed(&key, &nonce(lab)))
        .succeed();
    let url = header(&answer.stdout, "location");
    let metadata = json!({
        "email": "me@example.test",
        "registration": {
            "body": {"status": "valid", "contact": ["mailto:me@example.test"]},
            "uri": url,
        },
    });
    Account {
        key,
        metadata: format!("{metadata:#}"),
        url,
    }
}

fn curl(lab: &Lab) -> Command {
    lab.command("curl")
        .args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(lab.ca())
}

fn nonce(lab: &Lab) -> String {
    let answer = curl(lab)
        .args(["--head", "https://acme.test/nonce-plz"])
        .succeed();
    header(&answer.stdout, "replay-nonce")
}

fn header(answer: &str, name: &str) -> String {
    let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.unwrap().1.to_owned()
}

fn signed(key: &str, nonce: &str) -> String {
    let base64: String = key
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let der = BASE64_STANDARD.decode(base64).unwrap();
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, &der).unwrap();
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    let protected = part(&json!({
        "alg": "ES384",
        "jwk": {"kty": "EC", "crv": "P-384", "x": encoded(x), "y": encoded(y)},
        "nonce": nonce,
        "url": NEW_ACCOUNT,
    }));
    let payload = part(&json!({
        "termsOfServiceAgreed": true,
        "contact": ["mailto:me@example.test"],
    }));
    let text = format!("{protected}.{payload}");
    let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    let signature = encoded(signature.as_ref());
    json!({"protected": protected, "payload": payload, "signature": signature}).to_string()
}
