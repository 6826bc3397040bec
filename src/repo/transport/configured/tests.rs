//! Against lighttpd with `git http-backend`, with the configuration of checkouts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pretty_assertions::assert_eq;

use super::*;
use crate::model::hint::explain;
use crate::repo::git::{Content, File, People, Pushed, Workspace};
use crate::repo::servers::{HttpServer, Lab, TOKEN, access};
use crate::repo::transport::{Access, Fault, RemoteError};

fn applies(pattern: &str, url: &str) -> bool {
    let key = format!("http.{pattern}.extraheader");
    let header = Header::parse(&key, "X-A: b").unwrap().unwrap();
    header.is_for(&Url::parse(url).unwrap(), Some("me"))
}

#[test]
fn headers_go_where_git_sends_them() {
    let url = "https://git.test/me/certs.git";
    for pattern in [
        "https://git.test/",
        "https://git.test",
        "https://GIT.test:443/me",
        "https://me@git.test/me/certs.git",
        "https://*.test/",
    ] {
        assert!(applies(pattern, url), "{pattern}");
    }
    for pattern in [
        "http://git.test/",
        "https://git.test:8443/",
        "https://git.test.evil.test/",
        "https://evil.test/",
        "https://git.test/m",
        "https://you@git.test/",
        "https://*/",
        "https://*.*.test/",
    ] {
        assert!(!applies(pattern, url), "{pattern}");
    }
    // One without a URL would go to anybody.
    assert!(
        Header::parse("http.extraheader", "X-A: b")
            .unwrap()
            .is_none()
    );
    assert!(
        Header::parse("http.https://x/.proxy", "b")
            .unwrap()
            .is_none()
    );
    let explained =
        explain(&Header::parse("http.https://x.test/.extraHeader", "secret").unwrap_err());
    assert_eq!(
        explained.what,
        "`http.https://x.test/.extraHeader` of git's configuration is no header"
    );
    assert_eq!(explained.causes, ["it has no colon"]);
    assert_eq!(
        explained.hints,
        [
            "it has a name, a colon and a value: `git config --show-origin --get-all` says where it stands"
        ]
    );
}

#[test]
fn an_empty_header_takes_earlier_ones_back() {
    let key = "http.https://git.test/.extraheader".to_owned();
    let headers = |values: &[&str]| {
        let values = values
            .iter()
            .map(|value| (key.clone(), Secret::from((*value).to_owned())));
        let configured = Configured::new(values.collect());
        let nothing = Config::new().unwrap();
        let configured = configured.read(&nothing, None).unwrap();
        let url = Url::parse("https://git.test/x").unwrap();
        let headers = configured.headers(&url, None);
        let all = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        all.collect::<Vec<_>>()
    };
    assert_eq!(headers(&["X-A: 1", "X-B: 2"]), ["x-a: 1", "x-b: 2"]);
    assert_eq!(headers(&["X-A: 1", "", "X-B: 2"]), ["x-b: 2"]);
}

/// A checkout `mine` whose origin is the server.
fn checkout(lab: &Lab, server: &HttpServer) {
    lab.git(".", &["clone", "-q", "certs.git", "mine"]);
    let url = format!("http://127.0.0.1:{}/certs.git", server.port);
    lab.git("mine", &["remote", "set-url", "origin", &url]);
}

/// Commits in the checkout and pushes.
fn push(lab: &Lab, access: &Access) -> Result<Pushed> {
    let people = People::find(|_| None, None)?;
    let mut workspace = Workspace::here(&lab.path("mine"), None, access, people)?;
    workspace.prove_push()?;
    let file = File {
        path: "x".to_owned(),
        content: Content::Public(b"x".to_vec()),
    };
    workspace.commit("x", &[file])?;
    workspace.push()
}

fn fault(result: Result<Pushed>) -> Fault {
    let error = result.unwrap_err();
    error.downcast_ref::<RemoteError>().unwrap().fault
}

fn basic(password: &str) -> String {
    let login = STANDARD.encode(format!("x-access-token:{password}"));
    format!("AUTHORIZATION: basic {login}")
}

#[test]
fn a_token_that_a_checkout_step_left_is_used() {
    let lab = Lab::new();
    let server = HttpServer::start(&lab);
    checkout(&lab, &server);
    let none = access(None, None);
    assert_eq!(fault(push(&lab, &none)), Fault::LoginAsked);

    let here = format!("http.http://127.0.0.1:{}/.extraheader", server.port);
    let elsewhere = "http.http://127.0.0.1:1/.extraheader";
    lab.git("mine", &["config", elsewhere, &basic(TOKEN)]);
    assert_eq!(fault(push(&lab, &none)), Fault::LoginAsked);
    lab.git("mine", &["config", &here, &basic("wrong")]);
    assert_eq!(fault(push(&lab, &none)), Fault::LoginRefused);
    lab.git("mine", &["config", &here, &basic(TOKEN)]);
    assert!(matches!(push(&lab, &none).unwrap(), Pushed::Done(_)));

    // A token that was passed in wins.
    lab.git("mine", &["config", &here, &basic("wrong")]);
    lab.git("mine", &["reset", "-q", "--hard", "HEAD~1"]);
    lab.git("certs.git", &["update-ref", "refs/heads/main", "main~1"]);
    assert!(matches!(
        push(&lab, &access(Some(TOKEN), None)).unwrap(),
        Pushed::Done(_)
    ));
}

#[test]
fn a_token_in_an_included_file_or_the_environment_is_used() {
    let lab = Lab::new();
    let server = HttpServer::start(&lab);
    checkout(&lab, &server);
    let back = || {
        lab.git("mine", &["reset", "-q", "--hard", "HEAD~1"]);
        lab.git("certs.git", &["update-ref", "refs/heads/main", "main~1"]);
    };
    // As actions/checkout does from version 6 on.
    let url = format!("http://127.0.0.1:{}/", server.port);
    let text = format!("[http \"{url}\"]\n\textraheader = {}\n", basic(TOKEN));
    lab.write("token.config", &text);
    let git = lab.path("mine/.git").canonicalize().unwrap();
    let include = format!("includeIf.gitdir:{}.path", git.display());
    let file = lab.path("token.config");
    lab.git("mine", &["config", &include, file.to_str().unwrap()]);
    assert!(matches!(
        push(&lab, &access(None, None)).unwrap(),
        Pushed::Done(_)
    ));
    lab.git("mine", &["config", "--unset", &include]);
    back();

    let key = format!("http.{url}.extraHeader");
    let mut access = access(None, None);
    access.configured = Configured::new(vec![(key, Secret::from(basic(TOKEN)))]);
    assert!(matches!(push(&lab, &access).unwrap(), Pushed::Done(_)));
}

#[test]
fn a_header_does_not_follow_to_another_host() {
    let lab = Lab::new();
    let server = HttpServer::start(&lab);
    checkout(&lab, &server);
    let url = format!("http://127.0.0.1:{}/elsewhere/certs.git", server.port);
    lab.git("mine", &["remote", "set-url", "origin", &url]);
    let here = format!("http.http://127.0.0.1:{}/.extraheader", server.port);
    lab.git("mine", &["config", &here, &basic(TOKEN)]);
    let explained = explain(&push(&lab, &access(None, None)).unwrap_err());
    assert_eq!(
        (explained.what, explained.causes),
        (
            format!("cannot push to `{url}`: the answer is not git's protocol"),
            vec!["it is redirected to another host, `localhost`".to_owned()]
        )
    );
}

/// A helper that writes down what it is asked for and told.
fn helper(lab: &Lab, password: &str) {
    let log = lab.path("log");
    let log = log.display();
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> {log}\ncat >> {log}\n\
         [ \"$1\" != get ] || printf 'username=x-access-token\\npassword={password}\\n'\n"
    );
    set_helper(lab, &script);
}

fn set_helper(lab: &Lab, script: &str) {
    let path = lab.path("helper");
    crate::repo::files::replace(&path, script.as_bytes(), 0o755).unwrap();
    lab.git(
        "mine",
        &["config", "credential.helper", path.to_str().unwrap()],
    );
}

#[test]
fn credential_helpers_are_asked_once_and_told_what_came_of_it() {
    let lab = Lab::new();
    let server = HttpServer::start(&lab);
    checkout(&lab, &server);
    let host = format!("protocol=http\nhost=127.0.0.1:{}\n", server.port);
    let told = |what: &str, password: &str| {
        format!("{what}\n{host}username=x-access-token\npassword={password}\n")
    };

    helper(&lab, "wrong");
    let error = push(&lab, &access(None, None)).unwrap_err();
    let explained = explain(&error);
    assert_eq!(
        explained.what,
        format!(
            "cannot push to `http://127.0.0.1:{}/certs.git`: the server does not accept the login",
            server.port
        )
    );
    assert_eq!(
        lab.text("log"),
        format!("get\n{host}{}", told("erase", "wrong"))
    );

    std::fs::remove_file(lab.path("log")).unwrap();
    helper(&lab, TOKEN);
    let mut not_chosen = access(None, None);
    not_chosen.configured.may_ask = false;
    assert_eq!(fault(push(&lab, &not_chosen)), Fault::LoginAsked);
    assert!(!lab.path("log").exists());
    assert!(matches!(
        push(&lab, &access(None, None)).unwrap(),
        Pushed::Done(_)
    ));
    assert_eq!(
        lab.text("log"),
        format!("get\n{host}{}", told("store", TOKEN))
    );
}

#[test]
fn a_login_that_is_far_too_large_is_not_read() {
    let lab = Lab::new();
    let server = HttpServer::start(&lab);
    checkout(&lab, &server);
    let script = "#!/bin/sh\necho username=x\nprintf password=\nhead -c 2000000 /dev/zero | tr '\\0' x\necho\n";
    set_helper(&lab, script);
    let much = explain(&push(&lab, &access(None, None)).unwrap_err());
    assert_eq!(
        [vec![much.what], much.causes, much.hints].concat(),
        [
            "cannot read what `git credential fill` prints",
            "it is larger than 1 MiB, which is the limit",
            "`git config --show-origin --get-all credential.helper` names the helper that gives it"
        ]
    );
}
