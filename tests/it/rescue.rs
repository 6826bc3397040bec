//! What was issued and cannot be pushed: saved in a folder, and in the journal.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::support::command::{Command, Output};
use crate::support::lab::Lab;
use crate::support::nightly::{Gate, Nightly, assert_valid, orders};
use crate::support::repos::Transport;

const WANTED: &[(&str, &[&str])] = &[("mail", &["mail.bench.test"]), ("www", &["www.bench.test"])];

fn nightly() -> Nightly {
    Nightly::new(Lab::builder().bind().pebble().git_http().start(), WANTED)
}

/// The branch is protected while the run is under way.
fn refused(nightly: &Nightly, run: Command) -> Output {
    let gate = Gate::new(&nightly.lab);
    let run = gate.at("before push#2", run).spawn();
    gate.wait();
    nightly.certs.refuse_pushes();
    gate.open();
    run.wait().expect_code(2)
}

/// What it said of the push.
fn end(output: &Output) -> String {
    let said = output.normal_stderr();
    let lines: Vec<_> = said.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.contains(" certificates ") && !line.starts_with("ordered"))
        .unwrap();
    lines[first..].join("\n") + "\n"
}

const REFUSED: &str = "\
error: `[LAB]/git/certs.git` refuses pushes to `main`: hook declined
  caused by: the server printed: this branch is protected
    error: hook declined to update refs/heads/main
hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`
";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_cannot_be_pushed_is_saved_as_the_repository_would_have_it() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let folder = lab.folder().join("home/saved/here");
    let output = refused(
        &nightly,
        nightly.command(&["renew", "--rescue-dir", "saved/here"]),
    );
    assert_eq!(
        end(&output),
        format!(
            "saved 2 certificates in `saved/here`, keys encrypted: copied into the cert repository, it is as if this run had pushed\n\
             2 certificates not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it\n{REFUSED}"
        )
    );
    assert_eq!(output.stdout, "");
    assert_eq!(mode(&folder), 0o700);
    let find = lab.command("find").args([".", "-type", "f"]);
    let find = find.folder(&folder).succeed();
    let mut files: Vec<_> = find.stdout.lines().collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "./certificates/mail/mail.crt",
            "./certificates/mail/mail.json",
            "./certificates/mail/mail.key.age",
            "./certificates/www/www.crt",
            "./certificates/www/www.json",
            "./certificates/www/www.key.age",
        ]
    );
    for (name, _) in WANTED {
        let path = |end: &str| folder.join(format!("certificates/{name}/{name}.{end}"));
        let text = |end: &str| fs::read_to_string(path(end)).unwrap();
        let key = text("key.age");
        assert!(key.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"));
        assert_eq!(mode(&path("key.age")), 0o600);
        assert_valid(lab, &text("crt"), &key, &nightly.identity);
    }

    // The user copies it in; the next run has nothing to do but to end the journal.
    fs::remove_file(certs.folder.join("hooks/update")).unwrap();
    let mine = lab.folder().join("mine");
    let home = lab.folder().join("home");
    let url = certs.url(Transport::Path);
    lab.git(&home, &["clone", "--quiet", &url, mine.to_str().unwrap()]);
    let copy = lab.command("cp").arg("-r").arg(folder.join("certificates"));
    copy.arg(&mine).succeed();
    lab.git(&mine, &["add", "--all"]);
    lab.git(&mine, &["commit", "--quiet", "--message", "saved"]);
    lab.git(&mine, &["push", "--quiet", "origin", "main"]);
    let next = nightly.renew().expect_code(0);
    assert!(next.stdout.starts_with("nothing is due: 2 up to date"));
    assert_eq!(orders(lab), 2);
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    nightly.command(&["verify"]).run().expect_code(0);
}

#[test]
fn without_the_folder_the_journal_has_it() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let output = refused(&nightly, nightly.command(&["renew"]));
    assert_eq!(
        end(&output),
        format!(
            "2 certificates not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it\n{REFUSED}"
        )
    );
    fs::remove_file(certs.folder.join("hooks/update")).unwrap();
    nightly.renew().expect_code(0);
    assert_eq!(orders(lab), 2);
    for (name, _) in WANTED {
        nightly.assert_valid(name);
    }
}

#[test]
fn without_both_it_is_lost_and_that_is_said() {
    let nightly = nightly();
    let output = refused(&nightly, nightly.command(&["renew", "--journal", "off"]));
    assert_eq!(
        end(&output),
        format!(
            "warning: 2 certificates lost: there is no journal; `--rescue-dir` saves what cannot be pushed\n{REFUSED}"
        )
    );
    let folder = nightly.lab.folder().join("home/file");
    fs::remove_file(nightly.certs.folder.join("hooks/update")).unwrap();
    fs::write(&folder, "").unwrap();
    let run = nightly.command(&["renew", "--journal", "off", "--rescue-dir", "file"]);
    // This account is there already.
    let gate = Gate::new(&nightly.lab);
    let run = gate.at("before push", run).spawn();
    gate.wait();
    nightly.certs.refuse_pushes();
    gate.open();
    assert_eq!(
        end(&run.wait().expect_code(2)),
        format!(
            "warning: 2 certificates cannot be saved in `file`: cannot make the folder `file`: File exists\n\
             warning: 2 certificates lost: there is no journal; `--rescue-dir` saves what cannot be pushed\n{REFUSED}"
        )
    );
}

#[test]
fn links_below_the_folder_lead_nowhere() {
    let nightly = nightly();
    let lab = &nightly.lab;
    let home = lab.folder().join("home");
    for folder in ["real/certificates", "elsewhere"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    // The folder itself may be one: the user has named it.
    symlink("real", home.join("link")).unwrap();
    symlink("../../elsewhere", home.join("real/certificates/www")).unwrap();
    let output = refused(
        &nightly,
        nightly.command(&["renew", "--rescue-dir", "link"]),
    );
    assert_eq!(
        end(&output),
        format!(
            "warning: 2 certificates cannot be saved in `link`: `certificates/www/www.key.age` is a symbolic link, or below one; it is \
             not followed\n\
             2 certificates not pushed, but in the journal: the next run fetches what the CA has issued, and pushes it\n{REFUSED}"
        )
    );
    assert_eq!(fs::read_dir(home.join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn in_a_checkout_it_is_committed() {
    let nightly = nightly();
    let Nightly { lab, certs, .. } = &nightly;
    let mine = lab.folder().join("mine");
    let home = lab.folder().join("home");
    let url = certs.url(Transport::Path);
    lab.git(&home, &["clone", "--quiet", &url, mine.to_str().unwrap()]);
    let run = || {
        let run = nightly.command(&["renew"]).env("GIT_CERTS_REPO", "");
        run.folder(&mine)
    };
    let output = refused(&nightly, run());
    assert_eq!(
        end(&output),
        format!(
            "2 certificates not pushed: see `git log` here; `git push` brings what is committed to the server\n{REFUSED}"
        )
    );
    fs::remove_file(certs.folder.join("hooks/update")).unwrap();
    lab.git(&mine, &["push", "--quiet", "origin", "main"]);
    let next = run().run().expect_code(0);
    assert!(next.stdout.starts_with("nothing is due: 2 up to date"));
    assert_eq!(certs.refs(lab), ["refs/heads/main"]);
    for (name, _) in WANTED {
        nightly.assert_valid(name);
    }
}
