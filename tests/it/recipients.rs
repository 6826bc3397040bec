//! `recipients` and `rekey`, and what runs say of keys that are encrypted for others.

use pretty_assertions::assert_eq;
use regex::Regex;
use serde_json::Value;

use crate::support::cert_repo::{CertRepo, Files};
use crate::support::folders::Said;

const ACCOUNT: &str = ".letsencrypt/ca.test/account.json";
const ACCOUNT_KEY: &str = ".letsencrypt/ca.test/account.key.age";
const WWW: &str = "certificates/www/www.key.age";
const MAIL: &str = "certificates/mail/mail.key.age";

/// Certificates `www` and `mail`, encrypted for Alice; the account's key for the build.
fn repo() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    let build = repo.identity("build");
    repo.put(".age-recipients", format!("# people\n{alice}\n"));
    repo.put(".letsencrypt/.age-recipients", format!("{build}\n"));
    repo.put(ACCOUNT, r#"{"registration": {"uri": "https://ca.test/1"}}"#);
    let account = repo.sealed("account", &[&build]);
    repo.put(ACCOUNT_KEY, account);
    repo.list(&["www", "mail"]);
    repo.certificate("www", &[&alice]);
    repo.certificate("mail", &[&alice]);
    repo.commit("first");
    repo
}

#[test]
fn keys_follow_the_lists() {
    let mut repo = repo();
    let bob = repo.identity("bob");
    assert_eq!(
        repo.run("recipients list", "none"),
        Said::done(
            "certificates  .age-recipients\n  [alice]\n\
             accounts  .letsencrypt/.age-recipients\n  [build]\n\n\
             0 keys are encrypted for these lists, 0 for others, 3 for lists that are not known\n  \
             account `ca.test`: encrypted for a list that is not known\n  \
             certificate `mail`: encrypted for a list that is not known\n  \
             certificate `www`: encrypted for a list that is not known\n\
             `git-certs rekey` encrypts them for the lists as they are\n"
        )
    );
    // Alice opens two of three, which does not stop at the third.
    let said = repo.run("rekey", "alice");
    assert_eq!(
        said,
        Said {
            code: Some(1),
            stdout: "rekeyed  certificate `mail`\nrekeyed  certificate `www`\n\n\
                     2 rekeyed, 1 failed, 0 up to date\n"
                .to_owned(),
            stderr: "error: cannot rekey account `ca.test`\n  \
                     caused by: cannot decrypt `.letsencrypt/ca.test/account.key.age`\n  \
                     caused by: no identity in `[ROOT]/alice` can open it\n\
                     hint: it is encrypted for other recipients: give the identity of one of them (`--identity`, GIT_CERTS_AGE_KEY), \
                     or let one of them encrypt it for yours\n"
                .to_owned(),
        }
    );
    assert_eq!(
        repo.run("rekey", "build"),
        Said::done("rekeyed  account `ca.test`\n\n1 rekeyed, 0 failed, 2 up to date\n")
    );
    let tip = repo.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        repo.run("rekey", "none"),
        Said::done("0 rekeyed, 0 failed, 3 up to date\n")
    );
    assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
    let messages = repo.git(&["log", "--format=%B", "-2"]);
    let run = Regex::new("Git-Certs-Run: [0-9a-f]{16}").unwrap();
    assert_eq!(
        run.replace_all(&messages, "Git-Certs-Run: [RUN]"),
        "Rekey 1 key for the recipients of today\n\nKeys: account `ca.test`\n\nGit-Certs-Run: [RUN]\n\n\
         Rekey 2 keys for the recipients of today\n\nKeys: certificate `mail`, certificate `www`\n\nGit-Certs-Run: [RUN]\n\n"
    );
    let account: Value =
        serde_json::from_str(&repo.read(".letsencrypt/ca.test/account.json")).unwrap();
    assert_eq!(account["registration"]["uri"], "https://ca.test/1");

    assert_eq!(
        repo.run(&format!("recipients add {bob}"), "none"),
        Said::done(
            "added to `.age-recipients`\n\
             keys that are there stay as they are: `git-certs rekey` encrypts them for the new list\n"
        )
    );
    assert_eq!(
        repo.run(&format!("recipients add {bob}"), "none"),
        Said::done("`.age-recipients` has this recipient already\n")
    );
    assert!(repo.opened(WWW, "bob").is_none());
    assert_eq!(
        repo.run("rekey www", "alice"),
        Said::done("rekeyed  certificate `www`\n\n1 rekeyed, 0 failed, 0 up to date\n")
    );
    assert_eq!(repo.opened(WWW, "bob"), repo.opened(WWW, "alice"));
    assert!(repo.opened(WWW, "bob").is_some() && repo.opened(MAIL, "bob").is_none());
    assert!(repo.read(".age-recipients").starts_with("# people\n"));
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn who_has_gone_can_open_what_the_history_has() {
    let mut repo = repo();
    let bob = repo.identity("bob");
    repo.run("rekey", "alice");
    repo.run("rekey", "build");
    let alice = repo.read(".age-recipients");
    let alice = alice.lines().last().unwrap();
    repo.run(&format!("recipients add {bob}"), "none");
    assert_eq!(
        repo.run(&format!("recipients remove {alice}"), "none"),
        Said::done(
            "removed from `.age-recipients`\n\
             keys that are there can still be opened: `git-certs rekey` encrypts them for the new list, \
             and says which certificates need new keys\n"
        )
    );
    let given_away = "\nwho is no longer listed can open keys of today in older commits:\n  \
         [alice]: certificates `mail`, `www`\n\n\
         keys are safe from them once they are new:\n  \
         git-certs renew --only mail --renew 9999\n  \
         git-certs renew --only www --renew 9999\n";
    assert_eq!(
        repo.run("rekey", "alice"),
        Said::done(&format!(
            "rekeyed  certificate `mail`\nrekeyed  certificate `www`\n\n\
             2 rekeyed, 0 failed, 1 up to date\n{given_away}"
        ))
    );
    assert!(repo.opened(WWW, "alice").is_none() && repo.opened(WWW, "bob").is_some());
    // A new key is none that she has.
    repo.certificate("www", &[&bob]);
    repo.run("rekey www", "bob");
    assert_eq!(
        repo.run("rekey", "none").stdout,
        "0 rekeyed, 0 failed, 3 up to date\n\n\
         who is no longer listed can open keys of today in older commits:\n  \
         [alice]: certificates `mail`\n\n\
         keys are safe from them once they are new:\n  \
         git-certs renew --only mail --renew 9999\n"
    );
    assert_eq!(
        repo.run(&format!("recipients remove {bob}"), "none"),
        Said::refused(
            "error: this is the last recipient in `.age-recipients`: nobody could open new keys\n\
             hint: add another one first\n"
        )
    );
}

#[test]
fn a_certificate_can_have_a_list_of_its_own() {
    let mut repo = repo();
    let bob = repo.identity("bob");
    let said = repo.run(&format!("recipients add --certificate www {bob}"), "none");
    assert!(
        said.stdout
            .starts_with("added to `certificates/www/.age-recipients`\n"),
        "{said:?}"
    );
    let in_list = serde_json::json!([
        {"cert_name": "www", "names": ["www.a.test"]},
        {"cert_name": "mail", "names": ["mail.a.test"], "recipients": [bob]},
    ]);
    repo.put("certs.json", in_list.to_string());
    repo.commit("recipients in certs.json");
    repo.run("rekey", "alice");
    for (path, alice, bob) in [(WWW, true, true), (MAIL, false, true)] {
        assert_eq!(repo.opened(path, "alice").is_some(), alice, "{path}");
        assert_eq!(repo.opened(path, "bob").is_some(), bob, "{path}");
    }
    let listing: Value =
        serde_json::from_str(&repo.run("recipients list --format json", "none").stdout).unwrap();
    let of: Vec<_> = listing["lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| {
            (
                list["of"].as_str().unwrap(),
                list["source"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        of,
        [
            ("certificates", ".age-recipients"),
            ("accounts", ".letsencrypt/.age-recipients"),
            ("certificate `mail`", "certs.json"),
            ("certificate `www`", "certificates/www/.age-recipients"),
        ]
    );
    assert_eq!(listing["current"], 2);
    assert_eq!(
        repo.run(&format!("recipients add --certificate mail {bob}"), "none"),
        Said::refused(
            "error: certificate `mail` has its recipients in certs.json\n\
             hint: change `recipients` there\n"
        )
    );
    repo.put("certificates/mail/.age-recipients", &bob);
    assert_eq!(
        repo.run("rekey", "alice"),
        Said::refused(
            "error: certificate `mail` has recipients in `certificates/mail/.age-recipients` and in certs.json\n\
             hint: keep one of them: remove the file, or `recipients` from certs.json\n"
        )
    );
}

#[test]
fn a_certificate_that_is_nowhere_gets_no_list() {
    let repo = repo();
    let alice = repo.read(".age-recipients");
    let alice = alice.lines().last().unwrap();
    for verb in ["add", "remove"] {
        assert_eq!(
            repo.run(
                &format!("recipients {verb} --certificate wwww {alice}"),
                "none"
            ),
            Said::refused(
                "error: there is no certificate `wwww`, in certs.json or in the repository\n\
                 hint: certs.json has `www`, `mail`\n"
            )
        );
    }
}

#[test]
fn a_key_that_was_swapped_is_not_vouched_for() {
    let repo = repo();
    let alice = repo.read(".age-recipients");
    let alice = alice.lines().last().unwrap();
    let other = Files::new("www");
    repo.put(WWW, repo.sealed(&other.key, &[alice]));
    repo.commit("swapped");
    let said = repo.run("rekey www", "alice");
    assert_eq!(
        said,
        Said {
            code: Some(1),
            stdout: "0 rekeyed, 1 failed, 0 up to date\n".to_owned(),
            stderr: "error: cannot rekey certificate `www`\n  \
                     caused by: the key in `certificates/www/www.key.age` is not the certificate's\n\
                     hint: somebody put another key there: `git log` says who; take the right one from an \
                     older commit, or issue the certificate again: `git-certs renew --only www --renew 9999`\n"
                .to_owned(),
        }
    );
}

#[test]
fn names_of_folders_do_nothing_to_terminals_and_ci_systems() {
    let repo = repo();
    let build = repo.read(".letsencrypt/.age-recipients");
    for host in ["x\u{1b}[31my", "x ##[group]y", "x\n::add-mask::y"] {
        let account = repo.sealed("account", &[build.trim()]);
        repo.put(
            &format!(".letsencrypt/{host}/account.json"),
            r#"{"registration": {"uri": "https://ca.test/1"}}"#,
        );
        repo.put(&format!(".letsencrypt/{host}/account.key.age"), account);
    }
    repo.commit("hostile names");
    let listed = repo.run("recipients list", "none");
    assert_eq!(listed.code, Some(0));
    // The keys of certificates are not for the build.
    let rekeyed = repo.run("rekey", "build");
    assert_eq!(rekeyed.code, Some(1));
    for text in [listed.stdout, rekeyed.stdout] {
        let is_tame = |line: &str| !line.starts_with("::") && !line.contains("##[");
        assert!(text.lines().all(is_tame), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("`x\\u{1b}[31my`"), "{text}");
    }
}

#[test]
fn names_that_have_no_key_are_refused() {
    let repo = repo();
    assert_eq!(
        repo.run("rekey www api", "alice"),
        Said::refused(
            "error: certificate `api` has no encrypted key: `certificates/api/api.key.age` is not there\n\
             hint: it takes a `cert_name` of certs.json whose certificate was issued\n"
        )
    );
    assert_eq!(
        repo.run("rekey a/b", "alice"),
        Said::refused(
            "error: `rekey` names no certificate\n  caused by: `a/b` is not a certificate name\n\
             hint: it takes a `cert_name` of certs.json\n"
        )
    );
}

#[test]
fn every_run_tells_of_keys_for_others() {
    let mut repo = repo();
    let bob = repo.identity("bob");
    repo.put(
        "dnsconfig.js",
        "D('a.test', NewRegistrar('none'), DnsProvider(NewDnsProvider('ddns')));\n",
    );
    repo.run("rekey", "alice");
    assert_eq!(repo.run("plan", "none").stderr, "");
    repo.run(&format!("recipients add {bob}"), "none");
    let said = repo.run("plan", "none");
    assert_eq!(
        said.stderr,
        "warning: keys of `www`, `mail` are encrypted for other recipients than those of today: \
         `git-certs rekey` encrypts them anew\n"
    );
    assert_eq!(repo.run("renew --dry-run", "none").stderr, said.stderr);
    repo.run("rekey", "alice");
    assert_eq!(repo.run("plan", "none").stderr, "");
    repo.put(".age-recipients", "bob\n");
    assert_eq!(
        repo.run("plan", "none").stderr,
        "warning: not committed as they are here, which is what counts now: `.age-recipients`; commit and push them\n\
         warning: it is not known whether keys are encrypted for the recipients of today: \
         `.age-recipients` line 1 is not a recipient: it is of no known kind\n"
    );
}

#[test]
fn lists_that_the_history_does_not_have_are_named() {
    let repo = repo();
    let path = "certificates/www/www.json";
    let mut description: Value = serde_json::from_str(&repo.read(path)).unwrap();
    description["recipients_sha256"] = "0".repeat(64).into();
    repo.put(path, description.to_string());
    repo.commit("for a list that was never here");
    assert_eq!(
        repo.run("rekey www", "alice"),
        Said::done(
            "rekeyed  certificate `www`\n\n1 rekeyed, 0 failed, 0 up to date\n\n\
             older commits have keys of today for lists that the history does not have:\n  \
             certificate `www`\n\n\
             keys are safe from them once they are new:\n  \
             git-certs renew --only www --renew 9999\n"
        )
    );
}

#[test]
fn accounts_have_a_past_too() {
    let repo = repo();
    repo.run("rekey", "alice");
    repo.run("rekey", "build");
    let read = |path: &str| repo.read(path).lines().last().unwrap().to_owned();
    let (alice, build) = (
        read(".age-recipients"),
        read(".letsencrypt/.age-recipients"),
    );
    repo.run(&format!("recipients add --account {alice}"), "none");
    repo.run(&format!("recipients remove --account {build}"), "none");
    assert_eq!(
        repo.run("rekey", "build"),
        Said::done(
            "rekeyed  account `ca.test`\n\n1 rekeyed, 0 failed, 2 up to date\n\n\
             who is no longer listed can open keys of today in older commits:\n  \
             [build]: accounts `ca.test`\n\n\
             keys are safe from them once they are new:\n  \
             git-certs account rollover    for `ca.test`, unless that was done since\n"
        )
    );
}

#[test]
fn an_account_that_has_another_key_since_is_safe() {
    let repo = repo();
    let read = |path: &str| repo.read(path).lines().last().unwrap().to_owned();
    let (alice, build) = (
        read(".age-recipients"),
        read(".letsencrypt/.age-recipients"),
    );
    put_account_key(&repo, &Files::new("old"), &build);
    repo.run("rekey", "build");
    repo.run(&format!("recipients add --account {alice}"), "none");
    repo.run(&format!("recipients remove --account {build}"), "none");
    let due = "  git-certs account rollover    for `ca.test`, unless that was done since\n";
    let said = repo.run("rekey", "build").stdout;
    assert!(said.ends_with(due), "{said}");
    put_account_key(&repo, &Files::new("new"), &alice);
    let said = repo.run("rekey", "alice").stdout;
    assert!(
        said.contains("rekeyed") && !said.contains("rollover"),
        "{said}"
    );
}

/// Gives the account another key, which account.json names, as a registration or a rollover stores it.
fn put_account_key(repo: &CertRepo, files: &Files, recipient: &str) {
    repo.put(ACCOUNT_KEY, repo.sealed(&files.key, &[recipient]));
    let mut fields: Value = serde_json::from_str(&repo.read(ACCOUNT)).unwrap();
    fields["public_key_sha256"] = files.description["public_key_sha256"].clone();
    repo.put(ACCOUNT, fields.to_string());
    repo.commit("another key of the account");
}

#[test]
fn a_rekey_takes_the_accounts_own_key_alone() {
    let repo = repo();
    let recipient = repo.read(".letsencrypt/.age-recipients");
    let own = Files::new("own");
    put_account_key(&repo, &own, recipient.trim());
    repo.run("rekey", "build");
    let told =
        "account `ca.test`: its key is not the one that was stored: `git-certs verify` says more\n";
    let listed = || repo.run("recipients list", "none").stdout;
    assert!(!listed().contains(told));

    let swap = |key: &str| {
        repo.put(ACCOUNT_KEY, repo.sealed(key, &[recipient.trim()]));
        repo.commit("a typo");
    };
    let failed = |cause: &str| Said {
        code: Some(1),
        stdout: "0 rekeyed, 1 failed, 0 up to date\n".to_owned(),
        stderr: format!("error: cannot rekey account `ca.test`\n  caused by: {cause}\n"),
    };
    let another = format!(
        "the key in `{ACCOUNT_KEY}` is not the one that `{ACCOUNT}` names\nhint: somebody put another key there: \
         `git log` says who; take the files of one commit of a run, or correct `{ACCOUNT}` if the key is right"
    );
    repo.remove(WWW);
    repo.remove(MAIL);
    swap(&Files::new("other").key);
    let described = repo.read(ACCOUNT);
    assert_eq!(repo.run("rekey", "build"), failed(&another));
    assert_eq!(repo.read(ACCOUNT), described);
    assert!(listed().contains(told));
    let verified = repo.run("verify", "none");
    assert!(verified.stdout.contains(ACCOUNT_KEY), "{}", verified.stdout);
    swap("no key");
    assert_eq!(
        repo.run("rekey", "build"),
        failed(&format!(
            "cannot use what is in `{ACCOUNT_KEY}`\n  caused by: not a private key in PEM form"
        ))
    );

    // The same key, encrypted by hand: the public half says so.
    swap(&own.key);
    assert!(listed().contains(told));
    assert_eq!(
        repo.run("rekey", "build").stdout,
        "rekeyed  account `ca.test`\n\n1 rekeyed, 0 failed, 0 up to date\n"
    );
    assert!(!listed().contains(told));

    // Where nothing names it, only the file itself counts.
    let mut fields: Value = serde_json::from_str(&repo.read(ACCOUNT)).unwrap();
    fields
        .as_object_mut()
        .unwrap()
        .shift_remove("public_key_sha256");
    repo.put(ACCOUNT, fields.to_string());
    swap(&own.key);
    assert_eq!(repo.run("rekey", "build"), failed(&another));
}

#[test]
fn a_clone_without_history_says_so() {
    let repo = repo();
    repo.run("rekey", "build");
    let url = format!("file://{}", repo.path("certs").display());
    let shallow = repo.path("shallow");
    let folder = shallow.to_str().unwrap();
    repo.git(&["clone", "--quiet", "--depth", "1", &url, folder]);
    let said = repo.run(&format!("rekey --no-push --dir {folder}"), "alice");
    assert_eq!(
        said.stdout,
        "rekeyed  certificate `mail`\nrekeyed  certificate `www`\n\n2 rekeyed, 0 failed, 1 up to date\n\n\
         the history is not here, and with it who can open older versions of these keys: \
         run `git-certs rekey` in a full clone\n"
    );
}
