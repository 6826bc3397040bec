//! Whether the files of a certificate, or of an account, belong together.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::model::chain::Leaf;
use crate::model::finding::Level;
use crate::model::name::Identifier;
use crate::model::secret::Sealed;
use crate::repo::layout::{is_swapped, sha256};

/// Reads a file of a folder by its name; none if it is not there.
pub(super) type Read<'a> = dyn FnMut(&str) -> Result<Option<Vec<u8>>> + 'a;

/// What is wrong with a file of the folder, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) level: Level,
    pub(super) file: String,
    pub(super) what: String,
    pub(super) hint: String,
}

/// What to do where files of a certificate do not belong together.
fn compare(name: &str) -> String {
    format!(
        "`git log` says who changed it: take the files of one commit of a run, or issue the certificate again: \
         `git-certs renew --only {name} --renew 9999`"
    )
}

/// The same of an account.
const COMPARE: &str = "`git log` says who changed it: take the files of one commit of a run";

/// Checks `certificates/NAME`.
pub(super) fn certificate(name: &str, read: &mut Read<'_>) -> Result<Vec<Fault>> {
    let mut file = |end: &str| read(&format!("{name}.{end}"));
    let files = Files {
        description: file("json")?,
        key: file("key.age")?,
        has_other_key: file("key")?.is_some() || file("key.gpg")?.is_some(),
    };
    let chain = file("crt")?;
    let mut faults = Faults::default();
    if let Some(key) = &files.key {
        faults.armour(&format!("{name}.key.age"), key);
    }
    match chain {
        Some(chain) => faults.certificate(name, &chain, &files),
        None => faults.no_certificate(name, &files),
    }
    Ok(faults.0)
}

/// What belongs to a certificate.
struct Files {
    description: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    /// One that age has not encrypted.
    has_other_key: bool,
}

/// Checks `.letsencrypt/HOST`.
pub(super) fn account(read: &mut Read<'_>) -> Result<Vec<Fault>> {
    let (metadata, key) = (read("account.json")?, read("account.key.age")?);
    let has_other_key = read("account.key")?.is_some() || read("account.key.gpg")?.is_some();
    let mut faults = Faults::default();
    if let Some(key) = &key {
        faults.armour("account.key.age", key);
    }
    match &metadata {
        Some(metadata) => match serde_json::from_slice::<Map<String, Value>>(metadata) {
            Ok(fields) => faults.same_key(("account", COMPARE), &fields, key.as_deref()),
            Err(error) => faults.add(
                "account.json",
                format!("it cannot be read: {error}"),
                "take it from an older commit",
            ),
        },
        None if key.is_some() => faults.add(
            "account.key.age",
            "the key of an account without `account.json`".to_owned(),
            "take it from an older commit",
        ),
        None => {}
    }
    if metadata.is_some() && key.is_none() && !has_other_key {
        faults.add(
            "account.json",
            "an account without its key: `account.key.age` is not there".to_owned(),
            "take the key from an older commit, or remove the account",
        );
    }
    Ok(faults.0)
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, file: &str, what: String, hint: &str) {
        self.0.push(Fault {
            level: Level::Fault,
            file: file.to_owned(),
            what,
            hint: hint.to_owned(),
        });
    }

    fn armour(&mut self, file: &str, bytes: &[u8]) {
        let text = String::from_utf8(bytes.to_vec()).ok().map(Sealed::new);
        if !matches!(text, Some(Ok(_))) {
            self.add(
                file,
                "it is not an ASCII-armoured age file".to_owned(),
                "take it from an older commit",
            );
        }
    }

    fn no_certificate(&mut self, name: &str, files: &Files) {
        if files.key.is_some() {
            self.add(
                &format!("{name}.key.age"),
                format!("a key without its certificate: `{name}.crt` is not there"),
                &compare(name),
            );
        } else if files.description.is_some() {
            self.add(
                &format!("{name}.json"),
                format!("it describes a certificate that is not there: `{name}.crt`"),
                &compare(name),
            );
        }
    }

    fn certificate(&mut self, name: &str, chain: &[u8], files: &Files) {
        let (chain_file, json_file) = (format!("{name}.crt"), format!("{name}.json"));
        let leaf = match Leaf::from_pem(chain) {
            Ok(leaf) => leaf,
            Err(error) => {
                let what = format!("it cannot be read: {error:#}");
                return self.add(&chain_file, what, &compare(name));
            }
        };
        let Some(description) = &files.description else {
            let what = format!("nothing binds certificate and key: `{json_file}` is not there");
            return self.add(&chain_file, what, &compare(name));
        };
        let fields: Map<String, Value> = match serde_json::from_slice(description) {
            Ok(fields) => fields,
            Err(error) => {
                let what = format!("it cannot be read: {error}");
                return self.add(&json_file, what, &compare(name));
            }
        };
        // Where somebody else has the key, NAME.json has no hash of it.
        let is_expected =
            fields.contains_key("key_age_sha256") || !fields.contains_key("directory");
        if files.key.is_none() && !files.has_other_key && is_expected {
            self.add(
                &chain_file,
                format!("a certificate without its key: `{name}.key.age` is not there"),
                "take the key from an older commit, or let `git-certs renew` issue the certificate again",
            );
        }
        self.description(name, &fields, &leaf, files.key.as_deref());
    }

    /// Whether the ciphertext is the one that the file beside it names.
    fn same_key(
        &mut self,
        (name, hint): (&str, &str),
        fields: &Map<String, Value>,
        key: Option<&[u8]>,
    ) {
        let hash = fields.get("key_age_sha256").and_then(Value::as_str);
        if key.is_some_and(|key| is_swapped(hash, key)) {
            self.add(
                &format!("{name}.key.age"),
                format!("it is not the key that `{name}.json` names: it was swapped or damaged"),
                hint,
            );
        }
    }

    fn description(
        &mut self,
        name: &str,
        fields: &Map<String, Value>,
        leaf: &Leaf,
        key: Option<&[u8]>,
    ) {
        let file = format!("{name}.json");
        let text = |field: &str| fields.get(field).and_then(Value::as_str);
        let is_bound = text("public_key_sha256").is_some()
            && (key.is_none() || text("key_age_sha256").is_some());
        if !is_bound {
            let what = "it has no hashes that bind certificate and key".to_owned();
            // get-certs wrote neither these nor the CA.
            if fields.contains_key("directory") {
                self.add(&file, what, &compare(name));
            } else {
                self.0.push(Fault {
                    level: Level::Note,
                    file: file.clone(),
                    what: format!("{what}: get-certs wrote it"),
                    hint: "the next renewal writes them".to_owned(),
                });
            }
        }
        if text("public_key_sha256").is_some_and(|hash| hash != sha256(&leaf.public_key)) {
            let what = format!("it names another public key than `{name}.crt` has");
            self.add(&file, what, &compare(name));
        }
        if text("serial").is_some_and(|serial| serial != leaf.serial) {
            let what = format!("it names another serial than `{name}.crt` has");
            self.add(&file, what, &compare(name));
        }
        let names = fields.get("names").and_then(Value::as_array);
        let names: Option<BTreeSet<_>> =
            names.map(|names| names.iter().filter_map(Value::as_str).collect());
        let own: BTreeSet<_> = leaf.identifiers.iter().map(Identifier::as_str).collect();
        if names.is_some_and(|names| names != own) {
            let what = format!("it names others than `{name}.crt` does");
            self.add(&file, what, &compare(name));
        }
        self.same_key((name, &compare(name)), fields, key);
    }
}

/// Reads what a fuzzer makes: NAME.json and, after a zero byte, the chain. Faults are those of the files that are there.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0).map(<[u8]>::to_vec);
    let (description, chain) = (parts.next(), parts.next());
    let reason = description
        .as_deref()
        .and_then(crate::repo::revoked::reason);
    assert!(reason.is_none_or(|reason| reason.starts_with("revoked on ")));
    let mut read = |file: &str| {
        Ok(match file {
            "x.json" => description.clone(),
            "x.crt" => chain.clone(),
            _ => None,
        })
    };
    for fault in certificate("x", &mut read).into_iter().flatten() {
        assert!(fault.file.starts_with("x."), "{fault:?}");
    }
}
