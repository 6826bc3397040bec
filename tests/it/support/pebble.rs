//! Pebble: the certificate authority that speaks ACME, at `https://acme.test/dir`.

use crate::support::address::{PEBBLE, RESOLVER};
use crate::support::authority;
use crate::support::command::Command;
use crate::support::namespace::Namespace;

/// The directory.
pub const DIRECTORY: &str = "https://acme.test/dir";

/// One that knows ARI and profiles; scripts/install-test-deps puts it there.
const NEWEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pebble/pebble");

/// How Pebble behaves; by default fast and without its random faults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// That of the distribution, with which its ACME clients work, and not the newest.
    pub packaged: bool,
    /// Per cent of requests that are refused with `badNonce`.
    pub nonce_reject: u8,
    /// Upper limit, in seconds, of the random sleep before each validation.
    pub validation_sleep: Option<u32>,
    /// Validations succeed without a look at DNS.
    pub always_valid: bool,
    /// Seconds in `Retry-After` of authorizations and orders; Pebble writes them as a number or as a date,
    /// at random. Zero: no header.
    pub retry_after: u32,
    /// Per cent of authorizations that are used again.
    pub authorization_reuse: u8,
    /// Intermediates in a chain.
    pub chain_length: u8,
    /// Roots besides the first, each with a chain of its own.
    pub alternate_roots: u8,
    /// Accounts need external account binding: [`EAB_KEY_ID`] and [`EAB_KEY`].
    pub external_account: bool,
    /// Lifetime of certificates, seconds.
    pub validity: u32,
    /// Profiles and their lifetimes, seconds; none: one, of `validity`.
    pub profiles: Vec<(&'static str, u32)>,
}

/// Key identifier for external account binding.
pub const EAB_KEY_ID: &str = "kid-1";
/// Its key, base64url.
pub const EAB_KEY: &str =
    "bGFiIGtleSBmb3IgZXh0ZXJuYWwgYWNjb3VudCBiaW5kaW5nLCBnb29kIGZvciBub3RoaW5n";

impl Default for Settings {
    fn default() -> Self {
        Self {
            packaged: false,
            nonce_reject: 0,
            validation_sleep: None,
            always_valid: false,
            retry_after: 0,
            authorization_reuse: 0,
            chain_length: 1,
            alternate_roots: 0,
            external_account: false,
            validity: 90 * 24 * 60 * 60,
            profiles: Vec::new(),
        }
    }
}

pub fn configure(namespace: &Namespace, settings: &Settings) {
    let tls = namespace.folder().join("tls");
    // Pebble before 2.7 reads the validity, later ones the profile. With several profiles they choose at random.
    let profile = |(name, validity): (&str, u32)| {
        let value = serde_json::json!({"description": "the lab's", "validityPeriod": validity});
        (name.to_owned(), value)
    };
    let profiles: serde_json::Map<_, _> = match settings.profiles.as_slice() {
        [] => [("default", settings.validity)]
            .map(profile)
            .into_iter()
            .collect(),
        several => several.iter().copied().map(profile).collect(),
    };
    let config = serde_json::json!({"pebble": {
        "listenAddress": format!("{PEBBLE}:443"),
        "managementListenAddress": format!("{PEBBLE}:15000"),
        "certificate": tls.join("cert.pem"),
        "privateKey": tls.join("key.pem"),
        "httpPort": 5002,
        "tlsPort": 5001,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": settings.external_account,
        "externalAccountMACKeys": {EAB_KEY_ID: EAB_KEY},
        "domainBlocklist": ["blocked.test"],
        "retryAfter": {"authz": settings.retry_after, "order": settings.retry_after},
        "keyAlgorithm": "ecdsa",
        "certificateValidityPeriod": settings.validity,
        "profiles": profiles,
    }});
    namespace.write("pebble/config.json", config.to_string());
}

pub fn command(namespace: &Namespace, settings: &Settings) -> Command {
    let switch = |on: bool| if on { "1" } else { "0" };
    let program = if settings.packaged { "pebble" } else { NEWEST };
    let command = namespace
        .command(program)
        .arg("-config")
        .arg(namespace.folder().join("pebble/config.json"))
        .args(["-dnsserver", &format!("{RESOLVER}:53")])
        .env("PEBBLE_WFE_NONCEREJECT", settings.nonce_reject.to_string())
        .env(
            "PEBBLE_AUTHZREUSE",
            settings.authorization_reuse.to_string(),
        )
        .env("PEBBLE_VA_ALWAYS_VALID", switch(settings.always_valid))
        .env(
            "PEBBLE_VA_NOSLEEP",
            switch(settings.validation_sleep.is_none()),
        )
        .env("PEBBLE_CHAIN_LENGTH", settings.chain_length.to_string())
        .env(
            "PEBBLE_ALTERNATE_ROOTS",
            settings.alternate_roots.to_string(),
        );
    match settings.validation_sleep {
        Some(seconds) => command.env("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
        None => command,
    }
}

/// The root under which Pebble issues, PEM; another one after each start.
pub fn issuer_root(namespace: &Namespace) -> String {
    root(namespace, 0)
}

/// One of Pebble's roots, PEM: those after 0 are of the alternate chains.
pub fn root(namespace: &Namespace, number: u8) -> String {
    managed(namespace, &format!("roots/{number}"))
        .succeed()
        .stdout
}

/// What renewalInfo answers from now on for a certificate (PEM).
pub fn set_renewal_info(namespace: &Namespace, certificate: &str, answer: &str) {
    let order = serde_json::json!({"Certificate": certificate, "ARIResponse": answer});
    managed(namespace, "set-renewal-info/")
        .args(["--data-binary", "@-"])
        .stdin(order.to_string())
        .succeed();
}

/// A request to Pebble's management port.
fn managed(namespace: &Namespace, path: &str) -> Command {
    namespace
        .command("curl")
        .args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(authority::root(namespace))
        .arg(format!("https://acme.test:15000/{path}"))
}
