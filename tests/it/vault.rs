//! Certificates in Vault instead of git: a real OpenBao, with engines of both versions.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::docs::blocks;
use crate::support::command::{Command, normalise};
use crate::support::get_certs;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, orders};
use crate::support::openbao::{URL, Vault};
use crate::support::pebble;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

pub fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().vault().start(), WANTED)
}

/// A policy of the documentation: for an engine of version 2, or 1.
pub fn policy(version: usize) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/vault.md");
    blocks(&fs::read_to_string(page).unwrap(), "hcl")[2 - version].clone()
}

/// Where certificates are kept in an engine of this version.
pub fn path(version: usize) -> &'static str {
    ["secret/certs", "kv/certs"][version - 1]
}

/// A command with a token that the policy of the documentation is for.
pub fn with_token(nightly: &Nightly, args: &[&str], version: usize) -> Command {
    let token = Vault(&nightly.lab).token(&policy(version), "2h");
    nightly
        .command(args)
        .env("VAULT_ADDR", URL)
        .env("VAULT_TOKEN", token)
        .env("VAULT_CACERT", nightly.lab.ca())
        .env("GIT_CERTS_VAULT_PATH", path(version))
}

/// In Vault instead of git: no identity is there.
pub fn store(nightly: &Nightly, args: &[&str], version: usize) -> Command {
    with_token(nightly, args, version)
        .env("GIT_CERTS_VAULT", "true")
        .env("GIT_CERTS_AGE_KEY_FILE", "")
}

/// Fails unless the secret is a certificate of the CA with its own key, in get-certs' layout.
#[track_caller]
pub fn assert_bundle(lab: &Lab, secret: &Value) {
    let text = |field: &str| secret[field].as_str().unwrap().to_owned();
    let (chain, key) = (text("tls.cert"), text("tls.key"));
    assert_eq!(text("tls.combined"), format!("{chain}\n{key}"));
    let mut fields: Vec<_> = secret.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["meta", "tls.cert", "tls.combined", "tls.key"]);
    let write = |name: &str, text: &str| lab.namespace().write(&format!("check/{name}"), text);
    let root = write("root.pem", &pebble::issuer_root(lab.namespace()));
    let chain = write("chain.pem", &chain);
    let openssl = |args: &[&str]| lab.command("openssl").args(args.to_vec());
    let verify = openssl(&["verify", "-purpose", "sslserver", "-CAfile"]);
    let verify = verify.arg(&root).arg("-untrusted").arg(&chain).arg(&chain);
    verify.succeed();
    let certified = openssl(&["x509", "-noout", "-pubkey", "-in"]).arg(&chain);
    let public = openssl(&["pkey", "-pubout"]).stdin(key);
    assert_eq!(public.succeed().stdout, certified.succeed().stdout);
}

fn key_of(secret: &Value) -> String {
    secret["tls.key"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_keeps_everything_in_vault_and_the_next_has_nothing_to_do() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let vault = Vault(lab);
    let plan = store(&nightly, &["plan"], 2).run().expect_code(0);
    assert_eq!(
        plan.stdout,
        "issue    www  www.bench.test: not in Vault\n\n1 due, 0 up to date\n"
    );
    let output = store(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE]\n\n\
         1 issued, 0 failed, 0 up to date\n\
         wrote 1 certificate to `kv/certs` in Vault\n"
    );
    let mut said: Vec<_> = output.stderr.lines().collect();
    said.sort_unstable();
    assert_eq!(
        normalise(&said.join("\n"), lab.folder()),
        "Vault would take what is due at `kv/certs` ([TIME])\n\
         asked every name server for every challenge ([TIME])\n\
         cloned `[LAB]/git/certs.git` ([TIME])\n\
         cloned `[LAB]/git/dns.git` ([TIME])\n\
         issued 1 certificate, with [N] requests to the CA ([TIME])\n\
         looked at 1 zone ([TIME])\n\
         ordered 1 certificate with 1 challenge ([TIME])\n\
         registered the ACME account `https://acme.test/my-account/[ID]`\n\
         to issue: `www`, not in Vault"
    );
    let (secret, version) = vault.v2("certs/www");
    assert_eq!(version, 1);
    assert_bundle(lab, &secret);
    let meta: Value = serde_json::from_str(secret["meta"].as_str().unwrap()).unwrap();
    let keys: Vec<_> = meta.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "domain",
            "certUrl",
            "certStableUrl",
            "names",
            "not_before",
            "not_after",
            "serial",
            "issuer",
            "key_type",
            "public_key_sha256",
            "directory",
            "received",
            "action",
            "renewal_info",
        ]
    );
    let (account, _) = vault.v2("certs/.letsencrypt/acme.test");
    assert!(key_of(&account).starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let registration: Value =
        serde_json::from_str(account["registration"].as_str().unwrap()).unwrap();
    let url = registration["registration"]["uri"].as_str().unwrap();
    assert!(url.starts_with("https://acme.test/my-account/"), "{url}");
    // The note of the order is gone, and git has nothing of all that.
    assert_eq!(vault.v2("certs/.git-certs/orders/www").1, Value::Null);
    assert_eq!(certs.files(lab), [".age-recipients", "certs.json"]);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    assert_eq!(lab.left_over().len(), 0);

    let again = store(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(
        again.normal_stdout(),
        "nothing is due: 1 up to date, the first to expire is `www` on [DATE]\n"
    );
    assert_eq!(orders(lab), 1);

    // A new key each time; the account stays.
    let renewed = store(&nightly, &["renew", "--renew", "9999"], 2);
    renewed.run().expect_code(0);
    let (new, version) = vault.v2("certs/www");
    assert_eq!(version, 2);
    assert_bundle(lab, &new);
    assert_ne!(key_of(&new), key_of(&secret));
    assert_eq!(vault.v2("certs/.letsencrypt/acme.test").0, account);
}

#[test]
fn what_get_certs_left_in_vault_is_taken_over() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let vault = Vault(lab);
    // A certificate that get-certs might have issued: the same fields, and a key in PKCS#1.
    store(&nightly, &["renew"], 1).run().expect_code(0);
    let issued = vault.v1("certs/www");
    assert_bundle(lab, &issued);
    let meta: Value = serde_json::from_str(issued["meta"].as_str().unwrap()).unwrap();
    let traditional = lab.command("openssl").args(["rsa", "-traditional"]);
    let key = traditional.stdin(key_of(&issued)).succeed().stdout;
    let chain = issued["tls.cert"].as_str().unwrap();
    let meta = json!({
        "domain": "www.bench.test",
        "certUrl": meta["certUrl"],
        "certStableUrl": meta["certUrl"],
    });
    let secret = json!({
        "tls.cert": chain,
        "tls.key": key,
        "tls.combined": format!("{chain}\n{key}"),
        "meta": format!("{meta:#}"),
    });
    vault.put("secret/certs/www", &secret);
    let account = get_certs::account(lab);
    let kept = json!({"registration": account.metadata, "tls.key": account.key});
    vault.put("secret/certs/.letsencrypt/acme.test", &kept);

    // The default is where get-certs looked; nothing is due, nothing is written.
    let as_before = |args: &[&str]| {
        let command = store(&nightly, args, 1);
        command.env("GIT_CERTS_VAULT_PATH", "").run()
    };
    let plan = as_before(&["plan", "-vault"]).expect_code(0);
    assert!(
        plan.stdout.ends_with("\n0 due, 1 up to date\n"),
        "{}",
        plan.stdout
    );
    as_before(&["renew", "-vault"]).expect_code(0);
    assert_eq!(vault.v1("certs/www"), secret);
    assert_eq!(vault.v1("certs/.letsencrypt/acme.test"), kept);

    let renewed = as_before(&["renew", "-vault", "-renew", "9999"]).expect_code(0);
    let said = normalise(&renewed.stderr, lab.folder());
    let url = &account.url;
    let id = normalise(url, lab.folder());
    assert!(
        said.contains(&format!(
            "the ACME account `{id}` has a new key, in `secret/certs/.letsencrypt/acme.test in Vault`; the old one, \
             of kind P-384, is void\n"
        )),
        "{said}"
    );
    let new = vault.v1("certs/www");
    assert_bundle(lab, &new);
    assert_ne!(key_of(&new), key);
    let changed = vault.v1("certs/.letsencrypt/acme.test");
    assert_eq!(changed["registration"], account.metadata);
    assert!(key_of(&changed).starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(changed.as_object().unwrap().len(), 2);
    assert_eq!(certs.files(lab), [".age-recipients", "certs.json"]);
}

#[test]
fn what_cannot_be_written_is_fetched_by_the_next_run() {
    for version in [1, 2] {
        let nightly = nightly();
        let lab = &nightly.lab;
        let gate = Gate::new(lab);
        let run = gate.at("before commit", store(&nightly, &["renew"], version));
        let run = run.spawn();
        gate.wait();
        lab.stop(Server::Vault);
        gate.open();
        let output = run.wait().expect_code(1);
        let said = output.normal_stderr();
        let error = &said[said.find("error: ").unwrap()..];
        let path = path(version);
        assert_eq!(
            error,
            format!(
                "error: cannot issue `www`\n  \
                 caused by: cannot store certificate `www`\n  \
                 caused by: cannot read `{path}/www` in Vault\n  \
                 caused by: cannot reach Vault at `https://vault.test:8200`\n  \
                 caused by: error sending request\n  \
                 caused by: tcp connect error\n  \
                 caused by: Connection refused\n\
                 hint: the order is noted: the next run fetches what the CA has issued\n\
                 hint: `VAULT_ADDR` says where Vault is; check the way there (`HTTPS_PROXY`, `NO_PROXY`), and run again\n"
            )
        );
        lab.start(Server::Vault);
        let next = store(&nightly, &["renew"], version).run().expect_code(0);
        assert!(
            next.stderr
                .contains("going on with the order of an earlier run for `www`\n"),
            "{}",
            next.stderr
        );
        assert_eq!(orders(lab), 1);
        let secret = match version {
            1 => Vault(lab).v1("certs/www"),
            _ => Vault(lab).v2("certs/www").0,
        };
        assert_bundle(lab, &secret);
        assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
        assert_eq!(lab.challenges().len(), 0);
    }
}

#[test]
fn a_run_that_is_killed_loses_nothing() {
    for point in ["before record", "after record", "seen", "before commit"] {
        let nightly = nightly();
        let lab = &nightly.lab;
        let run = store(&nightly, &["renew"], 2)
            .env("GIT_CERTS_TEST_AT", point)
            .env("GIT_CERTS_TEST_DO", "KILL")
            .run();
        assert!(!run.status.success(), "{point}");
        let next = store(&nightly, &["renew", "--lock-timeout", "1"], 2)
            .run()
            .expect_code(0);
        assert!(
            next.stderr
                .contains("going on with the order of an earlier run for `www`\n"),
            "{point}: {}",
            next.stderr
        );
        assert_eq!(orders(lab), 1, "{point}");
        assert_bundle(lab, &Vault(lab).v2("certs/www").0);
        assert_eq!(lab.challenges().len(), 0, "{point}");
        assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
    }
}

/// Somebody else keeps a password, a list and a number beside the certificate and the account.
#[test]
fn fields_of_others_stay() {
    let nightly = nightly();
    let vault = Vault(&nightly.lab);
    let theirs = json!({"password": "planted-password", "ports": [443, {"tls": true}], "ttl": 60});
    for version in [1, 2] {
        let put = |name: &str| match version {
            1 => vault.put(&format!("secret/certs/{name}"), &theirs),
            _ => vault.put(&format!("kv/data/certs/{name}"), &json!({ "data": theirs })),
        };
        let get = |name: &str| match version {
            1 => vault.v1(&format!("certs/{name}")),
            _ => vault.v2(&format!("certs/{name}")).0,
        };
        put("www");
        let run = |args: &[&str]| store(&nightly, args, version).run().expect_code(0);
        run(&["renew"]);
        run(&["renew", "--renew", "1000"]);
        run(&["revoke", "www", "--reason", "superseded", "--yes"]);
        let mut secret = get("www");
        for (name, value) in theirs.as_object().unwrap() {
            assert_eq!(&secret[name], value, "{version}: {name}");
            secret.as_object_mut().unwrap().remove(name);
        }
        assert_bundle(&nightly.lab, &secret);
    }
}
