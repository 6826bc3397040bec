//! Help and version, whole, as they are kept in `tests/it/help/`; `UPDATE_HELP=1` writes them anew.

use std::env;
use std::fs;
use std::path::Path;

use pretty_assertions::assert_eq;

use crate::support::folders::{Folders, Said};

#[test]
fn help_is_what_is_kept() {
    for (words, file) in [
        ("--help", "git-certs.txt"),
        ("renew --help", "renew.txt"),
        ("plan --help", "plan.txt"),
        ("doctor --help", "doctor.txt"),
        ("init --help", "init.txt"),
        ("check --help", "check.txt"),
        ("completions --help", "completions.txt"),
        ("man --help", "man.txt"),
        ("account --help", "account.txt"),
        ("account show --help", "account-show.txt"),
        ("account register --help", "account-register.txt"),
        ("account rollover --help", "account-rollover.txt"),
        ("account deactivate --help", "account-deactivate.txt"),
        ("revoke --help", "revoke.txt"),
        ("unlock --help", "unlock.txt"),
        ("recipients --help", "recipients.txt"),
        ("recipients list --help", "recipients-list.txt"),
        ("recipients add --help", "recipients-add.txt"),
        ("recipients remove --help", "recipients-remove.txt"),
        ("rekey --help", "rekey.txt"),
        ("export --help", "export.txt"),
        ("import --help", "import.txt"),
        ("verify --help", "verify.txt"),
        ("status --help", "status.txt"),
        ("why --help", "why.txt"),
        ("log --help", "log.txt"),
        ("rollback --help", "rollback.txt"),
        ("print-ir --help", "print-ir.txt"),
        ("--version", "version.txt"),
    ] {
        // What the environment says shows in no help: a URL may hold a password.
        let folders = Folders::new()
            .variable("GIT_CERTS_DNS_REPO", "https://user:hunter2@git.test/dns")
            .variable("GIT_CERTS_VERBOSE", "true");
        let said = folders.run(words);
        assert!(!said.stdout.contains("hunter2"), "{}", said.stdout);
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/help")
            .join(file);
        if env::var_os("UPDATE_HELP").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &said.stdout).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap();
        assert_eq!(
            said,
            Said::done(&kept),
            "{words}: UPDATE_HELP=1 if this is right"
        );
    }
}

#[test]
fn no_words_at_all_show_help_as_an_error() {
    let help = Folders::new().run("--help").stdout;
    Folders::new().is_refused("", &help);
}
