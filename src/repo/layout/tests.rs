//! Layout and accounts on a plain folder, with real certificates.

use std::path::Path;

use pretty_assertions::assert_eq;
use url::Url;

use super::*;
use crate::model::certificate::KeyType;
use crate::model::hint::explain;
use crate::model::secret::{Sealed, Secret};
use crate::repo::accounts::{self, StoredAccount};
use crate::repo::files;
use crate::repo::git::People;
use crate::repo::seal::Identities;
use crate::repo::servers::access;

fn open(folder: &Path) -> Workspace {
    let people = People::find(|_| None, None).unwrap();
    Workspace::here(folder, None, &access(None, None), people).unwrap()
}

fn put(folder: &Path, path: &str, text: &str) {
    files::replace(&folder.join(path), text.as_bytes(), 0o644).unwrap();
}

fn error<T>(result: Result<T>) -> String {
    let explained = explain(&result.err().expect("an error"));
    let mut lines = vec![explained.what];
    lines.extend(explained.causes.iter().map(|cause| format!("  {cause}")));
    lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

fn certificate(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    rcgen::generate_simple_self_signed(names)
        .unwrap()
        .cert
        .pem()
}

fn keys() -> (age::x25519::Identity, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    (identity, recipient)
}

#[test]
fn what_is_stored_is_held_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut workspace = open(folder.path());
    let (identity, recipient) = keys();
    put(folder.path(), ".age-recipients", &recipient);
    let name: CertificateName = "web".parse().unwrap();
    let recipients = recipients(&workspace, &name).unwrap();
    let chain = certificate(&["*.a.test", "a.test"]);
    let leaf = Leaf::from_pem(chain.as_bytes()).unwrap();
    let issued = Issued {
        name: name.clone(),
        chain_pem: chain.trim_end().replace('\n', "\r\n").replace('\r', ""),
        leaf: leaf.clone(),
        key: recipients
            .seal(&Secret::from("-----BEGIN PRIVATE KEY-----".to_owned()))
            .unwrap(),
        key_type: KeyType::P256,
        url: "https://ca.test/cert/1".to_owned(),
        directory: "https://ca.test/dir".to_owned(),
    };
    assert!(held(&workspace, &name).unwrap().is_none());
    let files = files_for(&issued, &recipients.hash()).unwrap();
    let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "certificates/web/web.key.age",
            "certificates/web/web.crt",
            "certificates/web/web.json"
        ]
    );
    workspace.commit("x", &files).unwrap();
    assert_eq!(held(&workspace, &name).unwrap().unwrap().leaf, leaf);

    let text = workspace
        .read("certificates/web/web.json")
        .unwrap()
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("{\n  \"domain\": \"*.a.test\",\n  \"certUrl\": \"https://ca.test/cert/1\",\n  \"certStableUrl\": "));
    assert!(text.ends_with("\n}\n"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["names"], json!(["*.a.test", "a.test"]));
    assert_eq!(json["key_type"], "p256");
    assert_eq!(
        json["key_age_sha256"],
        sha256(issued.key.as_str().as_bytes())
    );
    assert_eq!(json["recipients_sha256"], recipients.hash());
    assert_eq!(json["not_after"], leaf.not_after.format(&Rfc3339).unwrap());
    let fields: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields.len(), 13);

    let key = workspace
        .read("certificates/web/web.key.age")
        .unwrap()
        .unwrap();
    let key = Sealed::new(String::from_utf8(key).unwrap()).unwrap();
    let text = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let identities = Identities::parse(&Secret::from(text), "k").unwrap();
    assert_eq!(
        identities.open(&key).unwrap().expose(),
        b"-----BEGIN PRIVATE KEY-----"
    );
}

#[test]
fn an_unreadable_certificate_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "certificates/a/a.crt", "nothing\n");
    let workspace = open(folder.path());
    assert_eq!(
        error(held(&workspace, &"a".parse().unwrap())),
        "cannot read `certificates/a/a.crt`\n  no certificate in PEM form\n\
         hint: take the file from an older commit, or remove it to have a new certificate"
    );
    assert!(held(&workspace, &"b".parse().unwrap()).unwrap().is_none());
}

#[test]
fn the_nearest_recipients_count() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let workspace = open(folder);
    let (a, b): (CertificateName, CertificateName) = ("a".parse().unwrap(), "b".parse().unwrap());
    assert_eq!(
        error(recipients(&workspace, &a)),
        "there is no `.age-recipients`, so nobody to encrypt for\n\
         hint: `age-keygen -o key.txt` makes an identity and prints its recipient; \
         put that line into `.age-recipients` and keep key.txt out of the repository"
    );
    put(folder, ".age-recipients", &keys().1);
    let all = recipients(&workspace, &a).unwrap().hash();
    assert_eq!(account_recipients(&workspace).unwrap().hash(), all);
    put(folder, "certificates/a/.age-recipients", &keys().1);
    put(folder, ".letsencrypt/.age-recipients", &keys().1);
    let own = recipients(&workspace, &a).unwrap().hash();
    let account = account_recipients(&workspace).unwrap().hash();
    assert!(own != all && account != all && own != account);
    assert_eq!(recipients(&workspace, &b).unwrap().hash(), all);
}

#[test]
fn accounts_are_stored_as_get_certs_did() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut workspace = open(folder);
    let ca: Url = "https://localhost:14000/dir".parse().unwrap();
    assert!(accounts::read(&workspace, &ca).unwrap().is_none());
    let key = Sealed::new("-----BEGIN AGE ENCRYPTED FILE-----\nx\n".to_owned()).unwrap();
    let account = StoredAccount {
        email: "me@x.test".to_owned(),
        url: "https://localhost:14000/acct/1".to_owned(),
        key,
    };
    let files = accounts::files(&ca, &account).unwrap();
    workspace.commit("x", &files).unwrap();
    let path = ".letsencrypt/localhost:14000/account.json";
    assert_eq!(
        String::from_utf8(workspace.read(path).unwrap().unwrap()).unwrap(),
        "{\n  \"email\": \"me@x.test\",\n  \"registration\": {\n    \"body\": {\n      \"status\": \"valid\",\n      \
         \"contact\": [\n        \"mailto:me@x.test\"\n      ]\n    },\n    \
         \"uri\": \"https://localhost:14000/acct/1\"\n  }\n}\n"
    );
    let found = accounts::read(&workspace, &ca).unwrap().unwrap();
    assert_eq!(
        (found.email, found.url, found.key),
        (account.email, account.url, account.key)
    );

    let elsewhere: Url = "https://ca.test/directory".parse().unwrap();
    assert!(accounts::read(&workspace, &elsewhere).unwrap().is_none());
    put(folder, ".letsencrypt/ca.test/account.json", "{}");
    let read = |workspace: &Workspace| error(accounts::read(workspace, &elsewhere));
    assert_eq!(
        read(&workspace),
        "`.letsencrypt/ca.test/account.json` is there, but `.letsencrypt/ca.test/account.key.age` is not\n\
         hint: take the key from an older commit, or remove `.letsencrypt/ca.test/account.json` to register a new account"
    );
    put(folder, ".letsencrypt/ca.test/account.key", "plain");
    assert_eq!(
        read(&workspace),
        "the account key in `.letsencrypt/ca.test` is not encrypted with age\n\
         hint: `git-certs import` encrypts what get-certs and blackbox left"
    );
    put(folder, ".letsencrypt/ca.test/account.key.age", "plain");
    assert_eq!(
        read(&workspace),
        "cannot read `.letsencrypt/ca.test/account.json`\n  \
         missing field `registration` at line 1 column 2\n\
         hint: take the file from an older commit"
    );
    put(
        folder,
        ".letsencrypt/ca.test/account.json",
        "{\"registration\":{\"uri\":\"u\"}}",
    );
    assert_eq!(
        read(&workspace),
        "cannot read `.letsencrypt/ca.test/account.key.age`\n  not an ASCII-armoured age file\n\
         hint: `age -a -R .letsencrypt/.age-recipients` makes such a file"
    );
}
