//! `export` for jobs: a command that gets the files for as long as it runs, and what has changed since a commit.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use crate::export::repo;
use crate::support::cert_repo::CertRepo;
use crate::support::folders::Said;

/// Exports `www` for a script.
fn job(repo: &CertRepo, options: &[&str], script: &str) -> Command {
    let mut command = repo.program();
    command
        .args(["export", "www"])
        .args(options)
        .args(["--", "sh", "-c", script])
        .env("GIT_CERTS_AGE_KEY_FILE", repo.path("alice"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(repo: &CertRepo, options: &[&str], script: &str) -> Said {
    let output = job(repo, options, script).output().unwrap();
    Said {
        code: output.status.code(),
        stdout: repo.shown(output.stdout),
        stderr: repo.shown(output.stderr),
    }
}

/// Names in the folder for temporary ones.
fn left(repo: &CertRepo) -> Vec<PathBuf> {
    let entries = fs::read_dir(repo.path("tmp")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_command_has_the_files_and_its_exit_code_is_passed_on() {
    let (repo, _) = repo();
    let script = r#"stat -c '%a %n' "$GIT_CERTS_EXPORT_DIR" "$GIT_CERTS_EXPORT_DIR"/* | sed 's,/.*/,,'
        openssl pkey -noout -in "$GIT_CERTS_EXPORT_DIR/www.key" && echo good
        echo heard >&2; exit 42"#;
    assert_eq!(
        run(&repo, &[], script),
        Said {
            code: Some(42),
            stdout:
                "700 export\n600 www.cert.pem\n600 www.chain.pem\n600 www.crt\n600 www.key\ngood\n"
                    .to_owned(),
            stderr: "heard\n".to_owned(),
        }
    );
    assert!(left(&repo).is_empty());
    assert_eq!(run(&repo, &[], "kill -9 $$").code, Some(137));
    let said = repo.run("export www -- no-such-program", "alice");
    assert_eq!(
        said,
        Said::refused(
            "error: cannot run `no-such-program`\n  \
             caused by: No such file or directory\n\
             hint: after `--` comes a program, which is looked for on PATH, and its arguments\n"
        )
    );
    assert!(left(&repo).is_empty());
}

#[test]
fn no_secret_of_ours_is_in_the_environment_or_the_arguments_of_the_command() {
    let (repo, _) = repo();
    let identity = fs::read_to_string(repo.path("alice")).unwrap();
    let ours = ["AGE_KEY", "TOKEN", "DNS_TOKEN", "EXPORT_PASSWORD"];
    let script = "tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' '\\n' < /proc/$PPID/cmdline";
    let mut command = job(&repo, &["--format", "pkcs12"], script);
    command
        .env_remove("GIT_CERTS_AGE_KEY_FILE")
        .env("DEPLOY_TOKEN", "of-the-job");
    for name in ours {
        let secret = if name == "AGE_KEY" {
            &identity
        } else {
            "planted secret"
        };
        command.env(format!("GIT_CERTS_{name}"), secret);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("DEPLOY_TOKEN=of-the-job\n"), "{said}");
    assert!(said.contains("GIT_CERTS_EXPORT_DIR=/"), "{said}");
    assert!(
        !said.contains("planted secret") && !said.contains("AGE-SECRET-KEY"),
        "{said}"
    );
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

/// A job whose script has said `ready`, and the folder that it was given.
struct Started {
    child: Child,
    folder: PathBuf,
}

impl Started {
    fn new(repo: &CertRepo, script: &str) -> Self {
        let script =
            format!("{script}\necho \"$GIT_CERTS_EXPORT_DIR\"; while :; do sleep 0.05; done");
        let mut child = job(repo, &[], &script)
            // As in CI: no terminal, and a group of its own.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let folder = PathBuf::from(line.trim());
        assert!(folder.join("www.key").exists(), "{line}");
        Self { child, folder }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_mins(1), "it does not end");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

#[test]
fn signals_are_passed_on_and_the_files_go() {
    let (repo, _) = repo();
    for name in ["INT", "TERM", "HUP"] {
        let mut started = Started::new(&repo, &format!("trap 'exit 7' {name}"));
        started.signal(name);
        assert_eq!(started.ended().code(), Some(7), "{name}");
        assert!(left(&repo).is_empty(), "{name}");
        // One that does not listen is ended by it.
        let mut started = Started::new(&repo, "");
        started.signal(name);
        let number = match name {
            "INT" => 2,
            "TERM" => 15,
            _ => 1,
        };
        assert_eq!(started.ended().code(), Some(128 + number), "{name}");
    }
}

#[test]
fn a_command_that_does_not_stop_loses_the_files() {
    let (repo, _) = repo();
    let script = "trap '' TERM\n\
                  (until [ ! -e \"$GIT_CERTS_EXPORT_DIR\" ]; do sleep 0.05; done; kill -s USR1 $$) &\n\
                  trap 'exit 3' USR1";
    let mut started = Started::new(&repo, script);
    let start = Instant::now();
    started.signal("TERM");
    assert_eq!(started.ended().code(), Some(3));
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(4), "{took:?}");
    assert!(left(&repo).is_empty());
}

#[test]
fn what_a_killed_run_left_goes_at_the_next_start() {
    let (repo, _) = repo();
    let mut started = Started::new(&repo, "");
    started.signal("STOP");
    // The script would live on.
    let script = Command::new("pkill")
        .args(["-KILL", "-P", &started.child.id().to_string()])
        .status();
    assert!(script.unwrap().success());
    started.signal("KILL");
    started.ended();
    assert!(started.folder.join("www.key").exists());
    repo.run("recipients list", "none");
    assert!(!started.folder.exists());
    assert!(left(&repo).is_empty());
}

#[test]
fn with_a_folder_the_command_runs_where_something_has_changed() {
    let (repo, _) = repo();
    let out = repo.path("out").display().to_string();
    let options = ["--format", "haproxy", "--to", &out];
    let script = r#"echo "reloaded: $GIT_CERTS_EXPORT_DIR""#;
    assert_eq!(
        run(&repo, &options, script),
        Said::done("written    [ROOT]/out/www.pem\nreloaded: [ROOT]/out\n")
    );
    assert_eq!(
        run(&repo, &options, script),
        Said::done("unchanged  [ROOT]/out/www.pem\n")
    );
    // One that failed is tried again, until it has succeeded.
    renewed(&repo);
    let failed = |first: &str| Said {
        code: Some(3),
        stdout: format!("{first}  [ROOT]/out/www.pem\n"),
        stderr: String::new(),
    };
    assert_eq!(run(&repo, &options, "exit 3"), failed("written  "));
    assert_eq!(run(&repo, &options, "exit 3"), failed("unchanged"));
    assert_eq!(
        run(&repo, &options, script),
        Said::done("unchanged  [ROOT]/out/www.pem\nreloaded: [ROOT]/out\n")
    );
    assert_eq!(
        run(&repo, &options, script),
        Said::done("unchanged  [ROOT]/out/www.pem\n")
    );
    // Nobody knows whether that was another command, or the first one put right.
    assert_eq!(run(&repo, &options, "exit 3"), failed("unchanged"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn a_command_that_failed_is_forgotten_by_no_other_export() {
    let (repo, _) = repo();
    let out = repo.path("out").display().to_string();
    let export = |words: &str, script: &str| {
        let words = format!("{words} --format haproxy --to {out}");
        let mut command = repo.program();
        let command = command
            .arg("export")
            .args(words.split(' '))
            .args(["--", "sh", "-c", script]);
        command.env("GIT_CERTS_AGE_KEY_FILE", repo.path("alice"));
        let output = command.output().unwrap();
        Said {
            code: output.status.code(),
            stdout: repo.shown(output.stdout),
            stderr: repo.shown(output.stderr),
        }
    };
    let www = |first: &str, then: &str| format!("{first}  [ROOT]/out/www.pem\n{then}");
    let mail = |first: &str, then: &str| format!("{first}  [ROOT]/out/mail_1.pem\n{then}");
    let reload = "test -e ../good && echo reloaded";
    let failed = |stdout: String| Said {
        code: Some(1),
        stdout,
        stderr: String::new(),
    };
    assert_eq!(export("www", reload), failed(www("written  ", "")));
    // Another export to the same folder, with a command of its own.
    let done = mail("written  ", "mail\n");
    assert_eq!(export("mail_1", "echo mail"), Said::done(&done));
    let done = mail("unchanged", "");
    assert_eq!(export("mail_1", "echo mail"), Said::done(&done));
    assert_eq!(export("www", reload), failed(www("unchanged", "")));
    // Nothing has changed in the repository since, but the command has not succeeded.
    let since = "www --only-changed-since HEAD";
    let nothing = "nothing has changed since `HEAD`\n".to_owned();
    let again = Said {
        stderr: nothing.clone(),
        ..failed(String::new())
    };
    assert_eq!(export(since, reload), again);
    fs::write(repo.path("good"), "").unwrap();
    let good = |stdout: &str| Said {
        stderr: nothing.clone(),
        ..Said::done(stdout)
    };
    assert_eq!(export(since, reload), good("reloaded\n"));
    assert_eq!(export(since, reload), good(""));
    assert_eq!(export("www", reload), Said::done(&www("unchanged", "")));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
}

#[test]
fn a_slow_command_does_not_count_for_files_that_came_meanwhile() {
    let (repo, _) = repo();
    let out = repo.path("out").display().to_string();
    let options = ["--format", "haproxy", "--to", &out];
    let script = "case $RUN in\n\
                  slow) echo begun; until [ -e ../go ]; do sleep 0.05; done;;\n\
                  bad) exit 1;;\n\
                  *) echo deployed;;\n\
                  esac";
    let run = |which: &str| {
        let output = job(&repo, &options, script).env("RUN", which).output();
        let output = output.unwrap();
        (output.status.code(), repo.shown(output.stdout))
    };
    let mut slow = job(&repo, &options, script)
        .env("RUN", "slow")
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(slow.stdout.take().unwrap()).lines();
    let begun = lines.find(|line| line.as_ref().unwrap() == "begun");
    assert!(begun.is_some());
    renewed(&repo);
    let www = |first: &str, then: &str| format!("{first}  [ROOT]/out/www.pem\n{then}");
    assert_eq!(run("bad"), (Some(1), www("written  ", "")));
    fs::write(repo.path("go"), "").unwrap();
    assert_eq!(slow.wait().unwrap().code(), Some(0));
    assert_eq!(run("good"), (Some(0), www("unchanged", "deployed\n")));
    assert_eq!(run("good"), (Some(0), www("unchanged", "")));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn a_mark_that_says_nothing_stops_no_export() {
    let (repo, _) = repo();
    let out = repo.path("out").display().to_string();
    let options = ["--format", "haproxy", "--to", &out];
    assert_eq!(run(&repo, &options, "exit 1").code, Some(1));
    let mark = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_none_or(|end| end != "pem"))
        .unwrap();
    let line = "waits 0123456789abcdef 0123456789abcdef\n";
    fs::write(&mark, line.repeat(2000)).unwrap();
    fs::remove_file(repo.path("out/www.pem")).unwrap();
    let done = "written    [ROOT]/out/www.pem\ndeployed\n";
    assert_eq!(run(&repo, &options, "echo deployed"), Said::done(done));
    assert!(!mark.exists());
    // What cannot be replaced is told before anything is written.
    let shown = repo.shown(mark.display().to_string().into_bytes());
    let refused = Said::refused(&format!(
        "error: `{shown}` is not a file, and stands where a mark of git-certs would be\n\
         hint: remove `{shown}`\n"
    ));
    fs::remove_file(repo.path("out/www.pem")).unwrap();
    fs::create_dir(&mark).unwrap();
    assert_eq!(run(&repo, &options, "echo deployed"), refused);
    fs::remove_dir(&mark).unwrap();
    let made = Command::new("mkfifo").arg(&mark).status();
    assert!(made.unwrap().success());
    assert_eq!(run(&repo, &options, "echo deployed"), refused);
    fs::remove_file(&mark).unwrap();
    assert_eq!(run(&repo, &options, "echo deployed"), Said::done(done));
}

/// Another key and certificate for `www`; returns the commit before.
fn renewed(repo: &CertRepo) -> String {
    let before = repo.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let alice = repo.read(".age-recipients");
    repo.certificate("www", &[alice.trim()]);
    repo.commit("renewed");
    before
}

#[test]
fn only_what_has_changed_since_a_commit_is_exported() {
    let (repo, _) = repo();
    let before = renewed(&repo);
    let export = |words: &str, since: &str| {
        let out = repo.path("out").display().to_string();
        let words =
            format!("export {words} --format haproxy --to {out} --only-changed-since {since}");
        let said = repo.run(&words, "alice");
        drop(fs::remove_dir_all(out));
        said
    };
    let both = Said::done("written    [ROOT]/out/mail_1.pem\nwritten    [ROOT]/out/www.pem\n");
    let www = Said::done("written    [ROOT]/out/www.pem\n");
    assert_eq!(export("--all", &before), www);
    assert_eq!(export("--all", "HEAD~1"), www);
    assert_eq!(export("www mail_1", &before), www);
    assert_eq!(export("--all", &"0".repeat(40)), both);
    let nothing = |since: &str| Said {
        stderr: format!("nothing has changed since `{since}`\n"),
        ..Said::done("")
    };
    assert_eq!(export("mail_1", &before), nothing(&before));
    assert_eq!(export("--all", "main"), nothing("main"));
    // Rekeying changes no certificate.
    repo.git(&["rm", "-q", "--cached", "certificates/www/www.key.age"]);
    repo.commit("the same key");
    assert_eq!(export("--all", "HEAD~1"), nothing("HEAD~1"));
    // The command is not run then.
    assert_eq!(
        run(&repo, &["--only-changed-since", "HEAD"], "echo it ran"),
        nothing("HEAD")
    );
    assert_eq!(
        export("--all", "no-such-commit"),
        Said::refused(
            "error: there is no commit `no-such-commit` here\n\
             hint: `--only-changed-since` takes a commit, a branch or a tag\n"
        )
    );
    // A checkout of one commit alone.
    let url = format!("file://{}", repo.path("certs").display());
    repo.tool("git", &["clone", "-q", "--depth=1", &url, "shallow"], "");
    let shallow = repo.path("shallow").display().to_string();
    assert_eq!(
        repo.run(
            &format!("export --all --stdout --dir {shallow} --only-changed-since {before}"),
            "alice"
        ),
        Said::refused(&format!(
            "error: there is no commit `{before}` here\n\
             hint: this is a shallow clone: `actions/checkout` brings all commits with `fetch-depth: 0`, GitLab with `GIT_DEPTH: 0`\n"
        ))
    );
    // A folder that git knows nothing of.
    repo.tool("cp", &["-r", "certs/certificates", "plain"], "");
    fs::create_dir(repo.path("folder")).unwrap();
    fs::rename(repo.path("plain"), repo.path("folder/certificates")).unwrap();
    let folder = repo.path("folder").display().to_string();
    assert_eq!(
        repo.run(
            &format!("export --all --stdout --dir {folder} --only-changed-since {before}"),
            "alice"
        ),
        Said::refused(&format!(
            "error: this folder is in no git repository, so nothing is known of `{before}`\n\
             hint: leave `--only-changed-since` out, or name a repository with `--repo`\n"
        ))
    );
}

#[test]
fn a_clone_fetches_the_commit_that_it_compares_with() {
    let (repo, _) = repo();
    let before = renewed(&repo);
    repo.put("README", "later");
    repo.commit("later");
    let certs = repo.path("certs").display().to_string();
    let export = |since: &str| {
        let words = format!(
            "export --all --format haproxy --to {} --repo {certs} --only-changed-since {since}",
            repo.path("out").display()
        );
        let said = repo.run(&words, "alice");
        drop(fs::remove_dir_all(repo.path("out")));
        said
    };
    // As forges do.
    repo.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    assert_eq!(
        export(&before),
        Said::done("written    [ROOT]/out/www.pem\n")
    );
    let tip = repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        export(tip.trim()).stderr,
        format!("nothing has changed since `{}`\n", tip.trim())
    );
    assert_eq!(export(&"0".repeat(40)).stdout.lines().count(), 2);
    assert_eq!(
        export("HEAD~1"),
        Said::refused(
            "error: `HEAD~1` is not the whole id of a commit\n\
             hint: with `--repo` only the newest commit is here, so `--only-changed-since` takes all 40 digits\n"
        )
    );
    let unknown = "1".repeat(40);
    let said = export(&unknown);
    assert_eq!((said.code, said.stdout), (Some(2), String::new()));
    assert!(
        said.stderr.starts_with(&format!(
            "error: cannot fetch commit `{unknown}`\n  caused by: cannot read `[ROOT]/certs`"
        )),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.ends_with(
            "\nhint: the server may not have it any more, or gives no commits that no branch is at \
             (`uploadpack.allowReachableSHA1InWant`): leave `--only-changed-since` out, or run in a full checkout\n"
        ),
        "{}",
        said.stderr
    );
    // Whatever the working folder is, keys do not go into a repository.
    assert_eq!(
        repo.run(
            &format!("export www --repo {certs} --to {certs}/out"),
            "alice"
        ),
        Said::refused(
            "error: `[ROOT]/certs/out/www.crt` is in a git repository, where keys in plain text would be committed\n\
             hint: name a folder outside of it, or one that its .gitignore lists\n"
        )
    );
}
