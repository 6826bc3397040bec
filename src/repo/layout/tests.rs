//! Layout and accounts on a plain folder, with real certificates.

use std::path::Path;

use pretty_assertions::assert_eq;
use time::macros::datetime;

use super::*;
use crate::model::certificate::{Held, KeySource, KeyType, NewKey};
use crate::model::hint::explain;
use crate::model::secret::Secret;
use crate::repo::files;
use crate::repo::git::People;
use crate::repo::held::held;
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

fn wanted(name: &str, names: &[&str]) -> Wanted {
    Wanted {
        name: name.parse().unwrap(),
        identifiers: names.iter().map(|name| name.parse().unwrap()).collect(),
        key_type: KeyType::P256,
        key_source: KeySource::New,
        acme: None,
        profile: None,
        preferred_chain: None,
        recipients: None,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story")]
fn what_is_stored_is_held_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut workspace = open(folder.path());
    let (identity, recipient) = keys();
    put(folder.path(), ".age-recipients", &recipient);
    let wanted = wanted("web", &["a.test", "*.a.test"]);
    let recipients =
        recipients(&mut workspace.reader().unwrap(), &wanted.name, None, None).unwrap();
    let chain = certificate(&["*.a.test", "a.test"]);
    let leaf = Leaf::from_pem(chain.as_bytes()).unwrap();
    let issued = Issued {
        wanted: wanted.clone(),
        chain_pem: chain.trim_end().to_owned(),
        leaf: leaf.clone(),
        key: NewKey {
            sealed: Some(
                recipients
                    .seal(&Secret::from("-----BEGIN PRIVATE KEY-----".to_owned()))
                    .unwrap(),
            ),
            open: None,
        },
        received: datetime!(2026-11-25 10:00:00.123_456 UTC),
        url: "https://ca.test/cert/1".to_owned(),
        directory: "https://ca.test/dir".to_owned(),
        profile: Some("tlsserver".to_owned()),
        renewal: Some(RenewalInfo {
            start: datetime!(2027-01-20 10:00:00 UTC),
            end: datetime!(2027-01-22 10:00:00 UTC),
            explanation_url: None,
            next_check: datetime!(2026-11-25 16:00:00 UTC),
        }),
    };
    assert!(
        held(&workspace, std::slice::from_ref(&wanted))
            .unwrap()
            .is_empty()
    );
    let files = certificate_files(&issued, &recipients, Action::Renew).unwrap();
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
    let all = held(&workspace, std::slice::from_ref(&wanted)).unwrap();
    assert_eq!(
        all[&wanted.name].as_ref().unwrap(),
        &Held {
            leaf: leaf.clone(),
            ca: Some(issued.directory.clone()),
            renewal: issued.renewal.clone(),
            recipients: Some(recipients.hash()),
        }
    );
    assert_eq!(workspace.read(paths[1]).unwrap().unwrap(), chain.as_bytes());

    let text = String::from_utf8(workspace.read(paths[2]).unwrap().unwrap()).unwrap();
    assert!(
        text.starts_with(
            "{\n  \"domain\": \"a.test\",\n  \"certUrl\": \"https://ca.test/cert/1\",\n  \"certStableUrl\": "
        ),
        "{text}"
    );
    assert!(text.ends_with("\n}\n"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["names"], json!(["*.a.test", "a.test"]));
    assert_eq!(json["key_type"], "p256");
    assert_eq!(
        json["key_age_sha256"],
        sha256(issued.key.sealed.as_ref().unwrap().as_str().as_bytes())
    );
    assert_eq!(json["recipients_sha256"], recipients.hash());
    assert_eq!(json["not_after"], leaf.not_after.format(&Rfc3339).unwrap());
    assert_eq!(json["profile"], "tlsserver");
    assert_eq!(json["renewal_info"]["start"], "2027-01-20T10:00:00Z");
    assert_eq!(json["received"], "2026-11-25T10:00:00.123Z");
    assert_eq!(
        received(text.as_bytes(), &leaf),
        Some(datetime!(2026-11-25 10:00:00.123 UTC))
    );
    let other = Leaf {
        serial: "0A".to_owned(),
        ..leaf.clone()
    };
    assert_eq!(received(text.as_bytes(), &other), None);
    assert_eq!(json.as_object().unwrap().len(), 17);

    let key = String::from_utf8(workspace.read(paths[0]).unwrap().unwrap()).unwrap();
    let text = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    let identities = Identities::parse(&Secret::from(text), "k", &age::NoCallbacks).unwrap();
    let opened = identities.open(&Sealed::new(key).unwrap()).unwrap();
    assert_eq!(opened.expose(), b"-----BEGIN PRIVATE KEY-----");
}

#[test]
fn an_unreadable_certificate_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "certificates/a/a.crt", "nothing\n");
    put(
        folder.path(),
        "certificates/b/b.crt",
        &certificate(&["b.test"]),
    );
    put(folder.path(), "certificates/b/b.key.age", "sealed\n");
    let workspace = open(folder.path());
    let all = [
        wanted("a", &["a.test"]),
        wanted("b", &["b.test"]),
        wanted("c", &["c.test"]),
    ];
    let found = held(&workspace, &all).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[&all[0].name].as_ref().unwrap_err(),
        "`certificates/a/a.crt` cannot be read: no certificate in PEM form"
    );
    assert!(found[&all[1].name].is_ok());
}

#[test]
fn the_nearest_recipients_count() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let workspace = open(folder);
    let (a, b): (CertificateName, CertificateName) = ("a".parse().unwrap(), "b".parse().unwrap());
    let missing = "there is no `.age-recipients` in the cert repository\n\
        hint: it lists who can open private keys, one age or SSH recipient a line: \
        `age-keygen -o key.txt` makes an identity, `age-keygen -y key.txt > .age-recipients` lists it";
    assert_eq!(
        error(recipients(&mut workspace.reader().unwrap(), &a, None, None)),
        missing
    );
    assert_eq!(error(account_recipients(&workspace)), missing);
    put(folder, ".age-recipients", &keys().1);
    let all = recipients(&mut workspace.reader().unwrap(), &a, None, None)
        .unwrap()
        .hash();
    assert_eq!(account_recipients(&workspace).unwrap().hash(), all);
    put(folder, "certificates/a/.age-recipients", &keys().1);
    put(folder, ".letsencrypt/.age-recipients", &keys().1);
    let own = recipients(&mut workspace.reader().unwrap(), &a, None, None)
        .unwrap()
        .hash();
    let account = account_recipients(&workspace).unwrap().hash();
    assert!(own != all && account != all && own != account);
    assert_eq!(
        recipients(&mut workspace.reader().unwrap(), &b, None, None)
            .unwrap()
            .hash(),
        all
    );
    let other = keys().1;
    let instead = Some((other.as_str(), "--recipients"));
    let instead_of = recipients(&mut workspace.reader().unwrap(), &b, None, instead)
        .unwrap()
        .hash();
    assert!(instead_of != all);
    assert_eq!(
        recipients(&mut workspace.reader().unwrap(), &a, None, instead)
            .unwrap()
            .hash(),
        own
    );
}

#[test]
fn certificates_that_are_no_longer_listed_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = open(folder.path());
    put(folder.path(), "certificates/web/web.crt", "");
    put(folder.path(), "certificates/old/old.crt", "");
    let listed = [wanted("web", &["a.test"])];
    assert_eq!(unlisted(&workspace, &listed).unwrap(), ["old"]);
}

#[test]
fn a_certificate_without_its_key_is_not_held() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = [wanted("web", &["a.test"])];
    put(
        folder.path(),
        "certificates/web/web.crt",
        &certificate(&["a.test"]),
    );
    let workspace = open(folder.path());
    let name = &wanted[0].name;
    let held = || held(&workspace, &wanted).unwrap().remove(name).unwrap();
    assert_eq!(held().unwrap_err(), "its key is not in the repository");
    // What get-certs left is a key, though it should not be there.
    put(folder.path(), "certificates/web/web.key", "in plain text");
    held().unwrap();
    assert_eq!(
        foreign_keys(&workspace, &wanted).unwrap(),
        ["`certificates/web/web.key` is a private key in plain text"]
    );
    let key = folder.path().join("certificates/web/web.key");
    std::fs::rename(&key, key.with_extension("key.gpg")).unwrap();
    held().unwrap();
    assert_eq!(
        foreign_keys(&workspace, &wanted).unwrap(),
        ["`certificates/web/web.key.gpg` is a private key encrypted with PGP"]
    );
}
