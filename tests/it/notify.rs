//! `renew --notify`: services that tell people, by the words of their makers; notices that cannot be sent.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::support::cert_repo::Files;
use crate::support::folders::{Folders, Said};
use crate::support::lab::Lab;
use crate::support::nightly::{Nightly, wait_until};
use crate::support::repos::Files as RepositoryFiles;
use crate::support::secrets;

const SCRIPT: &str = include_str!("support/receiver.py");

/// What `renew` says where there is no certs.json, and what people are told of it.
const NO_LIST: &str = "error: there is no `certs.json` in the cert repository\n\
     hint: it lists the certificates: [{\"cert_name\": \"www\", \"names\": [\"www.example.com\"]}]\n";
const TOLD: &str = "git-certs: could not run\nthere is no `certs.json` in the cert repository";

/// The services, on ports of loopback.
struct Receiver {
    child: Child,
    folder: tempfile::TempDir,
    http: String,
    mail: String,
    encrypted: String,
}

impl Receiver {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [script, log, chain, key] =
            ["receiver.py", "log", "chain.pem", "key.pem"].map(|name| folder.path().join(name));
        let files = Files::new("mail");
        fs::write(&script, SCRIPT).unwrap();
        fs::write(&chain, files.chain).unwrap();
        fs::write(&key, files.key).unwrap();
        let mut child = Command::new("/usr/bin/python3")
            .arg("-I")
            .args([&script, &log, &chain, &key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ports: Vec<_> = line.split_whitespace().collect();
        let [http, mail, encrypted] = ports[..] else {
            panic!("`make test-deps` installs python3-aiosmtpd: {line}");
        };
        Self {
            http: format!("http://127.0.0.1:{http}"),
            mail: format!("127.0.0.1:{mail}"),
            encrypted: format!("127.0.0.1:{encrypted}"),
            child,
            folder,
        }
    }

    /// What was taken: path and body.
    fn taken(&self) -> Vec<(String, Value)> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let mut all: Vec<_> = text.lines().map(taken).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

fn taken(line: &str) -> (String, Value) {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let path = line["path"].as_str().unwrap().to_owned();
    let body = line["body"].take();
    secrets::check(&path, [], [&body.to_string(), ""]);
    (path, body)
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A run that cannot run, with these services.
fn run(services: &[(&str, String)]) -> Said {
    let folders = Folders::new().without("certs/certs.json");
    let folders = services.iter().fold(folders, |folders, (name, value)| {
        folders.variable(&format!("GIT_CERTS_NOTIFY_{name}"), value)
    });
    folders.run("renew --notify --dns-repo ../dns")
}

#[test]
fn each_service_is_told_in_its_own_form() {
    let receiver = Receiver::start();
    let http = &receiver.http;
    let host = http.strip_prefix("http://").unwrap();
    let said = run(&[
        ("SLACK", format!("{http}/services/T0/B0/good")),
        ("MATTERMOST", format!("{http}/hooks/good")),
        ("DISCORD", format!("{http}/api/webhooks/1/good")),
        ("TEAMS", format!("{http}/workflows/good?sig=x")),
        (
            "TELEGRAM",
            format!("{http}/bot1:good/sendMessage?chat_id=-100"),
        ),
        ("MATRIX", format!("http://a+b%40c@{host}/!room:matrix.test")),
        ("WEBHOOK", format!("{http}/hook")),
        (
            "MAIL",
            format!(
                "smtp://user:p%40ss+word@{}?from=git-certs@a.test&to=me@a.test,you@a.test",
                receiver.mail
            ),
        ),
    ]);
    assert_eq!(said, Said::refused(NO_LIST));
    let taken = receiver.taken();
    let (paths, bodies): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    assert!(paths[0].starts_with("/_matrix/"), "{paths:?}");
    assert_eq!(
        paths[1..],
        [
            "/api/webhooks/1/good",
            "/bot1:good/sendMessage",
            "/hook",
            "/hooks/good",
            "/services/T0/B0/good",
            "/workflows/good?sig=x",
            "mail",
        ]
    );
    // The last line says where the run ran.
    let text = bodies[0]["body"].as_str().unwrap();
    let (told, host) = text.rsplit_once('\n').unwrap();
    assert_eq!(told, TOLD);
    assert!(!host.is_empty());
    assert_eq!(bodies[1]["content"], text);
    assert_eq!(bodies[2]["text"], text);
    let mut lines: Vec<_> = text.lines().collect();
    let title = lines.remove(0);
    assert_eq!(
        bodies[3],
        json!({"version": 1, "title": title, "lines": lines, "issued": [], "failed": [], "put_off": []})
    );
    assert_eq!(
        bodies[4]["text"],
        format!("```\n{}\n```", text.replace('`', "'"))
    );
    assert_eq!(bodies[5]["text"], text);
    let card = &bodies[6]["attachments"][0]["content"]["body"];
    assert_eq!(
        (&card[0]["text"], &card[1]["text"]),
        (&json!(title), &json!(lines[0]))
    );
    let mail = &bodies[7];
    assert_eq!(mail["from"], "git-certs@a.test");
    assert_eq!(mail["to"], json!(["me@a.test", "you@a.test"]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains(&format!("Subject: {title}\r\n")), "{text}");
    assert!(
        text.contains(&format!("\r\n\r\n{}\r\n", lines[0])),
        "{text}"
    );
}

#[test]
fn what_cannot_be_sent_is_a_warning_without_the_address() {
    let receiver = Receiver::start();
    let http = &receiver.http;
    let mail = |server: &str| format!("{server}?from=git-certs@a.test&to=me@a.test");
    let hint = |name: &str| {
        format!("hint: `GIT_CERTS_NOTIFY_{name}` has the address; docs/notify.md has its form\n")
    };
    let cases = [
        (
            "SLACK",
            format!("{http}/services/hidden"),
            "cannot notify Slack\n  caused by: it answers with 404 Not Found\n",
        ),
        (
            "MATRIX",
            format!("{}/!room:matrix.test", http.replace("//", "//hidden@")),
            "cannot notify Matrix\n  caused by: it answers with 401 Unauthorized\n",
        ),
        (
            "WEBHOOK",
            "http://127.0.0.1:9/hidden".to_owned(),
            "cannot notify the webhook\n  caused by: error sending request\n  caused by: tcp connect error\n  caused by: Connection refused\n",
        ),
        (
            "MAIL",
            mail(&format!("smtp://user:hidden@{}", receiver.mail)),
            "cannot notify by mail\n  caused by: the server refuses it with 535\n",
        ),
        (
            "MAIL",
            mail(&format!("smtps://user:hidden@{}", receiver.encrypted)),
            "cannot notify by mail\n  caused by: the server's certificate is not trusted, or it has no TLS\n",
        ),
        (
            "MAIL",
            mail("smtp://user:hidden@127.0.0.1:9"),
            "cannot notify by mail\n  caused by: the server cannot be reached, or does not speak SMTP\n",
        ),
    ];
    for (name, address, why) in cases {
        let said = run(&[(name, address)]);
        // The error of the run comes last.
        let warning = format!("warning: {why}{}{NO_LIST}", hint(name));
        assert_eq!(said, Said::refused(&warning), "{name}");
        assert!(!said.stderr.contains("hidden"));
    }
    assert_eq!(receiver.taken(), []);

    for (name, address, why) in [
        ("SLACK", "hidden", "`GIT_CERTS_NOTIFY_SLACK` is not a URL\n"),
        (
            "SLACK",
            "ftp://a.test/hidden",
            "`GIT_CERTS_NOTIFY_SLACK` is not a URL that begins with `https://`\n",
        ),
        (
            "DISCORD",
            "http://a.test/hidden",
            "`GIT_CERTS_NOTIFY_DISCORD` would be sent without encryption: it has to begin with `https://`\n",
        ),
        (
            "MAIL",
            "https://a.test/hidden",
            "`GIT_CERTS_NOTIFY_MAIL` is not a URL that begins with `smtp://`\n",
        ),
        (
            "TELEGRAM",
            "https://api.telegram.org/hidden/sendMessage",
            "cannot notify Telegram\n  caused by: the address has no `chat_id`\n\
             hint: `GIT_CERTS_NOTIFY_TELEGRAM` has the address; docs/notify.md has its form\n\
             hint: it is `https://api.telegram.org/botTOKEN/sendMessage?chat_id=CHAT`\n",
        ),
        (
            "MATRIX",
            "https://matrix.test/!hidden",
            "cannot notify Matrix\n  caused by: the address has no room or no token\n\
             hint: `GIT_CERTS_NOTIFY_MATRIX` has the address; docs/notify.md has its form\n\
             hint: it is `https://TOKEN@SERVER/!ROOM:SERVER`\n",
        ),
    ] {
        let said = run(&[(name, address.to_owned())]);
        assert_eq!(
            said,
            Said::refused(&format!("warning: {why}{NO_LIST}")),
            "{name}"
        );
    }
    let said = run(&[]);
    assert_eq!(
        said,
        Said::refused(&format!(
            "warning: `--notify` has nobody to tell\n\
             hint: set GIT_CERTS_NOTIFY_SLACK or another variable of docs/notify.md, or `notifications` in creds.json\n{NO_LIST}"
        ))
    );
}

#[test]
fn a_service_that_does_not_answer_is_left_alone() {
    let receiver = Receiver::start();
    let said = run(&[("WEBHOOK", format!("{}/slow", receiver.http))]);
    assert_eq!(
        said,
        Said::refused(&format!(
            "warning: cannot notify the webhook\n  caused by: it did not answer within 10 s\n\
             hint: `GIT_CERTS_NOTIFY_WEBHOOK` has the address; docs/notify.md has its form\n{NO_LIST}"
        ))
    );
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let receiver = Receiver::start();
    let folders = Folders::new().without("certs/certs.json").variable(
        "GIT_CERTS_NOTIFY_WEBHOOK",
        &format!("{}/hook", receiver.http),
    );
    for words in [
        "renew --dns-repo ../dns",
        "renew --dry-run --notify --dns-repo ../dns",
        "plan --notify --dns-repo ../dns",
    ] {
        folders.is_refused(words, NO_LIST);
    }
    assert_eq!(receiver.taken(), []);
    // Said in the file, it counts from when that was read.
    let folders = folders.with("certs/git-certs.toml", "notify = true\n");
    folders.is_refused("renew --dns-repo ../dns", NO_LIST);
    assert_eq!(receiver.taken().len(), 1);
}

/// Starts the services in the lab; returns where the log is and the line of ports.
fn in_lab(lab: &Lab) -> (PathBuf, String) {
    let files = Files::new("mail");
    let write = |name: &str, text: &str| lab.namespace().write(&format!("receiver/{name}"), text);
    let script = write("receiver.py", SCRIPT);
    let log = script.with_file_name("log");
    let (chain, key) = (
        write("chain.pem", &files.chain),
        write("key.pem", &files.key),
    );
    let ports = script.with_file_name("ports");
    let line = format!(
        "exec /usr/bin/python3 -I {} {} {} {} > {}",
        script.display(),
        log.display(),
        chain.display(),
        key.display(),
        ports.display()
    );
    std::mem::forget(lab.command("sh").args(["-c", &line]).spawn());
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    wait_until(lab, "ports of the receiver", || {
        read(&ports).ends_with('\n')
    });
    (log, read(&ports))
}

#[test]
fn a_run_tells_what_it_did_by_the_variables_and_by_creds_json() {
    let lab = Lab::builder().bind().pebble().start();
    let (log, ports) = in_lab(&lab);
    let http = format!("http://127.0.0.1:{}", ports.split(' ').next().unwrap());
    let nightly = Nightly::new(
        lab,
        &[("good", &["good.bench.test"]), ("bad", &["bad.pdns.test"])],
    );
    let lab = &nightly.lab;
    let creds = nightly.dns.show(lab, "creds.json");
    let creds = creds
        .trim_end()
        .strip_suffix('}')
        .unwrap()
        .trim_end()
        .trim_end_matches(',');
    let creds = format!(
        "{creds},\n\"notifications\": {{\"slack_url\": \"$LAB_SLACK\", \"teams_url\": \"\", \"bonfire_url\": \"https://hidden\"}}}}"
    );
    let files = RepositoryFiles::dns().with("creds.json", &creds);
    files.commit(lab, &nightly.dns, "notifications");
    let output = nightly
        .command(&["renew", "--notify"])
        .env("LAB_SLACK", format!("{http}/services/T0/B0/good"))
        .env("GIT_CERTS_NOTIFY_WEBHOOK", format!("{http}/hook"))
        .run()
        .expect_code(1);
    assert!(
        output.stderr.ends_with(
            "warning: `bonfire_url` in `notifications` of creds.json is not supported\n\
             hint: set the variable of the service, such as GIT_CERTS_NOTIFY_DISCORD: docs/notify.md lists them\n"
        ),
        "{}",
        output.stderr
    );
    let text = fs::read_to_string(log).unwrap();
    let mut taken: Vec<_> = text.lines().map(taken).collect();
    taken.sort_by(|one, other| one.0.cmp(&other.0));
    let paths: Vec<_> = taken.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/hook", "/services/T0/B0/good"]);
    let hook = &taken[0].1;
    assert_eq!(hook["title"], "git-certs: 1 issued, 1 failed");
    assert_eq!(
        (&hook["issued"], &hook["failed"]),
        (&json!(["good"]), &json!(["bad"]))
    );
    let lines = hook["lines"].as_array().unwrap();
    assert!(
        lines[0].as_str().unwrap().starts_with("failed bad: "),
        "{lines:?}"
    );
    assert!(
        lines[1]
            .as_str()
            .unwrap()
            .starts_with("issued good until 2"),
        "{lines:?}"
    );
    let slack = taken[1].1["text"].as_str().unwrap();
    assert!(
        slack.starts_with("git-certs: 1 issued, 1 failed\nfailed bad: "),
        "{slack}"
    );
    // Nothing was due: nobody is told.
    nightly
        .command(&["renew", "--notify", "--only", "good"])
        .env("GIT_CERTS_NOTIFY_WEBHOOK", format!("{http}/hook"))
        .env("LAB_SLACK", "hidden")
        .run()
        .expect_code(0);
}
