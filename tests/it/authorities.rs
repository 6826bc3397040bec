//! A CA of its own for a certificate, CAs that stand in, keys that are kept, and requests of others.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::pebble;
use crate::support::repos::Files;

/// Nobody answers there.
const NOWHERE: &str = "https://127.0.0.1:1/dir";

fn nightly(certificates: &serde_json::Value) -> Nightly {
    let lab = Lab::builder().bind().pebble().start();
    Nightly::with(lab, &[], |files, _| {
        files.with("certs.json", &certificates.to_string())
    })
}

#[test]
fn another_ca_stands_in_where_one_does_not_answer() {
    let nightly = nightly(&json!([
        {"cert_name": "own", "names": ["own.bench.test"], "acme": pebble::DIRECTORY},
        {"cert_name": "other", "names": ["other.bench.test"]},
    ]));
    let run = |words: &[&str]| {
        nightly
            .command(&[&["renew"], words].concat())
            .env("GIT_CERTS_ACME", NOWHERE)
            .run()
    };
    let alone = run(&[]).expect_code(1);
    assert!(
        alone.stdout.contains("issued   own    own.bench.test"),
        "{}",
        alone.stdout
    );
    let (_, error) = alone.stderr.split_once("error: ").unwrap();
    assert_eq!(
        error,
        "cannot issue `other`\n  \
         caused by: cannot register an account at `https://127.0.0.1:1/dir`\n  \
         caused by: error sending request\n  \
         caused by: tcp connect error\n  \
         caused by: Connection refused\n\
         hint: check that this machine reaches the CA: its name, a firewall, a proxy (`HTTPS_PROXY`)\n"
    );
    let together = run(&["--fallback-acme", pebble::DIRECTORY]).expect_code(0);
    assert!(
        together.stdout.contains("1 issued, 0 failed, 1 up to date"),
        "{}",
        together.stdout
    );
    let said = "`other` failed at `127.0.0.1:1`, ordering at `acme.test`: cannot register an account at \
                `https://127.0.0.1:1/dir`: error sending request: client error (Connect): tcp connect error: Connection refused\n";
    assert!(together.stderr.contains(said), "{}", together.stderr);
    let described = nightly
        .certs
        .show(&nightly.lab, "certificates/other/other.json");
    assert!(
        described.contains(&format!("\"directory\": \"{}\"", pebble::DIRECTORY)),
        "{described}"
    );
}

#[test]
fn what_is_no_fault_of_the_ca_is_not_ordered_elsewhere() {
    let nightly = nightly(&json!([
        {"cert_name": "own", "names": ["own.bench.test"], "required_profile": "none"},
    ]));
    let output = nightly.command(&["renew", "--fallback-acme", NOWHERE]);
    let output = output.run().expect_code(1);
    let said = output.normal_stderr();
    let said = said.lines().filter(|line| !line.ends_with(" ([TIME])"));
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            "to issue: `own`, not in the repository",
            "registered the ACME account `https://acme.test/my-account/[ID]`",
            "error: cannot issue `own`",
            "  caused by: the CA does not have the profile `none`",
            "hint: it has `default`",
        ]
    );
}

#[test]
fn a_ca_that_is_none_is_refused() {
    let nightly = nightly(&json!([
        {"cert_name": "own", "names": ["own.bench.test"], "acme": "nobody"},
    ]));
    let output = nightly.renew().expect_code(2);
    assert!(
        output.stderr.ends_with(
            "error: cannot use `acme` of certificate `own`\n  \
             caused by: `nobody` is neither the name of a CA nor the URL of an ACME directory\n\
             hint: it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory\n"
        ),
        "{}",
        output.stderr
    );
}

fn public_key(nightly: &Nightly, name: &str) -> String {
    nightly
        .lab
        .command("openssl")
        .args(["x509", "-noout", "-pubkey"])
        .stdin(nightly.chain(name))
        .succeed()
        .stdout
}

#[test]
fn a_key_is_kept_where_that_is_asked_for() {
    let nightly = nightly(&json!([
        {"cert_name": "kept", "names": ["kept.bench.test"], "reuse_key": true, "key_type": "p256"},
        {"cert_name": "new", "names": ["new.bench.test"], "key_type": "p256"},
    ]));
    nightly.renew().expect_code(0);
    let before = ["kept", "new"].map(|name| public_key(&nightly, name));
    let again = nightly.command(&["renew", "--renew", "1000"]);
    again.run().expect_code(0);
    let after = ["kept", "new"].map(|name| public_key(&nightly, name));
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    nightly.assert_valid("kept");
    // Another type needs another key.
    Files::default()
        .with(
            "certs.json",
            r#"[{"cert_name": "kept", "names": ["kept.bench.test"], "reuse_key": true, "key_type": "p384"}]"#,
        )
        .commit(&nightly.lab, &nightly.certs, "another type");
    again.run().expect_code(0);
    assert_ne!(public_key(&nightly, "kept"), before[0]);
    nightly.assert_valid("kept");
    // Somebody who cannot open the key cannot keep it.
    let other = nightly.lab.age_identity("other");
    let refused = again
        .env("GIT_CERTS_AGE_KEY_FILE", &other.file)
        .run()
        .expect_code(2);
    assert!(
        refused.stderr.contains(
            "hint: a certificate with `reuse_key` needs an identity that opens its key; leave it out for a new key each time\n"
        ),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_request_of_somebody_else_is_signed_without_its_key() {
    let nightly = nightly(&json!([
        {"cert_name": "theirs", "csr": "requests/theirs.csr"},
    ]));
    let Nightly { lab, certs, .. } = &nightly;
    let key = lab.folder().join("theirs.key");
    let request = lab
        .command("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/"])
        .args([
            "-addext",
            "subjectAltName=DNS:theirs.bench.test,DNS:*.theirs.bench.test",
        ])
        .arg("-keyout")
        .arg(&key)
        .succeed()
        .stdout;
    Files::default()
        .with("requests/theirs.csr", &request)
        .commit(lab, certs, "their request");
    nightly.renew().expect_code(0);
    let files = certs.files(lab);
    assert!(
        files.contains(&"certificates/theirs/theirs.crt".to_owned())
            && !files.iter().any(|file| file.ends_with("theirs.key.age")),
        "{files:?}"
    );
    let theirs = lab
        .command("openssl")
        .args(["pkey", "-pubout", "-in"])
        .arg(&key)
        .succeed()
        .stdout;
    assert_eq!(public_key(&nightly, "theirs"), theirs);
    let output = nightly.command(&["plan"]).run().expect_code(0);
    assert!(
        output.stdout.contains("0 due, 1 up to date"),
        "{}",
        output.stdout
    );
    // Nobody makes a certificate for a key that is in other hands.
    let revoke = [
        "revoke",
        "theirs",
        "--reason",
        "keyCompromise",
        "--renew-now",
        "--yes",
    ];
    let output = nightly.command(&revoke).run().expect_code(2);
    assert_eq!(
        output.normal_stderr().split_once("error: ").unwrap().1,
        "cannot issue `theirs`\n  \
         caused by: its `csr` is of the key that was compromised\n\
         hint: whoever keeps the key makes a new one, and a new request for it\n"
    );
    let renewed = lab
        .command("openssl")
        .args(["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/"])
        .args([
            "-addext",
            "subjectAltName=DNS:theirs.bench.test,DNS:*.theirs.bench.test",
        ])
        .arg("-keyout")
        .arg(&key);
    Files::default()
        .with("requests/theirs.csr", &renewed.succeed().stdout)
        .commit(lab, certs, "their next request");
    nightly.renew().expect_code(0);
    assert_ne!(public_key(&nightly, "theirs"), theirs);
}
