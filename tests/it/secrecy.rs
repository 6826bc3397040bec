//! Where secrets must not be: files, arguments and environments of children, output, core dumps.

use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open};
use crate::support::repos::Transport;
use crate::support::{bind, pebble, powerdns, repos, secrets};

const WANTED: &[(&str, &[&str])] = &[
    ("wildcard", &["example.test", "*.example.test"]),
    ("files", &["files.test"]),
];

/// Tokens for us, with values that are easy to find.
const PLANTED: [(&str, &str); 5] = [
    (
        "GIT_CONFIG_VALUE_0",
        "AUTHORIZATION: basic planted-token-of-git",
    ),
    ("GIT_CERTS_TOKEN", "planted-token-of-certs"),
    ("GIT_CERTS_DNS_TOKEN", "planted-token-of-dns"),
    ("GITHUB_TOKEN", "planted-token-of-github"),
    ("CI_JOB_TOKEN", "planted-token-of-gitlab"),
];

/// Two runs in a checkout, watched by strace: its log, and the files that they work on.
struct Watched {
    nightly: Nightly,
    checkout: PathBuf,
    /// Secret lines of age identities and of SSH keys.
    identities: Vec<String>,
    /// Public line of the key that signs.
    signer: String,
    /// One line a system call.
    calls: Vec<String>,
    /// Everything that the runs printed, logs included.
    said: String,
}

fn watch() -> Watched {
    let lab = Lab::builder().bind().powerdns().pebble().git_ssh().start();
    let nightly = Nightly::new(lab, WANTED);
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let other = lab.age_identity("other");
    let secret = |file: &Path| {
        fs::read_to_string(file)
            .unwrap()
            .lines()
            .last()
            .unwrap()
            .to_owned()
    };
    let identities = [secret(&identity.file), secret(&other.file)];
    let checkout = lab.folder().join("mine");
    let url = certs.url(Transport::Scp);
    let home = lab.folder().join("home");
    lab.git(
        &home,
        &["clone", "--quiet", &url, checkout.to_str().unwrap()],
    );

    // ssh finds no key but ours.
    let ssh_key = home.join(".ssh/id_ed25519");
    let ssh_text = fs::read_to_string(&ssh_key).unwrap();
    fs::remove_file(&ssh_key).unwrap();
    let signing_key = lab.folder().join("signing");
    let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
    lab.command("ssh-keygen")
        .args(words)
        .arg(&signing_key)
        .succeed();
    let signing_text = fs::read_to_string(&signing_key).unwrap();
    let signer = fs::read_to_string(signing_key.with_extension("pub")).unwrap();
    // Of five lines of base64 the third and the fourth have the private number.
    let private = |text: &str| {
        text.lines()
            .skip(3)
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let ssh_lines = [private(&ssh_text), private(&signing_text)].concat();

    let log = lab.folder().join("strace.log");
    // The second run opens the account that the first one made.
    let said = [(); 2].map(|()| {
        let mut command = strace(&nightly, &log)
            .folder(&checkout)
            .env("GIT_CERTS_AGE_KEY", &identities[0])
            .env("SOPS_AGE_KEY", &identities[1])
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.https://git.test/.extraheader")
            .env("GIT_CERTS_SSH_KEY", &ssh_text)
            .env("GIT_CERTS_SIGNING_KEY", &signing_text);
        for (name, value) in PLANTED {
            command = command.env(name, value);
        }
        let output = command.run().expect_code(0);
        assert!(
            output.stdout.contains("2 issued, 0 failed"),
            "{}",
            output.stdout
        );
        output.stdout + &output.stderr
    });
    let calls = fs::read(&log).unwrap();
    let calls = String::from_utf8_lossy(&calls)
        .lines()
        .map(str::to_owned)
        .collect();
    Watched {
        nightly,
        checkout,
        identities: [identities.to_vec(), ssh_lines].concat(),
        signer,
        calls,
        said: said.concat(),
    }
}

/// Our program under strace, which adds to `log` whatever may carry data out.
fn strace(nightly: &Nightly, log: &Path) -> Command {
    let Nightly { lab, dns, .. } = nightly;
    let traced = "trace=write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,openat,\
                  execve,prctl,prlimit64,landlock_create_ruleset,landlock_restrict_self";
    let mut command = lab
        .command("strace")
        .args(["-f", "-v", "-s", "1000000", "-e", traced, "-A", "-o"])
        .arg(log)
        .arg(env!("CARGO_BIN_EXE_git-certs"))
        .args(["renew", "--verbose", "--renew", "1000", "--agree-tos"])
        .args(["--acme", pebble::DIRECTORY, "--ca-bundle"])
        .arg(lab.ca())
        .args(["--dns-repo", &dns.url(Transport::Ssh)]);
    for (name, value) in repos::variables(lab) {
        command = command.env(name, value);
    }
    command
}

#[test]
fn secrets_stay_in_memory() {
    let watched = watch();
    assert_writes(&watched);
    assert_children(&watched);
    assert_output(&watched);
    assert_hardened(&watched);
    assert_files(&watched);
    assert_signed(&watched);
}

#[test]
fn github_is_told_what_its_log_must_not_show() {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, WANTED);
    let identity = fs::read_to_string(&nightly.identity.file).unwrap();
    let identity = identity.lines().last().unwrap();
    let mut command = nightly.command(&["renew", "--renew", "1000", "--format", "json"]);
    for (name, value) in PLANTED {
        command = command.env(name, value);
    }
    let quiet = command.run().expect_code(0);
    assert!(!quiet.stderr.contains("add-mask"), "{}", quiet.stderr);
    // The account is there: now the identity is needed, and no HMAC key.
    let output = command
        .env("GIT_CERTS_EAB_HMAC", "planted-%-key\n")
        .env("GITHUB_ACTIONS", "true")
        .run()
        .expect_code(0);
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["issued"], 2);
    let masks = |stderr: &str| -> Vec<String> {
        let lines = stderr.lines();
        lines
            .filter_map(|line| Some(line.strip_prefix("::add-mask::")?.to_owned()))
            .collect()
    };
    let own = [
        "planted-token-of-certs",
        "planted-token-of-dns",
        "planted-%25-key",
        "planted-token-of-github",
        "planted-token-of-gitlab",
    ];
    // Before anything else.
    let first: Vec<_> = output.stderr.lines().take(own.len()).collect();
    assert_eq!(masks(&first.join("\n")), own);
    let told = masks(&output.stderr);
    let tsig = bind::TSIG.rsplit(':').next().unwrap();
    for secret in [identity, bind::TSIG, tsig, powerdns::API_KEY] {
        assert!(told.iter().any(|told| told == secret), "{secret}: {told:?}");
    }
}

/// Every file that a report goes to, after runs that fail in part, with secrets wherever they can be.
#[test]
fn no_report_has_a_secret() {
    let lab = Lab::builder().bind().powerdns().pebble().start();
    let nightly = Nightly::new(lab, &[WANTED, &[("bad", &["bad.pdns.test"])]].concat());
    let Nightly {
        lab,
        certs,
        dns,
        identity,
    } = &nightly;
    let text = fs::read_to_string(&identity.file).unwrap();
    let identity_line = text.lines().last().unwrap();
    let folder = lab.folder().join("reports");
    fs::create_dir(&folder).unwrap();
    let mut written = Vec::new();
    let mut file = |name: &str| {
        let path = folder.join(name);
        written.push(path.clone());
        path
    };
    let planted = |mut command: Command| {
        for (name, value) in PLANTED {
            command = command.env(name, value);
        }
        // The identity as the text of a variable.
        command
            .env("GIT_CERTS_AGE_KEY", identity_line)
            .env("GIT_CERTS_AGE_KEY_FILE", "")
            .env("GITHUB_ACTIONS", "true")
    };
    // Refused by PowerDNS: the key is another one.
    let wrong_key = ("LAB_API_KEY", "planted-key-of-powerdns");
    for (words, code) in [
        (&["renew", "--only", "files"][..], 0),
        (&["renew"], 2),
        (&["renew", "--dry-run"], 2),
        (&["plan"], 0),
        // The password of an address.
        (
            &["renew", "--repo", "https://me:planted-password@git.test/a"],
            2,
        ),
    ] {
        let name = words.join("-").replace(['/', ':'], "");
        let command = planted(nightly.command(words))
            .env("GITHUB_STEP_SUMMARY", file(&format!("{name}.step.md")))
            .env("GITHUB_OUTPUT", file(&format!("{name}.outputs")))
            .arg("--summary-file")
            .arg(file(&format!("{name}.md")))
            .arg("--output-file")
            .arg(file(&format!("{name}.dotenv")));
        let command = match code {
            0 => command,
            _ => command.env(wrong_key.0, wrong_key.1),
        };
        command.run().expect_code(code);
    }
    for form in ["text", "json", "markdown", "html", "prometheus", "junit"] {
        let words = ["status", "--format", form, "--output"];
        let command = planted(nightly.command(&words)).arg(file(form));
        command.env("GIT_CERTS_DNS_REPO", "").run().expect_code(0);
    }
    assert_eq!(dns.files(lab), ["creds.json", "dnsconfig.js"]);
    let keys: Vec<_> = [
        "certificates/files/files.key.age",
        ".letsencrypt/acme.test/account.key.age",
    ]
    .iter()
    .flat_map(|path| {
        let plain = open(lab, &certs.show(lab, path), &identity.file).expect_code(0);
        let lines = plain.stdout.lines().map(str::to_owned);
        lines.collect::<Vec<_>>()
    })
    .collect();
    let tsig = bind::TSIG.rsplit(':').next().unwrap();
    for path in &written {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.is_empty(), "{}", path.display());
        for secret in ["planted-", identity_line, tsig, powerdns::API_KEY] {
            assert!(
                !text.contains(secret),
                "{secret} in {}: {text}",
                path.display()
            );
        }
        for line in &keys {
            assert!(
                !text.contains(line.as_str()),
                "{line} in {}",
                path.display()
            );
        }
    }
}

#[test]
fn a_secret_in_a_report_is_found() {
    let lab = Lab::builder().start();
    let folder = lab.folder().join("reports");
    fs::create_dir(&folder).unwrap();
    let variables = [
        ("GIT_CERTS_TOKEN", "planted-token-of-certs"),
        ("GITHUB_OUTPUT", "outputs"),
    ];
    for (words, file) in [
        (&["renew", "--summary-file", "summary.md"][..], "summary.md"),
        (&["status", "--output=page"], "page"),
        (&["status", "-o", "page"], "page"),
        (&["plan"], "outputs"),
    ] {
        let found = |text: &str| {
            fs::write(folder.join(file), text).unwrap();
            let look = || secrets::check_reports(words, variables, (&folder, &[]));
            let found = std::panic::catch_unwind(look).is_err();
            fs::remove_file(folder.join(file)).unwrap();
            found
        };
        assert!(!found("all is well\n"), "{words:?}");
        assert!(found("::add-mask::planted-token-of-certs\n"), "{words:?}");
        assert!(found("-----BEGIN PRIVATE KEY-----\n"), "{words:?}");
        assert!(found(powerdns::API_KEY), "{words:?}");
    }
    // What the command after `--` is told is its own.
    let words = ["export", "www", "--", "tool", "--output", "page"];
    assert_eq!(
        secrets::reports(&words, &[], &folder),
        [""; 0].map(PathBuf::from)
    );
}

/// The lines of base64 of the private keys: two certificates and the account.
fn key_lines(watched: &Watched) -> Vec<String> {
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &watched.nightly;
    let paths = [
        "certificates/files/files.key.age",
        "certificates/wildcard/wildcard.key.age",
        ".letsencrypt/acme.test/account.key.age",
    ];
    let lines: Vec<_> = paths
        .iter()
        .flat_map(|path| {
            let plain = open(lab, &certs.show(lab, path), &identity.file).expect_code(0);
            let body = plain
                .stdout
                .lines()
                .filter(|line| !line.starts_with("-----"));
            body.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(lines.len() > 50, "{} lines", lines.len());
    lines
}

/// No private key, nor a line of one, was handed to the kernel: to no file, pipe or socket.
fn assert_writes(watched: &Watched) {
    let is_write = |line: &&String| {
        ["write", "pwrite", "send"].iter().any(|call| {
            line.split_once(' ')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with(call))
        })
    };
    let writes: Vec<_> = watched.calls.iter().filter(is_write).collect();
    let count = |words: &str| writes.iter().filter(|line| line.contains(words)).count();
    // What is written can be seen, whole.
    assert!(count("-----END CERTIFICATE-----") >= 4);
    assert!(count("-----END AGE ENCRYPTED FILE-----") >= 5);
    assert_eq!(count("PRIVATE KEY"), 0);
    for secret in key_lines(watched).iter().chain(&watched.identities) {
        assert_eq!(count(secret), 0);
    }
}

fn assert_children(watched: &Watched) {
    let children: Vec<_> = watched
        .calls
        .iter()
        .filter(|line| line.contains(" execve(") && !line.contains(env!("CARGO_BIN_EXE_git-certs")))
        .collect();
    let called = |name: &str| {
        children
            .iter()
            .any(|line| line.contains(&format!("/{name}\", [")))
    };
    assert!(called("ssh") && called("rndc"), "{children:#?}");
    let planted = PLANTED.iter().map(|(_, value)| *value);
    let identities = watched.identities.iter().map(String::as_str);
    for secret in planted.chain(identities) {
        for child in &children {
            assert!(!child.contains(secret), "{secret} in {child}");
        }
    }
}

fn assert_output(watched: &Watched) {
    let tsig = bind::TSIG.rsplit(':').next().unwrap();
    let planted = PLANTED.iter().map(|(_, value)| *value);
    let identities = watched.identities.iter().map(String::as_str);
    assert!(watched.said.contains("DEBUG "), "{}", watched.said);
    for secret in planted
        .chain(identities)
        .chain([tsig, powerdns::API_KEY, "PRIVATE KEY"])
    {
        assert!(
            !watched.said.contains(secret),
            "{secret} in {}",
            watched.said
        );
    }
}

/// No other process of the user can read the memory, and a crash writes none of it.
fn assert_hardened(watched: &Watched) {
    let position = |words: &str| watched.calls.iter().position(|line| line.contains(words));
    // The thread of dnsconfig.js; a kernel without Landlock says so, and there is nothing to see then.
    let confined = position("landlock_restrict_self(");
    let has_landlock =
        position("landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) = -1")
            .is_none();
    assert_eq!(confined.is_some(), has_landlock, "{confined:?}");
    let words = "the script engine can write no file and start no program (Landlock)";
    assert_eq!(watched.said.contains(words), has_landlock);
    let words = "git-certs itself can write only in `";
    assert_eq!(watched.said.contains(words), has_landlock);
    // Nothing is tried in vain: what is to be written elsewhere, and every program, goes the way that is for it.
    let refused = watched.calls.iter().filter(|line| {
        let is_change = ["O_WRONLY", "O_RDWR", "O_CREAT", " execve("];
        let is_refused = line.contains(" = -1 EACCES") || line.contains(" = -1 EXDEV");
        is_refused && is_change.iter().any(|word| line.contains(word))
    });
    assert_eq!(refused.collect::<Vec<_>>(), Vec::<&String>::new());
    let hidden = position("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0");
    let no_core = position("RLIMIT_CORE, {rlim_cur=0, rlim_max=0}, NULL) = 0");
    let first_config = position(".git/config\"");
    let before = |call: Option<usize>| call.is_some() && call < first_config;
    assert!(
        before(hidden) && before(no_core),
        "{hidden:?} {no_core:?} {first_config:?}"
    );
}

/// Every commit of ours: those of the account, of certificates, and of when to renew.
fn assert_signed(watched: &Watched) {
    let Nightly { lab, certs, .. } = &watched.nightly;
    let list = lab
        .namespace()
        .write("signers", format!("ci {}", watched.signer));
    let list = format!("gpg.ssh.allowedSignersFile={}", list.display());
    let log = ["-c", &list, "log", "--format=%G? %GS%d", "main"];
    let said = lab.git(&certs.folder, &log).stdout;
    let lines: Vec<_> = said
        .lines()
        .map(|line| line.replace(" (HEAD -> main)", ""))
        .collect();
    assert_eq!(lines, ["G ci", "G ci", "G ci", "G ci", "G ci", "N "]);
}

/// Every object that git has, here and at the server, and every other file.
fn assert_files(watched: &Watched) {
    let Nightly { lab, certs, .. } = &watched.nightly;
    for folder in [&watched.checkout, &certs.folder] {
        let all = ["cat-file", "--batch", "--batch-all-objects", "--unordered"];
        let objects = lab.git(folder, &all).stdout;
        assert!(objects.contains("AGE ENCRYPTED FILE"));
        assert!(!objects.contains("PRIVATE KEY"));
    }
    let found = lab
        .command("grep")
        .args(["-rlaE", "PRIVATE KEY|planted-token"])
        .args([&watched.checkout, &lab.folder().join("tmp"), &certs.folder])
        .run();
    assert_eq!(found.stdout, "");
    assert_eq!(lab.left_over().len(), 0);
}
