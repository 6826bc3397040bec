//! Looks at certificates that are in Vault instead of git: `status`, `why`, and what is about git alone.

use std::fs;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::live::Server;
use crate::support::address::BIND;
use crate::support::bind;
use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::openbao::{URL, Vault};
use crate::support::repos::{Files, Transport};
use crate::vault::{path, policy, store};

const WANTED: &[(&str, &[&str])] = &[
    ("www", &["www.bench.test"]),
    ("api", &["api.bench.test"]),
    ("shop", &["shop.bench.test"]),
];

/// `www` is there, `api` was revoked, `shop` was never issued, `old` is not listed; `grafana` is no certificate.
fn scene(version: usize) -> Nightly {
    let nightly = Nightly::new(Lab::builder().bind().pebble().vault().start(), WANTED);
    for name in ["www", "api"] {
        let renew = store(&nightly, &["renew", "--only", name], version);
        renew.run().expect_code(0);
    }
    let words = ["revoke", "api", "--reason", "superseded", "--yes"];
    store(&nightly, &words, version).run().expect_code(0);
    let vault = Vault(&nightly.lab);
    let (from, to, secret) = match version {
        1 => (vault.v1("certs/www"), "secret/certs/old", None),
        _ => (vault.v2("certs/www").0, "kv/data/certs/old", Some(())),
    };
    let foreign = json!({"password": "of others"});
    for (to, data) in [
        (to.to_owned(), from),
        (to.replace("old", "grafana"), foreign),
    ] {
        match secret {
            None => vault.put(&to, &data),
            Some(()) => vault.put(&to, &json!({ "data": data })),
        };
    }
    nightly
}

/// A look with nothing but a token that may read and list.
fn look(nightly: &Nightly, words: &[&str], version: usize) -> Command {
    let policy = policy(version);
    let policy = policy.replace("\"create\", \"read\", \"update\"", "\"read\"");
    let token = Vault(&nightly.lab).token(&policy, "2h");
    bare(nightly, words, &token).env("GIT_CERTS_VAULT_PATH", path(version))
}

fn bare(nightly: &Nightly, words: &[&str], token: &str) -> Command {
    let lab = &nightly.lab;
    lab.git_certs(words)
        .env("GIT_CERTS_REPO", nightly.certs.url(Transport::Path))
        .env("GIT_CERTS_VAULT", "true")
        .env("VAULT_ADDR", URL)
        .env("VAULT_CACERT", lab.ca())
        .env("VAULT_TOKEN", token)
}

/// What is said besides the clone.
fn said(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("cloned ")).collect()
}

#[test]
fn status_tells_what_vault_has() {
    for version in [1, 2] {
        let nightly = scene(version);
        let output = look(&nightly, &["status"], version).run().expect_code(0);
        let text = output.normal_stdout();
        let (table, rest) = text.split_once("\n\n").unwrap();
        let rows: Vec<Vec<_>> = table
            .lines()
            .map(|line| line.split_whitespace().take(2).collect())
            .collect();
        assert_eq!(
            rows,
            [
                ["certificate", "state"],
                ["www", "valid"],
                ["api", "revoked"],
                ["shop", "missing"],
                ["old", "valid"]
            ]
        );
        let (notes, about) = rest.split_once("\n\nlast run: ").unwrap();
        assert_eq!(
            notes,
            "`api`: to reissue: revoked on [DATE]: superseded\n\
             `shop`: to issue: not in Vault\n\
             `old`: certs.json does not list it: it is not renewed"
        );
        let lines: Vec<_> = about.lines().collect();
        assert_eq!(
            lines,
            [
                "not known: what is written to Vault leaves no commit",
                "when to renew is what the CAs said last (ARI), good until [DATE]; `git-certs plan` asks anew",
                "2 not usable, 1 good, 1 not in certs.json",
            ]
        );
        assert_eq!(said(&output.normal_stderr()), "");

        // For a job that watches.
        let words = ["status", "--fail-within", "1"];
        let output = look(&nightly, &words, version).run().expect_code(1);
        assert_eq!(
            said(&output.normal_stderr()),
            "error: certificate `api`: revoked on [DATE]: superseded\n\
             error: certificate `shop`: not in Vault\n"
        );
        let words = ["status", "www", "--fail-within", "1"];
        look(&nightly, &words, version).run().expect_code(0);
        let words = ["status", "none"];
        let output = look(&nightly, &words, version).run().expect_code(2);
        assert_eq!(
            said(&output.normal_stderr()),
            "error: there is no certificate `none`, in certs.json or in Vault\n\
             hint: there is `www`, `api`, `shop`, `old`\n"
        );
    }
}

#[test]
fn each_form_tells_of_vault() {
    let nightly = scene(2);
    let folder = nightly.lab.folder().join("pages");
    fs::create_dir(&folder).unwrap();
    let page = |form: &str| {
        let file = folder.join(form);
        let words = [
            "status",
            "--format",
            form,
            "--output",
            file.to_str().unwrap(),
        ];
        let output = look(&nightly, &words, 2).run().expect_code(0);
        assert_eq!(output.stdout, "", "{form}");
        fs::read_to_string(file).unwrap()
    };
    let words = |form: &str| -> &[&str] {
        match form {
            "text" => &["`shop`: to issue: not in Vault\n"],
            "markdown" => &[
                "- `shop`: to issue: not in Vault\n",
                "Last run: not known: what is written to Vault leaves no commit\n",
            ],
            "html" => &[
                "<li>to issue: not in Vault</li>",
                "<p>Last run: not known: what is written to Vault leaves no commit</p>",
            ],
            "prometheus" => &[
                "git_certs_certificate_usable{cert_name=\"www\"} 1\n",
                "git_certs_certificate_usable{cert_name=\"shop\"} 0\n",
            ],
            _ => &["<failure type=\"missing\" message=\"not in Vault\"/>"],
        }
    };
    for form in ["text", "markdown", "html", "prometheus", "junit"] {
        let page = page(form);
        for words in words(form) {
            assert!(page.contains(words), "{words} in {page}");
        }
    }
    let data: Value = serde_json::from_str(&page("json")).unwrap();
    let states: Vec<_> = data["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["cert_name"].as_str().unwrap(), &one["state"]))
        .collect();
    assert_eq!(
        states,
        [
            ("www", &json!("valid")),
            ("api", &json!("revoked")),
            ("shop", &json!("missing")),
            ("old", &json!("valid"))
        ]
    );
    assert_eq!(data["certificates"][0]["recipients"], Value::Null);
}

#[test]
fn the_settings_file_says_that_certificates_are_in_vault() {
    let nightly = scene(2);
    let settings = "vault = true\nvault-path = \"kv/certs\"\n";
    Files::default().with("git-certs.toml", settings).commit(
        &nightly.lab,
        &nightly.certs,
        "settings",
    );
    let by_file = |words: &[&str]| {
        let command = look(&nightly, words, 2);
        command
            .env("GIT_CERTS_VAULT", "")
            .env("GIT_CERTS_VAULT_PATH", "")
    };
    let output = by_file(&["status", "www"]).run().expect_code(0);
    assert!(output.stdout.ends_with("\n1 good\n"), "{}", output.stdout);
    by_file(&["why", "www"]).run().expect_code(0);
    let words = ["export", "www", "--to", "out"];
    by_file(&words).run().expect_code(0);
    // git has nothing, and a flag wins.
    let words = ["status", "www", "--vault=false"];
    let output = by_file(&words).run().expect_code(0);
    assert!(
        output
            .stdout
            .contains("\n`www`: to issue: not in the repository\n"),
        "{}",
        output.stdout
    );
    // A job without a login is told so.
    let output = by_file(&["status"]).env("VAULT_ADDR", "").run();
    assert_eq!(
        said(&output.expect_code(2).normal_stderr()),
        "error: `--vault` needs the address of Vault, and `VAULT_ADDR` is not set\n\
         hint: set it to `https://HOST:8200`\n"
    );
}

#[test]
fn what_the_token_may_not_list_is_not_looked_for() {
    let nightly = scene(2);
    let policy = "path \"kv/data/certs/*\" {\n  capabilities = [\"read\"]\n}\n";
    let token = Vault(&nightly.lab).token(policy, "2h");
    let status = bare(&nightly, &["status"], &token).env("GIT_CERTS_VAULT_PATH", "kv/certs");
    let output = status.run().expect_code(0);
    assert!(
        output.stdout.ends_with("\n2 not usable, 1 good\n"),
        "{}",
        output.stdout
    );
    assert_eq!(
        said(&output.normal_stderr()),
        "warning: certificates that certs.json does not list are not looked for: the Vault token may not list \
         `kv/certs`, which takes `path \"kv/metadata/certs/\" { capabilities = [\"list\"] }` in its policy\n"
    );
    let nothing = bare(&nightly, &["status"], "s.none").env("GIT_CERTS_VAULT_PATH", "kv/certs");
    let output = nothing.run().expect_code(2);
    let error = said(&output.normal_stderr());
    assert!(
        error.starts_with("error: cannot find out which engine `kv/certs` of Vault belongs to\n"),
        "{error}"
    );
}

#[test]
fn what_is_broken_in_vault_is_said() {
    let nightly = scene(2);
    let vault = Vault(&nightly.lab);
    let (www, _) = vault.v2("certs/www");
    let change = |name: &str, field: &str, value: Option<&str>| {
        let mut data = www.clone();
        match value {
            Some(text) => data[field] = json!(text),
            None => drop(data.as_object_mut().unwrap().remove(field)),
        }
        vault.put(&format!("kv/data/certs/{name}"), &json!({ "data": data }));
    };
    change("www", "tls.key", None);
    change("api", "tls.cert", Some("hello\u{1b}[2J"));
    change("shop", "tls.cert", None);
    change("old", "meta", Some("{"));
    let output = look(&nightly, &["status"], 2).run().expect_code(0);
    let text = output.normal_stdout();
    let notes = text.split("\n\n").nth(1).unwrap();
    assert_eq!(
        notes,
        "`www`: to reissue: it has no `tls.key` in Vault\n\
         `api`: to reissue: its `tls.cert` in Vault cannot be read: no certificate in PEM form\n\
         `shop`: to reissue: it has no `tls.cert` in Vault\n\
         `old`: certs.json does not list it: it is not renewed"
    );
    let counts = "\n3 not usable, 1 not in certs.json\n";
    assert!(text.ends_with(counts), "{text}");
    // The last version was deleted, but can be brought back.
    vault.ask("DELETE", "kv/data/certs/old", None);
    let output = look(&nightly, &["status"], 2).run().expect_code(0);
    assert!(!output.stdout.contains("old"), "{}", output.stdout);
}

#[test]
fn what_servers_show_is_compared_with_vault() {
    let nightly = scene(2);
    let lab = &nightly.lab;
    let vault = Vault(lab);
    let deployed = || {
        let (secret, _) = vault.v2("certs/www");
        ["tls.cert", "tls.key"].map(|field| secret[field].as_str().unwrap().to_owned())
    };
    let [old, old_key] = deployed();
    let words = ["renew", "--only", "www", "--renew", "9999"];
    store(&nightly, &words, 2).run().expect_code(0);
    let [new, new_key] = deployed();
    let update = format!(
        "server {BIND}\nupdate add www.bench.test 60 A {BIND}\nupdate delete www.bench.test A 198.51.100.80\nsend\n"
    );
    let nsupdate = lab.command("nsupdate").args(["-y", bind::TSIG]);
    nsupdate.stdin(update).succeed();
    let live = |chain: &str, key: &str| {
        let _server = Server::start(lab, &format!("{BIND}:443"), [chain, key], &[]);
        let words = ["status", "--live", "www"];
        let output = look(&nightly, &words, 2).run();
        let text = output.normal_stdout();
        let servers = text.split("\nservers:\n").nth(1).unwrap();
        servers.lines().next().unwrap().to_owned()
    };
    assert_eq!(
        live(&new, &new_key),
        "www  www.bench.test:443 (192.0.2.2)  current  the certificate of Vault"
    );
    assert_eq!(
        live(&old, &old_key),
        "www  www.bench.test:443 (192.0.2.2)  older  renewed, but not deployed: it still shows serial [SERIAL], \
         until [DATE], by Pebble Intermediate CA [ID]"
    );
    // Somebody brought the older version of the secret back.
    let data = json!({"data": {"tls.cert": old, "tls.key": old_key}});
    vault.put("kv/data/certs/www", &data);
    assert_eq!(
        live(&new, &new_key),
        "www  www.bench.test:443 (192.0.2.2)  newer  it shows a newer one than Vault has: serial [SERIAL], \
         until [DATE], by Pebble Intermediate CA [ID]"
    );
}

#[test]
fn why_tells_what_vault_has() {
    let nightly = scene(2);
    let why = |name: &str| {
        let command = look(&nightly, &["why", name], 2);
        let command = command.env("GIT_CERTS_ACME", "https://acme.test/dir");
        command.run().expect_code(0).normal_stdout()
    };
    let www = why("www");
    let lines: Vec<_> = www.lines().collect();
    assert_eq!(lines[0], "certs.json wants `www` for www.bench.test.");
    assert_eq!(
        lines[1],
        "Vault has a certificate with serial [SERIAL] by Pebble Intermediate CA [ID], key type rsa2048, for www.bench.test."
    );
    assert_eq!(
        lines.last().unwrap(),
        &"No rate limits are kept for `acme.test`."
    );
    assert_eq!(
        why("shop"),
        "certs.json wants `shop` for shop.bench.test.\n\
         Vault has no certificate for it.\n\
         It is to be issued now: not in Vault.\n\
         No rate limits are kept for `acme.test`.\n"
    );
    assert!(
        why("api").contains(", for api.bench.test; it was revoked on [DATE]: superseded.\n"),
        "{}",
        why("api")
    );
    let old = look(&nightly, &["why", "old"], 2).run().expect_code(2);
    assert_eq!(
        said(&old.normal_stderr()),
        "error: certs.json does not list `old`: `renew` leaves the certificate as it is\n\
         hint: list it in certs.json, or remove its secret in Vault\n"
    );
    // Limits are those of what Vault has.
    let limited = look(&nightly, &["why", "www"], 2).run().expect_code(0);
    assert!(
        limited.stdout.ends_with(
            "The rate limits of `acme-v02.api.letsencrypt.org` leave room for an order, as far as the certificates in Vault tell.\n"
        ),
        "{}",
        limited.stdout
    );
}

#[test]
fn commands_about_git_alone_say_so() {
    let nightly = scene(2);
    let refused = |words: &[&str], command: &str, hint: &str| {
        let output = look(&nightly, words, 2).run().expect_code(2);
        assert_eq!(output.stdout, "");
        assert_eq!(
            said(&output.normal_stderr()),
            format!(
                "error: `{command}` is about files in git, and `--vault` keeps certificates in Vault\nhint: {hint}\n"
            )
        );
    };
    let log =
        "an engine of version 2 keeps older versions: `vault kv metadata get PATH/NAME` lists them";
    refused(&["log", "www"], "log", log);
    refused(&["log", "www", "--vault"], "log", log);
    refused(
        &["rollback", "www", "--yes"],
        "rollback",
        "an engine of version 2 keeps older versions: `vault kv rollback -version=NUMBER PATH/NAME` brings one back",
    );
    refused(
        &["rekey"],
        "rekey",
        "policies of Vault say who may read keys there; `git-certs renew --renew 9999` makes new ones",
    );
    let recipients = "policies of Vault say who may read keys there";
    refused(&["recipients", "list"], "recipients", recipients);
    let recipient = nightly.identity.recipient.as_str();
    refused(&["recipients", "add", recipient], "recipients", recipients);
    refused(
        &["verify"],
        "verify",
        "`git-certs status` and `git-certs doctor` look at what Vault has; `--vault=false` looks at what git has all the same",
    );
    refused(
        &["import", "--dry-run"],
        "import",
        "`git-certs renew` issues what Vault lacks, and takes over what get-certs left there; `--vault=false` imports into git all the same",
    );
    // The setting says so too.
    let settings = "vault = true\nvault-path = \"kv/certs\"\n";
    Files::default().with("git-certs.toml", settings).commit(
        &nightly.lab,
        &nightly.certs,
        "settings",
    );
    let by_file = |words: &[&str]| look(&nightly, words, 2).env("GIT_CERTS_VAULT", "").run();
    let output = by_file(&["log", "www"]).expect_code(2);
    assert!(output.stderr.contains("`log` is about files in git"));
    by_file(&["verify", "--vault=false"]).expect_code(0);
}

#[test]
fn a_folder_without_git_is_enough() {
    let nightly = scene(1);
    let lab = &nightly.lab;
    let folder = lab.folder().join("plain");
    let list = r#"[{"cert_name": "www", "names": ["www.bench.test"]}, {"cert_name": "api", "names": ["api.bench.test"]}]"#;
    Files::default().with("certs.json", list).write(&folder);
    let run = |words: &[&str]| {
        let words = [words, &["-vault", "-vaultPath", path(1)]].concat();
        let command = lab.git_certs(words).folder(&folder);
        let command = command.env("VAULT_ADDR", URL).env("VAULT_CACERT", lab.ca());
        command.env("VAULT_TOKEN", Vault(lab).root())
    };
    let output = run(&["status"]).run().expect_code(0);
    let counts = "\n1 not usable, 1 good, 1 not in certs.json\n";
    assert!(output.stdout.ends_with(counts), "{}", output.stdout);
    run(&["why", "www"]).run().expect_code(0);
    let out = lab.folder().join("exported");
    let words = ["export", "www", "--to", out.to_str().unwrap()];
    run(&words).run().expect_code(0);
    assert!(out.join("www.key").is_file());
    let left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["certs.json"]);
}
