//! `export` of certificates that are in Vault instead of git.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::openbao::Vault;
use crate::vault::{policy, store, with_token};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"]), ("api", &["api.bench.test"])];

/// Both certificates are there.
fn scene(version: usize) -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().pebble().vault().start(), WANTED);
    store(&nightly, &["renew"], version).run().expect_code(0);
    nightly
}

fn export(nightly: &Nightly, words: &[&str], version: usize) -> Command {
    let words = [&["export"], words].concat();
    store(nightly, &words, version)
}

/// The error, without what was said before it.
#[track_caller]
fn refused(command: &Command) -> String {
    let output = command.run().expect_code(2);
    let said = output.normal_stderr();
    assert_eq!(output.stdout, "");
    said[said.find("error: ").unwrap()..].to_owned()
}

fn secret(nightly: &Nightly, name: &str) -> Value {
    Vault(&nightly.lab).v2(&format!("certs/{name}")).0
}

fn put(nightly: &Nightly, name: &str, secret: &Value) {
    let vault = Vault(&nightly.lab);
    vault.put(&format!("kv/data/certs/{name}"), &json!({ "data": secret }));
}

fn text<'s>(secret: &'s Value, field: &str) -> &'s str {
    secret[field].as_str().unwrap()
}

#[test]
fn a_certificate_is_exported_in_each_format() {
    for version in [1, 2] {
        let nightly = scene(version);
        let lab = &nightly.lab;
        let vault = match version {
            1 => Vault(lab).v1("certs/www"),
            _ => secret(&nightly, "www"),
        };
        let (chain, key) = (text(&vault, "tls.cert"), text(&vault, "tls.key"));
        let folder = lab.folder().join("exported");
        let to = |format: &str| {
            let words = ["www", "--format", format, "--to", folder.to_str().unwrap()];
            let command = export(&nightly, &words, version);
            let command = command.env("GIT_CERTS_EXPORT_PASSWORD", "changeit-please");
            command.run().expect_code(0)
        };
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let output = to("pem");
        let files = ["www.crt", "www.key", "www.cert.pem", "www.chain.pem"];
        for file in files {
            let line = format!("written    {}\n", folder.join(file).display());
            assert!(output.stdout.contains(&line), "{}", output.stdout);
        }
        assert_eq!(read("www.key"), key);
        assert_eq!(
            read("www.crt").lines().collect::<Vec<_>>(),
            chain.lines().collect::<Vec<_>>()
        );
        to("haproxy");
        assert!(read("www.pem").ends_with(key));
        to("kubernetes");
        assert!(read("www.yaml").contains("type: kubernetes.io/tls"));
        to("nginx");
        assert!(read("www.conf").contains("ssl_certificate_key"));
        to("apache");
        assert!(read("www.conf").contains("SSLCertificateKeyFile"));
        for format in ["pkcs12", "pkcs12-legacy"] {
            to(format);
            let show = lab.command("openssl").args([
                "pkcs12",
                "-legacy",
                "-nodes",
                "-nocerts",
                "-passin",
                "pass:changeit-please",
                "-in",
            ]);
            let shown = show.arg(folder.join("www.p12")).succeed().stdout;
            let lines = key.lines().filter(|line| !line.starts_with("-----"));
            for line in lines {
                assert!(shown.contains(line), "{format}");
            }
        }
        // What has not changed is left alone.
        let again = to("pem");
        assert!(!again.stdout.contains("written"), "{}", again.stdout);
    }
}

#[test]
fn a_command_gets_the_files_and_they_are_gone_after_it() {
    let nightly = scene(2);
    let lab = &nightly.lab;
    let script = "cd \"$GIT_CERTS_EXPORT_DIR\" && openssl pkey -noout -in www.key && ls";
    let words = ["www", "--", "sh", "-c", script];
    let output = export(&nightly, &words, 2).run().expect_code(0);
    assert_eq!(
        output.stdout,
        "www.cert.pem\nwww.chain.pem\nwww.crt\nwww.key\n"
    );
    assert_eq!(lab.left_over().len(), 0);
    let words = ["www", "--", "sh", "-c", "exit 7"];
    export(&nightly, &words, 2).run().expect_code(7);
    assert_eq!(lab.left_over().len(), 0);
    // No identity is there, and none is needed.
    let words = ["www", "--stdout"];
    let key = secret(&nightly, "www");
    let shown = export(&nightly, &words, 2)
        .shows_on_purpose(text(&key, "tls.key"))
        .run()
        .expect_code(0);
    assert!(shown.stdout.contains(text(&key, "tls.key")));
}

#[test]
fn what_get_certs_wrote_is_exported_as_servers_take_it() {
    let nightly = scene(2);
    let lab = &nightly.lab;
    let mut www = secret(&nightly, "www");
    let key = text(&www, "tls.key").to_owned();
    let traditional = lab.command("openssl").args(["rsa", "-traditional"]);
    let traditional = traditional.stdin(key.clone()).succeed().stdout;
    assert!(traditional.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    www["tls.key"] = json!(traditional);
    put(&nightly, "www", &www);
    let folder = lab.folder().join("exported");
    let words = ["www", "--to", folder.to_str().unwrap()];
    export(&nightly, &words, 2).run().expect_code(0);
    let written = fs::read_to_string(folder.join("www.key")).unwrap();
    assert_eq!(written, key);
}

#[test]
fn all_are_those_that_can_be_used() {
    let nightly = scene(2);
    let lab = &nightly.lab;
    let www = secret(&nightly, "www");
    let mut keyless = www.clone();
    keyless.as_object_mut().unwrap().remove("tls.key");
    put(&nightly, "elsewhere", &keyless);
    put(&nightly, "old", &www);
    // What others keep there may be called like a certificate.
    put(&nightly, "grafana", &json!({"password": "of others"}));
    let words = ["revoke", "api", "--reason", "superseded", "--yes"];
    store(&nightly, &words, 2).run().expect_code(0);
    let folder = lab.folder().join("exported");
    let to = folder.to_str().unwrap();
    let words = ["--all", "--format", "haproxy", "--to", to];
    let output = export(&nightly, &words, 2).run().expect_code(0);
    let shown = |name: &str| format!("written    {to}/{name}.pem\n");
    assert_eq!(output.stdout, shown("old") + &shown("www"));
    let said = output.normal_stderr();
    let warnings: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(
        warnings,
        [
            "warning: `api` is left out: it was revoked on [DATE]: superseded",
            "warning: `elsewhere` is left out: its key is not in Vault",
        ]
    );
    let foreign = export(&nightly, &["grafana", "--to", to], 2);
    assert_eq!(
        refused(&foreign),
        "error: `kv/certs/grafana` in Vault has no `tls.cert`\n"
    );
    // Who may not list names them.
    let may_list = "path \"kv/metadata/certs/\" {\n  capabilities = [\"list\"]\n}\n";
    let policy = policy(2);
    assert!(policy.contains(may_list), "{policy}");
    let command = export(&nightly, &words, 2);
    let token = Vault(lab).token(&policy.replace(may_list, ""), "2h");
    let command = command.env("VAULT_TOKEN", token);
    assert_eq!(
        refused(&command),
        "error: the Vault token may not list `kv/certs`\n\
         hint: its policy needs `path \"kv/metadata/certs/\" { capabilities = [\"list\"] }`; or name the certificates \
         instead of `--all`\n"
    );
    let nowhere = export(&nightly, &words, 2).env("GIT_CERTS_VAULT_PATH", "kv/nothing");
    let nowhere = nowhere.env("VAULT_TOKEN", Vault(lab).root());
    assert_eq!(
        refused(&nowhere),
        "error: `kv/nothing` in Vault has no certificate\n"
    );
}

#[test]
fn what_cannot_be_exported_is_said() {
    let nightly = scene(2);
    let folder = nightly.lab.folder().join("exported");
    let to = folder.to_str().unwrap();
    let refuse = |words: &[&str]| {
        let words = [words, &["--to", to]].concat();
        refused(&export(&nightly, &words, 2))
    };
    assert_eq!(
        refuse(&["shop"]),
        "error: there is no certificate `shop`: `kv/certs/shop in Vault` is not there\n\
         hint: it takes a `cert_name` of certs.json whose certificate was issued\n"
    );
    assert_eq!(
        refuse(&["www", "--only-changed-since", "HEAD~1"]),
        "error: `--only-changed-since` compares with a commit, and the certificates are in Vault\n\
         hint: leave it out: `--to` leaves files that have not changed alone, and the command after `--` runs after a change only\n"
    );
    let (www, api) = (secret(&nightly, "www"), secret(&nightly, "api"));
    let mut changed = www.clone();
    changed["tls.key"] = api["tls.key"].clone();
    put(&nightly, "www", &changed);
    let swapped = "error: cannot export `www`\n  \
                   caused by: the key in `tls.key of kv/certs/www in Vault` is not the certificate's\n\
                   hint: somebody put another key there: bring an older version of the secret back, or issue the certificate again\n";
    assert_eq!(refuse(&["www"]), swapped);
    // All or nothing.
    assert_eq!(refuse(&["www", "api"]), swapped);
    assert!(!Path::new(to).exists());
    changed["tls.key"] = json!("hello");
    put(&nightly, "www", &changed);
    assert_eq!(
        refuse(&["www"]),
        "error: cannot export `www`\n  \
         caused by: cannot use what is in `tls.key of kv/certs/www in Vault`\n  \
         caused by: not a private key in PEM form\n"
    );
    changed.as_object_mut().unwrap().remove("tls.key");
    put(&nightly, "www", &changed);
    assert_eq!(
        refuse(&["www"]),
        "error: cannot export `www`\n  \
         caused by: certificate `www` has no key: `tls.key of kv/certs/www in Vault` is not there\n\
         hint: whoever made its `csr` has the key\n"
    );
    changed["tls.cert"] = json!("hello");
    put(&nightly, "www", &changed);
    assert!(
        refuse(&["www"])
            .starts_with("error: `tls.cert` of `kv/certs/www` in Vault cannot be read\n"),
    );
    changed.as_object_mut().unwrap().remove("tls.cert");
    put(&nightly, "www", &changed);
    assert_eq!(
        refuse(&["www"]),
        "error: `kv/certs/www` in Vault has no `tls.cert`\n"
    );
    // A copy is no reason to look there: git has everything.
    let words = ["export", "www", "--to", to, "--vault=false"];
    let copied = with_token(&nightly, &words, 2).env("GIT_CERTS_VAULT_COPY", "true");
    assert_eq!(
        refused(&copied),
        "error: there is no certificate `www`: `certificates/www/www.crt` is not there\n\
         hint: it takes a `cert_name` of certs.json whose certificate was issued\n"
    );
}
