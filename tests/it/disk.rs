//! Disks that are full or cannot be written to: it is said, nothing is lost, and the next run recovers.

use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use regex::Regex;

use crate::support::command::{Command, Output};
use crate::support::disk::Disk;
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly, orders};
use crate::support::repos::{Files, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// Enough for a run, in megabytes.
const ROOM: u32 = 2;

const FULL: &str =
    "hint: the disk is full: make room, and run again; temporary files go where TMPDIR says\n";
const SERVER_FULL: &str = "hint: the server's disk is full: make room there, and run again\n";
const FROM_THE_JOURNAL: &str = "1 certificate not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it\n";
const JOURNAL_STAYS: &str =
    "hint: the next run takes it over; `git-certs unlock` lets it do so at once\n";

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

/// Another cert repository for the same certificate.
fn fresh(nightly: &mut Nightly, name: &str) {
    let files = Files::certificates(WANTED, &[&nightly.identity.recipient]);
    nightly.certs = files.publish(&nightly.lab, name);
}

fn temporary(lab: &Lab) -> PathBuf {
    lab.folder().join("tmp")
}

/// Runs it, and does something when it is at a point.
fn when_at(nightly: &Nightly, point: &str, run: Command, act: impl FnOnce()) -> Output {
    let gate = Gate::new(&nightly.lab);
    let run = gate.at(point, run).spawn();
    gate.wait();
    act();
    gate.open();
    run.wait()
}

/// A text with the names of files that are being written replaced.
fn named(text: &str) -> String {
    let temporary = Regex::new(r"\.git-certs-\w+").unwrap();
    temporary.replace_all(text, "[FILE]").into_owned()
}

/// All that a run says after its steps.
#[track_caller]
fn assert_ends(output: &Output, code: i32, end: &str) {
    let said = named(&output.normal_stderr());
    let steps = said.split_inclusive('\n').take_while(|line| {
        let ends = ["error: ", "warning: the checkout ", "1 certificate "];
        !ends.iter().any(|end| line.starts_with(end))
    });
    let steps: usize = steps.map(str::len).sum();
    assert_eq!(&said[steps..], end, "{output:?}");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// The run brings it to a good end, with so many orders since then; nothing is left anywhere.
#[track_caller]
fn assert_recovers(nightly: &Nightly, run: &Command, before: usize, placed: usize) {
    let lab = &nightly.lab;
    let next = run.run().expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(orders(lab) - before, placed, "{next:?}");
    assert_eq!(nightly.certs.refs(lab), ["refs/heads/main"], "{next:?}");
    assert_eq!(lab.challenges().len(), 0, "{next:?}");
}

#[test]
fn no_room_for_temporary_files() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &temporary(lab), ROOM);
    disk.fill();
    let output = nightly.renew().expect_code(2);
    // Both repositories are cloned at once.
    assert_eq!(
        output.normal_stderr().replace("/dns`", "/certs`"),
        format!(
            "error: cannot make a clone in `[TMP]/certs`\n  \
             caused by: failed to initialize repository with template 'description': No space left on device\n\
             {FULL}"
        )
    );
    disk.free();
    assert_eq!(disk.names(), [""; 0]);
    assert_recovers(&nightly, &nightly.command(&["renew"]), 0, 1);
}

#[test]
fn temporary_files_cannot_be_written() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let disk = Disk::mount(lab, &temporary(lab), ROOM);
    disk.make_read_only();
    let output = nightly.renew().expect_code(2);
    assert_eq!(
        output.normal_stderr(),
        "error: cannot make a temporary folder in `[LAB]/tmp`\n  \
         caused by: Read-only file system at path \"[TMP]\"\n\
         hint: nothing can be written there: change that, and run again; temporary files go where TMPDIR says\n"
    );
    disk.make_writable();
    assert_recovers(&nightly, &nightly.command(&["renew"]), 0, 1);
}

const NO_ACCOUNT: &str = "\
error: cannot store the new ACME account `https://acme.test/my-account/[ID]`
  caused by: cannot write to `[TMP]/certs/`
  caused by: failed to write out file: No space left on device
";

const NO_RECORD: &str = "\
error: cannot issue `www`
  caused by: cannot write the journal, without which nothing is proven
  caused by: cannot write to `[TMP]/refs-git-certs-journal/`
  caused by: failed to write out file: No space left on device
";

const NO_COMMIT: &str = "\
error: cannot issue `www`
  caused by: cannot store certificate `www`
  caused by: cannot write to `[TMP]/certs/`
  caused by: failed to write out file: No space left on device
";

const NO_END: &str = "\
error: cannot end the journal
  caused by: cannot write to `[TMP]/refs-git-certs-journal/`
  caused by: failed to write out file: No space left on device
";

#[test]
fn room_for_temporary_files_ends_in_the_middle() {
    let mut nightly = nightly();
    let folder = temporary(&nightly.lab);
    for (point, code, end, placed) in [
        ("after journal begins", 2, format!("{NO_ACCOUNT}{FULL}"), 1),
        (
            "before record",
            1,
            format!("{NO_RECORD}{FULL}{NO_END}{JOURNAL_STAYS}{FULL}"),
            2,
        ),
        (
            "seen",
            1,
            format!("{FROM_THE_JOURNAL}{NO_COMMIT}{FULL}{NO_END}{JOURNAL_STAYS}{FULL}"),
            1,
        ),
        (
            "before commit",
            1,
            format!("{FROM_THE_JOURNAL}{NO_COMMIT}{FULL}{NO_END}{JOURNAL_STAYS}{FULL}"),
            1,
        ),
    ] {
        fresh(&mut nightly, &point.replace(' ', "-"));
        let before = orders(&nightly.lab);
        let disk = Disk::mount(&nightly.lab, &folder, ROOM);
        let output = when_at(&nightly, point, nightly.command(&["renew"]), || disk.fill());
        assert_ends(&output, code, &end);
        assert_eq!(nightly.lab.challenges().len(), 0, "{output:?}");
        disk.free();
        assert_recovers(&nightly, &nightly.command(&["renew"]), before, placed);
        assert_eq!(disk.names(), [""; 0]);
    }
}

/// A checkout on a disk of its own.
fn checkout<'lab>(nightly: &'lab Nightly, folder: &Path) -> Disk<'lab> {
    let lab = &nightly.lab;
    let home = lab.folder().join("home");
    let url = nightly.certs.url(Transport::Path);
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    Disk::mount(lab, folder, ROOM)
}

fn in_place(nightly: &Nightly, folder: &Path) -> Command {
    let run = nightly.command(&["renew"]).env("GIT_CERTS_REPO", "");
    run.folder(folder)
}

#[test]
fn a_checkout_that_cannot_be_written() {
    let nightly = nightly();
    let folder = nightly.lab.folder().join("mine");
    let disk = checkout(&nightly, &folder);
    disk.make_read_only();
    let run = in_place(&nightly, &folder);
    assert_ends(
        &run.run(),
        2,
        "error: cannot write to `[LAB]/mine/.git/`\n  \
         caused by: Read-only file system\n\
         hint: nothing can be written there: change that, and run again; temporary files go where TMPDIR says\n",
    );
    assert_eq!(orders(&nightly.lab), 0);
    disk.make_writable();
    disk.fill();
    assert_ends(
        &run.run(),
        2,
        &format!(
            "error: cannot write to `[LAB]/mine/.git/`\n  \
             caused by: No space left on device\n{FULL}"
        ),
    );
    assert_eq!(orders(&nightly.lab), 0);
    disk.free();
    assert_recovers(&nightly, &run, 0, 1);
}

#[test]
fn room_for_a_checkout_ends_before_the_commit() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let folder = lab.folder().join("mine");
    let disk = checkout(&nightly, &folder);
    let run = in_place(&nightly, &folder);
    let output = when_at(&nightly, "before commit", run.clone(), || disk.fill());
    let no_commit = NO_COMMIT.replace("[TMP]/certs/", "[LAB]/mine/.git/");
    assert_ends(&output, 1, &format!("{FROM_THE_JOURNAL}{no_commit}{FULL}"));
    disk.free();
    assert_recovers(&nightly, &run, 0, 1);
    assert_eq!(lab.git(&folder, &["status", "--porcelain"]).stdout, "");
}

/// What is committed is pushed, though the work tree cannot follow.
#[test]
fn room_for_a_checkout_ends_after_the_commit() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let folder = lab.folder().join("mine");
    let disk = checkout(&nightly, &folder);
    let run = in_place(&nightly, &folder);
    let output = when_at(&nightly, "before files#2", run.clone(), || disk.fill()).expect_code(0);
    let said = named(&output.normal_stderr());
    assert_eq!(
        said.lines().last().unwrap(),
        "warning: the checkout could not follow what is committed: \
         cannot write `[LAB]/mine/certificates/www/www.key.age`: \
         No space left on device at path \"[LAB]/mine/certificates/www/[FILE]\": \
         `git reset` puts its index right, `git checkout -- FILE` a file"
    );
    nightly.assert_valid("www");
    disk.free();
    let next = run.run().expect_code(0);
    assert!(
        next.stderr.starts_with(
            "warning: an earlier command has left 3 files behind the last commit: put right\n"
        ),
        "{next:?}"
    );
    assert_eq!(lab.git(&folder, &["status", "--porcelain"]).stdout, "");
    assert_recovers(&nightly, &run, 0, 1);
}

#[test]
fn the_server_s_disk_is_full() {
    let mut nightly = nightly();
    for (point, way, code, end, placed) in [
        (
            "planned",
            Transport::Path,
            2,
            format!(
                "error: `[LAB]/git/planned.git` refuses pushes to `main`: unpack-objects abnormal exit\n  \
                 caused by: the server printed: fatal: unable to write loose object file: No space left on device\n\
                 {SERVER_FULL}"
            ),
            1,
        ),
        (
            "before record",
            Transport::Https,
            1,
            format!(
                "error: cannot issue `www`\n  \
                 caused by: cannot write the journal, without which nothing is proven\n  \
                 caused by: the server refuses the journal: unpack-objects abnormal exit; fatal: unable to write loose object file: No space left on device\n\
                 {SERVER_FULL}\
                 error: cannot end the journal\n  \
                 caused by: the server refuses the journal: unpack-objects abnormal exit; fatal: unable to write loose object file: No space left on device\n\
                 {JOURNAL_STAYS}{SERVER_FULL}"
            ),
            2,
        ),
        (
            "before push#2",
            Transport::Https,
            2,
            format!(
                "{FROM_THE_JOURNAL}\
                 error: cannot end the journal\n  \
                 caused by: the server refuses the journal: unpack-objects abnormal exit; fatal: unable to write loose object file: No space left on device\n\
                 {JOURNAL_STAYS}{SERVER_FULL}\
                 error: `https://git.test/before-push-2.git` refuses pushes to `main`: unpack-objects abnormal exit\n  \
                 caused by: the server printed: fatal: unable to write loose object file: No space left on device\n\
                 {SERVER_FULL}"
            ),
            1,
        ),
    ] {
        fresh(&mut nightly, &point.replace([' ', '#'], "-"));
        let before = orders(&nightly.lab);
        let disk = Disk::mount(&nightly.lab, &nightly.certs.folder, ROOM);
        let run = nightly.command(&["renew"]);
        let run = run.env("GIT_CERTS_REPO", nightly.certs.url(way));
        let output = when_at(&nightly, point, run.clone(), || disk.fill());
        assert_ends(&output, code, &end);
        assert_eq!(nightly.lab.challenges().len(), 0, "{output:?}");
        disk.free();
        // The disk is seen inside alone.
        let next = run.run().expect_code(0);
        assert_eq!(orders(&nightly.lab) - before, placed, "{next:?}");
        let git = |words: &[&str]| {
            let git = nightly.lab.command("git").args(words.to_vec());
            git.folder(&nightly.certs.folder).succeed().stdout
        };
        assert_eq!(
            git(&["for-each-ref", "--format=%(refname)"]),
            "refs/heads/main\n"
        );
        assert_eq!(
            git(&["log", "--format=%s"]),
            "Issue www: not in the repository\nRegister an ACME account at acme.test\nfiles of the test\n"
        );
    }
}

const WARNED: &str =
    "warning: cannot remove `[TMP]`, which the next run does: Read-only file system\n";
const READ_ONLY: &str = "hint: nothing can be written there: change that, and run again; temporary files go where TMPDIR says\n";

/// What a disk says that is full, of one that turned read-only.
fn turned(full: &str) -> String {
    let repository = Regex::new("cannot write to `(.+)/`\n.*").unwrap();
    let instead = "cannot write to `$1/`\n  \
                   caused by: failed to create temporary file '$1/objects/tmp_object_git2_[ID]': Read-only file system";
    repository
        .replace_all(&full.replace(FULL, READ_ONLY), instead)
        .into_owned()
}

/// As a kernel does with a disk that fails.
#[test]
fn the_disk_of_temporary_files_turns_read_only_in_the_middle() {
    let mut nightly = nightly();
    let folder = temporary(&nightly.lab);
    let no_journal = format!(
        "error: cannot make a repository in `[TMP]/refs-git-certs-journal`\n  \
         caused by: failed to create locked file '[TMP]/refs-git-certs-journal/config.lock': Read-only file system\n\
         {READ_ONLY}"
    );
    let no_record = format!("{NO_RECORD}{FULL}{NO_END}{JOURNAL_STAYS}{FULL}");
    let no_commit = format!("{FROM_THE_JOURNAL}{NO_COMMIT}{FULL}{NO_END}{JOURNAL_STAYS}{FULL}");
    for (point, code, end, placed) in [
        ("after journal begins", 2, no_journal, 1),
        ("before record", 1, turned(&no_record), 2),
        ("seen", 1, turned(&no_commit), 1),
        ("before commit", 1, turned(&no_commit), 1),
    ] {
        fresh(&mut nightly, &point.replace(' ', "-"));
        let before = orders(&nightly.lab);
        let disk = Disk::mount(&nightly.lab, &folder, ROOM);
        let run = nightly.command(&["renew"]);
        let output = when_at(&nightly, point, run, || disk.make_read_only());
        assert_ends(&output, code, &(end + WARNED));
        assert_eq!(nightly.lab.challenges().len(), 0, "{output:?}");
        disk.make_writable();
        assert_recovers(&nightly, &nightly.command(&["renew"]), before, placed);
        assert_eq!(disk.names(), [""; 0]);
    }
}

#[test]
fn the_disk_of_a_checkout_turns_read_only_in_the_middle() {
    let mut nightly = nightly();
    let no_account = NO_ACCOUNT.replace("[TMP]/certs/", "[LAB]/looked/.git/");
    let no_commit = NO_COMMIT.replace("[TMP]/certs/", "[LAB]/before-commit/.git/");
    let stays = "warning: the checkout could not follow what is committed: \
                 cannot write `[LAB]/before-files-2/certificates/www/www.key.age`: Read-only file system: \
                 `git reset` puts its index right, `git checkout -- FILE` a file\n";
    let no_mark = format!(
        "{FROM_THE_JOURNAL}error: cannot issue `www`\n  \
         caused by: cannot store certificate `www`\n  \
         caused by: cannot write `[LAB]/before-mark-2/.git/git-certs-unfinished-[COMMIT]`\n  \
         caused by: Read-only file system at path \"[LAB]/before-mark-2/.git/[FILE]\"\n{READ_ONLY}"
    );
    for (point, code, end) in [
        ("looked", 2, turned(&format!("{no_account}{FULL}"))),
        (
            "before commit",
            1,
            turned(&format!("{FROM_THE_JOURNAL}{no_commit}{FULL}")),
        ),
        ("before mark#2", 1, no_mark),
        ("before files#2", 0, stays.to_owned()),
    ] {
        let name = point.replace([' ', '#'], "-");
        fresh(&mut nightly, &name);
        let before = orders(&nightly.lab);
        let folder = nightly.lab.folder().join(&name);
        let disk = checkout(&nightly, &folder);
        let run = in_place(&nightly, &folder);
        let output = when_at(&nightly, point, run.clone(), || disk.make_read_only());
        assert_ends(&output, code, &end);
        assert_eq!(nightly.lab.challenges().len(), 0, "{output:?}");
        disk.make_writable();
        if code == 0 {
            nightly.assert_valid("www");
            for words in [
                &["reset", "--quiet"][..],
                &["checkout", "--", "certificates"],
            ] {
                nightly.lab.git(&folder, words);
            }
        }
        assert_recovers(&nightly, &run, before, 1);
        let status = nightly.lab.git(&folder, &["status", "--porcelain"]);
        assert_eq!(status.stdout, "", "`{point}`");
    }
}
