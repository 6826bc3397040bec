//! What `doctor` finds of Vault: faults that were planted, each with the line to put.

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::doctor::with_a_clock_off;
use crate::support::command::{Command, Output};
use crate::support::lab::Server;
use crate::support::nightly::Nightly;
use crate::support::openbao::{URL, Vault};
use crate::vault::{nightly, path, policy, store};

const WELL: &str = "1 certificate, 1 zone: 0 errors, 0 warnings, 0 notes\n";

/// A look with this token, which lasts for longer than anybody should be told of.
fn doctor(nightly: &Nightly, token: &str) -> Command {
    let command = nightly.command(&["doctor"]);
    command
        .env("GIT_CERTS_VAULT", "true")
        .env("GIT_CERTS_VAULT_PATH", path(2))
        .env("VAULT_ADDR", URL)
        .env("VAULT_CACERT", nightly.lab.ca())
        .env("VAULT_TOKEN", token)
        .env("GIT_CERTS_AGE_KEY_FILE", "")
}

fn token(nightly: &Nightly, policy: &str) -> String {
    Vault(&nightly.lab).token(policy, "700h")
}

#[track_caller]
fn found(command: &Command, code: i32) -> String {
    without_counts(&command.run().expect_code(code))
}

fn without_counts(output: &Output) -> String {
    let text = output.normal_stdout();
    let (findings, counts) = text.rsplit_once("\n\n").unwrap();
    assert!(counts.starts_with("1 certificate, "), "{counts}");
    findings.to_owned()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let nightly = nightly();
    let policy = policy(2);
    let look = || {
        let command = doctor(&nightly, &token(&nightly, &policy));
        command.run().expect_code(0).stdout
    };
    // Before there is an account, and after; no recipients and no identity are missed.
    assert_eq!(look(), WELL);
    store(&nightly, &["renew"], 2).run().expect_code(0);
    assert_eq!(look(), WELL);
    // Who logs in for each run has a new token each time.
    let vault = Vault(&nightly.lab);
    vault.put("sys/policies/acl/certs", &json!({ "policy": policy }));
    vault.put("sys/auth/approle", &json!({"type": "approle"}));
    let role = json!({"token_policies": ["certs"], "token_ttl": "1h"});
    vault.put("auth/approle/role/certs", &role);
    let id = vault.ask("GET", "auth/approle/role/certs/role-id", None);
    let secret = vault.put("auth/approle/role/certs/secret-id", &json!({}));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let by_role = doctor(&nightly, "")
        .env("VAULT_ROLE_ID", text(&id["data"]["role_id"]))
        .env("VAULT_SECRET_ID", text(&secret["data"]["secret_id"]));
    assert_eq!(by_role.run().expect_code(0).stdout, WELL);
}

#[test]
fn what_the_policy_lacks_is_told_with_its_lines() {
    let nightly = nightly();
    let data = "`path \"kv/data/certs/*\" { capabilities = [\"create\", \"read\", \"update\"] }`";
    let look = |policy: &str, code| found(&doctor(&nightly, &token(&nightly, policy)), code);
    let ends = "\
warning  the Vault token lacks `delete` at `kv/certs/.git-certs/orders/www`: notes of orders stay, with their keys, after they have come to their end
         hint: its policy needs `path \"kv/metadata/certs/.git-certs/*\" { capabilities = [\"delete\"] }`
warning  the Vault token lacks `list` at `kv/certs`: `status` does not tell of certificates that certs.json does not list, and `export --all` fails
         hint: its policy needs `path \"kv/metadata/certs/\" { capabilities = [\"list\"] }`";
    let reads = "path \"kv/data/certs/*\" { capabilities = [\"read\"] }";
    assert_eq!(
        look(reads, 1),
        format!(
            "\
error    the Vault token lacks `create`, `update` at `kv/certs/www`: certificates cannot be read and stored
         hint: its policy needs {data}
error    the Vault token lacks `create`, `update` at `kv/certs/.letsencrypt/acme.test`: the ACME account cannot be read and stored
         hint: its policy needs {data}
error    the Vault token lacks `create`, `update` at `kv/certs/.git-certs/orders/www`: nothing can be ordered
         hint: its policy needs {data}
{ends}"
        )
    );
    // The line that is told is the one that helps.
    let writes = "path \"kv/data/certs/*\" { capabilities = [\"create\", \"read\", \"update\"] }";
    assert_eq!(look(writes, 0), ends);
    let forgets = format!(
        "{writes}\npath \"kv/metadata/certs/.git-certs/*\" {{ capabilities = [\"delete\"] }}"
    );
    let list = ends.split_once("\nwarning").unwrap().1;
    assert_eq!(look(&forgets, 0), format!("warning{list}"));
    let all = format!("{forgets}\npath \"kv/metadata/certs/\" {{ capabilities = [\"list\"] }}");
    let well = doctor(&nightly, &token(&nightly, &all));
    assert_eq!(well.run().expect_code(0).stdout, WELL);
    // What it may not read is told once.
    let writes_alone = "path \"kv/data/certs/*\" { capabilities = [\"create\", \"update\"] }";
    let errors = look(writes_alone, 1);
    let errors: Vec<_> = errors
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(
        errors,
        [
            "error    the Vault token lacks `read` at `kv/certs/www`: certificates cannot be read and stored",
            "error    the Vault token lacks `read` at `kv/certs/.letsencrypt/acme.test`: the ACME account cannot be read and stored",
            "error    the Vault token lacks `read` at `kv/certs/.git-certs/orders/www`: nothing can be ordered",
        ]
    );
    // Without the policy `default`.
    let vault = Vault(&nightly.lab);
    let bare = json!({"ttl": "700h", "no_default_policy": true});
    let bare = doctor(&nightly, &vault.token_with(&policy(2), bare));
    assert_eq!(
        found(&bare, 0),
        "note     the Vault token may not ask what it may do, so that is not known\n         \
         hint: its policy needs `path \"sys/capabilities-self\" { capabilities = [\"update\"] }`, which the policy `default` has"
    );
    // For copies it takes less.
    let command = doctor(&nightly, &token(&nightly, reads));
    let copy = command
        .env("GIT_CERTS_VAULT", "")
        .env("GIT_CERTS_VAULT_COPY", "true");
    let said = found(&copy, 1);
    let lines: Vec<_> = said.lines().filter(|line| line.contains("Vault")).collect();
    assert_eq!(
        lines,
        [
            "error    the Vault token lacks `create`, `update` at `kv/certs/www`: certificates cannot be read and stored"
        ]
    );
}

#[test]
fn a_key_that_is_not_the_certificates_is_told() {
    let nightly = nightly();
    let vault = Vault(&nightly.lab);
    let renew = store(&nightly, &["renew"], 2);
    renew.run().expect_code(0);
    let (old, _) = vault.v2("certs/www");
    let renew = store(&nightly, &["renew", "--renew", "9999"], 2);
    renew.run().expect_code(0);
    let (mut www, _) = vault.v2("certs/www");
    www["tls.key"] = old["tls.key"].clone();
    vault.put("kv/data/certs/www", &json!({ "data": www }));
    let token = token(&nightly, &policy(2));
    assert_eq!(
        found(&doctor(&nightly, &token), 1),
        "error    the key in `tls.key of kv/certs/www in Vault` is not the certificate's\n         \
         hint: somebody put another key there: bring an older version of the secret back, or issue the certificate again"
    );
    www["tls.key"] = json!("hello");
    vault.put("kv/data/certs/www", &json!({ "data": www }));
    assert_eq!(
        found(&doctor(&nightly, &token), 1),
        "error    cannot use what is in `tls.key of kv/certs/www in Vault`\n         \
         caused by: not a private key in PEM form"
    );
}

#[test]
fn an_engine_of_version_1_has_lines_of_its_own() {
    let nightly = nightly();
    let look = |policy: &str, code| {
        let command = doctor(&nightly, &token(&nightly, policy));
        found(&command.env("GIT_CERTS_VAULT_PATH", path(1)), code)
    };
    let note = "\
note     `secret` of Vault is an engine of version 1: it keeps no older version, and no run sees that another one wrote first
         hint: `vault kv enable-versioning secret` makes it one of version 2; its policies name `secret/data/...` then";
    assert_eq!(look(&policy(1), 0), note);
    let reads = "path \"secret/certs/*\" { capabilities = [\"read\"] }";
    let orders = "path \"secret/certs/.git-certs/*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\"] }";
    let said = look(reads, 1);
    let hints: Vec<_> = said
        .lines()
        .filter(|line| line.contains("its policy needs"))
        .collect();
    let data = "         hint: its policy needs `path \"secret/certs/*\" { capabilities = [\"create\", \"read\", \"update\"] }`";
    let orders = format!("         hint: its policy needs `{orders}`");
    let list =
        "         hint: its policy needs `path \"secret/certs/\" { capabilities = [\"list\"] }`";
    assert_eq!(hints, [data, data, &orders, &orders, list]);
}

#[test]
fn a_token_that_ends_is_told() {
    let nightly = nightly();
    let vault = Vault(&nightly.lab);
    let look = |wanted, code| {
        let token = vault.token_with(&policy(2), wanted);
        without_counts(&doctor(&nightly, &token).run().expect_code(code))
    };
    assert_eq!(
        look(json!({"ttl": "26h"}), 0)
            .replace("1day 1h 59m", "[LEFT]")
            .replace("1day 2h", "[LEFT]"),
        "warning  the Vault token ends in [LEFT]: a later run cannot log in with it\n         \
         hint: renew it (`vault token renew`), or let each run log in: AppRole, or the ID token of the CI job"
    );
    assert_eq!(
        look(json!({"ttl": "5m", "explicit_max_ttl": "5m"}), 1),
        "error    the Vault token is over in [TIME], and a run may take [TIME]\n         \
         hint: give the role or the token a longer time (`token_ttl`), or the run a shorter one (`--dns-timeout`, `--acme-timeout`)"
    );
}

#[test]
fn a_server_that_cannot_be_used_is_told_among_the_others() {
    let nightly = nightly();
    let lab = &nightly.lab;
    store(&nightly, &["renew"], 2).run().expect_code(0);
    let look = |token: &str| found(&doctor(&nightly, token), 1);
    let line = "a policy for it is `path \"kv/data/certs/*\" { capabilities = [\"create\", \"read\", \"update\"] }`; \
                in an engine of version 1 `path \"kv/certs/*\" { capabilities = [\"create\", \"read\", \"update\"] }`";
    assert_eq!(
        look("s.0000000000000000000000"),
        format!(
            "error    cannot find out which engine `kv/certs` of Vault belongs to\n         \
         caused by: `https://vault.test:8200` answered 403 Forbidden: permission denied\n         \
         hint: {line}\n         \
         hint: the token may be wrong or over, or its policy may not allow it: docs/vault.md has the policy that a run needs"
        )
    );
    let stranger = look(&token(
        &nightly,
        "path \"secret/x\" { capabilities = [\"read\"] }",
    ));
    assert!(
        stranger.contains("answered 403 Forbidden: preflight capability check returned 403")
            && stranger.contains(&format!("hint: {line}\n")),
        "{stranger}"
    );
    let good = token(&nightly, &policy(2));
    let elsewhere = doctor(&nightly, &Vault(lab).root()).env("GIT_CERTS_VAULT_PATH", "sys/certs");
    assert_eq!(
        found(&elsewhere, 1),
        "error    `sys/certs` of Vault belongs to an engine of kind `system`\n         \
         hint: `--vault-path` takes a path in a key-value engine (`kv`)"
    );
    let strange = doctor(&nightly, &good)
        .env("VAULT_CACERT", "")
        .env("GIT_CERTS_CA_BUNDLE", "");
    assert_eq!(
        found(&strange, 1),
        "error    cannot reach Vault at `https://vault.test:8200`\n         \
         caused by: error sending request\n         \
         caused by: invalid peer certificate: UnknownIssuer\n         \
         hint: for a private CA, name the file with its root: `VAULT_CACERT` or `--ca-bundle`"
    );
    let clock = with_a_clock_off(lab, doctor(&nightly, &good));
    let said = found(&clock, 0);
    assert!(
        said.contains("ahead of Vault's\n         hint: let both machines set their clocks by NTP: tokens and ID tokens are valid from and until a moment"),
        "{said}"
    );
    // Other faults are found all the same.
    Vault(lab).ask("PUT", "sys/seal", None);
    let sealed = doctor(&nightly, &good).args(["--skip", "nobody"]);
    assert_eq!(
        found(&sealed, 1),
        "error    Vault at `https://vault.test:8200` is sealed\n         \
         hint: unseal it (`vault operator unseal`), or let it unseal itself: no run can wait for people\n\
         error    `--skip nobody` is no DNS provider of the DNS repository\n         \
         hint: declared: `ddns`, `powerdns`, `zonefiles`"
    );
    lab.stop(Server::Vault);
    assert_eq!(
        found(&doctor(&nightly, &good), 1),
        "error    cannot reach Vault at `https://vault.test:8200`\n         \
         caused by: error sending request\n         \
         caused by: tcp connect error\n         \
         caused by: Connection refused\n         \
         hint: `VAULT_ADDR` says where Vault is; check the way there (`HTTPS_PROXY`, `NO_PROXY`), and run again"
    );
}
