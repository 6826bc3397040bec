//! Against real servers: sshd, lighttpd with `git http-backend`, and git itself for paths.
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use super::push::Conflict;
use super::*;
use crate::model::hint::explain;
use crate::model::secret::Secret;
use crate::model::shard::Scope;
use crate::net::ports::free_port;
use crate::repo::journal::place as journal;
use crate::repo::journal::reference::{Home, Reference};
use crate::repo::prove::PushRefused;
use crate::repo::servers::{HttpServer, Lab, SshServer, TOKEN, access, remote};
use crate::repo::ssh_key::SshKey;
use crate::repo::transport::{Fault, RemoteError};

fn people() -> People {
    People::find(|_| None, None).unwrap()
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        content: Content::Public(text.as_bytes().to_vec()),
    }
}

fn clone(lab: &Lab, remote: &Remote, name: &str) -> Workspace {
    Workspace::clone(remote, &lab.path(name), people()).unwrap()
}

fn here(lab: &Lab, folder: &str) -> Workspace {
    Workspace::here(&lab.path(folder), None, &access(None, None), people()).unwrap()
}

fn done(pushed: Pushed) -> Done {
    match pushed {
        Pushed::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

/// What a user sees: what failed, causes, hints.
fn seen(error: &anyhow::Error) -> String {
    let explained = explain(error);
    let causes = explained.causes.iter().map(|cause| format!("\n  {cause}"));
    let hints = explained.hints.iter().map(|hint| format!("\nhint: {hint}"));
    explained.what + &causes.chain(hints).collect::<String>()
}

fn fault<T>(result: Result<T>) -> (Fault, String) {
    let error = result.err().expect("an error");
    let found = error.downcast_ref::<RemoteError>().expect("a typed error");
    (found.fault, seen(&error))
}

#[test]
fn clone_commit_prove_and_push_over_every_transport() {
    let lab = Lab::new();
    let (http, ssh) = (HttpServer::start(&lab), SshServer::start(&lab));
    let remotes = [
        ("file", lab.local()),
        ("http", http.remote("certs.git", Some(TOKEN))),
        ("moved", http.remote("moved", Some(TOKEN))),
        ("ssh", ssh.remote("certs.git")),
    ];
    for (count, (name, remote)) in remotes.into_iter().enumerate() {
        let mut clone = clone(&lab, &remote, name);
        assert_eq!(lab.git(name, &["rev-list", "--count", "main"]), "1");
        let mode = fs::metadata(lab.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(clone.read("certs.json").unwrap().unwrap(), b"[]\n");
        assert_eq!(clone.read("nothing/at/all").unwrap(), None);
        assert!(
            clone
                .folders("certificates")
                .unwrap()
                .contains(&"old".to_owned())
        );

        let before = lab.git("certs.git", &["for-each-ref"]);
        assert_eq!(clone.prove_push().unwrap(), PushCheck::WouldBeAccepted);
        assert_eq!(lab.git("certs.git", &["for-each-ref"]), before);

        assert_eq!(clone.push().unwrap(), Pushed::Nothing);
        let path = format!("certificates/{name}/{name}.crt");
        let made = clone.commit("new", &[file(&path, name)]).unwrap().unwrap();
        assert_eq!(clone.commit("again", &[file(&path, name)]).unwrap(), None);
        assert_eq!(clone.read(&path).unwrap().unwrap(), name.as_bytes());
        let pushed = done(clone.push().unwrap());
        assert_eq!((pushed.commits, pushed.retried), (vec![made], 0));
        assert_eq!(
            lab.git("certs.git", &["rev-parse", "main"]),
            made.to_string()
        );
        assert_eq!(
            lab.git(
                "certs.git",
                &["log", "-1", "--format=%an %ae %cn %s", "main"]
            ),
            "git-certs git-certs@localhost git-certs new"
        );
        assert_eq!(
            lab.git("certs.git", &["rev-list", "--count", "main"]),
            (3 + count).to_string()
        );
        lab.git("certs.git", &["fsck", "--strict"]);
        lab.git(name, &["fsck", "--strict"]);
    }
}

/// A clone over each transport.
fn everywhere(lab: &Lab, http: &HttpServer, ssh: &SshServer) -> [Workspace; 3] {
    let remotes = [
        ("file", lab.local()),
        ("http", http.remote("certs.git", Some(TOKEN))),
        ("ssh", ssh.remote("certs.git")),
    ];
    remotes.map(|(name, remote)| clone(lab, &remote, name))
}

fn accepted(clones: &[Workspace; 3]) {
    for clone in clones {
        assert_eq!(clone.prove_push().unwrap(), PushCheck::WouldBeAccepted);
    }
}

/// The server's reason, and what a user sees.
fn refusals(clones: &[Workspace; 3]) -> [(String, String); 3] {
    clones.each_ref().map(|clone| {
        let error = clone.prove_push().unwrap_err();
        let refused = error.downcast_ref::<PushRefused>().expect("a typed error");
        (refused.reason.clone(), seen(&error))
    })
}

#[test]
fn the_probe_meets_hooks_and_settings_over_every_transport() {
    let lab = Lab::new();
    let (http, ssh) = (HttpServer::start(&lab), SshServer::start(&lab));
    let clones = everywhere(&lab, &http, &ssh);
    let before = lab.git("certs.git", &["for-each-ref"]);
    let log = lab.path("log");
    let log = log.display();

    // A hook that looks at the new commits as hooks do.
    let look = format!("while read old new ref; do git log --format=%s $old..$new >> {log}; done");
    lab.hook("pre-receive", &look);
    lab.hook("post-receive", &format!("echo post >> {log}"));
    accepted(&clones);
    assert_eq!(lab.text("log"), "Renew certificates\n".repeat(3));

    for setting in [
        "receive.denyNonFastForwards",
        "receive.fsckObjects",
        "receive.denyDeletes",
    ] {
        lab.git("certs.git", &["config", setting, "true"]);
    }
    accepted(&clones);

    assert_eq!(lab.git("certs.git", &["for-each-ref"]), before);
    assert!(!lab.text("log").contains("post"));
}

#[test]
fn the_probe_is_refused_as_a_push_would_be_over_every_transport() {
    let lab = Lab::new();
    let (http, ssh) = (HttpServer::start(&lab), SshServer::start(&lab));
    let clones = everywhere(&lab, &http, &ssh);
    let refusals = || refusals(&clones);
    let before = lab.git("certs.git", &["for-each-ref"]);
    lab.hook("update", "echo \"not on $1\" >&2; exit 1");
    for (reason, text) in refusals() {
        assert_eq!(reason, "hook declined");
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(
            first.ends_with("refuses pushes to `main`: hook declined"),
            "{text}"
        );
        assert!(
            rest.starts_with("  the server printed: not on refs/heads/main\n"),
            "{text}"
        );
    }
    lab.hook("update", "exit 0");
    lab.hook(
        "pre-receive",
        "echo 'branch is stale, fetch first' >&2; exit 1",
    );
    for (reason, text) in refusals() {
        assert_eq!(reason, "pre-receive hook declined");
        assert!(
            text.contains("the server printed: branch is stale, fetch first\n"),
            "{text}"
        );
    }
    lab.hook("pre-receive", "exit 0");

    // A lock that was left behind: refused, though git's reason is the same as for a stale update.
    lab.write("certs.git/refs/heads/main.lock", "");
    for (reason, text) in refusals() {
        assert_eq!(reason, "failed to update ref");
        assert!(text.contains("main.lock"), "{text}");
    }
    fs::remove_file(lab.path("certs.git/refs/heads/main.lock")).unwrap();

    lab.git(
        "certs.git",
        &["config", "receive.hideRefs", "refs/heads/main"],
    );
    for (reason, _) in refusals() {
        assert_eq!(reason, "deny updating a hidden ref");
    }
    lab.git("certs.git", &["config", "--unset", "receive.hideRefs"]);
    accepted(&clones);
    assert_eq!(lab.git("certs.git", &["for-each-ref"]), before);
}

#[test]
fn a_checked_out_branch_refuses() {
    let lab = Lab::new();
    let first = lab.path("first");
    let remote = remote(first.to_str().unwrap(), access(None, None));
    let clone = clone(&lab, &remote, "clone");
    let error = clone.prove_push().unwrap_err();
    let refused = error.downcast_ref::<PushRefused>().unwrap();
    assert_eq!(refused.reason, "branch is currently checked out");

    lab.git(
        "first",
        &["config", "receive.denyCurrentBranch", "updateInstead"],
    );
    clone.prove_push().unwrap();
    assert_eq!(lab.git("first", &["status", "--porcelain"]), "");
}

#[test]
fn who_may_not_in_over_http() {
    let lab = Lab::new();
    let http = HttpServer::start(&lab);
    let base = format!("http://127.0.0.1:{}", http.port);
    let open = |remote: &Remote, name: &str| Workspace::clone(remote, &lab.path(name), people());

    let (kind, text) = fault(open(&http.remote("certs.git", None), "a"));
    assert_eq!(kind, Fault::LoginAsked);
    assert_eq!(
        text,
        format!(
            "cannot read `{base}/certs.git`: the server asks for a login\n  HTTP 401 Unauthorized\n\
             hint: give a token (GIT_CERTS_TOKEN, for the DNS repository GIT_CERTS_DNS_TOKEN), or an address by `ssh://`"
        )
    );
    let (kind, text) = fault(open(&http.remote("certs.git", Some("wrong-token")), "b"));
    assert_eq!(kind, Fault::LoginRefused);
    assert_eq!(
        text,
        format!(
            "cannot read `{base}/certs.git`: the server does not accept the login\n  HTTP 401 Unauthorized\n\
             hint: check that the token or the key is valid and belongs to this server"
        )
    );
    let (kind, text) = fault(open(&http.remote("none.git", Some(TOKEN)), "c"));
    assert_eq!(kind, Fault::NotFound);
    assert!(text.contains("HTTP 404 Not Found"), "{text}");
    let (kind, text) = fault(open(&http.remote("elsewhere", Some(TOKEN)), "d"));
    assert_eq!(kind, Fault::NotGit);
    assert!(
        text.contains("it is redirected to another host, `localhost`"),
        "{text}"
    );

    // The token of the URL, with its user.
    let url = format!(
        "http://gitlab-ci-token:{TOKEN}@127.0.0.1:{}/certs.git",
        http.port
    );
    let clone = open(&remote(&url, access(None, None)), "e").unwrap();
    lab.git("certs.git", &["config", "http.receivepack", "false"]);
    let (kind, text) = fault(clone.prove_push());
    assert_eq!(kind, Fault::Forbidden);
    assert_eq!(
        text,
        format!(
            "cannot push to `{base}/certs.git`: the server does not allow it\n  HTTP 403 Forbidden\n\
             hint: the token or key needs write access (GitHub: `permissions: contents: write`)"
        )
    );
    let nowhere = remote("https://git.invalid/x", access(Some(TOKEN), None));
    let (kind, text) = fault(open(&nowhere, "f"));
    assert_eq!(kind, Fault::NoSuchHost, "{text}");
    assert!(!text.contains(TOKEN));
    let closed = format!("http://127.0.0.1:{}/x", free_port());
    assert_eq!(
        fault(open(&remote(&closed, access(None, None)), "g")).0,
        Fault::Unreachable
    );
}

#[test]
fn who_may_not_in_over_ssh() {
    let lab = Lab::new();
    let ssh = SshServer::start(&lab);
    let open = |address: &str, key: &str, hosts: &str| {
        let remote = remote(address, access(None, Some(&ssh.command(key, hosts))));
        let name = format!("{key}-{hosts}-{}", address.len());
        fault(Workspace::clone(&remote, &lab.path(&name), people()))
    };
    let certs = ssh.address("certs.git");

    let (kind, text) = open(&certs, "key", "no_hosts");
    assert_eq!(kind, Fault::HostKeyUnknown, "{text}");
    assert_eq!(
        text,
        format!(
            "cannot read `{certs}`: the host key is not known\n  Host key verification failed.\n\
             hint: check the fingerprint, then add the host key to `known_hosts` (`ssh-keyscan` prints it)"
        )
    );
    let (kind, text) = open(&certs, "key", "wrong_hosts");
    assert_eq!(kind, Fault::HostKeyChanged, "{text}");
    let (kind, text) = open(&certs, "other", "known_hosts");
    assert_eq!(kind, Fault::LoginRefused, "{text}");
    let (kind, text) = open(&ssh.address("none.git"), "key", "known_hosts");
    assert_eq!(kind, Fault::NotFound, "{text}");
    let (kind, text) = open("ssh://git.invalid/x.git", "key", "known_hosts");
    assert_eq!(kind, Fault::NoSuchHost, "{text}");
    let closed = format!("ssh://127.0.0.1:{}/x.git", free_port());
    assert_eq!(open(&closed, "key", "known_hosts").0, Fault::Unreachable);

    let absent = remote(&certs, access(None, Some("/no/such/ssh")));
    let (kind, text) = fault(Workspace::clone(&absent, &lab.path("absent"), people()));
    assert_eq!(kind, Fault::Broken);
    assert!(text.contains("/no/such/ssh"), "{text}");
}

#[test]
fn a_lost_race_is_pushed_again() {
    let lab = Lab::new();
    let (http, ssh) = (HttpServer::start(&lab), SshServer::start(&lab));
    let mut one = clone(&lab, &http.remote("certs.git", Some(TOKEN)), "one");
    let mut two = clone(&lab, &ssh.remote("certs.git"), "two");
    let mut three = clone(&lab, &lab.local(), "three");
    for (workspace, name) in [(&mut one, "a"), (&mut two, "b"), (&mut three, "c")] {
        let path = format!("certificates/{name}/{name}.crt");
        workspace.commit(name, &[file(&path, name)]).unwrap();
        let path = format!("certificates/{name}2/{name}.crt");
        workspace
            .commit(format!("{name}2"), &[file(&path, name)])
            .unwrap();
    }
    assert_eq!(done(one.push().unwrap()).retried, 0);
    for workspace in [&mut two, &mut three] {
        let pushed = done(workspace.push().unwrap());
        assert_eq!((pushed.retried, pushed.commits.len()), (1, 2));
    }
    assert_eq!(
        lab.git("certs.git", &["log", "--format=%s", "main"]),
        "c2\nc\nb2\nb\na2\na\ntwo\none"
    );
    // The one that came first goes on from where it was.
    one.commit("a3", &[file("certificates/a3/a.crt", "3")])
        .unwrap();
    assert_eq!(done(one.push().unwrap()).retried, 1);
    lab.git("certs.git", &["fsck", "--strict"]);
}

#[test]
fn a_push_whose_answer_was_lost_is_found_on_the_server() {
    let lab = Lab::new();
    let http = HttpServer::start(&lab);
    // The server dies between the update and its report.
    let die = "if [ \"$1\" = committed ]; then kill -9 $PPID; fi";
    for (name, remote) in [
        ("file", lab.local()),
        ("http", http.remote("certs.git", Some(TOKEN))),
    ] {
        let mut clone = clone(&lab, &remote, name);
        lab.hook("reference-transaction", die);
        let made = clone.commit(name, &[file(name, name)]).unwrap().unwrap();
        assert_eq!(done(clone.push().unwrap()).commits, [made]);
        assert_eq!(
            lab.git("certs.git", &["rev-parse", "main"]),
            made.to_string()
        );
        lab.hook("reference-transaction", "exit 0");
    }
    // It dies before the update: an error, and the next push goes through.
    let mut clone = clone(&lab, &lab.local(), "again");
    lab.hook("pre-receive", "kill -9 $PPID");
    clone.commit("x", &[file("x", "x")]).unwrap().unwrap();
    assert_eq!(fault(clone.push()).0, Fault::Broken);
    lab.hook("pre-receive", "exit 0");
    assert_eq!(done(clone.push().unwrap()).commits.len(), 1);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let lab = Lab::new();
    let remote = lab.local();
    let writers: Vec<_> = (0..4)
        .map(|number| clone(&lab, &remote, &format!("w{number}")))
        .collect();
    std::thread::scope(|scope| {
        for (number, mut writer) in writers.into_iter().enumerate() {
            scope.spawn(move || {
                let path = format!("certificates/w{number}/x.crt");
                writer.commit("x", &[file(&path, "x")]).unwrap();
                done(writer.push().unwrap());
            });
        }
    });
    assert_eq!(lab.git("certs.git", &["rev-list", "--count", "main"]), "6");
    assert_eq!(
        lab.git("certs.git", &["rev-list", "--count", "--merges", "main"]),
        "0"
    );
    let names = lab.git(
        "certs.git",
        &["ls-tree", "--name-only", "main:certificates"],
    );
    assert_eq!(names, "old\nw0\nw1\nw2\nw3");
}

/// A certificate that expires after so many days, PEM.
fn certificate(days: i64) -> String {
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

#[test]
fn of_a_certificate_on_both_sides_the_one_that_expires_later_stays() {
    let [shorter, longer] = [certificate(10), certificate(20)];
    for (ours, theirs, is_ours) in [(&longer, &shorter, true), (&shorter, &longer, false)] {
        let lab = Lab::new();
        let mut one = clone(&lab, &lab.local(), &format!("one-{is_ours}"));
        let mut two = clone(&lab, &lab.local(), &format!("two-{is_ours}"));
        let files = |chain: &str, rest: &str| {
            [
                file("certificates/old/old.crt", chain),
                file("certificates/old/old.json", rest),
            ]
        };
        one.commit("one", &files(theirs, "theirs")).unwrap();
        let about = "two\n\nGit-Certs-Serial: 0A\n";
        two.commit(about, &files(ours, "ours")).unwrap();
        let other = file("certificates/other/other.json", &format!("{is_ours}"));
        two.commit("other", &[other]).unwrap();
        one.push().unwrap();
        let pushed = done(two.push().unwrap());
        let chain = "certificates/old/old.crt".to_owned();
        let (kept, superseded) = if is_ours {
            (ours, vec![])
        } else {
            (theirs, vec![chain])
        };
        assert_eq!(pushed.superseded, superseded);
        assert_eq!(pushed.commits.len(), if is_ours { 2 } else { 1 });
        let check = clone(&lab, &lab.local(), &format!("check-{is_ours}"));
        let read = |path: &str| String::from_utf8(check.read(path).unwrap().unwrap()).unwrap();
        assert_eq!(&read("certificates/old/old.crt"), kept);
        let rest = if is_ours { "ours" } else { "theirs" };
        assert_eq!(read("certificates/old/old.json"), rest);
        assert_eq!(read("certificates/other/other.json"), format!("{is_ours}"));
    }
}

#[test]
fn a_branch_that_is_locked_for_a_moment_is_waited_for() {
    let lab = Lab::new();
    let mut one = clone(&lab, &lab.local(), "one");
    one.commit("one", &[file("a", "1")]).unwrap();
    let lock = lab.path("certs.git/refs/heads/main.lock");
    fs::write(&lock, "").unwrap();
    let error = one.push().unwrap_err();
    assert!(error.downcast_ref::<PushRefused>().is_some(), "{error:?}");
    let said = seen(&error);
    let (what, rest) = said.split_once("\n  ").unwrap();
    let server = lab.path("certs.git");
    assert_eq!(
        what,
        format!(
            "`{}` refuses pushes to `main`: failed to update ref",
            server.display()
        )
    );
    // git has more to say.
    let begins = "the server printed: error: cannot lock ref 'refs/heads/main': Unable to create '";
    assert!(rest.starts_with(begins), "{rest}");
    let ends = "\nhint: another push holds the branch: run again; if nobody pushes, a killed push has left the lock \
                that the server names: remove it there";
    assert!(rest.ends_with(ends), "{rest}");
    let taken = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::remove_file(lock).unwrap();
    });
    assert_eq!(one.prove_push().unwrap(), PushCheck::WouldBeAccepted);
    assert_eq!(done(one.push().unwrap()).commits.len(), 1);
    taken.join().unwrap();
    assert_eq!(lab.git("certs.git", &["show", "main:a"]), "1");
}

/// It may have keys of other certificates, which nobody else has.
#[test]
fn a_commit_of_more_than_one_certificate_gives_way_to_nobody() {
    for (ours, theirs) in [(10, 20), (20, 10)] {
        let lab = Lab::new();
        let mut one = clone(&lab, &lab.local(), "one");
        let mut two = clone(&lab, &lab.local(), "two");
        let chain = |days| file("certificates/old/old.crt", &certificate(days));
        one.commit("one", &[chain(theirs)]).unwrap();
        let other = file("certificates/other/other.key.age", "ours");
        two.commit("Import", &[chain(ours), other]).unwrap();
        one.push().unwrap();
        let error = two.push().unwrap_err();
        let conflict = error.downcast_ref::<Conflict>().expect("a typed error");
        assert_eq!(conflict.paths, ["certificates/old/old.crt"]);
    }
}

#[test]
fn the_same_file_on_both_sides_is_a_conflict_and_is_kept() {
    let lab = Lab::new();
    let mut one = clone(&lab, &lab.local(), "one");
    let mut two = clone(&lab, &lab.local(), "two");
    one.commit("one", &[file("certificates/old/old.crt", "one")])
        .unwrap();
    let ours = two
        .commit("two", &[file("certificates/old/old.crt", "two")])
        .unwrap()
        .unwrap();
    one.push().unwrap();
    let error = two.push().unwrap_err();
    let conflict = error.downcast_ref::<Conflict>().expect("a typed error");
    assert_eq!(conflict.paths, ["certificates/old/old.crt"]);
    assert_eq!(
        seen(&error),
        format!(
            "another push to `main` changed the same files: certificates/old/old.crt\n  \
             our commits cannot be re-applied\n\
             hint: they are kept: `git fetch origin refs/git-certs/kept/{ours}`, then `git cherry-pick HEAD..FETCH_HEAD`"
        )
    );
    let kept = format!("refs/git-certs/kept/{ours}:certificates/old/old.crt");
    assert_eq!(lab.git("certs.git", &["show", &kept]), "two");
    assert_eq!(
        lab.git("certs.git", &["show", "main:certificates/old/old.crt"]),
        "one"
    );
}

#[test]
fn a_commit_that_gives_way_is_no_conflict() {
    let lab = Lab::new();
    let mut one = clone(&lab, &lab.local(), "one");
    let mut two = clone(&lab, &lab.local(), "two");
    for (workspace, text) in [(&mut one, "one"), (&mut two, "two")] {
        let both = [file("a", text), file(text, text)];
        workspace
            .commit_yielding("windows".to_owned(), &both)
            .unwrap();
        let own = format!("certificates/{text}/x.crt");
        workspace.commit(text, &[file(&own, text)]).unwrap();
        assert_eq!(done(workspace.push().unwrap()).commits.len(), 2);
    }
    let show = |path: &str| lab.git("certs.git", &["show", &format!("main:{path}")]);
    // What both changed stays as the first has it; the rest of the second is there.
    let there = ["a", "one", "two", "certificates/two/x.crt"].map(show);
    assert_eq!(there, ["one", "one", "two", "two"]);
}

#[test]
fn a_push_that_hooks_refuse_after_all() {
    let lab = Lab::new();
    let mut clone = clone(&lab, &lab.local(), "clone");
    clone.commit("x", &[file("x", "x")]).unwrap();
    lab.hook("pre-receive", "echo 'GH006: protected' >&2; exit 1");
    assert_eq!(
        seen(&clone.push().unwrap_err()),
        format!(
            "`{}` refuses pushes to `main`: pre-receive hook declined\n  the server printed: GH006: protected\n\
             hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`",
            lab.path("certs.git").display()
        )
    );
    lab.hook("pre-receive", "exit 0");
    assert_eq!(done(clone.push().unwrap()).commits.len(), 1);
}

#[test]
fn repositories_that_cannot_be_used() {
    let lab = Lab::new();
    let open = |path: &str, branch: Option<&str>| {
        let path = lab.path(path);
        let mut remote = remote(path.to_str().unwrap(), access(None, None));
        remote.branch = branch.map(str::to_owned);
        let into = lab.path(&format!("into-{}", path.display().to_string().len()));
        let error = Workspace::clone(&remote, &into, people()).err().unwrap();
        fs::remove_dir_all(into).unwrap();
        seen(&error)
            .replace(&format!("{}/", lab.path("").display()), "")
            .replace(lab.path("").to_str().unwrap(), "")
    };
    lab.git(".", &["init", "-q", "--bare", "empty.git"]);
    assert_eq!(
        open("empty.git", None),
        "`empty.git` is empty\nhint: push a first commit, with `certs.json` for certificates"
    );
    assert_eq!(
        open("certs.git", Some("none")),
        "`certs.git` has no branch `none`\nhint: it has `main`"
    );
    lab.git(".", &["init", "-q", "--object-format=sha256", "new"]);
    lab.git("new", &["commit", "-q", "--allow-empty", "-m", "one"]);
    assert_eq!(
        open("new", None),
        "`new` is a SHA-256 repository\n\
         hint: use a repository with SHA-1 objects (`git init --object-format=sha1`)"
    );
    fs::create_dir(lab.path("plain")).unwrap();
    assert_eq!(
        open("plain", None),
        "cannot read `plain`: there is no git repository\n  \
         fatal: 'plain' does not appear to be a git repository\n\
         hint: check the path (a relative one starts at the current folder); `git init` makes a \
         repository of a folder"
    );

    lab.git("certs.git", &["symbolic-ref", "HEAD", "refs/heads/gone"]);
    assert_eq!(
        open("certs.git", None),
        "HEAD of `certs.git` stands for no branch\nhint: name the branch with `--branch`; it has `main`"
    );
}

#[test]
fn checkouts_that_cannot_be_used() {
    let lab = Lab::new();
    lab.git(".", &["init", "-q", "--object-format=sha256", "wt256"]);
    let find = |path: &str| {
        let here = Workspace::here(&lab.path(path), None, &access(None, None), people());
        seen(&here.err().unwrap()).replace(lab.path("").to_str().unwrap(), "")
    };
    let text = find("wt256");
    assert!(
        text.starts_with("cannot use the repository of `wt256`\n"),
        "{text}"
    );
    assert!(
        text.ends_with("(`git init --object-format=sha1`)"),
        "{text}"
    );
    let text = find("certs.git");
    assert_eq!(
        text,
        "`certs.git` is in a bare repository\nhint: give it with `--repo`, so that it is cloned and pushed to"
    );
    lab.git(".", &["init", "-q", "unborn"]);
    let text = find("unborn");
    assert!(
        text.starts_with("the repository of `unborn` has no commit\n"),
        "{text}"
    );
    assert!(
        text.ends_with("hint: commit what is there first: `git add --all && git commit`"),
        "{text}"
    );
}

#[test]
fn keys_and_links_are_refused() {
    let lab = Lab::new();
    symlink("/etc", lab.path("first/certificates/link")).unwrap();
    lab.git("first", &["add", "."]);
    lab.git("first", &["commit", "-q", "-m", "link"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    let mut bare = clone(&lab, &lab.local(), "bare");
    let link = "`certificates/link/hostname` is a symbolic link, or below one; it is not followed";
    for workspace in [&bare, &here(&lab, "first")] {
        let error = workspace.read("certificates/link/hostname").unwrap_err();
        assert_eq!(error.to_string(), link);
        assert_eq!(workspace.folders("certificates").unwrap(), ["old"]);
    }
    let mut refused = |file: File| bare.commit("x", &[file]).unwrap_err().to_string();
    let begins = file("a/b.crt", "-----BEGIN PRIVATE KEY-----\n");
    assert_eq!(
        refused(begins),
        "refusing to store `a/b.crt`: it holds a private key"
    );
    let account =
        r#"{"email": "", "key": {"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "c"}}"#;
    assert_eq!(
        refused(file("account.json", account)),
        "refusing to store `account.json`: it holds a private key (JWK)"
    );
    let der = rcgen::KeyPair::generate().unwrap().serialize_der();
    let traefik = format!(r#"{{"PrivateKey": "{}"}}"#, STANDARD.encode(&der));
    assert_eq!(
        refused(file("account.json", &traefik)),
        "refusing to store `account.json`: it holds a private key (PKCS#8 in DER, in Base64)"
    );
    let raw = File {
        path: "a/b.crt".to_owned(),
        content: Content::Public(der),
    };
    assert_eq!(
        refused(raw),
        "refusing to store `a/b.crt`: it holds a private key (PKCS#8 in DER)"
    );
    let hidden = format!("-----BEGIN AGE ENCRYPTED FILE-----\n{traefik}\n");
    let sealed = File {
        path: "a/b.key.age".to_owned(),
        content: Content::Sealed(Sealed::new(hidden).unwrap()),
    };
    assert_eq!(
        refused(sealed),
        "refusing to store `a/b.key.age`: it holds a private key (PKCS#8 in DER, in Base64)"
    );
}

#[test]
fn a_checkout_keeps_what_the_user_has_under_way() {
    let lab = Lab::new();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    lab.write("mine/staged", "staged\n");
    lab.git("mine", &["add", "staged"]);
    lab.write("mine/README", "dirty\n");
    let mut workspace = here(&lab, "mine");
    assert_eq!(workspace.prove_push().unwrap(), PushCheck::WouldBeAccepted);
    let sealed = Sealed::new("-----BEGIN AGE ENCRYPTED FILE-----\nx\n".to_owned()).unwrap();
    let key = File {
        path: "certificates/new/new.key.age".to_owned(),
        content: Content::Sealed(sealed),
    };
    let files = [file("certificates/new/new.crt", "new\n"), key];
    workspace.commit("new", &files).unwrap().unwrap();
    assert_eq!(workspace.commit("new", &files).unwrap(), None);
    assert_eq!(
        lab.git("mine", &["status", "--porcelain"]),
        "M README\nA  staged"
    );
    assert_eq!(
        lab.git("mine", &["show", "--name-only", "--format=%s", "HEAD"]),
        "new\n\ncertificates/new/new.crt\ncertificates/new/new.key.age"
    );
    let mode = |path: &str| fs::metadata(lab.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("mine/certificates/new/new.crt"), 0o644);
    assert_eq!(mode("mine/certificates/new/new.key.age"), 0o600);

    // Another push comes first; the work tree follows.
    lab.write("first/other", "other\n");
    lab.git("first", &["add", "."]);
    lab.git("first", &["commit", "-q", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    let pushed = done(workspace.push().unwrap());
    assert_eq!((pushed.retried, pushed.work_tree_behind), (1, false));
    assert_eq!(
        lab.git("mine", &["status", "--porcelain"]),
        "M README\nA  staged"
    );
    assert_eq!(lab.text("mine/other"), "other\n");
    assert_eq!(lab.text("mine/README"), "dirty\n");
    assert_eq!(
        lab.git("mine", &["rev-parse", "HEAD"]),
        lab.git("certs.git", &["rev-parse", "main"])
    );
    assert_eq!(
        lab.git("mine", &["status", "-sb"]).lines().next(),
        Some("## main...origin/main")
    );
}

#[test]
fn a_file_that_is_removed_goes_everywhere() {
    let lab = Lab::new();
    let gone = |path: &str| File {
        path: path.to_owned(),
        content: Content::Removed,
    };
    // Brackets would be a pattern where paths are patterns.
    let (old, new) = ("a/[x]/old", "a/[x]/new");
    let swap = [file(new, "2"), gone(old), gone("never/was")];
    let mut bare = clone(&lab, &lab.local(), "bare");
    lab.git("", &["clone", "--quiet", "certs.git", "mine"]);
    let mut checkout = here(&lab, "mine");
    fs::create_dir(lab.path("folder")).unwrap();
    let mut folder = here(&lab, "folder");
    for workspace in [&mut bare, &mut checkout, &mut folder] {
        workspace.commit("one", &[file(old, "1")]).unwrap();
        workspace.commit("two", &swap).unwrap();
        assert_eq!(workspace.read(old).unwrap(), None);
        assert_eq!(workspace.read(new).unwrap().unwrap(), b"2");
        assert!(workspace.take_behind().is_none());
    }
    assert_eq!(lab.git("mine", &["status", "--porcelain"]), "");
    for place in ["bare", "mine"] {
        let listed = lab.git(place, &["ls-tree", "-r", "--name-only", "HEAD", "a"]);
        assert_eq!(listed, new);
    }
    done(checkout.push().unwrap());
    assert_eq!(
        lab.git("certs.git", &["ls-tree", "-r", "--name-only", "main", "a"]),
        new
    );
}

#[test]
fn a_work_tree_that_cannot_follow_stays() {
    let lab = Lab::new();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    lab.write("mine/README", "dirty\n");
    let mut workspace = here(&lab, "mine");
    // Another push changes the file that the user is changing.
    workspace
        .commit("newer", &[file("certificates/new/new.crt", "newer\n")])
        .unwrap();
    lab.git("first", &["pull", "-q", "--rebase", "origin", "main"]);
    lab.write("first/README", "theirs\n");
    lab.git("first", &["commit", "-q", "-am", "readme"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    let pushed = done(workspace.push().unwrap());
    assert_eq!((pushed.retried, pushed.work_tree_behind), (1, true));
    assert_eq!(lab.text("mine/README"), "dirty\n");
    assert_eq!(lab.git("mine", &["log", "-1", "--format=%s"]), "newer");
    lab.git("mine", &["stash", "-q"]);
    lab.git("mine", &["pull", "-q", "--rebase"]);
    assert_eq!(
        lab.git("mine", &["rev-parse", "HEAD"]),
        lab.git("certs.git", &["rev-parse", "main"])
    );
}

#[test]
fn files_that_could_not_follow_do_so_with_those_of_later_commits() {
    let lab = Lab::new();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    let mine = lab.path("mine");
    let of_a_run = People {
        run: Some("night".to_owned()),
        ..people()
    };
    let mut workspace = Workspace::here(&mine, None, &access(None, None), of_a_run).unwrap();
    let lock = mine.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    for files in [
        [file("a/x", "1"), file("a/y", "1")],
        [file("a/x", "2"), file("a/z", "2")],
    ] {
        workspace.commit("new", &files).unwrap().unwrap();
        assert!(workspace.take_behind().is_some());
    }
    fs::remove_file(lock).unwrap();
    // As if the second commit had been killed.
    lab.write("mine/a/x", "1");
    fs::remove_file(mine.join("a/z")).unwrap();
    // What follows its own commit does not end the mark of those before; their entries in the index were in memory.
    workspace.commit("new", &[file("a/w", "3")]).unwrap();
    assert!(workspace.take_behind().is_none());
    match mend(&mine).unwrap() {
        Mended::Done { files, kept } => assert_eq!((files, kept.len()), (2, 0)),
        other => panic!("{other:?}"),
    }
    assert_eq!(lab.git("mine", &["status", "--porcelain"]), "");
    assert_eq!(lab.text("mine/a/x"), "2");
    assert!(matches!(mend(&mine).unwrap(), Mended::Nothing));
    workspace.commit("new", &[file("a/w", "4")]).unwrap();
    let names = fs::read_dir(mine.join(".git")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.contains("git-certs")));
}

#[test]
fn a_locked_index_is_found_beforehand_and_loses_nothing_later() {
    let lab = Lab::new();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    let mut workspace = here(&lab, "mine");
    workspace.prove_commit().unwrap();
    lab.write("mine/.git/index.lock", "");
    let lock = lab.path("mine/.git/index.lock").canonicalize().unwrap();
    assert_eq!(
        seen(&workspace.prove_commit().unwrap_err()),
        format!(
            "the index of this checkout is locked\nhint: another git program is at work: \
             run again when it is done, or remove `{}` if there is none",
            lock.display()
        )
    );
    workspace.commit("x", &[file("x", "x")]).unwrap().unwrap();
    assert_eq!(
        workspace.take_behind().unwrap().to_string(),
        "cannot write the index"
    );
    assert!(workspace.take_behind().is_none());
    assert_eq!(lab.text("mine/x"), "x");

    // Another push comes first.
    lab.write("first/other", "other\n");
    lab.git("first", &["add", "."]);
    lab.git("first", &["commit", "-q", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    let pushed = done(workspace.push().unwrap());
    assert_eq!((pushed.retried, pushed.work_tree_behind), (1, false));
    assert!(workspace.take_behind().is_some());
    fs::remove_file(lock).unwrap();
    lab.git("mine", &["reset", "-q"]);
    assert_eq!(lab.git("mine", &["status", "--porcelain"]), "");
    assert_eq!(
        lab.git("mine", &["rev-parse", "HEAD"]),
        lab.git("certs.git", &["rev-parse", "main"])
    );
}

#[test]
fn own_unpushed_commits_go_along_or_stop_the_push() {
    let lab = Lab::new();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    lab.write("mine/own", "own\n");
    lab.git("mine", &["add", "."]);
    lab.git("mine", &["commit", "-q", "-m", "own"]);
    let mut workspace = here(&lab, "mine");
    workspace.prove_push().unwrap();
    workspace.commit("ours", &[file("x", "x")]).unwrap();
    assert_eq!(done(workspace.push().unwrap()).commits.len(), 2);

    lab.git(
        "mine",
        &["commit", "-q", "--allow-empty", "-m", "own again"],
    );
    let mut workspace = here(&lab, "mine");
    workspace.commit("ours", &[file("y", "y")]).unwrap();
    let mine = lab.git("mine", &["rev-parse", "HEAD"]);
    lab.git("first", &["pull", "-q", "--rebase", "origin", "main"]);
    lab.git("first", &["commit", "-q", "--allow-empty", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(
        seen(&workspace.push().unwrap_err()),
        "`main` has commits here that were never pushed, and the server's `main` has moved\n\
         hint: `git pull --rebase`, then run again; the certificates are committed here"
    );
    assert_eq!(lab.git("mine", &["rev-parse", "HEAD"]), mine);
    lab.git("mine", &["pull", "-q", "--rebase"]);
    let mut workspace = here(&lab, "mine");
    workspace.commit("more", &[file("z", "z")]).unwrap();
    assert_eq!(done(workspace.push().unwrap()).commits.len(), 3);
}

#[test]
fn a_detached_shallow_checkout_of_a_pipeline() {
    let lab = Lab::new();
    let url = format!("file://{}", lab.path("certs.git").display());
    lab.git(".", &["clone", "-q", "--depth=1", &url, "ci"]);
    lab.git("ci", &["checkout", "-q", "--detach"]);
    fs::create_dir(lab.path("ci/sub")).unwrap();
    let mut lost = here(&lab, "ci");
    let error = lost.prove_push().unwrap_err();
    assert_eq!(
        seen(&error),
        "no branch is checked out, so it is not known where to push\nhint: name the branch with `--branch`"
    );
    assert!(lost.commit("x", &[]).unwrap().is_none());

    let open = || {
        let access = access(None, None);
        Workspace::here(&lab.path("ci/sub"), Some("main"), &access, people()).unwrap()
    };
    let mut workspace = open();
    workspace.prove_push().unwrap();
    workspace
        .commit("ci", &[file("a/b.crt", "b")])
        .unwrap()
        .unwrap();
    lab.git("first", &["commit", "-q", "--allow-empty", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(done(workspace.push().unwrap()).retried, 1);
    assert_eq!(lab.git("certs.git", &["show", "main:sub/a/b.crt"]), "b");
    assert_eq!(
        lab.git("certs.git", &["log", "--format=%s", "main"]),
        "ci\nother\ntwo\none"
    );
    assert_eq!(lab.git("ci", &["status", "--porcelain"]), "");
    lab.git("ci", &["fsck", "--strict"]);
}

#[test]
fn a_folder_without_git_is_just_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut workspace =
        Workspace::here(folder.path(), None, &access(None, None), people()).unwrap();
    assert_eq!(
        workspace.folders("certificates").unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        workspace
            .commit("x", &[file("certificates/a/a.crt", "a")])
            .unwrap(),
        None
    );
    assert_eq!(
        workspace.read("certificates/a/a.crt").unwrap().unwrap(),
        b"a"
    );
    assert_eq!(workspace.folders("certificates").unwrap(), ["a"]);
    assert_eq!(workspace.prove_push().unwrap(), PushCheck::NoRemote);
    assert_eq!(workspace.push().unwrap(), Pushed::NoRemote);
}

#[test]
fn the_dns_repository_is_checked_out() {
    let lab = Lab::new();
    symlink("../../outside", lab.path("first/link.js")).unwrap();
    lab.git("first", &["add", "."]);
    lab.git("first", &["commit", "-q", "-m", "link"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    let into = lab.path("dns");
    let found = checkout(&lab.local(), &into).unwrap();
    assert_eq!(found.branch, "main");
    assert_eq!(
        found.commit.to_string(),
        lab.git("certs.git", &["rev-parse", "main"])
    );
    assert_eq!(
        fs::read_link(into.join("link.js")).unwrap(),
        Path::new("../../outside")
    );
    assert_eq!(lab.text("dns/README"), "two\n");
    assert_eq!(
        fs::metadata(&into).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(lab.git("dns", &["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn a_checkout_that_does_not_know_of_certificates_is_outdated() {
    let lab = Lab::new();
    let remote = lab.local();
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    lab.git("first", &["commit", "-q", "--allow-empty", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    // What changed is no certificate: the run may go on, and its commits land on top.
    here(&lab, "mine").prove_push().unwrap();

    let mut other = clone(&lab, &remote, "other");
    other
        .commit("a", &[file("certificates/a/a.crt", "a")])
        .unwrap();
    other.push().unwrap();
    let behind = format!(
        "this checkout is behind `main` of `{}`, where certificates have changed\n\
         hint: `git pull --rebase`, then run again: what is due here may be renewed there",
        lab.path("certs.git").display()
    );
    assert_eq!(seen(&here(&lab, "mine").prove_push().unwrap_err()), behind);
    lab.git("mine", &["pull", "-q", "--rebase"]);
    here(&lab, "mine").prove_push().unwrap();
}

/// A key that `ssh-keygen` made.
fn signer(lab: &Lab) -> Arc<SshKey> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(lab.path("signer"))
        .status();
    assert!(made.unwrap().success());
    let text = Secret::from(lab.text("signer"));
    Arc::new(SshKey::parse(&text).unwrap())
}

#[test]
fn a_server_that_wants_signatures_takes_everything() {
    let lab = Lab::new();
    let signed = People {
        key: Some(signer(&lab)),
        ..people()
    };
    let mut workspace = Workspace::clone(&lab.local(), &lab.path("clone"), signed).unwrap();
    let unsigned = clone(&lab, &lab.local(), "unsigned");
    workspace.commit("ours", &[file("a", "a")]).unwrap();
    lab.git("first", &["commit", "-q", "--allow-empty", "-m", "other"]);
    lab.git("first", &["push", "-q", "origin", "HEAD:main"]);
    lab.hook(
        "pre-receive",
        "while read old new ref; do\n\
         case $new in *[!0]*) ;; *) continue ;; esac\n\
         for id in $(git rev-list $new --not --all); do\n\
         git cat-file commit $id | grep -q '^gpgsig -----BEGIN SSH' || { echo unsigned; exit 1; }\n\
         done; done",
    );
    assert_eq!(
        seen(&unsigned.prove_push().unwrap_err()),
        format!(
            "`{}` refuses pushes to `main`: pre-receive hook declined\n  \
             the server printed: unsigned\n\
             hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`",
            lab.path("certs.git").display()
        )
    );
    workspace.prove_push().unwrap();
    let branch = Reference {
        scope: Scope::All,
        home: Home::Branch,
    };
    let place = workspace
        .journal_place(&lab.path("scratch"), branch, true)
        .unwrap()
        .unwrap();
    let journal = crate::repo::journal::tests::full();
    assert!(matches!(
        place.change(None, Some(&journal)).unwrap(),
        journal::Change::Done(Some(_))
    ));
    let done = done(workspace.push().unwrap());
    assert_eq!((done.retried, done.commits.len()), (1, 1));
    let list = format!(
        "gpg.ssh.allowedSignersFile={}",
        lab.path("signers").display()
    );
    lab.write("signers", &format!("ci {}", lab.text("signer.pub")));
    let log = ["-c", &list, "log", "--format=%s %G? %GS", "main"];
    assert_eq!(
        lab.git("certs.git", &log),
        "ours G ci\nother N \ntwo N \none N"
    );
}
