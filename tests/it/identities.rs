//! Identities that somebody has to open: passphrases on a terminal, and plugins of age.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use pretty_assertions::assert_eq;

use crate::support::cert_repo::CertRepo;
use crate::support::folders::Said;

const WWW: &str = "certificates/www/www.key.age";
const REKEYED: &str = "rekeyed  certificate `www`\n\n1 rekeyed, 0 failed, 0 up to date\n";
const PASSPHRASE: &str = "correct h\u{f6}rse";

/// A file `locked` that age encrypted with the passphrase: an identity that opens two certificates.
fn with_locked_file() -> CertRepo {
    let mut repo = CertRepo::new();
    let recipient = repo.identity("alice");
    let typed = format!("{PASSPHRASE}\n");
    let dialogue = [("nter passphrase", &typed), ("onfirm passphrase", &typed)];
    let dialogue = serde_json::to_string(&dialogue).unwrap();
    let on_terminal = ["-c", include_str!("support/terminal.py"), &dialogue];
    let age = ["age", "-p", "-o", "locked", "alice"];
    repo.tool("python3", &[&on_terminal[..], &age].concat(), "");
    two_certificates(&repo, &recipient);
    repo
}

/// An SSH key `locked` with the passphrase, which opens two certificates.
fn with_locked_ssh_key() -> CertRepo {
    let repo = CertRepo::new();
    let words = ["-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", "locked"];
    repo.tool("ssh-keygen", &words, "");
    let recipient = fs::read_to_string(repo.path("locked.pub")).unwrap();
    two_certificates(&repo, recipient.trim());
    repo
}

fn two_certificates(repo: &CertRepo, recipient: &str) {
    repo.put(".age-recipients", format!("{recipient}\n"));
    repo.list(&["mail", "www"]);
    repo.certificate("www", &[recipient]);
    repo.certificate("mail", &[recipient]);
    repo.commit("first");
}

/// What a terminal shows, which shows what is typed as before in the end.
fn shown(code: i32, text: &str) -> Said {
    Said {
        code: Some(code),
        stdout: format!("{text}[typing is shown]\n"),
        stderr: String::new(),
    }
}

/// One question for two certificates, and nobody sees the answer.
#[track_caller]
fn is_asked_once(repo: &CertRepo) {
    let typed = format!("{PASSPHRASE}\n");
    assert_eq!(
        repo.run_on_terminal("rekey", "locked", &[("locked`: ", &typed)]),
        shown(
            0,
            "passphrase of `[ROOT]/locked`: \n\
             rekeyed  certificate `mail`\nrekeyed  certificate `www`\n\n\
             2 rekeyed, 0 failed, 0 up to date\n"
        )
    );
    // Nothing has to be opened any more.
    assert_eq!(
        repo.run_on_terminal("rekey", "locked", &[]),
        shown(0, "0 rekeyed, 0 failed, 2 up to date\n")
    );
}

#[test]
fn the_passphrase_of_an_identity_file_is_typed_once() {
    is_asked_once(&with_locked_file());
}

#[test]
fn the_passphrase_of_an_ssh_key_is_typed_once_and_only_for_what_it_opens() {
    let mut repo = with_locked_ssh_key();
    is_asked_once(&repo);
    let other = repo.identity("other");
    repo.certificate("www", &[&other]);
    repo.commit("for another");
    assert_eq!(
        repo.run_on_terminal("rekey www", "locked", &[]),
        shown(
            1,
            "error: cannot rekey certificate `www`\n  \
             caused by: cannot decrypt `certificates/www/www.key.age`\n  \
             caused by: no identity in `[ROOT]/locked` can open it\n\
             hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
             or let one of them encrypt it for yours\n\
             0 rekeyed, 1 failed, 0 up to date\n"
        )
    );
}

#[test]
fn a_wrong_passphrase_is_said_and_not_asked_for_again() {
    let typed = [("locked`: ", "wrong\n")];
    let question = "passphrase of `[ROOT]/locked`: \n";
    let failed = |name: &str| {
        format!(
            "error: cannot rekey certificate `{name}`\n  \
             caused by: cannot decrypt `certificates/{name}/{name}.key.age`\n  \
             caused by: cannot use the SSH key in `[ROOT]/locked`\n  \
             caused by: the passphrase is wrong\n"
        )
    };
    assert_eq!(
        with_locked_ssh_key().run_on_terminal("rekey", "locked", &typed),
        shown(
            1,
            &format!(
                "{question}{}{}0 rekeyed, 2 failed, 0 up to date\n",
                failed("mail"),
                failed("www")
            )
        )
    );
    assert_eq!(
        with_locked_file().run_on_terminal("rekey www", "locked", &typed),
        shown(
            1,
            &format!(
                "{question}error: cannot rekey certificate `www`\n  \
                 caused by: cannot use the identity in `[ROOT]/locked`\n  \
                 caused by: the passphrase is wrong\n\
                 0 rekeyed, 1 failed, 0 up to date\n"
            )
        )
    );
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let failed = |causes: &str| Said {
        code: Some(1),
        stdout: "0 rekeyed, 1 failed, 0 up to date\n".to_owned(),
        stderr: format!("error: cannot rekey certificate `www`\n{causes}"),
    };
    assert_eq!(
        with_locked_file().run("rekey www", "locked"),
        failed(
            "  caused by: cannot use the identity in `[ROOT]/locked`\n  \
             caused by: it is protected by a passphrase, which is asked for on a terminal only\n\
             hint: `age -d` opens it; give what it prints\n"
        )
    );
    assert_eq!(
        with_locked_ssh_key().run("rekey www", "locked"),
        failed(
            "  caused by: cannot decrypt `certificates/www/www.key.age`\n  \
             caused by: cannot use the SSH key in `[ROOT]/locked`\n  \
             caused by: it is protected by a passphrase, which is asked for on a terminal only\n\
             hint: `ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`\n"
        )
    );
    let (repo, plugin) = with_plugin();
    fs::write(plugin.with_file_name("asks"), "").unwrap();
    assert_eq!(
        repo.run("rekey www", "plugin"),
        Said {
            stderr: "age-plugin-lab: touch the \\u{1b}[1mkey\n\
                     error: cannot rekey certificate `www`\n  \
                     caused by: cannot decrypt `certificates/www/www.key.age`\n  \
                     caused by: `age-plugin-lab` asks `Enter the PIN`, which is answered on a terminal only\n\
                     hint: run it where there is a terminal, or give an identity that asks for nothing\n"
                .to_owned(),
            stdout: "0 rekeyed, 1 failed, 0 up to date\n\n\
                     who is no longer listed can open keys of today in older commits:\n  \
                     age1lab1w35x2gr0dek8jgrfv3jkuarfw3usg2mvf7: certificates `www`\n\n\
                     keys are safe from them once they are new:\n  \
                     git-certs renew --only www --renew 9999\n"
                .to_owned(),
            code: Some(1),
        }
    );
}

#[test]
fn every_identity_says_why_it_does_not_open() {
    let mut repo = with_locked_ssh_key();
    repo.identity("other");
    let output = repo
        .program()
        .args(["rekey", "www"])
        .env("GIT_CERTS_AGE_KEY_FILE", repo.path("other"))
        .env("SOPS_AGE_KEY_FILE", repo.path("locked"))
        .output()
        .unwrap();
    assert_eq!(
        repo.shown(output.stderr),
        "error: cannot rekey certificate `www`\n  \
         caused by: cannot decrypt `certificates/www/www.key.age`\n  \
         caused by: no identity in `[ROOT]/other` can open it; cannot use the SSH key in `[ROOT]/locked`: \
         it is protected by a passphrase, which is asked for on a terminal only\n\
         hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
         or let one of them encrypt it for yours\n\
         hint: `ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`\n"
    );
}

#[test]
fn a_question_that_is_broken_off_leaves_the_terminal_as_it_was() {
    let repo = with_locked_ssh_key();
    let tip = repo.git(&["rev-parse", "HEAD"]);
    let control_c = [("locked`: ", "half\u{3}")];
    assert_eq!(
        repo.run_on_terminal("rekey www", "locked", &control_c),
        shown(
            2,
            "passphrase of `[ROOT]/locked`: \nerror: stopped by a signal\n"
        )
    );
    // The end of what is typed: nobody is there any more.
    let control_d = [("locked`: ", "\u{4}")];
    assert_eq!(
        repo.run_on_terminal("rekey www", "locked", &control_d),
        shown(
            1,
            "passphrase of `[ROOT]/locked`: \nerror: cannot rekey certificate `www`\n  \
             caused by: cannot decrypt `certificates/www/www.key.age`\n  \
             caused by: cannot use the SSH key in `[ROOT]/locked`\n  \
             caused by: it is protected by a passphrase, which is asked for on a terminal only\n\
             hint: `ssh-keygen -p` takes the passphrase off a copy; or make an age key with `age-keygen`\n\
             0 rekeyed, 1 failed, 0 up to date\n"
        )
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
}

/// The plugin on PATH; certificate `www`, which it alone opens, is to be encrypted for Alice.
fn with_plugin() -> (CertRepo, PathBuf) {
    let mut repo = CertRepo::new();
    let plugin = repo.path("bin/age-plugin-lab");
    fs::create_dir_all(plugin.parent().unwrap()).unwrap();
    fs::write(&plugin, include_str!("support/age_plugin.py")).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let keys = repo.tool(plugin.to_str().unwrap(), &[], "");
    let (identity, recipient) = keys.trim().split_once('\n').unwrap();
    fs::write(repo.path("plugin"), identity).unwrap();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.list(&["www"]);
    repo.certificate("www", &[&alice]);
    repo.put("certificates/www/.age-recipients", recipient);
    repo.commit("first");
    assert_eq!(repo.run("rekey www", "alice").code, Some(0));
    assert!(repo.opened(WWW, "alice").is_none());
    repo.remove("certificates/www/.age-recipients");
    repo.commit("for alice again");
    (repo, plugin)
}

#[test]
fn a_plugin_inherits_no_key() {
    let (mut repo, _) = with_plugin();
    repo.identity("other");
    let key = fs::read_to_string(repo.path("other")).unwrap();
    let variables = [("SOPS_AGE_KEY".to_owned(), key)];
    let said = repo.run_with("rekey www", "plugin", &variables);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(repo.opened(WWW, "alice").is_some());
}

#[test]
fn a_plugin_asks_on_the_terminal() {
    let (repo, plugin) = with_plugin();
    fs::write(plugin.with_file_name("asks"), "").unwrap();
    let dialogue = [
        ("the PIN: ", "123 456\n"),
        ("the slot: ", "slot 9\n"),
        ("`the second`: ", "perhaps\n"),
        ("`the second`: ", "2\n"),
        ("`no`: ", "1\n"),
    ];
    let said = repo.run_on_terminal("rekey", "plugin", &dialogue);
    let which = "age-plugin-lab: Which key?\ntype `1` for `the first`, `2` for `the second`: ";
    let text = format!(
        "age-plugin-lab: touch the \\u{{1b}}[1mkey\n\
         age-plugin-lab: Enter the PIN: \n\
         age-plugin-lab: Name the slot: slot 9\n\
         {which}perhaps\n{which}2\n\
         age-plugin-lab: Sure?\ntype `1` for `the first`, `2` for `no`: 1\n{REKEYED}"
    );
    assert!(said.stdout.starts_with(&text), "{said:?}");
    assert_eq!(said.code, Some(0));
    assert!(repo.opened(WWW, "alice").is_some());
}

#[test]
fn a_plugin_encrypts_and_opens_and_is_missed() {
    let (repo, plugin) = with_plugin();
    // It opened for nobody else before, and opens now for the list that Alice is on. It fails if it inherits these.
    let secrets = ["TOKEN", "DNS_TOKEN", "EAB_HMAC"]
        .map(|name| (format!("GIT_CERTS_{name}"), "a secret".to_owned()));
    let said = repo.run_with("rekey www", "plugin", &secrets);
    assert!(said.stdout.starts_with(REKEYED), "{said:?}");
    assert!(repo.opened(WWW, "alice").is_some());
    let keys = repo.tool(plugin.to_str().unwrap(), &[], "");
    let recipient = keys.lines().last().unwrap();
    repo.run(&format!("recipients add {recipient}"), "none");
    let said = repo.run("rekey www", "alice");
    assert_eq!(said, Said::done(REKEYED));
    assert!(repo.opened(WWW, "alice").is_some());

    // To encrypt, it gets no answers, on a terminal neither.
    repo.commit("encrypted for both");
    repo.put("certificates/www/.age-recipients", recipient);
    repo.commit("the plugin alone");
    fs::write(plugin.with_file_name("asks"), "").unwrap();
    let said = repo.run_on_terminal("rekey www", "alice", &[]);
    assert!(
        said.stdout.starts_with(
            "error: cannot rekey certificate `www`\n  \
             caused by: cannot encrypt for the recipients in `certificates/www/.age-recipients`\n  \
             caused by: `age-plugin-lab` asks `Enter the PIN`, but nobody is asked when keys are encrypted\n\
             hint: take its recipients out, or use those of a plugin that encrypts without questions\n\
             0 rekeyed, 1 failed, 0 up to date\n"
        ),
        "{said:?}"
    );

    fs::remove_file(&plugin).unwrap();
    repo.put("certificates/www/.age-recipients", recipient);
    repo.commit("the plugin alone, which is gone");
    assert_eq!(
        repo.run("rekey www", "alice"),
        Said {
            code: Some(1),
            stdout: "0 rekeyed, 1 failed, 0 up to date\n\n\
                     who is no longer listed can open keys of today in older commits:\n  \
                     [alice]: certificates `www`\n\n\
                     keys are safe from them once they are new:\n  \
                     git-certs renew --only www --renew 9999\n"
                .to_owned(),
            stderr: "error: cannot rekey certificate `www`\n  \
                     caused by: cannot encrypt for the recipients in `certificates/www/.age-recipients`\n  \
                     caused by: there is no `age-plugin-lab` on PATH\n\
                     hint: install `age-plugin-lab`, or take its recipients out\n"
                .to_owned(),
        }
    );
}
