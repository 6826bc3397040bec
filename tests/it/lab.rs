//! The lab is real: delegations, updates, git servers, and an end that leaves nothing behind.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pretty_assertions::assert_eq;

use crate::support::address::NOBODY;
use crate::support::command::normalise;
use crate::support::dns::Challenge;
use crate::support::lab::{AgeIdentity, Lab, Server};
use crate::support::namespace::PATH;
use crate::support::repos::{Files, Remote, Transport};
use crate::support::zones::ZONES;
use crate::support::{bind, git_server, pebble, powerdns};

#[test]
fn the_resolver_finds_every_zone_from_the_root() {
    let lab = Lab::builder().bind().powerdns().start();
    for zone in ZONES {
        let name = zone.name;
        let hosts: Vec<_> = (1..=zone.servers.len())
            .map(|number| format!("ns{number}.{name}."))
            .collect();
        let mut found = lab.ask(Server::Resolver, name, "NS");
        found.sort();
        assert_eq!(found, hosts);
        for (host, address) in hosts.iter().zip(zone.servers) {
            assert_eq!(lab.ask(Server::Resolver, host, "A"), [*address]);
        }
        let soa = format!("ns1.{name}. hostmaster.{name}. 1 3600 600 86400 1");
        assert_eq!(lab.ask(Server::Resolver, name, "SOA"), [soa]);
        assert_eq!(lab.ask(Server::Root, &format!("www.{name}"), "A"), [""; 0]);
    }
    assert_eq!(lab.ask(Server::Resolver, "ns2.lame.test", "A"), [NOBODY]);
    // The machine's own resolver is out of sight.
    let resolved = lab
        .command("getent")
        .args(["hosts", "www.bench.test"])
        .succeed();
    assert!(
        resolved.stdout.starts_with("198.51.100.80 "),
        "{}",
        resolved.stdout
    );
}

#[test]
fn an_update_with_the_key_reaches_the_resolver() {
    let lab = Lab::builder().bind().start();
    let name = "_acme-challenge.www.bench.test";
    let added = bind::update(
        lab.namespace(),
        "bench.test",
        &format!("add {name} 60 TXT one"),
    );
    assert!(added.status.success(), "{}", added.stderr);
    assert_eq!(lab.txt(Server::Bind, name), ["one"]);
    assert_eq!(lab.txt(Server::Resolver, name), ["one"]);
    assert_eq!(
        lab.challenges().into_iter().collect::<Vec<_>>(),
        [challenge(Server::Bind, name, "one")]
    );

    let removed = bind::update(
        lab.namespace(),
        "bench.test",
        &format!("delete {name} TXT one"),
    );
    assert!(removed.status.success(), "{}", removed.stderr);
    assert_eq!(lab.txt(Server::Resolver, name), [""; 0]);
    assert!(lab.challenges().is_empty());

    let stranger = lab
        .command("nsupdate")
        .args(["-y", "hmac-sha256:lab-key:bm90IHRoZSBrZXk="])
        .stdin(format!(
            "server {}\nzone bench.test\nupdate add {name} 60 TXT two\nsend\n",
            Server::Bind.address()
        ))
        .run();
    assert!(
        !stranger.status.success(),
        "an update with a wrong key was taken"
    );
}

#[test]
fn a_patch_of_the_http_api_is_visible_at_once() {
    let lab = Lab::builder().powerdns().start();
    let name = "_acme-challenge.pdns.test";
    assert_eq!(lab.txt(Server::Resolver, name), [""; 0]);
    let set = powerdns::set_txt(lab.namespace(), "pdns.test", name, &["one", "two"]);
    assert!(set.status.success(), "{}", set.stdout);
    assert_eq!(lab.txt(Server::Resolver, name), ["one", "two"]);
    assert_eq!(
        lab.challenges().into_iter().collect::<Vec<_>>(),
        [
            challenge(Server::PowerDns, name, "one"),
            challenge(Server::PowerDns, name, "two")
        ]
    );
    let serial = |record: &str| record.split(' ').nth(2).unwrap().parse::<u32>().unwrap();
    assert_eq!(serial(&lab.ask(Server::PowerDns, "pdns.test", "SOA")[0]), 2);
}

#[test]
fn a_zone_file_is_served_after_a_reload() {
    let lab = Lab::builder().bind().start();
    let file = bind::zone_folder(lab.namespace()).join("files.test.zone");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(" 1 3600 ", " 2 3600 ") + "_acme-challenge TXT \"from the file\"\n";
    fs::write(&file, text).unwrap();
    assert_eq!(lab.txt(Server::Bind, "_acme-challenge.files.test"), [""; 0]);

    let words = bind::reload_words(lab.namespace(), "files.test");
    lab.command(&words[0]).args(&words[1..]).succeed();
    let deadline = Instant::now() + Duration::from_mins(1);
    while lab.txt(Server::Bind, "_acme-challenge.files.test") != ["from the file"] {
        assert!(Instant::now() < deadline, "not reloaded{}", lab.logs());
    }
}

#[test]
fn the_acme_server_answers_under_the_labs_root() {
    let lab = Lab::builder().pebble().start();
    let curl = lab
        .command("curl")
        .args(["--silent", "--show-error", pebble::DIRECTORY]);
    let directory = curl.clone().arg("--cacert").arg(lab.ca()).succeed().stdout;
    let directory: serde_json::Value = serde_json::from_str(&directory).unwrap();
    assert_eq!(directory["newOrder"], "https://acme.test/order-plz");
    // curl's code for a certificate that no known root vouches for.
    curl.run().expect_code(60);
    let root = pebble::issuer_root(lab.namespace());
    assert!(root.starts_with("-----BEGIN CERTIFICATE-----"), "{root}");
}

#[test]
fn the_acme_server_takes_its_settings() {
    let settings = pebble::Settings {
        nonce_reject: 7,
        validation_sleep: Some(3),
        always_valid: true,
        authorization_reuse: 100,
        chain_length: 2,
        ..pebble::Settings::default()
    };
    let lab = Lab::builder().pebble_with(settings).start();
    let logs = lab.logs();
    for words in [
        "Configured to reject 7% of good nonces",
        "Setting maximum random VA sleep time to 3 seconds",
        "Disabling VA challenge requests. VA always returns valid",
        "Configured to attempt authz reuse for each identifier 100% of the time",
    ] {
        assert!(logs.contains(words), "no `{words}` in {logs}");
    }
}

#[test]
fn git_serves_over_every_transport() {
    let lab = Lab::builder().git_http().git_ssh().start();
    let remote = Files::default()
        .with("README", "one\n")
        .publish(&lab, "certs");
    for transport in [
        Transport::Path,
        Transport::File,
        Transport::Http,
        Transport::Https,
        Transport::Ssh,
        Transport::Scp,
    ] {
        push_through(&lab, &remote, transport);
    }
    assert_eq!(remote.subjects(&lab)[..2], ["over Scp", "over Ssh"]);
    assert_eq!(remote.files(&lab).len(), 7);
}

fn push_through(lab: &Lab, remote: &Remote, transport: Transport) {
    let folder = lab.folder().join(format!("clone-{transport:?}"));
    let home = lab.folder().join("home");
    lab.git(
        &home,
        &[
            "clone",
            "--quiet",
            &remote.url(transport),
            folder.to_str().unwrap(),
        ],
    );
    assert_eq!(fs::read_to_string(folder.join("README")).unwrap(), "one\n");
    fs::write(folder.join(format!("{transport:?}")), "pushed").unwrap();
    lab.git(&folder, &["add", "--all"]);
    lab.git(
        &folder,
        &[
            "commit",
            "--quiet",
            "--message",
            &format!("over {transport:?}"),
        ],
    );
    lab.git(&folder, &["push", "--quiet", "origin", "main"]);
    assert_eq!(remote.show(lab, &format!("{transport:?}")), "pushed");
}

#[test]
fn git_over_http_refuses_strangers() {
    let lab = Lab::builder().git_http().start();
    let remote = Files::default()
        .with("README", "one\n")
        .publish(&lab, "certs");
    let url = remote
        .url(Transport::Https)
        .replace(git_server::TOKEN, "wrong");
    let refused = lab
        .command("git")
        .args(["ls-remote", &url])
        .env("GIT_SSL_CAINFO", lab.ca())
        .env("GIT_TERMINAL_PROMPT", "0")
        .run()
        .expect_code(128);
    assert!(
        refused.stderr.contains("Authentication failed"),
        "{}",
        refused.stderr
    );
    let status = lab
        .command("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args([
            "--user",
            "git:wrong",
            "http://git.test/certs.git/info/refs?service=git-upload-pack",
        ])
        .run();
    assert_eq!(status.stdout, "401");
}

#[test]
fn git_over_ssh_refuses_strangers() {
    let lab = Lab::builder().git_ssh().start();
    let shell = lab
        .command("ssh")
        .args(["git@git.test", "id"])
        .run()
        .expect_code(128);
    assert!(
        shell.stderr.contains("unrecognized command 'id'"),
        "{}",
        shell.stderr
    );
    fs::remove_file(lab.folder().join("home/.ssh/id_ed25519")).unwrap();
    let keyless = lab
        .command("ssh")
        .args(["git@git.test", "id"])
        .run()
        .expect_code(255);
    assert!(
        keyless.stderr.contains("Permission denied (publickey)"),
        "{}",
        keyless.stderr
    );
}

#[test]
fn a_protected_branch_refuses_pushes() {
    let lab = Lab::builder().start();
    let remote = Files::default()
        .with("README", "one\n")
        .publish(&lab, "certs");
    remote.refuse_pushes();
    let folder = lab.folder().join("checkout-certs");
    let push = lab
        .command("git")
        .args(["push", "origin", "HEAD:refs/heads/other"])
        .folder(folder)
        .run();
    assert!(
        push.stderr.contains("remote: this branch is protected"),
        "{}",
        push.stderr
    );
}

#[test]
fn a_server_stops_falls_silent_and_comes_back() {
    let lab = Lab::builder().bind().start();
    let name = "_acme-challenge.bench.test";
    bind::update(
        lab.namespace(),
        "bench.test",
        &format!("add {name} 60 TXT kept"),
    )
    .expect_code(0);
    let ask = || {
        let quick = ["+time=1", "+tries=1", "+short", "TXT", name];
        let at = format!("@{}", Server::Bind.address());
        lab.command("dig").arg(at).args(quick).run()
    };
    lab.stop(Server::Bind);
    assert!(
        ask().stdout.contains("connection refused"),
        "{}",
        ask().stdout
    );
    lab.start(Server::Bind);
    assert_eq!(lab.txt(Server::Bind, name), ["kept"]);

    let paused = lab.pause(Server::Bind);
    assert!(ask().stdout.contains("timed out"), "{}", ask().stdout);
    drop(paused);
    assert_eq!(lab.txt(Server::Bind, name), ["kept"]);
}

#[test]
fn two_labs_at_once_do_not_clash() {
    let (one, two) = thread::scope(|scope| {
        let other = scope.spawn(|| Lab::builder().bind().start());
        (Lab::builder().bind().start(), other.join().unwrap())
    });
    let name = "_acme-challenge.bench.test";
    for (lab, value) in [(&one, "one"), (&two, "two")] {
        let change = format!("add {name} 60 TXT {value}");
        bind::update(lab.namespace(), "bench.test", &change).expect_code(0);
    }
    assert_eq!(one.txt(Server::Resolver, name), ["one"]);
    assert_eq!(two.txt(Server::Resolver, name), ["two"]);
}

#[test]
fn programs_inside_see_nothing_of_outside() {
    let lab = Lab::builder().start();
    let output = lab.command("env").succeed();
    let mut lines: Vec<_> = output.stdout.lines().collect();
    lines.sort_unstable();
    let folder = lab.folder().display();
    assert_eq!(
        lines,
        [
            "GIT_CONFIG_NOSYSTEM=1",
            &format!("HOME={folder}/home"),
            "LC_ALL=C.UTF-8",
            &format!("PATH={PATH}"),
            &format!("TMPDIR={folder}/tmp"),
            "TZ=UTC",
        ]
    );
    let user = lab.command("id").arg("--user").succeed().stdout;
    assert_eq!(user, format!("{}\n", rustix::process::getuid().as_raw()));
    let name = lab.command("hostname").succeed().stdout;
    assert_eq!(name, "lab\n");
    let links = lab.command("ip").args(["-brief", "link"]).succeed().stdout;
    assert_eq!(links.lines().count(), 1, "{links}");
    // Process 1, and the chain from the shell to `ls`: nothing of the machine.
    let processes = lab.command("pgrep").arg(".").succeed().stdout;
    assert!(processes.lines().count() < 4, "{processes}");
}

#[test]
#[should_panic(expected = "`no-such-server` is not installed\nhint: run `make test-deps`")]
fn a_missing_program_is_a_failure() {
    Lab::builder().start().command("no-such-server");
}

#[test]
fn an_age_identity_opens_what_was_sealed_for_it() {
    let lab = Lab::builder().start();
    let [renewer, stranger] = ["renewer", "stranger"].map(|name| lab.age_identity(name));
    let sealed = lab.folder().join("sealed.age");
    lab.command("age")
        .args(["--recipient", &renewer.recipient, "--output"])
        .arg(&sealed)
        .stdin("a key")
        .succeed();
    let open = |identity: &AgeIdentity| {
        let age = lab.command("age").arg("--decrypt").arg("--identity");
        age.arg(&identity.file).arg(&sealed).run()
    };
    assert_eq!(open(&renewer).expect_code(0).stdout, "a key");
    open(&stranger).expect_code(1);
}

#[test]
fn signals_reach_the_program_itself() {
    let lab = Lab::builder().start();
    let script =
        "trap 'echo caught >&2; exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done";
    let mut running = lab.command("bash").args(["-c", script]).spawn();
    running.wait_for_stderr("ready");
    running.signal("TERM");
    let output = running.wait().expect_code(7);
    assert_eq!(output.stderr, "ready\ncaught\n");
}

#[test]
fn what_differs_from_run_to_run_is_replaced() {
    let lab = Path::new("/tmp/git-certs-lab-x");
    let said = "cloned /tmp/git-certs-lab-x/tmp/.tmpAb12/certs.git to /tmp/git-certs-lab-x/home\n\
                www: expires 2027-02-21T10:00:00Z (90 days), serial 0a:1b:2c:3d:4e:5f:60:71:82\n\
                pushed 1a2b3c4 (was 0123456789abcdef0123456789abcdef01234567) in 1.25 s\n\
                asked 192.0.2.2:53 from 127.0.0.1:41234 on 2026-11-23 for 20 names\n";
    let expected = "cloned [TMP]/certs.git to [LAB]/home\n\
                    www: expires [DATE] (90 days), serial [SERIAL]\n\
                    pushed [COMMIT] (was [COMMIT]) in [TIME]\n\
                    asked 192.0.2.2:53 from 127.0.0.1:[PORT] on [DATE] for 20 names\n";
    assert_eq!(normalise(said, lab), expected);
}

#[test]
fn nothing_is_left_after_the_end() {
    let lab = Lab::builder().all().start();
    let folder = lab.folder().to_path_buf();
    let busy = lab.command("sleep").arg("1000").spawn();
    busy.pid();
    assert!(processes_of(&folder).len() > 7);
    drop(lab);
    assert_eq!(processes_of(&folder), [""; 0]);
    assert!(!folder.exists());
    assert!(!busy.wait().status.success());
}

/// The test starts itself again as the process that will be killed.
#[test]
#[expect(clippy::print_stdout, reason = "how the child tells its parent")]
fn nothing_is_left_after_a_kill() {
    const CHILD: &str = "GIT_CERTS_TEST_HOLD_LAB";
    if env::var_os(CHILD).is_some() {
        let lab = Lab::builder().all().start();
        println!("\nfolder={}", lab.folder().display());
        thread::sleep(Duration::from_mins(1));
        return;
    }
    let mut child = process::Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "lab::nothing_is_left_after_a_kill",
        ])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let folder = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("folder=").map(PathBuf::from))
        .expect("the child ended before its lab was up");
    assert!(processes_of(&folder).len() > 7);
    child.kill().unwrap();
    child.wait().unwrap();

    let deadline = Instant::now() + Duration::from_mins(1);
    while folder.exists() || !processes_of(&folder).is_empty() {
        assert!(
            Instant::now() < deadline,
            "left: {:?}",
            processes_of(&folder)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Command lines, anywhere on the machine, that name the folder.
fn processes_of(folder: &Path) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder.to_str().unwrap()))
        .collect()
}

fn challenge(server: Server, name: &str, value: &str) -> Challenge {
    Challenge {
        server,
        name: name.to_owned(),
        value: value.to_owned(),
    }
}
