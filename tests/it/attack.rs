//! What an attacker, or bad luck, might try.

use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;

use crate::support::command::Output;
use crate::support::lab::{Lab, Server};
use crate::support::nightly::{Gate, Nightly, values, wait_until};
use crate::support::repos::{Files, Transport};
use crate::support::{address, bind, powerdns};

/// In front of Pebble, at `https://acme.test:8443`: answers are changed on the way.
const PROXY: &str = r#"
import http.server, ssl, sys, urllib.request, http.client
address, folder, mode = sys.argv[1:]
inner = ssl._create_unverified_context()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def forward(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        ca = http.client.HTTPSConnection(address, 443, context=inner)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("accept-encoding", "connection")}
        ca.request(self.command, self.path, body, headers)
        answer = ca.getresponse()
        data = answer.read()
        extra = []
        if mode == "retry" and ("/my-order/" in self.path or "/finalize" in self.path):
            extra.append(("Retry-After", "18446744073709551615"))
        if mode == "key" and "/certZ/" in self.path:
            data = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + data
        if mode == "junk" and "/certZ/" in self.path:
            data = b"hello \x1b[2J\n" + data + b"\n-----BEGIN JUNK-----\n" + b"QUFB\n" * 500000 + b"-----END JUNK-----\n"
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("content-length", "transfer-encoding", "connection", "retry-after"):
                self.send_header(key, value)
        for key, value in extra:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
    do_GET = do_POST = do_HEAD = forward
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer((address, 8443), Handler)
outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
outer.load_cert_chain(folder + "/tls/cert.pem", folder + "/tls/key.pem")
server.socket = outer.wrap_socket(server.socket, server_side=True)
open(folder + "/proxy-is-up", "w").close()
server.serve_forever()
"#;

fn behind_proxy(mode: &str) -> String {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[("files", &["files.test"]), ("www", &["www.bench.test"])],
    );
    let lab = &nightly.lab;
    let proxy = lab
        .command("python3")
        .args(["-c", PROXY, address::PEBBLE])
        .arg(lab.folder())
        .arg(mode)
        .spawn();
    wait_until(lab, "the proxy", || {
        lab.folder().join("proxy-is-up").exists()
    });
    let output = nightly
        .command(&["renew"])
        .env("GIT_CERTS_ACME", "https://acme.test:8443/dir")
        .env("GIT_CERTS_ACME_TIMEOUT", "20")
        .run();
    proxy.signal("KILL");
    proxy.wait();
    let mut said = format!(
        "{mode}\n{}\n{}\nleft in DNS: {:?}\nleft over: {:?}\n",
        output.stdout,
        output.stderr,
        lab.challenges(),
        lab.left_over()
    );
    said += &format!("{:?}\n", nightly.certs.files(lab));
    for path in nightly.certs.files(lab) {
        if Path::new(&path)
            .extension()
            .is_some_and(|kind| kind == "crt")
        {
            said += &format!("{path}: {} bytes\n", nightly.certs.show(lab, &path).len());
        }
    }
    said
}

/// A Retry-After that no clock can add up must not end the run in a panic.
#[test]
fn an_endless_retry_after() {
    let said = behind_proxy("retry");
    assert!(!said.contains("panicked"), "{said}");
    // It is not waited for longer than the time-out, and then looked at once more.
    assert!(said.contains("2 issued, 0 failed"), "{said}");
    assert!(said.contains("left in DNS: {}"), "{said}");
}

/// A chain with a foreign key block.
#[test]
fn a_key_in_the_chain() {
    let said = behind_proxy("key");
    assert!(said.contains("2 issued, 0 failed"), "{said}");
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn junk_in_the_chain() {
    let said = behind_proxy("junk");
    assert!(!said.contains("panicked"), "{said}");
    for line in said.lines().filter(|line| line.ends_with(" bytes")) {
        let size: u32 = line.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(size < 10_000, "{line}");
    }
}

/// `index.lock` of a git that was killed: what is reported, pushed and on disk must agree.
#[test]
fn a_locked_index_on_the_first_night() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    let lock = folder.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    let run = || in_place(&nightly, &folder);
    let first = run();
    let asked = nightly.requests();
    fs::remove_file(&lock).unwrap();
    run();
    let said = format!(
        "{}{}\n{asked:?}\n{:?}",
        first.stdout,
        first.stderr,
        certs.files(lab)
    );
    assert!(
        certs
            .files(lab)
            .contains(&".letsencrypt/acme.test/account.key.age".to_owned()),
        "the account is never pushed\n{said}"
    );
    assert!(
        !asked.contains(&"POST /certZ/".to_owned()),
        "issued and thrown away\n{said}"
    );
}

/// The same when the account is there.
#[test]
fn a_locked_index_later() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let Nightly { lab, certs, .. } = &nightly;
    let folder = checkout(&nightly);
    in_place(&nightly, &folder).expect_code(0);
    let wanted = r#"[{"cert_name": "www", "names": ["www.bench.test"]},
                     {"cert_name": "other", "names": ["other.bench.test"]}]"#;
    fs::write(folder.join("certs.json"), wanted).unwrap();
    let lock = folder.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    let output = in_place(&nightly, &folder);
    fs::remove_file(&lock).unwrap();
    let pushed = certs.files(lab).iter().any(|path| path.contains("other"));
    let status = lab.git(&folder, &["status", "--porcelain"]).stdout;
    assert!(
        !(output.stdout.contains("failed   other") && pushed),
        "reported as failed, but pushed\n{}{}{status}",
        output.stdout,
        output.stderr
    );
    assert_eq!(status, " M certs.json\n");
}

fn checkout(nightly: &Nightly) -> PathBuf {
    let lab = &nightly.lab;
    let folder = lab.folder().join("mine");
    let url = nightly.certs.url(Transport::Path);
    let home = lab.folder().join("home");
    lab.git(&home, &["clone", "--quiet", &url, folder.to_str().unwrap()]);
    folder
}

fn in_place(nightly: &Nightly, folder: &Path) -> Output {
    nightly
        .command(&["renew"])
        .env("GIT_CERTS_REPO", "")
        .folder(folder)
        .run()
}

/// What a killed run left at a challenge name must not block the next.
#[test]
fn killed_while_challenges_are_up() {
    let nightly = Nightly::new(
        Lab::builder().bind().powerdns().pebble().start(),
        &[
            ("dual", &["example.test", "*.example.test"]),
            ("files", &["files.test"]),
        ],
    );
    let lab = &nightly.lab;
    let gate = Gate::new(lab);
    let run = gate.reload(nightly.command(&["renew"])).spawn();
    gate.wait();
    wait_until(lab, "values at PowerDNS", || {
        values(lab, Server::PowerDns).len() == 2
    });
    run.signal("KILL");
    run.wait();
    gate.open();
    nightly.renew().expect_code(0);
    assert_eq!(lab.left_over().len(), 0);
}

/// The text of a key where its path is expected, as when a CI variable is not of type "file".
#[test]
fn a_key_as_the_name_of_its_file() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    nightly.renew().expect_code(0);
    let secret = secret(&nightly);
    for variable in [
        "GIT_CERTS_AGE_KEY_FILE",
        "SOPS_AGE_KEY_FILE",
        "GIT_CERTS_RECIPIENTS",
    ] {
        let output = nightly
            .command(&["renew", "--renew", "1000"])
            .env("GIT_CERTS_AGE_KEY_FILE", "")
            .env(variable, &secret)
            .run();
        assert!(
            !output.stderr.contains(&secret),
            "{variable}\n{}",
            output.stderr
        );
    }
}

/// Whoever can write to the DNS repository must not get the age identity.
#[test]
fn creds_cannot_take_our_secrets() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let secret = secret(&nightly);
    for (entry, arguments) in [
        (r#"{"TYPE": "$GIT_CERTS_AGE_KEY"}"#, ""),
        (
            r#"{"TYPE": "AXFRDDNS", "master": "$GIT_CERTS_AGE_KEY"}"#,
            "",
        ),
        (r#"{"TYPE": "BIND", "directory": "$GIT_CERTS_AGE_KEY"}"#, ""),
        ("{}", "!sh -c 'env >&2; echo {}'"),
    ] {
        Files::default()
            .with("creds.json", &format!(r#"{{"ddns": {entry}}}"#))
            .commit(&nightly.lab, &nightly.dns, "attack");
        let mut command = nightly
            .command(&["renew"])
            .env("GIT_CERTS_AGE_KEY_FILE", "")
            .env("GIT_CERTS_AGE_KEY", &secret);
        if !arguments.is_empty() {
            // It prints what it got: the provider's credentials, and none of ours.
            command = command
                .env("GIT_CERTS_CREDS", arguments)
                .shows_on_purpose(bind::TSIG)
                .shows_on_purpose(powerdns::API_KEY);
        }
        let output = command.run();
        assert!(!output.stderr.contains(&secret), "{}", output.stderr);
    }
}

/// The cert repository names the command, and `renew` of a pull request runs it.
#[test]
fn the_cert_repository_cannot_name_a_command() {
    let lab = Lab::builder().bind().pebble().start();
    let nightly = Nightly::with(lab, &[("www", &["www.bench.test"])], |files, _| {
        files.with(
            "git-certs.toml",
            "creds = '!sh -c \"echo pwned by $PPID >&2; echo {}\"'\n",
        )
    });
    let output = nightly.renew();
    assert!(!output.stderr.contains("pwned by"), "{}", output.stderr);
}

/// What a repository says must not steer a terminal or a CI runner.
#[test]
fn words_of_a_repository_are_tame() {
    let lab = Lab::builder().bind().pebble().start();
    let nightly = Nightly::with(lab, &[("www", &["www.bench.test"])], |files, _| {
        files.with(
            "certs.json",
            "[{\"cert_name\": \"www\", \"names\": [\"www.bench.test\"], \"x\\u001b[2J\\n::stop-commands::t\": 1}]",
        )
    });
    let output = nightly.command(&["plan"]).run().expect_code(0);
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    assert!(!output.stderr.contains("\n::"), "{}", output.stderr);
}

/// Folders of the user's that only look like ours.
#[test]
fn folders_of_others_stay() {
    let nightly = Nightly::new(
        Lab::builder().bind().pebble().start(),
        &[("www", &["www.bench.test"])],
    );
    let mine = nightly.lab.folder().join("tmp/git-certs-20261123-backup");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("precious"), "x").unwrap();
    nightly.command(&["plan"]).run().expect_code(0);
    assert!(mine.join("precious").exists());
}

fn secret(nightly: &Nightly) -> String {
    let text = fs::read_to_string(&nightly.identity.file).unwrap();
    text.lines().last().unwrap().to_owned()
}
