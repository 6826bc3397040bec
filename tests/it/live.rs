//! `status --live`: which servers show the certificate of the repository, and which an older one or another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pretty_assertions::assert_eq;
use rcgen::{CertificateParams, KeyPair};
use regex::Regex;
use serde_json::Value;

use crate::support::address::{BIND, GIT, PEBBLE, POWERDNS};
use crate::support::bind;
use crate::support::command::{Command, Running};
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, open, wait_until};

/// `shop` is where its names are, `api` where its `endpoints` are; nobody answers for `www`.
const CERTS: &str = r#"[
  {"cert_name": "www", "names": ["www.bench.test", "nowhere.bench.test"]},
  {"cert_name": "shop", "names": ["shop.bench.test", "*.shop.bench.test"]},
  {"cert_name": "api", "names": ["api.bench.test"],
   "endpoints": ["192.0.2.20:8443", "192.0.2.20:8444", "192.0.2.20:443", "192.0.2.66:443", "192.0.2.2:443", "192.0.2.14:8080"]}
]"#;

/// A TLS server that ends with the test.
pub struct Server(Option<Running>);

impl Server {
    /// OpenSSL's, with a certificate and its key in plain text.
    pub fn start(lab: &Lab, at: &str, [chain, key]: [&str; 2], more: &[&str]) -> Self {
        let file = |end: &str, text: &str| -> PathBuf {
            lab.namespace().write(&format!("served/{at}.{end}"), text)
        };
        let running = lab
            .command("openssl")
            .args(["s_server", "-www", "-accept", at, "-cert"])
            .arg(file("crt", chain))
            .arg("-key")
            .arg(file("key", key))
            .args(more.to_vec())
            .spawn();
        Self::when_it_listens(lab, at, running)
    }

    /// Takes connections and says nothing.
    fn silent(lab: &Lab, at: &str) -> Self {
        let (address, port) = at.split_once(':').unwrap();
        let script = format!(
            "import socket, time\nlistening = socket.create_server(('{address}', {port}))\ntime.sleep(600)"
        );
        let running = lab.command("python3").args(["-c", &script]).spawn();
        Self::when_it_listens(lab, at, running)
    }

    fn when_it_listens(lab: &Lab, at: &str, running: Running) -> Self {
        let server = Self(Some(running));
        let (address, port) = at.split_once(':').unwrap();
        let knock = format!("exec 3<>/dev/tcp/{address}/{port}");
        wait_until(lab, at, || {
            let knock = lab.command("bash").args(["-c", &knock]);
            knock.run().status.success()
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.signal("KILL");
            running.wait();
        }
    }
}

/// Chain and key of a certificate, as they would be deployed.
fn deployed(nightly: &Nightly, name: &str) -> [String; 2] {
    let path = format!("certificates/{name}/{name}.key.age");
    let key = nightly.certs.show(&nightly.lab, &path);
    let key = open(&nightly.lab, &key, &nightly.identity.file).expect_code(0);
    [nightly.chain(name), key.stdout]
}

/// A full clone of the cert repository.
fn checkout(nightly: &Nightly) -> PathBuf {
    let folder = nightly.lab.folder().join("whole");
    let origin = nightly.certs.folder.to_str().unwrap();
    let words = ["clone", "--quiet", origin, folder.to_str().unwrap()];
    nightly.lab.git(Path::new("/"), &words);
    folder
}

/// Without secrets and without the DNS repository.
fn status(nightly: &Nightly, words: &[&str]) -> Command {
    let words = [&["status", "--live"], words].concat();
    nightly
        .lab
        .git_certs(words)
        .deadline(Duration::from_mins(1))
}

#[test]
fn what_servers_show_is_compared_with_the_repository() {
    let lab = Lab::builder().bind().pebble().git_http().start();
    let nightly = Nightly::with(lab, &[], |files, _| files.with("certs.json", CERTS));
    let lab = &nightly.lab;
    nightly.renew().expect_code(0);
    let update = format!(
        "server {BIND}\nupdate add shop.bench.test 60 A {BIND}\nupdate add shop.bench.test 60 A {POWERDNS}\nsend\n"
    );
    let [old, old_key] = deployed(&nightly, "shop");
    let words = ["renew", "--only", "shop", "--renew", "9999"];
    nightly.command(&words).run().expect_code(0);
    let nsupdate = lab.command("nsupdate").args(["-y", bind::TSIG]);
    nsupdate.stdin(update).succeed();
    let [new, new_key] = deployed(&nightly, "shop");
    let key = KeyPair::generate().unwrap();
    // A name that is no DNS name is no reason to see nothing.
    let params = CertificateParams::new(["api.bench.test".to_owned(), "192.0.2.20".to_owned()]);
    let own = params.unwrap().self_signed(&key).unwrap().pem();
    let own_key = key.serialize_pem();
    let own = [own.as_str(), own_key.as_str()];
    let _servers = [
        Server::start(lab, &format!("{POWERDNS}:443"), [&old, &old_key], &[]),
        Server::start(lab, &format!("{BIND}:443"), [&new, &new_key], &[]),
        Server::start(lab, &format!("{GIT}:8443"), own, &[]),
        // It wants to know its clients, and ends the handshake after it has shown itself.
        Server::start(
            lab,
            &format!("{GIT}:8444"),
            own,
            &["-Verify", "1", "-tls1_2"],
        ),
        Server::silent(lab, &format!("{PEBBLE}:8080")),
    ];

    let whole = checkout(&nightly);
    let output = status(&nightly, &["--dir", whole.to_str().unwrap()])
        .run()
        .expect_code(1);
    // Each server that should show the certificate and does not has a line.
    let mut told: Vec<_> = output.normal_stderr().lines().map(str::to_owned).collect();
    told.retain(|line| line.starts_with("error: "));
    told.sort_unstable();
    let not_from_here = "shows one that is not from here";
    let signs_itself = "shows a certificate that signs itself";
    assert_eq!(
        told,
        [
            "error: certificate `api`: `192.0.2.14:8080` is not reached: no answer within [TIME]".to_owned(),
            format!("error: certificate `api`: `192.0.2.20:443` {not_from_here}"),
            format!("error: certificate `api`: `192.0.2.20:8443` {signs_itself}"),
            format!("error: certificate `api`: `192.0.2.20:8444` {signs_itself}"),
            format!("error: certificate `api`: `192.0.2.2:443` {not_from_here}"),
            "error: certificate `api`: `192.0.2.66:443` is not reached: Connection refused".to_owned(),
            "error: certificate `shop`: `shop.bench.test:443 (192.0.2.3)` still shows an older one: renewed, but not \
             deployed"
                .to_owned(),
            "error: certificate `www`: `nowhere.bench.test:443` is not reached: it has no address".to_owned(),
            "error: certificate `www`: `www.bench.test:443 (198.51.100.80)` is not reached: Network is unreachable"
                .to_owned(),
        ]
    );
    // The serial of a certificate that no CA made is longer.
    let long = Regex::new("serial [0-9A-F]{37,}").unwrap();
    let text = output.normal_stdout();
    let text = long.replace_all(&text, "serial [SERIAL]");
    let servers = text.split("\nservers:\n").nth(1).unwrap();
    let mut servers: Vec<_> = servers
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    servers.sort_unstable();
    assert_eq!(
        servers,
        [
            "api   192.0.2.14:8080                     unreachable  no answer within [TIME]",
            "api   192.0.2.20:443                      other        it shows one that is not from here: serial [SERIAL], until [DATE], by lab servers",
            "api   192.0.2.20:8443                     self-signed  it shows a certificate that signs itself: serial [SERIAL], until [DATE], by rcgen self signed cert",
            "api   192.0.2.20:8444                     self-signed  it shows a certificate that signs itself: serial [SERIAL], until [DATE], by rcgen self signed cert",
            "api   192.0.2.2:443                       other        it shows one that is not from here: serial [SERIAL], until [DATE], by Pebble Intermediate CA [ID]",
            "api   192.0.2.66:443                      unreachable  Connection refused",
            "shop  *.shop.bench.test                   skipped      a wildcard names no server; `endpoints` in certs.json can",
            "shop  shop.bench.test:443 (192.0.2.2)     current      the certificate of the repository",
            "shop  shop.bench.test:443 (192.0.2.3)     older        renewed, but not deployed: it still shows serial [SERIAL], until [DATE], by Pebble Intermediate CA [ID]",
            "www   nowhere.bench.test:443              unreachable  it has no address",
            "www   www.bench.test:443 (198.51.100.80)  unreachable  Network is unreachable",
        ]
    );

    // A clone of the last commit alone knows it by the CA and the time.
    let clone = nightly.certs.folder.to_str().unwrap();
    let words = ["--repo", clone, "--format", "json", "shop"];
    let output = status(&nightly, &words).run().expect_code(1);
    let data: Value = serde_json::from_str(&output.stdout).unwrap();
    let served = data["certificates"][0]["served"].as_array().unwrap();
    let found = |address: &str| {
        let mut all = served.iter();
        all.find(|one| one["address"] == address).unwrap().clone()
    };
    assert_eq!(found(BIND)["finding"], "current");
    let older = found(POWERDNS);
    assert_eq!(older["finding"], "older");
    assert_eq!(older["at"], "shop.bench.test:443");
    assert_ne!(older["serial"], data["certificates"][0]["serial"]);

    // Who watches wants to know what is still shown, too.
    let days = ["--repo", clone, "--fail-within", "36500", "shop"];
    status(&nightly, &days).run().expect_code(1);
    let resolver = ["--repo", clone, "--resolver", "192.0.2.66", "shop"];
    let output = status(&nightly, &resolver).run().expect_code(1);
    assert!(
        output
            .stdout
            .contains("unreachable  the DNS resolver cannot look up A of `shop.bench.test`"),
        "{}",
        output.stdout
    );
}
