//! Refused runs, each with all that it says: repositories that cannot be read or pushed to.

use crate::support::git_server::{TOKEN, make_repository};
use crate::support::lab::Lab;
use crate::support::repos::Transport;
use crate::support::scene::Scene;

/// A name of a zone that BIND has alone.
const NAME: &str = "www.bench.test";

#[test]
fn the_branch_refuses_pushes_of_paths() {
    let scene = Scene::start(Lab::builder().bind().pebble(), &[NAME]);
    scene.certs.refuse_pushes();
    scene.refused(&scene.renew(), "\
to issue: `www`, not in the repository
error: `[LAB]/git/certs.git` refuses pushes to `main`: hook declined
  caused by: the server printed: this branch is protected
    error: hook declined to update refs/heads/main
hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`
");
}

#[test]
fn the_branch_refuses_pushes_over_https() {
    let scene = Scene::start(Lab::builder().bind().pebble().git_http(), &[NAME]);
    scene.certs.refuse_pushes();
    let command = scene.renew_from(&scene.certs.url(Transport::Https));
    scene.refused(&command, "\
to issue: `www`, not in the repository
error: `https://git.test/certs.git` refuses pushes to `main`: hook declined
  caused by: the server printed: this branch is protected
    error: hook declined to update refs/heads/main
hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`
");
}

#[test]
fn the_branch_refuses_pushes_over_ssh() {
    let scene = Scene::start(Lab::builder().bind().pebble().git_ssh(), &[NAME]);
    scene.certs.refuse_pushes();
    let command = scene.renew_from(&scene.certs.url(Transport::Ssh));
    scene.refused(&command, "\
to issue: `www`, not in the repository
error: `ssh://git@git.test/srv/certs.git` refuses pushes to `main`: hook declined
  caused by: the server printed: this branch is protected
    error: hook declined to update refs/heads/main
hint: let this login push to the branch (branch protection, hooks), or choose another with `--branch`
");
}

#[test]
fn a_token_that_the_server_does_not_know() {
    let scene = Scene::start(Lab::builder().git_http(), &[NAME]);
    let url = scene.certs.url(Transport::Https);
    let command = scene.renew_from(&url.replace(TOKEN, "hunter2"));
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/certs.git`: the server does not accept the login
  caused by: HTTP 401 Unauthorized
hint: check that the token or the key is valid and belongs to this server
",
    );
}

#[test]
fn a_token_of_the_environment_that_the_server_does_not_know() {
    let scene = Scene::start(Lab::builder().git_http(), &[NAME]);
    let command = scene.renew_from("https://git.test/certs.git");
    let command = command.env("GIT_CERTS_TOKEN", "hunter2");
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/certs.git`: the server does not accept the login
  caused by: HTTP 401 Unauthorized
hint: check that the token or the key is valid and belongs to this server
",
    );
}

#[test]
fn no_token() {
    let scene = Scene::start(Lab::builder().git_http(), &[NAME]);
    let command = scene.renew_from("https://git.test/certs.git");
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/certs.git`: the server asks for a login
  caused by: HTTP 401 Unauthorized
hint: give a token (GIT_CERTS_TOKEN, for the DNS repository GIT_CERTS_DNS_TOKEN), or an address by `ssh://`
",
    );
}

#[test]
fn a_repository_that_the_https_server_does_not_have() {
    let scene = Scene::start(Lab::builder().git_http(), &[NAME]);
    let url = scene.certs.url(Transport::Https);
    let command = scene.renew_from(&url.replace("certs.git", "gone.git"));
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/gone.git`: there is no such repository, or it is hidden from this login
  caused by: HTTP 404 Not Found
hint: check the address, and that the token or key may see it
",
    );
}

#[test]
fn a_repository_that_the_ssh_server_does_not_have() {
    let scene = Scene::start(Lab::builder().git_ssh(), &[NAME]);
    let command = scene.renew_from("git@git.test:/srv/gone.git");
    scene.refused(&command, "\
error: cannot read `ssh://git@git.test/srv/gone.git`: there is no such repository, or it is hidden from this login
  caused by: fatal: '/srv/gone.git' does not appear to be a git repository
hint: check the address, and that the token or key may see it
");
}

#[test]
fn a_path_with_nothing() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let path = scene.lab.folder().join("git/gone.git");
    let command = scene.renew_from(path.to_str().unwrap());
    scene.refused(&command, "\
error: cannot read `[LAB]/git/gone.git`: there is no git repository
  caused by: fatal: '[LAB]/git/gone.git' does not appear to be a git repository
hint: check the path (a relative one starts at the current folder); `git init` makes a repository of a folder
");
}

#[test]
fn a_path_that_is_no_repository() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let path = scene.lab.folder().join("home");
    let command = scene.renew_from(path.to_str().unwrap());
    scene.refused(
        &command,
        "\
error: cannot read `[LAB]/home`: there is no git repository
  caused by: fatal: '[LAB]/home' does not appear to be a git repository
hint: check the path (a relative one starts at the current folder); `git init` makes a repository of a folder
",
    );
}

#[test]
fn a_dns_repository_that_is_no_repository() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let certs = scene.certs.url(Transport::Path);
    let nothing = scene.lab.folder().join("git/gone.git");
    let words = [
        "renew",
        "--repo",
        &certs,
        "--dns-repo",
        nothing.to_str().unwrap(),
    ];
    let command = scene.lab.git_certs(words);
    scene.refused(&command, "\
error: cannot read `[LAB]/git/gone.git`: there is no git repository
  caused by: fatal: '[LAB]/git/gone.git' does not appear to be a git repository
hint: check the path (a relative one starts at the current folder); `git init` makes a repository of a folder
");
}

#[test]
fn a_branch_that_does_not_exist() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let command = scene.renew().args(["--branch", "trunk"]);
    scene.refused(
        &command,
        "\
error: `[LAB]/git/certs.git` has no branch `trunk`
hint: it has `main`
",
    );
}

#[test]
fn a_repository_without_a_commit() {
    let scene = Scene::start(Lab::builder(), &[NAME]);
    let empty = make_repository(scene.lab.namespace(), "empty");
    let command = scene.renew_from(empty.to_str().unwrap());
    scene.refused(
        &command,
        "\
error: `[LAB]/git/empty.git` is empty
hint: push a first commit, with `certs.json` for certificates
",
    );
}

#[test]
fn an_ssh_server_that_is_not_known() {
    let scene = Scene::start(Lab::builder().git_ssh(), &[NAME]);
    scene.lab.namespace().write("home/.ssh/known_hosts", "");
    let command = scene.renew_from(&scene.certs.url(Transport::Ssh));
    scene.refused(
        &command,
        "\
error: cannot read `ssh://git@git.test/srv/certs.git`: the host key is not known
  caused by: Host key verification failed.
hint: check the fingerprint, then add the host key to `known_hosts` (`ssh-keyscan` prints it)
",
    );
}

#[test]
fn an_https_server_that_is_not_trusted() {
    let scene = Scene::start(Lab::builder().git_http(), &[NAME]);
    let command = scene.renew_from(&scene.certs.url(Transport::Https));
    let command = command.env("GIT_CERTS_CA_BUNDLE", "");
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/certs.git`: the server's certificate is not trusted
  caused by: error sending request
  caused by: invalid peer certificate: UnknownIssuer
hint: add the server's CA with `--ca-bundle`
",
    );
}

#[test]
fn no_git_server_answers() {
    let scene = Scene::start(Lab::builder().bind(), &[NAME]);
    let command = scene.renew_from("https://git.test/certs.git");
    scene.refused(
        &command,
        "\
error: cannot read `https://git.test/certs.git`: the server cannot be reached
  caused by: error sending request
  caused by: tcp connect error
  caused by: Connection refused
hint: check the address, and that this machine reaches it: a firewall, a proxy
",
    );
}
