//! `import` from folders of other programs, without servers: what becomes of names, lists and accounts. The layouts are lego's,
//! acme.sh's and certbot's, whose real folders `import_tools` has.

use std::fs;

use pretty_assertions::assert_eq;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::cert_repo::CertRepo;
use crate::support::folders::Said;

/// A certificate, PEM, for names until a year, and its key.
fn certificate(names: &[&str], until: i32) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names).unwrap();
    let until = datetime!(2100-01-01 0:00 UTC).replace_year(until).unwrap();
    (params.not_before, params.not_after) = (datetime!(2026-11-01 0:00 UTC), until);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// An empty cert repository, and beside it the folder `other`.
fn repository() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.commit("who can open keys");
    repo
}

fn put(repo: &CertRepo, path: &str, text: &str) {
    let path = repo.path("other").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A certificate of lego's: until a year, from a CA.
fn put_lego(repo: &CertRepo, names: &[&str], until: i32, host: &str) {
    let (chain, key) = certificate(names, until);
    let stem = names[0].replace('*', "_");
    let file = |end: &str| format!("certificates/{stem}.{end}");
    put(repo, &file("crt"), &chain);
    put(repo, &file("key"), &key);
    let description = json!({"domain": names[0], "certUrl": format!("https://{host}/cert/1")});
    put(repo, &file("json"), &description.to_string());
}

fn put_account(repo: &CertRepo, host: &str, id: &str) {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let folder = format!("accounts/{host}/{id}");
    put(repo, &format!("{folder}/keys/{id}.key"), &key);
    let host = host.replace('_', ":");
    let description = json!({
        "email": id,
        "registration": {"body": {"status": "valid"}, "uri": format!("https://{host}/acct/{id}")},
    });
    put(
        repo,
        &format!("{folder}/account.json"),
        &description.to_string(),
    );
}

const LIVE: &str = "acme-v02.api.letsencrypt.org";

/// What comes after the first line, without notes on the folder.
fn lines(said: &Said) -> Vec<&str> {
    let lines = said.stdout.lines().skip(2);
    lines
        .filter(|line| !line.is_empty() && !line.contains("stays as it is, with its keys"))
        .collect()
}

#[test]
fn certs_json_keeps_its_text_and_names_that_it_has() {
    let repo = repository();
    let list = "[\n    {\n        \"cert_name\": \"site\",\n        \"names\": [\"*.b.test\", \"b.test\"]\n    },\n    \
                {\"cert_name\": \"a_test\",   \"names\": [\"else.test\"]}\n]\n";
    repo.put("certs.json", list);
    repo.commit("a list");
    put_lego(&repo, &["a.test"], 2101, LIVE);
    put_lego(&repo, &["b.test", "*.b.test"], 2102, LIVE);
    put_lego(
        &repo,
        &["*.c.test", "c.test"],
        2103,
        "acme-staging-v02.api.letsencrypt.org",
    );
    put_lego(&repo, &["1d.test"], 2104, "ca.test");
    let done = repo.run("import --yes ../other", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let key = "key in ../other/certificates";
    assert_eq!(
        lines(&done),
        [
            &format!(
                "import   `cert_1d_test`, there `1d.test`: 1d.test; p256, until 2104-01-01; {key}/1d.test.key"
            ),
            &format!(
                "import   `wildcard_c_test`, there `*.c.test`: *.c.test, c.test; p256, until 2103-01-01; {key}/_.c.test.key"
            ),
            &format!(
                "import   `a_test`, there `a.test`: a.test; p256, until 2101-01-01; {key}/a.test.key"
            ),
            &format!(
                "import   `site`, there `b.test`: b.test, *.b.test; p256, until 2102-01-01; {key}/b.test.key"
            ),
            "list     `cert_1d_test` in certs.json",
            "list     `wildcard_c_test` in certs.json",
            "note     the CA of `cert_1d_test` is at `ca.test`; where its directory is, is told nowhere: \
             `acme-v02.api.letsencrypt.org` renews it, as `--acme` says",
            "4 certificates and 0 accounts to import, 0 files to remove",
            "imported 4 certificates and 0 accounts",
        ]
    );
    let entries = "    { \"cert_name\": \"cert_1d_test\", \"names\": [\"1d.test\"], \"key_type\": \"p256\" },\n    \
                   { \"cert_name\": \"wildcard_c_test\", \"names\": [\"*.c.test\", \"c.test\"], \"key_type\": \"p256\", \
                   \"acme\": \"https://acme-staging-v02.api.letsencrypt.org/directory\" }\n]\n";
    let kept = list.strip_suffix("\n]\n").unwrap();
    assert_eq!(repo.read("certs.json"), format!("{kept},\n{entries}"));
    let description: Value =
        serde_json::from_str(&repo.read("certificates/site/site.json")).unwrap();
    assert_eq!(
        description["directory"],
        "https://acme-v02.api.letsencrypt.org/directory"
    );
    assert_eq!(description["domain"], "b.test");
    let unknown: Value =
        serde_json::from_str(&repo.read("certificates/cert_1d_test/cert_1d_test.json")).unwrap();
    assert_eq!(unknown.get("directory"), None);
    let verified = repo.run("verify", "alice");
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    let again = repo.run("import --yes ../other", "alice");
    assert_eq!(
        lines(&again),
        [
            "there    certificate `cert_1d_test`",
            "there    certificate `wildcard_c_test`",
            "there    certificate `a_test`",
            "there    certificate `site`",
            "nothing to import",
        ]
    );
}

#[test]
fn another_certificate_of_the_same_name_takes_nothings_place() {
    let repo = repository();
    put_lego(&repo, &["a.test"], 2101, LIVE);
    assert_eq!(repo.run("import --yes ../other", "alice").code, Some(0));
    let before = repo.read("certificates/a_test/a_test.crt");
    // It ends later, and is for other names.
    let (chain, key) = certificate(&["evil.test"], 2150);
    put(&repo, "certificates/a.test.crt", &chain);
    put(&repo, "certificates/a.test.key", &key);
    let account = "accounts/x\nGit-Certs-Run: evil/me";
    put(
        &repo,
        &format!("{account}/keys/me.key"),
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    put(
        &repo,
        &format!("{account}/account.json"),
        "{\"email\": \"me\"}",
    );
    let said = repo.run("import --yes ../other", "alice");
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            Some(1),
            "error: cannot import `a.test`\n  \
             caused by: the repository has one of that name, for a.test\n\
             hint: where this one shall take its place, remove that folder from the repository first\n\
             error: cannot import the account at `x\n    Git-Certs-Run: evil`\n  \
             caused by: the name of its CA is no name of a host\n"
        )
    );
    assert_eq!(repo.read("certificates/a_test/a_test.crt"), before);
}

#[test]
fn a_certificate_that_was_renewed_there_comes_and_an_older_one_does_not() {
    let repo = repository();
    put_lego(&repo, &["a.test"], 2101, LIVE);
    repo.run("import --yes ../other", "alice");
    let (before, held) = (
        repo.read("certs.json"),
        repo.read("certificates/a_test/a_test.crt"),
    );
    put_lego(&repo, &["a.test"], 2100, LIVE);
    let older = repo.run("import --yes ../other", "alice");
    assert_eq!(
        lines(&older),
        ["there    certificate `a_test`", "nothing to import"]
    );
    assert_eq!(repo.read("certificates/a_test/a_test.crt"), held);
    put_lego(&repo, &["a.test"], 2102, LIVE);
    let newer = repo.run("import --yes ../other", "alice");
    assert_eq!(
        lines(&newer),
        [
            "import   `a_test`, there `a.test`: a.test; p256, until 2102-01-01; key in ../other/certificates/a.test.key",
            "1 certificate and 0 accounts to import, 0 files to remove",
            "imported 1 certificate and 0 accounts",
        ]
    );
    assert_eq!(repo.read("certs.json"), before);
    let verified = repo.run("verify", "alice");
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

#[test]
fn of_several_accounts_one_is_chosen_and_what_is_there_stays() {
    let repo = repository();
    put_lego(&repo, &["a.test"], 2101, LIVE);
    put_account(&repo, LIVE, "me@a.test");
    put_account(&repo, LIVE, "you@a.test");
    put_account(&repo, "localhost_14000", "me@a.test");
    let several = repo.run("import --dry-run ../other", "alice");
    assert_eq!(
        (several.code, several.stderr.as_str()),
        (
            Some(1),
            "error: cannot import the account at `acme-v02.api.letsencrypt.org`\n  \
             caused by: there are several: `me@a.test`, `you@a.test`\n\
             hint: choose one by that name: `--account NAME`\n"
        )
    );
    let done = repo.run("import --yes --account me@a.test ../other", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        lines(&done)[1..3],
        [
            "import   account at `acme-v02.api.letsencrypt.org`: P-256 key",
            "import   account at `localhost:14000`: P-256 key",
        ]
    );
    let metadata = repo.read(".letsencrypt/localhost:14000/account.json");
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(
        metadata["registration"]["uri"],
        "https://localhost:14000/acct/me@a.test"
    );
    let again = repo.run("import --yes --account you@a.test ../other", "alice");
    assert_eq!(
        lines(&again),
        [
            "there    certificate `a_test`",
            "there    account at `acme-v02.api.letsencrypt.org`",
            "nothing to import",
        ]
    );
}

#[test]
fn what_cannot_come_over_is_told_and_the_rest_does() {
    let repo = repository();
    // The same name of certs.json for two.
    put_lego(&repo, &["b\u{fc}.test"].map(|_| "b-c.test"), 2101, LIVE);
    for (domain, stem) in [("a b.test", "x"), ("a_b.test", "y")] {
        let (chain, key) = certificate(&[&format!("{stem}.test")], 2101);
        put(&repo, &format!("certificates/{stem}.crt"), &chain);
        put(&repo, &format!("certificates/{stem}.key"), &key);
        put(
            &repo,
            &format!("certificates/{stem}.json"),
            &json!({"domain": domain}).to_string(),
        );
    }
    let (chain, _) = certificate(&["csr.test"], 2101);
    put(&repo, "certificates/csr.test.crt", &chain);
    put(&repo, "certificates/bad.test.crt", &chain);
    put(&repo, "certificates/bad.test.json", "{");
    put_lego(&repo, &["plain.test"], 2101, LIVE);
    repo.put("certificates/plain_test/plain_test.key", "plain");
    repo.commit("a key of get-certs");
    put(&repo, "accounts/ca.test/me/account.json", "{}");
    fs::create_dir_all(repo.path("other/accounts/ca.test/you")).unwrap();
    let done = repo.run("import --yes ../other", "alice");
    assert_eq!(
        done.stderr,
        "error: cannot import the account `you` at `ca.test`
  caused by: `../other/accounts/ca.test/you/account.json` is not there
error: cannot import `bad.test`
  caused by: `../other/certificates/bad.test.json` cannot be read
  caused by: EOF while parsing an object at line 1 column 1
error: cannot import `csr.test`
  caused by: its private key is not there
error: cannot import `plain.test`
  caused by: the repository has another key for `plain_test`, in plain text
hint: run `git-certs import` without a folder first
error: cannot import `a_b.test`
  caused by: `a b.test` would have the same name in certs.json: `a_b_test`
error: cannot import the account at `ca.test`
  caused by: its private key is not there
"
    );
    assert_eq!(done.code, Some(1));
    assert_eq!(
        lines(&done),
        [
            "import   `b-c_test`, there `b-c.test`: b-c.test; p256, until 2101-01-01; key in ../other/certificates/b-c.test.key",
            "import   `a_b_test`, there `a b.test`: x.test; p256, until 2101-01-01; key in ../other/certificates/x.key",
            "list     `b-c_test` in certs.json",
            "list     `a_b_test` in certs.json",
            "2 certificates and 0 accounts to import, 0 files to remove",
            "imported 2 certificates and 0 accounts",
        ]
    );
}

#[test]
fn settings_come_over() {
    let repo = repository();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.not_after = datetime!(2101-01-01 0:00 UTC);
    // TLS feature: status_request.
    let feature =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5]);
    params.custom_extensions.push(feature);
    let chain = params.self_signed(&key).unwrap().pem();
    put(&repo, "live/a/fullchain.pem", &chain);
    put(&repo, "live/a/privkey.pem", &key.serialize_pem());
    put(
        &repo,
        "renewal/a.conf",
        "# renew_before_expiry = 30 days\nversion = 5.6.0\nfullchain = /etc/letsencrypt/live/a/fullchain.pem\n\n\
         # Options used in the renewal process\n[renewalparams]\naccount = 0123456789abcdef\n\
         server = https://acme-v02.api.letsencrypt.org/directory\nkey_type = ecdsa\nreuse_key = True\n\
         preferred_chain = \"ISRG Root X1\"\npreferred_profile = None\nrequired_profile = tlsserver\n",
    );
    put(&repo, "renewal/b.conf", "[renewalparams]\n");
    put(
        &repo,
        "accounts/acme-v02.api.letsencrypt.org/directory/0123456789abcdef/private_key.json",
        "{\"kty\": \"EC\"}",
    );
    let done = repo.run("import --yes ../other", "alice");
    assert_eq!(
        done.stderr,
        "error: cannot import `b`
  caused by: `../other/live/b/fullchain.pem` is not there
error: cannot import the account at `acme-v02.api.letsencrypt.org`
  caused by: cannot use the key in `../other/accounts/acme-v02.api.letsencrypt.org/directory/0123456789abcdef/private_key.json`
  caused by: it is a JSON Web Key of the kind `EC`, not `RSA`
"
    );
    assert_eq!(
        repo.read("certs.json"),
        "[\n  { \"cert_name\": \"a\", \"names\": [\"a.test\"], \"key_type\": \"p256\", \"must_staple\": true, \"reuse_key\": true, \
         \"preferred_chain\": \"ISRG Root X1\", \"required_profile\": \"tlsserver\" }\n]\n"
    );
}

#[test]
fn it_asks_on_a_terminal() {
    let repo = repository();
    put_lego(&repo, &["a.test"], 2101, LIVE);
    let tip = repo.git(&["rev-parse", "HEAD"]);
    let question = "this commits what is listed above\r\ntype `yes` to go on:";
    let no = repo.run_on_terminal("import ../other", "alice", &[(question, "no\n")]);
    assert_eq!(no.code, Some(2), "{}{}", no.stdout, no.stderr);
    assert!(
        no.stdout.contains(
            "error: nothing was imported\n  caused by: nothing was done: the answer was not `yes`\n\
             hint: `--dry-run` only looks\n"
        ),
        "{}",
        no.stdout
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
    let yes = repo.run_on_terminal("import ../other", "alice", &[(question, "yes\n")]);
    assert_eq!(yes.code, Some(0), "{}{}", yes.stdout, yes.stderr);
    assert!(
        yes.stdout
            .contains("imported 1 certificate and 0 accounts\n"),
        "{}",
        yes.stdout
    );
    assert_ne!(repo.git(&["rev-parse", "HEAD"]), tip);
}

#[test]
fn the_usual_folder_is_taken_where_none_is_named() {
    let repo = repository();
    let (chain, key) = certificate(&["a.test"], 2101);
    let home = repo.path("home/.acme.sh");
    for (folder, kind) in [("a.test", "RSA"), ("a.test_ecc", "a curve")] {
        let folder = home.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("a.test.conf"),
            format!("Le_Domain='a.test'\nLe_Alt='no'\nLe_Keylength='{kind}'\n"),
        )
        .unwrap();
        fs::write(folder.join("fullchain.cer"), &chain).unwrap();
        fs::write(folder.join("a.test.key"), &key).unwrap();
    }
    let done = repo.run("import --yes --from acme.sh", "alice");
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert!(
        done.stdout.starts_with(
            "acme.sh, in `[ROOT]/home/.acme.sh`\n\n\
             import   `a_test`, there `a.test`: a.test; p256, until 2101-01-01; key in [ROOT]/home/.acme.sh/a.test/a.test.key\n\
             import   `a_test_ecc`, there `a.test_ecc`: a.test; p256, until 2101-01-01; key in [ROOT]/home/.acme.sh/a.test_ecc/a.test.key\n"
        ),
        "{}",
        done.stdout
    );
    let none = repo.run("import --from lego", "alice");
    assert_eq!(
        (none.code, none.stderr.as_str()),
        (
            Some(2),
            "error: cannot read `.lego`\n  caused by: No such file or directory\n\
             hint: it takes the folder in which the other program keeps its files\n"
        )
    );
    let empty = repo.run("import --from dehydrated ../tmp", "alice");
    assert_eq!(
        (empty.code, empty.stdout.as_str()),
        (Some(0), "dehydrated, in `../tmp`\n\nnothing to import\n")
    );
}
