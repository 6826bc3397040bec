//! `import` while somebody else is at work: between what is shown and what is done there may be hours, where a terminal
//! waits for `yes`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use crate::import::{in_plain_text, of_get_certs};
use crate::support::cert_repo::{CertRepo, Files};

/// An import that waits at one of its points.
struct Held {
    child: Child,
    gate: PathBuf,
}

impl Held {
    fn at(point: &str, repo: &CertRepo) -> Self {
        let gate = repo.path("gate");
        fs::create_dir(&gate).unwrap();
        let child = repo
            .program()
            .args(["import", "--yes"])
            .env("GIT_CERTS_TEST_AT", point)
            .env("GIT_CERTS_TEST_DO", &gate)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !gate.join("reached").exists() {
            let waits = begun.elapsed() < Duration::from_mins(2);
            assert!(waits, "`{point}` is not reached");
            sleep(Duration::from_millis(10));
        }
        Self { child, gate }
    }

    /// Exit code and stderr.
    fn go_on(self, repo: &CertRepo) -> (Option<i32>, String) {
        fs::write(self.gate.join("open"), "").unwrap();
        let output = self.child.wait_with_output().unwrap();
        fs::remove_dir_all(self.gate).unwrap();
        (output.status.code(), repo.shown(output.stderr))
    }
}

/// get-certs' repository; its keys are in it, or are ignored.
fn repository(has_keys: bool) -> CertRepo {
    let repo = of_get_certs();
    if !has_keys {
        repo.put(".gitignore", "*.key\n*.pem\n");
    }
    repo.commit("get-certs");
    repo
}

fn is_there(repo: &CertRepo, path: &str) -> bool {
    repo.path(&format!("certs/{path}")).exists()
}

#[test]
fn what_somebody_changes_is_not_removed_and_not_replaced() {
    let changes: [(&str, Option<&str>); 5] = [
        ("certificates/web/web.pem", Some("another key\n")),
        ("certificates/web/web.key", None),
        (".letsencrypt/ca.test/account.key", Some("another key\n")),
        ("certificates/mail/mail.json", Some("{}\n")),
        // Keys are encrypted for those of before.
        (".age-recipients", Some("# nobody\n")),
    ];
    for has_keys in [true, false] {
        let repo = repository(has_keys);
        let tip = repo.git(&["rev-parse", "HEAD"]);
        for (path, text) in changes {
            let before = repo.read(path);
            let import = Held::at("before check", &repo);
            match text {
                Some(text) => repo.put(path, text),
                None => repo.remove(path),
            }
            assert_eq!(
                import.go_on(&repo),
                (
                    Some(2),
                    format!(
                        "error: what was imported cannot be stored\n  \
                         caused by: `{path}` was changed meanwhile: nothing was imported\n\
                         hint: run it again: it looks at everything anew\n"
                    )
                )
            );
            let now = is_there(&repo, path).then(|| repo.read(path));
            assert_eq!(now.as_deref(), text);
            assert_eq!(repo.git(&["rev-parse", "HEAD"]), tip);
            repo.put(path, before);
            assert_eq!(repo.git(&["status", "--porcelain"]), "");
        }
        let done = repo.run("import --yes", "alice");
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
        assert_eq!(in_plain_text(&repo), "");
    }
}

#[test]
fn a_key_that_comes_while_it_pushes_stays_and_is_told() {
    let repo = repository(false);
    let import = Held::at("before push", &repo);
    let path = "certificates/web/web.key";
    assert!(!is_there(&repo, path));
    repo.put(path, "another key\n");
    assert_eq!(
        import.go_on(&repo),
        (
            Some(0),
            format!(
                "warning: `{path}` was changed meanwhile, and stays as it is: run `git-certs import` again\n"
            )
        )
    );
    assert_eq!(repo.read(path), "another key\n");
}

/// The commit has all other keys as well, which nobody else has.
#[test]
fn of_another_push_that_renews_one_of_them_nothing_is_lost() {
    let repo = repository(false);
    // get-certs' new chain ends like lego's, with a blank line, which an import takes out.
    let chain = repo.read("certificates/web/web.crt");
    repo.put("certificates/web/web.crt", format!("{chain}\n\n"));
    repo.commit("get-certs");
    let remote = repo.server();
    repo.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    repo.git(&["fetch", "--quiet", "origin"]);
    repo.git(&["branch", "--set-upstream-to", "origin/main"]);
    let import = Held::at("before push", &repo);
    let script = "git clone --quiet remote other && cd other && cat > certificates/web/web.crt && \
                  git -c user.name=other -c user.email=other@a.test commit --quiet --all --message renewed && git push --quiet";
    repo.tool("sh", &["-c", script], &Files::new("web").chain);
    let said = import.go_on(&repo);
    let ours = repo.git(&["rev-parse", "HEAD"]);
    let ours = ours.trim();
    assert_eq!(
        said,
        (
            Some(2),
            format!(
                "error: what was imported cannot be stored\n  \
                 caused by: another push to `main` changed the same files: certificates/web/web.crt\n  \
                 caused by: our commits cannot be re-applied\n\
                 hint: they are kept: `git fetch origin refs/git-certs/kept/{ours}`, then `git cherry-pick HEAD..FETCH_HEAD`\n"
            )
        )
    );
    for name in ["web", "mail"] {
        let path = format!("certificates/{name}/{name}.key.age");
        assert!(repo.opened(&path, "alice").is_some(), "{name}");
    }
}
