//! Commands that are killed between their commit and the files of the checkout: what the next one makes of it, and what it leaves alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use pretty_assertions::assert_eq;
use serde_json::json;

use crate::support::cert_repo::{CertRepo, Files};

const KEY: &str = "certificates/web/web.key";
const PEM: &str = "certificates/web/web.pem";
const SEALED: &str = "certificates/web/web.key.age";
const DESCRIPTION: &str = "certificates/web/web.json";

/// Points of a commit that moves HEAD, and how many files of an import are behind it there.
const POINTS: [(&str, usize); 8] = [
    ("before mark", 0),
    ("before head", 0),
    ("before files", 4),
    ("before file", 4),
    ("before file#2", 4),
    ("before file#4", 4),
    ("before index", 4),
    ("before mark ends", 0),
];

/// What get-certs leaves, key in plain text and all, and a file of the user.
fn of_get_certs() -> CertRepo {
    let repo = not_committed();
    repo.commit("get-certs");
    repo
}

/// The same, and no commit has a key: `words` say what git knows of it.
fn loose(words: &[&str]) -> CertRepo {
    let repo = not_committed();
    let (key, pem) = (repo.read(KEY), repo.read(PEM));
    for path in [KEY, PEM] {
        fs::remove_file(repo.path("certs").join(path)).unwrap();
    }
    if words.is_empty() {
        repo.put(".gitignore", "*.key\n*.pem\n");
    }
    repo.commit("get-certs");
    repo.put(KEY, key);
    repo.put(PEM, pem);
    if let [_, ..] = words {
        repo.git(words);
    }
    repo
}

fn not_committed() -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(".age-recipients", format!("{alice}\n"));
    repo.put("notes", "mine\n");
    repo.list(&["web"]);
    let files = Files::new("web");
    repo.put("certificates/web/web.crt", &files.chain);
    repo.put(KEY, &files.key);
    repo.put(PEM, format!("{}\n{}", files.chain, files.key));
    let url = "https://ca.test/cert/web";
    let description = json!({"domain": "web.a.test", "certUrl": url, "certStableUrl": url});
    repo.put(DESCRIPTION, format!("{description:#}"));
    repo
}

#[track_caller]
fn killed(repo: &CertRepo, point: &str, words: &str) {
    let code = killed_in(repo, point, words, "certs");
    assert_eq!(code, None, "`{point}` is not reached");
}

/// The code with which it ended, none if it was killed.
fn killed_in(repo: &CertRepo, point: &str, words: &str, folder: &str) -> Option<i32> {
    let output = program(repo, words, folder)
        .env("GIT_CERTS_TEST_AT", point)
        .env("GIT_CERTS_TEST_DO", "KILL")
        .output();
    output.unwrap().status.code()
}

fn program(repo: &CertRepo, words: &str, folder: &str) -> Command {
    let mut program = repo.program();
    program
        .args(words.split_whitespace())
        .current_dir(repo.path(folder))
        .env("GIT_CERTS_AGE_KEY_FILE", repo.path("alice"));
    program
}

/// Runs a command that has nothing to do but looks after what is left; returns its warnings.
#[track_caller]
fn next(repo: &CertRepo) -> String {
    next_in(repo, "certs")
}

#[track_caller]
fn next_in(repo: &CertRepo, folder: &str) -> String {
    let output = program(repo, "rekey", folder).output().unwrap();
    let said = repo.shown(output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

/// Marks and halves of files in a git folder.
fn marks(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.contains("git-certs")).collect()
}

const NONE: [&str; 0] = [];

fn status(repo: &CertRepo) -> String {
    repo.git(&["status", "--porcelain", "--ignored"])
}

fn put_right(files: usize) -> String {
    format!(
        "warning: an earlier command has left {files} files behind the last commit: put right\n"
    )
}

/// Nothing but what the last commit has is here, and the next one changes nothing.
#[track_caller]
fn is_whole(repo: &CertRepo, point: &str) {
    assert_eq!(status(repo), "", "`{point}`");
    let tree = repo.git(&["rev-parse", "HEAD^{tree}"]);
    repo.commit("of the user");
    assert_eq!(repo.git(&["rev-parse", "HEAD^{tree}"]), tree, "`{point}`");
    assert_eq!(marks(&repo.path("certs/.git")), NONE);
}

#[test]
fn files_follow_the_commit_of_an_import_wherever_it_is_killed() {
    for (point, files) in POINTS {
        let repo = of_get_certs();
        let before = repo.git(&["rev-parse", "HEAD"]);
        let key = repo.read(KEY);
        killed(&repo, point, "import --yes");
        let is_made = repo.git(&["rev-parse", "HEAD"]) != before;
        let told = if files > 0 {
            repo.put("certificates/web/.git-certs-half", "x");
            put_right(files)
        } else {
            String::new()
        };
        assert_eq!(next(&repo), told, "`{point}`");
        assert_eq!(is_made, !["before mark", "before head"].contains(&point));
        let is_in_plain_text = repo.path("certs").join(KEY).exists();
        assert_eq!(is_in_plain_text, !is_made, "`{point}`");
        is_whole(&repo, point);
        if !is_made {
            assert_eq!(repo.run("import --yes", "alice").code, Some(0), "`{point}`");
            is_whole(&repo, point);
        }
        assert_eq!(repo.opened(SEALED, "alice"), Some(key), "`{point}`");
    }
}

/// What git knows of keys that no commit has: that it does not see them, nothing, their content, that they are there.
const LOOSE: [&[&str]; 4] = [&[], &["status"], &["add", "--all"], &["add", "-N", "."]];

#[test]
fn keys_that_no_commit_has_go_wherever_an_import_is_killed() {
    for words in LOOSE {
        for (point, files) in POINTS {
            let shown = format!("{words:?} {point}");
            let repo = loose(words);
            let before = (status(&repo), repo.git(&["rev-parse", "HEAD"]));
            let key = repo.read(KEY);
            killed(&repo, point, "import --yes");
            let is_made = repo.git(&["rev-parse", "HEAD"]) != before.1;
            // What has no entry is through with once the file is gone.
            let here = [KEY, PEM].map(|path| repo.path("certs").join(path).exists());
            let here = here.iter().filter(|is_here| **is_here).count();
            let told = match files {
                0 => String::new(),
                files if words.contains(&"add") => put_right(files),
                files => put_right(files - 2 + here),
            };
            assert_eq!(next(&repo), told, "{shown}");
            if !is_made {
                assert_eq!(status(&repo), before.0, "{shown}");
                assert_eq!(repo.read(KEY), key, "{shown}");
                assert_eq!(repo.run("import --yes", "alice").code, Some(0), "{shown}");
            }
            is_whole(&repo, &shown);
            assert_eq!(repo.opened(SEALED, "alice"), Some(key), "{shown}");
        }
    }
}

/// No commit has it encrypted.
#[test]
fn another_key_that_no_commit_has_stays() {
    for words in LOOSE {
        let repo = loose(words);
        killed(&repo, "before files", "import --yes");
        repo.put(KEY, "another key\n");
        assert_eq!(
            next(&repo),
            format!(
                "{}{STAYS}`{KEY}`: {OR_REMOVE}",
                put_right(3 + usize::from(words.contains(&"add")))
            ),
            "{words:?}"
        );
        assert_eq!(repo.read(KEY), "another key\n");
        assert!(!repo.path("certs").join(PEM).exists());
        let is_ignored = words.is_empty();
        let status_now = format!("{} {KEY}\n", if is_ignored { "!!" } else { "??" });
        assert_eq!(status(&repo), status_now, "{words:?}");
    }
    let repo = loose(&["add", "--all"]);
    killed(&repo, "before files", "import --yes");
    repo.put(KEY, "another key\n");
    repo.git(&["add", KEY]);
    assert_eq!(
        next(&repo),
        format!("{}{STAYS}`{KEY}`: {OR_REMOVE}", put_right(3))
    );
    assert_eq!(status(&repo), format!("A  {KEY}\n"));
}

/// The commit that has the key encrypted is taken back.
#[test]
fn a_key_that_no_commit_has_any_more_stays() {
    let repo = loose(&["add", "--all"]);
    let before = status(&repo);
    killed(&repo, "before files", "import --yes");
    repo.git(&["reset", "--quiet", "--soft", "HEAD~1"]);
    assert_eq!(next(&repo), "");
    assert_eq!(status(&repo), before);
    assert!(repo.read(KEY).contains("PRIVATE KEY"));
}

/// The user has pushed the commit, and the files are behind it all the same.
#[test]
fn files_follow_a_commit_that_the_server_has() {
    let repo = of_get_certs();
    repo.git(&["init", "--quiet", "--bare", "../remote"]);
    repo.git(&["remote", "add", "origin", "../remote"]);
    repo.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
    killed(&repo, "before files", "import --yes");
    repo.git(&["push", "--quiet"]);
    assert_eq!(next(&repo), put_right(4));
    is_whole(&repo, "before files");
}

/// What lego has of one certificate, beside the repository.
fn put_lego(repo: &CertRepo) {
    let files = Files::new("web");
    let folder = repo.path("other/certificates");
    fs::create_dir_all(&folder).unwrap();
    let description = json!({"domain": "web.a.test", "certUrl": "https://ca.test/cert/1"});
    for (end, text) in [
        ("crt", files.chain),
        ("key", files.key),
        ("json", description.to_string()),
    ] {
        fs::write(folder.join(format!("web.a.test.{end}")), text).unwrap();
    }
}

/// A repository with a list of recipients in a folder, and nothing else.
fn empty(folder: &str) -> CertRepo {
    let mut repo = CertRepo::new();
    let alice = repo.identity("alice");
    repo.put(&format!("{folder}.age-recipients"), format!("{alice}\n"));
    repo.put("notes", "mine\n");
    repo.commit("who can open keys");
    put_lego(&repo);
    repo
}

#[test]
fn the_files_of_a_first_certificate_follow_its_commit() {
    for (point, _) in POINTS.iter().filter(|(_, files)| *files > 0) {
        let repo = empty("");
        let import = format!("import --yes {}", repo.path("other").display());
        killed(&repo, point, &import);
        assert_eq!(next(&repo), put_right(4), "`{point}`");
        assert!(
            repo.opened("certificates/web_a_test/web_a_test.key.age", "alice")
                .is_some()
        );
        is_whole(&repo, point);
    }
}

/// The mark is that of a folder in a work tree.
#[test]
fn other_folders_and_other_work_trees_are_not_touched() {
    let repo = empty("a/");
    for folder in ["a", "b"] {
        let list = r#"[{"cert_name": "web", "names": ["web.a.test"]}]"#;
        repo.put(&format!("{folder}/certs.json"), list);
    }
    repo.put("b/.age-recipients", repo.read("a/.age-recipients"));
    repo.commit("two folders");
    repo.git(&["worktree", "add", "--quiet", "-b", "other", "../linked"]);
    let import = format!("import --yes {}", repo.path("other").display());
    assert_eq!(killed_in(&repo, "before files", &import, "linked/a"), None);
    let linked = repo.path("certs/.git/worktrees/linked");
    assert_eq!(marks(&repo.path("certs/.git")), NONE);
    assert_eq!(marks(&linked).len(), 1);
    for elsewhere in ["certs/a", "certs/b", "linked/b"] {
        assert_eq!(next_in(&repo, elsewhere), "", "{elsewhere}");
        assert_eq!(marks(&linked).len(), 1, "{elsewhere}");
    }
    assert_eq!(next_in(&repo, "linked/a"), put_right(3));
    assert_eq!(marks(&linked), NONE);
    assert_eq!(repo.git(&["-C", "../linked", "status", "--porcelain"]), "");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

/// Nothing was killed: what the user brings back is what the user wants.
#[test]
fn what_is_brought_back_stays() {
    let repo = of_get_certs();
    assert_eq!(repo.run("import --yes", "alice").code, Some(0));
    repo.git(&["checkout", "--quiet", "HEAD~1", "--", DESCRIPTION]);
    let staged = format!("M  {DESCRIPTION}\n");
    assert_eq!(status(&repo), staged);
    let said = repo.run("recipients list", "alice");
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let output = program(&repo, "import --yes", "certs").output().unwrap();
    let said = repo.shown(output.stderr);
    assert!(!said.contains("earlier command"), "{said}");
    assert_eq!(status(&repo), staged);
}

const STAYS: &str = "warning: an earlier command has left files behind the last commit; what was changed meanwhile stays: ";
const OR_REMOVE: &str = "`git restore --source HEAD --staged --worktree -- FILE` brings one to that commit; one that it has not, you can remove\n";
const TO_HEAD: &str =
    "`git restore --source HEAD --staged --worktree -- FILE` brings a file to that commit\n";

#[test]
fn what_the_user_has_changed_since_stays() {
    let repo = of_get_certs();
    killed(&repo, "before files", "import --yes");
    repo.put(KEY, "another key\n");
    repo.put(PEM, "mine\n");
    repo.git(&["add", PEM]);
    repo.put("notes", "more than before\n");
    assert_eq!(
        next(&repo),
        format!("{}{STAYS}`{KEY}`, `{PEM}`: {OR_REMOVE}", put_right(3))
    );
    // The next commit does not bring back the key in plain text that was committed before.
    assert_eq!(status(&repo), format!("A  {PEM}\n M notes\n?? {KEY}\n"));
    assert_eq!(repo.read(KEY), "another key\n");
    assert_eq!(next(&repo), "");

    // Neither is a file that is replaced by something else.
    let repo = of_get_certs();
    killed(&repo, "before files", "import --yes");
    let pipe = repo.path("certs").join(KEY);
    fs::remove_file(&pipe).unwrap();
    repo.tool("mkfifo", &[pipe.to_str().unwrap()], "");
    let link = repo.path("certs").join(PEM);
    fs::rename(&link, repo.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../../elsewhere", &link).unwrap();
    assert_eq!(
        next(&repo),
        format!("{}{STAYS}`{KEY}`, `{PEM}`: {OR_REMOVE}", put_right(4))
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&link).unwrap().contains("PRIVATE KEY"));
    assert_eq!(status(&repo), format!("?? {PEM}\n"));
}

/// What is changed after the command was through with it.
#[test]
fn what_the_user_has_changed_later_is_not_told() {
    let repo = of_get_certs();
    killed(&repo, "before mark ends", "import --yes");
    repo.put("certificates/web/web.json.bak", "mine\n");
    let lock = repo.path("certs/.git/index.lock");
    fs::write(&lock, "").unwrap();
    repo.put(DESCRIPTION, repo.read(DESCRIPTION) + "\n");
    assert_eq!(next(&repo), "");
    assert_eq!(marks(&repo.path("certs/.git")), NONE);
    fs::remove_file(lock).unwrap();
    assert_eq!(
        status(&repo),
        format!(" M {DESCRIPTION}\n?? certificates/web/web.json.bak\n")
    );
}

/// A key that was taken out of the index before, and is in the folder.
#[test]
fn a_key_without_an_entry_goes_as_well() {
    let repo = of_get_certs();
    repo.git(&["rm", "--quiet", "--cached", KEY]);
    killed(&repo, "before files", "import --yes");
    assert_eq!(next(&repo), put_right(4));
    assert!(!repo.path("certs").join(KEY).exists());
    is_whole(&repo, "before files");
}

/// The command that the warning names, for each file that it names.
fn restore(repo: &CertRepo, warning: &str) {
    let (_, files) = warning.split_once("as before that commit: ").unwrap();
    let (files, command) = files.split_once(": `git ").unwrap();
    let (command, _) = command.split_once(" FILE`").unwrap();
    let files = files.split(", ").map(|file| file.trim_matches('`'));
    let words: Vec<_> = command.split(' ').chain(files).collect();
    repo.git(&words);
}

#[test]
fn nothing_is_touched_once_head_has_moved_on() {
    let committed: &[&[&str]] = &[&["commit", "--quiet", "--all", "--message", "mine"]];
    let other: &[&[&str]] = &[&["commit", "--quiet", "--message", "mine", "--", "notes"]];
    let amended: &[&[&str]] = &[&[
        "commit",
        "--quiet",
        "--amend",
        "--message",
        "mine",
        "--",
        "notes",
    ]];
    for words in [committed, other, amended] {
        let repo = of_get_certs();
        killed(&repo, "before files", "import --yes");
        let made = repo.git(&["rev-parse", "HEAD"]);
        repo.put("notes", "more than before\n");
        for words in words {
            repo.git(words);
        }
        let before = status(&repo);
        let warning = next(&repo);
        let short = &made[..7];
        assert_eq!(
            warning,
            format!(
                "warning: an earlier command has left files behind its commit {short}, and HEAD has moved since, so nothing was \
                 touched; as before that commit: `{DESCRIPTION}`, `{KEY}`, `{SEALED}`, `certificates/web/web.pem`: `git restore \
                 --source {short} --staged --worktree -- FILE` brings a file to it; one that it has not, you can remove\n"
            ),
            "{words:?}"
        );
        assert_eq!(status(&repo), before, "{words:?}");
        assert_eq!(marks(&repo.path("certs/.git")), NONE);
        assert_eq!(next(&repo), "", "{words:?}");
        restore(&repo, &warning);
        let differs = repo.git(&["diff", "--name-only", made.trim(), "--", "certificates"]);
        assert_eq!(differs, "", "{words:?}");
    }
}

/// Runs a command that only reads; returns its warnings.
#[track_caller]
fn read_by(repo: &CertRepo, words: &str) -> String {
    let said = program(repo, words, "certs").output().unwrap();
    let said = repo.shown(said.stderr);
    let lines = said.split_inclusive('\n');
    lines.filter(|line| line.starts_with("warning: ")).collect()
}

const READERS: [&str; 7] = [
    "recipients list",
    "status",
    "log web",
    "verify",
    "check",
    "export web --stdout",
    "import --dry-run",
];

#[test]
fn commands_that_only_read_say_what_is_left() {
    let repo = of_get_certs();
    let marked = |repo: &CertRepo| (status(repo), marks(&repo.path("certs/.git")));
    let silent = |repo: &CertRepo, all: &[&str]| {
        for words in all {
            let said = read_by(repo, words);
            assert!(!said.contains("command"), "{words}: {said}");
        }
    };
    silent(&repo, &READERS);
    killed(&repo, "before head", "import --yes");
    silent(&repo, &READERS);
    killed(&repo, "before files", "import --yes");
    let left = "warning: an earlier command has left 4 files behind the last commit, so what is read here may be older than that: \
                the next command that writes, such as `git-certs rekey`, puts them right\n";
    let before = marked(&repo);
    for words in READERS {
        let said = read_by(&repo, words);
        assert_eq!(said.matches(left).count(), 1, "{words}: {said}");
        assert_eq!(
            said.matches("earlier command").count(),
            1,
            "{words}: {said}"
        );
        assert_eq!(marked(&repo), before, "{words}");
    }
    // A command is at work there.
    let lock = fs::File::open(repo.path("certs")).unwrap();
    lock.lock().unwrap();
    silent(&repo, &["recipients list"]);
    drop(lock);
    let index = repo.path("certs/.git/index");
    let good = fs::read(&index).unwrap();
    fs::write(&index, "junk".repeat(100)).unwrap();
    assert_eq!(
        read_by(&repo, "recipients list"),
        "warning: whether files are behind the last commit cannot be found out: invalid data in index - incorrect header signature\n"
    );
    fs::write(&index, good).unwrap();
    assert_eq!(next(&repo), put_right(4));
    silent(&repo, &READERS);
    is_whole(&repo, "read");
}

#[test]
fn commands_that_only_read_leave_marks_that_say_nothing() {
    let repo = of_get_certs();
    killed(&repo, "before files", "import --yes");
    let [name] = marks(&repo.path("certs/.git")).try_into().unwrap();
    let mark = repo.path("certs/.git").join(&name);
    for text in ["junk".to_owned(), format!("{0}\n{0}\n", "1".repeat(40))] {
        fs::write(&mark, &text).unwrap();
        assert_eq!(read_by(&repo, "recipients list"), "");
        assert_eq!(fs::read_to_string(&mark).unwrap(), text);
    }
}

/// A file that git knows nothing of, so that it cannot be restored.
#[test]
fn a_file_that_the_commit_has_not_can_be_removed() {
    for loose_key in [false, true] {
        let repo = if loose_key {
            loose(&["add", "--all"])
        } else {
            of_get_certs()
        };
        killed(&repo, "before files", "import --yes");
        let made = repo.git(&["rev-parse", "--short", "HEAD"]);
        let made = made.trim();
        repo.git(&["rm", "--quiet", "--cached", KEY, PEM]);
        repo.put("notes", "more than before\n");
        repo.git(&["commit", "--quiet", "--message", "mine", "--", "notes"]);
        let (mut known, unknown) = (vec![DESCRIPTION, SEALED], [KEY, PEM]);
        let mut files = [&known[..], &unknown].concat();
        if !loose_key {
            files.sort_unstable();
        }
        let files: Vec<_> = files.iter().map(|file| format!("`{file}`")).collect();
        assert_eq!(
            next(&repo),
            format!(
                "warning: an earlier command has left files behind its commit {made}, and HEAD has moved since, so nothing was \
                 touched; as before that commit: {}: `git restore --source {made} --staged --worktree -- FILE` brings a file \
                 to it; one that it has not, you can remove\n",
                files.join(", ")
            )
        );
        let restore = ["restore", "--source", made, "--staged", "--worktree", "--"];
        known.splice(0..0, restore);
        repo.git(&known);
        for path in unknown {
            fs::remove_file(repo.path("certs").join(path)).unwrap();
        }
        assert_eq!(status(&repo), "", "{loose_key}");
        assert!(repo.opened(SEALED, "alice").is_some());
    }
}

/// The user has taken the commit back, or has put all right, or is on another branch.
#[test]
fn what_the_user_has_put_right_is_not_told() {
    for words in [
        "reset --quiet --hard HEAD~1",
        "reset --quiet --soft HEAD~1",
        "reset --quiet --hard",
        "checkout --quiet --force --detach HEAD~1",
        "checkout --quiet --force --orphan other",
    ] {
        let repo = of_get_certs();
        killed(&repo, "before files", "import --yes");
        let words: Vec<_> = words.split(' ').collect();
        repo.git(&words);
        if words.contains(&"--orphan") {
            repo.git(&["rm", "--quiet", "--cached", "-r", "certificates"]);
            repo.git(&["commit", "--quiet", "--message", "another beginning"]);
            repo.git(&["add", "--all"]);
            repo.git(&["commit", "--quiet", "--message", "all of it"]);
        }
        let before = status(&repo);
        assert_eq!(next(&repo), "", "{words:?}");
        assert_eq!(status(&repo), before, "{words:?}");
        assert_eq!(marks(&repo.path("certs/.git")), NONE);
    }
}

#[test]
fn a_mark_that_is_none_goes() {
    let repo = of_get_certs();
    killed(&repo, "before head", "import --yes");
    let [name] = marks(&repo.path("certs/.git")).try_into().unwrap();
    let mark = repo.path("certs/.git").join(&name);
    let good = fs::read_to_string(&mark).unwrap();
    let (old, new) = good.trim().split_once('\n').unwrap();
    let user = repo.commit("mine");
    let user = repo.git(&["rev-parse", &user]);
    let unknown = "1".repeat(40);
    let two = "it does not name two commits";
    let none = "it names no commits of git-certs that are here";
    for (text, why) in [
        (String::new(), two),
        ("junk\n".to_owned(), two),
        (format!("{old}\n{new}\n{new}\n"), two),
        (
            "x".repeat((16 << 20) + 1),
            "it is larger than 16 MiB, which is the limit",
        ),
        (format!("{unknown}\n{unknown}\n"), none),
        (format!("{unknown}\n{new}\n"), none),
        // The commits of others are not followed.
        (format!("{old}\n{user}"), none),
    ] {
        fs::write(&mark, &text).unwrap();
        assert_eq!(
            next(&repo),
            format!(
                "warning: `[ROOT]/certs/.git/{name}`, the mark of a command that did not end, cannot be used and is removed: {why}: \
                 `git status` says whether files are behind the last commit\n"
            ),
            "{why}"
        );
        assert_eq!(next(&repo), "", "{why}");
        assert_eq!(status(&repo), "", "{why}");
    }
    fs::create_dir(&mark).unwrap();
    assert_eq!(
        next(&repo),
        format!(
            "warning: `[ROOT]/certs/.git/{name}`, where a command marks what it has not ended, is not a file: remove it\n"
        )
    );
    let said = program(&repo, "import --yes", "certs").output().unwrap();
    let said = (said.status.code(), repo.shown(said.stderr));
    let refused = format!(
        "warning: `[ROOT]/certs/.git/{name}`, where a command marks what it has not ended, is not a file: remove it\n\
         error: `[ROOT]/certs/.git/{name}` is not a file, and commits cannot be marked there\n\
         hint: remove it\n"
    );
    assert_eq!(said, (Some(2), refused));
    assert_eq!(status(&repo), "");
    // What it says is enough.
    fs::remove_dir(&mark).unwrap();
    assert_eq!(next(&repo), "");
    assert_eq!(repo.run("import --yes", "alice").code, Some(0));
    is_whole(&repo, "no folder");
}

/// What cannot be put right at once is put right later.
#[test]
fn a_locked_index_is_waited_for() {
    let repo = of_get_certs();
    killed(&repo, "before files", "import --yes");
    let lock = repo.path("certs/.git/index.lock");
    fs::write(&lock, "").unwrap();
    assert_eq!(
        next(&repo),
        format!(
            "warning: what an earlier command has left behind the last commit cannot be put right: cannot write the index: \
             the index is locked; this might be due to a concurrent or crashed process: {TO_HEAD}"
        )
    );
    fs::remove_file(lock).unwrap();
    assert_eq!(next(&repo), put_right(4));
    is_whole(&repo, "before files");
}
