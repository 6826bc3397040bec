//! Commits signed with an SSH key, as the real git and ssh-keygen see them, and `verify` of signatures.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::cert_repo::CertRepo;
use crate::support::folders::Said;

const BOB: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti bob";

/// A repository with one recipient.
fn repository() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&[]);
    repo.commit("first");
    repo
}

/// Makes an SSH key beside the repository; returns its public line.
fn key(repo: &CertRepo, name: &str, words: &[&str]) -> String {
    let passphrase: &[&str] = if words.contains(&"-N") {
        &[]
    } else {
        &["-N", ""]
    };
    let common = ["-q", "-C", name, "-f", name];
    repo.tool("ssh-keygen", &[&common[..], passphrase, words].concat(), "");
    fs::read_to_string(repo.path(&format!("{name}.pub"))).unwrap()
}

fn ed25519(repo: &CertRepo, name: &str) -> String {
    key(repo, name, &["-t", "ed25519"])
}

/// Commits `.allowed_signers`, unsigned.
fn allow(repo: &CertRepo, public: &str) {
    repo.put(
        ".allowed_signers",
        format!("ci namespaces=\"git\" {public}"),
    );
    repo.commit("allow");
}

/// What the real git says of signatures, newest first: verdict and signer.
fn verdicts(repo: &CertRepo, public: &str, count: &str) -> String {
    let list = repo.path("signers");
    fs::write(&list, format!("ci {public}")).unwrap();
    let file = format!("gpg.ssh.allowedSignersFile={}", list.display());
    repo.git(&["-c", &file, "log", "--format=%G? %GS", count])
}

/// Commits what is there with git, signed with this key.
fn commit_signed(repo: &CertRepo, name: &str) {
    let key = format!("user.signingkey={}", repo.path(name).display());
    repo.git(&["add", "--all"]);
    let commit = ["commit", "--quiet", "--allow-empty", "-S", "-m", "by hand"];
    repo.git(&[&["-c", "gpg.format=ssh", "-c", &key], &commit[..]].concat());
}

/// What `recipients add` says that went well.
const ADDED: &str = "added to `.age-recipients`\n\
                     keys that are there stay as they are: `git-certs rekey` encrypts them for the new list\n";

#[test]
fn git_calls_signatures_of_every_kind_of_key_good() {
    let repo = repository();
    let kinds: [&[&str]; 4] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "rsa", "-b", "2048"],
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        let name = format!("key{number}");
        let public = key(&repo, &name, kind);
        // ECDSA numbers are of different lengths: some lack a leading zero.
        for _ in 0..4 {
            let change = |words: &str| {
                let output = repo
                    .program()
                    .args(words.split(' '))
                    .arg(BOB)
                    .arg("--signing-key")
                    .arg(repo.path(&name))
                    .output()
                    .unwrap();
                assert_eq!(repo.shown(output.stderr), "", "{kind:?}");
            };
            change("recipients add");
            change("recipients remove");
        }
        assert_eq!(
            verdicts(&repo, &public, "-8"),
            "G ci\n".repeat(8),
            "{kind:?}"
        );
        let list = repo.path("signers");
        fs::write(&list, format!("ci {public}")).unwrap();
        let said = repo.run(
            &format!("verify --allowed-signers {}", list.display()),
            "none",
        );
        assert_eq!(
            said,
            Said::done("1 commit, 2 files: 0 faults, 0 notes\n"),
            "{kind:?}"
        );
    }
}

#[test]
fn signatures_that_git_makes_are_good() {
    let repo = repository();
    let kinds = [
        ("ecdsa", "256"),
        ("ecdsa", "521"),
        ("rsa", "2048"),
        ("ed25519", "256"),
    ];
    let mut list = "# everybody\n".to_owned();
    for (kind, size) in kinds {
        let name = format!("{kind}{size}");
        list += &format!(
            "{name}@x.test {}",
            key(&repo, &name, &["-t", kind, "-b", size])
        );
    }
    repo.put(".allowed_signers", list);
    repo.commit("allow");
    for (kind, size) in kinds {
        for _ in 0..4 {
            commit_signed(&repo, &format!("{kind}{size}"));
        }
    }
    assert_eq!(
        repo.run("verify --history", "none"),
        Said::done("18 commits, 3 files: 0 faults, 0 notes\n")
    );
}

#[test]
fn the_key_itself_may_be_in_the_environment() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    let text = fs::read_to_string(repo.path("key")).unwrap();
    // As secret stores hand it on.
    for text in [text.trim_end().to_owned(), text.replace('\n', "\r\n")] {
        let output = repo
            .program()
            .args(["recipients", "add", BOB])
            .env("GIT_CERTS_SIGNING_KEY", text)
            .env("GIT_COMMITTER_NAME", "CI")
            .output()
            .unwrap();
        assert_eq!(repo.shown(output.stderr), "");
        assert_eq!(repo.shown(output.stdout), ADDED);
        assert_eq!(verdicts(&repo, &public, "-1"), "G ci\n");
        assert_eq!(
            repo.git(&["log", "-1", "--format=%an %cn"]),
            "git-certs CI\n"
        );
        repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    }
}

/// A real ssh-agent, killed on drop.
struct SshAgent(std::process::Child, std::path::PathBuf);

impl SshAgent {
    fn start(repo: &CertRepo) -> Self {
        let socket = repo.path("agent");
        let child = std::process::Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("ssh-agent is needed");
        let agent = Self(child, socket);
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while !agent.1.exists() {
            assert!(
                std::time::Instant::now() < deadline,
                "ssh-agent does not listen"
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        agent
    }

    fn add(&self, repo: &CertRepo, name: &str) {
        let added = std::process::Command::new("ssh-add")
            .arg("-q")
            .arg(repo.path(name))
            .env("SSH_AUTH_SOCK", &self.1)
            .status();
        assert!(added.unwrap().success());
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_ssh_agent_signs_for_a_public_key() {
    let repo = repository();
    let agent = SshAgent::start(&repo);
    let run = |words: &str, key: &str, socket: Option<&std::path::Path>| {
        let mut command = repo.program();
        command
            .args(words.split(' '))
            .arg(BOB)
            .arg("--signing-key")
            .arg(repo.path(&format!("{key}.pub")));
        if let Some(socket) = socket {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let output = command.output().unwrap();
        (output.status.code(), repo.shown(output.stderr))
    };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let public = key(&repo, kind, &["-t", kind]);
        assert_eq!(
            run("recipients add", kind, Some(&agent.1)),
            (
                Some(2),
                format!(
                    "error: cannot sign with `[ROOT]/{kind}.pub`\n  \
                     caused by: the ssh-agent does not have it\n\
                     hint: `ssh-add FILE` gives it the private key\n"
                )
            )
        );
        agent.add(&repo, kind);
        assert_eq!(
            run("recipients add", kind, Some(&agent.1)),
            (Some(0), String::new())
        );
        assert_eq!(
            run("recipients remove", kind, Some(&agent.1)),
            (Some(0), String::new())
        );
        assert_eq!(verdicts(&repo, &public, "-2"), "G ci\n".repeat(2), "{kind}");
    }
    assert_eq!(
        run("recipients add", "rsa", None).1,
        "error: cannot sign with `[ROOT]/rsa.pub`\n  \
         caused by: it is a public key, and there is no ssh-agent with the private one\n\
         hint: `ssh-agent` prints what to set, `ssh-add FILE` gives it the key; or name the private key\n"
    );
    assert_eq!(
        run("recipients add", "rsa", Some(&repo.path("nobody"))).1,
        "error: cannot sign with `[ROOT]/rsa.pub`\n  \
         caused by: cannot ask the ssh-agent\n  \
         caused by: cannot talk to `[ROOT]/nobody`\n  \
         caused by: No such file or directory\n\
         hint: SSH_AUTH_SOCK says where it listens: `ssh-add -l` asks it, too\n"
    );
}

#[test]
fn commits_name_the_run() {
    let repo = repository();
    let trailers = |variables: &[(&str, &str)]| {
        let output = repo
            .program()
            .args(["recipients", "add", BOB])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert_eq!(repo.shown(output.stdout), ADDED);
        let message = repo.git(&["log", "-1", "--format=%B"]);
        repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
        repo.tool("git", &["interpret-trailers", "--parse"], &message)
    };
    let github = [
        ("GITHUB_SERVER_URL", "https://github.test"),
        ("GITHUB_REPOSITORY", "me/certs"),
        ("GITHUB_RUN_ID", "7"),
    ];
    assert_eq!(
        trailers(&github),
        "Git-Certs-Run: https://github.test/me/certs/actions/runs/7\n"
    );
    assert_eq!(
        trailers(&[("CI_JOB_URL", "https://gitlab.test/me/certs/-/jobs/8")]),
        "Git-Certs-Run: https://gitlab.test/me/certs/-/jobs/8\n"
    );
    let (one, other) = (trailers(&[]), trailers(&[]));
    let id = one.strip_prefix("Git-Certs-Run: ").unwrap().trim_end();
    assert!(
        id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{one}"
    );
    assert_ne!(one, other);
}

#[test]
fn keys_that_cannot_sign_are_told() {
    let repo = repository();
    ed25519(&repo, "key");
    key(&repo, "locked", &["-t", "ed25519", "-N", "hunter2"]);
    repo.tool(
        "openssl",
        &["genpkey", "-algorithm", "ed25519", "-out", "pem"],
        "",
    );
    let text = fs::read_to_string(repo.path("key")).unwrap();
    fs::write(
        repo.path("half"),
        text.lines().take(3).collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    let refused = |name: &str, stderr: &str| {
        let words = format!("rekey --signing-key {}", repo.path(name).display());
        assert_eq!(repo.run(&words, "none"), Said::refused(stderr), "{name}");
    };
    refused(
        "none",
        "error: cannot read the SSH key `[ROOT]/none` of `--signing-key`\n  \
         caused by: No such file or directory\n\
         hint: a relative path starts at the current folder\n",
    );
    refused(
        "locked",
        "error: cannot sign with `[ROOT]/locked`\n  \
         caused by: a passphrase protects it\n\
         hint: let an ssh-agent have it (to sign commits, `--signing-key` names its `.pub` file); for CI, \
         `ssh-keygen -p -N '' -f COPY` takes the passphrase off a copy\n",
    );
    refused(
        "pem",
        "error: cannot sign with `[ROOT]/pem`\n  \
         caused by: it is not a private key of OpenSSH\n\
         hint: `ssh-keygen -t ed25519 -N '' -f FILE` makes one; `ssh-keygen -p -f FILE` converts one \
         that `openssl` made\n",
    );
    refused(
        "half",
        "error: cannot sign with `[ROOT]/half`\n  \
         caused by: it cannot be read\n  \
         caused by: PEM error in pre-encapsulation boundary\n\
         hint: the whole file is needed, with its first and last line and its line ends\n",
    );
    let said = |variable: Option<&str>, flag: Option<&str>| {
        let mut command = repo.program();
        command.arg("rekey");
        if let Some(text) = variable {
            command.env("GIT_CERTS_SIGNING_KEY", text);
        }
        if let Some(text) = flag {
            command.args(["--signing-key", text]);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        repo.shown(output.stderr)
    };
    assert_eq!(
        said(None, Some(&text)),
        "error: `--signing-key` holds a private key\n\
         hint: it takes the name of a file; the key itself goes into GIT_CERTS_SIGNING_KEY, as other \
         users of the machine see command lines\n"
    );
    let locked = fs::read_to_string(repo.path("locked")).unwrap();
    assert_eq!(
        said(Some(&locked), None),
        "error: cannot sign with the key in GIT_CERTS_SIGNING_KEY\n  \
         caused by: a passphrase protects it\n\
         hint: let an ssh-agent have it (to sign commits, `--signing-key` names its `.pub` file); for CI, \
         `ssh-keygen -p -N '' -f COPY` takes the passphrase off a copy\n"
    );
    let output = repo
        .program()
        .arg("rekey")
        .env("GIT_CERTS_SSH_KEY", "x")
        .output()
        .unwrap();
    assert_eq!(
        repo.shown(output.stderr),
        "error: cannot use the key in GIT_CERTS_SSH_KEY\n  \
         caused by: it is not a private key of OpenSSH\n\
         hint: `ssh-keygen -t ed25519 -N '' -f FILE` makes one; `ssh-keygen -p -f FILE` converts one \
         that `openssl` made\n"
    );
}

#[test]
fn allowed_signers_ask_for_a_signature_of_theirs() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    let other = ed25519(&repo, "other");
    allow(&repo, &public);
    let fingerprint = repo.tool("ssh-keygen", &["-l", "-f", "other.pub"], "");
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    fs::write(repo.path("bob"), BOB).unwrap();
    let add = |key: &str| {
        let mut command = repo.program();
        command.args(["recipients", "add", BOB]);
        if !key.is_empty() {
            command.arg("--signing-key").arg(repo.path(key));
        }
        let output = command.output().unwrap();
        (
            output.status.code(),
            repo.shown(output.stdout),
            repo.shown(output.stderr),
        )
    };
    let refused = |stderr: &str| (Some(2), String::new(), stderr.to_owned());
    assert_eq!(
        add(""),
        refused(
            "error: `.allowed_signers` asks for signed commits, and there is no key\n\
             hint: `--signing-key` names its file; in CI GIT_CERTS_SIGNING_KEY holds the key itself\n"
        )
    );
    assert_eq!(
        add("other"),
        refused(&format!(
            "error: the signing key `{fingerprint}` is not in `.allowed_signers`\n\
             hint: whoever may sign can add it: `git-certs@localhost namespaces=\"git\" {}`\n",
            other.trim_end()
        ))
    );
    assert_eq!(add("key"), (Some(0), ADDED.to_owned(), String::new()));
    assert_eq!(
        repo.run("verify --history", "none"),
        Said::done("3 commits, 4 files: 0 faults, 0 notes\n")
    );
}

#[test]
fn a_commit_that_nobody_trusted_has_signed_is_not_worked_on() {
    let mut repo = repository();
    let carol = repo.identity("carol");
    let public = ed25519(&repo, "trusted");
    let mallory = ed25519(&repo, "mallory");
    let list = repo.path("signers");
    fs::write(&list, format!("ci namespaces=\"git\" {public}")).unwrap();
    let list = list.display().to_string();
    let run = |words: &str| repo.run(&format!("{words} --allowed-signers {list}"), "alice");
    let refused = |fault: &str| {
        let tip = repo.git(&["rev-parse", "HEAD"]);
        Said::refused(&format!(
            "error: the last commit, `{}`, is not to be trusted\n  \
             caused by: {fault}\n\
             hint: `git show` says what it changes: if it is good, whoever may sign commits it again \
             (`git commit --amend --no-edit -S`); if not, somebody can push who should not\n",
            &tip[..10]
        ))
    };
    let key = repo.path("trusted").display().to_string();
    let add = format!("recipients add --signing-key {key} {carol}");
    assert_eq!(run(&add), refused("the commit is not signed"));
    commit_signed(&repo, "trusted");
    assert_eq!(run(&add), Said::done(ADDED));
    // Whoever can push can change the list beside certs.json, and sign with a key that it has then.
    allow(&repo, &mallory);
    commit_signed(&repo, "mallory");
    let fingerprint = repo.tool("ssh-keygen", &["-l", "-f", "mallory.pub"], "");
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let stranger = format!(
        "the key `{fingerprint}` may not sign: it is not in `--allowed-signers`, or not for that time"
    );
    for words in [
        "rekey",
        "renew",
        "plan",
        "recipients remove age1none",
        "import",
    ] {
        assert_eq!(run(words), refused(&stranger), "{words}");
    }
    let folder = repo.path("plain");
    fs::create_dir(&folder).unwrap();
    assert_eq!(
        run(&format!("rekey --dir {}", folder.display())),
        Said::refused(
            "error: this folder is in no git repository: nobody has signed what is in it\n"
        )
    );
}

/// The faults of signatures that `verify --history` finds: commits, and what is said of them.
fn faults(repo: &CertRepo, words: &str) -> Vec<String> {
    let said = repo.run(&format!("verify --format json {words}"), "none");
    assert_eq!(said.stderr, "");
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let all = found["findings"].as_array().unwrap();
    assert_eq!(said.code, Some(i32::from(!all.is_empty())));
    let subject = |id: &str| {
        repo.git(&["log", "-1", "--format=%s", id])
            .trim_end()
            .to_owned()
    };
    all.iter()
        .map(|finding| {
            assert_eq!(finding["path"], serde_json::Value::Null);
            let commit = subject(finding["commit"].as_str().unwrap());
            format!("{commit}: {}", finding["what"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn commits_that_nobody_signed_who_may_are_found() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    let other = ed25519(&repo, "other");
    allow(&repo, &public);
    assert_eq!(faults(&repo, "--history"), [""; 0]);
    let unsigned = repo.commit("unsigned");
    let said = repo.run("verify", "none");
    assert_eq!(
        (said.code, said.stdout),
        (
            Some(1),
            format!(
                "fault  the signature in {unsigned}: the commit is not signed\n       \
                 `git show` says what it changes: if it is good, whoever may sign commits it again \
                 (`git commit --amend --no-edit -S`); if not, somebody can push who should not\n\n\
                 1 commit, 3 files: 1 fault, 0 notes\n"
            )
        )
    );

    // Nobody can allow himself, nor take the list away.
    repo.put(".allowed_signers", format!("ci {public}\nme {other}"));
    commit_signed(&repo, "other");
    let fingerprint = repo.tool("ssh-keygen", &["-l", "-f", "other.pub"], "");
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    let not_allowed = format!(
        "by hand: the key `{fingerprint}` may not sign: it is not in `.allowed_signers`, or not for that time"
    );
    assert_eq!(
        faults(&repo, "--history"),
        ["unsigned: the commit is not signed", &not_allowed]
    );
    repo.remove(".allowed_signers");
    repo.commit("taken away");
    assert_eq!(
        faults(&repo, "--history"),
        [
            "unsigned: the commit is not signed",
            &not_allowed,
            "taken away: the commit is not signed"
        ]
    );

    // Another list counts instead, for all commits.
    let list = repo.path("list");
    fs::write(&list, format!("me {other}")).unwrap();
    let words = format!("--history --allowed-signers {}", list.display());
    assert_eq!(
        faults(&repo, &words),
        ["first", "allow", "unsigned", "taken away"]
            .map(|commit| format!("{commit}: the commit is not signed"))
    );
    fs::write(&list, "me\n").unwrap();
    assert_eq!(
        repo.run(&format!("verify {words}"), "none"),
        Said::refused(
            "error: `[ROOT]/list` line 1 names no signer\n  \
             caused by: it has no public key that can be read\n\
             hint: a line is `ci@example.com namespaces=\"git\" ssh-ed25519 AAAA...`, with the public \
             key of who signs\n"
        )
    );
}

#[test]
fn forged_signatures_are_found() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    allow(&repo, &public);
    commit_signed(&repo, "key");
    assert_eq!(faults(&repo, "--history"), [""; 0]);
    let good = repo.git(&["cat-file", "commit", "HEAD"]);
    let store = |text: &str| {
        fs::write(repo.path("object"), text).unwrap();
        let object = repo.path("object");
        let words = [
            "hash-object",
            "-t",
            "commit",
            "-w",
            object.to_str().unwrap(),
        ];
        let id = repo.git(&words);
        repo.git(&["reset", "--quiet", "--hard", id.trim_end()]);
    };
    let fault = |what: &str| assert_eq!(faults(&repo, "--history"), [format!("by hand: {what}")]);

    store(&good.replace("author Test", "author Evil"));
    fault("its signature does not fit: it was changed after it was signed");

    // Good, but for a file: somebody was made to sign something else.
    let (head, message) = good.split_once("\n\n").unwrap();
    let unsigned = format!("{}\n\n{message}", head.split_once("\ngpgsig ").unwrap().0);
    fs::write(repo.path("text"), &unsigned).unwrap();
    let sign = |namespace: &str| {
        let _ = fs::remove_file(repo.path("text.sig"));
        let words = ["-Y", "sign", "-n", namespace, "-f", "key", "text"];
        repo.tool("ssh-keygen", &words, "");
        let signature = fs::read_to_string(repo.path("text.sig")).unwrap();
        signature.trim_end().replace('\n', "\n ")
    };
    let (head, message) = unsigned.split_once("\n\n").unwrap();
    let with = |signature: &str| format!("{head}\ngpgsig {signature}\n\n{message}");
    store(&with(&sign("file")));
    fault("its signature is not one for git");
    store(&with(&sign("git")));
    assert_eq!(faults(&repo, "--history"), [""; 0]);
    store(&with(
        "-----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----",
    ));
    fault("its signature is damaged");
    store(&with(
        "-----BEGIN PGP SIGNATURE-----\n AAAA\n -----END PGP SIGNATURE-----",
    ));
    fault("it is not signed with an SSH key");
}

#[test]
fn what_is_merged_counts_and_what_is_not_does_not() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    repo.git(&["branch", "before"]);
    allow(&repo, &public);
    repo.git(&["checkout", "--quiet", "-b", "side"]);
    repo.commit("on a side branch");
    repo.git(&["checkout", "--quiet", "main"]);
    assert_eq!(faults(&repo, "--history"), [""; 0]);
    // The first parent knows no list: the other one counts.
    repo.git(&["checkout", "--quiet", "before"]);
    repo.git(&["merge", "--quiet", "--no-ff", "-m", "merge", "main"]);
    assert_eq!(
        faults(&repo, "--history"),
        ["merge: the commit is not signed"]
    );
}

#[test]
fn a_folder_below_the_top_has_its_own_signers() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    repo.put("below/certs.json", "[]");
    repo.put("below/.allowed_signers", format!("ci {public}"));
    repo.commit("allow");
    repo.put("elsewhere", "x");
    repo.commit("elsewhere");
    assert_eq!(faults(&repo, "--history --dir below"), [""; 0]);
    repo.put("below/certs.json", "[ ]");
    repo.commit("below");
    assert_eq!(
        faults(&repo, "--history --dir below"),
        ["below: the commit is not signed"]
    );
}

#[test]
fn a_shallow_clone_is_measured_by_its_own_list() {
    let repo = repository();
    let public = ed25519(&repo, "key");
    allow(&repo, &public);
    repo.commit("unsigned");
    let url = format!("file://{}", repo.path("certs").display());
    let said = repo.run(&format!("verify --format json --repo {url}"), "none");
    assert_eq!(said.code, Some(1));
    assert!(
        said.stdout.contains("\"the commit is not signed\""),
        "{}",
        said.stdout
    );
}

#[test]
fn a_list_that_cannot_be_read_is_a_fault() {
    let repo = repository();
    repo.put(".allowed_signers", "ci\n");
    let broken = repo.commit("broken");
    let signed = repo.commit("on it");
    let hint = "`git show` says what it changes: if it is good, whoever may sign commits it again \
                (`git commit --amend --no-edit -S`); if not, somebody can push who should not";
    let said = repo.run("verify --history", "none");
    assert_eq!(
        said.stdout,
        format!(
            "fault  .allowed_signers in {broken}: `.allowed_signers` line 1 names no signer: it has no public key that can be read\n       \
             take it from an older commit\n\
             fault  the signature in {signed}: the commit is not signed\n       {hint}\n\n\
             3 commits, 3 files: 2 faults, 0 notes\n"
        )
    );
}
