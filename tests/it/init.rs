//! `init`: what it makes can be checked and renewed, and what is there stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::support::cert_repo::CertRepo;
use crate::support::folders::{Folders, Said};
use crate::support::lab::AgeIdentity;
use crate::support::lab::Lab;
use crate::support::nightly::assert_valid;
use crate::support::pebble;
use crate::support::repos::Files;
use crate::yaml;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

const FILES: [&str; 7] = [
    ".age-recipients",
    "certs.json",
    "git-certs.toml",
    "Makefile",
    ".gitattributes",
    ".gitignore",
    "README.md",
];

/// An empty folder `new` below a home.
struct Empty(tempfile::TempDir);

impl Empty {
    fn new() -> Self {
        let empty = Self(tempfile::tempdir().unwrap());
        for folder in ["new", "home", "tmp", "dns"] {
            fs::create_dir(empty.0.path().join(folder)).unwrap();
        }
        empty
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.path().join("new").join(path)).unwrap()
    }

    fn run(&self, words: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_git-certs"))
            .args(words)
            .current_dir(self.0.path().join("new"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.0.path().join("home"))
            .env("TMPDIR", self.0.path().join("tmp"))
            .output()
            .unwrap();
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(self.0.path().to_str().unwrap(), "[ROOT]")
        };
        Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

fn lines(verb: &str, paths: &[&str], end: &str) -> String {
    paths
        .iter()
        .map(|path| format!("{verb} {path}{end}\n"))
        .collect()
}

#[test]
fn a_repository_for_github_is_made_in_one_step() {
    let empty = Empty::new();
    let said = empty.run(&[
        "init",
        "--ci",
        "github",
        "--dns-repo",
        "git@git.test:ops/zones.git",
        "--new-identity",
        "../home/.config/my key",
        "--agree-tos",
        "--email",
        "ops@a.test",
        "--git-init",
        "a.test",
        "*.a.test",
    ]);
    let workflows = [".github/workflows/renew.yml", ".github/workflows/plan.yml"];
    let written = lines("wrote", &[&FILES[..], &workflows].concat(), "");
    assert_eq!(
        said,
        Said::done(&format!(
            "wrote '../home/.config/my key' (keep a copy: it opens every key)\n{written}\n\
             Next:\n\
             - `git add --all`, `git commit`, and push\n\
             - `make check plan`, with the DNSControl repository beside this one, looks at it, and changes nothing\n\
             - `git config diff.crt.textconv \"openssl x509 -noout -text -in\"` makes certificates readable in `git diff`\n\
             - `gh secret set AGE_KEY < '../home/.config/my key'` lets CI open the account key\n\
             - `gh secret set DNS_REPO_SSH_KEY < KEY_FILE`: an SSH key without a passphrase that may read the DNSControl repository\n\
             - `gh variable set DNS_REPO_KNOWN_HOSTS`: the line of its server in known_hosts\n\
             - what creds.json names with `$`: as secrets, and below `env:` in .github/workflows/renew.yml\n"
        ))
    );
    let identity = empty.0.path().join("home/.config/my key");
    assert_eq!(
        fs::metadata(&identity).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let output = Command::new("age-keygen")
        .arg("-y")
        .arg(&identity)
        .output()
        .unwrap();
    let recipient = String::from_utf8(output.stdout).unwrap();
    assert!(empty.read(".age-recipients").ends_with(&recipient));
    for workflow in workflows {
        let steps = yaml::parse(&empty.read(workflow));
        let steps = &steps["jobs"].as_object().unwrap().values().next().unwrap()["steps"];
        assert_eq!(
            steps[0]["env"]["KNOWN_HOSTS"],
            "${{ vars.DNS_REPO_KNOWN_HOSTS }}"
        );
        let with = &steps[1]["with"];
        assert_eq!(with["dns_repo"], "git@git.test:ops/zones.git");
        assert_eq!(with["ssh_key"], "${{ secrets.DNS_REPO_SSH_KEY }}");
        assert_eq!(with["dns_token"], Value::Null);
    }
    assert!(
        empty
            .read("Makefile")
            .contains("GIT_CERTS_DNS_REPO ?= ../zones\n")
    );
    assert_eq!(empty.read(".git/HEAD"), "ref: refs/heads/main\n");
    let check = empty.run(&["check", "--strict"]);
    let why = "left out: `git-certs.toml` names `git@git.test:ops/zones.git`, which is cloned only for `--dns-repo` and GIT_CERTS_DNS_REPO";
    assert_eq!(
        check,
        Said::done(&format!(
            "dnsconfig: {why}\nzones: {why}\n\n0 errors, 0 warnings\n"
        ))
    );

    // Once more: nothing is asked, made or changed.
    let before = empty.read(".age-recipients");
    let again = empty.run(&["init", "--new-identity", "../home/other", "b.test"]);
    let left = lines(
        "left ",
        &[&FILES[..], &workflows].concat(),
        ", which was there",
    );
    let left = left.replace(
        "certs.json, which was there",
        "certs.json, which was there; not put in: the DNS names",
    );
    let no = "no identity was made in ../home/other: .age-recipients was there\n";
    assert_eq!(again, Said::done(&format!("{left}{no}")));
    assert_eq!(empty.read(".age-recipients"), before);
    let again = empty.run(&[
        "init",
        "--recipient",
        RECIPIENT,
        "--name",
        "other",
        "--dns-repo",
        "https://git.test/dns",
        "--email",
        "me@a.test",
        "--agree-tos",
        "b.test",
    ]);
    let there = "which was there; not put in:";
    let other = [&FILES[3..], &workflows].concat();
    assert_eq!(
        again,
        Said::done(&format!(
            "left  .age-recipients, {there} `--recipient`\n\
             left  certs.json, {there} the DNS names, `--name`\n\
             left  git-certs.toml, {there} `--dns-repo`, `--email`, `--agree-tos`\n{}",
            lines("left ", &other, ", which was there")
        ))
    );
    assert_eq!(empty.read(".age-recipients"), before);
    assert!(!empty.0.path().join("home/other").exists());
}

#[test]
fn gitlab_gets_an_ssh_key_that_it_cannot_mask() {
    let empty = Empty::new();
    let said = empty.run(&[
        "init",
        "--ci",
        "gitlab",
        "--dns-repo",
        "git@git.test:ops/zones.git",
        "--recipient",
        RECIPIENT,
        "--agree-tos",
        "--git-init",
        "a.test",
    ]);
    let written = lines("wrote", &[&FILES[..], &[".gitlab-ci.yml"]].concat(), "");
    assert_eq!(
        said,
        Said::done(&format!(
            "{written}\n\
             Next:\n\
             - `git add --all`, `git commit`, and push\n\
             - `make check plan`, with the DNSControl repository beside this one, looks at it, and changes nothing\n\
             - `git config diff.crt.textconv \"openssl x509 -noout -text -in\"` makes certificates readable in `git diff`\n\
             - `grep AGE-SECRET-KEY IDENTITY_FILE | glab variable set GIT_CERTS_AGE_KEY --masked --protected` lets CI open the account key\n\
             - GIT_CERTS_TOKEN: a token that may push to this repository, as a masked and protected variable\n\
             - `glab variable set GIT_CERTS_SSH_KEY --protected < KEY_FILE`: an SSH key without a passphrase that may read the \
             DNSControl repository; GitLab masks no value of several lines\n\
             - DNS_REPO_KNOWN_HOSTS: the line of its server in known_hosts\n\
             - what creds.json names with `$`: as variables, too\n\
             - put the image and a schedule in place: .gitlab-ci.yml, and Build > Pipeline schedules\n"
        ))
    );
}

#[test]
fn what_is_there_stays_as_it_is() {
    let empty = Empty::new();
    let new = empty.0.path().join("new");
    fs::write(new.join("README.md"), "mine\n").unwrap();
    fs::write(
        new.join("dnsconfig.js"),
        "D('a.test', NewRegistrar('none'), DnsProvider(NewDnsProvider('x')));\n",
    )
    .unwrap();
    let said = empty.run(&[
        "init",
        "--ci",
        "gitlab",
        "--recipient",
        RECIPIENT,
        "--name",
        "all",
        "*.a.test",
    ]);
    let made = [&FILES[..6], &[".gitlab-ci.yml"]].concat();
    assert_eq!(
        said,
        Said::done(&format!(
            "{}left  README.md, which was there\n\n\
             Next:\n\
             - agree to the CA's terms of service in git-certs.toml\n\
             - `git init`, `git add --all`, `git commit`, and push\n\
             - `make check plan` looks at it, and changes nothing\n\
             - `git config diff.crt.textconv \"openssl x509 -noout -text -in\"` makes certificates readable in `git diff`\n\
             - `grep AGE-SECRET-KEY IDENTITY_FILE | glab variable set GIT_CERTS_AGE_KEY --masked --protected` lets CI open the account key\n\
             - GIT_CERTS_TOKEN: a token that may push to this repository, as a masked and protected variable\n\
             - what creds.json names with `$`: as variables, too\n\
             - put the image and a schedule in place: .gitlab-ci.yml, and Build > Pipeline schedules\n",
            lines("wrote", &made, "")
        ))
    );
    assert_eq!(empty.read("README.md"), "mine\n");
    let pipeline = empty.read(".gitlab-ci.yml");
    yaml::parse(&pipeline);
    // Nobody but the user has the script that a job would deploy with.
    assert!(!pipeline.contains("deploy"), "{pipeline}");
    // The zones are in the same repository, so they are looked at.
    assert_eq!(
        empty.run(&["check", "--strict"]),
        Said::done("0 errors, 0 warnings\n")
    );
}

#[test]
fn what_cannot_be_made_is_told_before_anything_is() {
    let good = [
        "--ci",
        "github",
        "--dns-repo",
        "https://git.test/dns",
        "--recipient",
        RECIPIENT,
        "a.test",
    ];
    let with = |place: usize, word: &'static str| {
        let mut words = good;
        words[place] = word;
        words.to_vec()
    };
    let folders = Folders::new().without("certs/certs.json");
    for (words, stderr) in [
        (
            vec![],
            "error: `init` has to know more: the DNS names of the first certificate, `--ci`, `--dns-repo`, `--recipient` or `--new-identity`\n\
             hint: give them, or run it on a terminal, where it asks; `git-certs init -h` explains them\n",
        ),
        (
            with(6, "a_b"),
            "error: cannot make the first certificate\n  caused by: `a_b` is not a DNS name\n\
             hint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`\n",
        ),
        (
            [&good[..], &["--name", "1"]].concat(),
            "error: `--name` names no certificate\n  caused by: `1` is not a certificate name\n\
             hint: a name is a letter, then letters, digits, `-` and `_`: it becomes a folder\n",
        ),
        (
            [&good[..], &["--email", "notmail"]].concat(),
            "error: `--email` is not an address: `notmail`\n\
             hint: an address looks like `ops@example.com`; leave it out to give none\n",
        ),
        (
            with(3, "nowhere"),
            "error: `nowhere` is neither a folder nor the URL of a repository\n\
             hint: a URL looks like `https://github.com/example/dns`, `ssh://git@example.com/dns` or `git@example.com:dns`\n",
        ),
        (
            with(3, "https://me:hunter2@git.test/dns"),
            "error: the URL of `--dns-repo` holds a login, which would be committed\n\
             hint: leave it out: CI gets a token as a secret\n",
        ),
        (
            with(3, "../dns"),
            "error: CI does not have the folder `../dns`\n\
             hint: give the URL of the DNSControl repository; the Makefile expects it beside this one\n",
        ),
        (
            with(5, "bob"),
            "error: `bob` is not a recipient\n  caused by: it is of no known kind\n\
             hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment\n",
        ),
        (
            [&good[..], &["--new-identity", "sub/key.txt"]].concat(),
            "error: `[ROOT]/certs/sub/key.txt` is in the cert repository\n\
             hint: whoever has the identity opens every key: keep it elsewhere, such as `~/.config/age/key.txt`\n",
        ),
        (
            [
                &good[..],
                &["--new-identity", "../missing/../certs/key.txt"],
            ]
            .concat(),
            "error: `../missing/../certs/key.txt` leads through a folder that is not there\n",
        ),
        (
            [&good[..], &["--new-identity", "../dns/dnsconfig.js"]].concat(),
            "error: cannot write the identity to `../dns/dnsconfig.js`\n  caused by: File exists\n\
             hint: another file stays as it is; for an identity that is there, give `--recipient` what `age-keygen -y ../dns/dnsconfig.js` prints\n",
        ),
        (
            [&good[..], &["--dir", "nowhere"]].concat(),
            "error: `nowhere` is not a folder\nhint: make it first, or leave `--dir` out\n",
        ),
    ] {
        let words = [&["init"], &words[..]].concat().join(" ");
        folders.is_refused(&words, stderr);
    }
}

#[test]
fn on_a_terminal_it_asks() {
    let repo = CertRepo::new();
    let said = repo.run_on_terminal(
        "init",
        "none",
        &[
            ("blanks between them: ", "b\u{fc}cher.test *.a.test\n"),
            ("`github`, `gitlab` or `none`? ", "none\n"),
            ("`.` if it is this one: ", "https://git.test/dns\n"),
            ("make an age identity: ", "\n"),
            ("[~/.config/age/key.txt]: ", "~/new.txt\n"),
            ("[yes/no] ", "yes\n"),
        ],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout
            .contains("\nwrote [ROOT]/home/new.txt (keep a copy"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains(
            "- `GIT_CERTS_AGE_KEY_FILE=[ROOT]/home/new.txt make renew` issues, commits and pushes\n"
        ),
        "{}",
        said.stdout
    );
    assert!(
        repo.read("certs.json").contains("\"cert_name\": \"xn--bcher-kva-test\",\n    \"names\": [\"xn--bcher-kva.test\", \"*.a.test\"]"),
        "{}",
        repo.read("certs.json")
    );
    assert!(
        repo.read("git-certs.toml")
            .contains("\nagree-tos = true\ndns-repo = \"https://git.test/dns\"\n")
    );
}

#[test]
fn after_the_end_of_input_nothing_is_asked() {
    let repo = CertRepo::new();
    let said = repo.run_on_terminal(
        "init",
        "none",
        &[
            ("blanks between them: ", "a.test\n"),
            ("`github`, `gitlab` or `none`? ", "\u{4}"),
        ],
    );
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (
            Some(2),
            "DNS names of the first certificate, with blanks between them: a.test\n\
             Who runs git-certs at night: `github`, `gitlab` or `none`? \
             error: `init` has to know more: `--ci`, `--dns-repo`, `--recipient` or `--new-identity`\n\
             hint: give them, or run it on a terminal, where it asks; `git-certs init -h` explains them\n\
             [typing is shown]\n"
        )
    );
    assert!(!repo.path("certs/git-certs.toml").exists());
}

#[test]
fn a_wrong_answer_costs_that_answer_alone() {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    fs::create_dir_all(repo.path("dns")).unwrap();
    fs::create_dir_all(repo.path("home/.config/age")).unwrap();
    fs::copy(repo.path("alice"), repo.path("home/.config/age/key.txt")).unwrap();
    fs::write(repo.path("home/notes"), "my notes\n").unwrap();
    let names = "error: cannot make the first certificate\n  caused by: ";
    let names_hint = "\nhint: names look like `www.example.com` or `*.example.com`, of letters, digits and `-`\n\
                      DNS names of the first certificate, with blanks between them: ";
    let file = "File for the identity, not in this repository [~/.config/age/key.txt]: ";
    let there = "is there. Use the identity that it has? [yes/no] ";
    let dialogue: &[(&str, &str)] = &[
        ("blanks between them: ", "a_b\n"),
        (&format!("{names}`a_b` is not a DNS name{names_hint}"), "\n"),
        (
            &format!("{names}it needs a name{names_hint}"),
            "www.a.test\n",
        ),
        ("`github`, `gitlab` or `none`? ", "jenkins\n"),
        (
            "error: `jenkins` is not `github`, `gitlab` or `none`\n\
                 Who runs git-certs at night: `github`, `gitlab` or `none`? ",
            "github\n",
        ),
        ("`.` if it is this one: ", "../dns\n"),
        (
            "error: CI does not have the folder `../dns`\n\
                 hint: give the URL of the DNSControl repository; the Makefile expects it beside this one\n\
                 DNSControl repository: its URL, or a folder, `.` if it is this one: ",
            "git@git.test:ops/dns\n",
        ),
        ("make an age identity: ", "bob\n"),
        (
            "error: `bob` is not a recipient\n  caused by: it is of no known kind\n\
                 hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment\n\
                 Who can open private keys: `age1...`, an SSH public key, or nothing to make an age identity: ",
            "\n",
        ),
        (file, "key.txt\n"),
        (
            &format!(
                "error: `{}/key.txt` is in the cert repository\n\
                     hint: whoever has the identity opens every key: keep it elsewhere, such as `~/.config/age/key.txt`\n{file}",
                repo.path("certs").display()
            ),
            "~/notes\n",
        ),
        (&format!("`~/notes` {there}"), "yes\n"),
        (
            &format!(
                "error: `{}/notes` has no identity as `age-keygen` makes it\n\
                     hint: name another file; or give `--recipient` what belongs to an identity of another kind\n{file}",
                repo.path("home").display()
            ),
            "\n",
        ),
        (&format!("`~/.config/age/key.txt` {there}"), "maybe\n"),
        (
            &format!("error: `maybe` is not `yes` or `no`\n`~/.config/age/key.txt` {there}"),
            "no\n",
        ),
        (
            &format!(
                "error: `~/.config/age/key.txt` is there, and stays as it is\nhint: name a file that is not there\n{file}"
            ),
            "\n",
        ),
        (&format!("`~/.config/age/key.txt` {there}"), "yes\n"),
        ("(https://letsencrypt.org/repository/)? [yes/no] ", "yes\n"),
    ];
    // As a terminal shows them.
    let shown: Vec<_> = dialogue
        .iter()
        .map(|(words, _)| words.replace('\n', "\r\n"))
        .collect();
    let answers = dialogue.iter().map(|(_, answer)| *answer);
    let dialogue: Vec<_> = shown.iter().map(String::as_str).zip(answers).collect();
    let said = repo.run_on_terminal("init", "none", &dialogue);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.stdout.contains(
            "\nuse   [ROOT]/home/.config/age/key.txt (keep a copy: it opens every key)\n"
        ),
        "{}",
        said.stdout
    );
    for step in [
        "- `gh secret set AGE_KEY < [ROOT]/home/.config/age/key.txt` lets CI open the account key\n",
        "- `gh secret set DNS_REPO_SSH_KEY < KEY_FILE`: an SSH key without a passphrase that may read the DNSControl repository\n\
         - `gh variable set DNS_REPO_KNOWN_HOSTS`: the line of its server in known_hosts\n",
    ] {
        assert!(said.stdout.contains(step), "{}", said.stdout);
    }
    assert!(
        repo.read(".age-recipients")
            .ends_with(&format!("\n{alice}\n"))
    );
    let workflow = repo.read(".github/workflows/renew.yml");
    assert!(
        workflow.contains("ssh_key: ${{ secrets.DNS_REPO_SSH_KEY }}"),
        "{workflow}"
    );
    assert!(!workflow.contains("dns_token"), "{workflow}");
}

#[test]
fn what_it_makes_renews() {
    let lab = Lab::builder().bind().pebble().start();
    let folder = lab.folder().join("home/new");
    fs::create_dir(&folder).unwrap();
    let dns = lab.folder().join("dns");
    Files::dns().write(&dns);
    let identity = lab.folder().join("home/age.txt");
    let run = |words: &[&str]| {
        lab.git_certs(words)
            .folder(&folder)
            .env("GIT_CERTS_CA_BUNDLE", lab.ca())
            .env("GIT_CERTS_ACME", pebble::DIRECTORY)
            .env("GIT_CERTS_AGE_KEY_FILE", &identity)
            .env("GIT_AUTHOR_NAME", "Lab")
            .env("GIT_AUTHOR_EMAIL", "lab@example.test")
            .succeed()
    };
    run(&[
        "init",
        "--ci",
        "none",
        "--dns-repo",
        dns.to_str().unwrap(),
        "--new-identity",
        "../age.txt",
        "--agree-tos",
        "--git-init",
        "www.bench.test",
    ]);
    lab.git(&folder, &["add", "--all"]);
    lab.git(&folder, &["commit", "--quiet", "--message", "new"]);
    assert_eq!(run(&["check", "--strict"]).stdout, "0 errors, 0 warnings\n");
    run(&["renew"]);
    let read = |end: &str| {
        fs::read_to_string(folder.join(format!("certificates/www-bench-test/www-bench-test.{end}")))
            .unwrap()
    };
    let identity = AgeIdentity {
        file: identity.clone(),
        recipient: String::new(),
    };
    assert_valid(&lab, &read("crt"), &read("key.age"), &identity);
    assert!(
        !Path::new(&folder)
            .join("certificates/www-bench-test/www-bench-test.key")
            .exists()
    );
    assert_eq!(lab.git(&folder, &["status", "--short"]).stdout, "");
    // Diffs of certificates are readable with what it says.
    lab.git(
        &folder,
        &[
            "config",
            "diff.crt.textconv",
            "openssl x509 -noout -text -in",
        ],
    );
    let shown = lab
        .git(&folder, &["show", "--stat", "--patch", "HEAD"])
        .stdout;
    assert!(shown.contains("DNS:www.bench.test"), "{shown}");
}
