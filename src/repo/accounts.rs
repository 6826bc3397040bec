//! Which files of the cert repository hold an ACME account, and what is in them.
//!
//! ```text
//! .letsencrypt/HOST/account.json          as get-certs wrote it
//! .letsencrypt/HOST/account.key.age       the key, encrypted
//! .letsencrypt/HOST/account.key.next.age  the new key of a rollover that has not ended
//! .letsencrypt/HOST/account.key           the key in plain text, as get-certs left it
//! ```

use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

use crate::model::hint::{Hint, with_hint};
use crate::model::secret::{Sealed, Secret};
use crate::repo::git::{Content, File, Workspace};
use crate::repo::import::blackbox::ENCRYPTED;
use crate::repo::keys::{self, PUBLIC_KEY};
use crate::repo::layout::sha256;
use crate::repo::recipients::Recipients;

/// An ACME account that the repository has.
#[derive(Debug)]
pub(crate) struct StoredAccount {
    pub(crate) key: StoredKey,
    /// Path of the key's file, or what it is in.
    pub(crate) key_path: String,
    /// A new key, of a rollover that was begun: whether the CA knows it already is not known.
    pub(crate) next: Option<StoredKey>,
    /// The account's URL, as account.json has it.
    pub(crate) url: Option<String>,
    /// account.json, if it can be read.
    fields: Option<Map<String, Value>>,
}

/// The key in the form that the repository has it.
#[derive(Debug)]
pub(crate) enum StoredKey {
    Sealed(Sealed),
    /// As get-certs left it. Only a rollover reads it, which makes it void.
    Plain(Secret),
    /// From Vault.
    Open(Secret),
}

/// The account at `host`; none if there is none yet.
///
/// A key in plain text is read too.
pub(crate) fn account(workspace: &Workspace, host: &str) -> Result<Option<StoredAccount>> {
    let Names {
        metadata,
        key,
        next,
        plain,
    } = Names::of(host);
    let stored = |key, key_path| -> Result<Option<StoredAccount>> {
        let bytes = workspace.read(&metadata)?;
        let next = sealed(workspace, &next)?.map(StoredKey::Sealed);
        let account = StoredAccount::new((key, key_path), next, bytes.as_deref());
        Ok(Some(account))
    };
    if let Some(sealed) = sealed(workspace, &key)? {
        return stored(StoredKey::Sealed(sealed), key);
    }
    if let Some(bytes) = workspace.read(&plain)? {
        return stored(StoredKey::Plain(Secret::new(bytes)), plain);
    }
    let by_pgp = format!("{plain}{ENCRYPTED}");
    if workspace.has(&by_pgp)? {
        return Err(anyhow!("the account key `{by_pgp}` is encrypted with PGP"))
            .hint(|| "`git-certs import` takes over what blackbox has encrypted, the account too");
    }
    // A key that was forgotten must not lead to a new account each night.
    if workspace.has(&metadata)? {
        return Err(anyhow!("`{metadata}` is there, but `{key}` is not")).hint(|| {
            format!(
                "take the key from an older commit; or remove `{metadata}`, \
                 and run with `--agree-tos` to register a new account"
            )
        });
    }
    Ok(None)
}

impl StoredAccount {
    /// An account of which `metadata` is what account.json has.
    pub(super) fn new(
        (key, key_path): (StoredKey, String),
        next: Option<StoredKey>,
        metadata: Option<&[u8]>,
    ) -> Self {
        let fields: Option<Map<_, _>> =
            metadata.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let url = fields.as_ref().and_then(|fields| {
            let url: &Value = fields.get("registration")?.get("uri")?;
            url.as_str().map(str::to_owned)
        });
        Self {
            key,
            key_path,
            next,
            url,
            fields,
        }
    }

    /// Whether it is in Vault.
    pub(crate) fn is_in_vault(&self) -> bool {
        matches!(self.key, StoredKey::Open(_))
    }

    /// The key, where it is kept as it should be. Where it is in plain text: what to do about it.
    pub(crate) fn safe_key(&self) -> Result<&StoredKey> {
        match &self.key {
            StoredKey::Sealed(_) | StoredKey::Open(_) => Ok(&self.key),
            StoredKey::Plain(_) => Err(with_hint(
                anyhow!("the account key `{}` is not encrypted", self.key_path),
                "`git-certs import` takes over what get-certs has left, the account too: it keeps its URL, and the next run \
                 gives it a new key",
            )),
        }
    }

    /// Fails unless the key, which belongs to the account at `url`, is the one that account.json is about.
    ///
    /// Whoever can push can encrypt a key of their own for us, and would hold the account that
    /// certificates are ordered with.
    pub(crate) fn must_be(&self, url: &str) -> Result<()> {
        let (noted_in, hint) = if self.is_in_vault() {
            (
                "`registration`",
                "somebody may have put another key there: bring an older version of the secret back, or correct \
                 `registration` if the key is right",
            )
        } else {
            (
                "account.json",
                "somebody may have put another key there: `git log` says who; take the right one from an \
                 older commit, or correct account.json if the key is right",
            )
        };
        match self.url.as_deref() {
            Some(noted) if noted != url => Err(anyhow!(
                "the key in `{}` belongs to the account `{url}`, but {noted_in} beside it names `{noted}`",
                self.key_path
            ))
            .hint(|| hint),
            _ => Ok(()),
        }
    }
}

/// A file that is encrypted; none if there is none.
pub(super) fn sealed(workspace: &Workspace, path: &str) -> Result<Option<Sealed>> {
    let bytes = workspace.read(path)?;
    bytes.map(|bytes| ciphertext(bytes, path)).transpose()
}

/// What such a file has.
pub(super) fn ciphertext(bytes: Vec<u8>, path: &str) -> Result<Sealed> {
    let text = String::from_utf8(bytes).ok().map(Sealed::new);
    match text {
        Some(Ok(key)) => Ok(key),
        _ => Err(anyhow!("`{path}` is not an ASCII-armoured age file"))
            .hint(|| "encrypt it again: `age --armor -R .age-recipients`"),
    }
}

/// Files of a new account at `host`: `account.json` as get-certs wrote it, and for whom the key is
/// encrypted; and the encrypted key.
pub(crate) fn account_files(
    host: &str,
    metadata: &str,
    key: &Secret,
    recipients: &Recipients,
) -> Result<Vec<File>> {
    let names = Names::of(host);
    let sealed = recipients.seal(key)?;
    let mut fields = serde_json::from_str(metadata)?;
    keys::note(&mut fields, &sealed, recipients);
    let metadata = format!("{:#}\n", Value::Object(fields));
    Ok(vec![
        File {
            path: names.metadata,
            content: Content::Public(metadata.into_bytes()),
        },
        File {
            path: names.key,
            content: Content::Sealed(sealed),
        },
    ])
}

/// account.json with the hash of the account's public key, so that the key is known again in another file.
pub(crate) fn with_public_key(metadata: &str, public_key: &[u8]) -> Result<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(metadata)?;
    fields.insert(PUBLIC_KEY.to_owned(), sha256(public_key).into());
    Ok(Value::Object(fields).to_string())
}

/// Whether the encrypted key of the account at `host` has this public half.
pub(crate) fn has_key(workspace: &Workspace, host: &str, public_key: &[u8]) -> Result<bool> {
    let Names { metadata, key, .. } = Names::of(host);
    let fields = workspace.read(&metadata)?;
    let fields = fields.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let fields = fields.unwrap_or_default();
    let is = |field: &str, hash: String| fields.get(field).and_then(Value::as_str) == Some(&hash);
    Ok(sealed(workspace, &key)?.is_some_and(|key| {
        is(PUBLIC_KEY, sha256(public_key)) && is(keys::KEY_AGE, sha256(key.as_str().as_bytes()))
    }))
}

/// Hosts whose account has the key with this public half.
pub(crate) fn with_key(workspace: &Workspace, public_key: &[u8]) -> Result<Vec<String>> {
    let mut hosts = workspace.folders(".letsencrypt")?;
    let mut trouble = Ok(());
    hosts.retain(|host| match has_key(workspace, host, public_key) {
        Ok(is_its) => is_its,
        Err(error) => {
            trouble = Err(error);
            false
        }
    });
    trouble.map(|()| hosts)
}

/// What a rollover stores before it begins: the new key beside the old one.
pub(crate) fn next_key_file(host: &str, next: Sealed) -> File {
    File {
        path: Names::of(host).next,
        content: Content::Sealed(next),
    }
}

/// What a rollover stores when it has ended: the new key in the place of the old one, which may have
/// been in plain text.
///
/// In this order, as a folder without git takes one file after another. Without `recipients`, an earlier
/// run has decided for whom the new key is encrypted.
pub(crate) fn changed_key_files(
    host: &str,
    account: &StoredAccount,
    (new, public_key): (Sealed, &[u8]),
    recipients: Option<&Recipients>,
) -> Vec<File> {
    let names = Names::of(host);
    let described = account.fields.clone().map(|mut fields| {
        fields.insert(PUBLIC_KEY.to_owned(), sha256(public_key).into());
        match recipients {
            Some(recipients) => keys::note(&mut fields, &new, recipients),
            None => keys::bind(&mut fields, &new),
        }
        File {
            path: names.metadata,
            content: Content::Public(format!("{:#}\n", Value::Object(fields)).into_bytes()),
        }
    });
    let removed = |path| File {
        path,
        content: Content::Removed,
    };
    let changed = [
        File {
            path: names.key,
            content: Content::Sealed(new),
        },
        removed(names.next),
        removed(names.plain),
    ];
    changed.into_iter().chain(described).collect()
}

/// Where the encrypted key of the account at `host` is.
pub(crate) fn key_path(host: &str) -> String {
    Names::of(host).key
}

/// Where what the CA said of the account at `host` is, and which key it has.
pub(crate) fn metadata_path(host: &str) -> String {
    Names::of(host).metadata
}

/// Where the new key is while a rollover is under way.
pub(crate) fn next_key_path(host: &str) -> String {
    Names::of(host).next
}

struct Names {
    metadata: String,
    key: String,
    next: String,
    plain: String,
}

impl Names {
    /// `host` with its port, as get-certs named the folder.
    fn of(host: &str) -> Self {
        let file = |name| format!(".letsencrypt/{host}/{name}");
        Self {
            metadata: file("account.json"),
            key: file("account.key.age"),
            next: file("account.key.next.age"),
            plain: file("account.key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::model::file;
    use crate::model::hint::explain;
    use crate::repo::files;
    use crate::repo::git::People;
    use crate::repo::servers::access;

    fn put(folder: &Path, path: &str, text: &str) {
        files::replace(&folder.join(path), text.as_bytes(), 0o644).unwrap();
    }

    fn error<T>(result: Result<T>) -> String {
        let explained = explain(&result.err().unwrap());
        format!("{}\nhint: {}", explained.what, explained.hints.join(", "))
    }

    fn open(folder: &Path) -> Workspace {
        let people = People::find(|_| None, None).unwrap();
        Workspace::here(folder, None, &access(None, None), people).unwrap()
    }

    fn sealed_of(account: &StoredAccount) -> Sealed {
        match account.safe_key().unwrap() {
            StoredKey::Sealed(sealed) => sealed.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn recipients() -> Recipients {
        let recipient = age::x25519::Identity::generate().to_public().to_string();
        Recipients::parse(&recipient, "r").unwrap()
    }

    #[test]
    fn accounts_are_stored_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut workspace = open(folder);
        let host = "localhost:14000";
        assert!(account(&workspace, host).unwrap().is_none());
        let key = Secret::from("-----BEGIN PRIVATE KEY-----".to_owned());
        let metadata = r#"{"registration": {"uri": "https://ca.test/1"}}"#;
        let files = account_files(host, metadata, &key, &recipients()).unwrap();
        workspace.commit("x", &files).unwrap();
        let found = account(&workspace, host).unwrap().unwrap();
        assert_eq!(
            found.key_path,
            ".letsencrypt/localhost:14000/account.key.age"
        );
        assert_eq!(found.key_path, key_path(host));
        assert_eq!(found.url.as_deref(), Some("https://ca.test/1"));
        assert!(found.next.is_none());
        let sealed = sealed_of(&found);
        assert_eq!(Content::Sealed(sealed), files[1].content);

        assert!(account(&workspace, "ca.test").unwrap().is_none());
        put(folder, ".letsencrypt/ca.test/account.json", "{}");
        assert_eq!(
            error(account(&workspace, "ca.test")),
            "`.letsencrypt/ca.test/account.json` is there, but `.letsencrypt/ca.test/account.key.age` is not\n\
             hint: take the key from an older commit; or remove `.letsencrypt/ca.test/account.json`, \
             and run with `--agree-tos` to register a new account"
        );
        put(folder, ".letsencrypt/ca.test/account.key.gpg", "");
        assert_eq!(
            error(account(&workspace, "ca.test")),
            "the account key `.letsencrypt/ca.test/account.key.gpg` is encrypted with PGP\n\
             hint: `git-certs import` takes over what blackbox has encrypted, the account too"
        );
        put(folder, ".letsencrypt/ca.test/account.key", "plain");
        let found = account(&workspace, "ca.test").unwrap().unwrap();
        assert_eq!(
            error(found.safe_key()),
            "the account key `.letsencrypt/ca.test/account.key` is not encrypted\n\
             hint: `git-certs import` takes over what get-certs has left, the account too: it keeps its URL, and the \
             next run gives it a new key"
        );
        put(folder, ".letsencrypt/ca.test/account.key.age", "plain");
        assert_eq!(
            error(account(&workspace, "ca.test")),
            "`.letsencrypt/ca.test/account.key.age` is not an ASCII-armoured age file\n\
             hint: encrypt it again: `age --armor -R .age-recipients`"
        );
    }

    #[test]
    fn a_rollover_puts_the_new_key_beside_the_old_one_then_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut workspace = open(folder);
        put(folder, ".letsencrypt/ca.test/account.key", "plain");
        let metadata = r#"{"status": "valid", "key_age_sha256": "0", "recipients_sha256": "0"}"#;
        put(folder, ".letsencrypt/ca.test/account.json", metadata);
        let new = recipients().seal(&Secret::from("new".to_owned())).unwrap();
        let next = next_key_file("ca.test", new.clone());
        workspace.commit("x", &[next]).unwrap();
        let found = account(&workspace, "ca.test").unwrap().unwrap();
        assert!(matches!(&found.key, StoredKey::Plain(key) if key.expose() == b"plain"));
        assert!(matches!(&found.next, Some(StoredKey::Sealed(next)) if *next == new));
        let files = changed_key_files("ca.test", &found, (new.clone(), b"new"), None);
        workspace.commit("x", &files).unwrap();
        let found = account(&workspace, "ca.test").unwrap().unwrap();
        assert_eq!(sealed_of(&found), new);
        assert!(found.next.is_none());
        let place = folder.join(".letsencrypt/ca.test");
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2);
        let metadata = || file::read_text(place.join("account.json")).unwrap();
        let hash = sha256(new.as_str().as_bytes());
        let public_key = sha256(b"new");
        let bound = format!(
            "{{\n  \"status\": \"valid\",\n  \"key_age_sha256\": \"{hash}\",\n  \"public_key_sha256\": \"{public_key}\""
        );
        assert_eq!(metadata(), format!("{bound}\n}}\n"));
        let recipients = recipients();
        let files = changed_key_files("ca.test", &found, (new, b"new"), Some(&recipients));
        workspace.commit("x", &files).unwrap();
        let readers = recipients.hash();
        assert_eq!(
            metadata(),
            format!("{bound},\n  \"recipients_sha256\": \"{readers}\"\n}}\n")
        );
    }
}
