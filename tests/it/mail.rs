//! Servers of mail that would take a notice and a password in the clear, or show a certificate of somebody else.

use std::fs;

use pretty_assertions::assert_eq;

use crate::support::address;
use crate::support::cert_repo::Files;
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, wait_until};

/// Speaks SMTP as its word says, and writes down all that it hears, in the clear and within TLS.
const SERVER: &str = r#"
import socket, ssl, sys, threading, time
address, folder, manner = sys.argv[1:]
log = open(folder + "/heard", "ab", buffering=0)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(folder + "/chain.pem", folder + "/key.pem")
def talk(stream):
    def say(text): stream.sendall(text.encode() + b"\r\n")
    if manner == "drips":
        while True:
            stream.sendall(b"2")
            time.sleep(1)
    if manner == "floods":
        stream.sendall(b"220-")
        while True: stream.sendall(b"a" * 65536)
    say("220 mail.test")
    while True:
        heard = stream.recv(4096)
        if not heard: return
        log.write(heard)
        word = heard.split()[0].upper() if heard.split() else b""
        if word == b"EHLO":
            say("250-mail.test")
            if manner != "without": say("250-STARTTLS")
            say("250 AUTH PLAIN LOGIN")
        elif word == b"STARTTLS":
            if manner == "refuses":
                say("454 no TLS now")
                continue
            # What is said before TLS must not count within it.
            say("220 go\r\n250-mail.test\r\n250 AUTH PLAIN" if manner == "injects" else "220 go")
            stream = tls.wrap_socket(stream, server_side=True)
        elif word == b"DATA": say("354 go")
        elif word == b"AUTH": say("235 in")
        else: say("250 well")
def guarded(stream):
    try: talk(stream)
    except OSError: pass
server = socket.create_server((address, 2525))
open(folder + "/up", "w").close()
while True:
    stream, _ = server.accept()
    threading.Thread(target=guarded, args=(stream,), daemon=True).start()
"#;

#[test]
fn no_notice_and_no_password_leave_without_trusted_tls() {
    let nightly = Nightly::new(Lab::builder().start(), &[("www", &["www.bench.test"])]);
    let lab = &nightly.lab;
    let no_tls = "the server's certificate is not trusted, or it has no TLS";
    for (manner, why) in [
        (
            "without",
            "the server offers no TLS, and nothing is sent without",
        ),
        ("refuses", "the server refuses it with 454"),
        ("untrusted", no_tls),
        ("injects", no_tls),
        ("drips", "it did not answer within 10 s"),
        ("floods", "the server says more than 1 MiB"),
    ] {
        let files = Files::new("mail");
        let chain = lab
            .namespace()
            .write(&format!("{manner}/chain.pem"), &files.chain);
        lab.namespace()
            .write(&format!("{manner}/key.pem"), &files.key);
        let folder = chain.parent().unwrap();
        let server = lab
            .command("python3")
            .args(["-c", SERVER, address::GIT])
            .arg(folder)
            .arg(manner)
            .spawn();
        wait_until(lab, "the server", || folder.join("up").exists());
        let server_at = address::GIT;
        let output = nightly
            .command(&["renew", "--notify", "--quiet"])
            .env("GIT_CERTS_CA_BUNDLE", "")
            .env("GIT_CERTS_REPO", "/nowhere.git")
            .env(
                "GIT_CERTS_NOTIFY_MAIL",
                format!("smtp://user:planted-password@{server_at}:2525?from=a@a.test&to=b@a.test"),
            )
            .run()
            .expect_code(2);
        server.signal("KILL");
        server.wait();
        let warning = format!(
            "warning: cannot notify by mail\n  caused by: {why}\n\
             hint: `GIT_CERTS_NOTIFY_MAIL` has the address; docs/notify.md has its form\n"
        );
        assert!(
            output.stderr.contains(&warning),
            "{manner}: {}",
            output.stderr
        );
        let heard = fs::read(folder.join("heard")).unwrap();
        let heard = String::from_utf8_lossy(&heard).to_uppercase();
        for word in ["AUTH", "PLANTED", "MAIL FROM", "SUBJECT"] {
            assert!(!heard.contains(word), "{manner}: {heard}");
        }
        assert_eq!(
            heard.contains("EHLO"),
            !["drips", "floods"].contains(&manner),
            "{manner}: {heard}"
        );
    }
}
