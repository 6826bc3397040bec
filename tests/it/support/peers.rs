//! Other ACME clients, as users set them up: acme.sh, certbot, dehydrated, lego and uacme, proving names by updates of BIND's zone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::address::{BIND, RESOLVER};
use crate::support::bind;
use crate::support::command::Command;
use crate::support::lab::Lab;
use crate::support::pebble::DIRECTORY;

/// Put there by scripts/install-test-deps.
const ACME_SH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/acme.sh/acme.sh");

/// The zone that all names are in; one BIND serves it.
pub const ZONE: &str = "bench.test";

/// Lets every program of the lab trust the CA's HTTPS certificate, as a system's bundle would.
pub fn trust_lab(lab: &Lab) {
    let script = "cat /etc/ssl/certs/ca-certificates.crt \"$1\" > \"$2\" && \
                  mount --bind \"$2\" /etc/ssl/certs/ca-certificates.crt";
    lab.command("bash")
        .args(["-c", script, "trust"])
        .arg(lab.ca())
        .arg(lab.folder().join("bundle.crt"))
        .succeed();
}

/// `certbot` for each certificate; its account is made at once.
pub fn certbot(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let [_, name, secret] = tsig();
    let credentials = folder.join("rfc2136.ini");
    write(
        &credentials,
        0o600,
        &format!(
            "dns_rfc2136_server = {BIND}\ndns_rfc2136_port = 53\ndns_rfc2136_name = {name}\n\
             dns_rfc2136_secret = {secret}\ndns_rfc2136_algorithm = HMAC-SHA256\n"
        ),
    );
    let certbot = || bare_certbot(lab, folder);
    certbot()
        .args(["register", "--register-unsafely-without-email"])
        .succeed();
    certificates
        .iter()
        .map(|(name, names)| {
            let command = certbot()
                .args(["certonly", "--key-type", "ecdsa", "--cert-name", name])
                .args(["--dns-rfc2136", "--dns-rfc2136-propagation-seconds", "0"])
                .arg("--dns-rfc2136-credentials")
                .arg(&credentials);
            with_domains(command, "-d", names)
        })
        .collect()
}

/// `certbot` with its folders, the CA and no questions.
pub fn bare_certbot(lab: &Lab, folder: &Path) -> Command {
    let mut command = lab.command("certbot");
    for option in ["--config-dir", "--work-dir", "--logs-dir"] {
        command = command.arg(option).arg(folder);
    }
    command
        .args(["--non-interactive", "--agree-tos", "--server", DIRECTORY])
        .env("REQUESTS_CA_BUNDLE", lab.ca())
}

/// `lego` with its folder, the CA and the way to the zone.
pub fn bare_lego(lab: &Lab, folder: &Path) -> Command {
    let [_, name, secret] = tsig();
    lab.command("lego")
        .args([
            "--accept-tos",
            "--email",
            "bench@example.test",
            "--server",
            DIRECTORY,
        ])
        .args([
            "--dns",
            "rfc2136",
            "--dns.resolvers",
            RESOLVER,
            "--key-type",
            "ec256",
        ])
        .arg("--path")
        .arg(folder)
        .env("LEGO_CA_CERTIFICATES", lab.ca())
        .env("RFC2136_NAMESERVER", format!("{BIND}:53"))
        .env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.")
        .env("RFC2136_TSIG_KEY", &name)
        .env("RFC2136_TSIG_SECRET", &secret)
        .env("RFC2136_POLLING_INTERVAL", "0")
        .env("RFC2136_SEQUENCE_INTERVAL", "0")
}

/// `lego` for each certificate; the first makes the account.
pub fn lego(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let lego = |names: &[String]| with_domains(bare_lego(lab, folder), "-d", names).arg("run");
    certificates.iter().map(|(_, names)| lego(names)).collect()
}

/// `uacme` for each certificate; its account is made at once.
pub fn uacme(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    // uacme calls: METHOD TYPE IDENTIFIER TOKEN AUTH
    let hook = nsupdate_hook(
        folder,
        "[ \"$2\" = dns-01 ] || exit 1\n\
         case $1 in begin) change=add ;; *) change=delete ;; esac\n\
         printf 'update %s _acme-challenge.%s 60 TXT \"%s\"\\n' \"$change\" \"$3\" \"$5\"",
    );
    let uacme = || {
        lab.command("uacme")
            .args(["--acme-url", DIRECTORY, "--confdir"])
            .arg(folder)
            .arg("--yes")
    };
    uacme().arg("new").succeed();
    certificates
        .iter()
        .map(|(_, names)| {
            let command = uacme()
                .arg("--hook")
                .arg(&hook)
                .args(["--type", "EC", "issue"]);
            command.args(names.iter().cloned())
        })
        .collect()
}

/// `dehydrated` for all certificates; its account is made at once.
pub fn dehydrated(
    lab: &Lab,
    folder: &Path,
    certificates: &[(String, Vec<String>)],
) -> Vec<Command> {
    // With HOOK_CHAIN one call has all names: deploy_challenge (DOMAIN TOKEN VALUE)...
    let hook = nsupdate_hook(
        folder,
        "case $1 in deploy_challenge) change=add ;; clean_challenge) change=delete ;; *) exit 0 ;; esac\n\
         shift\n\
         while [ $# -ge 3 ]; do\n\
         printf 'update %s _acme-challenge.%s 60 TXT \"%s\"\\n' \"$change\" \"$1\" \"$3\"\n\
         shift 3\n\
         done",
    );
    let config = folder.join("config");
    write(
        &config,
        0o644,
        &format!(
            "CA={DIRECTORY}\nCHALLENGETYPE=dns-01\nHOOK={}\nHOOK_CHAIN=yes\nKEY_ALGO=prime256v1\nBASEDIR={}\n",
            hook.display(),
            folder.display()
        ),
    );
    let lines: Vec<_> = certificates
        .iter()
        .map(|(name, names)| format!("{} > {name}\n", names.join(" ")))
        .collect();
    write(&folder.join("domains.txt"), 0o644, &lines.concat());
    let dehydrated = || lab.command("dehydrated").arg("--config").arg(&config);
    dehydrated()
        .args(["--register", "--accept-terms"])
        .succeed();
    vec![dehydrated().arg("--cron")]
}

/// `acme.sh` for each certificate; the first makes the account.
pub fn acme_sh(lab: &Lab, folder: &Path, certificates: &[(String, Vec<String>)]) -> Vec<Command> {
    let [_, name, secret] = tsig();
    let key = lab.folder().join("acme.sh.key");
    let text = format!("key \"{name}\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n");
    write(&key, 0o600, &text);
    let acme_sh = |names: &[String]| {
        let command = lab
            .command(ACME_SH)
            .args(["--issue", "--server", DIRECTORY, "--dns", "dns_nsupdate"])
            // Without it public resolvers are asked.
            .args(["--dnssleep", "1", "--keylength", "ec-256"])
            .args(["--accountemail", "me@bench.test"])
            .args(["--preferred-chain", "ISRG Root X1", "--home"])
            .arg(folder)
            .arg("--ca-bundle")
            .arg(lab.ca())
            .env("NSUPDATE_SERVER", BIND)
            .env("NSUPDATE_ZONE", ZONE)
            .env("NSUPDATE_KEY", &key);
        with_domains(command, "-d", names)
    };
    certificates
        .iter()
        .map(|(_, names)| acme_sh(names))
        .collect()
}

/// A hook whose body prints nsupdate's words for all challenges at once.
fn nsupdate_hook(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("hook.sh");
    let text = format!(
        "#!/bin/bash\nset -e\nwords() {{\n{body}\n}}\nall=$(words \"$@\")\n[ -n \"$all\" ] || exit 0\n\
         printf 'server {BIND}\\nzone {ZONE}\\n%s\\nsend\\n' \"$all\" | nsupdate -y {}\n",
        bind::TSIG
    );
    write(&path, 0o755, &text);
    path
}

fn with_domains(command: Command, option: &str, names: &[String]) -> Command {
    names
        .iter()
        .fold(command, |command, name| command.arg(option).arg(name))
}

fn tsig() -> [String; 3] {
    let parts: Vec<_> = bind::TSIG.split(':').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

/// Writes a file with a mode.
pub fn write(path: &Path, mode: u32, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
