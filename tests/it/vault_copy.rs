//! Certificates in git and in Vault: what is issued is copied, and what Vault lacks.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::cert_repo::sha256;
use crate::support::command::{Command, Output};
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, orders};
use crate::support::openbao::Vault;
use crate::vault::{assert_bundle, nightly, with_token};

fn copy(nightly: &Nightly, args: &[&str], version: usize) -> Command {
    with_token(nightly, args, version).env("GIT_CERTS_VAULT_COPY", "true")
}

/// What it said, from this word on.
fn said_from(output: &Output, start: &str) -> String {
    let said = output.normal_stderr();
    let at = said
        .find(start)
        .unwrap_or_else(|| panic!("no `{start}` in\n{said}"));
    said[at..].to_owned()
}

#[track_caller]
fn assert_copied(nightly: &Nightly, version: usize) {
    let Nightly { lab, certs, .. } = nightly;
    let secret = match version {
        1 => Vault(lab).v1("certs/www"),
        _ => Vault(lab).v2("certs/www").0,
    };
    assert_bundle(lab, &secret);
    assert_eq!(secret["tls.cert"], nightly.chain("www"));
    let description = certs.show(lab, "certificates/www/www.json");
    assert_eq!(secret["meta"], description);
}

#[test]
fn what_is_issued_is_in_git_and_in_vault() {
    for version in [1, 2] {
        let nightly = nightly();
        let output = copy(&nightly, &["renew"], version).run().expect_code(0);
        assert!(
            output
                .normal_stdout()
                .ends_with("1 issued, 0 failed, 0 up to date\npushed 1 commit to `main`\n")
        );
        let path = ["secret/certs", "kv/certs"][version - 1];
        assert!(
            output
                .stderr
                .contains(&format!("copied 1 certificate to `{path}` in Vault\n")),
            "{}",
            output.stderr
        );
        nightly.assert_valid("www");
        assert_copied(&nightly, version);
        // The account is in git alone.
        let account = "certs/.letsencrypt/acme.test";
        assert!(Vault(&nightly.lab).v1(account).is_null());

        // Nothing to do takes no identity, and writes nothing.
        let again = copy(&nightly, &["renew"], version).env("GIT_CERTS_AGE_KEY_FILE", "");
        let again = again.run().expect_code(0);
        assert_eq!(
            again.normal_stdout(),
            "nothing is due: 1 up to date, the first to expire is `www` on [DATE]\n"
        );
        assert!(!again.stderr.contains("Vault"), "{}", again.stderr);
        if version == 2 {
            assert_eq!(Vault(&nightly.lab).v2("certs/www").1, 1);
        }
        let renewed = copy(&nightly, &["renew", "--renew", "9999"], version);
        renewed.run().expect_code(0);
        assert_copied(&nightly, version);
    }
}

#[test]
fn what_vault_lacks_is_copied_later_with_an_identity_that_opens_the_key() {
    let nightly = nightly();
    let lab = &nightly.lab;
    nightly.renew().expect_code(0);
    // Without one, git has it and that is said.
    let without = copy(&nightly, &["renew"], 2).env("GIT_CERTS_AGE_KEY_FILE", "");
    let without = without.run().expect_code(2);
    assert_eq!(
        said_from(&without, "error: "),
        "error: certificate `www` is in git, but not copied to Vault\n  \
         caused by: there is no age identity to open `certificates/www/www.key.age` with\n\
         hint: a run copies the keys that it makes, and older ones with an identity that opens them: `git-certs renew` with `--identity FILE` does so once\n\
         hint: set `GIT_CERTS_AGE_KEY` to the text of one, or name its file with `--identity`\n"
    );
    assert_eq!(
        without.normal_stdout(),
        "nothing is due: 1 up to date, the first to expire is `www` on [DATE]\n"
    );
    let with = copy(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(
        said_from(&with, "copied"),
        "copied 1 certificate to `kv/certs` in Vault\n"
    );
    assert_copied(&nightly, 2);
    assert_eq!(orders(lab), 1);

    // Removed as `vault kv delete` does: there are versions before the next one.
    Vault(lab).ask("DELETE", "kv/data/certs/www", None);
    copy(&nightly, &["renew"], 2).run().expect_code(0);
    assert_copied(&nightly, 2);
    assert_eq!(Vault(lab).v2("certs/www").1, 2);

    // Vault has an older one: git has renewed without it.
    nightly
        .command(&["renew", "--renew", "9999"])
        .run()
        .expect_code(0);
    copy(&nightly, &["renew"], 2).run().expect_code(0);
    assert_copied(&nightly, 2);

    // A key that is another's is not copied, whatever NAME.json says of it.
    let identity = lab.age_identity("another");
    let forged = lab
        .command("age")
        .args(["--encrypt", "--armor", "--recipient"]);
    let forged = forged.arg(&nightly.identity.recipient);
    let key = lab
        .command("openssl")
        .args(["genpkey", "-algorithm", "RSA"])
        .succeed();
    let forged = forged.stdin(key.stdout).succeed().stdout;
    drop(identity);
    let files = crate::support::repos::Files::default();
    let described = "certificates/www/www.json";
    let mut description: Value = serde_json::from_str(&nightly.certs.show(lab, described)).unwrap();
    description["key_age_sha256"] = sha256(forged.as_bytes()).into();
    let files = files
        .with("certificates/www/www.key.age", &forged)
        .with(described, &description.to_string());
    files.commit(lab, &nightly.certs, "another key");
    Vault(lab).ask("DELETE", "kv/metadata/certs/www", None);
    let refused = copy(&nightly, &["renew"], 2).run().expect_code(2);
    assert_eq!(
        said_from(&refused, "error: "),
        "error: certificate `www` is in git, but not copied to Vault\n  \
         caused by: the key in `certificates/www/www.key.age` is not the certificate's\n"
    );
    assert!(Vault(lab).v2("certs/www").0.is_null());
}

#[test]
fn a_vault_that_is_gone_takes_nothing_from_git() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate
        .at("before commit", copy(&nightly, &["renew"], 2))
        .spawn();
    gate.wait();
    lab.stop(Server::Vault);
    gate.open();
    let output = run.wait().expect_code(1);
    assert_eq!(
        said_from(&output, "error: "),
        "error: nothing is copied to Vault: what is in git stays there, and the next run copies it\n  \
         caused by: cannot log in to Vault with the token\n  \
         caused by: cannot reach Vault at `https://vault.test:8200`\n  \
         caused by: error sending request\n  \
         caused by: tcp connect error\n  \
         caused by: Connection refused\n\
         hint: `VAULT_ADDR` says where Vault is; check the way there (`HTTPS_PROXY`, `NO_PROXY`), and run again\n"
    );
    nightly.assert_valid("www");
    lab.start(Server::Vault);
    let next = copy(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(
        said_from(&next, "copied"),
        "copied 1 certificate to `kv/certs` in Vault\n"
    );
    assert_copied(&nightly, 2);
    assert_eq!(orders(lab), 1);
}

#[test]
fn what_another_run_wrote_later_stays() {
    let nightly = nightly();
    let lab = &nightly.lab;
    copy(&nightly, &["renew"], 2).run().expect_code(0);
    let older = nightly.chain("www");
    // Another repository with the same name in Vault has a newer certificate.
    let (secret, _) = Vault(lab).v2("certs/www");
    std::thread::sleep(std::time::Duration::from_secs(1));
    nightly
        .command(&["renew", "--renew", "9999"])
        .run()
        .expect_code(0);
    let newer = nightly.chain("www");
    assert_ne!(older, newer);
    let mut newer_there = secret;
    newer_there["tls.cert"] = json!(newer);
    Vault(lab).put("kv/data/certs/www", &json!({ "data": newer_there }));
    lab.git(
        &nightly.certs.folder,
        &["update-ref", "refs/heads/main", "main~1"],
    );
    copy(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(Vault(lab).v2("certs/www").0["tls.cert"], newer);
}

#[test]
fn both_ways_at_once_are_refused() {
    let nightly = Nightly::new(Lab::builder().pebble().start(), &[]);
    let both = nightly.command(&["renew", "--vault", "--vault-copy"]);
    assert_eq!(
        said_from(&both.run().expect_code(2), "error: "),
        "error: both `--vault` and `--vault-copy` are set\n\
         hint: `--vault` keeps certificates in Vault instead of git, `--vault-copy` in both: leave one out\n"
    );
}
