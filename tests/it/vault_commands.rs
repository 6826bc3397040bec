//! Accounts and revocation in Vault, folders without git, kept keys, and where keys are not.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::command::Command;
use crate::support::lab::Server;
use crate::support::nightly::{Gate, Nightly, orders};
use crate::support::openbao::{URL, Vault};
use crate::support::repos::Files;
use crate::support::{get_certs, pebble};
use crate::vault::{assert_bundle, nightly, path, store};

fn text(secret: &Value, field: &str) -> String {
    secret[field].as_str().unwrap().to_owned()
}

#[test]
fn an_account_lives_in_vault() {
    let nightly = nightly();
    let vault = Vault(&nightly.lab);
    let run = |args: &[&str]| store(&nightly, args, 2);
    let missing = run(&["account", "show"]).run().expect_code(2);
    let missing = missing.normal_stderr();
    assert_eq!(
        missing.split_once("error: ").unwrap().1,
        "there is no account at `acme.test` in Vault: `kv/certs/.letsencrypt/acme.test` is not there\n\
         hint: `git-certs account register` makes one; `--acme` says at which CA\n"
    );
    let registered = run(&["account", "register"]).run().expect_code(0);
    assert_eq!(
        registered.normal_stdout(),
        "registered the ACME account `https://acme.test/my-account/[ID]`\n"
    );
    let shown = run(&["account", "show"]).run().expect_code(0);
    assert!(
        shown
            .stdout
            .contains("\nkey       P-256, in kv/certs/.letsencrypt/acme.test in Vault\n"),
        "{}",
        shown.stdout
    );
    let at = "certs/.letsencrypt/acme.test";
    let (before, _) = vault.v2(at);
    let changed = run(&["account", "rollover"]).run().expect_code(0);
    assert_eq!(
        changed.normal_stdout(),
        "the ACME account `https://acme.test/my-account/[ID]` has a new key, in \
         `kv/certs/.letsencrypt/acme.test in Vault`; the old one, of kind P-256, is void\n"
    );
    let (after, _) = vault.v2(at);
    assert_ne!(text(&after, "tls.key"), text(&before, "tls.key"));
    assert_eq!(after["registration"], before["registration"]);

    // A key of another account was put there.
    let stranger = get_certs::account(&nightly.lab);
    let mut forged = after.clone();
    forged["tls.key"] = json!(stranger.key);
    vault.put(&format!("kv/data/{at}"), &json!({ "data": forged }));
    let refused = run(&["account", "show"]).run().expect_code(2);
    let refused = refused.normal_stderr();
    assert_eq!(
        refused.split_once("error: ").unwrap().1,
        "the key in `kv/certs/.letsencrypt/acme.test in Vault` belongs to the account \
         `https://acme.test/my-account/[ID]`, but `registration` beside it names `https://acme.test/my-account/[ID]`\n\
         hint: somebody may have put another key there: bring an older version of the secret back, or correct \
         `registration` if the key is right\n"
    );
    // One whose key is gone.
    let half = json!({"data": {"registration": after["registration"]}});
    vault.put(&format!("kv/data/{at}"), &half);
    let refused = run(&["renew"]).run().expect_code(2);
    let refused = refused.normal_stderr();
    assert_eq!(
        refused.split_once("error: ").unwrap().1,
        "`kv/certs/.letsencrypt/acme.test` in Vault has no `tls.key`\n\
         hint: bring an older version back; or remove the secret, and run with `--agree-tos` to register a new account\n"
    );
    vault.put(&format!("kv/data/{at}"), &json!({ "data": after }));
    let closed = run(&["account", "deactivate", "--yes"])
        .run()
        .expect_code(0);
    assert_eq!(
        closed.normal_stdout(),
        "the ACME account `https://acme.test/my-account/[ID]` is closed\n\
         certificates stay valid until they expire; remove the account from Vault, so that the next run registers \
         another: the secret `.letsencrypt/acme.test`\n"
    );
    assert_eq!(nightly.certs.subjects(&nightly.lab).len(), 1);
}

#[test]
fn a_rollover_that_was_killed_is_brought_to_its_end() {
    for point in ["before", "after"] {
        let nightly = nightly();
        let lab = &nightly.lab;
        let vault = Vault(lab);
        store(&nightly, &["account", "register"], 2)
            .run()
            .expect_code(0);
        let at = "certs/.letsencrypt/acme.test";
        let (before, _) = vault.v2(at);
        store(&nightly, &["account", "rollover"], 2)
            .run()
            .expect_code(0);
        let (after, _) = vault.v2(at);
        // As it is between two steps: the CA knows the new key already, or does not.
        let (old, next) = (text(&before, "tls.key"), text(&after, "tls.key"));
        let other = lab
            .command("openssl")
            .args(["genpkey", "-algorithm", "EC", "-pkeyopt"]);
        let other = other.arg("ec_paramgen_curve:P-256").succeed().stdout;
        let fields = match point {
            "before" => json!({"tls.key": next, "tls.key.next": other}),
            _ => json!({"tls.key": old, "tls.key.next": next}),
        };
        let mut half = fields.clone();
        half["registration"] = before["registration"].clone();
        vault.put(&format!("kv/data/{at}"), &json!({ "data": half }));
        store(&nightly, &["renew"], 2).run().expect_code(0);
        let (ended, _) = vault.v2(at);
        assert_eq!(ended["tls.key"], fields["tls.key.next"], "{point}");
        assert_eq!(ended.as_object().unwrap().len(), 2, "{point}");
        assert_bundle(lab, &vault.v2("certs/www").0);
    }
}

#[test]
fn a_certificate_is_revoked_and_issued_again() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let vault = Vault(lab);
    store(&nightly, &["renew"], 2).run().expect_code(0);
    let (before, _) = vault.v2("certs/www");
    let words = ["revoke", "www", "--reason", "keyCompromise", "--yes"];
    let output = store(&nightly, &words, 2).run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "`www` is revoked: keyCompromise; the next `renew` issues it again\n"
    );
    let (marked, _) = vault.v2("certs/www");
    assert_eq!(marked["tls.key"], before["tls.key"]);
    let meta: Value = serde_json::from_str(&text(&marked, "meta")).unwrap();
    assert_eq!(meta["revoked"]["reason"], "keyCompromise");
    let plan = store(&nightly, &["plan"], 2).run().expect_code(0);
    assert!(
        plan.normal_stdout()
            .starts_with("reissue  www  www.bench.test: revoked on [DATE]: keyCompromise\n"),
        "{}",
        plan.stdout
    );
    // The key is not used again, even where it is to be kept.
    let kept = r#"[{"cert_name": "www", "names": ["www.bench.test"], "reuse_key": true}]"#;
    Files::default()
        .with("certs.json", kept)
        .commit(lab, &nightly.certs, "kept");
    store(&nightly, &["renew"], 2).run().expect_code(0);
    let (after, _) = vault.v2("certs/www");
    assert_bundle(lab, &after);
    assert_ne!(after["tls.key"], before["tls.key"]);
    // From now on it is.
    store(&nightly, &["renew", "--renew", "9999"], 2)
        .run()
        .expect_code(0);
    let (again, _) = vault.v2("certs/www");
    assert_bundle(lab, &again);
    assert_eq!(again["tls.key"], after["tls.key"]);
    assert_ne!(again["tls.cert"], after["tls.cert"]);
    // A key that somebody else put there is not the one that is kept.
    let mut swapped = again.clone();
    swapped["tls.key"] = before["tls.key"].clone();
    vault.put("kv/data/certs/www", &json!({ "data": swapped }));
    let refused = store(&nightly, &["renew"], 2).run().expect_code(2);
    assert_eq!(
        refused.normal_stderr().split_once("error: ").unwrap().1,
        "cannot issue `www`\n  \
         caused by: the key in `tls.key of kv/certs/www in Vault` is not the certificate's\n\
         hint: somebody put another key there: bring an older version of the secret back, or issue the certificate again\n"
    );
    Files::default()
        .with("certs.json", &kept.replace(", \"reuse_key\": true", ""))
        .commit(lab, &nightly.certs, "new keys");
    let plan = store(&nightly, &["plan"], 2).run().expect_code(0);
    assert!(
        plan.stdout.starts_with(
            "reissue  www  www.bench.test: the key in `tls.key in Vault` is not the certificate's\n"
        ),
        "{}",
        plan.stdout
    );
    store(&nightly, &["renew"], 2).run().expect_code(0);
    assert_bundle(lab, &vault.v2("certs/www").0);
    let missing = ["revoke", "api", "--reason", "superseded", "--yes"];
    let missing = store(&nightly, &missing, 2).run().expect_code(2);
    assert_eq!(
        missing.normal_stderr().split_once("error: ").unwrap().1,
        "there is no certificate `api`: `kv/certs/api in Vault` is not there\n\
         hint: it takes a `cert_name` of certs.json whose certificate was issued\n"
    );
}

/// As users of get-certs have it: certs.json and dnsconfig.js in a folder that no git repository contains.
fn in_folder(nightly: &Nightly) -> Command {
    let lab = &nightly.lab;
    let folder = lab.folder().join("plain");
    if !folder.exists() {
        Files::dns()
            .with(
                "certs.json",
                r#"[{"cert_name": "www", "names": ["www.bench.test"]}]"#,
            )
            .write(&folder);
    }
    let command = lab
        .git_certs(["renew", "-vault", "-vaultPath", path(1)])
        .env("GIT_CERTS_ACME", pebble::DIRECTORY)
        .env("GIT_CERTS_AGREE_TOS", "true")
        .env("GIT_CERTS_CA_BUNDLE", lab.ca())
        .env("VAULT_ADDR", URL)
        .env("VAULT_TOKEN", Vault(lab).root());
    command.folder(folder)
}

#[test]
fn a_folder_without_git_is_enough_and_nothing_is_written_there() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let files = || {
        let find = lab.command("find").args([".", "-type", "f"]);
        let found = find.folder(lab.folder().join("plain")).succeed().stdout;
        let mut found: Vec<_> = found.lines().map(str::to_owned).collect();
        found.sort();
        found
    };
    // Killed when the CA has issued: there is no journal, but the order is in Vault.
    let gate = Gate::new(lab);
    let run = gate.at("before commit", in_folder(&nightly)).spawn();
    gate.wait();
    lab.stop(Server::Vault);
    gate.open();
    run.wait().expect_code(1);
    lab.start(Server::Vault);
    let next = in_folder(&nightly).run().expect_code(0);
    assert!(
        next.stderr
            .contains("going on with the order of an earlier run for `www`\n"),
        "{}",
        next.stderr
    );
    assert_eq!(orders(lab), 1);
    let secret = Vault(lab).v1("certs/www");
    assert_bundle(lab, &secret);
    assert_eq!(files(), ["./certs.json", "./creds.json", "./dnsconfig.js"]);

    // A note that stays is not taken for an order that is still open.
    let note = Vault(lab).v1("certs/.git-certs/orders/www");
    assert!(note.is_null(), "{note}");
    let gate = Gate::new(lab);
    let run = in_folder(&nightly).args(["--renew", "9999"]);
    let run = gate.at("before commit", run).spawn();
    gate.wait();
    let note = Vault(lab).v1("certs/.git-certs/orders/www");
    gate.open();
    run.wait().expect_code(0);
    let renewed = Vault(lab).v1("certs/www");
    assert_ne!(renewed["tls.key"], secret["tls.key"]);
    Vault(lab).put("secret/certs/.git-certs/orders/www", &note);
    let again = in_folder(&nightly).args(["--renew", "9999"]);
    let again = again.run().expect_code(0);
    assert!(!again.stderr.contains("earlier run"), "{}", again.stderr);
    assert_ne!(Vault(lab).v1("certs/www")["tls.key"], renewed["tls.key"]);
}

#[test]
fn no_key_on_its_way_to_vault_is_written_to_a_file_or_said() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let log = lab.folder().join("strace.log");
    let traced = "trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,execve";
    let words = [
        "-f",
        "-v",
        "-s",
        "1000000",
        "-e",
        traced,
        "-A",
        "-o",
        log.to_str().unwrap(),
    ];
    let mut said = String::new();
    for _ in 0..2 {
        let run = store(&nightly, &["renew", "--verbose", "--renew", "9999"], 2);
        let output = run.under("strace", &words).run().expect_code(0);
        said += &(output.stdout + &output.stderr);
    }
    for look in [&["status"][..], &["why", "www"], &["doctor"]] {
        let look = [look, &["--verbose"]].concat();
        let look = store(&nightly, &look, 2).under("strace", &words);
        let output = look.run().expect_code(0);
        said += &(output.stdout + &output.stderr);
    }
    let calls = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    // What is written can be seen: the request for `certs.json` and the like are in the clear.
    assert!(calls.contains("execve("));
    let vault = Vault(lab);
    let secrets = [
        text(&vault.v2("certs/www").0, "tls.key"),
        text(&vault.v2("certs/.letsencrypt/acme.test").0, "tls.key"),
    ];
    for line in secrets.iter().flat_map(|key| key.lines()) {
        if !line.starts_with("-----") {
            assert!(!calls.contains(line) && !said.contains(line), "{line}");
        }
    }
    assert!(!calls.contains("PRIVATE KEY"));
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn whoever_only_looks_needs_no_login_for_a_copy() {
    let nightly = nightly();
    Files::default()
        .with(
            "git-certs.toml",
            "vault-copy = true\nvault-path = \"kv/certs\"\n",
        )
        .commit(&nightly.lab, &nightly.certs, "settings");
    let plan = nightly.command(&["plan"]).run().expect_code(0);
    assert!(plan.stdout.ends_with("1 due, 0 up to date\n"));
    nightly
        .command(&["renew", "--dry-run"])
        .run()
        .expect_code(0);
    let renew = nightly.command(&["renew"]).run().expect_code(2);
    assert_eq!(
        renew.normal_stderr().split_once("error: ").unwrap().1,
        "`--vault-copy` needs the address of Vault, and `VAULT_ADDR` is not set\n\
         hint: set it to `https://HOST:8200`\n"
    );
}

#[test]
fn the_login_for_vault_is_no_credential_of_a_provider() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let shown = nightly.dns.show(lab, "creds.json");
    let stolen = shown.replace("$LAB_TSIG_KEY", "$VAULT_TOKEN");
    Files::default()
        .with("creds.json", &stolen)
        .commit(lab, &nightly.dns, "a token for me");
    let refused = store(&nightly, &["renew"], 2).run().expect_code(2);
    let said = refused.normal_stderr();
    assert!(
        said.contains(
            "is taken from `VAULT_TOKEN`, which no provider may see\nhint: give the provider a variable of its own\n"
        ),
        "{said}"
    );
}
