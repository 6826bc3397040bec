//! What a run can write, and what it can start.

use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly};
use crate::support::repos::Transport;

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// A checkout at a path below the lab.
fn clone(nightly: &Nightly, name: &str) -> std::path::PathBuf {
    let Nightly { lab, certs, .. } = nightly;
    let folder = lab.folder().join(name);
    let url = certs.url(Transport::Path);
    let home = lab.folder().join("home");
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    folder
}

fn renew_in(nightly: &Nightly, folder: &Path) -> Command {
    nightly
        .command(&["renew", "--verbose", "--renew", "1000"])
        .env("GIT_CERTS_REPO", "")
        .folder(folder)
}

#[test]
fn no_thread_but_one_writes_outside_of_the_workspace_or_starts_a_program() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let lab = &nightly.lab;
    let folder = clone(&nightly, "mine");
    // Where a provider is asked, and where git works. The CA may know the name from the first time, and ask for no challenge the second time.
    for point in ["after add ddns", "before files"] {
        let gate = Gate::new(lab);
        let run = gate.at(point, renew_in(&nightly, &folder)).spawn();
        // The hook itself is passed by the one thread.
        gate.wait();
        let list = format!(
            "grep -h -s -e ^Name: -e ^NoNewPrivs: /proc/{}/task/*/status || [ $? = 2 ]",
            run.pid()
        );
        let threads = lab.command("sh").args(["-c", &list]).succeed().stdout;
        let could_write = lab.folder().join("gate/unconfined").exists();
        gate.open();
        let output = run.wait().expect_code(0);
        assert!(output.stdout.contains("1 issued, 0 failed"), "{output:?}");

        let said = output.normal_stderr();
        let words = "DEBUG git-certs itself can write only in `[TMP]`, `[LAB]/mine/`, `[LAB]/mine/.git/` (Landlock)\n";
        let has_landlock = said.contains(words);
        assert!(
            has_landlock || said.contains("DEBUG the system has no Landlock, or that of before"),
            "{said}"
        );
        assert_eq!(could_write, !has_landlock);
        let lines: Vec<_> = threads.lines().collect();
        let (free, confined): (Vec<_>, Vec<_>) = lines
            .chunks(2)
            .map(|pair| (pair[0].replace("Name:\t", ""), pair[1].ends_with('0')))
            .partition(|(name, _)| name == "outside");
        assert!(!free.is_empty() && confined.len() > 2, "{threads}");
        assert!(free.iter().all(|(_, is_free)| *is_free), "{threads}");
        let all_confined = confined.iter().all(|(_, is_free)| !is_free);
        assert_eq!(all_confined, has_landlock, "{threads}");
        for state in ["reached", "unconfined"] {
            drop(fs::remove_file(lab.folder().join("gate").join(state)));
        }
    }
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn repositories_whose_parts_are_elsewhere_are_worked_in() {
    let nightly = Nightly::new(Lab::builder().bind().pebble().start(), WANTED);
    let Nightly { lab, certs, .. } = &nightly;
    let first = clone(&nightly, "first");
    lab.git(&first, &["checkout", "--quiet", "-b", "other"]);
    // One folder of the repository is on another disk, say.
    let objects = lab.folder().join("objects");
    fs::rename(first.join(".git/objects"), &objects).unwrap();
    std::os::unix::fs::symlink(&objects, first.join(".git/objects")).unwrap();
    let second = lab.folder().join("second");
    lab.git(&first, &["worktree", "add", "--quiet", "../second", "main"]);
    // The folder itself may be named by a link, too.
    let link = lab.folder().join("link");
    std::os::unix::fs::symlink(&second, &link).unwrap();
    let summary = lab.folder().join("reports/summary.md");
    fs::create_dir(summary.parent().unwrap()).unwrap();
    let output = renew_in(&nightly, lab.folder())
        .args(["--dir", "link", "--summary-file", "reports/summary.md"])
        .run()
        .expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "issued   www  www.bench.test: until [DATE], commit [COMMIT]\n\n\
         1 issued, 0 failed, 0 up to date\n\
         pushed 1 commit to `main`\n"
    );
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    nightly.assert_valid("www");
    assert_eq!(lab.git(&second, &["status", "--porcelain"]).stdout, "");
    let tips = ["HEAD", "origin/main"].map(|tip| lab.git(&second, &["rev-parse", tip]).stdout);
    assert_eq!(tips[0], tips[1]);
    assert_eq!(tips[0].trim(), certs.tip(lab));
    lab.git(&second, &["fsck", "--strict"]);
    assert!(fs::read_to_string(&summary).unwrap().contains("www"));
}
