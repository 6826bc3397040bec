//! Refused runs, each with all that it says: creds.json, keys, recipients, the CA.

use std::fs;

use crate::support::lab::{Lab, Server};
use crate::support::repos::Files;
use crate::support::scene::Scene;

/// A name of a zone that BIND has alone.
const NAME: &str = "www.bench.test";

/// Refused before any server is asked.
#[track_caller]
fn refused_with_creds(creds: &str, stderr: &str) {
    let files = Files::dns().with("creds.json", creds);
    let scene = Scene::with(Lab::builder(), &[NAME], files);
    scene.refused(&scene.renew(), stderr);
}

#[test]
fn creds_json_is_missing() {
    let files = Files::dns().without("creds.json");
    let scene = Scene::with(Lab::builder(), &[NAME], files);
    scene.refused(&scene.renew(), "@creds_json_is_missing");
}

#[test]
fn creds_json_is_not_json() {
    refused_with_creds(
        "{ \"none\": { \"TYPE\": \"NONE\" }, \"ddns\": { \"master\" \"192.0.2.2\" } }\n",
        "@creds_json_is_not_json",
    );
}

#[test]
fn creds_json_lacks_an_entry() {
    refused_with_creds(
        r#"{ "none": { "TYPE": "NONE" }, "dns": { "TYPE": "AXFRDDNS" } }"#,
        "@creds_json_lacks_an_entry",
    );
}

#[test]
fn a_variable_of_creds_json_is_not_set() {
    let creds = Files::dns().with(
        "creds.json",
        r#"{ "ddns": { "TYPE": "AXFRDDNS", "master": "192.0.2.2", "update-key": "$NOBODY_SET_THIS" } }"#,
    );
    let scene = Scene::with(Lab::builder(), &[NAME], creds);
    scene.refused(&scene.renew(), "@a_variable_of_creds_json_is_not_set");
}

#[test]
fn a_variable_of_creds_json_is_empty() {
    let scene = Scene::start(Lab::builder(), &["www.pdns.test"]);
    let command = scene.renew().env("LAB_API_KEY", "");
    scene.refused(&command, "@a_variable_of_creds_json_is_empty");
}

#[test]
fn an_entry_has_no_type() {
    refused_with_creds(
        r#"{ "none": { "TYPE": "NONE" }, "ddns": { "master": "192.0.2.2" } }"#,
        "@an_entry_has_no_type",
    );
}

#[test]
fn an_entry_has_a_type_that_is_not_supported() {
    refused_with_creds(
        r#"{ "none": { "TYPE": "NONE" }, "ddns": { "TYPE": "ROUTE53", "KeyId": "x" } }"#,
        "@an_entry_has_a_type_that_is_not_supported",
    );
}

#[test]
fn an_identity_that_is_not_a_recipient() {
    let scene = Scene::with_account();
    let other = scene.lab.age_identity("other");
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", other.file);
    scene.refused(&command, "@an_identity_that_is_not_a_recipient");
}

#[test]
fn no_identity() {
    let scene = Scene::with_account();
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", "");
    scene.refused(&command, "@no_identity");
}

#[test]
fn the_identity_file_is_missing() {
    let scene = Scene::with_account();
    let file = scene.lab.folder().join("gone");
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", file);
    scene.refused(&command, "@the_identity_file_is_missing");
}

#[test]
fn an_ssh_key_with_a_passphrase() {
    let scene = Scene::with_account();
    let file = scene.lab.folder().join("id_ed25519");
    let keygen = scene
        .lab
        .command("ssh-keygen")
        .args(["-q", "-t", "ed25519"]);
    let keygen = keygen.args(["-N", "open sesame", "-C", "lab", "-f"]);
    keygen.arg(&file).succeed();
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", file);
    scene.refused(&command, "@an_ssh_key_with_a_passphrase");
}

#[test]
fn garbage_for_an_identity() {
    let scene = Scene::with_account();
    let command = scene
        .renew()
        .env("GIT_CERTS_AGE_KEY", "AGE-SECRET-KEY-1HUNTER2");
    scene.refused(&command, "@garbage_for_an_identity");
}

#[test]
fn the_account_key_of_get_certs_is_not_encrypted() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let text = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\n";
    scene.change(
        &Files::default()
            .with(".letsencrypt/acme.test/account.key", text)
            .with(".letsencrypt/acme.test/account.json", "{}\n"),
    );
    scene.refused(
        &scene.renew(),
        "@the_account_key_of_get_certs_is_not_encrypted",
    );
}

#[test]
fn no_recipients() {
    let scene = Scene::start(Lab::builder().bind(), &[NAME]);
    scene.change(&Files::default().with(".age-recipients", "# nobody yet\n"));
    scene.refused(&scene.renew(), "@no_recipients");
}

#[test]
fn a_line_that_is_no_recipient() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let text = format!("{}\nage1notakey\n", scene.identity.recipient);
    scene.change(&Files::default().with(".age-recipients", &text));
    scene.refused(&scene.renew(), "@a_line_that_is_no_recipient");
}

#[test]
fn a_secret_key_among_the_recipients() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let text = fs::read_to_string(&scene.identity.file).unwrap();
    scene.change(&Files::default().with(".age-recipients", &text));
    scene.refused(&scene.renew(), "@a_secret_key_among_the_recipients");
}

#[test]
fn the_authority_is_down() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    scene.lab.stop(Server::Pebble);
    scene.refused(&scene.renew(), "@the_authority_is_down");
}

#[test]
fn the_authority_is_not_trusted() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene.renew().env("GIT_CERTS_CA_BUNDLE", "");
    scene.refused(&command, "@the_authority_is_not_trusted");
}

#[test]
fn a_url_that_is_no_acme_directory() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene
        .renew()
        .env("GIT_CERTS_ACME", "https://acme.test/nonce-plz");
    scene.refused(&command, "@a_url_that_is_no_acme_directory");
}

#[test]
fn a_url_that_the_authority_does_not_have() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene
        .renew()
        .env("GIT_CERTS_ACME", "https://acme.test/directory");
    scene.refused(&command, "@a_url_that_the_authority_does_not_have");
}

#[test]
fn the_terms_are_not_agreed_to() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene.renew().env("GIT_CERTS_AGREE_TOS", "false");
    scene.refused(&command, "@the_terms_are_not_agreed_to");
}
