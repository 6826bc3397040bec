//! moto, which imitates AWS well enough to keep zones and hand out sessions; who asks is strict.
//!
//! <https://docs.getmoto.org/en/latest/docs/server_mode.html>
#![expect(clippy::disallowed_methods, reason = "tests are not confined")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::net::ports::{free_port, started};

const SERVER: &str = "target/moto/bin/moto_server";

/// Python takes its time where many tests run at once.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running server; it is stopped when it is dropped.
pub(super) struct Moto {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            let _ = writeln!(std::io::stderr(), "moto's log:\n{}", last.join("\n"));
        }
    }
}

impl Moto {
    pub(super) fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(SERVER);
        assert!(
            program.exists(),
            "there is no `{SERVER}`; `scripts/install-test-deps` installs it"
        );
        started(|| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let folder = tempfile::tempdir().unwrap();
            let file = File::create(folder.path().join("log")).unwrap();
            let child = Command::new(&program)
                .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(file.try_clone().unwrap())
                .stderr(file)
                .spawn()
                .unwrap_or_else(|error| panic!("cannot start {SERVER}: {error}"));
            let mut moto = Self {
                child,
                folder,
                address,
            };
            if moto.is_up() {
                Ok(moto)
            } else {
                Err(moto.log())
            }
        })
    }

    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Asks a service, and returns status and body of the answer.
    pub(super) fn ask(
        &self,
        service: &str,
        method: &str,
        target: &str,
        body: &str,
    ) -> (u16, String) {
        let content_type = if service == "sts" {
            "application/x-www-form-urlencoded"
        } else {
            "application/xml"
        };
        let request = format!(
            "{method} {target} HTTP/1.0\r\nHost: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20261125/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Makes a hosted zone and returns its id.
    pub(super) fn create_zone(&self, name: &str, is_private: bool) -> String {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}.</Name>\
             <CallerReference>{name}</CallerReference><HostedZoneConfig><PrivateZone>{is_private}</PrivateZone>\
             </HostedZoneConfig></CreateHostedZoneRequest>"
        );
        let answer = self.ask("route53", "POST", "/2013-04-01/hostedzone", &body);
        let (_, id) = answer
            .1
            .split_once("<Id>/hostedzone/")
            .unwrap_or_else(|| panic!("{answer:?}"));
        id.split_once('<').unwrap().0.to_owned()
    }

    /// All sets of a zone, as XML.
    pub(super) fn sets(&self, zone: &str) -> String {
        let target = format!("/2013-04-01/hostedzone/{zone}/rrset?maxitems=100000");
        self.ask("route53", "GET", &target, "").1
    }

    /// Writes sets, each the inner XML of a `ResourceRecordSet`.
    pub(super) fn put(&self, zone: &str, sets: &[String]) {
        // moto counts a value twice that may replace another, and takes 1,000.
        for sets in sets.chunks(400) {
            let changes: String = sets
                .iter()
                .map(|set| {
                    format!("<Change><Action>UPSERT</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change>")
                })
                .collect();
            let body = format!(
                "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <ChangeBatch><Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
            );
            let answer = self.change(zone, &body);
            assert_eq!(answer.0, 200, "{answer:?}");
        }
    }

    pub(super) fn change(&self, zone: &str, body: &str) -> (u16, String) {
        let target = format!("/2013-04-01/hostedzone/{zone}/rrset/");
        self.ask("route53", "POST", &target, body)
    }
}
