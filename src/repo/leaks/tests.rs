//! Keys as openssl and ssh-keygen write them, and what only looks like keys.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::cell::Cell;
use std::process::Command;

use base64::engine::general_purpose::STANDARD as BASE64;
use pretty_assertions::assert_eq;

use super::*;

/// What openssl or ssh-keygen leaves in a file.
fn made(program: &str, words: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(words.split(' ').map(|word| word.replace("EMPTY", "")))
        .current_dir(folder.path())
        .output()
        .unwrap_or_else(|error| panic!("`{program}` is needed: {error}"));
    assert!(output.status.success(), "{words}: {output:?}");
    std::fs::read(folder.path().join("key")).unwrap()
}

fn openssl(words: &str) -> Vec<u8> {
    made("openssl", words)
}

#[track_caller]
fn is(bytes: &[u8], kind: &str, state: State) {
    let kind = kind.to_owned();
    assert_eq!(find(bytes), Some(Leak { kind, state }));
}

fn pkcs8() -> Vec<u8> {
    openssl("genpkey -algorithm ed25519 -out key")
}

#[test]
fn pem_of_every_kind() {
    is(&pkcs8(), "PKCS#8 in PEM", State::Plain);
    let rsa = openssl("genrsa -traditional -out key 2048");
    is(&rsa, "PKCS#1 in PEM", State::Plain);
    let sec1 = openssl("ecparam -name prime256v1 -genkey -noout -out key");
    is(&sec1, "SEC1 in PEM", State::Plain);
    let locked = openssl("genrsa -traditional -aes128 -passout pass:hunter2 -out key 2048");
    is(&locked, "PKCS#1 in PEM", State::Encrypted);
    let locked = openssl("genpkey -algorithm ed25519 -aes128 -pass pass:hunter2 -out key");
    is(&locked, "ENCRYPTED in PEM", State::Encrypted);
    let ssh = made("ssh-keygen", "-q -t ed25519 -N EMPTY -f key");
    is(&ssh, "OpenSSH in PEM", State::Plain);
    let ssh = made("ssh-keygen", "-q -t ed25519 -N hunter2 -f key");
    is(&ssh, "OpenSSH in PEM", State::Encrypted);
}

#[test]
fn der() {
    let der = openssl("genpkey -algorithm ed25519 -outform DER -out key");
    is(&der, "PKCS#8 in DER", State::Plain);
    let der = openssl("ecparam -name prime256v1 -genkey -noout -outform DER -out key");
    is(&der, "SEC1 in DER", State::Plain);
    let der = inside(openssl("genrsa -traditional -out key 2048"));
    is(&der, "PKCS#1 in DER", State::Plain);
    is(
        b"\xfe\xed\xfe\xed\0\0\0\x02",
        "Java key store (JKS)",
        State::Stored,
    );
    is(
        b"\xce\xce\xce\xce\0\0\0\x02",
        "Java key store (JCEKS)",
        State::Stored,
    );
}

/// The DER in PEM.
fn inside(pem: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(pem).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64.decode(lines.concat()).unwrap()
}

#[test]
fn pkcs12() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &str| {
        let status = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
    };
    run("req -x509 -newkey ed25519 -nodes -subj /CN=x -keyout k -out c");
    run("pkcs12 -export -inkey k -in c -passout pass: -out p");
    let bytes = std::fs::read(folder.path().join("p")).unwrap();
    is(&bytes, "PKCS#12", State::Stored);
    let certificate = std::fs::read(folder.path().join("c")).unwrap();
    assert_eq!(find(&certificate), None);
}

#[test]
fn inside_of_other_files() {
    let pem = String::from_utf8(pkcs8()).unwrap();
    let json = serde_json::json!({"key": pem}).to_string();
    is(json.as_bytes(), "PKCS#8 in PEM", State::Plain);
    let secret = format!("data:\n  tls.key: {}\n", BASE64.encode(&pem));
    is(secret.as_bytes(), "PKCS#8 in PEM, in Base64", State::Plain);
    let indented = pem.replace('\n', "\r\n    ");
    is(indented.as_bytes(), "PKCS#8 in PEM", State::Plain);
    let both = format!("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n{pem}");
    is(both.as_bytes(), "PKCS#8 in PEM", State::Plain);
    let jwk = br#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"}]}"#;
    is(jwk, "JWK", State::Plain);
    let ppk = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\nAAAA\n";
    is(ppk.as_bytes(), "PuTTY", State::Plain);
    let locked = ppk.replace("none", "aes256-cbc");
    is(locked.as_bytes(), "PuTTY", State::Encrypted);
    let output = Command::new("age-keygen").output().unwrap().stdout;
    is(&output, "age identity", State::Plain);
    // What is plain counts before what is not.
    let two = [locked.as_bytes(), &output].concat();
    is(&two, "age identity", State::Plain);
}

#[test]
fn der_in_base64_as_a_value() {
    let of = |words: &str| BASE64.encode(inside(openssl(words)));
    let pkcs8 = of("genpkey -algorithm ed25519 -out key");
    let sec1 = of("ecparam -name prime256v1 -genkey -noout -out key");
    let pkcs1 = of("genrsa -traditional -out key 2048");
    let locked = of("genpkey -algorithm ed25519 -aes128 -pass pass:hunter2 -out key");
    for (key, kind, state) in [
        (&pkcs8, "PKCS#8 in DER, in Base64", State::Plain),
        (&sec1, "SEC1 in DER, in Base64", State::Plain),
        (&pkcs1, "PKCS#1 in DER, in Base64", State::Plain),
        (&locked, "PKCS#8 in DER, in Base64", State::Encrypted),
    ] {
        let json = format!(r#"{{"PrivateKey":"{key}","Certificate":"MIIC"}}"#);
        is(json.as_bytes(), kind, state);
        is(format!("key={key}\nnext: line").as_bytes(), kind, state);
        is(key.as_bytes(), kind, state);
    }
}

#[test]
fn what_only_looks_like_a_key() {
    for text in [
        "an identity is a line `AGE-SECRET-KEY-1...`",
        "grep -r 'BEGIN PRIVATE KEY' .",
        "begins with `-----BEGIN PRIVATE KEY-----` and ends with `-----END PRIVATE KEY-----`",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB6\n-----END AGE ENCRYPTED FILE-----\n",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzNShvKBBMPgM2CmEHFPdVyDk3ePrJZKmH0xPCxMXcA alice",
        r#"{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}"#,
        "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuGHJ",
        "MAYCAQACAQA= MDwCAQAwDQYJKoZIhvcNAQEBBQAE",
        "M",
        "0",
        "",
    ] {
        assert_eq!(find(text.as_bytes()), None, "{text}");
    }
}

thread_local! {
    /// Bytes that were read as Base64.
    pub(super) static READ: Cell<usize> = const { Cell::new(0) };
}

/// Files that are made to look like keys from end to end.
#[test]
fn each_byte_is_read_a_few_times_at_most() {
    let key = BASE64.encode(inside(pkcs8()));
    for part in [
        "LS0tLS1CRUdJTi",
        "MAYCAQACAQA= ",
        // Each says that it is as long as thousands of them.
        "MIMCAAACAQAw ",
        "-----BEGIN PRIVATE KEY----- ",
    ] {
        let text = format!("{}:{key}", part.repeat(24_000));
        READ.set(0);
        let found = find(text.as_bytes()).map(|leak| leak.kind);
        assert_eq!(found.as_deref(), Some("PKCS#8 in DER, in Base64"), "{part}");
        let times = READ.get().div_ceil(text.len());
        assert!(times <= 2 * AGAIN, "{part}: {times}");
    }
}
