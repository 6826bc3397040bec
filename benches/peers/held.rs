//! Nothing due: every tool holds the same number of certificates in a store that it made itself.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::support::command::Command;
use crate::support::lab::{Lab, Server};
use crate::support::peers::{bare_certbot, bare_lego, certbot, dehydrated, lego};
use crate::support::repos::{Files, Transport};
use crate::tools::{Scenario, Tool, peak_memory, renew, timed};

const COUNT: usize = 1_000;

/// Copies what certbot keeps of one certificate: `store NAME COUNT`.
const CERTBOT: &str = r#"
for n in $(seq 2 "$2"); do
  cp -a "archive/$1" "archive/$1-$n"
  mkdir "live/$1-$n"
  for part in cert chain fullchain privkey; do
    ln -s "../../archive/$1-$n/${part}1.pem" "live/$1-$n/$part.pem"
  done
  sed "s|/$1\b|/$1-$n|g" "renewal/$1.conf" > "renewal/$1-$n.conf"
done"#;

/// The same for dehydrated, which compares the names of a certificate with those of domains.txt.
const DEHYDRATED: &str = r#"
read -r host _ < domains.txt
for n in $(seq 2 "$2"); do
  cp -a "certs/$1" "certs/$1-$n"
  echo "$host > $1-$n" >> domains.txt
done"#;

/// The same for lego, which looks at nothing but the file.
const LEGO: &str = r#"
cd certificates
for n in $(seq 2 "$2"); do
  for part in crt key json; do cp "$1.$part" "$1-$n.$part"; done
done"#;

/// The same for git-certs, in a checkout.
const GIT_CERTS: &str = r#"
cd certificates
for n in $(seq 2 "$2"); do
  mkdir "$1-$n"
  for part in crt key.age json; do cp "$1/$1.$part" "$1-$n/$1-$n.$part"; done
done"#;

/// A table of the tools that have a command which renews what is due.
pub fn measure(lab: &Lab) -> String {
    let mut text = format!(
        "### Nothing due among {COUNT} certificates\n\n\
         | tool | wall, s | times git-certs | memory, MB |\n| --- | ---: | ---: | ---: |\n"
    );
    let mut ours = f64::NAN;
    for tool in [Tool::GitCerts, Tool::Certbot, Tool::Dehydrated, Tool::Lego] {
        lab.stop(Server::Pebble);
        lab.start(Server::Pebble);
        let (seconds, megabytes) = run(lab, tool);
        println!(
            "{COUNT} held {:<11} {seconds:7.2} s {megabytes:5} MB",
            tool.name()
        );
        if tool == Tool::GitCerts {
            ours = seconds;
        }
        text += &format!(
            "| {} | {seconds:.2} | {:.1} | {megabytes} |\n",
            tool.name(),
            seconds / ours
        );
    }
    text + "\n"
}

/// Issues one certificate and copies it (not measured), and asks for what is due (measured).
fn run(lab: &Lab, tool: Tool) -> (f64, u64) {
    let (prefix, certificates) = Scenario::new("held", 1, 1).fresh(tool.name(), 0);
    let folder = lab.folder().join("held").join(&prefix);
    fs::create_dir_all(&folder).unwrap();
    let name = &certificates[0].0;
    let host = &certificates[0].1[0];
    let issue = |commands: Vec<Command>| {
        for command in commands {
            command.succeed();
        }
    };
    let (command, told) = match tool {
        Tool::GitCerts => (held_by_us(lab, &folder, name, host), "nothing is due"),
        Tool::Certbot => {
            issue(certbot(lab, &folder, &certificates));
            copy(lab, &folder, CERTBOT, name);
            (
                bare_certbot(lab, &folder).arg("renew"),
                "not due for renewal",
            )
        }
        Tool::Dehydrated => {
            issue(dehydrated(lab, &folder, &certificates));
            copy(lab, &folder, DEHYDRATED, name);
            let config = folder.join("config");
            let command = lab.command("dehydrated").arg("--config").arg(config);
            (command.arg("--cron"), "Skipping renew")
        }
        Tool::Lego => {
            issue(lego(lab, &folder, &certificates));
            copy(lab, &folder, LEGO, host);
            let each =
                "for n in $(seq 2 \"$0\"); do \"$@\" --domains \"$host-$n\" renew || exit; done";
            let all = bare_lego(lab, &folder).under("bash", &["-c", each, &COUNT.to_string()]);
            (all.env("host", host), "no renewal")
        }
        Tool::Uacme => unreachable!("it has no such command"),
    };
    let started = Instant::now();
    let output = timed(command).succeed();
    let seconds = started.elapsed().as_secs_f64();
    let said = output.stdout.clone() + &output.stderr;
    assert!(said.contains(told), "{said}");
    (seconds, peak_memory(&output))
}

fn held_by_us(lab: &Lab, folder: &Path, name: &str, host: &str) -> Command {
    let identity = lab.age_identity(name);
    let wanted = |names: &[String]| {
        let hosts = [host];
        let wanted: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), &hosts[..]))
            .collect();
        Files::certificates(&wanted, &[&identity.recipient])
    };
    let dns = Files::dns().publish(lab, &format!("{name}-dns"));
    let certs = wanted(&[name.to_owned()]).publish(lab, name);
    let command = renew(
        lab,
        &certs.url(Transport::Https),
        &dns.url(Transport::Https),
        &identity,
    );
    command.succeed();
    let checkout = folder.join("checkout");
    let git = |words: &[&str]| lab.git(&checkout, words);
    lab.command("git")
        .arg("clone")
        .arg(certs.url(Transport::Path))
        .arg(&checkout)
        .succeed();
    copy(lab, &checkout, GIT_CERTS, name);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "copies"]);
    git(&["push", "--quiet"]);
    let copies = (2..=COUNT).map(|number| format!("{name}-{number}"));
    let names: Vec<_> = std::iter::once(name.to_owned()).chain(copies).collect();
    wanted(&names).commit(lab, &certs, "certificates");
    command
}

fn copy(lab: &Lab, folder: &Path, script: &str, name: &str) {
    let script = format!("set -e\ncd \"$0\"\n{script}");
    lab.command("bash")
        .args(["-c", &script])
        .arg(folder)
        .arg(name)
        .arg(COUNT.to_string())
        .succeed();
}
