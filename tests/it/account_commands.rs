//! `account show|register|deactivate`, and external account binding.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::nightly::Nightly;
use crate::support::pebble::{EAB_KEY, EAB_KEY_ID, Settings};
use crate::support::repos::{Files, Remote, Transport};

const WANTED: &[(&str, &[&str])] = &[("www", &["www.bench.test"])];

fn nightly(settings: Settings) -> Nightly {
    let lab = Lab::builder().bind().pebble_with(settings).start();
    Nightly::new(lab, WANTED)
}

/// Standard error without the lines of steps.
fn said(stderr: &str) -> String {
    let lines = stderr.split_inclusive('\n');
    lines
        .filter(|line| !line.ends_with(" ([TIME])\n"))
        .collect()
}

#[track_caller]
fn is_refused(command: &Command, stderr: &str) {
    let output = command.run().expect_code(2);
    assert_eq!(said(&output.normal_stderr()), stderr);
    assert_eq!(output.stdout, "");
}

#[test]
fn an_account_is_registered_shown_and_closed() {
    let nightly = nightly(Settings::default());
    let Nightly { lab, certs, .. } = &nightly;
    is_refused(
        &nightly.command(&["account", "show"]),
        "error: there is no account at `acme.test` in the cert repository: \
         `.letsencrypt/acme.test/account.key.age` is not there\n\
         hint: `git-certs account register` makes one; `--acme` says at which CA\n",
    );
    let register = nightly.command(&["account", "register", "--email", "me@example.test"]);
    is_refused(
        &register.clone().env("GIT_CERTS_AGREE_TOS", "false"),
        "error: there is no account at `acme.test` yet, and a new one needs your agreement to its \
         terms: `data:text/plain,Do%20what%20thou%20wilt`\n\
         hint: read the terms, then run again with `--agree-tos`\n",
    );
    let output = register.run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "registered the ACME account `https://acme.test/my-account/[ID]`\n\
         pushed 1 commit to `main`\n"
    );
    assert_eq!(
        certs.subjects(lab)[0],
        "Register an ACME account at acme.test"
    );
    let again = register.run().expect_code(0);
    assert_eq!(
        again.normal_stdout(),
        "there is an account already: `https://acme.test/my-account/[ID]`\n"
    );
    let output = nightly.command(&["account", "show"]).run().expect_code(0);
    let orders = output.normal_stdout();
    let orders = orders.lines().last().unwrap();
    assert_eq!(
        output.normal_stdout(),
        format!(
            "account   https://acme.test/my-account/[ID]\n\
             status    valid\n\
             CA        https://acme.test/dir\n\
             contacts  mailto:me@example.test\n\
             terms     the CA does not say\n\
             key       P-256, in .letsencrypt/acme.test/account.key.age\n\
             bound to  no account at the CA that it tells (EAB)\n\
             {orders}\n"
        )
    );
    assert!(
        orders.starts_with("orders    https://acme.test/"),
        "{orders}"
    );
    let output = nightly
        .command(&["account", "show", "--format", "json"])
        .run()
        .expect_code(0);
    let shown: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(shown["version"], 1);
    assert_eq!(
        shown["account"]["contacts"],
        json!(["mailto:me@example.test"])
    );
    assert_eq!(shown["account"]["ca"], Value::Null);

    is_refused(
        &nightly.command(&["account", "show", "--acme", "https://acme.test/nothing"]),
        "error: cannot look for the account at `https://acme.test/nothing`\n  \
         caused by: the CA answered `404 Not Found`\n\
         hint: `--acme` takes `live`, `staging`, `zerossl`, `google`, `google-staging`, `sslcom`, \
         `sslcom-ecc`, `actalis`, or the URL of a CA's ACME directory\n",
    );

    let deactivate = nightly.command(&["account", "deactivate"]);
    is_refused(
        &deactivate,
        "error: this closes the account `https://acme.test/my-account/[ID]` for good: nothing can be \
         ordered or revoked with it any more\n\
         hint: run it with `--yes` where nobody can be asked\n",
    );
    let tips = certs.subjects(lab);
    let output = deactivate.arg("--yes").run().expect_code(0);
    assert_eq!(
        output.normal_stdout(),
        "the ACME account `https://acme.test/my-account/[ID]` is closed\n\
         certificates stay valid until they expire; remove the account from the repository, so that \
         the next run registers another: `git rm -r .letsencrypt/acme.test`\n"
    );
    assert_eq!(certs.subjects(lab), tips);
    let closed = "caused by: An account with the provided public key exists but is deactivated (unauthorized)\n\
         hint: an account that was closed stays closed; for a new one, move the files in \
         `.letsencrypt/acme.test/` away and run again with `--agree-tos`\n";
    let opened = "error: cannot open the account at `https://acme.test/dir`";
    is_refused(
        &nightly.command(&["renew"]),
        &format!("to issue: `www`, not in the repository\n{opened}\n  {closed}"),
    );
    is_refused(
        &nightly.command(&["account", "show"]),
        &format!("error: cannot look for the account at `https://acme.test/dir`\n  {closed}"),
    );
}

#[test]
fn a_key_of_another_account_is_not_used() {
    const METADATA: &str = ".letsencrypt/acme.test/account.json";
    const KEY: &str = ".letsencrypt/acme.test/account.key.age";
    let nightly = nightly(Settings::default());
    let Nightly {
        lab,
        certs,
        identity,
        ..
    } = &nightly;
    let register = nightly.command(&["account", "register"]);
    register.succeed();
    // Encrypted for us by somebody who can push, and holds the account that it belongs to.
    let theirs = Files::certificates(WANTED, &[&identity.recipient]).publish(lab, "theirs");
    let their_repo = theirs.url(Transport::Path);
    register.env("GIT_CERTS_REPO", their_repo).succeed();
    let swapped = Files::default().with(KEY, &theirs.show(lab, KEY));
    swapped.commit(lab, certs, "an innocent change");
    let url = |remote: &Remote| {
        let metadata: Value = serde_json::from_str(&remote.show(lab, METADATA)).unwrap();
        metadata["registration"]["uri"].as_str().unwrap().to_owned()
    };
    let (ours, theirs) = (url(certs), url(&theirs));
    assert_ne!(ours, theirs);
    let before = nightly.requests();
    for words in [
        &["renew"][..],
        &["account", "show"],
        &["account", "rollover"],
    ] {
        let output = nightly.command(words).run().expect_code(2);
        let stderr = output.stderr.split_inclusive('\n');
        let is_step = |line: &&str| line.ends_with(" s)\n") || line.starts_with("to issue: ");
        assert_eq!(
            stderr.filter(|line| !is_step(line)).collect::<String>(),
            format!(
                "error: the key in `{KEY}` belongs to the account `{theirs}`, but account.json beside \
                 it names `{ours}`\n\
                 hint: somebody may have put another key there: `git log` says who; take the right one from \
                 an older commit, or correct account.json if the key is right\n"
            )
        );
    }
    let asked = nightly.requests().split_off(before.len());
    let other = asked
        .iter()
        .filter(|request| !["HEAD /nonce-plz", "POST /sign-me-up"].contains(&request.as_str()));
    assert_eq!(other.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_terminal_is_asked() {
    let nightly = nightly(Settings::default());
    let lab = &nightly.lab;
    nightly.command(&["account", "register"]).succeed();
    let typed = |answer: &str| {
        let program = env!("CARGO_BIN_EXE_git-certs");
        let mut command = lab.command("script").args(["-qec"]);
        command = command
            .arg(format!("{program} account deactivate"))
            .arg("/dev/null");
        for (name, value) in [
            ("GIT_CERTS_CA_BUNDLE", lab.ca().to_str().unwrap()),
            ("GIT_CERTS_ACME", crate::support::pebble::DIRECTORY),
            ("GIT_CERTS_REPO", nightly.certs.folder.to_str().unwrap()),
            (
                "GIT_CERTS_AGE_KEY_FILE",
                nightly.identity.file.to_str().unwrap(),
            ),
        ] {
            command = command.env(name, value);
        }
        command.stdin(format!("{answer}\n")).run()
    };
    let no = typed("no").expect_code(2);
    assert!(
        no.stdout.contains("type `yes` to go on:\r\n")
            && no
                .stdout
                .ends_with("error: nothing was done: the answer was not `yes`\r\n"),
        "{}",
        no.stdout
    );
    let yes = typed("yes").expect_code(0);
    assert!(yes.stdout.contains("` is closed\r\n"), "{}", yes.stdout);
}

#[test]
fn an_account_is_bound_to_another() {
    let nightly = nightly(Settings {
        external_account: true,
        ..Settings::default()
    });
    let Nightly { lab, .. } = &nightly;
    let context = "error: cannot register an account at `https://acme.test/dir`\n  caused by: ";
    let register = nightly.command(&["account", "register"]);
    is_refused(
        &register,
        &format!(
            "{context}the CA wants new accounts to be bound to one of its own (EAB)\n\
             hint: `--eab-kid` takes the key identifier, GIT_CERTS_EAB_HMAC the HMAC key; the CA's \
             customer pages have them\n"
        ),
    );
    is_refused(
        &register.clone().args(["--eab-kid", EAB_KEY_ID]),
        &format!(
            "{context}`--eab-kid` is given, but its HMAC key is not\n\
             hint: set GIT_CERTS_EAB_HMAC to the key that the CA gave with it\n"
        ),
    );
    is_refused(
        &register.clone().env("GIT_CERTS_EAB_HMAC", EAB_KEY),
        &format!(
            "{context}an HMAC key for external account binding is given, but no `--eab-kid`\n\
             hint: set GIT_CERTS_EAB_KID to the key identifier that the CA gave with it\n"
        ),
    );
    is_refused(
        &register
            .clone()
            .env("GIT_CERTS_EAB_KID", "kid-2")
            .args(["--eab-hmac", EAB_KEY]),
        &format!(
            "{context}the field 'kid' references a key that is not known to the ACME server \
             (unauthorized)\n\
             hint: check that `--eab-kid` and GIT_CERTS_EAB_HMAC belong together and to this CA; some \
             CAs take each pair only once: get a new one\n"
        ),
    );
    // As lego's users have it, in a whole run.
    let output = nightly
        .command(&["renew"])
        .env("LEGO_EAB_KID", EAB_KEY_ID)
        .env("LEGO_EAB_HMAC", format!("{EAB_KEY}\n"))
        .run()
        .expect_code(0);
    assert!(!output.stderr.contains(EAB_KEY), "{}", output.stderr);
    // The account exists: nothing is needed any more.
    let shown = nightly.command(&["account", "show"]).run().expect_code(0);
    let line = format!("\nbound to  {EAB_KEY_ID}\n");
    assert!(shown.stdout.contains(&line), "{}", shown.stdout);
    nightly.command(&["renew", "--renew", "1000"]).succeed();
    assert_eq!(lab.left_over().len(), 0);
}

#[test]
fn the_hmac_key_is_no_setting_of_the_file_and_no_message_repeats_it() {
    let nightly = nightly(Settings::default());
    let Nightly { lab, certs, .. } = &nightly;
    Files::default()
        .with("git-certs.toml", &format!("eab-hmac = \"{EAB_KEY}\"\n"))
        .commit(lab, certs, "a secret in the file");
    for command in [
        nightly.command(&["account", "register"]),
        nightly.command(&["renew", "--eab-hmac", EAB_KEY, "--verbose"]),
    ] {
        let output = command.run().expect_code(2);
        assert!(
            output.stderr.contains("unknown field `eab-hmac`"),
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains(EAB_KEY), "{}", output.stderr);
    }
}
