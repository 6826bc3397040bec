//! `verify`: what was planted is found, and nothing else.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::support::cert_repo::{CertRepo, Files, sha256};
use crate::support::folders::Said;

/// A clean repository with a certificate for each name, and an account.
fn clean(names: &[&str]) -> (CertRepo, String) {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.put(
        ".letsencrypt/ca.test/account.json",
        r#"{"registration": {"uri": "https://ca.test/1"}}"#,
    );
    let sealed = repo.sealed("account", &[&alice]);
    repo.put(".letsencrypt/ca.test/account.key.age", sealed);
    repo.list(names);
    for name in names {
        repo.certificate(name, &[&alice]);
    }
    repo.commit("clean");
    (repo, alice)
}

/// Path, and what is said of it, of every finding.
fn findings(said: &Said) -> Vec<(String, String)> {
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let all = found["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("the message").to_owned();
    let pair = |finding: &Value| (text(&finding["path"]), text(&finding["what"]));
    let mut all: Vec<_> = all.iter().map(pair).collect();
    all.sort();
    all
}

/// A certificate with something wrong, which the caller makes.
fn broken(repo: &CertRepo, name: &str, alice: &str, change: impl FnOnce(&mut Value)) {
    let files = repo.certificate(name, &[alice]);
    let path = format!("certificates/{name}/{name}.json");
    let mut description: Value = serde_json::from_str(&repo.read(&path)).unwrap();
    assert_eq!(description["serial"], files.description["serial"]);
    change(&mut description);
    repo.put(&path, format!("{description:#}\n"));
}

/// Makes a file of openssl's.
fn openssl(repo: &CertRepo, words: &str) -> Vec<u8> {
    let words: Vec<_> = words.split(' ').collect();
    repo.tool("openssl", &words, "");
    fs::read(repo.path("out")).unwrap()
}

const FAULTS: [(&str, &str); 20] = [
    (
        ".letsencrypt/.age-recipients",
        "`.letsencrypt/.age-recipients` has no recipient",
    ),
    (
        ".letsencrypt/old.test/account.key",
        "a private key in plain text: SEC1 in PEM",
    ),
    (
        "backup/key.txt",
        "a private key in plain text: age identity",
    ),
    ("backup/keys.jks", "a key store: Java key store (JKS)"),
    (
        "backup/legacy.pem",
        "a private key in plain text: PKCS#1 in PEM",
    ),
    (
        "backup/site.der",
        "a private key in plain text: PKCS#8 in DER",
    ),
    ("backup/site.p12", "a key store: PKCS#12"),
    (
        "certificates/armour/armour.key.age",
        "it is not an ASCII-armoured age file",
    ),
    (
        "certificates/broken/broken.json",
        "it cannot be read: expected value at line 1 column 1",
    ),
    (
        "certificates/foreign/foreign.json",
        "it names another public key than `foreign.crt` has",
    ),
    (
        "certificates/keyless/keyless.crt",
        "a certificate without its key: `keyless.key.age` is not there",
    ),
    (
        "certificates/list/.age-recipients",
        "`certificates/list/.age-recipients` line 1 is not a recipient: it is of no known kind",
    ),
    (
        "certificates/names/names.json",
        "it names others than `names.crt` does",
    ),
    (
        "certificates/orphan/orphan.key.age",
        "a key without its certificate: `orphan.crt` is not there",
    ),
    (
        "certificates/plain/plain.key",
        "a private key in plain text: PKCS#8 in PEM",
    ),
    (
        "certificates/plain/plain.pem",
        "a private key in plain text: PKCS#8 in PEM",
    ),
    (
        "certificates/swapped/swapped.key.age",
        "it is not the key that `swapped.json` names: it was swapped or damaged",
    ),
    ("deploy/id", "a private key in plain text: OpenSSH in PEM"),
    (
        "deploy/secret.yaml",
        "a private key in plain text: PKCS#8 in PEM, in Base64",
    ),
    ("the message", "a private key in plain text: PKCS#8 in PEM"),
];

/// One commit for each fault, or two where one file has both.
fn poison(repo: &CertRepo, alice: &str) {
    let key = KeyPair::generate().unwrap();
    let pem = key.serialize_pem();
    repo.put(".letsencrypt/.age-recipients", "# nobody\n");
    repo.put(".letsencrypt/old.test/account.json", "{}");
    let sec1 = openssl(repo, "ecparam -name secp384r1 -genkey -noout -out out");
    repo.put(".letsencrypt/old.test/account.key", sec1);
    repo.put("backup/key.txt", fs::read(repo.path("alice")).unwrap());
    repo.put("backup/keys.jks", b"\xfe\xed\xfe\xed\0\0\0\x02");
    let rsa = openssl(repo, "genrsa -traditional -out out 2048");
    repo.put("backup/legacy.pem", rsa);
    repo.put("backup/site.der", key.serialized_der());
    fs::write(repo.path("k"), &pem).unwrap();
    openssl(repo, "req -x509 -key k -subj /CN=x -out out");
    repo.put(
        "backup/site.p12",
        openssl(
            repo,
            "pkcs12 -export -inkey k -in out -passout pass: -out out",
        ),
    );
    repo.commit("backups");

    let description = |name: &str| format!("certificates/{name}/{name}.json");
    let sealed = |name: &str| format!("certificates/{name}/{name}.key.age");
    broken(repo, "armour", alice, |description| {
        description["key_age_sha256"] = sha256(b"no armour").into();
    });
    repo.put(&sealed("armour"), b"no armour");
    repo.certificate("broken", &[alice]);
    repo.put(&description("broken"), "<html>");
    broken(repo, "foreign", alice, |description| {
        description["public_key_sha256"] = sha256(b"another").into();
    });
    repo.certificate("keyless", &[alice]);
    repo.remove(&sealed("keyless"));
    repo.certificate("list", &[alice]);
    repo.put("certificates/list/.age-recipients", "bob\n");
    broken(repo, "names", alice, |description| {
        description["names"] = json!(["bank.test"]);
    });
    repo.certificate("orphan", &[alice]);
    repo.remove("certificates/orphan/orphan.crt");
    repo.remove(&description("orphan"));
    let Files { chain, key, .. } = repo.certificate("plain", &[alice]);
    repo.put("certificates/plain/plain.key", &key);
    repo.put("certificates/plain/plain.pem", format!("{chain}{key}"));
    repo.certificate("swapped", &[alice]);
    repo.put(&sealed("swapped"), repo.sealed(&pem, &[alice]));
    repo.commit("certificates");

    repo.tool(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", "id"],
        "",
    );
    repo.put("deploy/id", fs::read(repo.path("id")).unwrap());
    let encoded = STANDARD.encode(&pem);
    repo.put(
        "deploy/secret.yaml",
        format!("data:\n  tls.key: {encoded}\n"),
    );
    repo.commit(&format!("Deploy with this key:\n\n{pem}"));
}

#[test]
fn twenty_planted_faults_are_found() {
    let (repo, alice) = clean(&["www"]);
    poison(&repo, &alice);
    let said = repo.run("verify --format json", "none");
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""));
    let planted = FAULTS.map(|(path, what)| (path.to_owned(), what.to_owned()));
    assert_eq!(findings(&said), planted);
    assert_eq!(
        findings(&repo.run("verify --history --format json", "none")),
        planted
    );

    // Removed files stay in the history, and with them what has to be done.
    repo.git(&[
        "rm",
        "-r",
        "--quiet",
        "backup",
        "certificates",
        "deploy",
        ".letsencrypt",
    ]);
    repo.commit("cleaned");
    assert_eq!(
        repo.run("verify", "none"),
        Said::done("1 commit, 2 files: 0 faults, 0 notes\n")
    );
    let said = repo.run("verify --history --format json", "none");
    assert_eq!((said.code, findings(&said)), (Some(1), planted.into()));
}

#[test]
fn what_is_mended_is_told_as_mended() {
    let (repo, alice) = clean(&["www", "mail"]);
    let path = |name: &str| format!("certificates/{name}/{name}.key.age");
    let own = repo.read(&path("www"));
    for name in ["www", "mail"] {
        repo.put(&path(name), repo.sealed("another", &[&alice]));
    }
    let swapped = repo.commit("swapped");
    repo.put(&path("www"), own);
    repo.commit("put back");
    let text = |name: &str, hint: &str| {
        format!(
            "fault  {} in {swapped}: it is not the key that `{name}.json` names: it was swapped or damaged\n       {hint}\n",
            path(name)
        )
    };
    let today = text(
        "mail",
        "`git log` says who changed it: take the files of one commit of a run, or issue the certificate again: \
         `git-certs renew --only mail --renew 9999`",
    );
    let mended = text(
        "www",
        "the last commit has others there, which belong together; `git log` says who changed them",
    );
    let said = repo.run("verify --history", "none");
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""));
    assert!(
        said.stdout.starts_with(&format!("{today}{mended}\n"))
            && said.stdout.ends_with(": 2 faults, 0 notes\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn findings_name_the_commit_and_what_to_do() {
    let (repo, _) = clean(&["www"]);
    let key = KeyPair::generate().unwrap().serialize_pem();
    for path in [
        "certificates/www/www.key",
        "certificates/www/www.bak",
        "old.key",
        ".letsencrypt/ca.test/account.key",
    ] {
        repo.put(path, &key);
    }
    let first = repo.commit("the first commit that has it");
    repo.put("notes", "nothing");
    let last = repo.commit("another");
    let text = |commit: &str| {
        [
            ("certificates/www/www.bak", "remove the file, and `git-certs revoke www --reason keyCompromise --renew-now` makes a new one"),
            ("certificates/www/www.key", "`git-certs import` encrypts it, if it is the certificate's, and `git-certs revoke www --reason keyCompromise --renew-now` makes a new one"),
            ("old.key", "replace the key where it is used, then remove it here"),
            (".letsencrypt/ca.test/account.key", "`git-certs import` encrypts it, and `git-certs account rollover` makes it void"),
        ]
        .map(|(path, hint)| {
            format!(
                "fault  {path} in {commit}: a private key in plain text: PKCS#8 in PEM\n       \
                 whoever could read the repository has it: {hint}\n"
            )
        })
    };
    for (words, commit, count) in [
        ("verify", &last, "1 commit"),
        ("verify --history", &first, "3 commits"),
    ] {
        let said = repo.run(words, "none");
        let mut found = text(commit);
        found.sort();
        let lines: Vec<_> = said.stdout.split_inclusive('\n').collect();
        let mut told: Vec<_> = lines.chunks(2).take(4).map(<[&str]>::concat).collect();
        told.sort();
        assert_eq!(told, found);
        assert_eq!(
            lines[8..].concat(),
            format!("\n{count}, 12 files: 4 faults, 0 notes\n")
        );
    }
}

/// git takes `040000` and `40755` for folders too.
#[test]
fn a_folder_cannot_be_hidden_by_how_its_mode_is_written() {
    let (repo, alice) = clean(&["www"]);
    repo.put(
        "certificates/www/www.key.age",
        repo.sealed("another", &[&alice]),
    );
    repo.commit("swap");
    for mode in ["040000", "40755"] {
        let script = "old=$(git rev-parse HEAD:certificates)
            new=$(git cat-file tree $old | sed \"s/^[0-9]* www/$mode www/\" | git hash-object -t tree -w --literally --stdin)
            root=$(git ls-tree HEAD | sed s/$old/$new/ | git mktree)
            commit=$(git -c user.name=x -c user.email=x@x.test commit-tree -p HEAD~ -m swap $root)
            git reset --quiet --soft $commit
            git cat-file tree $new | grep --text --count \"^$mode www\"";
        let certs = repo.path("certs");
        let hidden = format!("mode={mode}; cd {} && {script}", certs.display());
        assert_eq!(repo.tool("sh", &["-c", &hidden], ""), "1\n");
        for words in ["verify --format json", "verify --history --format json"] {
            let said = repo.run(words, "alice");
            let path = "certificates/www/www.key.age".to_owned();
            let what =
                "it is not the key that `www.json` names: it was swapped or damaged".to_owned();
            assert_eq!(findings(&said), [(path, what)], "{mode}: {words}: {said:?}");
        }
    }
}

/// libgit2 ends a message at its first NUL.
#[test]
fn a_key_behind_a_nul_in_a_message_is_found() {
    let (repo, _) = clean(&["www"]);
    let key = KeyPair::generate().unwrap().serialize_pem();
    let script = format!(
        "cd {} && {{ git cat-file commit HEAD; printf '\\0'; cat ../key; }} >../commit &&
         git reset --quiet --soft $(git hash-object -t commit -w --literally ../commit)",
        repo.path("certs").display()
    );
    fs::write(repo.path("key"), key).unwrap();
    repo.tool("sh", &["-c", &script], "");
    let said = repo.run("verify --format json", "none");
    let what = "a private key in plain text: PKCS#8 in PEM".to_owned();
    assert_eq!(findings(&said), [("the message".to_owned(), what)]);
}

/// Which of two files of one name counts is another for each program.
#[test]
fn a_name_that_is_there_twice_is_found() {
    let (repo, alice) = clean(&["www"]);
    let other = repo.sealed("another", &[&alice]);
    fs::write(repo.path("other"), other).unwrap();
    let script = format!(
        "cd {} && blob=$(git hash-object -w ../other)
         folder() {{ git cat-file tree HEAD:certificates/www; }}
         {{ folder; printf '100644 www.key.age\\0'; printf $blob | xxd -r -p; }} >../tree
         new=$(git hash-object -t tree -w --literally ../tree)
         top=$(git ls-tree HEAD:certificates | sed \"s/[0-9a-f]\\{{40\\}}/$new/\" | git mktree)
         root=$(git ls-tree HEAD | sed s/$(git rev-parse HEAD:certificates)/$top/ | git mktree)
         git reset --quiet --soft $(git commit-tree -p HEAD -m twice $root)",
        repo.path("certs").display()
    );
    let named = ["GIT_AUTHOR", "GIT_COMMITTER"];
    let named = named.map(|who| format!("export {who}_NAME=x {who}_EMAIL=x@x.test\n"));
    repo.tool("sh", &["-ec", &(named.concat() + &script)], "");
    for words in ["verify --format json", "verify --history --format json"] {
        let said = repo.run(words, "none");
        let all = findings(&said);
        let what = "two entries have the same name, or they are in disorder: programs see different files there";
        let folder = ("certificates/www".to_owned(), what.to_owned());
        assert!(all.contains(&folder), "{words}: {said:?}");
    }
}

/// What is far too large is named, not passed over.
#[test]
fn a_file_that_is_too_large_to_be_looked_into_is_a_fault() {
    let (repo, _) = clean(&["www"]);
    let file = fs::File::create(repo.path("certs/large")).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    let commit = repo.commit("a large file");
    assert_eq!(
        repo.run("verify", "none").stdout,
        format!(
            "fault  large in {commit}: it has 257 MiB, and is not looked into: 256 MiB are the limit\n       \
             look into it yourself, and take it out of the history: a key may hide there\n\n\
             1 commit, 8 files: 1 fault, 0 notes\n"
        )
    );
    // The program that it is for does not read so much either.
    file.set_len((64 << 20) + 1).unwrap();
    fs::rename(repo.path("certs/large"), repo.path("certs/certs.json")).unwrap();
    let said = repo.run("rekey --no-push", "none");
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (
            Some(2),
            "error: `certs.json` has 65 MiB, and 64 MiB are read of a file at most\n\
             hint: `git log --stat` says who has put it there\n"
        )
    );
}

#[track_caller]
fn could_not_run(repo: &CertRepo, words: &str, told: &str) {
    let said = repo.run(words, "none");
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (Some(2), told),
        "{words}"
    );
}

/// Such a commit is packed small: it is refused when it comes from a server, and when a history is looked through.
#[test]
fn a_commit_that_is_far_too_large_is_not_read() {
    let (repo, _) = clean(&["www"]);
    let script = "head -c 20000000 /dev/zero | tr '\\0' x | git -C certs commit --quiet --allow-empty --cleanup=verbatim --file=-";
    repo.tool("sh", &["-ec", script], "");
    let id = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&[
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "one more",
    ]);
    let told = format!(
        "error: the commit `{}` has 20 MiB, and 16 MiB are read of a commit at most\n\
         hint: git writes none of that size by itself: whoever could push has put it there, and it has to leave the history\n",
        &id[..10]
    );
    let folder = repo.path("certs/.git");
    // A path is cloned by git itself, with its whole history.
    let words = format!("status --repo file://{}", folder.display());
    for words in ["verify --history", "status"] {
        could_not_run(&repo, words, &told);
    }
    // Nor where a revision names it.
    for words in [
        format!("export --all --stdout --only-changed-since {}", id.trim()),
        "export --all --stdout --only-changed-since HEAD~1".to_owned(),
        "rollback www --to HEAD~1 --no-push".to_owned(),
    ] {
        could_not_run(&repo, &words, &told);
    }
    // Nor where it is checked out.
    repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    for words in [
        words.as_str(),
        "status",
        "log www",
        "recipients list",
        "verify",
    ] {
        could_not_run(&repo, words, &told);
    }
}

#[test]
fn a_tag_that_is_far_too_large_is_not_read() {
    let (repo, _) = clean(&["www"]);
    let script = "head -c 20000000 /dev/zero | tr '\\0' x >message && cd certs && git config user.name x && \
                  git config user.email x@x.test && git tag --cleanup=verbatim --file=../message huge";
    repo.tool("sh", &["-ec", script], "");
    let told = format!(
        "error: the tag `{}` has 20 MiB, and 16 MiB are read of a tag at most\n\
         hint: git writes none of that size by itself: whoever could push has put it there, and it has to leave the history\n",
        &repo.git(&["rev-parse", "huge"])[..10]
    );
    for words in [
        "verify --history",
        "export --all --stdout --only-changed-since huge",
        "rollback www --to huge --no-push",
    ] {
        could_not_run(&repo, words, &told);
    }
    // What is checked out is not what it names.
    assert_eq!(repo.run("verify", "none").code, Some(0));
}

#[test]
fn keys_on_other_branches_and_merged_away_are_found() {
    let (repo, _) = clean(&["www"]);
    repo.git(&["checkout", "--quiet", "-b", "side"]);
    repo.put("id", KeyPair::generate().unwrap().serialize_pem());
    repo.commit("a key");
    repo.remove("id");
    repo.commit("without it");
    repo.git(&["checkout", "--quiet", "main"]);
    let is_found = || {
        let said = repo.run("verify --history --format json", "none");
        let key = "a private key in plain text: PKCS#8 in PEM";
        assert_eq!(findings(&said), [("id".to_owned(), key.to_owned())]);
    };
    is_found();
    repo.git(&["merge", "--quiet", "--no-ff", "side"]);
    repo.git(&["branch", "--delete", "side"]);
    is_found();
    assert_eq!(repo.run("verify", "none").code, Some(0));
}

#[test]
fn what_get_certs_wrote_and_passphrases_are_notes() {
    let (repo, alice) = clean(&["www"]);
    let Files { chain, key, .. } = Files::new("old");
    repo.put("certificates/old/old.crt", chain);
    repo.put("certificates/old/old.key.age", repo.sealed(&key, &[&alice]));
    repo.put(
        "certificates/old/old.json",
        r#"{"domain": "old.a.test", "certUrl": "https://ca.test/1"}"#,
    );
    repo.tool(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "hunter2", "-f", "id"],
        "",
    );
    repo.put("id", fs::read(repo.path("id")).unwrap());
    let commit = repo.commit("old");
    assert_eq!(
        repo.run("verify", "none"),
        Said::done(&format!(
            "note   certificates/old/old.json in {commit}: it has no hashes that bind certificate and key: \
             get-certs wrote it\n       the next renewal writes them\n\
             note   id in {commit}: a private key that a passphrase protects: OpenSSH in PEM\n       \
             it is as safe as its passphrase, as long as the repository can be read\n\n\
             1 commit, 11 files: 0 faults, 2 notes\n"
        ))
    );
}

#[test]
fn a_folder_below_the_top_counts_alone() {
    let (repo, _) = clean(&["www"]);
    fs::create_dir_all(repo.path("certs/below")).unwrap();
    for name in [
        "certificates",
        "certs.json",
        ".age-recipients",
        ".letsencrypt",
    ] {
        repo.git(&["mv", name, "below"]);
    }
    repo.put("elsewhere", KeyPair::generate().unwrap().serialize_pem());
    repo.commit("moved");
    assert_eq!(
        repo.run("verify --dir below", "none"),
        Said::done("1 commit, 7 files: 0 faults, 0 notes\n")
    );
    assert_eq!(repo.run("verify", "none").code, Some(1));
}

#[test]
fn five_thousand_good_certificates_raise_no_alarm() {
    let (repo, alice) = clean(&["www"]);
    let key = KeyPair::generate().unwrap();
    let sealed = repo.sealed(&key.serialize_pem(), &[&alice]);
    for number in 0..5_000 {
        let name = format!("c{number}");
        let Files {
            chain,
            mut description,
            ..
        } = Files::with_key(&name, &key);
        description["key_age_sha256"] = sha256(sealed.as_bytes()).into();
        let file = |end: &str| format!("certificates/{name}/{name}.{end}");
        repo.put(&file("crt"), chain);
        repo.put(&file("key.age"), &sealed);
        repo.put(&file("json"), format!("{description:#}\n"));
    }
    repo.commit("many");
    assert_eq!(
        repo.run("verify", "none"),
        Said::done("1 commit, 15007 files: 0 faults, 0 notes\n")
    );
    assert_eq!(
        repo.run("verify --history", "none"),
        Said::done("2 commits, 15007 files: 0 faults, 0 notes\n")
    );
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let (repo, _) = clean(&["www"]);
    repo.commit("second");
    let url = format!("file://{}", repo.path("certs").display());
    let shallow = repo.path("shallow");
    let shallow = shallow.to_str().unwrap();
    repo.git(&["clone", "--quiet", "--depth", "1", &url, shallow]);
    assert_eq!(
        repo.run(&format!("verify --history --dir {shallow}"), "none"),
        Said::refused(
            "error: the history is cut off: this is a shallow clone\n\
             hint: `git fetch --unshallow` brings the rest; `actions/checkout` does with `fetch-depth: 0`\n"
        )
    );
    assert_eq!(
        repo.run(&format!("verify --dir {shallow}"), "none").code,
        Some(0)
    );
    let folder = repo.path("home");
    fs::create_dir_all(&folder).unwrap();
    assert_eq!(
        repo.run(&format!("verify --dir {}", folder.display()), "none"),
        Said::refused(
            "error: this folder is in no git repository\n\
             hint: `verify` looks at commits: `git init` and commit, or name a repository with `--repo`\n"
        )
    );
}
