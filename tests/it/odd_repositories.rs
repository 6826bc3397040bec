//! Repositories with what git allows: links, submodules, LFS, other hashes, less history.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::repos::{Files, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

/// What LFS stores in git.
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
     oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

/// A commit that nobody has: whoever wants the submodule fails.
const SUBMODULE: &str = "1234567890123456789012345678901234567890";

fn nightly() -> Nightly {
    let lab = Lab::builder().bind().pebble().start();
    Nightly::with(lab, WANTED, |files, _| {
        files
            .with(
                ".gitattributes",
                "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            )
            .with("large.bin", POINTER)
            .with(
                ".gitmodules",
                "[submodule \"other\"]\n\tpath = other\n\turl = https://git.test/none.git\n",
            )
    })
}

/// A checkout whose commits can be pushed.
fn checkout(nightly: &Nightly, remote: &Path, name: &str) -> PathBuf {
    let folder = nightly.lab.folder().join(name);
    let home = nightly.lab.folder().join("home");
    let (from, to) = (remote.to_str().unwrap(), folder.to_str().unwrap());
    nightly.lab.git(&home, &["clone", "--quiet", from, to]);
    folder
}

fn push(nightly: &Nightly, folder: &Path, message: &str) {
    let git = |words: &[&str]| nightly.lab.git(folder, words);
    git(&["commit", "--quiet", "--message", message]);
    git(&["push", "--quiet", "origin", "HEAD:main"]);
}

fn in_place(nightly: &Nightly, folder: &Path) -> Command {
    let run = nightly.command(&["renew"]).env("GIT_CERTS_REPO", "");
    run.folder(folder)
}

/// The entries of the tip that are none of ours.
fn odd_entries(nightly: &Nightly, folder: &Path) -> String {
    let list = ["ls-tree", "main", "other", "large.bin", ".gitattributes"];
    nightly.lab.git(folder, &list).stdout
}

#[test]
fn submodules_and_lfs_files_are_left_alone() {
    let nightly = nightly();
    let Nightly {
        lab, certs, dns, ..
    } = &nightly;
    for remote in [&certs.folder, &dns.folder] {
        let name = format!("odd-{}", remote.file_stem().unwrap().display());
        let folder = checkout(&nightly, remote, &name);
        let entry = format!("160000,{SUBMODULE},other");
        lab.git(&folder, &["update-index", "--add", "--cacheinfo", &entry]);
        push(&nightly, &folder, "submodule");
    }
    let before = odd_entries(&nightly, &certs.folder);
    assert!(before.contains(&format!("160000 commit {SUBMODULE}\tother\n")));
    let output = nightly.renew().expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(odd_entries(&nightly, &certs.folder), before, "{output:?}");
    assert_eq!(certs.show(lab, "large.bin"), POINTER);

    let mine = checkout(&nightly, &certs.folder, "mine");
    let again = in_place(&nightly, &mine).arg("--renew").arg("1000").run();
    let again = again.expect_code(0);
    assert_eq!(odd_entries(&nightly, &certs.folder), before, "{again:?}");
    assert_eq!(lab.git(&mine, &["status", "--porcelain"]).stdout, "");
    assert_eq!(fs::read_to_string(mine.join("large.bin")).unwrap(), POINTER);
    assert_eq!(fs::read_dir(mine.join("other")).unwrap().count(), 0);
    nightly.assert_valid("www");
}

/// A link in the tree could lead anywhere on the machine where a run works.
#[test]
fn links_in_the_tree_are_not_followed() {
    for (link, path) in [
        ("certificates/www", "certificates/www/www.key"),
        ("certificates", "certificates"),
        (".letsencrypt", ".letsencrypt/acme.test/account.key.age"),
    ] {
        let nightly = nightly();
        let Nightly { lab, certs, .. } = &nightly;
        let outside = lab.folder().join("outside");
        fs::create_dir_all(outside.join("www")).unwrap();
        let folder = checkout(&nightly, &certs.folder, "mine");
        fs::create_dir_all(folder.join(link).parent().unwrap()).unwrap();
        symlink(&outside, folder.join(link)).unwrap();
        lab.git(&folder, &["add", link]);
        push(&nightly, &folder, "link");
        let tip = lab.git(&certs.folder, &["rev-parse", "main"]).stdout;
        for run in [nightly.command(&["renew"]), in_place(&nightly, &folder)] {
            let output = run.run().expect_code(2);
            let said = output.normal_stderr();
            assert_eq!(
                &said[said.find("error: ").unwrap()..],
                format!("error: `{path}` is a symbolic link, or below one; it is not followed\n")
            );
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_dir(outside.join("www")).unwrap().count(), 0);
        assert_eq!(lab.git(&certs.folder, &["rev-parse", "main"]).stdout, tip);
        assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    }
}

#[test]
fn repositories_with_sha256_are_refused() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let folder = lab.folder().join("other");
    fs::create_dir(&folder).unwrap();
    lab.git(&folder, &["init", "--quiet", "--object-format=sha256"]);
    Files::certificates(WANTED, &[&nightly.identity.recipient]).write(&folder);
    lab.git(&folder, &["add", "--all"]);
    lab.git(&folder, &["commit", "--quiet", "--message", "one"]);
    let cloned = nightly
        .command(&["renew"])
        .env("GIT_CERTS_REPO", folder.to_str().unwrap())
        .run()
        .expect_code(2);
    assert_eq!(
        cloned
            .normal_stderr()
            .lines()
            .filter(|line| !line.starts_with("cloned"))
            .collect::<Vec<_>>(),
        [
            "error: `[LAB]/other` is a SHA-256 repository",
            "hint: use a repository with SHA-1 objects (`git init --object-format=sha1`)",
        ]
    );
    let here = in_place(&nightly, &folder).run().expect_code(2);
    assert_eq!(
        here.normal_stderr(),
        "error: cannot use the repository of `[LAB]/other`\n  \
         caused by: unknown object format 'sha256'\n\
         hint: use a repository with SHA-1 objects (`git init --object-format=sha1`)\n"
    );
}

/// As CI systems check out.
#[test]
fn a_shallow_checkout_is_worked_in() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    Files::default()
        .with("more", "1\n")
        .commit(lab, certs, "more");
    let folder = lab.folder().join("mine");
    let home = lab.folder().join("home");
    let url = certs.url(Transport::File);
    let clone = ["clone", "--quiet", "--depth=1", &url];
    lab.git(&home, &[&clone[..], &[folder.to_str().unwrap()]].concat());
    in_place(&nightly, &folder).run().expect_code(0);
    nightly.assert_valid("www");
    assert_eq!(
        certs.subjects(lab),
        [
            "Issue www: not in the repository",
            "Register an ACME account at acme.test",
            "more",
            "files of the test",
        ]
    );
    assert_eq!(lab.git(&folder, &["status", "--porcelain"]).stdout, "");
    lab.git(&folder, &["fsck", "--strict"]);
    lab.git(&certs.folder, &["fsck", "--strict"]);
}
