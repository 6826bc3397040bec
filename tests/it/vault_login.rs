//! Who may use Vault: tokens, AppRole, ID tokens of CI jobs, namespaces; and who may not.

use std::fs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::command::{Command, Output};
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, orders, wait_until};
use crate::support::openbao::{URL, Vault};
use crate::vault::{assert_bundle, nightly, policy};

const AUDIENCE: &str = "https://vault.test";
const SUBJECT: &str = "repo:example/certs:ref:refs/heads/main";

/// `renew --vault` in the engine of version 2, with nothing to log in with.
fn renew(nightly: &Nightly) -> Command {
    nightly
        .command(&["renew", "--vault"])
        .env("VAULT_ADDR", URL)
        .env("VAULT_CACERT", nightly.lab.ca())
        .env("GIT_CERTS_VAULT_PATH", "kv/certs")
}

#[track_caller]
fn assert_issued(nightly: &Nightly, command: &Command) -> Output {
    let output = command.run().expect_code(0);
    assert_bundle(&nightly.lab, &Vault(&nightly.lab).v2("certs/www").0);
    output
}

/// The error, without what was said before it.
#[track_caller]
fn refused(command: &Command) -> String {
    let output = command.run().expect_code(2);
    let said = output.normal_stderr();
    assert_eq!(output.stdout, "");
    let at = said
        .find("error: ")
        .unwrap_or_else(|| panic!("no error in\n{said}"));
    said[at..].to_owned()
}

#[test]
fn a_role_logs_in_with_approle_in_a_namespace() {
    let nightly = nightly();
    let vault = Vault(&nightly.lab);
    vault.put("sys/namespaces/team", &json!({}));
    // Everything below is the namespace's own.
    vault.put(
        "team/sys/mounts/kv",
        &json!({"type": "kv", "options": {"version": "2"}}),
    );
    vault.put("team/sys/policies/acl/certs", &json!({"policy": policy(2)}));
    vault.put("team/sys/auth/robots", &json!({"type": "approle"}));
    let role = json!({"token_policies": ["certs"], "secret_id_num_uses": 1});
    vault.put("team/auth/robots/role/certs", &role);
    let id = vault.ask("GET", "team/auth/robots/role/certs/role-id", None);
    let id = id["data"]["role_id"].as_str().unwrap().to_owned();
    let secret = || {
        let made = vault.put("team/auth/robots/role/certs/secret-id", &json!({}));
        made["data"]["secret_id"].as_str().unwrap().to_owned()
    };
    let run = |secret: &str| {
        renew(&nightly)
            .env("VAULT_NAMESPACE", "team")
            .env("GIT_CERTS_VAULT_AUTH_MOUNT", "/robots/")
            .env("VAULT_ROLE_ID", &id)
            .env("VAULT_SECRET_ID", secret)
    };
    run(&secret()).run().expect_code(0);
    let kept = vault.ask("GET", "team/kv/data/certs/www", None);
    assert_bundle(&nightly.lab, &kept["data"]["data"]);
    assert!(vault.v2("certs/www").0.is_null());

    assert_eq!(
        refused(&run("6c3c1c8a-5f04-0000-0000-3c0a52b9a0d1")),
        "error: cannot log in to Vault with AppRole at `auth/robots`\n  \
         caused by: `https://vault.test:8200` answered 400 Bad Request: invalid role or secret ID\n\
         hint: check `VAULT_ROLE_ID` and `VAULT_SECRET_ID`, and `--vault-auth-mount` where the method is not at `approle`\n"
    );
    assert_eq!(
        refused(&run(&secret()).env("VAULT_NAMESPACE", "nobody")),
        "error: cannot log in to Vault with AppRole at `auth/robots`\n  \
         caused by: `https://vault.test:8200` answered 404 Not Found: namespace not found\n\
         hint: check `VAULT_ROLE_ID` and `VAULT_SECRET_ID`, and `--vault-auth-mount` where the method is not at `approle`\n"
    );
}

/// A key that signs ID tokens, which Vault trusts for the role `certs`.
fn trust(lab: &Lab) -> String {
    let make = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
    let key = lab.command("openssl").args(make).succeed().stdout;
    let public = lab.command("openssl").args(["pkey", "-pubout"]);
    let public = public.stdin(key.clone()).succeed().stdout;
    let vault = Vault(lab);
    vault.put("sys/auth/jwt", &json!({"type": "jwt"}));
    vault.put(
        "auth/jwt/config",
        &json!({"jwt_validation_pubkeys": [public]}),
    );
    vault.put("sys/policies/acl/certs", &json!({"policy": policy(2)}));
    let role = json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [AUDIENCE],
        "bound_subject": SUBJECT,
        "token_policies": ["certs"],
        "token_ttl": "1h",
    });
    vault.put("auth/jwt/role/certs", &role);
    key
}

fn signed(key: &str, audience: &str) -> String {
    let base64: String = key
        .lines()
        .filter(|line| !line.starts_with("---"))
        .collect();
    let der = BASE64_STANDARD.decode(base64).unwrap();
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({"alg": "ES256", "typ": "JWT"}));
    let claims = part(&json!({
        "sub": SUBJECT,
        "aud": audience,
        "iat": now,
        "nbf": now - 5,
        "exp": now + 300,
    }));
    let text = format!("{header}.{claims}");
    let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!(
        "{text}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())
    )
}

#[test]
fn a_job_of_gitlab_shows_its_id_token() {
    let nightly = nightly();
    let key = trust(&nightly.lab);
    let run = |token: &str| {
        renew(&nightly)
            .env("GIT_CERTS_VAULT_ROLE", "certs")
            .env("VAULT_ID_TOKEN", token)
    };
    assert_issued(&nightly, &run(&signed(&key, AUDIENCE)));
    assert_eq!(
        refused(&run(&signed(&key, "https://elsewhere.test"))),
        "error: cannot log in to Vault with JWT at `auth/jwt`\n  \
         caused by: `https://vault.test:8200` answered 400 Bad Request: error validating token: invalid audience (aud) claim: audience claim does not match any expected audience\n\
         hint: check `--vault-role`, what it binds (`bound_audiences`, `bound_claims`), and `--vault-auth-mount` where the method is not at `jwt`\n"
    );
    assert_eq!(
        refused(&run("").env("VAULT_ID_TOKEN", "")),
        "error: `--vault-role` needs the ID token of a CI job, and there is none\n\
         hint: on GitHub the job needs `permissions: id-token: write`; on GitLab, `id_tokens: VAULT_ID_TOKEN: aud: ...`; \
         elsewhere, set `VAULT_ID_TOKEN` to a JWT\n"
    );
}

#[test]
fn a_job_of_github_asks_for_its_id_token() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let key = trust(lab);
    let bearer = "job-request-token-of-the-test";
    let script = lab
        .namespace()
        .write("id_token.py", include_str!("support/id_token.py"));
    let server = lab.command("python3").arg(script);
    let server = server.args(["8300", bearer, AUDIENCE, &signed(&key, AUDIENCE)]);
    let _server = server.spawn();
    wait_until(lab, "the endpoint for ID tokens", || {
        let asked = lab
            .command("curl")
            .args(["--silent", "http://127.0.0.1:8300/"])
            .run();
        asked.status.success()
    });
    let run = |bearer: &str| {
        renew(&nightly)
            .args(["--vault-role", "certs", "--vault-audience", AUDIENCE])
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "http://127.0.0.1:8300/token?api-version=2.0",
            )
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer)
    };
    assert_issued(&nightly, &run(bearer));
    assert_eq!(
        refused(&run("another-request-token")),
        "error: GitHub gives the job no ID token\n  \
         caused by: it answered 401 Unauthorized\n\
         hint: the job needs `permissions: id-token: write`\n"
    );
}

#[test]
fn the_token_of_a_laptop_is_taken_and_that_is_said() {
    let nightly = nightly();
    // It lasts for less than a run may take, and is renewed.
    let token = Vault(&nightly.lab).token(&policy(2), "5m");
    let file = nightly.lab.folder().join("home/.vault-token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let output = assert_issued(&nightly, &renew(&nightly));
    let said = output.normal_stderr();
    assert!(
        said.contains("the Vault token is the one in `[LAB]/home/.vault-token`\n"),
        "{said}"
    );
    assert!(!said.contains(&token), "{said}");
}

#[test]
fn what_vault_refuses_is_told_and_nothing_is_ordered() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let vault = Vault(lab);
    let with = |token: &str| renew(&nightly).env("VAULT_TOKEN", token);
    let needed = "hint: the token may be wrong or over, or its policy may not allow it: docs/vault.md has the policy that a run needs\n";

    assert_eq!(
        refused(&with("s.0000000000000000000000")),
        format!(
            "error: cannot find out which engine `kv/certs` of Vault belongs to\n  \
             caused by: `https://vault.test:8200` answered 403 Forbidden: permission denied\n{needed}"
        )
    );
    // What it may read, it may not write.
    let reads = "path \"kv/data/certs/*\" { capabilities = [\"read\"] }";
    assert_eq!(
        refused(&with(&vault.token(reads, "2h"))),
        "error: the Vault token may not write `kv/certs/www`\n\
         hint: its policy needs `create` and `update` there: docs/vault.md has the policy that a run needs\n"
    );
    let elsewhere = "path \"kv/data/others/*\" { capabilities = [\"read\"] }";
    assert_eq!(
        refused(&with(&vault.token(elsewhere, "2h"))),
        format!(
            "error: cannot read `kv/certs/www` in Vault\n  \
             caused by: `https://vault.test:8200` answered 403 Forbidden: permission denied\n{needed}"
        )
    );
    let short = json!({"ttl": "5m", "explicit_max_ttl": "5m"});
    assert_eq!(
        refused(&with(&vault.token_with(&policy(2), short))),
        "error: the Vault token is over in [TIME], and a run may take [TIME]\n\
         hint: give the role or the token a longer time (`token_ttl`), or the run a shorter one (`--dns-timeout`, `--acme-timeout`)\n"
    );
    let root = vault.root();
    let at = |path: &str| refused(&with(&root).env("GIT_CERTS_VAULT_PATH", path));
    assert_eq!(
        at("nowhere/certs"),
        format!(
            "error: cannot find out which engine `nowhere/certs` of Vault belongs to\n  \
             caused by: `https://vault.test:8200` answered 403 Forbidden: preflight capability check returned 403, \
             please ensure client's policies grant access to path \"nowhere/certs/\"\n{needed}"
        )
    );
    assert_eq!(
        at("sys/certs"),
        "error: `sys/certs` of Vault belongs to an engine of kind `system`\n\
         hint: `--vault-path` takes a path in a key-value engine (`kv`)\n"
    );
    for path in ["/", "kv/../certs"] {
        assert_eq!(
            at(path),
            format!(
                "error: `{path}` of `--vault-path` is no path\n\
                 hint: it takes the path of a key-value engine and a folder in it, such as `secret/certs`\n"
            )
        );
    }
    vault.ask("PUT", "sys/seal", None);
    assert_eq!(
        refused(&with(&root)),
        "error: cannot log in to Vault with the token\n  \
         caused by: `https://vault.test:8200` answered 503 Service Unavailable: Vault is sealed\n\
         hint: where it is sealed, unseal it (`vault operator unseal`), and run again\n"
    );
    assert_eq!(orders(lab), 0);
    assert_eq!(nightly.certs.files(lab), [".age-recipients", "certs.json"]);
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"]);
}

#[test]
fn an_address_that_would_give_keys_away_is_refused() {
    let nightly = nightly();
    let with = |name: &str, value: &str| {
        let command = renew(&nightly).env("VAULT_TOKEN", Vault(&nightly.lab).root());
        refused(&command.env(name, value))
    };
    for (address, error) in [
        (
            "",
            "error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set\nhint: set it to `https://HOST:8200`\n",
        ),
        (
            "vault.test",
            "error: `VAULT_ADDR` is no URL\nhint: write it as `https://HOST:8200`\n",
        ),
        (
            "unix:///run/vault.sock",
            "error: `VAULT_ADDR` is no URL\nhint: write it as `https://HOST:8200`\n",
        ),
        (
            "http://vault.test:8200",
            "error: `VAULT_ADDR` would send private keys in the clear\n\
             hint: write `https://`; `http://` is for this machine, such as an agent's listener\n",
        ),
        (
            "https://me:secret@vault.test:8200",
            "error: `VAULT_ADDR` has a login in it\n\
             hint: leave it out: who logs in is said with `VAULT_TOKEN` or a role\n",
        ),
    ] {
        assert_eq!(with("VAULT_ADDR", address), error);
    }
    assert_eq!(
        with("VAULT_SKIP_VERIFY", "true"),
        "error: `VAULT_SKIP_VERIFY` is set, and TLS is always verified\n\
         hint: unset it, and name the file with the root of Vault's certificate: `VAULT_CACERT`\n"
    );
    assert_eq!(
        with("VAULT_CACERT", "nothing.pem"),
        "error: cannot read `nothing.pem` of `VAULT_CACERT`\n  \
         caused by: No such file or directory\n\
         hint: a relative path starts at the current folder\n"
    );
    assert_eq!(
        with("VAULT_TOKEN", ""),
        "error: there is nothing to log in to Vault with\n\
         hint: set `VAULT_TOKEN`; or `VAULT_ROLE_ID` and `VAULT_SECRET_ID`; in CI, name a role for the job's ID token \
         with `--vault-role`; on a laptop, `vault login` keeps a token in `~/.vault-token`\n"
    );
    assert_eq!(
        with("VAULT_TOKEN", "two\nlines"),
        "error: cannot log in to Vault with the token\n  \
         caused by: the Vault token cannot be sent\n  \
         caused by: it has a character that no HTTP header can have\n"
    );
    // A root that nobody has named.
    let strange = renew(&nightly).env("VAULT_CACERT", "");
    let strange = strange
        .env("GIT_CERTS_CA_BUNDLE", "")
        .env("VAULT_TOKEN", "x");
    assert_eq!(
        refused(&strange),
        "error: cannot log in to Vault with the token\n  \
         caused by: cannot reach Vault at `https://vault.test:8200`\n  \
         caused by: error sending request\n  \
         caused by: invalid peer certificate: UnknownIssuer\n\
         hint: for a private CA, name the file with its root: `VAULT_CACERT` or `--ca-bundle`\n"
    );
}
