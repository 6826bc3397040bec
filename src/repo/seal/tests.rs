//! With the `age` command and `ssh-keygen`, both ways.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;

use age::NoCallbacks;

use super::*;
use crate::model::hint::explain;
use crate::repo::files;

/// A file with content, in a folder of its own.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{program}` is needed: {error}"));
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input.as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Identity file text and recipient of a new age key.
fn age_key() -> (String, String) {
    let text = run("age-keygen", &[], "");
    let recipient = run("age-keygen", &["-y"], &text).trim().to_owned();
    (text, recipient)
}

/// Private key text and public key of a new SSH key.
fn ssh_key(folder: &Path, kind: &str, passphrase: &str) -> (String, String) {
    let path = folder.join(format!("{kind}-{}", passphrase.len()));
    let shown = path.to_str().unwrap();
    run(
        "ssh-keygen",
        &["-q", "-t", kind, "-N", passphrase, "-f", shown],
        "",
    );
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    (read(shown), read(&format!("{shown}.pub")))
}

fn identities(text: &str) -> Result<Identities> {
    Identities::parse(&Secret::from(text.to_owned()), "key.txt", &NoCallbacks)
}

fn error<T>(result: Result<T>) -> String {
    let explained = explain(&result.err().expect("an error"));
    let mut lines = vec![explained.what];
    lines.extend(explained.causes.iter().map(|cause| format!("  {cause}")));
    lines.extend(explained.hints.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

#[test]
fn what_we_seal_age_opens_and_the_other_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = [
        age_key(),
        age_key(),
        ssh_key(folder, "ed25519", ""),
        ssh_key(folder, "rsa", ""),
    ];
    let lines: Vec<_> = keys
        .iter()
        .map(|(_, recipient)| recipient.as_str())
        .collect();
    let list = format!("# all of them\n\n{}\n", lines.join("\n"));
    let recipients = Recipients::parse(&list, ".age-recipients").unwrap();
    let sealed = recipients
        .seal(&Secret::from("sealed here".to_owned()))
        .unwrap();
    let ours = write(folder, "ours.age", sealed.as_str());
    let file = write(folder, "recipients", &list);
    let theirs = run("age", &["-a", "-R", &file], "sealed there");
    let theirs = Sealed::new(theirs).unwrap();
    for (index, (identity, _)) in keys.iter().enumerate() {
        let path = write(folder, &format!("identity{index}"), identity);
        assert_eq!(run("age", &["-d", "-i", &path, &ours], ""), "sealed here");
        // As CI systems hand it on: without the final line feed.
        let identities = identities(identity.trim_end()).unwrap();
        assert_eq!(identities.open(&theirs).unwrap().expose(), b"sealed there");
        assert_eq!(identities.open(&sealed).unwrap().expose(), b"sealed here");
    }
}

#[test]
fn an_age1tag_recipient_is_sealed_for() {
    let (identity, recipient) = age_key();
    // A recipient from the age crate's own tests.
    let tag = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
    let recipients = Recipients::parse(&format!("{recipient}\n{tag}\n"), "r").unwrap();
    let sealed = recipients.seal(&Secret::from("x".to_owned())).unwrap();
    assert_eq!(
        identities(&identity)
            .unwrap()
            .open(&sealed)
            .unwrap()
            .expose(),
        b"x"
    );
}

#[test]
fn the_hash_is_of_the_set() {
    let folder = tempfile::tempdir().unwrap();
    let (_, ssh) = ssh_key(folder.path(), "ed25519", "");
    let (_, one) = age_key();
    let (_, two) = age_key();
    let hash = |text: &str| Recipients::parse(text, "r").unwrap().hash();
    let bare = ssh.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let first = hash(&format!("{one}\n{two}\n{ssh}"));
    assert_eq!(first.len(), 64);
    assert_eq!(
        first,
        hash(&format!(
            "# x\r\n{bare} other\r\n  {two}\r\n{one}\r\n{one}\r\n"
        ))
    );
    assert_ne!(first, hash(&format!("{one}\n{two}\n")));
}

#[test]
fn bad_recipients_name_the_line_and_never_show_it() {
    let parse = |text: &str| error(Recipients::parse(text, ".age-recipients"));
    assert_eq!(
        parse("# nobody\n\n"),
        "`.age-recipients` has no recipient\n\
         hint: `age-keygen -o key.txt` makes an identity and prints its recipient; put that line in"
    );
    let kinds = "hint: a recipient is `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`, one a line; `#` begins a comment";
    assert_eq!(
        parse("#\nhunter2\n"),
        format!("`.age-recipients` line 2 is not a recipient\n  it is of no known kind\n{kinds}")
    );
    assert_eq!(
        parse("age1xyz"),
        format!(
            "`.age-recipients` line 1 is not a recipient\n  it is cut off or mistyped\n{kinds}"
        )
    );
    let folder = tempfile::tempdir().unwrap();
    let (_, ecdsa) = ssh_key(folder.path(), "ecdsa", "");
    assert_eq!(
        parse(&ecdsa),
        format!(
            "`.age-recipients` line 1 is not a recipient\n  \
             age cannot encrypt for `ecdsa-sha2-nistp256`\n{kinds}"
        )
    );
    let (identity, _) = age_key();
    let secret = identity.lines().last().unwrap();
    for line in [
        secret,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "AGE-PLUGIN-YUBIKEY-1Q",
    ] {
        assert_eq!(
            parse(line),
            "`.age-recipients` line 1 looks like a secret key\n\
             hint: take it out of the file and out of the history, and make a new key; \
             the recipient is the line that begins with `age1` or `ssh-`"
        );
    }
}

#[test]
fn a_missing_plugin_is_named() {
    // What `age-plugin-nosuch` would print as a recipient.
    let plugin = "age1nosuch1qqqqqqqqkrzhz2";
    let Ok(recipients) = Recipients::parse(plugin, "r") else {
        panic!("the test's recipient is mistyped");
    };
    assert_eq!(
        error(recipients.seal(&Secret::from("x".to_owned()))),
        "cannot encrypt for the recipients in `r`\n  there is no `age-plugin-nosuch` on PATH\n\
         hint: install `age-plugin-nosuch`, or take its recipients out"
    );
}

#[test]
fn a_missing_plugin_of_an_identity_is_named() {
    assert_eq!(
        error(identities("AGE-PLUGIN-NOSUCH-1QQQQQQQQW7ZDQQ")),
        "there is no `age-plugin-nosuch` on PATH\n\
         hint: install `age-plugin-nosuch`, or give another identity"
    );
}

#[test]
fn bad_identities() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        error(identities("# nothing\n")),
        "there is no identity in `key.txt`\n\
         hint: an identity is a line `AGE-SECRET-KEY-1...`, as `age-keygen` prints it, or an SSH private key"
    );
    let (identity, recipient) = age_key();
    assert_eq!(
        error(identities(&format!("{identity}\n{recipient}"))),
        "line 5 of the identity in `key.txt` is not a key\n\
         hint: a key is `AGE-SECRET-KEY-1...`, whole and on one line; `age1...` is a recipient, not a key"
    );
    assert_eq!(
        error(identities("/home/me/key.txt")),
        "line 1 of the identity in `key.txt` is not a key\n\
         hint: the path of a file goes into `GIT_CERTS_AGE_KEY_FILE`, or `--identity`"
    );
    let (ecdsa, _) = ssh_key(folder.path(), "ecdsa", "");
    assert!(
        error(identities(&ecdsa)).contains("ecdsa"),
        "{}",
        error(identities(&ecdsa))
    );
    let (plain, _) = ssh_key(folder.path(), "ed25519", "");
    let cut: String = plain.chars().take(100).collect();
    assert_eq!(
        error(identities(&cut)),
        "cannot use the SSH key in `key.txt`\n  it is cut off or mistyped\n\
         hint: give the whole file, first and last line included"
    );
    assert_eq!(
        error(identities("-----BEGIN AGE ENCRYPTED FILE-----\nx")),
        "cannot use the identity in `key.txt`\n  it is not an age file, or it is damaged\n\
         hint: take the file from an older commit"
    );
    let for_recipient = run("age", &["-a", "-r", &recipient], &identity);
    assert_eq!(
        error(identities(&for_recipient)),
        "cannot use the identity in `key.txt`\n  it is encrypted for recipients, not with a passphrase\n\
         hint: `age -d -i KEY` opens it; give what it prints"
    );
    assert_eq!(
        error(identities("# of age 1.3\nAGE-SECRET-KEY-PQ-1QQQQ")),
        "line 2 of the identity in `key.txt` is a post-quantum key, which age's plugin for them opens\n\
         hint: `age-plugin-pq -identity` makes an identity for the plugin of it: give that"
    );
    // In the form of OpenSSL, which age does not open.
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
               DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        error(identities(pem)),
        "cannot use the SSH key in `key.txt`\n  \
         its passphrase protects it in a way that age does not know\n\
         hint: `ssh-keygen -p` writes it in today's way; or make an age key with `age-keygen`"
    );
}

#[test]
fn what_does_not_open() {
    let (_, recipient) = age_key();
    let (other, _) = age_key();
    let recipients = Recipients::parse(&recipient, "r").unwrap();
    let sealed = recipients.seal(&Secret::from("x".repeat(500))).unwrap();
    let identities = identities(&other).unwrap();
    assert_eq!(
        error(identities.open(&sealed)),
        "no identity in `key.txt` can open it\n\
         hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
         or let one of them encrypt it for yours"
    );
    let damaged =
        "it is not an age file, or it is damaged\nhint: take the file from an older commit";
    let text = sealed.as_str();
    let cut = Sealed::new(text.chars().take(120).collect()).unwrap();
    assert_eq!(error(identities.open(&cut)), damaged);
    let html = Sealed::new("-----BEGIN AGE ENCRYPTED FILE-----\n<html>\n".to_owned()).unwrap();
    assert_eq!(error(identities.open(&html)), damaged);
}

#[test]
fn a_damaged_body_is_told_from_a_foreign_one() {
    let (identity, recipient) = age_key();
    let recipients = Recipients::parse(&recipient, "r").unwrap();
    let sealed = recipients.seal(&Secret::from("x".repeat(500))).unwrap();
    let text = sealed.as_str();
    let mut lines: Vec<_> = text.lines().collect();
    lines.remove(lines.len() - 3);
    let shorter = Sealed::new(lines.join("\n") + "\n").unwrap();
    assert_eq!(
        error(identities(&identity).unwrap().open(&shorter)),
        "the ciphertext is damaged\nhint: take the file from an older commit"
    );
}
