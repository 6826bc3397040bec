//! `completions` and `man`: what is shipped for shells and for `git certs --help`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;

use crate::docs::{git_certs, text};

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_git-certs"))
        .args(["man", "--dir", folder.path().to_str().unwrap()])
        .env_clear()
        // No page shows what the environment says.
        .env("GIT_CERTS_TOKEN", "hunter2")
        .env("GIT_CERTS_DNS_REPO", "https://user:hunter2@git.test/dns")
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), text(output.stdout)),
        (Some(0), String::new())
    );
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let help = text(git_certs(&["--help"]).stdout);
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let names = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<_> = names.filter(|name| !["", "help"].contains(name)).collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        let page = read(&format!("git-certs-{name}.1"));
        assert!(
            page.contains(".TH git-certs-") && !page.contains("hunter2"),
            "{page}"
        );
    }
    let below = read("git-certs-recipients-add.1");
    assert!(
        below.contains(".SH NAME\ngit\\-certs\\-recipients\\-add \\- "),
        "{below}"
    );
    assert!(read("git-certs.1").contains("git\\-certs\\-renew(1)"));

    let missing = folder.path().join("missing");
    let output = git_certs(&["man", "--dir", missing.to_str().unwrap()]);
    assert_eq!(
        (output.status.code(), text(output.stderr)),
        (
            Some(2),
            format!(
                "error: cannot write manual pages to `{}`\n  caused by: it is not a folder\n\
                 hint: make the folder first; `man` finds pages in `~/.local/share/man/man1`\n",
                missing.display()
            )
        )
    );
}

#[test]
fn shells_take_their_scripts() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = git_certs(&["completions", shell]);
        assert_eq!(
            (output.status.code(), text(output.stderr)),
            (Some(0), String::new())
        );
        let script = text(output.stdout);
        assert!(
            script.contains("git-certs") && script.contains("print-ir"),
            "{shell}"
        );
    }
    // What bash completes, as it does when the tabulator is pressed.
    let script = text(git_certs(&["completions", "bash"]).stdout);
    let ask = "\nCOMP_WORDS=(git-certs recipients a); COMP_CWORD=2; _git__certs git-certs a recipients; echo \"${COMPREPLY[@]}\"";
    let mut shell = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Too long for an argument.
    let mut to_shell = shell.stdin.take().unwrap();
    to_shell.write_all((script + ask).as_bytes()).unwrap();
    drop(to_shell);
    let output = shell.wait_with_output().unwrap();
    assert_eq!(text(output.stdout), "add\n");
}
