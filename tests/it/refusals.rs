//! Refused runs, each with all that it says: creds.json, keys, recipients, the CA.

use std::fs;

use crate::support::lab::{Lab, Server};
use crate::support::nightly::open;
use crate::support::repos::Files;
use crate::support::scene::Scene;

/// A name of a zone that BIND has alone.
const NAME: &str = "www.bench.test";

/// Refused before any server is asked.
#[track_caller]
fn blocked_by_creds(creds: &str, stderr: &str) {
    let files = Files::dns().with("creds.json", creds);
    let scene = Scene::with(Lab::builder(), &[NAME], &files);
    scene.blocked(&scene.renew(), stderr);
}

#[test]
fn creds_json_is_missing() {
    let files = Files::dns().without("creds.json");
    let scene = Scene::with(Lab::builder(), &[NAME], &files);
    scene.blocked(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: there is no `creds.json` with the credentials of `ddns`
hint: it belongs into the DNS repository; `--creds` names another file or a command
",
    );
}

#[test]
fn creds_json_is_not_json() {
    blocked_by_creds(
        "{ \"none\": { \"TYPE\": \"NONE\" }, \"ddns\": { \"master\" \"192.0.2.2\" } }\n",
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `creds.json` is not JSON: line 1, column 50
hint: comments and trailing commas are allowed; everything else must be JSON
",
    );
}

#[test]
fn creds_json_lacks_an_entry() {
    blocked_by_creds(
        r#"{ "none": { "TYPE": "NONE" }, "dns": { "TYPE": "AXFRDDNS" } }"#,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `creds.json` has no entry `ddns`
hint: add `\"ddns\": {\"TYPE\": \"...\"}` with the credentials of the provider
",
    );
}

#[test]
fn a_variable_of_creds_json_is_not_set() {
    let creds = Files::dns().with(
        "creds.json",
        r#"{ "ddns": { "TYPE": "AXFRDDNS", "master": "192.0.2.2", "update-key": "$NOBODY_SET_THIS" } }"#,
    );
    let scene = Scene::with(Lab::builder(), &[NAME], &creds);
    scene.blocked(&scene.renew(), "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the entry `ddns` (AXFRDDNS) in `creds.json` takes `update-key` from the environment variable `NOBODY_SET_THIS`, which is not set or empty
hint: set `NOBODY_SET_THIS`
");
}

#[test]
fn a_variable_of_creds_json_is_empty() {
    let scene = Scene::start(Lab::builder(), &["www.pdns.test"]);
    let command = scene.renew().env("LAB_API_KEY", "");
    scene.blocked(&command, "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the entry `powerdns` (POWERDNS) in `creds.json` takes `apiKey` from the environment variable `LAB_API_KEY`, which is not set or empty
hint: set `LAB_API_KEY`
");
}

#[test]
fn an_entry_has_no_type() {
    blocked_by_creds(
        r#"{ "none": { "TYPE": "NONE" }, "ddns": { "master": "192.0.2.2" } }"#,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: the entry `ddns` in `creds.json` has no TYPE
hint: add `\"TYPE\": \"...\"` with the provider's name, such as `CLOUDFLAREAPI`
",
    );
}

#[test]
fn an_entry_has_a_type_that_is_not_supported() {
    blocked_by_creds(
        r#"{ "none": { "TYPE": "NONE" }, "ddns": { "TYPE": "HEDNS", "username": "x" } }"#,
        "\
to issue: `www`, not in the repository
error: cannot issue `www`
  caused by: `creds.json` entry `ddns`: git-certs does not speak to DNS provider `HEDNS` by itself, and there is no `dnscontrol` on PATH that could
hint: install DNSControl, through which every provider works; `git-certs providers` lists those that need no help; skip it with `--skip ddns` if another provider serves the zone
",
    );
}

#[test]
fn an_identity_that_is_not_a_recipient() {
    let scene = Scene::with_account();
    let other = scene.lab.age_identity("other");
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", other.file);
    scene.refused(&command, "\
warning: certificate `www` is not in certs.json: it is not renewed
to issue: `another`, not in the repository
error: cannot decrypt `.letsencrypt/acme.test/account.key.age`
  caused by: no identity in `[LAB]/other.agekey` can open it
hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), or let one of them encrypt it for yours
");
}

#[test]
fn no_identity() {
    let scene = Scene::with_account();
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", "");
    scene.refused(
        &command,
        "\
warning: certificate `www` is not in certs.json: it is not renewed
to issue: `another`, not in the repository
error: there is no age identity to open `.letsencrypt/acme.test/account.key.age` with
hint: set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`
",
    );
}

#[test]
fn the_identity_file_is_missing() {
    let scene = Scene::with_account();
    let file = scene.lab.folder().join("gone");
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", file);
    scene.refused(
        &command,
        "\
warning: certificate `www` is not in certs.json: it is not renewed
to issue: `another`, not in the repository
error: cannot read the identity `[LAB]/gone`
  caused by: No such file or directory
hint: an identity is a file of `age-keygen`, or an SSH private key
",
    );
}

#[test]
fn an_ssh_key_with_a_passphrase() {
    const KEY: &str = ".letsencrypt/acme.test/account.key.age";
    let scene = Scene::with_account();
    let Scene {
        lab,
        certs,
        identity,
        ..
    } = &scene;
    let file = lab.folder().join("id_ed25519");
    let keygen = lab.command("ssh-keygen").args(["-q", "-t", "ed25519"]);
    let keygen = keygen.args(["-N", "open sesame", "-C", "lab", "-f"]);
    keygen.arg(&file).succeed();
    // The passphrase is asked for only where something is encrypted for the key.
    let key = open(lab, &certs.show(lab, KEY), &identity.file).expect_code(0);
    let seal = lab.command("age").args(["--armor", "--recipients-file"]);
    let seal = seal.arg(file.with_extension("pub")).stdin(key.stdout);
    scene.change(&Files::default().with(KEY, &seal.succeed().stdout));
    let command = scene.renew().env("GIT_CERTS_AGE_KEY_FILE", file);
    scene.refused(
        &command,
        "\
warning: certificate `www` is not in certs.json: it is not renewed
to issue: `another`, not in the repository
error: cannot decrypt `.letsencrypt/acme.test/account.key.age`
  caused by: cannot use the SSH key in `[LAB]/id_ed25519`
  caused by: it is protected by a passphrase, which is asked for on a terminal only
hint: `ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`
",
    );
}

#[test]
fn garbage_for_an_identity() {
    let scene = Scene::with_account();
    let command = scene
        .renew()
        .env("GIT_CERTS_AGE_KEY", "AGE-SECRET-KEY-1HUNTER2");
    scene.refused(
        &command,
        "\
warning: certificate `www` is not in certs.json: it is not renewed
to issue: `another`, not in the repository
error: line 1 of the identity in `GIT_CERTS_AGE_KEY` is not a key
hint: a key is `AGE-SECRET-KEY-1...`, whole and on one line; `age1...` is a recipient, not a key
",
    );
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
        "\
to issue: `www`, not in the repository
error: the account key `.letsencrypt/acme.test/account.key` is not encrypted
hint: `git-certs import` takes over what get-certs has left, the account too: it keeps its URL, and the next run gives it a new key
",
    );
}

#[test]
fn no_recipients() {
    let scene = Scene::start(Lab::builder().bind(), &[NAME]);
    scene.change(&Files::default().with(".age-recipients", "# nobody yet\n"));
    scene.refused(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: `.age-recipients` has no recipient
hint: `age-keygen -o key.txt` makes an identity and prints its recipient; put that line in
",
    );
}

#[test]
fn a_line_that_is_no_recipient() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let text = format!("{}\nage1notakey\n", scene.identity.recipient);
    scene.change(&Files::default().with(".age-recipients", &text));
    scene.refused(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: `.age-recipients` line 2 is not a recipient
  caused by: it is cut off or mistyped
hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment
",
    );
}

#[test]
fn a_secret_key_among_the_recipients() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let text = fs::read_to_string(&scene.identity.file).unwrap();
    scene.change(&Files::default().with(".age-recipients", &text));
    scene.refused(&scene.renew(), "\
to issue: `www`, not in the repository
error: `.age-recipients` line 3 looks like a secret key
hint: take it out of the file and out of the history, and make a new key; the recipient is the line that begins with `age1` or `ssh-`
");
}

#[test]
fn the_authority_is_down() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    scene.lab.stop(Server::Pebble);
    scene.refused(
        &scene.renew(),
        "\
to issue: `www`, not in the repository
error: cannot register an account at `https://acme.test/dir`
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
hint: check that this machine reaches the CA: its name, a firewall, a proxy (`HTTPS_PROXY`)
",
    );
}

#[test]
fn the_authority_is_not_trusted() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene.renew().env("GIT_CERTS_CA_BUNDLE", "");
    scene.refused(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot register an account at `https://acme.test/dir`
  caused by: error sending request
  caused by: invalid peer certificate: UnknownIssuer
hint: for a private CA, name the file with its root: `--ca-bundle FILE`
",
    );
}

#[test]
fn a_url_that_is_no_acme_directory() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene
        .renew()
        .env("GIT_CERTS_ACME", "https://acme.test/nonce-plz");
    scene.refused(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot register an account at `https://acme.test/nonce-plz`
  caused by: this is no ACME directory
  caused by: EOF while parsing a value at line 1 column 0
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
    );
}

#[test]
fn a_url_that_the_authority_does_not_have() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene
        .renew()
        .env("GIT_CERTS_ACME", "https://acme.test/directory");
    scene.refused(
        &command,
        "\
to issue: `www`, not in the repository
error: cannot register an account at `https://acme.test/directory`
  caused by: the CA answered `404 Not Found`
hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
",
    );
}

#[test]
fn the_terms_are_not_agreed_to() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    let command = scene.renew().env("GIT_CERTS_AGREE_TOS", "false");
    scene.refused(&command, "\
to issue: `www`, not in the repository
error: there is no account at `acme.test` yet, and a new one needs your agreement to its terms: `data:text/plain,Do%20what%20thou%20wilt`
hint: read the terms, then run again with `--agree-tos`
");
}
