//! Runs in the user's own checkout, and in a folder without git.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly, assert_valid, at, orders};
use crate::support::repos::{Files, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

const NEW_FILES: [&str; 5] = [
    ".letsencrypt/acme.test/account.json",
    ".letsencrypt/acme.test/account.key.age",
    "certificates/www/www.crt",
    "certificates/www/www.json",
    "certificates/www/www.key.age",
];

fn nightly() -> Nightly {
    Nightly::with(
        Lab::builder().bind().pebble().start(),
        WANTED,
        |files, _| files.with("notes", "first\n").with("other", "first\n"),
    )
}

/// A checkout of the user's, who has changed one file, staged another and left a third.
fn checkout(nightly: &Nightly) -> PathBuf {
    let Nightly { lab, certs, .. } = nightly;
    let folder = lab.folder().join("mine");
    let url = certs.url(Transport::Path);
    let home = lab.folder().join("home");
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    fs::write(folder.join("notes"), "changed\n").unwrap();
    fs::write(folder.join("other"), "staged\n").unwrap();
    fs::write(folder.join("staged"), "new\n").unwrap();
    fs::write(folder.join("untracked"), "new\n").unwrap();
    lab.git(&folder, &["add", "other", "staged"]);
    folder
}

const STATUS: &str = " M notes\nM  other\nA  staged\n?? untracked\n";

fn status(lab: &Lab, folder: &Path) -> String {
    lab.git(folder, &["status", "--porcelain"]).stdout
}

/// `git certs ARGS` as git finds it: by the program's name on PATH.
fn in_place(nightly: &Nightly, folder: &Path, args: &[&str]) -> Command {
    let words = [&["renew"], args].concat();
    nightly
        .command(&words)
        .env("GIT_CERTS_REPO", "")
        .folder(folder)
}

#[test]
fn a_checkout_is_worked_in_and_what_the_user_does_there_stays() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    let path = format!(
        "{}:/usr/bin:/bin",
        Path::new(env!("CARGO_BIN_EXE_git-certs"))
            .parent()
            .unwrap()
            .display()
    );
    let mut command = lab
        .command("git")
        .args(["certs", "renew"])
        .env("PATH", path);
    for (name, value) in crate::support::repos::variables(lab) {
        command = command.env(name, value);
    }
    let output = command
        .env("GIT_CERTS_CA_BUNDLE", lab.ca())
        .env("GIT_CERTS_ACME", crate::support::pebble::DIRECTORY)
        .env("GIT_CERTS_AGREE_TOS", "1")
        .env("GIT_CERTS_DNS_REPO", nightly.dns.url(Transport::Path))
        .env("GIT_CERTS_AGE_KEY_FILE", &nightly.identity.file)
        .folder(&folder)
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    assert_eq!(status(lab, &folder), STATUS);
    for file in NEW_FILES {
        assert_eq!(
            fs::read_to_string(folder.join(file)).unwrap(),
            certs.show(lab, file)
        );
    }
    assert_eq!(certs.show(lab, "other"), "first\n");
    assert!(!certs.files(lab).contains(&"staged".to_owned()));
    let tips = lab.git(&folder, &["rev-parse", "HEAD", "main", "origin/main"]);
    let server = lab.git(&certs.folder, &["rev-parse", "main"]).stdout;
    assert_eq!(tips.stdout, server.repeat(3));
    let branch = lab.git(&folder, &["symbolic-ref", "--short", "HEAD"]);
    assert_eq!(branch.stdout, "main\n");
    nightly.assert_valid("www");

    let again = in_place(&nightly, &folder, &[]).run().expect_code(0);
    assert!(
        again.stdout.starts_with("nothing is due"),
        "{}",
        again.stdout
    );
    assert_eq!(again.stderr.lines().count(), 1, "{}", again.stderr);
    assert_eq!(status(lab, &folder), STATUS);
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn a_checkout_has_one_run_at_a_time() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    let gate = Gate::new(lab);
    let first = gate
        .at("before add ddns", in_place(&nightly, &folder, &[]))
        .spawn();
    gate.wait();
    let second = in_place(&nightly, &folder, &[]).run().expect_code(2);
    assert_eq!(
        second.normal_stderr(),
        "error: another run of git-certs works in `[LAB]/mine`\n\
         hint: wait until it has ended; what it does is kept\n"
    );
    // Looking is allowed.
    nightly
        .command(&["plan", "--no-dns"])
        .env("GIT_CERTS_REPO", "")
        .folder(&folder)
        .run()
        .expect_code(0);
    gate.open();
    first.wait().expect_code(0);
    assert_eq!(status(lab, &folder), STATUS);
    assert_eq!(certs.subjects(lab).len(), 3);
}

#[test]
fn what_an_earlier_run_could_not_push_the_next_one_pushes() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    // The account is there before.
    let run = || in_place(&nightly, &folder, &["--only", "www"]);
    run().succeed();
    in_place(&nightly, &folder, &["--renew", "1000", "--no-push"]).succeed();
    let refused = certs.refuse_pushes();
    let behind = certs.tip(lab);
    let again = run().run().expect_code(2);
    assert!(
        again.stderr.contains("this branch is protected"),
        "{}",
        again.stderr
    );
    fs::remove_file(refused).unwrap();
    let output = run().succeed();
    assert!(
        output
            .stderr
            .contains("\nan earlier run has left 1 commit that the server lacks\n"),
        "{}",
        output.stderr
    );
    assert!(
        output.stdout.starts_with("nothing is due"),
        "{}",
        output.stdout
    );
    let here = lab
        .git(&folder, &["rev-parse", "HEAD", "origin/main"])
        .stdout;
    let tip = certs.tip(lab);
    assert_ne!(tip, behind);
    assert_eq!(here, format!("{tip}\n{tip}\n"));
    assert_eq!(status(lab, &folder), STATUS);
    assert!(!run().succeed().stderr.contains("earlier run"));
    // What is the user's own, the user pushes.
    let mine = |message: &str| {
        lab.git(
            &folder,
            &["commit", "--quiet", "--allow-empty", "--message", message],
        )
    };
    mine("Git-Certs-Run is nothing that I say");
    assert!(!run().succeed().stderr.contains("earlier run"));
    mine("mine\n\nGit-Certs-Run: no");
    let output = run().succeed();
    assert!(
        output.stderr.contains(
            "\nwarning: an earlier run has left 1 commit that the server lacks, beside 1 commit of yours: \
             `git push` brings them there\n"
        ),
        "{}",
        output.stderr
    );
    assert_eq!(certs.tip(lab), tip);
}

#[test]
fn without_a_push_the_commits_stay_here() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    // Not even a trial push is made: the branch may be protected.
    certs.refuse_pushes();
    let output = in_place(&nightly, &folder, &["--no-push"])
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 0 up to date\n"
    );
    assert_eq!(certs.subjects(lab), ["files of the test"]);
    assert_eq!(
        lab.git(&folder, &["log", "--format=%s"]).stdout,
        "Issue www: not in the repository\n\
         Register an ACME account at acme.test\n\
         files of the test\n"
    );
    assert_eq!(status(lab, &folder), STATUS);

    // The next run that may push brings them along.
    fs::remove_file(certs.folder.join("hooks/update")).unwrap();
    let output = in_place(&nightly, &folder, &["--renew", "1000"])
        .run()
        .expect_code(0);
    assert!(
        output.stdout.ends_with("pushed 3 commits to `main`\n"),
        "{}",
        output.stdout
    );
    assert_eq!(certs.subjects(lab).len(), 4);
    assert_eq!(status(lab, &folder), STATUS);
}

#[test]
fn a_folder_below_the_top_is_a_cert_repository_of_its_own() {
    let nightly = nightly();
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let folder = checkout(&nightly);
    let below = folder.join("customers/one");
    Files::certificates(&[("one", &["one.bench.test"])], &[&identity.recipient]).write(&below);
    in_place(&nightly, &folder, &["--dir", "customers/one"])
        .run()
        .expect_code(0);
    let files = certs.files(lab);
    assert!(
        files.contains(&"customers/one/certificates/one/one.key.age".to_owned()),
        "{files:?}"
    );
    assert!(!files.contains(&"customers/one/certs.json".to_owned()));
    assert_eq!(
        status(lab, &folder),
        format!("{STATUS}?? customers/one/.age-recipients\n?? customers/one/certs.json\n")
            .replace("?? untracked\n", "")
            + "?? untracked\n"
    );
}

#[test]
fn a_detached_head_needs_a_branch_to_push_to() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    // As CI systems check out.
    lab.git(&folder, &["checkout", "--quiet", "--detach"]);
    let refused = in_place(&nightly, &folder, &[]).run().expect_code(2);
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.contains("--branch"), "{}", refused.stderr);
    assert_eq!(nightly.requests(), [""; 0]);

    let output = in_place(&nightly, &folder, &["--branch", "main"])
        .run()
        .expect_code(0);
    assert!(
        output.stdout.ends_with("pushed 1 commit to `main`\n"),
        "{}",
        output.stdout
    );
    assert_eq!(status(lab, &folder), STATUS);
    let head = lab.git(&folder, &["rev-parse", "HEAD"]).stdout;
    assert_eq!(lab.git(&certs.folder, &["rev-parse", "main"]).stdout, head);
    nightly.assert_valid("www");
}

#[test]
fn a_checkout_follows_when_another_push_came_first() {
    let wanted: &[(&str, &[&str])] = &[("files", &["files.test"])];
    let nightly = Nightly::with(
        Lab::builder().bind().pebble().start(),
        wanted,
        |files, _| files.with("notes", "first\n").with("other", "first\n"),
    );
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    let gate = Gate::new(lab);
    let run = gate.reload(in_place(&nightly, &folder, &[])).spawn();
    gate.wait();
    Files::default()
        .with("theirs", "1\n")
        .commit(lab, certs, "theirs");
    gate.open();
    run.wait().expect_code(0);
    assert_eq!(
        certs.subjects(lab),
        [
            "Issue files: not in the repository",
            "theirs",
            "Register an ACME account at acme.test",
            "files of the test",
        ]
    );
    assert_eq!(status(lab, &folder), STATUS);
    assert_eq!(fs::read_to_string(folder.join("theirs")).unwrap(), "1\n");
    let tips = lab
        .git(&folder, &["rev-parse", "HEAD", "origin/main"])
        .stdout;
    assert_eq!(
        tips,
        lab.git(&certs.folder, &["rev-parse", "main"])
            .stdout
            .repeat(2)
    );
}

#[test]
fn a_repository_without_a_remote_gets_commits() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let folder = checkout(&nightly);
    lab.git(&folder, &["remote", "remove", "origin"]);
    let output = in_place(&nightly, &folder, &[]).run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 0 up to date\n"
    );
    assert!(
        output.stderr.contains("there is no remote to push to"),
        "{}",
        output.stderr
    );
    assert_eq!(
        lab.git(&folder, &["log", "--format=%s"]).stdout,
        "Issue www: not in the repository\n\
         Register an ACME account at acme.test\n\
         files of the test\n"
    );
    assert_eq!(status(lab, &folder), STATUS);
}

#[test]
fn a_folder_without_git_gets_files() {
    let nightly = nightly();
    let Nightly { lab, identity, .. } = &nightly;
    let folder = lab.folder().join("plain");
    Files::certificates(WANTED, &[&identity.recipient]).write(&folder);
    let dns = nightly.dns.url(Transport::Path);
    let run = || {
        nightly
            .command(&[
                "renew",
                "--dir",
                folder.to_str().unwrap(),
                "--dns-repo",
                &dns,
            ])
            .env("GIT_CERTS_REPO", "")
            .run()
            .expect_code(0)
    };
    let output = run();
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE]\n\n\
         1 issued, 0 failed, 0 up to date\n"
    );
    let mut files: Vec<_> = lab
        .command("find")
        .args([".", "-type", "f"])
        .folder(&folder)
        .succeed()
        .stdout
        .lines()
        .map(|path| path[2..].to_owned())
        .collect();
    files.sort();
    let mut expected = NEW_FILES.map(str::to_owned).to_vec();
    expected.extend([".age-recipients".to_owned(), "certs.json".to_owned()]);
    expected.sort();
    assert_eq!(files, expected);
    let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let chain = text("certificates/www/www.crt");
    assert_valid(lab, &chain, &text("certificates/www/www.key.age"), identity);
    assert!(run().stdout.starts_with("nothing is due"));
    assert_eq!(text("certificates/www/www.crt"), chain);
}

/// Killed while it works in the user's checkout.
fn survives_in_place(args: &[&str], points: &[&str]) {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    for point in points {
        let folder = checkout(&nightly);
        let killed = at(point, "KILL", in_place(&nightly, &folder, args)).run();
        assert_eq!(
            killed.status.signal(),
            Some(9),
            "`{point}` is not reached: {killed:?}"
        );
        let next = in_place(&nightly, &folder, args).run().expect_code(0);
        let again = in_place(&nightly, &folder, args).run().expect_code(0);
        assert!(
            again.stdout.starts_with("nothing is due: 1 up to date"),
            "`{point}`: {again:?}"
        );
        assert_eq!(status(lab, &folder), STATUS, "`{point}`: {next:?}");
        let show = |end: &str| {
            let path = format!("HEAD:certificates/www/www.{end}");
            lab.git(&folder, &["show", &path]).stdout
        };
        assert_valid(lab, &show("crt"), &show("key.age"), &nightly.identity);
        let refs = lab.git(&folder, &["for-each-ref", "--format=%(refname)"]);
        assert_eq!(
            refs.stdout, "refs/heads/main\nrefs/remotes/origin/HEAD\nrefs/remotes/origin/main\n",
            "`{point}`: {next:?}"
        );
        assert_eq!(certs.refs(lab), ["refs/heads/main"], "`{point}`");
        let merges = lab.git(&folder, &["rev-list", "--merges", "--count", "main"]);
        assert_eq!(merges.stdout, "0\n", "`{point}`");
        assert_eq!(lab.challenges().len(), 0, "`{point}`: {next:?}");
        assert_eq!(lab.left_over().len(), 0, "`{point}`");
        fs::remove_dir_all(&folder).unwrap();
        // Begin anew.
        let first = lab.git(&certs.folder, &["rev-list", "--max-parents=0", "main"]);
        let first = first.stdout.trim().to_owned();
        lab.git(&certs.folder, &["update-ref", "refs/heads/main", &first]);
    }
}

#[test]
fn a_run_that_is_killed_in_a_checkout_is_gone_on_with() {
    survives_in_place(
        &[],
        &[
            "after journal begins",
            "before mark",
            "before head",
            "before files",
            "before file#2",
            "before index",
            "before mark ends",
            "after push",
            "after record",
            "after add ddns",
            "after finalize",
            "before commit",
            "before mark#2",
            "before head#2",
            "before files#2",
            "before file#4",
            "before index#2",
            "before mark ends#2",
            "before push#2",
            "after push#2",
            "before journal ends",
        ],
    );
}

#[test]
fn a_run_that_is_killed_without_a_push_is_gone_on_with() {
    survives_in_place(
        &["--no-push"],
        &[
            "after journal begins",
            "before head",
            "before files",
            "after record",
            "seen",
            "before commit",
            "before head#2",
            "before files#2",
            "before file#4",
            "before index#2",
            "before mark ends#2",
            "before journal ends",
            "after journal ends",
        ],
    );
}

/// Killed while it replaces what a commit has replaced: nothing goes back to what was before.
#[test]
fn files_that_a_killed_run_has_left_as_they_were_follow_its_commits() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    in_place(&nightly, &folder, &[]).run().expect_code(0);
    let text =
        |end: &str| fs::read_to_string(folder.join(format!("certificates/www/www.{end}"))).unwrap();
    for (point, files) in [("before files", 3), ("before index", 3), ("before push", 0)] {
        let before = orders(lab);
        let old = text("crt");
        let renewal = in_place(&nightly, &folder, &["--renew", "9999"]);
        let killed = at(point, "KILL", renewal).run();
        assert_eq!(killed.status.signal(), Some(9), "`{point}`: {killed:?}");
        if files > 0 {
            fs::write(folder.join("certificates/www/.git-certs-killed"), "").unwrap();
        }
        let next = in_place(&nightly, &folder, &[]).run().expect_code(0);
        let told = format!(
            "warning: an earlier command has left {files} files behind the last commit: put right\n"
        );
        assert_eq!(
            next.stderr.contains(&told),
            files > 0,
            "`{point}`: {next:?}"
        );
        assert_eq!(orders(lab) - before, 1, "`{point}`: {next:?}");
        assert_eq!(status(lab, &folder), STATUS, "`{point}`: {next:?}");
        assert_ne!(text("crt"), old, "`{point}`");
        assert_valid(lab, &text("crt"), &text("key.age"), &nightly.identity);
        assert_eq!(
            certs.show(lab, "certificates/www/www.crt"),
            text("crt"),
            "`{point}`"
        );
    }
    // What the user brings back stays.
    let new = text("crt");
    lab.git(
        &folder,
        &["checkout", "--quiet", "HEAD~1", "--", "certificates"],
    );
    let old = text("crt");
    assert_ne!(old, new);
    let next = in_place(&nightly, &folder, &[]).run().expect_code(0);
    assert!(!next.stderr.contains("earlier command"), "{next:?}");
    assert_eq!(text("crt"), old);
}

#[test]
fn a_list_that_is_not_committed_is_gone_by_and_told() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    in_place(&nightly, &folder, &[]).run().expect_code(0);
    let list = r#"[{"cert_name": "new", "names": ["new.bench.test"]}]"#;
    fs::write(folder.join("certs.json"), list).unwrap();
    let summary = lab.folder().join("summary.md");
    let plan = nightly.command(&["plan", "--summary-file", summary.to_str().unwrap()]);
    let plan = plan.env("GIT_CERTS_REPO", "").folder(&folder);
    let plan = plan.run().expect_code(0);
    assert_eq!(
        plan.stdout,
        "issue    new  new.bench.test: not in the repository\n\n1 due, 0 up to date\n"
    );
    for told in [
        "warning: certificate `www` is not in certs.json: it is not renewed\n",
        "warning: not committed as they are here, which is what counts now: `certs.json`; commit and push them\n",
    ] {
        assert!(plan.stderr.contains(told), "{plan:?}");
    }
    let summary = fs::read_to_string(summary).unwrap();
    let told = "Not in certs.json, so not renewed: <code>www</code>.\n";
    assert!(summary.contains(told), "{summary}");
    in_place(&nightly, &folder, &[]).run().expect_code(0);
    assert!(certs.show(lab, "certs.json").contains("www.bench.test"));
}
