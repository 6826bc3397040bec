//! `check`: every mistake is told at once, with its place, and what is right stays untold.

use std::fs;

use pretty_assertions::assert_eq;
use roxmltree::Document;
use serde_json::{Value, json};

use crate::support::cert_repo::CertRepo;
use crate::support::folders::{Folders, Said};

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

const NOTHING: &str = "0 errors, 0 warnings\n";

/// The DNS repository is at hand, and everything is right.
fn folders() -> Folders {
    Folders::new()
        .with("certs/.age-recipients", RECIPIENT)
        .variable("GIT_CERTS_DNS_REPO", "../dns")
}

#[track_caller]
fn says(folders: &Folders, words: &str, code: i32, stdout: &str) {
    let said = folders.run(words);
    let expected = Said {
        code: Some(code),
        stdout: stdout.to_owned(),
        stderr: String::new(),
    };
    assert_eq!(said, expected, "{words}");
}

#[test]
fn what_is_right_stays_untold() {
    says(&folders(), "check", 0, NOTHING);
    says(&folders(), "check --strict --dir ../certs", 0, NOTHING);
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let folders = folders()
        .with(
            "certs/certs.json",
            r#"[
  { "cert_name": "www", "names": ["www.a.test", "a b", "x.other.test", "WWW.a.test"] },
  { "cert_name": "www", "names": ["b.a.test"] },
  { "names": ["c.a.test"] },
  { "cert_name": "api", "names": ["x.a.test", "*.a.test", "elsewhere.test"], "use_ecc": "yes", "key_type": "p521" },
  { "cert_name": "wild", "names": ["*.a.test", "x.a.test", "elsewhere.test", "co.uk"], "acme": "nobody" },
  { "cert_name": "mail", "names": ["mail.a.test"], "name": 1, "must_staple": true },
  { "cert_name": "Mail", "names": ["mail.a.test"], "use_ecc": false, "USE_ECC": true },
  { "cert_name": "smtp", "names": ["mail.a.test"], "key_type": "rsa2048" },
  { "cert_name": "list", "names": ["l.a.test"], "recipients": ["age1nobody", "ssh-dss AAAA"], "csr": "x.csr", "reuse_key": true }
]
"#,
        )
        .with(
            "certs/git-certs.toml",
            "acme = \"nobody\"\nrenew = -1\nno-such = 1\nnever-count = [\"date.a.tets\"]\nskip = [\"x\"]\n\
             resolver = [\"dns\"]\n\n[zones.\"b.test\"]\ndns-timeout = 5\n",
        )
        .with("certs/.age-recipients", "# the build\n\nbob\nage1bob\n")
        .with("certs/certificates/old/.age-recipients", "#\n")
        .with("certs/certificates/old/old.key", "?");
    says(
        &folders,
        "check",
        1,
        r#".age-recipients:3: error: `.age-recipients` line 3 is not a recipient: it is of no known kind
  hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment
.age-recipients:4: error: `.age-recipients` line 4 is not a recipient: it is cut off or mistyped
  hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment
certificates/old/.age-recipients: error: `certificates/old/.age-recipients` has no recipient
  hint: `age-keygen -o key.txt` makes an identity and prints its recipient; put that line in
certificates/old/old.key: error: a key that age has not encrypted
  hint: whoever could read the repository has it: `git-certs import` encrypts it, if it is the certificate's, and `git-certs revoke old --reason keyCompromise --renew-now` makes a new one
certs.json:2:49: error: certificate `www`: `a b` is not a DNS name
  hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`
certs.json:2:56: error: `x.other.test` is in no zone of the DNS repository
  hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, or take the name out of the list; declared: `a.test`
certs.json:2:72: warning: `www.a.test` is in the list already
  hint: leave it out
certs.json:3:5: error: entry 2: entry 1 has the name `www` already
  hint: each certificate needs a `cert_name` of its own
certs.json:4:3: error: entry 3: it has no `cert_name`
  hint: write [{"cert_name": "www", "names": ["www.example.com"]}]
certs.json:5:35: warning: certificate `api`: `x.a.test` is covered by `*.a.test`, and Let's Encrypt refuses an order for both
  hint: take one of them out of the list
certs.json:5:59: error: `elsewhere.test` is in no zone of the DNS repository
  hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, or take the name out of the list; declared: `a.test`
certs.json:5:96: error: certificate `api`: `use_ecc` is not `true` or `false`
certs.json:6:48: warning: certificate `wild`: `x.a.test` is covered by `*.a.test`, and Let's Encrypt refuses an order for both
  hint: take one of them out of the list
certs.json:6:60: error: `elsewhere.test` is in no zone of the DNS repository
  hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, or take the name out of the list; declared: `a.test`
certs.json:6:78: error: certificate `wild`: `co.uk` is a public suffix, under which anybody can register domains: no CA issues it
  hint: correct the name in certs.json: the list of suffixes is at https://publicsuffix.org
certs.json:6:78: error: `co.uk` is in no zone of the DNS repository
  hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of `git-certs.toml`, or take the name out of the list; declared: `a.test`
certs.json:6:88: error: cannot use `acme` of certificate `wild`: `nobody` is neither the name of a CA nor the URL of an ACME directory
  hint: it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory
certs.json:7:52: warning: certificate `mail` has an unknown field `name`
  hint: correct its name, or leave it out
certs.json:7:63: warning: certificate `mail` asks for `must_staple`, which no public CA issues any more
  hint: leave it out
certs.json:8:5: warning: certificate `Mail` asks for the same names and kind of key as `mail`
  hint: one of them is enough: Let's Encrypt issues five a week for the same names
certs.json:8:5: warning: certificate `Mail` differs in case alone from `mail`
  hint: choose another name: where a file system does not tell case apart, both have one folder
certs.json:8:70: warning: entry 7 has the field `USE_ECC` twice
  hint: one of them counts, the other does not: leave one out
certs.json:9:5: warning: certificate `smtp` asks for the same names and kind of key as `mail`
  hint: one of them is enough: Let's Encrypt issues five a week for the same names
certs.json:10:64: error: certificate `list`: `recipients` line 1 is not a recipient: it is cut off or mistyped
  hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment
certs.json:10:78: error: certificate `list`: `recipients` line 2 is not a recipient: the SSH key is cut off, mistyped, or of a kind that age cannot use
  hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment
certs.json:10:111: error: certificate `list`: it has both a `csr` and `reuse_key`
  hint: the key of a `csr` is not here: leave `reuse_key` out
git-certs.toml:1:1: error: `nobody` is neither the name of a CA nor the URL of an ACME directory
  hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory
git-certs.toml:2:9: error: `renew`: expected a whole number, found `-1`
  hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
git-certs.toml:3:1: error: there is no setting `no-such`
  hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, `dir` and `only` are flags alone
git-certs.toml:4:1: warning: `date.a.tets` of `never-count` fits no name in a zone of the DNS repository
  hint: correct the name, or leave the pattern out
git-certs.toml:5:1: error: `--skip x` is no DNS provider of the DNS repository
  hint: declared: `ddns`
git-certs.toml:6:1: error: `--resolver dns` is no IP address
  hint: an address looks like `192.0.2.53` or `192.0.2.53:53`
git-certs.toml:8:2: error: `[zones."b.test"]` in `git-certs.toml` is no zone of the DNS repository, nor of `challenge-zones`
  hint: declared: `a.test`

23 errors, 10 warnings
"#,
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (path, text, stdout) in [
        (
            "certs/certs.json",
            "[\n  {\"cert_name\": \"www\",}\n]",
            "certs.json:2:23: error: `certs.json` is not JSON: trailing comma at line 2 column 23\n  \
             hint: comments and trailing commas are not allowed in this file\n\n1 error, 0 warnings\n",
        ),
        (
            "certs/certs.json",
            "{}",
            "certs.json: error: `certs.json` is not a list\n  \
             hint: write [{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}]\n\n1 error, 0 warnings\n",
        ),
        (
            "dns/dnsconfig.js",
            "var NONE = 1;\n  D('a.test', nobody);\n",
            "../dns/dnsconfig.js:2:15: error: cannot evaluate `dnsconfig.js`: `dnsconfig.js:2:15`: \
             ReferenceError: nobody is not defined\n\n1 error, 0 warnings\n",
        ),
        (
            "certs/git-certs.toml",
            "acme = \nemail = 1\nvault = true\nvault-copy = true\n",
            "git-certs.toml:1:8: error: string values must be quoted, expected literal string\n\
             git-certs.toml:2:9: error: `email`: expected a string, found `1`\n  \
             hint: its keys are long options without the dashes, such as `acme` and `dns-repo`; `repo`, `branch`, \
             `dir` and `only` are flags alone\n\
             git-certs.toml:4:1: error: both `--vault` and `--vault-copy` are set\n  \
             hint: `--vault` keeps certificates in Vault instead of git, `--vault-copy` in both: leave one out\n\n3 errors, 0 warnings\n",
        ),
    ] {
        says(&folders().with(path, text), "check", 1, stdout);
    }
    says(
        &folders()
            .without("certs/certs.json")
            .without("certs/.age-recipients"),
        "check --dir ../certs",
        1,
        "../certs/.age-recipients: error: there is no `.age-recipients` in the cert repository\n  \
         hint: it lists who can open private keys, one age or SSH recipient a line: `age-keygen -o key.txt` makes an \
         identity, `age-keygen -y key.txt > .age-recipients` lists it\n\
         ../certs/certs.json: error: there is no `certs.json` in the cert repository\n  \
         hint: it lists the certificates: [{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}]\n\n\
         2 errors, 0 warnings\n",
    );
    // What is in Vault is not encrypted with age; what lists there are is looked at all the same.
    let in_vault = folders()
        .without("certs/.age-recipients")
        .with("certs/git-certs.toml", "vault = true\n");
    says(&in_vault, "check", 0, NOTHING);
    let broken = in_vault.with("certs/certificates/www/.age-recipients", "age1nobody\n");
    says(
        &broken,
        "check",
        1,
        "certificates/www/.age-recipients:1: error: `certificates/www/.age-recipients` line 1 is not a recipient: it is cut off or mistyped\n  \
         hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment\n\n\
         1 error, 0 warnings\n",
    );
    folders().is_refused(
        "check --dir nowhere",
        "error: `nowhere` is not a folder\n\
         hint: `--dir` names the folder of the cert repository; `--repo` clones one\n",
    );
}

#[test]
fn lists_of_their_own_are_enough() {
    let list = format!(
        r#"[{{"cert_name": "www", "names": ["www.a.test"], "recipients": ["{RECIPIENT}"]}}]"#
    );
    let folders = folders()
        .without("certs/.age-recipients")
        .with("certs/.letsencrypt/.age-recipients", RECIPIENT)
        .with("certs/certs.json", &list);
    says(&folders, "check", 0, NOTHING);
    let folders = folders.with("certs/certificates/www/.age-recipients", RECIPIENT);
    says(
        &folders,
        "check",
        1,
        "certs.json:1:48: error: certificate `www` has recipients in `certificates/www/.age-recipients` and in \
         certs.json\n  hint: keep one of them: remove the file, or `recipients` from certs.json\n\n1 error, 0 warnings\n",
    );
}

#[test]
fn without_a_dns_repository_the_rest_is_looked_at() {
    let sound = || Folders::new().with("certs/.age-recipients", RECIPIENT);
    let left_out =
        |why: &str| format!("dnsconfig: left out: {why}\nzones: left out: {why}\n\n{NOTHING}");
    says(
        &sound(),
        "check",
        0,
        &left_out("no DNS repository is at hand; `--dns-repo` names one"),
    );
    let url = sound().with(
        "certs/git-certs.toml",
        "dns-repo = \"https://git.test/dns\"\n",
    );
    says(
        &url,
        "check",
        0,
        &left_out(
            "`git-certs.toml` names `https://git.test/dns`, which is cloned only for `--dns-repo` and GIT_CERTS_DNS_REPO",
        ),
    );
    // A folder that it names is looked at, and so is the current one.
    let folder = sound()
        .with("certs/git-certs.toml", "dns-repo = \"../dns\"\n")
        .with("dns/dnsconfig.js", "x");
    let beside = sound().with("certs/dnsconfig.js", "x");
    for (folders, place) in [(folder, "../dns/"), (beside, "")] {
        let told = format!(
            "{place}dnsconfig.js:1:1: error: cannot evaluate `dnsconfig.js`: `dnsconfig.js:1:1`: \
             ReferenceError: x is not defined\n\n1 error, 0 warnings\n"
        );
        says(&folders, "check", 1, &told);
    }
}

/// A checkout whose certs.json and recipients are right.
fn everything(list: &str) -> String {
    let folders = folders().with("certs/certs.json", list);
    let said = folders.run("check");
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""));
    said.stdout
}

#[test]
fn an_entry_with_a_bad_name_has_its_other_mistakes_told() {
    let hint =
        "hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`";
    assert_eq!(
        everything(
            "[\n {\"cert-name\": \"www\", \"names\": [\"a b\", \"x.other.test\"],\n  \"key_type\": \"p521\"},\n \
             {\"cert_name\": \"1\", \"names\": [], \"acme\": \"nobody\"},\n \
             {\"names\": [\"co.uk\", \"w.a.test\", \"*.a.test\"]}\n]"
        ),
        format!(
            "certs.json:2:2: error: entry 1: it has no `cert_name`\n  \
             hint: write [{{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}}]\n\
             certs.json:2:3: warning: entry 1 has an unknown field `cert-name`\n  \
             hint: correct its name, or leave it out\n\
             certs.json:2:33: error: entry 1: `a b` is not a DNS name\n  {hint}\n\
             certs.json:2:40: error: `x.other.test` is in no zone of the DNS repository\n  \
             hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of \
             `git-certs.toml`, or take the name out of the list; declared: `a.test`\n\
             certs.json:3:3: error: entry 1: `key_type` `p521` is not known\n  \
             hint: use one of rsa2048, rsa3072, rsa4096, p256, p384\n\
             certs.json:4:3: error: entry 2: `1` is not a certificate name\n  \
             hint: a name is a letter, then letters, digits, `-` and `_`: it becomes a folder\n\
             certs.json:4:21: error: entry 2: it has no `names`\n  \
             hint: write [{{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}}]\n\
             certs.json:4:34: error: cannot use `acme` of entry 2: `nobody` is neither the name of a CA nor \
             the URL of an ACME directory\n  \
             hint: it takes what `--acme` takes: the name of a CA, or the URL of an ACME directory\n\
             certs.json:5:2: error: entry 3: it has no `cert_name`\n  \
             hint: write [{{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}}]\n\
             certs.json:5:13: error: entry 3: `co.uk` is a public suffix, under which anybody can register domains: no CA issues it\n  \
             hint: correct the name in certs.json: the list of suffixes is at https://publicsuffix.org\n\
             certs.json:5:13: error: `co.uk` is in no zone of the DNS repository\n  \
             hint: declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of \
             `git-certs.toml`, or take the name out of the list; declared: `a.test`\n\
             certs.json:5:22: warning: entry 3: `w.a.test` is covered by `*.a.test`, and Let's Encrypt refuses an order for both\n  \
             hint: take one of them out of the list\n\n\
             10 errors, 2 warnings\n"
        )
    );
}

fn checkout() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo
}

#[test]
fn keys_in_the_clear_are_found_before_they_are_committed() {
    const REMEDY: &str = "whoever could read the repository has it: replace the key where it is used, then remove it here";
    let repo = checkout();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let run = |words: &str| {
        let said = repo.run(&format!("check --format json {words}"), "none");
        let found: Value = serde_json::from_str(&said.stdout).unwrap();
        let findings = found["findings"].as_array().unwrap().iter();
        let paths: Vec<_> = findings
            .map(|finding| finding["path"].as_str().unwrap().to_owned())
            .collect();
        (said.code, paths)
    };
    // Before the first commit.
    assert_eq!(run(""), (Some(0), Vec::new()));
    repo.put("new.pem", &key);
    repo.put("ignored.pem", &key);
    repo.put(".gitignore", "ignored.pem\n");
    repo.put("staged.pem", &key);
    repo.put("changed.pem", "nothing yet\n");
    repo.git(&["add", "staged.pem", "changed.pem"]);
    repo.put("staged.pem", "taken out, but not of the index\n");
    repo.put("changed.pem", &key);
    let expected = ["changed.pem", "new.pem", "staged.pem"].map(str::to_owned);
    assert_eq!(run(""), (Some(1), expected.to_vec()));
    let said = repo.run("check", "none");
    let told =
        format!("new.pem: error: a private key in plain text: PKCS#8 in PEM\n  hint: {REMEDY}\n");
    assert!(said.stdout.contains(&told), "{}", said.stdout);

    // A clone has what was committed, and no more.
    repo.git(&[
        "commit",
        "--quiet",
        "--message",
        "staged",
        "staged.pem",
        "changed.pem",
    ]);
    repo.commit("everything");
    repo.remove("new.pem");
    repo.put("later.pem", &key);
    let url = repo.path("certs").display().to_string();
    let expected = ["changed.pem", "new.pem"].map(str::to_owned);
    assert_eq!(run(&format!("--repo {url}")), (Some(1), expected.to_vec()));

    // Below the top of a work tree only what is there counts; without git, everything.
    let expected = vec!["customers/one/certs.pem".to_owned()];
    repo.put(
        "customers/one/certs.json",
        r#"[{"cert_name": "www", "names": ["www.a.test"]}]"#,
    );
    repo.put(
        "customers/one/.age-recipients",
        repo.read(".age-recipients"),
    );
    repo.put("customers/one/certs.pem", &key);
    assert_eq!(run("--dir customers/one"), (Some(1), expected));
    fs::remove_dir_all(repo.path("certs/.git")).unwrap();
    let expected = [
        "changed.pem",
        "customers/one/certs.pem",
        "ignored.pem",
        "later.pem",
    ];
    assert_eq!(run(""), (Some(1), expected.map(str::to_owned).to_vec()));
}

#[test]
fn strict_lets_warnings_fail() {
    let repo = checkout();
    let words = ["-q", "-t", "ed25519", "-N", "hunter2", "-f", "certs/id"];
    repo.tool("ssh-keygen", &words, "");
    let stdout = "id: warning: a private key that a passphrase protects: OpenSSH in PEM\n  \
         hint: it is as safe as its passphrase, as long as the repository can be read\n\
         dnsconfig: left out: no DNS repository is at hand; `--dns-repo` names one\n\
         zones: left out: no DNS repository is at hand; `--dns-repo` names one\n\n0 errors, 1 warning\n";
    for (words, code) in [("check", 0), ("check --strict", 1)] {
        let said = repo.run(words, "none");
        assert_eq!((said.code, said.stdout.as_str()), (Some(code), stdout));
    }
}

/// One error, and one warning.
fn two_findings() -> Folders {
    folders().with(
        "certs/certs.json",
        "[\n {\"cert_name\": \"www\", \"x\": 1,\n  \"names\": [\"www.b.test\"]}\n]",
    )
}

const UNKNOWN: &str = "certificate `www` has an unknown field `x`";
const ASTRAY: &str = "`www.b.test` is in no zone of the DNS repository";
const DECLARE: &str = "declare the zone with `D(...)`, name it with its entry of creds.json in `challenge-zones` of \
    `git-certs.toml`, or take the name out of the list; declared: `a.test`";

#[test]
fn reports_are_what_ci_systems_read() {
    let folders = two_findings();
    let stderr = format!(
        "warning: certs.json:2:23: {UNKNOWN}\nhint: correct its name, or leave it out\n\
         error: certs.json:3:13: {ASTRAY}\nhint: {DECLARE}\n"
    );
    let report = |format: &str| {
        let said = folders.run(&format!("check --format {format}"));
        assert_eq!(
            (said.code, said.stderr.as_str()),
            (Some(1), stderr.as_str())
        );
        said.stdout
    };
    let report_of_quality: Value = serde_json::from_str(&report("code-quality")).unwrap();
    let finding = |position: usize| {
        let mut finding = report_of_quality[position].clone();
        let print = finding
            .as_object_mut()
            .unwrap()
            .remove("fingerprint")
            .unwrap();
        assert_eq!(print.as_str().unwrap().len(), 64);
        finding
    };
    assert_eq!(
        [finding(0), finding(1)],
        [
            json!({
                "description": format!("{UNKNOWN}; correct its name, or leave it out"),
                "check_name": "certs-json",
                "severity": "minor",
                "location": {"path": "certs.json", "lines": {"begin": 2}},
            }),
            json!({
                "description": format!("{ASTRAY}; {DECLARE}"),
                "check_name": "zones",
                "severity": "critical",
                "location": {"path": "certs.json", "lines": {"begin": 3}},
            }),
        ]
    );
    let junit = report("junit");
    let document = Document::parse(&junit).unwrap();
    let suite = document
        .descendants()
        .find(|node| node.has_tag_name("testsuite"))
        .unwrap();
    let cases: Vec<_> = suite
        .children()
        .filter(roxmltree::Node::is_element)
        .map(|case| {
            let outcome = case
                .first_element_child()
                .map(|outcome| outcome.tag_name().name());
            (case.attribute("name").unwrap().to_owned(), outcome)
        })
        .collect();
    assert_eq!(
        cases,
        [
            ("settings".to_owned(), None),
            (
                format!("certs.json:2:23: warning: {UNKNOWN}"),
                Some("system-out")
            ),
            ("names".to_owned(), None),
            ("recipients".to_owned(), None),
            ("private-keys".to_owned(), None),
            ("dnsconfig".to_owned(), None),
            (format!("certs.json:3:13: error: {ASTRAY}"), Some("failure")),
        ]
    );
    let data: Value = serde_json::from_str(&report("json")).unwrap();
    assert_eq!((&data["errors"], &data["warnings"]), (&json!(1), &json!(1)));
}

#[test]
fn on_github_findings_are_annotations_at_their_lines() {
    let folders = two_findings().variable("GITHUB_ACTIONS", "true");
    let said = folders.run("check");
    assert_eq!(
        said.stderr,
        format!(
            "::warning file=certs.json,line=2,col=23,title=git-certs::{UNKNOWN}%0Ahint: correct its name, or leave it out\n\
             ::error file=certs.json,line=3,col=13,title=git-certs::{ASTRAY}%0Ahint: {DECLARE}\n"
        )
    );
    assert!(
        said.stdout.ends_with("\n1 error, 1 warning\n"),
        "{}",
        said.stdout
    );
}
